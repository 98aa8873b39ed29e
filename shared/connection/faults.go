package connection

import (
	"errors"
	"time"

	"carrierlink/shared/fault"
)

// The faults of connections, their account numbers and links that more
// than one function returns.

// retryPause is the RetryAfter while another request is working. Most requests end
// within a second; their lease is only the upper limit.
const retryPause = time.Second

// ErrNoConnection is fault.NotFound: the account has no such connection, or none
// that callers see.
func ErrNoConnection() *fault.Error {
	return fault.New(fault.NotFound, "There is no such carrier.")
}

// ErrNoCredentials is fault.NotFound: the vault has no credentials of the
// connection, or not the version that was asked for.
func ErrNoCredentials(cause error) *fault.Error {
	return &fault.Error{Kind: fault.NotFound, Message: "There are no credentials of this carrier connection.", Cause: cause}
}

// ErrAlreadyLinked is fault.CarrierConflict: the connection carrierID of the account
// has this account number.
func ErrAlreadyLinked(carrierID string) *fault.Error {
	return &fault.Error{
		Kind: fault.CarrierConflict, Field: "account_number", ExistingCarrierID: carrierID,
		Message: "This charge account is linked already; allow_duplicate_account_number links it once more.",
	}
}

// ErrPreviousNumberLinked is fault.CarrierConflict: the connection carrierID of the account
// has the number that a rollback restores.
func ErrPreviousNumberLinked(carrierID string) *fault.Error {
	return &fault.Error{
		Kind: fault.CarrierConflict, Field: "account_number", ExistingCarrierID: carrierID,
		Message: "Another connection has the account number that the rollback restores; unlink that one, or change its number, first.",
	}
}

// ErrBeingLinked is fault.State with RetryAfter: another request is linking the same
// charge account.
func ErrBeingLinked() *fault.Error {
	return &fault.Error{
		Kind: fault.State, Field: "account_number", Message: "This charge account is being linked by another request.", RetryAfter: retryPause,
	}
}

// ErrTooManyConnections is fault.State: the account has reached its limit of
// connections.
func ErrTooManyConnections(limit int) *fault.Error {
	p := fault.New(fault.State, "An account may have at most %d carrier connections; unlink one first.", limit)
	p.Limit = "caps"
	return p
}

// ErrTooManyDuplicates is fault.State: the account has reached its limit of
// connections with the same account number.
func ErrTooManyDuplicates(limit int) *fault.Error {
	p := fault.Field(fault.State, "account_number", "An account may link the same account number at most %d times; unlink one first.", limit)
	p.Limit = "caps"
	return p
}

// ErrTooManyLinks is fault.State: the account has reached its limit of links a day.
func ErrTooManyLinks(limit int) *fault.Error {
	p := fault.New(fault.State, "An account may link at most %d carriers a day; try again after midnight UTC.", limit)
	p.Limit = string(UseLinking)
	return p
}

// ErrTooManyUnlinks is fault.State: the account has reached its limit of unlinks a
// day.
func ErrTooManyUnlinks(limit int) *fault.Error {
	p := fault.New(fault.State, "An account may unlink at most %d carriers a day; try again after midnight UTC.", limit)
	p.Limit = string(UseLinking)
	return p
}

// ErrChanged is fault.Precondition: If-Match named a version of the connection that
// is no longer the current one.
func ErrChanged() *fault.Error {
	return fault.TooLate("The carrier connection has changed since")
}

// ErrBeingChecked is fault.State with RetryAfter: a check or a change of the connection
// is running.
func ErrBeingChecked(retryAfter time.Duration, cause error) *fault.Error {
	return &fault.Error{Kind: fault.State, Message: "This connection is being checked or changed by another request.", Cause: cause, RetryAfter: retryAfter}
}

// ErrFollowing is fault.State with RetryAfter: the secret is being deleted or
// restored because the account is.
func ErrFollowing() *fault.Error {
	return &fault.Error{Kind: fault.State, Message: "The account is being deleted or restored; try again shortly.", RetryAfter: retryPause}
}

// ErrNotDue is fault.State: the connection is not due for a scheduled check.
func ErrNotDue() *fault.Error {
	return fault.New(fault.State, "This carrier connection is not due for a check.")
}

// ErrPostponed is in the chain of an error of a scheduled check that failed on our
// side after its claim: the row says when it is due again.
var ErrPostponed = errors.New("due again by its row")

// ErrNotComparable is fault.NotFound: the connection is not Comparable.
func ErrNotComparable() *fault.Error {
	return fault.New(fault.NotFound, "This connection cannot be compared with others.")
}

// ErrVerifiedLately is fault.RateLimited: the connection may be verified again after
// wait.
func ErrVerifiedLately(wait time.Duration) *fault.Error {
	return &fault.Error{Kind: fault.RateLimited, Message: "This connection was verified less than 30 seconds ago.", RetryAfter: wait, Limit: string(UseChecking)}
}

// ErrAllowanceUsedUp is fault.RateLimited: all calls of limit a minute are taken; the
// next one is free after wait.
func ErrAllowanceUsedUp(use Use, limit int, wait time.Duration) *fault.Error {
	var text string
	switch use {
	case UseTracking, UseLooking, UseChecking:
		text = "The carrier takes %d " + string(use) + " calls a minute for an API key, and they are used up."
	case UseLinking:
		text = "An account may link and validate %d times a minute."
	case UseChanging:
		text = "An account may change connections to other API keys of the carrier %d times a minute."
	}
	limited := fault.New(fault.RateLimited, text, limit)
	limited.RetryAfter, limited.Limit = wait, string(use)
	return limited
}

// ErrTooManyVersions is fault.RateLimited: AWS takes no more versions of the secret. Room
// comes within a day, when versions of the last one are old enough to be removed; when
// exactly the vault does not know.
func ErrTooManyVersions(cause error) *fault.Error {
	return &fault.Error{
		Kind: fault.RateLimited, Message: "The credentials of this connection were changed too often today.", RetryAfter: time.Hour, Limit: string(UseChanging), Cause: cause,
	}
}

// rollbackHelp says what a rollback can do.
const rollbackHelp = "A rollback brings back the API key, the API secret and the account number that the latest change of any of them replaced, " +
	"for 30 days; credentials.previous_available_until says until when."

// ErrNothingToRollBack is fault.State: there are no previous credentials, or they have
// expired.
func ErrNothingToRollBack(p PreviousCredentials) *fault.Error {
	why := "There is nothing to go back to: neither credentials nor account number were changed."
	if !p.Until.IsZero() {
		why = "There is nothing to go back to any more: the previous credentials were kept until " + p.Until.UTC().Format(time.RFC3339) + "."
	}
	return fault.New(fault.State, "%s %s", why, rollbackHelp)
}

// ErrPreviousGone is fault.State: the row names previous credentials that the vault no
// longer has.
func ErrPreviousGone(cause error) *fault.Error {
	return &fault.Error{Kind: fault.State, Message: "The previous credentials are no longer kept. " + rollbackHelp, Cause: cause}
}
