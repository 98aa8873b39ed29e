// Package queue sends messages to queues of SQS: to those of the scheduled checks, to that of
// the deliveries to webhooks, and to that of mails.
package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"carrierlink/shared/invocation"
	"carrierlink/shared/schedule"
	"carrierlink/shared/webhook"
)

// Refresh is a queue of scheduled checks, or of rounds of parcels.
type Refresh struct{ queue }

// NewRefresh returns the queue with a URL.
func NewRefresh(api API, url string) Refresh { return Refresh{queue{api, url}} }

// Send sends messages in concurrent batches. It sends as many as it can; the error tells
// how many it could not, and why one of them was refused.
func (q Refresh) Send(ctx context.Context, messages []schedule.Delayed) error {
	all := make([]message, len(messages))
	for i, m := range messages {
		all[i] = message{body: m.Message, delay: m.Delay}
	}
	return q.send(ctx, all)
}

// Deliveries is the queue of webhooks that have something to deliver.
type Deliveries struct{ queue }

// NewDeliveries returns the queue with a URL.
func NewDeliveries(api API, url string) Deliveries { return Deliveries{queue{api, url}} }

// Send sends a message for each webhook: see Refresh.Send. A delay is rounded up to whole
// seconds. The message's group is the partner: with groups SQS hands out those of one with
// few messages first, so that a partner with many webhooks does not delay the others (SQS
// Developer Guide, "Amazon SQS fair queues").
func (q Deliveries) Send(ctx context.Context, refs []webhook.Ref, delay time.Duration) error {
	all := make([]message, len(refs))
	for i, ref := range refs {
		all[i] = message{webhook.MessageFor(ref), delay, strconv.FormatInt(ref.PartnerID, 10)}
	}
	return q.send(ctx, all)
}

// queue is a queue in SQS.
type queue struct {
	api API
	url string
}

// message is what a queue gets.
type message struct {
	body  any // encoded as JSON
	delay time.Duration
	group string // empty: none
}

// API is what a queue calls of the SQS client.
type API interface {
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
}

// batchSize is how many messages SQS accepts in one call.
const batchSize = 10

// maxConcurrent is how many batches are sent concurrently: as many as the SDK's HTTP
// client keeps connections to one host. In sequence, at 20 ms each, the 2,000 batches
// of 20,000 checks would take most of their minute.
const maxConcurrent = 10

// Backlog returns the sum of the messages that are waiting, delayed and in work. SQS
// gives approximate numbers.
func (q Refresh) Backlog(ctx context.Context) (int, error) {
	return q.count(ctx, types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible)
}

// Backlog returns the sum of the messages that are waiting and in work. Those that are
// delayed are of webhooks that wait or pause, however many these are: they keep no run
// from beginning.
func (q Deliveries) Backlog(ctx context.Context) (int, error) {
	return q.count(ctx, types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible)
}

// count returns the sum of attributes of the queue.
func (q queue) count(ctx context.Context, names ...types.QueueAttributeName) (int, error) {
	out, err := q.api.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.url, AttributeNames: names})
	if err != nil {
		return 0, fmt.Errorf("reading the queue's attributes: %w", err)
	}
	sum := 0
	for _, name := range names {
		n, err := strconv.Atoi(out.Attributes[string(name)])
		if err != nil {
			return 0, fmt.Errorf("the queue's %s is not a number: %w", name, err)
		}
		sum += n
	}
	return sum, nil
}

func (q queue) send(ctx context.Context, messages []message) error {
	batches := slices.Collect(slices.Chunk(messages, batchSize))
	errs := make([]error, len(batches))
	var next, lost atomic.Int64
	var sending sync.WaitGroup
	for range min(maxConcurrent, len(batches)) {
		sending.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(batches)); i = next.Add(1) - 1 {
				n := len(batches[i]) // after a panic
				errs[i] = invocation.Recovering(func() (err error) {
					n, err = q.sendBatch(ctx, batches[i])
					return err
				})
				lost.Add(int64(n))
			}
		})
	}
	sending.Wait()
	if lost.Load() == 0 {
		return nil
	}
	first := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	return fmt.Errorf("%d of %d messages were not sent: %w", lost.Load(), len(messages), errs[first])
}

// sendBatch sends one batch. It returns how many messages were not sent, and why one
// of them was not; SQS's own text, which may quote a message, is left out.
func (q queue) sendBatch(ctx context.Context, batch []message) (lost int, err error) {
	in := &sqs.SendMessageBatchInput{QueueUrl: &q.url}
	for i, m := range batch {
		body, err := json.Marshal(m.body)
		if err != nil {
			return len(batch), fmt.Errorf("encoding a message: %w", err)
		}
		id, text := strconv.Itoa(i), string(body)
		entry := types.SendMessageBatchRequestEntry{
			Id: &id, MessageBody: &text, DelaySeconds: int32((m.delay + time.Second - 1) / time.Second), //nolint:gosec // 15 minutes at most
		}
		if m.group != "" {
			entry.MessageGroupId = &m.group
		}
		in.Entries = append(in.Entries, entry)
	}
	out, err := q.api.SendMessageBatch(ctx, in)
	switch {
	case err != nil:
		return len(batch), err
	case len(out.Failed) > 0:
		return len(out.Failed), errors.New("SQS: " + cmp.Or(aws.ToString(out.Failed[0].Code), "no reason given"))
	}
	return 0, nil
}
