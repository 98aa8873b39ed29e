package main

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/pages"
	"carrierlink/shared/web"
)

// front is the function over a fixture with the accounts 71, 72 and 73 of partner 5, which is
// called Parcel Hub. 71 and 73 have logins.
type front struct {
	*functiontest.Fixture
	*handler
	site *web.Site
	tb   testing.TB
}

const (
	jo  = "owner71@example.com" // of account 71
	sam = "owner73@example.com" // of account 73
)

func newFront(tb testing.TB) *front {
	tb.Helper()
	d := functiontest.EmptyInMemory(tb)
	d.AddPartner(account.Partner{ID: 5, Name: "Parcel Hub"})
	d.AddAccount(account.Account{ID: 71, PartnerID: 5, CompanyName: "Blue Gum Trading", FirstName: "Jo", OriginCountryCode: "AU", Active: true})
	d.AddAccount(account.Account{ID: 72, PartnerID: 5, Email: "none@example.com", OriginCountryCode: "AU", Active: true})
	d.AddAccount(account.Account{ID: 73, PartnerID: 5, CompanyName: "Red River Foods", OriginCountryCode: "NZ", Active: true})
	d.AddLogin(71)
	d.AddLogin(73)
	f := serve(d)
	f.tb = tb
	return f
}

// serve returns the function over a fixture.
func serve(d *functiontest.Fixture) *front {
	h := &handler{signin: d.SignIn, accounts: d.Accounts, connections: d.Connections, store: d.Store, now: d.Now, random: rand.Reader}
	return &front{Fixture: d, handler: h, site: &web.Site{Routes: h.routes(), Assets: pages.Assets(), Error: h.problem, Now: d.Now}}
}

// browser returns a new browser.
func (d *front) browser() *functiontest.Browser { return d.Browser(d.site) }

// visitor returns the browser of somebody who has signed in and has just entered the password.
func (d *front) visitor(address string) *functiontest.Browser {
	b := d.browser()
	b.SignIn(address, functiontest.Password)
	return b
}

// account returns an account as it is stored.
func (d *front) account(tb testing.TB, id int64) account.Account {
	tb.Helper()
	a, err := d.Store.Account(tb.Context(), id, d.Now())
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// wantRedirect checks that an answer leads to a page, with its query.
func wantRedirect(tb testing.TB, s *functiontest.Shown, to string) {
	tb.Helper()
	if s.Status != http.StatusSeeOther || s.Location != to {
		tb.Fatalf("%d to %q, want a redirect to %s:\n%s", s.Status, s.Location, to, s.Text())
	}
}

// wantSaid checks the status of a page, and that people read each of the texts on it.
func wantSaid(tb testing.TB, s *functiontest.Shown, status int, texts ...string) {
	tb.Helper()
	if s.Status != status {
		tb.Fatalf("%d to %q, want %d:\n%s", s.Status, s.Location, status, s.Text())
	}
	for _, text := range texts {
		if !strings.Contains(s.Text(), text) {
			tb.Errorf("the page does not say %q:\n%s", text, s.Text())
		}
	}
}

// wantSignedOut checks that a browser is sent to sign in.
func wantSignedOut(t *testing.T, b *functiontest.Browser) {
	t.Helper()
	s := b.Get(accountPath)
	if s.Status != http.StatusSeeOther || !strings.HasPrefix(s.Location, signInPath) || strings.Contains(s.Body, "Blue Gum") {
		t.Errorf("%d to %q, want a redirect to %s:\n%s", s.Status, s.Location, signInPath, s.Body)
	}
}

// wantSignedIn checks that a browser sees the account of a company.
func wantSignedIn(t *testing.T, b *functiontest.Browser, company string) {
	t.Helper()
	wantSaid(t, b.Get(accountPath), http.StatusOK, company)
}

func fields(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// The help names the partner of whoever is signed in, and is there for everybody, also with a cookie that is none.
func TestHelp(t *testing.T) {
	d := newFront(t)
	stranger := d.browser()
	wantSaid(t, stranger.Get(pages.HelpPath), http.StatusOK, "Choose the platform that you use")
	stranger.Cookies = map[string]string{"__Host-session": "x"}
	wantSaid(t, stranger.Get(pages.HelpPath), http.StatusOK, "Choose the platform that you use")
	wantSaid(t, d.visitor(jo).Get(pages.HelpPath), http.StatusOK, "Choose Parcel Hub", "Sign out", "Overview")
}
