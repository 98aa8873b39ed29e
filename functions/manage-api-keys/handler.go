package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/auth"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// keys is what this function needs of the store.
type keys interface {
	Load(ctx context.Context, accountID int64, want store.Want) (store.Loaded, error)
	Idempotency(ctx context.Context, rec effects.Record, now time.Time) (*effects.Record, error)
	ListKeys(ctx context.Context, accountID int64) ([]account.APIKey, error)
	CreateKey(ctx context.Context, k account.APIKey, fx effects.Effects, now time.Time) error
	RotateKey(ctx context.Context, old, next account.APIKey, validUntil time.Time, fx effects.Effects, now time.Time) error
	DeleteKey(ctx context.Context, k account.APIKey, fx effects.Effects, now time.Time) error
}

type handler struct {
	auth   *auth.Auth
	keys   keys
	sealer httpapi.Sealer
	now    func() time.Time
	random io.Reader
}

// call is one request about the keys of one account of the caller's.
type call struct {
	caller  auth.Caller
	account account.Account
	now     time.Time
	keys    []account.APIKey // where listed
}

// begin authenticates the caller beside the read of the account that the path
// names, and then, where listed says so, reads its keys.
func (h *handler) begin(ctx context.Context, req *httpapi.Request, listed bool) (call, error) {
	c := call{now: h.now().UTC().Truncate(time.Millisecond)}
	var loaded store.Loaded
	caller, err := h.auth.PartnerAccount(ctx, req, func(ctx context.Context, accountID int64) (_ *account.Account, err error) {
		loaded, err = h.keys.Load(ctx, accountID, store.Want{Now: c.now})
		return loaded.Account, err
	})
	if err != nil {
		return call{}, err
	}
	c.caller, c.account = caller, *loaded.Account
	if listed {
		if c.keys, err = h.keys.ListKeys(ctx, c.account.ID); err != nil {
			return call{}, fmt.Errorf("reading the keys: %w", err)
		}
	}
	return c, nil
}

// once is a handler of a change: what it does is done once for each idempotency
// key, and answered again with the same answer.
func (h *handler) once(ctx context.Context, req *httpapi.Request, listed bool, do func(c call, change *httpapi.Change) (*httpapi.Response, error)) (*httpapi.Response, error) {
	c, err := h.begin(ctx, req, listed)
	if err != nil {
		return nil, err
	}
	return httpapi.Once(ctx, h.sealer, req, c.caller, c.now, h.keys.Idempotency, func(change *httpapi.Change) (*httpapi.Response, error) {
		return do(c, change)
	})
}

// create makes one more key of the account: 200 with its text, this once.
// fault.State for a deleted account, and for one that has account.MaxKeys keys.
func (h *handler) create(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.once(ctx, req, false, func(c call, change *httpapi.Change) (*httpapi.Response, error) {
		k := account.APIKey{PartnerID: c.account.PartnerID, AccountID: c.account.ID, Environment: c.account.Environment, CreatedAt: c.now}
		if err := decode(req, &k, c.now); err != nil {
			return nil, err
		}
		k, text, err := account.MakeKey(h.random, k)
		if err != nil {
			return nil, err
		}
		return change.Write(ctx, httpapi.JSON(http.StatusOK, views.NewFullKey(k, text)), func(fx effects.Effects) error {
			if err := h.keys.CreateKey(ctx, k, fx, c.now); err != nil {
				return fmt.Errorf("creating the key: %w", err)
			}
			return nil
		})
	})
}

// decode reads the body of create, which may be missing: every field is
// optional.
func decode(req *httpapi.Request, k *account.APIKey, now time.Time) error {
	var scopes []string
	err := req.JSON(
		httpapi.String("description", &k.Description, account.DescriptionRule.Clean),
		httpapi.Strings("scopes", &scopes, checkScopes),
		httpapi.Instant("expires_at", &k.ExpiresAt),
	)
	var problems fault.List
	if !fault.Is(err, fault.BodyRequired) {
		problems = fault.Of(err)
	}
	if !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(now) {
		problems = append(problems, fault.Field(fault.Invalid, "expires_at", "expires_at must be in the future."))
	}
	for _, s := range scopes {
		k.Scopes = append(k.Scopes, account.Scope(s))
	}
	return problems.Err()
}

func checkScopes(field string, scopes []string) *fault.Error {
	for i, s := range scopes {
		if !slices.Contains(account.Scopes(), account.Scope(s)) || slices.Contains(scopes[:i], s) {
			return fault.Field(fault.Invalid, field, "%s must be read, link or admin, each once at most.", field)
		}
	}
	if len(scopes) == 0 {
		return fault.Field(fault.Invalid, field, "%s must not be empty; leave it out for all of them.", field)
	}
	return nil
}

// listBody is the answer of list.
type listBody struct {
	APIKeys []views.Key `json:"api_keys"`
}

// list shows the account's keys, expired ones too, never their text.
func (h *handler) list(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	c, err := h.begin(ctx, req, true)
	if err != nil {
		return nil, err
	}
	body := listBody{APIKeys: make([]views.Key, len(c.keys))}
	for i, k := range c.keys {
		body.APIKeys[i] = views.NewKey(k)
	}
	return httpapi.JSON(http.StatusOK, body), nil
}

// Seconds that a rotated key goes on working.
const (
	defaultGrace = 86_400
	longestGrace = 604_800
)

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

// rotate makes a key like another one, which stops working after
// grace_period_seconds: 200 with the new key's text, this once. fault.NotFound
// for a key that is not there, State for one that has expired or a deleted
// account.
func (h *handler) rotate(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.once(ctx, req, true, func(c call, change *httpapi.Change) (*httpapi.Response, error) {
		old, err := h.find(req, c)
		if err != nil {
			return nil, err
		}
		grace := defaultGrace
		if err := req.JSON(httpapi.Count("grace_period_seconds", &grace, 0, longestGrace)); err != nil && !fault.Is(err, fault.BodyRequired) {
			return nil, err
		}
		next, text, err := account.MakeKey(h.random, account.APIKey{
			PartnerID: old.PartnerID, AccountID: old.AccountID, Environment: old.Environment, Description: old.Description,
			Scopes: old.Scopes, ExpiresAt: old.ExpiresAt, CreatedAt: c.now,
		})
		if err != nil {
			return nil, err
		}
		until := c.now.Add(time.Duration(grace) * time.Second)
		if !old.ExpiresAt.IsZero() && old.ExpiresAt.Before(until) {
			until = old.ExpiresAt
		}
		body := rotatedBody{views.NewFullKey(next, text), previousBody{old.ID, httpapi.Time(until)}}
		return change.Write(ctx, httpapi.JSON(http.StatusOK, body), func(fx effects.Effects) error {
			if err := h.keys.RotateKey(ctx, old, next, until, fx, c.now); err != nil {
				return fmt.Errorf("rotating the key: %w", err)
			}
			return nil
		})
	})
}

// remove deletes a key: 204, and the very next call with it is refused.
func (h *handler) remove(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	c, err := h.begin(ctx, req, true)
	if err != nil {
		return nil, err
	}
	k, err := h.find(req, c)
	if err != nil {
		return nil, err
	}
	if err := h.keys.DeleteKey(ctx, k, effects.Effects{By: c.caller.By()}, c.now); err != nil {
		return nil, fmt.Errorf("deleting the key: %w", err)
	}
	return &httpapi.Response{Status: http.StatusNoContent}, nil
}

// find is the key that the path names, among the account's.
func (h *handler) find(req *httpapi.Request, c call) (account.APIKey, error) {
	const param = "api_key_id"
	value, err := req.Param(param)
	if err != nil {
		return account.APIKey{}, err
	}
	id, err := account.ParseID(param, value)
	if err != nil {
		return account.APIKey{}, err
	}
	for _, k := range c.keys {
		if k.ID == id {
			return k, nil
		}
	}
	return account.APIKey{}, account.ErrNoKey()
}
