package main

import (
	"net/http"
	"net/url"
	"strconv"
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
)

// details are the fields of the form about the details of account 71, with other values.
func (d *front) details(tb testing.TB, pairs ...string) url.Values {
	tb.Helper()
	v := fields("version", strconv.FormatInt(d.account(tb, 71).Version, 10), "company_name", "Blue Gum Trading", "first_name", "Jo", "last_name", "", "origin_country_code", "AU")
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func TestDetailsThatAreRefused(t *testing.T) {
	tests := []struct {
		name, field, value, says string
	}{
		{"company of 51 characters", "company_name", strings.Repeat("W", 51), "Company must be at most 50 characters."},
		{"first name of 25 characters", "first_name", strings.Repeat("é", 25), "First name must be at most 24 characters."},
		{"last name of 25 characters", "last_name", strings.Repeat("W", 25), "Last name must be at most 24 characters."},
		{"company that changes the direction of text", "company_name", "Blue \u202eGum", "Company must not contain invisible characters or characters that change the direction of text."},
		{"zero width", "first_name", "J\u200bo", "First name must not contain invisible characters"},
		{"only blanks that are seen by nobody", "company_name", "\u2800\u2800", "Company must not be empty."},
		{"line break", "company_name", "Blue\r\nGum", "Company must not contain control characters."},
		{"escape", "last_name", "\x1b[31m", "Last name must not contain control characters."},
		{"no such country", "origin_country_code", "XX", "Country must be a country code"},
		{"a country in small letters", "origin_country_code", "au", "Country must be a country code"},
		{"script for a country", "origin_country_code", "<script>", "Country must be a country code"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := newFront(t)
			b := d.visitor(jo)
			before := d.account(t, 71)
			sent := d.details(t, tc.field, tc.value)
			s := b.Post(detailsPath, sent)
			wantSaid(t, s, 422, tc.says)
			form, _ := s.Form(detailsPath)
			if tc.field != "origin_country_code" && form.Get(tc.field) != strings.NewReplacer("\r\n", "").Replace(tc.value) && tc.name != "line break" {
				t.Errorf("the form is shown again with %q, want what was entered", form.Get(tc.field))
			}
			if tc.field == "origin_country_code" && form.Get(tc.field) != "AU" {
				t.Errorf("the form is shown again with the country %q, want the account's", form.Get(tc.field))
			}
			if diff := cmp.Diff(before, d.account(t, 71)); diff != "" {
				t.Errorf("a refused form changed the account:\n%s", diff)
			}
		})
	}
	t.Run("all problems at once", func(t *testing.T) {
		d := newFront(t)
		s := d.visitor(jo).Post(detailsPath, d.details(t, "company_name", strings.Repeat("W", 51), "first_name", strings.Repeat("W", 25), "origin_country_code", "XX"))
		wantSaid(t, s, 422, "Please look at these 3 things")
	})
	t.Run("a country with linked carriers", func(t *testing.T) {
		d := newFront(t)
		d.link(t)
		b := d.visitor(jo)
		wantSaid(t, b.Get(detailsPath), http.StatusOK, "Country: Australia. It cannot change while carriers are linked.")
		wantSaid(t, b.Post(detailsPath, d.details(t, "origin_country_code", "NZ")), 422, "The country cannot change while carriers are linked.")
		wantRedirect(t, b.Submit(b.Get(detailsPath), detailsPath, fields("last_name", "King")), accountPath+"?done=account_changed")
	})
}

// link links a carrier to account 71.
func (d *front) link(t *testing.T) {
	t.Helper()
	conn := connection.Connection{
		ID: "se-1234567", AccountID: 71, PartnerID: 5, Carrier: carrier.StarTrack, AccountNumber: "09912345", Standing: account.StandingActive,
		LeaseUntil: d.Clock.Add(time.Minute), NextRefreshAt: d.Clock.Add(time.Hour),
	}
	if err := d.Store.BeginLink(t.Context(), &conn, connection.LinkOptions{}); err != nil {
		t.Fatal(err)
	}
	conn.Status = connection.Active
	if err := d.Store.FinishLink(t.Context(), &conn, nil, nil, effects.Effects{}, d.Clock); err != nil {
		t.Fatal(err)
	}
}

func TestDetails(t *testing.T) {
	tests := map[string]struct {
		fields []string
		want   account.Account // its texts
	}{
		"other texts":             {[]string{"company_name", " Red & Co ", "first_name", "Zoë", "last_name", "O'Hara", "origin_country_code", "NZ"}, account.Account{CompanyName: "Red & Co", FirstName: "Zoë", LastName: "O'Hara", OriginCountryCode: "NZ"}},
		"empty removes":           {[]string{"company_name", "", "first_name", "  "}, account.Account{OriginCountryCode: "AU"}},
		"no country keeps it":     {[]string{"origin_country_code", ""}, account.Account{CompanyName: "Blue Gum Trading", FirstName: "Jo", OriginCountryCode: "AU"}},
		"script is a name":        {[]string{"company_name", "<script>alert(1)</script>", "first_name", `"><img src=x>`}, account.Account{CompanyName: "<script>alert(1)</script>", FirstName: `"><img src=x>`, OriginCountryCode: "AU"}},
		"50 wide characters":      {[]string{"company_name", strings.Repeat("W", 50)}, account.Account{CompanyName: strings.Repeat("W", 50), FirstName: "Jo", OriginCountryCode: "AU"}},
		"24 characters and emoji": {[]string{"first_name", strings.Repeat("🦘", 24)}, account.Account{CompanyName: "Blue Gum Trading", FirstName: strings.Repeat("🦘", 24), OriginCountryCode: "AU"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			d := newFront(t)
			b := d.visitor(jo)
			by := functiontest.RecordAccounts(d.Accounts)
			s := b.Post(detailsPath, d.details(t, tc.fields...))
			wantRedirect(t, s, accountPath+"?done=account_changed")
			a := d.account(t, 71)
			got := account.Account{CompanyName: a.CompanyName, FirstName: a.FirstName, LastName: a.LastName, OriginCountryCode: a.OriginCountryCode}
			if diff := cmp.Diff(tc.want, got); diff != "" || a.Email != jo || a.PasswordHash == "" {
				t.Errorf("the account (-want +got):\n%s", diff)
			}
			want := effects.By{Actor: effects.Page, AccountID: 71, RequestID: s.Header.Get("X-Request-Id"), SourceIP: b.IP}
			if diff := cmp.Diff([]effects.By{want}, by.Take()); diff != "" {
				t.Errorf("who made the change (-want +got):\n%s", diff)
			}
			s = b.Follow(s)
			wantSaid(t, s, http.StatusOK, "Your account details are saved.")
			if tc.want.CompanyName != "" {
				wantSaid(t, s, http.StatusOK, tc.want.CompanyName)
			}
			if strings.Contains(s.Body, "<script>alert") || strings.Contains(s.Body, "<img") {
				t.Errorf("the page does not escape:\n%s", s.Body)
			}
		})
	}
}

func TestDetailsInTwoWindows(t *testing.T) {
	d := newFront(t)
	first := d.visitor(jo)
	second := first.Copy()
	here, there := first.Get(detailsPath), second.Get(detailsPath)
	wantRedirect(t, first.Submit(here, detailsPath, fields("company_name", "First")), accountPath+"?done=account_changed")
	wantRedirect(t, first.Submit(here, detailsPath, fields("company_name", "First")), accountPath+"?done=account_changed") // a double click
	version := d.account(t, 71).Version
	s := second.Submit(there, detailsPath, fields("first_name", "Ada"))
	wantSaid(t, s, 422, "These details were changed in another window meanwhile.")
	if a := d.account(t, 71); a.CompanyName != "First" || a.FirstName != "Jo" || a.Version != version {
		t.Errorf("the second window changed %+v", a)
	}
	form, _ := s.Form(detailsPath)
	if form.Get("first_name") != "Ada" || form.Get("company_name") != "Blue Gum Trading" {
		t.Errorf("the form is shown again with %v, want what was entered", form)
	}
	wantRedirect(t, second.Submit(s, detailsPath, fields("company_name", "First")), accountPath+"?done=account_changed")
	if a := d.account(t, 71); a.CompanyName != "First" || a.FirstName != "Ada" {
		t.Errorf("both changes give %q, %q", a.CompanyName, a.FirstName)
	}
	for _, version := range []string{"", "x", "-1", "99999999999999999999"} {
		wantSaid(t, second.Post(detailsPath, d.details(t, "version", version, "last_name", "King")), 422, "These details were changed in another window meanwhile.")
	}
}

func TestEmail(t *testing.T) {
	d := newFront(t)
	b := d.visitor(jo)
	other := d.visitor(jo)
	d.Mails.Take()
	for _, email := range []string{"", "new", "new@example.com\r\nBcc: eve@example.com", jo} {
		s := b.Submit(b.Get(emailPath), emailPath, fields("email", email))
		wantSaid(t, s, 422, "Please look at this")
	}
	s := b.Submit(b.Get(emailPath), emailPath, fields("email", "new@example.com"))
	wantRedirect(t, s, accountPath+"?done=email_mail_sent")
	wantSaid(t, b.Follow(s), http.StatusOK, "We have sent an email to the new address.", jo)
	var path string
	for _, m := range d.Mails.Take() {
		switch {
		case m.Kind == mail.VerifyEmail && m.To == "new@example.com":
			path = "/portal/verify-email/" + m.Token.Reveal()
		case m.Kind == mail.EmailChanging && (m.To == "" || m.To == jo):
		default:
			t.Errorf("a mail %+v", m)
		}
	}
	// The link is opened in another browser, which is not signed in.
	opened := d.browser()
	s = opened.Get(path)
	wantSaid(t, s, http.StatusOK, "From now on you sign in with new@example.com")
	if d.account(t, 71).Email != jo {
		t.Error("the GET of the link changed the email")
	}
	s = opened.Submit(s, path, nil)
	wantRedirect(t, s, signInPath+"?done=email_changed")
	wantSaid(t, opened.Follow(s), http.StatusOK, "Your email address is changed.")
	wantSignedOut(t, b)
	wantSignedOut(t, other)
	wantSaid(t, opened.Post(signInPath, fields("email", jo, "password", functiontest.Password)), 422)
	opened.SignIn("new@example.com", functiontest.Password)
	for _, m := range d.Mails.Take() {
		if m.Kind == mail.EmailChanged && m.To != jo {
			t.Errorf("the notice goes to %q, want the old address", m.To)
		}
	}
}

func TestEmailOfAnotherAccount(t *testing.T) {
	d := newFront(t)
	b := d.visitor(jo)
	free, taken := b.Copy().Post(emailPath, fields("email", "new@example.com")), b.Copy().Post(emailPath, fields("email", sam))
	same(t, "the answer tells whose email is in use", free, taken)
	d.Mails.Take()
	// The address is free when the link is sent, and taken when it is opened.
	path := d.verify(t, "late@example.com")
	_, err := d.Accounts.Change(t.Context(), account.Change{Account: d.account(t, 73), Edit: func(a *account.Account) error {
		a.Email = "late@example.com"
		return nil
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantSaid(t, b.Get(path), http.StatusOK, "late@example.com")
	wantSaid(t, b.Post(path, nil), http.StatusConflict, "This email is in use")
	if got := d.account(t, 71).Email; got != jo {
		t.Errorf("the email is %q, want %q", got, jo)
	}
}

func TestMailIsOff(t *testing.T) {
	d := newFront(t)
	d.SignIn.Mailer = nil
	b := d.visitor(jo)
	wantSaid(t, b.Get(accountPath), http.StatusOK, "To change your email, ask Parcel Hub.")
	wantSaid(t, b.Get(emailPath), http.StatusOK, "Ask Parcel Hub to change it.")
	wantRedirect(t, b.Post(emailPath, fields("email", "new@example.com")), emailPath)
	wantRedirect(t, b.Post(passwordPath, fields("password", newPass)), accountPath+"?done=password_changed")
}

func TestPassword(t *testing.T) {
	d := newFront(t)
	b := d.visitor(jo)
	other := d.visitor(jo)
	d.Mails.Take()
	s := b.Submit(b.Get(passwordPath), passwordPath, fields("password", newPass))
	wantRedirect(t, s, accountPath+"?done=password_changed")
	wantSaid(t, b.Follow(s), http.StatusOK, "Your password is changed. Other browsers were signed out.")
	wantSignedOut(t, other)
	d.mailed(t, mail.PasswordChanged)
	wantSaid(t, d.browser().Post(signInPath, fields("email", jo, "password", functiontest.Password)), 422)
	d.browser().SignIn(jo, newPass)
}

func TestSessions(t *testing.T) {
	d := newFront(t)
	phone := d.browser()
	phone.UserAgent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
	phone.IP = "2001:db8:1:2::7"
	phone.SignIn(jo, functiontest.Password)
	stranger := d.visitor(sam)
	b := d.visitor(jo)
	s := b.Get(sessionsPath)
	wantSaid(t, s, http.StatusOK, "This browser", "Firefox", "Safari", "203.0.113.0", "2001:db8:1")
	for what, text := range map[string]string{"the whole address": "203.0.113.7", "the whole address of the phone": "2001:db8:1:2::7", "a cookie": phone.Cookies[session]} {
		if strings.Contains(s.Body, text) {
			t.Errorf("the page shows %s", what)
		}
	}
	if strings.Count(s.Text(), "This browser") != 1 || strings.Contains(s.Text(), "Red River") {
		t.Errorf("the list is wrong:\n%s", s.Text())
	}
	s = b.Submit(s, sessionsPath, nil)
	wantRedirect(t, s, sessionsPath+"?done=sessions_ended")
	s = b.Follow(s)
	wantSaid(t, s, http.StatusOK, "All other browsers are signed out.", "This browser")
	if strings.Contains(s.Text(), "Sign out everywhere else") || strings.Contains(s.Text(), "Safari") {
		t.Errorf("the list still has others:\n%s", s.Text())
	}
	wantSignedOut(t, phone)
	wantSignedIn(t, stranger, "Red River Foods")
}

// TestPagesOfAnErrorKeepTheirSurroundings: people see what still works, and the request id.
func TestPagesOfAnErrorKeepTheirSurroundings(t *testing.T) {
	d := newFront(t)
	b := d.visitor(jo)
	d.Mails.Fail(http.ErrServerClosed)
	s := b.Post(emailPath, fields("email", "new@example.com"))
	wantSaid(t, s, http.StatusInternalServerError, "Blue Gum Trading", "Something went wrong on our side", "What still works", s.Header.Get("X-Request-Id"))
	if strings.Contains(s.Body, http.ErrServerClosed.Error()) || !strings.Contains(s.Log, http.ErrServerClosed.Error()) {
		t.Errorf("the cause belongs to the log only:\n%s\n%s", s.Text(), s.Log)
	}
}
