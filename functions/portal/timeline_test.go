package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
	"carrierlink/shared/parcel"
)

// rows returns the rows of the table of a timeline, as text.
func rows(s *functiontest.Shown) []string {
	_, body, _ := strings.Cut(s.Body, "<tbody>")
	body, _, _ = strings.Cut(body, "</tbody>")
	var all []string
	for row := range strings.SplitSeq(body, "</tr>") {
		if text := strings.TrimSpace(row); text != "" {
			all = append(all, text)
		}
	}
	return all
}

// checked adds n checks to a connection, one an hour.
func (d *front) checked(t *testing.T, c *connection.Connection, n int) {
	t.Helper()
	for range n {
		d.Pass(time.Hour)
		e := connection.HistoryEntry{
			Check:  connection.Check{At: d.Now(), Outcome: carrier.OutcomeOK, Latency: time.Second, Trigger: connection.TriggerSchedule},
			Number: c.ChecksEver + 1, Status: connection.Active,
		}
		c.ChecksEver++
		c.LastCheck, c.VerifiedAt = e.Check, d.Now()
		if err := d.Store.RecordCheck(t.Context(), c, &e, nil, effects.Effects{}, d.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

// all reads a timeline to its end, by following Older.
func all(t *testing.T, b *functiontest.Browser, path string) (found []string, pages int) {
	t.Helper()
	for path != "" {
		s := b.Get(path)
		wantSaid(t, s, http.StatusOK, "What has happened")
		found, pages = append(found, rows(s)...), pages+1
		path = ""
		for _, l := range s.Links() {
			if strings.Contains(l, "after=") {
				path = l
			}
		}
		if pages > 100 {
			t.Fatal("the list does not end")
		}
	}
	return found, pages
}

// TestTimeline: every check and every event is there once, the latest first, over pages.
func TestTimeline(t *testing.T) {
	d := withCarriers(t)
	c := d.Link("0000123400")
	other := d.Link("0000456700")
	d.checked(t, &c, 60)
	for i := range 60 {
		d.checked(t, &c, 1)
		name := fmt.Sprintf("Name %d", i)
		changed, err := d.Connections.Change(t.Context(), connection.ChangeRequest{
			Connection: c, Edit: func(c *connection.Connection) { c.Nickname = name },
			Effects: effects.MadeBy[*connection.Connection](effects.By{Actor: effects.Partner, PartnerID: 5, AccountID: 71}),
		})
		if err != nil {
			t.Fatal(err)
		}
		c = *changed
	}
	d.checked(t, &other, 3)
	b := d.visitor(jo)
	here := carrierPath(c.ID) + "/timeline"
	for kind, want := range map[string]int{"": 182, "all": 182, "checks": 121, "changes": 61, "news": 0, "key": 0, "nonsense": 182} {
		found, pages := all(t, b, here+"?kind="+kind)
		if len(found) != want || want > 50 && pages != (want+49)/50 {
			t.Errorf("%q: %d entries on %d pages, want %d", kind, len(found), pages, want)
		}
		times := make([]string, len(found))
		for i, row := range found {
			_, at, _ := strings.Cut(row, `datetime="`)
			times[i], _, _ = strings.Cut(at, `"`)
		}
		if !slices.IsSortedFunc(times, func(a, b string) int { return strings.Compare(b, a) }) {
			t.Errorf("%q: not the latest first: %v", kind, times)
		}
	}
	s := b.Get(here)
	wantSaid(t, s, http.StatusOK, "Changed: the name", "Parcel Hub", "Checked: it works", "Our regular check", "Older")

	day := d.Now().In(time.FixedZone("AEDT", 11*60*60)).AddDate(0, 0, -3).Format(time.DateOnly)
	found, _ := all(t, b, here+"?kind=checks&from="+day+"&to="+day)
	if len(found) != 24 {
		t.Errorf("%d checks on %s, want 24", len(found), day)
	}
	wantSaid(t, b.Get(here+"?from=2030-01-01"), http.StatusOK, "Nothing of this kind has happened in that time.")
	wantSaid(t, b.Get(here+"?to=2020-01-01"), http.StatusOK, "Nothing of this kind has happened in that time.")
	for _, bad := range []string{"from=x", "to=2026-13-01", "from=9999-01-01", "from=" + url.QueryEscape("<script>"), "to=0000-00-00"} {
		s := b.Get(here + "?" + bad)
		wantSaid(t, s, 422, "Please enter a date, such as 2027-03-14.")
		if strings.Contains(s.Body, "<script>alert") {
			t.Error("the date is not escaped")
		}
	}
	for _, after := range []string{"x", "x.y", "se-1.", ".1-x", ".99999999999999999999-1", ".-1-1", ".1-999999999", "end", "se-0mm6zhokr0iwrm96c23p1.0-0", "\x00.", strings.Repeat("9", 3000)} {
		s := b.Get(here + "?after=" + url.QueryEscape(after))
		if s.Status != http.StatusOK || len(rows(s)) != 50 {
			t.Errorf("after %q: %d, %d entries, want the newest", after, s.Status, len(rows(s)))
		}
	}
	if s := b.Get(here + "?after=end.end"); s.Status != http.StatusOK || len(rows(s)) != 0 {
		t.Errorf("after the end: %d, %d entries", s.Status, len(rows(s)))
	}
}

// TestHistories: the page of a connection with the histories that there can be.
func TestHistories(t *testing.T) {
	for _, tc := range []struct {
		checks int
		says   string
	}{{0, "No checks in the last 90 days."}, {1, "Of the last 90 days"}, {2160, "Of the last 90 days, 90 worked"}} {
		d := withCarriers(t)
		c := d.Link("0000123400")
		if tc.checks == 0 {
			d.Pass(91 * 24 * time.Hour)
		}
		d.checked(t, &c, tc.checks)
		s := d.visitor(jo).Get(carrierPath(c.ID))
		wantSaid(t, s, http.StatusOK, tc.says)
		if len(s.Body) > 100_000 {
			t.Errorf("%d checks: a page of %d bytes", tc.checks, len(s.Body))
		}
	}
}

// TestOverviewSoon: the overview says which contracts and keys end soon, and shows the latest
// parcels that are under way.
func TestOverviewSoon(t *testing.T) {
	d := withCarriers(t)
	c := d.Link("0000123411")
	for ends, replaced := range map[time.Duration]int64{29 * 24 * time.Hour: 0, 31 * 24 * time.Hour: 0, time.Hour: 99} {
		key, err := account.MakeKey(d.random, account.APIKey{
			PartnerID: 5, AccountID: 71, Environment: carrier.Production, Description: "Shop " + ends.String(), CreatedAt: d.Now(), ExpiresAt: d.Now().Add(ends), ReplacedBy: replaced,
		})
		if err == nil {
			err = d.Store.CreateKey(t.Context(), key.APIKey, effects.Effects{}, d.Now())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	parcels := &parcel.Service{Store: d.Store, Timing: health.Timing{Speed: 1}, Limit: 2000, Now: d.Now}
	for n := range 12 {
		d.Pass(time.Minute)
		number := fmt.Sprintf("36ZZ%08d", 99-n)
		if _, err := parcels.Start(t.Context(), parcel.Target{Account: d.account(t, 71), Connection: &c}, []string{number}); err != nil {
			t.Fatal(err)
		}
	}
	b := d.visitor(jo)
	s := b.Get("/portal")
	wantSaid(t, s, http.StatusOK, "The contract ends in 7 days", "Shop 696h0m0s", "Parcels on their way", "36ZZ00000088", "36ZZ00000097", "Not scanned yet", "These are the latest. Your software can list all of them.")
	for _, hidden := range []string{"Shop 744h", "Shop 1h", "36ZZ00000098", "36ZZ00000099"} {
		if strings.Contains(s.Text(), hidden) {
			t.Errorf("the overview shows %s", hidden)
		}
	}
	var many []string
	for n := range parcelsRead {
		many = append(many, fmt.Sprintf("36ZZ%08d", 1000+n))
	}
	if _, err := parcels.Start(t.Context(), parcel.Target{Account: d.account(t, 71), Connection: &c}, many); err != nil {
		t.Fatal(err)
	}
	wantSaid(t, b.Get("/portal"), http.StatusOK, "There are so many that this page cannot pick the latest.")
}
