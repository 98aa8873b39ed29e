package pages

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // Lambda has no time zones

	"carrierlink/shared/connection"
)

// zones has a line for each country whose merchants see another time than Sydney's: that of its
// largest city by people. What is missing is shown in Sydney's, and every page says whose time it has.
const zones = `
AE Asia/Dubai
AT Europe/Vienna
BE Europe/Brussels
BR America/Sao_Paulo
CA America/Toronto
CH Europe/Zurich
CN Asia/Shanghai
CZ Europe/Prague
DE Europe/Berlin
DK Europe/Copenhagen
ES Europe/Madrid
FI Europe/Helsinki
FJ Pacific/Fiji
FR Europe/Paris
GB Europe/London
HK Asia/Hong_Kong
ID Asia/Jakarta
IE Europe/Dublin
IL Asia/Jerusalem
IN Asia/Kolkata
IT Europe/Rome
JP Asia/Tokyo
KR Asia/Seoul
LK Asia/Colombo
MX America/Mexico_City
MY Asia/Kuala_Lumpur
NC Pacific/Noumea
NL Europe/Amsterdam
NO Europe/Oslo
NZ Pacific/Auckland
PG Pacific/Port_Moresby
PH Asia/Manila
PK Asia/Karachi
PL Europe/Warsaw
PT Europe/Lisbon
SA Asia/Riyadh
SE Europe/Stockholm
SG Asia/Singapore
TH Asia/Bangkok
TW Asia/Taipei
US America/New_York
VN Asia/Ho_Chi_Minh
VU Pacific/Efate
WS Pacific/Apia
ZA Africa/Johannesburg
`

// ZoneOf returns the time zone that an account of a country sees: Australia/Sydney for Australia
// and for every country without a line in zones.
func ZoneOf(countryCode string) *time.Location {
	name := "Australia/Sydney"
	if _, line, found := strings.Cut(zones, "\n"+countryCode+" "); found && len(countryCode) == 2 {
		name, _, _ = strings.Cut(line, "\n")
	}
	zone, err := time.LoadLocation(name)
	if err != nil { // the zones are in the binary, and a test loads each
		return time.UTC
	}
	return zone
}

func (f Frame) zone() *time.Location {
	if f.Zone == nil {
		return ZoneOf("AU")
	}
	return f.Zone
}

// zoneWords returns whose time the frame shows: "Sydney time".
func (f Frame) zoneWords() string {
	name := f.zone().String()
	return strings.ReplaceAll(name[strings.LastIndexByte(name, '/')+1:], "_", " ") + " time"
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
