package main

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/auspost"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/views"
)

const (
	number = "0000123400"
	// carriersText has members in an order of its own, numbers with zeros at the
	// end and signs that HTML escapes: all of it comes back as it is.
	carriersText = `{"zeta":1.50,"account_number":"` + number + `","name":"Engines & <Co>","valid_from":"2020-01-01","valid_to":"2026-03-31","expired":false,` +
		`"credit_blocked":false,"merchant_location_id":"ABC","postage_products":[{"type":"PARCEL POST","group":"Parcel Post","product_id":"T28","contract":{"valid_to":"2999-12-31","expired":false}}],"a":{"b":[1,2,{}]}}`
)

func goodReading(tb testing.TB, text string) connection.Reading {
	tb.Helper()
	c, err := auspost.ParseContract([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return connection.Reading{Outcome: carrier.OutcomeOK, HTTPStatus: http.StatusOK, Raw: []byte(text), Contract: c}
}

// front is the function over a fixture with one connection.
type front struct {
	*functiontest.Fixture
	id string
}

// newFront links a connection with this reading; after an outage it is to be verified
// later.
func newFront(t *testing.T, reading connection.Reading) *front {
	t.Helper()
	d := functiontest.InMemory(t)
	serve(d)
	d.Carrier.Reading = &reading
	f := &front{d, d.Link(number).ID}
	d.Carrier.TakeAsked()
	return f
}

func serve(d *functiontest.Fixture) {
	h := &handler{auth: d.Auth(), accounts: d.Store, reader: d.Connections, now: d.Now}
	d.Serve(httpapi.Route{Method: http.MethodGet, Resource: "/v1/carriers/{carrier_id}/account", Handler: h.get})
}

// ask reads the account with its own key; query is as in a URL, headers are pairs.
func (f *front) ask(query string, headers ...string) events.APIGatewayProxyResponse {
	return f.as("account 71", f.id, query, headers...)
}

func (f *front) as(who, id, query string, headers ...string) events.APIGatewayProxyResponse {
	return f.Do(who, http.MethodGet, "/v1/carriers/"+id+"/account?"+query, "", headers...)
}

func read(t *testing.T, resp events.APIGatewayProxyResponse) views.CarrierAccount {
	t.Helper()
	return functiontest.Read[views.CarrierAccount](t, resp, http.StatusOK)
}

func TestGetRefuses(t *testing.T) {
	tests := []struct {
		name, query, id string
		want            []string
	}{
		{"an id of another form", "", "242822", []string{"400", "invalid_identifier carrier_id"}},
		{"an id with a path", "", "se-1%2F..", []string{"400", "invalid_identifier carrier_id"}},
		{"an id that does not decode", "", "se-%", []string{"400", "invalid_identifier carrier_id"}},
		{"an id encoded twice", "", "se%252D1", []string{"400", "invalid_identifier carrier_id"}},
		{"an absent connection", "", "se-1", []string{"404", "not_found"}},
		{"max_age no number", "max_age=soon", "", []string{"400", "invalid_field_value max_age"}},
		{"max_age empty", "max_age=", "", []string{"400", "invalid_field_value max_age"}},
		{"max_age negative", "max_age=-1", "", []string{"400", "invalid_field_value max_age"}},
		{"max_age with a plus", "max_age=+1", "", []string{"400", "invalid_field_value max_age"}},
		{"max_age with a sign", "max_age=%2B1", "", []string{"400", "invalid_field_value max_age"}},
		{"max_age with a leading zero", "max_age=01", "", []string{"400", "invalid_field_value max_age"}},
		{"max_age a fraction", "max_age=1.5", "", []string{"400", "invalid_field_value max_age"}},
		{"max_age over 30 days by one", "max_age=2592001", "", []string{"400", "invalid_field_value max_age"}},
		{"max_age beyond 32 bits", "max_age=4294967296", "", []string{"400", "invalid_field_value max_age"}},
		{"refresh yes", "refresh=yes", "", []string{"400", "invalid_field_value refresh"}},
		{"refresh empty", "refresh=", "", []string{"400", "invalid_field_value refresh"}},
		{"refresh True", "refresh=True", "", []string{"400", "invalid_field_value refresh"}},
		{"the second value is wrong", "refresh=true&refresh=1", "", []string{"400", "invalid_field_value refresh"}},
		{"everything", "max_age=x&refresh=x", "x", []string{"400", "invalid_identifier carrier_id", "invalid_field_value max_age", "invalid_field_value refresh"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			f := newFront(t, goodReading(t, carriersText))
			id := f.id
			if tc.id != "" {
				id = tc.id
			}
			if diff := cmp.Diff([]string{"401", "unauthorized"}, functiontest.Problems(t, f.as("", id, tc.query))); diff != "" {
				t.Errorf("without a key (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.want, functiontest.Problems(t, f.as("account 71", id, tc.query))); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if n := len(f.Carrier.TakeAsked()); n != 0 {
				t.Errorf("the carrier was asked %d times", n)
			}
		})
	}
}

// TestAbsentAndForeignLookAlike: only the request id differs.
func TestAbsentAndForeignLookAlike(t *testing.T) {
	f := newFront(t, goodReading(t, carriersText))
	intent := connection.Connection{ID: "se-7", AccountID: functiontest.Account, PartnerID: 5, Carrier: carrier.StarTrack, AccountNumber: "09912345", LeaseUntil: f.Clock.Add(time.Minute)}
	if err := f.Store.BeginLink(t.Context(), &intent, connection.LinkOptions{}); err != nil {
		t.Fatal(err)
	}
	unlinked := f.Link(functiontest.OtherNumber)
	if err := f.Connections.Unlink(t.Context(), unlinked, false, nil); err != nil {
		t.Fatal(err)
	}
	f.Carrier.TakeAsked()
	bodies := map[string]string{}
	for name, resp := range map[string]events.APIGatewayProxyResponse{
		"absent": f.as("account 71", "se-1", ""), "another account's": f.as("account 73", f.id, ""), "an intent": f.as("account 71", "se-7", "refresh=true"),
		"unlinked": f.as("account 71", unlinked.ID, "refresh=true"), "another account's, for the partner": f.as("partner 5", f.id, "", "On-Behalf-Of", "73"),
	} {
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
		bodies[strings.Replace(resp.Body, resp.Headers["X-Request-Id"], "ID", 1)] = name
	}
	if len(bodies) != 1 || len(f.Carrier.TakeAsked()) != 0 {
		t.Errorf("the answers differ: %v", bodies)
	}
}

func TestStoredAnswer(t *testing.T) {
	f := newFront(t, goodReading(t, carriersText))
	f.Pass(10 * time.Minute)
	resp := f.ask("")
	got := read(t, resp)
	if !strings.Contains(resp.Body, `"account":`+carriersText+`,`) {
		t.Errorf("the carrier's text is changed:\n%s", resp.Body)
	}
	text := func(s string) *string { return &s }
	days := 30
	want := views.CarrierAccount{
		CarrierID: f.id, CarrierCode: "australia_post", Account: json.RawMessage(carriersText), RefreshedAt: text("2026-03-01T00:00:30.000Z"), AgeSeconds: 600,
		Source: "stored", NextRefreshAt: got.NextRefreshAt, Summary: views.ContractSummary{
			AccountNumber: number, Name: "Engines & <Co>", ValidFrom: text("2020-01-01"), ValidTo: text("2026-03-31"), ExpiresInDays: &days, MerchantLocationID: text("ABC"),
			Products: []connection.Product{{ID: "T28", Type: "PARCEL POST", Group: "Parcel Post", ValidTo: "2999-12-31"}},
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
	if as := read(t, f.as("partner 5", f.id, "", "On-Behalf-Of", "se-71")); as.CarrierID != f.id {
		t.Errorf("for the partner: %+v", as)
	}
}

// TestWhenTheCarrierIsAsked: only if the snapshot is older than the request accepts.
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
			f := newFront(t, goodReading(t, carriersText))
			f.Pass(tc.age)
			newText := strings.Replace(carriersText, "Engines", "Motors", 1)
			f.Carrier.Reading = new(goodReading(t, newText))
			got := read(t, f.ask(tc.query))
			asked := len(f.Carrier.TakeAsked())
			if live := got.Source == "live"; live != tc.live || (asked == 1) != tc.live || (string(got.Account) == newText) != tc.live {
				t.Errorf("source %s, asked %d times, want live: %t", got.Source, asked, tc.live)
			}
			if got.Stale || got.StaleReason != nil || got.Diagnosis != nil || got.AgeSeconds < 0 {
				t.Errorf("stale %t, age %d", got.Stale, got.AgeSeconds)
			}
			if !tc.live {
				return
			}
			if got.AgeSeconds != 0 || *got.RefreshedAt != f.Clock.Format("2006-01-02T15:04:05.000Z") {
				t.Errorf("age %d, refreshed at %s", got.AgeSeconds, *got.RefreshedAt)
			}
			if again := read(t, f.ask("")); again.Source != "stored" || string(again.Account) != newText {
				t.Errorf("the next answer is %s", again.Source)
			}
		})
	}
}

// TestStaleIfError: unless the carrier gives a good 200, the answer is the last good data
// with the reason, or without such data the error of errors.md.
func TestStaleIfError(t *testing.T) {
	statuses := map[fault.Kind]int{
		fault.NumberMismatch: 400, fault.CarrierRefused: 400, fault.CarrierContract: 400, fault.CarrierLimited: 503, fault.CarrierDown: 502, fault.CarrierTimeout: 504, fault.State: 409,
	}
	for _, o := range carrier.Outcomes() {
		if o == carrier.OutcomeOK {
			continue
		}
		t.Run(string(o), func(t *testing.T) {
			bad := connection.Reading{Outcome: o, HTTPStatus: 418, Code: "41001", Name: "CUSTOMER_NOT_FOUND"}
			f := newFront(t, goodReading(t, carriersText))
			f.Pass(time.Hour)
			f.Carrier.Reading = &bad
			got := read(t, f.ask(""))
			if !got.Stale || got.Source != "stored" || got.StaleReason == nil || *got.StaleReason != string(o) || got.AgeSeconds != 3600 || string(got.Account) != carriersText {
				t.Errorf("stale %t for %v, source %s, age %d", got.Stale, got.StaleReason, got.Source, got.AgeSeconds)
			}
			if diff := cmp.Diff(bad.Diagnosis(), got.Diagnosis); diff != "" || got.Diagnosis == nil {
				t.Errorf("diagnosis (-want +got):\n%s", diff)
			}
			if row := f.Row(f.id); row.LastCheck.Outcome != o || row.LastCheck.Trigger != connection.TriggerRead || row.ChecksWithCredentials != 2 {
				t.Errorf("recorded: %+v", row)
			}

			f = newFront(t, connection.Reading{Outcome: carrier.OutcomeTimeout})
			f.Carrier.Reading = &bad
			resp := f.ask("")
			want := statuses[fault.KindOf(bad.Err())]
			if resp.StatusCode != want || want == 0 || len(f.Carrier.TakeAsked()) != 1 || !strings.Contains(resp.Body, bad.Diagnosis().Category) {
				t.Errorf("without a snapshot: %d %s, want %d", resp.StatusCode, resp.Body, want)
			}
			if (resp.Headers["Retry-After"] != "") != (o == carrier.OutcomeRateLimited) || resp.Headers["ETag"] != "" {
				t.Errorf("without a snapshot: headers %v", resp.Headers)
			}
			f.Carrier.Reading = new(goodReading(t, carriersText))
			if o == carrier.OutcomeRateLimited {
				f.Pass(time.Minute)
			}
			if got := read(t, f.ask("")); got.Source != "live" {
				t.Errorf("the first good answer is %s", got.Source)
			}
		})
	}
}

// TestCarriersPause: a stale answer says when the carrier may be asked again, also when its
// pause was found by an earlier read.
func TestCarriersPause(t *testing.T) {
	f := newFront(t, goodReading(t, carriersText))
	tag := f.ask("").Headers["ETag"]
	f.Carrier.Reading = &connection.Reading{Outcome: carrier.OutcomeUnavailable, HTTPStatus: 503, RetryAfter: 5 * time.Minute}
	f.Carrier.TakeAsked()
	for i, want := range []string{"300", "299", "298"} {
		resp := f.ask("refresh=true")
		if got := read(t, resp); resp.Headers["Retry-After"] != want || !got.Stale || *got.StaleReason != "unavailable" || got.Diagnosis == nil {
			t.Errorf("read %d: Retry-After %q, want %s: %s", i+1, resp.Headers["Retry-After"], want, resp.Body)
		}
		f.Pass(time.Second)
	}
	if n := len(f.Carrier.TakeAsked()); n != 1 {
		t.Errorf("the carrier was asked %d times", n)
	}
	if resp := f.ask(""); resp.Headers["Retry-After"] != "" || resp.Headers["ETag"] != tag {
		t.Errorf("a fresh answer: headers %v", resp.Headers)
	}
}

func TestCarrierNotAsked(t *testing.T) {
	opened := func(t *testing.T, f *front) {
		t.Helper()
		b := health.Breaker{Carrier: carrier.AustraliaPost}.Opened("outage", f.Clock, health.Timing{})
		if err := f.Store.SaveBreaker(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name      string
		setUp     func(*testing.T, *front)
		reason    string
		diagnosis string   // its category
		want      []string // without a snapshot
		retry     string
	}{
		{"another request asks the carrier", func(t *testing.T, f *front) {
			t.Helper()
			if _, err := f.Store.ClaimCheck(t.Context(), f.Row(f.id), nil, f.Clock.Add(time.Minute), f.Clock); err != nil {
				t.Fatal(err)
			}
		}, "refresh_in_progress", "", []string{"409", "invalid_status"}, "1"},
		{"the vault is down", func(_ *testing.T, f *front) {
			f.Vault.Fail = func(string) error { return errors.New("AccessDenied") }
		}, "service_error", "", []string{"500", "unspecified"}, ""},
		{"the secret is gone", func(_ *testing.T, f *front) {
			f.Vault.Fail = func(string) error { return fault.New(fault.NotFound, "m") }
		}, "credentials_missing", "credentials_missing", []string{"409", "invalid_status: credentials_missing"}, ""},
		{"the breaker is open", opened, "carrier_unavailable", "carrier_unavailable", []string{"502", "unspecified: carrier_unavailable"}, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			f := newFront(t, goodReading(t, carriersText))
			tc.setUp(t, f)
			got := read(t, f.ask("refresh=true"))
			category := ""
			if got.Diagnosis != nil {
				category = got.Diagnosis.Category
			}
			if n := len(f.Carrier.TakeAsked()); !got.Stale || *got.StaleReason != tc.reason || got.Source != "stored" || category != tc.diagnosis || n != 0 {
				t.Errorf("stale %t for %v, diagnosis %v, asked %d times", got.Stale, *got.StaleReason, got.Diagnosis, n)
			}
			f = newFront(t, connection.Reading{Outcome: carrier.OutcomeTimeout})
			tc.setUp(t, f)
			resp := f.ask("")
			if diff := cmp.Diff(tc.want, functiontest.Problems(t, resp)); diff != "" || resp.Headers["Retry-After"] != tc.retry {
				t.Errorf("without a snapshot: Retry-After %q (-want +got):\n%s", resp.Headers["Retry-After"], diff)
			}
		})
	}
	t.Run("the sandbox has no breaker", func(t *testing.T) {
		f := newFront(t, goodReading(t, carriersText))
		opened(t, f)
		row := f.Row(f.id)
		row.Environment = carrier.Sandbox
		if err := f.Store.SaveConnection(t.Context(), &row); err != nil {
			t.Fatal(err)
		}
		if got := read(t, f.ask("refresh=true")); got.Source != "live" || got.Stale {
			t.Errorf("source %s, stale %t", got.Source, got.Stale)
		}
	})
}

// TestAfterACrashedChange: once the lease of a crashed change of credentials is over, the
// carrier is asked again.
func TestAfterACrashedChange(t *testing.T) {
	f := newFront(t, goodReading(t, carriersText))
	row := f.Row(f.id)
	row.Work, row.LeaseUntil = connection.WorkCredentials, f.Clock.Add(time.Minute)
	if err := f.Store.SaveConnection(t.Context(), &row); err != nil {
		t.Fatal(err)
	}
	if got := read(t, f.ask("refresh=true")); !got.Stale || *got.StaleReason != "refresh_in_progress" {
		t.Errorf("within the lease: source %s, stale %t", got.Source, got.Stale)
	}
	f.Pass(time.Minute)
	if got := read(t, f.ask("refresh=true")); got.Source != "live" || got.Stale {
		t.Errorf("after it: source %s, stale %t", got.Source, got.Stale)
	}
	if row := f.Row(f.id); row.Work != connection.NoWork {
		t.Errorf("work %q", row.Work)
	}
}

// TestManyReaders: of concurrent requests that find the snapshot too old, one asks the
// carrier. The others get the stored snapshot, marked as stale, or the new one.
func TestManyReaders(t *testing.T) {
	f := newFront(t, goodReading(t, carriersText))
	f.Pass(time.Hour)
	f.Carrier.Reading = new(goodReading(t, strings.Replace(carriersText, "Engines", "Motors", 1)))
	const readers = 20
	all := make(chan struct{})
	f.Carrier.Meanwhile = func() { <-all } // the other requests come while the carrier is asked
	sources := make(chan string, readers)
	var group sync.WaitGroup
	for range readers {
		group.Go(func() {
			resp := f.ask("")
			var a views.CarrierAccount
			if err := json.Unmarshal([]byte(resp.Body), &a); err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("%d %s", resp.StatusCode, resp.Body)
			}
			if a.Stale {
				a.Source += ", " + *a.StaleReason
			}
			sources <- a.Source
		})
	}
	// All but the one that asks the carrier are answered before the carrier answers.
	count := map[string]int{}
	for range readers - 1 {
		count[<-sources]++
	}
	close(all)
	group.Wait()
	count[<-sources]++
	if n := len(f.Carrier.TakeAsked()); n != 1 || count["live"] != 1 || count["stored, refresh_in_progress"] != readers-1 {
		t.Errorf("the carrier was asked %d times, the answers are %v", n, count)
	}
	if got := read(t, f.ask("")); got.Source != "stored" || got.Stale || f.Row(f.id).ChecksWithCredentials != 2 {
		t.Errorf("the next answer: %s, stale %t", got.Source, got.Stale)
	}
}

func TestETag(t *testing.T) {
	f := newFront(t, goodReading(t, carriersText))
	first := f.ask("")
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
			resp := f.ask("", "If-None-Match", value)
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
	t.Run("age and source do not change the tag", func(t *testing.T) {
		f.Pass(time.Minute)
		if resp := f.ask("refresh=true", "If-None-Match", tag); resp.StatusCode != http.StatusNotModified || len(f.Carrier.TakeAsked()) != 1 {
			t.Errorf("%d, want 304 after one call of the carrier", resp.StatusCode)
		}
	})
	t.Run("a change of the data changes the tag", func(t *testing.T) {
		seen := map[string]string{tag: "as it was"}
		note := func(name string) {
			t.Helper()
			resp := f.ask("refresh=true", "If-None-Match", tag)
			if twin, dup := seen[resp.Headers["ETag"]]; dup || resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %d with the ETag of %s", name, resp.StatusCode, twin)
			}
			seen[resp.Headers["ETag"]] = name
		}
		f.Carrier.Reading = new(connection.Reading{Outcome: carrier.OutcomeTimeout})
		note("stale")
		f.Carrier.Reading = new(connection.Reading{Outcome: carrier.OutcomeUnavailable})
		note("stale for another reason")
		f.Carrier.Reading = new(goodReading(t, strings.Replace(carriersText, `"credit_blocked":false`, `"credit_blocked":true`, 1)))
		note("another text")
		f.Carrier.Reading = new(goodReading(t, carriersText))
		f.Pass(24 * time.Hour)
		note("a day less until the end")
	})
}

func TestRestrictedSummary(t *testing.T) {
	f := newFront(t, goodReading(t, strings.Replace(carriersText, `"credit_blocked":false`, `"credit_blocked":true`, 1)))
	if got := read(t, f.ask("")); !got.Summary.CreditBlocked || got.Summary.RestrictedReason == nil || *got.Summary.RestrictedReason != "credit_blocked" {
		t.Errorf("summary %+v", got.Summary)
	}
	f = newFront(t, goodReading(t, `{"account_number":"`+number+`"}`))
	resp := f.ask("")
	const want = `"summary":{"account_number":"` + number + `","name":"","valid_from":null,"valid_to":null,"expired":false,"expires_in_days":null,"credit_blocked":false,` +
		`"restricted_reason":null,"merchant_location_id":null,"products":[]}`
	if !strings.Contains(resp.Body, want) {
		t.Errorf("the smallest account:\n%s\nlacks\n%s", resp.Body, want)
	}
}

// TestStaleLog: the warning names the connection and shows nothing secret.
func TestStaleLog(t *testing.T) {
	log := functiontest.CaptureLog(t)
	f := newFront(t, goodReading(t, carriersText))
	f.Carrier.Reading = new(connection.Reading{Outcome: carrier.OutcomeUnauthorized, HTTPStatus: http.StatusUnauthorized})
	resp := f.ask("refresh=true")
	var got map[string]any
	if err := json.Unmarshal(log.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, log.String())
	}
	maps.DeleteFunc(got, func(k string, _ any) bool { return k == "timestamp" || k == "error" || k == "lambda_request_id" })
	want := map[string]any{
		"level": "WARN", "msg": "answered with a stale snapshot", "request_id": resp.Headers["X-Request-Id"], "account_id": 71.0, "carrier_id": f.id,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if strings.Contains(log.String(), "canary") || strings.Contains(log.String(), number) || strings.Contains(log.String(), f.Keys["account 71"]) {
		t.Errorf("the log shows secrets or the account number: %s", log.String())
	}
}

func TestDamagedSnapshotIsInternal(t *testing.T) {
	f := newFront(t, goodReading(t, carriersText))
	for name, raw := range map[string]string{"no account": `{}`, "no JSON": `x`} {
		snap, err := connection.NewSnapshot([]byte(raw), f.Clock)
		if err != nil {
			t.Fatal(err)
		}
		row := f.Row(f.id)
		if err := f.Store.RecordCheck(t.Context(), &row, nil, &snap, effects.Effects{}, f.Clock); err != nil {
			t.Fatal(err)
		}
		if resp := f.ask(""); resp.StatusCode != http.StatusInternalServerError {
			t.Errorf("%s: %d %s, want 500", name, resp.StatusCode, resp.Body)
		}
	}
}
