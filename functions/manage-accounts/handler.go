package main

import (
	"context"
	"net/http"
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
	answers  httpapi.Find // finds stored answers
	sealer   httpapi.Sealer
	now      func() time.Time
}

// get answers with an account, or with 304 if the caller has its current version.
func (h *handler) get(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	_, a, err := h.auth.PartnerAccount(ctx, req, h.accounts.Find)
	if err != nil {
		return nil, err
	}
	return show(req, *a), nil
}

// getByExternalID answers as get does: fault.NotFound if no account has the external id.
func (h *handler) getByExternalID(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	externalID, inputErr := parseExternalID(req)
	var id int64
	caller, err := h.auth.PartnerBeside(ctx, req, func(ctx context.Context, partnerID int64) (err error) {
		if inputErr == nil {
			id, err = h.accounts.IDByExternalID(ctx, partnerID, externalID)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if inputErr != nil {
		return nil, inputErr
	}
	a, err := h.accounts.Get(ctx, caller.PartnerID, id)
	if err != nil {
		return nil, err
	}
	return show(req, a), nil
}

func parseExternalID(req *httpapi.Request) (string, error) {
	const param = "external_account_id"
	value, err := req.Param(param)
	if err != nil {
		return "", err
	}
	value, problem := account.ExternalIDRule.Clean(param, value)
	if problem != nil {
		return "", problem
	}
	return value, nil
}

// show answers with an account and its ETag.
func show(req *httpapi.Request, a account.Account) *httpapi.Response {
	return httpapi.Conditional(req, views.AccountETag(a), func() *httpapi.Response {
		return httpapi.JSON(http.StatusOK, views.NewAccount(a))
	})
}

// change changes the fields that the body has, and answers with the account. Errors:
// those of Request.JSON, httpapi.IfMatch and account.Service.Change.
func (h *handler) change(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.auth.PartnerChange(ctx, req, h.accounts.Find, h.sealer, h.answers, func(a *account.Account, change *httpapi.Change) (*httpapi.Response, error) {
		return httpapi.Show(ctx, change, changed, func(fx effects.For[*account.Account]) error {
			_, err := h.accounts.Change(ctx, account.Change{
				Account: *a,
				Edit:    func(a *account.Account) error { return req.JSON(views.AccountFields(a)...) },
				Match:   func(a account.Account) (pinned bool, err error) { return httpapi.IfMatch(req, views.AccountETag(a)) },
			}, fx)
			return err
		})
	})
}

func changed(a *account.Account) *httpapi.Response {
	resp := httpapi.JSON(http.StatusOK, views.NewAccount(*a))
	resp.Header["ETag"] = views.AccountETag(*a)
	return resp
}

// setState returns a handler that enables, disables or restores an account and answers
// 204. Errors: those of httpapi.IfMatch and set.
func (h *handler) setState(set func(ctx context.Context, a account.Account, pinned bool, fx effects.Effects) error) httpapi.Handler {
	return func(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
		return h.auth.PartnerChange(ctx, req, h.accounts.Find, h.sealer, h.answers, func(a *account.Account, change *httpapi.Change) (*httpapi.Response, error) {
			pinned, err := httpapi.IfMatch(req, views.AccountETag(*a))
			if err != nil {
				return nil, err
			}
			return change.Write(ctx, httpapi.NoContent(), func(fx effects.Effects) error { return set(ctx, *a, pinned, fx) })
		})
	}
}

// remove deletes an account and answers 204, even if it is already deleted. Errors:
// those of httpapi.IfMatch and account.Service.Delete.
func (h *handler) remove(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	caller, a, err := h.auth.PartnerAccount(ctx, req, h.accounts.Find)
	if err != nil {
		return nil, err
	}
	days := account.MaxPurgeDays
	if problems := req.Number("purge_after_days", &days, account.MinPurgeDays, account.MaxPurgeDays); problems != nil {
		return nil, problems
	}
	pinned, err := httpapi.IfMatch(req, views.AccountETag(*a))
	if err != nil {
		return nil, err
	}
	if err := h.accounts.Delete(ctx, *a, pinned, days, effects.Effects{By: caller.By()}); err != nil {
		return nil, err
	}
	return httpapi.NoContent(), nil
}

// countries lists the valid values of origin_country_code.
func (h *handler) countries(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	if _, err := h.auth.Partner(ctx, req); err != nil {
		return nil, err
	}
	return httpapi.JSON(http.StatusOK, views.Countries{Countries: account.Countries()}), nil
}
