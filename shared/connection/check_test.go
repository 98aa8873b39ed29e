package connection_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
)

func TestCheckFails(t *testing.T) {
	down := errors.New("down")
	busy := fault.New(fault.State, "m")
	tests := []struct {
		name  string
		setUp func(*testing.T, *world, *connection.Connection)
		want  fault.Kind
		asked int
	}{
		{"another check is running", func(t *testing.T, w *world, c *connection.Connection) {
			t.Helper()
			if _, err := w.memory.ClaimCheck(t.Context(), *c, nil, w.clock.Add(time.Second), w.clock); err != nil {
				t.Fatal(err)
			}
		}, fault.State, 0},
		{"a change is running", func(t *testing.T, w *world, c *connection.Connection) {
			t.Helper()
			c.Work, c.LeaseUntil = connection.WorkCredentials, w.clock.Add(time.Second)
			if err := w.memory.SaveConnection(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}, fault.State, 0},
		{"its account was restored, and it has not followed", func(_ *testing.T, _ *world, c *connection.Connection) { c.Standing = account.StandingDeleted }, fault.State, 0},
		{"the row moved on", func(_ *testing.T, _ *world, c *connection.Connection) { c.Version-- }, fault.State, 0},
		{"the connection is gone", func(_ *testing.T, _ *world, c *connection.Connection) { c.ID = "se-gone" }, fault.NotFound, 0},
		{"the vault is down", func(_ *testing.T, w *world, _ *connection.Connection) { w.failing("Get", down) }, fault.Internal, 0},
		{"the vault is busy", func(_ *testing.T, w *world, _ *connection.Connection) { w.failing("Get", busy) }, fault.Internal, 0},
		{"the last answer cannot be read", func(_ *testing.T, w *world, _ *connection.Connection) {
			w.failing("Snapshot", down)
			w.production.answers(good(number))
			w.production.reading.Raw = []byte(`{"new":1}`)
		}, fault.Internal, 1},
		{"the row cannot be written", func(_ *testing.T, w *world, _ *connection.Connection) { w.failing("RecordCheck", down) }, fault.Internal, 1},
		{"unlinked meanwhile", func(_ *testing.T, w *world, c *connection.Connection) {
			w.production.meanwhile = func() { _ = w.Unlink(context.Background(), w.row(t, c.ID), false, nil) }
		}, fault.State, 1},
		{"changed meanwhile", func(_ *testing.T, w *world, c *connection.Connection) {
			w.production.meanwhile = func() { _, _ = w.Change(context.Background(), change(w.row(t, c.ID), "", "two")) }
		}, fault.State, 2},
		{"disabled meanwhile", func(t *testing.T, w *world, _ *connection.Connection) {
			t.Helper()
			w.production.meanwhile = func() { w.enabled(t, false); w.followed(t) }
		}, fault.State, 1},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			before := w.link(t)
			w.production.asked = nil
			arg := before
			tc.setUp(t, w, &arg)
			got, err := w.Check(t.Context(), arg, connection.TriggerRead, health.Breaker{}, effects.By{}, nil)
			if !fault.Is(err, tc.want) || tc.want == fault.State && fault.Of(err)[0].RetryAfter <= 0 {
				t.Fatalf("Check = %v, want %v", err, tc.want)
			}
			if diff := cmp.Diff(connection.Checked{}, got); diff != "" {
				t.Errorf("Check returns something beside the error:\n%s", diff)
			}
			if len(w.production.asked) != tc.asked {
				t.Errorf("the carrier was asked %d times, want %d", len(w.production.asked), tc.asked)
			}
			after := w.row(t, before.ID)
			if after.LastCheck.Trigger == connection.TriggerRead || len(w.history(t, before.ID)) != after.ChecksEver {
				t.Errorf("something is recorded: %+v", after.LastCheck)
			}
			if tc.want == fault.Internal && tc.name != "the row cannot be written" && !after.LeaseUntil.IsZero() {
				t.Errorf("the lease stays until %v", after.LeaseUntil)
			}
		})
	}
}

// TestCheckRecords: every outcome is recorded, only a good one replaces the snapshot,
// and none is an error.
func TestCheckRecords(t *testing.T) {
	for _, o := range carrier.Outcomes() {
		t.Run(string(o), func(t *testing.T) {
			w := newWorld(t)
			before := w.link(t)
			w.clock = w.clock.Add(time.Hour)
			w.production.answers(bad(o))
			if o == carrier.OutcomeOK {
				w.production.answers(good(number))
				w.production.reading.Raw = []byte(`{"new":1}`)
			}
			got, err := w.Check(t.Context(), before, connection.TriggerRead, health.Breaker{}, effects.By{}, nil)
			if err != nil || got.Reading.Outcome != o {
				t.Fatalf("Check = %v, %v", got.Reading.Outcome, err)
			}
			if asked := w.production.asked[1]; w.production.checks[1] != 2 || asked.Number != number || asked.Carrier != carrier.AustraliaPost || !asked.Credentials.Equal(credentials("one")) {
				t.Errorf("check %d asks for %v", w.production.checks[1], asked)
			}
			row, snap := w.stored(t, before.ID)
			if diff := cmp.Diff(row, got.Connection); diff != "" {
				t.Errorf("Check returns another row than it stores:\n%s", diff)
			}
			if row.ChecksWithCredentials != 2 || row.LastCheck.Outcome != o || row.LastCheck.Trigger != connection.TriggerRead || !row.LeaseUntil.IsZero() {
				t.Errorf("row: checks %d, last %+v, lease %v", row.ChecksWithCredentials, row.LastCheck, row.LeaseUntil)
			}
			if diff := cmp.Diff(w.history(t, row.ID)[0], got.Entry); diff != "" {
				t.Errorf("the history has another entry:\n%s", diff)
			}
			raw, err := snap.Raw()
			if err != nil {
				t.Fatal(err)
			}
			if isNew := string(raw) == `{"new":1}`; isNew != (o == carrier.OutcomeOK) || (got.Snapshot != nil) != isNew {
				t.Errorf("snapshot %s, returned %v", raw, got.Snapshot)
			}
			w.whole(t)
		})
	}
}

// TestEditDuringACheck: neither is lost, whichever is written first.
func TestEditDuringACheck(t *testing.T) {
	w := newWorld(t)
	conn := w.link(t)
	w.clock = w.clock.Add(time.Hour)
	w.production.meanwhile = func() { _ = rename(context.Background(), w, w.Service, w.row(t, conn.ID)) }
	if _, err := w.Verify(t.Context(), conn, health.Breaker{}, effects.By{}, nil); err != nil {
		t.Fatal(err)
	}
	row := w.row(t, conn.ID)
	if row.Nickname != "Main'" || row.ChecksEver != 2 || !row.VerifyCalledAt.Equal(w.clock) || !row.LeaseUntil.IsZero() || len(w.history(t, conn.ID)) != 2 {
		t.Errorf("row %+v", row)
	}
	w.whole(t)
}

// TestOvertakenCheckIsDueAgain: a change of credentials releases the lease of the check.
func TestOvertakenCheckIsDueAgain(t *testing.T) {
	w := newWorld(t)
	conn := w.link(t)
	w.clock = w.clock.AddDate(0, 0, 3)
	w.production.meanwhile = func() { _, _ = w.Change(context.Background(), change(w.row(t, conn.ID), "", "two")) }
	_, err := w.Refresh(t.Context(), connection.Due{AccountID: accountID, ConnectionID: conn.ID}, health.Breaker{})
	isState(t, err, true)
	row := w.row(t, conn.ID)
	w.clock = row.NextRefreshAt
	if checked, err := w.Refresh(t.Context(), connection.Due{AccountID: accountID, ConnectionID: conn.ID}, health.Breaker{}); err != nil || checked.Connection.ChecksWithCredentials != 2 {
		t.Errorf("Refresh = %+v, %v", checked.Connection, err)
	}
	w.whole(t)
}

func TestCheckOfTooLargeAnAnswer(t *testing.T) {
	w := newWorld(t)
	before := w.link(t)
	w.production.answers(good(number))
	w.production.reading.Raw = make([]byte, 1<<20+1)
	got, err := w.Check(t.Context(), before, connection.TriggerRead, health.Breaker{}, effects.By{}, nil)
	if err != nil || got.Reading.Outcome != carrier.OutcomeUnreadable || got.Snapshot != nil || got.Connection.Status != connection.Degraded {
		t.Errorf("Check = %+v, %v, want unreadable and degraded", got.Reading.Outcome, err)
	}
	w.whole(t) // the snapshot that was there stays
}

func TestVerify(t *testing.T) {
	for _, tc := range []struct {
		name    string
		after   time.Duration
		limited bool
	}{
		{"at once", 0, true},
		{"a little later", 29 * time.Second, true},
		{"half a minute later", 30 * time.Second, false},
		{"the clock was ahead by a bit", -time.Millisecond, false},
		{"the clock was ahead by a day", -24 * time.Hour, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			conn := w.link(t)
			if _, err := w.Verify(t.Context(), conn, health.Breaker{}, effects.By{}, nil); err != nil {
				t.Fatal(err)
			}
			w.clock = w.clock.Add(tc.after)
			_, err := w.Verify(t.Context(), w.row(t, conn.ID), health.Breaker{}, effects.By{}, nil)
			if !tc.limited && err != nil || tc.limited && (!fault.Is(err, fault.RateLimited) || fault.Of(err)[0].RetryAfter != connection.VerifyPause-tc.after) {
				t.Errorf("Verify = %v, limited %t", err, tc.limited)
			}
		})
	}
	t.Run("one that failed counts", func(t *testing.T) {
		w := newWorld(t)
		conn := w.link(t)
		w.failing("Get", errors.New("down"))
		if _, err := w.Verify(t.Context(), conn, health.Breaker{}, effects.By{}, nil); !fault.Is(err, fault.Internal) {
			t.Fatal(err)
		}
		if _, err := w.Verify(t.Context(), w.row(t, conn.ID), health.Breaker{}, effects.By{}, nil); !fault.Is(err, fault.RateLimited) {
			t.Errorf("Verify = %v, want rate limited", err)
		}
	})
	t.Run("a check of another kind does not", func(t *testing.T) {
		w := newWorld(t)
		conn := w.link(t)
		if err := readCheck(t.Context(), w, w.Service, conn); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Verify(t.Context(), w.row(t, conn.ID), health.Breaker{}, effects.By{}, nil); err != nil {
			t.Errorf("Verify = %v", err)
		}
	})
}

// claim is the claim of an Idempotency-Key as its request holds it.
func (w *world) claim(t *testing.T) effects.Record {
	t.Helper()
	claim := effects.Record{Scope: "s", Key: "k", ClaimID: "c", PayloadMAC: []byte{1}, LeaseUntil: w.clock.Add(time.Minute), ExpiresAt: w.clock.Add(time.Hour)}
	if err := w.memory.ClaimIdempotency(t.Context(), claim, w.clock); err != nil {
		t.Fatal(err)
	}
	return claim
}

func TestAnswerIsStoredWithTheCheck(t *testing.T) {
	w := newWorld(t)
	conn := w.link(t)
	claim := w.claim(t)
	claim.Sealed = []byte("sealed")
	answers := func(checked connection.Checked) (effects.Effects, error) {
		if checked.Connection.ChecksEver != 2 || checked.Entry.Number != 2 {
			t.Errorf("the answer is of %+v", checked.Entry)
		}
		return effects.Effects{Answer: &claim}, nil
	}
	t.Run("the claim has passed to another request", func(t *testing.T) {
		mine := claim.ClaimID
		claim.ClaimID = "other"
		calls := w.counting()
		_, err := w.Verify(t.Context(), conn, health.Breaker{}, effects.By{}, answers)
		if _, ok := errors.AsType[*effects.Replay](err); !ok {
			t.Errorf("Verify = %v, want a replay", err)
		}
		if calls["RecordCheck"] != 1 {
			t.Errorf("it is tried %d times", calls["RecordCheck"])
		}
		claim.ClaimID, w.on = mine, nil
		w.clock = w.clock.Add(time.Minute)
	})
	t.Run("it cannot be made", func(t *testing.T) {
		broken := errors.New("broken")
		_, err := w.Verify(t.Context(), w.row(t, conn.ID), health.Breaker{}, effects.By{}, func(connection.Checked) (effects.Effects, error) { return effects.Effects{}, broken })
		if !errors.Is(err, broken) || !fault.Is(err, fault.Internal) || !w.row(t, conn.ID).LeaseUntil.IsZero() {
			t.Errorf("Verify = %v", err)
		}
		w.clock = w.clock.Add(time.Minute)
	})
	if _, err := w.Verify(t.Context(), w.row(t, conn.ID), health.Breaker{}, effects.By{}, answers); err != nil {
		t.Fatal(err)
	}
	again := claim
	again.ClaimID = "d"
	if replay, ok := errors.AsType[*effects.Replay](w.memory.ClaimIdempotency(t.Context(), again, w.clock)); !ok || string(replay.Record.Sealed) != "sealed" {
		t.Errorf("the stored answer is %v", replay)
	}
	if row := w.row(t, conn.ID); row.ChecksEver != 2 || !row.LeaseUntil.IsZero() || len(w.history(t, conn.ID)) != 2 {
		t.Errorf("row %+v", row)
	}
}

func TestRefresh(t *testing.T) {
	w := newWorld(t)
	conn := w.link(t)
	_, err := w.Refresh(t.Context(), connection.Due{AccountID: accountID, ConnectionID: conn.ID}, health.Breaker{})
	isState(t, err, false) // not due
	if _, err := w.Refresh(t.Context(), connection.Due{AccountID: accountID, ConnectionID: "se-gone"}, health.Breaker{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("Refresh of none = %v", err)
	}
	w.clock = conn.NextRefreshAt
	calls := w.counting()
	checked, err := w.Refresh(t.Context(), connection.Due{AccountID: accountID, ConnectionID: conn.ID}, health.Breaker{})
	if err != nil || checked.Entry.Trigger != connection.TriggerSchedule {
		t.Errorf("Refresh = %+v, %v", checked.Entry, err)
	}
	if diff := cmp.Diff(map[string]int{"ClaimDue": 1, "Get": 1, "RecordCheck": 1}, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	_, err = w.Refresh(t.Context(), connection.Due{AccountID: accountID, ConnectionID: conn.ID}, health.Breaker{})
	isState(t, err, false)

	asked, err := w.RequestRefresh(t.Context(), w.row(t, conn.ID), false, nil)
	if err != nil || !asked.NextRefreshAt.Equal(w.clock) {
		t.Errorf("RequestRefresh = %+v, %v", asked, err)
	}
	checked, err = w.Refresh(t.Context(), connection.Due{AccountID: accountID, ConnectionID: conn.ID}, health.Breaker{})
	if err != nil || checked.Entry.Trigger != connection.TriggerManual || !checked.Connection.RefreshRequestedAt.IsZero() {
		t.Errorf("Refresh on demand = %+v, %v", checked.Entry, err)
	}
	if err := w.Unlink(t.Context(), w.row(t, conn.ID), false, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.RequestRefresh(t.Context(), w.row(t, conn.ID), false, nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("RequestRefresh of an unlinked one = %v", err)
	}
}

// TestSandbox: sandbox accounts call the simulator, have no breaker and are not counted.
func TestSandbox(t *testing.T) {
	w := newWorld(t)
	req := w.request(t)
	req.Account.Environment = carrier.Sandbox
	conn, err := w.Link(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	w.sandbox.answers(bad(carrier.OutcomeUnauthorized))
	w.clock = w.clock.Add(time.Minute)
	calls := w.counting()
	open := health.Breaker{Carrier: carrier.AustraliaPost, Open: true, ChangedAt: w.clock.Add(time.Hour)}
	for range 2 {
		if _, err := w.Check(t.Context(), w.row(t, conn.ID), connection.TriggerRead, open, effects.By{}, nil); err != nil {
			t.Fatal(err)
		}
		w.clock = w.clock.Add(health.RefusalGap)
	}
	if row := w.row(t, conn.ID); row.Status != connection.ActionRequired || calls["CountChecks"] != 0 {
		t.Errorf("status %s, counted %d times", row.Status, calls["CountChecks"])
	}
	if len(w.production.asked) != 0 || len(w.sandbox.asked) != 3 {
		t.Errorf("asked production %d times, the simulator %d times", len(w.production.asked), len(w.sandbox.asked))
	}
}

func (w *world) breaker(t *testing.T) health.Breaker {
	t.Helper()
	breakers, err := w.memory.Breakers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return breakers[carrier.AustraliaPost]
}

// scheduled is a scheduled check of a connection whose last good check was an hour
// before.
func (w *world) scheduled(account int64, o carrier.Outcome) health.Check {
	c := health.Check{
		PartnerID: 5, AccountID: account, ConnectionID: fmt.Sprint("se-", account), CredentialID: fmt.Sprint("key-", account), At: w.clock, Outcome: o,
		Scheduled: true, OnSchedule: true, PreviousGoodAt: w.clock.Add(-time.Hour), LastGoodAt: w.clock.Add(-time.Hour),
	}
	if o == carrier.OutcomeOK {
		c.LastGoodAt = w.clock
	}
	return c
}

func TestCount(t *testing.T) {
	failed := func(w *world, accounts ...int64) []health.Check {
		var checks []health.Check
		for _, id := range accounts {
			checks = append(checks, w.scheduled(id, carrier.OutcomeUnauthorized))
		}
		return checks
	}
	count := func(t *testing.T, w *world, b health.Breaker, checks []health.Check) {
		t.Helper()
		if err := w.Count(t.Context(), carrier.AustraliaPost, b, checks); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("fails", func(t *testing.T) {
		down := errors.New("down")
		for _, name := range []string{"CountChecks", "Tallies", "SaveBreaker"} {
			w := newWorld(t)
			w.failing(name, down)
			if err := w.Count(t.Context(), carrier.AustraliaPost, w.breaker(t), failed(w, 1, 2, 3)); !errors.Is(err, down) {
				t.Errorf("%s: Count = %v", name, err)
			}
		}
	})
	t.Run("somebody else saves at the same time", func(t *testing.T) {
		w := newWorld(t)
		stale := w.breaker(t)
		count(t, w, stale, []health.Check{w.scheduled(1, carrier.OutcomeOK)})
		w.failing("Breakers", errors.New("down"))
		if err := w.Count(t.Context(), carrier.AustraliaPost, stale, []health.Check{w.scheduled(2, carrier.OutcomeOK)}); err == nil {
			t.Error("Count = nil, want an error of the second read")
		}
		w.on = nil
		count(t, w, stale, []health.Check{w.scheduled(2, carrier.OutcomeOK)})
		if b := w.breaker(t); len(b.Peers) != 2 {
			t.Errorf("peers %+v, want both", b.Peers)
		}
	})
	t.Run("a check that cannot be counted is made", func(t *testing.T) {
		w := newWorld(t)
		conn := w.link(t)
		w.failing("CountChecks", errors.New("down"))
		if _, err := w.Check(t.Context(), conn, connection.TriggerRead, health.Breaker{}, effects.By{}, nil); err != nil || w.row(t, conn.ID).ChecksEver != 2 {
			t.Errorf("Check = %v", err)
		}
	})
	t.Run("opens and closes", func(t *testing.T) {
		w := newWorld(t)
		calls := w.counting()
		count(t, w, w.breaker(t), []health.Check{w.scheduled(1, carrier.OutcomeOK)})
		if calls["Tallies"] != 0 || calls["SaveBreaker"] != 1 {
			t.Errorf("calls %v, want no tallies although nothing failed, and the first peer saved", calls)
		}
		count(t, w, w.breaker(t), []health.Check{w.scheduled(1, carrier.OutcomeOK)})
		if calls["SaveBreaker"] != 1 {
			t.Error("the same peer is saved again at once")
		}
		count(t, w, w.breaker(t), failed(w, 1, 2))
		if w.breaker(t).Open {
			t.Fatal("two accounts open the breaker")
		}
		stale := w.breaker(t)
		count(t, w, stale, failed(w, 3))
		opened := w.breaker(t)
		if !opened.Open || opened.Failure != string(carrier.OutcomeUnauthorized) || !opened.ProbeAt.Equal(w.clock.Add(health.ProbeEvery)) {
			t.Fatalf("the breaker is %+v", opened)
		}
		w.clock = w.clock.Add(time.Second)
		count(t, w, stale, failed(w, 4)) // by somebody who has read it before
		if diff := cmp.Diff(opened, w.breaker(t)); diff != "" {
			t.Errorf("two have opened it:\n%s", diff)
		}
		count(t, w, opened, failed(w, 5))
		if diff := cmp.Diff(opened, w.breaker(t)); diff != "" {
			t.Errorf("a failure changes an open one:\n%s", diff)
		}
		byCaller := w.scheduled(1, carrier.OutcomeOK)
		byCaller.Scheduled = false
		count(t, w, opened, []health.Check{byCaller})
		if !w.breaker(t).Open {
			t.Error("a caller's check closes it")
		}
		opened = w.breaker(t)
		count(t, w, opened, []health.Check{w.scheduled(1, carrier.OutcomeOK), w.scheduled(2, carrier.OutcomeTimeout)})
		if now := w.breaker(t); now.Open || !now.ChangedAt.Equal(w.clock) || now.Version != opened.Version+1 {
			t.Errorf("a good check does not close it: %+v", now)
		}
	})
	t.Run("a carrier that asks to be left alone", func(t *testing.T) {
		w := newWorld(t)
		down := func(account int64, wish time.Duration) health.Check {
			c := w.scheduled(account, carrier.OutcomeUnavailable)
			c.RetryAfter = wish
			return c
		}
		count(t, w, w.breaker(t), []health.Check{down(1, time.Second), down(2, 20*time.Minute), down(3, 0)})
		opened := w.breaker(t)
		if want := w.clock.Add(20 * time.Minute); !opened.Open || !opened.ProbeAt.Equal(want) {
			t.Errorf("open %t, probe at %v, want %v", opened.Open, opened.ProbeAt, want)
		}
		w.clock = opened.ProbeAt
		probed := opened.Probed(w.clock, w.Timing)
		if err := w.memory.SaveBreaker(t.Context(), &probed); err != nil {
			t.Fatal(err)
		}
		count(t, w, probed, []health.Check{down(1, time.Hour)})
		if got, want := w.breaker(t).ProbeAt, w.clock.Add(time.Hour); !got.Equal(want) {
			t.Errorf("after a probe that is told so: the next at %v, want %v", got, want)
		}
		byCaller := down(1, 2*time.Hour)
		byCaller.Scheduled = false
		count(t, w, w.breaker(t), []health.Check{byCaller})
		if got, want := w.breaker(t).ProbeAt, w.clock.Add(time.Hour); !got.Equal(want) {
			t.Errorf("a caller's check moves the probe to %v, want %v", got, want)
		}
	})
	t.Run("only one partner fails", func(t *testing.T) {
		w := newWorld(t)
		other := w.scheduled(9, carrier.OutcomeOK)
		other.PartnerID = 6
		count(t, w, w.breaker(t), []health.Check{other})
		w.clock = w.clock.Add(time.Hour)
		count(t, w, w.breaker(t), failed(w, 1, 2, 3))
		b := w.breaker(t)
		if _, peer, wanted := b.Control(w.clock, w.Timing); b.Open || !wanted || peer == nil || peer.AccountID != 9 {
			t.Fatalf("open %t, control %t of %+v, want the other partner's to be asked", b.Open, wanted, peer)
		}
		refused := w.scheduled(9, carrier.OutcomeUnauthorized)
		refused.PartnerID = 6
		count(t, w, b, []health.Check{refused})
		if !w.breaker(t).Open {
			t.Error("the other partner is refused too, and the breaker stays closed")
		}
	})
	t.Run("checks on demand do not count", func(t *testing.T) {
		w := newWorld(t)
		conn := w.link(t)
		w.production.answers(bad(carrier.OutcomeUnauthorized))
		count(t, w, w.breaker(t), failed(w, 1, 2))
		for range 20 {
			w.clock = w.clock.Add(time.Minute)
			if _, err := w.Verify(t.Context(), w.row(t, conn.ID), w.breaker(t), effects.By{}, nil); err != nil || w.breaker(t).Open {
				t.Fatalf("Verify = %v, the breaker is %+v", err, w.breaker(t))
			}
		}
		count(t, w, w.breaker(t), failed(w, 1, 2, 3))
		if !w.breaker(t).Open {
			t.Fatal("three checks of the schedule do not open the breaker")
		}
		conn = w.row(t, conn.ID)
		w.clock = w.clock.Add(time.Hour)
		if _, err := w.Verify(t.Context(), conn, w.breaker(t), effects.By{}, nil); err != nil || w.row(t, conn.ID).Status != conn.Status {
			t.Errorf("Verify = %v, status %s: nobody is marked while it is open", err, w.row(t, conn.ID).Status)
		}
		w.production.reading = nil
		w.clock = w.clock.Add(time.Hour)
		if _, err := w.Verify(t.Context(), w.row(t, conn.ID), w.breaker(t), effects.By{}, nil); err != nil || !w.breaker(t).Open {
			t.Errorf("Verify = %v, the breaker is %+v", err, w.breaker(t))
		}
		// The schedule's own probe closes it, although a caller has asked for it.
		row := w.row(t, conn.ID)
		row.NextRefreshAt, row.RefreshRequestedAt = w.clock, w.clock
		if err := w.memory.SaveConnection(t.Context(), &row); err != nil {
			t.Fatal(err)
		}
		checked, err := w.Refresh(t.Context(), connection.Due{AccountID: accountID, ConnectionID: conn.ID}, w.breaker(t))
		if err != nil {
			t.Fatal(err)
		}
		count(t, w, w.breaker(t), []health.Check{checked.Counted})
		if w.breaker(t).Open {
			t.Error("a probe that a caller has asked for does not close the breaker")
		}
	})
}

func TestContractWatch(t *testing.T) {
	check := func(t *testing.T, w *world, conn connection.Connection) connection.HistoryEntry {
		t.Helper()
		checked, err := w.Check(t.Context(), conn, connection.TriggerRead, health.Breaker{}, effects.By{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w.history(t, conn.ID)[0], checked.Entry); diff != "" {
			t.Errorf("the history has another entry:\n%s", diff)
		}
		return checked.Entry
	}
	answers := func(w *world, raw string) {
		w.production.answers(good(number))
		w.production.reading.Raw = []byte(raw)
	}
	t.Run("the same bytes", func(t *testing.T) {
		w := newWorld(t)
		conn := w.link(t)
		w.clock = w.clock.Add(time.Hour)
		calls := w.counting()
		entry := check(t, w, conn)
		row, snap := w.stored(t, conn.ID)
		if calls["Snapshot"] != 0 || w.compared != 0 || len(entry.Changes) != 0 || !snap.At.Equal(conn.CreatedAt) || !row.VerifiedAt.Equal(w.clock) {
			t.Errorf("read %d times, compared %d times, changes %v, snapshot of %v", calls["Snapshot"], w.compared, entry.Changes, snap.At)
		}
	})
	t.Run("other bytes", func(t *testing.T) {
		w := newWorld(t)
		conn := w.link(t)
		answers(w, `{"new":1}`)
		entry := check(t, w, conn)
		want := []connection.Difference{{Type: connection.ChangedField, From: `{"account_number":"` + number + `"}`, To: `{"new":1}`}}
		if diff := cmp.Diff(want, entry.Changes); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		w.whole(t)
	})
	t.Run("a failure in between", func(t *testing.T) {
		w := newWorld(t)
		conn := w.link(t)
		w.production.answers(bad(carrier.OutcomeTimeout))
		check(t, w, conn)
		w.production.reading = nil
		if entry := check(t, w, w.row(t, conn.ID)); len(entry.Changes) != 0 || w.compared != 0 {
			t.Errorf("changes %v", entry.Changes)
		}
	})
	for _, tc := range []struct {
		name string
		snap func(t *testing.T) *connection.Snapshot
	}{
		{"what was kept is damaged", func(*testing.T) *connection.Snapshot { return &connection.Snapshot{Packed: []byte("damaged")} }},
		{"what was kept is no account", func(t *testing.T) *connection.Snapshot {
			t.Helper()
			snap, err := connection.NewSnapshot([]byte("damaged"), time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			return &snap
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			conn := w.link(t)
			if err := w.memory.RecordCheck(t.Context(), &conn, nil, tc.snap(t), effects.Effects{}, w.clock); err != nil {
				t.Fatal(err)
			}
			answers(w, `{"new":1}`)
			if diff := cmp.Diff([]connection.Difference{{Type: connection.ChangedField}}, check(t, w, conn).Changes); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			w.whole(t)
		})
	}
	t.Run("another account number is another contract", func(t *testing.T) {
		w := newWorld(t)
		conn := w.changed(t, w.link(t), number2, "")
		if entry := w.history(t, conn.ID)[0]; len(entry.Changes) != 0 || w.compared != 0 {
			t.Errorf("changes %v", entry.Changes)
		}
		w.whole(t)
	})
}

// TestSecretDeletedByHand: the first check reports it without a new status, the second
// one a gap later changes the status, and new credentials repair it.
func TestSecretDeletedByHand(t *testing.T) {
	w := newWorld(t)
	conn := w.link(t)
	w.loses(t, conn.ID)
	w.clock = w.clock.Add(time.Hour)
	for i, want := range []connection.Status{connection.Active, connection.ActionRequired} {
		checked, err := w.Check(t.Context(), w.row(t, conn.ID), connection.TriggerRead, health.Breaker{}, effects.By{}, nil)
		if err != nil || checked.Reading.Outcome != carrier.OutcomeNoCredentials || checked.Connection.Status != want {
			t.Fatalf("check %d: %s, %s, %v, want %s", i, checked.Reading.Outcome, checked.Connection.Status, err, want)
		}
		w.clock = w.clock.Add(health.RefusalGap)
	}
	if len(w.production.asked) != 1 {
		t.Errorf("the carrier is asked %d times", len(w.production.asked)-1)
	}
	_, err := w.Change(t.Context(), change(w.row(t, conn.ID), number2, ""))
	if !fault.Is(err, fault.State) || fault.Of(err)[0].Diagnosis == nil || fault.Of(err)[0].Diagnosis.Category != "credentials_missing" {
		t.Errorf("another number: %v", err)
	}
	healed := w.changed(t, w.row(t, conn.ID), "", "two")
	if healed.Status != connection.Active || healed.ID != conn.ID {
		t.Errorf("healed: %+v", healed)
	}
	w.keeps(t, conn.ID, credentials("two"))
	w.whole(t)
	err = rollback(t.Context(), w, w.Service, healed)
	isState(t, err, false) // what it replaced is gone
	w.whole(t)
}
