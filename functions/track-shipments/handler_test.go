package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/auspost"
	"carrierlink/shared/auspost/simulator"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/secret"
	"carrierlink/shared/tracking"
	"carrierlink/shared/views"
)

// The numbers of the simulator's examples, and one that it does not know.
const (
	parcel    = "ZZ91000634011427"
	abroad    = "ET000000005AU"
	starTrack = "9ZZZ50000001"
	unknown   = "ZZ91000"
)

// front is the function over a fixture with three accounts of one partner: 71 and 72 of
// production, and 73 of the sandbox. Its carrier is the simulator.
type front struct {
	*functiontest.Fixture
	*handler
	service *tracking.Service
	asked   []string // tracking_ids of the carrier's calls
	// carrier answers instead of the simulator, unless it is nil.
	carrier *reply

	getErr error // the vault's
}

// RoundTrip is the carrier's.
func (d *front) RoundTrip(r *http.Request) (*http.Response, error) {
	d.asked = append(d.asked, r.URL.Query().Get("tracking_ids"))
	if c := d.carrier; c != nil {
		return &http.Response{StatusCode: c.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(c.body))}, c.err
	}
	return simulator.NewTransport(time.Now).RoundTrip(r)
}

// Get is the vault's: connections whose ids begin alike share an API key.
func (d *front) Get(_ context.Context, account int64, id, version string) (connection.Credentials, error) {
	if version != "v-"+id {
		return connection.Credentials{}, fmt.Errorf("version %q of %d's %s", version, account, id)
	}
	return connection.Credentials{APIKey: secret.New("key-canary-" + id[:4]), APISecret: secret.New("secret-canary")}, d.getErr
}

// elsewhere is a carrier that must not be asked.
type elsewhere struct{ testing.TB }

func (e elsewhere) Track(context.Context, connection.ChargeAccount, []string, func(context.Context) error) map[string]tracking.CarrierAnswer {
	e.Error("the other environment's carrier was asked")
	return nil
}

func newFront(t *testing.T) *front {
	t.Helper()
	d := &front{Fixture: functiontest.EmptyInMemory(t)}
	d.Clock = time.Date(2026, 11, 22, 6, 0, 30, 0, time.UTC)
	client, err := auspost.New(auspost.Options{
		BaseURL: simulator.BaseURL, Transport: d, Sleep: func(context.Context, time.Duration) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	d.service = &tracking.Service{
		Connections: d.Store, Cache: d.Store, Vault: d, Carriers: carrier.PerEnvironment[tracking.Carrier]{Production: client, Sandbox: elsewhere{t}}, Now: d.Now, Random: rand.Reader,
	}
	d.serve()
	d.AddPartner(account.Partner{ID: 5})
	for id, env := range map[int64]carrier.Environment{71: carrier.Production, 72: carrier.Production, 73: carrier.Sandbox} {
		d.AddAccount(account.Account{ID: id, PartnerID: 5, Environment: env, Active: true})
	}
	return d
}

func (d *front) serve() {
	d.handler = &handler{auth: d.Auth(), accounts: d.Store, tracker: d.service, now: d.Now}
	d.Serve(httpapi.Route{Method: http.MethodGet, Resource: "/v1/tracking", Handler: d.track})
}

// link creates a connection, by default a working one of account 71 to Australia Post.
func (d *front) link(t *testing.T, id string, edit func(*connection.Connection)) {
	t.Helper()
	c := connection.Connection{
		ID: id, AccountID: 71, PartnerID: 5, Carrier: carrier.AustraliaPost, AccountNumber: "0000123400", Status: connection.Active, Standing: account.StandingActive,
		SecretVersion: "v-" + id, CreatedAt: d.Clock, MerchantLocationID: "ZZ9",
	}
	if edit != nil {
		edit(&c)
	}
	status := c.Status
	c.Status, c.LeaseUntil = connection.Linking, d.Clock.Add(time.Minute)
	if err := d.Store.BeginLink(t.Context(), &c, connection.LinkOptions{AllowDuplicate: true}); err != nil {
		t.Fatal(err)
	}
	if status == connection.Linking {
		return
	}
	c.Status, c.LeaseUntil = status, time.Time{}
	if err := d.Store.FinishLink(t.Context(), &c, nil, nil, effects.Effects{}, d.Clock); err != nil {
		t.Fatal(err)
	}
	if status == connection.Disconnected {
		if err := d.Store.Unlink(t.Context(), &c, effects.Effects{}, d.Clock); err != nil {
			t.Fatal(err)
		}
	}
}

// linked returns a front with the connection se-1.
func linked(t *testing.T) *front {
	t.Helper()
	d := newFront(t)
	d.link(t, "se-1", nil)
	return d
}

// ask is a GET with the key of an account, or of partner 5; query is as in a URL, without
// escapes.
func (d *front) ask(account int64, query string, headers ...string) events.APIGatewayProxyResponse {
	values := url.Values{}
	for pair := range strings.SplitSeq(query, "&") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			values.Add(name, value)
		}
	}
	who := "account "
	if account == 5 {
		who = "partner "
	}
	return d.Do(who+strconv.FormatInt(account, 10), http.MethodGet, "/v1/tracking?"+values.Encode(), "", headers...)
}

// of returns a query for numbers of se-1.
func of(numbers ...string) string {
	return "carrier_id=se-1&tracking_number=" + strings.Join(numbers, "&tracking_number=")
}

// line is the part of an answer that tells of one number.
type line struct {
	Number string           `json:"tracking_number"`
	Code   string           `json:"status_code"`
	Source string           `json:"source"`
	Age    int              `json:"age_seconds"`
	Stale  bool             `json:"stale"`
	Error  *httpapi.Problem `json:"error"`
}

func (l line) String() string {
	if l.Error != nil {
		return l.Number + " " + l.Error.ErrorCode
	}
	s := fmt.Sprintf("%s %s %s", l.Number, l.Code, l.Source)
	if l.Source != "live" {
		s += fmt.Sprintf(" %ds", l.Age)
	}
	if l.Stale {
		s += " stale"
	}
	return s
}

// lines reads the body of a 200, about one number or several.
func lines(t *testing.T, resp events.APIGatewayProxyResponse) []string {
	t.Helper()
	var body struct {
		line
		Results []line `json:"results"`
	}
	if err := json.Unmarshal([]byte(resp.Body), &body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s, %v, want 200", resp.StatusCode, resp.Body, err)
	}
	if body.Results == nil {
		return []string{body.String()}
	}
	var all []string
	for _, l := range body.Results {
		all = append(all, l.String())
	}
	return all
}

// reply is the carrier's answer to every call.
type reply struct {
	status int
	body   string
	err    error
}

func answers(status int, body string) *reply { return &reply{status: status, body: body} }

type slow struct{}

func (slow) Error() string { return "slow" }
func (slow) Timeout() bool { return true }

func TestTrackRefuses(t *testing.T) {
	long := strings.Repeat("7", 51)
	tests := []struct {
		name, query string
		headers     []string
		want        []string
	}{
		{"no key", of(parcel), []string{"API-Key", ""}, []string{"401", "unauthorized"}},
		{"no key, and nothing else", "", []string{"API-Key", "x"}, []string{"401", "unauthorized"}},
		{"another's account", of(parcel), []string{"On-Behalf-Of", "72"}, []string{"404", "not_found"}},
		{"nothing", "", nil, []string{"400", "field_value_required carrier_id", "field_value_required tracking_number"}},
		{"no number", "carrier_id=se-1", nil, []string{"400", "field_value_required tracking_number"}},
		{"no carrier", "tracking_number=" + parcel, nil, []string{"400", "field_value_required carrier_id"}},
		{"both", "carrier_code=startrack&" + of(parcel), nil, []string{"400", "invalid_field_value carrier_code"}},
		{"two ids", "carrier_id=se-2&" + of(parcel), nil, []string{"400", "invalid_field_value carrier_id"}},
		{"two codes", "carrier_code=startrack&carrier_code=startrack&tracking_number=" + parcel, nil, []string{"400", "invalid_field_value carrier_code"}},
		{"an id of another form", "carrier_id=242822&tracking_number=" + parcel, nil, []string{"400", "invalid_identifier carrier_id"}},
		{"an empty id", "carrier_id=&tracking_number=" + parcel, nil, []string{"400", "invalid_identifier carrier_id"}},
		{"another carrier", "carrier_code=fedex&tracking_number=" + parcel, nil, []string{"400", "carrier_not_supported carrier_code"}},
		{"an empty code", "carrier_code=&tracking_number=" + parcel, nil, []string{"400", "carrier_not_supported carrier_code"}},
		{"11 numbers", of(strings.Split(strings.Repeat(parcel+" ", 10)+parcel, " ")...), nil, []string{"400", "invalid_field_value tracking_number"}},
		{"25 numbers", of(slices.Repeat([]string{parcel}, 25)...), nil, []string{"400", "invalid_field_value tracking_number"}},
		{"an empty number", of(""), nil, []string{"400", "invalid_string_length tracking_number"}},
		{"a long number", of(long), nil, []string{"400", "invalid_string_length tracking_number"}},
		{"numbers with a comma", of(parcel + "," + abroad), nil, []string{"400", "invalid_field_value tracking_number"}},
		{"bad numbers among good ones", of(parcel, "A/B", abroad, " "), nil, []string{"400", "invalid_field_value tracking_number", "invalid_string_length tracking_number"}},
		{"everything", "carrier_id=x&tracking_number=A,B", nil, []string{"400", "invalid_identifier carrier_id", "invalid_field_value tracking_number"}},
		{"an absent connection", "carrier_id=se-2&tracking_number=" + parcel, nil, []string{"404", "not_found"}},
		{"a carrier without connection", "carrier_code=star_track&tracking_number=" + parcel, nil, []string{"404", "not_found"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := linked(t)
			functiontest.Diff(t, "problems", tc.want, functiontest.Problems(t, d.ask(71, tc.query, tc.headers...)))
			if len(d.asked) > 0 {
				t.Errorf("the carrier was asked for %q", d.asked)
			}
		})
	}
}

// TestAbsentAndForeignLookAlike: only the request id differs.
func TestAbsentAndForeignLookAlike(t *testing.T) {
	d := linked(t)
	d.link(t, "se-7", func(c *connection.Connection) { c.Status = connection.Linking })
	d.link(t, "se-8", func(c *connection.Connection) { c.Status = connection.Disconnected })
	bodies := map[string]string{}
	for name, resp := range map[string]events.APIGatewayProxyResponse{
		"absent":                             d.ask(71, "carrier_id=se-9&tracking_number="+parcel),
		"another account's":                  d.ask(72, of(parcel)),
		"another account's, for the partner": d.ask(5, of(parcel), "On-Behalf-Of", "72"),
		"an intent":                          d.ask(71, "carrier_id=se-7&tracking_number="+parcel),
		"a disconnected one":                 d.ask(71, "carrier_id=se-8&tracking_number="+parcel),
		"none of this carrier":               d.ask(71, "carrier_code=startrack&tracking_number="+parcel),
	} {
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
		bodies[strings.Replace(resp.Body, resp.Headers["X-Request-Id"], "ID", 1)] = name
	}
	if len(bodies) != 1 || len(d.asked) != 0 {
		t.Errorf("the answers differ: %v", bodies)
	}
}

// failures are reasons not to get tracking, one for each kind of answer, with the answer
// about a number that is not in the cache.
var failures = []struct {
	name  string
	fail  func(d *front)
	want  []string
	after string // Retry-After
}{
	{"refused", func(d *front) { d.carrier = answers(401, `{"errors":[{"error_code":"API_001"}]}`) }, []string{"400", "verification_failure: credentials_refused"}, ""},
	{"unknown account", func(d *front) { d.carrier = answers(400, `{"errors":[{"code":"41001"}]}`) }, []string{"400", "verification_failure account_number: account_not_found"}, ""},
	{"throttled", func(d *front) { d.carrier = answers(429, "") }, []string{"503", "rate_limit_exceeded: carrier_rate_limited"}, "60"},
	{"down", func(d *front) { d.carrier = answers(500, "") }, []string{"502", "unspecified: carrier_unavailable"}, ""},
	{"no answer", func(d *front) { d.carrier = &reply{err: slow{}} }, []string{"504", "unspecified: carrier_timeout"}, ""},
	{"no secret", func(d *front) { d.getErr = fault.New(fault.NotFound, "gone") }, []string{"409", "invalid_status: credentials_missing"}, ""},
	{"no vault", func(d *front) { d.getErr = errors.New("unseen") }, []string{"500", "unspecified"}, ""},
	{"no allowance", func(d *front) {
		for i := range tracking.CallsPerMinute {
			d.ask(71, of(fmt.Sprintf("ZZ9100063401%04d", i)))
		}
	}, []string{"429", "rate_limit_exceeded"}, "60"},
}

func TestFailures(t *testing.T) {
	for _, tc := range failures {
		t.Run(tc.name, func(t *testing.T) {
			out := functiontest.CaptureLog(t)
			d := linked(t)
			tc.fail(d)
			resp := d.ask(71, of(parcel))
			functiontest.Diff(t, "problems", tc.want, functiontest.Problems(t, resp))
			if resp.Headers["Retry-After"] != tc.after {
				t.Errorf("Retry-After = %q, want %q", resp.Headers["Retry-After"], tc.after)
			}
			if strings.Contains(resp.Body, "canary") || strings.Contains(resp.Body, "unseen") || out.Len() > 0 {
				t.Errorf("the answer or the log tells too much: %s\n%s", resp.Body, out)
			}
		})
	}
}

// TestSeveral: the answer has a result for each number, in the order of the request,
// duplicates included. The log says once why an answer says less than the carrier may
// know, and does not show the numbers.
func TestSeveral(t *testing.T) {
	out := functiontest.CaptureLog(t)
	d := linked(t)
	functiontest.Diff(t, "answers", []string{
		unknown + " not_found", parcel + " DE live", starTrack + " IT live", parcel + " DE live", abroad + " IT live", unknown + " not_found",
	}, lines(t, d.ask(71, of(unknown, " zz91 000634011427", starTrack, parcel, abroad, unknown))))
	if out.Len() > 0 {
		t.Errorf("logged: %s", out)
	}
	d.Clock, d.carrier = d.Clock.Add(2*time.Minute), answers(503, "")
	third := "ZZ91000634011429"
	functiontest.Diff(t, "the carrier is down", []string{third + " unspecified", parcel + " DE cached 120s stale"}, lines(t, d.ask(71, of(third, parcel))))
	if strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), `"carrier_id":"se-1","stale":1,"failed":1`) || strings.Contains(out.String(), third) {
		t.Errorf("logged: %s", out)
	}
	functiontest.Diff(t, "a number twice", []string{third + " unspecified", third + " unspecified"}, lines(t, d.ask(71, of(third, third))))
	d.getErr = errors.New("unseen")
	functiontest.Diff(t, "our own failure, for all numbers", []string{"500", "unspecified"}, functiontest.Problems(t, d.ask(71, of(third, "ZZ91000634011430"))))
}

// TestSeveralErrors: each error is as for a single number.
func TestSeveralErrors(t *testing.T) {
	d := linked(t)
	d.errorSource = "carrierlink"
	var body struct {
		Results []map[string]any `json:"results"`
	}
	if err := json.Unmarshal([]byte(d.ask(71, of(unknown, starTrack)).Body), &body); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"tracking_number": unknown, "error": map[string]any{
		"error_source": "carrierlink", "error_type": "security", "error_code": "not_found", "message": "The carrier does not know this tracking number.", "field_name": "tracking_number",
	}}
	if diff := cmp.Diff(want, body.Results[0]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	d.carrier = answers(401, `{"errors":[{"error_code":"API_001"}]}`)
	if err := json.Unmarshal([]byte(d.ask(71, of("A1", "A2")).Body), &body); err != nil {
		t.Fatal(err)
	}
	problem, _ := body.Results[1]["error"].(map[string]any)
	if diagnosis, ok := problem["diagnosis"].(map[string]any); !ok || diagnosis["who_must_act"] != "merchant" || problem["error_code"] != "verification_failure" {
		t.Errorf("error = %v", problem)
	}
}

// TestByStarTrack: a connection of that carrier, by its alias, for a partner.
func TestByStarTrack(t *testing.T) {
	d := newFront(t)
	d.link(t, "se-1", func(c *connection.Connection) { c.Carrier, c.AccountNumber = carrier.StarTrack, "00123400" })
	resp := d.ask(5, "carrier_code=star_track&tracking_number="+starTrack, "On-Behalf-Of", "71")
	functiontest.Diff(t, "answer", []string{starTrack + " IT live"}, lines(t, resp))
	if !strings.Contains(resp.Body, `"carrier_code":"startrack"`) || !strings.Contains(resp.Body, "https://startrack.com.au/track/details/"+starTrack) {
		t.Errorf("answer: %s", resp.Body)
	}
}

func TestOneAnswer(t *testing.T) {
	d := linked(t)
	d.carrier = answers(200, `{"tracking_results":[{"tracking_id":"`+parcel+`","trackable_items":[{"article_id":"ZZ1","status":"Delivered","events":[`+
		`{"location":"Alexandria nsw 2015","description":"Delivered - Left in a safe place","date":"2026-09-18T14:43:09+10:00"}]},`+
		`{"article_id":"ZZ2","status":"Awaiting collection","events":[{"location":"SINGAPORE","description":"Signed & <sealed>","date":"yesterday"},`+
		`{"date":"2026-09-17T19:40:19","location":""}]}]}]}`)
	const delivered = `{"occurred_at":"2026-09-18T04:43:09.000Z","carrier_occurred_at":"2026-09-18T14:43:09+10:00","description":"Delivered - Left in a safe place",` +
		`"city_locality":"Alexandria","state_province":"NSW","postal_code":"2015","country_code":"AU","company_name":null,"signer":null,"event_code":null,` +
		`"carrier_detail_code":"Delivered - Left in a safe place","status_code":"DE","status_detail_code":"DELIVERED","status_description":"Delivered","status_detail_description":null,` +
		`"carrier_status_code":"Delivered - Left in a safe place","carrier_status_description":"Delivered - Left in a safe place","latitude":null,"longitude":null,"proof_of_delivery_url":null}`
	const others = `{"occurred_at":"2026-09-17T09:40:19.000Z","carrier_occurred_at":"2026-09-17T19:40:19","description":null,` +
		`"city_locality":"","state_province":"","postal_code":"","country_code":null,"company_name":null,"signer":null,"event_code":null,` +
		`"carrier_detail_code":null,"status_code":"UN","status_detail_code":null,"status_description":"Unknown","status_detail_description":null,` +
		`"carrier_status_code":null,"carrier_status_description":null,"latitude":null,"longitude":null,"proof_of_delivery_url":null},` +
		`{"occurred_at":null,"carrier_occurred_at":"yesterday","description":"Signed & <sealed>",` +
		`"city_locality":"SINGAPORE","state_province":"","postal_code":"","country_code":null,"company_name":null,"signer":null,"event_code":null,` +
		`"carrier_detail_code":"Signed & <sealed>","status_code":"UN","status_detail_code":null,"status_description":"Unknown","status_detail_description":null,` +
		`"carrier_status_code":"Signed & <sealed>","carrier_status_description":"Signed & <sealed>","latitude":null,"longitude":null,"proof_of_delivery_url":null}`
	const want = `{"tracking_number":"ZZ91000634011427","tracking_url":"https://auspost.com.au/mypost/track/details/ZZ91000634011427",` +
		`"status_code":"IT","status_detail_code":"DELIVERED_IN_PART","carrier_code":"australia_post","carrier_id":null,"status_description":"In Transit",` +
		`"status_detail_description":null,"carrier_status_code":"Awaiting collection","carrier_detail_code":null,"carrier_status_description":"Awaiting collection",` +
		`"ship_date":null,"estimated_delivery_date":null,"actual_delivery_date":null,"exception_description":null,"events":[` + delivered + `,` + others + `],"connection_id":"se-1","articles":[` +
		`{"number":"ZZ1","status_code":"DE","status_detail_code":"DELIVERED","status_description":"Delivered","carrier_status_code":"Delivered",` +
		`"carrier_status_description":"Delivered","events":[` + delivered + `]},` +
		`{"number":"ZZ2","status_code":"SP","status_detail_code":"AWAITING_COLLECTION_FROM_PICKUP_POINT","status_description":"Delivered To Collection Location",` +
		`"carrier_status_code":"Awaiting collection","carrier_status_description":"Awaiting collection","events":[` + others + `]}` +
		`],"source":"live","age_seconds":0,"stale":false}`
	resp := d.ask(71, of(parcel))
	if diff := cmp.Diff(want, resp.Body); diff != "" || resp.StatusCode != http.StatusOK {
		t.Errorf("%d (-want +got):\n%s", resp.StatusCode, diff)
	}
	d.Clock = d.Clock.Add(time.Minute)
	again := d.ask(71, of(parcel))
	if diff := cmp.Diff(strings.Replace(want, `"live","age_seconds":0`, `"cached","age_seconds":60`, 1), again.Body); diff != "" {
		t.Errorf("from the cache (-want +got):\n%s", diff)
	}
}

// TestFieldCases checks answers about responses of the carrier that were once read
// wrongly, live and from the cache.
func TestFieldCases(t *testing.T) {
	for file, want := range map[string]string{
		"f03a_first_article_delivered_second_not.json": `"status_code":"IT","status_detail_code":"DELIVERED_IN_PART"…"carrier_status_code":"In transit"…"actual_delivery_date":null…` +
			`"articles":[{"number":"ZZZ50334900100931006","status_code":"DE"…{"number":"ZZZ50334900200931004","status_code":"IT"`,
		"f03b_nested_first_delivered_second_undeliverable.json": `"status_code":"EX","status_detail_code":"NOT_DELIVERED"…"actual_delivery_date":null,"exception_description":"Cannot be delivered"…` +
			`"articles":[{"number":"ZZZ50334910100931006","status_code":"DE"…{"number":"ZZZ50334910200931004","status_code":"EX"`,
		"f03c_two_consignments_second_in_transit.json": `"status_code":"IT","status_detail_code":"DELIVERED_IN_PART"…"actual_delivery_date":null…"articles":[{"number":"","status_code":"DE"…"status_code":"IT"`,
		"f06_items_differ.json": `"status_code":"IT","status_detail_code":"DELIVERED_IN_PART"…"actual_delivery_date":null…` +
			`"articles":[{"number":"ZZZ50334900100931006","status_code":"DE"…"events":[{"occurred_at":"2026-11-19T23:00:00.000Z"…{"number":"ZZZ50334900200931004","status_code":"IT"…"events":[{"occurred_at":"2026-11-18T23:00:00.000Z"`,
		"f07_startrack_testbed_event_words.json": `"tracking_url":"https://startrack.com.au/track/details/9ZZZ50000001","status_code":"DE"…"carrier_status_code":"Delivered in Full"…"actual_delivery_date":"2025-02-13T00:49:59.000Z"…` +
			`"articles":[{"number":"9ZZZ50000001EXP00002"…"number":"9ZZZ50000001EXP00001"`,
		"f10a_top_errors_beside_results.json": `"status_code":"IT"…"carrier_status_code":"In transit"…"articles":[]`,
		"f10b_errors_only_in_item.json":       `"error_code":"not_found"…"field_name":"tracking_number"`,
	} {
		t.Run(file, func(t *testing.T) {
			d := linked(t)
			body, err := os.ReadFile(filepath.Join("..", "..", "shared", "auspost", "testdata", "tracking", file))
			if err != nil {
				t.Fatal(err)
			}
			d.carrier = answers(200, string(body))
			var asked struct {
				Results []struct {
					ID string `json:"tracking_id"`
				} `json:"tracking_results"`
			}
			if err := json.Unmarshal(body, &asked); err != nil {
				t.Fatal(err)
			}
			for _, from := range []string{"live", "cached"} {
				rest := d.ask(71, of(asked.Results[0].ID)).Body
				for part := range strings.SplitSeq(want, "…") {
					_, behind, ok := strings.Cut(rest, part)
					if !ok {
						t.Fatalf("%s: no %s in %s", from, part, rest)
					}
					rest = behind
				}
			}
			if len(d.asked) != 1 {
				t.Errorf("the carrier was asked for %q", d.asked)
			}
		})
	}
}

// TestStatuses checks the texts of exceptions, and answers without a status.
func TestStatuses(t *testing.T) {
	for result, want := range map[string]string{
		`"status":"Cannot be delivered"`:                                         `"status_code":"EX"…"carrier_status_code":"Cannot be delivered"…"exception_description":"Cannot be delivered"`,
		`"status":"Unsuccessful Delivery"`:                                       `"status_code":"AT"…"exception_description":"Unsuccessful Delivery"`,
		`"status":"Brand new"`:                                                   `"status_code":"UN"…"status_detail_code":null…"carrier_status_code":"Brand new"…"exception_description":null`,
		`"status":"In transit","trackable_items":[{"status":"Article damaged"}]`: `"status_code":"EX"…"carrier_status_code":"In transit"…"exception_description":"Article damaged"`,
		`"errors":[]`:          `"status_code":"UN"…"carrier_status_code":null…"carrier_status_description":null…"events":[]`,
		`"status":"Delivered"`: `"status_code":"DE"…"actual_delivery_date":null`,
	} {
		d := linked(t)
		d.carrier = answers(200, `{"tracking_results":[{"tracking_id":"`+parcel+`",`+result+`}]}`)
		body := d.ask(71, of(parcel)).Body
		for part := range strings.SplitSeq(want, "…") {
			if !strings.Contains(body, part) {
				t.Errorf("%s: no %s in %s", result, part, body)
			}
		}
	}
}

// TestSandboxShipments checks the sandbox's shipments of several articles, which README
// lists.
func TestSandboxShipments(t *testing.T) {
	for number, want := range map[string][]string{
		"ABC5033470":           {"DE DELIVERED", "ABC50334700100931006 DE", "ABC50334700200931004 DE"},
		"ABC5033471":           {"IT DELIVERED_IN_PART", "ABC50334710100931006 DE", "ABC50334710200931004 IT"},
		"36ZZ45032272":         {"EX NOT_DELIVERED", "36ZZ450322720100931006 DE", "36ZZ450322720200931004 EX"},
		"36ZZ45032230":         {"DE DELIVERED", "36ZZ45032230 DE"},
		"9ZZZ50000001EXP00001": {"IT IN_TRANSIT", "9ZZZ50000001EXP00001 IT"},
		starTrack:              {"IT IN_TRANSIT", "9ZZZ50000001FPP00001 IT", "9ZZZ50000001FPP00002 AC"},
		"9ZZZ50000070":         {"DE DELIVERED", "9ZZZ50000070EXP00001 DE", "9ZZZ50000070EXP00002 DE"},
		"9ZZZ50000071":         {"IT DELIVERED_IN_PART", "9ZZZ50000071EXP00001 DE", "9ZZZ50000071EXP00002 IT"},
		"9ZZZ50000072":         {"EX DELIVERED_IN_PART", "9ZZZ50000072EXP00001 DE", "9ZZZ50000072EXP00002 EX"},
	} {
		d := newFront(t)
		d.service.Carriers.Production, d.service.Carriers.Sandbox = d.service.Carriers.Sandbox, d.service.Carriers.Production
		d.link(t, "se-1", func(c *connection.Connection) { c.AccountID = 73 })
		var body views.Tracking
		resp := d.ask(73, of(number))
		if err := json.Unmarshal([]byte(resp.Body), &body); err != nil || body.StatusDetailCode == nil {
			t.Fatalf("%s: %s, %v", number, resp.Body, err)
		}
		got := []string{body.StatusCode + " " + *body.StatusDetailCode}
		for _, a := range body.Articles {
			got = append(got, a.Number+" "+a.StatusCode)
		}
		functiontest.Diff(t, number, want, got)
		if (body.ActualDeliveryDate != nil) != (body.StatusCode == "DE") {
			t.Errorf("%s: actual_delivery_date = %v", number, body.ActualDeliveryDate)
		}
	}
}
