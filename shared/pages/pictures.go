package pages

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
)

// daysShown is how many days the picture of checks has, today included: as long as a history is kept.
const daysShown = int(connection.HistoryKept / (24 * time.Hour))

// dayState is the worst that happened on a day. A worse one is greater.
type dayState int

const (
	dayNone dayState = iota
	dayWorks
	dayUnclear // the carrier did not answer, or not about this account
	dayRefused
)

var dayWords = [...]string{dayNone: "Not checked", dayWorks: "Works", dayUnclear: "No clear answer", dayRefused: "Refused"}

func dayStateOf(o carrier.Outcome) dayState {
	switch {
	case o == carrier.OutcomeOK:
		return dayWorks
	case o.IsRefusal():
		return dayRefused
	}
	return dayUnclear
}

// day is a day of the picture.
type day struct {
	state  dayState
	checks int
}

// daysOf returns the last daysShown days of the zone, oldest first. Checks before them, and after
// now, are left out.
func daysOf(entries []connection.HistoryEntry, now time.Time, zone *time.Location) []day {
	days, today := make([]day, daysShown), dayNumber(now.In(zone))
	for _, e := range entries {
		i := dayNumber(e.At.In(zone)) - today + daysShown - 1
		if i < 0 || i >= daysShown {
			continue
		}
		days[i].checks++
		days[i].state = max(days[i].state, dayStateOf(e.Outcome))
	}
	return days
}

// checksSentence says what the picture of days shows.
func checksSentence(days []day) string {
	var n [len(dayWords)]int
	for _, d := range days {
		n[d.state]++
	}
	if n[dayNone] == len(days) {
		return fmt.Sprintf("No checks in the last %d days.", len(days))
	}
	var said []string
	if n[dayWorks] > 0 {
		said = append(said, fmt.Sprintf("%d worked", n[dayWorks]))
	}
	if n[dayUnclear] > 0 {
		said = append(said, fmt.Sprintf("%d had no clear answer", n[dayUnclear]))
	}
	if n[dayRefused] > 0 {
		said = append(said, fmt.Sprintf("%d had a refusal", n[dayRefused]))
	}
	if n[dayNone] > 0 {
		said = append(said, fmt.Sprintf("%d had no check", n[dayNone]))
	}
	today := strings.ToLower(dayWords[days[len(days)-1].state])
	return fmt.Sprintf("Of the last %d days, %s. Today: %s.", len(days), strings.Join(said, ", "), today)
}

// stretch is a row of the table: days in a row with one state.
type stretch struct {
	from, to time.Time // midnights of the calendar, in UTC
	state    dayState
	checks   int
}

// words returns the dates of a stretch.
func (s stretch) words() string {
	if s.from.Equal(s.to) {
		return s.from.Format(dateLayout)
	}
	return s.from.Format(dateLayout) + " to " + s.to.Format(dateLayout)
}

// stretchesOf returns the days as a table has them, newest first.
func stretchesOf(days []day, now time.Time, zone *time.Location) (all []stretch) {
	y, m, today := now.In(zone).Date()
	for i, d := range slices.Backward(days) {
		date := time.Date(y, m, today-(len(days)-1-i), 0, 0, 0, 0, time.UTC)
		if last := len(all) - 1; last >= 0 && all[last].state == d.state {
			all[last].from = date
			all[last].checks += d.checks
			continue
		}
		all = append(all, stretch{from: date, to: date, state: d.state, checks: d.checks})
	}
	return all
}

// answersShown is how many checks the picture of answer times has.
const answersShown = 60

const answerWidth, answerHeight = 240.0, 40.0

// answers are the times of the last checks that had one, oldest first.
func answersOf(entries []connection.HistoryEntry) []time.Duration {
	timed := slices.DeleteFunc(slices.Clone(entries), func(e connection.HistoryEntry) bool { return e.Latency <= 0 })
	slices.SortStableFunc(timed, func(a, b connection.HistoryEntry) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Number, b.Number))
	})
	timed = timed[max(0, len(timed)-answersShown):]
	times := make([]time.Duration, len(timed))
	for i, e := range timed {
		times[i] = e.Latency
	}
	return times
}

// answerSentence says what the picture of answer times shows.
func answerSentence(times []time.Duration) string {
	if len(times) == 0 {
		return "No answer times yet."
	}
	sorted := slices.Sorted(slices.Values(times))
	if len(times) == 1 {
		return "The last check took " + seconds(times[0]) + "."
	}
	return fmt.Sprintf("The last %d checks took between %s and %s, typically %s.",
		len(times), seconds(sorted[0]), seconds(sorted[len(sorted)-1]), seconds(sorted[len(sorted)/2]))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", max(0.1, d.Seconds())) }

// answerCurve returns the line of the times from left to right. The scale is that of square
// roots, so that one slow answer does not press the others flat. A single time is a level line.
func answerCurve(times []time.Duration) string {
	if len(times) == 1 {
		times = []time.Duration{times[0], times[0]}
	}
	var b strings.Builder
	for i, t := range times {
		x := answerWidth * float64(i) / float64(len(times)-1)
		y := answerHeight - (answerHeight-2)*math.Sqrt(float64(t)/float64(slices.Max(times)))
		fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(i, 1)], x, y)
	}
	return b.String()
}

// answerArea returns the area below the curve.
func answerArea(times []time.Duration) string {
	return answerCurve(times) + fmt.Sprintf("V%.0fH0Z", answerHeight)
}

// spanBar is the bar of a contract or product: its window is 6 months before and 18 after today,
// 10 units each month.
type spanBar struct {
	left, width float64 // zero width: nothing of it is in the window
	open        bool    // no end: an arrow
	fill        string  // class
	words       string
}

const (
	spanWidth, spanToday = 240.0, 60.0
	// soonDays is how long before its end a contract is marked.
	soonDays = 30
	perDay   = 240 / (2 * 365.25)
)

// spanBarOf returns the bar from and to dates of the carrier, YYYY-MM-DD. An empty from is
// before the window; a to that is no date has no bar. expired is the carrier's own flag, which wins over the dates.
func spanBarOf(from, to string, expired bool, now time.Time) spanBar {
	start, end := 0.0, spanWidth
	if days, ok := connection.DaysUntil(from, now); ok {
		start = within(spanToday + float64(days)*perDay)
	}
	if _, err := time.Parse(time.DateOnly, to); err != nil {
		return spanBar{fill: "f-none", words: DayWords(to)}
	}
	days, ends := connection.DaysUntil(to, now)
	if ends {
		end = within(spanToday + float64(days+1)*perDay) // the last day is part of it
	}
	bar := spanBar{left: start, width: max(0, end-start), open: !ends, fill: "f-ok", words: spanWords(to, days, ends)}
	switch {
	case expired || ends && days < 0:
		bar.fill, bar.open = "f-none", false
		if !ends || days >= 0 {
			bar.words = "ended"
			bar.width = max(0, min(end, spanToday)-start)
		}
	case ends && days <= soonDays:
		bar.fill = "f-outage"
	}
	return bar
}

// spanWords says when something ends, seen from today.
func spanWords(to string, days int, ends bool) string {
	switch {
	case !ends:
		return DayWords(to)
	case days < 0:
		return "ended " + DayWords(to)
	case days == 0:
		return "ends today"
	case days == 1:
		return "ends tomorrow"
	case days <= soonDays:
		return fmt.Sprintf("ends in %d days", days)
	}
	return "until " + DayWords(to)
}

func within(x float64) float64 { return min(max(x, 0), spanWidth) }
