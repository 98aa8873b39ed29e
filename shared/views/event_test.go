package views_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/effects"
	"carrierlink/shared/views"
)

// contract is infra/openapi.yaml, valid with its examples.
func contract(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("../../infra/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestContractHasEveryEvent: each type that is sent has an entry in webhooks, with an example
// of its own, and the enumerations have all types in their order.
func TestContractHasEveryEvent(t *testing.T) {
	doc := contract(t)
	for schema, want := range map[string]string{
		"EventType": fmt.Sprint(effects.EventTypes()), "AuditAction": fmt.Sprint(effects.AuditTypes()), "ActorType": fmt.Sprint(effects.Actors()),
	} {
		if diff := cmp.Diff(want, fmt.Sprint(doc.Components.Schemas[schema].Value.Enum)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", schema, diff)
		}
	}
	sent := append(effects.EventTypes(), effects.WebhookTest)
	for name, item := range doc.Webhooks {
		if !slices.Contains(sent, effects.EventType(name)) {
			t.Errorf("webhooks has %s, which is no event", name)
		}
		if len(item.Operations()) != 1 || item.Post == nil {
			t.Errorf("%s is no POST", name)
		}
	}
	for _, kind := range sent {
		item := doc.Webhooks[string(kind)]
		if item == nil {
			t.Errorf("webhooks lacks %s", kind)
			continue
		}
		media := item.Post.RequestBody.Value.Content["application/json"]
		example, _ := media.Example.(map[string]any)
		if example["event"] != string(kind) {
			t.Errorf("the example of %s is %v", kind, example)
		}
		if id, _ := example["event_id"].(string); !effects.IsEventID(id) {
			t.Errorf("the example of %s has the id %q", kind, id)
		}
		for _, other := range sent {
			if other != kind && doc.Webhooks[string(other)] != nil && doc.Webhooks[string(other)].Post.RequestBody.Value.Content["application/json"].Schema.Value.VisitJSON(example) == nil {
				t.Errorf("the example of %s is one of %s, too", kind, other)
			}
		}
	}
}

func TestEvent(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	address := func(path string) string { return "https://api.example.com" + path }
	for _, tc := range []struct {
		name     string
		event    effects.Event
		external string
		want     string
	}{
		{
			"of an account",
			effects.Event{ID: "se-0", Type: effects.AccountEnabled, PartnerID: 5, AccountID: 71, Subject: "account", At: at, Data: []byte("{}")},
			"",
			`{"event_id":"se-0","event":"account_enabled","created_at":"2026-03-01T00:00:00.000Z","account_id":71,"external_account_id":null,` +
				`"resource_url":"https://api.example.com/v1/partners/accounts/71","data":{}}`,
		},
		{
			"of a key",
			effects.Event{ID: "se-0", Type: effects.APIKeyDeleted, AccountID: 71, Subject: "api_key 17", At: at, Data: []byte(`{"api_key_id":17}`)},
			"shop",
			`{"event_id":"se-0","event":"api_key_deleted","created_at":"2026-03-01T00:00:00.000Z","account_id":71,"external_account_id":"shop",` +
				`"resource_url":"https://api.example.com/v1/partners/accounts/71","data":{"api_key_id":17}}`,
		},
		{
			"of a connection",
			effects.Event{ID: "se-0", Type: effects.CarrierDegraded, AccountID: 71, Subject: "se-17", At: at, Data: []byte(`{"carrier_id":"se-17"}`)},
			"",
			`{"event_id":"se-0","event":"carrier_degraded","created_at":"2026-03-01T00:00:00.000Z","account_id":71,"external_account_id":null,` +
				`"resource_url":"https://api.example.com/v1/carriers/se-17","data":{"carrier_id":"se-17"}}`,
		},
		{
			"of a carrier",
			effects.Event{ID: "se-0", Type: effects.CarrierOutageBegan, PartnerID: 5, Subject: "carrier startrack", At: at, Data: []byte(`{"carrier_code":"startrack"}`)},
			"",
			`{"event_id":"se-0","event":"carrier_outage_began","created_at":"2026-03-01T00:00:00.000Z","account_id":null,"external_account_id":null,` +
				`"resource_url":"https://api.example.com/v1/carriers/status","data":{"carrier_code":"startrack"}}`,
		},
		{
			"of a webhook",
			effects.Event{ID: "se-0", Type: effects.WebhookDisabled, AccountID: 71, Subject: "webhook se-17", At: at, Data: []byte(`{"webhook_id":"se-17"}`)},
			"",
			`{"event_id":"se-0","event":"webhook_disabled","created_at":"2026-03-01T00:00:00.000Z","account_id":71,"external_account_id":null,` +
				`"resource_url":"https://api.example.com/v1/environment/webhooks/se-17","data":{"webhook_id":"se-17"}}`,
		},
		{
			"ShipEngine's",
			effects.Event{ID: "se-0", Type: effects.CarrierConnected, AccountID: 71, Subject: "se-17", At: at, Data: []byte("{}")},
			"",
			`{"event_id":"se-0","event":"carrier_connected","created_at":"2026-03-01T00:00:00.000Z","account_id":71,"external_account_id":null,` +
				`"resource_url":"https://api.example.com/v1/carriers/se-17","resource_type":"API_CARRIER_CONNECTED","data":{}}`,
		},
		{
			"of a parcel",
			effects.Event{ID: "se-0", Type: effects.Track, AccountID: 71, Subject: effects.TrackSubject("australia_post", "ZZ91"), At: at, Data: []byte("{}")},
			"",
			`{"event_id":"se-0","event":"track","created_at":"2026-03-01T00:00:00.000Z","account_id":71,"external_account_id":null,` +
				`"resource_url":"https://api.example.com/v1/tracking?carrier_code=australia_post\u0026tracking_number=ZZ91","resource_type":"API_TRACK","data":{}}`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			body := views.NewEvent(tc.event, tc.external, address)
			if diff := cmp.Diff(tc.want, encoded(t, body)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			other := body
			other.ExternalAccountID = new(string)
			if body.ETag() == other.ETag() || body.ETag() != views.NewEvent(tc.event, tc.external, address).ETag() {
				t.Errorf("ETags %s and %s", body.ETag(), other.ETag())
			}
		})
	}
}
