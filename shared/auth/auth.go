// Package auth says who calls and what they may do: API keys, the account a
// partner acts for, and the rate window of a key.
package auth

import (
	"context"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// Keys counts the use of a key.
type Keys interface {
	// UseKey proves a key and counts it in its one-minute window:
	// fault.Unauthorized when it is not there or has expired,
	// fault.RateLimited, with the window filled, when the window is full.
	UseKey(ctx context.Context, use account.KeyUse) (account.KeyUsed, error)
}

// Limits are the requests a minute that one key may make.
type Limits = carrier.PerEnvironment[int]

// Auth authenticates requests. It reads beside a key that is not proven yet, to
// spare a round trip; so what runs beside may read by primary key only, never
// query: a forged key costs next to nothing, and its time tells nothing. A key
// whose minute is half used up is counted first, and one whose minute is full is
// refused by what this process remembers of it, so that answers with 429 do not
// go on costing reads (infra/docs/decisions/0027).
type Auth struct {
	Keys   Keys
	Limits Limits
	Now    func() time.Time

	windows windows
}

// Caller is who makes a request.
type Caller struct {
	Key       account.APIKey
	PartnerID int64
	// AccountID is the account that the request is about; zero on partner routes.
	AccountID int64
}

// Scope names the caller for idempotency keys: the partner on partner routes,
// whichever account the path names; an account and who acts for it on merchant
// routes.
func (c Caller) Scope() string {
	scope := "account " + strconv.FormatInt(c.AccountID, 10)
	if c.Key.AccountID == 0 {
		scope = "partner " + strconv.FormatInt(c.PartnerID, 10) + " " + scope
	}
	return scope
}

// By names the caller as who makes a change.
func (c Caller) By() effects.By {
	return effects.By{KeyID: c.Key.ID, PartnerID: c.PartnerID, AccountID: c.AccountID}
}

// Partner authenticates a call of a partner route. Errors: fault.Unauthorized,
// RateLimited, and Forbidden for a merchant's key or one without the scope.
func (a *Auth) Partner(ctx context.Context, req *httpapi.Request) (Caller, error) {
	return a.PartnerBeside(ctx, req, nil)
}

// PartnerBeside is Partner with a read of the partner's own things at once; nil
// for none.
func (a *Auth) PartnerBeside(ctx context.Context, req *httpapi.Request, beside func(ctx context.Context, partnerID int64) error) (Caller, error) {
	key, err := read(req)
	if err != nil {
		return Caller{}, err
	}
	var task func(context.Context) error
	if beside != nil && key.PartnerID != 0 {
		task = func(ctx context.Context) error { return beside(ctx, key.PartnerID) }
	}
	used, besideErr, err := a.prove(ctx, req, key, task)
	switch {
	case err != nil:
		return Caller{}, err
	case key.PartnerID == 0:
		return Caller{}, fault.New(fault.Forbidden, "This route needs a partner's API key.")
	case besideErr != nil:
		return Caller{}, besideErr
	}
	return Caller{Key: used.Key, PartnerID: key.PartnerID}, nil
}

// PartnerAccount authenticates a call of a partner route about one account, the
// path parameter account_id, which find reads while the key is proven; nil for one
// that is absent. Errors: those of Partner; fault.Identifier for the parameter;
// NotFound for an account that is absent or another partner's.
func (a *Auth) PartnerAccount(ctx context.Context, req *httpapi.Request, find func(ctx context.Context, accountID int64) (*account.Account, error)) (Caller, *account.Account, error) {
	const param = "account_id"
	var accountID int64
	value, idErr := req.Param(param)
	if idErr == nil {
		accountID, idErr = account.ParseID(param, value)
	}
	var acct *account.Account
	caller, err := a.PartnerBeside(ctx, req, func(ctx context.Context, _ int64) (err error) {
		if idErr == nil {
			acct, err = find(ctx, accountID)
		}
		return err
	})
	switch {
	case err != nil:
		return Caller{}, nil, err
	case idErr != nil:
		return Caller{}, nil, idErr
	case acct == nil || acct.PartnerID != caller.PartnerID:
		return Caller{}, nil, account.ErrNotFound()
	}
	return caller, acct, nil
}

// Merchant authenticates a call of a merchant route: with the account's own
// key, or a partner's and the header On-Behalf-Of. As both name the account,
// beside reads it, and what else the route wants, while the key is proven.
// Errors: fault.Unauthorized, RateLimited, Forbidden for a key without the
// scope, Required or Identifier for On-Behalf-Of, NotFound for another one's
// account, Inactive for a disabled one.
func (a *Auth) Merchant(ctx context.Context, req *httpapi.Request, beside func(ctx context.Context, accountID int64) (*account.Account, error)) (Caller, error) {
	key, err := read(req)
	if err != nil {
		return Caller{}, err
	}
	var acct *account.Account
	accountID, headerErr := onBehalfOf(req, key)
	// The key is proven whatever the header says: a stranger learns nothing of the
	// route.
	used, besideErr, err := a.prove(ctx, req, key, func(ctx context.Context) (err error) {
		if headerErr == nil {
			acct, err = beside(ctx, accountID)
		}
		return err
	})
	switch {
	case err != nil:
		return Caller{}, err
	case headerErr != nil:
		return Caller{}, headerErr
	case besideErr != nil:
		return Caller{}, fmt.Errorf("reading the account: %w", besideErr)
	case key.AccountID != 0 && (acct == nil || acct.Deleted()):
		return Caller{}, account.ErrKeyNotValid() // a key that outlived its account
	case acct == nil, key.PartnerID != 0 && acct.PartnerID != key.PartnerID:
		return Caller{}, account.ErrNotFound()
	case acct.Deleted(), !acct.Active:
		return Caller{}, account.ErrInactive(acct.Deleted())
	}
	return Caller{Key: used.Key, PartnerID: acct.PartnerID, AccountID: accountID}, nil
}

// prove uses the key, and runs beside at once. beside is over when it returns:
// it fills its caller's variables. err is about the key.
func (a *Auth) prove(ctx context.Context, req *httpapi.Request, key account.Key, beside func(context.Context) error) (used account.KeyUsed, besideErr, err error) {
	hash := key.Hash()
	known := a.windows.at(hash, a.Now())
	if err := known.refusal(a.Now()); err != nil {
		req.Identify(known.caller, known.state)
		return account.KeyUsed{}, nil, err
	}
	if beside == nil {
		beside = func(context.Context) error { return nil }
	}
	if known.halfUsed() {
		if used, err = a.use(ctx, req, key, hash); err == nil {
			besideErr = guarded(ctx, beside)
		}
	} else {
		got := make(chan error, 1)
		go func() { got <- guarded(ctx, beside) }()
		used, err = a.use(ctx, req, key, hash)
		besideErr = <-got
	}
	if err != nil {
		return account.KeyUsed{}, nil, err
	}
	scope, ok := RequiredScope(req.Method(), req.Resource())
	if !ok {
		return account.KeyUsed{}, nil, fmt.Errorf("no scope is set for %s %s", req.Method(), req.Resource())
	}
	if !used.Key.May(scope) {
		return account.KeyUsed{}, nil, fault.New(fault.Forbidden, "This API key lacks the scope %s.", scope)
	}
	return used, besideErr, nil
}

// guarded reads, and makes an error of a panic: nobody above a goroutine recovers,
// and it would end the process.
func guarded(ctx context.Context, read func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the read beside the key panicked: %T\n%s", v, debug.Stack())
		}
	}()
	return read(ctx)
}

// onBehalfOf is the account that a merchant route is about.
func onBehalfOf(req *httpapi.Request, key account.Key) (int64, error) {
	const header = "On-Behalf-Of"
	value, _, err := req.Header(header)
	switch {
	case err != nil:
		return 0, err
	case value == "" && key.AccountID != 0:
		return key.AccountID, nil
	case value == "":
		return 0, fault.Field(fault.Required, header, "A partner's key needs the header %s with an account_id.", header)
	}
	id, err := account.ParseID(header, value)
	if err != nil {
		return 0, err
	}
	if key.AccountID != 0 && key.AccountID != id {
		return 0, account.ErrNotFound()
	}
	return id, nil
}

// read finds the key in the request, without a remote call.
func read(req *httpapi.Request) (account.Key, error) {
	text, _, err := req.Header("API-Key")
	if err != nil {
		return account.Key{}, err
	}
	key, ok := account.ParseKey(text)
	if !ok {
		return account.Key{}, account.ErrKeyNotValid()
	}
	return key, nil
}

// use counts the key, and notes the caller and its window on the request and for
// the requests to come.
func (a *Auth) use(ctx context.Context, req *httpapi.Request, key account.Key, hash string) (account.KeyUsed, error) {
	limit, err := a.Limits.Of(key.Environment)
	if err != nil {
		return account.KeyUsed{}, err
	}
	now := a.Now()
	used, err := a.Keys.UseKey(ctx, account.KeyUse{
		PartnerID: key.PartnerID, AccountID: key.AccountID, Hash: hash, Now: now, Limit: limit,
	})
	switch {
	case err == nil || fault.Is(err, fault.RateLimited):
		w := window{
			caller: "key " + strconv.FormatInt(used.Key.ID, 10), state: httpapi.Window{Limit: limit, Used: used.Used, Reset: used.Reset}, ends: now.Add(used.Reset),
		}
		if err != nil {
			w.full = fault.Of(err)[0]
		}
		req.Identify(w.caller, w.state)
		a.windows.keep(hash, w, now)
	}
	if err != nil {
		return account.KeyUsed{}, fmt.Errorf("using the key: %w", err)
	}
	return used, nil
}
