package carrier

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlace(t *testing.T) {
	for location, want := range map[string]Place{
		// Not understood: whole in the city.
		"": {}, " \t ": {}, "SINGAPORE": {City: "SINGAPORE"}, "Transit Scan": {City: "Transit Scan"}, "NZ": {City: "NZ"},
		"NSW": {City: "NSW"}, "3000": {City: "3000"}, "Melbourne 3000": {City: "Melbourne 3000"}, "Kew Vict": {City: "Kew Vict"},
		"LOS ANGELES CA": {City: "LOS ANGELES CA"}, "LOS ANGELES, CA": {City: "LOS ANGELES, CA"}, "PERTH (XX)": {City: "PERTH (XX)"},
		"DEPOT (BAY 4)": {City: "DEPOT (BAY 4)"}, "SOUTH AUSTRALIA": {City: "SOUTH AUSTRALIA"}, "AU": {City: "AU"}, "Kew30 00": {City: "Kew30 00"},
		// Other countries have no state of Australia's.
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
		"Melbourne VIC 3000":               {City: "Melbourne", State: "VIC", PostalCode: "3000", Country: "AU"},
		"DARWIN NT 0800":                   {City: "DARWIN", State: "NT", PostalCode: "0800", Country: "AU"},
		"Melbourne 3000 Vic":               {City: "Melbourne", State: "VIC", PostalCode: "3000", Country: "AU"},
		"Melbourne VIC 3000, Australia":    {City: "Melbourne", State: "VIC", PostalCode: "3000", Country: "AU"},
		"MELBOURNE VIC AUSTRALIA":          {City: "MELBOURNE", State: "VIC", Country: "AU"},
		"Melbourne, VIC, 3000 (AU)":        {City: "Melbourne", State: "VIC", PostalCode: "3000", Country: "AU"},
		"MELBOURNE (AU), Australia":        {City: "MELBOURNE", Country: "AU"},
		"MELBOURNE\u00a0VIC":               {City: "MELBOURNE", State: "VIC", Country: "AU"},
		"PERTH (WA)":                       {City: "PERTH", State: "WA", Country: "AU"},
		"Kew (Vic 3101)":                   {City: "Kew", State: "VIC", PostalCode: "3101", Country: "AU"},
		"St. Kilda Vic.":                   {City: "St. Kilda", State: "VIC", Country: "AU"},
		"(NSW)":                            {City: "(NSW)"},
		"A ACT":                            {City: "A", State: "ACT", Country: "AU"},
		"A QLD":                            {City: "A", State: "QLD", Country: "AU"},
		"A SA":                             {City: "A", State: "SA", Country: "AU"},
		"A TAS":                            {City: "A", State: "TAS", Country: "AU"},
		"A WA":                             {City: "A", State: "WA", Country: "AU"},
		"Wagga Wagga NSW 2650, AUSTRALIA ": {City: "Wagga Wagga", State: "NSW", PostalCode: "2650", Country: "AU"},
	} {
		if d := cmp.Diff(want, TrackingEvent{Location: location}.Place()); d != "" {
			t.Errorf("Place of %q (-want +got):\n%s", location, d)
		}
	}
}
