package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/effects"
	"carrierlink/shared/mail"
	"carrierlink/shared/secret"
	"carrierlink/shared/signin"
)

// newPass is a new password; a Browser fails if a page shows it.
const newPass = "eleven canary umbrellas"

const session = "__Host-session"

func TestSignInRefuses(t *testing.T) {
	long := strings.Repeat("é", 129)
	tests := []struct {
		name   string
		fields url.Values
		status int
		says   string
	}{
		{"nothing", nil, 422, "Email is required."},
		{"no password", fields("email", jo), 422, "Password is required."},
		{"wrong password", fields("email", jo, "password", "canary wrong"), 422, "The email or the password is wrong."},
		{"another account's password", fields("email", "none@example.com", "password", functiontest.Password), 422, "The email or the password is wrong."},
		{"unknown email", fields("email", "eve@example.com", "password", functiontest.Password), 422, "The email or the password is wrong."},
		{"no address at all", fields("email", "eve", "password", "canary"), 422, "The email or the password is wrong."},
		{"password of 129 characters", fields("email", jo, "password", "canary"+long), 422, "The email or the password is wrong."},
		{"password of 60 KB", fields("email", jo, "password", strings.Repeat("canary", 10_000)), 422, "The email or the password is wrong."},
		{"emoji for a password", fields("email", jo, "password", "canary🦘🦘🦘"), 422, "The email or the password is wrong."},
		{"email with CR LF", fields("email", jo+"\r\nBcc: eve@example.com", "password", functiontest.Password), 422, "The email or the password is wrong."},
		{"NUL in the password", fields("email", jo, "password", "canary\x00"), 400, "We couldn't use what was sent"},
		{"NUL in the email", fields("email", jo+"\x00", "password", functiontest.Password), 400, "We couldn't use what was sent"},
		{"not UTF-8", fields("email", jo, "password", "canary\xff"), 400, "We couldn't use what was sent"},
		{"two emails", url.Values{"email": {jo, sam}, "password": {functiontest.Password}}, 400, "We couldn't use what was sent"},
		{"10 MB", fields("email", jo, "password", strings.Repeat("canary", 10<<20/6)), 413, "too much"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			b := newFront(t).browser()
			s := b.Post(signInPath, tc.fields)
			wantSaid(t, s, tc.status, tc.says)
			if len(b.Cookies) != 0 || len(s.Header.Values("Set-Cookie")) != 0 {
				t.Errorf("the browser got the cookies %v", b.Cookies)
			}
			wantSignedOut(t, b)
			if tc.status != 422 {
				return
			}
			form, _ := s.Form(signInPath)
			if form.Get("password") != "" || form.Get("email") != strings.NewReplacer("\r", "", "\n", "").Replace(tc.fields.Get("email")) && !strings.Contains(tc.name, "CR LF") {
				t.Errorf("the form is shown again with %v", form)
			}
		})
	}
	t.Run("JSON", func(t *testing.T) {
		b := newFront(t).browser()
		b.Header.Set("Content-Type", "application/json")
		wantSaid(t, b.Do(http.MethodPost, signInPath, `{"email":"x"}`), 415, "couldn't read")
	})
}

func TestSignIn(t *testing.T) {
	d := newFront(t)
	b := d.browser()
	s := b.Submit(b.Get(signInPath+"?next=/portal/account"), signInPath, fields("email", jo, "password", functiontest.Password))
	wantRedirect(t, s, accountPath)
	cookies := s.Header.Values("Set-Cookie")
	if len(cookies) != 1 || !strings.HasPrefix(cookies[0], session+"=") {
		t.Fatalf("Set-Cookie = %q, want one session", cookies)
	}
	for _, attribute := range []string{"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} {
		if !strings.Contains(cookies[0], "; "+attribute) {
			t.Errorf("the cookie %s lacks %s", cookies[0], attribute)
		}
	}
	if strings.Contains(cookies[0], "Domain") || strings.Contains(s.Log, b.Cookies[session]) || !strings.Contains(s.Log, `"account_id":71`) {
		t.Errorf("Set-Cookie %s, log %s", cookies[0], s.Log)
	}
	wantSaid(t, b.Follow(s), http.StatusOK, "Blue Gum Trading", "Jo", jo, "Parcel Hub")
	wantRedirect(t, b.Get(signInPath+"?next="+detailsPath), detailsPath) // is signed in already
	if head := b.Do(http.MethodHead, accountPath, ""); head.Status != http.StatusOK || head.Body != "" {
		t.Errorf("HEAD = %d %q", head.Status, head.Body)
	}
}

// formID is what differs in a form each time.
var formID = regexp.MustCompile(`name="form_id" value="[^"]*`)

// answer is what a browser gets, apart from what is random.
type answer struct {
	Status int
	Header http.Header
	Bytes  int // of the body as it is sent
	Body   string
}

// answerTo returns what is to be the same whose email was entered: text is the email in the page.
func answerTo(s *functiontest.Shown, text string) answer {
	h := s.Header.Clone()
	body := strings.ReplaceAll(formID.ReplaceAllString(s.Body, ""), text, "EMAIL")
	for _, name := range []string{"X-Request-Id", "X-Amzn-Requestid"} {
		if id := h.Get(name); id != "" {
			body = strings.ReplaceAll(body, id, "ID")
		}
		h.Del(name)
	}
	return answer{s.Status, h, len(s.Body) - strings.Count(s.Body, text)*len(text), body}
}

// same checks that two answers are equal, except for the ids of form and request, and the
// email that was entered.
func same(t *testing.T, what string, known, unknown *functiontest.Shown) {
	t.Helper()
	clean := func(s *functiontest.Shown) answer {
		for _, email := range []string{"none@example.com", "eve71@example.com"} {
			if strings.Contains(s.Body, email) {
				return answerTo(s, email)
			}
		}
		return answerTo(s, jo)
	}
	if diff := cmp.Diff(clean(known), clean(unknown)); diff != "" {
		t.Errorf("%s (-known +unknown):\n%s", what, diff)
	}
}

// TestAnswersDoNotTellWhichEmailsAreKnown also past the limit of tries.
func TestAnswersDoNotTellWhichEmailsAreKnown(t *testing.T) {
	for n := range 8 {
		t.Run(fmt.Sprintf("after %d tries", n), func(t *testing.T) {
			try := func(page, email string) *functiontest.Shown {
				d := newFront(t)
				b := d.browser()
				for range n {
					b.Post(page, fields("email", email, "password", "canary wrong"))
				}
				return b.Post(page, fields("email", email, "password", "canary wrong"))
			}
			unknown := try(signInPath, "eve71@example.com")
			same(t, "wrong password", try(signInPath, jo), unknown)
			same(t, "an account without a password", try(signInPath, "none@example.com"), unknown)
			same(t, "forgot", try(forgotPath, jo), try(forgotPath, "eve71@example.com"))
			if n == 7 && unknown.Status != http.StatusTooManyRequests {
				t.Errorf("the eighth try = %d, want 429", unknown.Status)
			}
		})
	}
}

// TestSignInToAnAccountThatIsSwitchedOff tells only who knows the password.
func TestSignInToAnAccountThatIsSwitchedOff(t *testing.T) {
	d := newFront(t)
	by := effects.Effects{By: effects.By{Actor: effects.Partner, PartnerID: 5}}
	if err := d.Accounts.Disable(t.Context(), d.account(t, 71), false, by); err != nil {
		t.Fatal(err)
	}
	b := d.browser()
	same(t, "wrong password", b.Post(signInPath, fields("email", jo, "password", "canary wrong")), b.Post(signInPath, fields("email", "eve71@example.com", "password", "canary wrong")))
	wantSaid(t, b.Post(signInPath, fields("email", jo, "password", functiontest.Password)), 422, "This account is switched off.")
	wantSignedOut(t, b)
}

func TestTriesThatWait(t *testing.T) {
	d := newFront(t)
	b := d.browser()
	for range 5 {
		wantSaid(t, b.Post(signInPath, fields("email", jo, "password", "canary wrong")), 422)
	}
	s := b.Post(signInPath, fields("email", jo, "password", functiontest.Password))
	wantSaid(t, s, http.StatusTooManyRequests, "That was tried too often. You can try again at 11:02 am, in 1 minute.")
	if s.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	wantSignedOut(t, b)
	if form, _ := s.Form(signInPath); form.Get("email") != jo || form.Get("password") != "" {
		t.Errorf("the form is shown again with %v", form)
	}
	d.Pass(20 * time.Minute)
	b.SignIn(jo, functiontest.Password)
}

// elsewhere are values of next that lead away, or are no pages.
var elsewhere = []string{
	"//evil.example", `/\evil.example`, `\evil.example`, "https://evil.example", "javascript:alert(1)", "/portal//evil.example", "/portal/../v1/accounts",
	"/portal/%2e%2e", "/portal\r\nSet-Cookie: a=b", "/portal?x=//evil.example", "/portal#@evil.example", "/portal@evil.example", "/portalevil", "portal", "", "/v1/health",
	"/portal/reset/ABC", "//portal", "/\t/evil.example", "/portal/\u202e",
}

func TestNextLeadsToPagesOnly(t *testing.T) {
	d := newFront(t)
	for _, next := range elsewhere {
		t.Run(next, func(t *testing.T) {
			b := d.browser()
			form, _ := b.Get(signInPath + "?" + fields("next", next).Encode()).Form(signInPath)
			got := form.Get("next")
			if s := b.Post(signInPath, fields("email", jo, "password", functiontest.Password, "next", next)); s.Location != got || got != homePath && got != "/portal//evil.example" {
				t.Errorf("next=%q leads to %q and %q, want %s", next, got, s.Location, homePath)
			}
			form, _ = b.Get(confirmPath + "?" + fields("next", next).Encode()).Form(confirmPath)
			if s := b.Post(confirmPath, fields("password", functiontest.Password, "next", next)); s.Location != form.Get("next") || s.Location != got {
				t.Errorf("next=%q of the confirmation leads to %q and %q, want %s", next, form.Get("next"), s.Location, got)
			}
			if s := b.Get(signInPath + "?" + fields("next", next).Encode()); s.Location != got {
				t.Errorf("next=%q of somebody signed in leads to %q, want %s", next, s.Location, got)
			}
		})
	}
}

// withOld returns a browser with another cookie.
func withOld(b *functiontest.Browser, cookie string) *functiontest.Browser {
	old := b.Copy()
	old.Cookies[session] = cookie
	return old
}

func TestSessionsGetNewCookies(t *testing.T) {
	d := newFront(t)
	planted := d.visitor(sam).Cookies[session]
	b := withOld(d.browser(), planted) // somebody puts his session into another's browser
	wantRedirect(t, b.Post(signInPath, fields("email", jo, "password", functiontest.Password)), homePath)
	seen := []string{planted, b.Cookies[session]}
	wantRedirect(t, b.Post(confirmPath, fields("password", functiontest.Password, "next", accountPath)), accountPath)
	seen = append(seen, b.Cookies[session])
	wantRedirect(t, b.Post(passwordPath, fields("password", newPass)), accountPath+"?done=password_changed")
	seen = append(seen, b.Cookies[session])
	wantRedirect(t, b.Post(sessionsPath, nil), sessionsPath+"?done=sessions_ended")
	for i, old := range seen {
		if old == b.Cookies[session] {
			t.Errorf("cookie %d is still the browser's", i)
		}
		wantSignedOut(t, withOld(b, old))
	}
	wantSignedIn(t, b, "Blue Gum Trading")
}

// TestFormsThatRenewTwice: who sends such a form a second time before the first answer has come,
// as by a double click without JavaScript, goes on in the session that the first one has started;
// no other session starts or ends.
func TestFormsThatRenewTwice(t *testing.T) {
	for name, tc := range map[string]struct {
		page   string
		fields url.Values
		to     string
	}{
		confirmPath:  {confirmPath + "?next=" + detailsPath, fields("password", functiontest.Password), detailsPath},
		passwordPath: {passwordPath, fields("password", newPass), accountPath + "?done=password_changed"},
		sessionsPath: {sessionsPath, nil, sessionsPath + "?done=sessions_ended"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newFront(t)
			d.visitor(jo)
			b := d.visitor(jo)
			page := b.Get(tc.page)
			twin, thief := b.Copy(), b.Copy()
			form, _ := page.Form(name)
			wantRedirect(t, b.Submit(page, name, tc.fields), tc.to)
			wantRedirect(t, twin.Submit(page, name, tc.fields), tc.to)
			if twin.Cookies[session] != b.Cookies[session] {
				t.Error("the second answer has another session than the first")
			}
			wantSignedIn(t, b, "Blue Gum Trading")
			// Another form of the old session leads nowhere.
			form.Set("form_id", "AAAAAAAAAAAAAAAAAAAA")
			maps.Copy(form, tc.fields)
			if s := thief.Post(name, form); !strings.HasPrefix(s.Location, signInPath) {
				t.Errorf("another form of the old session leads to %q", s.Location)
			}
			form.Del("form_id")
			if s := thief.Post(name, form); !strings.HasPrefix(s.Location, signInPath) {
				t.Errorf("a form without id leads to %q", s.Location)
			}
		})
		t.Run(name+" at once", func(t *testing.T) {
			d := newFront(t)
			d.visitor(jo)
			b := d.visitor(jo)
			form, _ := b.Get(tc.page).Form(name)
			maps.Copy(form, tc.fields)
			if got := b.PostAtOnce(8, name, form); got[http.StatusSeeOther] != 8 {
				t.Errorf("the answers are %v", got)
			}
			wantRedirect(t, b.Post(name, form), tc.to)
			wantSignedIn(t, b, "Blue Gum Trading")
		})
	}
}

// TestEndedSessionsKeepThePage: whoever sends a form after the session has ended gets back to the
// page of the form by signing in; the form is not sent again.
func TestEndedSessionsKeepThePage(t *testing.T) {
	d := withCarriers(t)
	id := d.linkFor(t, 71)
	for path, next := range map[string]string{
		detailsPath:                          detailsPath,
		confirmPath:                          detailsPath, // where the form leads
		carrierPath(id) + "/change":          carrierPath(id) + "/change",
		carrierPath(id) + "/verify":          carrierPath(id),
		carriersPath + "/new/" + "startrack": carriersPath + "/new/" + "startrack",
	} {
		t.Run(path, func(t *testing.T) {
			b := d.visitor(jo)
			page := b.Copy()
			page.Post("/portal/sign-out", nil)
			s := b.Post(path, fields("next", detailsPath, "nickname", "canary", "last_name", "canary", "password", "canary"))
			wantRedirect(t, s, signInPath+"?done=signed-out&next="+url.QueryEscape(next))
			s = b.Submit(b.Follow(s), signInPath, fields("email", jo, "password", functiontest.Password))
			wantRedirect(t, s, next)
			if s := b.Follow(s); s.Status != http.StatusOK || strings.Contains(s.Body, "canary") {
				t.Errorf("%d:\n%s", s.Status, s.Body)
			}
		})
	}
}

// TestSignInEndsTheSessionBefore: also that of another account.
func TestSignInEndsTheSessionBefore(t *testing.T) {
	d := newFront(t)
	b := d.visitor(sam)
	before := b.Cookies[session]
	s := b.Post(signInPath, fields("email", jo, "password", functiontest.Password))
	wantRedirect(t, s, homePath)
	wantSignedOut(t, withOld(b, before))
	wantSignedIn(t, b, "Blue Gum Trading")
}

func TestCookiesThatAreNoSessions(t *testing.T) {
	d := newFront(t)
	valid := d.visitor(jo).Cookies[session]
	raw, err := base64.RawURLEncoding.DecodeString(valid)
	if err != nil || len(raw) != 40 {
		t.Fatalf("a cookie of %d bytes, %v", len(raw), err)
	}
	ofAccount := func(id uint32) string {
		other := append([]byte(nil), raw...)
		binary.BigEndian.PutUint32(other, id)
		return base64.RawURLEncoding.EncodeToString(other)
	}
	for name, header := range map[string]string{
		"none": "", "empty": session + "=", "of another account": session + "=" + ofAccount(73), "of no account": session + "=" + ofAccount(99),
		"truncated by one": session + "=" + valid[:len(valid)-1], "half": session + "=" + valid[:len(valid)/2], "longer": session + "=" + valid + "A",
		"of 8 KB": session + "=" + strings.Repeat("A", 8<<10), "repeated": session + "=" + valid + "; " + session + "=" + valid,
		"repeated, the second foreign": session + "=" + valid + "; " + session + "=" + ofAccount(73), "not base64": session + "=%%%", "under another name": "session=" + valid,
		"without the prefix": "Host-session=" + valid, "quoted NUL": session + "=\x00",
	} {
		t.Run(name, func(t *testing.T) {
			b := d.browser()
			b.Header.Set("Cookie", header)
			for _, path := range []string{accountPath, detailsPath, emailPath, passwordPath, sessionsPath, confirmPath} {
				s := b.Get(path)
				if s.Status != http.StatusSeeOther || !strings.HasPrefix(s.Location, signInPath+"?") || strings.Contains(s.Body, "Blue Gum") {
					t.Errorf("GET %s = %d to %q", path, s.Status, s.Location)
				}
			}
			if s := b.Post(detailsPath, fields("company_name", "Evil")); s.Status != http.StatusSeeOther || d.account(t, 71).CompanyName == "Evil" {
				t.Errorf("POST %s = %d to %q", detailsPath, s.Status, s.Location)
			}
			wantSaid(t, b.Get(signInPath), http.StatusOK, "Forgot your password?")
		})
	}
}

func TestSessionsEnd(t *testing.T) {
	by := effects.Effects{By: effects.By{Actor: effects.Partner, PartnerID: 5}}
	for name, end := range map[string]func(d *front) error{
		"two hours unused": func(d *front) error { d.Pass(2*time.Hour + time.Second); return nil },
		"the account disabled": func(d *front) error {
			return d.Accounts.Disable(d.tb.Context(), d.account(d.tb, 71), false, by)
		},
		"the account deleted": func(d *front) error {
			return d.Accounts.Delete(d.tb.Context(), d.account(d.tb, 71), false, 30, by)
		},
		"the account purged": func(d *front) error {
			err := d.Accounts.Delete(d.tb.Context(), d.account(d.tb, 71), false, 7, by)
			d.Pass(8 * 24 * time.Hour)
			return err
		},
		"ended by the partner": func(d *front) error { return d.SignIn.EndSessions(d.tb.Context(), d.account(d.tb, 71), by) },
		"the password changed in another browser": func(d *front) error {
			d.Mails.Take()
			wantRedirect(d.tb, d.visitor(jo).Post(passwordPath, fields("password", newPass)), accountPath+"?done=password_changed")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newFront(t)
			b := d.visitor(jo)
			wantSignedIn(t, b, "Blue Gum Trading")
			if err := end(d); err != nil {
				t.Fatal(err)
			}
			s := b.Get(detailsPath)
			wantRedirect(t, s, signInPath+"?done=signed-out&next="+url.QueryEscape(detailsPath))
			wantSaid(t, b.Follow(s), http.StatusOK, "You were signed out")
			if s := b.Post(detailsPath, fields("company_name", "Evil")); s.Status != http.StatusSeeOther || !strings.HasPrefix(s.Location, signInPath) {
				t.Errorf("POST = %d to %q", s.Status, s.Location)
			}
		})
	}
	t.Run("twelve hours, used all the time", func(t *testing.T) {
		d := newFront(t)
		b := d.visitor(jo)
		for range 12 {
			wantSignedIn(t, b, "Blue Gum Trading")
			d.Pass(time.Hour)
		}
		d.Pass(time.Second)
		wantSignedOut(t, b)
	})
}

func TestSignOut(t *testing.T) {
	d := newFront(t)
	b := d.visitor(jo)
	before := b.Copy()
	if s := b.Get("/portal/sign-out"); s.Status != http.StatusMethodNotAllowed {
		t.Errorf("GET = %d, want 405", s.Status)
	}
	s := b.Submit(b.Get(accountPath), "/portal/sign-out", nil)
	wantRedirect(t, s, signInPath+"?done=left")
	if len(b.Cookies) != 0 {
		t.Errorf("the browser still has %v", b.Cookies)
	}
	wantSaid(t, b.Follow(s), http.StatusOK, "You are signed out.")
	wantSignedOut(t, before) // Back, in a window with the old cookie
	wantRedirect(t, b.Post("/portal/sign-out", nil), signInPath+"?done=left")
	wantRedirect(t, before.Post("/portal/sign-out", nil), signInPath+"?done=left")
}

// TestHeadersOfPages: a browser asks again for each page after Back, and runs nothing that is
// not ours.
func TestHeadersOfPages(t *testing.T) {
	b := newFront(t).visitor(jo)
	for _, path := range []string{
		signInPath, accountPath, detailsPath, emailPath, passwordPath, sessionsPath, confirmPath, forgotPath, forgotSentPath, "/portal/reset/x", "/portal/nothing",
	} {
		s := b.Get(path)
		if got := s.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("GET %s has Cache-Control %q", path, got)
		}
		if got := s.Header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; style-src 'self'; script-src 'self'") {
			t.Errorf("GET %s has Content-Security-Policy %q", path, got)
		}
		if got := s.Header.Get("Referrer-Policy"); got != "same-origin" {
			t.Errorf("GET %s has Referrer-Policy %q", path, got)
		}
	}
}

// posts are all POSTs of these pages; {token} is a link that works.
var posts = []string{
	signInPath, "/portal/sign-out", forgotPath, "/portal/reset/{token}", "/portal/invitation/{token}", "/portal/verify-email/{token}", "/portal/enter/{token}",
	confirmPath, detailsPath, emailPath, passwordPath, sessionsPath,
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	origins := map[string][2][]string{
		"another site":                       {{"https://evil.example"}, {"cross-site"}},
		"another site, an old browser":       {{"https://evil.example"}, nil},
		"a sibling":                          {{"https://evil.portal.example"}, {"same-site"}},
		"a sibling, an old browser":          {{"https://evil.portal.example"}, nil},
		"without TLS, an old browser":        {{"http://evil.example"}, nil},
		"another port, an old browser":       {{functiontest.Origin + ":8443"}, nil},
		"null":                               {{"null"}, {"cross-site"}},
		"null, an old browser":               {{"null"}, nil},
		"no origin, but said by the browser": {nil, {"cross-site"}},
	}
	everything := fields("email", jo, "password", newPass, "company_name", "Evil", "first_name", "", "last_name", "", "origin_country_code", "AU", "version", "2")
	for name, headers := range origins {
		t.Run(name, func(t *testing.T) {
			d := newFront(t)
			b := d.visitor(jo)
			d.Mails.Take()
			cookie := b.Cookies[session]
			for _, path := range posts {
				b.Header["Origin"], b.Header["Sec-Fetch-Site"] = headers[0], headers[1]
				s := b.Post(strings.Replace(path, "{token}", d.token(t, path), 1), everything)
				if s.Status != http.StatusForbidden || b.Cookies[session] != cookie {
					t.Errorf("POST %s = %d, want 403", path, s.Status)
				}
			}
			if a := d.account(t, 71); a.CompanyName != "Blue Gum Trading" || a.Email != jo || len(d.Mails.Take()) != 0 {
				t.Errorf("a form of another site changed the account: %+v", a)
			}
			delete(b.Header, "Origin")
			delete(b.Header, "Sec-Fetch-Site")
			wantSignedIn(t, b, "Blue Gum Trading")
		})
	}
	for name, headers := range map[string][2][]string{
		"our own, an old browser": {{functiontest.Origin}, nil},
		"a tool":                  {nil, nil},
		"an address bar":          {{functiontest.Origin}, {"none"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newFront(t)
			b := d.browser()
			b.Header["Origin"], b.Header["Sec-Fetch-Site"] = headers[0], headers[1]
			wantRedirect(t, b.Post(signInPath, fields("email", jo, "password", functiontest.Password)), homePath)
		})
	}
}

// token makes a link for a path with {token}: its text, which works.
func (d *front) token(tb testing.TB, path string) string {
	tb.Helper()
	a := d.account(tb, 71)
	var made *signin.Issued
	var err error
	switch {
	case strings.HasPrefix(path, "/portal/invitation/"):
		made, err = d.SignIn.Invite(tb.Context(), a, false, nil)
	case strings.HasPrefix(path, "/portal/enter/"):
		made, err = d.SignIn.Ephemeral(tb.Context(), a, effects.By{Actor: effects.Partner, PartnerID: 5})
	default:
		return "cl_x"
	}
	if err != nil {
		tb.Fatal(err)
	}
	return made.Text.Reveal()
}

// reset returns the path of a link for a new password of an address, from its mail.
func (d *front) reset(tb testing.TB, address string) string {
	tb.Helper()
	d.Mails.Take()
	wantRedirect(tb, d.browser().Post(forgotPath, fields("email", address)), forgotSentPath)
	return "/portal/reset/" + d.mailed(tb, mail.Reset).Token.Reveal()
}

// mailed returns the only mail of a kind since the last Take.
func (d *front) mailed(tb testing.TB, kind mail.Kind) mail.Message {
	tb.Helper()
	var found []mail.Message
	for _, m := range d.Mails.Take() {
		if m.Kind == kind && m.AccountID != 0 { // as many are for nobody as there are no accounts
			found = append(found, m)
		}
	}
	if len(found) != 1 || found[0].AccountID != 71 {
		tb.Fatalf("%d mails %s, want one for account 71: %+v", len(found), kind, found)
	}
	return found[0]
}

// links are the links that a mail or the partner gives, and what their POST leads to.
var links = map[string]struct {
	path   func(d *front) string
	fields url.Values
	to     string
}{
	"reset":      {func(d *front) string { return d.reset(d.tb, jo) }, fields("password", newPass), homePath + "?done=password_set"},
	"invitation": {func(d *front) string { return "/portal/invitation/" + d.token(d.tb, "/portal/invitation/") }, fields("password", newPass), homePath + "?done=password_set"},
	"verify":     {func(d *front) string { return d.verify(d.tb, "new@example.com") }, nil, signInPath + "?done=email_changed"},
	"enter":      {func(d *front) string { return "/portal/enter/" + d.token(d.tb, "/portal/enter/") }, nil, homePath},
}

// verify returns the path of a link that gives account 71 another address.
func (d *front) verify(tb testing.TB, address string) string {
	tb.Helper()
	b := d.visitor(jo)
	d.Mails.Take()
	wantRedirect(tb, b.Post(emailPath, fields("email", address)), accountPath+"?done=email_mail_sent")
	return "/portal/verify-email/" + d.mailed(tb, mail.VerifyEmail).Token.Reveal()
}

// TestLinksWorkOnce also after mail scanners have opened them many times.
func TestLinksWorkOnce(t *testing.T) {
	for name, link := range links {
		t.Run(name, func(t *testing.T) {
			d := newFront(t)
			path := link.path(d)
			var log strings.Builder
			for range 10 {
				s := d.browser().Get(path)
				wantSaid(t, s, http.StatusOK)
				s.Form(path)
				head := d.browser().Do(http.MethodHead, path, "")
				log.WriteString(s.Log + head.Log)
			}
			b := d.browser()
			s := b.Submit(b.Get(path), path, link.fields)
			wantRedirect(t, s, link.to)
			log.WriteString(s.Log)
			for what, s := range map[string]*functiontest.Shown{"GET": b.Get(path), "POST": b.Post(path, link.fields), "POST of another browser": d.browser().Post(path, link.fields)} {
				if s.Status != http.StatusNotFound || !strings.Contains(s.Text(), "This link no longer works") {
					t.Errorf("%s of a used link = %d:\n%s", what, s.Status, s.Text())
				}
				log.WriteString(s.Log)
			}
			text := path[strings.LastIndexByte(path, '/')+1:]
			if strings.Contains(log.String(), text) || !strings.Contains(log.String(), "{token}") {
				t.Errorf("the log shows the link, or not its page: %s", log.String())
			}
		})
	}
}

func TestLinksThatDoNotWork(t *testing.T) {
	for name, link := range links {
		t.Run(name, func(t *testing.T) {
			d := newFront(t)
			path := link.path(d)
			page, text := path[:strings.LastIndexByte(path, '/')+1], path[strings.LastIndexByte(path, '/')+1:]
			var first *functiontest.Shown
			check := func(name, path string) {
				t.Helper()
				for _, s := range []*functiontest.Shown{d.browser().Get(path), d.browser().Post(path, link.fields)} {
					wantSaid(t, s, http.StatusNotFound, "This link no longer works")
					if first == nil {
						first = s
					}
					same(t, name, first, s)
				}
			}
			check("one character", page+"x")
			mistyped := "a"
			if strings.HasSuffix(text, mistyped) {
				mistyped = "b"
			}
			check("a mistyped character", page+text[:len(text)-1]+mistyped)
			check("truncated", page+text[:len(text)-5])
			check("longer", page+text+"a")
			check("1 KB", page+strings.Repeat("a", 1<<10))
			for other := range links {
				if otherPage := pageOf(other); otherPage != page {
					s := d.browser().Post(otherPage+text, fields("password", newPass))
					wantSaid(t, s, http.StatusNotFound, "This link no longer works")
				}
			}
			d.Pass(8 * 24 * time.Hour)
			check("expired", path)
		})
	}
}

func pageOf(link string) string {
	if link == "verify" {
		link = "verify-email"
	}
	return "/portal/" + link + "/"
}

// TestLinksEndWithWhatTheyAreFor: a link is for one state of the login.
func TestLinksEndWithWhatTheyAreFor(t *testing.T) {
	by := effects.Effects{By: effects.By{Actor: effects.Partner, PartnerID: 5}}
	for name, link := range links {
		for what, change := range map[string]func(d *front) error{
			"the password changed": func(d *front) error {
				if s := d.visitor(jo).Post(passwordPath, fields("password", "thirteen canary lamps")); s.Status != http.StatusSeeOther {
					return fmt.Errorf("changing the password: %d", s.Status)
				}
				return nil
			},
			"the account disabled": func(d *front) error { return d.Accounts.Disable(t.Context(), d.account(t, 71), false, by) },
			"the account deleted":  func(d *front) error { return d.Accounts.Delete(t.Context(), d.account(t, 71), false, 30, by) },
		} {
			if name == "enter" && what == "the password changed" {
				continue // the partner opens the page, whatever the password is
			}
			t.Run(name+", "+what, func(t *testing.T) {
				d := newFront(t)
				path := link.path(d)
				if err := change(d); err != nil {
					t.Fatal(err)
				}
				b := d.browser()
				wantSaid(t, b.Get(path), http.StatusNotFound, "This link no longer works")
				wantSaid(t, b.Post(path, link.fields), http.StatusNotFound, "This link no longer works")
				if len(b.Cookies) != 0 {
					t.Errorf("the browser got the cookies %v", b.Cookies)
				}
			})
		}
	}
}

// TestLinksRace: of 20 at once one wins.
func TestLinksRace(t *testing.T) {
	for name, link := range links {
		t.Run(name, func(t *testing.T) {
			d := newFront(t)
			path := link.path(d)
			got := d.browser().PostAtOnce(20, path, link.fields)
			if got[http.StatusSeeOther] != 1 || got[http.StatusSeeOther]+got[http.StatusNotFound] != 20 {
				t.Errorf("answers by status: %v, want one 303, else 404", got)
			}
		})
	}
}

func TestNewPasswordsThatAreRefused(t *testing.T) {
	tests := map[string]struct{ password, says string }{
		"empty":                 {"", "Password is required."},
		"of 7 characters":       {"canary7", "Password must be at least 8 characters."},
		"of 129 characters":     {"canary" + strings.Repeat("é", 123), "Password must be at most 128 characters."},
		"of control characters": {"canary\tand more", "Password must not contain control characters."},
		"among the commonest":   {"password1", "This is one of the passwords that are guessed first"},
		"the email":             {jo, "The password must not be your email address"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			d := newFront(t)
			path := d.reset(t, jo)
			b := d.browser()
			s := b.Submit(b.Get(path), path, fields("password", tc.password))
			wantSaid(t, s, 422, tc.says, "Choose a new password for "+jo)
			if form, _ := s.Form(path); form.Get("password") != "" {
				t.Errorf("the form is shown again with %v", form)
			}
			owner := d.visitor(jo)
			wantSaid(t, owner.Post(passwordPath, fields("password", tc.password)), 422, tc.says)
			wantRedirect(t, b.Submit(s, path, fields("password", newPass)), homePath+"?done=password_set")
		})
	}
	for name, password := range map[string]string{"emoji": "canary🦘🦘🦘🦘", "128 characters": "canary" + strings.Repeat("é", 122), "blanks around": "  canary canary  "} {
		t.Run(name+" is accepted", func(t *testing.T) {
			d := newFront(t)
			path := d.reset(t, jo)
			wantRedirect(t, d.browser().Post(path, fields("password", password)), homePath+"?done=password_set")
			d.browser().SignIn(jo, password)
		})
	}
}

func TestReset(t *testing.T) {
	d := newFront(t)
	old := d.visitor(jo)
	for range 7 { // is locked out
		d.browser().Post(signInPath, fields("email", jo, "password", "canary wrong"))
	}
	path := d.reset(t, jo)
	b := d.browser()
	s := b.Get(path)
	wantSaid(t, s, http.StatusOK, "Choose a new password for "+jo)
	wantRedirect(t, b.Submit(s, path, fields("password", newPass)), homePath+"?done=password_set")
	wantSignedIn(t, b, "Blue Gum Trading")
	wantSignedOut(t, old)
	d.mailed(t, mail.PasswordChanged)
	wantSaid(t, d.browser().Post(signInPath, fields("email", jo, "password", functiontest.Password)), 422)
	d.browser().SignIn(jo, newPass)
}

func TestForgot(t *testing.T) {
	t.Run("what is no address", func(t *testing.T) {
		for _, email := range []string{"", "jo", jo + "\r\nBcc: eve@example.com", "a@b@c", strings.Repeat("a", 60) + "@example.com"} {
			d := newFront(t)
			wantSaid(t, d.browser().Post(forgotPath, fields("email", email)), 422, "Email")
			if mails := d.Mails.Take(); len(mails) != 0 {
				t.Errorf("%q got the mails %v", email, mails)
			}
		}
	})
	t.Run("an unknown address has messages for nobody", func(t *testing.T) {
		d := newFront(t)
		wantRedirect(t, d.browser().Post(forgotPath, fields("email", "eve@example.com")), forgotSentPath)
		mails := d.Mails.Take()
		wantRedirect(t, d.browser().Post(forgotPath, fields("email", jo)), forgotSentPath)
		if known := d.Mails.Take(); len(mails) != len(known) || slices.ContainsFunc(mails, func(m mail.Message) bool { return m.AccountID != 0 }) {
			t.Errorf("mails %+v, want as many as a known address gets, for nobody", mails)
		}
	})
	t.Run("mail is off", func(t *testing.T) {
		d := newFront(t)
		d.SignIn.Mailer = nil
		s := d.browser().Get(forgotPath)
		wantSaid(t, s, http.StatusOK, "We cannot send emails from here.")
		wantRedirect(t, d.browser().Post(forgotPath, fields("email", jo)), forgotPath)
	})
	t.Run("the queue fails", func(t *testing.T) {
		d := newFront(t)
		d.Mails.Fail(http.ErrServerClosed)
		known, unknown := d.browser().Post(forgotPath, fields("email", jo)), d.browser().Post(forgotPath, fields("email", "eve71@example.com"))
		wantSaid(t, known, http.StatusInternalServerError, "Something went wrong on our side", known.Header.Get("X-Request-Id"))
		same(t, "failure", known, unknown)
	})
	t.Run("too often", func(t *testing.T) {
		d := newFront(t)
		b := d.browser()
		for range 3 {
			wantRedirect(t, b.Post(forgotPath, fields("email", jo)), forgotSentPath)
			d.mailed(t, mail.Reset)
		}
		wantSaid(t, b.Post(forgotPath, fields("email", jo)), http.StatusTooManyRequests, "That was tried too often. You can try again at")
		if mails := d.Mails.Take(); len(mails) != 0 {
			t.Errorf("mails %v", mails)
		}
	})
}

func TestInvitation(t *testing.T) {
	d := newFront(t)
	a, err := d.Store.Account(t.Context(), 72, d.Now())
	if err != nil {
		t.Fatal(err)
	}
	made, err := d.SignIn.Invite(t.Context(), a, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := "/portal/invitation/" + made.Text.Reveal()
	b := d.browser()
	s := b.Get(path)
	wantSaid(t, s, http.StatusOK, "Welcome", "You will sign in with none@example.com")
	wantRedirect(t, b.Submit(s, path, fields("password", newPass)), homePath+"?done=password_set")
	wantSaid(t, b.Get(accountPath), http.StatusOK, "none@example.com")
	d.browser().SignIn("none@example.com", newPass)
}

func TestConfirm(t *testing.T) {
	d := newFront(t)
	b := d.visitor(jo)
	d.Pass(signin.ConfirmedFor + time.Second)
	s := b.Get(passwordPath)
	wantRedirect(t, s, confirmPath+"?next="+url.QueryEscape(passwordPath))
	s = b.Follow(s)
	for _, tc := range []struct{ password, says string }{{"", "Password is required."}, {"canary wrong", "This is not your password."}} {
		wantSaid(t, b.Submit(s, confirmPath, fields("password", tc.password)), 422, tc.says)
		wantRedirect(t, b.Get(passwordPath), confirmPath+"?next="+url.QueryEscape(passwordPath))
	}
	s = b.Submit(s, confirmPath, fields("password", functiontest.Password))
	wantRedirect(t, s, passwordPath)
	wantSaid(t, b.Follow(s), http.StatusOK, "Change your password")
	t.Run("too often", func(t *testing.T) {
		for range 8 {
			s = b.Post(confirmPath, fields("password", "canary wrong"))
		}
		wantSaid(t, s, http.StatusTooManyRequests, "That was tried too often.")
		wantSignedIn(t, b, "Blue Gum Trading")
	})
}

func TestChangesNeedTheRecentPassword(t *testing.T) {
	for _, path := range []string{emailPath, passwordPath, sessionsPath} {
		d := newFront(t)
		b := d.visitor(jo)
		other := d.visitor(jo)
		d.Mails.Take()
		d.Pass(signin.ConfirmedFor + time.Second)
		wantRedirect(t, b.Post(path, fields("email", "new@example.com", "password", newPass)), confirmPath+"?next="+url.QueryEscape(path))
		if mails := d.Mails.Take(); len(mails) != 0 {
			t.Errorf("POST %s sent %v", path, mails)
		}
		wantSignedIn(t, other, "Blue Gum Trading")
		d.browser().SignIn(jo, functiontest.Password)
	}
}

// TestSessionsOfThePartner: it may see and change what the API shows it, and nothing of how
// the owner signs in.
func TestSessionsOfThePartner(t *testing.T) {
	d := newFront(t)
	owner := d.visitor(jo)
	b := d.browser()
	path := "/portal/enter/" + d.token(t, "/portal/enter/")
	s := b.Submit(b.Get(path), path, nil)
	wantRedirect(t, s, homePath)
	wantSaid(t, b.Get(accountPath), http.StatusOK, "Blue Gum Trading", "Opened by Parcel Hub.", "Parcel Hub opened this page for you")
	for _, link := range b.Get(accountPath).Links() {
		if link == emailPath || link == passwordPath || link == sessionsPath {
			t.Errorf("the page links to %s", link)
		}
	}
	d.Mails.Take()
	for _, path := range []string{emailPath, passwordPath, sessionsPath, confirmPath} {
		for _, s := range []*functiontest.Shown{b.Get(path), b.Post(path, fields("email", "new@example.com", "password", newPass))} {
			wantSaid(t, s, http.StatusForbidden, "Please sign in yourself")
			if strings.Contains(s.Body, "203.0.113") {
				t.Errorf("%s shows where the owner signs in", path)
			}
		}
	}
	if mails := d.Mails.Take(); len(mails) != 0 {
		t.Errorf("mails %v", mails)
	}
	wantSignedIn(t, owner, "Blue Gum Trading")
	d.browser().SignIn(jo, functiontest.Password)
	s = b.Submit(b.Get(detailsPath), detailsPath, fields("company_name", "Blue Gum Pty Ltd"))
	wantRedirect(t, s, accountPath+"?done=account_changed")
	wantSaid(t, owner.Get(sessionsPath), http.StatusOK, "Opened by Parcel Hub")
	d.Pass(2 * time.Minute)
	late := "/portal/enter/" + d.token(t, "/portal/enter/")
	d.Pass(61 * time.Second)
	wantSaid(t, b.Get(late), http.StatusNotFound, "open your account page from there again")
}

func TestTokensOfOtherAccountsAreTheirs(t *testing.T) {
	d := newFront(t)
	b := d.visitor(sam)
	path := d.reset(t, jo)
	wantSaid(t, b.Get(path), http.StatusOK, jo)
	wantRedirect(t, b.Submit(b.Get(path), path, fields("password", newPass)), homePath+"?done=password_set")
	wantSignedIn(t, b, "Blue Gum Trading") // is the account of the link now
	d.browser().SignIn(sam, functiontest.Password)
}

func TestPasswordsAreNowhere(t *testing.T) {
	d := newFront(t)
	a := d.account(t, 71)
	if err := d.SignIn.Check(a.PasswordHash, secret.New(functiontest.Password)); err != nil {
		t.Fatal(err)
	}
	b := d.visitor(jo)
	for _, path := range []string{accountPath, detailsPath, emailPath, passwordPath, sessionsPath, confirmPath} {
		if s := b.Get(path); strings.Contains(s.Body, a.PasswordHash) || strings.Contains(s.Body, b.Cookies[session]) {
			t.Errorf("GET %s shows the hash of the password or the cookie", path)
		}
	}
}
