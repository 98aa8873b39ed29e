package health

import "time"

// Outage is what partners are told of a carrier's outages: one begins when the breaker opens
// and ends when it closes. An announcement is noted before the first partner is told and goes
// on until all are, whatever the breaker does meanwhile. The next one depends on the breaker's
// state then: an outage that is over before its beginning is noted is not announced, and one
// that begins again before its end is noted goes on. So beginnings and ends take turns.
type Outage struct {
	BeganAt time.Time // zero: there is none to be told of
	EndedAt time.Time // set once its end is noted
	Failure string    // see Breaker.Failure
	At      time.Time // of the latest announcement, later than the one before
	Told    bool      // everyone knows that it began, and its end is not noted
	After   int64     // partners up to this id have been told, while an announcement is made
}

// Announcement returns the outage with the announcement that has to be made: the one that is
// being made, or a new one. due is false if there is none.
func (b Breaker) Announcement(now time.Time) (o Outage, due bool) {
	o = b.Outage
	switch {
	case o.BeganAt.IsZero() && b.Open:
		o = Outage{BeganAt: b.ChangedAt, Failure: b.Failure, At: o.next(now)}
	case o.Told && !b.Open:
		o.EndedAt, o.Told, o.At = b.ChangedAt, false, o.next(now)
	case o.BeganAt.IsZero() || o.Told:
		return o, false
	}
	return o, true
}

// next returns the time of the next announcement, as the table keeps times: now, but later
// than the one before, although clocks differ.
func (o Outage) next(now time.Time) time.Time {
	return time.UnixMilli(max(now.UnixMilli(), o.At.UnixMilli()+1)).UTC()
}

// Announced returns the outage once all partners have been told.
func (o Outage) Announced() Outage {
	if !o.EndedAt.IsZero() {
		return Outage{At: o.At}
	}
	o.Told, o.After = true, 0
	return o
}
