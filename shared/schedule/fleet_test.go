package schedule_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
	"carrierlink/shared/schedule"
	"carrierlink/shared/secret"
)

// fleet simulates the whole service over virtual time: dispatcher, queue, worker and
// connection service over a store in memory, and a carrier that answers each API key on
// demand. Passes are a minute apart; the clock stands still while code runs.
type fleet struct {
	*bulkStore
	connection.Vault // for Get only
	service          *connection.Service
	worker           schedule.Worker
	dispatcher       schedule.Dispatcher
	clock            time.Time
	waiting          []schedule.Delayed // delayed from the start of the minute

	members []member
	byID    map[string]member
	answer  func(m member, now time.Time) carrier.Outcome

	mu       sync.Mutex
	calls    map[string][]time.Time // by connection
	refused  map[string]time.Time   // the first refusal
	marked   map[string]time.Time
	opened   int
	controls int
}

// member is a connection of a fleet.
type member struct {
	id, key          string
	account, partner int64
}

const day = 24 * time.Hour

// newFleet makes connections that were linked a minute apart and are checked daily.
func newFleet(t *testing.T, members []member) *fleet {
	t.Helper()
	f := &fleet{
		bulkStore: newBulkStore(), clock: at(), members: members, byID: map[string]member{},
		answer: func(member, time.Time) carrier.Outcome { return carrier.OutcomeOK },
		calls:  map[string][]time.Time{}, refused: map[string]time.Time{}, marked: map[string]time.Time{},
	}
	now := func() time.Time { return f.clock }
	timing := health.Timing{RefusalGap: health.RefusalGap, LoneRefusal: health.LoneRefusal, Speed: 1}
	f.service = &connection.Service{Store: f.bulkStore, Vault: f, CallsPerMinute: 1000, Carriers: connection.Carriers{Production: f}, Timing: timing, Now: now, Random: rand.Reader, Jitter: seeded(t, now)}
	f.worker = schedule.Worker{Checker: f.service, Breakers: f.bulkStore}
	traffic := schedule.Traffic{Queue: f, PerMinute: perMinute}
	f.dispatcher = schedule.Dispatcher{Store: f.bulkStore, Timing: timing, Now: now, Window: time.Minute, Production: traffic, Sandbox: schedule.Traffic{Queue: &fakeQueue{}, PerMinute: 60}}
	accounts := map[int64]bool{}
	for i, m := range members {
		f.byID[m.id] = m
		if !accounts[m.account] {
			makeAccount(t, f, account.Account{ID: m.account, PartnerID: m.partner, Environment: carrier.Production, Active: true})
			accounts[m.account] = true
		}
		f.clock = at().Add(time.Duration(i%60) * time.Minute)
		conn := connection.Connection{
			ID: m.id, AccountID: m.account, PartnerID: m.partner, Environment: carrier.Production, Carrier: carrier.AustraliaPost, AccountNumber: fmt.Sprintf("%010d", i+1),
			Standing: account.StandingActive, CredentialID: m.key, RefreshPolicy: connection.RefreshDaily,
		}
		if err := f.BeginLink(t.Context(), &conn, connection.LinkOptions{}); err != nil {
			t.Fatal(err)
		}
		conn.Status = connection.PendingVerification
		entry := conn.Record(connection.Observation{
			Reading: connection.Reading{Outcome: carrier.OutcomeOK}, Trigger: connection.TriggerLink, Now: f.clock, Timing: timing, Jitter: float64(i*37%100) / 100,
		})
		if err := f.FinishLink(t.Context(), &conn, &entry, nil, effects.Effects{}, f.clock); err != nil {
			t.Fatal(err)
		}
	}
	f.clock = at().Add(time.Hour)
	return f
}

// each makes n members, each with its own account and credentials, of so many partners.
func each(n, partners int) []member {
	var all []member
	for i := range n {
		all = append(all, member{fmt.Sprintf("se-%04d", i), fmt.Sprintf("key-%d", i), int64(i + 1), int64(i%partners + 1)})
	}
	return all
}

// Get is the vault's. The API key is the id of the connection.
func (f *fleet) Get(_ context.Context, _ int64, connectionID, _ string) (connection.Credentials, error) {
	return connection.Credentials{APIKey: secret.New(connectionID), APISecret: secret.New("secret")}, nil
}

// GetAccount is the carrier's.
func (f *fleet) GetAccount(_ context.Context, account connection.ChargeAccount, _ int) connection.Reading {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := account.Credentials.APIKey.Reveal()
	m := f.byID[id]
	f.calls[id] = append(f.calls[id], f.clock)
	r := connection.Reading{Outcome: f.answer(m, f.clock)}
	if r.Outcome == carrier.OutcomeOK {
		r.Raw = fmt.Appendf(nil, `{"account_number":%q}`, account.Number)
	}
	return r
}

// Backlog and Send are the queue.
func (f *fleet) Backlog(context.Context) (int, error) { return len(f.waiting), nil }

func (f *fleet) Send(_ context.Context, messages []schedule.Delayed) error {
	f.waiting = append(f.waiting, messages...)
	for _, m := range messages {
		if m.Message.Control {
			f.controls++
		}
	}
	return nil
}

// run advances the time to a moment after the start.
func (f *fleet) run(t *testing.T, until time.Duration) {
	t.Helper()
	for end := at().Add(until); f.clock.Before(end); f.clock = f.clock.Truncate(time.Minute).Add(time.Minute) {
		if _, err := f.dispatcher.RunPass(t.Context()); err != nil {
			t.Fatal(err)
		}
		minute := f.clock
		batch := f.waiting
		f.waiting = nil
		for len(batch) > 0 {
			n := 1
			for n < min(10, len(batch)) && batch[n].Delay == batch[0].Delay {
				n++
			}
			f.clock = minute.Add(batch[0].Delay)
			f.deliver(t, batch[:n])
			batch = batch[n:]
		}
		f.clock = minute
	}
}

func (f *fleet) deliver(t *testing.T, batch []schedule.Delayed) {
	t.Helper()
	before := f.breaker(t)
	var bodies []string
	for _, m := range batch {
		text, err := json.Marshal(m.Message)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(text))
	}
	if failed := f.worker.Work(t.Context(), received(bodies...)); len(failed) > 0 {
		t.Fatalf("messages %v failed", failed)
	}
	if !before.Open && f.breaker(t).Open {
		f.opened++
	}
	for _, m := range batch {
		row := f.row(t, m.Message.AccountID, m.Message.ConnectionID)
		if _, ok := f.refused[row.ID]; !ok && !row.FirstRefusedAt.IsZero() {
			f.refused[row.ID] = row.FirstRefusedAt
		}
		if _, ok := f.marked[row.ID]; !ok && row.Status == connection.ActionRequired {
			f.marked[row.ID] = f.clock
		}
	}
}

func (f *fleet) row(t *testing.T, account int64, id string) connection.Connection {
	t.Helper()
	row, err := f.Connection(t.Context(), account, id)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func (f *fleet) breaker(t *testing.T) health.Breaker {
	t.Helper()
	b, err := f.Breakers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b[carrier.AustraliaPost]
}

// notActive lists the connections that are not active without a reason.
func (f *fleet) notActive(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, m := range f.members {
		if row := f.row(t, m.account, m.id); row.Status != connection.Active || row.StatusReason != "" {
			list = append(list, fmt.Sprint(m.id, " ", row.Status, " ", row.StatusReason))
		}
	}
	return list
}

// sizes are the sizes of the fleets.
var sizes = []int{1, 2, 3, 10, 20, 50, 400}

// TestOutageOfADay: the carrier fails all checks for a day, in each of four ways. No
// connection requires action, no key is checked excessively, and all connections soon
// recover by themselves.
func TestOutageOfADay(t *testing.T) {
	t.Parallel()
	const begins, ends = 26 * time.Hour, 50 * time.Hour
	for _, failing := range []carrier.Outcome{carrier.OutcomeUnauthorized, carrier.OutcomeForbidden, carrier.OutcomeUnavailable, carrier.OutcomeTimeout} {
		for _, n := range sizes {
			for _, partners := range []int{1, 3} {
				if n < partners {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d of %d", failing, n, partners), func(t *testing.T) {
					t.Parallel()
					f := newFleet(t, each(n, partners))
					f.answer = func(_ member, now time.Time) carrier.Outcome {
						if since := now.Sub(at()); since >= begins && since < ends {
							return failing
						}
						return carrier.OutcomeOK
					}
					f.run(t, ends)
					most := 0
					for _, calls := range f.calls {
						during := 0
						for _, at := range calls {
							if f.clock.Sub(at) < ends-begins {
								during++
							}
						}
						most = max(most, during)
					}
					f.run(t, ends+2*time.Hour)
					if len(f.marked) > 0 {
						t.Errorf("%d of %d require action", len(f.marked), n)
					}
					if bad := f.notActive(t); len(bad) > 0 || f.breaker(t).Open {
						t.Errorf("two hours after the outage %d of %d are not active: %.3v; breaker open: %t", len(bad), n, bad, f.breaker(t).Open)
					}
					t.Logf("%d refused; the breaker opened %d times; %d control checks; at most %d checks of one key", len(f.refused), f.opened, f.controls, most)
					// While the breaker is open there are only the probes, one a minute.
					if limit := 48; f.opened == 0 && most > limit {
						t.Errorf("one key was checked %d times in a day, want at most %d", most, limit)
					}
				})
			}
		}
	}
}

// TestOneDeadKey: in a fleet of any size only the connection with the dead key requires
// action, from its second refusal on, 10 to 16 minutes after the first; from 48 hours
// on where there is no other connection to compare with. It recovers by itself.
func TestOneDeadKey(t *testing.T) {
	t.Parallel()
	for _, n := range sizes {
		for _, dies := range []time.Duration{2 * time.Hour, 26 * time.Hour} {
			for _, partners := range []int{1, 3} {
				if n < partners {
					continue
				}
				t.Run(fmt.Sprintf("%d of %d after %v", n, partners, dies), func(t *testing.T) {
					t.Parallel()
					f := newFleet(t, each(n, partners))
					dead := f.members[n/2]
					heals := 15 * day
					f.answer = func(m member, now time.Time) carrier.Outcome {
						if since := now.Sub(at()); m == dead && since >= dies && since < heals {
							return carrier.OutcomeUnauthorized
						}
						return carrier.OutcomeOK
					}
					f.run(t, 68*time.Hour)
					low, high := 10*time.Minute, 16*time.Minute
					if n == 1 {
						low, high = 48*time.Hour, 50*time.Hour
						if row := f.row(t, dead.account, dead.id); row.Status != connection.Active || row.StatusReason != "unauthorized_suspected" {
							t.Errorf("before 48 hours it is %s %q, want active with a suspected reason", row.Status, row.StatusReason)
						}
						f.run(t, 5*day)
					}
					marked, first := f.marked[dead.id], f.refused[dead.id]
					if took := marked.Sub(first); marked.IsZero() || took < low || took > high || len(f.marked) != 1 {
						t.Fatalf("%d require action; the dead one %v after its first refusal, want one after %v to %v", len(f.marked), took, low, high)
					}
					row := f.row(t, dead.account, dead.id)
					if row.StatusReason != "unauthorized" || f.opened > 0 {
						t.Errorf("its reason is %q; the breaker opened %d times", row.StatusReason, f.opened)
					}
					calls := len(f.calls[dead.id])
					f.run(t, heals+27*time.Hour)
					if bad := f.notActive(t); len(bad) > 0 {
						t.Errorf("a day after the key works again: not active: %v", bad)
					}
					if daily := len(f.calls[dead.id]) - calls; daily < 10 || daily > 15 {
						t.Errorf("the dead key was checked %d times in at least ten days, want once a day", daily)
					}
				})
			}
		}
	}
}

// TestOutageHidesADeadKey: the carrier refuses all checks for a day, each in another way,
// and meanwhile one key really dies. After the outage only its connection requires
// action, in small fleets and for a small partner beside a large one.
func TestOutageHidesADeadKey(t *testing.T) {
	t.Parallel()
	const begins, ends = 26 * time.Hour, 50 * time.Hour
	ways := []carrier.Outcome{carrier.OutcomeUnauthorized, carrier.OutcomeForbidden, carrier.OutcomeUnknownAccount}
	beside := each(61, 1)
	for i := range beside[1:] {
		beside[i+1].partner = 2
	}
	for name, members := range map[string][]member{
		"two": each(2, 1), "four": each(4, 1), "five of two partners": each(5, 2), "a partner's only one beside 60": beside,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, members)
			dead, calls := f.members[0], 0
			f.answer = func(m member, now time.Time) carrier.Outcome {
				since := now.Sub(at())
				if since < begins || since >= ends && m != dead {
					return carrier.OutcomeOK
				}
				calls++
				return ways[calls%len(ways)]
			}
			f.run(t, ends)
			if len(f.marked) > 0 {
				t.Errorf("%d require action during the outage", len(f.marked))
			}
			f.run(t, ends+28*time.Hour)
			if f.marked[dead.id].IsZero() || len(f.marked) != 1 || len(f.notActive(t)) != 1 || f.breaker(t).Open {
				t.Errorf("require action: %v, not active: %v, breaker open: %t; want the dead one only", f.marked, f.notActive(t), f.breaker(t).Open)
			}
		})
	}
}

// killKeys makes the keys of some members die, each at its time.
func (f *fleet) killKeys(at map[string]time.Time) {
	f.answer = func(m member, now time.Time) carrier.Outcome {
		if died, ok := at[m.id]; ok && !now.Before(died) {
			return carrier.OutcomeForbidden
		}
		return carrier.OutcomeOK
	}
}

// TestManyDeadKeys: many keys really die, at different times or at once, alone or shared.
// Exactly their connections require action, in time.
func TestManyDeadKeys(t *testing.T) {
	t.Parallel()
	const inTime = 16 * time.Minute
	shared := func(n int, key func(i int) string) []member {
		all := each(n, 1)
		for i := range all {
			all[i].key = key(i)
		}
		return all
	}
	tests := []struct {
		name    string
		members []member
		dies    func(i int) time.Duration // after the start; zero: never
		within  time.Duration             // of the first refusal
		opens   bool                      // the breaker may open: so many refusals at once look like the carrier's failure
	}{
		// 28 hours apart: the daily check of each fails before the next key dies. Three
		// refusals within minutes would rightly look like the carrier's failure.
		{"half of 20, one after another", each(20, 1), func(i int) time.Duration { return time.Duration(i%2) * time.Duration(i+1) * 14 * time.Hour }, inTime, false},
		{"half of 50 of three partners, at once", each(50, 3), func(i int) time.Duration { return time.Duration(i%2) * 26 * time.Hour }, 4 * day, true},
		{"all of one partner's, at once", each(30, 3), func(i int) time.Duration {
			if i%3 == 0 {
				return 26 * time.Hour
			}
			return 0
		}, inTime, false},
		{"a key of three accounts among five", shared(5, func(i int) string { return fmt.Sprint("key-", i/3*i) }), func(i int) time.Duration {
			if i < 3 {
				return 26 * time.Hour
			}
			return 0
		}, inTime, false},
		{"two of four that share a key", shared(4, func(i int) string { return fmt.Sprint("key-", i/2) }), func(i int) time.Duration { return time.Duration(i/2) * 30 * time.Hour }, inTime, false},
		{"all share one key: no connection to compare with", shared(4, func(int) string { return "key" }), func(int) time.Duration { return 26 * time.Hour }, 50 * time.Hour, true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, tc.members)
			dead := map[string]time.Time{}
			for i, m := range tc.members {
				if after := tc.dies(i); after > 0 {
					dead[m.id] = at().Add(after)
				}
			}
			f.killKeys(dead)
			f.run(t, 14*day)
			late := 0
			for id := range dead {
				if marked, ok := f.marked[id]; !ok || marked.Sub(f.refused[id]) > tc.within {
					t.Logf("%s was refused at %v and requires action since %v", id, f.refused[id], marked)
					late++
				}
			}
			t.Logf("%d dead of %d; %d control checks; the breaker opened %d times", len(dead), len(tc.members), f.controls, f.opened)
			if late > 0 || len(f.marked) != len(dead) {
				t.Errorf("%d of %d dead keys do not require action within %v; %d connections do", late, len(dead), tc.within, len(f.marked))
			}
			if f.opened > 0 && !tc.opens {
				t.Errorf("the breaker opened %d times", f.opened)
			}
		})
	}
}

// TestLiveReadsDoNotVote: one merchant's live reads, good or refused, neither open nor
// close the breaker, however many there are.
func TestLiveReadsDoNotVote(t *testing.T) {
	t.Parallel()
	f := newFleet(t, each(83, 2))
	read := func(m member, o carrier.Outcome, n int) {
		t.Helper()
		f.answer = func(member, time.Time) carrier.Outcome { return o }
		for range n {
			f.clock = f.clock.Add(100 * time.Millisecond) // within the callers' rate limit
			if _, err := f.service.Check(t.Context(), f.row(t, m.account, m.id), connection.TriggerRead, f.breaker(t), effects.By{}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	count := func(members []member, o carrier.Outcome) {
		t.Helper()
		var checks []health.Check
		for _, m := range members {
			checks = append(checks, health.Check{
				PartnerID: m.partner, AccountID: m.account, ConnectionID: m.id, CredentialID: m.key, At: f.clock, Outcome: o,
				Scheduled: true, OnSchedule: true, PreviousGoodAt: f.clock.Add(-time.Hour), LastGoodAt: f.clock,
			})
		}
		if err := f.service.Count(t.Context(), carrier.AustraliaPost, f.breaker(t), checks); err != nil {
			t.Fatal(err)
		}
	}
	// 80 good checks of others, and three accounts with many refused live reads.
	count(f.members[3:], carrier.OutcomeOK)
	for _, m := range f.members[:3] {
		read(m, carrier.OutcomeUnauthorized, 120)
	}
	if f.breaker(t).Open {
		t.Fatal("360 live reads of three accounts outvote 80 good checks of others")
	}
	// Good live reads do not keep the breaker from opening, nor close it.
	read(f.members[0], carrier.OutcomeOK, 360)
	f.clock = f.clock.Add(5 * time.Minute)
	count(f.members[3:], carrier.OutcomeTimeout)
	if !f.breaker(t).Open {
		t.Fatal("360 good live reads outvote 80 failures of others")
	}
	read(f.members[0], carrier.OutcomeOK, 10)
	if !f.breaker(t).Open {
		t.Error("a live read closes the breaker")
	}
}
