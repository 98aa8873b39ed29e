package account

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

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
		{[]Scope{ScopeAdmin}, []Scope{ScopeAdmin}}, // does not include other scopes
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
			t.Errorf("scopes of a key with %q (-want +got):\n%s", tc.scopes, diff)
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
			t.Errorf("key that ends %s: Expired = %t", name, !tc.want)
		}
	}
}
