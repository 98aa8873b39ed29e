package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/mail"
	"carrierlink/shared/secret"
)

// listing lists the audit log of a connection of account 71.
func listing(id string) effects.Listing {
	return effects.Listing{PartnerID: 5, AccountID: 71, Subject: id, Limit: 100}
}

// types returns the types of the events of a connection, the latest first.
func (d *front) types(t *testing.T, id string) []effects.EventType {
	t.Helper()
	found, _, err := d.Store.ListEvents(t.Context(), listing(id))
	if err != nil {
		t.Fatal(err)
	}
	var all []effects.EventType
	for _, e := range found {
		all = append(all, e.Type)
	}
	return all
}

const newKey = "0b1c2d3e-4f50-4a61-8b72-9c83ad94be05"

// TestChange: only what differs is changed; the carrier is asked before; the previous key can
// be used again.
func TestChange(t *testing.T) {
	d := withCarriers(t)
	b := d.visitor(jo)
	linked := d.Link("0000123400")
	here := carrierPath(linked.ID)
	change := func(pairs ...string) *functiontest.Shown {
		t.Helper()
		return b.Submit(b.Get(here+"/change"), here+"/change", fields(pairs...))
	}
	d.Carrier.TakeAsked()
	for _, tc := range []struct {
		name  string
		pairs []string
		says  string
	}{
		{"a key alone", []string{"api_key", newKey}, "The API secret must not be empty."},
		{"a secret alone", []string{"api_secret", "x0123456789abcdef012"}, "The API key must not be empty."},
		{"no number", []string{"account_number", ""}, "The account number must not be empty."},
		{"no name", []string{"nickname", " "}, "The name must not be empty."},
		{"a number that the carrier does not know", []string{"account_number", "0000123401"}, "Nothing was changed. What worked before works as before."},
		{"a number while the carrier fails", []string{"account_number", "0000123450"}, "Australia Post isn't answering"},
		{"a secret that is wrong", []string{"api_key", newKey, "api_secret", "wrong-0123456789abcd"}, "Australia Post does not accept this API key and secret"},
	} {
		s := change(tc.pairs...)
		wantSaid(t, s, 422, tc.says)
		if form, _ := s.Form(here + "/change"); form.Get("api_key")+form.Get("api_secret") != "" {
			t.Errorf("%s: the form has secrets: %v", tc.name, form)
		}
	}
	if now := d.Row(linked.ID); now.AccountNumber != linked.AccountNumber || now.APIKeyLastFour != linked.APIKeyLastFour || now.Nickname != "Main" {
		t.Errorf("refused changes have changed it: %+v", now)
	}
	d.Carrier.TakeAsked()

	d.Pass(time.Second)
	wantRedirect(t, change("nickname", `<script>alert(1)</script>`), here+"?done=renamed")
	if asked := d.Carrier.TakeAsked(); len(asked) > 0 {
		t.Errorf("a new name asks the carrier: %v", asked)
	}
	if s := b.Get(here); strings.Contains(s.Body, "<script>alert") || !strings.Contains(s.Text(), "<script>alert(1)</script>") {
		t.Error("the name is not escaped")
	}
	s := b.Get(here + "/rollback")
	wantRedirect(t, s, here) // nothing to go back to
	d.Pass(time.Second)
	s = change("nickname", "West", "api_key", newKey, "api_secret", "x0123456789abcdef012")
	wantRedirect(t, s, here+"?done=changed")
	wantSaid(t, b.Follow(s), http.StatusOK, "Your new details are saved and working.", "ends in be05", "Go back to the previous key", "West")

	s = b.Get(here + "/rollback")
	wantSaid(t, s, http.StatusOK, "It ends in 9dd1", "The key in use now ends in be05")
	d.Pass(time.Second)
	s = b.Submit(s, here+"/rollback", nil)
	wantRedirect(t, s, here+"?done=rolled_back")
	wantSaid(t, b.Follow(s), http.StatusOK, "Your previous key is back in use.", "ends in 9dd1")
	got := slices.DeleteFunc(d.types(t, linked.ID), func(e effects.EventType) bool { return e == effects.SecretRead })
	want := []effects.EventType{effects.CarrierRolledBack, effects.CarrierUpdated, effects.CarrierUpdated, effects.CarrierConnected}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestRollbackRefused: if the carrier no longer accepts the previous key, nothing changes.
func TestRollbackRefused(t *testing.T) {
	d := withCarriers(t)
	b := d.visitor(jo)
	here := carrierPath(d.Link("0000123400").ID)
	b.Submit(b.Get(here+"/change"), here+"/change", fields("api_key", newKey, "api_secret", "x0123456789abcdef012"))
	page := b.Get(here + "/rollback")
	d.Carrier.Reading = &connection.Reading{Outcome: carrier.OutcomeUnauthorized, HTTPStatus: 401}
	wantSaid(t, b.Submit(page, here+"/rollback", nil), 422, "Australia Post does not accept this API key and secret", "Nothing was changed.")
	wantSaid(t, b.Get(here), http.StatusOK, "ends in be05")
}

// TestVerify: a form checks once; the page shows the result, also while something else works
// on the connection.
func TestVerify(t *testing.T) {
	d := withCarriers(t)
	b := d.visitor(jo)
	linked := d.Link("0000123400")
	here := carrierPath(linked.ID)
	d.Pass(time.Minute)
	form, _ := b.Get(here).Form(here + "/verify")
	d.Carrier.TakeAsked()
	for range 3 {
		wantRedirect(t, b.Post(here+"/verify", form), here+"?done=checked")
	}
	if asked := d.Carrier.TakeAsked(); len(asked) != 1 {
		t.Errorf("the carrier was asked %d times, want once", len(asked))
	}
	s := b.Submit(b.Get(here), here+"/verify", nil)
	wantSaid(t, s, http.StatusTooManyRequests, "Please wait a little")
	d.Pass(time.Minute)
	var second *functiontest.Shown
	page, other := b.Get(here), b.Get(here)
	d.Carrier.Meanwhile = func() {
		second = b.Submit(other, here+"/verify", nil)
		wantSaid(t, b.Get(here), http.StatusOK, "We are checking it right now.")
	}
	wantRedirect(t, b.Submit(page, here+"/verify", nil), here+"?done=checked")
	wantRedirect(t, second, here)
}

// TestBusy: while a change is being made, the page says so.
func TestBusy(t *testing.T) {
	d := withCarriers(t)
	b := d.visitor(jo)
	here := carrierPath(d.Link("0000123400").ID)
	page := b.Get(here + "/change")
	d.Vault.Fail = func(method string) error {
		if method == "Stage" {
			wantSaid(t, b.Get(here), http.StatusOK, "A change is being made", "Reload")
			wantSaid(t, b.Submit(page, here+"/change", fields("nickname", "East")), 422, "Another request is changing the same resource")
		}
		return nil
	}
	wantRedirect(t, b.Submit(b.Get(here+"/change"), here+"/change", fields("api_key", newKey, "api_secret", "x0123456789abcdef012")), here+"?done=changed")
}

// TestDisconnect: it needs the password of the last minutes, is asked before, and once done a
// repeat is done, too.
func TestDisconnect(t *testing.T) {
	d := withCarriers(t)
	b := d.visitor(jo)
	linked := d.Link("0000123400")
	here := carrierPath(linked.ID)
	form, _ := b.Get(here + "/disconnect").Form(here + "/disconnect")
	d.Pass(6 * time.Minute)
	for _, s := range []*functiontest.Shown{b.Get(here + "/disconnect"), b.Post(here+"/disconnect", form)} {
		wantRedirect(t, s, "/portal/confirm?next="+url.QueryEscape(here+"/disconnect"))
	}
	if c := d.Row(linked.ID); !c.Visible() {
		t.Fatal("it was disconnected without the password")
	}
	s := b.Submit(b.Get("/portal/confirm?next="+here+"/disconnect"), "/portal/confirm", fields("password", functiontest.Password))
	wantRedirect(t, s, here+"/disconnect")
	s = b.Follow(s)
	wantSaid(t, s, http.StatusOK, "Disconnect this account?", "This cannot be undone here", "Keep it")
	for range 2 {
		wantRedirect(t, b.Submit(s, here+"/disconnect", nil), "/portal/carriers?done=disconnected")
	}
	if c := d.Row(linked.ID); c.Status != connection.Disconnected || c.Work != connection.NoWork {
		t.Errorf("status %s, work %q", c.Status, c.Work)
	}
	wantSaid(t, b.Get(here), http.StatusNotFound, "There is no such page")
	wantSaid(t, b.Get("/portal/carriers?done=disconnected"), http.StatusOK, "Your carrier account is disconnected.", "No carrier yet")
}

// shown are credentials that a Browser accepts in an answer.
const shownKey, shownSecret = "5e6f7081-92a3-4bb4-85c5-d6e7f8091a2b", "y9876543210fedcba987"

// TestReveal: the password first; then key and secret in fields that can be read only, an entry
// of the audit log and a mail; three times in an hour.
func TestReveal(t *testing.T) {
	d := withCarriers(t)
	b := d.visitor(jo)
	a := d.account(t, 71)
	c, err := d.Connections.Link(t.Context(), connection.LinkRequest{
		Account: a, Nickname: "Main", RefreshPolicy: connection.RefreshDaily,
		ChargeAccount: connection.ChargeAccount{Carrier: carrier.StarTrack, Number: "04123400", Credentials: connection.Credentials{APIKey: secret.New(shownKey), APISecret: secret.New(shownSecret)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	here := carrierPath(c.ID)
	page := b.Get(here)
	if strings.Contains(page.Body, shownSecret) || strings.Contains(page.Body, shownKey) {
		t.Error("the page of the connection shows credentials")
	}
	d.Mails.Take()
	d.Pass(6 * time.Minute)
	wantRedirect(t, b.Submit(page, here+"/reveal", nil), "/portal/confirm?next="+url.QueryEscape(here))
	if got := d.types(t, c.ID); slices.Contains(got, effects.SecretShown) || len(d.Mails.Take()) > 0 {
		t.Errorf("events %v before the password", got)
	}
	b.Submit(b.Get("/portal/confirm?next="+here), "/portal/confirm", fields("password", functiontest.Password))
	for range 3 {
		s := b.Submit(b.Get(here), here+"/reveal", nil)
		wantSaid(t, s, http.StatusOK, "Keep these to yourself", "We have sent you an email")
		if !strings.Contains(s.Body, shownKey) || !strings.Contains(s.Body, shownSecret) || s.Header.Get("Cache-Control") != "no-store" || strings.Count(s.Body, " readonly") != 2 {
			t.Errorf("%v: %s", s.Header, s.Body)
		}
		if strings.Contains(s.Log, shownKey) || strings.Contains(s.Log, shownSecret) {
			t.Error("the log shows credentials")
		}
	}
	wantSaid(t, b.Submit(b.Get(here), here+"/reveal", nil), http.StatusTooManyRequests, "Please wait a little")
	var kinds []mail.Kind
	for _, m := range d.Mails.Take() {
		kinds = append(kinds, m.Kind)
	}
	if diff := cmp.Diff([]mail.Kind{mail.SecretShown, mail.SecretShown, mail.SecretShown}, kinds); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
	if got := d.types(t, c.ID); len(got) < 3 || !slices.Equal(got[:3], []effects.EventType{effects.SecretShown, effects.SecretShown, effects.SecretShown}) {
		t.Errorf("events %v, want three secret_shown", got)
	}
	wantSaid(t, b.Get(here+"/timeline?kind=key"), http.StatusOK, "Key and secret were shown on this page", "Somebody who was signed in here")

	off := newFront(t)
	off.sealer = off.Sealer()
	linked := off.Link("0000123400")
	o := off.visitor(jo)
	if s := o.Get(carrierPath(linked.ID)); strings.Contains(s.Text(), "Show key and secret") {
		t.Error("the button is there although secrets are off")
	}
	wantSaid(t, o.Post(carrierPath(linked.ID)+"/reveal", fields("form_id", "x")), http.StatusNotFound, "There is no such page")
}

// TestPartnersSession: a session that the partner opened sees and changes connections, but sees
// no secret and disconnects nothing.
func TestPartnersSession(t *testing.T) {
	d := withCarriers(t)
	linked := d.Link("0000123400")
	b := d.browser()
	b.Enter(71)
	here := carrierPath(linked.ID)
	s := b.Get(here)
	wantSaid(t, s, http.StatusOK, "Opened by Parcel Hub", "Only the owner of the account can disconnect it")
	if strings.Contains(s.Text(), "Show key and secret") {
		t.Error("the page offers the secret")
	}
	for _, path := range []string{"/reveal", "/disconnect"} {
		if s := b.Post(here+path, fields("form_id", "x")); s.Status != http.StatusForbidden {
			t.Errorf("POST %s: %d", path, s.Status)
		}
	}
	if slices.Contains(d.types(t, linked.ID), effects.SecretShown) {
		t.Error("a secret was shown")
	}
	wantRedirect(t, b.Submit(b.Get(here+"/change"), here+"/change", fields("nickname", "East")), here+"?done=renamed")
}

// TestOthers: a connection of another account, one that is gone, and a text that is no
// carrier_id are answered alike, byte for byte, on every page and for every form.
func TestOthers(t *testing.T) {
	d := withCarriers(t)
	foreign := d.linkFor(t, 73)
	intent := connection.Connection{ID: "se-1000000000000001", AccountID: 71, PartnerID: 5, Carrier: carrier.AustraliaPost, AccountNumber: "0000999900", Status: connection.Linking, Standing: account.StandingActive, LeaseUntil: d.Now()}
	if err := d.Store.BeginLink(t.Context(), &intent, connection.LinkOptions{}); err != nil {
		t.Fatal(err)
	}
	b := d.visitor(jo)
	stripped := func(s *functiontest.Shown) string {
		return strings.ReplaceAll(s.Body, s.Header.Get("X-Request-Id"), "")
	}
	for _, at := range []string{"GET", "GET /timeline", "GET /change", "GET /rollback", "GET /disconnect", "POST /change", "POST /verify", "POST /rollback", "POST /disconnect", "POST /reveal"} {
		method, path, _ := strings.Cut(at, " ")
		ask := func(id string) *functiontest.Shown {
			body := ""
			if method == http.MethodPost {
				body = fields("form_id", "f", "nickname", "n", "account_number", "0000123400").Encode()
			}
			return b.Do(method, carrierPath(id)+path, body)
		}
		want := ask("se-9999999999999999")
		if want.Status != http.StatusNotFound {
			t.Errorf("%s of none: %d", at, want.Status)
		}
		for _, id := range []string{foreign, intent.ID, "x", "se-", "SE-1", strings.Repeat("9", 2000)} {
			if got := ask(id); got.Status != want.Status || stripped(got) != stripped(want) {
				t.Errorf("%s of %.30q: %d, another answer than for none:\n%s", at, id, got.Status, got.Text())
			}
		}
	}
	if c, err := d.Store.Connection(t.Context(), 73, foreign); err != nil || c.Status != connection.Active || c.ChecksEver != 1 {
		t.Errorf("the connection of the other account is %+v, %v", c, err)
	}
	out := d.browser()
	for _, path := range []string{"/portal", "/portal/carriers", postPath, carrierPath(foreign), carrierPath(foreign) + "/timeline"} {
		if s := out.Get(path); s.Status != http.StatusSeeOther || !strings.HasPrefix(s.Location, "/portal/sign-in") {
			t.Errorf("%s for nobody: %d to %q", path, s.Status, s.Location)
		}
	}
}

// linkFor links an account of the carrier to an account and returns its carrier_id.
func (d *front) linkFor(t *testing.T, accountID int64) string {
	t.Helper()
	c, err := d.Connections.Link(t.Context(), connection.LinkRequest{
		Account: d.account(t, accountID), Nickname: "Theirs", RefreshPolicy: connection.RefreshDaily,
		ChargeAccount: connection.ChargeAccount{Carrier: carrier.AustraliaPost, Number: "0000123400", Credentials: functiontest.Credentials(functiontest.APIKey, functiontest.APISecret)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c.ID
}
