package carrier

import (
	"maps"
	"slices"
	"time"
)

// Breaker is whether a carrier is asked at all. It is open while many
// connections of the carrier fail alike: then nothing is checked by the
// schedule but one probe at a time, and no refusal is believed. One good check
// closes it.
type Breaker struct {
	Carrier   Name
	Open      bool
	Failure   string    // why it is open: see Outcome.Failure
	ChangedAt time.Time // when it opened or closed; zero if it never did
	ProbeAt   time.Time // while open: no probe before
	// Version counts the writes: every write is on the condition that it is the
	// one that was read.
	Version int64
}

// ProbeEvery is the time between two probes of an open breaker.
const ProbeEvery = time.Minute

// Tally is the checks of a carrier's connections within one minute.
type Tally struct {
	Minute time.Time
	Checks int
	Good   int
	Failed map[string]int            // by Outcome.Failure
	Who    map[string]map[int64]bool // the accounts that failed so
}

// TallyKept is how far back the breaker and the status of a carrier look.
const TallyKept = 15 * time.Minute

// When a breaker opens. Three accounts: one merchant's own trouble, in however
// many connections, is not the carrier's.
const (
	tripAccounts = 3
	tripShare    = 0.5
)

// Trip tells whether the breaker should open, by the tallies of the last
// TallyKept: three or more accounts, and half of all checks, have failed alike
// since it last closed. They have in the last two minutes where there are many
// connections, and in the whole of the time where there are few.
func (b Breaker) Trip(tallies []Tally, now time.Time) (failure string, ok bool) {
	if b.Open {
		return "", false
	}
	for _, window := range []time.Duration{2 * time.Minute, TallyKept} {
		if failure, ok = b.trip(tallies, now.Add(-window)); ok {
			return failure, true
		}
	}
	return "", false
}

func (b Breaker) trip(tallies []Tally, since time.Time) (string, bool) {
	if b.ChangedAt.After(since) {
		since = b.ChangedAt
	}
	checks := 0
	failed := map[string]int{}
	who := map[string]map[int64]bool{}
	for _, t := range tallies {
		if !t.Minute.After(since) {
			continue
		}
		checks += t.Checks
		for failure, n := range t.Failed {
			failed[failure] += n
			for account := range t.Who[failure] {
				if who[failure] == nil {
					who[failure] = map[int64]bool{}
				}
				who[failure][account] = true
			}
		}
	}
	// Two failures can have half of the checks each: the first by name is told.
	for _, failure := range slices.Sorted(maps.Keys(failed)) {
		if len(who[failure]) >= tripAccounts && float64(failed[failure]) >= tripShare*float64(checks) {
			return failure, true
		}
	}
	return "", false
}

// Opened is the breaker after Trip; the first probe comes ProbeEvery later.
func (b Breaker) Opened(failure string, now time.Time, t Timing) Breaker {
	b.Open, b.Failure, b.ChangedAt = true, failure, now
	return b.Probed(now, t)
}

// Probed is the open breaker after a probe was sent: the next one is due later.
func (b Breaker) Probed(now time.Time, t Timing) Breaker {
	b.ProbeAt = now.Add(ProbeEvery / time.Duration(max(t.Speed, 1)))
	return b
}

// Closed is the breaker after a good check.
func (b Breaker) Closed(now time.Time) Breaker {
	b.Open, b.Failure, b.ChangedAt, b.ProbeAt = false, "", now, time.Time{}
	return b
}
