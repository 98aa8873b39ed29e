package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/auth"
	"carrierlink/shared/effects"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/views"
)

type handler struct {
	auth     *auth.Auth
	accounts *account.Service
	sealer   httpapi.Sealer
	now      func() time.Time
}

func show(created *account.Created) *httpapi.Response {
	resp := httpapi.JSON(http.StatusOK, views.NewCreatedAccount(created))
	if created.Key == nil {
		resp.Header["Preference-Applied"] = "return=existing"
	}
	return resp
}

// create creates an account. Errors: those of auth.Partner, Request.JSON, httpapi.Once
// and account.Service.Create.
func (h *handler) create(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	caller, err := h.auth.Partner(ctx, req)
	if err != nil {
		return nil, err
	}
	in := account.Creation{
		Partner:        account.Partner{ID: caller.PartnerID, Environment: caller.Key.Environment, DefaultCountryCode: caller.Key.DefaultCountryCode},
		ReturnExisting: strings.EqualFold(req.Preference("return"), "existing"),
	}
	if err := req.JSON(views.CreationFields(&in)...); err != nil {
		return nil, err
	}
	return httpapi.Once(ctx, h.sealer, req, caller, h.now(), nil, func(change *httpapi.Change) (*httpapi.Response, error) {
		answer := func(created *account.Created) *httpapi.Response {
			req.Subject.AccountID = created.Account.ID
			return show(created)
		}
		return httpapi.Show(ctx, change, answer, func(fx effects.For[*account.Created]) error {
			_, err := h.accounts.Create(ctx, in, fx)
			return err
		})
	})
}
