package main

import (
	"context"
	"net/http"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/auth"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
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

// once runs a change of the keys of the account that the path names, once for each
// idempotency key. Errors: those of auth.PartnerAccount, httpapi.Once and do.
func (h *handler) once(ctx context.Context, req *httpapi.Request, do func(a *account.Account, change *httpapi.Change) (*httpapi.Response, error)) (*httpapi.Response, error) {
	caller, a, err := h.auth.PartnerAccount(ctx, req, h.accounts.Find)
	if err != nil {
		return nil, err
	}
	return httpapi.Once(ctx, h.sealer, req, caller, h.now(), h.answers, func(change *httpapi.Change) (*httpapi.Response, error) {
		return do(a, change)
	})
}

// create makes one more key of the account: 200 with its text, this once. The body
// may be missing: every field is optional. Errors: those of account.Service.IssueKey.
func (h *handler) create(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.once(ctx, req, func(a *account.Account, change *httpapi.Change) (*httpapi.Response, error) {
		var in account.KeyInput
		var problems fault.List
		if err := req.JSON(views.KeyFields(&in)...); !fault.Is(err, fault.BodyRequired) {
			problems = fault.Of(err)
		}
		if problem := in.Check(h.now()); problem != nil {
			problems = append(problems, problem)
		}
		if len(problems) > 0 {
			return nil, problems
		}
		show := func(k *account.IssuedKey) *httpapi.Response { return httpapi.JSON(http.StatusOK, views.NewFullKey(k)) }
		return httpapi.Show(ctx, change, show, func(fx effects.For[*account.IssuedKey]) error {
			_, err := h.accounts.IssueKey(ctx, a, in, fx)
			return err
		})
	})
}

// listBody is the answer of list.
type listBody struct {
	APIKeys []views.Key `json:"api_keys"`
}

// list shows the account's keys, expired ones too, never their text.
func (h *handler) list(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	_, a, err := h.auth.PartnerAccount(ctx, req, h.accounts.Find)
	if err != nil {
		return nil, err
	}
	keys, err := h.accounts.Keys(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	body := listBody{APIKeys: make([]views.Key, len(keys))}
	for i, k := range keys {
		body.APIKeys[i] = views.NewKey(k)
	}
	return httpapi.JSON(http.StatusOK, body), nil
}

// rotatedBody is the answer of rotate: the new key, and how long the old one
// goes on.
type rotatedBody struct {
	views.FullKey
	Previous previousBody `json:"previous"`
}

type previousBody struct {
	APIKeyID  int64   `json:"api_key_id"`
	ExpiresAt *string `json:"expires_at"`
}

func showRotated(r *account.Rotated) *httpapi.Response {
	return httpapi.JSON(http.StatusOK, rotatedBody{views.NewFullKey(r.Key), previousBody{r.OldID, httpapi.Time(r.OldExpiresAt)}})
}

// rotate makes a key like another one, which stops working after
// grace_period_seconds: 200 with the new key's text, this once. Errors: those of
// find and account.Service.RotateKey.
func (h *handler) rotate(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.once(ctx, req, func(a *account.Account, change *httpapi.Change) (*httpapi.Response, error) {
		old, err := h.find(ctx, req, a)
		if err != nil {
			return nil, err
		}
		grace := int(account.DefaultGrace.Seconds())
		field := httpapi.Count("grace_period_seconds", &grace, 0, int(account.MaxGrace.Seconds()))
		if err := req.JSON(field); err != nil && !fault.Is(err, fault.BodyRequired) {
			return nil, err
		}
		return httpapi.Show(ctx, change, showRotated, func(fx effects.For[*account.Rotated]) error {
			_, err := h.accounts.RotateKey(ctx, old, time.Duration(grace)*time.Second, fx)
			return err
		})
	})
}

// remove deletes a key: 204. Errors: those of find and account.Service.DeleteKey.
func (h *handler) remove(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	caller, a, err := h.auth.PartnerAccount(ctx, req, h.accounts.Find)
	if err != nil {
		return nil, err
	}
	k, err := h.find(ctx, req, a)
	if err != nil {
		return nil, err
	}
	if err := h.accounts.DeleteKey(ctx, k, effects.Effects{By: caller.By()}); err != nil {
		return nil, err
	}
	return &httpapi.Response{Status: http.StatusNoContent}, nil
}

// find is the key of the account that the path names: fault.Identifier for the
// parameter, NotFound.
func (h *handler) find(ctx context.Context, req *httpapi.Request, a *account.Account) (*account.APIKey, error) {
	const param = "api_key_id"
	value, err := req.Param(param)
	if err != nil {
		return nil, err
	}
	id, err := account.ParseID(param, value)
	if err != nil {
		return nil, err
	}
	return h.accounts.Key(ctx, a.ID, id)
}
