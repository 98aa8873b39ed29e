package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/mail"
)

// TestCosts counts what each page and form uses, on DynamoDB Local and MiniStack. The visitor
// signs in with a browser that was used before; a new one costs a mail more.
func TestCosts(t *testing.T) { calltrace.Attempts(t, costs) }

func costs(t *calltrace.Attempt) {
	d, b, here := onEngines(t, functiontest.StartEngines(t), "costs")
	d.tb = t
	d.QueueMails()
	fresh := d.browser()
	at := func(path string) func() string { return func() string { return path } }
	enter := at("/portal/enter/" + d.token(t, "/portal/enter/"))
	var before *functiontest.Shown
	var reset string
	link := fields("nickname", "n", "account_number", "0000456700", "api_key", shownKey, "api_secret", shownSecret, "form_id", "a")
	for _, tc := range []struct {
		operation string
		browser   *functiontest.Browser
		path      func() string
		post      url.Values // nil: GET
		status    int
	}{
		{"asset", b, at("/assets/" + d.site.Assets[0].Name), nil, http.StatusOK},
		{"sign_in_form", fresh, at(signInPath), nil, http.StatusOK},
		{"sign_in", d.browser(), at(signInPath), fields("email", jo, "password", functiontest.Password), http.StatusSeeOther},
		{"overview", b, at(homePath), nil, http.StatusOK},
		{"carriers", b, at(carriersPath), nil, http.StatusOK},
		{"connection", b, at(here), nil, http.StatusOK},
		{"timeline", b, at(here + "/timeline"), nil, http.StatusOK},
		{"account", b, at(accountPath), nil, http.StatusOK},
		{"link_form", b, at(postPath), nil, http.StatusOK},
		{"link_by_form", b, at(postPath), link, http.StatusSeeOther},
		{"reveal", b, func() string { shown, _, _ := strings.Cut(before.Location, "?"); return shown + "/reveal" }, fields("form_id", "b"), http.StatusOK},
		{"check", b, at(here + "/verify"), fields("form_id", "c"), http.StatusSeeOther},
		{"confirm", b, at(confirmPath), fields("password", functiontest.Password), http.StatusSeeOther},
		{"enter_form", d.browser(), enter, nil, http.StatusOK},
		{"enter", d.browser(), enter, fields("form_id", "d"), http.StatusSeeOther},
		{"forgot", fresh, at(forgotPath), fields("email", jo), http.StatusSeeOther},
		{"reset_form", fresh, func() string { reset = "/portal/reset/" + d.mailed(t, mail.Reset).Token.Reveal(); return reset }, nil, http.StatusOK},
		{"reset", fresh, func() string { return reset }, fields("password", newPass), http.StatusSeeOther},
	} {
		path := tc.path()
		d.Transport.Reset()
		d.Mails.Take()
		do := func() *functiontest.Shown { return tc.browser.Get(path) }
		if tc.post != nil {
			do = func() *functiontest.Shown { return tc.browser.Post(path, tc.post) }
		}
		if before = do(); before.Status != tc.status {
			t.Fatalf("%s: %d, want %d:\n%s", tc.operation, before.Status, tc.status, before.Text())
		}
		d.Costs(t, tc.operation)
	}
}
