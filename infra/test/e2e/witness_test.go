package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/local/stack"
	"carrierlink/infra/test/receivers"
	"carrierlink/shared/webhook"
)

const hooksPath = "/v1/environment/webhooks"

// witness is a receiver of all events of a partner, from the beginning of the suite to its end. It verifies each request
// with the library of Standard Webhooks for Go, and has it accepted by the receivers in Node and Python that README.md shows.
type witness struct {
	partner  stack.Partner
	server   *httptest.Server
	programs map[receivers.Language]*receivers.Receiver
	urls     map[receivers.Language]string

	mu       sync.Mutex
	secret   string
	events   map[string]map[string]any // the bodies by event_id
	ids      []string                  // in the order in which they came first
	requests int
	latest   time.Time // of what was new
	errs     []error
}

// witnesses are those of all partners of the suite.
var witnesses []*witness

// newWitness makes the webhook of a partner and starts its receiver, with the programs in dir.
func newWitness(ctx context.Context, partner stack.Partner, dir string) (*witness, error) {
	w := &witness{
		partner: partner, events: map[string]map[string]any{}, programs: map[receivers.Language]*receivers.Receiver{}, urls: map[receivers.Language]string{},
	}
	w.server = httptest.NewServer(w)
	body, err := json.Marshal(fields{"url": w.server.URL + "/hook", "events": []string{"*"}, "name": "Witness"})
	if err != nil {
		return nil, err
	}
	a, err := api.send(ctx, request{method: http.MethodPost, path: hooksPath, key: partner.APIKey, body: body}, body)
	if err != nil || a.status != http.StatusOK {
		return nil, fmt.Errorf("creating the webhook of a witness: %d %s, %w", a.status, a.body, err)
	}
	api.secrets.learn("", a.body)
	var made struct {
		Secret string `json:"secret"`
	}
	if err := json.Unmarshal(a.body, &made); err != nil {
		return nil, fmt.Errorf("creating the webhook of a witness: %w", err)
	}
	for _, language := range []receivers.Language{receivers.Node, receivers.Python} {
		port, err := emulator.FreePort(ctx)
		if err != nil {
			return nil, err
		}
		place := filepath.Join(dir, partner.Name, string(language))
		if err := os.MkdirAll(place, 0o755); err != nil {
			return nil, err
		}
		if w.programs[language], err = receivers.Start(ctx, language, place, port, made.Secret); err != nil {
			return nil, err
		}
		w.urls[language] = "http://127.0.0.1:" + strconv.Itoa(port) + "/"
	}
	for language := range w.programs {
		go w.compare(language)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secret = made.Secret
	return w, nil
}

// has reports whether an event has come.
func (w *witness) has(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events[id] != nil
}

// stop ends the receiver and its programs.
func (w *witness) stop() error {
	w.server.Close()
	var errs []error
	for _, program := range w.programs {
		errs = append(errs, program.Stop())
	}
	return errors.Join(errs...)
}

// compare checks what a program prints: the id and the body of an event.
func (w *witness) compare(language receivers.Language) {
	for line := range w.programs[language].Lines {
		id, body, _ := strings.Cut(line, " ")
		var event map[string]any
		if err := json.Unmarshal([]byte(body), &event); err != nil || event["event_id"] != id {
			w.wrong(fmt.Errorf("the receiver in %s printed %.300q", language, line))
		}
	}
}

func (w *witness) wrong(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.errs = append(w.errs, err)
}

// ServeHTTP accepts an event once all libraries have.
func (w *witness) ServeHTTP(response http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = w.accept(r, body)
	}
	if err != nil {
		w.wrong(fmt.Errorf("a delivery to %s: %w", w.partner.Name, err))
		response.WriteHeader(http.StatusInternalServerError)
		return
	}
	response.WriteHeader(http.StatusNoContent)
}

func (w *witness) accept(r *http.Request, body []byte) error {
	w.mu.Lock()
	secret := w.secret
	w.mu.Unlock()
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	if err := verifier.Verify(body, r.Header); err != nil {
		return err
	}
	for language, url := range w.urls {
		forward, err := http.NewRequestWithContext(r.Context(), http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		forward.Header = r.Header.Clone()
		forward.Close = true // Node closes idle connections after five seconds, also while the next request is on its way
		_, status, err := send(forward)
		if err != nil || status != http.StatusNoContent {
			return fmt.Errorf("the receiver in %s answered %d, %w", language, status, err)
		}
	}
	var event map[string]any
	if err := json.Unmarshal(body, &event); err != nil {
		return err
	}
	id := r.Header.Get("Webhook-Id")
	if event["event_id"] != id || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		return fmt.Errorf("%s %s with the content type %q has the body %.300s", r.Method, id, r.Header.Get("Content-Type"), body)
	}
	if leaked := api.secrets.in(string(body), true); leaked != "" {
		return fmt.Errorf("event %s holds %s", id, leaked)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests++
	if w.events[id] == nil {
		w.events[id], w.ids, w.latest = event, append(w.ids, id), time.Now()
	}
	return nil
}

// everyEventIsDelivered waits until each partner's witness has each event of the table that callers are told of, and checks
// that it has nothing else, and the events of each resource in their order.
func everyEventIsDelivered(ctx context.Context, items []item) error {
	var errs []error
	for _, w := range witnesses {
		errs = append(errs, w.awaits(ctx, items))
	}
	// The schedule goes on meanwhile.
	items, err := allItems(ctx)
	if err != nil {
		return err
	}
	for _, w := range witnesses {
		errs = append(errs, w.check(items))
	}
	return errors.Join(append(errs, deliveriesAreRecorded(items))...)
}

// awaits waits until the witness has the events of its partner.
func (w *witness) awaits(ctx context.Context, items []item) error {
	started := time.Now()
	for {
		var missing []string
		for id, it := range published(items) {
			if strings.HasPrefix(str(it, "pk"), w.prefix()) && !w.has(id) {
				missing = append(missing, str(it, "type")+" "+id)
			}
		}
		w.mu.Lock()
		last := w.latest
		w.mu.Unlock()
		if len(missing) == 0 {
			return nil
		}
		if time.Since(last) > checkWithin && time.Since(started) > checkWithin {
			return fmt.Errorf("%d events were not delivered to %s: %q", len(missing), w.partner.Name, missing[:min(len(missing), 10)])
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// prefix is that of the partitions of the partner's events.
func (w *witness) prefix() string { return "EVENTS#" + strconv.FormatInt(w.partner.ID, 10) + "#" }

// check compares what has come with the events of the table.
func (w *witness) check(items []item) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	errs := w.errs
	all, latest := published(items), map[string]string{}
	for _, id := range w.ids {
		it := all[id]
		if it == nil || !strings.HasPrefix(str(it, "pk"), w.prefix()) {
			errs = append(errs, fmt.Errorf("%s got %v, which is no event of its own", w.partner.Name, w.events[id]))
			continue
		}
		if err := sameBody(w.events[id], it); err != nil {
			errs = append(errs, fmt.Errorf("%s, as it was delivered: %w", id, err))
		}
		resource := str(it, "pk") + " " + str(it, "subject")
		if id < latest[resource] {
			errs = append(errs, fmt.Errorf("%s of %s was delivered after %s", id, resource, latest[resource]))
		}
		latest[resource] = max(latest[resource], id)
	}
	fmt.Fprintf(os.Stderr, "e2e: %d events were delivered to %s, in %d requests\n", len(w.ids), w.partner.Name, w.requests)
	return errors.Join(errs[:min(len(errs), 20)]...)
}

// deliveriesAreRecorded checks that what was delivered is in the log of its webhook, with nothing secret, and pending no
// more.
func deliveriesAreRecorded(items []item) error {
	var errs []error
	delivered := map[string]int{} // by partner
	for _, it := range items {
		_, id, ok := strings.Cut(str(it, "sk"), "DELIVERY#")
		if !ok || !strings.HasPrefix(str(it, "pk"), "WEBHOOK#") {
			continue
		}
		partner := strings.Split(str(it, "pk"), "#")[1]
		if str(it, "status") == string(webhook.Delivered) {
			delivered[partner+" "+id]++
		}
	}
	for _, w := range witnesses {
		for _, id := range w.ids {
			if delivered[strconv.FormatInt(w.partner.ID, 10)+" "+id] == 0 {
				errs = append(errs, fmt.Errorf("the log of %s has no delivery of %s", w.partner.Name, id))
			}
		}
	}
	return errors.Join(errs[:min(len(errs), 20)]...)
}
