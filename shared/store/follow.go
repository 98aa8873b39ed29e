package store

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"carrierlink/shared/carrier"
	"carrierlink/shared/store/internal/problem"
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
func (s *Store) FollowConnection(ctx context.Context, conn *carrier.Connection, account carrier.Account) error {
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
		return problem.NoAccount()
	}
	return problem.Changed()
}

// EndFollow says that all connections of the account have followed it: it is no
// longer Following, which its Version does not count. In the same transaction its
// API keys get the end that account.PurgeAt is for the account, or lose it.
//
// It returns fault.NotFound when the account is gone, fault.Precondition when it
// has changed since it was read, and fault.State when its keys keep changing.
func (s *Store) EndFollow(ctx context.Context, account carrier.Account) error {
	a := unchanged(account)
	a.remove(attrDuePK)
	a.remove(attrDueKey)
	for range attempts {
		parts := []part{s.update(partAccount, a)}
		keys, err := s.queryItems(ctx, accountPK(account.ID), skKey, skKey)
		if err != nil {
			return fmt.Errorf("ending an account's mark: %w", err)
		}
		for _, it := range keys {
			r := reader{it: it}
			if r.seconds(attrTTL).Unix() != account.PurgeAt.Unix() {
				e := newEdit(key{r.text(attrPK), r.text(attrSK)})
				e.exists(attrPK)
				e.end(account.PurgeAt)
				parts = append(parts, s.update(partKey, e))
			}
			if err := r.done("API key"); err != nil {
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
		// A key was deleted in between.
	}
	return problem.Busy(fmt.Errorf("the mark of account %d not ended in %d attempts", account.ID, attempts))
}
