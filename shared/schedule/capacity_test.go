package schedule_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/schedule"
	"carrierlink/shared/secret"
)

// serviceSim simulates the schedule over virtual time: dispatcher, two queues like
// SQS's, worker and connection service over a store in memory, with a working carrier.
// Connections with poison in their id fail, each kind in its own way.
type serviceSim struct {
	*bulkStore
	clock               time.Time
	service             *connection.Service
	production, sandbox *simQueue
	dispatcher          schedule.Dispatcher
	worker              schedule.Worker

	mu      sync.Mutex
	claims  map[string]int           // by connection
	checked map[string]time.Time     // the latest check
	late    map[string]time.Duration // the largest delay of a check
}

// simQueue simulates a queue: it hides failed messages for 180 s, delivers a message at
// most five times, and returns its largest length of the last minute as its backlog.
type simQueue struct {
	sim     *serviceSim
	waiting map[time.Time][]queued
	lengths []int // by the second
	dead    int
}

type queued struct {
	body     string
	received int
}

func (b *simQueue) Send(_ context.Context, messages []schedule.Delayed) error {
	for _, m := range messages {
		text, err := json.Marshal(m.Message)
		if err != nil {
			return err
		}
		at := b.sim.clock.Add(m.Delay)
		b.waiting[at] = append(b.waiting[at], queued{string(text), 0})
	}
	return nil
}

func (b *simQueue) length() int {
	n := 0
	for _, list := range b.waiting {
		n += len(list)
	}
	return n
}

func (b *simQueue) Backlog(context.Context) (int, error) {
	return slices.Max(append(b.lengths[max(len(b.lengths)-60, 0):], 0)), nil
}

// deliver delivers the messages of this second in batches of ten.
func (b *simQueue) deliver(ctx context.Context) {
	due := b.waiting[b.sim.clock]
	delete(b.waiting, b.sim.clock)
	for batch := range slices.Chunk(due, 10) {
		var messages []schedule.Received
		for i, l := range batch {
			messages = append(messages, schedule.Received{ID: strconv.Itoa(i), Body: l.body})
		}
		failed := b.sim.worker.Work(ctx, messages)
		for i, l := range batch {
			if !slices.Contains(failed, strconv.Itoa(i)) {
				continue
			}
			if l.received++; l.received == 5 {
				b.dead++
				continue
			}
			again := b.sim.clock.Add(180 * time.Second)
			b.waiting[again] = append(b.waiting[again], l)
		}
	}
	b.lengths = append(b.lengths, b.length())
}

func newServiceSim(tb testing.TB, perMinute int) *serviceSim {
	tb.Helper()
	h := &serviceSim{bulkStore: newBulkStore(), clock: at(), claims: map[string]int{}, checked: map[string]time.Time{}, late: map[string]time.Duration{}}
	h.production, h.sandbox = &simQueue{sim: h, waiting: map[time.Time][]queued{}}, &simQueue{sim: h, waiting: map[time.Time][]queued{}}
	now := func() time.Time { return h.clock }
	timing := health.Timing{RefusalGap: health.RefusalGap, Speed: 1}
	h.service = &connection.Service{
		Store: h, Vault: poisonedVault{}, Carriers: connection.Carriers{Production: okCarrier{}, Sandbox: okCarrier{}}, Timing: timing, Now: now, Random: rand.Reader, Jitter: seeded(tb, now),
		Compare: func(_, _ []byte) ([]connection.Difference, error) { return nil, nil },
	}
	h.worker = schedule.Worker{Checker: h, Breakers: h}
	h.dispatcher = schedule.Dispatcher{
		Store: h, Timing: timing, Now: now, Window: time.Minute,
		Production: schedule.Traffic{Queue: h.production, PerMinute: perMinute}, Sandbox: schedule.Traffic{Queue: h.sandbox, PerMinute: max(perMinute/10, 1)},
	}
	return h
}

// add stores n connections of one partner, each with its own API key, due at even
// intervals from a time on.
func (h *serviceSim) add(t *testing.T, name string, n int, env carrier.Environment, partner int64, from time.Time, over time.Duration) {
	t.Helper()
	makeAccount(t, h, account.Account{ID: partner, PartnerID: partner, Environment: env, Active: true})
	for i := range n {
		conn := connection.Connection{
			ID: fmt.Sprintf("se-%s%d", name, i), AccountID: partner, PartnerID: partner, Environment: env, Carrier: carrier.AustraliaPost,
			AccountNumber: fmt.Sprintf("%s%08d", name, i), RefreshPolicy: connection.RefreshHourly, Standing: account.StandingActive,
			CredentialID: fmt.Sprint(name, i), NextRefreshAt: from.Add(over * time.Duration(i) / time.Duration(n)), ContractHash: "old",
		}
		if err := h.BeginLink(t.Context(), &conn, connection.LinkOptions{}); err != nil {
			t.Fatal(err)
		}
		conn.Status = connection.Active
		if err := h.FinishLink(t.Context(), &conn, nil, nil, effects.Effects{}, h.clock); err != nil {
			t.Fatal(err)
		}
	}
}

// Refresh is the service's, and notes when.
func (h *serviceSim) Refresh(ctx context.Context, d connection.Due, b health.Breaker) (connection.Checked, error) {
	before, err := h.Connection(ctx, d.AccountID, d.ConnectionID)
	if err != nil {
		return connection.Checked{}, err
	}
	h.mu.Lock()
	h.claims[d.ConnectionID]++
	h.mu.Unlock()
	checked, err := h.service.Refresh(ctx, d, b)
	if err != nil {
		return checked, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checked[d.ConnectionID] = h.clock
	h.late[d.ConnectionID] = max(h.late[d.ConnectionID], h.clock.Sub(before.NextRefreshAt))
	return checked, nil
}

func (h *serviceSim) Control(ctx context.Context, accountID int64, id string, b health.Breaker) (connection.Checked, error) {
	return h.service.Control(ctx, accountID, id, b)
}

func (h *serviceSim) Count(ctx context.Context, name carrier.Name, b health.Breaker, checks []health.Check) error {
	return h.service.Count(ctx, name, b, checks)
}

// Snapshot fails for one kind of poison.
func (h *serviceSim) Snapshot(ctx context.Context, accountID int64, id string) (*connection.Snapshot, error) {
	if strings.HasPrefix(id, "se-poisoncopy") {
		return nil, errors.New("a snapshot of another form")
	}
	return h.bulkStore.Snapshot(ctx, accountID, id)
}

// RecordCheck is always throttled for one kind of poison.
func (h *serviceSim) RecordCheck(ctx context.Context, conn *connection.Connection, entry *connection.HistoryEntry, snap *connection.Snapshot, fx effects.Effects, now time.Time) error {
	if strings.HasPrefix(conn.ID, "se-poisonhot") {
		return fault.New(fault.Overloaded, "throttled")
	}
	return h.bulkStore.RecordCheck(ctx, conn, entry, snap, fx, now)
}

// poisonedVault fails or panics for two kinds of poison.
type poisonedVault struct{ connection.Vault }

func (poisonedVault) Get(_ context.Context, _ int64, id, _ string) (connection.Credentials, error) {
	switch {
	case strings.HasPrefix(id, "se-poisonsecret"):
		return connection.Credentials{}, errors.New("the secret is not JSON")
	case strings.HasPrefix(id, "se-poisonpanic"):
		panic("a bug")
	}
	return connection.Credentials{APIKey: secret.New("k"), APISecret: secret.New("s")}, nil
}

// run advances the time by d, second by second; each minute starts with a pass.
func (h *serviceSim) run(t *testing.T, d time.Duration) {
	t.Helper()
	for end := h.clock.Add(d); h.clock.Before(end); h.clock = h.clock.Add(time.Second) {
		if h.clock.Second() == 0 {
			if _, err := h.dispatcher.RunPass(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		h.production.deliver(t.Context())
		h.sandbox.deliver(t.Context())
	}
}

// TestPoison: 40 connections of 100 fail each check through our fault, in four ways. For
// three hours all checks of the others are made in time; the poisoned ones are checked
// less and less often.
func TestPoison(t *testing.T) {
	t.Parallel()
	h := newServiceSim(t, 600)
	h.add(t, "healthy", 60, carrier.Production, 1, at(), time.Hour)
	for i, kind := range []string{"poisonsecret", "poisonpanic", "poisoncopy", "poisonhot"} {
		h.add(t, kind, 10, carrier.Production, int64(10+i), at(), time.Minute)
	}
	h.run(t, 3*time.Hour)
	checks, inTime := 0, 0
	for i := range 60 {
		id := fmt.Sprint("se-healthy", i)
		checks += h.claims[id]
		row, err := h.Connection(t.Context(), 1, id)
		if err != nil {
			t.Fatal(err)
		}
		// A connection waits up to a minute for a pass, and up to a window for its slot.
		if h.claims[id] >= 2 && h.late[id] < 2*time.Minute && h.clock.Sub(row.NextRefreshAt) < 2*time.Minute && row.ClaimsUnrecorded == 0 {
			inTime++
		}
	}
	most := 0
	for id, n := range h.claims {
		if strings.HasPrefix(id, "se-poison") {
			most = max(most, n)
		}
	}
	t.Logf("%d of 60 healthy connections checked in time, %d checks; a poisoned one claimed %d times at most; %d dead letters", inTime, checks, most, h.production.dead)
	if inTime != 60 {
		t.Errorf("%d of 60 healthy connections were checked in time", inTime)
	}
	if most > 25 { // 1, 2, 4 … minutes apart, and messages that are delivered again
		t.Errorf("a poisoned connection was claimed %d times", most)
	}
}

// countChecked counts the connections with ids of this prefix that have been checked.
func (h *serviceSim) countChecked(prefix string) int {
	n := 0
	for id := range h.checked {
		if strings.HasPrefix(id, prefix) {
			n++
		}
	}
	return n
}

// TestSandboxDelaysNobody: with 6,000 connections overdue in the sandbox, all 500 in
// production are checked within their minute.
func TestSandboxDelaysNobody(t *testing.T) {
	t.Parallel()
	h := newServiceSim(t, 600)
	h.add(t, "play", 6000, carrier.Sandbox, 1, at().Add(-24*time.Hour), time.Hour)
	h.add(t, "real", 500, carrier.Production, 2, at(), 0)
	h.run(t, time.Minute)
	production := h.countChecked("se-real")
	if sandbox := len(h.checked) - production; production != 500 || sandbox != 60 {
		t.Errorf("%d of 500 of production and %d of the sandbox were checked in a minute, want 500 and 60", production, sandbox)
	}
}

// TestPartnerDelaysNobody: one partner has 5,000 connections overdue, another 50 due now,
// which are checked within their minute.
func TestPartnerDelaysNobody(t *testing.T) {
	t.Parallel()
	h := newServiceSim(t, 600)
	h.add(t, "large", 5000, carrier.Production, 1, at().Add(-24*time.Hour), time.Hour)
	h.add(t, "small", 50, carrier.Production, 2, at(), 0)
	h.run(t, time.Minute)
	small := h.countChecked("se-small")
	if large := len(h.checked) - small; small != 50 || large != 550 {
		t.Errorf("%d of 50 of the small partner and %d of the large one were checked in a minute, want 50 and 550", small, large)
	}
}

// TestRateIsReached: with more due than the capacity, as many checks start in each minute
// as may, although the queue's length is old.
func TestRateIsReached(t *testing.T) {
	for _, tc := range []struct{ perMinute, minutes int }{{600, 10}, {6000, 4}, {20_000, 2}} {
		t.Run(strconv.Itoa(tc.perMinute), func(t *testing.T) {
			t.Parallel()
			h := newServiceSim(t, tc.perMinute)
			h.add(t, "due", tc.perMinute*(tc.minutes+1), carrier.Production, 1, at().Add(-time.Hour), time.Minute)
			made := 0
			for minute := range tc.minutes {
				h.run(t, time.Minute)
				n := len(h.checked) - made
				made = len(h.checked)
				if share := float64(n) / float64(tc.perMinute); share < 0.98 || share > 1 {
					t.Errorf("minute %d: %d checks, %.3f of the capacity, want 0.98 to 1", minute+1, n, share)
				}
			}
			t.Logf("%d checks in %d minutes, %.3f of the capacity", made, tc.minutes, float64(made)/float64(tc.perMinute*tc.minutes))
		})
	}
}
