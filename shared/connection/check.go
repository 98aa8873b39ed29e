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
	"carrierlink/shared/metrics"
)

// Checked is the result of a check.
type Checked struct {
	Connection Connection
	Snapshot   *Snapshot // of this check; nil unless the reading is good
	Reading    Reading
	Entry      HistoryEntry
	// Counted is what Count takes. Check and Verify have counted it already.
	Counted health.Check
}

// VerifyPause is the least time between two calls of verify.
const VerifyPause = 30 * time.Second

// Check asks the carrier about the connection that was read, records the answer and
// counts it for the carrier's breaker. by is recorded as who had the credentials read. A refusal or an outage is not an error: Reading
// has it.
//
// Errors: fault.State with RetryAfter while the connection is being checked or changed
// or follows its account; RateLimited when the calls with its credentials are used up;
// NotFound.
func (s *Service) Check(ctx context.Context, conn Connection, trigger Trigger, b health.Breaker, by effects.By, fx effects.For[Checked]) (Checked, error) {
	return s.check(ctx, conn, checkOptions{trigger: trigger, breaker: b, by: by, effects: fx})
}

// Verify is Check at the merchant's request; fault.RateLimited within VerifyPause of
// the last call.
func (s *Service) Verify(ctx context.Context, conn Connection, b health.Breaker, by effects.By, fx effects.For[Checked]) (Checked, error) {
	now := s.Now()
	// A longer wait comes from a call that a wrong clock dated in the future.
	if wait := conn.VerifyCalledAt.Add(VerifyPause).Sub(now); wait > 0 && wait <= VerifyPause {
		return Checked{}, ErrVerifiedLately(wait)
	}
	return s.check(ctx, conn, checkOptions{trigger: TriggerManual, breaker: b, calledAt: now, by: by, effects: fx})
}

func (s *Service) check(ctx context.Context, conn Connection, e checkOptions) (Checked, error) {
	if conn.Standing == account.StandingDeleted {
		return Checked{}, ErrFollowing() // the secret is deleted
	}
	if err := conn.Held(s.Now()); err != nil {
		return Checked{}, err
	}
	if conn.LeaseUntil.After(s.Now()) {
		return Checked{}, ErrBeingChecked(retryPause, nil)
	}
	conn, err := s.finishChange(ctx, conn)
	if err != nil {
		return Checked{}, err
	}
	e.beforeRetry = s.takeCall(conn, conn.CredentialID, effects.Effects{})
	call := &Call{Allowance: CredentialAllowance(UseChecking, conn.Environment, conn.AccountID, conn.CredentialID), Limit: s.CallsPerMinute}
	if call.Effects, err = conn.ReadsSecret(e.by, readReasons[e.trigger], s.Random, s.Now()); err != nil {
		return Checked{}, err
	}
	claimed, err := s.Store.ClaimCheck(ctx, conn, call, s.Lease(ctx), s.Now())
	if fault.Is(err, fault.State) {
		return Checked{}, ErrBeingChecked(retryPause, err)
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
			// The check is recorded; the tally only misses one check.
			slog.WarnContext(ctx, "check not counted", slog.String("carrier", string(claimed.Carrier)), slog.String("error", err.Error()))
		}
	}
	return checked, nil
}

// Refresh makes and records the check of a connection if it is due. The caller counts
// it, in batches.
//
// Errors: fault.State or NotFound for a connection that is not due, leased, deleted, or
// changed during the check: there is nothing to do. Any other failure after the claim
// has ErrPostponed in its chain: the row says when the connection is due again, later
// after each failure.
func (s *Service) Refresh(ctx context.Context, d Due, b health.Breaker) (Checked, error) {
	claimed, err := s.Store.ClaimDue(ctx, d, s.Lease(ctx), s.Now(), s.Timing)
	if err != nil {
		return Checked{}, fmt.Errorf("claiming a due check: %w", err)
	}
	trigger := TriggerSchedule
	if !claimed.RefreshRequestedAt.IsZero() {
		trigger = TriggerManual
	}
	checked, err := s.examineForSchedule(ctx, claimed, checkOptions{trigger: trigger, breaker: b, scheduled: true, effects: bySchedule})
	if err != nil && !fault.Is(err, fault.State) && !fault.Is(err, fault.NotFound) {
		err = fmt.Errorf("%w: %w", ErrPostponed, err)
	}
	return checked, err
}

// examineForSchedule runs examine and logs why a check failed, because there is no caller
// to tell. While the breaker is open every check of the schedule is a probe, also one
// that a caller has requested.
func (s *Service) examineForSchedule(ctx context.Context, claimed Connection, e checkOptions) (Checked, error) {
	checked, err := s.examine(ctx, claimed, e)
	if err != nil {
		return Checked{}, err
	}
	if cause := checked.Reading.Cause; cause != nil {
		slog.WarnContext(ctx, "check without a result", slog.String("carrier", string(claimed.Carrier)),
			slog.Int64("account_id", claimed.AccountID), slog.String("carrier_id", claimed.ID),
			slog.String("outcome", string(checked.Reading.Outcome)), slog.Int("carrier_status", checked.Reading.HTTPStatus), slog.String("error", cause.Error()))
	}
	checked.Counted.Scheduled = checked.Counted.Scheduled || e.breaker.Open
	return checked, nil
}

// Control checks a Comparable connection that is not due, to find out whether the
// refusal of another one is the carrier's fault. It is recorded as a scheduled check,
// and the caller counts it. A connection that is not Comparable is fault.NotFound, a
// leased one fault.State.
func (s *Service) Control(ctx context.Context, accountID int64, connectionID string, b health.Breaker) (Checked, error) {
	conn, err := s.Store.Connection(ctx, accountID, connectionID)
	if err != nil {
		return Checked{}, fmt.Errorf("reading a connection to compare with: %w", err)
	}
	if !conn.Comparable(s.Now()) {
		return Checked{}, ErrNotComparable()
	}
	claimed, err := s.Store.ClaimCheck(ctx, conn, nil, s.Lease(ctx), s.Now())
	if err != nil {
		return Checked{}, fmt.Errorf("claiming a control check: %w", err)
	}
	return s.examineForSchedule(ctx, claimed, checkOptions{trigger: TriggerSchedule, breaker: b, effects: bySchedule})
}

// bySchedule returns the effects of the schedule's checks.
func bySchedule(Checked) (effects.Effects, error) {
	return effects.Effects{By: effects.By{Actor: effects.Schedule}}, nil
}

// checkOptions says how a check is made.
type checkOptions struct {
	trigger     Trigger
	breaker     health.Breaker
	scheduled   bool                        // by Refresh
	calledAt    time.Time                   // of Verify; zero for other checks
	beforeRetry func(context.Context) error // see ChargeAccount
	by          effects.By                  // who asked; the zero value for the schedule
	effects     effects.For[Checked]
}

// noteCall notes a call of Verify in the row.
func (e checkOptions) noteCall(conn *Connection) {
	if !e.calledAt.IsZero() {
		conn.VerifyCalledAt = e.calledAt
	}
}

// examine asks the carrier about a claimed connection and records the answer. Sandbox
// connections have no breaker, and their refusals need no comparison: the simulator
// answers each one independently.
func (s *Service) examine(ctx context.Context, claimed Connection, e checkOptions) (Checked, error) {
	sandbox := claimed.Environment == carrier.Sandbox
	if sandbox {
		e.breaker = health.Breaker{}
	}
	credentials, err := ReadCredentials(ctx, s.Vault, claimed, s.Now())
	// Done here and not by the reconciler, because a row with work is off the schedule until
	// the reconciler reaches it. Before the carrier is asked, which takes what is left of the
	// time but for that of the record.
	givenUp := e.scheduled && s.giveUpPrevious(ctx, claimed)
	var reading Reading
	var snap *Snapshot
	switch {
	case fault.Is(err, fault.NotFound):
		reading = Reading{Outcome: carrier.OutcomeNoCredentials, Cause: err}
	case err != nil:
		return Checked{}, s.abandonCheck(ctx, claimed, e, fmt.Errorf("reading the credentials of %s: %w", claimed.ID, err))
	default:
		account := ChargeAccount{Carrier: claimed.Carrier, Number: claimed.AccountNumber, Credentials: credentials, BeforeRetry: e.beforeRetry}
		reading, snap = s.Ask(ctx, claimed.Environment, account, claimed.ChecksWithCredentials+1, s.Now())
	}
	observed := s.observe(claimed.ID, reading, e.trigger, e.breaker)
	if sandbox {
		observed.Timing.LoneRefusal = 0
	}
	var checked Checked
	err = s.retryStale(ctx, claimed, false, func(row Connection) error {
		// A row with the same lease has only been edited meanwhile.
		if row.Work != NoWork || !row.LeaseUntil.Equal(claimed.LeaseUntil) {
			return fault.Busy(nil)
		}
		checked = Checked{Connection: row, Snapshot: snap, Reading: reading}
		conn := &checked.Connection
		checked.Entry = conn.Record(observed)
		checked.Counted = conn.Counted(reading, row.VerifiedAt, e.breaker)
		conn.LeaseUntil = time.Time{}
		if givenUp {
			conn.Previous.SecretVersion = ""
		}
		e.noteCall(conn)
		fresh, err := s.noteContract(ctx, conn, row, reading, snap, &checked.Entry)
		if err != nil {
			return s.abandonCheck(ctx, row, e, err)
		}
		reports := conn.checkReports(row, reading, checked.Entry.Changes, s.Now())
		if e.scheduled || e.trigger == TriggerSchedule {
			reports = append(reports, conn.noteReads(s.Now())...)
		}
		fx, err := e.effects.Reporting(checked, s.Random, s.Now(), reports...)
		if err != nil {
			return s.abandonCheck(ctx, row, e, err)
		}
		return staleRow(s.Store.RecordCheck(ctx, conn, &checked.Entry, fresh, fx, s.Now()))
	})
	if err != nil {
		return Checked{}, fmt.Errorf("recording the check: %w", err)
	}
	checked.Connection.measureCheck(ctx)
	return checked, nil
}

// giveUpTime is how long giving up previous credentials may delay a check.
const giveUpTime = 5 * time.Second

// giveUpPrevious takes the label from the previous credentials of a claimed connection if
// they can no longer be rolled back to, and reports whether it has. If it fails, the next
// check tries again.
func (s *Service) giveUpPrevious(ctx context.Context, conn Connection) bool {
	if !conn.previousEnded(s.Now()) {
		return false
	}
	limited, cancel := context.WithTimeout(ctx, giveUpTime)
	defer cancel()
	if err := s.Vault.DropPrevious(limited, conn.AccountID, conn.ID, conn.Previous.SecretVersion); err != nil {
		slog.WarnContext(ctx, "previous credentials not given up", slog.Int64("account_id", conn.AccountID), slog.String("carrier_id", conn.ID), slog.String("error", err.Error()))
		return false
	}
	return true
}

// measureCheck counts the last check, which has been recorded. The simulator's are not
// counted: sandbox accounts choose failures.
func (c *Connection) measureCheck(ctx context.Context) {
	if c.Environment == carrier.Sandbox {
		return
	}
	trigger := string(c.LastCheck.Trigger)
	metrics.Add(ctx, metrics.Checks, trigger, 1)
	switch outcome := c.LastCheck.Outcome; {
	case outcome.IsRefusal():
		metrics.Add(ctx, metrics.RefusedChecks, trigger, 1)
	case outcome.IsOutage():
		metrics.Add(ctx, metrics.FailedChecks, trigger, 1)
	}
}

// abandonCheck releases the lease of a check that failed on our side, so its outcome
// is unknown. A check of Refresh becomes due again, later after each failure.
// The error is fault.Overloaded or Internal.
func (s *Service) abandonCheck(ctx context.Context, conn Connection, e checkOptions, cause error) error {
	e.noteCall(&conn)
	if e.scheduled {
		conn.NextRefreshAt = s.Timing.RetryAt(conn.ClaimsUnrecorded, s.Now())
	}
	err := s.Store.RecordCheck(ctx, &conn, nil, nil, effects.Effects{}, s.Now())
	for _, e := range []error{cause, err} {
		if fault.Is(e, fault.Overloaded) {
			return e
		}
	}
	return &fault.Error{Kind: fault.Internal, Cause: errors.Join(cause, err)}
}

// noteContract notes the hash of a good answer in the row, adds its differences from the
// stored one to the entry and returns the snapshot if it has to be written. An answer
// with the stored hash is neither read nor written.
func (s *Service) noteContract(ctx context.Context, conn *Connection, before Connection, r Reading, snap *Snapshot, entry *HistoryEntry) (*Snapshot, error) {
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
		entry.Changes, err = s.Compare(raw, r.Raw)
	}
	if err != nil {
		// The stored answer cannot be read, so the differences are unknown.
		entry.Changes = []Difference{{Type: ChangedField}}
	}
	return snap, nil
}

// Count adds checks of a carrier's production connections to its tally, updates what
// the breaker knows of peers and doubts, and opens or closes it. b is the breaker as it
// was read. Only checks of the schedule open and close it.
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
	const attempts = 5
	for n := 1; ; n++ {
		next, changed := s.nextBreaker(b, checks, tallies, now)
		if !changed {
			return nil
		}
		err := s.Store.SaveBreaker(ctx, &next)
		switch {
		case err == nil:
			if next.Open != b.Open {
				slog.WarnContext(ctx, "a breaker was switched", slog.String("carrier", string(name)), slog.Bool("open", next.Open), slog.String("failure", next.Failure))
			}
			return nil
		case !fault.Is(err, fault.State) || n == attempts:
			return fmt.Errorf("saving the breaker: %w", err)
		}
		// Another process has changed the breaker: repeat on top of its change.
		breakers, err := s.Store.Breakers(ctx)
		if err != nil {
			return fmt.Errorf("reading the breaker again: %w", err)
		}
		b = breakers[name]
	}
}

// nextBreaker returns the breaker after some checks, and whether it has to be written.
func (s *Service) nextBreaker(b health.Breaker, checks []health.Check, tallies []health.Tally, now time.Time) (health.Breaker, bool) {
	next, changed := b.WithChecks(checks, now, s.Timing)
	if b.Open && slices.ContainsFunc(checks, func(c health.Check) bool { return c.Scheduled && c.Outcome == carrier.OutcomeOK }) {
		return next.Closed(now), true
	}
	if !b.Open {
		failure, lone, trips := next.Trip(tallies, now)
		switch {
		case trips:
			next, changed = next.Opened(failure, now, s.Timing), true
		case lone != 0:
			doubted, added := next.WithDoubt(health.Doubt{PartnerID: lone, Since: now.Add(-s.Timing.RefusalGap / 2), At: now}, now, s.Timing)
			next, changed = doubted, changed || added
		}
	}
	var retryAfter time.Duration
	for _, c := range checks {
		if c.Scheduled {
			retryAfter = max(retryAfter, c.RetryAfter)
		}
	}
	if paused := next.Paused(now, retryAfter); next.Open && paused.ProbeAt.After(next.ProbeAt) {
		return paused, true
	}
	return next, changed
}
