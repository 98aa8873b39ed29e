package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
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
			row.write.Put.ConditionExpression = aws.String(*row.write.Put.ConditionExpression + " AND attribute_not_exists(expires_at)")
		}
		parts := []part{s.check(partAccount, unchanged(account)), row}
		if ends {
			e := newEdit(numberKey(next.AccountID, Number{next.Carrier, next.AccountNumber}))
			e.end(next.PurgeAt)
			parts = append(parts, s.update(partNumber, e))
		}
		if ends && snapshot {
			e := newEdit(snapshotKey(next.AccountID, next.ID))
			e.exists(attrPK)
			e.end(next.PurgeAt)
			parts = append(parts, s.update(partSnapshot, e))
		}
		refused, err := s.transact(ctx, parts)
		switch {
		case err != nil:
			return fmt.Errorf("following an account: %w", err)
		case len(refused) == 0:
			*conn = next
			return nil
		case refused.has(partAccount):
			return otherAccount(refused[partAccount])
		case refused.has(partConnection):
			old, err := readConnection(refused[partConnection])
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

// end gives an item an end, none for a zero time.
func (e *edit) end(at time.Time) {
	if at.IsZero() {
		e.remove(attrTTL)
	} else {
		e.set(attrTTL, numberValue(at.Unix()))
	}
}

// otherAccount says why an account is not the one that was read.
func otherAccount(old item) error {
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
	a := unchanged(account)
	a.remove(attrDuePK)
	a.remove(attrDueKey)
	for range attempts {
		parts := []part{s.update(partAccount, a), s.remove(partPurge, newEdit(purgeKey(account.ID)))}
		items, err := s.queryItems(ctx, accountPK(account.ID), skKey, skNumber)
		if err != nil {
			return fmt.Errorf("ending an account's mark: %w", err)
		}
		for _, it := range items {
			r := reader{it: it}
			e := newEdit(key{r.text(attrPK), r.text(attrSK)})
			switch number := strings.HasPrefix(e.key.sk, skNumber); {
			case number && it[attrCarrierIDs] == nil && len(parts) < mostParts:
				e.lacks(attrCarrierIDs)
				parts = append(parts, s.remove(partNumber, e))
			case !number && r.seconds(attrTTL).Unix() != account.PurgeAt.Unix():
				e.exists(attrPK)
				e.end(account.PurgeAt)
				parts = append(parts, s.update(partKey, e))
			}
			if err := r.done("item of an account"); err != nil {
				return err
			}
		}
		refused, err := s.transact(ctx, parts)
		switch {
		case err != nil:
			return fmt.Errorf("ending an account's mark: %w", err)
		case len(refused) == 0:
			return nil
		case refused.has(partAccount):
			return otherAccount(refused[partAccount])
		}
		// A key was deleted in between, or a number taken.
	}
	return fault.Busy(fmt.Errorf("the mark of account %d not ended in %d attempts", account.ID, attempts))
}

// mostParts is as many parts as a transaction of DynamoDB has.
const mostParts = 100

// EndPurge ends what there still is of an account whose purge is due, whether its
// own item is there or not: whatever of its partition has no end, or a later one,
// gets this one (whole seconds), and nothing is left to be done about it. What a
// crash has left of a connection stays until that is settled.
func (s *Store) EndPurge(ctx context.Context, accountID int64, at time.Time) error {
	items, err := s.queryItems(ctx, accountPK(accountID), " ", "~")
	if err != nil {
		return fmt.Errorf("ending what is left of an account: %w", err)
	}
	var parts []part
	for _, it := range items {
		r := reader{it: it}
		e := newEdit(key{r.text(attrPK), r.text(attrSK)})
		row := strings.HasPrefix(e.key.sk, skConnection)
		switch end := r.seconds(attrTTL); {
		case e.key == purgeKey(accountID), row && it[attrDuePK] != nil:
		case end.IsZero(), end.After(at), it[attrDuePK] != nil:
			e.exists(attrPK)
			e.end(at)
			e.remove(attrDuePK)
			e.remove(attrDueKey)
			parts = append(parts, s.update(partEnd, e))
		}
		if err := r.done("item of an account"); err != nil {
			return err
		}
	}
	for n := 0; n < len(parts); n += mostParts {
		if _, err := s.transact(ctx, parts[n:min(n+mostParts, len(parts))]); err != nil {
			return fmt.Errorf("ending what is left of an account: %w", err)
		}
	}
	// Only then: until here the reconciler comes back to it.
	if _, err := s.transact(ctx, []part{s.remove(partPurge, newEdit(purgeKey(accountID)))}); err != nil {
		return fmt.Errorf("ending a purge: %w", err)
	}
	return nil
}
