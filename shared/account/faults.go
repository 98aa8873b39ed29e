package account

import (
	"time"

	"carrierlink/shared/fault"
)

// The faults of accounts and API keys. Each text stands here and nowhere else:
// every place that finds the case calls its function.

// deletedAccount is the text of two kinds: ErrInactive and ErrDeleted.
const deletedAccount = "The account is deleted; restore it first."

// ErrNotFound is fault.NotFound: the account is absent, or another partner's.
func ErrNotFound() *fault.Error { return fault.New(fault.NotFound, "There is no such account.") }

// ErrInactive is fault.Inactive: the account is disabled, or deleted.
func ErrInactive(deleted bool) *fault.Error {
	if deleted {
		return fault.New(fault.Inactive, deletedAccount)
	}
	return fault.New(fault.Inactive, "The account is disabled.")
}

// ErrCallerInactive is fault.Inactive: nothing is done on behalf of an account that
// is disabled, or deleted.
func ErrCallerInactive(deleted bool) *fault.Error {
	if deleted {
		return fault.New(fault.Inactive, "This account is deleted; until its purge it can be restored.")
	}
	return fault.New(fault.Inactive, "This account is disabled.")
}

// ErrDeleted is fault.State: the account waits for its purge and cannot be
// changed.
func ErrDeleted() *fault.Error { return fault.New(fault.State, deletedAccount) }

// ErrNotDeleted is fault.State: only a deleted account can be restored.
func ErrNotDeleted() *fault.Error {
	return fault.New(fault.State, "The account is not deleted.")
}

// ErrChanged is fault.Precondition: the account is no longer the one that was
// read.
func ErrChanged() *fault.Error {
	return fault.TooLate("Another request has changed the account")
}

// ErrBusy is fault.State with RetryAfter: the account changes faster than its
// connections can follow it.
func ErrBusy(cause error) *fault.Error {
	return &fault.Error{Kind: fault.State, Message: "The account is being changed; try again.", RetryAfter: time.Second, Cause: cause}
}

// ErrCountryFixed is fault.State: the country cannot be changed while the account has
// carriers.
func ErrCountryFixed() *fault.Error {
	return fault.Field(fault.State, "origin_country_code", "The country can not change while carriers are linked.")
}

// ErrIdentifierTaken is fault.Conflict: another account of the partner has this email
// or external id. holder is zero when it is not for the caller to know.
func ErrIdentifierTaken(field string, holder int64) *fault.Error {
	p := fault.Field(fault.Conflict, field, "%s is in use by another account.", field)
	p.ExistingAccountID = holder
	return p
}

// ErrPasswordWithoutEmail is fault.Required: nobody could sign in with it.
func ErrPasswordWithoutEmail() *fault.Error {
	return fault.Field(fault.Required, "email", "A password needs an email.")
}

// ErrNoKey is fault.NotFound: the account has no such API key.
func ErrNoKey() *fault.Error { return fault.New(fault.NotFound, "There is no such API key.") }

// ErrKeyNotValid is fault.Unauthorized: the key is absent, deleted or expired. Which
// of them is not told.
func ErrKeyNotValid() *fault.Error {
	return fault.New(fault.Unauthorized, "The API key is not valid.")
}

// ErrKeyLimited is fault.RateLimited with RetryAfter: the key is over its limit of
// calls a minute, until reset has passed.
func ErrKeyLimited(limit int, reset time.Duration) *fault.Error {
	p := fault.New(fault.RateLimited, "This API key may make %d requests a minute.", limit)
	p.RetryAfter = reset
	return p
}

// ErrKeyExpired is fault.State: an expired key cannot be rotated.
func ErrKeyExpired() *fault.Error { return fault.New(fault.State, "The API key has expired.") }

// ErrKeyReplaced is fault.State: a key that was rotated cannot be rotated again, as
// the new one would end with the old one's grace.
func ErrKeyReplaced() *fault.Error {
	return fault.New(fault.State, "This API key was rotated already; rotate the one that took its place.")
}

// ErrKeyChanged is fault.State with RetryAfter: the key is no longer the one that was
// read.
func ErrKeyChanged() *fault.Error {
	p := fault.New(fault.State, "Another request has changed this API key; try again.")
	p.RetryAfter = time.Second
	return p
}

// ErrTooManyKeys is fault.State: the account has as many keys as it may.
func ErrTooManyKeys(limit int) *fault.Error {
	return fault.New(fault.State, "An account may have %d API keys; delete one first.", limit)
}
