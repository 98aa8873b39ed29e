package views_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/tracking"
	"carrierlink/shared/views"
)

// TestTrackData: what an event says of a shipment fits into it. The oldest events go first,
// and articles only if that is not enough.
func TestTrackData(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	scans := func(n int, text string) (all []tracking.Event) {
		for i := range n {
			all = append(all, tracking.Event{At: now.Add(-time.Duration(i) * time.Minute), Description: text, Location: "ALEXANDRIA NSW"})
		}
		return all
	}
	of := func(n, events int, text string) (parts []tracking.Tracking) {
		for i := range n {
			parts = append(parts, tracking.Tracking{Number: fmt.Sprint("A", i), CarrierStatus: "In transit", Events: scans(events, fmt.Sprint(text, i))})
		}
		return parts
	}
	for _, tc := range []struct {
		name             string
		says             tracking.Tracking
		events, articles int  // at least
		truncated        bool // or everything
	}{
		{"500 articles", tracking.Tracking{Parts: of(500, 3, "x")}, 0, 40, true},
		{"letters that JSON escapes", tracking.Tracking{Events: scans(100, strings.Repeat("<&>", 30))}, 1, 0, true},
		{"one event that is too large", tracking.Tracking{Events: scans(1, strings.Repeat("<", 5000))}, 0, 0, true},
		{"100 events", tracking.Tracking{Events: scans(100, "Arrived at facility")}, 20, 0, true},
		{"ten articles with 20 events each", tracking.Tracking{Parts: of(10, 20, "x")}, 1, 10, true},
		{"three events", tracking.Tracking{Events: scans(3, "x"), Parts: of(2, 1, "y")}, 5, 2, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			whole := views.NewTracking(&connection.Connection{ID: "se-1", Carrier: carrier.AustraliaPost}, tracking.Answer{Tracking: &tc.says, At: now}, now)
			got := views.NewTrackData(&connection.Connection{ID: "se-1", Carrier: carrier.AustraliaPost}, tracking.Answer{Tracking: &tc.says, At: now}, now)
			text, err := json.Marshal(got)
			if err != nil || len(text) > effects.MaxEventData {
				t.Errorf("%d bytes, %v, want at most %d", len(text), err, effects.MaxEventData)
			}
			if got.Truncated != tc.truncated || strings.Contains(string(text), `"truncated"`) != tc.truncated || len(got.Events) < tc.events || len(got.Articles) < tc.articles {
				t.Errorf("truncated %t, with %d events and %d articles; want %t, %d, %d", got.Truncated, len(got.Events), len(got.Articles), tc.truncated, tc.events, tc.articles)
			}
			if len(got.Events) > 0 && *got.Events[0].OccurredAt != *whole.Events[0].OccurredAt {
				t.Errorf("the newest event is of %s, want %s", *got.Events[0].OccurredAt, *whole.Events[0].OccurredAt)
			}
			if got.StatusCode != whole.StatusCode {
				t.Errorf("the status is %s, want %s", got.StatusCode, whole.StatusCode)
			}
		})
	}
}
