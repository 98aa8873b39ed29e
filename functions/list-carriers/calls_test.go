package main

import (
	"crypto/rand"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/views"
)

// TestRemoteCalls checks the calls of a request: items are read by key concurrently with
// the write for the API key; queries run once the key is proven.
func TestRemoteCalls(t *testing.T) { calltrace.Attempts(t, remoteCalls) }

func remoteCalls(t *calltrace.Attempt) {
	d := serve(functiontest.EmptyOnEngines(t, functiontest.StartTable(t), "calls"))
	d.AddAccount(account.Account{ID: 71, PartnerID: 5, Active: true})
	for _, id := range []string{"se-1234567", "se-7654321"} {
		conn := verified(id, d.Clock)
		conn.AccountID, conn.PartnerID, conn.LeaseUntil = 71, 5, d.Clock.Add(time.Minute)
		if err := d.Store.BeginLink(t.Context(), &conn, connection.LinkOptions{AllowDuplicate: true}); err != nil {
			t.Fatal(err)
		}
		snap, err := connection.NewSnapshot([]byte(contract()), d.Clock)
		if err != nil {
			t.Fatal(err)
		}
		conn.Status = connection.Active
		if err := d.Store.FinishLink(t.Context(), &conn, nil, &snap, effects.Effects{}, d.Clock); err != nil {
			t.Fatal(err)
		}
	}
	tag := d.ask("account 71", "/v1/carriers/se-1234567").Headers["ETag"] // the first use of a key in a minute is one call more

	one := []string{"BatchGetItem", "UpdateItem"}
	tests := []struct {
		name, path string
		headers    []string
		status     int
		beside     []string // concurrent, in any order
		after      []string // concurrent, in any order, then
	}{
		{"no key", "/v1/carriers", []string{"API-Key", "x"}, 401, nil, nil},
		{"another account", "/v1/carriers", []string{"On-Behalf-Of", "72"}, 404, []string{"UpdateItem"}, nil},
		{"forms", "/v1/connections/carriers", nil, 200, one, nil},
		{"list", "/v1/carriers", nil, 200, one, []string{"Query"}},
		{"a malformed id", "/v1/carriers/x", nil, 400, one, nil},
		{"absent", "/v1/carriers/se-1", nil, 404, one, nil},
		{"get", "/v1/carriers/se-1234567", nil, 200, one, nil},
		{"get, not modified", "/v1/carriers/se-1234567", []string{"If-None-Match", tag}, 304, one, nil},
		{"a history", "/v1/carriers/se-1234567/history", nil, 200, one, []string{"Query"}},
		{"an absent history", "/v1/carriers/se-1/history", nil, 404, one, nil},
		{"a history without end", "/v1/carriers/se-1/history?page=0", nil, 400, one, nil},
		{"the carriers themselves", "/v1/carriers/status", nil, 200, one, []string{"Query", "Query"}},
	}
	forged, err := account.NewKey(rand.Reader, carrier.Production, 0, 71)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/v1/connections/carriers", "/v1/carriers", "/v1/carriers/se-1234567", "/v1/carriers/se-1234567/history", "/v1/carriers/status",
	} {
		t.Run("a forged key, "+path, func(t *calltrace.Attempt) {
			d.Transport.Reset()
			if resp := d.ask("account 71", path, "API-Key", forged.Text.Reveal()); resp.StatusCode != http.StatusUnauthorized {
				t.Fatalf("%d %s, want 401", resp.StatusCode, resp.Body)
			}
			if diff := cmp.Diff(one, slices.Sorted(slices.Values(d.Transport.Calls()))); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
		})
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *calltrace.Attempt) {
			d.Transport.Reset()
			resp := d.ask("account 71", tc.path, tc.headers...)
			if resp.StatusCode != tc.status {
				t.Fatalf("%d %s, want %d", resp.StatusCode, resp.Body, tc.status)
			}
			if tc.name == "list" {
				d.Costs(t, "list_carriers")
			}
			calls := d.Transport.Calls()
			slices.Sort(calls[:min(len(tc.beside), len(calls))])
			if diff := cmp.Diff(append(slices.Clone(tc.beside), tc.after...), calls); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
			if tc.name == "list" {
				if got := functiontest.Read[views.CarriersPage](t, resp, http.StatusOK); len(got.Carriers) != 2 {
					t.Errorf("%d carriers", len(got.Carriers))
				}
			}
		})
	}
}
