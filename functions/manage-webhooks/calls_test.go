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
	"carrierlink/shared/effects"
	"carrierlink/shared/webhook"
)

// TestRemoteCalls: a request takes one write for the key, concurrent with the read of the
// account that it acts for; then one read of the list, and one transaction for a change.
func TestRemoteCalls(t *testing.T) { calltrace.Attempts(t, remoteCalls) }

func remoteCalls(t *calltrace.Attempt) {
	d := serve(t, functiontest.EmptyOnEngines(t, functiontest.StartTable(t), "calls"))
	w := d.create("account 71", good)
	d.list("partner 5") // the first use of a key in a minute costs one more call
	id := d.happens(effects.CarrierConnected)
	d.delivered(w.WebhookID, webhook.Failed, id)

	acct, own := []string{"BatchGetItem", "UpdateItem"}, []string{"UpdateItem"}
	list, change := []string{"BatchGetItem"}, []string{"BatchGetItem", "TransactWriteItems"}
	one, delivery := "/"+w.WebhookID, "/"+w.WebhookID+"/deliveries/"+id
	since := `{"created_at_start":"2026-01-01T00:00:00Z"}`
	replay := []string{"BatchGetItem", "BatchGetItem", "Query", "Query", "BatchWriteItem", "UpdateItem"}
	key := []string{"Idempotency-Key", "k"}
	tests := []struct {
		name, who, method, rest, body string
		headers                       []string
		status                        int
		beside, after                 []string // concurrent, in any order; then
	}{
		{"no key", "account 71", http.MethodGet, "", "", []string{"API-Key", "x"}, 401, nil, nil},
		{"list", "account 71", http.MethodGet, "", "", nil, 200, acct, list},
		{"list of a partner", "partner 5", http.MethodGet, "", "", nil, 200, own, list},
		{"get", "account 71", http.MethodGet, one, "", nil, 200, acct, list},
		{"create, wrong", "account 71", http.MethodPost, "", `{}`, nil, 400, acct, nil},
		{"create, a duplicate", "account 71", http.MethodPost, "", good, nil, 409, acct, list},
		{"create", "partner 5", http.MethodPost, "", good, key, 200, own, change},
		{"create, again", "partner 5", http.MethodPost, "", good, key, 200, own, []string{"BatchGetItem", "GetItem"}},
		{"change", "account 71", http.MethodPut, one, `{"name":"x"}`, key, 204, acct, change},
		{"change nothing", "account 71", http.MethodPut, one, `{"name":"x"}`, nil, 204, acct, list},
		{"disable", "account 71", http.MethodPut, one, `{"enabled":false}`, nil, 204, acct, change},
		{"enable", "account 71", http.MethodPut, one, `{"enabled":true}`, nil, 204, acct, change},
		{"test", "account 71", http.MethodPost, one + "/test", "", key, 202, acct, change},
		{"rotate", "account 71", http.MethodPost, one + "/rotate_secret", "", key, 200, acct, change},
		{"deliveries", "account 71", http.MethodGet, one + "/deliveries", "", nil, 200, acct, []string{"BatchGetItem", "Query"}},
		{"delivery", "account 71", http.MethodGet, delivery, "", nil, 200, acct, []string{"BatchGetItem", "BatchGetItem"}},
		{"replay", "account 71", http.MethodPost, delivery + "/replay", "", nil, 202, acct, replay},
		{"replay with a key", "account 71", http.MethodPost, delivery + "/replay", "", key, 202, acct, slices.Concat([]string{"TransactWriteItems"}, replay, []string{"TransactWriteItems"})},
		{"replay, again", "account 71", http.MethodPost, delivery + "/replay", "", key, 202, acct, []string{"TransactWriteItems"}},
		{"replay a span", "account 71", http.MethodPost, one + "/replay", since, nil, 202, acct, []string{"BatchGetItem", "Query", "Query", "Query", "BatchWriteItem", "UpdateItem"}},
		{
			"replay a span without events", "account 71", http.MethodPost, one + "/replay", `{"created_at_start":"2026-01-01T00:00:00Z","created_at_end":"2026-01-02T00:00:00Z"}`, key, 202, acct,
			[]string{"TransactWriteItems", "BatchGetItem", "TransactWriteItems"},
		},
		{"delete", "account 71", http.MethodDelete, one, "", nil, 204, acct, change},
		{"delete an absent one", "account 71", http.MethodDelete, one, "", nil, 404, acct, list},
	}
	forged, err := account.NewKey(rand.Reader, carrier.Production, 0, 71)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range operations {
		t.Run("a forged key, "+op.method+op.rest, func(t *calltrace.Attempt) {
			d.Transport.Reset()
			rest := op.rest
			if len(rest) > 0 {
				rest = fmt.Sprintf(op.rest, "se-1")
			}
			if resp := d.ask("account 71", op.method, rest, op.body, "API-Key", forged.Text.Reveal()); resp.StatusCode != http.StatusUnauthorized {
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
			if resp := d.ask(tc.who, tc.method, tc.rest, tc.body, tc.headers...); resp.StatusCode != tc.status {
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
