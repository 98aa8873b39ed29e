package main

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/probe"
	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
)

// TestRemoteCalls counts: what has a key of its own is read beside the one write
// for the API key, and what there may be many of is asked for once that is proven.
func TestRemoteCalls(t *testing.T) { probe.Attempts(t, remoteCalls) }

func remoteCalls(t *probe.Attempt) {
	url := probe.Emulator(t, emulator.StartDynamoDBLocal)
	probe.Table(t, emulator.Config(url), "calls")
	var wire probe.Wire
	t.Watch(&wire)
	table := store.New(dynamodb.NewFromConfig(wire.Config(url)), "calls", store.Options{})
	d := &desk{clock: time.Date(2026, 11, 22, 6, 0, 10, 0, time.UTC), keys: map[string]string{}}
	now := func() time.Time { return d.clock }
	d.handler = &handler{auth: &auth.Auth{Keys: table, Now: now, Limits: auth.Limits{Production: 1_000_000}}, connections: table, checks: table, sealer: sealer(), now: now}
	d.api = &httpapi.API{Log: slog.New(slog.DiscardHandler), Now: now, Routes: d.routes()}
	k, text, err := auth.MakeKey(rand.Reader, carrier.APIKey{PartnerID: 5, AccountID: 71, Environment: carrier.Production, CreatedAt: d.clock})
	if err != nil {
		t.Fatal(err)
	}
	d.keys["account 71"] = text.Reveal()
	if _, err := table.CreateAccount(t.Context(), store.NewAccount{Account: carrier.Account{ID: 71, PartnerID: 5, Active: true, CreatedAt: d.clock}, Key: k}, d.clock); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"se-1234567", "se-7654321"} {
		conn := verified(id, d.clock)
		conn.AccountID, conn.PartnerID, conn.LeaseUntil = 71, 5, d.clock.Add(time.Minute)
		if err := table.BeginLink(t.Context(), &conn, carrier.LinkOptions{AllowDuplicate: true}); err != nil {
			t.Fatal(err)
		}
		snap, err := carrier.NewSnapshot([]byte(contract()), d.clock)
		if err != nil {
			t.Fatal(err)
		}
		conn.Status = carrier.Active
		if err := table.FinishLink(t.Context(), &conn, nil, &snap, nil); err != nil {
			t.Fatal(err)
		}
	}
	tag := d.ask(t, "account 71", "/v1/carriers/se-1234567").Headers["ETag"] // the first use of a key in a minute is one call more

	one := []string{"BatchGetItem", "UpdateItem"}
	tests := []struct {
		name, path string
		headers    []string
		status     int
		beside     []string // at once, in any order; then
		after      []string // at once, in any order
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
	forged, err := auth.NewKey(rand.Reader, carrier.Production, 0, 71)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/v1/connections/carriers", "/v1/carriers", "/v1/carriers/se-1234567", "/v1/carriers/se-1234567/history", "/v1/carriers/status",
	} {
		t.Run("a forged key, "+path, func(t *probe.Attempt) {
			wire.Reset()
			if resp := d.ask(t, "account 71", path, "API-Key", forged.Text.Reveal()); resp.StatusCode != http.StatusUnauthorized {
				t.Fatalf("%d %s, want 401", resp.StatusCode, resp.Body)
			}
			if diff := cmp.Diff(one, slices.Sorted(slices.Values(wire.Calls()))); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
		})
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *probe.Attempt) {
			wire.Reset()
			resp := d.ask(t, "account 71", tc.path, tc.headers...)
			if resp.StatusCode != tc.status {
				t.Fatalf("%d %s, want %d", resp.StatusCode, resp.Body, tc.status)
			}
			calls := wire.Calls()
			slices.Sort(calls[:min(len(tc.beside), len(calls))])
			if diff := cmp.Diff(append(slices.Clone(tc.beside), tc.after...), calls); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
			if tc.name == "list" {
				if got := decoded[listBody](t, resp); len(got.Carriers) != 2 {
					t.Errorf("%d carriers", len(got.Carriers))
				}
			}
		})
	}
}
