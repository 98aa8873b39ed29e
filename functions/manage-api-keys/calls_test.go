package main

import (
	"context"
	"crypto/rand"
	"fmt"
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
	"carrierlink/shared/seal"
	"carrierlink/shared/store"
)

// TestRemoteCalls counts: one write for the partner's key beside the read of the
// account; where one of its keys is named or all are listed, a query of its keys
// once the partner's is proven; then one transaction for a change.
func TestRemoteCalls(t *testing.T) { probe.Attempts(t, remoteCalls) }

func remoteCalls(t *probe.Attempt) {
	url := probe.Emulator(t, emulator.StartDynamoDBLocal)
	probe.Table(t, emulator.Config(url), "calls")
	var wire probe.Wire
	t.Watch(&wire)
	table := store.New(dynamodb.NewFromConfig(wire.Config(url)), "calls", store.Options{})
	d := &desk{clock: time.Date(2026, 11, 22, 6, 0, 10, 0, time.UTC), texts: map[string]string{}, first: map[int64]int64{}}
	now := func() time.Time { return d.clock }
	d.handler = &handler{
		auth: &auth.Auth{Keys: table, Now: now, Limits: auth.Limits{Production: 1_000_000}}, keys: table,
		sealer: seal.New(func(context.Context) (carrier.Secret, error) { return carrier.NewSecret("the service secret"), nil }), now: now, random: rand.Reader,
	}
	d.api = &httpapi.API{Log: slog.New(slog.DiscardHandler), Now: now, Routes: d.routes()}
	d.made(t, "five", carrier.APIKey{PartnerID: 5}, func(k carrier.APIKey) error {
		return table.CreatePartner(t.Context(), carrier.Partner{ID: 5, Environment: carrier.Production}, k)
	})
	d.made(t, "account 71", carrier.APIKey{PartnerID: 5, AccountID: 71}, func(k carrier.APIKey) error {
		d.first[71] = k.ID
		_, err := table.CreateAccount(t.Context(), store.NewAccount{Account: carrier.Account{ID: 71, PartnerID: 5, Active: true, CreatedAt: d.clock}, Key: k}, d.clock)
		return err
	})
	d.list(t) // the first use of a key in a minute is one call more

	account, keys := []string{"BatchGetItem", "UpdateItem"}, []string{"Query"}
	change := []string{"TransactWriteItems"}
	keysAndChange := []string{"Query", "TransactWriteItems"}
	own := fmt.Sprintf("/%d", d.first[71])
	tests := []struct {
		name, method, rest, body string
		headers                  []string
		status                   int
		beside, after            []string // at once, in any order; then
	}{
		{"no key", http.MethodGet, "", "", []string{"API-Key", "x"}, 401, nil, nil},
		{"list", http.MethodGet, "", "", nil, 200, account, keys},
		{"create, wrong", http.MethodPost, "", `{"scopes":[]}`, nil, 400, account, nil},
		{"create", http.MethodPost, "", `{}`, nil, 200, account, change},
		{"create with an idempotency key", http.MethodPost, "", `{}`, []string{"Idempotency-Key", "k"}, 200, account, change},
		{"create, again", http.MethodPost, "", `{}`, []string{"Idempotency-Key", "k"}, 200, account, change},
		{"rotate an absent one", http.MethodPost, "/1/rotate", ``, nil, 404, account, keys},
		{"rotate, wrong", http.MethodPost, own + "/rotate", `{"x":1}`, nil, 400, account, keys},
		{"rotate", http.MethodPost, own + "/rotate", ``, []string{"Idempotency-Key", "k"}, 200, account, keysAndChange},
		{"rotate, again", http.MethodPost, own + "/rotate", ``, []string{"Idempotency-Key", "k"}, 200, account, keysAndChange},
		{"rotate a rotated one", http.MethodPost, own + "/rotate", ``, nil, 409, account, keysAndChange},
		{"delete", http.MethodDelete, own, "", nil, 204, account, keysAndChange},
		{"delete an absent one", http.MethodDelete, own, "", nil, 404, account, keys},
	}
	forged, err := auth.NewKey(rand.Reader, carrier.Production, 5, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct{ method, rest string }{
		{http.MethodGet, ""}, {http.MethodPost, ""}, {http.MethodPost, own + "/rotate"}, {http.MethodDelete, own},
	} {
		t.Run("a forged key, "+of.method+of.rest, func(t *probe.Attempt) {
			wire.Reset()
			if resp := d.ask(t, "five", of.method, "71", of.rest, "{}", "API-Key", forged.Text.Reveal()); resp.StatusCode != http.StatusUnauthorized {
				t.Fatalf("%d %s, want 401", resp.StatusCode, resp.Body)
			}
			if diff := cmp.Diff(account, slices.Sorted(slices.Values(wire.Calls()))); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
		})
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *probe.Attempt) {
			wire.Reset()
			if resp := d.ask(t, "five", tc.method, "71", tc.rest, tc.body, tc.headers...); resp.StatusCode != tc.status {
				t.Fatalf("%d %s, want %d", resp.StatusCode, resp.Body, tc.status)
			}
			calls := wire.Calls()
			slices.Sort(calls[:min(len(tc.beside), len(calls))])
			if diff := cmp.Diff(append(slices.Clone(tc.beside), tc.after...), calls); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
		})
	}
}
