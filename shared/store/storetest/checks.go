package storetest

import (
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/store"
)

// checks tests ClaimCheck, ClaimDue and RecordCheck.
type checks struct{ *suite }

func (s checks) TestClaimAbsent() {
	c := s.newConnection(s.account().ID)
	s.fails("ClaimCheck", errOf(s.ClaimCheck(s.Context(), c, nil, now.Add(time.Minute), now)), fault.NotFound)
	s.fails("ClaimCheck made a row: Connection", errOf(s.Connection(s.Context(), c.AccountID, c.ID)), fault.NotFound)
}

func (s checks) TestClaimIntent() {
	c := s.intent(s.account().ID)
	s.fails("ClaimCheck", errOf(s.ClaimCheck(s.Context(), c, nil, now.Add(time.Hour), now.Add(time.Minute))), fault.State)
}

func (s checks) TestClaimLeased() {
	c := s.linked()
	until := milli(now.Add(time.Minute))
	claimed := must(s.ClaimCheck(s.Context(), c, nil, until, now))
	want := c
	want.LeaseUntil, want.Version = until, c.Version+1
	want.Reads.Count = 1 // without a call it is a check of the schedule
	s.equal("claimed", claimed, want)
	s.equal("row", s.row(c), want)

	for name, read := range map[string]connection.Connection{"read before": c, "read after": claimed} {
		s.retryIn(name, errOf(s.ClaimCheck(s.Context(), read, nil, now.Add(time.Hour), until.Add(-3*time.Second))), 3*time.Second)
	}
	err := errOf(s.ClaimCheck(s.Context(), c, nil, now.Add(time.Hour), until))
	if p := s.problem("an old version, the lease over", err, fault.State); p.RetryAfter <= 0 {
		s.Error("no RetryAfter")
	}
	again := must(s.ClaimCheck(s.Context(), claimed, nil, until.Add(time.Minute), until))
	s.equal("version", again.Version, claimed.Version+1)
	s.fails("the one whose lease ended", s.RecordCheck(s.Context(), &claimed, nil, nil, effects.Effects{}, now), fault.State)
	s.fails("the same with a snapshot", s.RecordCheck(s.Context(), &claimed, nil, s.snapshot(100, now), effects.Effects{}, now), fault.State)
	s.holds("claimed again", again, nil)
}

// TestClaimWithCall: claim and call are taken together, or neither is.
func (s checks) TestClaimWithCall() {
	c := s.linked()
	call := &connection.Call{Allowance: connection.CredentialAllowance(connection.UseChecking, c.Environment, c.AccountID, "claiming"), Limit: 2}
	until := now.Add(time.Minute)
	claimed := must(s.ClaimCheck(s.Context(), c, call, until, now))
	for range 3 {
		s.fails("leased", errOf(s.ClaimCheck(s.Context(), c, call, until, now)), fault.State)
	}
	s.ok(s.RecordCheck(s.Context(), &claimed, nil, nil, effects.Effects{}, now))
	s.fails("an old version", errOf(s.ClaimCheck(s.Context(), c, call, until, now)), fault.State)
	at := milli(now.Add(time.Second))
	claimed = must(s.ClaimCheck(s.Context(), claimed, call, until.Add(time.Microsecond), at))
	s.equal("claimed", claimed, s.row(c))
	s.fails("leased, and no call is left", errOf(s.ClaimCheck(s.Context(), claimed, call, until, at)), fault.State)
	s.ok(s.RecordCheck(s.Context(), &claimed, nil, nil, effects.Effects{}, at))
	err := errOf(s.ClaimCheck(s.Context(), claimed, call, until, at))
	s.equal("RetryAfter", s.problem("no call is left", err, fault.RateLimited).RetryAfter, time.Minute-time.Second)
	s.equal("row", s.row(c), claimed)
	without := &connection.Call{Allowance: call.Allowance}
	s.fails("without a limit", errOf(s.ClaimCheck(s.Context(), claimed, without, until, at)), fault.Internal)
	s.ok(errOf(s.ClaimCheck(s.Context(), claimed, nil, until, at)))
}

func (s checks) TestClaimDisconnected() {
	c := s.linked()
	s.disconnect(&c)
	s.fails("ClaimCheck", errOf(s.ClaimCheck(s.Context(), c, nil, now.Add(time.Hour), now.Add(time.Minute))), fault.NotFound)
}

func (s checks) TestClaimInWork() {
	c := s.saved(s.linked(), func(c *connection.Connection) {
		c.Work, c.LeaseUntil = connection.WorkCredentials, milli(now.Add(time.Minute))
	})
	s.retryIn("its lease runs", errOf(s.ClaimCheck(s.Context(), c, nil, now.Add(time.Hour), now)), c.LeaseUntil.Sub(now))
	s.fails("its lease is over", errOf(s.ClaimCheck(s.Context(), c, nil, now.Add(time.Hour), now.Add(time.Minute))), fault.State)
	s.equal("row", s.row(c), c)
}

func (s checks) TestClaimPurged() {
	c := s.saved(s.linked(), func(c *connection.Connection) { c.PurgeAt = purge })
	s.fails("ClaimCheck", errOf(s.ClaimCheck(s.Context(), c, nil, purge.Add(time.Minute), purge)), fault.NotFound)
}

func (s checks) TestClaimNotDue() {
	s.claimsNot("gone", s.newConnection(s.account().ID), now, fault.NotFound)
	intent := s.intent(s.account().ID, func(c *connection.Connection) { c.NextRefreshAt, c.LeaseUntil = milli(now), milli(now) })
	s.claimsNot("an intent", intent, now, fault.NotFound)
	for name, tc := range map[string]struct {
		change func(*connection.Connection)
		kind   fault.Kind
	}{
		"disconnected": {func(c *connection.Connection) { c.Status = connection.Disconnected }, fault.NotFound},
		"never":        {func(c *connection.Connection) { c.NextRefreshAt = time.Time{} }, fault.State},
		"later":        {func(c *connection.Connection) { c.NextRefreshAt = milli(now).Add(time.Millisecond) }, fault.State},
		"paused":       {func(c *connection.Connection) { c.Standing = account.StandingPaused }, fault.State},
		"deleted":      {func(c *connection.Connection) { c.Standing = account.StandingDeleted }, fault.State},
		"in work":      {func(c *connection.Connection) { c.Work = connection.WorkFollow }, fault.State},
		"leased":       {func(c *connection.Connection) { c.LeaseUntil = milli(now).Add(time.Millisecond) }, fault.State},
	} {
		c := s.saved(s.scheduled(milli(now)), tc.change)
		s.claimsNot(name, c, now, tc.kind)
		s.unschedule(c)
	}
}

func (s checks) TestClaimDue() {
	c := s.scheduled(milli(now))
	until := milli(now.Add(time.Minute))
	claimed := must(s.ClaimDue(s.Context(), entry(c), until, now, timing))
	want := c
	want.LeaseUntil, want.Version = until, c.Version+1
	want.NextRefreshAt, want.ClaimsUnrecorded, want.Reads.Count = until.Add(90*time.Second), 1, 1
	s.equal("claimed", claimed, want)
	s.equal("row", s.row(c), want)
	s.retryIn("a second message", errOf(s.ClaimDue(s.Context(), entry(c), now.Add(time.Hour), until.Add(-3*time.Second), timing)), 3*time.Second)

	s.claimsNot("the lease is over, and it is not due again", claimed, until.Add(90*time.Second-time.Millisecond), fault.State)
	back := until.Add(90 * time.Second)
	again := must(s.ClaimDue(s.Context(), entry(c), back.Add(time.Minute), back, timing))
	s.fails("the one whose lease ended", s.RecordCheck(s.Context(), &claimed, &first, nil, effects.Effects{}, now), fault.State)
	again.NextRefreshAt = milli(now.Add(time.Hour))
	s.ok(s.RecordCheck(s.Context(), &again, &first, nil, effects.Effects{}, now))
	s.claimsNot("a late message", again, until.Add(time.Minute), fault.State)
	s.unschedule(again)
}

func (s checks) TestUnrecordedChecksBackOff() {
	c := s.scheduled(milli(now))
	at := milli(now)
	for n := 1; n <= 14; n++ {
		claimed := must(s.ClaimDue(s.Context(), entry(c), at.Add(30*time.Second), at, timing))
		s.equal("counted", claimed.ClaimsUnrecorded, n)
		s.equal("row", s.row(c), claimed)
		gap := claimed.NextRefreshAt.Sub(at)
		if want := max(min(time.Minute<<(n-1), 24*time.Hour), 2*time.Minute); gap != want {
			s.Errorf("claim %d is due again after %v, want %v", n, gap, want)
		}
		s.claimsNot("before that", claimed, claimed.NextRefreshAt.Add(-time.Millisecond), fault.State)
		at = claimed.NextRefreshAt
	}
	claimed := must(s.ClaimDue(s.Context(), entry(c), at.Add(30*time.Second), at, timing))
	claimed.NextRefreshAt, claimed.ClaimsUnrecorded = at.Add(time.Hour), 0
	s.ok(s.RecordCheck(s.Context(), &claimed, &first, nil, effects.Effects{}, now))
	s.equal("recorded", s.row(c), claimed)
	s.unschedule(claimed)
}

func (s checks) TestUnlinkBetweenClaimAndRecord() {
	c := s.scheduled(milli(now))
	claimed := must(s.ClaimDue(s.Context(), entry(c), now.Add(time.Minute), now, timing))
	gone := s.row(c)
	s.disconnect(&gone)
	s.fails("RecordCheck", s.RecordCheck(s.Context(), &claimed, &first, s.snapshot(100, now), effects.Effects{}, now), fault.State)
	s.fails("RecordCheck of an outage", s.RecordCheck(s.Context(), &claimed, nil, nil, effects.Effects{}, now), fault.State)
	s.claimsNot("a late message", c, now.Add(time.Hour), fault.NotFound)
	s.holds("unlinked", gone, nil)
}

func (s checks) TestConcurrentClaimsOfDueConnection() {
	c := s.scheduled(milli(now))
	s.wins(1, race(20, func(int) error {
		return errOf(s.ClaimDue(s.Context(), entry(c), now.Add(time.Minute), now, timing))
	}), fault.State)
	s.unschedule(s.row(c))
}

func (s checks) TestRecordAbsent() {
	c := s.newConnection(s.account().ID)
	c.Version = 4
	s.fails("without a snapshot", s.RecordCheck(s.Context(), &c, nil, nil, effects.Effects{}, now), fault.NotFound)
	s.fails("with one", s.RecordCheck(s.Context(), &c, nil, s.snapshot(100, now), effects.Effects{}, now), fault.NotFound)
	s.fails("with an entry", s.RecordCheck(s.Context(), &c, &first, nil, effects.Effects{}, now), fault.NotFound)
	s.equal("history", len(s.historyOf(c)), 0)
	s.equal("version", c.Version, int64(4))
}

func (s checks) TestRecord() {
	c := must(s.ClaimCheck(s.Context(), s.linked(), nil, now.Add(time.Minute), now))
	good := s.snapshot(200, milli(now))
	c.Status, c.ChecksWithCredentials, c.ModifiedAt = connection.Active, 2, milli(now.Add(time.Second))
	s.ok(s.RecordCheck(s.Context(), &c, nil, good, effects.Effects{}, now))
	s.equal("lease", c.LeaseUntil, time.Time{})
	s.holds("with a snapshot", c, good)

	c = must(s.ClaimCheck(s.Context(), c, nil, now.Add(time.Minute), now))
	c.Status, c.StatusReason = connection.Degraded, "timeout"
	s.ok(s.RecordCheck(s.Context(), &c, nil, nil, effects.Effects{}, now))
	s.holds("without one", c, good)

	c = must(s.ClaimCheck(s.Context(), c, nil, now.Add(time.Minute), now))
	better := s.snapshot(300, milli(now.Add(time.Hour)))
	second := first
	second.Number = 2
	s.ok(s.RecordCheck(s.Context(), &c, &second, better, effects.Effects{}, now))
	s.holds("with another one", c, better, second)
	s.equal("loaded", s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true}).Snapshot, better)
}

func (s checks) TestConcurrentClaims() {
	c := s.linked()
	s.wins(1, race(20, func(int) error { return errOf(s.ClaimCheck(s.Context(), c, nil, now.Add(time.Minute), now)) }), fault.State)
}

// scheduled stores a connection whose next check is due at a time.
func (s *suite) scheduled(at time.Time) connection.Connection {
	s.Helper()
	return s.saved(s.linked(), func(c *connection.Connection) { c.NextRefreshAt = at })
}

// unschedule takes a connection from the schedule, for tests that look at all of
// it.
func (s *suite) unschedule(c connection.Connection) {
	s.Helper()
	s.saved(c, func(c *connection.Connection) { c.NextRefreshAt, c.Work = time.Time{}, connection.NoWork })
}

// disconnect unlinks a connection.
func (s *suite) disconnect(c *connection.Connection) {
	s.Helper()
	c.Status, c.DisconnectedAt, c.PurgeAt, c.NextRefreshAt = connection.Disconnected, milli(now), purge, time.Time{}
	s.ok(s.Unlink(s.Context(), c, effects.Effects{}, now))
}

// entry is what by_due has of a connection.
func entry(c connection.Connection) connection.Due {
	return connection.Due{AccountID: c.AccountID, ConnectionID: c.ID, CredentialID: c.CredentialID, PartnerID: c.PartnerID, DueAt: c.NextRefreshAt}
}

// timing is that of a stack on AWS.
var timing = health.Timing{RefusalGap: health.RefusalGap, Speed: 1} // never changes

// claimsNot checks that ClaimDue refuses a connection and leaves it unchanged.
func (s *suite) claimsNot(what string, c connection.Connection, at time.Time, kind fault.Kind) {
	s.Helper()
	before := s.load(c.AccountID, store.Want{ConnectionID: c.ID}).Connection
	s.fails(what, errOf(s.ClaimDue(s.Context(), entry(c), at.Add(time.Minute), at, timing)), kind)
	s.equal(what+": row", s.load(c.AccountID, store.Want{ConnectionID: c.ID}).Connection, before)
}

// loads tests Load and the reads of single items.
type loads struct{ *suite }

func (s loads) TestAbsent() {
	c := s.newConnection(s.id())
	s.equal("loaded", s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true, Number: s.number(c)}), store.Loaded{})
	s.fails("Connection", errOf(s.Connection(s.Context(), c.AccountID, c.ID)), fault.NotFound)
	s.fails("Account", errOf(s.Account(s.Context(), c.AccountID, now)), fault.NotFound)
	s.equal("Snapshot", must(s.Snapshot(s.Context(), c.AccountID, c.ID)), (*connection.Snapshot)(nil))
	s.equal("AllConnections", len(must(s.AllConnections(s.Context(), c.AccountID))), 0)
}

func (s loads) TestAccountUntilItsPurge() {
	a := s.deleted()
	s.equal("account", must(s.Account(s.Context(), a.ID, purge.Add(-time.Nanosecond))), a)
	s.fails("at its purge", errOf(s.Account(s.Context(), a.ID, purge)), fault.NotFound)
}

func (s loads) TestPurgedConnection() {
	c := s.linkedTo(s.account().ID, s.snapshot(100, milli(now)))
	c.PurgeAt = purge.Add(time.Millisecond)
	s.ok(s.FollowConnection(s.Context(), &c, s.stored(c.AccountID), effects.Effects{}, now))
	w := store.Want{ConnectionID: c.ID, Snapshot: true, Number: s.number(c), Now: purge.Add(-time.Nanosecond)}
	if l := s.load(c.AccountID, w); l.Connection == nil || l.Snapshot == nil || len(l.LinkedAs) != 1 {
		s.Errorf("before: Load = %+v", l)
	}
	w.Now = purge
	if l := s.load(c.AccountID, w); l.Connection != nil || l.Snapshot != nil || l.LinkedAs != nil {
		s.Errorf("after: Load = %+v", l)
	}
}

func (s loads) TestConnectionOfAnotherAccount() {
	c, other := s.linked(), s.account()
	l := s.load(other.ID, store.Want{ConnectionID: c.ID, Snapshot: true, Number: s.number(c)})
	s.equal("loaded", l, store.Loaded{Account: &other})
	s.fails("Connection", errOf(s.Connection(s.Context(), other.ID, c.ID)), fault.NotFound)
}

func (s loads) TestOnlyWhatIsWanted() {
	c := s.linkedTo(s.account().ID, s.snapshot(100, now))
	for name, tc := range map[string]struct {
		want           store.Want
		conn, snapshot bool
	}{
		"the account":                       {},
		"a snapshot of no connection":       {want: store.Want{Snapshot: true}},
		"the connection":                    {want: store.Want{ConnectionID: c.ID}, conn: true},
		"the connection and what it stores": {want: store.Want{ConnectionID: c.ID, Snapshot: true}, conn: true, snapshot: true},
	} {
		l := s.load(c.AccountID, tc.want)
		if l.Account == nil || (l.Connection != nil) != tc.conn || (l.Snapshot != nil) != tc.snapshot || l.LinkedAs != nil {
			s.Errorf("%s: Load = %+v", name, l)
		}
	}
}
