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

func checkTests() tests {
	return tests{
		"claiming what is gone":                             checkClaimingWhatIsGone,
		"claiming an intent":                                checkClaimingAnIntent,
		"claiming what somebody is at":                      checkClaimingWhatSomebodyIsAt,
		"claiming what is disconnected":                     checkClaimingWhatIsDisconnected,
		"claiming what is in work":                          checkClaimingWhatIsInWork,
		"claiming what is purged":                           checkClaimingWhatIsPurged,
		"claiming what is due, and is not":                  checkClaimingWhatIsDueAndIsNot,
		"claiming what is due":                              checkClaimingWhatIsDue,
		"checks that are never recorded":                    checkChecksThatAreNeverRecorded,
		"a connection is unlinked between claim and record": checkAConnectionIsUnlinkedBetweenClaimAndRecord,
		"at once of what is due, one claims":                checkAtOnceOfWhatIsDueOneClaims,
		"recording what is gone":                            checkRecordingWhatIsGone,
		"recording":                                         checkRecording,
		"at once, one claims":                               checkAtOnceOneClaims,
	}
}

func checkClaimingWhatIsGone(s *suite) {
	c := s.newConnection(s.account().ID)
	_, err := s.ClaimCheck(s.Context(), c, now.Add(time.Minute), now)
	s.fails("ClaimCheck", err, fault.NotFound)
	_, err = s.Connection(s.Context(), c.AccountID, c.ID)
	s.fails("ClaimCheck made a row: Connection", err, fault.NotFound)
}

func checkClaimingAnIntent(s *suite) {
	c := s.newConnection(s.account().ID)
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
	_, err := s.ClaimCheck(s.Context(), c, now.Add(time.Hour), now.Add(time.Minute))
	s.fails("ClaimCheck", err, fault.State)
}

func checkClaimingWhatSomebodyIsAt(s *suite) {
	c := s.linked()
	until := milli(now.Add(time.Minute))
	claimed, err := s.ClaimCheck(s.Context(), c, until, now)
	s.ok(err)
	want := c
	want.LeaseUntil, want.Version = until, c.Version+1
	s.equal("claimed", claimed, want)

	for name, read := range map[string]connection.Connection{"read before": c, "read after": claimed} {
		_, err = s.ClaimCheck(s.Context(), read, now.Add(time.Hour), until.Add(-3*time.Second))
		s.equal(name, s.problem(name, err, fault.State).RetryAfter, 3*time.Second)
	}
	_, err = s.ClaimCheck(s.Context(), c, now.Add(time.Hour), until)
	if p := s.problem("an old version, the lease over", err, fault.State); p.RetryAfter <= 0 {
		s.Error("no RetryAfter")
	}
	again, err := s.ClaimCheck(s.Context(), claimed, until.Add(time.Minute), until)
	s.ok(err)
	s.equal("version", again.Version, claimed.Version+1)
	s.fails("the one whose lease ended", s.RecordCheck(s.Context(), &claimed, nil, nil, effects.Effects{}, now), fault.State)
	s.fails("the same with a snapshot", s.RecordCheck(s.Context(), &claimed, nil, s.snapshot(100, now), effects.Effects{}, now), fault.State)
	l := s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true})
	s.equal("row", l.Connection, &again)
	if l.Snapshot != nil {
		s.Error("the snapshot was written")
	}
}

func checkClaimingWhatIsDisconnected(s *suite) {
	c := s.linked()
	s.disconnect(&c)
	_, err := s.ClaimCheck(s.Context(), c, now.Add(time.Hour), now.Add(time.Minute))
	s.fails("ClaimCheck", err, fault.NotFound)
}

func checkClaimingWhatIsInWork(s *suite) {
	c := s.linked()
	c.Work, c.LeaseUntil = connection.WorkCredentials, milli(now.Add(time.Minute))
	s.ok(s.SaveConnection(s.Context(), &c))
	_, err := s.ClaimCheck(s.Context(), c, now.Add(time.Hour), now)
	rest := s.problem("its lease runs", err, fault.State).RetryAfter
	s.equal("RetryAfter", rest, c.LeaseUntil.Sub(now))
	_, err = s.ClaimCheck(s.Context(), c, now.Add(time.Hour), now.Add(time.Minute))
	s.fails("its lease is over", err, fault.State)
	s.equal("row", s.row(c), c)
}

func checkClaimingWhatIsPurged(s *suite) {
	c := s.linked()
	c.PurgeAt = purge
	s.ok(s.SaveConnection(s.Context(), &c))
	_, err := s.ClaimCheck(s.Context(), c, purge.Add(time.Minute), purge)
	s.fails("ClaimCheck", err, fault.NotFound)
}

func checkClaimingWhatIsDueAndIsNot(s *suite) {
	s.claimsNot("gone", s.newConnection(s.account().ID), now, fault.NotFound)
	intent := s.newConnection(s.account().ID)
	intent.NextRefreshAt, intent.LeaseUntil = milli(now), milli(now)
	s.ok(s.BeginLink(s.Context(), &intent, connection.LinkOptions{}))
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
		c := s.scheduled(milli(now))
		tc.change(&c)
		s.ok(s.SaveConnection(s.Context(), &c))
		s.claimsNot(name, c, now, tc.kind)
		s.unschedule(c)
	}
}

func checkClaimingWhatIsDue(s *suite) {
	c := s.scheduled(milli(now))
	until := milli(now.Add(time.Minute))
	claimed, err := s.ClaimDue(s.Context(), entry(c), until, now, timing)
	s.ok(err)
	want := c
	want.LeaseUntil, want.Version = until, c.Version+1
	want.NextRefreshAt, want.Unrecorded = until.Add(90*time.Second), 1
	s.equal("claimed", claimed, want)
	s.equal("row", s.row(c), want)
	_, err = s.ClaimDue(s.Context(), entry(c), now.Add(time.Hour), until.Add(-3*time.Second), timing)
	s.equal("RetryAfter", s.problem("a second message", err, fault.State).RetryAfter, 3*time.Second)

	s.claimsNot("the lease is over, and it is not due again", claimed, until.Add(90*time.Second-time.Millisecond), fault.State)
	back := until.Add(90 * time.Second)
	again, err := s.ClaimDue(s.Context(), entry(c), back.Add(time.Minute), back, timing)
	s.ok(err)
	s.fails("the one whose lease ended", s.RecordCheck(s.Context(), &claimed, &first, nil, effects.Effects{}, now), fault.State)
	again.NextRefreshAt = milli(now.Add(time.Hour))
	s.ok(s.RecordCheck(s.Context(), &again, &first, nil, effects.Effects{}, now))
	s.claimsNot("a late message", again, until.Add(time.Minute), fault.State)
	s.unschedule(again)
}

func checkChecksThatAreNeverRecorded(s *suite) {
	c := s.scheduled(milli(now))
	at := milli(now)
	for n := 1; n <= 14; n++ {
		claimed, err := s.ClaimDue(s.Context(), entry(c), at.Add(30*time.Second), at, timing)
		s.ok(err)
		s.equal("counted", claimed.Unrecorded, n)
		s.equal("row", s.row(c), claimed)
		gap := claimed.NextRefreshAt.Sub(at)
		if want := max(min(time.Minute<<(n-1), 24*time.Hour), 2*time.Minute); gap != want {
			s.Errorf("claim %d is due again after %v, want %v", n, gap, want)
		}
		s.claimsNot("before that", claimed, claimed.NextRefreshAt.Add(-time.Millisecond), fault.State)
		at = claimed.NextRefreshAt
	}
	claimed, err := s.ClaimDue(s.Context(), entry(c), at.Add(30*time.Second), at, timing)
	s.ok(err)
	claimed.NextRefreshAt, claimed.Unrecorded = at.Add(time.Hour), 0
	s.ok(s.RecordCheck(s.Context(), &claimed, &first, nil, effects.Effects{}, now))
	s.equal("recorded", s.row(c), claimed)
	s.unschedule(claimed)
}

func checkAConnectionIsUnlinkedBetweenClaimAndRecord(s *suite) {
	c := s.scheduled(milli(now))
	claimed, err := s.ClaimDue(s.Context(), entry(c), now.Add(time.Minute), now, timing)
	s.ok(err)
	gone := s.row(c)
	s.disconnect(&gone)
	s.fails("RecordCheck", s.RecordCheck(s.Context(), &claimed, &first, s.snapshot(100, now), effects.Effects{}, now), fault.State)
	s.fails("RecordCheck of an outage", s.RecordCheck(s.Context(), &claimed, nil, nil, effects.Effects{}, now), fault.State)
	s.claimsNot("a late message", c, now.Add(time.Hour), fault.NotFound)
	s.equal("row", s.row(c), gone)
	snap, err := s.Snapshot(s.Context(), c.AccountID, c.ID)
	s.ok(err)
	if snap != nil || len(s.historyOf(c)) > 0 {
		s.Error("a snapshot or an entry of the history was written")
	}
}

func checkAtOnceOfWhatIsDueOneClaims(s *suite) {
	c := s.scheduled(milli(now))
	s.equal("claims", s.won(race(20, func(int) error {
		_, err := s.ClaimDue(s.Context(), entry(c), now.Add(time.Minute), now, timing)
		return err
	}), fault.State), 1)
	s.unschedule(s.row(c))
}

func checkRecordingWhatIsGone(s *suite) {
	c := s.newConnection(s.account().ID)
	c.Version = 4
	s.fails("without a snapshot", s.RecordCheck(s.Context(), &c, nil, nil, effects.Effects{}, now), fault.NotFound)
	s.fails("with one", s.RecordCheck(s.Context(), &c, nil, s.snapshot(100, now), effects.Effects{}, now), fault.NotFound)
	s.fails("with an entry", s.RecordCheck(s.Context(), &c, &first, nil, effects.Effects{}, now), fault.NotFound)
	s.equal("history", len(s.historyOf(c)), 0)
	s.equal("version", c.Version, int64(4))
}

func checkRecording(s *suite) {
	c := s.linked()
	c, err := s.ClaimCheck(s.Context(), c, now.Add(time.Minute), now)
	s.ok(err)
	good := s.snapshot(200, milli(now))
	c.Status, c.Checks, c.ModifiedAt = connection.Active, 2, milli(now.Add(time.Second))
	s.ok(s.RecordCheck(s.Context(), &c, nil, good, effects.Effects{}, now))
	l := s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true})
	s.equal("row", l.Connection, &c)
	s.equal("lease", c.LeaseUntil, time.Time{})
	s.equal("snapshot", l.Snapshot, good)

	c, err = s.ClaimCheck(s.Context(), c, now.Add(time.Minute), now)
	s.ok(err)
	c.Status, c.StatusReason = connection.Degraded, "timeout"
	s.ok(s.RecordCheck(s.Context(), &c, nil, nil, effects.Effects{}, now))
	l = s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true})
	s.equal("row", l.Connection, &c)
	s.equal("the old snapshot", l.Snapshot, good)

	c, err = s.ClaimCheck(s.Context(), c, now.Add(time.Minute), now)
	s.ok(err)
	better := s.snapshot(300, milli(now.Add(time.Hour)))
	second := first
	second.Number = 2
	s.ok(s.RecordCheck(s.Context(), &c, &second, better, effects.Effects{}, now))
	s.equal("history", s.historyOf(c), []connection.HistoryEntry{second})
	s.equal("the new snapshot", s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true}).Snapshot, better)
}

func checkAtOnceOneClaims(s *suite) {
	c := s.linked()
	s.equal("claims", s.won(race(20, func(int) error {
		_, err := s.ClaimCheck(s.Context(), c, now.Add(time.Minute), now)
		return err
	}), fault.State), 1)
}

// scheduled stores a connection whose next check is due at a time.
func (s *suite) scheduled(at time.Time) connection.Connection {
	s.Helper()
	c := s.linked()
	c.NextRefreshAt = at
	s.ok(s.SaveConnection(s.Context(), &c))
	return c
}

// unschedule takes a connection from the schedule, for tests that look at all of
// it.
func (s *suite) unschedule(c connection.Connection) {
	s.Helper()
	c.NextRefreshAt, c.Work = time.Time{}, connection.NoWork
	s.ok(s.SaveConnection(s.Context(), &c))
}

// disconnect unlinks a connection, to the end.
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

// claimsNot checks that ClaimDue refuses a connection, and leaves it alone.
func (s *suite) claimsNot(what string, c connection.Connection, at time.Time, kind fault.Kind) {
	s.Helper()
	before := s.load(c.AccountID, store.Want{ConnectionID: c.ID}).Connection
	_, err := s.ClaimDue(s.Context(), entry(c), at.Add(time.Minute), at, timing)
	s.fails(what, err, kind)
	s.equal(what+": row", s.load(c.AccountID, store.Want{ConnectionID: c.ID}).Connection, before)
}

func loadTests() tests {
	return tests{
		"nothing is there":                          loadNothingIsThere,
		"an account by itself, until its purge":     loadAnAccountByItselfUntilItsPurge,
		"a purged connection":                       loadAPurgedConnection,
		"another account's connection is not there": loadAnotherAccountsConnectionIsNotThere,
		"only what is asked for":                    loadOnlyWhatIsAskedFor,
	}
}

func loadNothingIsThere(s *suite) {
	c := s.newConnection(s.id())
	s.equal("loaded", s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true, Number: s.number(c)}), store.Loaded{})
	_, err := s.Connection(s.Context(), c.AccountID, c.ID)
	s.fails("Connection", err, fault.NotFound)
	_, err = s.Account(s.Context(), c.AccountID, now)
	s.fails("Account", err, fault.NotFound)
	snap, err := s.Snapshot(s.Context(), c.AccountID, c.ID)
	s.ok(err)
	s.equal("Snapshot", snap, (*connection.Snapshot)(nil))
	rows, err := s.AllConnections(s.Context(), c.AccountID)
	s.ok(err)
	s.equal("AllConnections", len(rows), 0)
}

func loadAnAccountByItselfUntilItsPurge(s *suite) {
	a := s.deleted()
	got, err := s.Account(s.Context(), a.ID, purge.Add(-time.Nanosecond))
	s.ok(err)
	s.equal("account", got, a)
	_, err = s.Account(s.Context(), a.ID, purge)
	s.fails("at its purge", err, fault.NotFound)
}

func loadAPurgedConnection(s *suite) {
	c := s.newConnection(s.account().ID)
	s.link(&c, s.snapshot(100, milli(now)))
	a := s.stored(c.AccountID)
	c.PurgeAt = purge.Add(time.Millisecond)
	s.ok(s.FollowConnection(s.Context(), &c, a))
	w := store.Want{ConnectionID: c.ID, Snapshot: true, Number: s.number(c), Now: purge.Add(-time.Nanosecond)}
	if l := s.load(c.AccountID, w); l.Connection == nil || l.Snapshot == nil || len(l.LinkedAs) != 1 {
		s.Errorf("before: Load = %+v", l)
	}
	w.Now = purge
	if l := s.load(c.AccountID, w); l.Connection != nil || l.Snapshot != nil || l.LinkedAs != nil {
		s.Errorf("after: Load = %+v", l)
	}
}

func loadAnotherAccountsConnectionIsNotThere(s *suite) {
	c, other := s.linked(), s.account()
	l := s.load(other.ID, store.Want{ConnectionID: c.ID, Snapshot: true, Number: s.number(c)})
	s.equal("loaded", l, store.Loaded{Account: &other})
	_, err := s.Connection(s.Context(), other.ID, c.ID)
	s.fails("Connection", err, fault.NotFound)
}

func loadOnlyWhatIsAskedFor(s *suite) {
	c := s.newConnection(s.account().ID)
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
	s.ok(s.FinishLink(s.Context(), &c, nil, s.snapshot(100, now), effects.Effects{}, now))
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
