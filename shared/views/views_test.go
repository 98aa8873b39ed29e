package views_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/secret"
	"carrierlink/shared/tracking"
	"carrierlink/shared/views"
)

// canary must not be in any body.
const canary = "hunter2-canary-7f3a"

func encoded(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestBodiesHaveEveryMember: strict clients need every member, even if it is null.
func TestBodiesHaveEveryMember(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name string
		body any
		want string
	}{
		{
			"bare account", views.NewAccount(account.Account{ID: 7, PasswordHash: canary}),
			`{"account_id":7,"external_account_id":null,"created_at":null,"modified_at":null,"active":false,"email":null,"company_name":null,` +
				`"first_name":null,"last_name":null,"origin_country_code":"","environment":"","metadata":{},"carriers_count":0,"purge_at":null}`,
		},
		{
			"full account",
			views.NewAccount(account.Account{
				ID: 7, PartnerID: 9, ExternalID: "shop", Email: "a@b.c", CompanyName: "C", FirstName: "F", LastName: "L", OriginCountryCode: "AU",
				Environment: carrier.Sandbox, Metadata: map[string]string{"a": "b"}, Active: true, CarriersCount: 2, CreatedAt: at, ModifiedAt: at.Add(time.Second), PasswordHash: canary,
				PurgeAt: at.AddDate(0, 0, 30), Version: 4,
			}),
			`{"account_id":7,"external_account_id":"shop","created_at":"2026-03-01T00:00:00.000Z","modified_at":"2026-03-01T00:00:01.000Z","active":true,` +
				`"email":"a@b.c","company_name":"C","first_name":"F","last_name":"L","origin_country_code":"AU","environment":"sandbox","metadata":{"a":"b"},"carriers_count":2,"purge_at":"2026-03-31T00:00:00.000Z"}`,
		},
		{
			"key of a partner", views.NewFirstKey(&account.IssuedKey{APIKey: account.APIKey{ID: 3, PartnerID: 9, CreatedAt: at}, Text: secret.New("cl_live_x")}),
			`{"encrypted_api_key":"cl_live_x","api_key_id":3,"description":null,"account_id":null,"created_at":"2026-03-01T00:00:00.000Z"}`,
		},
		{
			"key of an account", views.NewFirstKey(&account.IssuedKey{APIKey: account.APIKey{ID: 3, AccountID: 7, Description: "d", CreatedAt: at}, Text: secret.New("cl_live_x")}),
			`{"encrypted_api_key":"cl_live_x","api_key_id":3,"description":"d","account_id":7,"created_at":"2026-03-01T00:00:00.000Z"}`,
		},
		{
			"a bare key's rest", views.NewKey(account.APIKey{ID: 3, AccountID: 7, Hash: canary}),
			`{"api_key_id":3,"account_id":7,"description":null,"key_prefix":"","last_four":"","scopes":["read","link","admin"],"expires_at":null,"last_used_at":null,"created_at":null}`,
		},
		{
			"a full key with its text",
			views.NewFullKey(&account.IssuedKey{APIKey: account.APIKey{
				ID: 3, AccountID: 7, Hash: canary, Description: "d", Prefix: "cl_live_00001", LastFour: "wxyz", Scopes: []account.Scope{account.ScopeAdmin, account.ScopeRead},
				ExpiresAt: at.Add(time.Hour), LastUsedOn: at, CreatedAt: at,
			}, Text: secret.New("cl_live_x")}),
			`{"encrypted_api_key":"cl_live_x","api_key_id":3,"account_id":7,"description":"d","key_prefix":"cl_live_00001","last_four":"wxyz","scopes":["read","admin"],` +
				`"expires_at":"2026-03-01T01:00:00.000Z","last_used_at":"2026-03-01","created_at":"2026-03-01T00:00:00.000Z"}`,
		},
		{
			"connection never checked", views.NewConnection(&connection.Connection{ID: "se-1", Carrier: carrier.StarTrack, AccountNumber: "09912345", Status: connection.Linking, SecretVersion: canary}, at),
			`{"carrier_id":"se-1","carrier_name":"startrack","account_number":"09912345","account_number_masked":"*****345","nickname":"","status":"linking","status_reason":null,` +
				`"verified":false,"verified_at":null,"last_check":null,"consecutive_failures":0,"next_refresh_at":null,"refresh_policy":"",` +
				`"credentials":{"api_key_last_four":null,"updated_at":null,"previous_available_until":null},"contract":null,"external_carrier_id":null,"metadata":{},"created_at":null,"modified_at":null}`,
		},
		{
			"verified connection",
			views.NewConnection(&connection.Connection{
				ID: "se-1", Carrier: carrier.AustraliaPost, AccountNumber: "0009912345", Nickname: "n", Status: connection.Restricted, StatusReason: "credit_blocked", ChecksWithCredentials: 1,
				LastCheck:  connection.Check{At: at, Outcome: carrier.OutcomeOK, Latency: 1234567 * time.Microsecond, Trigger: connection.TriggerLink},
				VerifiedAt: at, ConsecutiveFailures: 1, NextRefreshAt: at.Add(time.Hour), RefreshPolicy: connection.RefreshHourly, APIKeyLastFour: "9dd1", CredentialsUpdatedAt: at,
				Previous: connection.PreviousCredentials{SecretVersion: canary, AccountNumber: canary, LastFour: canary, CredentialID: canary, Until: at.Add(time.Minute)}, CredentialID: canary,
				ContractValidTo: "2026-03-11", ContractCreditBlocked: true, ExternalID: "x", Metadata: map[string]string{"a": "b"}, CreatedAt: at, ModifiedAt: at,
			}, at),
			`{"carrier_id":"se-1","carrier_name":"australia_post","account_number":"0009912345","account_number_masked":"*******345","nickname":"n","status":"restricted","status_reason":"credit_blocked",` +
				`"verified":true,"verified_at":"2026-03-01T00:00:00.000Z","last_check":{"at":"2026-03-01T00:00:00.000Z","outcome":"ok","latency_ms":1234,"trigger":"link","carrier_code":null},"consecutive_failures":1,` +
				`"next_refresh_at":"2026-03-01T01:00:00.000Z","refresh_policy":"hourly","credentials":{"api_key_last_four":"9dd1","updated_at":"2026-03-01T00:00:00.000Z","previous_available_until":"2026-03-01T00:01:00.000Z"},` +
				`"contract":{"expired":false,"valid_to":"2026-03-11","expires_in_days":10,"credit_blocked":true},"external_carrier_id":"x","metadata":{"a":"b"},` +
				`"created_at":"2026-03-01T00:00:00.000Z","modified_at":"2026-03-01T00:00:00.000Z"}`,
		},
		{
			"connection of a disabled account",
			views.NewConnection(&connection.Connection{
				ID: "se-1", Carrier: carrier.StarTrack, AccountNumber: "09912345", Status: connection.ActionRequired, StatusReason: "unauthorized", Standing: account.StandingPaused,
				ChecksWithCredentials: 4, LastCheck: connection.Check{At: at, Outcome: carrier.OutcomeUnauthorized, Trigger: connection.TriggerSchedule, Code: "API_001"},
				ConsecutiveFailures: 2, NextRefreshAt: at.Add(time.Hour), RefreshPolicy: connection.RefreshDaily, Previous: connection.PreviousCredentials{SecretVersion: canary, Until: at},
			}, at),
			`{"carrier_id":"se-1","carrier_name":"startrack","account_number":"09912345","account_number_masked":"*****345","nickname":"","status":"paused","status_reason":null,` +
				`"verified":false,"verified_at":null,"last_check":{"at":"2026-03-01T00:00:00.000Z","outcome":"unauthorized","latency_ms":0,"trigger":"schedule","carrier_code":"API_001"},` +
				`"consecutive_failures":2,"next_refresh_at":null,"refresh_policy":"daily",` +
				`"credentials":{"api_key_last_four":null,"updated_at":null,"previous_available_until":null},"contract":null,"external_carrier_id":null,"metadata":{},"created_at":null,"modified_at":null}`,
		},
		{
			"bare entry of a history", views.NewHistoryEntry(connection.HistoryEntry{}),
			`{"at":null,"outcome":"","latency_ms":0,"trigger":"","carrier_code":null,"status":"","changes":[]}`,
		},
		{
			"full entry of a history",
			views.NewHistoryEntry(connection.HistoryEntry{
				Check:  connection.Check{At: at, Outcome: carrier.OutcomeUnknownAccount, Latency: 1500 * time.Microsecond, Trigger: connection.TriggerManual, Code: "41002"},
				Number: 7, Status: connection.Degraded,
				Changes: []connection.Difference{{Type: connection.ProductRecoded, ProductID: "3D85", From: "3D35", To: "3D85"}, {Type: connection.ChangedField, Field: "details.x"}},
			}),
			`{"at":"2026-03-01T00:00:00.000Z","outcome":"unknown_account","latency_ms":1,"trigger":"manual","carrier_code":"41002","status":"degraded",` +
				`"changes":[{"type":"product_recoded","product_id":"3D85","field":null,"from":"3D35","to":"3D85"},{"type":"changed","product_id":null,"field":"details.x","from":null,"to":null}]}`,
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, encoded(t, tc.body)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
	if got := encoded(t, views.DaysUntil("2999-12-31", at)); got != "null" {
		t.Errorf("DaysUntil without an end = %s, want null", got)
	}
}

// TestConnectionETag: it changes with the view and the snapshot, and with nothing else.
func TestConnectionETag(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	conn := func(edit func(*connection.Connection)) *connection.Connection {
		c := &connection.Connection{
			ID: "se-1", Carrier: carrier.AustraliaPost, AccountNumber: "0009912345", Status: connection.Active, StatusReason: "r", NextRefreshAt: at, VerifiedAt: at,
			ContractValidTo: "2026-03-11", ContractHash: "a", Previous: connection.PreviousCredentials{SecretVersion: "v", Until: at.Add(time.Hour)}, Version: 3,
		}
		edit(c)
		return c
	}
	plain := conn(func(*connection.Connection) {})
	tag := views.ConnectionETag(plain, at)
	if len(tag) != 34 || tag[0] != '"' || tag[33] != '"' {
		t.Fatalf("ConnectionETag = %s, want a strong tag of 32 characters", tag)
	}
	seen := map[string]string{tag: "as it was"}
	for _, tc := range []struct {
		name string
		conn *connection.Connection
		now  time.Time
	}{
		{"another name", conn(func(c *connection.Connection) { c.Nickname = "n" }), at},
		{"a check", conn(func(c *connection.Connection) { c.LastCheck.At = at }), at},
		{"another snapshot", conn(func(c *connection.Connection) { c.ContractHash = "b" }), at},
		{"paused", conn(func(c *connection.Connection) { c.Standing = account.StandingPaused }), at},
		{"the end of the previous credentials", plain, at.Add(time.Hour)},
		{"a day less until the end of the contract", plain, at.Add(24 * time.Hour)},
	} {
		got := views.ConnectionETag(tc.conn, tc.now)
		if twin, dup := seen[got]; dup {
			t.Errorf("%s has the same tag as %s", tc.name, twin)
		}
		seen[got] = tc.name
	}
	for name, c := range map[string]*connection.Connection{
		"a lease":    conn(func(c *connection.Connection) { c.LeaseUntil, c.Version = at, 4 }),
		"its work":   conn(func(c *connection.Connection) { c.Work, c.Version = connection.WorkCredentials, 4 }),
		"its secret": conn(func(c *connection.Connection) { c.SecretVersion = "w" }),
	} {
		if got := views.ConnectionETag(c, at.Add(time.Minute)); got != tag {
			t.Errorf("%s changes the tag", name)
		}
	}
}

// TestTrackingURL: the brand comes from the answer, else from the format of the number.
func TestTrackingURL(t *testing.T) {
	const post, starTrack = "https://auspost.com.au/mypost/track/details/", "https://startrack.com.au/track/details/"
	for _, tc := range []struct {
		name        string
		carrier     carrier.Name
		number      string
		consignment bool
		want        string
	}{
		{"Australia Post's parcel", carrier.AustraliaPost, "ZZ91000634011427", false, post},
		{"a consignment by an Australia Post account", carrier.AustraliaPost, "9ZZZ50000001", false, post},
		{"told by the answer", carrier.AustraliaPost, "9ZZZ50000001", true, starTrack},
		{"a freight item", carrier.AustraliaPost, "9ZZZ50000001EXP00001", false, starTrack},
		{"a consignment by a StarTrack account", carrier.StarTrack, "9ZZZ50000001", false, starTrack},
		{"a parcel by a StarTrack account", carrier.StarTrack, "ZZ91000634011427", false, post},
	} {
		t.Run(tc.name, func(t *testing.T) {
			found := tracking.Answer{Tracking: &tracking.Tracking{Number: tc.number, IsStarTrack: tc.consignment}}
			got := views.NewTracking(&connection.Connection{Carrier: tc.carrier}, found, time.Time{}).TrackingURL
			if got != tc.want+tc.number {
				t.Errorf("TrackingURL = %s, want %s", got, tc.want+tc.number)
			}
		})
	}
}

// TestAccountFields: every field that callers set has a rule and the right variable.
func TestAccountFields(t *testing.T) {
	rest := map[string]string{
		"first_name": "F", "last_name": "L", "company_name": "C", "external_account_id": "e", "origin_country_code": "GB", "email": "n@example.com",
	}
	var a account.Account
	for _, f := range views.AccountFields(&a) {
		if f.Name == "metadata" {
			continue
		}
		value, ok := rest[f.Name]
		if !ok {
			t.Fatalf("field %q is unknown or repeated", f.Name)
		}
		delete(rest, f.Name)
		if problems := f.Check(json.RawMessage(`"` + strings.Repeat(`\u0000`, 200) + `"`)); len(problems) != 1 || problems[0].Field != f.Name {
			t.Errorf("%s has no rule: %v", f.Name, problems)
		}
		if problems := f.Check(json.RawMessage(strconv.Quote(value))); problems != nil {
			t.Errorf("%s refuses %q: %v", f.Name, value, problems)
		}
	}
	want := account.Account{FirstName: "F", LastName: "L", CompanyName: "C", ExternalID: "e", OriginCountryCode: "GB", Email: "n@example.com"}
	if diff := cmp.Diff(want, a); diff != "" || len(rest) > 0 {
		t.Errorf("fields missing: %v; account (-want +got):\n%s", rest, diff)
	}
}
