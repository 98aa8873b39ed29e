package parcel_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/tracking"
)

// TestReads: the audit log has how often the credentials were read on each day, the last one
// included; also if parcels are registered all the time.
func TestReads(t *testing.T) {
	t.Parallel()
	for name, every := range map[string]time.Duration{"registered once": 80 * time.Hour, "registered all the time": 5 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reads(t, every)
		})
	}
}

func reads(t *testing.T, every time.Duration) {
	t.Helper()
	w := newWorld(t)
	w.account(t, 71)
	conn := w.link(t, 71, "se-1", post)
	w.start(t, conn, numbers(30)...) // three calls each time
	w.answer = func(_, _ string, now time.Time) tracking.CarrierAnswer {
		if now.Sub(start) < 60*time.Hour {
			return says("In transit")
		}
		return says("Delivered")
	}
	for ; w.clock.Sub(start) < 70*time.Hour; w.run(t, every) {
		w.start(t, conn, fmt.Sprint("ZZ92", w.clock.Unix()))
	}
	w.run(t, 10*time.Hour)
	want := map[string]int{}
	for _, c := range w.calls["se-1"] {
		want[c.at.UTC().Format(time.DateOnly)]++
	}
	got := w.readings(t)
	if len(want) != 3 {
		t.Fatalf("the carrier was called on %d days, want 3", len(want))
	}
	equal(t, "readings by day", got, want)
}

// readings are those that the audit log has, by day.
func (w *world) readings(t *testing.T) map[string]int {
	t.Helper()
	found, _, err := w.ListEvents(t.Context(), effects.Listing{PartnerID: 5, AccountID: 71, Types: []effects.EventType{effects.SecretRead}, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, e := range found {
		var data struct {
			ID     string `json:"carrier_id"`
			Reason string `json:"reason"`
			Day    string `json:"day"`
			Reads  int    `json:"reads"`
		}
		if err := json.Unmarshal(e.Data, &data); err != nil || data.ID != "se-1" || e.Subject != "se-1" || data.Reason != "parcels" || e.By.Actor != effects.Schedule {
			t.Errorf("entry %+v: %s, %v", e, e.Data, err)
		}
		got[data.Day] += data.Reads
	}
	return got
}

// TestReadsWithoutConnection: what was read is reported also if the account is deleted, and
// with it the connection.
func TestReadsWithoutConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(t, 71)
	w.start(t, w.link(t, 71, "se-1", post), numbers(30)...)
	w.run(t, time.Hour)
	if err := w.DeleteAccount(t.Context(), a, false, start.Add(30*24*time.Hour), effects.Effects{}, w.clock); err != nil {
		t.Fatal(err)
	}
	w.run(t, 4*time.Hour)
	equal(t, "readings by day", w.readings(t), map[string]int{start.Format(time.DateOnly): 3})
}
