package queue

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/calltrace"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/schedule"
	"carrierlink/shared/webhook"
)

// fakeSQS refuses the messages of some accounts, and whole batches with a message of
// others.
type fakeSQS struct {
	attributes map[string]string
	refused    map[int64]string // account: code
	broken     map[int64]error

	mu      sync.Mutex // batches arrive concurrently
	batches [][]types.SendMessageBatchRequestEntry
}

// GetQueueAttributes answers with what is asked for.
func (p *fakeSQS) GetQueueAttributes(_ context.Context, in *sqs.GetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	asked := map[string]string{}
	for _, name := range in.AttributeNames {
		asked[string(name)] = p.attributes[string(name)]
	}
	return &sqs.GetQueueAttributesOutput{Attributes: asked}, nil
}

func (p *fakeSQS) SendMessageBatch(_ context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.batches = append(p.batches, in.Entries)
	out := &sqs.SendMessageBatchOutput{}
	for _, e := range in.Entries {
		var m schedule.Message
		if err := json.Unmarshal([]byte(*e.MessageBody), &m); err != nil {
			return nil, err
		}
		if err := p.broken[m.AccountID]; err != nil {
			return nil, err
		}
		if code, ok := p.refused[m.AccountID]; ok {
			entry := types.BatchResultErrorEntry{Id: e.Id}
			if code != "" {
				entry.Code = &code
			}
			out.Failed = append(out.Failed, entry)
		}
	}
	return out, nil
}

// numbered returns messages of the accounts 1 to n, each delayed by another second.
func numbered(n int) []schedule.Delayed {
	var all []schedule.Delayed
	for i := range n {
		m := schedule.Message{AccountID: int64(i + 1), ConnectionID: "se-1234567", Lane: connection.Lane(carrier.StarTrack)}
		all = append(all, schedule.Delayed{Message: m, Delay: time.Duration(i) * time.Second})
	}
	return all
}

func TestSendFails(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name string
		api  *fakeSQS
		want string
	}{
		{"one is refused", &fakeSQS{refused: map[int64]string{3: "InternalError"}}, "1 of 25 messages were not sent: SQS: InternalError"},
		{"some of two batches are refused", &fakeSQS{refused: map[int64]string{3: "A", 4: "B", 14: "C"}}, "3 of 25 messages were not sent: SQS: A"},
		{"one is refused without a reason", &fakeSQS{refused: map[int64]string{3: ""}}, "1 of 25 messages were not sent: SQS: no reason given"},
		{"a batch fails", &fakeSQS{broken: map[int64]error{13: broken}}, "10 of 25 messages were not sent: broken"},
		{"the last batch fails, and one is refused before", &fakeSQS{refused: map[int64]string{3: "A"}, broken: map[int64]error{21: broken}}, "6 of 25 messages were not sent: SQS: A"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			q := NewRefresh(tc.api, "queue")
			err := q.Send(t.Context(), numbered(25))
			if err == nil || err.Error() != tc.want {
				t.Errorf("Send = %v, want %s", err, tc.want)
			}
			if len(tc.api.batches) != 3 {
				t.Errorf("%d batches were tried, want 3", len(tc.api.batches))
			}
		})
	}
}

// TestBacklog: messages that are waiting and in work count, and of checks those that are
// delayed; of deliveries these are of webhooks that pause.
func TestBacklog(t *testing.T) {
	api := &fakeSQS{attributes: map[string]string{
		"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesDelayed": "2000", "ApproximateNumberOfMessagesNotVisible": "30",
	}}
	if n, err := NewRefresh(api, "queue").Backlog(t.Context()); err != nil || n != 2031 {
		t.Errorf("Backlog of checks = %d, %v, want 2031", n, err)
	}
	if n, err := NewDeliveries(api, "queue").Backlog(t.Context()); err != nil || n != 31 {
		t.Errorf("Backlog of deliveries = %d, %v, want 31", n, err)
	}
}

// slowSQS takes 50 ms for a batch.
type slowSQS struct {
	fakeSQS
	sent atomic.Int64
}

func (s *slowSQS) SendMessageBatch(_ context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	time.Sleep(50 * time.Millisecond)
	s.sent.Add(int64(len(in.Entries)))
	return &sqs.SendMessageBatchOutput{}, nil
}

// TestSendConcurrently: 20,000 messages are sent within ten seconds, each once, to an
// SQS that takes 50 ms for ten.
func TestSendConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slowSQS{}
		start := time.Now()
		if err := NewRefresh(api, "queue").Send(t.Context(), numbered(20_000)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 10*time.Second || api.sent.Load() != 20_000 {
			t.Errorf("%d messages in %v, want 20,000 within 10s", api.sent.Load(), took)
		}
	})
}

func TestBacklogFails(t *testing.T) {
	q := NewRefresh(&fakeSQS{attributes: map[string]string{"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesDelayed": "x"}}, "queue")
	if n, err := q.Backlog(t.Context()); err == nil || !strings.Contains(err.Error(), "ApproximateNumberOfMessagesDelayed") {
		t.Errorf("Backlog with a broken number = %d, %v, want an error about it", n, err)
	}
}

// TestQueue runs the adapter against MiniStack's SQS. SQS delivers at least once, and
// the SDK repeats a batch whose answer was lost: there may be more messages than were
// sent, never fewer.
func TestQueue(t *testing.T) {
	url := calltrace.Emulator(t, emulator.StartMiniStack)
	client := sqs.NewFromConfig(emulator.Config(url))
	absent := NewRefresh(client, url+"/000000000000/absent")
	if n, err := absent.Backlog(t.Context()); err == nil {
		t.Errorf("Backlog of an absent queue = %d, want an error", n)
	}
	if err := absent.Send(t.Context(), numbered(11)); err == nil || !strings.HasPrefix(err.Error(), "11 of 11 messages were not sent: ") {
		t.Errorf("Send to an absent queue = %v, want an error", err)
	}

	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("refresh")})
	if err != nil {
		t.Fatal(err)
	}
	q := NewRefresh(client, *made.QueueUrl)
	backlog := func(least int) {
		t.Helper()
		if n, err := q.Backlog(t.Context()); err != nil || n < least {
			t.Errorf("Backlog = %d, %v, want %d at least", n, err, least)
		}
	}
	backlog(0)
	late := numbered(12)
	for i := range late {
		late[i].Delay = time.Minute
	}
	late[0].Delay = 15 * time.Minute // the longest that SQS allows
	if err := q.Send(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	backlog(12)
	soon := numbered(13)
	for i := range soon {
		soon[i].Delay, soon[i].Message.Probe = 0, i == 0
	}
	if err := q.Send(t.Context(), soon); err != nil {
		t.Fatal(err)
	}
	backlog(25)
	got := map[int64]schedule.Message{}
	for len(got) < len(soon) {
		// Received messages stay invisible for longer than the test takes, unless the
		// answer with them is lost: then they come again.
		out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: made.QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 20, VisibilityTimeout: 60,
		})
		if err != nil {
			t.Fatalf("received %d of %d messages, then %v", len(got), len(soon), err)
		}
		for _, r := range out.Messages {
			var m schedule.Message
			if err := json.Unmarshal([]byte(*r.Body), &m); err != nil {
				t.Fatal(err)
			}
			got[m.AccountID] = m
		}
	}
	for _, m := range soon {
		if diff := cmp.Diff(m.Message, got[m.Message.AccountID]); diff != "" {
			t.Errorf("message of account %s (-sent +received):\n%s", strconv.FormatInt(m.Message.AccountID, 10), diff)
		}
	}
	backlog(25) // messages in work count
}

// TestDeliveries: SQS takes messages for webhooks, grouped by partner, each after its delay.
func TestDeliveries(t *testing.T) {
	client := sqs.NewFromConfig(emulator.Config(calltrace.Emulator(t, emulator.StartMiniStack)))
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("deliveries")})
	if err != nil {
		t.Fatal(err)
	}
	q := NewDeliveries(client, *made.QueueUrl)
	var refs []webhook.Ref
	for i := range int64(11) {
		refs = append(refs, webhook.Ref{Owner: webhook.Owner{PartnerID: 5 + i%2, AccountID: i}, ID: "se-" + strconv.FormatInt(i, 10)})
	}
	if err := q.Send(t.Context(), refs[:1], webhook.LongestDelay); err != nil {
		t.Fatal(err)
	}
	if err := q.Send(t.Context(), refs[1:], time.Millisecond); err != nil {
		t.Fatal(err)
	}
	got := map[webhook.Ref]bool{}
	for len(got) < 10 {
		out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 20, VisibilityTimeout: 60})
		if err != nil {
			t.Fatalf("received %d messages, then %v", len(got), err)
		}
		for _, r := range out.Messages {
			ref, err := webhook.DecodeMessage(*r.Body)
			if err != nil {
				t.Fatal(err)
			}
			got[ref] = true
		}
	}
	if got[refs[0]] {
		t.Error("a message came before its delay was over")
	}
}

// TestDelayIsRoundedUp: no message comes before its time.
func TestDelayIsRoundedUp(t *testing.T) {
	for delay, want := range map[time.Duration]int32{0: 0, 1: 1, time.Second: 1, time.Second + 1: 2, webhook.LongestDelay: 900} {
		api := &fakeSQS{}
		if err := NewDeliveries(api, "queue").Send(t.Context(), []webhook.Ref{{Owner: webhook.Owner{PartnerID: 7}, ID: "se-1"}}, delay); err != nil {
			t.Fatal(err)
		}
		e := api.batches[0][0]
		if e.DelaySeconds != want || *e.MessageGroupId != "7" || *e.MessageBody != `{"partner_id":7,"account_id":0,"webhook_id":"se-1"}` {
			t.Errorf("a delay of %v is sent as %d s, group %s, body %s, want %d s", delay, e.DelaySeconds, *e.MessageGroupId, *e.MessageBody, want)
		}
	}
}
