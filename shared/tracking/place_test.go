package tracking

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlace(t *testing.T) {
	for location, want := range map[string]Place{
		// Not understood: all of it is the city.
		"": {}, " \t ": {}, "SINGAPORE": {City: "SINGAPORE"}, "Transit Scan": {City: "Transit Scan"}, "NZ": {City: "NZ"},
		"3000": {City: "3000"}, "Melbourne 3000": {City: "Melbourne 3000"}, "Kew Vict": {City: "Kew Vict"},
		"LOS ANGELES CA": {City: "LOS ANGELES CA"}, "LOS ANGELES, CA": {City: "LOS ANGELES, CA"}, "PERTH (XX)": {City: "PERTH (XX)"},
		"DEPOT (BAY 4)": {City: "DEPOT (BAY 4)"}, "AU": {City: "AU"}, "Kew30 00": {City: "Kew30 00"},
		// Other countries: no Australian state.
		"CHICAGO (US)": {City: "CHICAGO", Country: "US"}, "SEATTLE WA (US)": {City: "SEATTLE WA", Country: "US"},
		"JOHN F. KENNEDY APT/NEW YORK (US)":           {City: "JOHN F. KENNEDY APT/NEW YORK", Country: "US"},
		"US-60199, UNITED STATES":                     {City: "US-60199", Country: "US"},
		"EXAMPLE PORT (US), UNITED STATES OF AMERICA": {City: "EXAMPLE PORT", Country: "US"},
		"Auckland, New Zealand":                       {City: "Auckland", Country: "NZ"},
		"A (AU), New Zealand":                         {City: "A (AU)", Country: "NZ"},
		// Australia.
		"SYDNEY (AU)": {City: "SYDNEY", Country: "AU"}, "Sydney(au)": {City: "Sydney", Country: "AU"}, "SYDNEY AU": {City: "SYDNEY", Country: "AU"},
		"Sydney, Australia": {City: "Sydney", Country: "AU"}, "Melbourne 3000 (AU)": {City: "Melbourne", PostalCode: "3000", Country: "AU"},
		"VIC (AU)": {State: "VIC", Country: "AU"}, "VIC 3000": {State: "VIC", PostalCode: "3000", Country: "AU"},
		"ALEXANDRIA NSW": {City: "ALEXANDRIA", State: "NSW", Country: "AU"}, "alexandria nsw": {City: "alexandria", State: "NSW", Country: "AU"},
		"Kew vic": {City: "Kew", State: "VIC", Country: "AU"}, "Sunshine West, Vic": {City: "Sunshine West", State: "VIC", Country: "AU"},
		" PORT MELBOURNE,  VIC ": {City: "PORT MELBOURNE", State: "VIC", Country: "AU"}, "KEW,VIC": {City: "KEW", State: "VIC", Country: "AU"},
		"Melbourne VIC 3000":            {City: "Melbourne", State: "VIC", PostalCode: "3000", Country: "AU"},
		"DARWIN NT 0800":                {City: "DARWIN", State: "NT", PostalCode: "0800", Country: "AU"},
		"Melbourne 3000 Vic":            {City: "Melbourne", State: "VIC", PostalCode: "3000", Country: "AU"},
		"Melbourne VIC 3000, Australia": {City: "Melbourne", State: "VIC", PostalCode: "3000", Country: "AU"},
		"MELBOURNE VIC AUSTRALIA":       {City: "MELBOURNE", State: "VIC", Country: "AU"},
		"Melbourne, VIC, 3000 (AU)":     {City: "Melbourne", State: "VIC", PostalCode: "3000", Country: "AU"},
		"MELBOURNE (AU), Australia":     {City: "MELBOURNE", Country: "AU"},
		"MELBOURNE\u00a0VIC":            {City: "MELBOURNE", State: "VIC", Country: "AU"},
		"PERTH (WA)":                    {City: "PERTH", State: "WA", Country: "AU"},
		"Kew (Vic 3101)":                {City: "Kew", State: "VIC", PostalCode: "3101", Country: "AU"},
		"St. Kilda Vic.":                {City: "St. Kilda", State: "VIC", Country: "AU"},
		// A state alone.
		"(NSW)": {State: "NSW", Country: "AU"}, "NSW": {State: "NSW", Country: "AU"}, "ACT": {State: "ACT", Country: "AU"}, "act": {State: "ACT", Country: "AU"},
		"SA": {State: "SA", Country: "AU"}, "NT, Australia": {State: "NT", Country: "AU"}, "South Australia": {State: "SA", Country: "AU"},
		"NEW SOUTH WALES": {State: "NSW", Country: "AU"}, "Western Australia": {State: "WA", Country: "AU"}, "Tasmania": {State: "TAS", Country: "AU"},
		// A state's code that is also a country's.
		"ADELAIDE (SA)": {City: "ADELAIDE", State: "SA", Country: "AU"}, "Mount Barker (sa)": {City: "Mount Barker", State: "SA", Country: "AU"},
		"ADELAIDE, SA": {City: "ADELAIDE", State: "SA", Country: "AU"}, "ADELAIDE (SA), Australia": {City: "ADELAIDE", State: "SA", Country: "AU"},
		"ADELAIDE (SA) 5000": {City: "ADELAIDE", State: "SA", PostalCode: "5000", Country: "AU"}, "ADELAIDE SA (AU)": {City: "ADELAIDE", State: "SA", Country: "AU"},
		"RIYADH (SA)": {City: "RIYADH", Country: "SA"}, "Jeddah, SA": {City: "Jeddah", Country: "SA"}, "ABHA (SA), SAUDI ARABIA": {City: "ABHA", Country: "SA"},
		"RIYADH SA": {City: "RIYADH SA"},
		// States by name.
		"Melbourne, Victoria": {City: "Melbourne", State: "VIC", Country: "AU"}, "Hobart Tasmania": {City: "Hobart", State: "TAS", Country: "AU"},
		"SYDNEY, NEW SOUTH WALES": {City: "SYDNEY", State: "NSW", Country: "AU"}, "Sydney New South Wales 2000": {City: "Sydney", State: "NSW", PostalCode: "2000", Country: "AU"},
		"Perth Western Australia": {City: "Perth", State: "WA", Country: "AU"}, "Adelaide, South Australia": {City: "Adelaide", State: "SA", Country: "AU"},
		"Adelaide South Australia 5000": {City: "Adelaide", State: "SA", PostalCode: "5000", Country: "AU"}, "Darwin (Northern Territory)": {City: "Darwin", State: "NT", Country: "AU"},
		"CANBERRA Australian Capital Territory": {City: "CANBERRA", State: "ACT", Country: "AU"}, "Brisbane, Queensland, Australia": {City: "Brisbane", State: "QLD", Country: "AU"},
		"Melbourne Victoria Australia": {City: "Melbourne", State: "VIC", Country: "AU"}, "Perth, Western Australia, AU": {City: "Perth", State: "WA", Country: "AU"},
		"Melbourne 3000 Victoria": {City: "Melbourne", State: "VIC", PostalCode: "3000", Country: "AU"}, "Sydney N.S.W.": {City: "Sydney", State: "NSW", Country: "AU"},
		// Towns whose names contain a state's.
		"VICTORIA PARK WA": {City: "VICTORIA PARK", State: "WA", Country: "AU"}, "Victoria Point QLD": {City: "Victoria Point", State: "QLD", Country: "AU"},
		"East Victoria Park": {City: "East Victoria Park"}, "VICTORIA PARK": {City: "VICTORIA PARK"}, "Victoria Point, Queensland": {City: "Victoria Point", State: "QLD", Country: "AU"},
		"Port Victoria": {City: "Port Victoria"}, "Port Victoria SA 5573": {City: "Port Victoria", State: "SA", PostalCode: "5573", Country: "AU"},
		"Mount Victoria, NSW": {City: "Mount Victoria", State: "NSW", Country: "AU"}, "NORTH QUEENSLAND": {City: "NORTH QUEENSLAND"},
		"Mount Victoria 2786 (AU)": {City: "Mount Victoria", PostalCode: "2786", Country: "AU"}, "Victoria Valley Victoria": {City: "Victoria Valley", State: "VIC", Country: "AU"},
		"VICTORIA (CA)": {City: "VICTORIA", Country: "CA"}, "Victoria, Canada": {City: "Victoria", Country: "CA"}, "Hobartville": {City: "Hobartville"},
		"Act of God": {City: "Act of God"}, "SAN JUAN (PR)": {City: "SAN JUAN", Country: "PR"},
		// A country's code after a comma.
		"Auckland, NZ": {City: "Auckland", Country: "NZ"}, "auckland,nz": {City: "auckland", Country: "NZ"}, "London, GB": {City: "London", Country: "GB"},
		"LOS ANGELES, CA, US": {City: "LOS ANGELES, CA", Country: "US"}, "Toronto, CA (CA)": {City: "Toronto", Country: "CA"}, "Sydney, AU": {City: "Sydney", Country: "AU"},
		"AUCKLAND NZ": {City: "AUCKLAND NZ"}, "Hub, XX": {City: "Hub, XX"}, "Wilmington, DE": {City: "Wilmington, DE"},
		"A ACT":                            {City: "A", State: "ACT", Country: "AU"},
		"A QLD":                            {City: "A", State: "QLD", Country: "AU"},
		"A SA":                             {City: "A", State: "SA", Country: "AU"},
		"A TAS":                            {City: "A", State: "TAS", Country: "AU"},
		"A WA":                             {City: "A", State: "WA", Country: "AU"},
		"Wagga Wagga NSW 2650, AUSTRALIA ": {City: "Wagga Wagga", State: "NSW", PostalCode: "2650", Country: "AU"},
	} {
		if d := cmp.Diff(want, Event{Location: location}.Place()); d != "" {
			t.Errorf("Place of %q (-want +got):\n%s", location, d)
		}
	}
}
