package views_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/views"
)

// fullSettings are settings with every field.
func fullSettings() account.Settings {
	return account.Settings{
		DisplayName: "Acme", SupportEmail: "help@acme.example", SupportURL: "https://acme.example/?a=1&b=2", AccentColor: "#0b5cad", ReturnURLs: []string{"https://b.example", "https://a.example"}, Version: 7,
	}
}

// TestLoginBodies: strict clients need every member, even if it is null, except the
// redirect_url of ShipEngine, which is there only if it was asked for.
func TestLoginBodies(t *testing.T) {
	at, url := "2026-03-01T00:00:00.000Z", "https://x.example/portal/invitation/t"
	for name, tc := range map[string]struct {
		body any
		want string
	}{
		"no settings":       {views.NewSettings(account.Settings{}), `{"display_name":null,"support_email":null,"support_url":null,"accent_color":null,"return_urls":[]}`},
		"settings":          {views.NewSettings(fullSettings()), `{"display_name":"Acme","support_email":"help@acme.example","support_url":"https://acme.example/?a=1&b=2","accent_color":"#0b5cad","return_urls":["https://b.example","https://a.example"]}`},
		"mailed invitation": {views.Invitation{AccountID: 7, Email: "a@b.c", Delivered: "mail", ExpiresAt: &at}, `{"account_id":7,"email":"a@b.c","delivered":"mail","expires_at":"` + at + `","invitation_url":null}`},
		"invitation":        {views.Invitation{AccountID: 7, Email: "a@b.c", Delivered: "none", ExpiresAt: &at, InvitationURL: &url}, `{"account_id":7,"email":"a@b.c","delivered":"none","expires_at":"` + at + `","invitation_url":"` + url + `"}`},
		"token":             {views.EphemeralToken{Token: "t", ExpiresAt: &at}, `{"token":"t","expires_at":"` + at + `"}`},
		"token with its page": {
			views.EphemeralToken{Token: "t", RedirectURL: "https://x.example/portal/enter/t", ExpiresAt: &at},
			`{"token":"t","redirect_url":"https://x.example/portal/enter/t","expires_at":"` + at + `"}`,
		},
	} {
		if got := string(httpapi.JSON(200, tc.body).Body); got != tc.want {
			t.Errorf("%s = %s, want %s", name, got, tc.want)
		}
	}
}

// TestSettingsFields: every member that callers set has a rule and the right variable, and what
// the body does not have is not set.
func TestSettingsFields(t *testing.T) {
	want := fullSettings()
	want.Version = 0
	var checked []string
	check := func(field, s string) *fault.Error {
		if checked = append(checked, field+" "+s); strings.Contains(s, "evil") {
			return fault.Field(fault.Invalid, field, "evil")
		}
		return nil
	}
	var got account.Settings
	body := map[string]string{
		"display_name": `" Acme "`, "support_email": `"help@acme.example"`, "support_url": `"https://acme.example/?a=1&b=2"`, "accent_color": `"#0B5CAD"`, "return_urls": `["https://b.example","https://a.example"]`,
	}
	bad := map[string]string{
		"display_name": `"\u0000"`, "support_email": `"x"`, "support_url": `"https://evil.example"`, "accent_color": `"#ffffff"`, "return_urls": `["https://a.example","https://evil.example"]`,
	}
	for _, f := range views.SettingsFields(&got, check) {
		before := got
		if problems := f.Check(json.RawMessage(bad[f.Name])); len(problems) != 1 || problems[0].Field != f.Name || !cmp.Equal(before, got) {
			t.Errorf("%s has no rule: %v, %+v", f.Name, problems, got)
		}
		if problems := f.Check(json.RawMessage(body[f.Name])); problems != nil {
			t.Errorf("%s refuses %s: %v", f.Name, body[f.Name], problems)
		}
		delete(body, f.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(body) > 0 {
		t.Errorf("fields missing: %v; settings (-want +got):\n%s", body, diff)
	}
	if all := strings.Join(checked, "\n"); !strings.Contains(all, "support_url https://acme.example/?a=1&b=2") || !strings.Contains(all, "return_urls https://b.example") {
		t.Errorf("checked addresses:\n%s", all)
	}
}

func TestSettingsETag(t *testing.T) {
	for version, want := range map[int64]string{0: `"0"`, 7: `"7"`} {
		if got := views.SettingsETag(account.Settings{Version: version}); got != want {
			t.Errorf("SettingsETag of version %d = %s, want %s", version, got, want)
		}
	}
}
