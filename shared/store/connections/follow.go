package connections

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/store/accounts"
	"carrierlink/shared/store/kit"
)

// FollowConnection writes the row exactly as conn says, on the condition that
// the account that it follows is the one that was read. In the same transaction
// the account number and the snapshot of a visible connection get the end that
// conn.PurgeAt is for the row, or lose it. On success conn is what is stored,
// Version one higher.
//
// It returns fault.NotFound when the account or the row is gone,
// fault.Precondition when the account has changed since it was read, and
// fault.State when the row is another version. Nothing is written then.
func (s *Store) FollowConnection(ctx context.Context, conn *connection.Connection, account account.Account) error {
	next := later(conn)
	// Without an end there was none before, but in a restore; and some
	// connections have no snapshot. The refusal of the first try tells.
	ends, snapshot := next.Visible() && !next.PurgeAt.IsZero(), true
	for {
		row := s.replace(&next, conn.Version)
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
		refused, err := s.table.Transact(ctx, parts)
		switch {
		case err != nil:
			return fmt.Errorf("following an account: %w", err)
		case len(refused) == 0:
			*conn = next
			return nil
		case refused.Has(kit.PartAccount):
			return otherAccount(refused[kit.PartAccount])
		case refused.Has(kit.PartConnection):
			old, err := Read(refused[kit.PartConnection])
			if err != nil {
				return err
			}
			if ends || old.Version != conn.Version {
				return otherRow(refused)
			}
			ends = true
		default:
			snapshot = false
		}
	}
}

// otherAccount says why an account is not the one that was read.
func otherAccount(old kit.Item) error {
	if len(old) == 0 {
		return account.ErrNotFound()
	}
	return account.ErrChanged()
}

// EndFollow says that all connections of the account have followed it: it is no
// longer Following, which its Version does not count. In the same transaction its
// API keys get the end that account.PurgeAt is for the account, or lose it.
// Numbers that nobody holds, which version 0.3 left, go.
//
// It returns fault.NotFound when the account is gone, fault.Precondition when it
// has changed since it was read, and fault.State when its keys keep changing.
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
			e := kit.NewEdit(kit.Key{PK: r.Text(kit.AttrPK), SK: r.Text(kit.AttrSK)})
			switch number := strings.HasPrefix(e.Key.SK, kit.SkNumber); {
			case number && it[kit.AttrCarrierIDs] == nil && len(parts) < kit.MostParts:
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
			return otherAccount(refused[kit.PartAccount])
		}
		// A key was deleted in between, or a number taken.
	}
	return fault.Busy(fmt.Errorf("the mark of account %d not ended in %d attempts", account.ID, kit.Attempts))
}

// EndPurge ends what there still is of an account whose purge is due, whether its
// own item is there or not: whatever of its partition has no end, or a later one,
// gets this one (whole seconds), and nothing is left to be done about it. What a
// crash has left of a connection stays until that is settled.
func (s *Store) EndPurge(ctx context.Context, accountID int64, at time.Time) error {
	items, err := s.table.QueryItems(ctx, kit.AccountPK(accountID), " ", "~")
	if err != nil {
		return fmt.Errorf("ending what is left of an account: %w", err)
	}
	var parts []kit.Part
	for _, it := range items {
		r := kit.Reader{It: it}
		e := kit.NewEdit(kit.Key{PK: r.Text(kit.AttrPK), SK: r.Text(kit.AttrSK)})
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
	for n := 0; n < len(parts); n += kit.MostParts {
		if _, err := s.table.Transact(ctx, parts[n:min(n+kit.MostParts, len(parts))]); err != nil {
			return fmt.Errorf("ending what is left of an account: %w", err)
		}
	}
	// Only then: until here the reconciler comes back to it.
	if _, err := s.table.Transact(ctx, []kit.Part{s.table.Remove(kit.PartPurge, kit.NewEdit(kit.PurgeKey(accountID)))}); err != nil {
		return fmt.Errorf("ending a purge: %w", err)
	}
	return nil
}
