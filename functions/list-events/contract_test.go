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

	"github.com/getkin/kin-openapi/openapi3"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
	"carrierlink/shared/schedule"
	"carrierlink/shared/tracking"
	"carrierlink/shared/views"
	"carrierlink/shared/webhook"
)

// TestBodiesMatchTheContract makes events with the services, and compares each list with
// its schema and each event with its entry in webhooks.
func TestBodiesMatchTheContract(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("../../infra/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d := newFront(t)
	d.URL = "https://api.example.com"
	changeAccount(t, d)
	changeConnections(t, d)
	changeCarrier(t, d)
	track(t, d)
	changeWebhooks(t, d)

	var seen []string
	most := 0 // differences in an event
	for path, schema := range map[string]string{"/v1/events": "EventsPage", "/v1/audit_log": "AuditLogPage"} {
		var body map[string]any
		resp := d.ask("partner 5", path+"?page_size=500")
		if err := json.Unmarshal([]byte(resp.Body), &body); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%d %s, %v", resp.StatusCode, resp.Body, err)
		}
		if err := doc.Components.Schemas[schema].Value.VisitJSON(body); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		events, _ := body["events"].([]any)
		for _, e := range events {
			event, _ := e.(map[string]any)
			kind, _ := event["event"].(string)
			seen = append(seen, kind)
			if err := doc.Webhooks[kind].Post.RequestBody.Value.Content["application/json"].Schema.Value.VisitJSON(event); err != nil {
				t.Errorf("%v is no %s: %v", event, kind, err)
			}
			data, _ := event["data"].(map[string]any)
			changes, _ := data["changes"].([]any)
			most = max(most, len(changes))
		}
	}
	if got := d.ask("partner 5", "/v1/audit_log?event_type=secret_read"); !strings.Contains(got.Body, `"reason":"verify"`) || !strings.Contains(got.Body, `"day":"`) {
		t.Errorf("readings of secrets: %s", got.Body)
	}
	for _, kind := range effects.EventTypes() {
		if !slices.Contains(seen, string(kind)) {
			t.Errorf("no %s was made", kind)
		}
	}
	if most != connection.MaxDifferences {
		t.Errorf("an event has %d differences at most, want %d", most, connection.MaxDifferences)
	}
}

// track reports a parcel: the largest that an event has room for.
func track(t *testing.T, d *front) {
	t.Helper()
	shipment := tracking.Tracking{Number: "ZZ91000634011427", CarrierStatus: "In transit"}
	for i := range 100 {
		shipment.Events = append(shipment.Events, tracking.Event{At: d.Now().Add(-time.Duration(i) * time.Hour), Description: "Arrived at facility", Location: "ALEXANDRIA NSW"})
	}
	conn := connection.Connection{ID: "se-4821097365120984", Carrier: carrier.AustraliaPost}
	fx, err := effects.Effects{By: effects.By{Actor: effects.Schedule}}.With(rand.Reader, d.Now(), effects.Report{
		Type: effects.Track, PartnerID: 5, AccountID: 71, Subject: effects.TrackSubject("australia_post", shipment.Number),
		Data: views.NewTrackData(&conn, tracking.Answer{Tracking: &shipment, At: d.Now(), Live: true}, d.Now()),
	})
	if err == nil {
		err = d.Store.CreatePartner(t.Context(), account.Partner{ID: 999}, account.APIKey{ID: 999, PartnerID: 999, Hash: "track"}, fx, d.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// changeAccount makes each event of an account and its keys.
func changeAccount(t *testing.T, d *front) {
	t.Helper()
	ctx, by := t.Context(), effects.By{Actor: effects.Partner, KeyID: 3, PartnerID: 5}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		d.Pass(time.Second)
	}
	made, err := d.Accounts.Create(ctx, account.Creation{Partner: account.Partner{ID: 5, Environment: carrier.Production, DefaultCountryCode: "AU"}}, effects.MadeBy[*account.Created](by))
	ok(err)
	read := func() account.Account {
		t.Helper()
		a, err := d.Store.Account(ctx, made.Account.ID, d.Now())
		ok(err)
		return a
	}
	_, err = d.Accounts.Change(ctx, account.Change{Account: read(), Edit: func(a *account.Account) error {
		a.CompanyName, a.Metadata = "Kea", map[string]string{"plan": "gold"}
		return nil
	}}, effects.MadeBy[*account.Account](by))
	ok(err)
	a := read()
	key, err := d.Accounts.IssueKey(ctx, &a, account.KeyInput{Scopes: []account.Scope{account.ScopeRead}, ExpiresAt: d.Now().Add(time.Hour)}, effects.MadeBy[*account.IssuedKey](by))
	ok(err)
	rotated, err := d.Accounts.RotateKey(ctx, &key.APIKey, time.Minute, effects.MadeBy[*account.Rotated](by))
	ok(err)
	ok(d.Accounts.DeleteKey(ctx, &rotated.Key.APIKey, effects.Effects{By: by}))
	ending, err := d.Accounts.IssueKey(ctx, &a, account.KeyInput{ExpiresAt: d.Now().Add(25 * time.Hour)}, effects.MadeBy[*account.IssuedKey](by))
	ok(err)
	d.Pass(time.Hour)
	_, err = d.Accounts.ReportExpiring(ctx, 10)
	ok(err)
	ok(d.Accounts.DeleteKey(ctx, &ending.APIKey, effects.Effects{By: by}))
	ok(d.Accounts.Disable(ctx, read(), false, effects.Effects{By: by}))
	ok(d.Accounts.Enable(ctx, read(), false, effects.Effects{By: by}))
	ok(d.Accounts.Delete(ctx, read(), false, 7, effects.Effects{By: by}))
	ok(d.Accounts.Restore(ctx, read(), false, effects.Effects{By: by}))
	operator := effects.By{Actor: effects.Operator, Operator: "jo@example.com"}
	_, err = d.Accounts.IssuePartnerKey(ctx, 5, account.KeyInput{Description: "Second"}, operator)
	ok(err)
}

// changeWebhooks makes each event of a webhook, and each entry of the audit log, of an account
// and of a partner.
func changeWebhooks(t *testing.T, d *front) {
	t.Helper()
	ctx, by := t.Context(), effects.By{Actor: effects.Partner, KeyID: 3, PartnerID: 5}
	hooks := &webhook.Service{Store: d.Store, Sealer: d.Sealer(), Log: d.Store, Now: d.Now, Random: rand.Reader}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		d.Pass(time.Second)
	}
	for _, owner := range []webhook.Owner{{PartnerID: 5, AccountID: 71}, {PartnerID: 5}} {
		made, err := hooks.Create(ctx, owner, webhook.Input{URL: "https://hooks.shop.example:8443/x", Events: []effects.EventType{webhook.AllEvents}}, effects.MadeBy[*webhook.Created](by))
		ok(err)
		ref, on := webhook.Ref{Owner: owner, ID: made.Webhook.ID}, true
		ok(hooks.Change(ctx, ref, webhook.Input{Name: "Links", Events: []effects.EventType{effects.CarrierUpdated}}, nil, effects.Effects{By: by}))
		_, err = hooks.RotateSecret(ctx, ref, effects.MadeBy[*webhook.Created](by))
		ok(err)
		ok(hooks.Test(ctx, ref, effects.MadeBy[string](by)))
		if owner.AccountID != 0 {
			for _, reason := range []webhook.Reason{webhook.Gone, webhook.Failing} {
				w, err := hooks.Get(ctx, ref)
				ok(err)
				_, err = hooks.Disable(ctx, ref, w.ModifiedAt, reason, d.Now())
				ok(err)
				ok(hooks.Change(ctx, ref, webhook.Input{Enabled: &on}, nil, effects.Effects{By: by}))
			}
		}
		ok(hooks.Delete(ctx, ref, nil, effects.Effects{By: by}))
	}
}

// changeConnections makes each event of a connection.
func changeConnections(t *testing.T, d *front) {
	t.Helper()
	ctx, by := t.Context(), effects.By{Actor: effects.Merchant, KeyID: 4, PartnerID: 5, AccountID: 71}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		d.Pass(time.Minute)
	}
	// The last digits of a number are what the simulator says about the account.
	charge := func(number string) connection.ChargeAccount {
		return connection.ChargeAccount{
			Carrier: carrier.AustraliaPost, Number: number, Credentials: functiontest.Credentials(functiontest.APIKey, functiontest.APISecret),
		}
	}
	link := func(number string) connection.Connection {
		t.Helper()
		a, err := d.Store.Account(ctx, 71, d.Now())
		ok(err)
		c, err := d.Connections.Link(ctx, connection.LinkRequest{
			Account: a, Nickname: "Main", RefreshPolicy: connection.RefreshDaily, Effects: effects.MadeBy[*connection.Connection](by),
			ChargeAccount: charge(number),
		})
		ok(err)
		return *c
	}
	expiring, blocked, main := link("0000123411"), link("0000123412"), link(functiontest.Number)
	said := func(number string) *connection.Reading {
		r := d.Carrier.Real.GetAccount(ctx, charge(number), 1)
		return &r
	}
	check := func(c connection.Connection, answer *connection.Reading) { // nil: what the simulator says
		t.Helper()
		d.Carrier.Reading = answer
		_, err := d.Connections.Check(ctx, d.Row(c.ID), connection.TriggerManual, health.Breaker{}, by, effects.MadeBy[connection.Checked](by))
		ok(err)
		d.Carrier.Reading = nil
	}
	check(main, said("0000123450")) // the carrier is down
	check(main, nil)                // and up again
	check(main, said("0000123410")) // another contract, which has expired
	check(main, nil)                // the first one
	many := said(functiontest.Number)
	for i := range connection.MaxDifferences {
		many.Raw = fmt.Appendf(nil, `{"new_%d":1,%s`, i, many.Raw[1:])
	}
	check(main, many)
	d.Pass(time.Hour)
	change := func(c connection.ChangeRequest) {
		t.Helper()
		c.Connection, c.By, c.Effects = d.Row(main.ID), by, effects.MadeBy[*connection.Connection](by)
		_, err := d.Connections.Change(ctx, c)
		ok(err)
	}
	change(connection.ChangeRequest{Edit: func(c *connection.Connection) { c.Nickname = "Till" }})
	fresh := functiontest.Credentials("0b9d7c5e-1a2b-4c3d-8e4f-5a6b7c8d9e0f", functiontest.APISecret)
	change(connection.ChangeRequest{Credentials: &fresh, Edit: func(*connection.Connection) {}})
	_, err := d.Connections.Rollback(ctx, d.Row(main.ID), false, by, effects.MadeBy[*connection.Connection](by))
	ok(err)
	for range 2 { // refused twice, and others are not
		check(main, said("0000123440"))
		check(expiring, nil)
		d.Pass(time.Hour)
	}
	for range 2 { // by the schedule, on two days
		d.Pass(27 * time.Hour) // a day, with its jitter
		_, err := d.Connections.Refresh(ctx, connection.Due{AccountID: 71, ConnectionID: expiring.ID}, health.Breaker{})
		ok(err)
	}
	ok(d.Connections.Unlink(ctx, d.Row(blocked.ID), false, effects.MadeBy[*connection.Connection](by)))
}

// changeCarrier makes each event of a carrier.
func changeCarrier(t *testing.T, d *front) {
	t.Helper()
	nothingDue := schedule.Traffic{Queue: fullQueue{}, PerMinute: 1}
	dispatcher := schedule.Dispatcher{Store: d.Store, Timing: health.Timing{Speed: 1}, Now: d.Now, Window: time.Minute, Production: nothingDue, Sandbox: nothingDue}
	b := health.Breaker{Carrier: carrier.StarTrack}
	for _, next := range []func(health.Breaker) health.Breaker{
		func(b health.Breaker) health.Breaker { return b.Opened("forbidden", d.Now(), dispatcher.Timing) },
		func(b health.Breaker) health.Breaker { return b.Closed(d.Now()) },
	} {
		b = next(b)
		if err := d.Store.SaveBreaker(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		d.Pass(time.Minute)
		if p, err := dispatcher.RunPass(t.Context()); err != nil || p.Told != 2 {
			t.Fatalf("the pass told %d partners, want 2; %v", p.Told, err)
		}
		breakers, err := d.Store.Breakers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b = breakers[carrier.StarTrack]
	}
}

// fullQueue takes no message.
type fullQueue struct{}

// Backlog returns more than a pass may add to.
func (fullQueue) Backlog(context.Context) (int, error) { return 1_000_000, nil }

// Send is never called.
func (fullQueue) Send(context.Context, []schedule.Delayed) error {
	return errors.New("the queue is full")
}
