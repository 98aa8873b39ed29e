package auth

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// Keys counts the use of a key.
type Keys interface {
	// UseKey proves a key and counts it in its one-minute window:
	// fault.Unauthorized when it is not there or has expired,
	// fault.RateLimited, with the window filled, when the window is full.
	UseKey(ctx context.Context, use carrier.KeyUse) (carrier.KeyUsed, error)
}

// Limits are the requests a minute that one key may make.
type Limits struct{ Production, Sandbox int }

// Auth authenticates requests.
type Auth struct {
	Keys   Keys
	Limits Limits
	Now    func() time.Time
}

// Caller is who makes a request.
type Caller struct {
	Key       carrier.APIKey
	PartnerID int64
	// AccountID is the account that the request is about; zero on partner routes.
	AccountID int64
}

// Scope names the caller for idempotency keys: a partner, or an account and who
// acts for it.
func (c Caller) Scope() string {
	scope := "account " + strconv.FormatInt(c.AccountID, 10)
	if c.Key.AccountID == 0 {
		scope = "partner " + strconv.FormatInt(c.PartnerID, 10) + " " + scope
	}
	return scope
}

// Partner authenticates a call of a partner route. Errors: fault.Unauthorized,
// RateLimited, and Forbidden for a merchant's key.
func (a *Auth) Partner(ctx context.Context, req *httpapi.Request) (Caller, error) {
	key, err := read(req)
	if err != nil {
		return Caller{}, err
	}
	used, err := a.use(ctx, req, key)
	if err != nil {
		return Caller{}, err
	}
	if key.PartnerID == 0 {
		return Caller{}, fault.New(fault.Forbidden, "This route needs a partner's API key.")
	}
	return Caller{Key: used.Key, PartnerID: key.PartnerID}, nil
}

// Merchant authenticates a call of a merchant route: with the account's own
// key, or a partner's and the header On-Behalf-Of. As both name the account,
// beside reads it, and what else the route wants, while the key is proven.
// Errors: fault.Unauthorized, RateLimited, Required or Identifier for
// On-Behalf-Of, NotFound for another one's account, Inactive for a disabled one.
func (a *Auth) Merchant(ctx context.Context, req *httpapi.Request, beside func(ctx context.Context, accountID int64) (*carrier.Account, error)) (Caller, error) {
	key, err := read(req)
	if err != nil {
		return Caller{}, err
	}
	accountID, headerErr := onBehalfOf(req, key)
	if headerErr != nil {
		// The key is proven first: a stranger learns nothing of the route.
		if _, err := a.use(ctx, req, key); err != nil {
			return Caller{}, err
		}
		return Caller{}, headerErr
	}
	type read struct {
		account *carrier.Account
		err     error
	}
	got := make(chan read, 1)
	go func() {
		r := read{err: errors.New("the read beside the key panicked")}
		defer func() {
			// Nobody above a goroutine recovers: a panic here would end the process.
			if v := recover(); v != nil {
				r.err = fmt.Errorf("%w: %T\n%s", r.err, v, debug.Stack())
			}
			got <- r
		}()
		r.account, r.err = beside(ctx, accountID)
	}()
	used, err := a.use(ctx, req, key)
	r := <-got // beside fills the caller's variables: it must be over either way
	if err != nil {
		return Caller{}, err
	}
	if r.err != nil {
		return Caller{}, fmt.Errorf("reading the account: %w", r.err)
	}
	switch {
	case r.account == nil, key.PartnerID != 0 && r.account.PartnerID != key.PartnerID:
		if key.AccountID == accountID {
			return Caller{}, unauthorized() // a key that outlived its account
		}
		return Caller{}, fault.New(fault.NotFound, "There is no such account.")
	case !r.account.Active:
		return Caller{}, fault.New(fault.Inactive, "This account is disabled.")
	}
	return Caller{Key: used.Key, PartnerID: r.account.PartnerID, AccountID: accountID}, nil
}

// onBehalfOf is the account that a merchant route is about.
func onBehalfOf(req *httpapi.Request, key Key) (int64, error) {
	const header = "On-Behalf-Of"
	value := req.Header(header)
	switch {
	case value == "" && key.AccountID != 0:
		return key.AccountID, nil
	case value == "":
		return 0, fault.Field(fault.Required, header, "A partner's key needs the header %s with an account_id.", header)
	}
	id, err := carrier.ParseAccountID(header, value)
	if err != nil {
		return 0, err
	}
	if key.AccountID != 0 && key.AccountID != id {
		return 0, fault.New(fault.NotFound, "There is no such account.")
	}
	return id, nil
}

// read finds the key in the request, without a remote call.
func read(req *httpapi.Request) (Key, error) {
	key, ok := ParseKey(req.Header("API-Key"))
	if !ok {
		return Key{}, unauthorized()
	}
	return key, nil
}

func unauthorized() error {
	return fault.New(fault.Unauthorized, "A valid API key is needed in the header API-Key.")
}

// use counts the key and notes the caller and its window on the request.
func (a *Auth) use(ctx context.Context, req *httpapi.Request, key Key) (carrier.KeyUsed, error) {
	limit := a.Limits.Production
	if key.Environment == carrier.Sandbox {
		limit = a.Limits.Sandbox
	}
	used, err := a.Keys.UseKey(ctx, carrier.KeyUse{
		PartnerID: key.PartnerID, AccountID: key.AccountID, Hash: key.Hash(), Now: a.Now(), Limit: limit,
	})
	switch {
	case fault.Is(err, fault.Unauthorized):
		return carrier.KeyUsed{}, unauthorized()
	case err == nil || fault.Is(err, fault.RateLimited):
		req.Identify("key "+strconv.FormatInt(used.Key.ID, 10), httpapi.Window{Limit: limit, Used: used.Used, Reset: used.Reset})
	}
	if err != nil {
		return carrier.KeyUsed{}, fmt.Errorf("using the key: %w", err)
	}
	return used, nil
}
