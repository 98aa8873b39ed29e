package connections

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/store/accounts"
	"carrierlink/shared/store/kit"
)

// FollowConnection writes the row on the condition that its account is the version that
// was read. In the same transaction it lets the number and the snapshot of a visible
// connection expire with the row, at conn.PurgeAt, or not at all if that is zero, and
// writes the effects.
//
// It returns fault.NotFound also if the account is gone, and fault.Precondition if it has
// changed since it was read.
func (s *Store) FollowConnection(ctx context.Context, conn *connection.Connection, account account.Account, fx effects.Effects, now time.Time) error {
	next := later(conn)
	// Assume that a row without an end had none before, which is wrong in a restore
	// only, and that it has a snapshot. The first attempt's refusal tells otherwise.
	ends, snapshot := next.Visible() && !next.PurgeAt.IsZero(), true
	for {
		row := s.replace(&next)
		if next.Visible() && !ends {
			row.Write.Put.ConditionExpression = aws.String(*row.Write.Put.ConditionExpression + " AND attribute_not_exists(expires_at)")
		}
		parts := []kit.Part{s.table.Check(kit.PartAccount, accounts.Unchanged(account)), row}
		if ends {
			e := kit.NewEdit(kit.NumberKey(next.AccountID, connection.Number{Carrier: next.Carrier, Number: next.AccountNumber}))
			e.End(next.PurgeAt)
			parts = append(parts, s.table.Update(kit.PartNumber, e))
		}
		if ends && snapshot {
			e := kit.NewEdit(kit.SnapshotKey(next.AccountID, next.ID))
			e.Exists(kit.AttrPK)
			e.End(next.PurgeAt)
			parts = append(parts, s.table.Update(kit.PartSnapshot, e))
		}
		refused, err := s.table.Commit(ctx, parts, fx, now)
		switch {
		case err != nil:
			return fmt.Errorf("following an account: %w", err)
		case len(refused) == 0:
			*conn = next
			return nil
		case refused.Has(kit.PartAccount):
			return accountRefused(refused[kit.PartAccount])
		case refused.Has(kit.PartConnection):
			old, err := FromItem(refused[kit.PartConnection])
			if err != nil {
				return err
			}
			if ends || old.Version != conn.Version {
				return rowRefused(refused)
			}
			ends = true
		default:
			snapshot = false
		}
	}
}

// accountRefused returns why an account is not the version that was read.
func accountRefused(old kit.Item) error {
	if len(old) == 0 {
		return account.ErrNotFound()
	}
	return account.ErrChanged()
}

// EndFollow writes that all connections have followed the account: it is no longer
// Following. Its Version stays. In the same transaction it lets the account's API keys
// expire with the account, at account.PurgeAt, or not at all if that is zero. It
// removes numbers without holders, which version 0.3 left.
//
// It returns fault.NotFound if the account is gone, fault.Precondition if it has
// changed since it was read, and fault.State if its keys keep changing.
func (s *Store) EndFollow(ctx context.Context, account account.Account) error {
	a := accounts.Unchanged(account)
	a.Remove(kit.AttrDuePK)
	a.Remove(kit.AttrDueKey)
	for range kit.Attempts {
		parts := []kit.Part{s.table.Update(kit.PartAccount, a), s.table.Remove(kit.PartPurge, kit.NewEdit(kit.PurgeKey(account.ID)))}
		items, err := s.table.QueryItems(ctx, kit.AccountPK(account.ID), kit.SkKey, kit.SkNumber)
		if err != nil {
			return fmt.Errorf("ending an account's mark: %w", err)
		}
		for _, it := range items {
			r := kit.Reader{It: it}
			e := kit.NewEdit(r.Key())
			switch number := strings.HasPrefix(e.Key.SK, kit.SkNumber); {
			case number && it[kit.AttrCarrierIDs] == nil && len(parts) < kit.MaxParts:
				e.Lacks(kit.AttrCarrierIDs)
				parts = append(parts, s.table.Remove(kit.PartNumber, e))
			case !number && r.Seconds(kit.AttrTTL).Unix() != account.PurgeAt.Unix():
				e.Exists(kit.AttrPK)
				e.End(account.PurgeAt)
				parts = append(parts, s.table.Update(kit.PartKey, e))
			}
			if err := r.Done("item of an account"); err != nil {
				return err
			}
		}
		refused, err := s.table.Transact(ctx, parts)
		switch {
		case err != nil:
			return fmt.Errorf("ending an account's mark: %w", err)
		case len(refused) == 0:
			return nil
		case refused.Has(kit.PartAccount):
			return accountRefused(refused[kit.PartAccount])
		}
		// A key was deleted since it was read, or a number taken.
	}
	return fault.Busy(fmt.Errorf("the mark of account %d not ended in %d attempts", account.ID, kit.Attempts))
}

// EndPurge lets the rest of an account whose purge is due expire, whether or not its
// own item is still there: each item of its partition that expires never or later than
// at (whole seconds) expires then, and leaves by_due. Connections with work are left
// alone until their work is finished.
func (s *Store) EndPurge(ctx context.Context, accountID int64, at time.Time) error {
	items, err := s.table.QueryItems(ctx, kit.AccountPK(accountID), " ", "~")
	if err != nil {
		return fmt.Errorf("ending the items of an account: %w", err)
	}
	var parts []kit.Part
	for _, it := range items {
		r := kit.Reader{It: it}
		e := kit.NewEdit(r.Key())
		row := strings.HasPrefix(e.Key.SK, kit.SkConnection)
		switch end := r.Seconds(kit.AttrTTL); {
		case e.Key == kit.PurgeKey(accountID), row && it[kit.AttrDuePK] != nil:
		case end.IsZero(), end.After(at), it[kit.AttrDuePK] != nil:
			e.Exists(kit.AttrPK)
			e.End(at)
			e.Remove(kit.AttrDuePK)
			e.Remove(kit.AttrDueKey)
			parts = append(parts, s.table.Update(kit.PartEnd, e))
		}
		if err := r.Done("item of an account"); err != nil {
			return err
		}
	}
	for n := 0; n < len(parts); n += kit.MaxParts {
		if _, err := s.table.Transact(ctx, parts[n:min(n+kit.MaxParts, len(parts))]); err != nil {
			return fmt.Errorf("ending the items of an account: %w", err)
		}
	}
	// The mark goes last: until then the reconciler comes back to the account.
	if _, err := s.table.Transact(ctx, []kit.Part{s.table.Remove(kit.PartPurge, kit.NewEdit(kit.PurgeKey(accountID)))}); err != nil {
		return fmt.Errorf("ending a purge: %w", err)
	}
	return nil
}
