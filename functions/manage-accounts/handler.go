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
	answers  httpapi.Find // those that are stored
	sealer   httpapi.Sealer
	now      func() time.Time
}

// once runs a change of the account that the path names, once for each idempotency
// key. Errors: those of auth.PartnerAccount, httpapi.Once and do.
func (h *handler) once(ctx context.Context, req *httpapi.Request, do func(a *account.Account, change *httpapi.Change) (*httpapi.Response, error)) (*httpapi.Response, error) {
	caller, a, err := h.auth.PartnerAccount(ctx, req, h.accounts.Find)
	if err != nil {
		return nil, err
	}
	return httpapi.Once(ctx, h.sealer, req, caller, h.now(), h.answers, func(change *httpapi.Change) (*httpapi.Response, error) {
		return do(a, change)
	})
}

// get answers with one account, or 304 to a caller who has it.
func (h *handler) get(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	_, a, err := h.auth.PartnerAccount(ctx, req, h.accounts.Find)
	if err != nil {
		return nil, err
	}
	return show(req, *a), nil
}

// getByExternalID is get by the partner's own id, which may hold any character:
// it comes url-encoded. fault.NotFound for one that no account has.
func (h *handler) getByExternalID(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	externalID, inputErr := externalIDParam(req)
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

func externalIDParam(req *httpapi.Request) (string, error) {
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

// show is an account in full, with its ETag.
func show(req *httpapi.Request, a account.Account) *httpapi.Response {
	return httpapi.Conditional(req, views.AccountETag(a), func() *httpapi.Response {
		return httpapi.JSON(http.StatusOK, views.NewAccount(a))
	})
}

// change writes the fields that the body has and leaves the others: 200 with the
// account. Errors: those of Request.JSON, httpapi.IfMatch and account.Service.Change.
func (h *handler) change(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.once(ctx, req, func(a *account.Account, change *httpapi.Change) (*httpapi.Response, error) {
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

// enable, disable and restore answer 204. Errors: those of httpapi.IfMatch and of
// the operation.
func (h *handler) enable(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.setState(ctx, req, h.accounts.Enable)
}

func (h *handler) disable(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.setState(ctx, req, h.accounts.Disable)
}

func (h *handler) restore(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.setState(ctx, req, h.accounts.Restore)
}

func (h *handler) setState(ctx context.Context, req *httpapi.Request, set func(ctx context.Context, a account.Account, pinned bool, fx effects.Effects) error) (*httpapi.Response, error) {
	return h.once(ctx, req, func(a *account.Account, change *httpapi.Change) (*httpapi.Response, error) {
		pinned, err := httpapi.IfMatch(req, views.AccountETag(*a))
		if err != nil {
			return nil, err
		}
		return change.Write(ctx, done(), func(fx effects.Effects) error { return set(ctx, *a, pinned, fx) })
	})
}

func done() *httpapi.Response {
	return &httpapi.Response{Status: http.StatusNoContent, Header: map[string]string{}}
}

// remove deletes the account: 204, again for one that is deleted already. Errors:
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
	return done(), nil
}

// countriesBody is the answer of countries.
type countriesBody struct {
	Countries []account.Country `json:"countries"`
}

// countries lists what origin_country_code may be.
func (h *handler) countries(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	if _, err := h.auth.Partner(ctx, req); err != nil {
		return nil, err
	}
	return httpapi.JSON(http.StatusOK, countriesBody{account.Countries()}), nil
}
