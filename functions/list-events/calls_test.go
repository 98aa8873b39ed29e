package main

import (
	"crypto/rand"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/views"
)

// TestRemoteCalls checks the calls of a request: the account of a merchant is read
// concurrently with the write for the API key; queries run once the key is proven, and the
// accounts of a partner's events are read after them.
func TestRemoteCalls(t *testing.T) { calltrace.Attempts(t, remoteCalls) }

func remoteCalls(t *calltrace.Attempt) {
	d := functiontest.EmptyOnEngines(t, functiontest.StartTable(t), "calls")
	d.Clock = start()
	d.AddPartner(account.Partner{ID: 5})
	at := effects.EventIDsFrom(d.Clock)
	for i, id := range []int64{71, 72} {
		event := effects.Event{ID: at + []string{"000000000071", "000000000072"}[i], Type: effects.AccountCreated, PartnerID: 5, AccountID: id, Subject: "account", At: d.Clock, Data: []byte("{}")}
		d.AddAccount(account.Account{ID: id, PartnerID: 5, Active: true})
		err := d.Store.CreateKey(t.Context(), account.APIKey{ID: id, PartnerID: 5, AccountID: id, Hash: event.ID}, effects.Effects{Events: []effects.Event{event}}, d.Clock)
		if err != nil {
			t.Fatal(err)
		}
	}
	h := &handler{auth: d.Auth(), store: d.Store, sealer: d.Sealer(), now: d.Now}
	d.Serve(h.routes()...)
	for _, who := range []string{"account 71", "partner 5"} { // the first use of a key in a minute is one call more
		d.Do(who, http.MethodGet, "/v1/events", "")
	}
	tag := d.Do("account 71", http.MethodGet, "/v1/events/"+at+"000000000071", "").Headers["ETag"]

	beside, alone := []string{"BatchGetItem", "UpdateItem"}, []string{"UpdateItem"}
	tests := []struct {
		name, who, path string
		headers         []string
		status          int
		first           []string // concurrent, in any order
		after           []string
	}{
		{"no key", "partner 5", "/v1/events", []string{"API-Key", "x"}, 401, nil, nil},
		{"another account", "account 71", "/v1/events", []string{"On-Behalf-Of", "72"}, 404, alone, nil},
		{"another account of the partner", "account 71", "/v1/events?account_id=72", nil, 404, beside, nil},
		{"a wrong filter", "partner 5", "/v1/events?event_type=x", nil, 400, alone, nil},
		{"a merchant's events", "account 71", "/v1/events", nil, 200, beside, []string{"Query"}},
		{"a partner's events", "partner 5", "/v1/events", nil, 200, alone, []string{"Query", "BatchGetItem"}},
		{"none of a partner", "partner 5", "/v1/events?event_type=account_deleted", nil, 200, alone, []string{"Query"}},
		{"a partner's events of an account", "partner 5", "/v1/events?account_id=71", nil, 200, alone, []string{"Query", "BatchGetItem"}},
		{"a malformed id", "partner 5", "/v1/events/x", nil, 400, alone, nil},
		{"absent", "partner 5", "/v1/events/" + at + "000000000073", nil, 404, alone, []string{"Query"}},
		{"a merchant's event", "account 71", "/v1/events/" + at + "000000000071", nil, 200, beside, []string{"Query"}},
		{"a merchant's event, not modified", "account 71", "/v1/events/" + at + "000000000071", []string{"If-None-Match", tag}, 304, beside, []string{"Query"}},
		{"a partner's event", "partner 5", "/v1/events/" + at + "000000000072", nil, 200, alone, []string{"Query", "BatchGetItem"}},
		{"a merchant's log", "account 71", "/v1/audit_log", nil, 200, beside, []string{"Query"}},
		{"a partner's log", "partner 5", "/v1/audit_log", nil, 200, alone, []string{"Query"}},
	}
	for _, path := range []string{"/v1/events", "/v1/events/" + at + "000000000071", "/v1/audit_log"} {
		for what, want := range map[string][]string{"account 71": beside, "partner 5": alone} {
			key := account.Key{}
			var err error
			if what == "partner 5" {
				key, err = account.NewKey(rand.Reader, carrier.Production, 5, 0)
			} else {
				key, err = account.NewKey(rand.Reader, carrier.Production, 0, 71)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Run("a forged key of "+what+", "+path, func(t *calltrace.Attempt) {
				d.Transport.Reset()
				if resp := d.Do(what, http.MethodGet, path, "", "API-Key", key.Text.Reveal()); resp.StatusCode != http.StatusUnauthorized {
					t.Fatalf("%d %s, want 401", resp.StatusCode, resp.Body)
				}
				if diff := cmp.Diff(want, slices.Sorted(slices.Values(d.Transport.Calls()))); diff != "" {
					t.Errorf("remote calls (-want +got):\n%s", diff)
				}
			})
		}
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *calltrace.Attempt) {
			d.Transport.Reset()
			resp := d.Do(tc.who, http.MethodGet, tc.path, "", tc.headers...)
			if resp.StatusCode != tc.status {
				t.Fatalf("%d %s, want %d", resp.StatusCode, resp.Body, tc.status)
			}
			calls := d.Transport.Calls()
			slices.Sort(calls[:min(len(tc.first), len(calls))])
			if diff := cmp.Diff(append(slices.Clone(tc.first), tc.after...), calls); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
			if tc.name == "a partner's events" {
				if got := functiontest.Read[views.EventsPage](t, resp, http.StatusOK); len(got.Events) != 2 {
					t.Errorf("%d events", len(got.Events))
				}
			}
		})
	}
}
