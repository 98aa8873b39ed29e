package auspost

import (
	"slices"
	"strings"
	"time"

	"carrierlink/shared/tracking"
)

// merger merges parts that the carrier lists in several places of one answer, such as
// an article both in the consignment's items and in trackable_items, into the first
// place.
type merger struct {
	// shared are numbers that several parts of one list have: freight items that show
	// only the number of their consignment are not the same part.
	shared map[string]bool
	first  map[string]*tracking.Tracking // the first part with a number
	above  []*tracking.Tracking          // the parts around the current one
}

// mergeParts merges the parts of a shipment, at any depth.
func (m *merger) mergeParts(t *tracking.Tracking) {
	m.above = append(m.above, t)
	kept := t.Parts[:0]
	for _, part := range t.Parts {
		number := strings.ToUpper(part.Number)
		if m.shared[number] {
			number = ""
		}
		first := m.first[number]
		if number != "" && first != nil && !slices.Contains(m.above, first) && (len(part.Parts) == 0 || len(first.Parts) == 0) {
			merge(first, part)
			if len(part.Parts) > 0 {
				first.Parts = part.Parts
				m.mergeParts(first)
			}
			continue
		}
		kept = append(kept, part)
		current := &kept[len(kept)-1]
		if number != "" && (first == nil || slices.Contains(m.above, first)) {
			m.first[number] = current
		}
		if len(part.Parts) == 0 {
			continue
		}
		if m.mergeParts(current); len(current.Parts) > 0 {
			continue
		}
		// All of its parts are listed elsewhere, and so is the part itself.
		if kept = kept[:len(kept)-1]; first != nil {
			merge(first, part)
		}
	}
	clear(t.Parts[len(kept):])
	t.Parts, m.above = kept, m.above[:len(m.above)-1]
}

// merge adds the status and events of a repeat. Of two statuses the one that we
// understand counts; of two such the one with the newer event; and if neither is newer
// the one that is not delivered, as for a whole shipment (decision 0025).
func merge(first *tracking.Tracking, repeat tracking.Tracking) {
	newer := newest(repeat.Events).Compare(newest(first.Events))
	delivered := tracking.ProgressOf(first.CarrierStatus).Status == tracking.Delivered
	if known := rankStatus(*first) - rankStatus(repeat); known < 0 || known == 0 && (newer > 0 || newer == 0 && delivered) {
		first.CarrierStatus = repeat.CarrierStatus
	}
	first.Events = append(first.Events, repeat.Events...)
}

// rankStatus returns 2 for a status that we understand, 1 for another, 0 for none.
func rankStatus(t tracking.Tracking) int {
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

// countArticles counts the articles that a shipment lists.
func countArticles(t *tracking.Tracking) int {
	n := 0
	for i := range t.Parts {
		n += max(1, countArticles(&t.Parts[i]))
	}
	return n
}
