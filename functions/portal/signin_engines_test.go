package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
)

// withLogins returns the function over a table on an engine, with the logins of newFront.
func withLogins(tb testing.TB, engines functiontest.Engines, table string) *front {
	tb.Helper()
	d := functiontest.EmptyOnEngines(tb, engines, table)
	d.AddPartner(account.Partner{ID: 5, Name: "Parcel Hub"})
	d.AddAccount(account.Account{ID: 71, PartnerID: 5, CompanyName: "Blue Gum Trading", OriginCountryCode: "AU", Active: true})
	d.AddAccount(account.Account{ID: 72, PartnerID: 5, Email: "none@example.com", OriginCountryCode: "AU", Active: true})
	d.AddLogin(71)
	f := serve(d)
	f.tb = tb
	return f
}

// TestSignInCalls: a page takes one read, its list one query; a change one read and one
// transaction. An email that nobody has takes the calls of one that somebody has.
func TestSignInCalls(t *testing.T) { calltrace.Attempts(t, signInCalls) }

func signInCalls(t *calltrace.Attempt) {
	d := withLogins(t, functiontest.StartTable(t), "signin")
	b := d.visitor(jo)
	const read, change = "BatchGetItem", "TransactWriteItems"
	details := d.details(t, "last_name", "King")
	for _, tc := range []struct {
		name, path string
		post       url.Values // nil: GET
		status     int
		want       []string
	}{
		{"account", accountPath, nil, 200, []string{read}},
		{"details", detailsPath, nil, 200, []string{read}},
		{"sessions", sessionsPath, nil, 200, []string{read, "Query"}},
		{"confirmation", confirmPath, nil, 200, []string{read}},
		{"sign-in of somebody who is signed in", signInPath, nil, 303, []string{read}},
		{"wrong details", detailsPath, fields("company_name", strings.Repeat("W", 51)), 422, []string{read}},
		{"change of the details", detailsPath, details, 303, []string{read, change}},
		{"forgot", forgotPath, nil, 200, nil},
		{"a link that cannot be", "/portal/reset/x", nil, 404, nil},
	} {
		t.Run(tc.name, func(t *calltrace.Attempt) {
			d.Transport.Reset()
			do := func() *functiontest.Shown { return b.Get(tc.path) }
			if tc.post != nil {
				do = func() *functiontest.Shown { return b.Post(tc.path, tc.post) }
			}
			if s := do(); s.Status != tc.status {
				t.Fatalf("%d, want %d:\n%s", s.Status, tc.status, s.Text())
			}
			if diff := cmp.Diff(tc.want, d.Transport.Calls()); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
		})
	}
	for _, page := range []string{signInPath, forgotPath} {
		var first []string
		for _, email := range []string{jo, "none@example.com", "eve@example.com"} {
			d.Transport.Reset()
			d.browser().Post(page, fields("email", email, "password", "canary wrong"))
			calls := d.Transport.Calls()
			if slices.Sort(calls); first == nil {
				first = calls
			}
			if diff := cmp.Diff(first, calls); diff != "" || len(calls) == 0 {
				t.Errorf("POST %s for %s (-known +this):\n%s", page, email, diff)
			}
		}
	}
}

// TestDeathAfterEachCall kills the process after each remote call of a form that changes the
// login. Then the form is sent again: there is one truth, and it is the new one.
func TestDeathAfterEachCall(t *testing.T) {
	engines := functiontest.StartTable(t)
	for name, op := range map[string]struct {
		path   func(*front) string
		fields url.Values
		again  []int // the statuses that a repetition may have
		email  string
		pass   string
		ended  bool // earlier sessions are signed out
	}{
		"sign-in":  {func(*front) string { return signInPath }, fields("email", jo, "password", functiontest.Password), []int{303}, jo, functiontest.Password, false},
		"reset":    {links["reset"].path, fields("password", newPass), []int{303, 404}, jo, newPass, true},
		"verify":   {links["verify"].path, fields("form_id", "f"), []int{303, 404}, "new@example.com", functiontest.Password, true},
		"enter":    {links["enter"].path, fields("form_id", "f"), []int{303, 404}, jo, functiontest.Password, false},
		"confirm":  {func(*front) string { return confirmPath }, fields("password", functiontest.Password, "form_id", "f"), []int{303}, jo, functiontest.Password, false},
		"password": {func(*front) string { return passwordPath }, fields("password", newPass, "form_id", "f"), []int{303}, jo, newPass, true},
		"sign out": {func(*front) string { return "/portal/sign-out" }, fields("form_id", "f"), []int{303}, jo, functiontest.Password, false},
	} {
		for n, more := 1, true; more; n++ {
			t.Run(fmt.Sprintf("%s, call %d", name, n), func(t *testing.T) {
				d := withLogins(t, engines, fmt.Sprintf("%s-%d", strings.ReplaceAll(name, " ", "-"), n))
				earlier, b := d.visitor(jo), d.browser()
				renews := name == "confirm" || name == "password"
				if renews || name == "sign out" {
					b = d.visitor(jo)
				}
				path := op.path(d)
				event := b.Event(http.MethodPost, path, op.fields.Encode())
				process := serve(d.Process())
				process.site.PublicURL, process.site.Log = functiontest.Origin, slog.New(slog.DiscardHandler)
				more = process.Transport.DieAfter(n, func() { _, _ = process.site.Serve(context.Background(), event) })
				if s := b.Post(path, op.fields); !slices.Contains(op.again, s.Status) {
					t.Errorf("the repetition = %d, want one of %v:\n%s", s.Status, op.again, s.Text())
				}
				if renews {
					wantSignedIn(t, b, "Blue Gum Trading")
				}
				d.browser().SignIn(op.email, op.pass)
				for _, old := range [][2]string{{jo, functiontest.Password}, {jo, newPass}, {"new@example.com", functiontest.Password}} {
					if old == [2]string{op.email, op.pass} {
						continue
					}
					if s := d.browser().Post(signInPath, fields("email", old[0], "password", old[1])); s.Status != http.StatusUnprocessableEntity {
						t.Errorf("signing in as %s also with another password or email = %d", old[0], s.Status)
					}
				}
				if op.ended {
					wantSignedOut(t, earlier)
				} else {
					wantSignedIn(t, earlier, "Blue Gum Trading")
				}
			})
		}
	}
}
