package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/views"
)

const accountText = "account 71"

func newFixture(t *testing.T) *functiontest.Fixture {
	t.Helper()
	d := functiontest.InMemory(t)
	serve(d)
	return d
}

func serve(d *functiontest.Fixture) {
	h := &handler{auth: d.Auth(), accounts: d.Store, connections: d.Connections, now: d.Now}
	d.Serve(httpapi.Route{Method: http.MethodPost, Resource: "/v1/connections/carriers/{carrier_name}/validate", Handler: h.validate})
}

func body(number, key, secret string) string {
	b, err := json.Marshal(map[string]string{"account_number": number, "api_key": key, "api_secret": secret})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func ask(d *functiontest.Fixture, who, carrierName, body string, headers ...string) events.APIGatewayProxyResponse {
	return d.Do(who, http.MethodPost, "/v1/connections/carriers/"+carrierName+"/validate", body, headers...)
}

// names are the checks of Australia Post charge accounts that need no carrier.
var names = []string{
	"account_number_format", "lost_leading_zeros", "startrack_number", "mask_instead_of_secret", "invisible_character", "inner_blank", "quotes", "key_format",
	"account_number_as_key", "key_equals_secret", "key_and_secret_swapped", "credentials_of_another_kind", "not_linked_yet",
}

func TestValidateRefuses(t *testing.T) {
	fine := body("0000123400", functiontest.APIKey, functiontest.APISecret)
	tests := []struct {
		name, who, carrier, body string
		headers                  []string
		want                     []string
	}{
		{"no key", "", "australia_post", fine, nil, []string{"401", "unauthorized"}},
		{"no key, and no such carrier", "", "ups", `{`, nil, []string{"401", "unauthorized"}},
		{"partner for nobody", "partner 5", "australia_post", fine, nil, []string{"400", "field_value_required On-Behalf-Of"}},
		{"another partner's account", "partner 6", "australia_post", `{`, []string{"On-Behalf-Of", "71"}, []string{"404", "not_found"}},
		{"a disabled account", "account 72", "australia_post", fine, nil, []string{"403", "subscription_inactive"}},
		{"no such carrier", accountText, "ups", fine, nil, []string{"400", "carrier_not_supported carrier_name"}},
		{"a carrier that does not decode", accountText, "%zz", fine, nil, []string{"400", "invalid_identifier carrier_name"}},
		{"no body", accountText, "australia_post", "", nil, []string{"400", "request_body_required"}},
		{"no JSON", accountText, "australia_post", "{", nil, []string{"400", "invalid_field_value"}},
		{"wrong content type", accountText, "australia_post", fine, []string{"Content-Type", "text/plain"}, []string{"415", "invalid_field_value Content-Type"}},
		{"nothing", accountText, "australia_post", "{}", nil, []string{"400", "field_value_required account_number", "field_value_required api_key", "field_value_required api_secret"}},
		{"no texts", accountText, "australia_post", `{"account_number":1,"api_key":null,"api_secret":["x"]}`, nil, []string{
			"400", "invalid_field_value account_number", "field_value_required api_key", "invalid_field_value api_secret",
		}},
		{"a wrong number beside a missing key", accountText, "australia_post", `{"account_number":"1","api_secret":"s"}`, nil, []string{"400", "field_value_required api_key"}},
		{"an unknown member", accountText, "australia_post", strings.Replace(fine, "{", `{"zip":"n",`, 1), nil, []string{"400", "invalid_field_value zip"}},
		{"members of a link that are wrong", accountText, "australia_post", strings.Replace(fine, "{", `{"verify":"never","metadata":1,"refresh_policy":"x","external_carrier_id":"","allow_duplicate_account_number":2,"nickname":"",`, 1), nil, []string{
			"400", "invalid_string_length nickname", "invalid_field_value allow_duplicate_account_number", "invalid_field_value refresh_policy", "invalid_string_length external_carrier_id",
			"invalid_field_value metadata", "invalid_field_value verify",
		}},
		{"half a surrogate pair", accountText, "australia_post", `{"account_number":"\ud800","api_key":"k","api_secret":"s"}`, nil, []string{"400", "invalid_field_value account_number"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := newFixture(t)
			if diff := cmp.Diff(tc.want, functiontest.Problems(t, ask(d, tc.who, tc.carrier, tc.body, tc.headers...))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.body, diff)
			}
			if n := len(d.Carrier.TakeAsked()); n != 0 {
				t.Errorf("the carrier was asked %d times", n)
			}
		})
	}
}

// TestPreflight: mistakes in the input are failed checks, and the carrier is not called.
func TestPreflight(t *testing.T) {
	tests := []struct {
		name, carrier, body string
		failed              []string // checks
		messages            []string // parts of theirs
	}{
		{"no number", "australia_post", body("", functiontest.APIKey, functiontest.APISecret), []string{"account_number_format"}, []string{"account_number must not be empty."}},
		{"lost zeros", "australia_post", body("123400", functiontest.APIKey, functiontest.APISecret), []string{"lost_leading_zeros"}, []string{"account_number has 6 digits; Australia Post numbers have 10."}},
		{"a StarTrack number", "australia_post", body("12345678", functiontest.APIKey, functiontest.APISecret), []string{"startrack_number"}, []string{"has 8 digits"}},
		{"an Australia Post number", "star_track", body("0000123400", functiontest.APIKey, functiontest.APISecret), []string{"australia_post_number"}, []string{"has 10 digits"}},
		{"masks", "australia_post", body("0000123400", "********7c8d", "••••"), []string{"mask_instead_of_secret"}, []string{"api_key is a mask"}},
		{"the same twice", "australia_post", body("0000123400", functiontest.APIKey, functiontest.APIKey), []string{"key_equals_secret"}, []string{"must differ"}},
		{"swapped", "australia_post", body("0000123400", functiontest.APISecret, functiontest.APIKey), []string{"key_and_secret_swapped"}, []string{"swapped"}},
		{"the number as the key", "australia_post", body("0000123400", "0000123400", functiontest.APISecret), []string{"account_number_as_key"}, []string{"account number"}},
		{"both credentials", "australia_post", body("0000123400", "'k'", "a b' "), []string{"inner_blank", "quotes"}, []string{
			"api_secret contains a blank.", "api_key contains a quotation mark. api_secret contains a quotation mark.",
		}},
		{"everything", "australia_post", body("x", "", strings.Repeat("s", 257)), []string{"account_number_format", "key_format"}, []string{
			"must be 10 digits", "api_key must not be empty. api_secret must be at most 256 characters.",
		}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := newFixture(t)
			got := functiontest.Read[views.Validation](t, ask(d, accountText, tc.carrier, tc.body), http.StatusOK)
			var failed, all []string
			for _, c := range got.Checks {
				all = append(all, c.Name)
				if (c.Message == nil) != c.Passed {
					t.Errorf("%s: passed %t with the message %v", c.Name, c.Passed, c.Message)
				}
				if c.Passed {
					continue
				}
				failed = append(failed, c.Name)
				if n := len(failed); n > len(tc.messages) || !strings.Contains(*c.Message, tc.messages[n-1]) {
					t.Errorf("%s: %s", c.Name, *c.Message)
				}
			}
			if diff := cmp.Diff(tc.failed, failed); diff != "" {
				t.Errorf("failed (-want +got):\n%s", diff)
			}
			if tc.carrier == "australia_post" {
				want := names
				if slices.Contains(names[:3], tc.failed[0]) {
					want = names[:len(names)-1] // without a number there is none to look for
				}
				if diff := cmp.Diff(want, all); diff != "" {
					t.Errorf("checks (-want +got):\n%s", diff)
				}
			}
			if got.Valid || got.AccountPreview != nil || got.Diagnosis == nil || got.Diagnosis.Category != failed[0] || got.Diagnosis.WhoMustAct != "merchant" {
				t.Errorf("valid %t, preview %v, diagnosis %+v", got.Valid, got.AccountPreview, got.Diagnosis)
			}
			if n := len(d.Carrier.TakeAsked()); n != 0 {
				t.Errorf("the carrier was asked %d times", n)
			}
		})
	}
}

// TestStories runs every story of the simulator that does not end with a good check. A
// refusal is a result, an outage an error.
func TestStories(t *testing.T) {
	refusals := map[string]string{
		"01": "account_not_found", "02": "account_not_found", "03": "contract_not_valid", "07": "contract_not_set_up", "40": "credentials_refused",
		"43": "key_not_entitled", "56": "account_not_found", "70": "number_mismatch",
	}
	for story, category := range refusals {
		t.Run(story, func(t *testing.T) {
			d := newFixture(t)
			resp := ask(d, accountText, "australia_post", body("00001234"+story, functiontest.APIKey, functiontest.APISecret))
			got := functiontest.Read[views.Validation](t, resp, http.StatusOK)
			last := got.Checks[len(got.Checks)-1]
			if got.Valid || len(got.Checks) != len(names)+1 || last.Name != "carrier" || last.Passed || last.Message == nil || got.AccountPreview != nil {
				t.Errorf("%s", resp.Body)
			}
			if d := got.Diagnosis; d == nil || d.Category != category || d.CarrierError == nil || *last.Message != d.LikelyCause {
				t.Errorf("diagnosis %+v, want %s", d, category)
			}
			if strings.Contains(resp.Body, "00001234"+story) {
				t.Errorf("the answer shows the number: %s", resp.Body)
			}
		})
	}
	outages := map[string][]string{
		"49": {"503", "rate_limit_exceeded: carrier_rate_limited"}, "50": {"502", "unspecified: carrier_unavailable"}, "51": {"502", "unspecified: carrier_unavailable"},
		"54": {"504", "unspecified: carrier_timeout"}, "55": {"502", "unspecified: carrier_unreadable"},
	}
	for story, want := range outages {
		t.Run(story, func(t *testing.T) {
			d := newFixture(t)
			resp := ask(d, accountText, "australia_post", body("00001234"+story, functiontest.APIKey, functiontest.APISecret))
			if diff := cmp.Diff(want, functiontest.Problems(t, resp)); diff != "" || (resp.Headers["Retry-After"] != "") != (story == "49") {
				t.Errorf("Retry-After %q (-want +got):\n%s", resp.Headers["Retry-After"], diff)
			}
		})
	}
}

// TestOutcomes: every outcome is a result if it says something about the charge account,
// otherwise an error.
func TestOutcomes(t *testing.T) {
	for _, o := range carrier.Outcomes() {
		d := newFixture(t)
		d.Carrier.Reading = &connection.Reading{Outcome: o, HTTPStatus: 418}
		resp := ask(d, accountText, "australia_post", body("0000123400", functiontest.APIKey, functiontest.APISecret))
		if isResult := resp.StatusCode == http.StatusOK; isResult == o.IsOutage() || !isResult && resp.StatusCode < 500 {
			t.Errorf("%s: %d %s", o, resp.StatusCode, resp.Body)
		}
	}
}

func TestPreview(t *testing.T) {
	d := newFixture(t)
	resp := ask(d, "partner 5", "australia_post", body(" 0000-1234 00", functiontest.APIKey, " "+functiontest.APISecret), "On-Behalf-Of", "se-71")
	got := functiontest.Read[views.Validation](t, resp, http.StatusOK)
	asked := d.Carrier.TakeAsked()
	if len(asked) != 1 || asked[0].Check != 1 || asked[0].Account.Number != "0000123400" || !asked[0].Account.Credentials.Equal(functiontest.Credentials(functiontest.APIKey, functiontest.APISecret)) {
		t.Errorf("the carrier was asked %d times", len(asked))
	}
	text := func(s string) *string { return &s }
	want := views.Validation{Valid: true, AccountPreview: &views.AccountPreview{
		Name: text("COASTLINE HOMEWARES P/L"), Suburb: text("DANDENONG SOUTH"), State: text("VIC"), ABNLastThree: text("901"), AccountNumberMasked: "*******400",
		ValidTo: text("2999-12-31"), Products: got.AccountPreview.Products,
	}}
	for _, name := range append(slices.Clone(names), "carrier") {
		want.Checks = append(want.Checks, views.ValidationCheck{Name: name, Passed: true})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if p := got.AccountPreview.Products; len(p) != 3 || p[0].ID == "" || p[0].Type == "" {
		t.Errorf("products %+v", p)
	}
	for _, hidden := range []string{"0000123400", "12345678901", "18 Example Drive", "dispatch@coastline"} {
		if strings.Contains(resp.Body, hidden) {
			t.Errorf("the preview shows %s: %s", hidden, resp.Body)
		}
	}
}

func TestPreviewOfARestrictedAccount(t *testing.T) {
	for story, reason := range map[string]string{"10": "contract_expired", "12": "credit_blocked", "14": "all_products_expired"} {
		d := newFixture(t)
		got := functiontest.Read[views.Validation](t, ask(d, accountText, "australia_post", body("00001234"+story, functiontest.APIKey, functiontest.APISecret)), http.StatusOK)
		if !got.Valid || got.Diagnosis != nil || got.AccountPreview.RestrictedReason == nil || *got.AccountPreview.RestrictedReason != reason {
			t.Errorf("story %s: %+v, want that it can be linked, and is restricted by %s", story, got, reason)
		}
	}
	d := newFixture(t)
	got := functiontest.Read[views.Validation](t, ask(d, accountText, "australia_post", body("0000123411", functiontest.APIKey, functiontest.APISecret)), http.StatusOK)
	if days := got.AccountPreview.ExpiresInDays; days == nil || *days != 7 {
		t.Errorf("expires in %v days, want 7", days)
	}
}

// TestLeastAccount: fields that the carrier leaves out are null, and products are a
// list.
func TestLeastAccount(t *testing.T) {
	d := newFixture(t)
	d.Carrier.Reading = &connection.Reading{Outcome: carrier.OutcomeOK, Raw: []byte("{}"), Contract: connection.Contract{AccountNumber: "0000123400"}}
	resp := ask(d, accountText, "australia_post", body("0000123400", functiontest.APIKey, functiontest.APISecret))
	const want = `"account_preview":{"name":null,"suburb":null,"state":null,"abn_last_three":null,"account_number_masked":"*******400","valid_to":null,` +
		`"expires_in_days":null,"restricted_reason":null,"products":[]},"diagnosis":null}`
	if !strings.HasSuffix(resp.Body, want) {
		t.Errorf("%s, want it to end with\n%s", resp.Body, want)
	}
}

// TestTheBodyOfALink: validate accepts the body of a link.
func TestTheBodyOfALink(t *testing.T) {
	d := newFixture(t)
	full := strings.Replace(body("0000123400", functiontest.APIKey, functiontest.APISecret), "{",
		`{"nickname":"Main","allow_duplicate_account_number":"true","refresh_policy":"hourly","external_carrier_id":"x","metadata":{"a":"b"},"verify":"later",`, 1)
	if got := functiontest.Read[views.Validation](t, ask(d, accountText, "australia_post", full), http.StatusOK); !got.Valid {
		t.Errorf("%+v", got)
	}
	// An outage stays an error: there is nothing to verify later.
	d.Carrier.Reading = &connection.Reading{Outcome: carrier.OutcomeUnavailable}
	if diff := cmp.Diff([]string{"502", "unspecified: carrier_unavailable"}, functiontest.Problems(t, ask(d, accountText, "australia_post", full))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNotLinkedYet: a number that a link would refuse as a conflict is a failed check
// that names the connection, and the carrier is not called.
func TestNotLinkedYet(t *testing.T) {
	find := func(t *testing.T, v views.Validation) views.ValidationCheck {
		t.Helper()
		i := slices.IndexFunc(v.Checks, func(c views.ValidationCheck) bool { return c.Name == "not_linked_yet" })
		if i < 0 {
			t.Fatalf("no such check among %+v", v.Checks)
		}
		return v.Checks[i]
	}
	d := newFixture(t)
	conn := d.Link(functiontest.Number)
	d.Carrier.TakeAsked()
	for _, number := range []string{functiontest.Number, " 0000-1234 00"} {
		resp := ask(d, accountText, "australia_post", body(number, functiontest.APIKey, functiontest.APISecret))
		got := functiontest.Read[views.Validation](t, resp, http.StatusOK)
		if c := find(t, got); got.Valid || c.Passed || c.ExistingCarrierID != conn.ID || c.Message == nil {
			t.Errorf("%s", resp.Body)
		}
		if got.Diagnosis == nil || got.Diagnosis.Category != "already_linked" || len(d.Carrier.TakeAsked()) != 0 {
			t.Errorf("the carrier was asked, or the diagnosis is %+v", got.Diagnosis)
		}
	}
	for name, b := range map[string]string{
		"another number":     body(functiontest.OtherNumber, functiontest.APIKey, functiontest.APISecret),
		"duplicates allowed": strings.Replace(body(functiontest.Number, functiontest.APIKey, functiontest.APISecret), "{", `{"allow_duplicate_account_number":true,`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			got := functiontest.Read[views.Validation](t, ask(d, accountText, "australia_post", b), http.StatusOK)
			if c := find(t, got); !got.Valid || !c.Passed || c.ExistingCarrierID != "" {
				t.Errorf("%+v", got)
			}
		})
	}
	t.Run("another account's", func(t *testing.T) {
		if got := functiontest.Read[views.Validation](t, ask(d, "account 73", "australia_post", body(functiontest.Number, functiontest.APIKey, functiontest.APISecret)), http.StatusOK); !got.Valid || !find(t, got).Passed {
			t.Errorf("%+v", got)
		}
	})
	t.Run("unlinked", func(t *testing.T) {
		if err := d.Connections.Unlink(t.Context(), conn, false, nil); err != nil {
			t.Fatal(err)
		}
		if got := functiontest.Read[views.Validation](t, ask(d, accountText, "australia_post", body(functiontest.Number, functiontest.APIKey, functiontest.APISecret)), http.StatusOK); !got.Valid {
			t.Errorf("%+v", got)
		}
	})
	t.Run("only being linked", func(t *testing.T) {
		d := newFixture(t)
		d.Vault.Fail = func(string) error { return errors.New("AccessDenied") }
		request := connection.LinkRequest{
			Account:       account.Account{ID: functiontest.Account, PartnerID: 5, Environment: carrier.Production},
			ChargeAccount: connection.ChargeAccount{Carrier: carrier.AustraliaPost, Number: functiontest.Number, Credentials: functiontest.Credentials(functiontest.APIKey, functiontest.APISecret)},
		}
		if _, err := d.Connections.Link(t.Context(), request); err == nil {
			t.Fatal("the link is done")
		}
		d.Vault.Fail = nil
		if len(d.Holders(functiontest.Number)) != 1 {
			t.Fatal("nothing holds the number")
		}
		if got := functiontest.Read[views.Validation](t, ask(d, accountText, "australia_post", body(functiontest.Number, functiontest.APIKey, functiontest.APISecret)), http.StatusOK); !got.Valid || !find(t, got).Passed {
			t.Errorf("%+v", got)
		}
	})
}

// TestHint: credentials of another kind cause a warning, and the carrier is asked about
// them too; if it refuses them the diagnosis says what is needed.
func TestHint(t *testing.T) {
	const v2ID = "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD"
	for _, refused := range []bool{false, true} {
		d := newFixture(t)
		if refused {
			d.Carrier.Reading = &connection.Reading{Outcome: carrier.OutcomeUnauthorized, HTTPStatus: 401}
		}
		resp := ask(d, accountText, "australia_post", body(functiontest.Number, v2ID, functiontest.APISecret))
		got := functiontest.Read[views.Validation](t, resp, http.StatusOK)
		if len(d.Carrier.TakeAsked()) != 1 || got.Valid == refused {
			t.Errorf("refused %t: %s", refused, resp.Body)
		}
		warned := 0
		for _, c := range got.Checks {
			if c.Warning {
				warned++
				if c.Name != "credentials_of_another_kind" || !c.Passed || c.Message == nil || !strings.Contains(*c.Message, "API v2") || !strings.Contains(*c.Message, connection.Needed) {
					t.Errorf("it warns with %+v", c)
				}
			}
		}
		if warned != 1 {
			t.Errorf("it warns %d times", warned)
		}
		if refused && (got.Diagnosis.Category != "credentials_refused" || !strings.Contains(got.Diagnosis.LikelyCause, "API v2") || got.Diagnosis.NextSteps[0] != connection.Needed) {
			t.Errorf("diagnosis %+v", got.Diagnosis)
		}
		if strings.Contains(resp.Body, v2ID) {
			t.Errorf("the answer shows the key: %s", resp.Body)
		}
	}
}

// TestNothingIsKept: no connection or number is stored, and the Idempotency-Key stays
// free for any body.
func TestNothingIsKept(t *testing.T) {
	d := newFixture(t)
	for _, b := range []string{body("0000123400", functiontest.APIKey, functiontest.APISecret), body("1", functiontest.APIKey, functiontest.APISecret)} {
		for range 2 {
			resp := ask(d, accountText, "australia_post", b, "Idempotency-Key", "é")
			if resp.StatusCode != http.StatusOK || resp.Headers["Idempotent-Replayed"] != "" {
				t.Errorf("%d %v", resp.StatusCode, resp.Headers)
			}
		}
	}
	if n := len(d.Carrier.TakeAsked()); n != 2 {
		t.Errorf("the carrier was asked %d times, want once for each request without a mistake", n)
	}
	rows, err := d.Store.AllConnections(t.Context(), functiontest.Account)
	if err != nil || len(rows) != 0 || len(d.Holders("0000123400")) != 0 {
		t.Errorf("kept: %v, %v, %v", rows, d.Holders("0000123400"), err)
	}
}
