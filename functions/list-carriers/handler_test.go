package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// front is the function over a fixture with partner 5, its accounts 71 and 72 and the
// disabled 73, and partner 6.
type front struct {
	*functiontest.Fixture
	*handler
	fail error // of all reads but the account's
}

func start() time.Time { return time.Date(2026, 3, 1, 0, 0, 30, 123000000, time.UTC) }

// ListConnections is the store's.
func (d *front) ListConnections(ctx context.Context, account int64, withSnapshots bool) ([]connection.Connection, map[string]connection.Snapshot, error) {
	if d.fail != nil {
		return nil, nil, d.fail
	}
	return d.Store.ListConnections(ctx, account, withSnapshots)
}

// History is the store's.
func (d *front) History(ctx context.Context, account int64, id string, before *connection.HistoryPosition, skip, limit int, now time.Time) ([]connection.HistoryEntry, *connection.HistoryPosition, error) {
	if d.fail != nil {
		return nil, nil, d.fail
	}
	return d.Store.History(ctx, account, id, before, skip, limit, now)
}

// Tallies is the store's.
func (d *front) Tallies(ctx context.Context, name carrier.Name, now time.Time) ([]health.Tally, error) {
	if d.fail != nil {
		return nil, d.fail
	}
	return d.Store.Tallies(ctx, name, now)
}

// Load is the store's.
func (d *front) Load(ctx context.Context, account int64, want store.Want) (store.Loaded, error) {
	return d.Store.Load(ctx, account, want)
}

func newFront(t *testing.T) *front {
	t.Helper()
	d := functiontest.EmptyInMemory(t)
	d.Clock = start()
	f := serve(d)
	f.store = f
	for _, id := range []int64{5, 6} {
		d.AddPartner(account.Partner{ID: id})
	}
	for _, a := range []account.Account{{ID: 71, Active: true}, {ID: 72, Active: true}, {ID: 73}} {
		a.PartnerID = 5
		d.AddAccount(a)
	}
	return f
}

// serve makes the function over a fixture.
func serve(d *functiontest.Fixture) *front {
	f := &front{Fixture: d, handler: &handler{auth: d.Auth(), store: d.Store, contracts: d.Connections.Contracts, sealer: d.Sealer(), now: d.Now}}
	d.Serve(f.routes()...)
	return f
}

// link creates a connection, with a snapshot of the carrier's answer unless that is
// empty.
func (d *front) link(t *testing.T, c connection.Connection, text string) {
	t.Helper()
	if c.AccountID == 0 {
		c.AccountID = 71
	}
	status := c.Status
	c.PartnerID, c.LeaseUntil = 5, d.Clock.Add(time.Minute)
	if err := d.Store.BeginLink(t.Context(), &c, connection.LinkOptions{AllowDuplicate: true}); err != nil {
		t.Fatal(err)
	}
	if status == connection.Linking {
		return
	}
	c.Status = status
	var snap *connection.Snapshot
	if text != "" {
		s, err := connection.NewSnapshot([]byte(text), d.Clock)
		if err != nil {
			t.Fatal(err)
		}
		snap = &s
	}
	if err := d.Store.FinishLink(t.Context(), &c, nil, snap, effects.Effects{}, d.Clock); err != nil {
		t.Fatal(err)
	}
}

// unlink unlinks a connection.
func (d *front) unlink(t *testing.T, id string) {
	t.Helper()
	c, err := d.Store.Connection(t.Context(), 71, id)
	if err != nil {
		t.Fatal(err)
	}
	c.Status, c.Work, c.PurgeAt = connection.Disconnected, connection.WorkUnlink, d.Clock.Add(connection.HistoryKept)
	if err := d.Store.Unlink(t.Context(), &c, effects.Effects{}, d.Clock); err != nil {
		t.Fatal(err)
	}
}

// ask is a GET; headers are pairs.
func (d *front) ask(who, target string, headers ...string) events.APIGatewayProxyResponse {
	return d.Do(who, http.MethodGet, target, "null", headers...)
}

func TestEveryOperationRefuses(t *testing.T) {
	tests := []struct {
		name, who, onBehalfOf string
		want                  []string
	}{
		{"no key", "", "", []string{"401", "unauthorized"}},
		{"no key, for an account", "", "71", []string{"401", "unauthorized"}},
		{"partner, without On-Behalf-Of", "partner 5", "", []string{"400", "field_value_required On-Behalf-Of"}},
		{"partner, not an id", "partner 5", "shop", []string{"400", "invalid_identifier On-Behalf-Of"}},
		{"partner, an absent account", "partner 5", "99", []string{"404", "not_found"}},
		{"another partner", "partner 6", "71", []string{"404", "not_found"}},
		{"another account of the partner", "account 71", "72", []string{"404", "not_found"}},
		{"a disabled account", "account 73", "", []string{"403", "subscription_inactive"}},
		{"partner, a disabled account", "partner 5", "73", []string{"403", "subscription_inactive"}},
	}
	for _, path := range []string{
		"/v1/connections/carriers", "/v1/carriers", "/v1/carriers/status", "/v1/carriers/se-1", "/v1/carriers/x", "/v1/carriers/se-1/history", "/v1/carriers/x/history?page=0",
	} {
		for _, tc := range tests {
			t.Run(path+", "+tc.name, func(t *testing.T) {
				d := newFront(t)
				d.link(t, connection.Connection{ID: "se-1", Carrier: carrier.StarTrack, AccountNumber: "09912345", Status: connection.Active}, "")
				if diff := cmp.Diff(tc.want, functiontest.Problems(t, d.ask(tc.who, path, "On-Behalf-Of", tc.onBehalfOf))); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
			})
		}
	}
	t.Run("a deleted account", func(t *testing.T) {
		d := newFront(t)
		if err := d.Store.DeleteAccount(t.Context(), account.Account{ID: 71}, false, d.Clock.AddDate(0, 0, 30), effects.Effects{}, d.Clock); err != nil {
			t.Fatal(err)
		}
		for who, want := range map[string][]string{"account 71": {"401", "unauthorized"}, "partner 5": {"403", "subscription_inactive"}} {
			if diff := cmp.Diff(want, functiontest.Problems(t, d.ask(who, "/v1/carriers", "On-Behalf-Of", "71"))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", who, diff)
			}
		}
	})
	t.Run("the store fails", func(t *testing.T) {
		d := newFront(t)
		d.link(t, connection.Connection{ID: "se-1", Carrier: carrier.StarTrack, AccountNumber: "09912345", Status: connection.Active}, "")
		d.fail = errors.New("down")
		for _, path := range []string{"/v1/carriers", "/v1/carriers/status", "/v1/carriers/se-1/history"} {
			for who, want := range map[string][]string{"account 71": {"500", "unspecified"}, "": {"401", "unauthorized"}} {
				if diff := cmp.Diff(want, functiontest.Problems(t, d.ask(who, path))); diff != "" {
					t.Errorf("%s for %q (-want +got):\n%s", path, who, diff)
				}
			}
		}
	})
}

func TestGetRefuses(t *testing.T) {
	d := newFront(t)
	d.link(t, connection.Connection{ID: "se-1", AccountID: 72, Carrier: carrier.StarTrack, AccountNumber: "09912345", Status: connection.Active}, "")
	d.link(t, connection.Connection{ID: "se-2", Carrier: carrier.StarTrack, AccountNumber: "09912345", Status: connection.Linking}, "")
	d.link(t, verified("se-4", start()), contract())
	d.unlink(t, "se-4")
	for _, id := range []string{"x", "1", "se-", "SE-1", "se-A", "se-1%20", "se-%2F", "se-%", "%ff", "se-" + strings.Repeat("1", 23), "se-%C3%A9"} {
		if diff := cmp.Diff([]string{"400", "invalid_identifier carrier_id"}, functiontest.Problems(t, d.ask("account 71", "/v1/carriers/"+id))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
	bodies := map[string]string{}
	for name, ask := range map[string][]string{
		"absent": {"account 71", "/v1/carriers/se-3"}, "another account's": {"account 71", "/v1/carriers/se-1"}, "an intent": {"account 71", "/v1/carriers/se-2"},
		"a disconnected one": {"account 71", "/v1/carriers/se-4"}, "another account's, for the partner": {"partner 5", "/v1/carriers/se-1", "On-Behalf-Of", "71"},
	} {
		resp := d.ask(ask[0], ask[1], ask[2:]...)
		if diff := cmp.Diff([]string{"404", "not_found"}, functiontest.Problems(t, resp)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		bodies[strings.Replace(resp.Body, resp.Headers["X-Request-Id"], "ID", 1)] = name
	}
	if len(bodies) != 1 {
		t.Errorf("the answers differ: %v", bodies)
	}
}

func TestForms(t *testing.T) {
	d := newFront(t)
	want := views.Forms{Carriers: []views.Form{
		{CarrierName: "australia_post", CarrierCode: "australia_post", FriendlyName: carrier.AustraliaPost.FriendlyName(), Fields: connection.Form(carrier.AustraliaPost)},
		{CarrierName: "startrack", CarrierCode: "startrack", FriendlyName: carrier.StarTrack.FriendlyName(), Fields: connection.Form(carrier.StarTrack)},
	}}
	for _, ask := range [][]string{{"account 71"}, {"partner 5", "On-Behalf-Of", "se-72"}} {
		if diff := cmp.Diff(want, functiontest.Read[views.Forms](t, d.ask(ask[0], "/v1/connections/carriers", ask[1:]...), http.StatusOK)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", ask, diff)
		}
	}
}

// contract returns a carrier's answer with these products.
func contract(products ...string) string {
	return `{"account_number":"0000123400","name":"Engines & Co","valid_from":"2020-01-01","valid_to":"2026-03-31","expired":false,"postage_products":[` + strings.Join(products, ",") + `]}`
}

func verified(id string, created time.Time) connection.Connection {
	return connection.Connection{
		ID: id, Carrier: carrier.AustraliaPost, AccountNumber: "0000123400", Nickname: "Main & <b>", Status: connection.Active, ChecksWithCredentials: 1,
		LastCheck:  connection.Check{At: created, Outcome: carrier.OutcomeOK, Latency: 1500 * time.Millisecond, Trigger: connection.TriggerLink},
		VerifiedAt: created, NextRefreshAt: created.Add(24 * time.Hour), RefreshPolicy: connection.RefreshDaily, APIKeyLastFour: "9dd1", CredentialsUpdatedAt: created,
		ContractValidTo: "2026-03-31", SecretVersion: "hunter2-canary", ExternalID: "x/1", Metadata: map[string]string{"a": "b"}, CreatedAt: created, ModifiedAt: created,
	}
}

// carrierText is the body of verified("se-1234567", start()) with one product: all of
// ShipEngine's members first.
const carrierText = `{"requires_funded_amount":false,"balance":0,"friendly_name":"Australia Post","funding_source_id":null,"carrier_code":"australia_post","primary":false,` +
	`"has_multi_package_supporting_services":true,"allows_returns":false,"supports_label_messages":false,"disabled_by_billing_plan":false,` +
	`"services":[{"carrier_id":"se-1234567","carrier_code":"australia_post","service_code":"7D55","name":"PARCEL POST & MORE","domestic":true,"international":false,` +
	`"is_multi_package_supported":true,"is_return_supported":false}],"packages":[],"options":[],"send_rates":false,"supports_user_managed_rates":false,` +
	`"connection_status":"approved","carrier_id":"se-1234567","carrier_name":"australia_post","account_number":"0000123400","account_number_masked":"*******400",` +
	`"nickname":"Main & <b>","status":"active","status_reason":null,"verified":true,"verified_at":"2026-03-01T00:00:30.123Z",` +
	`"last_check":{"at":"2026-03-01T00:00:30.123Z","outcome":"ok","latency_ms":1500,"trigger":"link","carrier_code":null},"consecutive_failures":0,"next_refresh_at":"2026-03-02T00:00:30.123Z",` +
	`"refresh_policy":"daily","credentials":{"api_key_last_four":"9dd1","updated_at":"2026-03-01T00:00:30.123Z","previous_available_until":null},` +
	`"contract":{"expired":false,"valid_to":"2026-03-31","expires_in_days":30,"credit_blocked":false},"external_carrier_id":"x/1","metadata":{"a":"b"},` +
	`"created_at":"2026-03-01T00:00:30.123Z","modified_at":"2026-03-01T00:00:30.123Z"}`

func TestListAndGet(t *testing.T) {
	d := newFront(t)
	resp := d.ask("account 71", "/v1/carriers")
	if want := `{"carriers":[],"request_id":"` + resp.Headers["X-Request-Id"] + `","errors":[],"page":1,"page_size":25,` +
		`"links":{"first":{"href":"/v1/carriers?page=1&page_size=25"},"prev":{},"next":{}}}`; resp.Body != want {
		t.Errorf("none: %s, want %s", resp.Body, want)
	}
	product := `{"type":"PARCEL POST & MORE","group":"Parcel Post","product_id":"7D55"}`
	d.link(t, verified("se-1234567", start()), contract(product))
	d.link(t, verified("se-7654321", start().Add(-time.Hour)), "") // older, never told its products
	d.link(t, connection.Connection{ID: "se-2", Carrier: carrier.StarTrack, AccountNumber: "09912345", Status: connection.Linking}, "")
	d.link(t, verified("se-3", start()), contract())
	d.unlink(t, "se-3")
	d.link(t, connection.Connection{ID: "se-9999999", AccountID: 72, Carrier: carrier.StarTrack, AccountNumber: "09912345", Status: connection.Active}, "")
	for _, ask := range [][]string{{"account 71"}, {"partner 5", "On-Behalf-Of", "71"}} {
		resp = d.ask(ask[0], "/v1/carriers", ask[1:]...)
		if !strings.Contains(resp.Body, carrierText) || strings.Contains(resp.Body, "canary") {
			t.Errorf("the list:\n%s\nlacks\n%s", resp.Body, carrierText)
		}
		got := functiontest.Read[views.CarriersPage](t, resp, http.StatusOK)
		if len(got.Carriers) != 2 || got.Carriers[0].CarrierID != "se-7654321" || len(got.Carriers[0].Services) != 0 || got.Carriers[0].HasMultiPackageSupportingService {
			t.Errorf("of %d carriers the first is %+v, want the oldest", len(got.Carriers), got.Carriers[0])
		}
		one := d.ask(ask[0], "/v1/carriers/se-1234567", ask[1:]...)
		if one.Body != carrierText {
			t.Errorf("get: %s, want\n%s", one.Body, carrierText)
		}
	}
	if got := d.ask("account 71", "/v1/carriers/se-7654321"); !strings.Contains(got.Body, `"services":[]`) {
		t.Errorf("without a snapshot: %s", got.Body)
	}
}

func TestETag(t *testing.T) {
	d := newFront(t)
	d.link(t, verified("se-1234567", start()), contract())
	const path = "/v1/carriers/se-1234567"
	tag := d.ask("account 71", path).Headers["ETag"]
	for value, hit := range map[string]bool{
		"": false, `"x"`: false, strings.Trim(tag, `"`): false, tag + "x": false, ",": false,
		tag: true, "W/" + tag: true, "*": true, `"x", ` + tag: true,
	} {
		resp := d.ask("account 71", path, "If-None-Match", value)
		if got := resp.StatusCode == http.StatusNotModified; got != hit || hit != (resp.Body == "") || resp.Headers["ETag"] != tag || resp.Headers["Cache-Control"] != "private, no-cache" {
			t.Errorf("If-None-Match: %s = %d, %d bytes, %v", value, resp.StatusCode, len(resp.Body), resp.Headers)
		}
	}
	if resp := d.ask("account 71", "/v1/carriers"); resp.Headers["ETag"] != "" || resp.Headers["Cache-Control"] != "no-store" {
		t.Errorf("the list must not have an ETag, as it has a request id: %v", resp.Headers)
	}
	t.Run("what is said counts", func(t *testing.T) {
		seen := map[string]string{tag: "as it was"}
		note := func(name string) {
			t.Helper()
			resp := d.ask("account 71", path, "If-None-Match", tag)
			if twin, dup := seen[resp.Headers["ETag"]]; dup || resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %d with the ETag of %s", name, resp.StatusCode, twin)
			}
			seen[resp.Headers["ETag"]] = name
		}
		check := func(edit func(*connection.Connection), text string) {
			t.Helper()
			l, err := d.Store.Load(t.Context(), 71, store.Want{ConnectionID: "se-1234567"})
			if err != nil {
				t.Fatal(err)
			}
			snap, err := connection.NewSnapshot([]byte(text), d.Clock)
			if err != nil {
				t.Fatal(err)
			}
			edit(l.Connection)
			l.Connection.ContractHash = connection.SnapshotHash([]byte(text))
			if err := d.Store.RecordCheck(t.Context(), l.Connection, nil, &snap, effects.Effects{}, d.Clock); err != nil {
				t.Fatal(err)
			}
		}
		check(func(c *connection.Connection) { c.ConsecutiveFailures = 1 }, contract())
		note("another check")
		check(func(*connection.Connection) {}, contract(`{"type":"A","group":"B","product_id":"C"}`))
		note("another product")
		d.Clock = d.Clock.Add(24 * time.Hour)
		note("a day less until the end")
	})
}

// TestStatuses checks ShipEngine's status for each of ours.
func TestStatuses(t *testing.T) {
	for status, want := range map[connection.Status]string{
		connection.PendingVerification: "pending_approval", connection.ActionRequired: "pending_approval",
		connection.Active: "approved", connection.Degraded: "approved", connection.Restricted: "approved",
	} {
		d := newFront(t)
		d.link(t, connection.Connection{ID: "se-1234567", Carrier: carrier.StarTrack, AccountNumber: "09912345", Status: status, StatusReason: "r"}, "")
		got := functiontest.Read[views.Carrier](t, d.ask("account 71", "/v1/carriers/se-1234567"), http.StatusOK)
		if got.ConnectionStatus != want || got.Status != string(status) || *got.StatusReason != "r" || got.FriendlyName != carrier.StarTrack.FriendlyName() {
			t.Errorf("%s is %q, %q for %v, want %q", status, got.ConnectionStatus, got.Status, got.StatusReason, want)
		}
		if list := functiontest.Read[views.CarriersPage](t, d.ask("account 71", "/v1/carriers"), http.StatusOK); len(list.Carriers) != 1 || list.Carriers[0].ConnectionStatus != want {
			t.Errorf("%s in the list: %+v", status, list.Carriers)
		}
	}
}

func TestPaused(t *testing.T) {
	d := newFront(t)
	paused := verified("se-1234567", start())
	paused.Standing = account.StandingPaused // its account is active again, and it has not followed yet
	d.link(t, paused, contract())
	got := functiontest.Read[views.Carrier](t, d.ask("account 71", "/v1/carriers/se-1234567"), http.StatusOK)
	if got.ConnectionStatus != "pending_approval" || got.Status != "paused" || got.NextRefreshAt != nil {
		t.Errorf("%q, %q, next %v", got.ConnectionStatus, got.Status, got.NextRefreshAt)
	}
}

func TestServices(t *testing.T) {
	type service struct {
		Code, Name           string
		International, Multi bool
	}
	tests := []struct {
		name     string
		carrier  carrier.Name
		products []string
		want     []service
		multi    bool
	}{
		{"none", carrier.AustraliaPost, nil, nil, false},
		{"an expired one", carrier.AustraliaPost, []string{`{"type":"A","group":"B","product_id":"C","contract":{"expired":true}}`}, nil, false},
		{"one without id", carrier.AustraliaPost, []string{`{"type":"A","group":"B"}`}, nil, false},
		{"one without a name", carrier.AustraliaPost, []string{`{"group":"B","product_id":"C"}`}, []service{{"C", "C", false, true}}, true},
		{"no group is abroad", carrier.AustraliaPost, []string{`{"type":"A","product_id":"C"}`}, []service{{"C", "A", true, false}}, false},
		{"no group, at StarTrack", carrier.StarTrack, []string{`{"type":"A","product_id":"C"}`}, []service{{"C", "A", false, true}}, true},
		{"one item", carrier.AustraliaPost, []string{`{"type":"A","group":"B","product_id":"C","contract":{"max_item_count":1}}`}, []service{{"C", "A", false, false}}, false},
		{"no limit", carrier.AustraliaPost, []string{`{"type":"A","group":"B","product_id":"C","contract":{"max_item_count":0}}`}, []service{{"C", "A", false, true}}, true},
		{"ten items", carrier.AustraliaPost, []string{`{"type":"A","group":"B","product_id":"C","contract":{"max_item_count":10}}`}, []service{{"C", "A", false, true}}, true},
		{
			"in the carrier's order", carrier.AustraliaPost,
			[]string{`{"type":"Z","product_id":"Z1"}`, `{"type":"E","group":"B","product_id":"E1","contract":{"expired":true}}`, `{"type":"A","group":"B","product_id":"A1","contract":{"max_item_count":1}}`, `{"type":"M","group":"B","product_id":"M1"}`},
			[]service{{"Z1", "Z", true, false}, {"A1", "A", false, false}, {"M1", "M", false, true}},
			true,
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := newFront(t)
			d.link(t, connection.Connection{ID: "se-1234567", Carrier: tc.carrier, AccountNumber: "0000123400", Status: connection.Active}, contract(tc.products...))
			got := functiontest.Read[views.Carrier](t, d.ask("account 71", "/v1/carriers/se-1234567"), http.StatusOK)
			var services []service
			for _, s := range got.Services {
				services = append(services, service{s.ServiceCode, s.Name, s.International, s.IsMultiPackageSupported})
				if s.CarrierID != "se-1234567" || s.CarrierCode != string(tc.carrier) || s.Domestic == s.International || s.IsReturnSupported {
					t.Errorf("service %+v", s)
				}
			}
			if diff := cmp.Diff(tc.want, services); diff != "" || got.HasMultiPackageSupportingService != tc.multi {
				t.Errorf("multi %t, services (-want +got):\n%s", got.HasMultiPackageSupportingService, diff)
			}
		})
	}
}

// TestDamagedSnapshot: a snapshot that cannot be read hides the services of its
// connection only, and is logged once.
func TestDamagedSnapshot(t *testing.T) {
	log := functiontest.CaptureLog(t)
	for name, text := range map[string]string{"no account": `{}`, "no JSON": `canary`} {
		d := newFront(t)
		d.link(t, verified("se-1234567", start()), text)
		d.link(t, verified("se-7654321", start()), contract(`{"type":"A","group":"B","product_id":"C"}`))
		log.Reset()
		resp := d.ask("account 71", "/v1/carriers/se-1234567")
		list := functiontest.Read[views.CarriersPage](t, d.ask("account 71", "/v1/carriers"), http.StatusOK)
		if got := functiontest.Read[views.Carrier](t, resp, http.StatusOK); got.Services == nil || len(got.Services) != 0 || got.Status != "active" || resp.Headers["ETag"] == "" {
			t.Errorf("%s: get: %s", name, resp.Body)
		}
		if len(list.Carriers) != 2 || len(list.Carriers[0].Services) != 0 || len(list.Carriers[1].Services) != 1 {
			t.Errorf("%s: list: %+v", name, list.Carriers)
		}
		for _, want := range []string{`"level":"ERROR"`, `"carrier_id":"se-1234567"`, `"account_id":71`, `"request_id":"` + list.RequestID + `"`} {
			if n := strings.Count(log.String(), want); n == 0 || n > 2 {
				t.Errorf("%s: %q is there %d times in\n%s", name, want, n, log)
			}
		}
		if lines := strings.Count(log.String(), "\n"); lines != 2 || strings.Contains(log.String(), "canary") {
			t.Errorf("%s: %d lines, want one for each answer:\n%s", name, lines, log)
		}
	}
}
