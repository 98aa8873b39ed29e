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
)

// TestRemoteCalls: a request takes one write for the partner's key, concurrent with the read
// of what it is about; then one read of the login, if it is needed, and one write. An
// Idempotency-Key of an invitation is claimed first. Its mail is queued before the change.
func TestRemoteCalls(t *testing.T) { calltrace.Attempts(t, remoteCalls) }

func remoteCalls(t *calltrace.Attempt) {
	d := serve(t, functiontest.EmptyOnEngines(t, functiontest.StartEngines(t), "calls"))
	d.QueueMails()
	d.Do("partner 5", http.MethodGet, settingsPath, "") // the first use of a key in a minute costs one more call

	invitations, sessions, ephemeral := accountPath(merchant, "login_invitations"), accountPath(merchant, "sessions"), "/v1/tokens/ephemeral"
	acct, own := []string{"BatchGetItem", "UpdateItem"}, []string{"UpdateItem"}
	change, readAndChange := []string{"TransactWriteItems"}, []string{"BatchGetItem", "TransactWriteItems"}
	key, behalf := []string{"Idempotency-Key", "k"}, []string{"On-Behalf-Of", "71"}
	mailed := []string{"BatchGetItem", "UpdateItem", "SendMessageBatch", "TransactWriteItems"}
	tests := []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		beside, after            []string // concurrent, in any order; then
		operation                string   // of counts.yaml; may be empty
	}{
		{"no key", http.MethodGet, settingsPath, "", []string{"API-Key", "x"}, 401, nil, nil, ""},
		{"invite, wrong", http.MethodPost, invitations, `{"deliver":1}`, nil, 400, acct, nil, ""},
		{"invite", http.MethodPost, invitations, "", nil, 201, acct, mailed, ""},
		{"invite, by a link", http.MethodPost, invitations, `{"deliver":"none"}`, nil, 201, acct, readAndChange, ""},
		{"invite with a key", http.MethodPost, invitations, "", key, 201, acct, slices.Concat(change, mailed), "invite"},
		{"invite, again", http.MethodPost, invitations, "", key, 201, acct, change, ""},
		{"invite, no email", http.MethodPost, accountPath(noEmail, "login_invitations"), "", nil, 409, acct, []string{"BatchGetItem"}, ""},
		{"end sessions", http.MethodDelete, sessions, "", nil, 204, acct, change, "end_sessions"},
		{"ephemeral, wrong", http.MethodPost, ephemeral + "?redirect=x", "", behalf, 400, acct, nil, ""},
		{"ephemeral", http.MethodPost, ephemeral, "", behalf, 200, acct, readAndChange, "ephemeral"},
		{"settings", http.MethodGet, settingsPath, "", nil, 200, acct, nil, "read_settings"},
		{"replace settings, wrong", http.MethodPut, settingsPath, `{"accent_color":"red"}`, nil, 400, own, nil, ""},
		{"replace settings", http.MethodPut, settingsPath, allSettings, key, 200, own, readAndChange, "replace_settings"},
		{"replace settings, again", http.MethodPut, settingsPath, allSettings, key, 200, own, readAndChange, ""},
		{"replace settings, the same", http.MethodPut, settingsPath, allSettings, nil, 200, own, []string{"BatchGetItem"}, ""},
	}
	forged, err := account.NewKey(rand.Reader, carrier.Production, 5, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct {
		method, path string
		beside       []string
	}{
		{http.MethodPost, invitations, acct},
		{http.MethodDelete, sessions, acct},
		{http.MethodPost, ephemeral, acct},
		{http.MethodGet, settingsPath, acct},
		{http.MethodPut, settingsPath, own},
	} {
		t.Run("a forged key, "+of.method+of.path, func(t *calltrace.Attempt) {
			d.Transport.Reset()
			if resp := d.Do("partner 5", of.method, of.path, "{}", "API-Key", forged.Text.Reveal(), "On-Behalf-Of", "71"); resp.StatusCode != http.StatusUnauthorized {
				t.Fatalf("%d %s, want 401", resp.StatusCode, resp.Body)
			}
			if diff := cmp.Diff(of.beside, slices.Sorted(slices.Values(d.Transport.Calls()))); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
		})
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *calltrace.Attempt) {
			d.Transport.Reset()
			d.Mails.Take()
			if resp := d.Do("partner 5", tc.method, tc.path, tc.body, tc.headers...); resp.StatusCode != tc.status {
				t.Fatalf("%d %s, want %d", resp.StatusCode, resp.Body, tc.status)
			}
			calls := d.Transport.Calls()
			slices.Sort(calls[:min(len(tc.beside), len(calls))])
			if diff := cmp.Diff(append(slices.Clone(tc.beside), tc.after...), calls); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
			if tc.operation != "" {
				d.Costs(t, tc.operation)
			}
		})
	}
}
