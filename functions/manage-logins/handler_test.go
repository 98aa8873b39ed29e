package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/mail"
	"carrierlink/shared/secret"
	"carrierlink/shared/signin"
	"carrierlink/shared/views"
)

// The accounts of partner 5, and one of partner 6.
const (
	merchant  = 71
	noEmail   = 72
	disabled  = 73
	deleted   = 74
	foreign   = 81
	publicURL = "https://api.example.com"
	password  = "seven green canary kettles" // the canary fails the fixture if it is shown
)

const settingsPath = "/v1/partners/settings"

// front is the function over a fixture with the accounts above.
type front struct {
	*functiontest.Fixture
	*handler
	t testing.TB
}

func newFront(t *testing.T) *front {
	t.Helper()
	return serve(t, functiontest.EmptyInMemory(t))
}

// serve creates the partners and accounts of a fixture and returns the function over it.
func serve(tb testing.TB, d *functiontest.Fixture) *front {
	tb.Helper()
	d.URL = publicURL
	for _, id := range []int64{5, 6} {
		d.AddPartner(account.Partner{ID: id, Name: "Partner " + strconv.FormatInt(id, 10)})
	}
	for _, a := range []account.Account{
		{ID: merchant, PartnerID: 5, Active: true, Email: "mia@example.com"},
		{ID: noEmail, PartnerID: 5, Active: true},
		{ID: disabled, PartnerID: 5, Email: "dan@example.com"},
		{ID: deleted, PartnerID: 5, Active: true, Email: "del@example.com"},
		{ID: foreign, PartnerID: 6, Active: true, Email: "fay@example.com"},
	} {
		d.AddAccount(a)
	}
	gone, err := d.Store.Account(tb.Context(), deleted, d.Now())
	if err == nil {
		err = d.Store.DeleteAccount(tb.Context(), gone, false, d.Now().AddDate(0, 0, 30), effects.Effects{}, d.Now())
	}
	if err != nil {
		tb.Fatal(err)
	}
	f := &front{Fixture: d, t: tb, handler: &handler{
		auth: d.Auth(), accounts: d.Accounts, loader: d.Store, claims: d.Store, answers: d.Store.Idempotency, sealer: d.Sealer(), now: d.Now,
		settings: &account.SettingsService{Store: d.Store, Now: d.Now, Random: rand.Reader}, logins: d.SignIn, mails: true,
	}}
	d.Serve(f.routes()...)
	return f
}

func accountPath(id int64, rest string) string {
	return fmt.Sprintf("/v1/partners/accounts/%d/%s", id, rest)
}

// invited asks for an invitation; headers are pairs.
func (d *front) invited(id int64, body string, headers ...string) events.APIGatewayProxyResponse {
	return d.Do("partner 5", http.MethodPost, accountPath(id, "login_invitations"), body, headers...)
}

// enter asks for a token that opens the page of an account; query begins with ?.
func (d *front) enter(who, query string, headers ...string) events.APIGatewayProxyResponse {
	return d.Do(who, http.MethodPost, "/v1/tokens/ephemeral"+query, "", headers...)
}

// problems checks an error answer.
func (d *front) problems(name string, resp events.APIGatewayProxyResponse, want ...string) {
	d.t.Helper()
	functiontest.Diff(d.t, name, want, functiontest.Problems(d.t, resp))
}

// told returns the audit log of partner 5, the oldest first.
func (d *front) told() (told []string) {
	d.t.Helper()
	found, _, err := d.Store.ListEvents(d.t.Context(), effects.Listing{PartnerID: 5, Limit: 100})
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range found {
		if e.By.Actor == effects.Partner && (e.By.KeyID == 0 || e.By.RequestID == "") {
			d.t.Errorf("%s was made by %+v", e.Type, e.By)
		}
		told = append([]string{fmt.Sprintf("%s %d %s %s", e.Type, e.AccountID, e.Subject, e.Data)}, told...)
	}
	return told
}

// setPassword uses an invitation.
func (d *front) setPassword(url string) (signin.Started, error) {
	token, ok := strings.CutPrefix(url, publicURL+"/portal/invitation/")
	if !ok {
		d.t.Fatalf("the address of the invitation is %q", url)
	}
	return d.SignIn.SetPassword(d.t.Context(), signin.TokenInvitation, token, secret.New(password), signin.Client{IP: "203.0.113.7"})
}

func TestInvitationRefusals(t *testing.T) {
	d := newFront(t)
	for _, tc := range []struct {
		name, who string
		id        int64
		body      string
		want      []string
	}{
		{"no key", "nobody", merchant, `{}`, []string{"401", "unauthorized"}},
		{"a merchant's key", "account 71", merchant, `{}`, []string{"403", "forbidden"}},
		{"absent", "partner 5", 99, `{}`, []string{"404", "not_found"}},
		{"another partner's", "partner 5", foreign, `{}`, []string{"404", "not_found"}},
		{"too large an id", "partner 5", 1 << 40, `{}`, []string{"400", "invalid_identifier account_id"}},
		{"no body of JSON", "partner 5", merchant, `[]`, []string{"400", "invalid_field_value"}},
		{"an unknown way", "partner 5", merchant, `{"deliver":"sms"}`, []string{"400", "invalid_field_value deliver"}},
		{"another case", "partner 5", merchant, `{"deliver":"Mail"}`, []string{"400", "invalid_field_value deliver"}},
		{"empty", "partner 5", merchant, `{"deliver":""}`, []string{"400", "invalid_string_length deliver"}},
		{"no text", "partner 5", merchant, `{"deliver":1}`, []string{"400", "invalid_field_value deliver"}},
		{"an unknown member", "partner 5", merchant, `{"email":"eve@example.com"}`, []string{"400", "invalid_field_value email"}},
		{"without an email", "partner 5", noEmail, `{}`, []string{"409", "invalid_status"}},
		{"disabled", "partner 5", disabled, `{}`, []string{"409", "invalid_status"}},
		{"deleted", "partner 5", deleted, `{"deliver":"none"}`, []string{"409", "invalid_status"}},
	} {
		d.problems(tc.name, d.Do(tc.who, http.MethodPost, accountPath(tc.id, "login_invitations"), tc.body), tc.want...)
	}
	d.problems("a key that cannot be one", d.invited(merchant, `{}`, "Idempotency-Key", "a\tb"), "400", "invalid_field_value Idempotency-Key")
	d.mails, d.SignIn.Mailer = false, nil
	d.problems("mail is off", d.invited(merchant, ``), "409", "invalid_status deliver")
	if got := d.Mails.Take(); len(got) > 0 {
		t.Errorf("mails = %+v", got)
	}
	for _, told := range d.told() {
		if strings.HasPrefix(told, string(effects.LoginInvited)) {
			t.Errorf("the log has %s", told)
		}
	}
}

// TestInvitationLink: the link is in the answer, works once, and is in no mail and no log.
func TestInvitationLink(t *testing.T) {
	d := newFront(t)
	d.mails, d.SignIn.Mailer = false, nil // it does not need mail
	got := functiontest.Read[views.Invitation](t, d.invited(merchant, `{"deliver":"none"}`), http.StatusCreated)
	url := *got.InvitationURL
	got.InvitationURL = nil
	functiontest.Diff(t, "answer", views.Invitation{AccountID: merchant, Email: "mia@example.com", Delivered: "none", ExpiresAt: httpapi.Time(d.Now().Add(7 * 24 * time.Hour))}, got)
	if _, err := d.setPassword(url); err != nil {
		t.Errorf("SetPassword = %v", err)
	}
	if _, err := d.setPassword(url); err == nil {
		t.Error("the invitation works twice")
	}
	log := strings.Join(d.told(), "\n")
	if want := `login_invited 71 login {"delivered":"none","expires_at":"2026-03-08T00:00:30.000Z"}`; !strings.Contains(log, want) {
		t.Errorf("the log lacks %s:\n%s", want, log)
	}
	if strings.Contains(log, url[len(url)-20:]) || strings.Contains(log, "mia@") {
		t.Errorf("the log shows too much:\n%s", log)
	}
}

// TestInvitationMail: the link is in the mail alone.
func TestInvitationMail(t *testing.T) {
	d := newFront(t)
	for _, body := range []string{"", "null", "{}", `{"deliver":null}`, `{"deliver":"mail"}`} {
		d.Pass(time.Hour)
		resp := d.invited(merchant, body)
		got := functiontest.Read[views.Invitation](t, resp, http.StatusCreated)
		functiontest.Diff(t, "answer to "+body, views.Invitation{AccountID: merchant, Email: "mia@example.com", Delivered: "mail", ExpiresAt: httpapi.Time(d.Now().Add(7 * 24 * time.Hour))}, got)
		mails := d.Mails.Take()
		if len(mails) != 1 || mails[0].Kind != mail.Invitation || mails[0].AccountID != merchant || mails[0].Token.Reveal() == "" {
			t.Fatalf("mails = %+v", mails)
		}
		if strings.Contains(resp.Body, mails[0].Token.Reveal()) {
			t.Error("the answer shows the link that was mailed")
		}
		if _, err := d.SignIn.Token(t.Context(), signin.TokenInvitation, mails[0].Token.Reveal()); err != nil {
			t.Errorf("the link of the mail: %v", err)
		}
	}
	d.Mails.Fail(errors.New("down"))
	d.problems("the queue is down", d.invited(merchant, "", "Idempotency-Key", "k"), "500", "unspecified")
	d.Mails.Fail(nil)
	functiontest.Read[views.Invitation](t, d.invited(merchant, "", "Idempotency-Key", "k"), http.StatusCreated)
}

// TestInvitationsTooMany: a fourth mail in an hour is refused, with the time to wait; its key is
// free for the next try. A repetition and a link that the partner hands over are no mails.
func TestInvitationsTooMany(t *testing.T) {
	d := newFront(t)
	for _, key := range []string{"one", "one", "two", "three"} {
		functiontest.Read[views.Invitation](t, d.invited(merchant, "", "Idempotency-Key", key), http.StatusCreated)
	}
	resp := d.invited(merchant, "", "Idempotency-Key", "four")
	d.problems("a fourth mail", resp, "429", "rate_limit_exceeded")
	if after := resp.Headers["Retry-After"]; after != "3600" {
		t.Errorf("Retry-After = %q, want 3600", after)
	}
	functiontest.Read[views.Invitation](t, d.invited(merchant, `{"deliver":"none"}`), http.StatusCreated)
	if got := d.Mails.Take(); len(got) != 3 {
		t.Errorf("%d mails, want 3", len(got))
	}
	d.Pass(time.Hour)
	functiontest.Read[views.Invitation](t, d.invited(merchant, "", "Idempotency-Key", "four"), http.StatusCreated)
}

// TestInvitationOnce: a repetition gets the first answer and queues no other mail.
func TestInvitationOnce(t *testing.T) {
	d := newFront(t)
	for _, body := range []string{`{"deliver":"mail"}`, `{"deliver":"none"}`} {
		first := d.invited(merchant, body, "Idempotency-Key", "once "+body)
		again := d.invited(merchant, body, "Idempotency-Key", "once "+body)
		if again.Body != first.Body || again.StatusCode != http.StatusCreated || again.Headers["Idempotent-Replayed"] != "true" {
			t.Errorf("again: %d %s, want %s", again.StatusCode, again.Body, first.Body)
		}
	}
	if got := d.Mails.Take(); len(got) != 1 {
		t.Errorf("%d mails, want 1", len(got))
	}
	d.problems("another body", d.invited(merchant, `{"deliver":"none"}`, "Idempotency-Key", `once {"deliver":"mail"}`), "422", "field_conflict Idempotency-Key")
	d.problems("another account", d.invited(noEmail, `{"deliver":"mail"}`, "Idempotency-Key", `once {"deliver":"mail"}`), "422", "field_conflict Idempotency-Key")
}

func TestEndSessions(t *testing.T) {
	d := newFront(t)
	end := func(who string, id int64) events.APIGatewayProxyResponse {
		return d.Do(who, http.MethodDelete, accountPath(id, "sessions"), "")
	}
	d.problems("no key", end("nobody", merchant), "401", "unauthorized")
	d.problems("its own key", end("account 71", merchant), "403", "forbidden")
	d.problems("another partner's", end("partner 5", foreign), "404", "not_found")
	d.problems("absent", end("partner 5", 99), "404", "not_found")
	d.problems("deleted", end("partner 5", deleted), "409", "invalid_status")

	invitation := functiontest.Read[views.Invitation](t, d.invited(merchant, `{"deliver":"none"}`), http.StatusCreated)
	started, err := d.setPassword(*invitation.InvitationURL)
	if err != nil {
		t.Fatal(err)
	}
	open := functiontest.Read[views.Invitation](t, d.invited(merchant, `{"deliver":"none"}`), http.StatusCreated)
	from := signin.Client{IP: "203.0.113.7"}
	if _, err := d.SignIn.Visit(t.Context(), started.Text, "", from); err != nil {
		t.Fatal(err)
	}
	for _, id := range []int64{merchant, merchant, noEmail, disabled} { // twice, and where nobody is signed in
		if resp := end("partner 5", id); resp.StatusCode != http.StatusNoContent || resp.Body != "" {
			t.Fatalf("account %d: %d %s", id, resp.StatusCode, resp.Body)
		}
	}
	if _, err := d.SignIn.Visit(t.Context(), started.Text, "", from); err == nil {
		t.Error("the session has not ended")
	}
	if _, err := d.setPassword(*open.InvitationURL); err == nil {
		t.Error("the invitation has not ended")
	}
	if log := strings.Join(d.told(), "\n"); strings.Count(log, "login_sessions_ended 71 login {}") != 2 {
		t.Errorf("the log is\n%s", log)
	}
}

func TestEphemeralRefusals(t *testing.T) {
	d := newFront(t)
	for _, tc := range []struct {
		name, who, query, behalf string
		want                     []string
	}{
		{"no key", "nobody", "", "71", []string{"401", "unauthorized"}},
		{"its own key", "account 71", "", "71", []string{"403", "forbidden"}},
		{"a merchant's key, another account", "account 71", "", "99", []string{"403", "forbidden"}},
		{"a merchant's key, no account", "account 71", "", "", []string{"403", "forbidden"}},
		{"no account", "partner 5", "", "", []string{"400", "field_value_required On-Behalf-Of"}},
		{"no id", "partner 5", "", "x", []string{"400", "invalid_identifier On-Behalf-Of"}},
		{"another partner's", "partner 5", "", "81", []string{"404", "not_found"}},
		{"absent", "partner 5", "", "99", []string{"404", "not_found"}},
		{"disabled", "partner 5", "", "73", []string{"403", "subscription_inactive"}},
		{"deleted", "partner 5", "", "74", []string{"403", "subscription_inactive"}},
		{"an unknown redirect", "partner 5", "?redirect=https://evil.example", "71", []string{"400", "invalid_field_value redirect"}},
		{"an empty redirect", "partner 5", "?redirect=", "71", []string{"400", "invalid_field_value redirect"}},
		{"two redirects", "partner 5", "?redirect=" + dashboard + "&redirect=" + dashboard, "71", []string{"400", "invalid_field_value redirect"}},
	} {
		headers := []string{"On-Behalf-Of", tc.behalf}
		if tc.behalf == "" {
			headers = nil
		}
		d.problems(tc.name, d.enter(tc.who, tc.query, headers...), tc.want...)
	}
}

// TestEphemeral: the token works once, within a minute, and the log says whose key made it.
func TestEphemeral(t *testing.T) {
	d := newFront(t)
	from := signin.Client{IP: "203.0.113.7"}
	body := functiontest.Read[views.EphemeralToken](t, d.enter("partner 5", "", "On-Behalf-Of", "71"), http.StatusOK)
	if body.RedirectURL != "" || *body.ExpiresAt != "2026-03-01T00:01:30.000Z" {
		t.Errorf("without redirect: %+v", body)
	}
	body = functiontest.Read[views.EphemeralToken](t, d.enter("partner 5", "?redirect="+dashboard, "On-Behalf-Of", "se-72"), http.StatusOK)
	if body.RedirectURL != publicURL+"/portal/enter/"+body.Token {
		t.Errorf("redirect_url = %q", body.RedirectURL)
	}
	started, err := d.SignIn.Enter(t.Context(), body.Token, secret.Text{}, from)
	if err != nil || started.Session.Method != signin.MethodPartner || started.Session.AccountID != noEmail {
		t.Fatalf("Enter = %+v, %v", started.Session, err)
	}
	if _, err := d.SignIn.Enter(t.Context(), body.Token, secret.Text{}, from); err == nil {
		t.Error("the token works twice")
	}
	if log := strings.Join(d.told(), "\n"); !strings.Contains(log, `login_signed_in 72 login {"method":"partner","browser":"A browser on another system","api_key_id":`) {
		t.Errorf("the log is\n%s", log)
	}
	late := functiontest.Read[views.EphemeralToken](t, d.enter("partner 5", "", "On-Behalf-Of", "71"), http.StatusOK)
	d.Pass(time.Minute)
	if _, err := d.SignIn.Enter(t.Context(), late.Token, secret.Text{}, from); err == nil {
		t.Error("the token works after a minute")
	}
}

// disabling is a service whose account is disabled between two reads.
type disabling struct{ *signin.Service }

// Ephemeral answers as for an account that was disabled meanwhile.
func (disabling) Ephemeral(context.Context, account.Account, effects.By) (*signin.Issued, error) {
	return nil, signin.ErrDisabled()
}

func TestEphemeralOfAnAccountThatIsDisabledMeanwhile(t *testing.T) {
	d := newFront(t)
	d.logins = disabling{d.SignIn}
	d.problems("disabled", d.enter("partner 5", "", "On-Behalf-Of", "71"), "409", "invalid_status")
}

const allSettings = `{"display_name":"Acme Shops","support_email":"help@acme.example","support_url":"https://acme.example/help","accent_color":"#0b5cad",` +
	`"return_urls":["https://app.acme.example/shipping","https://app.acme.example/other?x=1"]}`

func TestSettingsRefusals(t *testing.T) {
	d := newFront(t)
	put := func(body string, headers ...string) events.APIGatewayProxyResponse {
		return d.Do("partner 5", http.MethodPut, settingsPath, body, headers...)
	}
	for _, who := range []string{"account 71", "nobody"} {
		want := map[string][]string{"nobody": {"401", "unauthorized"}, "account 71": {"403", "forbidden"}}[who]
		d.problems(who, d.Do(who, http.MethodGet, settingsPath, ""), want...)
		d.problems(who, d.Do(who, http.MethodPut, settingsPath, `{}`), want...)
	}
	field := func(code, name string) []string { return []string{"400", code + " " + name} }
	long := "https://acme.example/" + strings.Repeat("x", 2048)
	many := `["https://a.example/0"` + strings.Repeat(`,"https://a.example/1"`, account.MaxReturnURLs) + `]`
	for body, want := range map[string][]string{
		``:                            {"400", "request_body_required"},
		`[]`:                          {"400", "invalid_field_value"},
		`{"partner_id":6}`:            field("invalid_field_value", "partner_id"),
		`{"display_name":""}`:         field("invalid_string_length", "display_name"),
		`{"display_name":"a\u202eb"}`: field("invalid_field_value", "display_name"),
		`{"display_name":"` + strings.Repeat("W", 51) + `"}`:                     field("invalid_string_length", "display_name"),
		`{"support_email":"nobody"}`:                                             field("invalid_field_value", "support_email"),
		`{"support_email":"a@b.example\r\nBcc: c@d.example"}`:                    field("invalid_field_value", "support_email"),
		`{"support_url":"http://acme.example"}`:                                  field("invalid_field_value", "support_url"),
		`{"support_url":"javascript:alert(1)"}`:                                  field("invalid_field_value", "support_url"),
		`{"support_url":"https://acme.example@evil.example/"}`:                   field("invalid_field_value", "support_url"),
		`{"support_url":"https://acme.example/#top"}`:                            field("invalid_field_value", "support_url"),
		`{"support_url":"https://10.0.0.1/"}`:                                    field("invalid_field_value", "support_url"),
		`{"support_url":"https://acme"}`:                                         field("invalid_field_value", "support_url"),
		`{"support_url":"//acme.example"}`:                                       field("invalid_field_value", "support_url"),
		`{"support_url":"https://аcme.example/"}`:                                field("invalid_field_value", "support_url"), // a Cyrillic letter
		`{"support_url":"` + long + `"}`:                                         field("invalid_string_length", "support_url"),
		`{"accent_color":"#ffffff"}`:                                             field("invalid_field_value", "accent_color"),
		`{"accent_color":"#fff"}`:                                                field("invalid_field_value", "accent_color"),
		`{"accent_color":"red;}"}`:                                               field("invalid_field_value", "accent_color"),
		`{"accent_color":"0b5cad0"}`:                                             field("invalid_field_value", "accent_color"),
		`{"return_urls":"https://acme.example"}`:                                 field("invalid_field_value", "return_urls"),
		`{"return_urls":[1]}`:                                                    field("invalid_field_value", "return_urls"),
		`{"return_urls":["https://acme.example","http://acme.example"]}`:         field("invalid_field_value", "return_urls"),
		`{"return_urls":["https://acme.example","https://acme.example"]}`:        field("invalid_field_value", "return_urls"),
		`{"return_urls":` + many + `}`:                                           field("invalid_field_value", "return_urls"),
		`{"accent_color":"white","support_url":"x","display_name":"","other":1}`: {"400", "invalid_string_length display_name", "invalid_field_value support_url", "invalid_field_value accent_color", "invalid_field_value other"},
	} {
		d.problems(body, put(body), want...)
	}
	d.problems("If-Match", put(`{}`, "If-Match", "1"), "400", "invalid_field_value If-Match")
	d.problems("an old version", put(`{}`, "If-Match", `"7"`), "412", "invalid_field_value If-Match")
	for _, told := range d.told() {
		if strings.HasPrefix(told, string(effects.PartnerSettingsUpdated)) {
			t.Errorf("the log has %s", told)
		}
	}
}

// TestSettings: a round trip, with versions, replays and the log; another partner's are its own.
func TestSettings(t *testing.T) {
	d := newFront(t)
	get := func(who string, headers ...string) events.APIGatewayProxyResponse {
		return d.Do(who, http.MethodGet, settingsPath, "", headers...)
	}
	put := func(body string, headers ...string) events.APIGatewayProxyResponse {
		d.Pass(time.Second)
		return d.Do("partner 5", http.MethodPut, settingsPath, body, headers...)
	}
	const none = `{"display_name":null,"support_email":null,"support_url":null,"accent_color":null,"return_urls":[]}`
	first := get("partner 5")
	functiontest.Diff(t, "nothing is set", none, first.Body)
	functiontest.Diff(t, "ETag", `"0"`, first.Headers["ETag"])

	saved := put(strings.ReplaceAll(allSettings, "#0b5cad", "#0B5CAD"), "If-Match", `"0"`, "Idempotency-Key", "k")
	functiontest.Diff(t, "saved", allSettings, saved.Body)
	functiontest.Diff(t, "ETag", `"1"`, saved.Headers["ETag"])
	again := put(strings.ReplaceAll(allSettings, "#0b5cad", "#0B5CAD"), "If-Match", `"0"`, "Idempotency-Key", "k")
	if again.Body != saved.Body || again.Headers["Idempotent-Replayed"] != "true" || again.Headers["ETag"] != `"1"` {
		t.Errorf("again: %d %s %v", again.StatusCode, again.Body, again.Headers)
	}
	functiontest.Diff(t, "read", allSettings, get("partner 5").Body)
	if resp := get("partner 5", "If-None-Match", `"1"`); resp.StatusCode != http.StatusNotModified || resp.Body != "" {
		t.Errorf("If-None-Match: %d %s", resp.StatusCode, resp.Body)
	}
	functiontest.Diff(t, "another partner's", none, get("partner 6").Body)
	d.problems("If-Match of before", put(`{}`, "If-Match", `"0"`), "412", "invalid_field_value If-Match")

	functiontest.Diff(t, "the same", `"1"`, put(allSettings).Headers["ETag"])
	functiontest.Diff(t, "some", `"2"`, put(`{"display_name":"Acme","support_email":"help@acme.example"}`, "If-Match", `"1"`).Headers["ETag"])
	functiontest.Diff(t, "none again", none, put(`{"display_name":null}`).Body)
	var told []string
	for _, line := range d.told() {
		if strings.HasPrefix(line, string(effects.PartnerSettingsUpdated)) {
			told = append(told, line)
		}
	}
	functiontest.Diff(t, "log", []string{
		`partner_settings_updated 0 partner 5 {"partner_id":5,"changed":["accent_color","display_name","return_urls","support_email","support_url"]}`,
		`partner_settings_updated 0 partner 5 {"partner_id":5,"changed":["accent_color","display_name","return_urls","support_url"]}`,
		`partner_settings_updated 0 partner 5 {"partner_id":5,"changed":["display_name","support_email"]}`,
	}, told)
}
