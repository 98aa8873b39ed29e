package schedule_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
	"carrierlink/shared/schedule"
)

// TestMain discards the log: these tests cause failures on purpose.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

const (
	perMinute   = 600
	connections = 10_000
)

// outageSim simulates the schedule over virtual time: dispatcher, queue and worker over
// a store in memory, with a carrier that fails on demand. Its clock stands still while
// code runs.
type outageSim struct {
	*bulkStore
	service    *connection.Service // for Count only
	clock      time.Time
	timing     health.Timing
	jitter     func(connectionID string) float64
	failing    carrier.Outcome        // of all checks; OutcomeOK while the carrier works
	waiting    map[time.Time][]string // messages by the second at which they are delivered
	worker     schedule.Worker
	dispatcher schedule.Dispatcher

	mu      sync.Mutex
	calls   map[string][]time.Time // by credential
	starts  map[time.Time]int      // by minute
	status  map[string]connection.Status
	checked map[string]time.Time // by connection: the latest check
	dead    int                  // checks that left a connection in action_required
}

// newOutageSim has connections of one carrier, checked hourly, spread evenly over the
// hour; one to ten of them share a credential and an account, and are due together.
func newOutageSim(t *testing.T) *outageSim {
	t.Helper()
	y := &outageSim{
		bulkStore: newBulkStore(), clock: at(), timing: health.Timing{RefusalGap: health.RefusalGap, Speed: 1}, failing: carrier.OutcomeOK,
		waiting: map[time.Time][]string{}, calls: map[string][]time.Time{}, starts: map[time.Time]int{},
		status: map[string]connection.Status{}, checked: map[string]time.Time{},
	}
	now := func() time.Time { return y.clock }
	y.jitter = seeded(t, now)
	y.service = &connection.Service{Store: y, Timing: y.timing, Now: now, Random: rand.Reader}
	y.worker = schedule.Worker{Checker: y, Breakers: y}
	traffic := schedule.Traffic{Queue: y, PerMinute: perMinute}
	y.dispatcher = schedule.Dispatcher{Store: y, Timing: y.timing, Now: now, Window: time.Minute, Production: traffic, Sandbox: traffic}
	if err := y.CreatePartner(t.Context(), account.Partner{ID: 5, Environment: carrier.Production}, account.APIKey{ID: 1, PartnerID: 5, Hash: "p"}, effects.Effects{}, y.clock); err != nil {
		t.Fatal(err)
	}
	for i, group, left := 0, int64(0), 0; i < connections; i, left = i+1, left-1 {
		if left == 0 {
			group++
			left = int(group%10) + 1
			makeAccount(t, y, account.Account{ID: group, PartnerID: 5, Environment: carrier.Production, Active: true})
		}
		conn := connection.Connection{
			ID: fmt.Sprintf("se-%07d", i), AccountID: group, Environment: carrier.Production, Carrier: carrier.AustraliaPost, AccountNumber: fmt.Sprintf("%010d", i),
			RefreshPolicy: connection.RefreshHourly, Standing: account.StandingActive, CredentialID: fmt.Sprint("key-of-", group),
			NextRefreshAt: y.clock.Add(time.Hour * time.Duration(i) / connections),
		}
		if err := y.BeginLink(t.Context(), &conn, connection.LinkOptions{}); err != nil {
			t.Fatal(err)
		}
		conn.Status = connection.Active
		if err := y.FinishLink(t.Context(), &conn, nil, nil, effects.Effects{}, y.clock); err != nil {
			t.Fatal(err)
		}
	}
	return y
}

// Refresh does what connection.Service does, without a vault and without compressing
// answers, which would take the race detector longer than everything else.
func (y *outageSim) Refresh(ctx context.Context, d connection.Due, b health.Breaker) (connection.Checked, error) {
	conn, err := y.ClaimDue(ctx, d, y.clock.Add(30*time.Second), y.clock, y.timing)
	if err != nil {
		return connection.Checked{}, err
	}
	return y.check(ctx, conn, b)
}

// Control does what connection.Service does, likewise.
func (y *outageSim) Control(ctx context.Context, accountID int64, id string, b health.Breaker) (connection.Checked, error) {
	conn, err := y.Connection(ctx, accountID, id)
	if err != nil {
		return connection.Checked{}, err
	}
	if !conn.Comparable(y.clock) {
		return connection.Checked{}, connection.ErrNotComparable()
	}
	if conn, err = y.ClaimCheck(ctx, conn, nil, y.clock.Add(30*time.Second), y.clock); err != nil {
		return connection.Checked{}, err
	}
	return y.check(ctx, conn, b)
}

func (y *outageSim) check(ctx context.Context, conn connection.Connection, b health.Breaker) (connection.Checked, error) {
	wasWellAt := conn.VerifiedAt
	reading := connection.Reading{Outcome: y.failing}
	entry := conn.Record(connection.Observation{
		Reading: reading, Trigger: connection.TriggerSchedule, Now: y.clock, Breaker: b, Timing: y.timing, Jitter: y.jitter(conn.ID),
	})
	if err := y.RecordCheck(ctx, &conn, &entry, nil, effects.Effects{}, y.clock); err != nil {
		return connection.Checked{}, err
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	y.calls[conn.CredentialID] = append(y.calls[conn.CredentialID], y.clock)
	y.starts[y.clock.Truncate(time.Minute)]++
	y.status[conn.ID], y.checked[conn.ID] = conn.Status, y.clock
	if conn.Status == connection.ActionRequired {
		y.dead++
	}
	return connection.Checked{Connection: conn, Reading: reading, Entry: entry, Counted: conn.Counted(reading, wasWellAt, b)}, nil
}

// Count is connection.Service's.
func (y *outageSim) Count(ctx context.Context, name carrier.Name, b health.Breaker, checks []health.Check) error {
	return y.service.Count(ctx, name, b, checks)
}

// Backlog and Send are the queue.
func (y *outageSim) Backlog(context.Context) (int, error) {
	n := 0
	for _, list := range y.waiting {
		n += len(list)
	}
	return n, nil
}

func (y *outageSim) Send(_ context.Context, messages []schedule.Delayed) error {
	for _, m := range messages {
		text, err := json.Marshal(m.Message)
		if err != nil {
			return err
		}
		due := y.clock.Add(m.Delay)
		y.waiting[due] = append(y.waiting[due], string(text))
	}
	return nil
}

// run advances the time, second by second, until done returns true or limit has passed.
// Each minute starts with a pass; messages are delivered in batches of ten.
func (y *outageSim) run(t *testing.T, limit time.Duration, done func() bool) {
	t.Helper()
	for end := y.clock.Add(limit); y.clock.Before(end) && !done(); y.clock = y.clock.Add(time.Second) {
		if y.clock.Second() == 0 {
			if _, err := y.dispatcher.RunPass(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for batch := range slices.Chunk(y.waiting[y.clock], 10) {
			if failed := y.worker.Work(t.Context(), received(batch...)); len(failed) > 0 {
				t.Fatalf("messages %v failed", failed)
			}
		}
		delete(y.waiting, y.clock)
	}
}

// dueBy returns the connections that will be due by a time if none is checked.
func (y *outageSim) dueBy(t *testing.T, by time.Time) map[string]bool {
	t.Helper()
	list, _, err := y.Due(t.Context(), auspost, by, connections+1)
	if err != nil {
		t.Fatal(err)
	}
	due := map[string]bool{}
	for _, c := range list {
		due[c.ConnectionID] = true
	}
	return due
}

func (y *outageSim) breaker(t *testing.T) health.Breaker {
	t.Helper()
	b, err := y.Breakers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b[carrier.AustraliaPost]
}

// total returns the number of calls to the carrier.
func (y *outageSim) total() int {
	n := 0
	for _, list := range y.calls {
		n += len(list)
	}
	return n
}

// TestOutage: the carrier fails for an hour, in each of three ways. No connection
// requires action; the carrier gets few calls meanwhile; afterwards the backlog is
// worked off evenly and about as fast as the capacity allows; and no credential is ever
// used twice within six seconds.
func TestOutage(t *testing.T) {
	never := func() bool { return false }
	for _, failing := range []carrier.Outcome{carrier.OutcomeUnavailable, carrier.OutcomeUnauthorized, carrier.OutcomeTimeout} {
		t.Run(string(failing), func(t *testing.T) {
			t.Parallel()
			y := newOutageSim(t)
			y.run(t, time.Hour+137*time.Second, never)
			warm := y.total()
			if warm < connections || warm > connections*12/10 || len(y.status) != connections {
				t.Errorf("%d checks of %d connections in the first hour, want one of each of %d", warm, len(y.status), connections)
			}

			y.failing = failing
			began := y.clock
			y.run(t, time.Hour, func() bool { return y.breaker(t).Open })
			before, opened := y.total()-warm, y.clock
			y.run(t, began.Add(time.Hour).Sub(opened), never)
			during := y.total() - warm - before
			t.Logf("outage: the breaker opened after %v and %d checks; then %d probes", opened.Sub(began), before, during)
			if !y.breaker(t).Open || before > perMinute || during < 50 || during > 61 {
				t.Errorf("open %t, %d checks before, %d during it, want at most %d and one a minute", y.breaker(t).Open, before, during, perMinute)
			}

			y.failing = carrier.OutcomeOK
			well := y.clock
			y.run(t, 5*time.Minute, func() bool { return !y.breaker(t).Open })
			closed := y.breaker(t).ChangedAt
			if y.breaker(t).Open || closed.Sub(well) > health.ProbeEvery {
				t.Fatalf("the breaker closed %v after the carrier recovered, want at most a minute", closed.Sub(well))
			}
			y.checkDrain(t, closed)
			y.checkConnections(t)
			y.checkCredentials(t)
			y.checkEvents(t, opened, closed)
		})
	}
}

// checkDrain runs until all connections that were due when the breaker closed have been
// checked.
func (y *outageSim) checkDrain(t *testing.T, closed time.Time) {
	t.Helper()
	backlog, all := y.dueBy(t, closed), map[string]time.Time{}
	list, _, err := y.Due(t.Context(), auspost, closed.Add(2*time.Hour), connections)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		all[c.ConnectionID] = c.DueAt
	}
	y.run(t, time.Hour, func() bool {
		for id := range backlog {
			if y.checked[id].Before(closed) {
				return false
			}
			delete(backlog, id)
		}
		return true
	})
	// The clock is a second past the last start.
	took := y.clock.Add(-time.Second).Sub(closed)
	size, arrivals := 0, 0
	for _, due := range all {
		switch {
		case !due.After(closed):
			size++
		case !due.After(y.clock):
			arrivals++
		}
	}
	ideal := time.Duration(float64(size) / (perMinute - float64(arrivals)/took.Minutes()) * float64(time.Minute))
	most, sum, minutes := 0, 0, 0
	for m := closed.Truncate(time.Minute); m.Before(y.clock); m = m.Add(time.Minute) {
		most, sum, minutes = max(most, y.starts[m]), sum+y.starts[m], minutes+1
	}
	evenness := float64(most) * float64(minutes) / float64(sum)
	t.Logf("drain: %d due and %d more in %v, ideal %v: × %.3f; starts a minute at most %d, %.2f × the mean",
		size, arrivals, took, ideal.Round(time.Second), float64(took)/float64(ideal), most, evenness)
	if size < connections*8/10 || len(backlog) > 0 {
		t.Errorf("%d were due, and %d still are, want most of %d and none", size, len(backlog), connections)
	}
	if float64(took) > 1.2*float64(ideal) {
		t.Errorf("drained in %v, want 1.2 × %v at most", took, ideal)
	}
	if most > perMinute || evenness > 1.5 {
		t.Errorf("%d starts in a minute, %.2f × the mean, want %d and 1.5 × at most", most, evenness, perMinute)
	}
}

// checkEvents checks that the partner has heard of the outage within a minute, and of its
// end, and of nothing else.
func (y *outageSim) checkEvents(t *testing.T, opened, closed time.Time) {
	t.Helper()
	found, _, err := y.ListEvents(t.Context(), effects.Listing{PartnerID: 5, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found[1].Type != effects.CarrierOutageBegan || found[0].Type != effects.CarrierOutageEnded {
		t.Fatalf("the partner has heard %+v, want that an outage began and ended", found)
	}
	for i, since := range []time.Time{closed, opened} {
		if late := found[i].At.Sub(since); late < 0 || late > time.Minute {
			t.Errorf("%s comes %v late, want at most a minute", found[i].Type, late)
		}
	}
}

// checkConnections checks that all connections are active and always were.
func (y *outageSim) checkConnections(t *testing.T) {
	t.Helper()
	if y.dead > 0 {
		t.Errorf("%d checks left a connection in action_required", y.dead)
	}
	status := map[connection.Status]int{}
	for _, s := range y.status {
		status[s]++
	}
	if status[connection.Active] != connections {
		t.Errorf("connections by status: %v, want all %d active", status, connections)
	}
}

// checkCredentials checks that no credential was ever used twice within six seconds or
// more than ten times within a minute.
func (y *outageSim) checkCredentials(t *testing.T) {
	t.Helper()
	gap, inMinute := time.Hour, 0
	for _, list := range y.calls {
		slices.SortFunc(list, time.Time.Compare)
		first := 0
		for i := range list {
			if i > 0 {
				gap = min(gap, list[i].Sub(list[i-1]))
			}
			for list[i].Sub(list[first]) >= time.Minute {
				first++
			}
			inMinute = max(inMinute, i-first+1)
		}
	}
	t.Logf("credentials: %d, each at most once in %v, %d times in a minute", len(y.calls), gap, inMinute)
	if gap < 6*time.Second || inMinute > 10 {
		t.Errorf("a credential was used twice within %v, %d times within a minute, want at least 6s and at most 10", gap, inMinute)
	}
}
