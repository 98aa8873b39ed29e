package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/schedule"
)

// roundStore is a fakeStore whose lists are of rounds.
type roundStore struct{ *fakeStore }

func (s roundStore) DueRounds(ctx context.Context, lane connection.Lane, now time.Time, limit int) ([]connection.Due, int, error) {
	return s.Due(ctx, lane, now, limit)
}

// idleStore is a fakeStore whose lists are of rounds only: no check is due. It counts how
// often the breakers are read.
type idleStore struct {
	*fakeStore

	reads int
}

func (s *idleStore) Breakers(ctx context.Context) (map[carrier.Name]health.Breaker, error) {
	s.reads++
	return s.fakeStore.Breakers(ctx)
}

func (s *idleStore) Due(context.Context, connection.Lane, time.Time, int) ([]connection.Due, int, error) {
	return nil, 0, nil
}

// roundPasses is a dispatcher without checks, whose rounds go to a queue.
func roundPasses(s schedule.Store, rounds *fakeStore, q *fakeQueue) *schedule.Dispatcher {
	d := dispatcher(s, &fakeQueue{})
	d.Rounds = &schedule.Rounds{
		Store: roundStore{rounds}, Production: schedule.Traffic{Queue: q, PerMinute: 10}, Sandbox: schedule.Traffic{Queue: sandboxQueue{q}, PerMinute: 3},
	}
	return d
}

// lanes counts the messages of each lane.
func lanes(sent []schedule.Delayed) map[connection.Lane]int {
	n := map[connection.Lane]int{}
	for _, m := range sent {
		n[m.Message.Lane]++
	}
	return n
}

// TestRoundsFail: a failure in one lane, or of one queue, does not keep the others from
// being sent.
func TestRoundsFail(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, tc := range map[string]struct {
		fails, queue string
		want         map[connection.Lane]int
	}{
		"the breakers":              {"Breakers", "", map[connection.Lane]int{}},
		"one lane":                  {"Due " + string(auspost), "", map[connection.Lane]int{startrack: 2, connection.SandboxLane: 2}},
		"the production's backlog":  {"", "Backlog", map[connection.Lane]int{connection.SandboxLane: 2}},
		"the sandbox queue's own":   {"", "Sandbox backlog", map[connection.Lane]int{auspost: 2, startrack: 2}},
		"sending, which is partial": {"", "Send", map[connection.Lane]int{auspost: 2, startrack: 2, connection.SandboxLane: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, q := newFakeStore(), &fakeQueue{fails: map[string]error{}}
			for _, lane := range connection.Lanes() {
				s.add(lane, 2, 1)
			}
			if tc.fails != "" {
				s.fails[tc.fails] = broken
			}
			if tc.queue != "" {
				q.fails[tc.queue] = broken
			}
			if _, err := roundPasses(&idleStore{fakeStore: s}, s, q).RunPass(t.Context()); !errors.Is(err, broken) {
				t.Errorf("RunPass = %v, want the failure", err)
			}
			if diff := cmp.Diff(tc.want, lanes(q.sent)); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRounds: as many as may start, an equal part of each lane; none of a carrier whose
// breaker is open, and no probe; the unreadable are counted; a full queue gets none.
func TestRounds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		arrange func(*testing.T, *fakeStore, *fakeQueue)
		want    map[connection.Lane]int
	}{
		"nothing due": {func(*testing.T, *fakeStore, *fakeQueue) {}, map[connection.Lane]int{}},
		"too many": {func(_ *testing.T, s *fakeStore, _ *fakeQueue) {
			for _, lane := range connection.Lanes() {
				s.add(lane, 100, 1)
			}
		}, map[connection.Lane]int{auspost: 5, startrack: 5, connection.SandboxLane: 3}},
		"one breaker open": {func(t *testing.T, s *fakeStore, _ *fakeQueue) {
			t.Helper()
			s.add(auspost, 100, 1)
			s.add(startrack, 2, 1)
			s.open(t, carrier.AustraliaPost)
		}, map[connection.Lane]int{startrack: 2}},
		"both open": {func(t *testing.T, s *fakeStore, _ *fakeQueue) {
			t.Helper()
			s.add(auspost, 1, 1)
			s.add(connection.SandboxLane, 1, 1)
			s.open(t, carrier.AustraliaPost)
			s.open(t, carrier.StarTrack)
		}, map[connection.Lane]int{connection.SandboxLane: 1}},
		"a queue that is too long": {func(_ *testing.T, s *fakeStore, q *fakeQueue) {
			s.add(auspost, 1, 1)
			s.add(connection.SandboxLane, 1, 1)
			q.backlog = 1000
		}, map[connection.Lane]int{connection.SandboxLane: 1}},
		"one API key for all": {func(_ *testing.T, s *fakeStore, _ *fakeQueue) { s.add(auspost, 100, 100) }, map[connection.Lane]int{auspost: 10}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, q := newFakeStore(), &fakeQueue{}
			s.malformed = map[connection.Lane]int{connection.SandboxLane: 2}
			tc.arrange(t, s, q)
			pass, err := roundPasses(&idleStore{fakeStore: s}, s, q).RunPass(t.Context())
			if err != nil || pass.Rounds != len(q.sent) || pass.Sent != 0 || pass.Malformed != 2 || pass.Probes != 0 {
				t.Errorf("RunPass = %+v, %v, with %d messages", pass, err, len(q.sent))
			}
			if diff := cmp.Diff(tc.want, lanes(q.sent)); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			production := slices.DeleteFunc(slices.Clone(q.sent), func(m schedule.Delayed) bool { return m.Message.Lane == connection.SandboxLane })
			if !slices.IsSortedFunc(production, func(a, b schedule.Delayed) int { return int(a.Delay - b.Delay) }) {
				t.Error("the messages are not in the order of their delays")
			}
		})
	}
}

// TestRoundsTakeTurns: a capacity of one goes to each lane in turn.
func TestRoundsTakeTurns(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	s.add(auspost, 100, 1)
	s.add(startrack, 100, 1)
	q := &fakeQueue{}
	d := roundPasses(&idleStore{fakeStore: s}, s, q)
	d.Rounds.Production.PerMinute = 1
	for minute := range 10 {
		d.Now = func() time.Time { return at().Add(time.Duration(minute) * time.Minute) }
		if _, err := d.RunPass(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(map[connection.Lane]int{auspost: 5, startrack: 5}, lanes(q.sent)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

// TestBreakersAreReadOnce: a pass reads the breakers once, for checks and rounds; and if the
// checks cannot be sent, the rounds are.
func TestBreakersAreReadOnce(t *testing.T) {
	t.Parallel()
	s, q, broken := newFakeStore(), &fakeQueue{}, errors.New("broken")
	s.add(auspost, 2, 1)
	idle := &idleStore{fakeStore: s}
	d := roundPasses(idle, s, q)
	d.Production.Queue = &fakeQueue{fails: map[string]error{"Backlog": broken}}
	pass, err := d.RunPass(t.Context())
	if !errors.Is(err, broken) || pass.Rounds != 2 || idle.reads != 1 {
		t.Errorf("RunPass = %+v, %v after %d reads of the breakers, want 2 rounds, the failure of the checks, and 1 read", pass, err, idle.reads)
	}
}

// fakeLooker returns errors by connection.
type fakeLooker struct {
	errs map[string]error

	mu    sync.Mutex
	asked []string
}

func (l *fakeLooker) Look(_ context.Context, d connection.Due) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, fmt.Sprint(d.AccountID, " ", d.ConnectionID))
	if d.ConnectionID == "se-panic" {
		panic("canary")
	}
	return l.errs[d.ConnectionID]
}

// TestRoundWorker: only what is no message comes again; one round that fails, or panics,
// disturbs no other, and counts as an error, except for throttling; the rounds of a carrier
// whose breaker is open are dropped.
func TestRoundWorker(t *testing.T) {
	l := &fakeLooker{errs: map[string]error{
		"se-busy": fault.Busy(nil), "se-gone": connection.ErrNoConnection(), "se-full": fault.Throttled(errors.New("full")), "se-broken": errors.New("broken"),
	}}
	checker := &fakeChecker{breakers: map[carrier.Name]health.Breaker{carrier.StarTrack: {Carrier: carrier.StarTrack, Open: true}}}
	w := &schedule.RoundWorker{Looker: l, Breakers: checker}
	var bodies []string
	var want []string
	for _, id := range []string{"se-panic", "se-busy", "se-gone", "se-full", "se-broken", "se-fine"} {
		bodies = append(bodies, fmt.Sprintf(`{"account_id":7,"carrier_id":%q,"lane":"australia_post"}`, id))
		want = append(want, "7 "+id)
	}
	bodies = append(bodies, `{"account_id":7,"carrier_id":"se-star","lane":"startrack"}`, `{"account_id":7,"carrier_id":"se-sand","lane":"sandbox"}`, "canary", `{"account_id":7}`, "null")
	want = append(want, "7 se-sand")
	var failed []string
	counted := metricstest.Of(t, func(ctx context.Context) { failed = w.Work(ctx, received(bodies...)) })
	if diff := cmp.Diff(map[string][]float64{"InternalErrors": {4}, "Malformed": {3}}, counted); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	ids := received(bodies...)
	if diff := cmp.Diff([]string{ids[8].ID, ids[9].ID, ids[10].ID}, failed); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
	slices.Sort(l.asked)
	slices.Sort(want)
	if diff := cmp.Diff(strings.Join(want, ", "), strings.Join(l.asked, ", ")); diff != "" {
		t.Errorf("rounds (-want +got):\n%s", diff)
	}
	checker.down = errors.New("down")
	l.asked = nil
	counted = metricstest.Of(t, func(ctx context.Context) { failed = w.Work(ctx, received(bodies...)) })
	if diff := cmp.Diff(map[string][]float64{"InternalErrors": {1}}, counted); diff != "" {
		t.Errorf("metrics without the breakers (-want +got):\n%s", diff)
	}
	if len(failed) > 0 || len(l.asked) > 0 {
		t.Errorf("without the breakers %d messages fail, and %d rounds are made; want none: they stay due", len(failed), len(l.asked))
	}
}
