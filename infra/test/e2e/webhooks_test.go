package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	gen "carrierlink/infra/test/client"
)

const webhooksPath = "/v1/environment/webhooks"

// quietEvent is an event that the tests make seldom, so that little is sent to quietURL.
const quietEvent = "carrier_rolled_back"

// quiet takes whatever is sent to it: retries would take the turns of others where one thread reads the delivery queue.
var quiet *httptest.Server

// quietURL returns a new URL of quiet.
func quietURL() string { return quiet.URL + "/" + uuid.NewString() }

// webhookPK is the partition of a webhook of an account.
func webhookPK(m merchant, id string) string {
	return fmt.Sprintf("WEBHOOK#%d#%d#%s", m.partner.ID, m.ID, id)
}

// putDelivery writes a delivery that has failed once, as deliver-webhook does.
func putDelivery(t *testing.T, m merchant, webhookID, eventID string) {
	t.Helper()
	at := num(time.Now().UnixMilli())
	it := itemKey(webhookPK(m, webhookID), "DELIVERY#"+eventID)
	attempt := item{"at": at, "http_status": num(500), "latency_ms": num(12), "failure": txt("The receiver has answered 500.")}
	maps.Copy(it, item{
		"type": txt("carrier_connected"), "event_owner": num(m.ID), "status": txt("failed"), "requested_at": at, "finished_at": at, "answer": txt("no"),
		"attempts":   &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberM{Value: attempt}}},
		"expires_at": num(time.Now().Add(time.Hour).Unix()),
	})
	if _, err := table().PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &service.TableName, Item: it}); err != nil {
		t.Fatal(err)
	}
}

var webhookConflict = problem{"business_rules", "webhook_event_type_conflict", "url", ""}

// hooks makes requests about the webhooks of a key.
type hooks struct {
	t      *testing.T
	key    string
	header [][2]string
}

func (h hooks) do(method, rest string, body any, header ...[2]string) answer {
	h.t.Helper()
	return api.call(h.t, request{method: method, path: webhooksPath + rest, key: h.key, body: body, header: slices.Concat(h.header, header)})
}

func (h hooks) create(body fields) gen.CreatedWebhook {
	h.t.Helper()
	a := h.do(http.MethodPost, "", body)
	a.expect(h.t, http.StatusOK)
	return decode[gen.CreatedWebhook](h.t, a)
}

func (h hooks) get(id string) gen.Webhook {
	h.t.Helper()
	a := h.do(http.MethodGet, "/"+id, nil)
	a.expect(h.t, http.StatusOK)
	return decode[gen.Webhook](h.t, a)
}

func (h hooks) list() []string {
	h.t.Helper()
	a := h.do(http.MethodGet, "", nil)
	a.expect(h.t, http.StatusOK)
	ids := []string{}
	for _, w := range decode[[]gen.Webhook](h.t, a) {
		ids = append(ids, w.WebhookId)
	}
	return ids
}

// A webhook from its creation to its deletion: a merchant's own, and a partner's.
func TestWebhookLife(t *testing.T) {
	t.Parallel()
	p := newPartner(t, "Webhooks")
	m := newMerchant(t, p)
	other := hooks{t, p.APIKey, behalf(m.ID)}
	for name, h := range map[string]hooks{"a merchant's": {t, m.Key, nil}, "a partner's": {t, p.APIKey, nil}} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			url := quietURL()
			made := h.create(fields{"url": url, "event": "carrier_connected", "name": "Links", "headers": []fields{{"key": "X-Shop", "value": "7"}}, "store_id": 17})
			if !strings.HasPrefix(made.Secret, "whsec_") || made.Url != url || made.Event != "carrier_connected" || *made.StoreId != 17 || made.Headers[0].Value != "7" || !made.Enabled {
				t.Fatalf("created: %+v", made)
			}
			id := "/" + made.WebhookId
			first := h.do(http.MethodGet, id, nil)
			first.expect(t, http.StatusOK)
			if strings.Contains(string(first.body), made.Secret) || !slices.Contains(h.list(), made.WebhookId) {
				t.Errorf("read: %s, listed: %q", first.body, h.list())
			}
			tag := first.header.Get("ETag")
			h.do(http.MethodGet, id, nil, [2]string{"If-None-Match", tag}).expect(t, http.StatusNotModified)
			h.do(http.MethodPost, "", fields{"url": url, "events": []string{"*"}}).expect(t, http.StatusConflict, webhookConflict)

			old := [2]string{"If-Match", tag}
			h.do(http.MethodPut, id, fields{"name": "Renamed", "events": []string{"carrier_rolled_back", "account_restored"}}, old).expect(t, http.StatusNoContent)
			changed := h.get(made.WebhookId)
			if *changed.Name != "Renamed" || fmt.Sprint(changed.Events) != "[account_restored carrier_rolled_back]" || changed.Url != url {
				t.Errorf("changed: %+v", changed)
			}
			h.do(http.MethodPut, id, fields{"name": "Late"}, old).expect(t, http.StatusPreconditionFailed, invalid("If-Match"))
			h.do(http.MethodDelete, id, nil, old).expect(t, http.StatusPreconditionFailed, invalid("If-Match"))
			second := h.create(fields{"url": quietURL(), "event": quietEvent})
			h.do(http.MethodPut, id, fields{"url": second.Url}).expect(t, http.StatusConflict, webhookConflict)

			for n := range 4 {
				a := h.do(http.MethodPost, id+"/rotate_secret", nil)
				a.expect(t, http.StatusOK)
				if next := decode[gen.RotatedWebhook](t, a); next.Secret == made.Secret || next.PreviousExpiresAt == "" {
					t.Errorf("rotation %d: %+v", n, next)
				}
			}
			h.do(http.MethodPost, id+"/rotate_secret", nil).expect(t, http.StatusConflict, state)

			h.do(http.MethodPost, id+"/test", nil).expect(t, http.StatusAccepted)
			since := fields{"created_at_start": "2026-01-01T00:00:00Z"}
			h.do(http.MethodPost, id+"/replay", since).expect(t, http.StatusAccepted)
			h.do(http.MethodGet, id+"/deliveries", nil).expect(t, http.StatusOK)
			h.do(http.MethodPut, id, fields{"enabled": false}).expect(t, http.StatusNoContent)
			if w := h.get(made.WebhookId); w.Enabled || w.DisabledAt == nil || *w.DisabledReason != "disabled_by_owner" {
				t.Errorf("disabled: %+v", w)
			}
			h.do(http.MethodPost, id+"/test", nil).expect(t, http.StatusConflict, state)
			h.do(http.MethodPost, id+"/replay", since).expect(t, http.StatusConflict, state)
			h.do(http.MethodPost, id+"/deliveries/"+nobodysEvent+"/replay", nil).expect(t, http.StatusConflict, state)
			h.do(http.MethodPut, id, fields{"enabled": true}).expect(t, http.StatusNoContent)

			h.do(http.MethodDelete, id, nil).expect(t, http.StatusNoContent)
			h.do(http.MethodGet, id, nil).expect(t, http.StatusNotFound, notFound)
			if diff := cmp.Diff([]string{second.WebhookId}, h.list()); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
		})
	}
	// The partner acts for its merchant; its own webhooks are others.
	if diff := cmp.Diff(hooks{t, m.Key, nil}.list(), other.list()); diff != "" {
		t.Errorf("on behalf of the account (-its own +the partner's):\n%s", diff)
	}
	var actions []string
	for _, e := range auditLog(t, m.Key, "") {
		if strings.HasPrefix(string(e.Action), "webhook_") {
			actions = append(actions, string(e.Action))
		}
	}
	want := []string{
		"webhook_created", "webhook_updated", "webhook_created", "webhook_secret_rotated", "webhook_secret_rotated", "webhook_secret_rotated", "webhook_secret_rotated",
		"webhook_test", "webhook_updated", "webhook_updated", "webhook_deleted",
	}
	if diff := cmp.Diff(want, actions); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
}

func TestTooManyWebhooks(t *testing.T) {
	t.Parallel()
	h := hooks{t, newMerchant(t, production).Key, nil}
	for range 20 {
		h.create(fields{"url": quietURL(), "event": quietEvent})
	}
	h.do(http.MethodPost, "", fields{"url": quietURL(), "event": quietEvent}).expect(t, http.StatusConflict, state)
	if ids := h.list(); len(ids) != 20 {
		t.Errorf("%d webhooks", len(ids))
	}
}

func TestWebhooksRefused(t *testing.T) {
	t.Parallel()
	h := hooks{t, newMerchant(t, production).Key, nil}
	for name, tc := range map[string]struct {
		body fields
		want problem
	}{
		"no url":                  {fields{"event": "*"}, required("url")},
		"no event":                {fields{"url": quietURL()}, required("event")},
		"http":                    {fields{"url": "http://hooks.shop.example", "event": "*"}, invalid("url")},
		"a private address":       {fields{"url": "https://10.1.2.3/x", "event": "*"}, invalid("url")},
		"the metadata service":    {fields{"url": "https://169.254.169.254/latest", "event": "*"}, invalid("url")},
		"a mapped address":        {fields{"url": "https://[::ffff:10.1.2.3]/", "event": "*"}, invalid("url")},
		"a password":              {fields{"url": "https://u:pw@hooks.shop.example", "event": "*"}, invalid("url")},
		"an event of ShipEngine":  {fields{"url": quietURL(), "event": "batch"}, invalid("event")},
		"a line break in headers": {fields{"url": quietURL(), "event": "*", "headers": []fields{{"key": "X", "value": "a\r\nHost: b"}}}, invalid("headers")},
		"a forbidden header":      {fields{"url": quietURL(), "event": "*", "headers": []fields{{"key": "webhook-signature", "value": "v1,x"}}}, invalid("headers")},
	} {
		t.Run(name, func(t *testing.T) {
			a := api.call(t, request{method: http.MethodPost, path: webhooksPath, key: h.key, body: tc.body, loose: true})
			a.expect(t, http.StatusBadRequest, tc.want)
		})
	}
	if ids := h.list(); len(ids) != 0 {
		t.Errorf("webhooks: %q", ids)
	}
}

// Other requests change the webhooks all the time, so that the service cannot write them.
func TestWebhooksBusy(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	h := hooks{t, m.Key, nil}
	w := h.create(fields{"url": quietURL(), "event": quietEvent})
	setItem(t, accountPK(m.ID), "LIST#WEBHOOKS", item{"version": nil})
	a := h.do(http.MethodDelete, "/"+w.WebhookId, nil)
	a.expect(t, http.StatusConflict, state)
	if a.header.Get("Retry-After") == "" {
		t.Errorf("header = %v", a.header)
	}
}

func TestDeliveryLog(t *testing.T) {
	t.Parallel()
	c := newCaller(t, production)
	h := hooks{t, c.Key, nil}
	rest := "/" + c.webhook + "/deliveries"
	a := h.do(http.MethodGet, rest+"?status=failed", nil)
	a.expect(t, http.StatusOK)
	page := decode[gen.DeliveriesPage](t, a)
	if len(page.Deliveries) != 1 || page.Deliveries[0].DeliveryId != c.event || *page.Deliveries[0].Attempts[0].HttpStatus != 500 || *page.Deliveries[0].Answer != "no" {
		t.Fatalf("deliveries: %s", a.body)
	}
	if one := h.do(http.MethodGet, rest+"/"+c.event, nil); one.status != http.StatusOK || !strings.Contains(string(a.body), strings.TrimSpace(string(one.body))) {
		t.Errorf("one delivery: %d %s, listed as %s", one.status, one.body, a.body)
	}
	queued := h.do(http.MethodPost, rest+"/"+c.event+"/replay", nil)
	queued.expect(t, http.StatusAccepted)
	if got := decode[gen.QueuedDelivery](t, queued).DeliveryId; got != c.event {
		t.Errorf("queued %s, want %s", got, c.event)
	}
	h.do(http.MethodGet, rest+"/"+nobodysEvent, nil).expect(t, http.StatusNotFound, notFound)
	h.do(http.MethodPost, rest+"/"+nobodysEvent+"/replay", nil).expect(t, http.StatusNotFound, notFound)
	h.do(http.MethodGet, rest+"?status=lost", nil).expect(t, http.StatusBadRequest, invalid("status"))
}
