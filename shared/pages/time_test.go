package pages

import (
	"testing"
	"time"

	"carrierlink/shared/account"
)

func TestWords(t *testing.T) {
	sydney := account.ZoneOf("AU")
	at := func(text string) time.Time {
		got, err := time.ParseInLocation("2006-01-02 15:04:05", text, sydney)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, c := range []struct{ name, now, at, want string }{
		{"this moment", "2027-03-14 15:20:00", "2027-03-14 15:20:00", "just now"},
		{"59 seconds ago", "2027-03-14 15:20:59", "2027-03-14 15:20:00", "just now"},
		{"a minute ago", "2027-03-14 15:21:00", "2027-03-14 15:20:00", "1 minute ago"},
		{"59 minutes ago", "2027-03-14 16:19:59", "2027-03-14 15:20:00", "59 minutes ago"},
		{"minutes ago, yesterday", "2027-03-15 00:10:00", "2027-03-14 23:50:00", "20 minutes ago"},
		{"an hour ago", "2027-03-14 16:20:00", "2027-03-14 15:20:00", "today, 3:20 pm"},
		{"yesterday, 23 hours ago", "2027-03-14 15:20:00", "2027-03-13 16:20:00", "yesterday, 4:20 pm"},
		{"yesterday, 47 hours ago", "2027-03-14 23:20:00", "2027-03-13 00:20:00", "yesterday, 12:20 am"},
		{"two days ago", "2027-03-14 15:20:00", "2027-03-12 23:59:59", "12 Mar 2027"},
		{"before the year", "2027-01-02 15:20:00", "2026-12-31 15:20:00", "31 Dec 2026"},
		{"in half a minute", "2027-03-14 15:20:00", "2027-03-14 15:20:30", "in a moment"},
		{"in a minute", "2027-03-14 15:20:00", "2027-03-14 15:21:00", "in 1 minute"},
		{"in 59 minutes", "2027-03-14 15:20:00", "2027-03-14 16:19:00", "in 59 minutes"},
		{"later today", "2027-03-14 15:20:00", "2027-03-14 23:59:00", "today, 11:59 pm"},
		{"tomorrow", "2027-03-14 15:20:00", "2027-03-15 09:00:00", "tomorrow, 9:00 am"},
		{"tomorrow, on the day of 25 hours", "2027-04-04 01:00:00", "2027-04-05 00:30:00", "tomorrow, 12:30 am"},
		{"tomorrow, on the day of 23 hours", "2027-10-03 00:30:00", "2027-10-04 23:30:00", "tomorrow, 11:30 pm"},
		{"far away", "2027-03-14 15:20:00", "2999-12-31 09:00:00", "31 Dec 2999"},
	} {
		if got := Words(at(c.now), at(c.at), sydney); got != c.want {
			t.Errorf("%s: Words(%s, %s) = %q, want %q", c.name, c.now, c.at, got, c.want)
		}
	}
	if got := Words(testNow, time.Time{}, sydney); got != "never" {
		t.Errorf("Words of the zero time = %q, want never", got)
	}
	// The day is the zone's: noon in Sydney is last evening in New York.
	if got := Words(at("2027-03-14 16:30:00"), at("2027-03-14 12:00:00"), account.ZoneOf("US")); got != "yesterday, 8:00 pm" {
		t.Errorf("Words in New York = %q, want yesterday, 8:00 pm", got)
	}
}

func TestDayWords(t *testing.T) {
	for date, want := range map[string]string{
		"": "unknown", "soon": "soon", "2027-02-29": "2027-02-29", "2999-12-31": "no end date", "2027-03-14": "14 Mar 2027", "2026-06-01": "1 Jun 2026",
	} {
		if got := DayWords(date); got != want {
			t.Errorf("DayWords(%q) = %q, want %q", date, got, want)
		}
	}
}
