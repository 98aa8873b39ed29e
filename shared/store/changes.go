package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// Every change of an account is one transaction, on the condition that the
// account is the one that was read, and makes its Version one higher. A change
// of nothing writes nothing but the answer, if there is one to keep: no event
// tells of it. A taken Idempotency-Key is *effects.Replay. An account that is
// gone, or whose purge is due, is fault.NotFound.
//
// A change of what the account lets its connections do marks it as Following,
// until EndFollow.

// UpdateAccount writes what New has different from Old, and puts what keeps a
// changed email or external id unique in the place of the old one. ID, partner,
// PurgeAt, CarriersCount, CreatedAt and Version of New do not count: the new
// Version is Old's and one, or Old's where nothing is different.
//
// It returns fault.Precondition when the account is no longer the one that was
// read, fault.State when it is deleted, fault.State with the field when the
// country shall change and a carrier is linked, and then fault.Conflict as
// CreateAccount does.
func (s *Store) UpdateAccount(ctx context.Context, c account.Update, fx effects.Effects, now time.Time) error {
	a, next := c.Old, c.New
	next.ID, next.PartnerID, next.CreatedAt = a.ID, a.PartnerID, a.CreatedAt
	next.PurgeAt, next.CarriersCount, next.Version = a.PurgeAt, a.CarriersCount, a.Version
	if !differ(a, next) {
		if fx.Answer == nil {
			return nil // nothing to do, and no answer to keep
		}
		return s.updateAccount(ctx, a, next, s.check(partAccount, undeleted(unchanged(a))), fx.AnswerOnly(), now)
	}
	e := undeleted(changedAccount(a, next))
	if next.Active != a.Active {
		follow(e, now)
	}
	if next.OriginCountryCode != a.OriginCountryCode {
		e.lacksOr(attrCarriers, "=", numberValue(0))
	}
	return s.updateAccount(ctx, a, next, s.update(partAccount, e), fx, now)
}

// undeleted adds the condition that the account is not deleted.
func undeleted(e *edit) *edit {
	e.lacks(attrTTL)
	return e
}

// updateAccount is the transaction of UpdateAccount. acct is its part about the
// account's own item.
func (s *Store) updateAccount(ctx context.Context, a, next account.Account, acct part, fx effects.Effects, now time.Time) error {
	parts := []part{acct}
	if next.ExternalID != a.ExternalID {
		parts = append(parts, s.swap(a, externalOf(a), externalOf(next), partOldExternal, now)...)
	}
	if next.EmailKey != a.EmailKey {
		parts = append(parts, s.swap(a, emailOf(a), emailOf(next), partOldEmail, now)...)
	}
	refused, err := s.commit(ctx, parts, fx, now)
	switch {
	case err != nil:
		return fmt.Errorf("updating an account: %w", err)
	case len(refused) == 0:
		return nil
	case refused.has(partAccount):
		stored, err := present(refused[partAccount], now)
		switch {
		case err != nil:
			return err
		case stored.Deleted():
			return account.ErrDeleted()
		case stored.Version != a.Version:
			return account.ErrChanged()
		}
		return account.ErrCountryFixed()
	}
	if err := taken(refused, a.PartnerID); err != nil {
		return err
	}
	return errors.New("updating an account: what it gives up is not its own")
}

// SetAccountActive enables or disables an account. One that is so already is
// left as it is. One that has changed since it was read is enabled or disabled
// as it is now, or is fault.Precondition if the change is pinned to what was
// read. One that is deleted is fault.State.
func (s *Store) SetAccountActive(ctx context.Context, a account.Account, pinned, active bool, fx effects.Effects, now time.Time) error {
	return s.changeState(ctx, a, pinned, fx, now, stateChange{
		what:   "enabling or disabling an account",
		done:   func(a account.Account) bool { return a.Active == active && !a.Deleted() },
		refuse: func(a account.Account) error { return a.Changeable() },
		parts: func(a account.Account) []part {
			next := a
			next.Active, next.ModifiedAt = active, now
			e := changedAccount(a, next)
			follow(e, now)
			return []part{s.update(partAccount, e)}
		},
	})
}

// DeleteAccount marks an account as deleted: it is not active, and vanishes at
// purgeAt (whole seconds) with what keeps its email and external id its own.
// What it was is remembered for a restore. One that is deleted already is left
// as it is: the first date stands. One that has changed since it was read is
// deleted as it is now, or is fault.Precondition if the deletion is pinned.
func (s *Store) DeleteAccount(ctx context.Context, a account.Account, pinned bool, purgeAt time.Time, fx effects.Effects, now time.Time) error {
	return s.changeState(ctx, a, pinned, fx, now, stateChange{
		what:   "deleting an account",
		done:   func(a account.Account) bool { return a.Deleted() },
		refuse: func(account.Account) error { return nil },
		parts: func(a account.Account) []part {
			next := a
			next.Active, next.PurgeAt, next.ModifiedAt = false, purgeAt, now
			e := changedAccount(a, next)
			e.set(attrWasActive, boolValue(a.Active))
			e.set(attrWasIn, textValue(activePK(a.PartnerID, a.Active)))
			follow(e, now)
			end := func(e *edit) { e.set(attrTTL, numberValue(purgeAt.Unix())) }
			mark := purgeKey(a.ID).item()
			mark.text(attrDuePK, repairPK)
			mark.text(attrDueKey, repairKey(now))
			return append([]part{s.update(partAccount, e), s.put(partPurge, mark, "", nil)}, s.eachIdentifier(a, end)...)
		},
	})
}

// RestoreAccount takes a deletion back: the account is active if it was before.
// One that is not deleted is fault.State. One that has changed since it was read
// is restored as it is now, or is fault.Precondition if the change is pinned.
func (s *Store) RestoreAccount(ctx context.Context, a account.Account, pinned bool, fx effects.Effects, now time.Time) error {
	return s.changeState(ctx, a, pinned, fx, now, stateChange{
		what:   "restoring an account",
		done:   func(account.Account) bool { return false },
		refuse: func(a account.Account) error { return a.Restorable() },
		parts: func(a account.Account) []part {
			next := a
			next.PurgeAt, next.ModifiedAt = time.Time{}, now
			e := changedAccount(a, next)
			e.compares(attrTTL, ">", numberValue(now.Unix()))
			e.setFrom(attrActive, attrWasActive)
			e.setFrom(attrActivePK, attrWasIn)
			e.remove(attrWasActive)
			e.remove(attrWasIn)
			follow(e, now)
			return append([]part{s.update(partAccount, e)}, s.eachIdentifier(a, func(e *edit) { e.remove(attrTTL) })...)
		},
	})
}

// stateChange is a change from one state of an account to another.
type stateChange struct {
	what   string                       // for errors
	done   func(account.Account) bool   // the account is as it shall be
	refuse func(account.Account) error  // the account is in no state for it
	parts  func(account.Account) []part // the change, on conditions that hold for this version of the account
}

// changeState makes a change of whatever version of the account is there: when
// it is another one than was read, the refusal brings that along, and it is
// tried again. A pinned change is of the version that was read only.
func (s *Store) changeState(ctx context.Context, a account.Account, pinned bool, fx effects.Effects, now time.Time, c stateChange) error {
	for range attempts {
		var parts []part
		with := fx.AnswerOnly()
		refusal := c.refuse(a)
		switch {
		case refusal != nil && fx.Answer == nil:
			return refusal
		case refusal != nil:
			// The key is asked whether this is a repeat of what has been done.
			never := unchanged(a)
			never.lacks(attrPK)
			parts = []part{s.check(partAccount, never)}
		case !c.done(a):
			parts, with = c.parts(a), fx
		case fx.Answer == nil:
			return nil // nothing to do, and no answer to keep
		default:
			parts = []part{s.check(partAccount, unchanged(a))}
		}
		refused, err := s.commit(ctx, parts, with, now)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", c.what, err)
		case len(refused) == 0:
			return nil
		case !refused.has(partAccount) && a.Deleted():
			// Purged by the clock of whoever holds its identifiers now.
			return account.ErrNotFound()
		case !refused.has(partAccount):
			return fmt.Errorf("%s: its identifiers are not its own", c.what)
		}
		stored, err := present(refused[partAccount], now)
		if err != nil {
			return err
		}
		switch {
		case refusal != nil && stored.Version == a.Version:
			return refusal
		case pinned && stored.Version != a.Version:
			return account.ErrChanged()
		}
		a = stored
	}
	return fault.Busy(fmt.Errorf("%s: another version in each of %d attempts", c.what, attempts))
}

// differ tells whether the two are kept differently, but for the count of
// carriers, which is the links'.
func differ(a, next account.Account) bool {
	e := newEdit(accountKey(a.ID))
	e.change(accountItem(a), accountItem(next), attrCarriers)
	return len(e.sets)+len(e.removes) > 0
}

// unchanged is an edit of the account that was read.
func unchanged(a account.Account) *edit {
	e := newEdit(accountKey(a.ID))
	e.compares(attrVersion, "=", numberValue(a.Version))
	return e
}

// changedAccount is an edit that makes the account that was read the next one.
// Links count its carriers meanwhile: their number is left alone.
func changedAccount(a, next account.Account) *edit {
	next.Version = a.Version + 1
	e := unchanged(a)
	e.change(accountItem(a), accountItem(next), attrCarriers)
	return e
}

// present is the account that a condition was refused by. One that is absent, or
// whose purge is due, is fault.NotFound.
func present(it item, now time.Time) (account.Account, error) {
	if len(it) == 0 || lapsed(it, now) {
		return account.Account{}, account.ErrNotFound()
	}
	return readAccount(it)
}
