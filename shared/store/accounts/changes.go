package accounts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/store/kit"
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
		return s.updateAccount(ctx, a, next, s.table.Check(kit.PartAccount, undeleted(Unchanged(a))), fx.AnswerOnly(), now)
	}
	e := undeleted(changedAccount(a, next))
	if next.Active != a.Active {
		Follow(e, now)
	}
	if next.OriginCountryCode != a.OriginCountryCode {
		e.LacksOr(kit.AttrCarriers, "=", kit.NumberValue(0))
	}
	return s.updateAccount(ctx, a, next, s.table.Update(kit.PartAccount, e), fx, now)
}

// undeleted adds the condition that the account is not deleted.
func undeleted(e *kit.Edit) *kit.Edit {
	e.Lacks(kit.AttrTTL)
	return e
}

// updateAccount is the transaction of UpdateAccount. acct is its part about the
// account's own item.
func (s *Store) updateAccount(ctx context.Context, a, next account.Account, acct kit.Part, fx effects.Effects, now time.Time) error {
	parts := []kit.Part{acct}
	if next.ExternalID != a.ExternalID {
		parts = append(parts, s.swap(a, externalOf(a), externalOf(next), kit.PartOldExternal, now)...)
	}
	if next.EmailKey != a.EmailKey {
		parts = append(parts, s.swap(a, emailOf(a), emailOf(next), kit.PartOldEmail, now)...)
	}
	refused, err := s.table.Commit(ctx, parts, fx, now)
	switch {
	case err != nil:
		return fmt.Errorf("updating an account: %w", err)
	case len(refused) == 0:
		return nil
	case refused.Has(kit.PartAccount):
		stored, err := present(refused[kit.PartAccount], now)
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
		parts: func(a account.Account) []kit.Part {
			next := a
			next.Active, next.ModifiedAt = active, now
			e := changedAccount(a, next)
			Follow(e, now)
			return []kit.Part{s.table.Update(kit.PartAccount, e)}
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
		parts: func(a account.Account) []kit.Part {
			next := a
			next.Active, next.PurgeAt, next.ModifiedAt = false, purgeAt, now
			e := changedAccount(a, next)
			e.Set(kit.AttrWasActive, kit.BoolValue(a.Active))
			e.Set(kit.AttrWasIn, kit.TextValue(kit.ActivePK(a.PartnerID, a.Active)))
			Follow(e, now)
			end := func(e *kit.Edit) { e.Set(kit.AttrTTL, kit.NumberValue(purgeAt.Unix())) }
			mark := kit.PurgeKey(a.ID).Item()
			mark.Text(kit.AttrDuePK, kit.RepairPK)
			mark.Text(kit.AttrDueKey, kit.RepairKey(now))
			return append([]kit.Part{s.table.Update(kit.PartAccount, e), s.table.Put(kit.PartPurge, mark, "", nil)}, s.eachIdentifier(a, end)...)
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
		parts: func(a account.Account) []kit.Part {
			next := a
			next.PurgeAt, next.ModifiedAt = time.Time{}, now
			e := changedAccount(a, next)
			e.Compares(kit.AttrTTL, ">", kit.NumberValue(now.Unix()))
			e.SetFrom(kit.AttrActive, kit.AttrWasActive)
			e.SetFrom(kit.AttrActivePK, kit.AttrWasIn)
			e.Remove(kit.AttrWasActive)
			e.Remove(kit.AttrWasIn)
			Follow(e, now)
			return append([]kit.Part{s.table.Update(kit.PartAccount, e)}, s.eachIdentifier(a, func(e *kit.Edit) { e.Remove(kit.AttrTTL) })...)
		},
	})
}

// stateChange is a change from one state of an account to another.
type stateChange struct {
	what   string                           // for errors
	done   func(account.Account) bool       // the account is as it shall be
	refuse func(account.Account) error      // the account is in no state for it
	parts  func(account.Account) []kit.Part // the change, on conditions that hold for this version of the account
}

// changeState makes a change of whatever version of the account is there: when
// it is another one than was read, the refusal brings that along, and it is
// tried again. A pinned change is of the version that was read only.
func (s *Store) changeState(ctx context.Context, a account.Account, pinned bool, fx effects.Effects, now time.Time, c stateChange) error {
	for range kit.Attempts {
		var parts []kit.Part
		with := fx.AnswerOnly()
		refusal := c.refuse(a)
		switch {
		case refusal != nil && fx.Answer == nil:
			return refusal
		case refusal != nil:
			// The key is asked whether this is a repeat of what has been done.
			never := Unchanged(a)
			never.Lacks(kit.AttrPK)
			parts = []kit.Part{s.table.Check(kit.PartAccount, never)}
		case !c.done(a):
			parts, with = c.parts(a), fx
		case fx.Answer == nil:
			return nil // nothing to do, and no answer to keep
		default:
			parts = []kit.Part{s.table.Check(kit.PartAccount, Unchanged(a))}
		}
		refused, err := s.table.Commit(ctx, parts, with, now)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", c.what, err)
		case len(refused) == 0:
			return nil
		case !refused.Has(kit.PartAccount) && a.Deleted():
			// Purged by the clock of whoever holds its identifiers now.
			return account.ErrNotFound()
		case !refused.Has(kit.PartAccount):
			return fmt.Errorf("%s: its identifiers are not its own", c.what)
		}
		stored, err := present(refused[kit.PartAccount], now)
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
	return fault.Busy(fmt.Errorf("%s: another version in each of %d attempts", c.what, kit.Attempts))
}

// differ tells whether the two are kept differently, but for the count of
// carriers, which is the links'.
func differ(a, next account.Account) bool {
	e := kit.NewEdit(kit.AccountKey(a.ID))
	e.Change(Item(a), Item(next), kit.AttrCarriers)
	return len(e.Sets)+len(e.Removes) > 0
}

// Unchanged is an edit of the account that was read.
func Unchanged(a account.Account) *kit.Edit {
	e := kit.NewEdit(kit.AccountKey(a.ID))
	e.Compares(kit.AttrVersion, "=", kit.NumberValue(a.Version))
	return e
}

// changedAccount is an edit that makes the account that was read the next one.
// Links count its carriers meanwhile: their number is left alone.
func changedAccount(a, next account.Account) *kit.Edit {
	next.Version = a.Version + 1
	e := Unchanged(a)
	e.Change(Item(a), Item(next), kit.AttrCarriers)
	return e
}

// present is the account that a condition was refused by. One that is absent, or
// whose purge is due, is fault.NotFound.
func present(it kit.Item, now time.Time) (account.Account, error) {
	if len(it) == 0 || kit.Lapsed(it, now) {
		return account.Account{}, account.ErrNotFound()
	}
	return Read(it)
}
