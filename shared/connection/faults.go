package connection

import (
	"time"

	"carrierlink/shared/fault"
)

// The faults of connections, of their numbers and of linking. Each text stands
// here and nowhere else: every place that finds the case calls its function.

// retryPause is when to come back while another request is at work. Its lease is
// the longest that it can take; most are over after a second.
const retryPause = time.Second

// ErrNoCarrier is fault.NotFound: the caller's account shows no such connection.
func ErrNoCarrier() *fault.Error { return fault.New(fault.NotFound, "There is no such carrier.") }

// ErrNoConnection is fault.NotFound: there is no row of the connection.
func ErrNoConnection() *fault.Error {
	return fault.New(fault.NotFound, "There is no such carrier connection.")
}

// ErrNoCredentials is fault.NotFound: the vault holds none of the connection, or not
// of the version that was asked for.
func ErrNoCredentials(cause error) *fault.Error {
	return &fault.Error{Kind: fault.NotFound, Message: "There are no credentials of this carrier connection.", Cause: cause}
}

// ErrNumberHeld is fault.CarrierConflict: the connection carrierID holds the charge
// account number.
func ErrNumberHeld(carrierID string) *fault.Error {
	p := fault.Field(fault.CarrierConflict, "account_number", "This account number is linked already.")
	p.ExistingCarrierID = carrierID
	return p
}

// ErrAlreadyLinked is fault.CarrierConflict: the account has linked the charge account
// as carrierID, and may link it once more if it says so.
func ErrAlreadyLinked(carrierID string) *fault.Error {
	return &fault.Error{
		Kind: fault.CarrierConflict, Field: "account_number", ExistingCarrierID: carrierID,
		Message: "This charge account is linked already; allow_duplicate_account_number links it once more.",
	}
}

// ErrBeingLinked is fault.State with RetryAfter: another request links the same
// charge account.
func ErrBeingLinked() *fault.Error {
	return &fault.Error{
		Kind: fault.State, Field: "account_number", Message: "This charge account is being linked by another request.", RetryAfter: retryPause,
	}
}

// ErrTooManyConnections is fault.State: the account has as many connections as it may.
func ErrTooManyConnections(limit int) *fault.Error {
	return fault.New(fault.State, "An account may have %d carrier connections; unlink one first.", limit)
}

// ErrTooManyDuplicates is fault.State: as many connections of the account hold the
// number as may.
func ErrTooManyDuplicates(limit int) *fault.Error {
	return fault.Field(fault.State, "account_number", "An account may link the same account number %d times; unlink one first.", limit)
}

// ErrTooManyLinks is fault.State: the account has linked as often as it may in a day.
func ErrTooManyLinks(limit int) *fault.Error {
	return fault.New(fault.State, "An account may link %d carriers a day; try again after midnight UTC.", limit)
}

// ErrTooManyUnlinks is fault.State: the account has unlinked as often as it may in a
// day.
func ErrTooManyUnlinks(limit int) *fault.Error {
	return fault.New(fault.State, "An account may unlink %d carriers a day; try again after midnight UTC.", limit)
}

// ErrChanged is fault.Precondition: If-Match pinned the change to a version
// of the connection that is no longer the current one.
func ErrChanged() *fault.Error {
	return fault.TooLate("The carrier connection has changed since")
}

// ErrMoved is fault.State with RetryAfter: the row is no longer the one that
// was read.
func ErrMoved() *fault.Error {
	p := fault.New(fault.State, "Another request has changed this carrier connection; try again.")
	p.RetryAfter = retryPause
	return p
}

// ErrOvertaken is fault.State with RetryAfter: another request has changed the
// connection while the carrier was asked about it.
func ErrOvertaken() *fault.Error {
	return &fault.Error{Kind: fault.State, Message: "The carrier connection was changed by another request; try again.", RetryAfter: retryPause}
}

// ErrLeased is fault.State with RetryAfter: another request works on the connection,
// for the rest of its lease at most.
func ErrLeased(rest time.Duration) *fault.Error {
	p := fault.New(fault.State, "Another request is checking this carrier connection; try again.")
	p.RetryAfter = rest
	return p
}

// ErrBeingChecked is fault.State with RetryAfter: a check of the connection has to wait
// for another one, or for a change. The lease is a limit: a check is over much
// sooner.
func ErrBeingChecked(cause error) *fault.Error {
	return &fault.Error{Kind: fault.State, Message: "This connection is being checked or changed by another request.", Cause: cause, RetryAfter: retryPause}
}

// ErrBeingChanged is fault.State with RetryAfter: another request works on the
// connection's secret.
func ErrBeingChanged() *fault.Error {
	return &fault.Error{Kind: fault.State, Message: "The carrier connection is being changed by another request.", RetryAfter: retryPause}
}

// ErrSecretBusy is fault.State with RetryAfter: Secrets Manager is at work on the
// secret for another request.
func ErrSecretBusy(cause error) *fault.Error {
	return &fault.Error{
		Kind: fault.State, Message: "Another request is changing the same carrier connection; try again.", RetryAfter: retryPause, Cause: cause,
	}
}

// ErrFollowing is fault.State with RetryAfter: the connection's secret goes or comes
// with its account.
func ErrFollowing() *fault.Error {
	return &fault.Error{Kind: fault.State, Message: "The carrier connection is about to follow its account.", RetryAfter: retryPause}
}

// ErrNotDue is fault.State: the connection needs no check now.
func ErrNotDue() *fault.Error {
	return fault.New(fault.State, "This carrier connection is not due for a check.")
}

// ErrNotComparable is fault.NotFound: the connection is not, or no longer, one whose
// check tells about another one's refusal.
func ErrNotComparable() *fault.Error {
	return fault.New(fault.NotFound, "The connection is none to compare with.")
}

// ErrVerifiedLately is fault.RateLimited: the connection may be verified again after
// wait.
func ErrVerifiedLately(wait time.Duration) *fault.Error {
	return &fault.Error{Kind: fault.RateLimited, Message: "This connection was verified less than 30 seconds ago.", RetryAfter: wait}
}

// ErrAllowanceUsedUp is fault.RateLimited: no call is left of limit a minute until
// wait has passed.
func ErrAllowanceUsedUp(use Use, limit int, wait time.Duration) *fault.Error {
	var what string
	switch use {
	case UseTracking, UseChecking:
		what = "The carrier may be asked %d times a minute with one API key of its own, and that is used up."
	case UseLinking:
		what = "An account may link and validate %d times a minute."
	case UseChanging:
		what = "An account may change connections to other API keys of the carrier %d times a minute."
	}
	limited := fault.New(fault.RateLimited, what, limit)
	limited.RetryAfter = wait
	return limited
}

// rollbackBrings says what a rollback can do.
const rollbackBrings = "A rollback brings back the API key, the API secret and the account number that the latest change of any of them replaced, " +
	"for 30 days; credentials.previous_available_until says until when."

// ErrNothingToRollBack is fault.State: a connection with these previous credentials has
// none to go back to.
func ErrNothingToRollBack(p PreviousCredentials) *fault.Error {
	why := "There is nothing to go back to: neither credentials nor account number were changed."
	if p.SecretVersion != "" {
		why = "There is nothing to go back to any more: the previous credentials were kept until " + p.Until.UTC().Format(time.RFC3339) + "."
	}
	return fault.New(fault.State, "%s %s", why, rollbackBrings)
}

// ErrPreviousGone is fault.State: the row knows previous credentials that the vault no
// longer keeps.
func ErrPreviousGone(cause error) *fault.Error {
	return &fault.Error{Kind: fault.State, Message: "The previous credentials are no longer kept. " + rollbackBrings, Cause: cause}
}
