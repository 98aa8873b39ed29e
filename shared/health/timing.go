package health

import "time"

// RefusalGap is the least time between two refusals that together require action:
// Australia Post answered 401 to good keys for days in October 2017, so a single
// one means nothing (infra/docs/auspost.md, "Known traps" 1).
const RefusalGap = 10 * time.Minute

// LoneRefusal is how long refusals must go on before they count where no other
// connection is there to compare with.
const LoneRefusal = 48 * time.Hour

// Timing is how fast the schedule runs. The zero value is not usable.
type Timing struct {
	RefusalGap time.Duration // see RefusalGap; shorter in local stacks
	// LoneRefusal is the duration of that name; shorter in local stacks. Zero:
	// RefusalGap alone decides.
	LoneRefusal time.Duration
	// Speed divides the intervals of policies and of backoff; 1 outside local
	// stacks.
	Speed int
}

// Scale returns an interval of the schedule at its speed.
func (t Timing) Scale(d time.Duration) time.Duration { return d / time.Duration(max(t.Speed, 1)) }

// ClaimedUntil returns when a claimed connection is due again if its check is never
// recorded. claims counts the claims since the last recorded check, this one
// included. After the first it is about two minutes, so that a check that a crash
// cut off is soon repeated.
func (t Timing) ClaimedUntil(claims int, leaseUntil, now time.Time) time.Time {
	floor := leaseUntil.Add(t.Scale(90 * time.Second)) // the lease itself is 30 s
	if retry := t.RetryAt(claims, now); claims > 1 && retry.After(floor) {
		return retry
	}
	return floor
}

// RetryAt returns when a check that failed through our fault is due again: a minute
// later, twice as long for each further unrecorded claim, up to a day.
func (t Timing) RetryAt(claims int, now time.Time) time.Time {
	wait := min(time.Minute<<min(max(claims-1, 0), 11), 24*time.Hour)
	return now.Add(t.Scale(wait)).Truncate(time.Millisecond)
}
