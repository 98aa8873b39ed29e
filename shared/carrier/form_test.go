package carrier

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// preflightOf is what Preflight says of one field, the others being good.
func preflightOf(n Name, field, value string) bool {
	in := ChargeAccount{Carrier: n, Number: formField(n, "account_number").Example, Credentials: Credentials{
		APIKey: NewSecret(formField(n, "api_key").Example), APISecret: NewSecret(formField(n, "api_secret").Example),
	}}
	switch field {
	case "account_number":
		in.Number = value
	case "api_key":
		in.Credentials.APIKey = NewSecret(value)
	case "api_secret":
		in.Credentials.APISecret = NewSecret(value)
	}
	_, problems := Preflight(in)
	return len(problems) == 0
}

func formField(n Name, name string) FormField {
	form := Form(n)
	return form[slices.IndexFunc(form, func(f FormField) bool { return f.Name == name })]
}

// ecma is a pattern of a form as Go reads it: \u is ECMA's, and its \s is wider.
func ecma(t *testing.T, pattern string) *regexp.Regexp {
	t.Helper()
	text := regexp.MustCompile(`\\u([0-9a-f]{4})`).ReplaceAllString(pattern, `\x{$1}`)
	re, err := regexp.Compile(strings.ReplaceAll(text, `\s`, `\s\v\p{Z}\x{feff}`))
	if err != nil {
		t.Fatal(err)
	}
	return re
}

// TestPatternsAreThoseOfPreflight: a form takes a number exactly when Preflight
// does. A hundred thousand texts of the signs that matter, and of how many there are.
func TestPatternsAreThoseOfPreflight(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	signs := []rune("0123456789-- \t\n\v\u00a0\u2003\u2028\u3000\u2010\u2011\u2013xO.+/٣０")
	for _, n := range Names() {
		field := formField(n, "account_number")
		pattern := ecma(t, *field.Pattern)
		seen := map[bool]int{}
		for range 50_000 {
			var b strings.Builder
			digits := n.numberDigits() + []int{-1, 0, 0, 0, 0, 0, 0, 1}[random.IntN(8)]
			for digits > 0 {
				c := signs[random.IntN(10)]
				if random.IntN(8) == 0 {
					c = signs[10+random.IntN(len(signs)-10)]
				} else {
					digits--
				}
				b.WriteRune(c)
			}
			text := b.String()
			want := preflightOf(n, "account_number", text)
			seen[want]++
			if got := pattern.MatchString(text); got != want {
				t.Fatalf("%s takes %q: %t, Preflight: %t", *field.Pattern, text, got, want)
			}
		}
		if seen[true] < 5_000 || seen[false] < 5_000 {
			t.Errorf("%s: %v: one side is hardly tried", n, seen)
		}
	}
}

func TestPatternsByHand(t *testing.T) {
	for _, tc := range []struct {
		name Name
		text string
		want bool
	}{
		{AustraliaPost, "", false},
		{AustraliaPost, "000012345", false},
		{AustraliaPost, "00001234567", false},
		{AustraliaPost, "000012345O", false},
		{AustraliaPost, "04123456", false},
		{StarTrack, "0000123456", false},
		{AustraliaPost, "0000123456", true},
		{AustraliaPost, " 0000 123-456\n", true},
		{AustraliaPost, "-0000123456-", true},
		{AustraliaPost, "0000\u2013123\u2010456", true},
		{StarTrack, "04\u00a0123\u2011456", true},
	} {
		pattern := ecma(t, *formField(tc.name, "account_number").Pattern)
		if got, preflight := pattern.MatchString(tc.text), preflightOf(tc.name, "account_number", tc.text); got != tc.want || preflight != tc.want {
			t.Errorf("%s, %q: pattern %t, Preflight %t, want %t", tc.name, tc.text, got, preflight, tc.want)
		}
	}
}

// TestPatternsWorkInABrowser: the pattern attribute is compiled with the flag v,
// where a hyphen in a class must be escaped.
func TestPatternsWorkInABrowser(t *testing.T) {
	for _, n := range Names() {
		p := *formField(n, "account_number").Pattern
		for _, class := range regexp.MustCompile(`\[[^\]]*\]`).FindAllString(p, -1) {
			if bare := regexp.MustCompile(`0-9|\\-`).ReplaceAllString(class, ""); strings.Contains(bare, "-") {
				t.Errorf("%s: the hyphen of %s is not escaped", p, class)
			}
		}
		if !strings.HasPrefix(p, "^") || !strings.HasSuffix(p, "$") {
			t.Errorf("%s is not of the whole text", p)
		}
	}
}

// TestForm: what a form says of each field holds for Preflight and the rules.
func TestForm(t *testing.T) {
	for _, n := range Names() {
		var names []string
		for _, f := range Form(n) {
			names = append(names, f.Name)
			if f.Label == "" || f.Help == "" || !strings.HasPrefix(f.DocURL, "https://") || !f.Required || f.Type != "text" && f.Type != "password" {
				t.Errorf("%s %+v is not complete", n, f)
			}
			if l := utf8.RuneCountInString(f.Example); l < f.MinLength || l > f.MaxLength || f.Pattern != nil && !ecma(t, *f.Pattern).MatchString(f.Example) {
				t.Errorf("%s %s: its example %q is not acceptable", n, f.Name, f.Example)
			}
			if f.Secret != (f.Name == "api_key" || f.Name == "api_secret") {
				t.Errorf("%s %s: secret is %t", n, f.Name, f.Secret)
			}
			if f.Name == "nickname" {
				if _, p := NicknameRule.Clean(f.Name, strings.Repeat("é", f.MaxLength+1)); p == nil {
					t.Error("a longer nickname passes")
				}
				continue
			}
			if !preflightOf(n, f.Name, f.Example) || preflightOf(n, f.Name, "") {
				t.Errorf("%s %s: Preflight refuses the example, or takes nothing at all", n, f.Name)
			}
			if f.Secret && (!preflightOf(n, f.Name, strings.Repeat("k", f.MaxLength)) || preflightOf(n, f.Name, strings.Repeat("k", f.MaxLength+1))) {
				t.Errorf("%s %s: max_length is not Preflight's", n, f.Name)
			}
		}
		if diff := cmp.Diff([]string{"nickname", "account_number", "api_key", "api_secret"}, names); diff != "" {
			t.Errorf("%s (-want +got):\n%s", n, diff)
		}
		b, err := json.Marshal(Form(n)[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, member := range []string{"name", "label", "type", "required", "secret", "pattern", "min_length", "max_length", "example", "help", "doc_url"} {
			if !strings.Contains(string(b), `"`+member+`":`) {
				t.Errorf("%s lacks %s", b, member)
			}
		}
	}
}

func TestCountries(t *testing.T) {
	all := Countries()
	if len(all) != 249 || !slices.IsSortedFunc(all, func(a, b Country) int { return strings.Compare(a.Code, b.Code) }) {
		t.Errorf("%d countries, want 249 in order", len(all))
	}
	listed := map[string]bool{}
	for _, c := range all {
		listed[c.Code] = true
		if c.Name == "" || strings.TrimSpace(c.Name) != c.Name || !utf8.ValidString(c.Name) {
			t.Errorf("%s is called %q", c.Code, c.Name)
		}
	}
	if len(listed) != 249 {
		t.Errorf("%d codes, want 249", len(listed))
	}
	// What is listed is what is accepted, of everything that is two bytes long.
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

func TestAccountFilterMatches(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	yes, no := true, false
	account := Account{Active: true, CreatedAt: at}
	for name, tc := range map[string]struct {
		filter AccountFilter
		want   bool
	}{
		"not active":             {AccountFilter{Active: &no}, false},
		"later":                  {AccountFilter{CreatedFrom: at.Add(1)}, false},
		"earlier":                {AccountFilter{CreatedUntil: at.Add(-1)}, false},
		"one of two":             {AccountFilter{Active: &yes, CreatedFrom: at.Add(1)}, false},
		"a reversed range":       {AccountFilter{CreatedFrom: at.Add(1), CreatedUntil: at.Add(-1)}, false},
		"none":                   {AccountFilter{}, true},
		"order does not matter":  {AccountFilter{Ascending: true}, true},
		"active":                 {AccountFilter{Active: &yes}, true},
		"from then on":           {AccountFilter{CreatedFrom: at}, true},
		"until then":             {AccountFilter{CreatedUntil: at}, true},
		"then":                   {AccountFilter{CreatedFrom: at, CreatedUntil: at}, true},
		"then, in another place": {AccountFilter{CreatedFrom: at.In(time.FixedZone("", 3600))}, true},
	} {
		if got := tc.filter.Matches(account); got != tc.want {
			t.Errorf("%s: Matches = %t, want %t", name, got, tc.want)
		}
	}
	account.Active = false
	if (AccountFilter{Active: &yes}).Matches(account) || !(AccountFilter{Active: &no}).Matches(account) {
		t.Error("a disabled account passes for an active one")
	}
}

func TestScopes(t *testing.T) {
	if diff := cmp.Diff([]Scope{"read", "link", "admin"}, Scopes()); diff != "" {
		t.Errorf("Scopes (-want +got):\n%s", diff)
	}
	for _, tc := range []struct {
		scopes []Scope
		may    []Scope
	}{
		{[]Scope{"other"}, nil},
		{[]Scope{ScopeRead}, []Scope{ScopeRead}},
		{[]Scope{ScopeLink}, []Scope{ScopeLink}},
		{[]Scope{ScopeAdmin}, []Scope{ScopeAdmin}}, // includes no other one
		{[]Scope{ScopeAdmin, ScopeRead}, []Scope{ScopeRead, ScopeAdmin}},
		{nil, Scopes()},
		{[]Scope{}, Scopes()},
	} {
		k := APIKey{Scopes: tc.scopes}
		var may []Scope
		for _, s := range Scopes() {
			if k.May(s) {
				may = append(may, s)
			}
		}
		if diff := cmp.Diff(tc.may, may); diff != "" {
			t.Errorf("a key with %q may (-want +got):\n%s", tc.scopes, diff)
		}
	}
}

func TestKeyExpired(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		ends time.Time
		want bool
	}{"before": {at.Add(-1), true}, "now": {at, true}, "later": {at.Add(1), false}, "never": {time.Time{}, false}} {
		if k := (APIKey{ExpiresAt: tc.ends}); k.Expired(at) != tc.want {
			t.Errorf("ends %s: Expired = %t", name, !tc.want)
		}
	}
}

func TestPurged(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		purge           time.Time
		deleted, purged bool
	}{"not deleted": {time.Time{}, false, false}, "to come": {at.Add(1), true, false}, "now": {at, true, true}, "past": {at.Add(-1), true, true}} {
		if a := (Account{PurgeAt: tc.purge}); a.Deleted() != tc.deleted || a.Purged(at) != tc.purged {
			t.Errorf("%s: Deleted = %t, Purged = %t", name, a.Deleted(), a.Purged(at))
		}
	}
}
