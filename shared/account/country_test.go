package account

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCountries(t *testing.T) {
	all := Countries()
	if len(all) != 249 || !slices.IsSortedFunc(all, func(a, b Country) int { return strings.Compare(a.Code, b.Code) }) {
		t.Errorf("%d countries, want 249 in order", len(all))
	}
	listed := map[string]bool{}
	for _, c := range all {
		listed[c.Code] = true
		if c.Name == "" || strings.TrimSpace(c.Name) != c.Name || !utf8.ValidString(c.Name) {
			t.Errorf("the name of %s is %q", c.Code, c.Name)
		}
	}
	if len(listed) != 249 {
		t.Errorf("%d codes, want 249", len(listed))
	}
	// Of all texts of two bytes, exactly the listed codes are accepted.
	for a := range 256 {
		for b := range 256 {
			code := string([]byte{byte(a), byte(b)})
			if accepted := CheckCountry("f", code) == nil; accepted != listed[code] {
				t.Errorf("%q is accepted: %t, listed: %t", code, accepted, listed[code])
			}
		}
	}
	for _, code := range []string{"", "A", "AUS", "AU ", "\nAU", "AU Australia", "A\n"} {
		if CheckCountry("f", code) == nil {
			t.Errorf("%q is accepted", code)
		}
	}
	all[0] = Country{}
	if Countries()[0].Code != "AD" {
		t.Error("a caller can change the list")
	}
}
