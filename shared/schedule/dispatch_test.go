package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/health"
	"carrierlink/shared/metrics"
	"carrierlink/shared/schedule"
	"carrierlink/shared/store/storetest"
)

var (
	auspost   = connection.Lane(carrier.AustraliaPost)
	startrack = connection.Lane(carrier.StarTrack)
)

// at is the tests' time: a full minute, at which the slots of credentials start.
func at() time.Time { return time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC) }

// fakeStore has lists of due connections by lane, and the breakers of a store in memory.
type fakeStore struct {
	*storetest.Memory
	due    map[connection.Lane][]connection.Due
	fails  map[string]error // by method
	asked  []connection.Lane
	most   int    // the largest limit of a call
	before func() // called before the next SaveBreaker

	malformed map[connection.Lane]int
}

func newFakeStore() *fakeStore {
	return &fakeStore{Memory: storetest.NewMemory(), due: map[connection.Lane][]connection.Due{}, fails: map[string]error{}}
}

func (s *fakeStore) Breakers(ctx context.Context) (map[carrier.Name]health.Breaker, error) {
	if err := s.fails["Breakers"]; err != nil {
		return nil, err
	}
	return s.Memory.Breakers(ctx)
}

func (s *fakeStore) Due(_ context.Context, lane connection.Lane, now time.Time, limit int) ([]connection.Due, int, error) {
	s.asked = append(s.asked, lane)
	s.most = max(s.most, limit)
	var due []connection.Due
	for _, c := range s.due[lane] {
		if !c.DueAt.After(now) && len(due) < limit {
			due = append(due, c)
		}
	}
	return due, s.malformed[lane], s.fails["Due "+string(lane)]
}

func (s *fakeStore) SaveBreaker(ctx context.Context, b *health.Breaker) error {
	if f := s.before; f != nil {
		s.before = nil
		f()
	}
	if err := s.fails["SaveBreaker"]; err != nil {
		return err
	}
	return s.Memory.SaveBreaker(ctx, b)
}

// add adds n connections to a lane, due one second apart until now; each share of them
// have the same credential.
func (s *fakeStore) add(lane connection.Lane, n, share int) {
	for i := range n {
		s.due[lane] = append(s.due[lane], connection.Due{
			AccountID: int64(i + 1), ConnectionID: fmt.Sprintf("se-%s%d", lane[:2], i), CredentialID: fmt.Sprintf("%s key %d", lane, i/share),
			DueAt: at().Add(time.Duration(i-n+1) * time.Second),
		})
	}
}

// open opens a carrier's breaker, as of a minute ago.
func (s *fakeStore) open(t *testing.T, name carrier.Name) {
	t.Helper()
	b := health.Breaker{Carrier: name}.Opened("outage", at().Add(-time.Minute), health.Timing{})
	if err := s.Memory.SaveBreaker(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
}

// fakeQueue keeps the messages that are sent to it.
type fakeQueue struct {
	backlog, sandboxBacklog int

	sent  []schedule.Delayed
	fails map[string]error
}

func (q *fakeQueue) Backlog(context.Context) (int, error) { return q.backlog, q.fails["Backlog"] }

func (q *fakeQueue) Send(_ context.Context, m []schedule.Delayed) error {
	q.sent = append(q.sent, m...)
	return q.fails["Send"]
}

// sandboxQueue sends to a fakeQueue but has a backlog of its own.
type sandboxQueue struct{ *fakeQueue }

func (q sandboxQueue) Backlog(context.Context) (int, error) {
	return q.sandboxBacklog, q.fails["Sandbox backlog"]
}

// dispatcher sends everything to one queue, so that a test sees all lanes.
func dispatcher(s schedule.Store, q *fakeQueue) *schedule.Dispatcher {
	return &schedule.Dispatcher{
		Store: s, Timing: health.Timing{Speed: 1}, Now: at, Window: time.Minute,
		Production: schedule.Traffic{Queue: q, PerMinute: 600}, Sandbox: schedule.Traffic{Queue: sandboxQueue{q}, PerMinute: 600},
	}
}

// TestPassFails: a failure in one lane is reported and does not keep the others from
// being sent; malformed entries are counted.
func TestPassFails(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name, call string
		want       schedule.Pass
		sent       int
	}{
		{"the breakers cannot be read", "Breakers", schedule.Pass{}, 0},
		{"the queue's length cannot be read", "Backlog", schedule.Pass{Due: 2, Sent: 2, Malformed: 1}, 2},
		{"the sandbox queue's length cannot be read", "Sandbox backlog", schedule.Pass{Backlog: 7, Probes: 1, Due: 6, Sent: 6, Malformed: 5}, 6},
		{"due connections cannot be read", "Due startrack", schedule.Pass{Backlog: 7, Probes: 1, Due: 3, Sent: 3, Malformed: 6}, 3},
		{"due connections of the sandbox cannot be read", "Due sandbox", schedule.Pass{Backlog: 7, Probes: 1, Due: 6, Sent: 6, Malformed: 6}, 6},
		{"a probe cannot be found", "Due australia_post", schedule.Pass{Backlog: 7, Due: 7, Sent: 7, Malformed: 6}, 7},
		{"a probe cannot be saved", "SaveBreaker", schedule.Pass{Backlog: 7, Due: 7, Sent: 7, Malformed: 6}, 7},
		{"messages cannot be sent", "Send", schedule.Pass{Backlog: 7, Probes: 1, Due: 8, Malformed: 6}, 8},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			s, q := newFakeStore(), &fakeQueue{backlog: 7, fails: map[string]error{tc.call: broken}}
			s.fails = q.fails
			s.open(t, carrier.AustraliaPost)
			s.add(auspost, 20, 1)
			s.add(connection.SandboxLane, 2, 1)
			s.add(startrack, 5, 1)
			s.malformed = map[connection.Lane]int{auspost: 2, startrack: 3, connection.SandboxLane: 1}
			got, err := dispatcher(s, q).RunPass(t.Context())
			if !errors.Is(err, broken) {
				t.Errorf("Pass = %v, want broken", err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Pass (-want +got):\n%s", diff)
			}
			if len(q.sent) != tc.sent {
				t.Errorf("%d messages were sent, want %d", len(q.sent), tc.sent)
			}
		})
	}
}

// TestPassMetrics: each pass measures what it reads anyway. What it does not read has no
// value: a lane whose queue is full, and one whose next probe is not due.
func TestPassMetrics(t *testing.T) {
	hour := at().Add(-time.Hour)
	closed := map[string][]float64{"BreakerOpen Lane=australia_post": {0}, "BreakerOpen Lane=startrack": {0}}
	for _, tc := range []struct {
		name    string
		prepare func(*fakeStore, *fakeQueue)
		want    map[string][]float64
	}{
		{"the breaker is open, no probe is due", func(s *fakeStore, _ *fakeQueue) {
			b := health.Breaker{Carrier: carrier.AustraliaPost}.Opened("outage", at(), health.Timing{})
			if err := s.Memory.SaveBreaker(t.Context(), &b); err != nil {
				t.Fatal(err)
			}
		}, map[string][]float64{"BreakerOpen Lane=australia_post": {1}, "OldestDue Lane=startrack": {0}, "OldestDue Lane=sandbox": {0}, "QueueRoom": {600}}},
		{"the breaker is open, a probe is due", func(s *fakeStore, _ *fakeQueue) {
			s.open(t, carrier.AustraliaPost)
			s.due[auspost] = []connection.Due{{AccountID: 1, ConnectionID: "se-1", DueAt: hour}}
		}, map[string][]float64{"BreakerOpen Lane=australia_post": {1}, "OldestDue Lane=australia_post": {3600}, "OldestDue Lane=startrack": {0}, "OldestDue Lane=sandbox": {0}, "QueueRoom": {600}}},
		{"the queue is full", func(s *fakeStore, q *fakeQueue) {
			q.backlog = 1800
			s.add(auspost, 1, 1)
		}, map[string][]float64{"OldestDue Lane=sandbox": {0}, "QueueRoom": {0}}},
		{"a backlog", func(s *fakeStore, q *fakeQueue) {
			q.backlog = 1300
			s.due[startrack] = []connection.Due{{AccountID: 1, ConnectionID: "se-1", DueAt: hour}, {AccountID: 2, ConnectionID: "se-2", DueAt: at()}}
			s.due[connection.SandboxLane] = []connection.Due{{AccountID: 1, ConnectionID: "se-1", DueAt: hour.Add(-time.Second)}}
		}, map[string][]float64{"OldestDue Lane=australia_post": {0}, "OldestDue Lane=startrack": {3600}, "OldestDue Lane=sandbox": {3601}, "QueueRoom": {500}}},
		{"nothing is due", func(*fakeStore, *fakeQueue) {}, map[string][]float64{
			"OldestDue Lane=australia_post": {0}, "OldestDue Lane=startrack": {0}, "OldestDue Lane=sandbox": {0}, "QueueRoom": {600},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, q := newFakeStore(), &fakeQueue{}
			tc.prepare(s, q)
			got := metricstest.Of(t, func(ctx context.Context) {
				if _, err := dispatcher(s, q).RunPass(ctx); err != nil {
					t.Error(err)
				}
			})
			want := maps.Clone(closed)
			maps.Copy(want, tc.want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("metrics (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLanesAreSeries: no lane counts as metrics.Other.
func TestLanesAreSeries(t *testing.T) {
	for _, lane := range connection.Lanes() {
		if !slices.Contains(metrics.All(), metrics.Series{Name: "OldestDue", Dimension: "Lane", Value: string(lane)}) {
			t.Errorf("metrics has no lane %s", lane)
		}
	}
}

// TestCapacity: a pass sends at most what may start until the next pass, and less only
// if the queue holds more than two minutes' worth; the longest overdue go first.
func TestCapacity(t *testing.T) {
	tests := []struct {
		name         string
		perMinute    int
		window       time.Duration
		backlog, due int
		want         int
	}{
		{"the workers have stopped", 600, time.Minute, 1800, 1000, 0},
		{"they stopped long ago", 600, time.Minute, 50000, 1000, 0},
		{"nothing is due", 600, time.Minute, 0, 0, 0},
		{"a minute's worth", 600, time.Minute, 0, 1000, 600},
		{"the queue holds the last pass", 600, time.Minute, 600, 1000, 600},
		{"the queue holds the last two passes", 600, time.Minute, 1200, 1000, 600},
		{"the workers do not keep up", 600, time.Minute, 1300, 1000, 500},
		{"room for one", 600, time.Minute, 1799, 1000, 1},
		{"less due than room", 600, time.Minute, 0, 30, 30},
		{"a shorter window", 600, 10 * time.Second, 0, 1000, 100},
		{"a shorter window and an old queue length", 600, 10 * time.Second, 700, 1000, 100},
		{"few a minute", 6, 10 * time.Second, 0, 1000, 1},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			s, q := newFakeStore(), &fakeQueue{backlog: tc.backlog}
			s.add(auspost, tc.due, 1)
			d := dispatcher(s, q)
			d.Production.PerMinute, d.Window = tc.perMinute, tc.window
			got, err := d.RunPass(t.Context())
			if err != nil || got.Sent != tc.want || len(q.sent) != tc.want || got.Backlog != tc.backlog {
				t.Fatalf("Pass = %+v, %v, %d sent, want %d", got, err, len(q.sent), tc.want)
			}
			var ids []int64
			for _, m := range q.sent {
				if m.Delay < 0 || m.Delay >= tc.window || m.Delay%time.Second != 0 {
					t.Errorf("delay %v, want whole seconds within the window", m.Delay)
				}
				if m.Message.Lane != auspost || m.Message.Probe || m.Message.ConnectionID != fmt.Sprintf("se-au%d", m.Message.AccountID-1) {
					t.Errorf("message %+v", m.Message)
				}
				ids = append(ids, m.Message.AccountID)
			}
			slices.Sort(ids)
			for i, id := range ids {
				if id != int64(i+1) {
					t.Fatalf("connection %d was sent before one that is longer overdue: %v", id, ids)
				}
			}
		})
	}
}

// TestSpread: the checks start evenly over the seconds of a window.
func TestSpread(t *testing.T) {
	for _, tc := range []struct {
		lane             connection.Lane
		due, least, most int // in a second
	}{{auspost, 600, 6, 16}, {auspost, 300, 2, 9}, {connection.SandboxLane, 600, 10, 10}, {connection.SandboxLane, 90, 1, 2}} {
		t.Run(fmt.Sprintf("%s, %d", tc.lane, tc.due), func(t *testing.T) {
			s, q := newFakeStore(), &fakeQueue{}
			s.add(tc.lane, tc.due, 1)
			if _, err := dispatcher(s, q).RunPass(t.Context()); err != nil || len(q.sent) != tc.due {
				t.Fatalf("%d of %d sent, %v", len(q.sent), tc.due, err)
			}
			starts := make([]int, 60)
			for i, m := range q.sent {
				starts[m.Delay/time.Second]++
				if i > 0 && m.Delay < q.sent[i-1].Delay {
					t.Error("the messages are not in the order of their starts")
				}
			}
			if least, most := slices.Min(starts), slices.Max(starts); least < tc.least || most > tc.most {
				t.Errorf("from %d to %d starts in a second, want %d to %d: %v", least, most, tc.least, tc.most, starts)
			}
		})
	}
}

// TestPace: checks with one credential are six seconds apart, also across passes,
// whatever the window and the second of a pass. Connections without a slot wait, and
// delay no others.
func TestPace(t *testing.T) {
	tests := []struct {
		name         string
		window, late time.Duration
		lane         connection.Lane
		connections  int
		share        int // connections of one credential
		want         int // sent in a minute
		gap          time.Duration
	}{
		{"one credential", time.Minute, 0, auspost, 100, 100, 10, 6 * time.Second},
		{"passes of ten seconds", 10 * time.Second, 0, auspost, 100, 100, 10, 6 * time.Second},
		{"a pass between two seconds", 10 * time.Second, 700 * time.Millisecond, startrack, 100, 100, 10, 6 * time.Second},
		{"groups of ten", time.Minute, 0, auspost, 600, 10, 600, 6 * time.Second},
		{"groups of thirty", time.Minute, 0, auspost, 600, 30, 200, 6 * time.Second},
		{"the sandbox calls no carrier", time.Minute, 0, connection.SandboxLane, 100, 100, 100, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			s := newFakeStore()
			s.add(tc.lane, tc.connections, tc.share)
			starts := map[string][]time.Duration{}
			sent := 0
			for since := time.Duration(0); since < 2*time.Minute; since += tc.window {
				q := &fakeQueue{}
				d := dispatcher(s, q)
				d.Window = tc.window
				now := at().Add(since + tc.late)
				d.Now = func() time.Time { return now }
				if _, err := d.RunPass(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, m := range q.sent {
					i := slices.IndexFunc(s.due[tc.lane], func(c connection.Due) bool { return c.ConnectionID == m.Message.ConnectionID })
					credential := s.due[tc.lane][i].CredentialID
					starts[credential] = append(starts[credential], since+m.Delay)
					s.due[tc.lane] = slices.Delete(s.due[tc.lane], i, i+1)
				}
				if since < time.Minute {
					sent += len(q.sent)
				}
			}
			if sent != tc.want {
				t.Errorf("%d sent in the first minute, want %d", sent, tc.want)
			}
			for credential, list := range starts {
				slices.Sort(list)
				for i := range list[1:] {
					if gap := list[i+1] - list[i]; gap < tc.gap {
						t.Fatalf("%s: %v between two starts, want %v: %v", credential, gap, tc.gap, list)
					}
				}
			}
		})
	}
	t.Run("a credential with more due than slots delays no others", func(t *testing.T) {
		s, q := newFakeStore(), &fakeQueue{}
		s.add(auspost, 5000, 5000)
		for i := range 590 {
			s.due[auspost] = append(s.due[auspost], connection.Due{
				AccountID: 9000, ConnectionID: fmt.Sprint("se-behind", i), CredentialID: fmt.Sprint("another", i), DueAt: at(),
			})
		}
		got, err := dispatcher(s, q).RunPass(t.Context())
		if err != nil || got.Sent != 600 || got.Due != 5590 {
			t.Errorf("Pass = %+v, %v, want 10 with that credential and 590 others sent", got, err)
		}
	})
}

// TestShares: the sandbox has a capacity of its own. Of production's each lane gets
// half while both have work, and each partner an equal part of its lane's while others
// wait, however long overdue another partner's connections are.
func TestShares(t *testing.T) {
	type work struct {
		lane    connection.Lane
		partner int64
		due     int
	}
	type share struct {
		Lane    connection.Lane
		Partner int64
	}
	tests := []struct {
		name      string
		due       []work // in each lane the first ones are the longest overdue
		perMinute int
		want      map[share]int
	}{
		{"6,000 in the sandbox and 500 in production", []work{{connection.SandboxLane, 1, 6000}, {auspost, 2, 500}}, 600, map[share]int{{connection.SandboxLane, 1}: 60, {auspost, 2}: 500}},
		{"both lanes have more than their half", []work{{auspost, 1, 5000}, {startrack, 2, 5000}}, 600, map[share]int{{auspost, 1}: 300, {startrack, 2}: 300}},
		{"StarTrack leaves room to Australia Post", []work{{auspost, 1, 5000}, {startrack, 2, 40}}, 600, map[share]int{{auspost, 1}: 560, {startrack, 2}: 40}},
		{"Australia Post leaves room to StarTrack", []work{{auspost, 1, 100}, {startrack, 2, 5000}}, 600, map[share]int{{auspost, 1}: 100, {startrack, 2}: 500}},
		{"a partner with 5,000 before one with 50", []work{{auspost, 1, 5000}, {auspost, 2, 50}}, 600, map[share]int{{auspost, 1}: 550, {auspost, 2}: 50}},
		{"two partners with 5,000 before one with 50", []work{{auspost, 1, 5000}, {auspost, 2, 5000}, {auspost, 3, 50}}, 600, map[share]int{{auspost, 1}: 275, {auspost, 2}: 275, {auspost, 3}: 50}},
		{"two partners with more than their half", []work{{auspost, 1, 5000}, {auspost, 2, 5000}}, 600, map[share]int{{auspost, 1}: 300, {auspost, 2}: 300}},
		{"a single partner", []work{{auspost, 1, 5000}}, 600, map[share]int{{auspost, 1}: 600}},
		{"entries without a partner", []work{{auspost, 0, 5000}, {auspost, 2, 50}}, 600, map[share]int{{auspost, 0}: 550, {auspost, 2}: 50}},
		{"partners of the sandbox", []work{{connection.SandboxLane, 1, 5000}, {connection.SandboxLane, 2, 20}}, 600, map[share]int{{connection.SandboxLane, 1}: 40, {connection.SandboxLane, 2}: 20}},
		{"behind as many as are read", []work{{startrack, 1, 49_990}, {startrack, 2, 50}}, 600, map[share]int{{startrack, 1}: 590, {startrack, 2}: 10}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			s, q := newFakeStore(), &fakeQueue{}
			partners := map[string]int64{}
			for _, w := range tc.due {
				from := len(s.due[w.lane])
				for i := range w.due {
					id := fmt.Sprintf("se-%s%dx%d", w.lane[:2], w.partner, i)
					partners[id] = w.partner
					s.due[w.lane] = append(s.due[w.lane], connection.Due{
						AccountID: 1, ConnectionID: id, CredentialID: id, PartnerID: w.partner, DueAt: at().Add(time.Duration(from+i-100_000) * time.Millisecond),
					})
				}
			}
			d := dispatcher(s, q)
			d.Production.PerMinute, d.Sandbox.PerMinute = tc.perMinute, 60
			if _, err := d.RunPass(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := map[share]int{}
			for _, m := range q.sent {
				if m.Message.PartnerID != partners[m.Message.ConnectionID] || m.Message.CredentialID != m.Message.ConnectionID {
					t.Fatalf("message %+v, want partner and credential of its connection", m.Message)
				}
				got[share{m.Message.Lane, m.Message.PartnerID}]++
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
			if s.most != 50_000 {
				t.Errorf("a lane was read with the limit %d, want 50,000", s.most)
			}
		})
	}
	t.Run("a capacity of one goes to each lane in turn", func(t *testing.T) {
		s := newFakeStore()
		s.add(auspost, 100, 1)
		s.add(startrack, 100, 1)
		got := map[connection.Lane]int{}
		for minute := range 10 {
			q := &fakeQueue{}
			d := dispatcher(s, q)
			d.Production.PerMinute = 1
			d.Now = func() time.Time { return at().Add(time.Duration(minute) * time.Minute) }
			if _, err := d.RunPass(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, m := range q.sent {
				got[m.Message.Lane]++
			}
		}
		if diff := cmp.Diff(map[connection.Lane]int{auspost: 5, startrack: 5}, got); diff != "" {
			t.Errorf("sent in ten minutes (-want +got):\n%s", diff)
		}
	})
}

// TestOpenBreaker: an open breaker gets one probe each ProbeEvery, of another connection
// each time, and nothing else; the other lanes continue.
func TestOpenBreaker(t *testing.T) {
	s := newFakeStore()
	s.open(t, carrier.AustraliaPost)
	s.add(auspost, 1000, 1)
	s.add(startrack, 3, 1)
	s.add(connection.SandboxLane, 2, 1)
	probed := map[string]int{}
	for second := time.Duration(0); second < 20*time.Minute; second += 15 * time.Second {
		q := &fakeQueue{backlog: 10_000} // does not keep a probe from being sent
		if second > 0 {
			s.due[startrack], s.due[connection.SandboxLane] = nil, nil
		} else {
			q.backlog = 0
		}
		d := dispatcher(s, q)
		d.Now = func() time.Time { return at().Add(second) }
		got, err := d.RunPass(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		due := second%health.ProbeEvery == 0
		if (got.Probes == 1) != due {
			t.Errorf("after %v: %+v, want a probe: %t", second, got, due)
		}
		lanes := map[connection.Lane]int{}
		for _, m := range q.sent {
			lanes[m.Message.Lane]++
			if m.Message.Lane == auspost {
				probed[m.Message.ConnectionID]++
				if !m.Message.Probe || m.Delay != 0 {
					t.Errorf("after %v: %+v", second, m)
				}
			}
		}
		if second == 0 {
			if diff := cmp.Diff(map[connection.Lane]int{auspost: 1, startrack: 3, connection.SandboxLane: 2}, lanes); diff != "" {
				t.Errorf("messages by lane (-want +got):\n%s", diff)
			}
		}
	}
	if len(probed) != 10 {
		t.Errorf("probed %v, want ten connections in turn", probed)
	}
	t.Run("nothing is due", func(t *testing.T) {
		s, q := newFakeStore(), &fakeQueue{}
		s.open(t, carrier.StarTrack)
		if got, err := dispatcher(s, q).RunPass(t.Context()); err != nil || got != (schedule.Pass{}) {
			t.Errorf("Pass = %+v, %v", got, err)
		}
		if b, err := s.Memory.Breakers(t.Context()); err != nil || b[carrier.StarTrack].ProbeAt.After(at()) {
			t.Errorf("a probe that was not sent is saved: %+v, %v", b, err)
		}
	})
	t.Run("the breaker has closed meanwhile", func(t *testing.T) {
		s, q := newFakeStore(), &fakeQueue{}
		s.open(t, carrier.StarTrack)
		s.add(startrack, 3, 1)
		s.before = func() {
			b, err := s.Memory.Breakers(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			closed := b[carrier.StarTrack].Closed(at())
			if err := s.Memory.SaveBreaker(t.Context(), &closed); err != nil {
				t.Error(err)
			}
		}
		if got, err := dispatcher(s, q).RunPass(t.Context()); err != nil || got != (schedule.Pass{}) || len(q.sent) > 0 {
			t.Errorf("Pass = %+v, %v, sent %v", got, err, q.sent)
		}
	})
	t.Run("faster in a local stack", func(t *testing.T) {
		s := newFakeStore()
		s.open(t, carrier.AustraliaPost)
		s.add(auspost, 1, 1)
		probes := 0
		for second := range 60 {
			d := dispatcher(s, &fakeQueue{})
			d.Timing.Speed = 6
			d.Now = func() time.Time { return at().Add(time.Duration(second) * time.Second) }
			got, err := d.RunPass(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			probes += got.Probes
		}
		if probes != 6 {
			t.Errorf("%d probes in a minute, want 6", probes)
		}
	})
}

// TestTwoDispatchers: of two concurrent dispatchers one sends the probe, and both send
// the same messages for the same seconds.
func TestTwoDispatchers(t *testing.T) {
	s := newFakeStore()
	s.open(t, carrier.AustraliaPost)
	s.add(auspost, 10, 1)
	s.add(startrack, 100, 10)
	one, other := &fakeQueue{}, &fakeQueue{}
	var second schedule.Pass
	s.before = func() {
		var err error
		if second, err = dispatcher(s, other).RunPass(t.Context()); err != nil {
			t.Error(err)
		}
	}
	first, err := dispatcher(s, one).RunPass(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if first.Probes+second.Probes != 1 {
		t.Errorf("%d and %d probes, want one", first.Probes, second.Probes)
	}
	isProbe := func(m schedule.Delayed) bool { return m.Message.Probe }
	if diff := cmp.Diff(slices.DeleteFunc(one.sent, isProbe), slices.DeleteFunc(other.sent, isProbe)); diff != "" {
		t.Errorf("the two send different messages:\n%s", diff)
	}
	if asked := fmt.Sprint(s.asked); !strings.Contains(asked, "sandbox") {
		t.Errorf("lanes %s were read, want the sandbox among them", asked)
	}
}
