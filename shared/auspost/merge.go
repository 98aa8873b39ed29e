package auspost

import (
	"maps"
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
		// All of its parts are listed elsewhere, and so is the part itself. A status of
		// its own still counts.
		if first == nil && rankStatus(part) == 2 {
			*current = withoutArticle(part)
			continue
		}
		if kept, m.first[number] = kept[:len(kept)-1], first; first != nil {
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

// withoutArticle returns a part that says what t says and is not listed as an article.
func withoutArticle(t tracking.Tracking) tracking.Tracking {
	t.Number, t.Parts = "", []tracking.Tracking{{}}
	return t
}

// mergeResults makes one shipment of the results of a number. Each counts as if it were
// alone (decision 0025); an article of several is listed once, in the least advanced.
func mergeResults(results []tracking.Tracking) tracking.Tracking {
	if len(results) == 1 {
		return results[0]
	}
	slices.SortStableFunc(results, func(a, b tracking.Tracking) int { return rankProgress(&a) - rankProgress(&b) })
	t := tracking.Tracking{Parts: results}
	listed := map[string]*tracking.Tracking{}
	for i := range results {
		t.IsStarTrack = t.IsStarTrack || results[i].IsStarTrack
		if len(results[i].Parts) == 0 {
			results[i] = withoutArticle(results[i])
			continue
		}
		own := map[string]*tracking.Tracking{}
		unlistRepeats(&results[i], listed, own)
		maps.Copy(listed, own)
	}
	return t
}

// rankProgress returns 0 for what failed, 1 for what is on its way, 2 for what is
// delivered.
func rankProgress(t *tracking.Tracking) int {
	status := t.Summary().Status
	if status == tracking.Exception {
		return 0
	}
	if status == tracking.Delivered {
		return 2
	}
	return 1
}

// unlistRepeats takes the articles of a result that an earlier one has listed out of the
// list of articles, and adds the other parts to own.
func unlistRepeats(t *tracking.Tracking, listed, own map[string]*tracking.Tracking) {
	for i := range t.Parts {
		part := &t.Parts[i]
		number := strings.ToUpper(part.Number)
		first := listed[number]
		if number != "" && first == nil {
			own[number] = part
		}
		if len(part.Parts) > 0 {
			unlistRepeats(part, listed, own)
			continue
		}
		if number == "" || first == nil {
			continue
		}
		switch {
		case part.Silent():
			part.CarrierStatus = first.CarrierText()
		case first.Silent():
			first.CarrierStatus, first.Events = part.CarrierStatus, slices.Clone(part.Events)
		case rankStatus(*first) == 2: // its events do not decide its status
			first.Events = tracking.NewestEvents(append(first.Events, part.Events...), tracking.MaxEvents)
		}
		*part = withoutArticle(*part)
	}
}

// countArticles counts the articles that a shipment lists.
func countArticles(t *tracking.Tracking) int {
	n := 0
	for i := range t.Parts {
		switch part := &t.Parts[i]; {
		case len(part.Parts) > 0:
			n += countArticles(part)
		case part.Number != "" || !part.Silent():
			n++
		}
	}
	return n
}
