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
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/store/kit"
)

// ClaimCheck leases the connection until a time, for one check, takes a call of the
// carrier in the same transaction, and returns the row as changed; without a call, for a
// check of the schedule, it counts a read of the credentials:
// RecordCheck needs its Version. It returns fault.NotFound if the row is gone or
// disconnected; fault.State if it is no longer the version that was read, is still an
// intent, is leased (RetryAfter is the rest of the lease) or has unfinished work;
// fault.RateLimited if only a call is missing. It changes nothing then.
func (s *Store) ClaimCheck(ctx context.Context, conn connection.Connection, call *connection.Call, until, now time.Time) (connection.Connection, error) {
	e := claiming(conn.AccountID, conn.ID, until, now)
	e.Compares(kit.AttrVersion, "=", kit.NumberValue(conn.Version))
	var parts []kit.Part
	var waitOf func(kit.Item) (time.Duration, error)
	var fx effects.Effects
	if call == nil {
		e.Add(kit.AttrReads, 1)
		conn.Reads.Count++
	} else {
		fx = call.Effects
		var take *kit.Edit
		var err error
		if take, waitOf, err = kit.Call(call.Allowance, call.Limit, connection.AllowanceWindow, now); err != nil {
			return connection.Connection{}, err
		}
		parts = append(parts, s.table.Update(kit.PartCall, take))
	}
	parts = append(parts, s.table.Update(kit.PartConnection, e))
	refused, err := s.table.Commit(ctx, parts, fx, now)
	it := refused[kit.PartConnection]
	switch {
	case err != nil:
		return connection.Connection{}, fmt.Errorf("claiming a connection: %w", err)
	case refused == nil:
		conn.Version++
		conn.LeaseUntil = until.Truncate(time.Millisecond) // as it is stored
		return conn, nil
	case !refused.Has(kit.PartConnection):
		wait, err := waitOf(refused[kit.PartCall])
		if err == nil {
			err = connection.ErrAllowanceUsedUp(call.Use, call.Limit, wait)
		}
		return connection.Connection{}, err
	case kit.Gone(it, now):
		return connection.Connection{}, connection.ErrNoConnection()
	}
	row, err := FromItem(it)
	if err != nil {
		return row, err
	}
	rest := row.LeaseUntil.Sub(now)
	switch {
	case row.Status == connection.Disconnected:
		err = connection.ErrNoConnection()
	case rest > 0:
		err = connection.ErrBeingChecked(rest, nil)
	default:
		err = fault.Busy(nil)
	}
	return connection.Connection{}, err
}

// ClaimDue is ClaimCheck for the schedule, which has not read the row: it claims
// whatever version is stored, in one conditional write. That write also counts the
// claim and sets when the row is due again, as t.ClaimedUntil says: so a check that is
// never recorded, for whatever reason, is repeated and holds up no other. If the claim
// before was not recorded either, another write postpones the row further. d is the
// row's entry in by_due.
//
// It returns fault.NotFound if the row is gone, disconnected or still an intent;
// fault.State if the row is not due, is not scheduled, or is leased (RetryAfter is the
// rest of the lease); fault.Internal with connection.ErrPostponed if the row cannot be
// read. It postpones by a day any entry of by_due that the row contradicts.
func (s *Store) ClaimDue(ctx context.Context, d connection.Due, until, now time.Time, t health.Timing) (connection.Connection, error) {
	e := claiming(d.AccountID, d.ConnectionID, until, now)
	e.Compares(kit.AttrNextCheck, "<=", kit.TimeValue(now))
	e.Compares(kit.AttrStanding, "=", kit.TextValue(string(account.StandingActive)))
	e.Add(kit.AttrUnrecorded, 1)
	e.Add(kit.AttrReads, 1)
	due(e, d, t.ClaimedUntil(1, until, now))
	it, refused, err := s.table.WriteEdit(ctx, e)
	switch {
	case invalid(err):
		// An attribute is of another type: no claim can succeed.
		if s.postpone(ctx, d, now) == nil {
			err = fmt.Errorf("%w: %w", connection.ErrPostponed, err)
		}
		return connection.Connection{}, fmt.Errorf("claiming a connection: %w", err)
	case err != nil:
		return connection.Connection{}, fmt.Errorf("claiming a connection: %w", err)
	case refused:
		return connection.Connection{}, s.claimRefused(ctx, it, d, now)
	}
	r := kit.Reader{It: it}
	if claims := int(r.Int(kit.AttrUnrecorded)); claims > 1 {
		later := kit.NewEdit(e.Key)
		later.Compares(kit.AttrVersion, "=", kit.NumberValue(r.Int(kit.AttrVersion)))
		later.Add(kit.AttrVersion, 1)
		due(later, d, t.ClaimedUntil(claims, until, now))
		next, refused, err := s.table.WriteEdit(ctx, later)
		if err != nil {
			return connection.Connection{}, fmt.Errorf("postponing a connection: %w", err)
		}
		if !refused { // else the connection was changed since, and the claim stands
			it = next
		}
	}
	row, err := FromItem(it)
	if err != nil {
		return connection.Connection{}, fmt.Errorf("%w: %w", connection.ErrPostponed, err)
	}
	return row, nil
}

// due adds to an edit that the row is due at a time.
func due(e *kit.Edit, d connection.Due, at time.Time) {
	e.Set(kit.AttrNextCheck, kit.TimeValue(at))
	e.Set(kit.AttrDueKey, kit.TextValue(kit.RefreshKey(at, d.CredentialID, d.PartnerID)))
}

// claimRefused returns why a row was not claimed as due. If its entry in by_due is due
// although no claim can succeed, the entry is wrong, and claimRefused postpones it.
func (s *Store) claimRefused(ctx context.Context, it kit.Item, d connection.Due, now time.Time) error {
	r := kit.Reader{It: it}
	leased := r.Time(kit.AttrLease).After(now)
	wrong := strings.HasPrefix(r.Text(kit.AttrDuePK), kit.RefreshPrefix) && r.Text(kit.AttrDueKey) < kit.DueUntil(now) && !leased
	var failed error
	if wrong {
		failed = s.postpone(ctx, d, now)
	}
	if kit.Gone(it, now) {
		return errors.Join(connection.ErrNoConnection(), failed)
	}
	row, err := FromItem(it)
	switch {
	case err != nil && wrong && failed == nil:
		return fmt.Errorf("%w: %w", connection.ErrPostponed, err)
	case err != nil:
		return errors.Join(err, failed)
	case !row.Visible():
		err = connection.ErrNoConnection()
	case leased:
		err = connection.ErrBeingChecked(row.LeaseUntil.Sub(now), nil)
	default:
		err = connection.ErrNotDue()
	}
	return errors.Join(err, failed)
}

// postpone writes that an entry of by_due is due a day from now, unless it is no longer
// due, and changes nothing else of the row.
func (s *Store) postpone(ctx context.Context, d connection.Due, now time.Time) error {
	e := kit.NewEdit(kit.ConnectionKey(d.AccountID, d.ConnectionID))
	e.Compares(kit.AttrDueKey, "<", kit.TextValue(kit.DueUntil(now)))
	e.Set(kit.AttrDueKey, kit.TextValue(kit.RefreshKey(now.Add(24*time.Hour), d.CredentialID, d.PartnerID)))
	if _, _, err := s.table.WriteEdit(ctx, e); err != nil {
		return fmt.Errorf("postponing an entry: %w", err)
	}
	return nil
}

// invalid tells whether DynamoDB refuses a call as invalid.
func invalid(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "ValidationException"
}

// claiming returns an edit that leases a row, on the condition that it is not leased and
// has no work.
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

// RecordCheck writes the row as conn says without its lease, and in the same
// transaction the entry of the history (nil: none), the snapshot (nil: the stored one
// stays) and the effects. Then it sets conn to what is stored, with Version one higher.
// It returns *effects.Replay if the Idempotency-Key is taken, fault.NotFound if the
// row is gone, and fault.State if it is no longer the version that was claimed, and
// writes nothing then.
func (s *Store) RecordCheck(ctx context.Context, conn *connection.Connection, entry *connection.HistoryEntry, snap *connection.Snapshot, fx effects.Effects, now time.Time) error {
	next := freed(conn)
	refused, err := s.table.Commit(ctx, append([]kit.Part{s.replace(&next)}, s.checkParts(&next, entry, snap)...), fx, now)
	if err != nil {
		return fmt.Errorf("recording a check: %w", err)
	}
	if err := rowRefused(refused); err != nil {
		return err
	}
	*conn = next
	return nil
}
