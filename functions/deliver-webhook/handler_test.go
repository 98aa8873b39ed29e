package main

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/metrics"
	"carrierlink/shared/outbound"
	"carrierlink/shared/queue"
	"carrierlink/shared/webhook"
)

// fake is a deliverer.
type fake struct {
	refs []webhook.Ref
	errs map[string]error // by webhook_id
}

// Deliver keeps whom it is called for.
func (f *fake) Deliver(_ context.Context, ref webhook.Ref) (webhook.Report, error) {
	f.refs = append(f.refs, ref)
	return webhook.Report{Delivered: 2, Failed: 1, GivenUp: 4}, f.errs[ref.ID]
}

func message(id, body string) events.SQSMessage { return events.SQSMessage{MessageId: id, Body: body} }

// TestMessages: a message that cannot be read comes again until it is a dead letter. A run
// that failed does not, because the webhook is due again by itself.
func TestMessages(t *testing.T) {
	f := &fake{errs: map[string]error{"se-2": errors.New("down")}}
	closed := 0
	h := &handler{deliverer: f, closeIdle: func() { closed++ }, metrics: metrics.Recorder{Stage: "test", Now: time.Now}}
	good := func(id string) string { return `{"partner_id":5,"account_id":71,"webhook_id":"` + id + `"}` }
	event := events.SQSEvent{Records: []events.SQSMessage{
		message("a", "canary"), message("b", good("se-1")), message("c", `{"partner_id":5,"webhook_id":"canary"}`), message("d", `{"partner_id":0,"account_id":1,"webhook_id":"se-1"}`),
		message("e", `{"partner_id":5,"account_id":-1,"webhook_id":"se-1"}`), message("f", good("se-2")), message("g", `{"partner_id":5,"webhook_id":"se-3"}`),
	}}
	var resp events.SQSEventResponse
	log := functiontest.Logged(t.Context(), func(ctx context.Context) {
		var err error
		if resp, err = h.run(ctx, event); err != nil {
			t.Error(err)
		}
	})
	var failed []string
	for _, f := range resp.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	if diff := cmp.Diff([]string{"a", "c", "d", "e"}, failed); diff != "" {
		t.Errorf("failed messages (-want +got):\n%s", diff)
	}
	o := webhook.Owner{PartnerID: 5, AccountID: 71}
	if diff := cmp.Diff([]webhook.Ref{{Owner: o, ID: "se-1"}, {Owner: o, ID: "se-2"}, {Owner: webhook.Owner{PartnerID: 5}, ID: "se-3"}}, f.refs); diff != "" || closed != 1 {
		t.Errorf("connections were closed %d times, want once; runs (-want +got):\n%s", closed, diff)
	}
	if diff := cmp.Diff(map[string][]float64{"Malformed": {4}, "InternalErrors": {1}}, metricstest.In(t, log)); diff != "" || strings.Contains(log, "canary") || !strings.Contains(log, `"delivered":6,"failed":3,"given_up":12`) {
		t.Errorf("metrics (-want +got):\n%s\n%s", diff, log)
	}
	resp, err := h.run(t.Context(), events.SQSEvent{})
	text, encodeErr := json.Marshal(resp)
	if err != nil || encodeErr != nil || string(text) != `{"batchItemFailures":[]}` {
		t.Errorf("run without messages = %s, %v, want no failures, not null", text, err)
	}
}

// TestBody: the body of a request is the event as the API shows it, also without an external
// id, which an account may lack, or which is gone with it.
func TestBody(t *testing.T) {
	b := &bodies{api: "https://api.example.com"}
	for external, want := range map[string]any{"": nil, "shop-71": "shop-71"} {
		e := effects.Event{ID: "se-1", Type: effects.CarrierUpdated, PartnerID: 5, AccountID: 71, Subject: "se-7", At: time.Date(2031, 1, 2, 3, 4, 5, 678e6, time.UTC), Data: []byte(`{"changed":["nickname"]}`)}
		text, err := b.of(&e, external)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"event_id": "se-1", "event": "carrier_updated", "created_at": "2031-01-02T03:04:05.678Z", "account_id": float64(71), "external_account_id": want,
			"resource_url": "https://api.example.com/v1/carriers/se-7", "data": map[string]any{"changed": []any{"nickname"}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("body with the external id %q (-want +got):\n%s", external, diff)
		}
	}
}

// receiver takes everything.
type receiver struct{}

// Send answers 200.
func (receiver) Send(context.Context, string, http.Header, []byte) (outbound.Result, error) {
	return outbound.Result{Status: 200, Answer: []byte("ok")}, nil
}

// TestCosts counts the calls of a run with one event, on DynamoDB Local, and what its record
// has.
func TestCosts(t *testing.T) { calltrace.Attempts(t, costs) }

func costs(t *calltrace.Attempt) {
	d := functiontest.EmptyOnEngines(t, functiontest.StartTable(t), "calls")
	d.AddPartner(account.Partner{ID: 5})
	d.AddAccount(account.Account{ID: 71, PartnerID: 5, Active: true})
	service := &webhook.Service{Store: d.Store, Sealer: d.Sealer(), Now: d.Now, Random: rand.NewChaCha8([32]byte{})}
	c, err := service.Create(t.Context(), webhook.Owner{PartnerID: 5}, webhook.Input{URL: "https://receiver.example.com/hook", Events: []effects.EventType{webhook.AllEvents}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	fx, err := effects.Effects{}.With(rand.NewChaCha8([32]byte{}), d.Clock, effects.Report{Type: effects.AccountUpdated, PartnerID: 5, AccountID: 71, Subject: "account", Data: map[string][]string{"changed": {"email"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Store.RecordEffects(t.Context(), fx, d.Clock); err != nil {
		t.Fatal(err)
	}
	client := sqs.NewFromConfig(d.Transport.Config("http://127.0.0.1:1")) // no message is due
	nobody := queue.NewDeliveries(client, "http://127.0.0.1:1/1/deliveries")
	deliverer := &webhook.Deliverer{
		Store: d.Store, Webhooks: service, Sender: receiver{}, Queue: nobody, Body: (&bodies{api: "https://api.example.com"}).of, Now: d.Now,
		Jitter: func() float64 { return 0 },
	}
	ref := webhook.Ref{Owner: webhook.Owner{PartnerID: 5}, ID: c.Webhook.ID}
	dispatched := webhook.Dispatcher{Store: d.Store, Queue: lost{}, Now: d.Now}
	if _, err := dispatched.Dispatch(t.Context(), fx.Events); err != nil {
		t.Fatal(err)
	}
	h := &handler{deliverer: deliverer, closeIdle: func() {}, metrics: metrics.Recorder{Stage: "production", Now: d.Now}}
	body, err := json.Marshal(webhook.MessageFor(ref))
	if err != nil {
		t.Fatal(err)
	}
	d.Transport.Reset()
	log := functiontest.Logged(t.Context(), func(ctx context.Context) {
		if _, err := h.run(ctx, events.SQSEvent{Records: []events.SQSMessage{message("a", string(body))}}); err != nil {
			t.Fatal(err)
		}
	})
	functiontest.Costs(t, "deliver", d.Transport, log)
	if got, err := d.Store.Delivery(t.Context(), ref, fx.Events[0].ID); err != nil || got.Status != webhook.Delivered {
		t.Errorf("the delivery is %+v, %v", got, err)
	}
}

// lost is a queue that loses everything.
type lost struct{}

// Backlog is zero.
func (lost) Backlog(context.Context) (int, error) { return 0, nil }

// Send does nothing.
func (lost) Send(context.Context, []webhook.Ref, time.Duration) error { return nil }
