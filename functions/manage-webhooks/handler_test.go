package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/outbound"
	"carrierlink/shared/views"
	"carrierlink/shared/webhook"
)

// front is the function over a fixture with partner 5, its accounts 71 and 72 and the
// disabled 73, and partner 6 with account 81.
type front struct {
	*functiontest.Fixture
	*handler
	t    testing.TB
	fail string // the call of the log that fails
}

func start() time.Time { return time.Date(2026, 3, 1, 0, 0, 30, 123000000, time.UTC) }

// failing is a log whose calls can fail.
type failing struct {
	webhook.Log
	*front
}

func (f failing) down(name string) error {
	if f.fail == name {
		return errors.New("down")
	}
	return nil
}

// AddPending is the store's.
func (f failing) AddPending(ctx context.Context, pending []webhook.Pending) error {
	return errors.Join(f.down("AddPending"), f.Log.AddPending(ctx, pending))
}

// MarkDue is the store's.
func (f failing) MarkDue(ctx context.Context, refs []webhook.Ref, now time.Time) error {
	return errors.Join(f.down("MarkDue"), f.Log.MarkDue(ctx, refs, now))
}

// ListDeliveries is the store's.
func (f failing) ListDeliveries(ctx context.Context, ref webhook.Ref, l webhook.DeliveryListing) ([]webhook.Delivery, string, error) {
	found, next, err := f.Log.ListDeliveries(ctx, ref, l)
	return found, next, errors.Join(f.down("ListDeliveries"), err)
}

// anyHTTPS resolves no names.
type anyHTTPS struct{}

// Check refuses what a Checker does before it resolves the name.
func (anyHTTPS) Check(ctx context.Context, field, s string, own ...string) *fault.Error {
	done, cancel := context.WithCancel(ctx)
	cancel()
	return outbound.Checker{}.Check(done, field, s, own...)
}

func newFront(t *testing.T) *front {
	t.Helper()
	d := functiontest.EmptyInMemory(t)
	d.Clock = start()
	f := serve(t, d)
	f.webhooks.Log = failing{f.webhooks.Log, f}
	return f
}

// serve creates the partners and accounts of a fixture and returns the function over it.
func serve(tb testing.TB, d *functiontest.Fixture) *front {
	tb.Helper()
	for _, id := range []int64{5, 6} {
		d.AddPartner(account.Partner{ID: id})
	}
	for _, a := range []account.Account{{ID: 71, PartnerID: 5, Active: true}, {ID: 72, PartnerID: 5, Active: true}, {ID: 73, PartnerID: 5}, {ID: 81, PartnerID: 6, Active: true}} {
		d.AddAccount(a)
	}
	sealer := d.Sealer()
	f := &front{Fixture: d, t: tb, handler: &handler{
		auth: d.Auth(), accounts: d.Store, claims: d.Store, answers: d.Store.Idempotency, sealer: sealer, now: d.Now,
		webhooks: &webhook.Service{Store: d.Store, Sealer: sealer, Log: d.Store, Now: d.Now, Random: rand.Reader},
		urls:     anyHTTPS{},
	}}
	d.Serve(f.routes()...)
	return f
}

const good = `{"url":"https://hooks.shop.example/x","event":"carrier_connected"}`

// ask sends a request about webhooks. rest is the path after the list's; headers are pairs.
func (d *front) ask(who, method, rest, body string, headers ...string) events.APIGatewayProxyResponse {
	d.t.Helper()
	return d.Do(who, method, listPath+rest, body, headers...)
}

func (d *front) create(who, body string, headers ...string) views.CreatedWebhook {
	d.t.Helper()
	return functiontest.Read[views.CreatedWebhook](d.t, d.ask(who, http.MethodPost, "", body, headers...), http.StatusOK)
}

func (d *front) get(who, id string, headers ...string) views.Webhook {
	d.t.Helper()
	return functiontest.Read[views.Webhook](d.t, d.ask(who, http.MethodGet, "/"+id, "null", headers...), http.StatusOK)
}

func (d *front) list(who string, headers ...string) []string {
	d.t.Helper()
	ids := []string{}
	for _, w := range functiontest.Read[[]views.Webhook](d.t, d.ask(who, http.MethodGet, "", "", headers...), http.StatusOK) {
		ids = append(ids, w.WebhookID)
	}
	return ids
}

// problems checks an error answer.
func (d *front) problems(name string, resp events.APIGatewayProxyResponse, want ...string) {
	d.t.Helper()
	functiontest.Diff(d.t, name, want, functiontest.Problems(d.t, resp))
}

func (d *front) empty(name string, resp events.APIGatewayProxyResponse) {
	d.t.Helper()
	if resp.StatusCode != http.StatusNoContent || resp.Body != "" {
		d.t.Errorf("%s: %d %s, want an empty 204", name, resp.StatusCode, resp.Body)
	}
}

const someEvent = "se-0mm6zhokr0iwrm96c23p1"

// operations are all routes; the path after the list's, with the webhook's id for %s.
var operations = []struct{ method, rest, body string }{ // never changes
	{http.MethodPost, "", good},
	{http.MethodGet, "", ""},
	{http.MethodGet, "/%s", ""},
	{http.MethodPut, "/%s", `{"name":"x"}`},
	{http.MethodDelete, "/%s", ""},
	{http.MethodPost, "/%s/test", ""},
	{http.MethodPost, "/%s/rotate_secret", ""},
	{http.MethodPost, "/%s/replay", `{"created_at_start":"2026-01-01T00:00:00Z"}`},
	{http.MethodGet, "/%s/deliveries", ""},
	{http.MethodGet, "/%s/deliveries/" + someEvent, ""},
	{http.MethodPost, "/%s/deliveries/" + someEvent + "/replay", ""},
}

func TestEveryOperationRefuses(t *testing.T) {
	d := newFront(t)
	own, partners, foreign := d.create("account 71", good), d.create("partner 5", good), d.create("account 81", good)
	for _, op := range operations {
		ask := func(who, id string, headers ...string) events.APIGatewayProxyResponse {
			return d.ask(who, op.method, strings.ReplaceAll(op.rest, "%s", id), op.body, headers...)
		}
		name := op.method + op.rest
		d.problems(name+", no key", ask("", own.WebhookID), "401", "unauthorized")
		d.problems(name+", a disabled account", ask("account 73", own.WebhookID), "403", "subscription_inactive")
		d.problems(name+", an empty On-Behalf-Of", ask("partner 5", own.WebhookID, "On-Behalf-Of", ""), "400", "field_value_required On-Behalf-Of")
		d.problems(name+", another partner's account", ask("partner 5", own.WebhookID, "On-Behalf-Of", "81"), "404", "not_found")
		if !strings.Contains(op.rest, "%s") {
			continue
		}
		for _, id := range []string{"x", "se-", "se-A", "%7"} {
			d.problems(name+", the id "+id, ask("account 71", id), "400", "invalid_identifier webhook_id")
		}
		bodies := map[string]string{}
		for what, resp := range map[string]events.APIGatewayProxyResponse{
			"absent": ask("account 71", "se-1"), "the partner's": ask("account 71", partners.WebhookID), "a sibling's": ask("account 72", own.WebhookID),
			"another partner's": ask("partner 6", partners.WebhookID), "its account's": ask("partner 5", own.WebhookID), "foreign": ask("account 71", foreign.WebhookID),
		} {
			d.problems(name+", "+what, resp, "404", "not_found")
			bodies[strings.Replace(resp.Body, resp.Headers["X-Request-Id"], "ID", 1)] = what
		}
		if len(bodies) != 1 {
			t.Errorf("%s: the answers differ: %v", name, bodies)
		}
		if strings.Contains(op.rest, someEvent) {
			resp := d.ask("account 71", op.method, strings.ReplaceAll(strings.ReplaceAll(op.rest, "%s", own.WebhookID), someEvent, "se-1"), "")
			d.problems(name+", a malformed delivery_id", resp, "400", "invalid_identifier delivery_id")
		}
	}
	for who, id := range map[string]string{"account 71": own.WebhookID, "partner 5": partners.WebhookID, "account 81": foreign.WebhookID} {
		functiontest.Diff(t, who, []string{id}, d.list(who))
	}
}

func TestCreateRefuses(t *testing.T) {
	d := newFront(t)
	body := func(members string) string { return `{"url":"https://hooks.shop.example/x",` + members + `}` }
	for name, tc := range map[string]struct {
		body string
		want []string
	}{
		"no body":             {"", []string{"400", "request_body_required"}},
		"null":                {"null", []string{"400", "request_body_required"}},
		"an array":            {"[]", []string{"400", "invalid_field_value"}},
		"nothing":             {"{}", []string{"400", "field_value_required url", "field_value_required event"}},
		"nulls":               {`{"url":null,"event":null,"events":null}`, []string{"400", "field_value_required url", "field_value_required event"}},
		"a number":            {`{"url":1,"event":2}`, []string{"400", "invalid_field_value url", "invalid_field_value event"}},
		"http":                {`{"url":"http://hooks.shop.example","event":"*"}`, []string{"400", "invalid_field_value url"}},
		"ShipEngine's batch":  {body(`"event":"batch"`), []string{"400", "invalid_field_value event"}},
		"event and events":    {body(`"event":"*","events":["*"]`), []string{"400", "invalid_field_value events"}},
		"no events":           {body(`"events":[]`), []string{"400", "invalid_field_value events"}},
		"* and another":       {body(`"events":["*","carrier_connected"]`), []string{"400", "invalid_field_value events"}},
		"an empty name":       {body(`"event":"*","name":" "`), []string{"400", "invalid_string_length name"}},
		"a long name":         {body(`"event":"*","name":"` + strings.Repeat("x", 101) + `"`), []string{"400", "invalid_string_length name"}},
		"a large store":       {body(`"event":"*","store_id":2147483648`), []string{"400", "invalid_field_value store_id"}},
		"a store in quotes":   {body(`"event":"*","store_id":"1"`), []string{"400", "invalid_field_value store_id"}},
		"enabled":             {body(`"event":"*","enabled":true`), []string{"400", "invalid_field_value enabled"}},
		"a secret":            {body(`"event":"*","secret":"whsec_x"`), []string{"400", "invalid_field_value secret"}},
		"headers as object":   {body(`"event":"*","headers":{"X":"canary"}`), []string{"400", "invalid_field_value headers"}},
		"a header as text":    {body(`"event":"*","headers":["X: canary"]`), []string{"400", "invalid_field_value headers"}},
		"a header's number":   {body(`"event":"*","headers":[{"key":"X","value":1}]`), []string{"400", "invalid_field_value headers"}},
		"a header's member":   {body(`"event":"*","headers":[{"key":"X","value":"canary","more":"canary"}]`), []string{"400", "invalid_field_value headers"}},
		"a header, no value":  {body(`"event":"*","headers":[{"key":"X"}]`), []string{"400", "invalid_field_value headers"}},
		"a header, null":      {body(`"event":"*","headers":[null]`), []string{"400", "invalid_field_value headers"}},
		"a line break":        {body(`"event":"*","headers":[{"key":"X","value":"canary\r\nHost: x"}]`), []string{"400", "invalid_field_value headers"}},
		"a forbidden header":  {body(`"event":"*","headers":[{"key":"Webhook-Id","value":"canary"}]`), []string{"400", "invalid_field_value headers"}},
		"several, in order":   {`{"x":1,"name":"","headers":1,"url":"ftp://x"}`, []string{"400", "invalid_field_value url", "field_value_required event", "invalid_field_value headers", "invalid_string_length name", "invalid_field_value x"}},
		"a repeated member":   {body(`"event":"*","event":"*"`), []string{"400", "invalid_field_value event"}},
		"half of a surrogate": {body(`"event":"*","name":"\ud800"`), []string{"400", "invalid_field_value name"}},
	} {
		for _, who := range []string{"partner 5", "account 71"} {
			d.problems(name+", "+who, d.ask(who, http.MethodPost, "", tc.body), tc.want...)
		}
	}
	first := d.create("account 71", body(`"event":"*"`))
	d.problems("a duplicate", d.ask("partner 5", http.MethodPost, "", good, "On-Behalf-Of", "71"), "409", "webhook_event_type_conflict url")
	for i := 1; i < webhook.MaxWebhooks; i++ {
		d.create("account 71", fmt.Sprintf(`{"url":"https://hooks.shop.example/%d","event":"*"}`, i))
	}
	d.problems("too many", d.ask("account 71", http.MethodPost, "", `{"url":"https://hooks.shop.example/more","event":"*"}`), "409", "invalid_status")
	if ids := d.list("account 71"); len(ids) != webhook.MaxWebhooks || ids[0] != first.WebhookID {
		t.Errorf("%d webhooks, the first %s", len(ids), ids[0])
	}
	functiontest.Diff(t, "the partner's", []string{}, d.list("partner 5"))
}

// TestBodies: every member of every answer.
func TestBodies(t *testing.T) {
	d := newFront(t)
	d.URL = "https://api.example.com/v1-proxy"
	resp := d.ask("account 71", http.MethodPost, "", `{"url":"https://hooks.shop.example/x?y=1","events":["carrier_updated","account_updated"],"headers":[{"key":"Authorization","value":"Bearer b"}],"name":" Links ","store_id":0}`)
	created := functiontest.Read[views.CreatedWebhook](t, resp, http.StatusOK)
	rest := `{"webhook_id":"` + created.WebhookID + `","url":"https://hooks.shop.example/x?y=1","event":"account_updated","headers":[{"key":"Authorization","value":"Bearer b"}],"unreadable":[],` +
		`"name":"Links","store_id":0,"events":["account_updated","carrier_updated"],"enabled":true,"disabled_at":null,"disabled_reason":null,` +
		`"created_at":"2026-03-01T00:00:30.123Z","modified_at":"2026-03-01T00:00:30.123Z"`
	functiontest.Diff(t, "created", rest+`,"secret":"`+created.Secret+`"}`, resp.Body)
	functiontest.Diff(t, "read", rest+"}", d.ask("partner 5", http.MethodGet, "/"+created.WebhookID, "", "On-Behalf-Of", "71").Body)
	functiontest.Diff(t, "listed", "["+rest+"}]", d.ask("account 71", http.MethodGet, "", "").Body)
	functiontest.Diff(t, "nobody's", "[]", d.ask("account 72", http.MethodGet, "", "").Body)
	d.Pass(time.Second)
	resp = d.ask("account 71", http.MethodPost, "/"+created.WebhookID+"/rotate_secret", "ignored")
	rotated := functiontest.Read[views.RotatedWebhook](t, resp, http.StatusOK)
	functiontest.Diff(t, "rotated", strings.Replace(rest, `"modified_at":"2026-03-01T00:00:30`, `"modified_at":"2026-03-01T00:00:31`, 1)+
		`,"secret":"`+rotated.Secret+`","previous_expires_at":"2026-03-02T00:00:31.123Z"}`, resp.Body)
	if rotated.Secret == created.Secret || !strings.HasPrefix(created.Secret, "whsec_") {
		t.Error("the new secret is the old one, or no secret")
	}
	for body, want := range map[string]string{
		`{"url":"https://a.example","event":"*"}`: "carrier_connected", `{"url":"https://b.example","events":["account_created","carrier_connected"]}`: "carrier_connected",
		`{"url":"https://c.example","event":"account_created"}`: "account_created",
	} {
		functiontest.Diff(t, "event of "+body, want, d.create("partner 5", body).Event)
	}
}

func TestChange(t *testing.T) {
	d := newFront(t)
	w := d.create("account 71", good)
	d.create("account 71", `{"url":"https://other.example","event":"*"}`)
	put := func(body string, headers ...string) events.APIGatewayProxyResponse {
		d.Pass(time.Second)
		return d.ask("account 71", http.MethodPut, "/"+w.WebhookID, body, headers...)
	}
	for name, tc := range map[string]struct {
		body string
		want []string
	}{
		"no body":        {"", []string{"400", "request_body_required"}},
		"http":           {`{"url":"http://x.example"}`, []string{"400", "invalid_field_value url"}},
		"an unknown one": {`{"webhook_id":"se-1"}`, []string{"400", "invalid_field_value webhook_id"}},
		"enabled":        {`{"enabled":"yes"}`, []string{"400", "invalid_field_value enabled"}},
		"a duplicate":    {`{"url":"https://other.example"}`, []string{"409", "webhook_event_type_conflict url"}},
	} {
		d.problems(name, put(tc.body), tc.want...)
	}
	tag := d.ask("account 71", http.MethodGet, "/"+w.WebhookID, "").Headers["ETag"]
	if again := d.ask("account 71", http.MethodGet, "/"+w.WebhookID, "", "If-None-Match", tag); again.StatusCode != http.StatusNotModified || tag == "" {
		t.Errorf("with the tag %q: %d", tag, again.StatusCode)
	}
	d.problems("another tag", put(`{"name":"x"}`, "If-Match", `"1-2"`), "412", "invalid_field_value If-Match")
	d.problems("a malformed tag", put(`{"name":"x"}`, "If-Match", ""), "400", "invalid_field_value If-Match")
	functiontest.Diff(t, "after refusals", w.Webhook, d.get("account 71", w.WebhookID))

	d.empty("nothing", put(`{}`, "If-Match", tag))
	d.empty("changed", put(`{"url":"https://new.example","headers":[{"key":"X","value":"1"}],"name":"New","store_id":7,"events":["carrier_updated"],"enabled":"false"}`, "If-Match", tag))
	got := d.get("account 71", w.WebhookID)
	if got.URL != "https://new.example" || len(got.Headers) != 1 || *got.Name != "New" || *got.StoreID != 7 || got.Event != "carrier_updated" || got.Enabled || *got.DisabledReason != "disabled_by_owner" || got.DisabledAt == nil {
		t.Errorf("changed: %+v", got)
	}
	d.problems("the old tag", put(`{"name":"x"}`, "If-Match", tag), "412", "invalid_field_value If-Match")
	d.problems("a test while it is disabled", d.ask("account 71", http.MethodPost, "/"+w.WebhookID+"/test", ""), "409", "invalid_status")
	d.empty("enabled", put(`{"enabled":true}`))
	if got := d.get("account 71", w.WebhookID); !got.Enabled || got.DisabledAt != nil || got.DisabledReason != nil || got.URL != "https://new.example" {
		t.Errorf("enabled: %+v", got)
	}
}

// TestTheAPIItself: no webhook leads to this API, however its name is written.
func TestTheAPIItself(t *testing.T) {
	d := newFront(t)
	d.URL = "https://api.example.com/base"
	w := d.create("account 71", good)
	for _, name := range []string{"api.example.com", "API.example.com:443"} {
		url := "https://" + name + "/v1/environment/webhooks"
		for what, resp := range map[string]events.APIGatewayProxyResponse{
			"created": d.ask("account 71", http.MethodPost, "", `{"url":"`+url+`","event":"*"}`),
			"changed": d.ask("account 71", http.MethodPut, "/"+w.WebhookID, `{"url":"`+url+`"}`),
		} {
			d.problems(name+", "+what, resp, "400", "invalid_field_value url")
			if !strings.Contains(resp.Body, "url must not lead to this service itself.") {
				t.Errorf("%s, %s: %s", name, what, resp.Body)
			}
		}
	}
	functiontest.Diff(t, "after refusals", w.Webhook, d.get("account 71", w.WebhookID))
}

// TestUnreadable: what cannot be decrypted any more, because its key is gone, hides neither its
// webhook nor the others, and the answer says what it is, until its owner replaces it. But
// while the service secret itself cannot be read nothing is said to be lost.
func TestUnreadable(t *testing.T) {
	d := newFront(t)
	body := func(url string) string {
		return `{"url":"https://hooks.shop.example/` + url + `","event":"*","headers":[{"key":"X","value":"1"}]}`
	}
	fine, bad := d.create("account 71", body("fine")), d.create("account 71", body("bad"))
	list := func() map[string]views.Webhook {
		found := map[string]views.Webhook{}
		for _, w := range functiontest.Read[[]views.Webhook](t, d.ask("account 71", http.MethodGet, "", ""), http.StatusOK) {
			found[w.WebhookID] = w
		}
		return found
	}
	shows := func(name string, headers int, unreadable ...string) {
		t.Helper()
		all := list()
		functiontest.Diff(t, name+", the other one", fine.Webhook, all[fine.WebhookID])
		for where, w := range map[string]views.Webhook{"list": all[bad.WebhookID], "get": d.get("account 71", bad.WebhookID)} {
			if len(w.Headers) != headers || !slices.Equal(w.Unreadable, unreadable) || w.URL != bad.URL {
				t.Errorf("%s, %s: %d headers, unreadable %q, want %d, %q: %+v", name, where, len(w.Headers), w.Unreadable, headers, unreadable, w)
			}
		}
	}
	d.spoil(bad.WebhookID)
	shows("its key is gone", 0, "headers", "secret")
	rotated := functiontest.Read[views.RotatedWebhook](t, d.ask("account 71", http.MethodPost, "/"+bad.WebhookID+"/rotate_secret", ""), http.StatusOK)
	functiontest.Diff(t, "rotated", []string{"headers"}, rotated.Unreadable)
	shows("with a new secret", 0, "headers")
	d.empty("the headers", d.ask("account 71", http.MethodPut, "/"+bad.WebhookID, `{"headers":[{"key":"X","value":"1"},{"key":"Y","value":"2"}]}`))
	shows("with new headers", 2)
	d.webhooks.Sealer = closed{d.webhooks.Sealer}
	for _, rest := range []string{"", "/" + fine.WebhookID} {
		d.problems("without the service secret, GET "+rest, d.ask("account 71", http.MethodGet, rest, ""), "500", "unspecified")
	}
}

// spoil changes what is sealed of a webhook of account 71, as if its key were gone.
func (d *front) spoil(id string) {
	d.t.Helper()
	l, err := d.Store.WebhooksOf(d.t.Context(), refOf(id).Owner, d.Clock)
	if err != nil {
		d.t.Fatal(err)
	}
	for i := range l.Webhooks {
		if w := &l.Webhooks[i]; w.ID == id {
			w.Headers[9] ^= 1
			w.Secrets[0].Sealed[9] ^= 1
		}
	}
	if err := d.Store.SaveWebhooks(d.t.Context(), &l, effects.Effects{}, d.Clock); err != nil {
		d.t.Fatal(err)
	}
}

// closed is a sealer whose service secret cannot be read.
type closed struct{ webhook.Sealer }

// Open fails.
func (closed) Open(context.Context, string, []byte) ([]byte, error) { return nil, errors.New("down") }

func TestDelete(t *testing.T) {
	d := newFront(t)
	w := d.create("partner 5", good)
	d.problems("another tag", d.ask("partner 5", http.MethodDelete, "/"+w.WebhookID, "", "If-Match", `"x"`), "412", "invalid_field_value If-Match")
	d.empty("deleted", d.ask("partner 5", http.MethodDelete, "/"+w.WebhookID, "null"))
	d.problems("again", d.ask("partner 5", http.MethodDelete, "/"+w.WebhookID, ""), "404", "not_found")
	functiontest.Diff(t, "left", []string{}, d.list("partner 5"))
}

// TestIdempotency: a repeat gets the first answer, secret included, and changes nothing.
func TestIdempotency(t *testing.T) {
	d := newFront(t)
	key := []string{"Idempotency-Key", "k"}
	first := d.ask("account 71", http.MethodPost, "", good, key...)
	w := functiontest.Read[views.CreatedWebhook](t, first, http.StatusOK)
	id := d.happens(effects.CarrierConnected)
	d.delivered(w.WebhookID, webhook.Failed, id)
	for rest, tc := range map[string]struct{ method, body string }{
		"":                                   {http.MethodPost, good},
		"/" + w.WebhookID:                    {http.MethodPut, `{"name":"Once"}`},
		"/" + w.WebhookID + "/":              {},
		"/" + w.WebhookID + "/test":          {http.MethodPost, ""},
		"/" + w.WebhookID + "/rotate_secret": {http.MethodPost, ""},
		"/" + w.WebhookID + "/replay":        {http.MethodPost, `{"created_at_start":"2026-01-01T00:00:00Z"}`},
		"/" + w.WebhookID + "/deliveries/" + id + "/replay": {http.MethodPost, ""},
	} {
		if tc.method == "" {
			continue
		}
		first := d.ask("account 71", tc.method, rest, tc.body, key...)
		before, pending := d.get("account 71", w.WebhookID), d.pending(w.WebhookID)
		d.Pass(time.Second)
		again := d.ask("account 71", tc.method, rest, tc.body, key...)
		if again.Body != first.Body || again.StatusCode != first.StatusCode || first.StatusCode >= 300 || again.Headers["Idempotent-Replayed"] != "true" {
			t.Errorf("%s: %d %s, then %d %s", rest, first.StatusCode, first.Body, again.StatusCode, again.Body)
		}
		functiontest.Diff(t, rest, before, d.get("account 71", w.WebhookID))
		functiontest.Diff(t, rest+": pending", pending, d.pending(w.WebhookID))
		other := `{"created_at_start":"2026-01-02T00:00:00Z"}`
		d.problems(rest+" with another body", d.ask("account 71", tc.method, rest, other, key...), "422", "field_conflict Idempotency-Key")
	}
	functiontest.Diff(t, "webhooks", []string{w.WebhookID}, d.list("account 71"))
	for _, it := range d.items() {
		if strings.Contains(it, w.Secret) {
			t.Errorf("an item shows the secret: %.60s", it)
		}
	}
}

// items are all items of the table as text.
func (d *front) items() (all []string) {
	d.t.Helper()
	found, _, err := d.Store.ListEvents(d.t.Context(), effects.Listing{PartnerID: 5, Limit: 1000})
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range found {
		all = append(all, fmt.Sprintf("%+v", e), string(e.Data))
	}
	return all
}

// happens records an event of account 71 now, and returns its id.
func (d *front) happens(kind effects.EventType) string {
	d.t.Helper()
	fx, err := effects.Effects{}.With(rand.Reader, d.Now(), effects.Report{Type: kind, PartnerID: 5, AccountID: 71, Subject: "se-7"})
	if err == nil {
		err = d.Store.RecordEffects(d.t.Context(), fx, d.Now())
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return fx.Events[0].ID
}

func refOf(id string) webhook.Ref {
	return webhook.Ref{Owner: webhook.Owner{PartnerID: 5, AccountID: 71}, ID: id}
}

// delivered records a delivery to a webhook of account 71.
func (d *front) delivered(webhookID string, status webhook.Status, id string) {
	d.t.Helper()
	err := d.Store.SaveDelivery(d.t.Context(), webhook.Delivery{
		Ref: refOf(webhookID), EventID: id, EventType: effects.CarrierConnected, EventOwner: 71, Status: status, RequestedAt: d.Now(), FinishedAt: d.Now(),
		Attempts: []webhook.Attempt{{At: d.Now(), Latency: 15 * time.Second, Failure: "There was no answer in time."}, {At: d.Now().Add(time.Second), HTTPStatus: 503, Latency: 20 * time.Millisecond, Failure: "It failed."}},
		Answer:   "no",
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// pending returns the ids of what is pending for a webhook of account 71.
func (d *front) pending(webhookID string) []string {
	d.t.Helper()
	found, _, err := d.Store.ListPending(d.t.Context(), refOf(webhookID), 100, d.Now())
	if err != nil {
		d.t.Fatal(err)
	}
	ids := []string{}
	for _, p := range found {
		ids = append(ids, p.EventID)
	}
	return ids
}

func TestTest(t *testing.T) {
	d := newFront(t)
	w := d.create("account 71", good)
	resp := d.ask("account 71", http.MethodPost, "/"+w.WebhookID+"/test", "not JSON")
	queued := functiontest.Read[views.QueuedDelivery](t, resp, http.StatusAccepted)
	e, err := d.Store.Event(t.Context(), 5, 71, queued.DeliveryID)
	if err != nil || e.Type != effects.WebhookTest || e.Subject != "webhook "+w.WebhookID || e.By.Actor != effects.Merchant || e.By.RequestID != resp.Headers["X-Request-Id"] {
		t.Errorf("event = %+v, %v", e, err)
	}
	if strings.Contains(string(e.Data), w.Secret) {
		t.Error("the event has the secret")
	}
}

func TestReplay(t *testing.T) {
	d := newFront(t)
	w := d.create("account 71", good)
	id := d.happens(effects.CarrierConnected)
	rest := "/" + w.WebhookID + "/deliveries/" + id
	d.problems("before there is one", d.ask("account 71", http.MethodPost, rest+"/replay", ""), "404", "not_found")
	d.problems("before there is one", d.ask("account 71", http.MethodGet, rest, ""), "404", "not_found")
	d.delivered(w.WebhookID, webhook.Failed, id)
	d.fail = "AddPending"
	d.problems("a failure", d.ask("account 71", http.MethodPost, rest+"/replay", "", "Idempotency-Key", "k"), "500", "unspecified")
	d.fail = ""
	resp := d.ask("partner 5", http.MethodPost, rest+"/replay", "", "On-Behalf-Of", "71", "Idempotency-Key", "k")
	functiontest.Diff(t, "queued", views.QueuedDelivery{DeliveryID: id}, functiontest.Read[views.QueuedDelivery](t, resp, http.StatusAccepted))
	if pending := d.pending(w.WebhookID); len(pending) == 0 || pending[len(pending)-1] != id {
		t.Errorf("pending = %q", pending)
	}
}

func TestReplaySpan(t *testing.T) {
	d := newFront(t)
	w := d.create("account 71", good)
	rest := "/" + w.WebhookID + "/replay"
	old := d.happens(effects.CarrierConnected)
	d.Pass(31 * 24 * time.Hour)
	id := d.happens(effects.CarrierConnected)
	d.happens(effects.CarrierUpdated)
	for body, want := range map[string][]string{
		"":                             {"400", "request_body_required"},
		"{}":                           {"400", "field_value_required created_at_start"},
		`{"created_at_start":"today"}`: {"400", "invalid_field_value created_at_start"},
		`{"created_at_start":"2026-01-01T00:00:00Z","include_delivered":1}`:                               {"400", "invalid_field_value include_delivered"},
		`{"created_at_start":"2026-01-01T00:00:00Z","created_at_end":"2025-01-01T00:00:00Z"}`:             {"400", "invalid_field_value created_at_end"},
		`{"created_at_start":"2099-01-01T00:00:00Z"}`:                                                     {"400", "invalid_field_value created_at_end"},
		`{"created_at_start":"2026-01-01T00:00:00Z","created_at_end":"2027-01-01T00:00:00Z","until":"x"}`: {"400", "invalid_field_value until"},
	} {
		d.problems(body, d.ask("account 71", http.MethodPost, rest, body), want...)
	}
	functiontest.Diff(t, "after refusals", []string{}, d.pending(w.WebhookID))
	body := `{"created_at_start":"2026-01-01T00:00:00Z","include_delivered":"true"}`
	functiontest.Diff(t, "body", `{"queued":1,"continue_from":null}`, d.ask("account 71", http.MethodPost, rest, body).Body)
	functiontest.Diff(t, "pending, not what is older than 30 days: "+old, []string{id}, d.pending(w.WebhookID))
	d.fail = "ListDeliveries"
	d.problems("a failure", d.ask("account 71", http.MethodPost, rest, `{"created_at_start":"2026-01-01T00:00:00Z"}`), "500", "unspecified")
}

// TestReplayOfAReusedID: an account does not get the events of a purged one with its id.
func TestReplayOfAReusedID(t *testing.T) {
	d := newFront(t)
	d.Clock = start().Add(-time.Hour)
	d.happens(effects.CarrierConnected) // before the account was created
	d.Clock = start().Add(time.Minute)
	id := d.happens(effects.CarrierConnected)
	w := d.create("account 71", good)
	got := functiontest.Read[views.ReplayedSpan](t, d.ask("account 71", http.MethodPost, "/"+w.WebhookID+"/replay", `{"created_at_start":"2026-01-01T00:00:00Z"}`), http.StatusAccepted)
	functiontest.Diff(t, "queued", 1, got.Queued)
	functiontest.Diff(t, "pending", []string{id}, d.pending(w.WebhookID))
}

func TestDeliveries(t *testing.T) {
	d := newFront(t)
	w, other := d.create("account 71", good), d.create("account 71", `{"url":"https://other.example","event":"*"}`)
	rest := "/" + w.WebhookID + "/deliveries"
	page := func(rest string) views.DeliveriesPage {
		t.Helper()
		return functiontest.Read[views.DeliveriesPage](t, d.ask("account 71", http.MethodGet, rest, ""), http.StatusOK)
	}
	functiontest.Diff(t, "none", `{"deliveries":[],"page":1,"page_size":25,"links":{"first":{"href":"`+listPath+rest+`?page=1&page_size=25"},"prev":{},"next":{}}}`,
		d.ask("account 71", http.MethodGet, rest, "").Body)
	var ids []string
	for i, status := range []webhook.Status{webhook.Delivered, webhook.Failed, webhook.Retrying, webhook.Delivered, webhook.Delivered} {
		d.Clock = start().Add(time.Duration(i) * time.Minute)
		ids = append([]string{d.happens(effects.CarrierConnected)}, ids...)
		d.delivered(w.WebhookID, status, ids[0])
	}
	of := func(p views.DeliveriesPage) []string {
		all := []string{}
		for _, e := range p.Deliveries {
			all = append(all, e.DeliveryID)
		}
		return all
	}
	for query, want := range map[string][]string{
		"": ids, "?status=failed": {ids[3]}, "?status=failed&status=retrying": {ids[2], ids[3]},
		"?created_at_start=2026-03-01T00:02:30.123Z": ids[:3], "?created_at_end=2026-03-01T00:02:30.123Z": ids[2:], "?created_at_start=2027-01-01T00:00:00Z": {},
	} {
		functiontest.Diff(t, query, want, of(page(rest+query)))
	}
	functiontest.Diff(t, "another webhook's", []string{}, of(page("/"+other.WebhookID+"/deliveries")))
	var walked []string
	for target, pages := rest+"?page_size=2&status=delivered&status=failed&status=retrying", 1; target != ""; pages++ {
		p := page(target)
		if p.Page != pages || len(p.Deliveries) > 2 {
			t.Errorf("page %d has the number %d and %d deliveries", pages, p.Page, len(p.Deliveries))
		}
		walked = append(walked, of(p)...)
		target = strings.TrimPrefix(p.Links.Next.Href, listPath)
	}
	functiontest.Diff(t, "walked", ids, walked)
	next := strings.TrimPrefix(page(rest+"?page_size=2").Links.Next.Href, listPath)
	for name, target := range map[string]string{"another webhook": strings.Replace(next, w.WebhookID, other.WebhookID, 1), "another filter": next + "&status=failed", "forged": rest + "?cursor=AAAA"} {
		d.problems(name, d.ask("account 71", http.MethodGet, target, ""), "400", "invalid_field_value cursor")
	}
	for query, want := range map[string][]string{
		"?status=pending": {"400", "invalid_field_value status"},
		"?page=2":         {"400", "invalid_field_value page"},
		"?page_size=501&created_at_start=x&status=":                                  {"400", "invalid_field_value status", "invalid_field_value created_at_start", "invalid_field_value page_size"},
		"?created_at_start=2027-01-01T00:00:00Z&created_at_end=2026-01-01T00:00:00Z": {"400", "invalid_field_value created_at_end"},
	} {
		d.problems(query, d.ask("account 71", http.MethodGet, rest+query, ""), want...)
	}
	d.fail = "ListDeliveries"
	d.problems("a failure", d.ask("account 71", http.MethodGet, rest, ""), "500", "unspecified")
}

func TestDeliveryBody(t *testing.T) {
	d := newFront(t)
	w := d.create("account 71", good)
	id := d.happens(effects.CarrierConnected)
	d.delivered(w.WebhookID, webhook.Failed, id)
	want := `{"delivery_id":"` + id + `","event":"carrier_connected","account_id":71,"status":"failed","requested_at":"2026-03-01T00:00:30.123Z","next_attempt_at":null,` +
		`"finished_at":"2026-03-01T00:00:30.123Z","attempts":[{"at":"2026-03-01T00:00:30.123Z","http_status":null,"latency_ms":15000,"failure":"There was no answer in time."},` +
		`{"at":"2026-03-01T00:00:31.123Z","http_status":503,"latency_ms":20,"failure":"It failed."}],"answer":"no"}`
	functiontest.Diff(t, "body", want, d.ask("account 71", http.MethodGet, "/"+w.WebhookID+"/deliveries/"+id, "").Body)
	view := views.NewDelivery(webhook.Delivery{EventID: "se-1", Status: webhook.Delivered})
	b, err := json.Marshal(view)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"delivery_id":"se-1","event":"","account_id":null,"status":"delivered","requested_at":null,"next_attempt_at":null,"finished_at":null,"attempts":[],"answer":null}`, string(b)); diff != "" {
		t.Errorf("a partner's own (-want +got):\n%s", diff)
	}
}

// TestChangesNameTheCaller: the events say who has made each change.
func TestChangesNameTheCaller(t *testing.T) {
	d := newFront(t)
	w := d.create("account 71", good)
	for _, tc := range []struct {
		method, rest, body string
		want               effects.EventType
	}{
		{http.MethodPut, "", `{"name":"x"}`, effects.WebhookUpdated},
		{http.MethodPost, "/rotate_secret", "", effects.WebhookSecretRotated},
		{http.MethodPost, "/test", "", effects.WebhookTest},
		{http.MethodDelete, "", "", effects.WebhookDeleted},
	} {
		d.Pass(time.Second)
		resp := d.ask("partner 5", tc.method, "/"+w.WebhookID+tc.rest, tc.body, "On-Behalf-Of", "71")
		found, _, err := d.Store.ListEvents(t.Context(), effects.Listing{PartnerID: 5, AccountID: 71, Limit: 1})
		if err != nil || resp.StatusCode >= 300 {
			t.Fatalf("%d %s, %v", resp.StatusCode, resp.Body, err)
		}
		got := found[0]
		want := effects.By{Actor: effects.Partner, KeyID: got.By.KeyID, PartnerID: 5, AccountID: 71, RequestID: resp.Headers["X-Request-Id"]}
		if got.Type != tc.want || got.By != want || got.By.KeyID == 0 || got.Subject != "webhook "+w.WebhookID {
			t.Errorf("%s %s: %+v", tc.method, tc.rest, got)
		}
	}
}
