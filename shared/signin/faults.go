package signin

import (
	"errors"
	"time"

	"carrierlink/shared/fault"
)

// The faults of signing in. Each message is written here only.

// ErrStale is the cause of the fault.Busy of a change whose account or login has changed
// since they were read.
var ErrStale = errors.New("the account or its login has changed since they were read")

// ErrSignedOut is fault.Unauthorized: there is no such session any more. It does not say why.
func ErrSignedOut() *fault.Error {
	return fault.New(fault.Unauthorized, "You are signed out; sign in again.")
}

// errWrongPassword is fault.Unauthorized: somebody who is signed in has entered another password.
func errWrongPassword(cause error) *fault.Error {
	return &fault.Error{Kind: fault.Unauthorized, Field: "password", Message: "This is not your password.", Cause: cause}
}

// ErrNoLink is fault.NotFound: a token is absent, used, expired, of another kind or out of
// date. It does not say which.
func ErrNoLink() *fault.Error { return fault.New(fault.NotFound, "This link no longer works.") }

// ErrByPartner is fault.Forbidden: the page was opened by the partner.
func ErrByPartner() *fault.Error {
	return fault.New(fault.Forbidden, "The account page was opened for you by your platform; sign in with your own password to do this.")
}

// ErrNotConfirmed is fault.Forbidden: the password was not entered within ConfirmedFor.
func ErrNotConfirmed() *fault.Error {
	return fault.New(fault.Forbidden, "Enter your password again to do this.")
}

// ErrMailOff is fault.State: the service sends no mails.
func ErrMailOff() *fault.Error {
	return fault.New(fault.State, "This service sends no mails; ask your platform for a link.")
}

// ErrNoEmail is fault.State: there is no address to which an invitation could go.
func ErrNoEmail() *fault.Error {
	return fault.New(fault.State, "The account has no email; set one first.")
}

// ErrDisabled is fault.State: nobody can sign in to a disabled account.
func ErrDisabled() *fault.Error {
	return fault.New(fault.State, "The account is disabled; enable it first.")
}

// errCommon is fault.Invalid: a password that is tried first.
func errCommon() *fault.Error {
	return fault.Field(fault.Invalid, "password", "This is one of the passwords that are guessed first; choose another one.")
}

// errIsEmail is fault.Invalid: a password that everybody knows who writes to its owner.
func errIsEmail() *fault.Error {
	return fault.Field(fault.Invalid, "password", "The password must not be your email address or a part of it.")
}

// errSameEmail is fault.Invalid: the account has the new address.
func errSameEmail() *fault.Error {
	return fault.Field(fault.Invalid, "email", "This is the email address that you have now.")
}

// errTooMany is fault.RateLimited with RetryAfter: there were too many attempts.
func errTooMany(wait time.Duration) *fault.Error {
	p := fault.New(fault.RateLimited, "There were too many attempts; wait a while and try again.")
	p.RetryAfter, p.Limit = wait, "attempts"
	return p
}

// errTooManyInvitations is fault.RateLimited with RetryAfter: the address has got so many mails
// that another one would be a nuisance.
func errTooManyInvitations(wait time.Duration) *fault.Error {
	p := fault.New(fault.RateLimited, "Three invitations were mailed to the account's email within an hour; try again later, or use deliver none.")
	p.RetryAfter, p.Limit = wait, "attempts"
	return p
}
