package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/auspost"
	"carrierlink/shared/auspost/simulator"
	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/linking"
	"carrierlink/shared/seal"
	"carrierlink/shared/store"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/vault"
	"carrierlink/shared/vault/vaulttest"
)

// What the merchant of these tests types.
const (
	goodKey    = "6fda3d2a-91a5-4f39-a3a7-1cf0ed9d9dd1"
	goodSecret = "xA7pQ2mW9rT4vB6n-canary"
)

// desk is the function in memory, with the simulator as the carrier: partner 5
// with the accounts 71 and 72 (disabled), and partner 6.
type desk struct {
	mem    *storetest.Memory
	vault  *vault.Vault
	linker *linking.Linker
	api    *httpapi.API
	clock  time.Time
	asked  int
	keys   map[string]string
	down   error // of the vault
}

// RoundTrip counts the carrier's calls.
func (d *desk) RoundTrip(r *http.Request) (*http.Response, error) {
	d.asked++
	return simulator.NewTransport(simulator.WithClock(func() time.Time { return d.clock })).RoundTrip(r)
}

// Create and Get are the vault's, unless it is down.
func (d *desk) Create(ctx context.Context, account int64, id, version string, c carrier.Credentials) error {
	if d.down != nil {
		return d.down
	}
	return d.vault.Create(ctx, account, id, version, c)
}

func (d *desk) Get(ctx context.Context, account int64, id string) (carrier.Credentials, error) {
	return d.vault.Get(ctx, account, id)
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{
		mem: storetest.NewMemory(), vault: vault.New(vaulttest.NewMemory(), "test/carrier/"), clock: time.Date(2026, 3, 1, 0, 0, 30, 0, time.UTC), keys: map[string]string{},
	}
	now := func() time.Time { return d.clock }
	client, err := auspost.New(auspost.Options{
		BaseURL: simulator.BaseURL, Transport: d, AttemptTimeout: 20 * time.Millisecond, Sleep: func(context.Context, time.Duration) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	d.linker = &linking.Linker{
		Store: d.mem, Vault: d, Production: client, Sandbox: client, RefusalGap: carrier.RefusalGap, Now: now, Random: rand.Reader,
	}
	h := &handler{
		auth: &auth.Auth{Keys: d.mem, Now: now, Limits: auth.Limits{Production: 1000, Sandbox: 1000}}, accounts: d.mem, claims: d.mem,
		sealer: seal.New(func(context.Context) (carrier.Secret, error) { return carrier.NewSecret("the service secret"), nil }), linker: d.linker, now: now,
	}
	d.api = &httpapi.API{
		Log: slog.New(slog.DiscardHandler), Now: now,
		Routes: []httpapi.Route{{Method: http.MethodPost, Resource: "/v1/connections/carriers/{carrier_name}", Handler: h.link}},
	}
	for _, id := range []int64{5, 6} {
		key, text, err := auth.MakeKey(rand.Reader, carrier.APIKey{PartnerID: id, Environment: carrier.Production})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.mem.CreatePartner(t.Context(), carrier.Partner{ID: id, Environment: carrier.Production}, key); err != nil {
			t.Fatal(err)
		}
		d.keys["partner "+strconv.FormatInt(id, 10)] = text.Reveal()
	}
	for _, id := range []int64{71, 72} {
		key, text, err := auth.MakeKey(rand.Reader, carrier.APIKey{PartnerID: 5, AccountID: id, Environment: carrier.Production})
		if err != nil {
			t.Fatal(err)
		}
		account := carrier.Account{ID: id, PartnerID: 5, Environment: carrier.Production, Active: id == 71}
		if _, err := d.mem.CreateAccount(t.Context(), store.NewAccount{Account: account, Key: key}, d.clock); err != nil {
			t.Fatal(err)
		}
		d.keys["account "+strconv.FormatInt(id, 10)] = text.Reveal()
	}
	return d
}

// post asks to link at a carrier; headers are pairs.
func (d *desk) post(t *testing.T, who, carrierName, body string, headers ...string) events.APIGatewayProxyResponse {
	t.Helper()
	h := map[string]string{"API-Key": d.keys[who], "Content-Type": "application/json"}
	for i := 0; i < len(headers); i += 2 {
		h[headers[i]] = headers[i+1]
	}
	resp, err := d.api.Serve(t.Context(), events.APIGatewayProxyRequest{
		HTTPMethod: http.MethodPost, Path: "/v1/connections/carriers/" + carrierName, Resource: "/v1/connections/carriers/{carrier_name}",
		PathParameters: map[string]string{"carrier_name": carrierName}, Headers: h, Body: body,
	})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// body is a request for a number, with more members behind it.
func body(n, more string) string {
	return `{"nickname":"Main","account_number":"` + n + `","api_key":"` + goodKey + `","api_secret":"` + goodSecret + `"` + more + `}`
}

func (d *desk) linkedAs(t *testing.T, n string) []string {
	t.Helper()
	l, err := d.mem.Load(t.Context(), 71, store.Want{Number: &store.Number{Carrier: carrier.AustraliaPost, Number: n}})
	if err != nil {
		t.Fatal(err)
	}
	return l.LinkedAs
}

// problems is an error answer as a test names it: status, then code and field of
// each problem, and the category of its diagnosis.
func problems(t *testing.T, resp events.APIGatewayProxyResponse) []string {
	t.Helper()
	var e httpapi.Envelope
	if err := json.Unmarshal([]byte(resp.Body), &e); err != nil {
		t.Fatalf("%s: %v", resp.Body, err)
	}
	all := []string{strconv.Itoa(resp.StatusCode)}
	for _, p := range e.Errors {
		what := p.ErrorCode
		if p.FieldName != "" {
			what += " " + p.FieldName
		}
		if p.Diagnosis != nil {
			what += ": " + p.Diagnosis.Category
		}
		all = append(all, what)
	}
	if strings.Contains(resp.Body, "canary") || strings.Contains(resp.Body, goodKey) {
		t.Errorf("the answer shows credentials: %s", resp.Body)
	}
	return all
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
		{"refresh_policy", "account 71", "australia_post", body("0000123400", `,"refresh_policy":"weekly"`), nil, []string{"400", "invalid_field_value refresh_policy"}},
		{"verify", "account 71", "australia_post", body("0000123400", `,"verify":"never"`), nil, []string{"400", "invalid_field_value verify"}},
		{"allow_duplicate_account_number", "account 71", "australia_post", body("0000123400", `,"allow_duplicate_account_number":"yes"`), nil, []string{"400", "invalid_field_value allow_duplicate_account_number"}},
		{"pre-flight beside a missing field", "account 71", "australia_post", `{"nickname":"n","account_number":"1","api_key":"a b"}`, nil, []string{
			"400", "invalid_field_value account_number: lost_leading_zeros", "invalid_field_value api_key: inner_blank", "field_value_required api_secret",
		}},
		{"pre-flight beside a wrong type", "account 71", "australia_post", `{"nickname":"n","account_number":"1","api_key":7,"api_secret":"` + goodSecret + `"}`, nil, []string{
			"400", "invalid_field_value account_number: lost_leading_zeros", "invalid_field_value api_key",
		}},
		{
			"everything, in the order of the fields", "account 71", "australia_post",
			`{"extra":1,"verify":"x","metadata":{"a":1},"external_carrier_id":"","refresh_policy":"x","allow_duplicate_account_number":1,"api_secret":"` + goodKey + `","api_key":"'k'","account_number":"1","nickname":""}`, nil,
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
			d := newDesk(t)
			if diff := cmp.Diff(tc.want, problems(t, d.post(t, tc.who, tc.carrier, tc.body, tc.headers...))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.body, diff)
			}
			if d.asked != 0 || len(d.linkedAs(t, "0000123400")) != 0 {
				t.Errorf("the carrier was asked %d times", d.asked)
			}
		})
	}
}

// TestLinkStories: every story of the simulator that ends a link otherwise than
// well, with and without "verify": "later".
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
			d := newDesk(t)
			n := "00001234" + tc.story
			resp := d.post(t, "account 71", "australia_post", body(n, `,"verify":"now"`), "Idempotency-Key", "k")
			if diff := cmp.Diff(tc.want, problems(t, resp)); diff != "" || resp.Headers["Retry-After"] != tc.retry {
				t.Errorf("Retry-After %q (-want +got):\n%s", resp.Headers["Retry-After"], diff)
			}
			if strings.Contains(resp.Body, n) {
				t.Errorf("the answer shows the number: %s", resp.Body)
			}
			if l := d.linkedAs(t, n); len(l) != 0 {
				t.Errorf("linked as %v", l)
			}
			// The key is free again, for this body and for another one.
			resp = d.post(t, "account 71", "australia_post", body(n, `,"verify":"later"`), "Idempotency-Key", "k")
			if !tc.outage {
				if diff := cmp.Diff(tc.want, problems(t, resp)); diff != "" {
					t.Errorf("verify later (-want +got):\n%s", diff)
				}
				return
			}
			var conn httpapi.ConnectionBody
			if err := json.Unmarshal([]byte(resp.Body), &conn); err != nil || resp.StatusCode != http.StatusAccepted {
				t.Fatalf("verify later: %d %s, want 202", resp.StatusCode, resp.Body)
			}
			if conn.Status != "pending_verification" || conn.Verified || conn.StatusReason == nil || conn.NextRefreshAt == nil || conn.Contract != nil {
				t.Errorf("verify later: %s", resp.Body)
			}
			again := d.post(t, "account 71", "australia_post", body(n, `,"verify":"later"`), "Idempotency-Key", "k")
			if again.StatusCode != http.StatusAccepted || again.Body != resp.Body || again.Headers["Idempotent-Replayed"] != "true" {
				t.Errorf("the same again: %d %s", again.StatusCode, again.Body)
			}
		})
	}
}

func TestLinkAnswer(t *testing.T) {
	d := newDesk(t)
	resp := d.post(t, "account 71", "australia_post", body(" 0000-1234 00", `,"refresh_policy":"hourly","external_carrier_id":"x/1","metadata":{"a":"b"},"allow_duplicate_account_number":"false"`))
	var got httpapi.ConnectionBody
	if err := json.Unmarshal([]byte(resp.Body), &got); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s, %v", resp.StatusCode, resp.Body, err)
	}
	text := func(s string) *string { return &s }
	stamp := text("2026-03-01T00:00:30.000Z")
	want := httpapi.ConnectionBody{
		CarrierID: got.CarrierID, CarrierName: "australia_post", AccountNumber: "0000123400", AccountNumberMasked: "*******400", Nickname: "Main", Status: "active",
		Verified: true, VerifiedAt: stamp, LastCheck: &httpapi.CheckBody{At: stamp, Outcome: "ok", LatencyMS: got.LastCheck.LatencyMS, Trigger: "link"},
		NextRefreshAt: got.NextRefreshAt, RefreshPolicy: "hourly", Credentials: httpapi.CredentialsBody{APIKeyLastFour: text("9dd1"), UpdatedAt: stamp},
		Contract: &httpapi.ContractBody{ValidTo: text("2999-12-31")}, ExternalCarrierID: text("x/1"), Metadata: map[string]string{"a": "b"}, CreatedAt: stamp, ModifiedAt: stamp,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if strings.Contains(resp.Body, "canary") || strings.Contains(resp.Body, goodKey) {
		t.Errorf("the answer shows credentials: %s", resp.Body)
	}
	c, err := d.vault.Get(t.Context(), 71, got.CarrierID)
	if err != nil || c.APIKey.Reveal() != goodKey || c.APISecret.Reveal() != goodSecret {
		t.Errorf("the vault: %v", err)
	}
}

func TestLinkRestricted(t *testing.T) {
	for story, reason := range map[string]string{"10": "contract_expired", "12": "credit_blocked", "14": "all_products_expired"} {
		d := newDesk(t)
		resp := d.post(t, "account 71", "australia_post", body("00001234"+story, ""))
		if resp.StatusCode != http.StatusOK || !strings.Contains(resp.Body, `"status":"restricted","status_reason":"`+reason+`"`) {
			t.Errorf("story %s: %d %s, want restricted, %s", story, resp.StatusCode, resp.Body, reason)
		}
	}
}

func TestStarTrackAndItsAlias(t *testing.T) {
	for _, name := range []string{"startrack", "star_track"} {
		d := newDesk(t)
		resp := d.post(t, "partner 5", name, body("00012300", ""), "On-Behalf-Of", "se-71")
		if resp.StatusCode != http.StatusOK || !strings.Contains(resp.Body, `"carrier_name":"startrack"`) {
			t.Errorf("%s: %d %s", name, resp.StatusCode, resp.Body)
		}
	}
}

func TestLinkTwice(t *testing.T) {
	d := newDesk(t)
	first := d.post(t, "account 71", "australia_post", body("0000123400", ""), "Idempotency-Key", "k")
	var conn httpapi.ConnectionBody
	if err := json.Unmarshal([]byte(first.Body), &conn); err != nil || first.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", first.StatusCode, first.Body)
	}
	d.asked = 0
	t.Run("conflict", func(t *testing.T) {
		resp := d.post(t, "partner 5", "australia_post", body("0000123400", ""), "On-Behalf-Of", "71")
		if diff := cmp.Diff([]string{"409", "carrier_conflict account_number"}, problems(t, resp)); diff != "" || !strings.Contains(resp.Body, `"existing_carrier_id":"`+conn.CarrierID+`"`) {
			t.Errorf("%s\n%s", resp.Body, diff)
		}
	})
	t.Run("another payload", func(t *testing.T) {
		resp := d.post(t, "account 71", "australia_post", body("0000123499", ""), "Idempotency-Key", "k")
		if diff := cmp.Diff([]string{"422", "field_conflict Idempotency-Key"}, problems(t, resp)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("the same again", func(t *testing.T) {
		resp := d.post(t, "account 71", "australia_post", body("0000123400", ""), "Idempotency-Key", "k")
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
		resp := d.post(t, "partner 5", "australia_post", body("0000123400", ""), "On-Behalf-Of", "71", "Idempotency-Key", "k")
		if got := problems(t, resp); got[0] != "409" || resp.Headers["Idempotent-Replayed"] != "" {
			t.Errorf("%v", got)
		}
	})
	if d.asked != 0 {
		t.Errorf("the carrier was asked %d times for what was known", d.asked)
	}
	t.Run("duplicate allowed", func(t *testing.T) {
		for _, yes := range []string{`true`, `"true"`} {
			if resp := d.post(t, "account 71", "australia_post", body("0000123400", `,"allow_duplicate_account_number":`+yes)); resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %d %s", yes, resp.StatusCode, resp.Body)
			}
		}
	})
}

// TestLinkFails: our own failure shows nothing, and the twin that comes while it
// is at work is asked to come back.
func TestLinkFails(t *testing.T) {
	d := newDesk(t)
	d.down = errors.New("AccessDenied: " + goodSecret)
	resp := d.post(t, "account 71", "australia_post", body("0000123400", ""), "Idempotency-Key", "k")
	if diff := cmp.Diff([]string{"500", "unspecified"}, problems(t, resp)); diff != "" {
		t.Error(diff)
	}
	d.down = nil
	resp = d.post(t, "account 71", "australia_post", body("0000123400", ""), "Idempotency-Key", "k")
	if diff := cmp.Diff([]string{"409", "invalid_status account_number"}, problems(t, resp)); diff != "" || resp.Headers["Retry-After"] != "30" {
		t.Errorf("within the lease: Retry-After %q\n%s", resp.Headers["Retry-After"], diff)
	}
	d.clock = d.clock.Add(30 * time.Second)
	if resp = d.post(t, "account 71", "australia_post", body("0000123400", ""), "Idempotency-Key", "k"); resp.StatusCode != http.StatusOK {
		t.Errorf("after the lease: %d %s", resp.StatusCode, resp.Body)
	}
}

// TestTheKeyIsReleasedInAnyCase: also when the time of the request is over.
func TestTheKeyIsReleasedInAnyCase(t *testing.T) {
	d := newDesk(t)
	for i := range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		d.linker.Random = endsWith(cancel)
		req := httpapi.NewRequest("id", events.APIGatewayProxyRequest{
			HTTPMethod: http.MethodPost, Resource: "/v1/connections/carriers/{carrier_name}", PathParameters: map[string]string{"carrier_name": "australia_post"}, Body: body("0000123400", ""),
			Headers: map[string]string{"API-Key": d.keys["account 71"], "Idempotency-Key": "k"},
		})
		h := &handler{
			auth: &auth.Auth{Keys: d.mem, Now: d.linker.Now, Limits: auth.Limits{Production: 1000}}, accounts: d.mem, claims: d.mem,
			sealer: seal.New(func(context.Context) (carrier.Secret, error) { return carrier.NewSecret("s"), nil }), linker: d.linker, now: d.linker.Now,
		}
		if _, err := h.link(ctx, req); !errors.Is(err, context.Canceled) || fault.KindOf(err) != fault.Internal {
			t.Errorf("try %d: link = %v, want the context's end, not a key in use", i, err)
		}
	}
}

// endsWith is randomness that ends a context when it is read.
type endsWith func()

func (f endsWith) Read(b []byte) (int, error) {
	f()
	return rand.Read(b)
}

func TestMergeKeepsTheOrder(t *testing.T) {
	var fields []string
	for _, p := range fault.Of(merge(
		fault.List{fault.Field(fault.Required, "nickname", "m"), fault.Field(fault.Invalid, "metadata.b", "m"), fault.Field(fault.Invalid, "metadata.a", "m"), fault.Field(fault.Invalid, "zip", "m")},
		fault.List{fault.Field(fault.Invalid, "account_number", "m"), fault.Field(fault.Invalid, "api_secret", "m")},
	)) {
		fields = append(fields, p.Field)
	}
	if diff := cmp.Diff([]string{"nickname", "account_number", "api_secret", "metadata.b", "metadata.a", "zip"}, fields); diff != "" {
		t.Errorf("merge (-want +got):\n%s", diff)
	}
	if err := merge(nil, nil); err != nil {
		t.Errorf("merge of nothing = %v", err)
	}
}
