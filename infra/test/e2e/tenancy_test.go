package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	gen "carrierlink/infra/test/client"
)

// Counters of TestTenancy: requests about another caller's resources, and answers that revealed something about them.
var foreignRequests, leaks atomic.Int64

// somebody is another caller than the one under test, with the texts that must not be in any answer.
type somebody struct {
	name string
	caller
	cursor, idempotency string
	historyCursor       string
	eventCursor         string
	logCursor           string
	parcelCursor        string

	marks []string
}

// newSomebody creates a caller, a cursor of a list and an idempotency key on every route that takes one.
func newSomebody(t *testing.T, name string, c caller) somebody {
	t.Helper()
	s := somebody{name: name, caller: c, idempotency: "tenancy " + uuid.NewString()}
	for range 2 {
		newMerchant(t, c.partner)
	}
	page := as(t, c.partner.APIKey).accounts(gen.ListAccountsParams{PageSize: new(1)})
	next, err := url.Parse(*page.Links.Next.Href)
	if err != nil {
		t.Fatal(err)
	}
	s.cursor = next.Query().Get("cursor")
	link(t, c.merchant, "startrack", starTrackNumber("00"))
	read(t, c.merchant, c.carrier, "?refresh=true").expect(t, http.StatusOK)
	history := as(t, c.Key).history(c.carrier, gen.GetCarrierHistoryParams{PageSize: new(1)})
	if next, err = url.Parse(*history.Links.Next.Href); err != nil {
		t.Fatal(err)
	}
	s.historyCursor = next.Query().Get("cursor")
	_, s.eventCursor = newestEvent(t, c.Key)
	log := api.call(t, request{method: http.MethodGet, path: "/v1/audit_log?page_size=1", key: c.Key})
	log.expect(t, http.StatusOK)
	s.logCursor = cursorOf(t, *decode[gen.AuditLogPage](t, log).Links.Next.Href)
	parcel := fmt.Sprintf("ZZ809%011d", c.ID) // the simulator does not know it before the year 2255
	register := request{method: http.MethodPost, path: "/v1/shipments", key: c.Key, body: fields{"carrier_id": c.carrier, "tracking_numbers": []string{parcel, strings.Replace(parcel, "ZZ809", "ZZ808", 1)}}}
	api.call(t, register).expect(t, http.StatusOK)
	parcels := api.call(t, request{method: http.MethodGet, path: "/v1/shipments?page_size=1", key: c.Key})
	parcels.expect(t, http.StatusOK)
	s.parcelCursor = cursorOf(t, *decode[gen.ShipmentsPage](t, parcels).Links.Next.Href)
	account := as(t, c.partner.APIKey).account(c.ID)
	s.marks = []string{c.account, c.key, c.external, url.QueryEscape(c.external), c.email, *account.CompanyName, c.carrier, c.Key, s.event, parcel, s.webhook}
	return s
}

// twin returns an external id that does not exist, of the same length as somebody's.
func (s somebody) twin() string { return s.external[:len(s.external)-1] + "~" }

// looksLeftOut matches the times of the schedule's looks at a parcel, which change by themselves.
var looksLeftOut = regexp.MustCompile(`"(last_looked_at|next_look_at)":("[^"]*"|null),`) // never changes

// state reads everything that the API shows of somebody's resources.
func (s somebody) state(t *testing.T) string {
	t.Helper()
	p := as(t, s.partner.APIKey)
	p.account(s.ID)
	all := string(p.last.body)
	p.keys(s.ID)
	all += string(p.last.body)
	as(t, s.merchant.Key).carrier(s.carrier)
	get := func(path string) string {
		return string(api.call(t, request{method: http.MethodGet, path: path, key: s.merchant.Key}).body)
	}
	return all + get("/v1/carriers/"+s.carrier) + looksLeftOut.ReplaceAllString(get("/v1/shipments"), "") + get(webhooksPath) + get(webhooksPath+"/"+s.webhook+"/deliveries")
}

// intrusion is a request about another caller's resource, and the same request about a resource that does not exist. Their
// answers must not differ.
type intrusion struct {
	name            string
	foreign, absent request
	status          int // of both
}

// intrusions returns all ways in which a request to an operation can name another caller's resource.
func (o operation) intrusions(me caller, s somebody) []intrusion {
	var all []intrusion
	add := func(name string, status int, key string, header [][2]string, foreign, absent things) {
		in := intrusion{name: name, status: status, foreign: o.request(foreign), absent: o.request(absent)}
		if o.id != "registerShipments" { // whose body names the carrier
			in.absent.body = in.foreign.body
		}
		in.foreign.key, in.absent.key, in.foreign.header, in.absent.header = key, key, header, header
		all = append(all, in)
	}
	mine := me.things
	if s.partner.ID == me.partner.ID { // an account of the same partner: its ids are foreign only below my account
		if o.names("api_key_id") {
			foreign, absent := mine, mine
			foreign.key, absent.key = s.key, nobodysKey
			add("key below my account", http.StatusNotFound, me.partner.APIKey, nil, foreign, absent)
		}
	} else {
		theirs := func(change func(th *things, from things)) (foreign, absent things) {
			foreign, absent = mine, mine
			change(&foreign, s.things)
			change(&absent, absentThings)
			return foreign, absent
		}
		if o.names("account_id") {
			foreign, absent := theirs(func(th *things, from things) { th.account = from.account })
			add("account", http.StatusNotFound, me.partner.APIKey, nil, foreign, absent)
			foreign, absent = theirs(func(th *things, from things) { th.account, th.key = from.account, from.key })
			add("account and key", http.StatusNotFound, me.partner.APIKey, nil, foreign, absent)
			foreign.account, absent.account = "se-"+foreign.account, "se-"+absent.account
			add("account with prefix", http.StatusNotFound, me.partner.APIKey, nil, foreign, absent)
		}
		if o.names("api_key_id") {
			foreign, absent := theirs(func(th *things, from things) { th.key = from.key })
			add("key", http.StatusNotFound, me.partner.APIKey, nil, foreign, absent)
		}
		if strings.Contains(o.path, "{external_account_id}") {
			foreign, absent := theirs(func(th *things, from things) { th.external = from.external })
			add("external id", http.StatusNotFound, me.partner.APIKey, nil, foreign, absent)
		}
		if o.id == "listAccounts" {
			for name, query := range map[string][2]string{
				"filter": {"?external_account_id=" + url.QueryEscape(s.external), "?external_account_id=" + url.QueryEscape(s.twin())},
				"cursor": {"?cursor=" + url.QueryEscape(s.cursor), "?cursor=" + url.QueryEscape(me.forgedCursor())},
			} {
				status := map[string]int{"filter": http.StatusOK, "cursor": http.StatusBadRequest}[name]
				add(name, status, me.partner.APIKey, nil, mine, mine)
				in := &all[len(all)-1]
				in.foreign.path += query[0]
				in.absent.path += query[1]
			}
		}
	}
	if o.partner {
		if o.has("On-Behalf-Of") && s.partner.ID != me.partner.ID {
			add("on behalf of", http.StatusNotFound, me.partner.APIKey, behalf(s.account), mine, mine)
			all[len(all)-1].absent.header = behalf(nobody)
		}
		// A merchant key has no access to a partner route, whatever it asks for.
		add("merchant key, account", http.StatusForbidden, me.Key, nil, s.things, absentThings)
		add("merchant key, its own", http.StatusForbidden, me.Key, nil, mine, absentThings)
		return all
	}
	// The account that the request acts for.
	for _, key := range []struct{ name, key string }{{"partner", me.partner.APIKey}, {"merchant", me.Key}} {
		if key.name == "partner" && s.partner.ID == me.partner.ID {
			continue // may act for its own accounts
		}
		add(key.name+" on behalf of", http.StatusNotFound, key.key, behalf(s.account), s.things, s.things)
		all[len(all)-1].absent.header = behalf(nobody)
	}
	if o.has("carrier_id") && o.id != "listShipments" || o.id == "registerShipments" {
		foreign, absent := mine, mine
		foreign.carrier, absent.carrier = s.carrier, nobodyCarrier
		add("carrier", http.StatusNotFound, me.Key, nil, foreign, absent)
		add("carrier, partner", http.StatusNotFound, me.partner.APIKey, behalf(me.account), foreign, absent)
	}
	if o.names("event_id") {
		foreign, absent := mine, mine
		foreign.event, absent.event = s.event, nobodysEvent
		add("event", http.StatusNotFound, me.Key, nil, foreign, absent)
		add("event, partner", http.StatusNotFound, me.partner.APIKey, behalf(me.account), foreign, absent)
		if s.partner.ID != me.partner.ID {
			add("event of a partner", http.StatusNotFound, me.partner.APIKey, nil, foreign, absent)
		}
	}
	for _, param := range []string{"webhook_id", "delivery_id"} {
		if !o.names(param) {
			continue
		}
		foreign, absent := mine, mine
		if param == "webhook_id" {
			foreign.webhook, absent.webhook = s.webhook, nobodysHook
		} else {
			foreign.delivery, absent.delivery = s.delivery, nobodysEvent
		}
		add(param, http.StatusNotFound, me.Key, nil, foreign, absent)
		add(param+", partner", http.StatusNotFound, me.partner.APIKey, behalf(me.account), foreign, absent)
		// A partner has webhooks of its own; those of an account, its own account's too, are not among them.
		add(param+" of a partner", http.StatusNotFound, me.partner.APIKey, nil, foreign, absent)
	}
	if cursor := map[string]string{"listEvents": s.eventCursor, "listAuditLog": s.logCursor}[o.id]; cursor != "" {
		for name, header := range map[string][][2]string{"of all accounts": nil, "of my account": behalf(me.account)} {
			add("cursor "+name, http.StatusBadRequest, me.partner.APIKey, header, mine, mine)
			in := &all[len(all)-1]
			in.foreign.path += "?cursor=" + url.QueryEscape(cursor)
			in.absent.path += "?cursor=" + url.QueryEscape(me.forgedCursor())
		}
	}
	if o.id == "listShipments" {
		add("filter", http.StatusOK, me.Key, nil, mine, mine)
		in := &all[len(all)-1]
		in.foreign.path += "?carrier_id=" + url.QueryEscape(s.carrier)
		in.absent.path += "?carrier_id=" + url.QueryEscape(nobodyCarrier)
		add("cursor", http.StatusBadRequest, me.Key, nil, mine, mine)
		in = &all[len(all)-1]
		in.foreign.path += "?page_size=1&cursor=" + url.QueryEscape(s.parcelCursor)
		in.absent.path += "?page_size=1&cursor=" + url.QueryEscape(me.forgedCursor())
	}
	if o.id == "getCarrierHistory" {
		add("cursor", http.StatusBadRequest, me.Key, nil, mine, mine)
		in := &all[len(all)-1]
		in.foreign.path += "?cursor=" + url.QueryEscape(s.historyCursor)
		in.absent.path += "?cursor=" + url.QueryEscape(me.forgedCursor())
	}
	if o.id == "trackShipments" || o.id == "startTracking" {
		// By its code: a carrier that only they have linked.
		none := things{carrier: "NONE"}
		add("carrier by code", http.StatusNotFound, me.Key, nil, none, none)
		in := &all[len(all)-1]
		in.foreign.path = strings.Replace(in.foreign.path, "carrier_id=NONE", "carrier_code=startrack", 1)
		in.absent.path = in.foreign.path
	}
	return all
}

// forgedCursor returns an invalid cursor of the length of a valid one.
func (c caller) forgedCursor() string { return strings.Repeat("A", 90) }

// On every route, another caller's resources are treated as if they did not exist.
func TestTenancy(t *testing.T) {
	t.Parallel()
	me := newCaller(t, production)
	others := []somebody{
		newSomebody(t, "another partner", newCaller(t, otherProduction)), newSomebody(t, "a sandbox partner", newCaller(t, sandbox)),
		newSomebody(t, "a sibling", newCaller(t, production)),
	}
	before := map[string]string{}
	for _, s := range others {
		before[s.name] = s.state(t)
	}
	t.Run("matrix", func(t *testing.T) {
		for _, o := range operations() {
			for i, s := range others {
				if differs("is slow") && s.partner.ID == sandbox.ID {
					continue // another partner, like the first one
				}
				t.Run(o.id+" "+s.name, func(t *testing.T) {
					t.Parallel()
					for _, in := range o.intrusions(me, s) {
						foreign, absent := api.call(t, in.foreign), api.call(t, in.absent)
						foreignRequests.Add(1)
						if foreign.status != in.status {
							t.Errorf("%s: %d %s, want %d", in.name, foreign.status, foreign.body, in.status)
						}
						sent := func(text string) string {
							for _, echo := range []string{url.QueryEscape(s.external), url.QueryEscape(s.twin()), "carrier_id=" + s.carrier, "carrier_id=" + nobodyCarrier} {
								text = strings.ReplaceAll(text, echo, "ECHO")
							}
							return text
						}
						a, b := bare(absent), bare(foreign)
						a["body"], b["body"] = sent(a["body"]), sent(b["body"])
						if diff := cmp.Diff(a, b); diff != "" {
							leaks.Add(1)
							t.Errorf("%s: what nobody has (-) and what %s has (+):\n%s", in.name, s.name, diff)
						}
						s.leaks(t, in.name, b["body"], foreign)
					}
					if o.has("Idempotency-Key") && (!differs("is slow") || i == 0 && slices.Contains([]string{"createAccount", "linkCarrier", "updateCarrier"}, o.id)) {
						o.foreignIdempotency(t, s)
					}
				})
			}
		}
		// Their identifiers in bodies.
		for _, s := range others[:2] {
			t.Run("identifiers of "+s.name, func(t *testing.T) {
				t.Parallel()
				mine := newMerchant(t, production)
				for name, a := range map[string]answer{
					"create with their email":          create(t, production.APIKey, fields{"email": s.email}),
					"create or get with their email":   create(t, production.APIKey, fields{"email": s.email}, [2]string{"Prefer", "return=existing"}),
					"change to their email":            patch(t, production.APIKey, mine.ID, fields{"email": s.email}),
					"create or get with their id":      create(t, production.APIKey, fields{"external_account_id": s.external + s.name}, [2]string{"Prefer", "return=existing"}),
					"link the number of their carrier": api.call(t, request{method: http.MethodPost, path: linkPath("australia_post"), key: mine.Key, body: linkBody(s.number(t))}),
				} {
					foreignRequests.Add(1)
					// An email is unique within an environment, so only an account of the same environment blocks it.
					taken := strings.Contains(name, "email") && (s.partner.ID != sandbox.ID || name == "change to their email")
					if taken != (a.status == http.StatusConflict) {
						t.Errorf("%s: %d %s", name, a.status, a.body)
					}
					if a.status == http.StatusConflict {
						s.leaks(t, name, string(a.body), a)
					} else if bytes.Contains(a.body, []byte(s.account)) {
						leaks.Add(1)
						t.Errorf("%s: %s", name, a.body)
					}
				}
			})
		}
	})
	for _, s := range others {
		if diff := cmp.Diff(before[s.name], s.state(t)); diff != "" {
			t.Errorf("the resources of %s changed (-before +after):\n%s", s.name, diff)
		}
	}
	fmt.Fprintf(os.Stderr, "e2e tenancy: %d routes, %d requests about somebody else's things, %d leaks\n", len(operations()), foreignRequests.Load(), leaks.Load())
	if n := foreignRequests.Load(); n < 150 {
		t.Errorf("the matrix has only %d requests", n)
	}
}

// number reads the account number of somebody's connection.
func (s somebody) number(t *testing.T) string {
	t.Helper()
	return str(getItem(t, accountPK(s.ID), "CARRIER#"+s.carrier), "account_number")
}

// leaks searches an answer for somebody's texts.
func (s somebody) leaks(t *testing.T, name, body string, a answer) {
	t.Helper()
	all := body + fmt.Sprint(a.header)
	for _, mark := range s.marks {
		if strings.Contains(all, mark) {
			leaks.Add(1)
			t.Errorf("%s: the answer holds %q: %d %s %v", name, mark, a.status, body, a.header)
		}
	}
}

// foreignIdempotency checks that somebody's idempotency key is free for other callers.
func (o operation) foreignIdempotency(t *testing.T, s somebody) {
	t.Helper()
	theirs := newCaller(t, s.partner) // not s itself, which must not change
	mine := newCaller(t, production)
	header := [][2]string{{"Idempotency-Key", s.idempotency + o.id}}
	send := func(c caller) answer {
		r := o.request(c.things)
		r.header = header
		if r.key = c.Key; o.partner {
			r.key = c.partner.APIKey
		}
		switch o.id {
		case "createAccount":
			r.body = fields{"metadata": fields{"whose": c.account}} // the partner of a sibling account is the same caller
		case "replaceSettings":
			r.body = fields{"return_urls": []string{"https://shop.example/" + c.account}} // likewise
		}
		o.prepare(t, c)
		return api.call(t, r)
	}
	first, second := send(theirs), send(mine)
	foreignRequests.Add(1)
	sameCaller := o.partner && s.partner.ID == mine.partner.ID
	switch {
	case sameCaller:
		second.expect(t, http.StatusUnprocessableEntity, problem{"validation", "field_conflict", "Idempotency-Key", ""})
	case first.status >= 300 || second.status != first.status || second.header.Get("Idempotent-Replayed") != "":
		leaks.Add(1)
		t.Errorf("%s with somebody else's Idempotency-Key: %d %s, theirs %d %s", o.id, second.status, second.body, first.status, first.body)
	}
	for _, mark := range []string{theirs.account, theirs.carrier, theirs.Key, theirs.webhook} {
		if bytes.Contains(second.body, []byte(mark)) && !sameCaller {
			leaks.Add(1)
			t.Errorf("%s: the answer holds %q: %s", o.id, mark, second.body)
		}
	}
}
