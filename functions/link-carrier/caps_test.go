package main

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/connection"
)

// TestCaps: an account at one of its limits is told so, and nothing is stored.
func TestCaps(t *testing.T) {
	for name, tc := range map[string]struct {
		caps connection.Caps
		want string
	}{
		"connections":   {connection.Caps{Connections: 1}, "invalid_status"},
		"duplicates":    {connection.Caps{Duplicates: 1}, "invalid_status account_number"},
		"links a day":   {connection.Caps{LinksPerDay: 1}, "invalid_status"},
		"room for more": {connection.Caps{Connections: 2, Duplicates: 2, LinksPerDay: 2}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := newFixture(t)
			d.Store.Caps = tc.caps
			first := d.Link(functiontest.Number)
			resp := post(d, "account 71", "australia_post", body(functiontest.Number, `,"allow_duplicate_account_number":true`))
			if tc.want == "" {
				if resp.StatusCode != http.StatusOK {
					t.Errorf("%d %s", resp.StatusCode, resp.Body)
				}
				return
			}
			if diff := cmp.Diff([]string{"409", tc.want}, functiontest.Problems(t, resp)); diff != "" || resp.Headers["Retry-After"] != "" {
				t.Errorf("Retry-After %q (-want +got):\n%s", resp.Headers["Retry-After"], diff)
			}
			if diff := cmp.Diff([]string{first.ID}, d.Holders(functiontest.Number)); diff != "" {
				t.Errorf("holders (-want +got):\n%s", diff)
			}
		})
	}
}
