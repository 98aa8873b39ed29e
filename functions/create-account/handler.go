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

// answer is the account and, unless it existed already, its first key.
type answer struct {
	views.Account
	APIKey *views.FirstKey `json:"api_key"`
}

// show answers with an account as this route does: the owner's names, company and
// email are null (seed: "This will always be null in the response").
func show(made *account.Created) *httpapi.Response {
	a := made.Account
	a.FirstName, a.LastName, a.CompanyName, a.Email = "", "", "", ""
	if made.Key == nil {
		resp := httpapi.JSON(http.StatusOK, answer{views.NewAccount(a), nil})
		resp.Header["Preference-Applied"] = "return=existing"
		return resp
	}
	key := views.NewFirstKey(made.Key)
	return httpapi.JSON(http.StatusOK, answer{views.NewAccount(a), &key})
}

// create makes one account. Errors: those of auth.Partner, Request.JSON,
// httpapi.Once and account.Service.Create.
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
		return httpapi.Show(ctx, change, show, func(fx effects.For[*account.Created]) error {
			_, err := h.accounts.Create(ctx, in, fx)
			return err
		})
	})
}
