package signin_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/mail"
	"carrierlink/shared/secret"
	"carrierlink/shared/signin"
)

// TestCookies: what is no cookie of ours costs no call, and what is another account's is
// refused.
func TestCookies(t *testing.T) {
	w := newWorld(t)
	w.account(42, carrier.Production, "other@example.com", right)
	cookie := w.signedIn().Text.Reveal()
	b, err := base64.RawURLEncoding.DecodeString(cookie)
	w.ok(err)
	foreign := append([]byte{0, 0, 0, 42}, b[4:]...)
	for _, tc := range []struct {
		name, text string
		calls      int
	}{
		{"empty", "", 0},
		{"truncated", cookie[:len(cookie)-1], 0},
		{"longer", cookie + "A", 0},
		{"8 KB", strings.Repeat("A", 8192), 0},
		{"another alphabet", strings.Repeat("+", len(cookie)), 0},
		{"with a line break", cookie + "\n", 0},
		{"account 0", base64.RawURLEncoding.EncodeToString(append(make([]byte, 4), b[4:]...)), 0},
		{"another account's", base64.RawURLEncoding.EncodeToString(foreign), 1},
		{"another partner's", base64.RawURLEncoding.EncodeToString(append([]byte{0, 0, 0, merchant, 0, 0, 0, 8}, b[8:]...)), 1},
		{"one that was never made", base64.RawURLEncoding.EncodeToString(append(b[:39:39], b[39]^1)), 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, table := w.watch(-1)
			_, err := s.Visit(t.Context(), secret.New(tc.text), "se-1", from(firefox))
			if calls := table.taken(); !fault.Is(err, fault.Unauthorized) || len(calls) != tc.calls {
				t.Errorf("Visit = %v after the calls %v, want Unauthorized after %d", err, calls, tc.calls)
			}
		})
	}
	s, table := w.watch(-1)
	for _, carrierID := range []string{"", "se-1", "no id", strings.Repeat("x", 5000)} {
		if _, err := s.Visit(t.Context(), secret.New(cookie), carrierID, from(firefox)); err != nil {
			t.Errorf("Visit with carrier_id %.10q = %v", carrierID, err)
		}
		if calls := table.taken(); len(calls) != 1 {
			t.Errorf("calls = %v, want one", calls)
		}
	}
}

// TestAccountsThatEnd: nobody is on the page of an account that is disabled or deleted.
func TestAccountsThatEnd(t *testing.T) {
	for name, end := range map[string]func(*world, account.Account) error{
		"disabled": func(w *world, a account.Account) error {
			return w.memory.SetAccountActive(w.Context(), a, false, false, effects.Effects{}, w.now())
		},
		"deleted": func(w *world, a account.Account) error {
			return w.memory.DeleteAccount(w.Context(), a, false, w.now().Add(time.Hour), effects.Effects{}, w.now())
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			cookie := w.signedIn().Text
			w.ok(w.s.Forgot(t.Context(), address, from(firefox)))
			link := w.link(mail.Reset)
			w.ok(end(w, w.stored(merchant)))
			_, err := w.visit(cookie)
			w.is("Visit", err, fault.Unauthorized)
			_, err = w.signIn(right)
			w.is("SignIn", err, fault.Inactive)
			_, err = w.signIn("wrong")
			w.is("SignIn with a wrong password", err, fault.Unauthorized)
			_, err = w.s.SetPassword(t.Context(), signin.TokenReset, link, secret.New("nine blue kettles"), from(firefox))
			w.is("SetPassword", err, fault.NotFound)
			w.ok(w.s.Forgot(t.Context(), address, from(firefox)))
			for _, m := range w.mails.take() {
				if m.AccountID != 0 {
					t.Errorf("a mail of kind %s", m.Kind)
				}
			}
			_, err = w.s.Invite(t.Context(), w.stored(merchant), true, nil)
			w.is("Invite", err, fault.State)
			_, err = w.s.Ephemeral(t.Context(), w.stored(merchant), effects.By{})
			w.is("Ephemeral", err, fault.State)
		})
	}
}

func TestCheckPassword(t *testing.T) {
	a := &account.Account{Email: "kettle.lover@example.com"}
	for _, tc := range []struct {
		name, password string
		want           fault.Kind
	}{
		{"empty", "", fault.Length},
		{"seven characters", "1a2b3c4", fault.Length},
		{"129 characters", strings.Repeat("ä", 129), fault.Length},
		{"NUL", "green\x00kettles", fault.Invalid},
		{"the commonest", "password", fault.Invalid},
		{"a common one in capitals", "SunShine", fault.Invalid},
		{"the last of the list", "greyhoun", fault.Invalid},
		{"the email", "Kettle.Lover@example.com", fault.Invalid},
		{"the local part", "KETTLE.LOVER", fault.Invalid},
		{"two lines of the list", "password\n12345678", fault.Invalid},
		{"eight characters", "7 green ", good},
		{"128 characters", strings.Repeat("ä", 128), good},
		{"emoji", "🫖🫖🫖🫖🫖🫖🫖🫖", good},
		{"with a common one in it", "password of kettles", good},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := signin.CheckPassword(a, secret.New(tc.password))
			if (tc.want == good) != (err == nil) || err != nil && (!fault.Is(err, tc.want) || fault.Of(err)[0].Field != "password" || tc.password != "" && tc.password != "password" && strings.Contains(err.Error(), tc.password)) {
				t.Errorf("CheckPassword(%q) = %v, want %v of the password", tc.password, err, tc.want)
			}
		})
	}
}

// TestTokens: a link works once, for its kind, its time, its address and its epoch.
func TestTokens(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(w *world, link string) string
		calls int // of the table
	}{
		"empty":           {func(*world, string) string { return "" }, 0},
		"mistyped":        {func(_ *world, link string) string { return link[:20] + "x" + link[21:] }, 0},
		"a letter lost":   {func(_ *world, link string) string { return link[:len(link)-1] }, 0},
		"of another kind": {func(_ *world, link string) string { return "cl_i_" + link[5:] }, 0},
		"8 KB":            {func(_ *world, link string) string { return strings.Repeat(link, 100) }, 0},
		"expired":         {func(w *world, link string) string { w.pass(30 * time.Minute); return link }, 1},
		"after a change of the email": {func(w *world, link string) string {
			a := w.stored(merchant)
			next := a
			next.Email, next.EmailKey = "b@example.com", "B@EXAMPLE.COM"
			w.ok(w.memory.UpdateAccount(w.Context(), account.Update{Old: a, New: next}, effects.Effects{}, w.now()))
			return link
		}, 1},
		"after all sessions were ended": {func(w *world, link string) string {
			w.ok(w.s.EndSessions(w.Context(), w.stored(merchant), effects.Effects{}))
			return link
		}, 1},
		"used": {func(w *world, link string) string {
			_, err := w.s.SetPassword(w.Context(), signin.TokenReset, link, secret.New("nine blue kettles"), from(firefox))
			w.ok(err)
			return link
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.ok(w.s.Forgot(t.Context(), address, from(firefox)))
			link := w.link(mail.Reset)
			if !strings.HasPrefix(link, "cl_r_") {
				t.Errorf("link = %q", link)
			}
			link = tc.spoil(w, link)
			s, table := w.watch(-1)
			_, err := s.Token(t.Context(), signin.TokenReset, link)
			w.is("Token", err, fault.NotFound)
			if calls := table.taken(); len(calls) != tc.calls {
				t.Errorf("calls = %v, want %d", calls, tc.calls)
			}
			_, err = s.SetPassword(t.Context(), signin.TokenReset, link, secret.New("nine blue kettles"), from(firefox))
			w.is("SetPassword", err, fault.NotFound)
			_, err = s.Enter(t.Context(), link, secret.Text{}, from(firefox))
			w.is("Enter", err, fault.NotFound)
			w.is("VerifyEmail", s.VerifyEmail(t.Context(), link, from(firefox)), fault.NotFound)
		})
	}
}

// TestPartnerSessions: the partner's link opens the page, and what is the owner's stays it.
func TestPartnerSessions(t *testing.T) {
	w := newWorld(t)
	made, err := w.s.Ephemeral(t.Context(), w.stored(merchant), effects.By{Actor: effects.Partner, KeyID: 5, PartnerID: partnerID})
	w.ok(err)
	own := w.signedIn().Text
	w.pass(time.Second)
	started, err := w.s.Enter(t.Context(), made.Text.Reveal(), own, from(firefox))
	w.ok(err)
	_, err = w.visit(own)
	w.is("the session that the browser had", err, fault.Unauthorized)
	v := w.visited(started.Text)
	_, err = w.s.Confirm(t.Context(), v, secret.New(right), from(firefox))
	w.is("Confirm", err, fault.Forbidden)
	v.Session.ConfirmedAt = w.now()
	_, err = w.s.ChangePassword(t.Context(), v, secret.New("nine blue kettles"), from(firefox))
	w.is("ChangePassword", err, fault.Forbidden)
	_, err = w.s.SignOutOthers(t.Context(), v, from(firefox))
	w.is("SignOutOthers", err, fault.Forbidden)
	w.is("RequestEmail", w.s.RequestEmail(t.Context(), v, "b@example.com"), fault.Forbidden)
	w.is("Reveal", w.s.Reveal(t.Context(), v, connection.Connection{ID: "se-1", AccountID: merchant}, from(firefox)), fault.Forbidden)
	_, err = w.s.Enter(t.Context(), made.Text.Reveal(), secret.Text{}, from(firefox))
	w.is("a link that was used", err, fault.NotFound)
	found, _, err := w.memory.ListEvents(t.Context(), effects.Listing{PartnerID: partnerID, Limit: 1})
	w.ok(err)
	if got, want := string(found[0].Data), `{"method":"partner","browser":"Firefox on Windows","api_key_id":5}`; got != want {
		t.Errorf("data = %s, want %s", got, want)
	}
	late, err := w.s.Ephemeral(t.Context(), w.stored(merchant), effects.By{})
	w.ok(err)
	w.pass(time.Minute)
	_, err = w.s.Enter(t.Context(), late.Text.Reveal(), secret.Text{}, from(firefox))
	w.is("a link of a minute ago", err, fault.NotFound)
}

func TestInvite(t *testing.T) {
	w := newWorld(t)
	w.account(42, carrier.Production, "", "")
	w.account(43, carrier.Production, "new@example.com", "")
	_, err := w.s.Invite(t.Context(), w.stored(42), false, nil)
	w.is("without an email", err, fault.State)
	foreign := w.stored(43)
	foreign.PartnerID = 8
	_, err = w.s.Invite(t.Context(), foreign, false, nil)
	w.is("another partner's account", err, fault.NotFound)
	made, err := w.s.Invite(t.Context(), w.stored(43), false, nil)
	w.ok(err)
	if mails := w.mails.take(); len(mails) != 0 {
		t.Errorf("mails = %+v, want none", mails)
	}
	_, err = w.s.Invite(t.Context(), w.stored(43), true, nil)
	w.ok(err)
	link := w.link(mail.Invitation)
	token, err := w.s.Token(t.Context(), signin.TokenInvitation, link)
	if err != nil || token.AccountID != 43 || token.Email != "new@example.com" {
		t.Errorf("Token = %+v, %v", token, err)
	}
	w.pass(7*24*time.Hour - time.Second)
	started, err := w.s.SetPassword(t.Context(), signin.TokenInvitation, link, secret.New("nine blue kettles"), from(firefox))
	w.ok(err)
	w.visited(started.Text)
	_, err = w.s.SetPassword(t.Context(), signin.TokenInvitation, made.Text.Reveal(), secret.New("nine blue kettles"), from(firefox))
	w.is("the other invitation", err, fault.NotFound)
	want := []effects.EventType{effects.LoginInvited, effects.LoginInvited, effects.LoginPasswordSet, effects.LoginSignedIn}
	if diff := cmp.Diff(want, w.events(43)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	w.s.Mailer = nil
	_, err = w.s.Invite(t.Context(), w.stored(43), true, nil)
	w.is("mail is off", err, fault.State)
	_, err = w.s.Invite(t.Context(), w.stored(43), false, nil)
	w.is("mail is off, and not needed", err, good)
	w.is("Forgot while mail is off", w.s.Forgot(t.Context(), address, from(firefox)), fault.State)
}

// TestSessionsOfADisabledPartner: a partner that is disabled is in no account page that it has
// opened, nor gets into one by a link that it has made; its merchants are, as before.
func TestSessionsOfADisabledPartner(t *testing.T) {
	w := newWorld(t)
	enter := func() secret.Text {
		made, err := w.s.Ephemeral(t.Context(), w.stored(merchant), effects.By{KeyID: 1, PartnerID: partnerID})
		w.ok(err)
		return made.Text
	}
	entered := func(link secret.Text) secret.Text {
		started, err := w.s.Enter(t.Context(), link.Reveal(), secret.Text{}, from(firefox))
		w.ok(err)
		return started.Text
	}
	own, partners, link := w.signedIn().Text, entered(enter()), enter()
	w.visited(partners)
	p, keys, err := w.memory.Partner(t.Context(), partnerID)
	w.ok(err)
	disabled := p
	disabled.Version, disabled.DisabledAt = p.Version+1, w.now()
	w.ok(w.memory.ChangePartner(t.Context(), account.PartnerChange{Old: p, New: disabled, OldKeys: keys, NewKeys: keys}, effects.Effects{}, w.now()))
	for what, cookie := range map[string]secret.Text{"a session that it opened": partners, "a link that it made": entered(link)} {
		_, err = w.visit(cookie)
		w.is(what, err, fault.Unauthorized)
	}
	w.visited(own)
}

// TestInvitationMails: an address gets three invitations in an hour, whichever account has it.
// A link that the partner hands over is no mail.
func TestInvitationMails(t *testing.T) {
	w := newWorld(t)
	w.account(42, carrier.Sandbox, address, "")
	for _, id := range []int64{merchant, 42, merchant} {
		_, err := w.s.Invite(t.Context(), w.stored(id), true, nil)
		w.ok(err)
	}
	_, err := w.s.Invite(t.Context(), w.stored(42), true, nil)
	if !fault.Is(err, fault.RateLimited) || fault.Of(err)[0].RetryAfter != time.Hour {
		t.Errorf("a fourth mail = %v, want an hour to wait", err)
	}
	if sent := len(w.mails.take()); sent != 3 {
		t.Errorf("%d mails, want 3", sent)
	}
	_, err = w.s.Invite(t.Context(), w.stored(42), false, nil)
	w.is("a link", err, good)
	w.pass(time.Hour)
	_, err = w.s.Invite(t.Context(), w.stored(42), true, nil)
	w.is("a mail an hour later", err, good)
}

// TestStrangersStopNobody: whoever has used up the attempts of an address or of a network
// stops neither somebody who is signed in nor a mail of another kind.
func TestStrangersStopNobody(t *testing.T) {
	w := newWorld(t)
	w.account(42, carrier.Production, "eve@example.com", right)
	v := w.visited(w.signedIn().Text)
	for range 40 {
		if _, err := w.signIn("wrong"); err == nil {
			t.Fatal("a wrong password")
		}
		_ = w.s.Forgot(t.Context(), "nobody@example.com", from(firefox)) // most are refused
	}
	_, err := w.signIn(right)
	w.is("SignIn", err, fault.RateLimited)
	w.is("RequestEmail", w.s.RequestEmail(t.Context(), v, "other@example.com"), good)
	_, err = w.s.Confirm(t.Context(), v, secret.New(right), from(firefox))
	w.is("Confirm", err, good)

	w.pass(time.Hour)
	eve, err := w.s.SignIn(t.Context(), "eve@example.com", secret.New(right), secret.Text{}, from(firefox))
	w.ok(err)
	for range 3 {
		w.ok(w.s.RequestEmail(t.Context(), w.visited(eve.Text), address))
	}
	w.mails.take()
	w.is("Forgot", w.s.Forgot(t.Context(), address, from(firefox)), good)
	w.link(mail.Reset)
	for range 2 {
		w.ok(w.s.Forgot(t.Context(), address, from(firefox)))
	}
	_, err = w.s.Invite(t.Context(), w.stored(merchant), true, nil)
	w.is("Invite", err, good)
}

// TestConfirmAttempts: a person who is signed in has as many attempts as one who is not.
func TestConfirmAttempts(t *testing.T) {
	w := newWorld(t)
	v := w.visited(w.signedIn().Text)
	for range 5 {
		_, err := w.s.Confirm(t.Context(), v, secret.New("wrong"), from(firefox))
		w.is("a wrong password", err, fault.Unauthorized)
	}
	_, err := w.s.Confirm(t.Context(), v, secret.New(right), from(firefox))
	w.is("a sixth attempt", err, fault.RateLimited)
	w.pass(time.Minute)
	_, err = w.s.Confirm(t.Context(), v, secret.New(right), from(firefox))
	w.is("a minute later", err, good)
}

func TestEmailOfAnother(t *testing.T) {
	w := newWorld(t)
	w.account(42, carrier.Production, "taken@example.com", right)
	w.account(43, carrier.Sandbox, "sandbox@example.com", right)
	v := w.visited(w.signedIn().Text)
	w.mails.take()
	for _, tc := range []struct {
		name, address string
		want          fault.Kind
		account       int64 // of the mail with the link
	}{
		{"no address", "jo@\r\nexample.com", fault.Invalid, 0},
		{"its own", address, fault.Invalid, 0},
		{"another account's", "taken@example.com", good, 0},
		{"another environment's", "sandbox@example.com", good, merchant},
		{"its own in capitals", "JO@example.com", good, merchant},
		{"a fourth one", "fourth@example.com", fault.RateLimited, 0},
	} {
		err := w.s.RequestEmail(t.Context(), v, tc.address)
		w.is(tc.name, err, tc.want)
		mails := w.mails.take()
		if tc.want != good {
			if len(mails) != 0 {
				t.Errorf("%s: mails = %+v", tc.name, mails)
			}
			continue
		}
		if len(mails) != 2 || mails[0].Kind != mail.EmailChanging || mails[0].To != address || mails[1].Kind != mail.VerifyEmail || mails[1].To != tc.address || mails[1].AccountID != tc.account {
			t.Errorf("%s: mails = %+v", tc.name, mails)
		}
	}
	w.pass(2 * time.Hour)
	again := w.visited(w.signedIn().Text)
	w.ok(w.s.RequestEmail(t.Context(), again, "later@example.com"))
	link := w.link(mail.VerifyEmail)
	w.account(44, carrier.Production, "later@example.com", "")
	w.is("an address that was taken meanwhile", w.s.VerifyEmail(t.Context(), link, from(firefox)), fault.Conflict)
}

func TestReveal(t *testing.T) {
	w := newWorld(t)
	v := w.visited(w.signedIn().Text)
	w.mails.take()
	w.pass(time.Second)
	conn := connection.Connection{ID: "se-1", AccountID: merchant, Carrier: carrier.AustraliaPost}
	w.is("another account's", w.s.Reveal(t.Context(), v, connection.Connection{ID: "se-2", AccountID: 42}, from(firefox)), fault.NotFound)
	w.mails.fail = errors.New("the queue is down")
	if w.s.Reveal(t.Context(), v, conn, from(firefox)) == nil {
		t.Error("a reveal without its mail")
	}
	w.mails.fail = nil
	for range 2 {
		w.ok(w.s.Reveal(t.Context(), v, conn, from(firefox)))
	}
	w.is("a fourth reveal", w.s.Reveal(t.Context(), v, conn, from(firefox)), fault.RateLimited)
	if diff := cmp.Diff([]effects.EventType{effects.LoginSignedIn, effects.SecretShown, effects.SecretShown}, w.events(merchant)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if mails := w.mails.take(); len(mails) != 2 || mails[0].Kind != mail.SecretShown || mails[0].CarrierID != "se-1" {
		t.Errorf("mails = %+v", mails)
	}
	w.pass(5*time.Minute + time.Second)
	w.is("not confirmed", w.s.Reveal(t.Context(), v, conn, from(firefox)), fault.Forbidden)
}

// TestMaxSessions: a further session ends the oldest.
func TestMaxSessions(t *testing.T) {
	w := newWorld(t)
	var all []secret.Text
	for range signin.MaxSessions + 2 {
		w.pass(time.Second)
		all = append(all, w.signedIn().Text)
	}
	for i, cookie := range all {
		if _, err := w.visit(cookie); (err == nil) != (i >= 2) {
			t.Errorf("session %d of %d: %v", i+1, len(all), err)
		}
	}
	sessions, err := w.memory.SessionsOf(t.Context(), merchant)
	if err != nil || len(sessions) != signin.MaxSessions {
		t.Errorf("%d sessions are stored, %v, want %d", len(sessions), err, signin.MaxSessions)
	}
}

// TestStrongerHash: a sign-in replaces a hash that is too cheap, and nothing else of the
// account.
func TestStrongerHash(t *testing.T) {
	w := newWorld(t)
	a := w.stored(merchant)
	weak := a
	weak.PasswordHash, weak.Version = strings.Replace(a.PasswordHash, "strong", "weak", 1), a.Version+1
	w.ok(w.memory.UpdateAccount(t.Context(), account.Update{Old: a, New: weak}, effects.Effects{}, w.now()))
	w.signedIn()
	weak.PasswordHash = a.PasswordHash
	if diff := cmp.Diff(weak, w.stored(merchant)); diff != "" {
		t.Errorf("the account (-want +got):\n%s", diff)
	}
	w.signedIn()
}

func TestWhereSessionsAreFrom(t *testing.T) {
	for _, tc := range []struct{ name, userAgent, ip, browser, network string }{
		{"nothing", "", "", "A browser on another system", "unknown"},
		{"markup", "<script>alert(1)</script>", "x<y", "A browser on another system", "unknown"},
		{"Firefox", firefox, "203.0.113.7", "Firefox on Windows", "203.0.113.0/24"},
		{"Chrome", chrome, "2001:db8:1:2:3::4", "Chrome on macOS", "2001:db8:1::/48"},
		{"Edge", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/139.0 Safari/537.36 Edg/139.0", "::ffff:203.0.113.7", "Edge on Windows", "203.0.113.0/24"},
		{"Safari", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 Version/18.0 Mobile/15E148 Safari/604.1", "fe80::1%eth0", "Safari on iPhone", "fe80::/48"},
		{"an Android phone", "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/139.0 Mobile Safari/537.36", "0.0.0.0", "Chrome on Android", "0.0.0.0/24"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			started, err := w.s.SignIn(t.Context(), address, secret.New(right), secret.Text{}, signin.Client{UserAgent: tc.userAgent, IP: tc.ip})
			w.ok(err)
			if s := started.Session; s.Browser != tc.browser || s.IP != tc.network {
				t.Errorf("session is of %q at %q, want %q at %q", s.Browser, s.IP, tc.browser, tc.network)
			}
		})
	}
}
