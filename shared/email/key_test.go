package email_test

import (
	"testing"

	"golang.org/x/text/cases"

	"carrierlink/shared/email"
)

func TestKey(t *testing.T) {
	for name, same := range map[string][]string{
		"letter case":                     {"ada@example.com", "ADA@EXAMPLE.COM", "Ada@Example.com"},
		"case beyond ASCII":               {"\u00f6rn@example.com", "\u00d6RN@example.com"},
		"composed and decomposed":         {"zo\u00eb@example.com", "zoe\u0308@example.com", "ZOE\u0308@example.com"},
		"folding to two letters":          {"stra\u00dfe@example.com", "STRASSE@example.com", "STRA\u1e9eE@example.com"},
		"final sigma":                     {"\u03bf\u03c2@example.com", "\u039f\u03a3@example.com", "\u03bf\u03c3@example.com"},
		"Kelvin":                          {"k@example.com", "\u212a@example.com"},
		"a domain and its A-label":        {"a@b\u00fccher.example", "a@xn--bcher-kva.example", "A@B\u00dcCHER.example", "a@XN--BCHER-KVA.example", "a@bu\u0308cher.example"},
		"full-width dots":                 {"a@b.example", "a@b\u3002example", "a@b\uff0eexample"},
		"a root dot":                      {"a@b.example", "a@b.example."},
		"not a host name":                 {"a@[127.0.0.1]", "A@[127.0.0.1]"},
		"an underscore":                   {"a@b_c.example", "A@B_C.example"},
		"an underscore before an A-label": {"a@b_c.b\u00fccher.example", "a@b_c.xn--bcher-kva.example", "A@B_C.B\u00dcCHER.example"},
		"hyphens beside an A-label":       {"a@-b.b\u00fccher.example", "a@-b.xn--bcher-kva.example"},
		"a label that IDNA refuses":       {"a@b_\u00e9.example", "a@b_e\u0301.example", "a@B_\u00c9.example"},
	} {
		for _, s := range same {
			if got, want := email.Key(s), email.Key(same[0]); got != want {
				t.Errorf("%s: Key(%q) = %q, want %q", name, s, got, want)
			}
		}
	}
	seen := map[string]string{}
	for _, s := range []string{"ada@example.com", "ada@example.org", "a.da@example.com", "ada+x@example.com", "ad\u00e1@example.com", "ada@ex\u00e4mple.com", "ad@aexample.com", "\u0131da@example.com", "ada@xn--", "ada@[127.0.0.1]", "ada@[127.0.0.2]", "ada@b_c.example", "ada@bc.example", "ada@b_c.b\u00fccher.example"} {
		if other, twice := seen[email.Key(s)]; twice {
			t.Errorf("%q and %q have the same key", s, other)
		}
		seen[email.Key(s)] = s
	}
}

// TestKeyFoldsCase: each character and its case folding have the same key.
func TestKeyFoldsCase(t *testing.T) {
	fold := cases.Fold()
	for r := range rune(0x20000) {
		if r >= 0xd800 && r <= 0xdfff {
			continue
		}
		if a, b := email.Key(string(r)+"@b.example"), email.Key(fold.String(string(r))+"@b.example"); a != b {
			t.Errorf("%U: Key = %q, and %q for its folding", r, a, b)
		}
	}
}
