package webhook

import (
	"slices"
	"time"
)

// resource is what the events of which are delivered one after the other.
type resource struct {
	accountID int64
	subject   string
	late      string // the event_id of one that waits for none any more, because it is given up
}

// job is an event that is to be delivered: all that is pending of it, the latest request
// last. The latest counts.
type job []Pending

func (j job) latest() *Pending { return &j[len(j)-1] }

// waits returns until when an event is not tried again, as far as its pending item knows.
// What was tried before the receiver has recovered is due at once.
func (j job) waits(recovered, now time.Time) (until time.Time, waits bool) {
	p := j.latest()
	if p.HeldUntil.After(now) {
		return p.HeldUntil, true
	}
	return p.NextAttemptAt, p.NextAttemptAt.After(now) && !p.TriedAt.Before(recovered)
}

// late reports whether an event is given up that was never tried.
func (p *Pending) late(now time.Time) bool {
	return p.TriedAt.IsZero() && now.Sub(p.RequestedAt) > SentWithin
}

// lane is the jobs of a resource, the oldest event first.
type lane struct {
	jobs  []job
	probe bool // the first job is sent although it waits
}

// plan is what a run has to deliver. Resources take turns: so one with many events delays
// the others no more than one with few.
type plan struct {
	recovered time.Time
	ready     []*lane   // whose first job may be sent now
	next      time.Time // the earliest time until when a resource waits; zero: none does
	waiting   *lane     // of those that wait, the one that was tried longest ago
}

// newPlan plans what is pending, in the order of its event_ids. If all of it waits and the
// receiver is down, one event is sent all the same, to find out whether it still is.
func newPlan(pending []Pending, h *Health, now time.Time) *plan {
	pl := &plan{recovered: h.RecoveredAt}
	lanes := map[resource]*lane{}
	var order []*lane
	for _, j := range jobs(pending) {
		p := j.latest()
		r := resource{p.EventOwner, p.Subject, ""}
		if p.late(now) {
			r.late = p.EventID
		}
		if lanes[r] == nil {
			lanes[r] = &lane{}
			order = append(order, lanes[r])
		}
		lanes[r].jobs = append(lanes[r].jobs, j)
	}
	// What was never tried comes first, then what was tried longest ago.
	slices.SortStableFunc(order, func(a, b *lane) int { return a.jobs[0].latest().TriedAt.Compare(b.jobs[0].latest().TriedAt) })
	for _, l := range order {
		pl.add(l, now)
	}
	if len(pl.ready) == 0 && pl.waiting != nil && h.down() {
		pl.waiting.probe = true
		pl.ready = append(pl.ready, pl.waiting)
	}
	return pl
}

// jobs groups what is pending by event.
func jobs(pending []Pending) (all []job) {
	for _, p := range pending {
		if n := len(all); n > 0 && all[n-1][0].EventID == p.EventID {
			all[n-1] = append(all[n-1], p)
		} else {
			all = append(all, job{p})
		}
	}
	return all
}

// add puts a lane behind those that are ready, or notes until when it waits.
func (p *plan) add(l *lane, now time.Time) {
	if len(l.jobs) == 0 {
		return
	}
	if until, waits := l.jobs[0].waits(p.recovered, now); waits {
		p.wait(until)
		held := l.jobs[0].latest().HeldUntil.After(now)
		if !held && (p.waiting == nil || l.jobs[0].latest().TriedAt.Before(p.waiting.jobs[0].latest().TriedAt)) {
			p.waiting = l
		}
		return
	}
	p.ready = append(p.ready, l)
}

// wait notes that a resource waits.
func (p *plan) wait(until time.Time) { p.next = earlier(p.next, until) }

// take removes the lane whose turn it is.
func (p *plan) take() *lane {
	l := p.ready[0]
	p.ready = p.ready[1:]
	return l
}

// earlier returns the earlier of two times; the zero time is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// attemptDelays are the delays after the first, second, ... attempt, as Standard Webhooks
// has them ("Deliverability and reliability"): 75 hours and a half in all.
var attemptDelays = [MaxAttempts - 1]time.Duration{ // never changes
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// delayAfter returns the time from the n-th attempt to the next one. jitter, from 0 to 1,
// spreads it between its half and its whole: the half gives the receiver time, and the rest
// spreads what has failed together.
func delayAfter(n int, jitter float64) time.Duration {
	whole := attemptDelays[n-1]
	return whole/2 + time.Duration(jitter*float64(whole/2))
}

// longestGap is the longest time between two failures of a receiver that is failing all the
// time and gets a single event: with the pass of the schedule, and what a run may be late.
var longestGap = slices.Max(attemptDelays[:]) + time.Hour // never changes

// Rules of a webhook that fails as a whole.
const (
	stopAfter    = 8               // failures in a row, of a run
	downAfter    = 3               // failures in a row, of several runs: the receiver is down
	firstPause   = 5 * time.Second // after a run without a success; it doubles with each
	longestPause = 10 * time.Minute
	disableAfter = 5 * 24 * time.Hour // of failures
)

// down reports whether the receiver seems to take nothing at all.
func (h *Health) down() bool { return h.Failures >= downAfter }

// success notes that the receiver has taken an event.
func (h *Health) success(at time.Time) {
	if h.down() {
		h.RecoveredAt = at
	}
	h.FailingSince, h.FailedAt, h.Failures = time.Time{}, time.Time{}, 0
}

// failure notes that it has not, and reports whether it has been failing for so long that
// its webhook is disabled. Failures with days between them, of which the events had a single
// one each, say nothing about the time between. One that refuses this event is not down.
func (h *Health) failure(at time.Time, refused bool) (forGood bool) {
	if h.FailingSince.IsZero() || at.Sub(h.FailedAt) > longestGap {
		h.FailingSince = at
	}
	h.FailedAt = at
	if !refused {
		h.Failures++
	}
	return at.Sub(h.FailingSince) >= disableAfter
}

// pause returns how long a webhook pauses after its latest run, which has had no success.
func (h *Health) pause() time.Duration {
	p := firstPause
	for n := 1; n < h.IdleRuns && p < longestPause; n++ {
		p *= 2
	}
	return min(p, longestPause)
}
