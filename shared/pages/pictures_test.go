package pages

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
)

// random makes a history of n checks up to 100 days back, in any order.
func random(r *rand.Rand, n int, now time.Time) []connection.HistoryEntry {
	entries := make([]connection.HistoryEntry, n)
	for i := range entries {
		entries[i] = connection.HistoryEntry{Number: i, Check: connection.Check{
			At: now.Add(-time.Duration(r.Int64N(int64(100 * 24 * time.Hour)))), Outcome: carrier.Outcomes()[r.IntN(len(carrier.Outcomes()))],
			Latency: time.Duration(r.Int64N(int64(20 * time.Second))),
		}}
	}
	return entries
}

// Histories of every size, seen from days of 23, 24 and 25 hours: each day of the calendar is a bar, and
// the table has the same days.
func TestDays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	zone := account.ZoneOf("AU")
	for _, n := range []int{0, 1, 2, 60, 90, 2160} {
		for _, now := range []time.Time{
			testNow, time.Date(2027, 4, 4, 2, 30, 0, 0, zone), time.Date(2027, 10, 3, 23, 59, 0, 0, zone), time.Date(2027, 6, 30, 0, 0, 0, 0, zone),
		} {
			entries := random(r, n, now)
			days := daysOf(entries, now, zone)
			if len(days) != 90 {
				t.Fatalf("daysOf has %d days, want 90", len(days))
			}
			for back := range 90 {
				date := now.In(zone).AddDate(0, 0, -back).Format(time.DateOnly)
				var want day
				for _, e := range entries {
					if e.At.In(zone).Format(time.DateOnly) == date {
						want.checks++
						want.state = max(want.state, dayStateOf(e.Outcome))
					}
				}
				if got := days[89-back]; got != want {
					t.Fatalf("%d checks: day %s = %v, want %v", n, date, got, want)
				}
			}
			checkStretches(t, days, stretchesOf(days, now, zone), now.In(zone))
		}
	}
}

// The rows of the table are all days, newest first, and no two rows in a row are alike.
func checkStretches(t *testing.T, days []day, rows []stretch, now time.Time) {
	t.Helper()
	i, next := len(days)-1, now.Format(time.DateOnly)
	for n, row := range rows {
		if got := row.to.Format(time.DateOnly); got != next {
			t.Fatalf("row %d ends on %s, want %s", n, got, next)
		}
		checks := 0
		for date := row.to; !date.Before(row.from); date = date.AddDate(0, 0, -1) {
			if days[i].state != row.state {
				t.Fatalf("row %d says %v, day %d is %v", n, row.state, i, days[i].state)
			}
			checks += days[i].checks
			i--
		}
		if checks != row.checks || n > 0 && rows[n-1].state == row.state {
			t.Fatalf("row %d has %d checks of %d, or the state of the row before", n, row.checks, checks)
		}
		next = row.from.AddDate(0, 0, -1).Format(time.DateOnly)
	}
	if i != -1 {
		t.Fatalf("%d days have no row", i+1)
	}
}

func TestDayStateOf(t *testing.T) {
	want := map[carrier.Outcome]dayState{
		carrier.OutcomeOK: dayWorks, carrier.OutcomeUnauthorized: dayRefused, carrier.OutcomeForbidden: dayRefused, carrier.OutcomeUnknownAccount: dayRefused,
		carrier.OutcomeContractEnded: dayRefused, carrier.OutcomeContractAbsent: dayRefused, carrier.OutcomeNoCredentials: dayRefused,
	}
	for _, o := range carrier.Outcomes() {
		state, listed := want[o]
		if !listed {
			state = dayUnclear
		}
		if got := dayStateOf(o); got != state {
			t.Errorf("dayStateOf(%s) = %s, want %s", o, dayWords[got], dayWords[state])
		}
	}
}

func TestChecksSentence(t *testing.T) {
	for _, c := range []struct {
		name string
		days []day
		want string
	}{
		{"none", []day{{}, {}}, "No checks in the last 2 days."},
		{"refused today", []day{{dayWorks, 1}, {dayWorks, 2}, {dayRefused, 1}}, "Of the last 3 days, 2 worked, 1 had a refusal. Today: refused."},
		{"each", []day{{dayNone, 0}, {dayUnclear, 1}, {dayRefused, 1}, {dayWorks, 1}}, "Of the last 4 days, 1 worked, 1 had no clear answer, 1 had a refusal, 1 had no check. Today: works."},
		{"all work", []day{{dayWorks, 1}, {dayWorks, 1}}, "Of the last 2 days, 2 worked. Today: works."},
		{"not yet today", []day{{dayWorks, 1}, {}}, "Of the last 2 days, 1 worked, 1 had no check. Today: not checked."},
	} {
		if got := checksSentence(c.days); got != c.want {
			t.Errorf("%s: checksSentence = %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAnswers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{0, 1, 2, 59, 60, 61, 2160} {
		entries := random(r, n, testNow)
		before := slices.Clone(entries)
		times := answersOf(entries)
		if len(times) > answersShown || len(times) > n || n > 0 && len(times) == 0 {
			t.Errorf("answersOf %d checks has %d times", n, len(times))
		}
		slices.SortFunc(before, func(a, b connection.HistoryEntry) int { return b.At.Compare(a.At) })
		for i, got := range slices.Backward(times) {
			if want := before[len(times)-1-i].Latency; got != want {
				t.Fatalf("%d checks: time %d = %s, want %s", n, i, got, want)
			}
		}
		if n == 0 {
			continue
		}
		curve := answerCurve(times)
		for _, number := range strings.FieldsFunc(curve, func(c rune) bool { return c == 'M' || c == 'L' || c == ' ' }) {
			if v, err := strconv.ParseFloat(number, 64); err != nil || v < 0 || v > answerWidth {
				t.Fatalf("%d checks: the curve has %q", n, number)
			}
		}
		if !strings.HasPrefix(curve, "M0.0 ") || !strings.Contains(curve, "L240.0 ") {
			t.Errorf("%d checks: the curve %q does not reach from side to side", n, curve)
		}
	}
}

func TestAnswerSentence(t *testing.T) {
	for _, c := range []struct {
		times []time.Duration
		want  string
	}{
		{nil, "No answer times yet."},
		{[]time.Duration{time.Millisecond}, "The last check took 0.1 s."},
		{[]time.Duration{20 * time.Second, 300 * time.Millisecond, 500 * time.Millisecond}, "The last 3 checks took between 0.3 s and 20.0 s, typically 0.5 s."},
	} {
		if got := answerSentence(c.times); got != c.want {
			t.Errorf("answerSentence(%v) = %q, want %q", c.times, got, c.want)
		}
	}
}

func TestSpanBar(t *testing.T) {
	now := time.Date(2027, 3, 14, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, from, to string
		expired        bool
		words, fill    string
		open, empty    bool
	}{
		{"nothing known", "", "", false, "unknown", "f-none", false, true},
		{"no date", "", "soon", false, "soon", "f-none", false, true},
		{"flagged as expired, no end", "", "2999-12-31", true, "ended", "f-none", false, false},
		{"flagged as expired, end to come", "2026-12-01", "2027-12-01", true, "ended", "f-none", false, false},
		{"flagged as expired, start to come", "2027-05-01", "2027-12-01", true, "ended", "f-none", false, true},
		{"ended before the window", "2020-01-01", "2021-01-01", false, "ended 1 Jan 2021", "f-none", false, true},
		{"ended yesterday", "2026-12-01", "2027-03-13", false, "ended 13 Mar 2027", "f-none", false, false},
		{"ends today", "2026-12-01", "2027-03-14", false, "ends today", "f-outage", false, false},
		{"ends tomorrow", "2026-12-01", "2027-03-15", false, "ends tomorrow", "f-outage", false, false},
		{"ends in 30 days", "", "2027-04-13", false, "ends in 30 days", "f-outage", false, false},
		{"ends in 31 days", "", "2027-04-14", false, "until 14 Apr 2027", "f-ok", false, false},
		{"ends after the window", "", "2035-01-01", false, "until 1 Jan 2035", "f-ok", false, false},
		{"begins after the window", "2035-01-01", "2036-01-01", false, "until 1 Jan 2036", "f-ok", false, true},
		{"ends before it begins", "2027-12-01", "2027-06-01", false, "until 1 Jun 2027", "f-ok", false, true},
		{"no end", "2026-01-01", "2999-12-31", false, "no end date", "f-ok", true, false},
	} {
		got := spanBarOf(c.from, c.to, c.expired, now)
		if got.words != c.words || got.fill != c.fill || got.open != c.open || got.width < 0.05 != c.empty {
			t.Errorf("%s: spanBarOf(%q, %q, %v) = %+v, want %q, %s, open %v, empty %v", c.name, c.from, c.to, c.expired, got, c.words, c.fill, c.open, c.empty)
		}
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 5000 {
		from, to := now.AddDate(0, 0, r.IntN(4000)-2000).Format(time.DateOnly), now.AddDate(0, 0, r.IntN(4000)-2000).Format(time.DateOnly)
		if bar := spanBarOf(from, to, r.IntN(4) == 0, now); bar.left < 0 || bar.width < 0 || bar.left+bar.width > spanWidth+0.001 || bar.words == "" {
			t.Fatalf("spanBarOf(%s, %s) = %+v leaves the picture", from, to, bar)
		}
	}
}

// A contract with 0 and with 60 products is a table with as many rows, each with one bar.
func TestContractTable(t *testing.T) {
	for _, n := range []int{0, 1, 60} {
		var rows strings.Builder
		for i := range n {
			fmt.Fprintf(&rows, "<tr><td>%s</td></tr>", render(t, ContractBar(testFrame(), "2026-01-01", testNow.AddDate(0, 0, i*20).Format(time.DateOnly), false)))
		}
		bars := 0
		for node := range parse(t, "<table>"+rows.String()+"</table>").Descendants() {
			if node.Type == html.ElementNode && node.Data == "svg" {
				bars++
			}
		}
		if bars != n {
			t.Errorf("%d products have %d bars", n, bars)
		}
	}
}
