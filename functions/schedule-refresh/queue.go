package main

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
)

// queue is a refresh queue in SQS.
type queue struct {
	api sqsAPI
	url string
}

// sqsAPI is what the queue calls of the SQS client.
type sqsAPI interface {
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
func (q *queue) Backlog(ctx context.Context) (int, error) {
	names := []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	}
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

// Send sends messages in concurrent batches. It sends as many as it can; the error
// tells how many it could not, and why one of them was refused.
func (q *queue) Send(ctx context.Context, messages []schedule.Delayed) error {
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
func (q *queue) sendBatch(ctx context.Context, batch []schedule.Delayed) (lost int, err error) {
	in := &sqs.SendMessageBatchInput{QueueUrl: &q.url}
	for i, m := range batch {
		body, err := json.Marshal(m.Message)
		if err != nil {
			return len(batch), fmt.Errorf("encoding a message: %w", err)
		}
		id, text := strconv.Itoa(i), string(body)
		in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{
			Id: &id, MessageBody: &text, DelaySeconds: int32(m.Delay / time.Second), //nolint:gosec // less than a minute
		})
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
