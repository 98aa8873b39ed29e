package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/views"
)

// onTable returns the function over a real table with partner 5, with every remote call
// traced.
func onTable(tb testing.TB, engines functiontest.Engines, name string) *functiontest.Fixture {
	tb.Helper()
	d := functiontest.EmptyOnEngines(tb, engines, name)
	d.AddPartner(account.Partner{ID: 5, DefaultCountryCode: "AU"})
	serve(d)
	return d
}

// TestCrashAfterEachCall kills the process after each remote call of a creation and
// repeats the request: there is one account, and its key works.
func TestCrashAfterEachCall(t *testing.T) {
	engines := functiontest.StartTable(t)
	const body = `{"first_name":"Ada","external_account_id":"m-1","email":"ada@example.com"}`
	for n, more := 1, true; more; n++ {
		t.Run(fmt.Sprintf("call %d", n), func(t *testing.T) {
			w := onTable(t, engines, fmt.Sprintf("crash-%d", n))
			headers := []string{"Idempotency-Key", "order-66"}
			p := w.Process()
			serve(p)
			if more = p.Transport.DieAfter(n, func() { post(p, "partner 5", body, headers...) }); !more && n < 3 {
				t.Fatalf("creation took %d remote calls, want at least 2", n-1)
			}
			first, second := post(w, "partner 5", body, headers...), post(w, "partner 5", body, headers...)
			if first.StatusCode != http.StatusOK || first.Body != second.Body {
				t.Fatalf("repeats answer %d %s and %d %s, want 200 and the same", first.StatusCode, first.Body, second.StatusCode, second.Body)
			}
			if second.Headers["Idempotent-Replayed"] != "true" {
				t.Error("the last repeat is not marked as replayed")
			}
			var made views.CreatedAccount
			if err := json.Unmarshal([]byte(first.Body), &made); err != nil {
				t.Fatal(err)
			}
			key, ok := account.ParseKey(made.APIKey.EncryptedAPIKey)
			if !ok || key.AccountID != made.AccountID {
				t.Fatalf("the key is not of account %d", made.AccountID)
			}
			if _, err := w.Store.UseKey(t.Context(), account.KeyUse{AccountID: key.AccountID, Hash: key.Hash(), Now: w.Clock, Limit: 10}); err != nil {
				t.Errorf("the key does not work: %v", err)
			}
			// Partner, its entry in the list and its key; account, its key, email, external id, event; the stored answer.
			if items := w.Items(); len(items) != 9 {
				t.Errorf("the table has %d items, want 9: %v", len(items), items)
			}
		})
	}
}

// TestRemoteCalls: a creation takes one call to authenticate and one transaction, with or
// without an Idempotency-Key.
func TestRemoteCalls(t *testing.T) { calltrace.Attempts(t, remoteCalls) }

func remoteCalls(t *calltrace.Attempt) {
	w := onTable(t, functiontest.StartTable(t), "calls")
	key := w.Keys["partner 5"]
	post(w, "partner 5", `{}`) // the first use of a key in a minute costs one more call
	tests := []struct {
		name, body string
		headers    []string
		status     int
		want       []string
	}{
		{"a mistyped key", `{}`, []string{"API-Key", key[:len(key)-1] + "!"}, http.StatusUnauthorized, nil},
		{"bad input", `{"email":1}`, nil, http.StatusBadRequest, []string{"UpdateItem"}},
		{"create", `{"external_account_id":"a"}`, nil, http.StatusOK, []string{"UpdateItem", "TransactWriteItems"}},
		{"create with an idempotency key", `{"external_account_id":"b"}`, []string{"Idempotency-Key", "k"}, http.StatusOK, []string{"UpdateItem", "TransactWriteItems"}},
		{"replay", `{"external_account_id":"b"}`, []string{"Idempotency-Key", "k"}, http.StatusOK, []string{"UpdateItem", "TransactWriteItems"}},
		{"taken", `{"external_account_id":"a"}`, nil, http.StatusConflict, []string{"UpdateItem", "TransactWriteItems"}},
		{
			"return the existing one", `{"external_account_id":"a"}`,
			[]string{"Prefer", "return=existing"},
			http.StatusOK,
			[]string{"UpdateItem", "TransactWriteItems", "BatchGetItem"},
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *calltrace.Attempt) {
			w.Transport.Reset()
			if resp := post(w, "partner 5", tc.body, tc.headers...); resp.StatusCode != tc.status {
				t.Fatalf("create answers %d: %s, want %d", resp.StatusCode, resp.Body, tc.status)
			}
			if tc.name == "create with an idempotency key" {
				w.Costs(t, "create_account")
			}
			if diff := cmp.Diff(tc.want, w.Transport.Calls()); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
		})
	}
}
