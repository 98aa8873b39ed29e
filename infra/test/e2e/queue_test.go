package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// poison are invalid messages that the suite sends to the refresh queue. Each of them, and no other message, must end in
// the dead-letter queue.
var poison struct {
	mu     sync.Mutex
	bodies []string
}

func queues() *sqs.Client { return sqs.NewFromConfig(service.AWSConfig()) }

// send puts a message into the refresh queue directly.
func sendMessage(t *testing.T, body string) {
	t.Helper()
	if _, err := queues().SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &service.RefreshQueueURL, MessageBody: &body}); err != nil {
		t.Fatalf("sending a message: %v", err)
	}
}

// depth returns the number of messages in a queue, in any state.
func depth(ctx context.Context, url string) (int, error) {
	out, err := queues().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		return 0, fmt.Errorf("reading the state of a queue: %w", err)
	}
	sum := 0
	for name, value := range out.Attributes {
		if strings.HasPrefix(name, "ApproximateNumberOfMessages") {
			n, err := strconv.Atoi(value)
			if err != nil {
				return 0, fmt.Errorf("%s is %q", name, value)
			}
			sum += n
		}
	}
	return sum, nil
}

func waitForEmptyQueue(t *testing.T, within time.Duration) {
	t.Helper()
	eventually(t, within, "the refresh queue is not empty", func() bool {
		n, err := depth(t.Context(), service.RefreshQueueURL)
		if err != nil {
			t.Fatal(err)
		}
		return n == 0
	})
}

// hideFor changes the visibility timeout of the refresh queue: five times the template's three minutes would be too long
// for a test.
func hideFor(ctx context.Context, seconds int) error {
	_, err := queues().SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
		QueueUrl: &service.RefreshQueueURL, Attributes: map[string]string{"VisibilityTimeout": strconv.Itoa(seconds)},
	})
	return err
}

// templateHides is the VisibilityTimeout of template.yaml, which the local stack has checked.
const templateHides = 180

// deliver enables or disables the mapping that passes the messages of production accounts to the worker.
func deliver(ctx context.Context, on bool) error {
	path := service.EmulatorURL + "/2015-03-31/event-source-mappings/"
	list, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	text, err := sendSigned(ctx, list, "lambda", nil)
	if err != nil {
		return err
	}
	var answer struct {
		EventSourceMappings []struct {
			UUID   string `json:"UUID"`
			Source string `json:"EventSourceArn"`
		} `json:"EventSourceMappings"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("listing the mappings: %w", err)
	}
	queue := service.RefreshQueueURL[strings.LastIndex(service.RefreshQueueURL, "/")+1:]
	id := ""
	for _, m := range answer.EventSourceMappings {
		if strings.HasSuffix(m.Source, ":"+queue) {
			id = m.UUID
		}
	}
	if id == "" {
		return fmt.Errorf("none of %d mappings is of %s", len(answer.EventSourceMappings), queue)
	}
	path += id
	body := []byte(`{"Enabled":` + strconv.FormatBool(on) + `}`)
	put, err := http.NewRequestWithContext(ctx, http.MethodPut, path, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	put.Header.Set("Content-Type", "application/json")
	if _, err := sendSigned(ctx, put, "lambda", body); err != nil {
		return err
	}
	want := map[bool]string{true: "Enabled", false: "Disabled"}[on]
	for range 200 {
		get, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		text, err := sendSigned(ctx, get, "lambda", nil)
		if err != nil {
			return err
		}
		var mapping struct {
			State string `json:"State"`
		}
		if err := json.Unmarshal(text, &mapping); err != nil {
			return err
		}
		if mapping.State == want {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return errors.New("the mapping does not become " + want)
}

// hidden is how long a message that receive read stays invisible to the next reader.
const hidden = 30 * time.Second

// receive reads up to ten messages of a queue once, and does not delete them.
func receive(ctx context.Context, url string) ([]types.Message, error) {
	out, err := queues().ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: 2, VisibilityTimeout: int32(hidden.Seconds()),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll}, MessageAttributeNames: []string{"All"},
	})
	if err != nil {
		return nil, fmt.Errorf("receiving messages: %w", err)
	}
	return out.Messages, nil
}

// receiveAll reads every message that a queue holds, and does not delete them. It waits for those that are hidden, because
// an earlier reader has them or the answer to it was lost.
func receiveAll(ctx context.Context, url string) ([]types.Message, error) {
	var all []types.Message
	seen := map[string]bool{}
	for last := time.Now(); time.Since(last) < 2*hidden; {
		n, err := depth(ctx, url)
		if err != nil || len(all) >= n {
			return all, err
		}
		some, err := receive(ctx, url)
		if err != nil {
			return all, err
		}
		for _, m := range some {
			if id := aws.ToString(m.MessageId); !seen[id] {
				seen[id], last = true, time.Now()
				all = append(all, m)
			}
		}
	}
	return all, nil
}

// giveBack makes a received message visible again.
func giveBack(url string, m types.Message) *sqs.ChangeMessageVisibilityInput {
	return &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0}
}

// crawlQueues checks that the dead letters are the expected ones and contain no secret.
func crawlQueues(ctx context.Context) error {
	letters, err := receiveAll(ctx, service.RefreshDeadLetterQueueURL)
	if err != nil {
		return err
	}
	var errs []error
	var got []string
	for _, m := range letters {
		got = append(got, aws.ToString(m.Body))
		text, err := json.Marshal(m)
		if err != nil {
			return err
		}
		if leaked := api.secrets.in(string(text), true); leaked != "" {
			errs = append(errs, fmt.Errorf("a dead letter holds %s", leaked))
		}
	}
	slices.Sort(got)
	slices.Sort(poison.bodies)
	// A message may come twice, because SQS delivers at least once.
	if got = slices.Compact(got); !slices.Equal(got, slices.Compact(slices.Clone(poison.bodies))) {
		errs = append(errs, fmt.Errorf("%d dead letters, want the %d that are no messages", len(got), len(poison.bodies)))
	}
	return errors.Join(errs...)
}

// checkMessages checks that messages of the schedule contain ids and nothing else.
func checkMessages(t *testing.T, m merchant) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	if err := deliver(ctx, false); err != nil {
		t.Fatalf("disabling the mapping: %v", err)
	}
	defer func() {
		if err := deliver(ctx, true); err != nil {
			t.Errorf("enabling the mapping: %v", err)
		}
	}()
	ids := map[string]bool{}
	for range 3 {
		id := link(t, m, "australia_post", ausPostNumber("00")).CarrierID
		refresh(t, m, id)
		ids[id] = false
	}
	pass(t)
	var messages []types.Message
	eventually(t, checkWithin, "the messages have not come", func() bool {
		got, err := receive(ctx, service.RefreshQueueURL)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, got...)
		found := 0
		for _, message := range messages {
			var body map[string]any
			if err := json.Unmarshal([]byte(aws.ToString(message.Body)), &body); err != nil {
				t.Fatalf("a message is not JSON: %v", err)
			}
			if id, ok := body["carrier_id"].(string); ok {
				if _, mine := ids[id]; mine {
					found++
					if len(body) != 5 || body["credential_id"] == "" || body["partner_id"] == 0.0 || body["account_id"] != float64(m.ID) || body["lane"] != "australia_post" {
						t.Errorf("message = %s", aws.ToString(message.Body))
					}
				}
			}
		}
		return found >= len(ids)
	})
	for _, message := range messages {
		text, err := json.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		if leaked := api.secrets.in(string(text), true); leaked != "" {
			t.Errorf("a message of the refresh queue holds %s", leaked)
		}
		if len(message.MessageAttributes) > 0 {
			t.Errorf("message attributes = %v", message.MessageAttributes)
		}
		// It was only inspected, so make it visible again.
		if _, err := queues().ChangeMessageVisibility(ctx, giveBack(service.RefreshQueueURL, message)); err != nil {
			t.Errorf("giving a message back: %v", err)
		}
	}
}
