package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// deliveredWithin is how long an event may take from its change to its receiver, on a busy machine: that of a replay waits
// for the schedule, which looks for due webhooks once a minute.
const deliveredWithin = checkWithin

// silent is the log of servers that tests abuse.
var silent = log.New(io.Discard, "", 0)

// hook is a webhook with its receiver on loopback.
type hook struct {
	ID, Secret string

	key    string
	server *httptest.Server
	mu     sync.Mutex
	got    []arrival
}

// arrival is a request that a receiver got.
type arrival struct {
	id, event, subject string
	header             http.Header
	body               []byte
}

// hookBody is the answer to the creation of a webhook, and to a read.
type hookBody struct {
	WebhookID         string  `json:"webhook_id"`
	Secret            string  `json:"secret"`
	Enabled           bool    `json:"enabled"`
	DisabledReason    *string `json:"disabled_reason"`
	PreviousExpiresAt string  `json:"previous_expires_at"`
}

type deliveryBody struct {
	DeliveryID    string  `json:"delivery_id"`
	Event         string  `json:"event"`
	Status        string  `json:"status"`
	NextAttemptAt *string `json:"next_attempt_at"`
	FinishedAt    *string `json:"finished_at"`
	Attempts      []struct {
		HTTPStatus *int    `json:"http_status"`
		LatencyMS  int64   `json:"latency_ms"`
		Failure    *string `json:"failure"`
	} `json:"attempts"`
	Answer *string `json:"answer"`
}

// newHook starts a receiver and creates its webhook, which by default gets all events of the account of the key. The
// receiver answers what answer does, 204 without one; n counts its requests from 1. The caller removes the webhook.
func newHook(t *testing.T, key string, body fields, answer func(n int, w http.ResponseWriter, r *http.Request)) *hook {
	t.Helper()
	h := &hook{key: key}
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := h.note(t, r)
		if answer != nil {
			answer(n, w, r)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	h.create(t, fields{"url": h.server.URL + "/hook", "events": []string{"*"}}, body)
	return h
}

func (h *hook) create(t *testing.T, body, changes fields) {
	t.Helper()
	maps.Copy(body, changes)
	a := h.change(t, request{method: http.MethodPost, path: hooksPath, key: h.key, body: body})
	a.expect(t, http.StatusOK)
	made := decode[hookBody](t, a)
	h.ID, h.Secret = made.WebhookID, made.Secret
}

// change sends a change, again while others change the same owner's webhooks at that moment: tests that run beside one
// another share an account.
func (h *hook) change(t *testing.T, r request) answer {
	t.Helper()
	for n := 1; ; n++ {
		if a := api.call(t, r); a.status != http.StatusConflict || a.header.Get("Retry-After") == "" || n == 20 {
			return a
		}
	}
}

func (h *hook) path() string { return hooksPath + "/" + h.ID }

// remove deletes the webhook and ends its receiver.
func (h *hook) remove(t *testing.T) {
	t.Helper()
	h.change(t, request{method: http.MethodDelete, path: h.path(), key: h.key}).expect(t, http.StatusNoContent)
	if h.server != nil {
		h.server.CloseClientConnections()
		h.server.Close()
	}
}

// note records a request, and returns how many there were.
func (h *hook) note(t *testing.T, r *http.Request) int {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Errorf("reading a delivery: %v", err)
	}
	var event struct {
		Event       string `json:"event"`
		ResourceURL string `json:"resource_url"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		t.Errorf("a delivery has the body %.300s", body)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, arrival{r.Header.Get("Webhook-Id"), event.Event, event.ResourceURL, r.Header.Clone(), body})
	return len(h.got)
}

// arrivals returns the requests of some types of events, of all without any.
func (h *hook) arrivals(events ...string) (found []arrival) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.got {
		if len(events) == 0 || slices.Contains(events, a.event) {
			found = append(found, a)
		}
	}
	return found
}

// await waits for the n-th request of a type.
func (h *hook) await(t *testing.T, event string, n int) arrival {
	t.Helper()
	waitFor(t, deliveredWithin, func() string {
		if got := h.arrivals(event); len(got) < n {
			return fmt.Sprintf("the receiver got %d %s, want %d", len(got), event, n)
		}
		return ""
	})
	return h.arrivals(event)[n-1]
}

// test has a test event sent, and returns the id of its delivery.
func (h *hook) test(t *testing.T) string {
	t.Helper()
	a := api.call(t, request{method: http.MethodPost, path: h.path() + "/test", key: h.key})
	a.expect(t, http.StatusAccepted)
	return decode[deliveryBody](t, a).DeliveryID
}

// delivery reads the log until a delivery is as it should be.
func (h *hook) delivery(t *testing.T, id string, within time.Duration, done func(deliveryBody) bool) deliveryBody {
	t.Helper()
	var last deliveryBody
	waitFor(t, within, func() string {
		a := api.call(t, request{method: http.MethodGet, path: h.path() + "/deliveries/" + id, key: h.key})
		if a.status == http.StatusNotFound {
			return "the log has no delivery " + id
		}
		a.expect(t, http.StatusOK)
		if last = decode[deliveryBody](t, a); !done(last) {
			return fmt.Sprintf("the delivery is %s", a.body)
		}
		return ""
	})
	return last
}

func isDelivered(d deliveryBody) bool { return d.Status == "delivered" }

// verifies checks a request with the library of Standard Webhooks and each of some secrets.
func (a arrival) verifies(t *testing.T, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		v, err := standardwebhooks.NewWebhook(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Verify(a.body, a.header); err != nil {
			t.Errorf("%s %s: %v", a.event, a.id, err)
		}
	}
}

// TestDeliveries: an event, a test, replays and what the log has of them.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	const canary = "Bearer hook-canary-5d1f"
	api.secrets.add(canary)
	var secret string
	h := newHook(t, m.Key, fields{"events": []string{"carrier_connected"}, "headers": []fields{{"key": "X-Shop", "value": canary}}},
		func(_ int, w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "thanks for %s, it is %s and %s", r.Header.Get("X-Shop"), secret, m.Key)
		})
	defer h.remove(t)
	secret = h.Secret
	c := link(t, m, "australia_post", ausPostNumber("00"))
	first := h.await(t, "carrier_connected", 1)
	first.verifies(t, h.Secret)
	if first.header.Get("X-Shop") != canary || first.header.Get("Content-Type") != "application/json" || first.header.Get("User-Agent") == "" {
		t.Errorf("the header is %v", first.header)
	}
	read := api.call(t, request{method: http.MethodGet, path: "/v1/events/" + first.id, key: m.Key})
	read.expect(t, http.StatusOK)
	if diff := cmp.Diff(decode[map[string]any](t, read), decode[map[string]any](t, answer{body: first.body})); diff != "" {
		t.Errorf("the event as it is read (-) and delivered (+):\n%s", diff)
	}
	d := h.delivery(t, first.id, deliveredWithin, isDelivered)
	if len(d.Attempts) != 1 || *d.Attempts[0].HTTPStatus != http.StatusOK || d.Attempts[0].Failure != nil || d.FinishedAt == nil || d.NextAttemptAt != nil || d.Event != "carrier_connected" {
		t.Errorf("the delivery is %+v", d)
	}
	if d.Answer == nil || *d.Answer != "thanks for REDACTED, it is REDACTED and REDACTED" {
		t.Errorf("the answer is %q, want it with REDACTED", *d.Answer)
	}

	t.Run("test", func(t *testing.T) {
		id := h.test(t)
		if got := h.await(t, "webhook_test", 1); got.id != id {
			t.Errorf("the test is %s, want %s", got.id, id)
		}
		h.delivery(t, id, deliveredWithin, isDelivered)
		unlink(t, m, c.CarrierID) // not wanted
	})
	t.Run("replayed", func(t *testing.T) {
		api.call(t, request{method: http.MethodPost, path: h.path() + "/deliveries/" + first.id + "/replay", key: m.Key}).expect(t, http.StatusAccepted)
		again := h.await(t, "carrier_connected", 2)
		if again.id != first.id || string(again.body) != string(first.body) {
			t.Errorf("replayed %s %s, want %s %s", again.id, again.body, first.id, first.body)
		}
		again.verifies(t, h.Secret)
	})
	t.Run("span replayed", func(t *testing.T) {
		h.delivery(t, first.id, deliveredWithin, isDelivered)
		from := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
		for _, tc := range []struct {
			delivered bool
			want      int
		}{{false, 0}, {true, 2}} { // the test is one of them
			a := api.call(t, request{method: http.MethodPost, path: h.path() + "/replay", key: m.Key, body: fields{"created_at_start": from, "include_delivered": tc.delivered}})
			a.expect(t, http.StatusAccepted)
			if got := decode[struct {
				Queued int `json:"queued"`
			}](t, a).Queued; got != tc.want {
				t.Errorf("replayed %d events, include_delivered %t, want %d", got, tc.delivered, tc.want)
			}
		}
		if third := h.await(t, "carrier_connected", 3); third.id != first.id {
			t.Errorf("replayed %s, want %s", third.id, first.id)
		}
	})
	t.Run("listed", func(t *testing.T) {
		type page struct {
			Deliveries []deliveryBody `json:"deliveries"`
		}
		for query, want := range map[string][]string{
			"": {"webhook_test", "carrier_connected"}, "?status=failed&status=retrying": {},
			"?status=delivered&created_at_end=" + url.QueryEscape(time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)): {},
		} {
			waitFor(t, deliveredWithin, func() string {
				a := api.call(t, request{method: http.MethodGet, path: h.path() + "/deliveries" + query, key: m.Key})
				a.expect(t, http.StatusOK)
				got := []string{}
				for _, d := range decode[page](t, a).Deliveries {
					got = append(got, d.Event)
				}
				return cmp.Diff(want, got)
			})
		}
	})
	if all := h.arrivals("carrier_disconnected"); len(all) > 0 {
		t.Errorf("the receiver got %v, which it does not want", all)
	}
}

// TestDeliveriesOfOthers: a webhook of an account hears that account, and nothing of its partner's other accounts or of
// another partner's.
func TestDeliveriesOfOthers(t *testing.T) {
	t.Parallel()
	all := []merchant{newMerchant(t, production), newMerchant(t, production), newMerchant(t, otherProduction)}
	hooks := make([]*hook, len(all))
	for i, m := range all {
		hooks[i] = newHook(t, m.Key, nil, nil)
		defer hooks[i].remove(t)
	}
	for _, m := range all {
		link(t, m, "startrack", starTrackNumber("00"))
	}
	for i, m := range all {
		hooks[i].await(t, "carrier_connected", 1)
		for _, a := range hooks[i].arrivals() {
			var body struct {
				AccountID int64 `json:"account_id"`
			}
			if err := json.Unmarshal(a.body, &body); err != nil || body.AccountID != m.ID {
				t.Errorf("the webhook of account %d got %s", m.ID, a.body)
			}
			a.verifies(t, hooks[i].Secret)
		}
	}
	// Nor can they read one another's log.
	id := hooks[0].arrivals("carrier_connected")[0].id
	for _, m := range all[1:] {
		api.call(t, request{method: http.MethodGet, path: hooks[0].path() + "/deliveries/" + id, key: m.Key}).expect(t, http.StatusNotFound, notFound)
		api.call(t, request{method: http.MethodPost, path: hooks[0].path() + "/test", key: m.Key}).expect(t, http.StatusNotFound, notFound)
	}
}

// TestSecretRotation: a secret that was replaced signs for a day more, beside the new one, twice in an hour as well.
func TestSecretRotation(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, sandbox)
	h := newHook(t, m.Key, nil, nil)
	defer h.remove(t)
	secrets := []string{h.Secret}
	for n := 1; n <= 3; n++ {
		h.test(t)
		got := h.await(t, "webhook_test", n)
		got.verifies(t, secrets...)
		if signatures := strings.Fields(got.header.Get("Webhook-Signature")); len(signatures) != n {
			t.Errorf("%d signatures after %d rotations, want %d", len(signatures), n-1, n)
		}
		a := api.call(t, request{method: http.MethodPost, path: h.path() + "/rotate_secret", key: m.Key})
		a.expect(t, http.StatusOK)
		made := decode[hookBody](t, a)
		if ends, err := time.Parse(time.RFC3339, made.PreviousExpiresAt); err != nil || time.Until(ends) < 23*time.Hour || time.Until(ends) > 24*time.Hour {
			t.Errorf("previous_expires_at is %q, want a day from now", made.PreviousExpiresAt)
		}
		if slices.Contains(secrets, made.Secret) {
			t.Error("the secret is not new")
		}
		secrets = append(secrets, made.Secret)
	}
}

// TestReceiverIsGone: a 410 disables the webhook, which is an event. Once it is enabled again, it gets what is new.
func TestReceiverIsGone(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	h := newHook(t, m.Key, fields{"events": []string{"carrier_connected"}}, func(n int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(map[bool]int{true: http.StatusGone, false: http.StatusNoContent}[n == 1])
	})
	defer h.remove(t)
	id := h.test(t)
	d := h.delivery(t, id, deliveredWithin, func(d deliveryBody) bool { return d.Status == "failed" })
	if len(d.Attempts) != 1 || *d.Attempts[0].HTTPStatus != http.StatusGone || d.NextAttemptAt != nil {
		t.Errorf("the delivery is %+v", d)
	}
	a := api.call(t, request{method: http.MethodGet, path: h.path(), key: m.Key})
	a.expect(t, http.StatusOK)
	if got := decode[hookBody](t, a); got.Enabled || got.DisabledReason == nil || *got.DisabledReason != "gone" {
		t.Errorf("the webhook is %s, want it disabled", a.body)
	}
	if all := eventsOf(t, m.Key, "event_type=webhook_disabled"); len(all) != 1 || !strings.HasSuffix(all[0].ResourceUrl, h.path()) {
		t.Errorf("%d events webhook_disabled, want one of it", len(all))
	}
	state := problem{"business_rules", "invalid_status", "", ""}
	api.call(t, request{method: http.MethodPost, path: h.path() + "/test", key: m.Key}).expect(t, http.StatusConflict, state)
	other := newHook(t, m.Key, fields{"events": []string{"carrier_connected"}}, nil)
	defer other.remove(t)
	link(t, m, "australia_post", ausPostNumber("00"))
	other.await(t, "carrier_connected", 1) // so the event is delivered to whom it was meant for
	api.call(t, request{method: http.MethodPut, path: h.path(), key: m.Key, body: fields{"enabled": true}}).expect(t, http.StatusNoContent)
	c := link(t, m, "australia_post", ausPostNumber("00"))
	if got := h.await(t, "carrier_connected", 1); !strings.HasSuffix(got.subject, c.CarrierID) {
		t.Errorf("the receiver got the event of %s, want that of %s: the other happened while it was disabled", got.subject, c.CarrierID)
	}
}

// TestReceiverFails: what follows a failed event of the same connection waits for it, and other connections do not.
func TestReceiverFails(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	var once sync.Once
	// Not all events: that of the account's creation may be late, and come to the new webhook first.
	h := newHook(t, m.Key, fields{"events": []string{"carrier_connected", "carrier_disconnected"}}, func(_ int, w http.ResponseWriter, _ *http.Request) {
		status := http.StatusNoContent
		once.Do(func() { status = http.StatusInternalServerError })
		w.WriteHeader(status)
	})
	defer h.remove(t)
	first := link(t, m, "australia_post", ausPostNumber("00"))
	failed := h.await(t, "carrier_connected", 1)
	unlink(t, m, first.CarrierID)
	second := link(t, m, "australia_post", ausPostNumber("00"))
	h.await(t, "carrier_disconnected", 1)
	h.await(t, "carrier_connected", 3)
	var of [2][]string
	for _, a := range h.arrivals() {
		for i, c := range []connectionBody{first, second} {
			if strings.HasSuffix(a.subject, c.CarrierID) {
				of[i] = append(of[i], a.event)
			}
		}
		a.verifies(t, h.Secret)
	}
	want := [2][]string{{"carrier_connected", "carrier_connected", "carrier_disconnected"}, {"carrier_connected"}}
	if diff := cmp.Diff(want, of); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}
	d := h.delivery(t, failed.id, deliveredWithin, isDelivered)
	if len(d.Attempts) != 2 || *d.Attempts[0].HTTPStatus != http.StatusInternalServerError || d.Attempts[0].Failure == nil || *d.Attempts[1].HTTPStatus != http.StatusNoContent {
		t.Errorf("the delivery is %+v", d)
	}
}

// TestReceiverMisbehaves: what the log has of receivers that do not answer well. Each delivery is retried.
func TestReceiverMisbehaves(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, sandbox)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a receiver with an unknown certificate got a request")
	}))
	secure.Config.ErrorLog = silent
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for _, tc := range []struct {
		name, url string
		answer    func(n int, w http.ResponseWriter, r *http.Request)
		status    int // zero: no answer
		failure   string
	}{
		{name: "redirects to a metadata address", status: 302, failure: "redirects", answer: func(_ int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
		}},
		{name: "redirects to itself", status: 307, failure: "redirects", answer: func(n int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, fmt.Sprintf("/hook/%d", n), http.StatusTemporaryRedirect)
		}},
		{name: "refuses", status: 400, failure: "2xx", answer: func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }},
		{name: "ends the connection", failure: "connection", answer: func(_ int, _ http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }},
		{name: "does not listen", url: closed.URL, failure: "connection"},
		{name: "has an unknown certificate", url: secure.URL, failure: "certificate"},
		{name: "does not answer", failure: "in time", answer: func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var h *hook
			if tc.url == "" {
				h = newHook(t, m.Key, nil, tc.answer)
			} else {
				h = &hook{key: m.Key}
				h.create(t, fields{"url": tc.url, "events": []string{"*"}}, nil)
			}
			defer h.remove(t)
			d := h.delivery(t, h.test(t), deliveredWithin, func(d deliveryBody) bool { return len(d.Attempts) > 0 })
			got := d.Attempts[0]
			if d.Status != "retrying" || d.NextAttemptAt == nil || (got.HTTPStatus == nil) != (tc.status == 0) || got.HTTPStatus != nil && *got.HTTPStatus != tc.status ||
				got.Failure == nil || !strings.Contains(*got.Failure, tc.failure) {
				t.Errorf("the delivery is %+v, want a status %d and a failure with %q", d, tc.status, tc.failure)
			}
			if strings.Contains(*got.Failure, "127.0.0.1") {
				t.Errorf("the failure %q shows an address", *got.Failure)
			}
		})
	}
}

// TestReceiverHangs: a receiver that does not answer delays its own events only: another gets its event meanwhile. It has
// several chances, because a busy machine may take longer than the 15 s that the first one hangs.
func TestReceiverHangs(t *testing.T) {
	t.Parallel()
	slow, quick := newMerchant(t, production), newMerchant(t, production)
	var hanging atomic.Int32 // the number of the request that hangs; zero: none does
	stuck := newHook(t, slow.Key, nil, func(n int, _ http.ResponseWriter, r *http.Request) {
		hanging.Store(int32(n))
		<-r.Context().Done()
		hanging.Store(0)
	})
	defer stuck.remove(t)
	h := newHook(t, quick.Key, nil, nil)
	defer h.remove(t)
	stuck.test(t)
	for n := 1; n <= 3; n++ {
		eventually(t, deliveredWithin, "no request hangs", func() bool { return hanging.Load() > 0 })
		before := hanging.Load()
		h.test(t)
		h.await(t, "webhook_test", n)
		if hanging.Load() == before || differs("reads a queue alone") {
			return
		}
	}
	t.Error("the other webhook never got its event while the receiver hung")
}

// TestWebhookThatChanges: the next attempt goes to the new URL, with the new header; after a deletion none is made.
func TestWebhookThatChanges(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	broken := func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30") // time to change the webhook, on a busy machine
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	old, deleted := newHook(t, m.Key, nil, broken), newHook(t, m.Key, nil, broken)
	var moved hook
	next := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { moved.note(t, r) }))
	defer next.Close()
	defer old.remove(t)
	deleted.test(t)
	deleted.await(t, "webhook_test", 1)
	deleted.remove(t)
	before := len(deleted.arrivals())
	id := old.test(t)
	old.await(t, "webhook_test", 1)
	api.call(t, request{method: http.MethodPut, path: old.path(), key: m.Key, body: fields{"url": next.URL + "/new", "headers": []fields{{"key": "X-New", "value": "newvalue"}}}}).
		expect(t, http.StatusNoContent)
	if got := moved.await(t, "webhook_test", 1); got.id != id || got.header.Get("X-New") != "newvalue" {
		t.Errorf("the new receiver got %s with the header %v, want %s", got.id, got.header, id)
	}
	if d := old.delivery(t, id, deliveredWithin, isDelivered); len(d.Attempts) < 2 {
		t.Errorf("the delivery is %+v, want an attempt at each URL", d)
	}
	if after := len(deleted.arrivals()); after > before+1 { // one may have been under way
		t.Errorf("the deleted webhook got %d requests after its deletion", after-before)
	}
	api.call(t, request{method: http.MethodGet, path: deleted.path() + "/deliveries", key: m.Key}).expect(t, http.StatusNotFound, notFound)
}
