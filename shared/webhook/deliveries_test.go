package webhook_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/outbound"
	"carrierlink/shared/seal"
	"carrierlink/shared/secret"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/webhook"
)

// delivering simulates deliveries over virtual time: the table in memory, the queue, its
// consumers, the schedule's pass of each minute, and receivers.
type delivering struct {
	*testing.T
	store      *storetest.Memory
	service    *webhook.Service
	dispatcher webhook.Dispatcher
	waker      webhook.Waker
	deliverer  webhook.Deliverer

	messages chan webhook.Ref // visible ones
	working  atomic.Int32     // messages in work
	lose     atomic.Bool      // messages

	mu        sync.Mutex
	receivers map[string]receiver
	got       []arrival
	requests  map[string]int // by URL and event_id
	sending   map[string]int // requests that are under way, by URL
	most      map[string]int
	runs      map[webhook.Ref]int
	queued    int
	failures  []error
	number    int
}

// receiver answers the n-th request with an event: n counts from one. It may sleep.
type receiver func(ctx context.Context, eventID string, n int) (outbound.Result, error)

// arrival is a request that a receiver got.
type arrival struct {
	at          time.Time
	url, id     string
	subject     string
	owner       int64
	header      http.Header
	body        []byte
	status, nth int
}

const consumers = 20

var ok = outbound.Result{Status: http.StatusOK, Answer: []byte("thanks")} // never changes

// delivers runs a test in virtual time.
func delivers(t *testing.T, test func(d *delivering)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		d := &delivering{
			T: t, store: storetest.NewMemory(), messages: make(chan webhook.Ref, 1e6), receivers: map[string]receiver{},
			requests: map[string]int{}, sending: map[string]int{}, most: map[string]int{}, runs: map[webhook.Ref]int{},
		}
		key := secret.New(strings.Repeat("s", 64))
		sealer := seal.New(func(context.Context) (secret.Text, error) { return key, nil }, time.Now)
		d.service = &webhook.Service{Store: d.store, Sealer: sealer, Log: d.store, Now: time.Now, Random: rand.Reader}
		d.dispatcher = webhook.Dispatcher{Store: d.store, Queue: d, Now: time.Now}
		d.waker = webhook.Waker{Store: d.store, Deliveries: d, Now: time.Now}
		random := mathrand.New(mathrand.NewPCG(1, 2))
		d.deliverer = webhook.Deliverer{
			Store: d.store, Webhooks: d.service, Sender: sender{d}, Queue: d, Now: time.Now, Jitter: func() float64 {
				d.mu.Lock()
				defer d.mu.Unlock()
				return random.Float64()
			},
			Body: func(e *effects.Event, _ string) ([]byte, error) {
				return json.Marshal(map[string]any{"event_id": e.ID, "account_id": e.AccountID, "subject": e.Subject})
			},
		}
		var working sync.WaitGroup
		for range consumers {
			working.Go(func() { d.consume(ctx) })
		}
		working.Go(func() { d.pass(ctx) })
		test(d)
		stop()
		working.Wait()
		for _, err := range d.faults() {
			t.Errorf("a fault of ours: %v", err)
		}
	})
}

// consume makes runs as Lambda does. They end after 38.5 s.
func (d *delivering) consume(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case ref := <-d.messages:
			d.working.Add(1)
			run, cancel := context.WithTimeout(ctx, 38500*time.Millisecond)
			_, err := d.deliverer.Deliver(run, ref)
			cancel()
			d.working.Add(-1)
			d.mu.Lock()
			d.runs[ref]++
			if err != nil && ctx.Err() == nil {
				d.failures = append(d.failures, err)
			}
			d.mu.Unlock()
		}
	}
}

// pass is the schedule.
func (d *delivering) pass(ctx context.Context) {
	for tick := time.NewTicker(time.Minute); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_, malformed, err := d.waker.Pass(ctx)
			d.mu.Lock()
			if err != nil && ctx.Err() == nil {
				d.failures = append(d.failures, err)
			}
			d.mu.Unlock()
			if malformed > 0 {
				d.Errorf("a pass skips %d entries", malformed)
			}
		}
	}
}

// Backlog is that of the queue: what is visible and what is in work.
func (d *delivering) Backlog(context.Context) (int, error) {
	return len(d.messages) + int(d.working.Load()), nil
}

// Send passes messages on after their delay.
func (d *delivering) Send(_ context.Context, refs []webhook.Ref, delay time.Duration) error {
	if delay > webhook.LongestDelay {
		return fmt.Errorf("a delay of %v", delay)
	}
	for _, ref := range refs {
		if d.lose.Load() {
			continue
		}
		d.mu.Lock()
		d.queued++
		d.mu.Unlock()
		time.AfterFunc((delay + time.Second - 1).Truncate(time.Second), func() { d.messages <- ref })
	}
	return nil
}

// sender is the outbound client.
type sender struct{ *delivering }

// Send passes a request on to its receiver, which has 15 s.
func (d sender) Send(ctx context.Context, url string, header http.Header, body []byte) (outbound.Result, error) {
	var e struct {
		EventID   string `json:"event_id"`
		AccountID int64  `json:"account_id"`
		Subject   string `json:"subject"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return outbound.Result{}, err
	}
	a := arrival{at: time.Now(), url: url, id: e.EventID, subject: e.Subject, owner: e.AccountID, header: header, body: body}
	d.mu.Lock()
	d.requests[url+" "+e.EventID]++
	a.nth = d.requests[url+" "+e.EventID]
	i := len(d.got)
	d.got = append(d.got, a)
	d.sending[url]++
	d.most[url] = max(d.most[url], d.sending[url])
	answer := d.receivers[url]
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.sending[url]--
		d.mu.Unlock()
	}()
	if answer == nil {
		return outbound.Result{}, outbound.ErrConnection
	}
	limited, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	res, err := answer(limited, e.EventID, a.nth)
	switch {
	case ctx.Err() != nil:
		return outbound.Result{}, ctx.Err()
	case limited.Err() != nil:
		return outbound.Result{Latency: 15 * time.Second}, outbound.ErrTimeout
	}
	d.mu.Lock()
	d.got[i].status = res.Status
	d.mu.Unlock()
	res.Latency = time.Since(a.at)
	return res, err
}

// hook creates a webhook for all events of an owner.
func (d *delivering) hook(o webhook.Owner, url string, answer receiver) webhook.Ref {
	ref, _ := d.hookWith(o, webhook.Input{URL: url, Events: []effects.EventType{webhook.AllEvents}}, answer)
	return ref
}

func (d *delivering) hookWith(o webhook.Owner, in webhook.Input, answer receiver) (webhook.Ref, secret.Text) {
	d.Helper()
	if o.AccountID != 0 {
		d.account(o)
	}
	c, err := d.service.Create(d.Context(), o, in, nil)
	if err != nil {
		d.Fatal(err)
	}
	d.mu.Lock()
	d.receivers[in.URL] = answer
	d.mu.Unlock()
	return webhook.Ref{Owner: o, ID: c.Webhook.ID}, c.Secret
}

// answers returns a receiver that takes a time for the same answer.
func answers(res outbound.Result, takes time.Duration) receiver {
	return func(ctx context.Context, _ string, _ int) (outbound.Result, error) {
		select {
		case <-ctx.Done():
		case <-time.After(takes):
		}
		return res, nil
	}
}

// happen writes events of an owner, all of one subject, and dispatches them.
func (d *delivering) happen(o webhook.Owner, subject string, n int) []effects.Event {
	d.Helper()
	events := d.written(o, subject, n)
	d.dispatch(events)
	return events
}

func (d *delivering) dispatch(events []effects.Event) {
	d.Helper()
	if _, err := d.dispatcher.Dispatch(d.Context(), events); err != nil {
		d.Fatal(err)
	}
}

// written writes events.
func (d *delivering) written(o webhook.Owner, subject string, n int) (events []effects.Event) {
	d.Helper()
	for ; n > 0; n -= 20 {
		reports := make([]effects.Report, min(n, 20))
		for i := range reports {
			d.number++
			reports[i] = effects.Report{Type: effects.CarrierUpdated, PartnerID: o.PartnerID, AccountID: o.AccountID, Subject: subject, Data: map[string]int{"n": d.number}}
		}
		fx, err := effects.Effects{}.With(rand.Reader, time.Now().UTC().Truncate(time.Millisecond), reports...)
		if err != nil {
			d.Fatal(err)
		}
		if err := d.store.RecordEffects(d.Context(), fx, time.Now()); err != nil {
			d.Fatal(err)
		}
		events = append(events, fx.Events...)
		time.Sleep(time.Millisecond) // virtual: each transaction has a time of its own
	}
	return events
}

// faults returns the errors of runs so far, and forgets them.
func (d *delivering) faults() []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.failures
	d.failures = nil
	return all
}

// counts returns how many requests a URL has had at a time, how many messages the queue, and
// how many runs a webhook.
func (d *delivering) counts(url string, ref webhook.Ref) (most, queued, runs int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.most[url], d.queued, d.runs[ref]
}

// arrivals returns what a receiver has got so far.
func (d *delivering) arrivals(url string) []arrival {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []arrival
	for _, a := range d.got {
		if a.url == url {
			found = append(found, a)
		}
	}
	return found
}

// delivery reads a delivery.
func (d *delivering) delivery(ref webhook.Ref, e effects.Event) webhook.Delivery {
	d.Helper()
	got, err := d.store.Delivery(d.Context(), ref, e.ID)
	if err != nil {
		d.Errorf("the delivery of %s: %v", e.ID, err)
	}
	return got
}

// pending returns how much is pending for a webhook.
func (d *delivering) pending(ref webhook.Ref) int {
	d.Helper()
	found, _, err := d.store.ListPending(d.Context(), ref, 1_000_000, time.Now())
	if err != nil {
		d.Error(err)
	}
	return len(found)
}

// arrived checks that a receiver took each of these events, in their order, once.
func (d *delivering) arrived(url string, events []effects.Event) {
	d.Helper()
	var got, want []string
	for _, a := range d.arrivals(url) {
		if a.status == http.StatusOK {
			got = append(got, a.id)
		}
	}
	for _, e := range events {
		want = append(want, e.ID)
	}
	if !slices.Equal(got, want) {
		d.Errorf("%s took %d events, %d in all were sent to it, want %d in order", url, len(got), len(d.arrivals(url)), len(want))
	}
}

// verified checks a request with the library of Standard Webhooks.
func (d *delivering) verified(a arrival, s secret.Text) {
	d.Helper()
	w, err := standardwebhooks.NewWebhook(s.Reveal())
	if err != nil {
		d.Fatal(err)
	}
	// The library compares the time with the real one.
	if err := w.VerifyIgnoringTimestamp(a.body, a.header); err != nil {
		d.Errorf("the request with %s: %v", a.id, err)
	}
}

// account makes an account, once.
func (d *delivering) account(o webhook.Owner) {
	d.Helper()
	err := d.store.CreateAccount(d.Context(), account.NewAccount{
		Account: account.Account{ID: o.AccountID, PartnerID: o.PartnerID, Active: true},
		Key:     account.APIKey{ID: o.AccountID, PartnerID: o.PartnerID, AccountID: o.AccountID, Hash: strconv.FormatInt(o.AccountID, 10)},
	}, effects.Effects{}, time.Now())
	if err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.State) {
		d.Fatal(err)
	}
}
