package store

import (
	"context"
	"fmt"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/store/internal/problem"
)

// ClaimCheck takes the connection's lease until the given time, for one check,
// and returns the row as it is then: its Version is what RecordCheck needs. A
// row that is gone or disconnected is fault.NotFound. fault.State says that the
// row is no longer the one that was read, that it is still an intent, or that
// somebody is at it, or was when work was left undone; RetryAfter is the rest of
// a lease that runs.
func (s *Store) ClaimCheck(ctx context.Context, conn carrier.Connection, until, now time.Time) (carrier.Connection, error) {
	e := claiming(conn.AccountID, conn.ID, until, now)
	e.compares(attrVersion, "=", numberValue(conn.Version))
	return s.claim(ctx, e, false, now)
}

// ClaimDue is ClaimCheck for the schedule, which has not read the row: in one
// conditional write, on whatever version is there. A row that is gone,
// disconnected or still an intent is fault.NotFound. fault.State says that its
// next check is not due, that it is not checked by itself, or that somebody is
// at it; RetryAfter is the rest of a lease that runs.
func (s *Store) ClaimDue(ctx context.Context, accountID int64, connectionID string, until, now time.Time) (carrier.Connection, error) {
	e := claiming(accountID, connectionID, until, now)
	e.compares(attrNextCheck, "<=", timeValue(now))
	e.compares(attrStanding, "=", textValue(string(carrier.StandingActive)))
	return s.claim(ctx, e, true, now)
}

// claiming is an edit that takes a row's lease, where nobody is at it. It leaves
// by_due alone: a check that is never recorded stays due.
func claiming(accountID int64, connectionID string, until, now time.Time) *edit {
	e := newEdit(connectionKey(accountID, connectionID))
	e.set(attrLease, timeValue(until))
	e.add(attrVersion, 1)
	e.compares(attrStatus, "<>", textValue(string(carrier.Linking)))
	e.compares(attrStatus, "<>", textValue(string(carrier.Disconnected)))
	e.lacks(attrWork)
	e.lacksOr(attrLease, "<=", timeValue(now))
	e.lacksOr(attrTTL, ">", numberValue(now.Unix()))
	return e
}

// claim makes such an edit, for the schedule or for a caller that has read the
// row.
func (s *Store) claim(ctx context.Context, e *edit, due bool, now time.Time) (carrier.Connection, error) {
	it, refused, err := s.edited(ctx, e)
	if err != nil {
		return carrier.Connection{}, fmt.Errorf("claiming a connection: %w", err)
	}
	if refused && (len(it) == 0 || lapsed(it, now)) {
		return carrier.Connection{}, problem.NoConnection()
	}
	row, err := readConnection(it)
	if err != nil || !refused {
		return row, err
	}
	rest := row.LeaseUntil.Sub(now)
	switch {
	case row.Status == carrier.Disconnected, due && row.Status == carrier.Linking:
		err = problem.NoConnection()
	case rest > 0:
		err = problem.Leased(rest)
	case due:
		err = problem.NotDue()
	default:
		err = problem.MovedOn()
	}
	return carrier.Connection{}, err
}

// RecordCheck writes the row as conn says and ends the lease, and in the same
// transaction the entry of the history (nil: none) and the snapshot (nil: the
// one that is there stays). On success conn is what is stored, Version one
// higher. It returns fault.NotFound when the row is gone, and fault.State when
// it is no longer the one that was claimed: nothing is written then.
func (s *Store) RecordCheck(ctx context.Context, conn *carrier.Connection, entry *carrier.HistoryEntry, snap *carrier.Snapshot) error {
	next := freed(conn)
	if entry == nil && snap == nil {
		if err := s.saveRow(ctx, conn, next); err != nil {
			return fmt.Errorf("recording a check: %w", err)
		}
		return nil
	}
	refused, err := s.transact(ctx, append([]part{s.replace(&next, conn.Version)}, s.checked(&next, entry, snap)...))
	if err != nil {
		return fmt.Errorf("recording a check: %w", err)
	}
	if err := otherRow(refused); err != nil {
		return err
	}
	*conn = next
	return nil
}
