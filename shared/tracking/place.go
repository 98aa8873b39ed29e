package tracking

import (
	"slices"
	"strings"

	"carrierlink/shared/account"
)

// Place is where an event happened. What cannot be split off its location stays in City.
type Place struct {
	City       string
	State      string // of Australia, in capitals; empty for other countries
	PostalCode string // of Australia, four digits
	Country    string // ISO 3166-1 alpha-2
}

// states are the codes of Australia's states, by code and by name, in capitals.
var states = map[string]string{
	"ACT": "ACT", "NSW": "NSW", "NT": "NT", "QLD": "QLD", "SA": "SA", "TAS": "TAS", "VIC": "VIC", "WA": "WA",
	"AUSTRALIAN CAPITAL TERRITORY": "ACT", "NEW SOUTH WALES": "NSW", "NORTHERN TERRITORY": "NT", "QUEENSLAND": "QLD",
	"SOUTH AUSTRALIA": "SA", "TASMANIA": "TAS", "VICTORIA": "VIC", "WESTERN AUSTRALIA": "WA",
}

const (
	longestState = 3 // words
	australia    = "AU"
	saudiArabia  = "SA"
)

// Place splits an event's location, such as "ALEXANDRIA NSW", "Melbourne VIC
// 3000", "Hobart Tasmania", "SYDNEY (AU)", "Auckland, NZ" or "US-60199, UNITED
// STATES", in any letter case. A state may stand alone.
func (e Event) Place() Place {
	var p Place
	rest := trimPlace(strings.Join(strings.Fields(e.Location), " "))
	for {
		before, country := cutCountry(rest, p.Country)
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

// cutCountry cuts a country off the end: a code in parentheses or after a comma, a name
// after a comma, or Australia after a state or postcode. A code that is also a state's
// counts as a country's only if it is known, the country that is already cut off the end:
// "ADELAIDE (SA)" is not in Saudi Arabia, nor "LOS ANGELES, CA" in Canada.
func cutCountry(s, known string) (before, code string) {
	if open := strings.LastIndexByte(s, '('); open >= 0 && strings.HasSuffix(s, ")") {
		before, code = trimPlace(s[:open]), strings.ToUpper(strings.TrimSpace(s[open+1:len(s)-1]))
		if account.CheckCountry("", code) == nil && (code == known || !isAustralianState(before, code)) {
			return before, code
		}
	}
	if comma := strings.LastIndexByte(s, ','); comma >= 0 {
		before, text := trimPlace(s[:comma]), trimPlace(s[comma:])
		if code = countryNamed(text); code != "" {
			return before, code
		}
		code = strings.ToUpper(text)
		if account.CheckCountry("", code) == nil && (code == known || !isAustralianState(before, code) && !strings.Contains(provinces, " "+code+" ")) {
			return before, code
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

// isAustralianState tells whether a country's code means a state of Australia after this town.
func isAustralianState(town, code string) bool { return states[code] != "" && !saudi(town, code) }

// saudi tells whether SA after a town means Saudi Arabia. These towns have its offices
// of exchange, through which all its parcels go.
func saudi(town, code string) bool {
	return code == saudiArabia && slices.Contains([]string{"DAMMAM", "JEDDAH", "RIYADH"}, strings.ToUpper(town))
}

// provinces are the codes of states of the USA and provinces of Canada that are codes of
// countries too: after a comma they may mean either.
const provinces = " AL AR AZ CA CO DE GA ID IL IN KY LA MA MD ME MN MO MS MT NC NE NL NU PA PE SC SD SK TN VA YT "

// countryNamed returns the code of a country by its name in ISO 3166-1 or a name that the
// carrier uses; empty if there is none.
func countryNamed(name string) string {
	if strings.EqualFold(name, "United States of America") {
		return "US"
	}
	for _, c := range account.Countries() {
		if strings.EqualFold(name, c.Name) {
			return c.Code
		}
	}
	return ""
}

// cutState cuts a state and a postcode off the end, in either order. A postcode counts
// only beside a state or if the place is known to be Australian.
func cutState(s string, australian bool) (before, state, postcode string) {
	before = s
	for range 2 {
		rest, word := cutWord(before)
		word = strings.Trim(word, "().")
		town, code := "", ""
		if state == "" {
			town, code = cutStateWords(before)
		}
		switch {
		case code != "":
			before, state = town, code
		case postcode == "" && len(word) == 4 && allDigits(word):
			before, postcode = rest, word
		}
	}
	if state == "" && !australian || !australian && saudi(before, state) {
		return s, "", ""
	}
	return before, state, postcode
}

var withoutMarks = strings.NewReplacer("(", "", ")", "", ".", "")

// cutStateWords cuts a state's code or name off the end, ignoring parentheses and dots:
// "Kew (Vic)", "Kew Vic.", "Sydney N.S.W.". code is empty if there is none.
func cutStateWords(s string) (town, code string) {
	var name string
	for town = s; town != "" && strings.Count(name, " ") < longestState-1; {
		rest, word := cutWord(town)
		name = strings.TrimSpace(strings.ToUpper(withoutMarks.Replace(word)) + " " + name)
		setApart := len(name) <= len(states["NSW"]) || strings.ContainsAny(s[len(rest):], ",(")
		if code = states[name]; code != "" && (setApart || !beginsAName(rest)) {
			return rest, code
		}
		town = rest
	}
	return s, ""
}

// beginsAName tells whether a word and a state's name together name something else: Port
// Victoria is in South Australia, and North Queensland is a region.
func beginsAName(word string) bool {
	return slices.Contains([]string{
		"CAPE", "FORT", "LAKE", "MOUNT", "MT", "POINT", "PORT", "QUEEN", "CENTRAL", "REGIONAL",
		"EAST", "EASTERN", "NORTH", "NORTHERN", "SOUTH", "SOUTHERN", "WEST", "WESTERN", "FAR NORTH", "NORTH WEST",
	}, strings.ToUpper(word))
}

// cutWord cuts the last word off the end.
func cutWord(s string) (before, word string) {
	i := strings.LastIndexAny(s, " ,") + 1
	return trimPlace(s[:i]), s[i:]
}

func trimPlace(s string) string { return strings.Trim(s, " ,") }
