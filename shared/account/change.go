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

// changeTries is how often a change is tried that concurrent requests overtake.
const changeTries = 4

// Change asks to change the fields of an account.
type Change struct {
	Account Account // as it was read
	// Edit sets the fields that callers change. It is called for each version that is
	// tried.
	Edit func(*Account) error
	// Match compares a version with If-Match. A pinned change applies only to this
	// version. A nil Match accepts every version.
	Match func(Account) (pinned bool, err error)
}

// Change changes the fields of an account. A change without effect keeps Version and
// ModifiedAt. If a concurrent request changes the account first, the change is applied
// to the new version, unless it is pinned.
//
// Errors: those of Edit and Match; fault.State for a deleted account, for a country
// while carriers are linked, and with RetryAfter if concurrent requests win every
// time; Conflict for each identifier that is taken; Precondition for a pinned change
// that came too late; NotFound; *effects.Replay.
func (s *Service) Change(ctx context.Context, c Change, fx effects.For[*Account]) (*Account, error) {
	for n := 1; ; n++ {
		changed, pinned, err := s.tryChange(ctx, c, fx, s.now())
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

// tryChange applies a change to the account as it was read. pinned is also true if
// Match fails.
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
	with, err := fx.Reporting(&a, s.Random, now, c.Account.Updated(&a))
	if err != nil {
		return nil, pinned, err
	}
	if err := s.Store.UpdateAccount(ctx, Update{Old: c.Account, New: a}, with.After(c.Account.ModifiedAt), now); err != nil {
		return nil, pinned, fmt.Errorf("changing the account: %w", err)
	}
	return &a, pinned, nil
}

// Enable makes a disabled account active; an active one stays as it is. A pinned change
// applies only to the version of a, any other to the current version.
//
// Errors: fault.State for a deleted account; Precondition for a pinned change that
// came too late; NotFound; *effects.Replay.
func (s *Service) Enable(ctx context.Context, a Account, pinned bool, fx effects.Effects) error {
	return s.setActive(ctx, a, pinned, true, effects.AccountEnabled, fx)
}

// Disable disables an account: its keys are refused from the next call on. Pinning and
// errors are those of Enable.
func (s *Service) Disable(ctx context.Context, a Account, pinned bool, fx effects.Effects) error {
	return s.setActive(ctx, a, pinned, false, effects.AccountDisabled, fx)
}

func (s *Service) setActive(ctx context.Context, a Account, pinned, active bool, kind effects.EventType, fx effects.Effects) error {
	now := s.now()
	fx, err := fx.With(s.Random, now, a.report(kind, accountData{}))
	if err != nil {
		return err
	}
	return s.follow(ctx, a, a.Active != active, s.Store.SetAccountActive(ctx, a, pinned, active, fx, now))
}

// Limits of the days during which a deleted account can be restored.
const (
	MinPurgeDays = 7
	MaxPurgeDays = 30
)

// Delete deletes an account: its keys are refused, and it is purged after so many days.
// An account that is already deleted keeps its first purge date.
//
// Errors: fault.Invalid for days out of range; those of Enable except State.
func (s *Service) Delete(ctx context.Context, a Account, pinned bool, days int, fx effects.Effects) error {
	if days < MinPurgeDays || days > MaxPurgeDays {
		return fault.OutOfRange("purge_after_days", MinPurgeDays, MaxPurgeDays)
	}
	now := s.now()
	purgeAt := now.AddDate(0, 0, days).Truncate(time.Second)
	fx, err := fx.With(s.Random, now, a.report(effects.AccountDeleted, accountData{PurgeAt: effects.Time(purgeAt)}))
	if err != nil {
		return err
	}
	if err := s.follow(ctx, a, !a.Deleted(), s.Store.DeleteAccount(ctx, a, pinned, purgeAt, fx, now)); err != nil {
		return fmt.Errorf("deleting the account: %w", err)
	}
	return nil
}

// Restore undoes a deletion before the purge. The account is active if it was active
// before.
//
// Errors: those of Enable, but fault.State for an account that is not deleted.
func (s *Service) Restore(ctx context.Context, a Account, pinned bool, fx effects.Effects) error {
	now := s.now()
	fx, err := fx.With(s.Random, now, a.report(effects.AccountRestored, accountData{}))
	if err != nil {
		return err
	}
	return s.follow(ctx, a, true, s.Store.RestoreAccount(ctx, a, pinned, fx, now))
}

// follow makes the connections follow a change of the account's state, in the time
// that the request has left. err is the result of writing that state. The change is
// already written, so a failure here is no error: the reconciler completes it. Without
// a change there is nothing to do, unless the account is still Following.
func (s *Service) follow(ctx context.Context, a Account, changes bool, err error) error {
	if err != nil || !changes && !a.Following {
		return err
	}
	if err := s.Connections.Follow(ctx, a.ID); err != nil {
		slog.WarnContext(ctx, "some connections have not followed their account yet", slog.Int64("account_id", a.ID), slog.String("error", err.Error()))
	}
	return nil
}
