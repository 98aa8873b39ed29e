package account

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// changeTries is how often a change that others overtake is tried.
const changeTries = 4

// Change asks for another account in the place of one.
type Change struct {
	Account Account // as it was read
	// Edit sets Fields and Metadata, of each version of the account that is tried.
	Edit func(*Account) error
	// Match holds a version against what the caller knows of it. pinned: the change
	// is of this version, and of no later one. Nil: of any version.
	Match func(Account) (pinned bool, err error)
}

// Change changes what callers may say of an account. One that changes nothing
// leaves version and ModifiedAt as they are. One that another request overtakes is
// made of the account as it is then, unless it is pinned.
//
// Errors: those of Edit and Match; fault.State for a deleted account, for a country
// while carriers are linked, and with RetryAfter when others were faster again and
// again; Conflict for each identifier that is taken; Precondition for a pinned
// change that came too late; NotFound; *effects.Replay.
func (s *Service) Change(ctx context.Context, c Change, fx effects.For[*Account]) (*Account, error) {
	now := s.now()
	for n := 1; ; n++ {
		changed, pinned, err := s.tryChange(ctx, c, fx, now)
		switch {
		case err == nil:
			return changed, nil
		case pinned, !fault.Is(err, fault.Precondition):
			return nil, err
		case n == changeTries:
			return nil, fault.Busy(err)
		}
		if c.Account, err = s.Get(ctx, c.Account.PartnerID, c.Account.ID); err != nil {
			return nil, err
		}
	}
}

// tryChange changes the account as it was read. A version that does not match is
// pinned.
func (s *Service) tryChange(ctx context.Context, c Change, fx effects.For[*Account], now time.Time) (changed *Account, pinned bool, err error) {
	a := c.Account
	a.Metadata = maps.Clone(a.Metadata)
	if err := c.Edit(&a); err != nil {
		return nil, false, err
	}
	if a.OriginCountryCode != c.Account.OriginCountryCode && a.CarriersCount > 0 {
		return nil, false, ErrCountryFixed()
	}
	if c.Match != nil {
		if pinned, err = c.Match(c.Account); err != nil {
			return nil, true, err
		}
	}
	if err := a.Changeable(); err != nil {
		return nil, pinned, err
	}
	a.EmailKey = s.EmailKey(a.Email)
	if !a.Same(c.Account) {
		a.Version, a.ModifiedAt = c.Account.Version+1, now
	}
	with, err := fx.Of(&a)
	if err != nil {
		return nil, pinned, err
	}
	if err := s.Store.UpdateAccount(ctx, Update{Old: c.Account, New: a}, with, now); err != nil {
		return nil, pinned, fmt.Errorf("changing the account: %w", err)
	}
	return &a, pinned, nil
}

// Enable makes a disabled account active. The account is as it was read; a pinned
// change is of that version alone, any other of whatever version there is. One that
// is active already stays as it is.
//
// Errors: fault.State for a deleted account; Precondition for a pinned change that
// came too late; NotFound; *effects.Replay.
func (s *Service) Enable(ctx context.Context, a Account, pinned bool, fx effects.Effects) error {
	return s.follow(ctx, a, !a.Active, s.Store.SetAccountActive(ctx, a, pinned, true, fx, s.now()))
}

// Disable refuses an account's keys from the very next call on. Otherwise it is as
// Enable.
func (s *Service) Disable(ctx context.Context, a Account, pinned bool, fx effects.Effects) error {
	return s.follow(ctx, a, a.Active, s.Store.SetAccountActive(ctx, a, pinned, false, fx, s.now()))
}

// Days that a deleted account can still be restored.
const (
	LeastPurgeDays = 7
	MostPurgeDays  = 30
)

// Delete deletes an account: its keys are refused, and after so many days it
// vanishes. One that is deleted already stays as it is, with the first date.
//
// Errors: fault.Invalid for days out of range; those of Enable, but for State.
func (s *Service) Delete(ctx context.Context, a Account, pinned bool, days int, fx effects.Effects) error {
	if days < LeastPurgeDays || days > MostPurgeDays {
		return fault.OutOfRange("purge_after_days", LeastPurgeDays, MostPurgeDays)
	}
	now := s.now()
	purgeAt := now.AddDate(0, 0, days).Truncate(time.Second)
	if err := s.follow(ctx, a, !a.Deleted(), s.Store.DeleteAccount(ctx, a, pinned, purgeAt, fx, now)); err != nil {
		return fmt.Errorf("deleting the account: %w", err)
	}
	return nil
}

// Restore takes a deletion back until the purge: the account is active if it was
// before.
//
// Errors: those of Enable, with fault.State for an account that is not deleted.
func (s *Service) Restore(ctx context.Context, a Account, pinned bool, fx effects.Effects) error {
	return s.follow(ctx, a, true, s.Store.RestoreAccount(ctx, a, pinned, fx, s.now()))
}

// answerMargin is left of a request's time to answer in.
const answerMargin = 2 * time.Second

// follow comes after the write of an account's state, unless that failed: the
// account's connections follow it, in the time that the request has. The change is
// made by then, so what fails or is left is the reconciler's, and no error. An
// account whose state does not change has been followed already, unless its mark
// says otherwise.
func (s *Service) follow(ctx context.Context, a Account, changes bool, written error) error {
	if written != nil || !changes && !a.Following {
		return written
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-answerMargin))
		defer cancel()
	}
	if err := s.Connections.Follow(ctx, a.ID); err != nil {
		slog.WarnContext(ctx, "connections have not followed their account yet", slog.Int64("account_id", a.ID), slog.String("error", err.Error()))
	}
	return nil
}
