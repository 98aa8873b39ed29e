package carrier

import (
	"slices"
	"strings"
)

// Place is where an event happened, as far as its location could be split. What
// is not understood stays in City.
type Place struct {
	City       string
	State      string // of Australia, in capitals; empty for other countries
	PostalCode string // of Australia, four digits
	Country    string // ISO 3166-1 alpha-2
}

// states are those of Australia, as the carrier writes them.
var states = []string{"ACT", "NSW", "NT", "QLD", "SA", "TAS", "VIC", "WA"}

const australia = "AU"

// Place splits an event's location, such as "ALEXANDRIA NSW", "Melbourne VIC
// 3000", "SYDNEY (AU)" or "US-60199, UNITED STATES", in any letter case. A state
// on its own is taken for a town unless a postcode or Australia comes with it:
// there are towns of such names.
func (e TrackingEvent) Place() Place {
	var p Place
	rest := strings.Join(strings.Fields(e.Location), " ")
	for {
		before, country := cutCountry(rest)
		if country == "" || p.Country != "" && country != p.Country {
			break
		}
		rest, p.Country = before, country
	}
	if p.Country == "" || p.Country == australia {
		rest, p.State, p.PostalCode = cutState(rest, p.Country == australia)
	}
	if p.State != "" {
		p.Country = australia
	}
	p.City = rest
	return p
}

// cutCountry takes a country off the end: a code in parentheses, a name behind a
// comma, or Australia behind a state or postcode. A bare code of another country
// is not one: "LOS ANGELES, CA" is not in Canada.
func cutCountry(s string) (before, code string) {
	if open := strings.LastIndexByte(s, '('); open >= 0 && strings.HasSuffix(s, ")") {
		code = strings.ToUpper(strings.TrimSpace(s[open+1 : len(s)-1]))
		if CheckCountry("", code) == nil {
			return trimPlace(s[:open]), code
		}
	}
	if comma := strings.LastIndexByte(s, ','); comma >= 0 {
		if code = countryNamed(trimPlace(s[comma:])); code != "" {
			return trimPlace(s[:comma]), code
		}
	}
	before, word := cutWord(s)
	switch {
	case before == "":
	case strings.EqualFold(word, australia):
		return before, australia
	case strings.EqualFold(word, "Australia"):
		if _, state, postcode := cutState(before, true); state != "" || postcode != "" {
			return before, australia
		}
	}
	return s, ""
}

// countryNamed is the code of a country by its name in ISO 3166-1, or by one that
// the carrier uses.
func countryNamed(name string) string {
	if strings.EqualFold(name, "United States of America") {
		return "US"
	}
	for _, c := range Countries() {
		if strings.EqualFold(name, c.Name) {
			return c.Code
		}
	}
	return ""
}

// cutState takes a state and a postcode, in either order, off the end. A
// postcode needs a state beside it, or to be known as Australia's.
func cutState(s string, australian bool) (before, state, postcode string) {
	before = s
	for range 2 {
		rest, word := cutWord(before)
		word = strings.Trim(word, "().") // "Kew (Vic)", "Kew Vic."
		switch upper := strings.ToUpper(word); {
		case state == "" && slices.Contains(states, upper):
			before, state = rest, upper
		case postcode == "" && len(word) == 4 && isDigits(word):
			before, postcode = rest, word
		}
	}
	switch {
	case state == "" && !australian, before == "" && postcode == "" && !australian:
		return s, "", ""
	}
	return before, state, postcode
}

// cutWord takes the last word off the end.
func cutWord(s string) (before, word string) {
	i := strings.LastIndexAny(s, " ,") + 1
	return trimPlace(s[:i]), s[i:]
}

func trimPlace(s string) string { return strings.Trim(s, " ,") }
