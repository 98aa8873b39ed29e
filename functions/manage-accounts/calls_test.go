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
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
)

// TestRemoteCalls: a request takes one write for the key, concurrent with the read of the
// account, then one transaction for a change, with or without an Idempotency-Key. A list
// takes one query after authentication. After a change of state the connections follow:
// the account and its connections are read; each connection takes one write, two if its
// secret is deleted, three if it is restored (the vault is in memory); last come the
// account's keys and its mark.
func TestRemoteCalls(t *testing.T) { calltrace.Attempts(t, remoteCalls) }

func remoteCalls(t *calltrace.Attempt) {
	d := serve(functiontest.EmptyOnEngines(t, functiontest.StartTable(t), "calls"))
	d.AddPartner(account.Partner{ID: 5})
	d.AddAccount(account.Account{ID: 71, PartnerID: 5, ExternalID: "shop/1", OriginCountryCode: "AU", Active: true})
	d.AddAccount(account.Account{ID: 72, PartnerID: 5, ExternalID: "shop/2", OriginCountryCode: "AU", Active: true})
	conn := connection.Connection{
		ID: "se-1234567", AccountID: 72, PartnerID: 5, Carrier: carrier.StarTrack, AccountNumber: "09912345", Standing: account.StandingActive, LeaseUntil: d.Clock,
	}
	if err := d.Store.BeginLink(t.Context(), &conn, connection.LinkOptions{}); err != nil {
		t.Fatal(err)
	}
	conn.Status = connection.Active
	if err := d.Store.FinishLink(t.Context(), &conn, nil, &connection.Snapshot{Packed: []byte("x"), At: d.Clock}, effects.Effects{}, d.Clock); err != nil {
		t.Fatal(err)
	}
	tag := d.Do("partner 5", http.MethodGet, allPath+"/71", "").Headers["ETag"] // the first use of a key in a minute costs one more call

	read, change := []string{"BatchGetItem", "UpdateItem"}, []string{"TransactWriteItems"}
	following := func(writes int) []string {
		const write = "TransactWriteItems"
		return slices.Concat([]string{write, "BatchGetItem", "Query"}, slices.Repeat([]string{write}, writes), []string{"Query", write})
	}
	const one, linked, external = allPath + "/71", allPath + "/72", allPath + "/external_account_id/"
	keyed := []string{"Idempotency-Key", "k"}
	tests := []struct {
		name, method, target, body string
		headers                    []string
		status                     int
		beside, after              []string // concurrent, in any order; then
	}{
		{"no key", http.MethodGet, one, "", []string{"API-Key", "x"}, 401, nil, nil},
		{"a malformed id", http.MethodGet, allPath + "/x", "", nil, 400, []string{"UpdateItem"}, nil},
		{"absent", http.MethodGet, allPath + "/99", "", nil, 404, read, nil},
		{"get", http.MethodGet, one, "", nil, 200, read, nil},
		{"get, not modified", http.MethodGet, one, "", []string{"If-None-Match", tag}, 304, read, nil},
		{"get by external id", http.MethodGet, external + "shop%2F1", "", nil, 200, []string{"GetItem", "UpdateItem"}, []string{"BatchGetItem"}},
		{"get by nobody's external id", http.MethodGet, external + "x", "", nil, 404, []string{"GetItem", "UpdateItem"}, nil},
		{"list", http.MethodGet, allPath, "", nil, 200, []string{"UpdateItem"}, []string{"Query"}},
		{"list of the active ones", http.MethodGet, allPath + "?active=true&page_size=1", "", nil, 200, []string{"UpdateItem"}, []string{"Query"}},
		{"list, wrong", http.MethodGet, allPath + "?page=x", "", nil, 400, []string{"UpdateItem"}, nil},
		{"list of an external id", http.MethodGet, allPath + "?external_account_id=shop%2F1", "", nil, 200, []string{"UpdateItem"}, []string{"GetItem", "BatchGetItem"}},
		{"countries", http.MethodGet, "/v1/partners/countries", "", nil, 200, []string{"UpdateItem"}, nil},
		{"a wrong change", http.MethodPatch, one, `{"x":1}`, nil, 400, read, nil},
		{"a change of another version", http.MethodPatch, one, `{}`, []string{"If-Match", `"x"`}, 412, read, nil},
		{"change", http.MethodPatch, one, `{"first_name":"Eve","external_account_id":"shop/3"}`, keyed, 200, read, change},
		{"change, again", http.MethodPatch, one, `{"first_name":"Eve","external_account_id":"shop/3"}`, keyed, 200, read, change},
		{"change to what is taken", http.MethodPatch, one, `{"external_account_id":"shop/2"}`, nil, 409, read, change},
		{"disable", http.MethodPut, one + "/disable", "", keyed, 204, read, following(0)},
		{"disable, again", http.MethodPut, one + "/disable", "", keyed, 204, read, change},
		{"disable one that is disabled", http.MethodPut, one + "/disable", "", nil, 204, read, nil},
		{"enable", http.MethodPut, one + "/enable", "", nil, 204, read, following(0)},
		{"restore of one that is there", http.MethodPut, one + "/restore", "", nil, 409, read, nil},
		{"delete", http.MethodDelete, one, "", nil, 204, read, following(0)},
		{"delete of a deleted one", http.MethodDelete, one, "", nil, 204, read, nil},
		{"restore", http.MethodPut, one + "/restore", "", keyed, 204, read, following(0)},
		{"disable of this version", http.MethodPut, one + "/disable", "", []string{"If-Match", "*"}, 204, read, following(0)},
		{"disable, with a carrier", http.MethodPut, linked + "/disable", "", nil, 204, read, following(1)},
		{"delete, with a carrier", http.MethodDelete, linked, "", nil, 204, read, following(2)},
		{"restore, with a carrier", http.MethodPut, linked + "/restore", "", nil, 204, read, following(3)},
		{"enable, with a carrier", http.MethodPut, linked + "/enable", "", nil, 204, read, following(1)},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *calltrace.Attempt) {
			d.Transport.Reset()
			if resp := d.Do("partner 5", tc.method, tc.target, tc.body, tc.headers...); resp.StatusCode != tc.status {
				t.Fatalf("%d %s, want %d", resp.StatusCode, resp.Body, tc.status)
			}
			if tc.name == "get" {
				d.Costs(t, "read_account")
			}
			calls := d.Transport.Calls()
			n := min(len(tc.beside), len(calls))
			slices.Sort(calls[:n])
			if diff := cmp.Diff(append(slices.Clone(tc.beside), tc.after...), calls); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
		})
	}
	forged, err := account.NewKey(rand.Reader, carrier.Production, 5, 0)
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string][]string{
		allPath: {"UpdateItem"}, allPath + "?active=true&page=2": {"UpdateItem"}, allPath + "?external_account_id=shop%2F1": {"UpdateItem"},
		one: read, external + "shop%2F1": {"GetItem", "UpdateItem"},
	} {
		t.Run("a forged key, "+target, func(t *calltrace.Attempt) {
			d.Transport.Reset()
			if resp := d.Do("partner 5", http.MethodGet, target, "", "API-Key", forged.Text.Reveal()); resp.StatusCode != http.StatusUnauthorized {
				t.Fatalf("%d %s, want 401", resp.StatusCode, resp.Body)
			}
			if diff := cmp.Diff(want, slices.Sorted(slices.Values(d.Transport.Calls()))); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a repeat after the version has changed costs one more read", func(t *calltrace.Attempt) {
		headers := []string{"Idempotency-Key", "k2", "If-Match", d.Do("partner 5", http.MethodGet, one, "").Headers["ETag"]}
		for _, after := range [][]string{{"TransactWriteItems"}, {"GetItem"}} {
			d.Transport.Reset()
			if resp := d.Do("partner 5", http.MethodPatch, one, `{"first_name":"Ada"}`, headers...); resp.StatusCode != http.StatusOK {
				t.Fatalf("%d %s", resp.StatusCode, resp.Body)
			}
			if diff := cmp.Diff(after, d.Transport.Calls()[2:]); diff != "" {
				t.Errorf("after authentication (-want +got):\n%s", diff)
			}
		}
	})
}
