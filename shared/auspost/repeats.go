package auspost

import (
	"slices"
	"strings"
	"time"

	"carrierlink/shared/tracking"
)

// repeats merges what the carrier lists in several places of one answer, such as
// an article both under the consignment's items and under trackable_items, into
// the first place.
type repeats struct {
	// siblings are numbers that several things of one list share: freight items
	// that have only the number of their consignment are no repeats.
	siblings map[string]bool
	first    map[string]*tracking.Tracking
	above    []*tracking.Tracking // the parts that the one at hand is in
}

// merge takes repeats out of a shipment's parts, at any depth.
func (r *repeats) merge(t *tracking.Tracking) {
	r.first = map[string]*tracking.Tracking{}
	r.parts(t)
}

func (r *repeats) parts(t *tracking.Tracking) {
	r.above = append(r.above, t)
	kept := t.Parts[:0]
	for _, part := range t.Parts {
		number := strings.ToUpper(part.Number)
		if r.siblings[number] {
			number = ""
		}
		first := r.first[number]
		if number != "" && first != nil && !slices.Contains(r.above, first) && (len(part.Parts) == 0 || len(first.Parts) == 0) {
			r.join(first, part)
			continue
		}
		kept = append(kept, part)
		one := &kept[len(kept)-1]
		if number != "" && (first == nil || slices.Contains(r.above, first)) {
			r.first[number] = one
		}
		if len(part.Parts) == 0 {
			continue
		}
		if r.parts(one); len(one.Parts) > 0 {
			continue
		}
		// All that it has is listed elsewhere, and so is it itself.
		if kept = kept[:len(kept)-1]; first != nil {
			join(first, part)
		}
	}
	clear(t.Parts[len(kept):])
	t.Parts, r.above = kept, r.above[:len(r.above)-1]
}

// join adds what a repeat says to what is there. One of them has no parts.
func (r *repeats) join(first *tracking.Tracking, again tracking.Tracking) {
	join(first, again)
	if len(again.Parts) > 0 {
		first.Parts = again.Parts
		r.parts(first)
	}
}

// join adds status and events. Of two statuses the one counts that we understand;
// of two such the one with the newer event, and where none is newer the one that
// is not delivered, as for a whole (decision 0025).
func join(first *tracking.Tracking, again tracking.Tracking) {
	newer := newest(again.Events).Compare(newest(first.Events))
	delivered := tracking.ProgressOf(first.CarrierStatus).Status == tracking.Delivered
	if less := knows(*first) - knows(again); less < 0 || less == 0 && (newer > 0 || newer == 0 && delivered) {
		first.CarrierStatus = again.CarrierStatus
	}
	first.Events = append(first.Events, again.Events...)
}

// knows is 2 for a status that we understand, 1 for another one, 0 for none.
func knows(t tracking.Tracking) int {
	switch {
	case t.CarrierStatus == "":
		return 0
	case tracking.ProgressOf(t.CarrierStatus).Status == tracking.Unknown:
		return 1
	}
	return 2
}

func newest(events []tracking.Event) time.Time {
	var t time.Time
	for _, e := range events {
		if e.At.After(t) {
			t = e.At
		}
	}
	return t
}

// articles counts those that a shipment lists.
func articles(t *tracking.Tracking) int {
	n := 0
	for i := range t.Parts {
		n += max(1, articles(&t.Parts[i]))
	}
	return n
}
