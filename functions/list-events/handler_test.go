package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/views"
)

// front is the function over a fixture with partner 5, its accounts 71 and 72 and the
// disabled 73, and partner 6 with account 81.
type front struct {
	*functiontest.Fixture
	*handler
	t     *testing.T
	fail  string // the name of the read that fails
	asked []effects.Listing
	made  int
}

func start() time.Time { return time.Date(2026, 3, 1, 0, 0, 30, 123000000, time.UTC) }

// failing is a store whose reads can fail.
type failing struct {
	reader
	*front
}

// ListEvents is the store's.
func (f failing) ListEvents(ctx context.Context, l effects.Listing) ([]effects.Recorded, string, error) {
	f.asked = append(f.asked, l)
	if f.fail == "ListEvents" {
		return nil, "", errors.New("down")
	}
	return f.reader.ListEvents(ctx, l)
}

// Event is the store's.
func (f failing) Event(ctx context.Context, partnerID, accountID int64, id string) (effects.Recorded, error) {
	if f.fail == "Event" {
		return effects.Recorded{}, errors.New("down")
	}
	return f.reader.Event(ctx, partnerID, accountID, id)
}

// ExternalIDs is the store's.
func (f failing) ExternalIDs(ctx context.Context, ids []int64, now time.Time) (map[account.Owned]string, error) {
	if f.fail == "ExternalIDs" {
		return nil, errors.New("down")
	}
	return f.reader.ExternalIDs(ctx, ids, now)
}

func newFront(t *testing.T) *front {
	t.Helper()
	d := functiontest.EmptyInMemory(t)
	d.Clock = start().AddDate(-2, 0, 0) // longer ago than anything is kept
	for _, id := range []int64{5, 6} {
		d.AddPartner(account.Partner{ID: id})
	}
	for _, a := range []account.Account{{ID: 71, PartnerID: 5, ExternalID: "shop-71", Active: true}, {ID: 72, PartnerID: 5, Active: true}, {ID: 73, PartnerID: 5}, {ID: 81, PartnerID: 6, Active: true}} {
		d.AddAccount(a)
	}
	d.Clock = start()
	f := serve(t, d)
	f.store = failing{f.store, f}
	return f
}

// serve makes the function over a fixture.
func serve(t *testing.T, d *functiontest.Fixture) *front {
	t.Helper()
	f := &front{Fixture: d, handler: &handler{auth: d.Auth(), store: d.Store, sealer: d.Sealer(), now: d.Now}, t: t}
	d.Serve(f.routes()...)
	return f
}

// ask is a GET; headers are pairs.
func (d *front) ask(who, target string, headers ...string) events.APIGatewayProxyResponse {
	return d.Do(who, http.MethodGet, target, "null", headers...)
}

// happens records an event of a partner's account, made by a key of the partner, and returns
// its id. change may be nil.
func (d *front) happens(partnerID, accountID int64, kind effects.EventType, at time.Time, change func(*effects.Recorded)) string {
	d.t.Helper()
	d.made++
	e := effects.Recorded{
		Event: effects.Event{
			ID: fmt.Sprintf("%s%012d", effects.EventIDsFrom(at), d.made), Type: kind, PartnerID: partnerID, AccountID: accountID, Subject: "account", At: at, Data: []byte("{}"),
		},
		By: effects.By{Actor: effects.Partner, KeyID: 3, PartnerID: partnerID, RequestID: "req-1", SourceIP: "192.0.2.7"},
	}
	if change != nil {
		change(&e)
	}
	other := int64(1000 + d.made)
	err := d.Store.CreatePartner(d.t.Context(), account.Partner{ID: other}, account.APIKey{ID: other, PartnerID: other, Hash: e.ID},
		effects.Effects{By: e.By, Events: []effects.Event{e.Event}}, at)
	if err != nil {
		d.t.Fatal(err)
	}
	return e.ID
}

// listed are the ids of a page of events.
func (d *front) listed(who, query string, headers ...string) []string {
	d.t.Helper()
	ids := []string{}
	for _, e := range functiontest.Read[views.EventsPage](d.t, d.ask(who, "/v1/events"+query, headers...), http.StatusOK).Events {
		ids = append(ids, e.EventID)
	}
	return ids
}

// logged are the ids of a page of the audit log.
func (d *front) logged(who, query string, headers ...string) []string {
	d.t.Helper()
	ids := []string{}
	for _, e := range functiontest.Read[views.AuditLogPage](d.t, d.ask(who, "/v1/audit_log"+query, headers...), http.StatusOK).Entries {
		ids = append(ids, e.EntryID)
	}
	return ids
}

func TestEveryOperationRefuses(t *testing.T) {
	tests := []struct {
		name, who, onBehalfOf string
		want                  []string
	}{
		{"no key", "", "", []string{"401", "unauthorized"}},
		{"no key, for an account", "", "71", []string{"401", "unauthorized"}},
		{"partner, not an id", "partner 5", "shop", []string{"400", "invalid_identifier On-Behalf-Of"}},
		{"partner, an absent account", "partner 5", "99", []string{"404", "not_found"}},
		{"another partner", "partner 6", "71", []string{"404", "not_found"}},
		{"another account of the partner", "account 71", "72", []string{"404", "not_found"}},
		{"a disabled account", "account 73", "", []string{"403", "subscription_inactive"}},
		{"partner, a disabled account", "partner 5", "73", []string{"403", "subscription_inactive"}},
	}
	for _, path := range []string{"/v1/events", "/v1/events?page=0", "/v1/events/se-0mldnx123000000000001", "/v1/events/x", "/v1/audit_log", "/v1/audit_log?actor=x"} {
		d := newFront(t)
		texts := map[string]string{}
		for _, tc := range tests {
			t.Run(path+" "+tc.name, func(t *testing.T) {
				var headers []string
				if tc.onBehalfOf != "" {
					headers = []string{"On-Behalf-Of", tc.onBehalfOf}
				}
				resp := d.ask(tc.who, path, headers...)
				if diff := cmp.Diff(tc.want, functiontest.Problems(t, resp)); diff != "" {
					t.Fatalf("(-want +got):\n%s", diff)
				}
				_, text, _ := strings.Cut(resp.Body, `"errors"`)
				if known, ok := texts[tc.want[1]]; ok && known != text {
					t.Errorf("two answers: %s and %s", known, text)
				}
				texts[tc.want[1]] = text
			})
		}
		if len(d.asked) != 0 {
			t.Errorf("%s: a refused caller's events are read: %v", path, d.asked)
		}
	}
}

func TestFiltersRefused(t *testing.T) {
	d := newFront(t)
	const wrong = "invalid_field_value "
	for _, tc := range []struct {
		name, path, query string
		want              []string
	}{
		{
			"everything", "/v1/events", "account_id=x&event_type=x&event_type=y&created_at_start=x&created_at_end=x&page=x&page_size=501&cursor=x",
			[]string{"invalid_identifier account_id", wrong + "event_type", wrong + "created_at_start", wrong + "created_at_end", wrong + "page", wrong + "page_size", wrong + "cursor"},
		},
		{
			"everything of the audit log", "/v1/audit_log", "account_id=0&event_type=x&actor=x&api_key_id=x&created_at_start=x&page_size=x",
			[]string{"invalid_identifier account_id", wrong + "event_type", wrong + "actor", "invalid_identifier api_key_id", wrong + "created_at_start", wrong + "page_size"},
		},
		{"an account twice", "/v1/events", "account_id=71&account_id=72", []string{wrong + "account_id"}},
		{"an actor twice", "/v1/audit_log", "actor=partner&actor=merchant", []string{wrong + "actor"}},
		{"an empty type", "/v1/events", "event_type=", []string{wrong + "event_type"}},
		{"the second type is unknown", "/v1/events", "event_type=account_created&event_type=x", []string{wrong + "event_type"}},
		{"a type that only the audit log has", "/v1/events", "event_type=partner_created", []string{wrong + "event_type"}},
		{"a reversed range", "/v1/events", "created_at_start=2026-03-01T00:00:00.001Z&created_at_end=2026-03-01T00:00:00Z", []string{wrong + "created_at_end"}},
		{"a page by its number", "/v1/events", "page=2", []string{wrong + "page"}},
		{"a page of the audit log by its number", "/v1/audit_log", "page=2", []string{wrong + "page"}},
	} {
		for _, who := range []string{"partner 5", "account 71"} {
			t.Run(tc.name+", "+who, func(t *testing.T) {
				if diff := cmp.Diff(append([]string{"400"}, tc.want...), functiontest.Problems(t, d.ask(who, tc.path+"?"+tc.query))); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
	for _, path := range []string{"/v1/events", "/v1/audit_log"} {
		for _, who := range []string{"account 71", "partner 5"} { // the latter on behalf of 71
			if diff := cmp.Diff([]string{"404", "not_found"}, functiontest.Problems(t, d.ask(who, path+"?account_id=72", "On-Behalf-Of", "71"))); diff != "" {
				t.Errorf("%s asks for another account of %s (-want +got):\n%s", who, path, diff)
			}
		}
	}
}

func TestStoreFails(t *testing.T) {
	d := newFront(t)
	id := d.happens(5, 71, effects.AccountUpdated, start(), nil)
	for _, tc := range []struct {
		fail, path string
		want       []string
	}{
		{"ListEvents", "/v1/events", []string{"500", "unspecified"}},
		{"ListEvents", "/v1/audit_log", []string{"500", "unspecified"}},
		{"Event", "/v1/events/" + id, []string{"500", "unspecified"}},
		{"ExternalIDs", "/v1/events", []string{"500", "unspecified"}},
		{"ExternalIDs", "/v1/events/" + id, []string{"500", "unspecified"}},
	} {
		d.fail = tc.fail
		if diff := cmp.Diff(tc.want, functiontest.Problems(t, d.ask("partner 5", tc.path))); diff != "" {
			t.Errorf("%s of %s fails (-want +got):\n%s", tc.fail, tc.path, diff)
		}
	}
}

// TestWhoseEvents: a partner reads those of all its accounts, outages and, in the audit log,
// its own; an account those of itself.
func TestWhoseEvents(t *testing.T) {
	d := newFront(t)
	foreign := d.happens(6, 81, effects.AccountUpdated, start(), nil)
	partners := d.happens(5, 0, effects.PartnerKeyCreated, start().Add(-4*time.Second), nil)
	outage := d.happens(5, 0, effects.CarrierOutageBegan, start().Add(-3500*time.Millisecond), nil)
	disabled := d.happens(5, 73, effects.AccountUpdated, start().Add(-3*time.Second), nil)
	other := d.happens(5, 72, effects.AccountUpdated, start().Add(-2*time.Second), nil)
	mine := d.happens(5, 71, effects.AccountUpdated, start().Add(-time.Second), nil)
	for _, tc := range []struct {
		name, who, query string
		headers          []string
		events, log      []string
	}{
		{"partner 5", "partner 5", "", nil, []string{mine, other, disabled, outage}, []string{mine, other, disabled, outage, partners}},
		{"partner 5 of outages", "partner 5", "?event_type=carrier_outage_began", nil, []string{outage}, []string{outage}},
		{"partner 5 of one account", "partner 5", "?account_id=72", nil, []string{other}, []string{other}},
		{"partner 5 of one account as ShipEngine prints it", "partner 5", "?account_id=se-72", nil, []string{other}, []string{other}},
		{"partner 5 of a disabled account", "partner 5", "?account_id=73", nil, []string{disabled}, []string{disabled}},
		{"partner 5 of another partner's account", "partner 5", "?account_id=81", nil, []string{}, []string{}},
		{"partner 5 of an account that never was", "partner 5", "?account_id=99", nil, []string{}, []string{}},
		{"partner 5 for an account", "partner 5", "", []string{"On-Behalf-Of", "71"}, []string{mine}, []string{mine}},
		{"partner 5 for an account, named twice", "partner 5", "?account_id=71", []string{"On-Behalf-Of", "71"}, []string{mine}, []string{mine}},
		{"account 71", "account 71", "", nil, []string{mine}, []string{mine}},
		{"account 71 by its id", "account 71", "?account_id=71", nil, []string{mine}, []string{mine}},
		{"account 72", "account 72", "", nil, []string{other}, []string{other}},
		{"partner 6", "partner 6", "", nil, []string{foreign}, []string{foreign}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			functiontest.Diff(t, "events", tc.events, d.listed(tc.who, tc.query, tc.headers...))
			functiontest.Diff(t, "log", tc.log, d.logged(tc.who, tc.query, tc.headers...))
			for _, id := range []string{foreign, partners, outage, disabled, other, mine} {
				want := []string{"404", "not_found"}
				resp := d.ask(tc.who, "/v1/events/"+id, tc.headers...)
				if tc.query != "" { // a filter of lists only
					continue
				}
				if slices.Contains(tc.events, id) {
					if got := functiontest.Read[views.Event](t, resp, http.StatusOK); got.EventID != id {
						t.Errorf("%s is %s", id, got.EventID)
					}
					continue
				}
				functiontest.Diff(t, id, want, functiontest.Problems(t, resp))
			}
		})
	}
}

func TestFilters(t *testing.T) {
	d := newFront(t)
	created := d.happens(5, 71, effects.AccountCreated, start().Add(-4*time.Hour), func(e *effects.Recorded) { e.By = effects.By{Actor: effects.Operator, Operator: "jo@example.com"} })
	connected := d.happens(5, 71, effects.CarrierConnected, start().Add(-3*time.Hour), func(e *effects.Recorded) { e.By = effects.By{Actor: effects.Merchant, KeyID: 9, AccountID: 71} })
	degraded := d.happens(5, 71, effects.CarrierDegraded, start().Add(-2*time.Hour), func(e *effects.Recorded) { e.By = effects.By{Actor: effects.Schedule} })
	updated := d.happens(5, 71, effects.AccountUpdated, start().Add(-time.Hour), nil)
	at := func(before time.Duration) string {
		return url.QueryEscape(start().Add(-before).Format(time.RFC3339Nano))
	}
	for _, tc := range []struct {
		query string
		want  []string
	}{
		{"event_type=carrier_degraded", []string{degraded}},
		{"event_type=carrier_degraded&event_type=account_created&event_type=carrier_degraded", []string{degraded, created}},
		{"event_type=account_deleted", []string{}},
		{"created_at_start=" + at(3*time.Hour), []string{updated, degraded, connected}},
		{"created_at_start=" + at(3*time.Hour-time.Microsecond), []string{updated, degraded}},
		{"created_at_end=" + at(3*time.Hour), []string{connected, created}},
		{"created_at_start=" + at(3*time.Hour) + "&created_at_end=" + at(2*time.Hour), []string{degraded, connected}},
		{"created_at_start=" + at(-time.Hour), []string{}},
		{"created_at_start=0001-01-01T00:00:00Z&created_at_end=9999-12-31T23:59:59Z", []string{updated, degraded, connected, created}},
		{"created_at_end=0001-01-01T00:00:00Z", []string{}},
		{"created_at_start=" + at(3*time.Hour) + "&event_type=account_created", []string{}},
	} {
		for _, who := range []string{"partner 5", "account 71"} {
			functiontest.Diff(t, who+" "+tc.query, tc.want, d.listed(who, "?"+tc.query))
			functiontest.Diff(t, "the log of "+who+" "+tc.query, tc.want, d.logged(who, "?"+tc.query))
		}
	}
	for query, want := range map[string][]string{
		"actor=partner": {updated}, "actor=merchant": {connected}, "actor=schedule": {degraded}, "actor=operator": {created},
		"api_key_id=9": {connected}, "api_key_id=se-3": {updated}, "api_key_id=4": {}, "actor=schedule&api_key_id=9": {}, "event_type=partner_created": {},
	} {
		functiontest.Diff(t, query, want, d.logged("partner 5", "?"+query))
		if !strings.Contains(query, "event_type") { // parameters that the route does not know
			functiontest.Diff(t, "events "+query, []string{updated, degraded, connected, created}, d.listed("partner 5", "?"+query))
		}
	}
}

// TestAge: the events of the last 30 days, and entries of the last 400.
func TestAge(t *testing.T) {
	d := newFront(t)
	old := d.happens(5, 71, effects.AccountUpdated, start().Add(-effects.AuditKept-time.Millisecond), nil)
	oldest := d.happens(5, 71, effects.AccountUpdated, start().Add(-effects.AuditKept), nil)
	past := d.happens(5, 71, effects.AccountUpdated, start().Add(-effects.EventsKept-time.Millisecond), nil)
	last := d.happens(5, 71, effects.AccountUpdated, start().Add(-effects.EventsKept), nil)
	ahead := d.happens(5, 71, effects.AccountUpdated, start().Add(2*time.Second), nil) // by a function whose clock is ahead
	for _, who := range []string{"partner 5", "account 71"} {
		functiontest.Diff(t, "events", []string{ahead, last}, d.listed(who, ""))
		functiontest.Diff(t, "events, of all time", []string{ahead, last}, d.listed(who, "?created_at_start=1999-01-01T00:00:00Z"))
		functiontest.Diff(t, "log", []string{ahead, last, past, oldest}, d.logged(who, ""))
		for id, status := range map[string]int{old: 404, oldest: 404, past: 404, last: 200, ahead: 200} {
			if resp := d.ask(who, "/v1/events/"+id); resp.StatusCode != status {
				t.Errorf("%s reads %s: %d, want %d", who, id, resp.StatusCode, status)
			}
		}
	}
}

// TestEventBody: every member, from a link that was made.
func TestEventBody(t *testing.T) {
	d := newFront(t)
	d.URL = "https://api.example.com/v1-proxy"
	conn := d.Link(functiontest.Number)
	renamed := d.happens(5, 72, effects.APIKeyCreated, start().Add(time.Second), func(e *effects.Recorded) { e.Subject, e.Data = "api_key 17", []byte(`{"api_key_id":17}`) })
	page := functiontest.Read[views.EventsPage](t, d.ask("partner 5", "/v1/events"), http.StatusOK)
	if len(page.Events) < 2 {
		t.Fatalf("%d events", len(page.Events))
	}
	resp := d.ask("partner 5", "/v1/events/"+renamed)
	want := `{"event_id":"` + renamed + `","event":"api_key_created","created_at":"2026-03-01T00:00:31.123Z","account_id":72,"external_account_id":null,` +
		`"resource_url":"https://api.example.com/v1-proxy/v1/partners/accounts/72","data":{"api_key_id":17}}`
	functiontest.Diff(t, "a key's event", want, resp.Body)
	i := slices.IndexFunc(page.Events, func(e views.Event) bool { return e.Event == "carrier_connected" })
	if i < 0 {
		t.Fatalf("no carrier_connected in %+v", page.Events)
	}
	got := page.Events[i]
	for what, pair := range map[string][2]any{
		"resource_type": {"API_CARRIER_CONNECTED", got.ResourceType}, "resource_url": {"https://api.example.com/v1-proxy/v1/carriers/" + conn.ID, got.ResourceURL},
		"account_id": {int64(71), *got.AccountID}, "created_at": {"2026-03-01T00:00:30.123Z", *got.CreatedAt}, "external_account_id": {"shop-71", *got.ExternalAccountID},
	} {
		functiontest.Diff(t, what, pair[0], pair[1])
	}
	if data := string(got.Data); !strings.Contains(data, `"carrier_id":"`+conn.ID+`"`) || strings.Contains(data, functiontest.Number) {
		t.Errorf("data = %s", data)
	}
	for _, who := range []string{"account 71", "partner 5"} { // the same, whoever reads it
		functiontest.Diff(t, who, got, functiontest.Read[views.Event](t, d.ask(who, "/v1/events/"+got.EventID), http.StatusOK))
	}
}

// TestOutageBody: an outage is no account's.
func TestOutageBody(t *testing.T) {
	d := newFront(t)
	d.URL = "https://api.example.com/v1-proxy"
	id := d.happens(5, 0, effects.CarrierOutageEnded, start().Add(time.Second), func(e *effects.Recorded) {
		e.Subject, e.Data, e.By = "carrier startrack", []byte(`{"carrier_code":"startrack"}`), effects.By{Actor: effects.Schedule}
	})
	want := `{"event_id":"` + id + `","event":"carrier_outage_ended","created_at":"2026-03-01T00:00:31.123Z","account_id":null,"external_account_id":null,` +
		`"resource_url":"https://api.example.com/v1-proxy/v1/carriers/status","data":{"carrier_code":"startrack"}}`
	first := d.ask("partner 5", "/v1/events/"+id)
	functiontest.Diff(t, "event", want, first.Body)
	if again := d.ask("partner 5", "/v1/events/"+id, "If-None-Match", first.Headers["ETag"]); again.StatusCode != http.StatusNotModified {
		t.Errorf("with the tag %q: %d %s", first.Headers["ETag"], again.StatusCode, again.Body)
	}
	if page := d.ask("partner 5", "/v1/events"); !strings.Contains(page.Body, `{"events":[`+want+`]`) {
		t.Errorf("the list is %s, want %s in it", page.Body, want)
	}
	entry := `"action":"carrier_outage_ended","at":"2026-03-01T00:00:31.123Z","account_id":null,"subject":"carrier startrack",` +
		`"actor":{"type":"schedule","api_key_id":null,"partner_id":null,"operator":null},"source_ip":null,"request_id":null,"data":{"carrier_code":"startrack"}}`
	if log := d.ask("partner 5", "/v1/audit_log?actor=schedule"); !strings.Contains(log.Body, entry) {
		t.Errorf("the audit log is %s, want %s in it", log.Body, entry)
	}
}

func TestEvent(t *testing.T) {
	d := newFront(t)
	id := d.happens(5, 71, effects.AccountUpdated, start(), nil)
	operators := d.happens(5, 71, effects.PartnerDisabled, start(), nil)
	for name, tc := range map[string]struct {
		id   string
		want []string
	}{
		"no id":                     {"x", []string{"400", "invalid_identifier event_id"}},
		"a connection's id":         {"se-1234567", []string{"400", "invalid_identifier event_id"}},
		"in capitals":               {strings.ToUpper(id), []string{"400", "invalid_identifier event_id"}},
		"too long":                  {id + "0", []string{"400", "invalid_identifier event_id"}},
		"encoded badly":             {"%7", []string{"400", "invalid_identifier event_id"}},
		"absent":                    {id[:len(id)-1] + "z", []string{"404", "not_found"}},
		"only the audit log has it": {operators, []string{"404", "not_found"}},
	} {
		for _, who := range []string{"partner 5", "account 71"} {
			functiontest.Diff(t, name+", "+who, tc.want, functiontest.Problems(t, d.ask(who, "/v1/events/"+tc.id)))
		}
	}
	first := d.ask("account 71", "/v1/events/"+id)
	tag := first.Headers["ETag"]
	if again := d.ask("account 71", "/v1/events/"+id, "If-None-Match", tag); again.StatusCode != http.StatusNotModified || again.Body != "" || tag == "" {
		t.Errorf("with the tag %q: %d %s", tag, again.StatusCode, again.Body)
	}
	a, err := d.Store.Account(t.Context(), 71, d.Now())
	if err != nil {
		t.Fatal(err)
	}
	next := a
	next.ExternalID = "shop-new"
	if err := d.Store.UpdateAccount(t.Context(), account.Update{Old: a, New: next}, effects.Effects{}, d.Now()); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"partner 5", "account 71"} {
		got := functiontest.Read[views.Event](t, d.ask(who, "/v1/events/"+id, "If-None-Match", tag), http.StatusOK)
		functiontest.Diff(t, "external_account_id", "shop-new", *got.ExternalAccountID)
	}
}

// TestPurgedAccount: its events stay, without its external id.
func TestPurgedAccount(t *testing.T) {
	d := newFront(t)
	id := d.happens(5, 71, effects.AccountDeleted, start(), nil)
	a, err := d.Store.Account(t.Context(), 71, d.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Store.DeleteAccount(t.Context(), a, false, start().Add(7*24*time.Hour), effects.Effects{}, d.Now()); err != nil {
		t.Fatal(err)
	}
	read := func() *string {
		t.Helper()
		page := functiontest.Read[views.EventsPage](t, d.ask("partner 5", "/v1/events?account_id=71"), http.StatusOK)
		if len(page.Events) != 1 || page.Events[0].EventID != id {
			t.Fatalf("events = %+v", page.Events)
		}
		return page.Events[0].ExternalAccountID
	}
	if got := read(); got == nil || *got != "shop-71" {
		t.Errorf("external_account_id of a deleted account = %v", got)
	}
	functiontest.Diff(t, "its own key", []string{"401", "unauthorized"}, functiontest.Problems(t, d.ask("account 71", "/v1/events")))
	d.Clock = start().Add(8 * 24 * time.Hour)
	if got := read(); got != nil {
		t.Errorf("external_account_id of a purged account = %v", *got)
	}
}

// TestReusedID: an account does not see what is told of a purged one that had its id; the
// partner does.
func TestReusedID(t *testing.T) {
	d := newFront(t)
	d.AddAccount(account.Account{ID: 74, PartnerID: 5, Active: true})
	created := d.Now()
	before := d.happens(5, 74, effects.AccountDeleted, created.Add(-time.Millisecond), nil)
	own := d.happens(5, 74, effects.AccountCreated, created, nil)
	for who, want := range map[string]int{"account 74": 1, "partner 5": 2} {
		page := functiontest.Read[views.EventsPage](t, d.ask(who, "/v1/events?account_id=74"), http.StatusOK)
		log := functiontest.Read[views.AuditLogPage](t, d.ask(who, "/v1/audit_log?account_id=74"), http.StatusOK)
		if len(page.Events) != want || page.Events[0].EventID != own || len(log.Entries) != want {
			t.Errorf("%s reads %+v and %+v, want %d", who, page.Events, log.Entries, want)
		}
	}
	functiontest.Diff(t, "one event", []string{"404", "not_found"}, functiontest.Problems(t, d.ask("account 74", "/v1/events/"+before)))
	functiontest.Read[views.Event](t, d.ask("account 74", "/v1/events/"+own), http.StatusOK)
	functiontest.Read[views.Event](t, d.ask("partner 5", "/v1/events/"+before), http.StatusOK)
}

func TestAuditEntry(t *testing.T) {
	d := newFront(t)
	partners := d.happens(5, 0, effects.PartnerKeyRotated, start(), func(e *effects.Recorded) {
		e.Subject, e.Data, e.By = "partner 5", []byte(`{"partner_id":5,"api_key_id":17}`), effects.By{Actor: effects.Operator, Operator: "jo@example.com"}
	})
	mine := d.happens(5, 71, effects.AccountUpdated, start().Add(time.Second), nil)
	resp := d.ask("partner 5", "/v1/audit_log?page_size=2")
	want := `{"entries":[{"entry_id":"` + mine + `","action":"account_updated","at":"2026-03-01T00:00:31.123Z","account_id":71,"subject":"account",` +
		`"actor":{"type":"partner","api_key_id":3,"partner_id":5,"operator":null},"source_ip":"192.0.2.7","request_id":"req-1","data":{}},` +
		`{"entry_id":"` + partners + `","action":"partner_key_rotated","at":"2026-03-01T00:00:30.123Z","account_id":null,"subject":"partner 5",` +
		`"actor":{"type":"operator","api_key_id":null,"partner_id":null,"operator":"jo@example.com"},"source_ip":null,"request_id":null,"data":{"partner_id":5,"api_key_id":17}}],` +
		`"page":1,"page_size":2,"links":{"first":{"href":"/v1/audit_log?page=1&page_size=2"},"prev":{},"next":{}}}`
	functiontest.Diff(t, "body", want, resp.Body)
}

func TestPages(t *testing.T) {
	for path, read := range map[string]func(d *front, query string) ([]string, int, httpapi.LinksBody){
		"/v1/events": func(d *front, target string) (ids []string, number int, links httpapi.LinksBody) {
			body := functiontest.Read[views.EventsPage](d.t, d.ask("partner 5", target), http.StatusOK)
			for _, e := range body.Events {
				ids = append(ids, e.EventID)
			}
			return ids, body.Page, body.Links
		},
		"/v1/audit_log": func(d *front, target string) (ids []string, number int, links httpapi.LinksBody) {
			body := functiontest.Read[views.AuditLogPage](d.t, d.ask("partner 5", target), http.StatusOK)
			for _, e := range body.Entries {
				ids = append(ids, e.EntryID)
			}
			return ids, body.Page, body.Links
		},
	} {
		t.Run(path, func(t *testing.T) {
			d := newFront(t)
			var want []string
			for i := range 7 {
				want = append([]string{d.happens(5, []int64{71, 72}[i%2], effects.AccountUpdated, start().Add(time.Duration(i)*time.Millisecond), nil)}, want...)
			}
			var got []string
			target, pages := path+"?page_size=3&event_type=account_updated", 0
			for target != "" {
				ids, number, links := read(d, target)
				pages++
				if number != pages || links.Prev.Href != "" || links.First.Href != path+"?event_type=account_updated&page=1&page_size=3" {
					t.Errorf("page %d of %d: %+v", number, pages, links)
				}
				got, target = append(got, ids...), links.Next.Href
			}
			functiontest.Diff(t, "events", want, got)
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			_, _, links := read(d, path+"?page_size=3")
			for name, tc := range map[string][]string{
				"another partner": {"partner 6"}, "for one account": {"partner 5", "On-Behalf-Of", "71"}, "the account": {"account 71"},
			} {
				functiontest.Diff(t, name, []string{"400", "invalid_field_value cursor"}, functiontest.Problems(t, d.ask(tc[0], links.Next.Href, tc[1:]...)))
			}
			other := map[string]string{"/v1/events": "/v1/audit_log", "/v1/audit_log": "/v1/events"}[path]
			_, query, _ := strings.Cut(links.Next.Href, "?")
			functiontest.Diff(t, "the other list", []string{"400", "invalid_field_value cursor"}, functiontest.Problems(t, d.ask("partner 5", other+"?"+query)))
		})
	}
}

// TestLargePages: bodies stay below 1 MB, and each event is on one page.
func TestLargePages(t *testing.T) {
	d := newFront(t)
	data := []byte(`"` + strings.Repeat("x", effects.MaxEventData-2) + `"`)
	var want []string
	for i := range 120 {
		want = append(want, d.happens(5, 71, effects.CarrierAccountChanged, start().Add(-time.Duration(i)*time.Second), func(e *effects.Recorded) { e.Data = data }))
	}
	var got []string
	for target, pages := "/v1/events?page_size=500", 0; target != ""; pages++ {
		resp := d.ask("account 71", target)
		body := functiontest.Read[views.EventsPage](t, resp, http.StatusOK)
		if len(resp.Body) > 1_000_000 || pages > 3 {
			t.Fatalf("page %d has %d bytes", pages, len(resp.Body))
		}
		for _, e := range body.Events {
			got = append(got, e.EventID)
		}
		target = body.Links.Next.Href
	}
	functiontest.Diff(t, "events", want, got)
}

// TestFewPass: a page that finds nothing among many leads to the next.
func TestFewPass(t *testing.T) {
	d := newFront(t)
	rare := d.happens(5, 71, effects.CarrierConnected, start().Add(-24*time.Hour), nil)
	for i := range 2_100 {
		d.happens(5, 71, effects.AccountUpdated, start().Add(-time.Duration(i)*time.Second), nil)
	}
	first := functiontest.Read[views.EventsPage](t, d.ask("partner 5", "/v1/events?event_type=carrier_connected"), http.StatusOK)
	if len(first.Events) != 0 || first.Links.Next.Href == "" {
		t.Fatalf("the first page = %+v", first)
	}
	second := functiontest.Read[views.EventsPage](t, d.ask("partner 5", first.Links.Next.Href), http.StatusOK)
	if len(second.Events) != 1 || second.Events[0].EventID != rare || second.Links.Next.Href != "" {
		t.Errorf("the second page = %+v", second)
	}
}
