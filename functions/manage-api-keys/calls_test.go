package main

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
)

// TestRemoteCalls: a request takes one write for the partner's key, concurrent with the read
// of the account; after authentication one query of the account's keys, if one or all of
// them are needed; then one transaction for a change.
func TestRemoteCalls(t *testing.T) { calltrace.Attempts(t, remoteCalls) }

func remoteCalls(t *calltrace.Attempt) {
	d := open(functiontest.EmptyOnEngines(t, functiontest.StartTable(t), "calls"))
	d.list(t) // the first use of a key in a minute costs one more call

	acct, keys := []string{"BatchGetItem", "UpdateItem"}, []string{"Query"}
	change := []string{"TransactWriteItems"}
	keysAndChange := []string{"Query", "TransactWriteItems"}
	own := fmt.Sprintf("/%d", d.first[71])
	tests := []struct {
		name, method, rest, body string
		headers                  []string
		status                   int
		beside, after            []string // concurrent, in any order; then
	}{
		{"no key", http.MethodGet, "", "", []string{"API-Key", "x"}, 401, nil, nil},
		{"list", http.MethodGet, "", "", nil, 200, acct, keys},
		{"create, wrong", http.MethodPost, "", `{"scopes":[]}`, nil, 400, acct, nil},
		{"create", http.MethodPost, "", `{}`, nil, 200, acct, change},
		{"create with an idempotency key", http.MethodPost, "", `{}`, []string{"Idempotency-Key", "k"}, 200, acct, change},
		{"create, again", http.MethodPost, "", `{}`, []string{"Idempotency-Key", "k"}, 200, acct, change},
		{"rotate an absent one", http.MethodPost, "/1/rotate", ``, nil, 404, acct, keys},
		{"rotate, wrong", http.MethodPost, own + "/rotate", `{"x":1}`, nil, 400, acct, keys},
		{"rotate", http.MethodPost, own + "/rotate", ``, []string{"Idempotency-Key", "k"}, 200, acct, keysAndChange},
		{"rotate, again", http.MethodPost, own + "/rotate", ``, []string{"Idempotency-Key", "k"}, 200, acct, keysAndChange},
		{"rotate a rotated one", http.MethodPost, own + "/rotate", ``, nil, 409, acct, keysAndChange},
		{"delete", http.MethodDelete, own, "", nil, 204, acct, keysAndChange},
		{"delete an absent one", http.MethodDelete, own, "", nil, 404, acct, keys},
	}
	forged, err := account.NewKey(rand.Reader, carrier.Production, 5, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct{ method, rest string }{
		{http.MethodGet, ""}, {http.MethodPost, ""}, {http.MethodPost, own + "/rotate"}, {http.MethodDelete, own},
	} {
		t.Run("a forged key, "+of.method+of.rest, func(t *calltrace.Attempt) {
			d.Transport.Reset()
			if resp := d.ask("partner 5", of.method, "71", of.rest, "{}", "API-Key", forged.Text.Reveal()); resp.StatusCode != http.StatusUnauthorized {
				t.Fatalf("%d %s, want 401", resp.StatusCode, resp.Body)
			}
			if diff := cmp.Diff(acct, slices.Sorted(slices.Values(d.Transport.Calls()))); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
		})
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *calltrace.Attempt) {
			d.Transport.Reset()
			if resp := d.ask("partner 5", tc.method, "71", tc.rest, tc.body, tc.headers...); resp.StatusCode != tc.status {
				t.Fatalf("%d %s, want %d", resp.StatusCode, resp.Body, tc.status)
			}
			calls := d.Transport.Calls()
			slices.Sort(calls[:min(len(tc.beside), len(calls))])
			if diff := cmp.Diff(append(slices.Clone(tc.beside), tc.after...), calls); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
		})
	}
}
