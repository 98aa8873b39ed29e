// Package problem makes the faults of the store, for the table and for the
// in-memory store alike: callers see the same words of either.
package problem

import (
	"time"

	"carrierlink/shared/fault"
)

// Pause is how long to leave alone what another request is changing.
const Pause = time.Second

// Unauthorized is for a key that is absent, deleted or expired: which of them is
// not told.
func Unauthorized() error {
	return fault.New(fault.Unauthorized, "The API key is not valid.")
}

// RateLimited is for a key over its limit of calls a minute.
func RateLimited(limit int, reset time.Duration) error {
	p := fault.New(fault.RateLimited, "This API key may make %d requests a minute.", limit)
	p.RetryAfter = reset
	return p
}

// NoAccount is for an account that is absent.
func NoAccount() error { return fault.New(fault.NotFound, "There is no such account.") }

// Inactive is for an account that is disabled, or deleted.
func Inactive(deleted bool) error {
	if deleted {
		return fault.New(fault.Inactive, "The account is deleted; restore it first.")
	}
	return fault.New(fault.Inactive, "The account is disabled.")
}

// Deleted is for a change of an account that waits for its purge.
func Deleted() error { return fault.New(fault.State, "The account is deleted; restore it first.") }

// NotDeleted is for restoring an account that is not deleted.
func NotDeleted() error { return fault.New(fault.State, "The account is not deleted.") }

// Changed is for an account that is no longer the one that was read.
func Changed() error {
	return fault.Field(fault.Precondition, "If-Match", "Another request has changed the account; read it again.")
}

// CountryFixed is for another country of an account that has carriers.
func CountryFixed() error {
	return fault.Field(fault.State, "origin_country_code", "origin_country_code can not be changed while a carrier is linked.")
}

// NoKey is for an API key that is absent.
func NoKey() error { return fault.New(fault.NotFound, "There is no such API key.") }

// KeyExpired is for rotating a key that has expired.
func KeyExpired() error { return fault.New(fault.State, "The API key has expired.") }

// KeyReplaced is for rotating a key that was rotated: the new one would end with
// the old one's grace.
func KeyReplaced() error {
	return fault.New(fault.State, "This API key was rotated already; rotate the one that took its place.")
}

// KeyChanged is for a key that is no longer the one that was read.
func KeyChanged() error {
	p := fault.New(fault.State, "Another request has changed this API key; try again.")
	p.RetryAfter = Pause
	return p
}

// TooManyKeys is for an account that has as many keys as it may.
func TooManyKeys(limit int) error {
	return fault.New(fault.State, "An account may have %d API keys; delete one first.", limit)
}

// NoConnection is for a connection that is absent.
func NoConnection() error { return fault.New(fault.NotFound, "There is no such carrier connection.") }

// Taken is for a unique field of an account; holder is zero when it is not for
// the caller to know.
func Taken(field string, holder int64) *fault.Error {
	p := fault.Field(fault.Conflict, field, "%s is in use by another account.", field)
	p.ExistingAccountID = holder
	return p
}

// AlreadyLinked is for a charge account number that a connection holds.
func AlreadyLinked(carrierID string) error {
	p := fault.Field(fault.CarrierConflict, "account_number", "This account number is linked already.")
	p.ExistingCarrierID = carrierID
	return p
}

// TooManyConnections is for an account that has as many connections as it may.
func TooManyConnections(limit int) error {
	return fault.New(fault.State, "An account may have %d carrier connections; unlink one first.", limit)
}

// TooManyDuplicates is for a number that as many connections hold as may.
func TooManyDuplicates(limit int) error {
	return fault.Field(fault.State, "account_number", "An account may link the same account number %d times; unlink one first.", limit)
}

// TooManyLinks is for an account that has linked as often as it may in a day.
func TooManyLinks(limit int) error {
	return fault.New(fault.State, "An account may link %d carriers a day; try again after midnight UTC.", limit)
}

// TooManyUnlinks is for an account that has unlinked as often as it may in a day.
func TooManyUnlinks(limit int) error {
	return fault.New(fault.State, "An account may unlink %d carriers a day; try again after midnight UTC.", limit)
}

// MovedOn is for a connection that is no longer the one that was read.
func MovedOn() error {
	p := fault.New(fault.State, "Another request has changed this carrier connection; try again.")
	p.RetryAfter = Pause
	return p
}

// Leased is for a connection that somebody is at, for the rest of a lease.
func Leased(rest time.Duration) error {
	p := fault.New(fault.State, "Another request is checking this carrier connection; try again.")
	p.RetryAfter = rest
	return p
}

// NotDue is for a connection that needs no check now.
func NotDue() error {
	return fault.New(fault.State, "This carrier connection is not due for a check.")
}

// BreakerMoved is for a breaker that is no longer the one that was read.
func BreakerMoved() error {
	p := fault.New(fault.State, "Another process has changed the state of this carrier; try again.")
	p.RetryAfter = Pause
	return p
}

// Overloaded is for a call that AWS throttles, whatever it was for.
func Overloaded(cause error) error {
	return &fault.Error{
		Kind: fault.Overloaded, Message: "The service is overloaded; try again shortly.", RetryAfter: overloadPause, Cause: cause,
	}
}

// overloadPause is how long a caller should leave an overloaded service alone:
// DynamoDB adapts to a new load within seconds.
const overloadPause = 5 * time.Second

// Busy is for items that other requests keep hold of.
func Busy(cause error) error {
	return &fault.Error{
		Kind: fault.State, Message: "Another request is changing the same resource; try again.",
		RetryAfter: Pause, Cause: cause,
	}
}
