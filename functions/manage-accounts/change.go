package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"

	"carrierlink/shared/carrier"
	"carrierlink/shared/email"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
)

// change writes the fields that the body has and leaves the others: 200 with the
// account, which stays as it is, version and ETag too, if they change nothing.
// fault.Precondition when If-Match names another version, or another
// request was faster; State for a deleted account, and for a country while
// carriers are linked; Conflict for each identifier that is taken.
func (h *handler) change(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.once(ctx, req, func(c call, i *httpapi.Idempotency) (*httpapi.Response, error) {
		changed, err := decode(req, c.account)
		if err != nil {
			return nil, err
		}
		if _, err := httpapi.IfMatch(req, etag(c.account)); err != nil {
			return nil, err // else pinned or not: a change is always of the version that was read
		}
		if c.account.Deleted() {
			return nil, fault.New(fault.State, "This account is deleted; restore it first.")
		}
		if !changed.Same(c.account) {
			changed.Version, changed.ModifiedAt = c.account.Version+1, c.now
		}
		resp := httpapi.JSON(http.StatusOK, httpapi.NewAccountBody(changed))
		resp.Header["ETag"] = etag(changed)
		return i.Write(ctx, resp, func(rec *carrier.IdempotencyRecord) (*carrier.IdempotencyRecord, error) {
			existing, err := h.accounts.UpdateAccount(ctx, store.AccountChange{Old: c.account, New: changed, Idempotency: rec}, c.now)
			if err != nil {
				return nil, fmt.Errorf("changing the account: %w", err)
			}
			return existing, nil
		})
	})
}

// decode applies a body to an account.
func decode(req *httpapi.Request, a carrier.Account) (carrier.Account, error) {
	a.Metadata = maps.Clone(a.Metadata)
	country := a.OriginCountryCode
	err := req.JSON(
		httpapi.String("first_name", &a.FirstName, carrier.NameRule.Clean),
		httpapi.String("last_name", &a.LastName, carrier.NameRule.Clean),
		httpapi.String("company_name", &a.CompanyName, carrier.CompanyRule.Clean),
		httpapi.String("external_account_id", &a.ExternalID, carrier.ExternalIDRule.Clean),
		httpapi.String("origin_country_code", &a.OriginCountryCode, func(field, s string) (string, *fault.Error) {
			return s, carrier.CheckCountry(field, s)
		}),
		httpapi.String("email", &a.Email, carrier.CleanEmail),
		httpapi.Metadata("metadata", &a.Metadata),
	)
	a.EmailKey = email.Key(a.Email)
	if err == nil && a.OriginCountryCode != country && a.CarriersCount > 0 {
		err = fault.Field(fault.State, "origin_country_code", "The country can not change while carriers are linked.")
	}
	return a, err
}
