package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/views"
)

const historyPath = "/v1/carriers/se-1234567/history"

// checked adds checks to a connection of account 71, the oldest first.
func (d *front) checked(t *testing.T, id string, entries ...connection.HistoryEntry) {
	t.Helper()
	for _, e := range entries {
		c, err := d.Store.Connection(t.Context(), 71, id)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Store.RecordCheck(t.Context(), &c, &e, nil, effects.Effects{}, d.Clock); err != nil {
			t.Fatal(err)
		}
	}
}

// entry returns the nth check, made some time after the start.
func entry(n int, after time.Duration) connection.HistoryEntry {
	return connection.HistoryEntry{
		Check:  connection.Check{At: start().Add(after), Outcome: carrier.OutcomeOK, Latency: time.Duration(n) * time.Millisecond, Trigger: connection.TriggerSchedule},
		Number: n, Status: connection.Active,
	}
}

// numbers returns the numbers of the checks of a page, which their latencies tell.
func numbers(b views.HistoryPage) []int64 {
	var all []int64
	for _, c := range b.Checks {
		all = append(all, c.LatencyMS)
	}
	return all
}

func TestHistoryRefuses(t *testing.T) {
	d := newFront(t)
	d.link(t, verified("se-1234567", start()), "")
	d.link(t, verified("se-2", start()), "")
	d.link(t, connection.Connection{ID: "se-1", AccountID: 72, Carrier: carrier.StarTrack, AccountNumber: "09912345", Status: connection.Active}, "")
	d.link(t, connection.Connection{ID: "se-3", Carrier: carrier.StarTrack, AccountNumber: "09912345", Status: connection.Linking}, "")
	d.checked(t, "se-2", entry(1, 0), entry(2, time.Minute))
	foreign := strings.TrimPrefix(functiontest.Read[views.HistoryPage](t, d.ask("account 71", "/v1/carriers/se-2/history?page_size=1"), http.StatusOK).Links.Next.Href, "/v1/carriers/se-2/history")
	if !strings.Contains(foreign, "cursor=") {
		t.Fatalf("no cursor in %q", foreign)
	}
	tests := []struct {
		name, path string
		want       []string
	}{
		{"no id", "/v1/carriers/x/history", []string{"400", "invalid_identifier carrier_id"}},
		{"everything", "/v1/carriers/x/history?page=0&page_size=501&cursor=x", []string{"400", "invalid_identifier carrier_id", "invalid_field_value page", "invalid_field_value page_size", "invalid_field_value cursor"}},
		{"too far", historyPath + "?page=401", []string{"400", "invalid_field_value page"}},
		{"another connection's cursor", historyPath + foreign, []string{"400", "invalid_field_value cursor"}},
		{"absent", "/v1/carriers/se-9/history", []string{"404", "not_found"}},
		{"another account's", "/v1/carriers/se-1/history", []string{"404", "not_found"}},
		{"an intent", "/v1/carriers/se-3/history", []string{"404", "not_found"}},
	}
	for _, tc := range tests {
		if diff := cmp.Diff(tc.want, functiontest.Problems(t, d.ask("account 71", tc.path))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestHistory(t *testing.T) {
	d := newFront(t)
	d.link(t, verified("se-1234567", start()), "")
	resp := d.ask("account 71", historyPath)
	if want := `{"checks":[],"page":1,"page_size":25,"links":{"first":{"href":"` + historyPath + `?page=1&page_size=25"},"prev":{},"next":{}}}`; resp.Body != want {
		t.Errorf("none: %s, want %s", resp.Body, want)
	}
	d.checked(t, "se-1234567", connection.HistoryEntry{
		Check:  connection.Check{At: start(), Outcome: carrier.OutcomeUnknownAccount, Latency: time.Second, Trigger: connection.TriggerRead, Code: "41002"},
		Number: 1, Status: connection.Active, Changes: []connection.Difference{{Type: connection.ProductRecoded, ProductID: "3D85", From: "3D35", To: "3D85"}},
	})
	resp = d.ask("partner 5", historyPath, "On-Behalf-Of", "71")
	if want := `{"checks":[{"at":"2026-03-01T00:00:30.123Z","outcome":"unknown_account","latency_ms":1000,"trigger":"read","carrier_code":"41002","status":"active",` +
		`"changes":[{"type":"product_recoded","product_id":"3D85","field":null,"from":"3D35","to":"3D85"}]}],`; !strings.HasPrefix(resp.Body, want) {
		t.Errorf("one: %s, want %s…", resp.Body, want)
	}
}

// TestHistoryPages reads pages by number and by cursor, as merchant and as partner, with
// several checks of the same millisecond.
func TestHistoryPages(t *testing.T) {
	d := newFront(t)
	d.link(t, verified("se-1234567", start()), "")
	d.checked(t, "se-1234567", entry(1, 0), entry(2, time.Minute), entry(3, time.Minute), entry(4, time.Minute), entry(5, time.Hour))
	want := [][]int64{{5, 4}, {3, 2}, {1}}
	path := historyPath + "?page_size=2"
	for i, numbered := range want {
		byNumber := functiontest.Read[views.HistoryPage](t, d.ask("account 71", fmt.Sprintf("%s?page_size=2&page=%d", historyPath, i+1)), http.StatusOK)
		byCursor := functiontest.Read[views.HistoryPage](t, d.ask([]string{"account 71", "partner 5"}[i%2], path, "On-Behalf-Of", "71"), http.StatusOK)
		for name, got := range map[string]views.HistoryPage{"number": byNumber, "cursor": byCursor} {
			if diff := cmp.Diff(numbered, numbers(got)); diff != "" || got.Page != i+1 || got.PageSize != 2 {
				t.Errorf("page %d of %d by %s (-want +got):\n%s", got.Page, i+1, name, diff)
			}
		}
		path = byCursor.Links.Next.Href
	}
	if path != "" {
		t.Errorf("the last page has a next link: %s", path)
	}
	past := functiontest.Read[views.HistoryPage](t, d.ask("account 71", historyPath+"?page=9"), http.StatusOK)
	if past.Checks == nil || len(past.Checks) != 0 || past.Page != 9 || past.Links.Prev.Href == "" || past.Links.Next.Href != "" {
		t.Errorf("past the end: %+v", past)
	}
}

// TestLargeHistory: a page that would be too large ends early, and the next page goes on
// from there.
func TestLargeHistory(t *testing.T) {
	d := newFront(t)
	d.link(t, verified("se-1234567", start()), "")
	const all = 70
	for n := 1; n <= all; n++ {
		e := entry(n, time.Duration(n)*time.Second)
		for range connection.MaxDifferences {
			e.Changes = append(e.Changes, connection.Difference{Type: connection.ChangedField, Field: strings.Repeat("long.", 100)})
		}
		d.checked(t, "se-1234567", e)
	}
	var got []int64
	pages := 0
	for path := historyPath + "?page_size=500"; path != ""; pages++ {
		resp := d.ask("account 71", path)
		if len(resp.Body) >= 1_000_000 {
			t.Errorf("a page of %d bytes", len(resp.Body))
		}
		body := functiontest.Read[views.HistoryPage](t, resp, http.StatusOK)
		got, path = append(got, numbers(body)...), body.Links.Next.Href
	}
	slices.Reverse(got)
	if !slices.IsSorted(got) || len(got) != all || got[0] != 1 || pages != 5 {
		t.Errorf("%d pages with %d checks: %v", pages, len(got), got)
	}
}

// TestHistoryOutlivesTheLink: an unlinked connection keeps its history for 90 days.
func TestHistoryOutlivesTheLink(t *testing.T) {
	d := newFront(t)
	d.link(t, verified("se-1234567", start()), contract())
	d.checked(t, "se-1234567", entry(1, 0), entry(2, 24*time.Hour))
	d.Clock = d.Clock.Add(48 * time.Hour)
	d.unlink(t, "se-1234567")
	for name, ask := range map[string][]string{"account 71": {"account 71", historyPath}, "its partner": {"partner 5", historyPath, "On-Behalf-Of", "71"}} {
		if diff := cmp.Diff([]int64{2, 1}, numbers(functiontest.Read[views.HistoryPage](t, d.ask(ask[0], ask[1], ask[2:]...), http.StatusOK))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff([]string{"404", "not_found"}, functiontest.Problems(t, d.ask("account 72", historyPath))); diff != "" {
		t.Errorf("another account (-want +got):\n%s", diff)
	}
	d.Clock = start().Add(connection.HistoryKept + 24*time.Hour)
	if diff := cmp.Diff([]int64(nil), numbers(functiontest.Read[views.HistoryPage](t, d.ask("account 71", historyPath), http.StatusOK))); diff != "" {
		t.Errorf("after 91 days (-want +got):\n%s", diff)
	}
	d.Clock = start().Add(connection.HistoryKept + 48*time.Hour)
	if diff := cmp.Diff([]string{"404", "not_found"}, functiontest.Problems(t, d.ask("account 71", historyPath))); diff != "" {
		t.Errorf("after its purge (-want +got):\n%s", diff)
	}
}
