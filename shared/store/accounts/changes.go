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

// Every change of an account is one transaction, on the condition that the account is
// still the version that was read, and makes its Version one higher. A change of state
// applies to the current version instead, unless it is pinned: then it is
// fault.Precondition if the account has changed since it was read. A change without
// effect writes only the answer; without one it makes no call. Those that make a call
// return *effects.Replay if the Idempotency-Key is taken, and fault.NotFound if the
// account is gone or its purge is due.
//
// A change of Standing marks the account as Following, until EndFollow.

// UpdateAccount writes the differences between Old and New, and replaces the items
// that keep a changed email or external id unique. It ignores ID, PartnerID, PurgeAt,
// CarriersCount, CreatedAt, Following and Version of New.
//
// It returns fault.State if the account is deleted, else fault.Precondition if it is no
// longer the version that was read, fault.State with the field if the country changes
// while a carrier is linked, and else fault.Conflict as CreateAccount does.
func (s *Store) UpdateAccount(ctx context.Context, c account.Update, fx effects.Effects, now time.Time) error {
	a, next := c.Old, c.New
	next.ID, next.PartnerID, next.CreatedAt = a.ID, a.PartnerID, a.CreatedAt
	next.PurgeAt, next.CarriersCount, next.Version = a.PurgeAt, a.CarriersCount, a.Version
	differences := kit.NewEdit(kit.AccountKey(a.ID))
	differences.Change(Item(a), Item(next))
	if !differences.Changes() {
		if fx.Answer == nil {
			return nil
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

// LoginParts returns the parts that change the password hash or the email of an account, on
// the condition that it is still the version that was read and not deleted.
func LoginParts(t *kit.Table, c account.Update, now time.Time) []kit.Part {
	own := t.Update(kit.PartAccount, undeleted(changedAccount(c.Old, c.New)))
	return append([]kit.Part{own}, swaps(t, c.Old, c.New, now)...)
}

// undeleted adds the condition that the account is not deleted.
func undeleted(e *kit.Edit) *kit.Edit {
	e.Lacks(kit.AttrTTL)
	return e
}

// updateAccount writes the transaction of UpdateAccount; acct is the part for the
// account's own item.
func (s *Store) updateAccount(ctx context.Context, a, next account.Account, acct kit.Part, fx effects.Effects, now time.Time) error {
	parts := append([]kit.Part{acct}, swaps(s.table, a, next, now)...)
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
	if err := Taken(refused, a.PartnerID); err != nil {
		return err
	}
	return errors.New("updating an account: the account does not hold the identifier that it gives up")
}

// SetAccountActive enables or disables an account. A deleted account is fault.State.
func (s *Store) SetAccountActive(ctx context.Context, a account.Account, pinned, active bool, fx effects.Effects, now time.Time) error {
	return s.changeState(ctx, a, pinned, fx, now, stateChange{
		name:   "enabling or disabling an account",
		done:   func(a account.Account) bool { return a.Active == active },
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

// DeleteAccount marks an account as deleted: it is inactive, and at purgeAt (whole
// seconds) it expires with the items that keep its email and external id unique.
// Whether it was active is kept for a restore. An account that is deleted already
// keeps its first purgeAt.
func (s *Store) DeleteAccount(ctx context.Context, a account.Account, pinned bool, purgeAt time.Time, fx effects.Effects, now time.Time) error {
	return s.changeState(ctx, a, pinned, fx, now, stateChange{
		name:   "deleting an account",
		done:   func(a account.Account) bool { return a.Deleted() },
		refuse: func(account.Account) error { return nil },
		parts: func(a account.Account) []kit.Part {
			next := a
			next.Active, next.PurgeAt, next.ModifiedAt = false, purgeAt, now
			e := changedAccount(a, next)
			e.Set(kit.AttrWasActive, kit.BoolValue(a.Active))
			e.Set(kit.AttrWasIn, kit.TextValue(kit.ActivePK(a.PartnerID, a.Active)))
			Follow(e, now)
			mark := kit.PurgeKey(a.ID).Item()
			mark.Text(kit.AttrDuePK, kit.RepairPK)
			mark.Text(kit.AttrDueKey, kit.RepairKey(now))
			return append([]kit.Part{s.table.Update(kit.PartAccount, e), s.table.Put(kit.PartPurge, mark, "", nil)}, s.endIdentifiers(a, purgeAt)...)
		},
	})
}

// RestoreAccount undoes a deletion: the account is active if it was before. An account
// that is not deleted is fault.State.
func (s *Store) RestoreAccount(ctx context.Context, a account.Account, pinned bool, fx effects.Effects, now time.Time) error {
	return s.changeState(ctx, a, pinned, fx, now, stateChange{
		name:   "restoring an account",
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
			return append([]kit.Part{s.table.Update(kit.PartAccount, e)}, s.endIdentifiers(a, time.Time{})...)
		},
	})
}

// stateChange is a change from one state of an account to another.
type stateChange struct {
	name   string                           // for errors
	done   func(account.Account) bool       // tells whether the account is in the new state already
	refuse func(account.Account) error      // the error of an account whose state forbids the change
	parts  func(account.Account) []kit.Part // the change, on the condition of this version of the account
}

// changeState writes a change of the current version of the account: if that is not the
// one that was read, the refused write returns it, and changeState tries again.
func (s *Store) changeState(ctx context.Context, a account.Account, pinned bool, fx effects.Effects, now time.Time, c stateChange) error {
	for range kit.Attempts {
		var parts []kit.Part
		with := fx.AnswerOnly()
		refusal := c.refuse(a)
		switch {
		case refusal != nil && fx.Answer == nil:
			return refusal
		case refusal != nil:
			// This condition never holds: the write only finds out whether the
			// Idempotency-Key is taken, that is, whether the request is a repeat.
			never := Unchanged(a)
			never.Lacks(kit.AttrPK)
			parts = []kit.Part{s.table.Check(kit.PartAccount, never)}
		case !c.done(a):
			parts, with = c.parts(a), fx.After(a.ModifiedAt)
		case fx.Answer == nil:
			return nil
		default:
			parts = []kit.Part{s.table.Check(kit.PartAccount, Unchanged(a))}
		}
		refused, err := s.table.Commit(ctx, parts, with, now)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", c.name, err)
		case len(refused) == 0:
			return nil
		case !refused.Has(kit.PartAccount) && a.Deleted():
			// Another account has taken its identifiers: by the clock of that write,
			// the purge was due.
			return account.ErrNotFound()
		case !refused.Has(kit.PartAccount):
			return fmt.Errorf("%s: the account does not hold its identifiers", c.name)
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
	return fault.Busy(fmt.Errorf("%s: the account changed before each of %d attempts", c.name, kit.Attempts))
}

// Unchanged returns an edit on the condition that the account is the version that was
// read.
func Unchanged(a account.Account) *kit.Edit {
	e := kit.NewEdit(kit.AccountKey(a.ID))
	e.Compares(kit.AttrVersion, "=", kit.NumberValue(a.Version))
	return e
}

// changedAccount returns an edit from the version that was read to the next one. Both
// have the same count of carriers, which links and unlinkings change meanwhile.
func changedAccount(a, next account.Account) *kit.Edit {
	next.Version = a.Version + 1
	e := Unchanged(a)
	e.Change(Item(a), Item(next))
	return e
}

// present reads an account from its item: fault.NotFound if it is absent or its purge
// is due.
func present(it kit.Item, now time.Time) (account.Account, error) {
	if kit.Gone(it, now) {
		return account.Account{}, account.ErrNotFound()
	}
	return FromItem(it)
}
