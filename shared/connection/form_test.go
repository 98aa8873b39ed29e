package connection

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/secret"
)

// preflightOf returns what Preflight says about one field; the others are good.
func preflightOf(n carrier.Name, field, value string) bool {
	in := ChargeAccount{Carrier: n, Number: formField(n, "account_number").Example, Credentials: Credentials{
		APIKey: secret.New(formField(n, "api_key").Example), APISecret: secret.New(formField(n, "api_secret").Example),
	}}
	switch field {
	case "account_number":
		in.Number = value
	case "api_key":
		in.Credentials.APIKey = secret.New(value)
	case "api_secret":
		in.Credentials.APISecret = secret.New(value)
	}
	_, problems := Preflight(in)
	return len(problems) == 0
}

func formField(n carrier.Name, name string) FormField {
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

// TestPatternsAreThoseOfPreflight: the pattern accepts a number exactly when Preflight
// does, for a hundred thousand texts of relevant characters and lengths.
func TestPatternsAreThoseOfPreflight(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	signs := []rune("0123456789-- \t\n\v\u00a0\u2003\u2028\u3000\u2010\u2011\u2013xO.+/٣０")
	for _, n := range carrier.Names() {
		field := formField(n, "account_number")
		pattern := ecma(t, *field.Pattern)
		seen := map[bool]int{}
		for range 50_000 {
			var b strings.Builder
			digits := n.NumberDigits() + []int{-1, 0, 0, 0, 0, 0, 0, 1}[random.IntN(8)]
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
		name carrier.Name
		text string
		want bool
	}{
		{carrier.AustraliaPost, "", false},
		{carrier.AustraliaPost, "000012345", false},
		{carrier.AustraliaPost, "00001234567", false},
		{carrier.AustraliaPost, "000012345O", false},
		{carrier.AustraliaPost, "04123456", false},
		{carrier.StarTrack, "0000123456", false},
		{carrier.AustraliaPost, "0000123456", true},
		{carrier.AustraliaPost, " 0000 123-456\n", true},
		{carrier.AustraliaPost, "-0000123456-", true},
		{carrier.AustraliaPost, "0000\u2013123\u2010456", true},
		{carrier.StarTrack, "04\u00a0123\u2011456", true},
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
	for _, n := range carrier.Names() {
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

// TestForm checks the form against Preflight and the rules of the fields.
func TestForm(t *testing.T) {
	for _, n := range carrier.Names() {
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
