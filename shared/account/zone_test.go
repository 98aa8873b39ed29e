package account

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // for machines without time zones
)

func TestZoneOf(t *testing.T) {
	for _, code := range []string{"", "AU", "ZZ", "au", "E ", "\nAE", "NZ P", "AE\n"} {
		if got := ZoneOf(code).String(); got != "Australia/Sydney" {
			t.Errorf("ZoneOf(%q) = %s, want Australia/Sydney", code, got)
		}
	}
	for line := range strings.Lines(zones[1:]) {
		code, rest, _ := strings.Cut(line, " ")
		zone, _, _ := strings.Cut(rest, " ")
		if got := ZoneOf(code).String(); got != zone {
			t.Errorf("ZoneOf(%q) = %s, want %s", code, got, zone)
		}
		if err := CheckCountry("country", code); err != nil {
			t.Errorf("zones has %s, which is no country", code)
		}
	}
	for code, want := range map[string]string{"AU": "Sydney time", "US": "New York time"} {
		if got := ZoneWords(ZoneOf(code)); got != want {
			t.Errorf("ZoneWords in %s = %q, want %q", code, got, want)
		}
	}
}

// TestZoneRules: in each hour until 2030, each zone's clocks show what the time zone database says.
func TestZoneRules(t *testing.T) {
	from, until := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for line := range strings.Lines(zones[1:]) {
		zone := ZoneOf(line[:2])
		known, err := time.LoadLocation(zone.String())
		if err != nil {
			t.Fatal(err)
		}
		for at := from; at.Before(until); at = at.Add(time.Hour) {
			name, offset := at.In(zone).Zone()
			if wantName, wantOffset := at.In(known).Zone(); name != wantName || offset != wantOffset {
				t.Errorf("%s at %s = %s %d, want %s %d", zone, at, name, offset, wantName, wantOffset)
				break
			}
		}
	}
}
