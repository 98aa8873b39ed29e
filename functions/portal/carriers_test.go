package main

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/connection"
	"carrierlink/shared/pages"
	"carrierlink/shared/web"
)

const postPath = "/portal/carriers/new/australia_post"

// withCarriers returns the function with what the pages of carriers need.
func withCarriers(tb testing.TB) *front {
	tb.Helper()
	return showing(newFront(tb))
}

// showing lets merchants see their secrets.
func showing(d *front) *front {
	d.sealer, d.reveals = d.Sealer(), true
	d.site = &web.Site{Routes: d.routes(), Assets: pages.Assets(), Error: d.problem, Now: d.Now}
	return d
}

// entered are the fields of the form that links an account.
func entered(number string) url.Values {
	return fields("nickname", "Main warehouse", "account_number", number, "api_key", functiontest.APIKey, "api_secret", functiontest.APISecret)
}

// only returns the one connection of account 71.
func (d *front) only(t *testing.T) connection.Connection {
	t.Helper()
	all, err := d.Store.AllConnections(t.Context(), 71)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d connections, %v, want one", len(all), err)
	}
	return all[0]
}

// count returns how many connections account 71 has, of whatever status.
func (d *front) count(t *testing.T) int {
	t.Helper()
	all, err := d.Store.AllConnections(t.Context(), 71)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestLinkRefuses(t *testing.T) {
	edit := func(name, value string) url.Values {
		f := entered("0000123400")
		f.Set(name, value)
		return f
	}
	for _, tc := range []struct {
		name   string
		fields url.Values
		status int
		says   string
	}{
		{"nothing", fields("nickname", "", "account_number", "", "api_key", "", "api_secret", ""), 422, "The name must not be empty."},
		{"a number without its zeros", edit("account_number", "123400"), 422, "The account number has 6 digits; Australia Post numbers have 10. Compare with the contract; put 4 zeros"},
		{"a number of StarTrack", edit("account_number", "04123456"), 422, "If the account is a StarTrack one, link it as StarTrack"},
		{"key and secret swapped", fields("nickname", "n", "account_number", "0000123400", "api_key", functiontest.APISecret, "api_secret", functiontest.APIKey), 422, "The API secret looks like an API key"},
		{"a nickname that hides characters", edit("nickname", "Main\u202egnp"), 422, "The name"},
		{"a nickname of 101 characters", edit("nickname", strings.Repeat("W", 101)), 422, "The name must be at most 100 characters."},
		{"no form_id", nil, 400, "We couldn't use what was sent"},
		{"401", entered("0000123440"), 422, "Australia Post does not accept this API key and secret"},
		{"403", entered("0000123443"), 422, "does not let it read this account"},
		{"no such account", entered("0000123401"), 422, "Australia Post does not find this account for the API key"},
		{"no contract", entered("0000123407"), 422, "has no contract set up for it"},
		{"another account's answer", entered("0000123470"), 422, "Australia Post answered with another account"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := withCarriers(t)
			b := d.visitor(jo)
			page := b.Get(postPath)
			wantSaid(t, page, http.StatusOK, "Link Australia Post", "Where do I find these?", "That can take 20 seconds.")
			var s *functiontest.Shown
			if tc.fields == nil {
				s = b.Post(postPath, entered("0000123400"))
			} else {
				s = b.Submit(page, postPath, tc.fields)
			}
			wantSaid(t, s, tc.status, tc.says)
			if strings.Contains(s.Text(), "Save and check later") {
				t.Error("the page offers to save what was refused")
			}
			if n := d.count(t); n != 0 {
				t.Errorf("%d connections are stored", n)
			}
			if tc.status != 422 {
				return
			}
			form, _ := s.Form(postPath)
			if form.Get("nickname") != tc.fields.Get("nickname") || form.Get("account_number") != tc.fields.Get("account_number") || form.Get("api_key")+form.Get("api_secret") != "" {
				t.Errorf("the form has %v, want what was entered without the secrets", form)
			}
		})
	}
	b := withCarriers(t).visitor(jo)
	for _, path := range []string{"/portal/carriers/new", "/portal/carriers/new/ups", "/portal/carriers/new/star_track"} {
		wantSaid(t, b.Get(path), http.StatusNotFound, "There is no such page")
	}
}

// TestLink: a form links once, however often it is sent, and its page shows the account.
func TestLink(t *testing.T) {
	d := withCarriers(t)
	b := d.visitor(jo)
	wantSaid(t, b.Get("/portal"), http.StatusOK, "No carrier yet", "the API key and the API secret from the Australia Post developer centre", "How to get the key")
	form, _ := b.Get(postPath).Form(postPath)
	maps.Copy(form, entered(" 0000-123400 "))
	s := b.Post(postPath, form)
	c := d.only(t)
	wantRedirect(t, s, carrierPath(c.ID)+"?done=linked")
	wantRedirect(t, b.Post(postPath, form), s.Location) // a reload
	if d.Carrier.TakeAsked(); c.AccountNumber != "0000123400" || c.Status != connection.Active || c.Nickname != "Main warehouse" || c.RefreshPolicy != connection.RefreshDaily {
		t.Errorf("linked %+v", c)
	}
	wantSaid(t, b.Follow(s), http.StatusOK, "Your carrier account is connected.", "Main warehouse", "Australia Post 0000123400", "Works", "Connected. Last checked just now",
		"Account number 0000123400", "ends in 9dd1", "hidden", "Parcel Hub and your own software", "Products of the contract")

	form.Set("nickname", "Another")
	wantSaid(t, b.Post(postPath, form), 422, "You have sent this form before, with other details.")
	s = b.Submit(b.Get(postPath), postPath, entered("0000123400"))
	wantSaid(t, s, 422, "You have linked this account already.", "Go to it")
	if !slices.Contains(s.Links(), carrierPath(c.ID)) {
		t.Errorf("no link to %s: %v", c.ID, s.Links())
	}
	wantSaid(t, b.Get("/portal/carriers"), http.StatusOK, "Main warehouse", "Works", "Connected. Last checked just now.")
	wantSaid(t, b.Get("/portal"), http.StatusOK, "Everything works", "Nothing in the next weeks.")
	events, _, err := d.Store.ListEvents(t.Context(), listing(c.ID))
	if err != nil || len(events) != 1 || events[0].By.Actor != "page" || events[0].By.AccountID != 71 {
		t.Errorf("events %+v, %v, want one of the page", events, err)
	}
}

// TestLinkTwiceAtOnce: of many sendings of one form one links; the others lead to its page or
// say that it is still worked on.
func TestLinkTwiceAtOnce(t *testing.T) {
	d := withCarriers(t)
	b := d.visitor(jo)
	form, _ := b.Get(postPath).Form(postPath)
	maps.Copy(form, entered("0000123400"))
	var second *functiontest.Shown
	d.Carrier.Meanwhile = func() { second = b.Copy().Post(postPath, form) }
	first := b.Post(postPath, form)
	wantRedirect(t, first, carrierPath(d.only(t).ID)+"?done=linked")
	wantSaid(t, second, http.StatusConflict, "Still working on it", "do it once only")
}

// TestLinkDuringAnOutage: what could not be checked can be saved with one more click, without
// typing the key again; and only by the session that typed it, for ten minutes, for that number.
func TestLinkDuringAnOutage(t *testing.T) {
	for _, number := range []string{"0000123450", "0000123451", "0000123454"} { // 500, 503 in HTML, no answer in time
		d := withCarriers(t)
		b := d.visitor(jo)
		s := b.Submit(b.Get(postPath), postPath, entered(number))
		wantSaid(t, s, 422, "This is not your fault.", "Save and check later")
		if number != "0000123451" && !strings.Contains(s.Text(), "Australia Post isn't answering") {
			t.Errorf("%s: %s", number, s.Text())
		}
		if n := d.count(t); n != 0 {
			t.Fatalf("%d connections are stored", n)
		}
		kept, _ := s.Form(postPath)
		if kept.Get("kept") == "" || kept.Get("api_key") != "" {
			t.Fatalf("the first form is %v, want the one that saves", kept)
		}
		other := with(kept, "account_number", "0000123400")
		wantSaid(t, b.Post(postPath, other), 422, "Please enter the key and the secret again.")
		wantSaid(t, b.Post(postPath, with(kept, "kept", "x")), 422, "Please enter the key and the secret again.")
		wantSaid(t, b.Post(postPath, with(kept, "kept", kept.Get("kept")+"AA")), 422, "Please enter the key and the secret again.")
		wantSaid(t, d.visitor(jo).Post(postPath, kept), 422, "Please enter the key and the secret again.")

		s = b.Post(postPath, kept)
		c := d.only(t)
		wantRedirect(t, s, carrierPath(c.ID)+"?done=saved")
		wantSaid(t, b.Follow(s), http.StatusOK, "Australia Post's turn", "Saved, not checked yet", "Your details may well be right.")
		wantSaid(t, b.Get("/portal"), http.StatusOK, "Saved, not checked yet", "Australia Post's turn.")
		if c.Status != connection.PendingVerification || c.APIKeyLastFour != "9dd1" {
			t.Errorf("saved %+v", c)
		}
	}
	d := withCarriers(t)
	b := d.visitor(jo)
	kept, _ := b.Submit(b.Get(postPath), postPath, entered("0000123450")).Form(postPath)
	d.Pass(keptFor)
	wantSaid(t, b.Post(postPath, kept), 422, "We keep them for ten minutes only.")
	if n := d.count(t); n != 0 {
		t.Errorf("%d connections are stored", n)
	}
}

// with returns a form with another value of one field.
func with(form url.Values, name, value string) url.Values {
	other := maps.Clone(form)
	other.Set(name, value)
	return other
}

// TestStories: each story of the simulator shows its state on its page and on the overview.
func TestStories(t *testing.T) {
	for _, tc := range []struct {
		number string
		checks int // after the link, ten minutes apart
		chip   string
		says   []string
	}{
		{"0000123400", 0, "Works", []string{"Connected. Last checked"}},
		{"0000123410", 0, "Your turn, with Australia Post", []string{"The contract", "13 21 31", "Tell them your account number: 0000123410."}},
		{"0000123411", 0, "Works", []string{"The contract ends in 7 days"}},
		{"0000123412", 0, "Your turn, with Australia Post", []string{"Australia Post has blocked the credit of this account"}},
		{"0000123414", 0, "Your turn, with Australia Post", []string{"No product of the contract is valid any more"}},
		{"0000123460", 1, "Nobody's turn yet", []string{"One check was refused. We look again"}},
		{"0000123460", 2, "Your turn", []string{"Australia Post no longer accepts this API key and secret", "turn on all switches and press Update", "Enter a new key"}},
		{"0000123461", 1, "Australia Post's turn", []string{"Australia Post isn't answering", "Your key is not the problem. You need not do anything."}},
		{"0000123461", 4, "Works", []string{"Connected. Last checked"}},
		{"0000123454", 1, "Australia Post's turn", []string{"Saved, not checked yet"}},
	} {
		t.Run(tc.number, func(t *testing.T) {
			d := withCarriers(t)
			b := d.visitor(jo)
			if strings.HasSuffix(tc.number, "60") { // refusals are compared with other accounts
				d.Connections.Timing.LoneRefusal = 0
			}
			here := carrierPath(d.Link(tc.number).ID)
			for range tc.checks {
				d.Pass(10 * time.Minute)
				wantRedirect(t, b.Submit(b.Get(here), here+"/verify", nil), here+"?done=checked")
			}
			wantSaid(t, b.Get(here), http.StatusOK, append(tc.says, tc.chip)...)
			overview := b.Get("/portal")
			wantSaid(t, overview, http.StatusOK, tc.chip)
			if works := strings.Contains(overview.Text(), "Everything works"); works != (tc.chip == "Works") {
				t.Errorf("the overview says that everything works: %t", works)
			}
		})
	}
}
