package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	gen "carrierlink/infra/test/client"
	"carrierlink/shared/effects"
)

// walk reads a list to its end, as links.next.href leads, and returns the entries of each page.
func walk[P any](t *testing.T, key, path string, links func(P) gen.PageLinks) []P {
	t.Helper()
	var pages []P
	for path != "" {
		a := api.call(t, request{method: http.MethodGet, path: path, key: key})
		a.expect(t, http.StatusOK)
		page := decode[P](t, a)
		pages = append(pages, page)
		if path = ""; links(page).Next.Href != nil {
			path = *links(page).Next.Href
		}
		if len(pages) > 1000 {
			t.Fatal("the list has no end")
		}
	}
	return pages
}

// eventsOf reads all events of a list, the oldest first.
func eventsOf(t *testing.T, key, query string) []gen.Event {
	t.Helper()
	var all []gen.Event
	for _, page := range walk(t, key, "/v1/events?page_size=500&"+query, func(p gen.EventsPage) gen.PageLinks { return p.Links }) {
		all = append(all, page.Events...)
	}
	slices.Reverse(all)
	return all
}

// auditLog reads all entries of the audit log, the oldest first.
func auditLog(t *testing.T, key, query string) []gen.AuditEntry {
	t.Helper()
	var all []gen.AuditEntry
	for _, page := range walk(t, key, "/v1/audit_log?page_size=500&"+query, func(p gen.AuditLogPage) gen.PageLinks { return p.Links }) {
		all = append(all, page.Entries...)
	}
	slices.Reverse(all)
	return all
}

// data lets cmp look into the data of events.
var data = cmp.AllowUnexported(gen.Event_Data{}) // never changes

func kinds(all []gen.Event) []string {
	var names []string
	for _, e := range all {
		names = append(names, string(e.Event))
	}
	return names
}

// TestEvents follows an account from its creation to its deletion, and reads what is told of it.
func TestEvents(t *testing.T) {
	t.Parallel()
	m, partner := newMerchant(t, production), as(t, production.APIKey)
	number := ausPostNumber("00")
	c := link(t, m, "australia_post", number)
	check := func(story string) {
		t.Helper()
		post.play(number, func(w http.ResponseWriter, r *http.Request) { become(w, r, story) })
		read(t, m, c.CarrierID, "?refresh=true").expect(t, http.StatusOK)
	}
	check("50")
	check("11")
	check("12")
	post.play(number, healed)
	key, secret := newCredentials()
	change(t, m, "australia_post", c.CarrierID, fields{"api_key": key, "api_secret": secret, "nickname": "Till"}).expect(t, http.StatusOK)
	rollback(t, m, "australia_post", c.CarrierID).expect(t, http.StatusOK)
	unlink(t, m, c.CarrierID)
	api.call(t, request{method: http.MethodPatch, path: accountPath(m.ID), key: production.APIKey, body: fields{"company_name": "Kea"}}).expect(t, http.StatusOK)
	partner.disable(m.ID)
	partner.enable(m.ID)

	got := eventsOf(t, m.Key, "")
	want := []string{
		"account_created", "carrier_connected", "carrier_degraded", "carrier_account_changed", "carrier_recovered", "carrier_contract_expiring",
		"carrier_account_changed", "carrier_restricted", "carrier_credit_blocked", "carrier_updated", "carrier_account_changed", "carrier_recovered", "carrier_rolled_back",
		"carrier_disconnected", "account_updated", "account_disabled", "account_enabled",
	}
	if diff := cmp.Diff(want, kinds(got)); diff != "" {
		t.Fatalf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(got, eventsOf(t, production.APIKey, fmt.Sprint("account_id=", m.ID)), data); diff != "" {
		t.Errorf("the merchant's list (-) and its partner's (+):\n%s", diff)
	}
	ids := map[string]bool{}
	for _, e := range got {
		if ids[e.EventId] || e.AccountId == nil || *e.AccountId != m.ID {
			t.Errorf("event %+v is there twice, or another account's", e)
		}
		ids[e.EventId] = true
	}
	t.Run("in pages", func(t *testing.T) {
		t.Parallel()
		var walked []gen.Event
		for _, page := range walk(t, m.Key, "/v1/events?page_size=5", func(p gen.EventsPage) gen.PageLinks { return p.Links }) {
			walked = append(walked, page.Events...)
		}
		slices.Reverse(walked)
		if diff := cmp.Diff(got, walked, data); diff != "" {
			t.Errorf("at once (-) and in pages (+):\n%s", diff)
		}
	})
	t.Run("filtered", func(t *testing.T) {
		t.Parallel()
		filtered := eventsOf(t, m.Key, "event_type=carrier_degraded&event_type=carrier_recovered")
		if diff := cmp.Diff([]string{"carrier_degraded", "carrier_recovered", "carrier_recovered"}, kinds(filtered)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		from, until := url.QueryEscape(got[3].CreatedAt), url.QueryEscape(got[8].CreatedAt)
		if diff := cmp.Diff(got[3:9], eventsOf(t, m.Key, "created_at_start="+from+"&created_at_end="+until), data); diff != "" {
			t.Errorf("of a time (-want +got):\n%s", diff)
		}
	})
	t.Run("one", func(t *testing.T) {
		t.Parallel()
		for _, key := range []string{m.Key, production.APIKey} {
			a := api.call(t, request{method: http.MethodGet, path: "/v1/events/" + got[2].EventId, key: key})
			a.expect(t, http.StatusOK)
			if diff := cmp.Diff(got[2], decode[gen.Event](t, a), data); diff != "" {
				t.Errorf("one event (-listed +read):\n%s", diff)
			}
			again := api.call(t, request{
				method: http.MethodGet, path: "/v1/events/" + got[2].EventId, key: key, header: [][2]string{{"If-None-Match", a.header.Get("ETag")}},
			})
			again.expect(t, http.StatusNotModified)
		}
		stranger := newMerchant(t, otherProduction)
		for _, key := range []string{stranger.Key, otherProduction.APIKey, sandbox.APIKey} {
			api.call(t, request{method: http.MethodGet, path: "/v1/events/" + got[2].EventId, key: key}).expect(t, http.StatusNotFound, problem{"security", "not_found", "", ""})
		}
		if foreign := eventsOf(t, otherProduction.APIKey, fmt.Sprint("account_id=", m.ID)); len(foreign) > 0 {
			t.Errorf("another partner reads %v", kinds(foreign))
		}
	})
	t.Run("audit log", func(t *testing.T) {
		t.Parallel()
		read := func(e gen.AuditEntry) bool { return e.Action == gen.AuditActionSecretRead }
		all := auditLog(t, m.Key, "")
		entries := slices.DeleteFunc(slices.Clone(all), read)
		if reads := len(all) - len(entries); reads != 4 { // three live reads and the rollback
			t.Errorf("%d readings of the secret, want 4", reads)
		}
		if len(entries) != len(got) {
			t.Fatalf("%d entries of %d events", len(entries), len(got))
		}
		for i, e := range entries {
			byPartner := i == 0 || i >= 14
			if e.EntryId != got[i].EventId || string(e.Action) != string(got[i].Event) || e.At != got[i].CreatedAt || e.RequestId == nil || e.SourceIp == nil ||
				string(e.Actor.Type) != map[bool]string{true: "partner", false: "merchant"}[byPartner] || e.Actor.ApiKeyId == nil {
				t.Errorf("entry %d = %+v", i, e)
			}
		}
		if by := auditLog(t, m.Key, "actor=partner"); len(by) != 4 {
			t.Errorf("the partner's key made %d changes, want 4", len(by))
		}
		if by := auditLog(t, production.APIKey, fmt.Sprintf("account_id=%d&api_key_id=%d", m.ID, *entries[1].Actor.ApiKeyId)); len(by) != 17 {
			t.Errorf("the account's key made %d changes and readings of the secret, want 17", len(by))
		}
		eventually(t, time.Minute, "the partner's own entries are not listed", func() bool {
			return slices.ContainsFunc(auditLog(t, otherProduction.APIKey, "event_type=partner_created"), func(e gen.AuditEntry) bool {
				return e.AccountId == nil && string(e.Actor.Type) == "operator" && e.Actor.ApiKeyId == nil
			})
		})
	})
}

// everyEvent checks what the whole suite has left: each type of event, each in the form that the contract has of its data
// and none larger than an event may be.
func everyEvent(whole bool, items []item) error {
	var errs []error
	seen := map[effects.EventType]int{}
	for _, it := range items {
		if !strings.HasPrefix(str(it, "pk"), "EVENTS#") {
			continue
		}
		kind := effects.EventType(str(it, "type"))
		seen[kind]++
		if text := str(it, "data"); !slices.Contains(effects.AuditTypes(), kind) || !effects.IsEventID(str(it, "sk")) || !json.Valid([]byte(text)) || len(text) > effects.MaxEventData || str(it, "actor") == "" {
			errs = append(errs, fmt.Errorf("event %v", it))
		}
	}
	if !whole {
		return errors.Join(errs...)
	}
	for _, kind := range effects.AuditTypes() {
		if seen[kind] == 0 {
			errs = append(errs, fmt.Errorf("nothing has made the event %s", kind))
		}
	}
	return errors.Join(errs...)
}
