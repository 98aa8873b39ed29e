package connection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrierlink/shared/carrier"
)

// AllowanceWindow is the time that an allowance is for: no window of that length
// holds more calls of the carrier than are allowed, wherever it begins.
const AllowanceWindow = time.Minute

// Use is what callers may have a carrier called for. Each use has an allowance of
// its own: who tracks parcels does not take the calls away that check an account.
type Use string

// The uses.
const (
	UseTracking Use = "tracking" // GET /v1/tracking
	UseChecking Use = "checking" // live reads, verify, change and rollback
	UseLinking  Use = "linking"  // link and validate
	UseChanging Use = "changing" // changes to credentials that the connection does not know
)

// Allowance names what calls of a carrier are counted for. Make it with
// CredentialAllowance or AccountAllowance; it can be compared.
type Allowance struct {
	Use          Use
	AccountID    int64  // zero for all accounts that use the credential
	CredentialID string // empty for all credentials of the account
}

// CredentialAllowance is counted by credential, because so the carrier counts
// (contract: "Known traps" 15). In the sandbox, which reaches no carrier, each
// account counts for itself: nobody there can use up what a production key has,
// or what another account of the sandbox has that copied the same example.
func CredentialAllowance(use Use, env carrier.Environment, accountID int64, credentialID string) Allowance {
	if env == carrier.Production {
		accountID = 0
	}
	return Allowance{use, accountID, credentialID}
}

// AccountAllowance is counted by merchant account, for credentials that have not
// proven themselves.
func AccountAllowance(use Use, accountID int64) Allowance {
	return Allowance{Use: use, AccountID: accountID}
}

// Calls counts the calls of carriers that callers cause.
type Calls interface {
	// TakeCall counts a call of an allowance where one of limit is left in the
	// window; else wait says how long until there is.
	TakeCall(ctx context.Context, a Allowance, limit int, window time.Duration, now time.Time) (wait time.Duration, err error)
}

// Allow takes one call of an allowance of limit calls a minute:
// fault.RateLimited with RetryAfter where none is left. A limit below one is a
// mistake of the wiring.
func Allow(ctx context.Context, calls Calls, a Allowance, limit int, now time.Time) error {
	if limit < 1 {
		return errors.New("the carrier may not be called: no allowance is set")
	}
	wait, err := calls.TakeCall(ctx, a, limit, AllowanceWindow, now)
	switch {
	case err != nil:
		return fmt.Errorf("taking a call of the carrier: %w", err)
	case wait <= 0:
		return nil
	}
	return ErrAllowanceUsedUp(a.Use, limit, wait)
}

// allowed takes a call for asking the carrier about a connection with a
// credential, and returns what takes the next one. The credential is the one that
// the carrier is asked with, so of a change the new one: the carrier counts by it.
// Of one that the connection does not know the account has an allowance, too:
// whoever tries credentials out has new ones each time.
func (s *Service) allowed(ctx context.Context, conn Connection, credentialID string) (again func(context.Context) error, err error) {
	var allowances []Allowance
	if credentialID != conn.CredentialID && credentialID != conn.Previous.CredentialID {
		allowances = append(allowances, AccountAllowance(UseChanging, conn.AccountID))
	}
	allowances = append(allowances, CredentialAllowance(UseChecking, conn.Environment, conn.AccountID, credentialID))
	again = func(ctx context.Context) error {
		for _, a := range allowances {
			if err := Allow(ctx, s.Store, a, s.CallsPerMinute, s.Now()); err != nil {
				return err
			}
		}
		return nil
	}
	return again, again(ctx)
}
