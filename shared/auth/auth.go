// Package auth authenticates callers by their API key, checks the key's scope and rate
// limit, and finds the account that a partner acts for.
package auth

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/invocation"
)

// Keys verifies API keys.
type Keys interface {
	// UseKey verifies a key and counts one use in its one-minute window:
	// fault.Unauthorized if the key does not exist or has expired; fault.RateLimited,
	// with the state of the window, if the window is full.
	UseKey(ctx context.Context, use account.KeyUse) (account.KeyUsed, error)
}

// Limits are the requests a minute that a key may make.
type Limits = carrier.PerEnvironment[int]

// Auth authenticates requests. To save a round trip it runs other reads concurrently with
// the verification of the key. Such reads use primary keys only, never queries, so that
// a forged key costs little and timing reveals nothing. Once half of a key's window is
// used, the key is verified first; once the window is full, the key is refused from
// memory, so that 429 answers cost no reads (infra/docs/decisions/0027).
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
	AccountID int64 // the account that the key acts for; zero on partner routes
	RequestID string
	SourceIP  string
}

func newCaller(req *httpapi.Request, key account.APIKey, partnerID, accountID int64) Caller {
	return Caller{key, partnerID, accountID, req.ID, req.SourceIP()}
}

// Scope returns the scope of the caller's Idempotency-Keys: the partner on partner routes;
// the account, and whether a partner acts for it, on merchant routes.
func (c Caller) Scope() string {
	scope := "account " + strconv.FormatInt(c.AccountID, 10)
	if c.Key.AccountID == 0 {
		scope = "partner " + strconv.FormatInt(c.PartnerID, 10) + " " + scope
	}
	return scope
}

// By returns the caller as the maker of a change.
func (c Caller) By() effects.By {
	by := effects.By{Actor: effects.Partner, KeyID: c.Key.ID, PartnerID: c.PartnerID, AccountID: c.AccountID, RequestID: c.RequestID, SourceIP: c.SourceIP}
	if c.Key.AccountID != 0 {
		by.Actor = effects.Merchant
	}
	return by
}

// Partner authenticates a request to a partner route. Errors: fault.Unauthorized,
// RateLimited, and Forbidden for a merchant's key or one without the scope.
func (a *Auth) Partner(ctx context.Context, req *httpapi.Request) (Caller, error) {
	return a.PartnerBeside(ctx, req, nil)
}

// PartnerBeside authenticates a partner as Partner does, and runs beside concurrently;
// nil runs nothing. It returns the error of beside if authentication succeeds.
func (a *Auth) PartnerBeside(ctx context.Context, req *httpapi.Request, beside func(ctx context.Context, partnerID int64) error) (Caller, error) {
	key, err := parseKey(req)
	if err != nil {
		return Caller{}, err
	}
	used, besideErr, err := a.verify(ctx, req, key, func(ctx context.Context) error {
		if beside == nil || key.PartnerID == 0 {
			return nil
		}
		return beside(ctx, key.PartnerID)
	})
	switch {
	case err != nil:
		return Caller{}, err
	case key.PartnerID == 0:
		return Caller{}, fault.New(fault.Forbidden, "This route needs a partner's API key.")
	case besideErr != nil:
		return Caller{}, besideErr
	}
	return newCaller(req, used.Key, key.PartnerID, 0), nil
}

// PartnerAccount authenticates a request to a partner route about one account, the path
// parameter account_id. It runs find, which reads the account, concurrently; find may
// return nil for an absent account. Errors: those of Partner and find; fault.Identifier
// for the parameter; NotFound if the account is absent or belongs to another partner.
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
	req.Subject.AccountID = accountID
	return caller, acct, nil
}

// PartnerChange runs a change of the account that PartnerAccount returns once for each
// Idempotency-Key, as httpapi.Once does with sealer and answers. Errors: those of
// PartnerAccount, httpapi.Once and do.
func (a *Auth) PartnerChange(
	ctx context.Context, req *httpapi.Request, find func(ctx context.Context, accountID int64) (*account.Account, error), sealer httpapi.Sealer, answers httpapi.Find,
	do func(a *account.Account, change *httpapi.Change) (*httpapi.Response, error),
) (*httpapi.Response, error) {
	caller, acct, err := a.PartnerAccount(ctx, req, find)
	if err != nil {
		return nil, err
	}
	return httpapi.Once(ctx, sealer, req, caller, a.Now(), answers, func(change *httpapi.Change) (*httpapi.Response, error) {
		return do(acct, change)
	})
}

// Merchant authenticates a request to a merchant route, by the account's own key or by a
// partner's key with the header On-Behalf-Of. It runs beside concurrently, which reads
// the account (nil if it is absent) and whatever else the route needs. Errors:
// fault.Unauthorized; RateLimited; Forbidden for a key without the scope; Required or
// Identifier for On-Behalf-Of; NotFound for another owner's account; Inactive for a
// disabled or deleted account; those of beside.
func (a *Auth) Merchant(ctx context.Context, req *httpapi.Request, beside func(ctx context.Context, accountID int64) (*account.Account, error)) (Caller, error) {
	key, err := parseKey(req)
	if err != nil {
		return Caller{}, err
	}
	var acct *account.Account
	accountID, headerErr := onBehalfOf(req, key)
	// The key is verified even if the header is wrong, so that a stranger learns nothing
	// about the route.
	used, besideErr, err := a.verify(ctx, req, key, func(ctx context.Context) (err error) {
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
		return Caller{}, account.ErrKeyNotValid() // the key has outlived its account
	case acct == nil, key.PartnerID != 0 && acct.PartnerID != key.PartnerID:
		return Caller{}, account.ErrNotFound()
	}
	req.Subject.PartnerID, req.Subject.AccountID = acct.PartnerID, accountID
	if acct.Deleted() || !acct.Active {
		return Caller{}, account.ErrInactive(acct.Deleted())
	}
	return newCaller(req, used.Key, acct.PartnerID, accountID), nil
}

// PartnerOrMerchant authenticates a request to a route of both: as Merchant does with an
// account's own key or the header On-Behalf-Of, else as Partner does. The caller's
// AccountID is zero for a partner that asks for all its accounts. Errors: those of Merchant
// and Partner.
func (a *Auth) PartnerOrMerchant(ctx context.Context, req *httpapi.Request, beside func(ctx context.Context, accountID int64) (*account.Account, error)) (Caller, error) {
	key, err := parseKey(req)
	if err != nil {
		return Caller{}, err
	}
	// An empty header is refused as elsewhere: it does not ask for all accounts.
	if _, given, _ := req.Header(onBehalfOfHeader); key.PartnerID != 0 && !given {
		return a.Partner(ctx, req)
	}
	return a.Merchant(ctx, req, beside)
}

// PartnerOnBehalf authenticates a partner that acts for an account, as Merchant does. Errors:
// those of Merchant, and fault.Forbidden for a merchant's key, whatever it asks for.
func (a *Auth) PartnerOnBehalf(ctx context.Context, req *httpapi.Request, beside func(ctx context.Context, accountID int64) (*account.Account, error)) (Caller, error) {
	key, err := parseKey(req)
	if err != nil {
		return Caller{}, err
	}
	if key.PartnerID == 0 {
		return a.Partner(ctx, req)
	}
	return a.Merchant(ctx, req, beside)
}

// verify verifies the key and its scope, and runs beside concurrently; beside has ended
// when verify returns. err is the error of the key.
func (a *Auth) verify(ctx context.Context, req *httpapi.Request, key account.Key, beside func(context.Context) error) (used account.KeyUsed, besideErr, err error) {
	hash := key.Hash()
	known := a.windows.get(hash, a.Now())
	if known.full != nil {
		req.Identify(known.subject, known.state)
		return account.KeyUsed{}, nil, known.full
	}
	if known.halfUsed() {
		if used, err = a.useKey(ctx, req, key, hash); err == nil {
			besideErr = invocation.Recovering(func() error { return beside(ctx) })
		}
	} else {
		done := make(chan error, 1)
		go func() { done <- invocation.Recovering(func() error { return beside(ctx) }) }()
		used, err = a.useKey(ctx, req, key, hash)
		besideErr = <-done
	}
	if err != nil {
		return account.KeyUsed{}, nil, err
	}
	if used.Key.PartnerDisabled {
		return account.KeyUsed{}, nil, account.ErrPartnerDisabled()
	}
	scope, ok := RequiredScope(req.Method(), req.Resource())
	if !ok {
		return account.KeyUsed{}, nil, fmt.Errorf("%s %s has no scope", req.Method(), req.Resource())
	}
	if !used.Key.May(scope) {
		return account.KeyUsed{}, nil, fault.New(fault.Forbidden, "This API key lacks the scope %s.", scope)
	}
	return used, besideErr, nil
}

const onBehalfOfHeader = "On-Behalf-Of"

// onBehalfOf returns the id of the account that a merchant route is about.
func onBehalfOf(req *httpapi.Request, key account.Key) (int64, error) {
	const header = onBehalfOfHeader
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

// parseKey parses the request's key, without a remote call.
func parseKey(req *httpapi.Request) (account.Key, error) {
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

// useKey verifies the key and counts its use. It stores the caller and the window in the
// request, and the window for later requests.
func (a *Auth) useKey(ctx context.Context, req *httpapi.Request, key account.Key, hash string) (account.KeyUsed, error) {
	limit, err := a.Limits.Of(key.Environment)
	if err != nil {
		return account.KeyUsed{}, err
	}
	now := a.Now()
	used, err := a.Keys.UseKey(ctx, account.KeyUse{
		PartnerID: key.PartnerID, AccountID: key.AccountID, Hash: hash, Now: now, Limit: limit,
	})
	if err == nil || fault.Is(err, fault.RateLimited) {
		w := window{
			subject: httpapi.Subject{KeyID: used.Key.ID, PartnerID: key.PartnerID, AccountID: key.AccountID},
			state:   httpapi.Window{Limit: limit, Used: used.Used, Reset: used.Reset}, ends: now.Add(used.Reset),
		}
		if err != nil {
			w.full = fault.Of(err)[0]
		}
		req.Identify(w.subject, w.state)
		a.windows.put(hash, w, now)
	}
	if err != nil {
		return account.KeyUsed{}, fmt.Errorf("using the key: %w", err)
	}
	return used, nil
}
