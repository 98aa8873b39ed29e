package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
	"carrierlink/shared/parcel"
	"carrierlink/shared/tracking"
	"carrierlink/shared/views"
)

// front is the function over a fixture with partner 5 and its accounts 71, which has the
// connections se-1 to Australia Post and se-2 to StarTrack, 72 without any, and the
// disabled 73; and partner 6.
type front struct {
	*functiontest.Fixture
	*handler
	t *testing.T
}

const (
	merchant = "account 71"
	own      = "?carrier_id=se-1&tracking_number=ZZ910001"
)

func newFront(t *testing.T, limit int) *front {
	t.Helper()
	d := functiontest.EmptyInMemory(t)
	d.URL = "https://api.example.com"
	for _, id := range []int64{5, 6} {
		d.AddPartner(account.Partner{ID: id})
	}
	for _, a := range []account.Account{{ID: 71, PartnerID: 5, Active: true}, {ID: 72, PartnerID: 5, Active: true}, {ID: 73, PartnerID: 5}, {ID: 81, PartnerID: 6, Active: true}} {
		a.Environment = carrier.Production
		d.AddAccount(a)
	}
	f := serve(t, d, limit)
	f.link("se-1", carrier.AustraliaPost)
	f.link("se-2", carrier.StarTrack)
	return f
}

// serve makes the function over a fixture.
func serve(tb testing.TB, d *functiontest.Fixture, limit int) *front {
	tb.Helper()
	f := &front{Fixture: d, handler: &handler{
		auth: d.Auth(), store: d.Store, sealer: d.Sealer(), now: d.Now,
		parcels: &parcel.Service{Store: d.Store, Timing: health.Timing{Speed: 1}, Limit: limit, Now: d.Now},
	}}
	f.t, _ = tb.(*testing.T)
	d.Serve(f.routes()...)
	return f
}

func (d *front) link(id string, name carrier.Name) {
	d.t.Helper()
	conn := connection.Connection{
		ID: id, AccountID: 71, PartnerID: 5, Environment: carrier.Production, Carrier: name, AccountNumber: "0000123400", CreatedAt: d.Clock, Standing: account.StandingActive,
	}
	err := d.Store.BeginLink(d.t.Context(), &conn, connection.LinkOptions{})
	conn.Status = connection.Active
	if err == nil {
		err = d.Store.FinishLink(d.t.Context(), &conn, nil, nil, effects.Effects{}, d.Clock)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *front) post(who, target, body string, headers ...string) events.APIGatewayProxyResponse {
	return d.Do(who, http.MethodPost, target, body, headers...)
}

// numbers are the numbers of an account's list, with their connections.
func (d *front) numbers(who string) []string {
	d.t.Helper()
	var all []string
	for _, p := range functiontest.Read[views.ParcelsPage](d.t, d.Do(who, http.MethodGet, "/v1/shipments", ""), http.StatusOK).Shipments {
		all = append(all, p.TrackingNumber+" "+p.CarrierID)
	}
	return all
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	d := newFront(t, 9)
	long := strings.Repeat("A", 51)
	list := `{"carrier_code":"australia_post","tracking_numbers":["A` + strings.Repeat(`","A`, 1000) + `"]}`
	for _, tc := range []struct {
		name, who, method, target, body string
		headers                         []string
		want                            []string
	}{
		{"no key", "", "POST", "/v1/tracking/start" + own, "", nil, []string{"401", "unauthorized"}},
		{"a partner without an account", "partner 5", "POST", "/v1/tracking/start" + own, "", nil, []string{"400", "field_value_required On-Behalf-Of"}},
		{"another partner's account", "partner 6", "POST", "/v1/tracking/start" + own, "", []string{"On-Behalf-Of", "71"}, []string{"404", "not_found"}},
		{"a disabled account", "account 73", "POST", "/v1/tracking/start" + own, "", nil, []string{"403", "subscription_inactive"}},
		{"nothing given", merchant, "POST", "/v1/tracking/start", "", nil, []string{"400", "field_value_required carrier_id", "field_value_required tracking_number"}},
		{"both carriers", merchant, "POST", "/v1/tracking/stop?carrier_id=se-1&carrier_code=startrack&tracking_number=A", "", nil, []string{"400", "invalid_field_value carrier_code"}},
		{"two numbers", merchant, "POST", "/v1/tracking/start?carrier_id=se-1&tracking_number=A&tracking_number=B", "", nil, []string{"400", "invalid_field_value tracking_number"}},
		{"wrong values", merchant, "POST", "/v1/tracking/stop?carrier_code=dhl&tracking_number=A-B", "", nil, []string{"400", "carrier_not_supported carrier_code", "invalid_field_value tracking_number"}},
		{"a long number", merchant, "POST", "/v1/tracking/start?carrier_id=se-1&tracking_number=" + long, "", nil, []string{"400", "invalid_string_length tracking_number"}},
		{"a wrong id", merchant, "POST", "/v1/tracking/start?carrier_id=1&tracking_number=A", "", nil, []string{"400", "invalid_identifier carrier_id"}},
		{"no such connection", merchant, "POST", "/v1/tracking/start?carrier_id=se-9&tracking_number=A", "", nil, []string{"404", "not_found"}},
		{"another account's connection", "account 72", "POST", "/v1/tracking/start" + own, "", nil, []string{"404", "not_found"}},
		{"no connection to the carrier", "account 72", "POST", "/v1/tracking/start?carrier_code=startrack&tracking_number=A", "", nil, []string{"404", "not_found"}},
		{"stop with another account's connection", "account 72", "POST", "/v1/tracking/stop" + own, "", nil, []string{"404", "not_found"}},
		{"no body", merchant, "POST", "/v1/shipments", "", nil, []string{"400", "request_body_required"}},
		{"another content type", merchant, "POST", "/v1/shipments", `{}`, []string{"Content-Type", "text/plain"}, []string{"415", "invalid_field_value Content-Type"}},
		{"an empty object", merchant, "POST", "/v1/shipments", "{}", nil, []string{"400", "field_value_required carrier_id", "field_value_required tracking_numbers"}},
		{"no numbers", merchant, "POST", "/v1/shipments", `{"carrier_id":"se-1","tracking_numbers":[]}`, nil, []string{"400", "invalid_field_value tracking_numbers"}},
		{"1,001 numbers", merchant, "POST", "/v1/shipments", list, nil, []string{"400", "invalid_field_value tracking_numbers"}},
		{"a number that is one", merchant, "POST", "/v1/shipments", `{"carrier_id":"se-1","tracking_numbers":[1]}`, nil, []string{"400", "invalid_field_value tracking_numbers"}},
		{"an unknown member", merchant, "POST", "/v1/shipments", `{"carrier_id":"se-1","tracking_numbers":["A"],"x":1}`, nil, []string{"400", "invalid_field_value x"}},
		{"a connection that is not there", merchant, "POST", "/v1/shipments", `{"carrier_id":"se-9","tracking_numbers":["A"]}`, nil, []string{"404", "not_found"}},
		{"another account's connection, many", "account 72", "POST", "/v1/shipments", `{"carrier_id":"se-1","tracking_numbers":["A"]}`, nil, []string{"404", "not_found"}},
		{"no connection, all numbers wrong", "account 72", "POST", "/v1/shipments", `{"carrier_code":"startrack","tracking_numbers":["-"]}`, nil, []string{"404", "not_found"}},
		{"wrong filters", merchant, "GET", "/v1/shipments?status=x&status_code=ZZ&carrier_code=dhl&carrier_id=1&tracking_number=-&page=2", "", nil, []string{
			"400", "invalid_field_value status", "invalid_field_value status_code", "carrier_not_supported carrier_code", "invalid_identifier carrier_id", "invalid_field_value tracking_number", "invalid_field_value page",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp := d.Do(tc.who, tc.method, tc.target, tc.body, tc.headers...)
			if diff := cmp.Diff(tc.want, functiontest.Problems(t, resp)); diff != "" {
				t.Errorf("%d %s (-want +got):\n%s", resp.StatusCode, resp.Body, diff)
			}
		})
	}
	if got := d.numbers(merchant); got != nil {
		t.Errorf("registered: %q", got)
	}
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	d := newFront(t, 9)
	done := func(who, target string, headers ...string) {
		t.Helper()
		if resp := d.post(who, target, "", headers...); resp.StatusCode != http.StatusNoContent || resp.Body != "" {
			t.Errorf("%s = %d %s, want 204", target, resp.StatusCode, resp.Body)
		}
	}
	listed := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, d.numbers(merchant)); diff != "" {
			t.Errorf("parcels (-want +got):\n%s", diff)
		}
	}
	done(merchant, "/v1/tracking/stop"+own)
	for range 2 {
		done(merchant, "/v1/tracking/start?carrier_id=se-1&tracking_number=zz91%200001")
	}
	done("partner 5", "/v1/tracking/start?carrier_code=star_track&tracking_number=9ZZZ50000001", "On-Behalf-Of", "71")
	listed("ZZ910001 se-1", "9ZZZ50000001 se-2")
	done(merchant, "/v1/tracking/stop?carrier_code=startrack&tracking_number=ZZ910001") // another carrier's
	listed("ZZ910001 se-1", "9ZZZ50000001 se-2")
	for range 2 {
		done(merchant, "/v1/tracking/stop"+own)
	}
	listed("9ZZZ50000001 se-2")
}

func TestCap(t *testing.T) {
	t.Parallel()
	d := newFront(t, 1)
	if resp := d.post(merchant, "/v1/tracking/start"+own, ""); resp.StatusCode != http.StatusNoContent {
		t.Fatalf("%d %s", resp.StatusCode, resp.Body)
	}
	resp := d.post(merchant, "/v1/tracking/start?carrier_id=se-1&tracking_number=ZZ910002", "")
	if diff := cmp.Diff([]string{"409", "invalid_status"}, functiontest.Problems(t, resp)); diff != "" || !strings.Contains(resp.Body, "at most 1 registered parcels") {
		t.Errorf("%s (-want +got):\n%s", resp.Body, diff)
	}
	many := functiontest.Read[views.Registrations](t, d.post(merchant, "/v1/shipments", `{"carrier_id":"se-1","tracking_numbers":["ZZ910003","ZZ910001"]}`), http.StatusOK)
	if many.Registered != 1 || many.Failed != 1 || many.Results[0].Error == nil || many.Results[0].Error.ErrorCode != "invalid_status" || many.Results[1].Error != nil {
		t.Errorf("many = %+v, want the first refused", many)
	}
}

// TestThreeHundredOfAThousand: of 1,000 numbers 300 are wrong. The others are registered, and
// each wrong one has its place and its reason; a repeat says the same. The longest such
// body fits.
func TestThreeHundredOfAThousand(t *testing.T) {
	t.Parallel()
	d := newFront(t, 5000)
	numbers := make([]string, 1000)
	for i := range numbers {
		switch {
		case i%10 < 7:
			numbers[i] = fmt.Sprintf("ZZ%048d", i)
		case i%10 == 7:
			numbers[i] = ""
		case i%10 == 8:
			numbers[i] = "A-B"
		default:
			numbers[i] = strings.Repeat("A", 51)
		}
	}
	numbers[0] = " zz" + numbers[1][2:10] + " " + numbers[1][10:] // the second, in another form
	body, err := json.Marshal(map[string]any{"carrier_code": "australia_post", "tracking_numbers": numbers})
	if err != nil || len(body) > 64<<10 {
		t.Fatalf("%d bytes, %v", len(body), err)
	}
	for range 2 {
		got := functiontest.Read[views.Registrations](t, d.post(merchant, "/v1/shipments", string(body)), http.StatusOK)
		if got.Registered != 700 || got.Failed != 300 || len(got.Results) != 1000 {
			t.Fatalf("%d registered, %d failed, %d results", got.Registered, got.Failed, len(got.Results))
		}
		for i, r := range got.Results {
			want := map[int]string{7: "invalid_string_length", 8: "invalid_field_value", 9: "invalid_string_length"}[i%10]
			if r.Index != i || r.TrackingNumber != numbers[i] || r.Registered != (want == "") || (r.Error != nil) != (want != "") {
				t.Fatalf("result %d = %+v", i, r)
			}
			if want != "" && (r.Error.ErrorCode != want || r.Error.FieldName != fmt.Sprintf("tracking_numbers[%d]", i)) {
				t.Fatalf("result %d = %+v, want %s", i, r.Error, want)
			}
		}
	}
	page := functiontest.Read[views.ParcelsPage](t, d.Do(merchant, http.MethodGet, "/v1/shipments?page_size=500", ""), http.StatusOK)
	n := len(page.Shipments)
	for page.Links.Next.Href != "" {
		_, query, _ := strings.Cut(page.Links.Next.Href, "?")
		page = functiontest.Read[views.ParcelsPage](t, d.Do(merchant, http.MethodGet, "/v1/shipments?"+query, ""), http.StatusOK)
		n += len(page.Shipments)
	}
	if n != 699 { // one was given twice
		t.Errorf("%d parcels are listed, want 699", n)
	}
}

// TestList: what each parcel shows, by its state, as the contract says; filters; cursors of
// one account do not open another's list.
func TestList(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromFile("../../infra/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d := newFront(t, 9)
	many := d.post(merchant, "/v1/shipments", `{"carrier_id":"se-1","tracking_numbers":["ZZ910001","ZZ910002","ZZ910003","-"]}`)
	found, _, err := d.Store.ListParcels(t.Context(), parcel.Listing{AccountID: 71, Limit: 9}, d.Clock)
	if err != nil || len(found) != 3 {
		t.Fatalf("%d parcels, %v", len(found), err)
	}
	var looks []parcel.Look
	for i, p := range found[1:] {
		p.Status, p.Detail, p.ChangedAt, p.LookedAt = tracking.InTransit, "IN_TRANSIT", d.Clock, d.Clock
		if i == 1 {
			p.Status, p.Detail, p.End, p.EndedAt, p.NextLookAt = tracking.Delivered, "DELIVERED", parcel.EndDelivered, d.Clock, time.Time{}
		}
		looks = append(looks, parcel.Look{Parcel: p})
	}
	if err := d.Store.RecordLooks(t.Context(), looks, effects.By{}, d.Clock); err != nil {
		t.Fatal(err)
	}
	for schema, resp := range map[string]events.APIGatewayProxyResponse{
		"ShipmentRegistrations": many, "ShipmentsPage": d.Do(merchant, http.MethodGet, "/v1/shipments", ""),
	} {
		var body any
		if err := json.Unmarshal([]byte(resp.Body), &body); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%d %s, %v", resp.StatusCode, resp.Body, err)
		}
		if err := doc.Components.Schemas[schema].Value.VisitJSON(body); err != nil {
			t.Errorf("%s: %v", schema, err)
		}
	}
	for query, want := range map[string][]string{
		"": {"NY active ", "IT active ", "DE ended delivered"}, "?status=ended": {"DE ended delivered"}, "?status=active&status_code=NY": {"NY active "},
		"?carrier_code=startrack": nil, "?carrier_id=se-1&tracking_number=zz910002": {"IT active "}, "?carrier_id=se-2": nil,
	} {
		var got []string
		for _, p := range functiontest.Read[views.ParcelsPage](t, d.Do(merchant, http.MethodGet, "/v1/shipments"+query, ""), http.StatusOK).Shipments {
			reason := ""
			if p.EndReason != nil {
				reason = *p.EndReason
			}
			got = append(got, p.StatusCode+" "+p.Status+" "+reason)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
	first := functiontest.Read[views.ParcelsPage](t, d.Do(merchant, http.MethodGet, "/v1/shipments?page_size=1", ""), http.StatusOK)
	_, query, _ := strings.Cut(first.Links.Next.Href, "?")
	if resp := d.Do("account 72", http.MethodGet, "/v1/shipments?"+query, ""); !slices.Equal(functiontest.Problems(t, resp), []string{"400", "invalid_field_value cursor"}) {
		t.Errorf("another account's cursor = %d %s", resp.StatusCode, resp.Body)
	}
	if got := d.numbers("account 72"); got != nil {
		t.Errorf("another account sees %q", got)
	}
}
