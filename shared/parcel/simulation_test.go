package parcel_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/health"
	"carrierlink/shared/parcel"
	"carrierlink/shared/schedule"
	"carrierlink/shared/tracking"
)

// simulation is the schedule of parcels and checks over virtual time.
type simulation struct {
	*world

	checks  *schedule.Dispatcher
	checker *schedule.Worker
	looks   *schedule.RoundWorker
	queues  [2][]schedule.Delayed // of checks, of rounds
	down    func(now time.Time) bool
	late    time.Duration // the largest delay of a check

	looked map[string]time.Time // the latest look at each number
	every  map[string]time.Duration
	asked  int     // numbers in calls of the carrier
	ideal  float64 // looks that the intervals ask for
}

// queue is one of the queues of a simulation.
type queue struct {
	s *simulation
	i int
}

func (q queue) Backlog(context.Context) (int, error) { return len(q.s.queues[q.i]), nil }

func (q queue) Send(_ context.Context, messages []schedule.Delayed) error {
	q.s.queues[q.i] = append(q.s.queues[q.i], messages...)
	return nil
}

// GetAccount is the carrier's answer to checks.
func (s *simulation) GetAccount(_ context.Context, a connection.ChargeAccount, _ int) connection.Reading {
	if s.down(s.clock) {
		return connection.Reading{Outcome: carrier.OutcomeUnavailable}
	}
	return connection.Reading{Outcome: carrier.OutcomeOK, Raw: fmt.Appendf(nil, `{"account_number":%q}`, a.Number)}
}

// Refresh notes how late a check is.
func (s *simulation) Refresh(ctx context.Context, d connection.Due, b health.Breaker) (connection.Checked, error) {
	before, err := s.Connection(ctx, d.AccountID, d.ConnectionID)
	if err != nil {
		return connection.Checked{}, err
	}
	if !b.Open {
		s.late = max(s.late, s.clock.Sub(before.NextRefreshAt))
	}
	return s.service().Refresh(ctx, d, b)
}

func (s *simulation) Control(ctx context.Context, accountID int64, id string, b health.Breaker) (connection.Checked, error) {
	return s.service().Control(ctx, accountID, id, b)
}

func (s *simulation) Count(ctx context.Context, name carrier.Name, b health.Breaker, checks []health.Check) error {
	return s.service().Count(ctx, name, b, checks)
}

func (s *simulation) service() *connection.Service {
	now := func() time.Time { return s.clock }
	return &connection.Service{
		Store: s.world, Vault: vault{}, CallsPerMinute: 1000, Carriers: connection.Carriers{Production: s, Sandbox: s}, Timing: health.Timing{RefusalGap: health.RefusalGap, Speed: 1},
		Now: now, Random: rand.Reader, Jitter: func(id string) float64 { return float64(hash(id)%100) / 100 },
		Compare: func(_, _ []byte) ([]connection.Difference, error) { return nil, nil },
	}
}

func hash(s string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s))
	return h.Sum32()
}

func newSimulation(tb testing.TB) *simulation {
	tb.Helper()
	w := newWorld(tb)
	s := &simulation{world: w, down: func(time.Time) bool { return false }, looked: map[string]time.Time{}, every: map[string]time.Duration{}}
	now := func() time.Time { return w.clock }
	sandbox := schedule.Traffic{Queue: queue{s, 0}, PerMinute: 60}
	s.checks = &schedule.Dispatcher{Store: w, Timing: health.Timing{RefusalGap: health.RefusalGap, Speed: 1}, Now: now, Window: time.Minute, Production: schedule.Traffic{Queue: queue{s, 0}, PerMinute: 600}, Sandbox: sandbox}
	s.checker = &schedule.Worker{Checker: s, Breakers: w}
	s.checks.Rounds = &schedule.Rounds{Store: w, Production: schedule.Traffic{Queue: queue{s, 1}, PerMinute: 300}, Sandbox: schedule.Traffic{Queue: queue{s, 1}, PerMinute: 60}}
	s.looks = &schedule.RoundWorker{Looker: w.looker, Breakers: w}
	w.answer = s.story
	w.together = func([]string) error {
		if s.down(s.clock) {
			return connection.Reading{Outcome: carrier.OutcomeUnavailable}.Err()
		}
		return nil
	}
	return s
}

// A parcel is posted so long before or after the start, is known a few hours later, and is
// delivered on its third to fifth day: at the depot from 4 to 7 hours, on board from 2 to
// 5 hours before its delivery.
func journey(number string) (known, depot, board, delivered time.Time) {
	h := int64(hash(number))
	posted := start.Add(-4 * 24 * time.Hour).Add(time.Duration(h%(9*24*60)) * time.Minute)
	known = posted.Add(time.Duration(h%7) * time.Hour)
	delivered = posted.Add(2*24*time.Hour + time.Duration(h/7%(3*24*60))*time.Minute)
	return known, delivered.Add(-time.Duration(4+h%4) * time.Hour), delivered.Add(-time.Duration(2+h%2) * time.Hour), delivered
}

// story is the carrier's answer, and keeps the count of looks.
func (s *simulation) story(_, number string, now time.Time) tracking.CarrierAnswer {
	known, depot, board, delivered := journey(number)
	s.mu.Lock()
	defer s.mu.Unlock()
	every := 6 * time.Hour
	var a tracking.CarrierAnswer
	switch {
	case now.Before(known):
		a = unknown()
	case now.Before(depot):
		a = says("In transit")
	case now.Before(board):
		a, every = says("At Delivery Depot"), 2*time.Hour
	case now.Before(delivered):
		a, every = says("On Board for Delivery"), time.Hour
	default:
		a = says("Delivered")
	}
	s.asked++
	if last, ok := s.looked[number]; ok {
		s.ideal += float64(now.Sub(last)) / float64(s.every[number])
	} else {
		s.ideal++
	}
	s.looked[number], s.every[number] = now, every
	return a
}

// run advances the time, minute by minute.
func (s *simulation) run(tb testing.TB, d time.Duration) {
	tb.Helper()
	for end := s.clock.Add(d); s.clock.Before(end); {
		minute := s.clock
		if _, err := s.checks.RunPass(tb.Context()); err != nil {
			tb.Fatal(err)
		}
		for i, deliver := range []func(context.Context, []schedule.Received) []string{s.checker.Work, s.looks.Work} {
			all := s.queues[i]
			s.queues[i] = nil
			for n := 0; n < len(all); {
				to := n + 1
				for to < min(n+10, len(all)) && all[to].Delay == all[n].Delay {
					to++
				}
				s.clock = minute.Add(all[n].Delay)
				var batch []schedule.Received
				for j, m := range all[n:to] {
					body, err := json.Marshal(m.Message)
					if err != nil {
						tb.Fatal(err)
					}
					batch = append(batch, schedule.Received{ID: strconv.Itoa(j), Body: string(body)})
				}
				if failed := deliver(tb.Context(), batch); len(failed) > 0 {
					tb.Fatalf("messages %v failed", failed)
				}
				n = to
			}
		}
		s.clock = minute.Add(time.Minute)
	}
}

// mostCalls is the largest number of calls with one API key in any minute.
func (s *simulation) mostCalls() (most, total int) {
	for _, calls := range s.calls {
		slices.SortFunc(calls, func(a, b call) int { return a.at.Compare(b.at) })
		from := 0
		for i, c := range calls {
			for !calls[from].at.After(c.at.Add(-time.Minute)) {
				from++
			}
			most = max(most, i-from+1)
		}
		total += len(calls)
	}
	return most, total
}

// populate links connections with so many parcels each.
func (s *simulation) populate(tb testing.TB, sizes map[int]int) (connections, parcels int) {
	tb.Helper()
	for _, size := range slices.Sorted(maps.Keys(sizes)) {
		for range sizes[size] {
			connections++
			id := int64(connections)
			s.account(tb, id)
			conn := s.link(tb, id, "se-"+strconv.Itoa(connections), carrier.AustraliaPost)
			var numbers []string
			for i := range size {
				numbers = append(numbers, fmt.Sprintf("%dA%08d", id, i))
			}
			for some := range slices.Chunk(numbers, parcel.MaxTogether) {
				s.start(tb, conn, some...)
			}
			parcels += size
		}
	}
	return connections, parcels
}

// TestSchedule: a day of parcels takes at most 1.05 times the calls that its looks need. No
// minute of an API key has more than eight, and the checks of the connections come as early
// as without parcels.
func TestSchedule(t *testing.T) {
	t.Parallel()
	newSimulation(t).day(t, map[int]int{100: 10, 500: 6, 1000: 3, 3000: 1})
}

// BenchmarkSchedule is TestSchedule with 100,000 parcels.
func BenchmarkSchedule(b *testing.B) {
	for b.Loop() {
		newSimulation(b).day(b, map[int]int{100: 100, 500: 60, 1000: 30, 3000: 10})
	}
}

func (s *simulation) day(tb testing.TB, sizes map[int]int) {
	tb.Helper()
	connections, parcels := s.populate(tb, sizes)
	s.run(tb, 12*time.Hour)
	_, before := s.mostCalls()
	asked, ideal := s.asked, s.ideal
	s.run(tb, 24*time.Hour)
	most, calls := s.mostCalls()
	calls, asked, ideal = calls-before, s.asked-asked, s.ideal-ideal
	ofAsked, ofIdeal := float64(calls)*tracking.MaxNumbers/float64(asked), float64(calls)*tracking.MaxNumbers/ideal
	tb.Logf("%d parcels of %d connections: in a day %d calls about %d numbers, %.4f × a tenth; the intervals ask for %.0f looks, %.4f × a tenth; at most %d calls a minute of an API key; checks at most %v late",
		parcels, connections, calls, asked, ofAsked, ideal, ofIdeal, most, s.late)
	if ofAsked > 1.05 {
		tb.Errorf("calls = %.4f × looks / 10, want at most 1.05", ofAsked)
	}
	if ofIdeal > 1.05 {
		tb.Errorf("calls = %.4f × the looks that the intervals ask for / 10, want at most 1.05", ofIdeal)
	}
	if most > tracking.LooksPerMinute {
		tb.Errorf("%d calls in a minute of an API key, want at most %d", most, tracking.LooksPerMinute)
	}
	if s.late >= 2*time.Minute {
		tb.Errorf("a check was %v late", s.late)
	}
	if b, ok := tb.(*testing.B); ok {
		b.ReportMetric(ofAsked, "calls/ideal")
	}
}
