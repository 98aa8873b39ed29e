package e2e

import (
	"net/http"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/browser"
	gen "carrierlink/infra/test/client"
	"carrierlink/shared/pages"
)

const settingsPath = "/v1/partners/settings"

// invite asks for an invitation of an owner.
func (o owner) invite(t *testing.T, body any, header ...[2]string) answer {
	t.Helper()
	return api.call(t, request{method: http.MethodPost, path: accountPath(o.ID) + "/login_invitations", key: o.partner.APIKey, body: body, header: header})
}

// endSessions signs an owner out everywhere.
func (o owner) endSessions(t *testing.T) {
	t.Helper()
	api.call(t, request{method: http.MethodDelete, path: accountPath(o.ID) + "/sessions", key: o.partner.APIKey}).expect(t, http.StatusNoContent)
}

// enter makes a token that opens the page of an owner.
func (o owner) enter(t *testing.T, query string) answer {
	t.Helper()
	return api.call(t, request{method: http.MethodPost, path: "/v1/tokens/ephemeral" + query, key: o.partner.APIKey, header: behalf(o.ID)})
}

// pathOf returns the path of an address of a page.
func pathOf(t *testing.T, address *string) string {
	t.Helper()
	if address == nil {
		t.Fatal("there is no address")
	}
	at, ok := strings.CutPrefix(*address, service.APIURL)
	if !ok {
		t.Fatalf("%q is not below %s", *address, service.APIURL)
	}
	tokens.add(path.Base(at))
	return at
}

// loginsOf returns what the audit log of an owner's account says of its login, the oldest first.
func loginsOf(t *testing.T, o owner) (actions []gen.AuditAction) {
	t.Helper()
	for _, e := range auditLog(t, o.Key, "") {
		if strings.HasPrefix(string(e.Action), "login_") {
			actions = append(actions, e.Action)
		}
	}
	return actions
}

// An invitation that the partner hands over works once, and the sessions end when the partner says so.
func TestLoginInvitation(t *testing.T) {
	t.Parallel()
	o := newOwner(t, true)
	once := [2]string{"Idempotency-Key", "invite " + o.email}
	first := o.invite(t, fields{"deliver": "none"}, once)
	first.expect(t, http.StatusCreated)
	replayed(t, first, o.invite(t, fields{"deliver": "none"}, once))
	made := decode[gen.LoginInvitation](t, first)
	if made.AccountId != o.ID || made.Email != o.email || made.Delivered != gen.LoginInvitationDeliveredNone {
		t.Errorf("invitation = %+v", made)
	}
	path := pathOf(t, made.InvitationUrl)
	unused := pathOf(t, decode[gen.LoginInvitation](t, o.invite(t, fields{"deliver": "none"})).InvitationUrl)

	tab := visit(t, browser.View{})
	tab.Go(path)
	tab.Expect(http.StatusOK, "Welcome")
	tab.Fill("New password", o.password)
	tab.Press("Set the password")
	tab.Expect(http.StatusOK, "Overview", pages.DonePasswordSet.Sentence())
	other := visit(t, browser.View{})
	for name, used := range map[string]string{"used": path, "older than the password": unused} {
		other.Go(used)
		if got := other.Heading(); got != "This link no longer works" {
			t.Errorf("an invitation that is %s = %q", name, got)
		}
	}
	o.endSessions(t)
	o.endSessions(t)
	tab.Go("/portal/carriers")
	tab.Expect(http.StatusOK, "Sign in")
	o.signIn(t, tab)
	want := []gen.AuditAction{"login_invited", "login_invited", "login_password_set", "login_signed_in", "login_sessions_ended", "login_sessions_ended", "login_signed_in"}
	if diff := cmp.Diff(want, loginsOf(t, o)); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
}

// An invitation by mail arrives, once for each Idempotency-Key, and only the mail has its link.
func TestLoginInvitationByMail(t *testing.T) {
	t.Parallel()
	o := newOwner(t, true)
	once := [2]string{"Idempotency-Key", "invite " + o.email}
	first := o.invite(t, nil, once)
	first.expect(t, http.StatusCreated)
	replayed(t, first, o.invite(t, nil, once))
	if made := decode[gen.LoginInvitation](t, first); made.InvitationUrl != nil || made.Delivered != gen.LoginInvitationDeliveredMail {
		t.Errorf("invitation = %+v", made)
	}
	link := linkMailed(t, o.email, regexp.MustCompile(`/portal/invitation/[0-9A-Za-z_]+`))
	tab := visit(t, browser.View{Width: 320, NoScript: true})
	tab.Go(link)
	tab.Expect(http.StatusOK, "Welcome")
	tab.Fill("New password", o.password)
	tab.Press("Set the password")
	tab.Expect(http.StatusOK, "Overview", pages.DonePasswordSet.Sentence())
	invitations := 0
	for _, m := range mailsTo(t, o.email) {
		if strings.Contains(m.Text, link) {
			invitations++
		}
	}
	if invitations != 1 {
		t.Errorf("%d mails have the link, want 1", invitations)
	}
}

// Accounts that cannot be invited, and bodies that ask for what there is not.
func TestLoginInvitationRefusals(t *testing.T) {
	t.Parallel()
	state := problem{"business_rules", "invalid_status", "", ""}
	nobodys, gone, off := newOwner(t, true), newOwner(t, true), newOwner(t, true)
	nobodys.merchant = newMerchant(t, production) // without an email
	nobodys.invite(t, nil).expect(t, http.StatusConflict, state)
	as(t, production.APIKey).disable(off.ID)
	off.invite(t, fields{"deliver": "none"}).expect(t, http.StatusConflict, state)
	off.endSessions(t)
	off.enter(t, "").expect(t, http.StatusForbidden, inactive)
	as(t, production.APIKey).remove(gone.ID, nil)
	gone.invite(t, fields{"deliver": "none"}).expect(t, http.StatusConflict, state)
	api.call(t, request{method: http.MethodDelete, path: accountPath(gone.ID) + "/sessions", key: production.APIKey}).expect(t, http.StatusConflict, state)
	gone.enter(t, "").expect(t, http.StatusForbidden, inactive)
	o := newOwner(t, true)
	for _, deliver := range []any{"sms", "Mail", "none ", 1, true, []string{"mail"}} {
		o.invite(t, fields{"deliver": deliver}).expect(t, http.StatusBadRequest, invalid("deliver"))
	}
}

// A partner opens the page for its merchant; a page that was opened so says it, and can do less.
func TestEphemeralToken(t *testing.T) {
	t.Parallel()
	o := newOwner(t, false)
	o.enter(t, "?redirect=elsewhere").expect(t, http.StatusBadRequest, invalid("redirect"))
	o.enter(t, "?redirect=").expect(t, http.StatusBadRequest, invalid("redirect"))
	bare := o.enter(t, "")
	bare.expect(t, http.StatusOK)
	if made := decode[gen.EphemeralToken](t, bare); made.RedirectUrl != nil || made.Token == "" {
		t.Errorf("without redirect: %s", bare.body)
	}
	a := o.enter(t, "?redirect=shipengine-dashboard")
	a.expect(t, http.StatusOK)
	path := pathOf(t, decode[gen.EphemeralToken](t, a).RedirectUrl)
	tab := visit(t, browser.View{})
	tab.Go(path)
	tab.Expect(http.StatusOK, "Your account page")
	tab.Check()
	tab.Press("Continue to your account page")
	tab.Expect(http.StatusOK, "Overview", "Opened by "+production.Name+".", "This way secrets cannot be shown, carriers cannot be disconnected, and email and password stay as they are.")
	other := visit(t, browser.View{})
	other.Go(path)
	if got := other.Heading(); got != "This link no longer works" {
		t.Errorf("the link again = %q", got)
	}
	o.endSessions(t)
	tab.Go("/portal")
	tab.Expect(http.StatusOK, "Sign in")
	api.call(t, request{method: http.MethodPost, path: "/v1/tokens/ephemeral", key: o.Key}).expect(t, http.StatusForbidden, forbidden)
	api.call(t, request{method: http.MethodPost, path: "/v1/tokens/ephemeral", key: production.APIKey}).expect(t, http.StatusBadRequest, required("On-Behalf-Of"))
	api.call(t, request{method: http.MethodPost, path: "/v1/tokens/ephemeral", key: production.APIKey, header: behalf(nobody)}).expect(t, http.StatusNotFound, notFound)
}

// Settings are refused member by member, kept as a whole, and shown on the account page.
func TestPartnerSettings(t *testing.T) {
	t.Parallel()
	p := newPartner(t, "Settings Ltd")
	call := func(method string, body any, header ...[2]string) answer {
		return api.call(t, request{method: method, path: settingsPath, key: p.APIKey, body: body, header: header})
	}
	for _, bad := range []struct {
		member string
		value  any
		want   problem
	}{
		{"display_name", "", length("display_name")},
		{"display_name", strings.Repeat("W", 51), length("display_name")},
		{"display_name", "a\u202eb", invalid("display_name")},
		{"support_email", "nobody", invalid("support_email")},
		{"support_url", "http://acme.example", invalid("support_url")},
		{"support_url", "javascript:alert(1)", invalid("support_url")},
		{"support_url", "https://user@acme.example", invalid("support_url")},
		{"support_url", "https://acme.example/#x", invalid("support_url")},
		{"support_url", "https://169.254.169.254/", invalid("support_url")},
		{"accent_color", "#ffffff", invalid("accent_color")},
		{"accent_color", "red;}", invalid("accent_color")},
		{"accent_color", "#FFF", invalid("accent_color")},
		{"return_urls", "https://acme.example", invalid("return_urls")},
		{"return_urls", []string{"https://acme.example", "https://acme.example"}, invalid("return_urls")},
		{"return_urls", []string{"http://acme.example"}, invalid("return_urls")},
		{"return_urls", []string{""}, length("return_urls")},
		{"colour", "#000000", invalid("colour")},
	} {
		call(http.MethodPut, fields{bad.member: bad.value}).expect(t, http.StatusBadRequest, bad.want)
	}
	none := call(http.MethodGet, nil)
	none.expect(t, http.StatusOK)
	all := fields{
		"display_name": "Acme Shops", "support_email": "help@acme.example", "support_url": "https://acme.example/help", "accent_color": "#7A1FA2",
		"return_urls": []string{"https://app.acme.example/shipping"},
	}
	saved := call(http.MethodPut, all, [2]string{"If-Match", none.header.Get("ETag")})
	saved.expect(t, http.StatusOK)
	read := call(http.MethodGet, nil)
	if string(read.body) != string(saved.body) || read.header.Get("ETag") != saved.header.Get("ETag") || !strings.Contains(string(read.body), `"#7a1fa2"`) {
		t.Errorf("read %s %s, saved %s %s", read.header.Get("ETag"), read.body, saved.header.Get("ETag"), saved.body)
	}
	call(http.MethodGet, nil, [2]string{"If-None-Match", read.header.Get("ETag")}).expect(t, http.StatusNotModified)
	call(http.MethodPut, fields{}, [2]string{"If-Match", none.header.Get("ETag")}).expect(t, http.StatusPreconditionFailed, invalid("If-Match"))
	call(http.MethodPut, fields{}, [2]string{"If-Match", "x"}).expect(t, http.StatusBadRequest, invalid("If-Match"))

	made := create(t, p.APIKey, fields{"email": email(), "company_name": "Blue Gum Trading"})
	made.expect(t, http.StatusOK)
	o := owner{merchant: merchant{ID: decode[createdAccount](t, made).AccountID, partner: p}}
	tab := visit(t, browser.View{})
	tab.Go(pathOf(t, decode[gen.EphemeralToken](t, o.enter(t, "?redirect=shipengine-dashboard")).RedirectUrl))
	tab.Press("Continue to your account page")
	tab.Expect(http.StatusOK, "Overview", "Opened by Acme Shops.", "Ask Acme Shops: help@acme.example")
	tab.Check()

	if entries := auditLog(t, p.APIKey, "event_type=partner_settings_updated"); len(entries) != 1 {
		t.Errorf("audit log = %+v", entries)
	}
}
