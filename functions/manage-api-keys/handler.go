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
	answers  httpapi.Find // finds stored answers
	sealer   httpapi.Sealer
	now      func() time.Time
}

// create creates a key of the account and answers with its text. Every field is optional,
// and so is the body. Errors: those of Request.JSON and account.Service.IssueKey.
func (h *handler) create(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.auth.PartnerChange(ctx, req, h.accounts.Find, h.sealer, h.answers, func(a *account.Account, change *httpapi.Change) (*httpapi.Response, error) {
		var in account.KeyInput
		var problems fault.List
		if err := req.JSON(views.KeyFields(&in)...); !fault.Is(err, fault.BodyRequired) {
			problems = fault.Of(err)
		}
		if problems = append(problems, fault.ListOf(in.Check(h.now()))...); len(problems) > 0 {
			return nil, problems
		}
		show := func(k *account.IssuedKey) *httpapi.Response { return httpapi.JSON(http.StatusOK, views.NewFullKey(k)) }
		return httpapi.Show(ctx, change, show, func(fx effects.For[*account.IssuedKey]) error {
			_, err := h.accounts.IssueKey(ctx, a, in, fx)
			return err
		})
	})
}

// list answers with the account's keys, including expired ones.
func (h *handler) list(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	_, a, err := h.auth.PartnerAccount(ctx, req, h.accounts.Find)
	if err != nil {
		return nil, err
	}
	keys, err := h.accounts.Keys(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	return httpapi.JSON(http.StatusOK, views.NewKeys(keys)), nil
}

// rotate creates a key in the place of another one, which ends after
// grace_period_seconds, and answers with the new key's text. Errors: those of find,
// Request.JSON and account.Service.RotateKey.
func (h *handler) rotate(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.auth.PartnerChange(ctx, req, h.accounts.Find, h.sealer, h.answers, func(a *account.Account, change *httpapi.Change) (*httpapi.Response, error) {
		old, err := h.find(ctx, req, a)
		if err != nil {
			return nil, err
		}
		grace := int(account.DefaultGrace.Seconds())
		field := httpapi.Count("grace_period_seconds", &grace, 0, int(account.MaxGrace.Seconds()))
		if err := req.JSON(field); err != nil && !fault.Is(err, fault.BodyRequired) {
			return nil, err
		}
		show := func(r *account.Rotated) *httpapi.Response { return httpapi.JSON(http.StatusOK, views.NewRotatedKey(r)) }
		return httpapi.Show(ctx, change, show, func(fx effects.For[*account.Rotated]) error {
			_, err := h.accounts.RotateKey(ctx, old, time.Duration(grace)*time.Second, fx)
			return err
		})
	})
}

// remove deletes a key and answers 204. Errors: those of find and
// account.Service.DeleteKey.
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
	return httpapi.NoContent(), nil
}

// find reads the key in the path: fault.Identifier for the parameter; NotFound if the
// account has no such key.
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
