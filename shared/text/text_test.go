package text_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/text"
)

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// ok stands for no problem: the rules never make a problem of this kind.
const ok = fault.Internal

// is reports whether a problem is of a kind, or absent for ok.
func is(p *fault.Error, kind fault.Kind) bool {
	if p == nil || kind == ok {
		return p == nil && kind == ok
	}
	return p.Kind == kind
}

func TestRuleClean(t *testing.T) {
	family := "👩‍👩‍👧‍👦" // seven code points, 25 bytes
	tests := []struct {
		name string
		rule text.Rule
		in   string
		want string
		kind fault.Kind
	}{
		{"empty", account.NameRule, "", "", fault.Length},
		{"blanks only", account.NameRule, " \t\u00a0\u3000", "", fault.Length},
		{"joiner only", account.CompanyRule, "\u200d", "", fault.Length},
		{"braille blank only", account.CompanyRule, "\u2800", "", fault.Length},
		{"joiners and blanks only", connection.NicknameRule, "\ufe0f \u200c\u00a0\u200d", "", fault.Length},
		{"too long by one", account.NameRule, strings.Repeat("a", 25), "", fault.Length},
		{"too long by one, two bytes per character", account.NameRule, strings.Repeat("é", 25), "", fault.Length},
		{"too long by one, emoji", account.NameRule, strings.Repeat("😀", 25), "", fault.Length},
		{"NUL", account.NameRule, "A\x00da", "", fault.Invalid},
		{"tab inside", account.NameRule, "A\tda", "", fault.Invalid},
		{"line break inside", account.NameRule, "A\nda", "", fault.Invalid},
		{"escape", account.NameRule, "\x1b[31mAda", "", fault.Invalid},
		{"DEL", account.NameRule, "Ada\x7f", "", fault.Invalid},
		{"C1 control", account.NameRule, "A\u0080da", "", fault.Invalid},
		{"company too long by one", account.CompanyRule, strings.Repeat("ß", 51), "", fault.Length},
		{"nickname too long by one", connection.NicknameRule, strings.Repeat("n", 101), "", fault.Length},
		{"external id too long by one", account.ExternalIDRule, strings.Repeat("é", 129), "", fault.Length},
		{"external id empty", account.ExternalIDRule, "", "", fault.Length},
		{"external id with a line break", account.ExternalIDRule, "shop-1\n", "", fault.Invalid},
		{"password of 6", account.PasswordRule, "123456", "", fault.Length},
		{"password of 6, 18 bytes", account.PasswordRule, "密码密码密码", "", fault.Length},
		{"password of 129", account.PasswordRule, strings.Repeat("p", 129), "", fault.Length},
		{"password with a control character", account.PasswordRule, "1234567\x07", "", fault.Invalid},
		{"credential too long by one", connection.CredentialRule, strings.Repeat("c", 257), "", fault.Length},

		{"one character", account.NameRule, "A", "A", ok},
		{"longest", account.NameRule, strings.Repeat("a", 24), strings.Repeat("a", 24), ok},
		{"longest, two bytes per character", account.NameRule, strings.Repeat("é", 24), strings.Repeat("é", 24), ok},
		{"longest, four bytes per character", account.NameRule, strings.Repeat("😀", 24), strings.Repeat("😀", 24), ok},
		{"joined emoji count by code point", account.NameRule, strings.Repeat(family, 3), strings.Repeat(family, 3), ok},
		{"outer blanks do not count", account.NameRule, "  " + strings.Repeat("a", 24) + "\n", strings.Repeat("a", 24), ok},
		{"inner blanks stay", account.NameRule, " Ada  King ", "Ada  King", ok},
		{"right to left", account.NameRule, "آدا", "آدا", ok},
		{"longest external id", account.ExternalIDRule, strings.Repeat("é", 128), strings.Repeat("é", 128), ok},
		{"external id keeps blanks", account.ExternalIDRule, " a/b?%2F ", " a/b?%2F ", ok},
		{"password of 7", account.PasswordRule, "1234567", "1234567", ok},
		{"password keeps blanks", account.PasswordRule, "  12345 ", "  12345 ", ok},
		{"password of 128", account.PasswordRule, strings.Repeat("😀", 128), strings.Repeat("😀", 128), ok},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got, problem := tc.rule.Clean("some_field", tc.in)
			if got != tc.want || !is(problem, tc.kind) {
				t.Fatalf("Clean(%q) = %q, %v, want %q, %v", tc.in, got, problem, tc.want, tc.kind)
			}
			if problem == nil {
				return
			}
			if problem.Field != "some_field" || !strings.HasPrefix(problem.Message, "some_field must ") {
				t.Errorf("Clean(%q): field %q, message %q", tc.in, problem.Field, problem.Message)
			}
			if s := strings.TrimSpace(tc.in); len(s) > 1 && strings.Contains(problem.Message, s) {
				t.Errorf("Clean(%q) quotes the input: %q", tc.in, problem.Message)
			}
		})
	}
}

// TestHiddenCharacters: texts that identify somebody refuse all hidden characters.
// Other texts that people read allow those that names are written with.
func TestHiddenCharacters(t *testing.T) {
	for name, tc := range map[string]struct {
		hidden  string
		inNames bool // names may contain it
	}{
		"zero width space": {"\u200b", false}, "word joiner": {"\u2060", false}, "byte order mark": {"\ufeff", false}, "soft hyphen": {"\u00ad", false},
		"right-to-left override": {"\u202e", false}, "left-to-right mark": {"\u200e", false}, "isolate": {"\u2067", false}, "Arabic letter mark": {"\u061c", false},
		"line separator": {"\u2028", false}, "paragraph separator": {"\u2029", false}, "Hangul filler": {"\u3164", false}, "tag": {"\U000e0041", false},
		"next line": {"\u0085", false}, "bell": {"\a", false}, "delete": {"\x7f", false},
		"no-break space": {"\u00a0", true}, "em space": {"\u2003", true}, "ideographic space": {"\u3000", true}, "braille blank": {"\u2800", true},
		"joiner": {"\u200d", true}, "non-joiner": {"\u200c", true}, "variation selector": {"\ufe0f", true},
	} {
		email := "ad" + tc.hidden + "a@example.com"
		if _, problem := account.CleanEmail("email", email); !is(problem, fault.Invalid) {
			t.Errorf("%s in an email: %v", name, problem)
		}
		if _, problem := account.CleanEmail("email", "ada@exam"+tc.hidden+"ple.com"); !is(problem, fault.Invalid) {
			t.Errorf("%s in a domain: %v", name, problem)
		}
		for rule, r := range map[string]text.Rule{
			"a name": account.NameRule, "a company": account.CompanyRule, "a nickname": connection.NicknameRule, "a description": account.DescriptionRule, "a partner": account.PartnerNameRule,
			"an external id": account.ExternalIDRule,
		} {
			if _, problem := r.Clean("f", "a"+tc.hidden+"b"); (problem == nil) != tc.inNames {
				t.Errorf("%s in %s: %v", name, rule, problem)
			}
		}
	}
	if _, problem := account.PasswordRule.Clean("password", "pass\u200bword"); problem != nil {
		t.Errorf("a password: %v", problem)
	}
}

func TestCleanMetadata(t *testing.T) {
	many := func(n int) map[string]string {
		m := make(map[string]string, n)
		for i := range n {
			m[fmt.Sprintf("k%02d", i)] = "v"
		}
		return m
	}
	type problem struct {
		Kind  fault.Kind
		Field string
	}
	tests := []struct {
		name   string
		values map[string]string
		want   []problem
	}{
		{"21 keys", many(21), []problem{{fault.Invalid, "metadata"}}},
		{"empty key", map[string]string{"": "v"}, []problem{{fault.Length, "metadata"}}},
		{"key too long by one", map[string]string{strings.Repeat("é", 41): "v"}, []problem{{fault.Length, "metadata"}}},
		{"key with a control character", map[string]string{"a\n": "v"}, []problem{{fault.Invalid, "metadata"}}},
		{"value too long by one", map[string]string{"a": strings.Repeat("é", 501)}, []problem{{fault.Length, "metadata.a"}}},
		{"value with a control character", map[string]string{"a": "\x00"}, []problem{{fault.Invalid, "metadata.a"}}},
		{
			"all problems, in the order of keys",
			map[string]string{"a": "\x00", "b": "fine", "c": strings.Repeat("x", 501), "": ""},
			[]problem{{fault.Length, "metadata"}, {fault.Invalid, "metadata.a"}, {fault.Length, "metadata.c"}},
		},
		{"none", nil, nil},
		{"20 keys", many(20), nil},
		{"longest key and value", map[string]string{strings.Repeat("é", 40): strings.Repeat("😀", 500)}, nil},
		{"empty value, outer blanks", map[string]string{"a": "", " b ": "  c"}, nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			keys := sortedKeys(tc.values)
			var got []problem
			for _, p := range append(fault.ListOf(text.CheckMetadataSize("metadata", len(keys))), text.CleanMetadata("metadata", keys, tc.values)...) {
				got = append(got, problem{p.Kind, p.Field})
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("CleanMetadata (-want +got):\n%s", diff)
			}
		})
	}
}
