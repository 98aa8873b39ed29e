package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/email"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// patchTries is how often a change without a version is tried that others overtake.
const patchTries = 4

// change writes the fields that the body has and leaves the others: 200 with the
// account, which stays as it is, version and ETag too, if they change nothing.
// One that another request overtakes is made of the account as it is then, unless
// If-Match pins it. fault.Precondition when If-Match names another version; State
// for a deleted account, for a country while carriers are linked, and with
// RetryAfter when others were faster again and again; Conflict for each identifier
// that is taken.
func (h *handler) change(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.once(ctx, req, func(c call, change *httpapi.Change) (*httpapi.Response, error) {
		for n := 1; ; n++ {
			resp, pinned, err := h.tryChange(ctx, req, c, change)
			if pinned || !fault.Is(err, fault.Precondition) {
				return resp, err
			}
			if n == patchTries {
				return nil, fault.Busy(err)
			}
			now, err := h.accounts.Load(ctx, c.account.ID, store.Want{Now: c.now})
			if err != nil {
				return nil, fmt.Errorf("reading the account again: %w", err)
			}
			if now.Account == nil {
				return nil, account.ErrNotFound()
			}
			c.account = *now.Account
		}
	})
}

// tryChange is a change of the account as it was read, with the answer that tells
// of it. pinned is that of httpapi.IfMatch; a header that does not match is pinned.
func (h *handler) tryChange(ctx context.Context, req *httpapi.Request, c call, change *httpapi.Change) (resp *httpapi.Response, pinned bool, err error) {
	changed, err := decode(req, c.account)
	if err != nil {
		return nil, false, err
	}
	if pinned, err = httpapi.IfMatch(req, etag(c.account)); err != nil {
		return nil, true, err
	}
	if c.account.Deleted() {
		return nil, pinned, account.ErrDeleted()
	}
	if !changed.Same(c.account) {
		changed.Version, changed.ModifiedAt = c.account.Version+1, c.now
	}
	resp = httpapi.JSON(http.StatusOK, views.NewAccount(changed))
	resp.Header["ETag"] = etag(changed)
	resp, err = change.Write(ctx, resp, func(fx effects.Effects) error {
		if err := h.accounts.UpdateAccount(ctx, store.AccountChange{Old: c.account, New: changed}, fx, c.now); err != nil {
			return fmt.Errorf("changing the account: %w", err)
		}
		return nil
	})
	return resp, pinned, err
}

// decode applies a body to an account.
func decode(req *httpapi.Request, a account.Account) (account.Account, error) {
	a.Metadata = maps.Clone(a.Metadata)
	country := a.OriginCountryCode
	err := req.JSON(
		httpapi.String("first_name", &a.FirstName, account.NameRule.Clean),
		httpapi.String("last_name", &a.LastName, account.NameRule.Clean),
		httpapi.String("company_name", &a.CompanyName, account.CompanyRule.Clean),
		httpapi.String("external_account_id", &a.ExternalID, account.ExternalIDRule.Clean),
		httpapi.String("origin_country_code", &a.OriginCountryCode, func(field, s string) (string, *fault.Error) {
			return s, account.CheckCountry(field, s)
		}),
		httpapi.String("email", &a.Email, account.CleanEmail),
		httpapi.Metadata("metadata", &a.Metadata),
	)
	a.EmailKey = email.Key(a.Email)
	if err == nil && a.OriginCountryCode != country && a.CarriersCount > 0 {
		err = fault.Field(fault.State, "origin_country_code", "The country can not change while carriers are linked.")
	}
	return a, err
}
