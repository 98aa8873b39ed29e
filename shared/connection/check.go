package connection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
)

// Checked is what a check came to.
type Checked struct {
	Connection Connection
	Snapshot   *Snapshot // the new one; nil unless the reading is good
	Reading    Reading
	Entry      HistoryEntry
	// Counted is the check for Count, which Check and Verify have called.
	Counted health.Check
}

// VerifyPause is the least time between two calls of verify.
const VerifyPause = 30 * time.Second

// Check asks the carrier about the connection that was read, records what it
// says and counts it for the carrier's breaker. A refusal or an outage is no
// error: it stands in Reading.
//
// Errors: fault.State with RetryAfter while another check runs, or a change of
// its credentials, or its account takes the connection along; RateLimited when
// the carrier was asked too often with its credentials; NotFound.
func (s *Service) Check(ctx context.Context, conn Connection, trigger Trigger, b health.Breaker, fx effects.For[Checked]) (Checked, error) {
	return s.check(ctx, conn, examination{trigger: trigger, breaker: b, effects: fx})
}

// Verify is Check on the merchant's demand; fault.RateLimited within VerifyPause
// of the last one.
func (s *Service) Verify(ctx context.Context, conn Connection, b health.Breaker, fx effects.For[Checked]) (Checked, error) {
	now := s.Now()
	// A call in the future was told by a clock that was wrong.
	if wait := conn.VerifyCalledAt.Add(VerifyPause).Sub(now); wait > 0 && wait <= VerifyPause {
		return Checked{}, ErrVerifiedLately(wait)
	}
	return s.check(ctx, conn, examination{trigger: TriggerManual, breaker: b, calledAt: now, effects: fx})
}

func (s *Service) check(ctx context.Context, conn Connection, e examination) (Checked, error) {
	if conn.Standing == account.StandingDeleted {
		return Checked{}, ErrFollowing() // without a secret there is nothing to find out
	}
	if conn.LeaseUntil.After(s.Now()) {
		return Checked{}, ErrBeingChecked(nil) // it costs no call of the allowance
	}
	again, err := s.allowed(ctx, conn, conn.CredentialID)
	if err != nil {
		return Checked{}, err
	}
	e.again = again
	if conn, err = s.settled(ctx, conn); err != nil {
		return Checked{}, err
	}
	claimed, err := s.Store.ClaimCheck(ctx, conn, s.Lease(ctx), s.Now())
	if fault.Is(err, fault.State) {
		return Checked{}, ErrBeingChecked(err)
	}
	if err != nil {
		return Checked{}, fmt.Errorf("claiming the check: %w", err)
	}
	checked, err := s.examine(ctx, claimed, e)
	if err != nil {
		return Checked{}, err
	}
	if claimed.Environment != carrier.Sandbox {
		if err := s.Count(ctx, claimed.Carrier, e.breaker, []health.Check{checked.Counted}); err != nil {
			// The check is made and recorded; the tally is worth one check less.
			slog.WarnContext(ctx, "a check was not counted", slog.String("carrier", string(claimed.Carrier)), slog.String("error", err.Error()))
		}
	}
	return checked, nil
}

// Refresh makes the scheduled check of a connection if it is due, and records
// it; counting it is the caller's business, who makes many.
//
// Errors: fault.State or NotFound for one that is not due, that somebody else is
// at, that is gone or was changed while its carrier was asked: there is nothing to
// do. Whatever fails by our fault after the claim has connection.ErrPostponed in its
// chain: the row is due again by itself, later each time.
func (s *Service) Refresh(ctx context.Context, d Due, b health.Breaker) (Checked, error) {
	claimed, err := s.Store.ClaimDue(ctx, d, s.Lease(ctx), s.Now(), s.Timing)
	if err != nil {
		return Checked{}, fmt.Errorf("claiming a due check: %w", err)
	}
	trigger := TriggerSchedule
	if !claimed.RefreshRequestedAt.IsZero() {
		trigger = TriggerManual
	}
	checked, err := s.unasked(ctx, claimed, examination{trigger: trigger, breaker: b, scheduled: true, effects: bySchedule})
	if err != nil && !fault.Is(err, fault.State) && !fault.Is(err, fault.NotFound) {
		err = fmt.Errorf("%w: %w", ErrPostponed, err)
	}
	return checked, err
}

// unasked is examine for the schedule, which has no caller to tell what went
// wrong: the log does. What is checked while the breaker is open was chosen as its
// probe, although a caller may have asked for it.
func (s *Service) unasked(ctx context.Context, claimed Connection, e examination) (Checked, error) {
	checked, err := s.examine(ctx, claimed, e)
	if err != nil {
		return Checked{}, err
	}
	if cause := checked.Reading.Cause; cause != nil {
		slog.WarnContext(ctx, "a check found nothing out", slog.String("carrier", string(claimed.Carrier)), slog.String("carrier_id", claimed.ID),
			slog.String("outcome", string(checked.Reading.Outcome)), slog.Int("carrier_status", checked.Reading.HTTPStatus), slog.String("error", cause.Error()))
	}
	checked.Counted.Scheduled = checked.Counted.Scheduled || e.breaker.Open
	return checked, nil
}

// Control makes a check that is not due, of a connection that was well lately: it
// tells whether a refusal of another one is the carrier's matter. It is recorded
// as a scheduled one, and counting it is the caller's business. fault.NotFound says
// that the connection is not, or no longer, one to compare with; fault.State that
// somebody is at it.
func (s *Service) Control(ctx context.Context, accountID int64, connectionID string, b health.Breaker) (Checked, error) {
	conn, err := s.Store.Connection(ctx, accountID, connectionID)
	if err != nil {
		return Checked{}, fmt.Errorf("reading a connection to compare with: %w", err)
	}
	if !conn.Comparable(s.Now()) {
		return Checked{}, ErrNotComparable()
	}
	claimed, err := s.Store.ClaimCheck(ctx, conn, s.Lease(ctx), s.Now())
	if err != nil {
		return Checked{}, fmt.Errorf("claiming a control check: %w", err)
	}
	return s.unasked(ctx, claimed, examination{trigger: TriggerSchedule, breaker: b, effects: bySchedule})
}

// bySchedule makes the effects of the checks that nobody asked for.
func bySchedule(Checked) (effects.Effects, error) {
	return effects.Effects{By: effects.By{Service: effects.Schedule}}, nil
}

// examination is how a check is made.
type examination struct {
	trigger   Trigger
	breaker   health.Breaker
	scheduled bool      // the schedule's
	calledAt  time.Time // of verify; zero: it is none
	// again takes a further call of the allowance; nil for the schedule's.
	again   func(context.Context) error
	effects effects.For[Checked]
}

// called notes a call of verify in the row.
func (e examination) called(conn *Connection) {
	if !e.calledAt.IsZero() {
		conn.VerifyCalledAt = e.calledAt
	}
}

// examine asks the carrier about a claimed connection and records the answer.
// Sandbox connections know no breaker, and each tells a story of its own: there a
// refusal waits for nobody else's answer.
func (s *Service) examine(ctx context.Context, claimed Connection, e examination) (Checked, error) {
	sandbox := claimed.Environment == carrier.Sandbox
	if sandbox {
		e.breaker = health.Breaker{}
	}
	credentials, err := s.Vault.Get(ctx, claimed.AccountID, claimed.ID, claimed.SecretVersion)
	var reading Reading
	var snap *Snapshot
	switch {
	case fault.Is(err, fault.NotFound):
		reading = Reading{Outcome: carrier.OutcomeNoCredentials, Cause: err}
	case err != nil:
		return Checked{}, s.unrecorded(ctx, claimed, e, fmt.Errorf("reading the credentials of %s: %w", claimed.ID, err))
	default:
		account := ChargeAccount{Carrier: claimed.Carrier, Number: claimed.AccountNumber, Credentials: credentials, Again: e.again}
		reading, snap = s.Ask(ctx, claimed.Environment, account, claimed.Checks+1, s.Now())
	}
	observed := s.observation(reading, e.trigger, e.breaker)
	if sandbox {
		observed.Timing.LoneRefusal = 0
	}
	var checked Checked
	err = s.retried(ctx, claimed, false, func(row Connection) error {
		// What has the lease that was taken was only edited meanwhile.
		if row.Work != NoWork || !row.LeaseUntil.Equal(claimed.LeaseUntil) {
			return ErrOvertaken()
		}
		checked = Checked{Connection: row, Snapshot: snap, Reading: reading}
		conn := &checked.Connection
		checked.Entry = conn.Record(observed)
		checked.Counted = conn.Counted(reading, row.VerifiedAt, e.breaker)
		conn.LeaseUntil = time.Time{}
		e.called(conn)
		fresh, err := s.compare(ctx, conn, row, reading, snap, &checked.Entry)
		if err != nil {
			return s.unrecorded(ctx, row, e, err)
		}
		fx, err := e.effects.Of(checked)
		if err != nil {
			return s.unrecorded(ctx, row, e, err)
		}
		return moved(s.Store.RecordCheck(ctx, conn, &checked.Entry, fresh, fx, s.Now()))
	})
	if err != nil {
		return Checked{}, fmt.Errorf("recording the check: %w", err)
	}
	return checked, nil
}

// unrecorded gives the lease of a check back that failed by our fault, which says
// nothing of the link; one of the schedule's is due again later each time. The
// error is fault.Internal, whatever its cause, or Overloaded.
func (s *Service) unrecorded(ctx context.Context, conn Connection, e examination, cause error) error {
	e.called(&conn)
	if e.scheduled {
		conn.NextRefreshAt = s.Timing.RetryAt(conn.Unrecorded, s.Now())
	}
	err := s.Store.RecordCheck(ctx, &conn, nil, nil, effects.Effects{}, s.Now())
	for _, e := range []error{cause, err} {
		if fault.Is(e, fault.Overloaded) {
			return e
		}
	}
	return &fault.Error{Kind: fault.Internal, Cause: errors.Join(cause, err)}
}

// compare holds a good answer against the one that is kept, and notes the
// changes in the entry. It returns the snapshot if it has to be written: one
// that is kept already costs neither a read nor a write.
func (s *Service) compare(ctx context.Context, conn *Connection, before Connection, r Reading, snap *Snapshot, entry *HistoryEntry) (*Snapshot, error) {
	if snap == nil {
		return nil, nil
	}
	conn.ContractHash = SnapshotHash(r.Raw)
	if conn.ContractHash == before.ContractHash && conn.AccountNumber == before.AccountNumber {
		return nil, nil
	}
	if before.ContractHash == "" || conn.AccountNumber != before.AccountNumber {
		return snap, nil
	}
	old, err := s.Store.Snapshot(ctx, conn.AccountID, conn.ID)
	if err != nil {
		return nil, fmt.Errorf("reading the last answer: %w", err)
	}
	if old == nil {
		return snap, nil
	}
	raw, err := old.Raw()
	if err == nil {
		entry.Changes, err = s.Changes(raw, r.Raw)
	}
	if err != nil {
		// What was kept can not be read any more: that is all that can be said.
		entry.Changes = []Difference{{Type: ChangedField}}
	}
	return snap, nil
}

// Count adds checks of a carrier's production connections to its tally, learns
// from them whom the carrier answers, and opens or closes the breaker, b as it was
// read, by what they say. Only checks of the schedule open and close it.
func (s *Service) Count(ctx context.Context, name carrier.Name, b health.Breaker, checks []health.Check) error {
	now := s.Now()
	if err := s.Store.CountChecks(ctx, name, checks, now); err != nil {
		return fmt.Errorf("counting checks: %w", err)
	}
	var tallies []health.Tally
	if !b.Open && slices.ContainsFunc(checks, func(c health.Check) bool { v, ok := c.Vote(); return ok && v.Failure != "" }) {
		var err error
		if tallies, err = s.Store.Tallies(ctx, name, now); err != nil {
			return fmt.Errorf("reading the tallies: %w", err)
		}
	}
	const tries = 5
	for n := 1; ; n++ {
		next, worth := s.judged(b, checks, tallies, now)
		if !worth {
			return nil
		}
		err := s.Store.SaveBreaker(ctx, &next)
		switch {
		case err == nil:
			if next.Open != b.Open {
				slog.WarnContext(ctx, "a breaker was switched", slog.String("carrier", string(name)), slog.Bool("open", next.Open), slog.String("failure", next.Failure))
			}
			return nil
		case !fault.Is(err, fault.State) || n == tries:
			return fmt.Errorf("saving what is known of the carrier: %w", err)
		}
		// Somebody else has learned something meanwhile: both are to be kept.
		breakers, err := s.Store.Breakers(ctx)
		if err != nil {
			return fmt.Errorf("reading the breaker again: %w", err)
		}
		b = breakers[name]
	}
}

// judged is a carrier's breaker after some checks, and whether it is worth a write.
func (s *Service) judged(b health.Breaker, checks []health.Check, tallies []health.Tally, now time.Time) (health.Breaker, bool) {
	next, worth := b.WithChecks(checks, now, s.Timing)
	if !b.Open {
		failure, lone, trips := next.Trip(tallies, now)
		switch {
		case trips:
			next = next.Opened(failure, now, s.Timing)
		case lone != 0:
			doubt := health.Doubt{PartnerID: lone, Since: now.Add(-s.Timing.RefusalGap / 2), At: now}
			var asks bool
			next, asks = next.WithDoubt(doubt, now, s.Timing)
			worth = worth || asks
		}
		worth = worth || trips
	} else if slices.ContainsFunc(checks, func(c health.Check) bool { return c.Scheduled && c.Outcome == carrier.OutcomeOK }) {
		return next.Closed(now), true
	}
	var wish time.Duration
	for _, c := range checks {
		if c.Scheduled {
			wish = max(wish, c.RetryAfter)
		}
	}
	if paused := next.Paused(now, wish); next.Open && paused.ProbeAt.After(next.ProbeAt) {
		return paused, true
	}
	return next, worth
}
