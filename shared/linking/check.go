package linking

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
)

// Checked is what a check came to.
type Checked struct {
	Connection carrier.Connection
	Snapshot   *carrier.Snapshot // the new one; nil unless the reading is good
	Reading    carrier.Reading
	Entry      carrier.HistoryEntry
}

// VerifyPause is the least time between two calls of verify.
const VerifyPause = 30 * time.Second

// Check asks the carrier about the connection that was read, records what it
// says and counts it for the carrier's breaker. Only one check of a connection
// runs at a time: else fault.State. A refusal or an outage is no error: it
// stands in Reading.
func (l *Linker) Check(ctx context.Context, conn carrier.Connection, trigger carrier.Trigger, b carrier.Breaker) (Checked, error) {
	return l.check(ctx, conn, trigger, b, func(*carrier.Connection) {}, nil)
}

// answering makes the record of the answer to a check, to be stored with it; nil
// for none.
type answering func(Checked) (*carrier.IdempotencyRecord, error)

// Verify is Check on the merchant's demand; fault.RateLimited within VerifyPause
// of the last one. answer makes the record of the answer that is stored with the
// check, nil for one that is not to be repeated; it may be nil itself.
func (l *Linker) Verify(ctx context.Context, conn carrier.Connection, b carrier.Breaker, answer func(Checked) (*carrier.IdempotencyRecord, error)) (Checked, error) {
	now := l.Now()
	if wait := conn.VerifyCalledAt.Add(VerifyPause).Sub(now); !conn.VerifyCalledAt.IsZero() && wait > 0 && wait <= VerifyPause {
		return Checked{}, &fault.Error{Kind: fault.RateLimited, Message: "This connection was verified less than 30 seconds ago.", RetryAfter: wait}
	}
	return l.check(ctx, conn, carrier.TriggerManual, b, func(c *carrier.Connection) { c.VerifyCalledAt = now }, answer)
}

func (l *Linker) check(ctx context.Context, conn carrier.Connection, trigger carrier.Trigger, b carrier.Breaker, edit func(*carrier.Connection), answer answering) (Checked, error) {
	claimed, err := l.Store.ClaimCheck(ctx, conn, l.Lease(ctx), l.Now())
	if fault.Is(err, fault.State) {
		return Checked{}, &fault.Error{Kind: fault.State, Message: "This connection is being checked or changed by another request.", Cause: err, RetryAfter: time.Second}
	}
	if err != nil {
		return Checked{}, fmt.Errorf("claiming the check: %w", err)
	}
	edit(&claimed)
	checked, err := l.examine(ctx, claimed, trigger, b, answer)
	if err != nil {
		return Checked{}, err
	}
	if claimed.Environment != carrier.Sandbox {
		counted := []carrier.Counted{{AccountID: claimed.AccountID, Outcome: checked.Reading.Outcome}}
		if err := l.Count(ctx, claimed.Carrier, b, counted); err != nil {
			// The check is made and recorded; the tally is worth one check less.
			slog.WarnContext(ctx, "a check was not counted", slog.String("carrier", string(claimed.Carrier)), slog.String("error", err.Error()))
		}
	}
	return checked, nil
}

// Refresh makes the scheduled check of a connection if it is due, and records
// it; counting it is the caller's business, who makes many. One that is not due,
// that somebody else is at, that is gone or was changed while its carrier was
// asked is fault.State or NotFound: there is nothing to do.
func (l *Linker) Refresh(ctx context.Context, accountID int64, connectionID string, b carrier.Breaker) (Checked, error) {
	claimed, err := l.Store.ClaimDue(ctx, accountID, connectionID, l.Lease(ctx), l.Now())
	if err != nil {
		return Checked{}, fmt.Errorf("claiming a due check: %w", err)
	}
	trigger := carrier.TriggerSchedule
	if !claimed.RefreshRequestedAt.IsZero() {
		trigger = carrier.TriggerManual
	}
	return l.examine(ctx, claimed, trigger, b, nil)
}

// examine asks the carrier about a claimed connection and records the answer.
// Sandbox connections know no breaker.
func (l *Linker) examine(ctx context.Context, conn carrier.Connection, trigger carrier.Trigger, b carrier.Breaker, answer answering) (Checked, error) {
	if conn.Environment == carrier.Sandbox {
		b = carrier.Breaker{}
	}
	credentials, err := l.Vault.Get(ctx, conn.AccountID, conn.ID, conn.SecretVersion)
	var reading carrier.Reading
	var snap *carrier.Snapshot
	switch {
	case fault.Is(err, fault.NotFound):
		reading = carrier.Reading{Outcome: carrier.OutcomeNoCredentials, Cause: err}
	case err != nil:
		// What we can not read is our fault, not the link's: nothing is recorded but
		// the end of the lease.
		return Checked{}, &fault.Error{Kind: fault.Internal, Cause: errors.Join(
			fmt.Errorf("reading the credentials of %s: %w", conn.ID, err), l.Store.RecordCheck(ctx, &conn, nil, nil))}
	default:
		account := carrier.ChargeAccount{Carrier: conn.Carrier, Number: conn.AccountNumber, Credentials: credentials}
		reading, snap = l.Ask(ctx, conn.Environment, account, conn.Checks+1, l.Now())
	}
	before := conn
	entry := conn.Record(l.observation(reading, trigger, b))
	fresh, err := l.compare(ctx, &conn, before, reading, snap, &entry)
	var record *carrier.IdempotencyRecord
	conn.LeaseUntil = time.Time{}
	checked := Checked{Connection: conn, Snapshot: snap, Reading: reading, Entry: entry}
	if err == nil && answer != nil {
		record, err = answer(checked)
	}
	if err != nil {
		return Checked{}, &fault.Error{Kind: fault.Internal, Cause: errors.Join(err, l.Store.RecordCheck(ctx, &before, nil, nil))}
	}
	if record != nil {
		err = l.Store.ChangeConnection(ctx, &checked.Connection, carrier.ConnectionChange{Entry: &entry, Snapshot: fresh, Answer: record})
	} else {
		err = l.Store.RecordCheck(ctx, &checked.Connection, &entry, fresh)
	}
	if err != nil {
		return Checked{}, fmt.Errorf("recording the check: %w", err)
	}
	return checked, nil
}

// compare holds a good answer against the one that is kept, and notes the
// changes in the entry. It returns the snapshot if it has to be written: one
// that is kept already costs neither a read nor a write.
func (l *Linker) compare(ctx context.Context, conn *carrier.Connection, before carrier.Connection, r carrier.Reading, snap *carrier.Snapshot, entry *carrier.HistoryEntry) (*carrier.Snapshot, error) {
	if snap == nil {
		return nil, nil
	}
	conn.ContractHash = carrier.SnapshotHash(r.Raw)
	if conn.ContractHash == before.ContractHash && conn.AccountNumber == before.AccountNumber {
		return nil, nil
	}
	if before.ContractHash == "" || conn.AccountNumber != before.AccountNumber {
		return snap, nil
	}
	old, err := l.Store.Snapshot(ctx, conn.AccountID, conn.ID)
	if err != nil {
		return nil, fmt.Errorf("reading the last answer: %w", err)
	}
	if old == nil {
		return snap, nil
	}
	raw, err := old.Raw()
	if err == nil {
		entry.Changes, err = l.Changes(raw, r.Raw)
	}
	if err != nil {
		// What was kept can not be read any more: that is all that can be said.
		entry.Changes = []carrier.Change{{Type: carrier.ChangedField}}
	}
	return snap, nil
}

// Count adds checks of a carrier's production connections to its tally, and
// opens or closes the breaker, b as it was read, by what they say.
func (l *Linker) Count(ctx context.Context, name carrier.Name, b carrier.Breaker, checks []carrier.Counted) error {
	now := l.Now()
	if err := l.Store.CountChecks(ctx, name, checks, now); err != nil {
		return fmt.Errorf("counting checks: %w", err)
	}
	good, failed := false, false
	for _, c := range checks {
		good = good || c.Outcome == carrier.OutcomeOK
		failed = failed || c.Outcome.Failure() != ""
	}
	next := b
	switch {
	case b.Open && good:
		next = b.Closed(now)
	case !b.Open && failed:
		tallies, err := l.Store.Tallies(ctx, name, now)
		if err != nil {
			return fmt.Errorf("reading the tallies: %w", err)
		}
		failure, trips := b.Trip(tallies, now)
		if !trips {
			return nil
		}
		next = b.Opened(failure, now, l.Timing)
	default:
		return nil
	}
	err := l.Store.SaveBreaker(ctx, &next)
	if fault.Is(err, fault.State) {
		return nil // somebody else has seen the same
	}
	if err != nil {
		return fmt.Errorf("switching the breaker: %w", err)
	}
	slog.WarnContext(ctx, "a breaker was switched", slog.String("carrier", string(name)), slog.Bool("open", next.Open), slog.String("failure", next.Failure))
	return nil
}
