package linking

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrierlink/shared/carrier"
)

// Calls counts the calls of carriers that callers cause.
type Calls interface {
	// TakeCall counts a call of an allowance where one of limit is left in the
	// window; else wait says how long until there is.
	TakeCall(ctx context.Context, a carrier.Allowance, limit int, window time.Duration, now time.Time) (wait time.Duration, err error)
}

// Allow takes one call of an allowance of limit calls a minute:
// fault.RateLimited with RetryAfter where none is left. A limit below one is a
// mistake of the wiring.
func Allow(ctx context.Context, calls Calls, a carrier.Allowance, limit int, now time.Time) error {
	if limit < 1 {
		return errors.New("the carrier may not be called: no allowance is set")
	}
	wait, err := calls.TakeCall(ctx, a, limit, carrier.AllowanceWindow, now)
	switch {
	case err != nil:
		return fmt.Errorf("taking a call of the carrier: %w", err)
	case wait <= 0:
		return nil
	}
	return carrier.AllowanceUsedUp(a.Use, limit, wait)
}

// allowed takes a call for asking the carrier about a connection with a
// credential, and returns what takes the next one. The credential is the one that
// the carrier is asked with, so of a change the new one: the carrier counts by it.
// Of one that the connection does not know the account has an allowance, too:
// whoever tries credentials out has new ones each time.
func (l *Linker) allowed(ctx context.Context, conn carrier.Connection, credentialID string) (again func(context.Context) error, err error) {
	var allowances []carrier.Allowance
	if credentialID != conn.CredentialID && credentialID != conn.Previous.CredentialID {
		allowances = append(allowances, carrier.AccountAllowance(carrier.UseChanging, conn.AccountID))
	}
	allowances = append(allowances, carrier.CredentialAllowance(carrier.UseChecking, conn.Environment, conn.AccountID, credentialID))
	again = func(ctx context.Context) error {
		for _, a := range allowances {
			if err := Allow(ctx, l.Store, a, l.CallsPerMinute, l.Now()); err != nil {
				return err
			}
		}
		return nil
	}
	return again, again(ctx)
}
