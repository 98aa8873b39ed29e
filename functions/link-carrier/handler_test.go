package main

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

func newFixture(t *testing.T) *functiontest.Fixture {
	t.Helper()
	d := functiontest.InMemory(t)
	serve(d)
	return d
}

func serve(d *functiontest.Fixture) {
	h := &handler{auth: d.Auth(), accounts: d.Store, claims: d.Store, sealer: d.Sealer(), connections: d.Connections, now: d.Now}
	d.Serve(httpapi.Route{Method: http.MethodPost, Resource: "/v1/connections/carriers/{carrier_name}", Handler: h.link})
}

// post requests a link with a carrier; headers are pairs.
func post(d *functiontest.Fixture, who, carrierName, body string, headers ...string) events.APIGatewayProxyResponse {
	return d.Do(who, http.MethodPost, "/v1/connections/carriers/"+carrierName, body, headers...)
}

// body is a request for a number, followed by more members.
func body(n, more string) string {
	return `{"nickname":"Main","account_number":"` + n + `","api_key":"` + functiontest.APIKey + `","api_secret":"` + functiontest.APISecret + `"` + more + `}`
}

func TestLinkRefuses(t *testing.T) {
	fine := body("0000123400", "")
	tests := []struct {
		name, who, carrier, body string
		headers                  []string
		want                     []string
	}{
		{"no key", "", "australia_post", fine, nil, []string{"401", "unauthorized"}},
		{"no key, and no such carrier", "", "ups", `{`, nil, []string{"401", "unauthorized"}},
		{"partner for nobody", "partner 5", "australia_post", fine, nil, []string{"400", "field_value_required On-Behalf-Of"}},
		{"another partner's account", "partner 6", "australia_post", fine, []string{"On-Behalf-Of", "71"}, []string{"404", "not_found"}},
		{"another partner's account, with a wrong body", "partner 6", "australia_post", `{`, []string{"On-Behalf-Of", "71"}, []string{"404", "not_found"}},
		{"a disabled account", "account 72", "australia_post", fine, nil, []string{"403", "subscription_inactive"}},
		{"no such carrier", "account 71", "ups", fine, nil, []string{"400", "carrier_not_supported carrier_name"}},
		{"a carrier that does not decode", "account 71", "%zz", fine, nil, []string{"400", "invalid_identifier carrier_name"}},
		{"no body", "account 71", "australia_post", "", nil, []string{"400", "request_body_required"}},
		{"no JSON", "account 71", "australia_post", "{", nil, []string{"400", "invalid_field_value"}},
		{"wrong content type", "account 71", "australia_post", fine, []string{"Content-Type", "text/plain"}, []string{"415", "invalid_field_value Content-Type"}},
		{"nothing", "account 71", "australia_post", "{}", nil, []string{"400", "field_value_required nickname", "field_value_required account_number", "field_value_required api_key", "field_value_required api_secret"}},
		{"a number for a number", "account 71", "australia_post", strings.Replace(fine, `"0000123400"`, `123400`, 1), nil, []string{"400", "invalid_field_value account_number"}},
		{"an empty number", "account 71", "australia_post", body("", ""), nil, []string{"400", "invalid_string_length account_number"}},
		{"lost zeros", "account 71", "australia_post", body("123400", ""), nil, []string{"400", "invalid_field_value account_number: lost_leading_zeros"}},
		{"an Australia Post number at StarTrack", "account 71", "startrack", fine, nil, []string{"400", "invalid_field_value account_number: australia_post_number"}},
		{"masks", "account 71", "australia_post", `{"nickname":"n","account_number":"0000123400","api_key":"********7c8d","api_secret":"********"}`, nil, []string{
			"400", "invalid_field_value api_key: mask_instead_of_secret", "invalid_field_value api_secret: mask_instead_of_secret",
		}},
		{"refresh_policy", "account 71", "australia_post", body("0000123400", `,"refresh_policy":"weekly"`), nil, []string{"400", "invalid_field_value refresh_policy"}},
		{"verify", "account 71", "australia_post", body("0000123400", `,"verify":"never"`), nil, []string{"400", "invalid_field_value verify"}},
		{"allow_duplicate_account_number", "account 71", "australia_post", body("0000123400", `,"allow_duplicate_account_number":"yes"`), nil, []string{"400", "invalid_field_value allow_duplicate_account_number"}},
		{"pre-flight beside a missing field", "account 71", "australia_post", `{"nickname":"n","account_number":"1","api_key":"a b"}`, nil, []string{
			"400", "invalid_field_value account_number: lost_leading_zeros", "invalid_field_value api_key: inner_blank", "field_value_required api_secret",
		}},
		{"pre-flight beside a wrong type", "account 71", "australia_post", `{"nickname":"n","account_number":"1","api_key":7,"api_secret":"` + functiontest.APISecret + `"}`, nil, []string{
			"400", "invalid_field_value account_number: lost_leading_zeros", "invalid_field_value api_key",
		}},
		{
			"everything, in the order of the fields", "account 71", "australia_post",
			`{"extra":1,"verify":"x","metadata":{"a":1},"external_carrier_id":"","refresh_policy":"x","allow_duplicate_account_number":1,"api_secret":"` + functiontest.APIKey + `","api_key":"'k'","account_number":"1","nickname":""}`, nil,
			[]string{
				"400", "invalid_string_length nickname", "invalid_field_value account_number: lost_leading_zeros", "invalid_field_value api_key: quotes",
				"invalid_field_value allow_duplicate_account_number", "invalid_field_value refresh_policy", "invalid_string_length external_carrier_id",
				"invalid_field_value metadata.a", "invalid_field_value verify", "invalid_field_value extra",
			},
		},
		{"an idempotency key that is none", "account 71", "australia_post", fine, []string{"Idempotency-Key", "é"}, []string{"400", "invalid_field_value Idempotency-Key"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := newFixture(t)
			if diff := cmp.Diff(tc.want, functiontest.Problems(t, post(d, tc.who, tc.carrier, tc.body, tc.headers...))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.body, diff)
			}
			if n := len(d.Carrier.TakeAsked()); n != 0 || len(d.Holders("0000123400")) != 0 {
				t.Errorf("the carrier was asked %d times", n)
			}
		})
	}
}

// TestLinkHints: the carrier is asked about credentials of another kind too; if it
// refuses them the diagnosis says what is needed.
func TestLinkHints(t *testing.T) {
	const token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln-canary"
	for _, outcome := range []carrier.Outcome{carrier.OutcomeUnauthorized, carrier.OutcomeForbidden} {
		d := newFixture(t)
		d.Carrier.Reading = &connection.Reading{Outcome: outcome, HTTPStatus: 401}
		resp := post(d, "account 71", "australia_post", `{"nickname":"n","account_number":"0000123400","api_key":"`+token+`","api_secret":"x"}`)
		if n := len(d.Carrier.TakeAsked()); n != 1 || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("the carrier was asked %d times: %d %s", n, resp.StatusCode, resp.Body)
		}
		if hints := strings.Contains(resp.Body, "access token") && strings.Contains(resp.Body, connection.Needed); hints != (outcome == carrier.OutcomeUnauthorized) {
			t.Errorf("%s: %s", outcome, resp.Body)
		}
	}
}

// TestLinkStories runs every story of the simulator that does not end with a good link,
// with and without "verify": "later".
func TestLinkStories(t *testing.T) {
	tests := []struct {
		story  string
		want   []string
		retry  string // Retry-After
		outage bool
	}{
		{"01", []string{"400", "verification_failure account_number: account_not_found"}, "", false},
		{"02", []string{"400", "verification_failure account_number: account_not_found"}, "", false},
		{"03", []string{"400", "verification_failure: contract_not_valid"}, "", false},
		{"07", []string{"400", "verification_failure: contract_not_set_up"}, "", false},
		{"40", []string{"400", "verification_failure: credentials_refused"}, "", false},
		{"43", []string{"400", "verification_failure: key_not_entitled"}, "", false},
		{"56", []string{"400", "verification_failure account_number: account_not_found"}, "", false},
		{"70", []string{"400", "identifiers_must_match account_number: number_mismatch"}, "", false},
		{"49", []string{"503", "rate_limit_exceeded: carrier_rate_limited"}, "60", true},
		{"50", []string{"502", "unspecified: carrier_unavailable"}, "", true},
		{"51", []string{"502", "unspecified: carrier_unavailable"}, "", true},
		{"54", []string{"504", "unspecified: carrier_timeout"}, "", true},
		{"55", []string{"502", "unspecified: carrier_unreadable"}, "", true},
	}
	for _, tc := range tests {
		t.Run(tc.story, func(t *testing.T) {
			d := newFixture(t)
			n := "00001234" + tc.story
			resp := post(d, "account 71", "australia_post", body(n, `,"verify":"now"`), "Idempotency-Key", "k")
			if diff := cmp.Diff(tc.want, functiontest.Problems(t, resp)); diff != "" || resp.Headers["Retry-After"] != tc.retry {
				t.Errorf("Retry-After %q (-want +got):\n%s", resp.Headers["Retry-After"], diff)
			}
			if strings.Contains(resp.Body, n) {
				t.Errorf("the answer shows the number: %s", resp.Body)
			}
			if l := d.Holders(n); len(l) != 0 {
				t.Errorf("linked as %v", l)
			}
			// The key is free again, for this body and for another one.
			resp = post(d, "account 71", "australia_post", body(n, `,"verify":"later"`), "Idempotency-Key", "k")
			if !tc.outage {
				if diff := cmp.Diff(tc.want, functiontest.Problems(t, resp)); diff != "" {
					t.Errorf("verify later (-want +got):\n%s", diff)
				}
				return
			}
			conn := functiontest.Read[views.Connection](t, resp, http.StatusAccepted)
			if conn.Status != "pending_verification" || conn.Verified || conn.StatusReason == nil || conn.NextRefreshAt == nil || conn.Contract != nil {
				t.Errorf("verify later: %s", resp.Body)
			}
			again := post(d, "account 71", "australia_post", body(n, `,"verify":"later"`), "Idempotency-Key", "k")
			if again.StatusCode != http.StatusAccepted || again.Body != resp.Body || again.Headers["Idempotent-Replayed"] != "true" {
				t.Errorf("the same again: %d %s", again.StatusCode, again.Body)
			}
		})
	}
}

func TestLinkAnswer(t *testing.T) {
	d := newFixture(t)
	resp := post(d, "account 71", "australia_post", body(" 0000-1234 00", `,"refresh_policy":"hourly","external_carrier_id":"x/1","metadata":{"a":"b"},"allow_duplicate_account_number":"false"`))
	got := functiontest.Read[views.Connection](t, resp, http.StatusOK)
	text := func(s string) *string { return &s }
	stamp := text("2026-03-01T00:00:30.000Z")
	want := views.Connection{
		CarrierID: got.CarrierID, CarrierName: "australia_post", AccountNumber: "0000123400", AccountNumberMasked: "*******400", Nickname: "Main", Status: "active",
		Verified: true, VerifiedAt: stamp, LastCheck: &views.Check{At: stamp, Outcome: "ok", LatencyMS: got.LastCheck.LatencyMS, Trigger: "link"},
		NextRefreshAt: got.NextRefreshAt, RefreshPolicy: "hourly", Credentials: views.Credentials{APIKeyLastFour: text("9dd1"), UpdatedAt: stamp},
		Contract: &views.Contract{ValidTo: text("2999-12-31")}, ExternalCarrierID: text("x/1"), Metadata: map[string]string{"a": "b"}, CreatedAt: stamp, ModifiedAt: stamp,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	c, err := d.Vault.Get(t.Context(), functiontest.Account, got.CarrierID, d.Row(got.CarrierID).SecretVersion)
	if err != nil || !c.Equal(functiontest.Credentials(functiontest.APIKey, functiontest.APISecret)) {
		t.Errorf("the vault: %v", err)
	}
	if h := d.History(got.CarrierID); len(h) != 1 || h[0].Trigger != "link" || h[0].Outcome != "ok" || h[0].Number != 1 {
		t.Errorf("history %+v", h)
	}
}

func TestLinkRestricted(t *testing.T) {
	for story, reason := range map[string]string{"10": "contract_expired", "12": "credit_blocked", "14": "all_products_expired"} {
		d := newFixture(t)
		resp := post(d, "account 71", "australia_post", body("00001234"+story, ""))
		if resp.StatusCode != http.StatusOK || !strings.Contains(resp.Body, `"status":"restricted","status_reason":"`+reason+`"`) {
			t.Errorf("story %s: %d %s, want restricted, %s", story, resp.StatusCode, resp.Body, reason)
		}
	}
}

func TestStarTrackAndItsAlias(t *testing.T) {
	for _, name := range []string{"startrack", "star_track"} {
		d := newFixture(t)
		resp := post(d, "partner 5", name, body("00012300", ""), "On-Behalf-Of", "se-71")
		if resp.StatusCode != http.StatusOK || !strings.Contains(resp.Body, `"carrier_name":"startrack"`) {
			t.Errorf("%s: %d %s", name, resp.StatusCode, resp.Body)
		}
	}
}

func TestLinkTwice(t *testing.T) {
	d := newFixture(t)
	first := post(d, "account 71", "australia_post", body("0000123400", ""), "Idempotency-Key", "k")
	conn := functiontest.Read[views.Connection](t, first, http.StatusOK)
	d.Carrier.TakeAsked()
	t.Run("conflict", func(t *testing.T) {
		resp := post(d, "partner 5", "australia_post", body("0000123400", ""), "On-Behalf-Of", "71")
		if diff := cmp.Diff([]string{"409", "carrier_conflict account_number"}, functiontest.Problems(t, resp)); diff != "" || !strings.Contains(resp.Body, `"existing_carrier_id":"`+conn.CarrierID+`"`) {
			t.Errorf("%s\n%s", resp.Body, diff)
		}
	})
	t.Run("another payload", func(t *testing.T) {
		resp := post(d, "account 71", "australia_post", body("0000123499", ""), "Idempotency-Key", "k")
		if diff := cmp.Diff([]string{"422", "field_conflict Idempotency-Key"}, functiontest.Problems(t, resp)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("the same again", func(t *testing.T) {
		resp := post(d, "account 71", "australia_post", body("0000123400", ""), "Idempotency-Key", "k")
		want := maps.Clone(first.Headers)
		want["Idempotent-Replayed"] = "true"
		for _, h := range []map[string]string{want, resp.Headers} {
			maps.DeleteFunc(h, func(k, _ string) bool { return strings.HasPrefix(k, "RateLimit-") })
		}
		if diff := cmp.Diff(want, resp.Headers); diff != "" || resp.Body != first.Body {
			t.Errorf("%s (-want +got):\n%s", resp.Body, diff)
		}
	})
	t.Run("another caller's key is another one", func(t *testing.T) {
		resp := post(d, "partner 5", "australia_post", body("0000123400", ""), "On-Behalf-Of", "71", "Idempotency-Key", "k")
		if got := functiontest.Problems(t, resp); got[0] != "409" || resp.Headers["Idempotent-Replayed"] != "" {
			t.Errorf("%v", got)
		}
	})
	if n := len(d.Carrier.TakeAsked()); n != 0 {
		t.Errorf("the carrier was asked %d times for what was known", n)
	}
	t.Run("duplicate allowed", func(t *testing.T) {
		for _, yes := range []string{`true`, `"true"`} {
			if resp := post(d, "account 71", "australia_post", body("0000123400", `,"allow_duplicate_account_number":`+yes)); resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %d %s", yes, resp.StatusCode, resp.Body)
			}
		}
	})
}

// TestLinkFails: our own failure shows no details, and a concurrent repeat gets Retry-
// After.
func TestLinkFails(t *testing.T) {
	d := newFixture(t)
	d.Vault.Fail = func(string) error { return errors.New("AccessDenied") }
	resp := post(d, "account 71", "australia_post", body("0000123400", ""), "Idempotency-Key", "k")
	if diff := cmp.Diff([]string{"500", "unspecified"}, functiontest.Problems(t, resp)); diff != "" {
		t.Error(diff)
	}
	d.Vault.Fail = nil
	resp = post(d, "account 71", "australia_post", body("0000123400", ""), "Idempotency-Key", "k")
	if diff := cmp.Diff([]string{"409", "invalid_status account_number"}, functiontest.Problems(t, resp)); diff != "" || resp.Headers["Retry-After"] != "1" {
		t.Errorf("within the lease: Retry-After %q\n%s", resp.Headers["Retry-After"], diff)
	}
	d.Pass(30 * time.Second)
	if resp = post(d, "account 71", "australia_post", body("0000123400", ""), "Idempotency-Key", "k"); resp.StatusCode != http.StatusOK {
		t.Errorf("after the lease: %d %s", resp.StatusCode, resp.Body)
	}
}

// wants records what is read while the API key is checked.
type wants struct {
	store.Loader
	want store.Want
}

func (w *wants) Load(ctx context.Context, accountID int64, want store.Want) (store.Loaded, error) {
	w.want = want
	return w.Loader.Load(ctx, accountID, want)
}

// TestReadBesideTheKey: before the caller is authenticated only the account number of
// the body is decoded, whatever else the body has.
func TestReadBesideTheKey(t *testing.T) {
	wanted := &connection.Number{Carrier: carrier.AustraliaPost, Number: "0000123400"}
	for _, tc := range []struct {
		name, body string
		want       *connection.Number
	}{
		{"no body", "", nil},
		{"no number", `{"nickname":"n"}`, nil},
		{"a wrong number", body("123400", ""), nil},
		{"a wrong body with a number", `{"account_number":"0000123400","api_key":7,"x":1}`, wanted},
		{"a good body", body("0000123400", ""), wanted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := functiontest.InMemory(t)
			w := &wants{Loader: d.Store}
			h := &handler{auth: d.Auth(), accounts: w, claims: d.Store, sealer: d.Sealer(), connections: d.Connections, now: d.Now}
			d.Serve(httpapi.Route{Method: http.MethodPost, Resource: "/v1/connections/carriers/{carrier_name}", Handler: h.link})
			post(d, "account 71", "australia_post", tc.body)
			if diff := cmp.Diff(tc.want, w.want.Number); diff != "" {
				t.Errorf("read beside the key (-want +got):\n%s", diff)
			}
		})
	}
}
