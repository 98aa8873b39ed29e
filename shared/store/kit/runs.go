package kit

import (
	"time"

	"carrierlink/shared/webhook"
)

// RunsKept is how long the table remembers how a receiver has done that gets nothing.
const RunsKept = 30 * 24 * time.Hour

// HealthAttributes returns the attributes of a webhook.Health.
func HealthAttributes() []string {
	return []string{"announced_at", "failed_at", "failing_since", "failures", "idle_runs", AttrRecovered}
}

// ScheduleRun puts a webhook into by_due.
func ScheduleRun(e *Edit, ref webhook.Ref, at time.Time) {
	e.Set(AttrDuePK, TextValue(DeliverPK(ref)))
	e.Set(AttrDueKey, TextValue(RepairKey(at)))
}

// RestartRuns forgets what the runs of a webhook remember of its receiver, and has all that is
// pending tried now, as after a time in which the receiver was down. A run that has the lease keeps it, and finds out as it ends.
func RestartRuns(ref webhook.Ref, now time.Time) *Edit {
	e := NewEdit(RunsKey(ref))
	for _, attr := range HealthAttributes() {
		if attr != AttrRecovered {
			e.Remove(attr)
		}
	}
	e.Set(AttrRecovered, TimeValue(now))
	e.Remove(AttrPause)
	e.Add(AttrRestarts, 1)
	ScheduleRun(e, ref, now)
	e.End(now.Add(RunsKept))
	return e
}
