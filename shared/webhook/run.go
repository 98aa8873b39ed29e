package webhook

import "time"

// Run is the lease of a webhook: one run at a time delivers to it.
type Run struct {
	Ref
	LeaseUntil time.Time
	Wakes      int64 // how often the webhook was marked as due
	Restarts   int64 // how often the webhook has become another one, and Health was forgotten
	Health     Health
}

// Health is what the runs of a webhook remember of its receiver.
type Health struct {
	// FailingSince is the first failure since a success; FailedAt is the latest one.
	FailingSince, FailedAt time.Time
	// RecoveredAt is the latest success that ended a time in which the receiver was down.
	RecoveredAt time.Time
	Failures    int // in a row
	IdleRuns    int // in a row, with failures and without a success
	// AnnouncedAt is the time for which the queue has a delayed message already.
	AnnouncedAt time.Time
}

// End is how a run gives back its lease.
type End struct {
	DueAt       time.Time // when the webhook is looked at again; zero: when something happens
	PauseUntil  time.Time // until then no run begins; zero: no pause
	UnlessWoken bool      // only if the webhook was not marked as due since Run.Wakes
}
