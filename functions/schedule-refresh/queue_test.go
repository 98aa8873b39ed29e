package main

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
)

// partial is an SQS that refuses the messages of some accounts, and whole
// batches that hold one of others.
type partial struct {
	attributes map[string]string
	refused    map[int64]string // account: code
	broken     map[int64]error

	mu      sync.Mutex // batches come side by side
	batches [][]types.SendMessageBatchRequestEntry
}

func (p *partial) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return &sqs.GetQueueAttributesOutput{Attributes: p.attributes}, nil
}

func (p *partial) SendMessageBatch(_ context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
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

// numbered are messages of the accounts 1 to n, each a second after the last.
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
		api  *partial
		want string
	}{
		{"one is refused", &partial{refused: map[int64]string{3: "InternalError"}}, "1 of 25 messages were not sent: SQS answers InternalError"},
		{"some of two batches", &partial{refused: map[int64]string{3: "A", 4: "B", 14: "C"}}, "3 of 25 messages were not sent: SQS answers A"},
		{"without a reason", &partial{refused: map[int64]string{3: ""}}, "1 of 25 messages were not sent: SQS gives no reason"},
		{"a batch is", &partial{broken: map[int64]error{13: broken}}, "10 of 25 messages were not sent: broken"},
		{"the last one, and one before", &partial{refused: map[int64]string{3: "A"}, broken: map[int64]error{21: broken}}, "6 of 25 messages were not sent: SQS answers A"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			q := &queue{api: tc.api, url: "queue"}
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

// TestBacklog: those that wait, that are delayed, and that are being worked on.
func TestBacklog(t *testing.T) {
	q := &queue{api: &partial{attributes: map[string]string{
		"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesDelayed": "20", "ApproximateNumberOfMessagesNotVisible": "300",
	}}}
	if n, err := q.Backlog(t.Context()); err != nil || n != 321 {
		t.Errorf("Backlog = %d, %v, want 321", n, err)
	}
}

// slow is an SQS that takes its time.
type slow struct {
	partial
	sent atomic.Int64
}

func (s *slow) SendMessageBatch(_ context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	time.Sleep(50 * time.Millisecond)
	s.sent.Add(int64(len(in.Entries)))
	return &sqs.SendMessageBatchOutput{}, nil
}

// TestSendSideBySide: 20,000 messages are sent in a sixth of their minute, each
// once, by an SQS that takes 50 ms for ten.
func TestSendSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slow{}
		start := time.Now()
		if err := (&queue{api: api, url: "queue"}).Send(t.Context(), numbered(20_000)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 10*time.Second || api.sent.Load() != 20_000 {
			t.Errorf("%d messages in %v, want 20,000 within 10s", api.sent.Load(), took)
		}
	})
}

func TestBacklogFails(t *testing.T) {
	q := &queue{api: &partial{attributes: map[string]string{"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesDelayed": "x"}}}
	if n, err := q.Backlog(t.Context()); err == nil || !strings.Contains(err.Error(), "ApproximateNumberOfMessagesDelayed") {
		t.Errorf("Backlog of what is no number = %d, %v", n, err)
	}
}

// TestQueue runs the adapter against SQS as MiniStack plays it. SQS delivers at
// least once, and the SDK repeats a batch whose answer was lost: there may be more
// messages than were sent, never fewer.
func TestQueue(t *testing.T) {
	url := calltrace.Emulator(t, emulator.StartMiniStack)
	client := sqs.NewFromConfig(emulator.Config(url))
	absent := &queue{api: client, url: url + "/000000000000/absent"}
	if n, err := absent.Backlog(t.Context()); err == nil {
		t.Errorf("the backlog of a queue that is not there is %d", n)
	}
	if err := absent.Send(t.Context(), numbered(11)); err == nil || !strings.HasPrefix(err.Error(), "11 of 11 messages were not sent: ") {
		t.Errorf("sending to a queue that is not there = %v", err)
	}

	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("refresh")})
	if err != nil {
		t.Fatal(err)
	}
	q := &queue{api: client, url: *made.QueueUrl}
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
	late[0].Delay = 15 * time.Minute // the longest that SQS knows
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
		// What is received stays invisible for longer than the test takes; where the
		// answer itself is lost, the messages come again after it.
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
	backlog(25) // those that are being worked on count
}
