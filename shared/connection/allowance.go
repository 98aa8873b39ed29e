package connection

import (
	"context"
	"fmt"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
)

// AllowanceWindow is the window of an allowance: no interval of this length has more calls
// than are allowed.
const AllowanceWindow = time.Minute

// Use is what callers cause calls of a carrier for. Each use has its own allowance, so that
// tracking parcels leaves the calls for checking accounts.
type Use string

// The uses.
const (
	UseTracking Use = "tracking" // GET /v1/tracking
	UseLooking  Use = "looking"  // the schedule's part of UseTracking
	UseChecking Use = "checking" // live reads, verify, change and rollback
	UseLinking  Use = "linking"  // link and validate
	UseChanging Use = "changing" // changes to credentials that are new to the connection
)

// Allowance identifies a counter of calls. Make it with CredentialAllowance or
// AccountAllowance; it is comparable.
type Allowance struct {
	Use          Use
	AccountID    int64  // zero: all accounts with the credential
	CredentialID string // empty: all credentials of the account
}

// CredentialAllowance counts by credential, as the carrier does (auspost.md, "Known
// traps" 15). In the sandbox each account counts separately: no carrier is called there, and
// accounts may share example credentials with each other or with production.
func CredentialAllowance(use Use, env carrier.Environment, accountID int64, credentialID string) Allowance {
	if env == carrier.Production {
		accountID = 0
	}
	return Allowance{use, accountID, credentialID}
}

// AccountAllowance counts by merchant account, for credentials that are not verified yet.
func AccountAllowance(use Use, accountID int64) Allowance {
	return Allowance{Use: use, AccountID: accountID}
}

// Call is a call of an allowance of Limit calls in any AllowanceWindow.
type Call struct {
	Allowance
	Limit int
	// Effects are recorded in the transaction that counts the call: that the call will read
	// stored credentials.
	Effects effects.Effects
}

// Calls counts the calls of carriers that callers cause.
type Calls interface {
	// TakeCall counts a call if the window has fewer than its limit; otherwise wait is
	// the time until the next call is allowed, and nothing is recorded.
	TakeCall(ctx context.Context, c Call, window time.Duration, now time.Time) (wait time.Duration, err error)
}

// Allow takes a call: fault.RateLimited with RetryAfter if none is left.
func Allow(ctx context.Context, calls Calls, c Call, now time.Time) error {
	wait, err := calls.TakeCall(ctx, c, AllowanceWindow, now)
	switch {
	case err != nil:
		return fmt.Errorf("taking a call of the carrier: %w", err)
	case wait <= 0:
		return nil
	}
	return ErrAllowanceUsedUp(c.Use, c.Limit, wait)
}

// takeCall returns what takes a call for asking the carrier about a connection with a
// credential. Credentials that are new to the connection take a call of the account too:
// whoever tries out credentials has new ones each time. The first call records fx.
func (s *Service) takeCall(conn Connection, credentialID string, fx effects.Effects) func(context.Context) error {
	var allowances []Allowance
	if credentialID != conn.CredentialID && credentialID != conn.Previous.CredentialID {
		allowances = append(allowances, AccountAllowance(UseChanging, conn.AccountID))
	}
	allowances = append(allowances, CredentialAllowance(UseChecking, conn.Environment, conn.AccountID, credentialID))
	return func(ctx context.Context) error {
		for i, a := range allowances {
			c := Call{Allowance: a, Limit: s.CallsPerMinute}
			if i == len(allowances)-1 {
				c.Effects = fx
			}
			if err := Allow(ctx, s.Store, c, s.Now()); err != nil {
				return err
			}
		}
		fx = effects.Effects{}
		return nil
	}
}

// Caps limit what one merchant account may have and do, so that no caller fills the table
// or the vault. Zero is no limit.
type Caps struct {
	Connections int // linked at a time
	Duplicates  int // connections with the same account number, intents included
	// LinksPerDay limits the links and the unlinks of a day (UTC): the vault keeps the
	// secret of each for another week.
	LinksPerDay int
}
