package main

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/metrics"
	"carrierlink/shared/queue"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/webhook"
)

// fixture is the function over the table in memory.
type fixture struct {
	*testing.T
	table *storetest.Memory
	h     *handler
	now   time.Time
	sent  []webhook.Ref
	fail  error // of the queue
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	d := &fixture{T: t, table: storetest.NewMemory(), now: time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)}
	now := func() time.Time { return d.now }
	d.h = &handler{dispatcher: &webhook.Dispatcher{Store: d.table, Queue: d, Now: now}, metrics: metrics.Recorder{Stage: "test", Now: now}}
	return d
}

// Backlog is not asked for.
func (d *fixture) Backlog(context.Context) (int, error) { return 0, errors.New("not asked for") }

// Send keeps what is sent.
func (d *fixture) Send(_ context.Context, refs []webhook.Ref, delay time.Duration) error {
	if d.fail != nil {
		return d.fail
	}
	if delay != 0 {
		d.Errorf("a delay of %v", delay)
	}
	d.sent = append(d.sent, refs...)
	return nil
}

// hook makes webhooks of a partner.
func (d *fixture) hook(partnerID int64, hooks ...webhook.Webhook) {
	d.Helper()
	l := webhook.List{Owner: webhook.Owner{PartnerID: partnerID}, Webhooks: hooks}
	if err := d.table.SaveWebhooks(d.Context(), &l, effects.Effects{}, d.now); err != nil {
		d.Fatal(err)
	}
}

// happen writes events, a millisecond apart, and returns the records of the stream for all
// so far, and the ids.
func (d *fixture) happen(partnerID int64, kinds ...effects.EventType) ([]json.RawMessage, []string) {
	d.Helper()
	for i, kind := range kinds {
		d.now = d.now.Add(time.Millisecond)
		fx, err := effects.Effects{}.With(rand.NewChaCha8([32]byte{byte(i)}), d.now, effects.Report{Type: kind, PartnerID: partnerID, AccountID: 71, Subject: "account", Data: map[string]int{"n": i}})
		if err != nil {
			d.Fatal(err)
		}
		if err := d.table.RecordEffects(d.Context(), fx, d.now); err != nil {
			d.Fatal(err)
		}
	}
	return functiontest.Streamed(d.T, d.table.Table.Items()...)
}

// pending returns the ids of the events that are pending for a webhook.
func (d *fixture) pending(ref webhook.Ref) (ids []string) {
	d.Helper()
	found, _, err := d.table.ListPending(d.Context(), ref, 1000, d.now)
	if err != nil {
		d.Fatal(err)
	}
	for _, p := range found {
		ids = append(ids, p.EventID)
	}
	return ids
}

func ref(partnerID int64, id string) webhook.Ref {
	return webhook.Ref{Owner: webhook.Owner{PartnerID: partnerID}, ID: id}
}

// TestUnreadableRecords: a record that cannot be read stops no other.
func TestUnreadableRecords(t *testing.T) {
	d := newFixture(t)
	d.hook(5, webhook.Webhook{ID: "se-1", Events: []effects.EventType{webhook.AllEvents}})
	records, ids := d.happen(5, effects.AccountUpdated, effects.CarrierConnected)
	bad := strings.Replace(string(records[0]), `"at":{"N"`, `"at":{"S"`, 1)
	if bad == string(records[0]) {
		t.Fatal("the record has no time")
	}
	batchOf := batch{[]json.RawMessage{json.RawMessage(`"canary"`), json.RawMessage(bad), records[0], json.RawMessage(`{"dynamodb":{"NewImage":"canary"}}`), records[1]}}
	log := functiontest.Logged(t.Context(), func(ctx context.Context) {
		if err := d.h.run(ctx, batchOf); err != nil {
			t.Error(err)
		}
	})
	if diff := cmp.Diff(ids, d.pending(ref(5, "se-1"))); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string][]float64{"Malformed": {3}}, metricstest.In(t, log)); diff != "" || strings.Contains(log, "canary") {
		t.Errorf("metrics (-want +got):\n%s\n%s", diff, log)
	}
}

// TestFailures: if the queue or the table fails, the batch comes again, and does no harm.
func TestFailures(t *testing.T) {
	d := newFixture(t)
	d.hook(5, webhook.Webhook{ID: "se-1", Events: []effects.EventType{webhook.AllEvents}})
	records, ids := d.happen(5, effects.AccountUpdated)
	d.fail = errors.New("down")
	if err := d.h.run(t.Context(), batch{records}); !errors.Is(err, d.fail) {
		t.Errorf("run with a queue that is down = %v, want its error", err)
	}
	due, _, err := d.table.DueWebhooks(t.Context(), d.now, 10)
	if err != nil || !slices.Equal(due, []webhook.Ref{ref(5, "se-1")}) {
		t.Errorf("due without its message: %v, %v", due, err)
	}
	d.fail = nil
	for range 2 {
		if err := d.h.run(t.Context(), batch{records}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(ids, d.pending(ref(5, "se-1"))); diff != "" || len(d.sent) != 2 {
		t.Errorf("%d messages, want one for each run; pending (-want +got):\n%s", len(d.sent), diff)
	}
}

// TestWhoGetsWhat: webhooks get the types that they listen to, nothing while they are
// disabled, and types of a later version if they listen to all.
func TestWhoGetsWhat(t *testing.T) {
	d := newFixture(t)
	d.hook(5,
		webhook.Webhook{ID: "se-all", Events: []effects.EventType{webhook.AllEvents}},
		webhook.Webhook{ID: "se-one", Events: []effects.EventType{effects.CarrierConnected}},
		webhook.Webhook{ID: "se-none", Events: []effects.EventType{effects.AccountDeleted}},
		webhook.Webhook{ID: "se-off", Events: []effects.EventType{webhook.AllEvents}, DisabledAt: d.now, DisabledFor: webhook.ByOwner},
	)
	d.hook(6, webhook.Webhook{ID: "se-all", Events: []effects.EventType{webhook.AllEvents}})
	records, ids := d.happen(5, effects.AccountUpdated, effects.CarrierConnected, effects.PartnerKeyCreated, "account_praised")
	if err := d.h.run(t.Context(), batch{records}); err != nil {
		t.Fatal(err)
	}
	for r, want := range map[webhook.Ref][]string{
		ref(5, "se-all"): {ids[0], ids[1], ids[3]}, ref(5, "se-one"): {ids[1]}, ref(5, "se-none"): nil, ref(5, "se-off"): nil, ref(6, "se-all"): nil,
	} {
		if diff := cmp.Diff(want, d.pending(r)); diff != "" {
			t.Errorf("pending for %v (-want +got):\n%s", r, diff)
		}
		if got := slices.Contains(d.sent, r); got != (want != nil) {
			t.Errorf("a message for %v: %t", r, got)
		}
	}
}

// TestCosts counts the calls of a run with one event for one webhook, and of one that no
// webhook wants, on DynamoDB Local and MiniStack.
func TestCosts(t *testing.T) { calltrace.Attempts(t, costs) }

func costs(t *calltrace.Attempt) {
	d := functiontest.EmptyOnEngines(t, functiontest.StartTable(t), "calls")
	d.AddPartner(account.Partner{ID: 5})
	d.AddAccount(account.Account{ID: 71, PartnerID: 5, Active: true})
	client := sqs.NewFromConfig(d.Transport.Config(calltrace.Emulator(t, emulator.StartMiniStack)))
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("calls-deliveries")})
	if err != nil {
		t.Fatal(err)
	}
	h := &handler{dispatcher: &webhook.Dispatcher{Store: d.Store, Queue: queue.NewDeliveries(client, *made.QueueUrl), Now: d.Now}, metrics: metrics.Recorder{Stage: "production", Now: d.Now}}
	fx, err := effects.Effects{}.With(rand.NewChaCha8([32]byte{}), d.Clock, effects.Report{Type: effects.AccountUpdated, PartnerID: 5, AccountID: 71, Subject: "account", Data: map[string][]string{"changed": {"email"}}})
	if err == nil {
		err = d.Store.RecordEffects(t.Context(), fx, d.Clock)
	}
	if err != nil {
		t.Fatal(err)
	}
	records, _ := functiontest.Streamed(t, d.Items()...)
	for _, operation := range []string{"queue_nothing", "queue"} {
		d.Transport.Reset()
		log := functiontest.Logged(t.Context(), func(ctx context.Context) {
			if err := h.run(ctx, batch{records}); err != nil {
				t.Fatal(err)
			}
		})
		functiontest.Costs(t, operation, d.Transport, log)
		l := webhook.List{Owner: webhook.Owner{PartnerID: 5}, Webhooks: []webhook.Webhook{{ID: "se-1", URL: "https://receiver.example.com/hook", Events: []effects.EventType{webhook.AllEvents}}}}
		if operation == "queue_nothing" {
			if err := d.Store.SaveWebhooks(t.Context(), &l, effects.Effects{}, d.Clock); err != nil {
				t.Fatal(err)
			}
		}
	}
}
