package health

import (
	"time"
)

// RefusalGap is the least time between two refusals that together mark a
// connection: Australia Post answered 401 to good keys for days in October
// 2017, so one says nothing (contract: "Known traps" 1).
const RefusalGap = 10 * time.Minute

// LoneRefusal is how long refusals have to go on before they are believed where
// there is nobody to compare with.
const LoneRefusal = 48 * time.Hour

// Timing is how fast the schedule runs. The zero value is for nobody.
type Timing struct {
	RefusalGap time.Duration // see RefusalGap; short in local stacks
	// LoneRefusal, see there, is short in local stacks. Zero: RefusalGap alone
	// counts.
	LoneRefusal time.Duration
	// Speed divides the intervals of policies and of backoff: 1 outside local
	// stacks.
	Speed int
}

// Every is an interval of the schedule at its speed.
func (t Timing) Scale(d time.Duration) time.Duration { return d / time.Duration(max(t.Speed, 1)) }

// ClaimedUntil is when a claimed connection is due again if its check is never
// recorded; claims counts those since the last one that was, this one included.
// The first time it is about two minutes after the claim, so that a check which
// a crash has cut off comes again soon.
func (t Timing) ClaimedUntil(claims int, leaseUntil, now time.Time) time.Time {
	floor := leaseUntil.Add(claimMargin / time.Duration(max(t.Speed, 1)))
	if retry := t.RetryAt(claims, now); claims > 1 && retry.After(floor) {
		return retry
	}
	return floor
}

// claimMargin is what ClaimedUntil adds to the end of the lease of 30 s.
const claimMargin = 90 * time.Second

// Retry is when a check that failed by our fault is due again: a minute later,
// doubling with each claim that was not recorded up to a day.
func (t Timing) RetryAt(claims int, now time.Time) time.Time {
	wait := min(time.Minute<<min(max(claims-1, 0), 11), 24*time.Hour)
	return now.Add(wait / time.Duration(max(t.Speed, 1))).Truncate(time.Millisecond)
}
