package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/stack"
	gen "carrierlink/infra/test/client"
	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
)

const sessionCookie = "__Host-session"

// person is somebody who uses the account page with a browser that is not there: forms are sent as a browser would, and no
// redirect is followed by itself. A page that shows a secret fails the test.
type person struct {
	t      *testing.T
	cookie string // the value of the session cookie; empty: none
	agent  string
}

func newPerson(t *testing.T) *person {
	t.Helper()
	return &person{t: t, agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
}

// do makes a request, whose answer may show the secrets that it asks for.
func (p *person) do(method, path, body string) *functiontest.Shown {
	p.t.Helper()
	header := map[string]string{"User-Agent": p.agent}
	if p.cookie != "" {
		header["Cookie"] = sessionCookie + "=" + p.cookie
	}
	if method == http.MethodPost {
		header["Content-Type"], header["Origin"], header["Sec-Fetch-Site"] = "application/x-www-form-urlencoded", service.APIURL, "same-origin"
	}
	a := page(p.t, method, path, header, body)
	if err := api.unique(a.header.Get("X-Request-Id"), a); err != nil {
		p.t.Errorf("%s %s: %v", method, path, err)
	}
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name != sessionCookie || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || !c.Expires.IsZero() {
			p.t.Errorf("%s %s sets the cookie %s: %+v", method, path, c.Name, c)
		}
		if p.cookie = c.Value; c.Value != "" {
			api.secrets.add(c.Value)
		}
	}
	return functiontest.NewShown(p.t, a.status, a.header, string(a.body))
}

// quiet fails the test if a page shows a secret.
func (p *person) quiet(s *functiontest.Shown, what string) *functiontest.Shown {
	p.t.Helper()
	if leaked := api.secrets.in(s.Body, false); leaked != "" {
		p.t.Errorf("%s shows %s", what, leaked)
	}
	return s
}

func (p *person) get(path string) *functiontest.Shown {
	p.t.Helper()
	return p.quiet(p.do(http.MethodGet, path, ""), "GET "+path)
}

// form returns what the form of a page sends, with fields filled in: names and values by turns.
func (p *person) form(on *functiontest.Shown, action string, filled ...string) string {
	p.t.Helper()
	values, names := on.Form(action)
	for i := 0; i < len(filled); i += 2 {
		if !names[filled[i]] {
			p.t.Fatalf("the form %s has no field %s:\n%s", action, filled[i], on.Text())
		}
		values.Set(filled[i], filled[i+1])
	}
	return values.Encode()
}

// submit sends the form of a page.
func (p *person) submit(on *functiontest.Shown, action string, filled ...string) *functiontest.Shown {
	p.t.Helper()
	return p.quiet(p.do(http.MethodPost, action, p.form(on, action, filled...)), "POST "+action)
}

// fill opens a page and sends its form, which posts to the page itself.
func (p *person) fill(path string, filled ...string) *functiontest.Shown {
	p.t.Helper()
	return p.submit(p.get(path), path, filled...)
}

// follow opens the page that a redirect leads to, which must be below the path, and expects its texts.
func (p *person) follow(s *functiontest.Shown, to string, texts ...string) *functiontest.Shown {
	p.t.Helper()
	p.leads(s, to)
	return p.shows(p.get(s.Location), http.StatusOK, texts...)
}

// leads expects a redirect to a path, whatever its query is.
func (p *person) leads(s *functiontest.Shown, to string) {
	p.t.Helper()
	if path, _, _ := strings.Cut(s.Location, "?"); s.Status != http.StatusSeeOther || path != to {
		p.t.Fatalf("%d to %q, want a redirect to %s:\n%s", s.Status, s.Location, to, s.Text())
	}
}

// shows expects a page with texts.
func (p *person) shows(s *functiontest.Shown, status int, texts ...string) *functiontest.Shown {
	p.t.Helper()
	if s.Status != status {
		p.t.Fatalf("%d to %q, want %d:\n%s", s.Status, s.Location, status, s.Text())
	}
	for _, text := range texts {
		if !strings.Contains(s.Text(), text) {
			p.t.Errorf("the page does not say %q:\n%s", text, s.Text())
		}
	}
	return s
}

// signIn signs an owner in.
func (p *person) signIn(o owner) {
	p.t.Helper()
	p.leads(p.fill("/portal/sign-in", "email", o.email, "password", o.password), "/portal")
}

// signedOut expects that the session has ended.
func (p *person) signedOut() {
	p.t.Helper()
	p.leads(p.get("/portal/account"), "/portal/sign-in")
}

// confirm enters the password again, which a redirect asks for, and returns where that leads to.
func (p *person) confirm(asked *functiontest.Shown, o owner) *functiontest.Shown {
	p.t.Helper()
	p.leads(asked, "/portal/confirm")
	before := p.cookie
	s := p.submit(p.get(asked.Location), "/portal/confirm", "password", o.password)
	if p.cookie == before {
		p.t.Error("the session goes on under the same cookie after the step-up")
	}
	return s
}

// tokens are the texts of links to pages. Mails and answers have them, and no log and no item.
var tokens = newSecrets()

// mailedLink waits for a mail with a link below a path and opens it ten times, as scanners of mails do: it must work
// afterwards.
func (p *person) mailedLink(address, path string) string {
	p.t.Helper()
	link := linkMailed(p.t, address, regexp.MustCompile(regexp.QuoteMeta(path)+`/[A-Za-z0-9_-]+`))
	for range 10 {
		p.shows((&person{t: p.t, agent: "Scanner"}).get(link), http.StatusOK)
	}
	return link
}

// TestPagesWalk is the way of a merchant through all pages: each form, each mail, each call that the function may make.
func TestPagesWalk(t *testing.T) {
	t.Parallel()
	for _, partner := range environments() {
		t.Run(partner.Environment, func(t *testing.T) {
			t.Parallel()
			p, o := newPerson(t), newOwnerOf(t, partner, false)
			p.leads(p.get("/portal/carriers"), "/portal/sign-in")
			p.shows(p.fill("/portal/sign-in", "email", o.email, "password", "not the password"), http.StatusUnprocessableEntity)
			p.signIn(o)
			p.shows(p.get("/portal"), http.StatusOK, "Blue Gum Trading")
			walkCarrier(p, o)
			walkAccount(p, &o)
			if logged := signInsOf(t, o); !slices.Equal(logged, []string{
				"login_email_changed", "login_password_set", "login_sessions_ended", "login_signed_in", "secret_shown",
			}) {
				t.Errorf("the audit log has these entries by the page about the login: %q", logged)
			}
		})
	}
}

// signInsOf returns the types of the entries of the audit log about an owner's login, in alphabetical order.
func signInsOf(t *testing.T, o owner) []string {
	t.Helper()
	var found []string
	for _, e := range auditLog(t, o.Key, "actor=page") {
		if e.SourceIp == nil || e.RequestId == nil || e.Actor.ApiKeyId != nil || e.Actor.Type != gen.ActorTypePage {
			t.Errorf("entry %+v", e)
		}
		if action := string(e.Action); strings.HasPrefix(action, "login_") || action == "secret_shown" {
			found = append(found, action)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// walkCarrier links a carrier, changes it, goes back, checks it, reads its timeline and its secret, and disconnects it.
func walkCarrier(p *person, o owner) {
	p.t.Helper()
	number := "0000123400"
	if o.partner.Environment != "sandbox" {
		number = ausPostNumber("00")
	}
	const linkForm = "/portal/carriers/new/australia_post"
	key, secret := newSecret()
	sent := p.form(p.get(linkForm), linkForm, "nickname", "Main warehouse", "account_number", number, "api_key", key, "api_secret", secret)
	linked := p.do(http.MethodPost, linkForm, sent)
	here, _, _ := strings.Cut(linked.Location, "?")
	p.follow(linked, here, "Main warehouse", number, "ends in "+key[len(key)-4:])
	if again := p.do(http.MethodPost, linkForm, sent); again.Status != linked.Status || again.Location != linked.Location {
		p.t.Errorf("the same form again: %d to %q, want %d to %q", again.Status, again.Location, linked.Status, linked.Location)
	}
	if all := connectionsOf(p.t, o.merchant); len(all) != 1 {
		p.t.Errorf("%d connections, want 1", len(all))
	}
	p.shows(p.fill(linkForm, "account_number", "12"), http.StatusUnprocessableEntity)

	newKey, newSecretText := newSecret()
	p.follow(p.fill(here+"/change", "api_key", newKey, "api_secret", newSecretText), here, "ends in "+newKey[len(newKey)-4:])
	p.follow(p.fill(here+"/rollback"), here, "ends in "+key[len(key)-4:])
	p.follow(p.fill(here+"/change", "nickname", "Till"), here, "Till")
	shown := p.follow(p.submit(p.get(here), here+"/verify"), here, "Till")
	for _, query := range []string{"", "?kind=checks", "?kind=changes"} {
		p.shows(p.get(here+"/timeline"+query), http.StatusOK, "What has happened")
	}

	o.forgetConfirmation(p.t)
	back := p.confirm(p.submit(shown, here+"/reveal"), o)
	shown = p.follow(back, here)
	revealed := p.shows(p.do(http.MethodPost, here+"/reveal", p.form(shown, here+"/reveal")), http.StatusOK)
	for _, text := range []string{key, secret} {
		if !strings.Contains(revealed.Body, text) {
			p.t.Errorf("the page does not show key and secret:\n%s", revealed.Text())
		}
	}
	if got := revealed.Header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
		p.t.Errorf("Cache-Control of the page with the secret = %q", got)
	}
	mailed(p.t, o.email, "shown")

	o.forgetConfirmation(p.t)
	back = p.confirm(p.get(here+"/disconnect"), o)
	p.leads(back, here+"/disconnect")
	p.follow(p.fill(here+"/disconnect"), "/portal/carriers")
	p.shows(p.get(here), http.StatusNotFound)
	api.call(p.t, request{method: http.MethodGet, path: carrierPath(strings.TrimPrefix(here, "/portal/carriers/")), key: o.Key}).expect(p.t, http.StatusNotFound, notFound)
}

// newSecret makes credentials that the suite looks for where they must not be.
func newSecret() (key, secret string) {
	key, secret = newCredentials()
	api.secrets.add(key)
	api.secrets.add(secret)
	return key, secret
}

// mailed waits for a mail whose subject has a word.
func mailed(t *testing.T, address, word string) {
	t.Helper()
	waitFor(t, deliveredWithin, func() string {
		for _, m := range mailsTo(t, address) {
			if strings.Contains(m.Subject, word) {
				return ""
			}
		}
		return fmt.Sprintf("no mail about %q arrived", word)
	})
}

// walkAccount changes the details, the password and the email of an account, resets the password by mail and leaves.
func walkAccount(p *person, o *owner) {
	p.t.Helper()
	p.follow(p.fill("/portal/account/details", "company_name", "Red Gum <Trading>"), "/portal/account", "Red Gum <Trading>")
	other := newPerson(p.t)
	other.agent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15"
	other.signIn(*o)
	p.shows(p.get("/portal/account/sessions"), http.StatusOK, "Safari on macOS", "Firefox on Linux")
	p.leads(p.fill("/portal/account/sessions"), "/portal/account/sessions")
	other.signedOut()
	other.signIn(*o)
	o.password = newPassword()
	p.leads(p.fill("/portal/account/password", "password", o.password), "/portal/account")
	other.signedOut()

	was, next := o.email, email()
	p.leads(p.fill("/portal/account/email", "email", next), "/portal/account")
	link := p.mailedLink(next, "/portal/verify-email")
	p.leads(p.fill(link), "/portal/sign-in")
	p.signedOut()
	p.shows(p.get(link), http.StatusNotFound)
	mailed(p.t, was, "email")
	p.shows(p.fill("/portal/sign-in", "email", was, "password", o.password), http.StatusUnprocessableEntity)
	o.email = next
	p.signIn(*o)

	forgetful := newPerson(p.t)
	p.leads(forgetful.fill("/portal/forgot", "email", o.email), "/portal/forgot/sent")
	link = forgetful.mailedLink(o.email, "/portal/reset")
	p.shows(forgetful.fill(link, "password", "short"), http.StatusUnprocessableEntity)
	o.password = newPassword()
	forgetful.follow(forgetful.fill(link, "password", o.password), "/portal", "Red Gum <Trading>")
	p.shows(forgetful.get(link), http.StatusNotFound)
	p.signedOut()

	was = forgetful.cookie
	forgetful.leads(forgetful.submit(forgetful.get("/portal"), "/portal/sign-out"), "/portal/sign-in")
	if forgetful.cookie != "" {
		p.t.Error("the cookie outlives the sign-out")
	}
	forgetful.cookie = was
	forgetful.signedOut()
}

// changing matches what differs between two answers to the same request.
var changing = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|name="form_id" value="[^"]*"`) // never changes

// bareShown is what two answers must have in common.
func bareShown(s *functiontest.Shown, echoes ...string) map[string]string {
	all := map[string]string{"status": strconv.Itoa(s.Status), "location": s.Location, "body": changing.ReplaceAllString(s.Body, "ID")}
	for _, name := range []string{"Cache-Control", "Content-Type", "Retry-After", "Set-Cookie", "Content-Security-Policy", "Allow"} {
		all[name] = strings.Join(s.Header.Values(name), ", ")
	}
	for name := range all {
		for _, echo := range echoes {
			all[name] = strings.ReplaceAll(all[name], echo, "ECHO")
		}
	}
	return all
}

// TestPagesTenancy: what is somebody else's is for the pages what nobody has, to the byte.
func TestPagesTenancy(t *testing.T) {
	t.Parallel()
	me, o := newPerson(t), newOwner(t, false)
	me.signIn(o)
	own := link(t, o.merchant, "australia_post", ausPostNumber("00"))
	for _, partner := range []struct {
		name string
		stack.Partner
	}{{"a sibling", production}, {"another partner", otherProduction}, {"the sandbox", sandbox}} {
		t.Run(partner.name, func(t *testing.T) {
			theirs, other := newPerson(t), newOwnerOf(t, partner.Partner, false)
			theirs.signIn(other)
			c := link(t, other.merchant, "startrack", starTrackNumber("00"))
			intruder := &person{t: t, cookie: me.cookie, agent: me.agent}
			foreignCarriers(intruder, c.CarrierID)
			foreignSessions(intruder, theirs)
			foreignTokens(intruder, other, partner.Partner)
			foreignEvents(intruder, other, own.CarrierID)
			theirs.t = t
			theirs.shows(theirs.get("/portal/carriers/"+c.CarrierID), http.StatusOK, "StarTrack")
		})
	}
}

// foreignCarriers compares the pages of somebody else's connection with those of one that nobody has.
func foreignCarriers(p *person, foreign string) {
	p.t.Helper()
	for _, request := range []string{
		"GET ", "GET /timeline", "GET /change", "POST /change", "POST /verify", "GET /rollback", "POST /rollback", "GET /disconnect", "POST /disconnect", "POST /reveal",
	} {
		method, page, _ := strings.Cut(request, " ")
		body := ""
		if method == http.MethodPost {
			body = url.Values{"form_id": {rand.Text()}, "nickname": {"x"}, "account_number": {"0000000000"}}.Encode()
		}
		ask := func(id string) map[string]string {
			return bareShown(p.quiet(p.do(method, "/portal/carriers/"+id+page, body), request))
		}
		got := ask(foreign)
		if got["status"] != "404" {
			p.t.Errorf("%s of somebody else's connection: %s, want 404", request, got["status"])
		}
		if diff := cmp.Diff(ask(nobodyCarrier), got); diff != "" {
			p.t.Errorf("%s of what nobody has (-) and of somebody else's (+):\n%s", request, diff)
		}
	}
}

// foreignSessions compares cookies that name somebody else with those of nobody.
func foreignSessions(p *person, theirs *person) {
	p.t.Helper()
	mine, err := base64.RawURLEncoding.DecodeString(p.cookie)
	if err != nil {
		p.t.Fatal(err)
	}
	other, err := base64.RawURLEncoding.DecodeString(theirs.cookie)
	if err != nil {
		p.t.Fatal(err)
	}
	ask := func(ids, random []byte) map[string]string {
		stranger := &person{t: p.t, agent: p.agent, cookie: base64.RawURLEncoding.EncodeToString(slices.Concat(ids, random))}
		return bareShown(stranger.get("/portal/account"))
	}
	// Both are texts of 32 bytes that nobody's session has.
	nobodys := ask([]byte{0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff}, make([]byte, 32))
	for name, got := range map[string]map[string]string{
		"their ids, my secret":             ask(other[:8], mine[8:]),
		"my ids, their secret":             ask(mine[:8], other[8:]),
		"their account, my partner":        ask(slices.Concat(other[:4], mine[4:8]), other[8:]),
		"their ids, another secret":        ask(other[:8], make([]byte, 32)),
		"my account, their partner, my id": ask(slices.Concat(mine[:4], []byte{0x7f, 0, 0, 1}), mine[8:]),
	} {
		if slices.Equal(other[4:8], mine[4:8]) && name == "their account, my partner" {
			continue // that is their cookie
		}
		if diff := cmp.Diff(nobodys, got); diff != "" || got["status"] != "303" {
			p.t.Errorf("%s: nobody's cookie (-) and this one (+):\n%s", name, diff)
		}
	}
}

// foreignTokens compares links that were made up about somebody's account, and a link of another kind, with one of nobody.
func foreignTokens(p *person, other owner, partner stack.Partner) {
	p.t.Helper()
	made := func(prefix string, ids ...int64) string {
		text, err := account.MakeText(rand.Reader, prefix, ids...)
		if err != nil {
			p.t.Fatal(err)
		}
		return text
	}
	stranger := newPerson(p.t)
	p.leads(stranger.fill("/portal/forgot", "email", other.email), "/portal/forgot/sent")
	link := stranger.mailedLink(other.email, "/portal/reset")
	theirs := strings.TrimPrefix(link, "/portal/reset/")
	const absentID = 0x7fffffff
	for page, prefix := range map[string]string{"reset": "cl_r_", "invitation": "cl_i_", "verify-email": "cl_v_", "enter": "cl_e_"} {
		ask := func(method, token string) map[string]string {
			body := ""
			if method == http.MethodPost {
				body = url.Values{"form_id": {rand.Text()}, "password": {"a good one for nobody"}}.Encode()
			}
			return bareShown(stranger.do(method, "/portal/"+page+"/"+token, body))
		}
		nobodys := made(prefix, absentID, absentID)
		for name, token := range map[string]string{
			"made up": made(prefix, other.ID, partner.ID), "of another account": made(prefix, other.ID, absentID), "of another kind": theirs, "cut short": theirs[:len(theirs)-1], "none": "x",
		} {
			if page == "reset" && token == theirs {
				continue // that is the link itself
			}
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				got := ask(method, token)
				if diff := cmp.Diff(ask(method, nobodys), got); diff != "" || got["status"] != "404" {
					p.t.Errorf("%s /portal/%s with a link %s: %s; nobody's link (-) and this one (+):\n%s", method, page, name, got["status"], diff)
				}
			}
		}
	}
	p.shows(stranger.get(link), http.StatusOK)
}

// foreignEvents reads the timeline from somebody else's event on: it shows nothing of theirs.
func foreignEvents(p *person, other owner, own string) {
	p.t.Helper()
	for _, e := range eventsOf(p.t, other.Key, "") {
		s := p.shows(p.get("/portal/carriers/"+own+"/timeline?after="+url.QueryEscape(e.EventId+".")), http.StatusOK)
		if strings.Contains(s.Body, "StarTrack") || strings.Contains(s.Body, other.email) {
			p.t.Errorf("the timeline shows somebody else's events:\n%s", s.Text())
		}
	}
}

// TestPagesTellNobody: whoever enters an address learns neither from the answer nor from its form whether it has an account.
func TestPagesTellNobody(t *testing.T) {
	t.Parallel()
	o, without := newOwner(t, false), newOwner(t, true)
	stranger := newPerson(t)
	for _, tc := range []struct{ name, path string }{{"sign in", "/portal/sign-in"}, {"forgot", "/portal/forgot"}} {
		filled := func(address string) map[string]string {
			fields := []string{"email", address}
			if tc.path == "/portal/sign-in" {
				fields = append(fields, "password", "not the password of anybody")
			}
			return bareShown(stranger.fill(tc.path, fields...), address)
		}
		nobodys := filled(email())
		for name, address := range map[string]string{"an account": o.email, "an account without password": without.email} {
			if diff := cmp.Diff(nobodys, filled(address)); diff != "" {
				t.Errorf("%s: the address of nobody (-) and of %s (+):\n%s", tc.name, name, diff)
			}
		}
	}
	mailed(t, o.email, "password")
}
