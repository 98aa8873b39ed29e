package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"carrierlink/infra/local/stack"
	gen "carrierlink/infra/test/client"
)

// operation is an operation of the contract that needs a key. The tests of this file are derived from the contract, so a
// new operation is tested as soon as it is in infra/openapi.yaml.
type operation struct {
	id, method, path string
	scope            string // of the key
	partner          bool   // whether it needs a partner key
	any              bool   // whether it takes a partner key as it takes a merchant key
	spec             *openapi3.Operation
}

// names tells whether a parameter of the path names what the operation is about.
func (o operation) names(param string) bool { return strings.Contains(o.path, "{"+param+"}") }

func (o operation) has(param string) bool {
	return slices.ContainsFunc(o.spec.Parameters, func(p *openapi3.ParameterRef) bool { return p.Value.Name == param })
}

// operations returns all operations that need a key, in the order of their names.
func operations() []operation {
	var all []operation
	for path, item := range api.doc.Paths.Map() {
		for method, spec := range item.Operations() {
			o := operation{
				id: spec.OperationID, method: method, path: path, spec: spec,
				scope: extension(spec, "x-required-scope"), partner: extension(spec, "x-caller") == "partner", any: extension(spec, "x-caller") == "any",
			}
			if o.scope != "" && o.scope != "none" {
				all = append(all, o)
			}
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.id, b.id) })
	return all
}

func extension(spec *openapi3.Operation, name string) string {
	switch v := spec.Extensions[name].(type) {
	case string:
		return v
	case json.RawMessage:
		return strings.Trim(string(v), `"`)
	}
	return ""
}

// Ids that do not exist; these are the largest.
const (
	nobody        = "2147483647"
	nobodysKey    = "2147483646"
	nobodyCarrier = "se-1234567890123456"
	nobodysEvent  = "se-zzzzzzzzzzzzzzzzzzzzz"
	nobodysHook   = "se-1234567890123457"
	nobodyNamed   = "nobody's shop"
)

// things are the resources that a request names.
type things struct{ account, key, external, carrier, event, webhook, delivery string }

var absentThings = things{nobody, nobodysKey, nobodyNamed, nobodyCarrier, nobodysEvent, nobodysHook, nobodysEvent}

// request returns a good request of the operation, about things that need not exist.
func (o operation) request(about things) request {
	path := o.path
	for name, value := range map[string]string{
		"account_id": about.account, "api_key_id": about.key, "external_account_id": about.external, "carrier_id": about.carrier, "event_id": about.event,
		"carrier_name": "australia_post", "webhook_id": about.webhook, "delivery_id": about.delivery,
	} {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
	}
	r := request{method: o.method, path: path}
	switch {
	case o.id == "linkCarrier":
		r.body = linkBody(ausPostNumber("00"))
	case o.id == "validateCarrier":
		r.body = linkBody(ausPostNumber("00")).with("nickname", absent)
	case o.id == "updateCarrier":
		r.body = fields{"nickname": "Renamed"}
	case o.id == "registerShipments":
		r.body = fields{"carrier_id": about.carrier, "tracking_numbers": []string{"ZZ91000634011427"}}
	case o.id == "createWebhook":
		r.body = fields{"url": quietURL(), "event": quietEvent}
	case o.id == "replayWebhook":
		r.body = fields{"created_at_start": "2026-01-01T00:00:00Z"}
	case o.id == "createEphemeralToken":
		r.header = behalf(about.account)
	case o.id == "trackShipments", o.id == "startTracking", o.id == "stopTracking":
		r.path += "?tracking_number=ZZ91000634011427&carrier_id=" + url.QueryEscape(about.carrier)
	case o.spec.RequestBody != nil:
		r.body = "{}"
	}
	return r
}

// prepare brings the caller's resources into the state in which the operation succeeds.
func (o operation) prepare(t *testing.T, c caller) {
	t.Helper()
	switch o.id {
	case "restoreAccount":
		as(t, c.partner.APIKey).remove(c.ID, nil)
	case "rollbackCarrier":
		key, secret := newCredentials()
		change(t, c.merchant, "australia_post", c.carrier, fields{"api_key": key, "api_secret": secret}).expect(t, http.StatusOK)
	}
}

// caller is a partner and its merchant that have one of every resource and may make every call.
type caller struct {
	partner stack.Partner
	merchant
	things

	keyID int64
	email string
}

// newCaller creates a merchant of the partner with a key and a connection.
func newCaller(t *testing.T, p stack.Partner) caller {
	t.Helper()
	c := caller{partner: p, email: email()}
	c.external = "shop/50% & more " + uuid.NewString()
	a := create(t, p.APIKey, fields{"external_account_id": c.external, "email": c.email, "company_name": "Company " + uuid.NewString()})
	a.expect(t, http.StatusOK)
	body := decode[createdAccount](t, a)
	c.merchant = merchant{ID: body.AccountID, Key: body.APIKey.EncryptedAPIKey, partner: p}
	c.keyID, c.account = body.APIKey.APIKeyID, text(body.AccountID)
	c.key = text(c.keyID)
	c.carrier = link(t, c.merchant, "australia_post", ausPostNumber("00")).CarrierID
	c.event, _ = newestEvent(t, c.Key)
	hook := api.call(t, request{method: http.MethodPost, path: webhooksPath, key: c.Key, body: fields{"url": quietURL(), "event": quietEvent}})
	hook.expect(t, http.StatusOK)
	c.webhook, c.delivery = decode[gen.CreatedWebhook](t, hook).WebhookId, c.event
	putDelivery(t, c.merchant, c.webhook, c.delivery)
	return c
}

// newestEvent reads the newest event of a key's account, and the cursor behind it.
func newestEvent(t *testing.T, key string) (id, cursor string) {
	t.Helper()
	a := api.call(t, request{method: http.MethodGet, path: "/v1/events?page_size=1", key: key})
	a.expect(t, http.StatusOK)
	page := decode[gen.EventsPage](t, a)
	if len(page.Events) != 1 || page.Links.Next.Href == nil {
		t.Fatalf("events = %s", a.body)
	}
	return page.Events[0].EventId, cursorOf(t, *page.Links.Next.Href)
}

// cursorOf returns the cursor of a link.
func cursorOf(t *testing.T, href string) string {
	t.Helper()
	link, err := url.Parse(href)
	if err != nil {
		t.Fatal(err)
	}
	return link.Query().Get("cursor")
}

// newPartner creates a partner whose data a test may damage.
func newPartner(t *testing.T, name string) stack.Partner {
	t.Helper()
	p, err := service.CreatePartner(t.Context(), name, "production")
	if err != nil {
		t.Fatal(err)
	}
	api.secrets.add(p.APIKey)
	return p
}

func partnerPK(p stack.Partner) string { return fmt.Sprint("PARTNER#", p.ID) }

var forbidden = problem{"security", "forbidden", "", ""}

// Absent, malformed and deleted keys are refused on every route, before anything else of the request is checked.
func TestEveryRouteNeedsAKey(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	expired, deleted, gone := as(t, production.APIKey).newKey(m.ID, newKeyBody(nil)), newMerchant(t, production), newPartner(t, "Gone too")
	setItem(t, accountPK(m.ID), keySK(expired.EncryptedApiKey), item{"valid_until": num(time.Now().Add(-time.Second).UnixMilli())})
	as(t, production.APIKey).remove(deleted.ID, nil)
	if _, err := table().DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &service.TableName, Key: itemKey(partnerPK(gone), keySK(gone.APIKey))}); err != nil {
		t.Fatal(err)
	}
	whole := map[bool]bool{} // whether a partner route, and a merchant route, has had all keys
	for _, o := range operations() {
		few := whole[o.partner] && differs("is slow")
		whole[o.partner] = true
		t.Run(o.id, func(t *testing.T) {
			t.Parallel()
			keys := map[string]string{
				"none": "", "a word": "secret-word", "mistyped": mistype(m.Key), "expired": expired.EncryptedApiKey, "of a deleted account": deleted.Key,
				"deleted partner's": gone.APIKey,
			}
			if o.partner {
				delete(keys, "of a deleted account") // a merchant key opens no partner route anyway
			}
			if few {
				keys = map[string]string{"none": "", "expired": expired.EncryptedApiKey}
			}
			for name, key := range keys {
				bad := o.request(things{"x", "x", "\x00", "x", "x", "x", "x"})
				bad.key = key
				if bad.body != nil {
					bad.body = "not JSON"
				}
				t.Run(name, func(t *testing.T) {
					api.call(t, bad).expect(t, http.StatusUnauthorized, unauthorized)
				})
			}
		})
	}
}

// Each key opens only the routes of its scopes, and a merchant key opens no partner route.
func TestEveryRouteNeedsItsScope(t *testing.T) {
	t.Parallel()
	full := newMerchant(t, production)
	merchants, partners := map[string]string{}, map[string]string{}
	for _, scope := range []string{"read", "link", "admin"} {
		merchants[scope] = as(t, production.APIKey).newKey(full.ID, newKeyBody(nil, scope)).EncryptedApiKey
		p := newPartner(t, "Scope "+scope)
		setItem(t, partnerPK(p), keySK(p.APIKey), item{"scopes": &types.AttributeValueMemberL{Value: []types.AttributeValue{txt(scope)}}})
		partners[scope] = p.APIKey
	}
	for _, o := range operations() {
		t.Run(o.id, func(t *testing.T) {
			t.Parallel()
			for scope := range partners {
				r := o.request(absentThings)
				r.key = partners[scope]
				if !o.partner {
					r.key = merchants[scope]
				}
				a := api.call(t, r)
				switch refused := a.status == http.StatusForbidden; {
				case refused != (scope != o.scope):
					t.Errorf("a key with %s: %d %s, the contract wants %s", scope, a.status, a.body, o.scope)
				case refused:
					a.expect(t, http.StatusForbidden, forbidden)
				}
			}
			if o.partner {
				for _, about := range []things{absentThings, {account: text(full.ID), key: "1", external: "x", carrier: "x"}} {
					r := o.request(about)
					r.key = full.Key
					api.call(t, r).expect(t, http.StatusForbidden, forbidden)
				}
				return
			}
			disabled := newMerchant(t, production)
			as(t, production.APIKey).disable(disabled.ID)
			r := o.request(absentThings)
			r.key = disabled.Key
			api.call(t, r).expect(t, http.StatusForbidden, inactive)
			if r.key, r.header = production.APIKey, nil; !o.any {
				api.call(t, r).expect(t, http.StatusBadRequest, required("On-Behalf-Of"))
			}
			bad := []string{"abc", "0", "2147483648", "se-", "+1"}
			if differs("is slow") {
				bad = bad[:1]
			}
			for _, id := range bad {
				r.header = behalf(id)
				api.call(t, r).expect(t, http.StatusBadRequest, identifier("On-Behalf-Of"))
			}
			r.header = behalf(nobody)
			api.call(t, r).expect(t, http.StatusNotFound, notFound)
		})
	}
}

func behalf(id any) [][2]string { return [][2]string{{"On-Behalf-Of", fmt.Sprint(id)}} }

// A key that has used up its requests of the minute is refused on every route, whatever the request is.
func TestEveryRouteIsLimited(t *testing.T) {
	t.Parallel()
	const limit = stack.RateLimit
	for _, o := range operations() {
		t.Run(o.id, func(t *testing.T) {
			t.Parallel()
			m := newMerchant(t, production)
			key, pk := m.Key, accountPK(m.ID)
			if o.partner {
				p := newPartner(t, "Busy "+o.id)
				key, pk = p.APIKey, partnerPK(p)
			}
			r := o.request(absentThings)
			r.key = key
			for range 3 { // the minute may end before the call
				window := time.Now().Truncate(time.Minute)
				setItem(t, pk, keySK(key), item{"rate_window": num(window.Unix()), "rate_used": num(limit)})
				a := api.call(t, r)
				if a.status != http.StatusTooManyRequests && time.Now().Truncate(time.Minute) != window {
					continue
				}
				a.expect(t, http.StatusTooManyRequests, problem{"system", "rate_limit_exceeded", "", ""})
				if h := a.header; h.Get("RateLimit-Remaining") != "0" || h.Get("Retry-After") == "" || h.Get("Retry-After") != h.Get("RateLimit-Reset") {
					t.Errorf("header = %v", h)
				}
				return
			}
			t.Fatal("three minutes ended")
		})
	}
}

// A failure of ours reveals nothing, on any route.
func TestEveryRouteHidesItsFailures(t *testing.T) {
	t.Parallel()
	p, m := newPartner(t, "Broken too"), newMerchant(t, production)
	setItem(t, partnerPK(p), keySK(p.APIKey), item{"created_at": txt("not a time")})
	setItem(t, accountPK(m.ID), keySK(m.Key), item{"created_at": txt("not a time")})
	for _, o := range operations() {
		t.Run(o.id, func(t *testing.T) {
			t.Parallel()
			r := o.request(absentThings)
			if r.key = m.Key; o.partner {
				r.key = p.APIKey
			}
			a := api.call(t, r)
			a.expect(t, http.StatusInternalServerError, problem{"system", "unspecified", "", ""})
			if strings.Contains(string(a.body), "time") {
				t.Errorf("the answer shows the cause: %s", a.body)
			}
		})
	}
}

// Malformed ids are refused on every route with an id.
func TestEveryRouteRefusesBadIDs(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	integers := []string{
		"abc", "0", "-1", "+1", "042", "se-01", "1.5", "1e3", "0x10", "2147483648", "99999999999999999999", "se-", "se--1", "SE-1", " 1", "1 ", "1\x00", "1#2", "1/2", "..", "٣", "%31", "1;x",
	}
	tests := []struct {
		param string
		bad   []string
		about func(bad string) things
	}{
		{"account_id", integers, func(bad string) things { return things{account: bad, key: "1"} }},
		{"api_key_id", integers, func(bad string) things { return things{account: text(m.ID), key: bad} }},
		{
			"carrier_id",
			[]string{"1", "se-", "SE-1", "se-A", "se-12345678901234567890123", "se-1.", "..", "se-1/2", "se-1 ", "se-%31", "se-1#SNAPSHOT", "se-1\x00", "se-é"},
			func(bad string) things { return things{carrier: bad} },
		},
		{
			"event_id",
			[]string{"1", "se-", nobodyCarrier, "se-ZZZZZZZZZZZZZZZZZZZZZ", "se-zzzzzzzzzzzzzzzzzzzzzz", "..", "se-zzzzzzzzzzzzzzzzzzzz/"},
			func(bad string) things { return things{event: bad} },
		},
		{
			"webhook_id",
			[]string{"1", "se-", "SE-1", "se-A", "se-12345678901234567890123", "..", "se-1/2", "se-1#STATE", "se-\x00"},
			func(bad string) things { return things{webhook: bad, delivery: nobodysEvent} },
		},
		{
			"delivery_id",
			[]string{"1", "se-", nobodysHook, "se-ZZZZZZZZZZZZZZZZZZZZZ", "..", "se-zzzzzzzzzzzzzzzzzzzz/"},
			func(bad string) things { return things{webhook: nobodysHook, delivery: bad} },
		},
	}
	whole := map[string]bool{} // parameters for which a route has had all bad forms
	for _, o := range operations() {
		for _, test := range tests {
			if !o.names(test.param) {
				continue
			}
			if whole[test.param] && differs("is slow") {
				test.bad = test.bad[:5]
			}
			whole[test.param] = true
			t.Run(o.id+" "+test.param, func(t *testing.T) {
				t.Parallel()
				for _, bad := range test.bad {
					r := o.request(test.about(bad))
					if r.key = m.Key; o.partner {
						r.key = production.APIKey
					}
					if a := api.call(t, r); a.status != http.StatusBadRequest {
						t.Errorf("%q: %d %s", bad, a.status, a.body)
					} else {
						a.expect(t, http.StatusBadRequest, identifier(test.param))
					}
				}
				// Not UTF-8.
				r := o.request(test.about("BAD"))
				r.path = strings.Replace(r.path, "BAD", "%ff", 1)
				if r.key = m.Key; o.partner {
					r.key = production.APIKey
				}
				api.call(t, r).expect(t, http.StatusBadRequest, identifier(test.param))
			})
		}
	}
}

// A single-valued parameter that is given twice is refused on every route, even with the same value.
func TestEveryParameterIsSingle(t *testing.T) {
	t.Parallel()
	c := newCaller(t, production)
	for _, o := range operations() {
		for _, p := range o.spec.Parameters {
			param := p.Value
			if param.In != "query" || param.Schema.Value.Type.Is("array") {
				continue
			}
			t.Run(o.id+" "+param.Name, func(t *testing.T) {
				t.Parallel()
				r := o.request(c.things)
				if r.key = c.Key; o.partner {
					r.key = c.partner.APIKey
				}
				separator := "?"
				if strings.Contains(r.path, "?") {
					separator = "&"
				}
				twice := url.Values{param.Name: {fmt.Sprint(param.Example), fmt.Sprint(param.Example)}}
				r.path += separator + twice.Encode()
				api.call(t, r).expect(t, http.StatusBadRequest, invalid(param.Name))
			})
		}
	}
}

// Bad bodies are refused on every route with a body, and so are malformed idempotency keys.
func TestEveryRouteRefusesBadBodies(t *testing.T) {
	t.Parallel()
	c := newCaller(t, production)
	whole := false
	for _, o := range operations() {
		if o.id == "createAccount" || o.id == "linkCarrier" {
			continue // tested elsewhere
		}
		r := o.request(c.things)
		if r.key = c.Key; o.partner {
			r.key = c.partner.APIKey
		}
		if o.has("Idempotency-Key") {
			t.Run(o.id+" idempotency key", func(t *testing.T) {
				t.Parallel()
				for key, want := range map[string]problem{
					strings.Repeat("k", 256): length("Idempotency-Key"), "caf\u00e9": invalid("Idempotency-Key"), "a\tb": invalid("Idempotency-Key"),
				} {
					bad := r
					bad.header = [][2]string{{"Idempotency-Key", key}}
					api.call(t, bad).expect(t, http.StatusBadRequest, want)
				}
			})
		}
		if o.spec.RequestBody == nil {
			continue
		}
		few := whole && differs("is slow")
		whole = true
		for i, test := range badBodies() {
			if few && i%5 != 0 && test.status == http.StatusBadRequest {
				continue
			}
			if test.problem == bodyRequired && !o.spec.RequestBody.Value.Required {
				continue
			}
			t.Run(o.id+" "+test.name, func(t *testing.T) {
				t.Parallel()
				bad := r
				bad.body, bad.header = test.body, test.header
				if differs("drops forms") && (o.method == http.MethodPatch || o.method == http.MethodPut) && test.name == "content type form" {
					api.call(t, bad).expect(t, http.StatusBadRequest, bodyRequired)
					return
				}
				api.call(t, bad).expect(t, test.status, test.problem)
			})
		}
	}
}

// On every route that takes an idempotency key, a repeat gets the first answer, byte for byte, and another payload is
// refused. Keys are scoped by caller and route.
func TestEveryRouteIsIdempotent(t *testing.T) {
	t.Parallel()
	for _, o := range operations() {
		if !o.has("Idempotency-Key") {
			continue
		}
		t.Run(o.id, func(t *testing.T) {
			t.Parallel()
			key := "twice " + uuid.NewString()
			good := func(c caller) request {
				r := o.request(c.things)
				r.header = [][2]string{{"Idempotency-Key", key}}
				if r.key = c.Key; o.partner {
					r.key = c.partner.APIKey
				}
				if o.id == "updateAccount" {
					r.body = fields{"first_name": "Mia", "email": email()}
				}
				o.prepare(t, c)
				return r
			}
			mine, others := newCaller(t, production), newCaller(t, otherProduction)
			r := good(mine)
			// A failure is not stored.
			if o.spec.RequestBody != nil {
				bad := r
				bad.body = `{"zebra":1}`
				if a := api.call(t, bad); a.status != http.StatusBadRequest {
					t.Errorf("an unknown field: %d %s", a.status, a.body)
				}
			}
			first := api.call(t, r)
			if first.status >= 300 {
				t.Fatalf("status = %d %s", first.status, first.body)
			}
			times := 3
			if differs("is slow") {
				times = 1
			}
			for range times {
				again := api.call(t, r)
				if again.status != first.status || again.header.Get("ETag") != first.header.Get("ETag") {
					t.Errorf("replay: %d, want %d", again.status, first.status)
				}
				replayed(t, first, again)
			}
			if o.id == "updateAccount" || o.id == "enableAccount" || o.id == "disableAccount" {
				// The repeat does not overwrite another caller's change.
				before := as(t, mine.partner.APIKey).change(mine.ID, updateParams(""), updateBody(fields{"first_name": "Zoe"}))
				replayed(t, first, api.call(t, r))
				if after := as(t, mine.partner.APIKey).account(mine.ID); after.ModifiedAt != before.ModifiedAt || *after.FirstName != "Zoe" {
					t.Errorf("the replay changed the account: %+v", after)
				}
			}
			other := r
			other.body, other.loose = `{"description":"another"}`, true
			switch o.id {
			case "updateAccount", "createAccount":
				other.body = `{"first_name":"Another"}`
			case "linkCarrier":
				other.body = linkBody(ausPostNumber("00"))
			case "updateCarrier":
				other.body = `{"nickname":"Another"}`
			case "rotateAPIKey":
				other.body = `{"grace_period_seconds":17}`
			}
			api.call(t, other).expect(t, http.StatusUnprocessableEntity, problem{"validation", "field_conflict", "Idempotency-Key", ""})
			foreign := api.call(t, good(others))
			if foreign.status != first.status || foreign.header.Get("Idempotent-Replayed") != "" {
				t.Errorf("another partner got %d %s, want an answer of its own", foreign.status, foreign.body)
			}
			sibling := api.call(t, good(newCaller(t, production)))
			switch {
			case o.id == "createAccount", o.id == "replaceSettings": // names no account
			case o.partner:
				sibling.expect(t, http.StatusUnprocessableEntity, problem{"validation", "field_conflict", "Idempotency-Key", ""})
			case sibling.status != first.status || sibling.header.Get("Idempotent-Replayed") != "":
				t.Errorf("another account got %d %s, want an answer of its own", sibling.status, sibling.body)
			}
			// The same key on other routes.
			for i, next := range operations() {
				if differs("is slow") && i%3 != 0 {
					continue
				}
				if next.id == o.id || !next.has("Idempotency-Key") || next.id == "restoreAccount" || next.id == "rotateAPIKey" || next.id == "disableAccount" ||
					next.id == "rollbackCarrier" || o.id == "disableAccount" && (!next.partner || next.id == "createLoginInvitation") {
					continue
				}
				r := next.request(mine.things)
				r.header = [][2]string{{"Idempotency-Key", key}}
				if r.key = mine.Key; next.partner {
					r.key = mine.partner.APIKey
				} else if o.id == "rotateAPIKey" {
					continue
				}
				if a := api.call(t, r); a.status >= 300 || a.header.Get("Idempotent-Replayed") != "" {
					t.Errorf("%s with the same key: %d %s", next.id, a.status, a.body)
				}
			}
		})
	}
}
