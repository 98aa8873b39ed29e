package pages

import (
	"fmt"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
)

func (f Frame) zone() *time.Location {
	if f.Zone == nil {
		return account.ZoneOf("AU")
	}
	return f.Zone
}

const (
	dateLayout   = "2 Jan 2006"
	clockLayout  = "3:04 pm"
	momentLayout = dateLayout + ", " + clockLayout
)

// Words says when t is, seen from now: "12 minutes ago", "in 5 minutes", "today, 3:25 pm",
// "tomorrow, 9:00 am", "14 Mar 2027"; "never" for the zero time.
func Words(now, t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return "never"
	}
	switch past := now.Sub(t); {
	case past >= 0 && past < time.Minute:
		return "just now"
	case past >= 0 && past < time.Hour:
		return count(int(past/time.Minute), "minute") + " ago"
	case past < 0 && past > -time.Minute:
		return "in a moment"
	case past < 0 && past > -time.Hour:
		return "in " + count(int(-past/time.Minute), "minute")
	}
	switch local := t.In(zone); dayNumber(local) - dayNumber(now.In(zone)) {
	case 0:
		return "today, " + local.Format(clockLayout)
	case -1:
		return "yesterday, " + local.Format(clockLayout)
	case 1:
		return "tomorrow, " + local.Format(clockLayout)
	default:
		return local.Format(dateLayout)
	}
}

// dayNumber counts the days of the calendar: times of one local day have one number.
func dayNumber(local time.Time) int {
	y, m, d := local.Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60))
}

// DayWords says a date of a carrier, YYYY-MM-DD: "14 Mar 2027"; "no end date" for its open end,
// "unknown" for an empty text, and any other text as it is.
func DayWords(date string) string {
	if date == "" {
		return "unknown"
	}
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return date
	}
	if _, ends := connection.DaysUntil(date, day); !ends {
		return "no end date"
	}
	return day.Format(dateLayout)
}

// count returns "1 minute", "2 minutes".
func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
