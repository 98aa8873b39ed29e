package main

import (
	"bytes"
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
	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/linking"
	"carrierlink/shared/store"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/vault"
	"carrierlink/shared/vault/vaulttest"
)

const (
	number = "0000123400"
	// carriersText has members in an order of its own, numbers with zeros at the
	// end and signs that HTML escapes: all of it comes back as it is.
	carriersText = `{"zeta":1.50,"account_number":"` + number + `","name":"Engines & <Co>","valid_from":"2020-01-01","valid_to":"2026-03-31","expired":false,` +
		`"credit_blocked":false,"merchant_location_id":"ABC","postage_products":[{"type":"PARCEL POST","group":"Parcel Post","product_id":"T28","contract":{"valid_to":"2999-12-31","expired":false}}],"a":{"b":[1,2,{}]}}`
)

// desk is the function in memory, with one account, one linked connection and a
// carrier that answers what it is told to.
type desk struct {
	*handler
	mem     *storetest.Memory
	linker  *linking.Linker
	api     *httpapi.API
	clock   time.Time
	reading carrier.Reading
	asked   int
	key     string // the account's
	foreign string // another account's of the same partner
	partner string
	id      string // of the connection
	getErr  error  // of the vault
	secrets *vault.Vault
}

func (d *desk) GetAccount(context.Context, carrier.ChargeAccount, int) carrier.Reading {
	d.asked++
	return d.reading
}

// Create and Get are the vault's.
func (d *desk) Create(ctx context.Context, account int64, id, version string, c carrier.Credentials) error {
	return d.secrets.Create(ctx, account, id, version, c)
}

func (d *desk) Get(ctx context.Context, account int64, id string) (carrier.Credentials, error) {
	if d.getErr != nil {
		return carrier.Credentials{}, d.getErr
	}
	return d.secrets.Get(ctx, account, id)
}

func goodReading(t *testing.T, text string) carrier.Reading {
	t.Helper()
	c, err := auspost.ParseContract([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return carrier.Reading{Outcome: carrier.OutcomeOK, HTTPStatus: http.StatusOK, Raw: []byte(text), Contract: c}
}

// newDesk links with this reading; an outage is kept to be verified later.
func newDesk(t *testing.T, reading carrier.Reading) *desk {
	t.Helper()
	d := &desk{
		mem: storetest.NewMemory(), secrets: vault.New(vaulttest.NewMemory(), "test/carrier/"), reading: reading, clock: time.Date(2026, 3, 1, 0, 0, 30, 0, time.UTC),
	}
	now := func() time.Time { return d.clock }
	d.linker = &linking.Linker{Store: d.mem, Vault: d, Production: d, Sandbox: d, RefusalGap: carrier.RefusalGap, Now: now, Random: rand.Reader}
	d.handler = &handler{
		auth: &auth.Auth{Keys: d.mem, Now: now, Limits: auth.Limits{Production: 1000, Sandbox: 1000}}, accounts: d.mem, checker: d.linker, now: now,
	}
	d.api = &httpapi.API{
		Log: slog.New(slog.DiscardHandler), Now: now,
		Routes: []httpapi.Route{{Method: http.MethodGet, Resource: "/v1/carriers/{carrier_id}/account", Handler: d.get}},
	}
	account := carrier.Account{ID: 71, PartnerID: 5, Environment: carrier.Production, Active: true}
	for _, k := range []struct {
		id   int64
		text *string
	}{{71, &d.key}, {72, &d.foreign}} {
		key, text, err := auth.MakeKey(rand.Reader, carrier.APIKey{PartnerID: 5, AccountID: k.id, Environment: carrier.Production})
		if err != nil {
			t.Fatal(err)
		}
		*k.text = text.Reveal()
		a := account
		a.ID = k.id
		if _, err := d.mem.CreateAccount(t.Context(), store.NewAccount{Account: a, Key: key}, d.clock); err != nil {
			t.Fatal(err)
		}
	}
	key, text, err := auth.MakeKey(rand.Reader, carrier.APIKey{PartnerID: 5, Environment: carrier.Production})
	if err != nil {
		t.Fatal(err)
	}
	d.partner = text.Reveal()
	if err := d.mem.CreatePartner(t.Context(), carrier.Partner{ID: 5, Environment: carrier.Production}, key); err != nil {
		t.Fatal(err)
	}
	conn, err := d.linker.Link(t.Context(), linking.LinkRequest{
		Account: account, VerifyLater: true, RefreshPolicy: carrier.RefreshDaily, ChargeAccount: carrier.ChargeAccount{
			Carrier: carrier.AustraliaPost, Number: number, Credentials: carrier.Credentials{APIKey: carrier.NewSecret("key-canary"), APISecret: carrier.NewSecret("secret-canary")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.id, d.asked = conn.ID, 0
	return d
}

// ask reads the account; query is as in a URL, headers are pairs.
func (d *desk) ask(t *testing.T, query string, headers ...string) events.APIGatewayProxyResponse {
	t.Helper()
	e := events.APIGatewayProxyRequest{
		HTTPMethod: http.MethodGet, Resource: "/v1/carriers/{carrier_id}/account", Path: "/v1/carriers/" + d.id + "/account",
		PathParameters: map[string]string{"carrier_id": d.id}, Headers: map[string]string{"API-Key": d.key}, MultiValueQueryStringParameters: map[string][]string{},
	}
	for pair := range strings.SplitSeq(query, "&") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			e.MultiValueQueryStringParameters[name] = append(e.MultiValueQueryStringParameters[name], value)
		}
	}
	for i := 0; i < len(headers); i += 2 {
		e.Headers[headers[i]] = headers[i+1]
	}
	if id, ok := e.Headers["carrier_id"]; ok {
		e.PathParameters["carrier_id"] = id
	}
	resp, err := d.api.Serve(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func read(t *testing.T, resp events.APIGatewayProxyResponse) answer {
	t.Helper()
	var a answer
	if err := json.Unmarshal([]byte(resp.Body), &a); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s, %v, want 200", resp.StatusCode, resp.Body, err)
	}
	return a
}

func problems(t *testing.T, resp events.APIGatewayProxyResponse) []string {
	t.Helper()
	var e httpapi.Envelope
	if err := json.Unmarshal([]byte(resp.Body), &e); err != nil {
		t.Fatalf("%s: %v", resp.Body, err)
	}
	all := []string{strconv.Itoa(resp.StatusCode)}
	for _, p := range e.Errors {
		all = append(all, strings.TrimSuffix(p.ErrorCode+" "+p.FieldName, " "))
	}
	return all
}

func TestGetRefuses(t *testing.T) {
	tests := []struct {
		name, query string
		headers     []string
		want        []string
	}{
		{"no key", "", []string{"API-Key", ""}, []string{"401", "unauthorized"}},
		{"no key, and a wrong query", "max_age=x", []string{"API-Key", ""}, []string{"401", "unauthorized"}},
		{"an id of another form", "", []string{"carrier_id", "242822"}, []string{"400", "invalid_identifier carrier_id"}},
		{"an id with a path", "", []string{"carrier_id", "se-1%2F.."}, []string{"400", "invalid_identifier carrier_id"}},
		{"an id that does not decode", "", []string{"carrier_id", "se-%"}, []string{"400", "invalid_identifier carrier_id"}},
		{"an id encoded twice", "", []string{"carrier_id", "se%252D1"}, []string{"400", "invalid_identifier carrier_id"}},
		{"an absent connection", "", []string{"carrier_id", "se-1"}, []string{"404", "not_found"}},
		{"max_age no number", "max_age=soon", nil, []string{"400", "invalid_field_value max_age"}},
		{"max_age empty", "max_age=", nil, []string{"400", "invalid_field_value max_age"}},
		{"max_age negative", "max_age=-1", nil, []string{"400", "invalid_field_value max_age"}},
		{"max_age with a plus", "max_age=+1", nil, []string{"400", "invalid_field_value max_age"}},
		{"max_age a fraction", "max_age=1.5", nil, []string{"400", "invalid_field_value max_age"}},
		{"max_age over 30 days by one", "max_age=2592001", nil, []string{"400", "invalid_field_value max_age"}},
		{"max_age beyond 32 bits", "max_age=4294967296", nil, []string{"400", "invalid_field_value max_age"}},
		{"refresh yes", "refresh=yes", nil, []string{"400", "invalid_field_value refresh"}},
		{"refresh empty", "refresh=", nil, []string{"400", "invalid_field_value refresh"}},
		{"refresh True", "refresh=True", nil, []string{"400", "invalid_field_value refresh"}},
		{"the second value is wrong", "refresh=true&refresh=1", nil, []string{"400", "invalid_field_value refresh"}},
		{"everything", "max_age=x&refresh=x", []string{"carrier_id", "x"}, []string{"400", "invalid_identifier carrier_id", "invalid_field_value max_age", "invalid_field_value refresh"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := newDesk(t, goodReading(t, carriersText))
			if diff := cmp.Diff(tc.want, problems(t, d.ask(t, tc.query, tc.headers...))); diff != "" || d.asked != 0 {
				t.Errorf("asked %d times (-want +got):\n%s", d.asked, diff)
			}
		})
	}
}

// TestAbsentAndForeignAreEqual but for the request id.
func TestAbsentAndForeignAreEqual(t *testing.T) {
	d := newDesk(t, goodReading(t, carriersText))
	intent := carrier.Connection{ID: "se-7", AccountID: 71, PartnerID: 5, Carrier: carrier.StarTrack, AccountNumber: "09912345", LeaseUntil: d.clock.Add(time.Minute)}
	if err := d.mem.BeginLink(t.Context(), &intent, carrier.LinkOptions{}); err != nil {
		t.Fatal(err)
	}
	bodies := map[string]string{}
	for name, headers := range map[string][]string{
		"absent": {"carrier_id", "se-1"}, "another account's": {"API-Key", d.foreign}, "an intent": {"carrier_id", "se-7"},
		"another account's, for the partner": {"API-Key", d.partner, "On-Behalf-Of", "72"},
	} {
		resp := d.ask(t, "refresh=true", headers...)
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
		bodies[strings.Replace(resp.Body, resp.Headers["X-Request-Id"], "ID", 1)] = name
	}
	if len(bodies) != 1 || d.asked != 0 {
		t.Errorf("the answers differ: %v", bodies)
	}
}

func TestStoredAnswer(t *testing.T) {
	d := newDesk(t, goodReading(t, carriersText))
	d.clock = d.clock.Add(10 * time.Minute)
	resp := d.ask(t, "")
	got := read(t, resp)
	if !strings.Contains(resp.Body, `"account":`+carriersText+`,`) {
		t.Errorf("the carrier's text is changed:\n%s", resp.Body)
	}
	text := func(s string) *string { return &s }
	days := 30
	want := answer{
		CarrierID: d.id, CarrierCode: "australia_post", Account: json.RawMessage(carriersText), RefreshedAt: text("2026-03-01T00:00:30.000Z"), AgeSeconds: 600,
		Source: "stored", NextRefreshAt: got.NextRefreshAt, Summary: summary{
			AccountNumber: number, Name: "Engines & <Co>", ValidFrom: text("2020-01-01"), ValidTo: text("2026-03-31"), ExpiresInDays: &days, MerchantLocationID: text("ABC"),
			Products: []carrier.Product{{ID: "T28", Type: "PARCEL POST", Group: "Parcel Post", ValidTo: "2999-12-31"}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	for _, null := range []string{`"stale_reason":null`, `"diagnosis":null`, `"restricted_reason":null`} {
		if !strings.Contains(resp.Body, null) {
			t.Errorf("the answer lacks %s", null)
		}
	}
	if strings.Contains(resp.Body, "canary") {
		t.Error("the answer shows credentials")
	}
	if as := read(t, d.ask(t, "", "API-Key", d.partner, "On-Behalf-Of", "se-71")); as.CarrierID != d.id {
		t.Errorf("for the partner: %+v", as)
	}
}

// TestWhenTheCarrierIsAsked: by the age that the reader accepts.
func TestWhenTheCarrierIsAsked(t *testing.T) {
	tests := []struct {
		name, query string
		age         time.Duration
		live        bool
	}{
		{"younger than a quarter of an hour", "", 14*time.Minute + 59*time.Second, false},
		{"as old as that", "", 15 * time.Minute, false},
		{"older", "", 15*time.Minute + 1, true},
		{"older than max_age", "max_age=60", 61 * time.Second, true},
		{"as old as max_age", "max_age=60", 60 * time.Second, false},
		{"max_age 0", "max_age=0", 1, true},
		{"the largest max_age", "max_age=2592000", 29 * 24 * time.Hour, false},
		{"refresh", "refresh=true", time.Second, true},
		{"refresh false", "refresh=false", time.Second, false},
		{"refresh false does not keep an old one", "refresh=false", time.Hour, true},
		{"refresh with a max_age", "refresh=true&max_age=2592000", time.Second, true},
		{"a clock behind", "", -time.Minute, false},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := newDesk(t, goodReading(t, carriersText))
			d.clock = d.clock.Add(tc.age)
			newText := strings.Replace(carriersText, "Engines", "Motors", 1)
			d.reading = goodReading(t, newText)
			got := read(t, d.ask(t, tc.query))
			if live := got.Source == "live"; live != tc.live || (d.asked == 1) != tc.live || (string(got.Account) == newText) != tc.live {
				t.Errorf("source %s, asked %d times, want live: %t", got.Source, d.asked, tc.live)
			}
			if got.Stale || got.StaleReason != nil || got.Diagnosis != nil || got.AgeSeconds < 0 {
				t.Errorf("stale %t, age %d", got.Stale, got.AgeSeconds)
			}
			if !tc.live {
				return
			}
			if got.AgeSeconds != 0 || *got.RefreshedAt != d.clock.Format("2006-01-02T15:04:05.000Z") {
				t.Errorf("age %d, refreshed at %s", got.AgeSeconds, *got.RefreshedAt)
			}
			if again := read(t, d.ask(t, "")); again.Source != "stored" || string(again.Account) != newText {
				t.Errorf("the next one is %s", again.Source)
			}
		})
	}
}

// TestStaleIfError: whatever the carrier says but a good 200, the last good data
// comes with the reason; without such data the error table holds.
func TestStaleIfError(t *testing.T) {
	statuses := map[fault.Kind]int{
		fault.NumberMismatch: 400, fault.CarrierRefused: 400, fault.CarrierContract: 400, fault.CarrierLimited: 503, fault.CarrierDown: 502, fault.CarrierTimeout: 504,
	}
	for _, o := range carrier.Outcomes() {
		if o == carrier.OutcomeOK {
			continue
		}
		t.Run(string(o), func(t *testing.T) {
			bad := carrier.Reading{Outcome: o, HTTPStatus: 418, Code: "41001", Name: "CUSTOMER_NOT_FOUND"}
			d := newDesk(t, goodReading(t, carriersText))
			d.clock = d.clock.Add(time.Hour)
			d.reading = bad
			got := read(t, d.ask(t, ""))
			if !got.Stale || got.Source != "stored" || got.StaleReason == nil || *got.StaleReason != string(o) || got.AgeSeconds != 3600 || string(got.Account) != carriersText {
				t.Errorf("stale %t for %v, source %s, age %d", got.Stale, got.StaleReason, got.Source, got.AgeSeconds)
			}
			if diff := cmp.Diff(bad.Diagnosis(), got.Diagnosis); diff != "" || got.Diagnosis == nil {
				t.Errorf("diagnosis (-want +got):\n%s", diff)
			}
			l, err := d.mem.Load(t.Context(), 71, store.Want{ConnectionID: d.id})
			if err != nil || l.Connection.LastCheck.Outcome != o || l.Connection.LastCheck.Trigger != carrier.TriggerRead || l.Connection.Checks != 2 {
				t.Errorf("recorded: %+v, %v", l.Connection, err)
			}

			d = newDesk(t, carrier.Reading{Outcome: carrier.OutcomeTimeout})
			d.reading = bad
			resp := d.ask(t, "")
			want := statuses[fault.KindOf(bad.Err())]
			if resp.StatusCode != want || want == 0 || d.asked != 1 || !strings.Contains(resp.Body, bad.Diagnosis().Category) {
				t.Errorf("without a snapshot: %d %s, want %d", resp.StatusCode, resp.Body, want)
			}
			if (resp.Headers["Retry-After"] != "") != (o == carrier.OutcomeRateLimited) || resp.Headers["ETag"] != "" {
				t.Errorf("without a snapshot: headers %v", resp.Headers)
			}
			d.reading = goodReading(t, carriersText)
			if got := read(t, d.ask(t, "")); got.Source != "live" {
				t.Errorf("the first good one is %s", got.Source)
			}
		})
	}
}

func TestWhatKeepsUsFromAsking(t *testing.T) {
	tests := []struct {
		name   string
		setUp  func(*testing.T, *desk)
		reason string
		want   []string // without a snapshot
		retry  string
	}{
		{"another reader asks", func(t *testing.T, d *desk) {
			t.Helper()
			l, err := d.mem.Load(t.Context(), 71, store.Want{ConnectionID: d.id})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.mem.ClaimCheck(t.Context(), *l.Connection, d.clock.Add(time.Minute), d.clock); err != nil {
				t.Fatal(err)
			}
		}, "refresh_in_progress", []string{"409", "invalid_status"}, "1"},
		{"the vault is down", func(_ *testing.T, d *desk) { d.getErr = errors.New("AccessDenied") }, "service_error", []string{"500", "unspecified"}, ""},
		{"the secret is gone", func(_ *testing.T, d *desk) { d.getErr = fault.New(fault.NotFound, "m") }, "service_error", []string{"500", "unspecified"}, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := newDesk(t, goodReading(t, carriersText))
			tc.setUp(t, d)
			got := read(t, d.ask(t, "refresh=true"))
			if !got.Stale || *got.StaleReason != tc.reason || got.Source != "stored" || got.Diagnosis != nil || d.asked != 0 {
				t.Errorf("stale %t for %v, diagnosis %v, asked %d times", got.Stale, got.StaleReason, got.Diagnosis, d.asked)
			}
			d = newDesk(t, carrier.Reading{Outcome: carrier.OutcomeTimeout})
			tc.setUp(t, d)
			resp := d.ask(t, "")
			if diff := cmp.Diff(tc.want, problems(t, resp)); diff != "" || resp.Headers["Retry-After"] != tc.retry {
				t.Errorf("without a snapshot: Retry-After %q (-want +got):\n%s", resp.Headers["Retry-After"], diff)
			}
		})
	}
}

func TestETag(t *testing.T) {
	d := newDesk(t, goodReading(t, carriersText))
	first := d.ask(t, "")
	tag := first.Headers["ETag"]
	if !strings.HasPrefix(tag, `W/"`) || first.Headers["Cache-Control"] != "private, no-cache" {
		t.Fatalf("headers %v", first.Headers)
	}
	t.Run("matches", func(t *testing.T) {
		strong := strings.TrimPrefix(tag, "W/")
		for value, hit := range map[string]bool{
			"": false, `W/"other"`: false, strings.Trim(strong, `"`): false, tag + "x": false, `"other", W/"more"`: false, ",": false,
			tag: true, strong: true, "*": true, `"other", ` + tag: true, tag + `,"other"`: true, " " + tag + " ": true,
		} {
			resp := d.ask(t, "", "If-None-Match", value)
			if got := resp.StatusCode == http.StatusNotModified; got != hit || hit != (resp.Body == "") || resp.Headers["ETag"] != tag {
				t.Errorf("If-None-Match: %s = %d, %d bytes, ETag %s, want a hit: %t", value, resp.StatusCode, len(resp.Body), resp.Headers["ETag"], hit)
			}
			if resp.Headers["Cache-Control"] != "private, no-cache" || resp.Headers["X-Request-Id"] == "" {
				t.Errorf("headers %v", resp.Headers)
			}
			if _, ok := resp.Headers["Content-Type"]; ok == hit {
				t.Errorf("content type of a %d: %t", resp.StatusCode, ok)
			}
		}
	})
	t.Run("age and source do not count", func(t *testing.T) {
		d.clock = d.clock.Add(time.Minute)
		if resp := d.ask(t, "refresh=true", "If-None-Match", tag); resp.StatusCode != http.StatusNotModified || d.asked != 1 {
			t.Errorf("%d after %d questions, want 304", resp.StatusCode, d.asked)
		}
	})
	t.Run("what is said counts", func(t *testing.T) {
		seen := map[string]string{tag: "as it was"}
		note := func(name string) {
			t.Helper()
			resp := d.ask(t, "refresh=true", "If-None-Match", tag)
			if twin, dup := seen[resp.Headers["ETag"]]; dup || resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %d with the ETag of %s", name, resp.StatusCode, twin)
			}
			seen[resp.Headers["ETag"]] = name
		}
		d.reading = carrier.Reading{Outcome: carrier.OutcomeTimeout}
		note("stale")
		d.reading = carrier.Reading{Outcome: carrier.OutcomeUnavailable}
		note("stale for another reason")
		d.reading = goodReading(t, strings.Replace(carriersText, `"credit_blocked":false`, `"credit_blocked":true`, 1))
		note("another text")
		d.reading = goodReading(t, carriersText)
		d.clock = d.clock.Add(24 * time.Hour)
		note("a day less until the end")
	})
}

func TestRestrictedSummary(t *testing.T) {
	d := newDesk(t, goodReading(t, strings.Replace(carriersText, `"credit_blocked":false`, `"credit_blocked":true`, 1)))
	if got := read(t, d.ask(t, "")); !got.Summary.CreditBlocked || got.Summary.RestrictedReason == nil || *got.Summary.RestrictedReason != "credit_blocked" {
		t.Errorf("summary %+v", got.Summary)
	}
	d = newDesk(t, goodReading(t, `{"account_number":"`+number+`"}`))
	resp := d.ask(t, "")
	const want = `"summary":{"account_number":"` + number + `","name":"","valid_from":null,"valid_to":null,"expired":false,"expires_in_days":null,"credit_blocked":false,` +
		`"restricted_reason":null,"merchant_location_id":null,"products":[]}`
	if !strings.Contains(resp.Body, want) {
		t.Errorf("the least account:\n%s\nlacks\n%s", resp.Body, want)
	}
}

// TestStaleLog: the warning names the connection, and nothing secret.
func TestStaleLog(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	d := newDesk(t, goodReading(t, carriersText))
	d.reading = carrier.Reading{Outcome: carrier.OutcomeUnauthorized, HTTPStatus: http.StatusUnauthorized}
	resp := d.ask(t, "refresh=true")
	var got map[string]any
	if err := json.Unmarshal(log.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, log.String())
	}
	maps.DeleteFunc(got, func(k string, _ any) bool { return k == "time" || k == "error" })
	want := map[string]any{
		"level": "WARN", "msg": "answered with a stale snapshot", "request_id": resp.Headers["X-Request-Id"], "account_id": "71", "carrier_id": d.id,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if strings.Contains(log.String(), "canary") || strings.Contains(log.String(), number) || strings.Contains(log.String(), d.key) {
		t.Errorf("the log shows what it must not: %s", log.String())
	}
}

func TestDamagedSnapshotIsOurs(t *testing.T) {
	d := newDesk(t, goodReading(t, carriersText))
	for name, raw := range map[string]string{"no account": `{}`, "no JSON": `x`} {
		snap, err := carrier.NewSnapshot([]byte(raw), d.clock)
		if err != nil {
			t.Fatal(err)
		}
		l, err := d.mem.Load(t.Context(), 71, store.Want{ConnectionID: d.id})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.mem.RecordCheck(t.Context(), l.Connection, &snap); err != nil {
			t.Fatal(err)
		}
		if resp := d.ask(t, ""); resp.StatusCode != http.StatusInternalServerError {
			t.Errorf("%s: %d %s, want 500", name, resp.StatusCode, resp.Body)
		}
	}
}
