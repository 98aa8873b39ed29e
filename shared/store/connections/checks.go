package connections

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
	"carrierlink/shared/store/kit"
)

// ClaimCheck takes the connection's lease until the given time, for one check,
// and returns the row as it is then: its Version is what RecordCheck needs. A
// row that is gone or disconnected is fault.NotFound. fault.State says that the
// row is no longer the one that was read, that it is still an intent, or that
// somebody is at it, or was when work was left undone; RetryAfter is the rest of
// a lease that runs.
func (s *Store) ClaimCheck(ctx context.Context, conn connection.Connection, until, now time.Time) (connection.Connection, error) {
	e := claiming(conn.AccountID, conn.ID, until, now)
	e.Compares(kit.AttrVersion, "=", kit.NumberValue(conn.Version))
	it, refused, err := s.table.Edited(ctx, e)
	if err != nil {
		return connection.Connection{}, fmt.Errorf("claiming a connection: %w", err)
	}
	if refused && (len(it) == 0 || kit.Lapsed(it, now)) {
		return connection.Connection{}, connection.ErrNoConnection()
	}
	row, err := Read(it)
	if err != nil || !refused {
		return row, err
	}
	rest := row.LeaseUntil.Sub(now)
	switch {
	case row.Status == connection.Disconnected:
		err = connection.ErrNoConnection()
	case rest > 0:
		err = connection.ErrLeased(rest)
	default:
		err = connection.ErrMoved()
	}
	return connection.Connection{}, err
}

// ClaimDue is ClaimCheck for the schedule, which has not read the row: in one
// conditional write, on whatever version is there. The same write makes the row
// due again as t.ClaimedUntil says and counts the claim, so that a check which is
// never recorded, whatever the reason, comes again by itself and stands in
// nobody's way; from the second claim that was not recorded on another write puts
// it off further. d is the entry of by_due.
//
// A row that is gone, disconnected or still an intent is fault.NotFound.
// fault.State says that its next check is not due, that it is not checked by
// itself, or that somebody is at it; RetryAfter is the rest of a lease that runs.
// A row that nobody can read is fault.Internal with connection.ErrPostponed. An
// entry of by_due that the row contradicts is put off by a day, whichever it is.
func (s *Store) ClaimDue(ctx context.Context, d connection.Due, until, now time.Time, t health.Timing) (connection.Connection, error) {
	e := claiming(d.AccountID, d.ConnectionID, until, now)
	e.Compares(kit.AttrNextCheck, "<=", kit.TimeValue(now))
	e.Compares(kit.AttrStanding, "=", kit.TextValue(string(account.StandingActive)))
	e.Add(kit.AttrUnrecorded, 1)
	due(e, d, t.ClaimedUntil(1, until, now))
	it, refused, err := s.table.Edited(ctx, e)
	switch {
	case invalid(err):
		// Some attribute is of another type: no claim of it can succeed.
		if _, postponed := s.putOff(ctx, d, now); postponed == nil {
			err = fmt.Errorf("%w: %w", connection.ErrPostponed, err)
		}
		return connection.Connection{}, fmt.Errorf("claiming a connection: %w", err)
	case err != nil:
		return connection.Connection{}, fmt.Errorf("claiming a connection: %w", err)
	case refused:
		return connection.Connection{}, s.notClaimed(ctx, it, d, now)
	}
	r := kit.Reader{It: it}
	if claims := int(r.Int(kit.AttrUnrecorded)); claims > 1 {
		later := kit.NewEdit(e.Key)
		later.Compares(kit.AttrVersion, "=", kit.NumberValue(r.Int(kit.AttrVersion)))
		later.Add(kit.AttrVersion, 1)
		due(later, d, t.ClaimedUntil(claims, until, now))
		next, changed, err := s.table.Edited(ctx, later)
		if err != nil {
			return connection.Connection{}, fmt.Errorf("putting a connection off: %w", err)
		}
		if !changed { // else its owner has changed it since, and the claim stands
			it = next
		}
	}
	row, err := Read(it)
	if err != nil {
		return connection.Connection{}, fmt.Errorf("%w: %w", connection.ErrPostponed, err)
	}
	return row, nil
}

// due makes a row due at a time.
func due(e *kit.Edit, d connection.Due, at time.Time) {
	e.Set(kit.AttrNextCheck, kit.TimeValue(at))
	e.Set(kit.AttrDueKey, kit.TextValue(kit.RefreshKey(at, d.CredentialID, d.PartnerID)))
}

// notClaimed says why a row was not claimed as due. Where its entry of by_due says
// that it is due although no claim can succeed, the entry is wrong: it is put off.
func (s *Store) notClaimed(ctx context.Context, it kit.Item, d connection.Due, now time.Time) error {
	r := kit.Reader{It: it}
	leased := r.Time(kit.AttrLease).After(now)
	entry := strings.HasPrefix(r.Text(kit.AttrDuePK), kit.RefreshPrefix) && r.Text(kit.AttrDueKey) < kit.DueUntil(now)
	var put error
	if entry && !leased {
		_, put = s.putOff(ctx, d, now)
	}
	if len(it) == 0 || kit.Lapsed(it, now) {
		return errors.Join(connection.ErrNoConnection(), put)
	}
	row, err := Read(it)
	switch {
	case err != nil && entry && !leased && put == nil:
		return fmt.Errorf("%w: %w", connection.ErrPostponed, err)
	case err != nil:
		return errors.Join(err, put)
	case !row.Visible():
		err = connection.ErrNoConnection()
	case leased:
		err = connection.ErrLeased(row.LeaseUntil.Sub(now))
	default:
		err = connection.ErrNotDue()
	}
	return errors.Join(err, put)
}

// putOff moves an entry of by_due by a day, and touches nothing else of the row.
func (s *Store) putOff(ctx context.Context, d connection.Due, now time.Time) (refused bool, err error) {
	e := kit.NewEdit(kit.ConnectionKey(d.AccountID, d.ConnectionID))
	e.Compares(kit.AttrDueKey, "<", kit.TextValue(kit.DueUntil(now)))
	e.Set(kit.AttrDueKey, kit.TextValue(kit.RefreshKey(now.Add(24*time.Hour), d.CredentialID, d.PartnerID)))
	_, refused, err = s.table.Edited(ctx, e)
	if err != nil {
		return refused, fmt.Errorf("putting an entry off: %w", err)
	}
	return refused, nil
}

// invalid tells whether DynamoDB refuses a call for what it says, not for what is
// there or how busy it is.
func invalid(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "ValidationException"
}

// claiming is an edit that takes a row's lease, where nobody is at it.
func claiming(accountID int64, connectionID string, until, now time.Time) *kit.Edit {
	e := kit.NewEdit(kit.ConnectionKey(accountID, connectionID))
	e.Set(kit.AttrLease, kit.TimeValue(until))
	e.Add(kit.AttrVersion, 1)
	e.Compares(kit.AttrStatus, "<>", kit.TextValue(string(connection.Linking)))
	e.Compares(kit.AttrStatus, "<>", kit.TextValue(string(connection.Disconnected)))
	e.Lacks(kit.AttrWork)
	e.LacksOr(kit.AttrLease, "<=", kit.TimeValue(now))
	e.LacksOr(kit.AttrTTL, ">", kit.NumberValue(now.Unix()))
	return e
}

// RecordCheck writes the row as conn says and ends the lease, and in the same
// transaction the entry of the history (nil: none), the snapshot (nil: the one
// that is there stays) and the effects. On success conn is what is stored, Version
// one higher. It returns *effects.Replay when the Idempotency-Key is taken,
// fault.NotFound when the row is gone, and fault.State when it is no longer the
// one that was claimed: nothing is written then.
func (s *Store) RecordCheck(ctx context.Context, conn *connection.Connection, entry *connection.HistoryEntry, snap *connection.Snapshot, fx effects.Effects, now time.Time) error {
	next := freed(conn)
	refused, err := s.table.Commit(ctx, append([]kit.Part{s.replace(&next, conn.Version)}, s.checked(&next, entry, snap)...), fx, now)
	if err != nil {
		return fmt.Errorf("recording a check: %w", err)
	}
	if err := otherRow(refused); err != nil {
		return err
	}
	*conn = next
	return nil
}
