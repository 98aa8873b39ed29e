package account_test

import (
	"strings"
	"testing"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
)

func TestCleanEmail(t *testing.T) {
	local := strings.Repeat("a", 38) // with @example.com: 50
	tests := []struct {
		name, in, want string
		kind           fault.Kind
	}{
		{"empty", "", "", fault.Length},
		{"blanks", "  ", "", fault.Length},
		{"too long by one", local + "a@example.com", "", fault.Length},
		{"no @", "ada.example.com", "", fault.Invalid},
		{"nothing before @", "@example.com", "", fault.Invalid},
		{"nothing behind @", "ada@", "", fault.Invalid},
		{"two @", "ada@b@example.com", "", fault.Invalid},
		{"blank inside", "ada king@example.com", "", fault.Invalid},
		{"display name", "Ada <ada@example.com>", "", fault.Invalid},
		{"angle brackets", "<ada@example.com>", "", fault.Invalid},
		{"quoted display name", `"Ada" <ada@example.com>`, "", fault.Invalid},
		{"comment", "ada@example.com (Ada)", "", fault.Invalid},
		{"two addresses", "ada@example.com, b@example.com", "", fault.Invalid},
		{"group", "all: ada@example.com;", "", fault.Invalid},
		{"header injection", "ada@example.com\r\nBcc: b@example.com", "", fault.Invalid},
		{"control character", "ada\x00@example.com", "", fault.Invalid},
		{"trailing dot", "ada.@example.com", "", fault.Invalid},
		{"two dots", "a..b@example.com", "", fault.Invalid},

		{"plain", "ada@example.com", "ada@example.com", fault.Internal},
		{"outer blanks", " ada@example.com\n", "ada@example.com", fault.Internal},
		{"letter case is kept", "Ada@Example.COM", "Ada@Example.COM", fault.Internal},
		{"tag", "ada+shop_1@sub.example.com", "ada+shop_1@sub.example.com", fault.Internal},
		{"beyond ASCII", "zoë@example.com", "zoë@example.com", fault.Internal},
		{"longest", local + "@example.com", local + "@example.com", fault.Internal},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got, problem := account.CleanEmail("email", tc.in)
			if got != tc.want || kindOf(problem) != tc.kind {
				t.Errorf("CleanEmail(%q) = %q, %v, want %q, %v", tc.in, got, problem, tc.want, tc.kind)
			}
		})
	}
}

func kindOf(p *fault.Error) fault.Kind {
	if p == nil {
		return fault.Internal
	}
	return p.Kind
}
