package account

import (
	"strings"
	"time"
)

// zones has a line for each country whose merchants see another time than Sydney's, and Sydney's: the
// zone of its largest city by people, and the rules of its clocks as POSIX writes them. What is missing
// is shown in Sydney's, and every page and mail says whose time it has. Lambda has no time zones, and time/tzdata
// would be 0.4 MB of the binary, mostly for times before there was this service.
const zones = `
AE Asia/Dubai <+04>-4
AT Europe/Vienna CET-1CEST,M3.5.0,M10.5.0/3
AU Australia/Sydney AEST-10AEDT,M10.1.0,M4.1.0/3
BE Europe/Brussels CET-1CEST,M3.5.0,M10.5.0/3
BR America/Sao_Paulo <-03>3
CA America/Toronto EST5EDT,M3.2.0,M11.1.0
CH Europe/Zurich CET-1CEST,M3.5.0,M10.5.0/3
CN Asia/Shanghai CST-8
CZ Europe/Prague CET-1CEST,M3.5.0,M10.5.0/3
DE Europe/Berlin CET-1CEST,M3.5.0,M10.5.0/3
DK Europe/Copenhagen CET-1CEST,M3.5.0,M10.5.0/3
ES Europe/Madrid CET-1CEST,M3.5.0,M10.5.0/3
FI Europe/Helsinki EET-2EEST,M3.5.0/3,M10.5.0/4
FJ Pacific/Fiji <+12>-12
FR Europe/Paris CET-1CEST,M3.5.0,M10.5.0/3
GB Europe/London GMT0BST,M3.5.0/1,M10.5.0
HK Asia/Hong_Kong HKT-8
ID Asia/Jakarta WIB-7
IE Europe/Dublin IST-1GMT0,M10.5.0,M3.5.0/1
IL Asia/Jerusalem IST-2IDT,M3.4.4/26,M10.5.0
IN Asia/Kolkata IST-5:30
IT Europe/Rome CET-1CEST,M3.5.0,M10.5.0/3
JP Asia/Tokyo JST-9
KR Asia/Seoul KST-9
LK Asia/Colombo <+0530>-5:30
MX America/Mexico_City CST6
MY Asia/Kuala_Lumpur <+08>-8
NC Pacific/Noumea <+11>-11
NL Europe/Amsterdam CET-1CEST,M3.5.0,M10.5.0/3
NO Europe/Oslo CET-1CEST,M3.5.0,M10.5.0/3
NZ Pacific/Auckland NZST-12NZDT,M9.5.0,M4.1.0/3
PG Pacific/Port_Moresby <+10>-10
PH Asia/Manila PST-8
PK Asia/Karachi PKT-5
PL Europe/Warsaw CET-1CEST,M3.5.0,M10.5.0/3
PT Europe/Lisbon WET0WEST,M3.5.0/1,M10.5.0
SA Asia/Riyadh <+03>-3
SE Europe/Stockholm CET-1CEST,M3.5.0,M10.5.0/3
SG Asia/Singapore <+08>-8
TH Asia/Bangkok <+07>-7
TW Asia/Taipei CST-8
US America/New_York EST5EDT,M3.2.0,M11.1.0
VN Asia/Ho_Chi_Minh <+07>-7
VU Pacific/Efate <+11>-11
WS Pacific/Apia <+13>-13
ZA Africa/Johannesburg SAST-2
`

// ZoneOf returns the time zone that an account of a country sees: Australia/Sydney for every
// country without a line in zones. Its rules are those of today at any time.
func ZoneOf(countryCode string) *time.Location {
	_, line, found := strings.Cut(zones, "\n"+countryCode+" ")
	if !found || len(countryCode) != 2 {
		_, line, _ = strings.Cut(zones, "\nAU ")
	}
	line, _, _ = strings.Cut(line, "\n")
	name, rules, _ := strings.Cut(line, " ")
	zone, err := time.LoadLocationFromTZData(name, zoneFile(rules))
	if err != nil { // a test loads each
		return time.UTC
	}
	return zone
}

// zoneFile returns the file of a zone (RFC 9636) that has nothing but rules: no old data, no
// transition, and one type, which nothing uses but a file must have.
func zoneFile(rules string) []byte {
	const magic, reserved, noCount, one = "TZif2", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x00", "\x00\x00\x00\x01"
	return []byte(magic + reserved + noCount + noCount + noCount + noCount + noCount + noCount +
		magic + reserved + noCount + noCount + noCount + noCount + one + one +
		"\x00\x00\x00\x00\x00\x00" + "\x00" + "\n" + rules + "\n")
}

// ZoneWords says whose time a zone is, by its city: "Sydney time".
func ZoneWords(zone *time.Location) string {
	name := zone.String()
	return strings.ReplaceAll(name[strings.LastIndexByte(name, '/')+1:], "_", " ") + " time"
}
