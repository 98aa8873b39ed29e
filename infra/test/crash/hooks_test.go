package crash

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"carrierlink/infra/local/emulator"
	"carrierlink/shared/effects"
	shared "carrierlink/shared/secret"
	"carrierlink/shared/webhook"
)

// hooks are the webhooks of a world: of its partner, its account and another partner.
type hooks struct {
	queue string // URL of the delivery queue
	all   []*hook
}

// queueURL returns the URL of the delivery queue; empty without webhooks.
func (h *hooks) queueURL() string {
	if h == nil {
		return ""
	}
	return h.queue
}

// hook is a webhook and what its receiver has got.
type hook struct {
	ref    webhook.Ref
	secret shared.Text

	mu     sync.Mutex
	bodies []map[string]any
	wrong  []error // requests that are not as they should be
}

// ServeHTTP takes a request whose signature is right.
func (h *hook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	var body map[string]any
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err == nil {
		var verifier *standardwebhooks.Webhook
		if verifier, err = standardwebhooks.NewWebhook(h.secret.Reveal()); err == nil {
			err = verifier.Verify(text, r.Header)
		}
	}
	if id := r.Header.Get("webhook-id"); err == nil && (id == "" || id != body["event_id"]) {
		err = fmt.Errorf("webhook-id is %q, event_id %q", id, body["event_id"])
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.wrong = append(h.wrong, err)
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	h.bodies = append(h.bodies, body)
}

// hookedEvents makes webhooks of all events, and events of a connection.
func (w *world) hookedEvents() {
	w.t.Helper()
	ctx := context.Background()
	made, err := sqs.NewFromConfig(emulator.Config(w.emulatorURL)).CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(w.name + "-deliveries")})
	if err != nil {
		w.t.Errorf("making the delivery queue: %v", err)
		return
	}
	w.hooks = &hooks{queue: *made.QueueUrl}
	service := &webhook.Service{Store: w.table, Sealer: w.sealer(), Now: time.Now, Random: rand.Reader}
	for _, o := range []webhook.Owner{{PartnerID: w.account.PartnerID}, {PartnerID: w.account.PartnerID, AccountID: w.account.ID}, {PartnerID: w.account.PartnerID + 1}} {
		h := &hook{}
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(rw, r)
			w.mu.Lock()
			called := w.called
			w.mu.Unlock()
			called("receiver")
		}))
		w.t.Cleanup(server.Close)
		c, err := service.Create(ctx, o, webhook.Input{URL: server.URL, Events: []effects.EventType{webhook.AllEvents}}, nil)
		if err != nil {
			w.t.Errorf("making a webhook: %v", err)
			return
		}
		h.ref, h.secret = webhook.Ref{Owner: o, ID: c.Webhook.ID}, c.Secret
		w.hooks.all = append(w.hooks.all, h)
	}
	w.linked()
	w.must("manage-connections", request(http.MethodPut, connRoute, w.path(), w.key, "", `{"nickname":"Other"}`))
	w.must("manage-connections", request(http.MethodPut, connRoute, w.path(), w.key, "", `{"nickname":"Another"}`))
}

// repeatedStream is the stream with each record one to five times, in any order.
func (w *world) repeatedStream() any {
	once, _ := w.streamed()
	var records []json.RawMessage
	for _, r := range once {
		records = append(records, slices.Repeat([]json.RawMessage{r}, 1+mathrand.IntN(5))...)
	}
	mathrand.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	return map[string]any{"Records": records}
}

// delivery is the message for the partner's webhook. One whose run was killed is due when
// its lease is over, and only then comes its message.
func (w *world) delivery() any {
	w.t.Helper()
	return w.messageFor(w.hooks.all[0].ref)
}

func (w *world) messageFor(ref webhook.Ref) any {
	w.t.Helper()
	key := fmt.Sprintf("WEBHOOK#%d#%d#%s", ref.PartnerID, ref.AccountID, ref.ID)
	_, err := w.db.UpdateItem(context.Background(), &dynamodb.UpdateItemInput{
		TableName: &w.name, UpdateExpression: aws.String("REMOVE lease_until"), ConditionExpression: aws.String("attribute_exists(pk)"),
		Key: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: key}, "sk": &types.AttributeValueMemberS{Value: "STATE"}},
	})
	if err != nil {
		w.t.Errorf("ending the lease of a webhook: %v", err)
	}
	body, err := json.Marshal(webhook.MessageFor(ref))
	if err != nil {
		w.t.Error(err)
	}
	return events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m-1", Body: string(body)}}}
}

// delivered delivers what is due, as the schedule would, and checks that each event of the
// account has arrived at its webhooks, in order, and none at another partner's.
func (w *world) delivered(when string) {
	w.t.Helper()
	for range 10 {
		due, malformed, err := w.table.DueWebhooks(context.Background(), time.Now().Add(time.Hour), 10)
		if err != nil || malformed > 0 {
			w.t.Errorf("%s: finding due webhooks: %d malformed, %v", when, malformed, err)
		}
		if len(due) == 0 {
			break
		}
		for _, ref := range due {
			if _, err := w.run("deliver-webhook", nil, w.messageFor(ref), new(events.SQSEventResponse)); err != nil {
				w.t.Errorf("%s: delivering what is due: %v\n%s", when, err, w.logs())
			}
		}
	}
	want := w.told()
	for i, h := range w.hooks.all {
		h.mu.Lock()
		var got []string
		for _, body := range h.bodies {
			if id, _ := body["event_id"].(string); !slices.Contains(got, id) {
				got = append(got, id)
			}
		}
		if i == 2 {
			want = nil
		}
		if !slices.Equal(got, want) || len(h.wrong) > 0 {
			w.t.Errorf("%s: webhook %d got the events %q, want %q; wrong: %v\n%s", when, i, got, want, h.wrong, w.logs())
		}
		h.mu.Unlock()
		left, _, err := w.table.ListPending(context.Background(), h.ref, 10, time.Now())
		if err != nil || len(left) > 0 {
			w.t.Errorf("%s: webhook %d still has %d pending, %v", when, i, len(left), err)
		}
		for _, id := range want {
			if d, err := w.table.Delivery(context.Background(), h.ref, id); err != nil || d.Status != webhook.Delivered {
				w.t.Errorf("%s: the delivery of %s to webhook %d is %q, %v", when, id, i, d.Status, err)
			}
		}
	}
}

// told returns the ids of the account's events that callers are told of, the oldest first.
func (w *world) told() (ids []string) {
	w.t.Helper()
	found, _, err := w.table.ListEvents(context.Background(), effects.Listing{PartnerID: w.account.PartnerID, AccountID: w.account.ID, Types: effects.EventTypes(), Limit: 100})
	if err != nil || len(found) < 3 {
		w.t.Errorf("%d events, %v, too few to have an order", len(found), err)
	}
	for _, e := range slices.Backward(found) {
		if strings.HasPrefix(string(e.Type), "carrier_") {
			ids = append(ids, e.ID)
		}
	}
	return ids
}
