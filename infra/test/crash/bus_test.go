package crash

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/functiontest"
)

// listen makes the event bus of the world, and a queue that gets everything that is put on it.
func (w *world) listen() {
	w.t.Helper()
	ctx, cfg := context.Background(), emulator.Config(w.emulatorURL)
	fail := func(err error) {
		if err != nil {
			w.t.Errorf("making the event bus: %v", err)
		}
	}
	events, queues := eventbridge.NewFromConfig(cfg), sqs.NewFromConfig(cfg)
	_, err := events.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: &w.name})
	fail(err)
	made, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &w.name})
	if err != nil {
		fail(err)
		return
	}
	w.queue = aws.ToString(made.QueueUrl)
	read, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &w.queue, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn}})
	if err != nil {
		fail(err)
		return
	}
	arn := read.Attributes["QueueArn"]
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + arn + `"}]}`
	_, err = queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &w.queue, Attributes: map[string]string{"Policy": policy}})
	fail(err)
	_, err = events.PutRule(ctx, &eventbridge.PutRuleInput{Name: &w.name, EventBusName: &w.name, EventPattern: aws.String(`{"source":["carrierlink"]}`)})
	fail(err)
	_, err = events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &w.name, EventBusName: &w.name, Targets: []eventtypes.Target{{Id: aws.String("queue"), Arn: &arn}}})
	fail(err)
}

// streamed returns the records of the table's stream for all events, and their ids.
func (w *world) streamed() ([]json.RawMessage, []string) {
	w.t.Helper()
	out, err := w.db.Scan(context.Background(), &dynamodb.ScanInput{TableName: &w.name, ConsistentRead: aws.Bool(true)})
	if err != nil {
		w.t.Errorf("reading the events: %v", err)
		return nil, nil
	}
	return functiontest.Streamed(w.t, out.Items...)
}

// stream returns what Lambda passes on of the table's stream.
func (w *world) stream() any {
	records, _ := w.streamed()
	return map[string]any{"Records": records}
}

// published checks that each event has arrived on the bus, and that first arrivals are in order.
func (w *world) published(when string) {
	w.t.Helper()
	_, want := w.streamed()
	var got []string
	queues := sqs.NewFromConfig(emulator.Config(w.emulatorURL))
	// The bus passes events on in its own time.
	for last := time.Now(); len(got) < len(want) && time.Since(last) < time.Minute; {
		out, err := queues.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: &w.queue, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
		if err != nil {
			w.t.Errorf("%s: reading what is on the bus: %v", when, err)
			return
		}
		for _, m := range out.Messages {
			var body struct {
				Detail struct {
					EventID string `json:"event_id"`
				} `json:"detail"`
			}
			if err := json.Unmarshal([]byte(aws.ToString(m.Body)), &body); err != nil {
				w.t.Errorf("%s: a message of the bus: %v", when, err)
			}
			if !slices.Contains(got, body.Detail.EventID) {
				got, last = append(got, body.Detail.EventID), time.Now()
			}
		}
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("%s: the bus has had the events %q, want %q\n%s", when, got, want, w.logs())
	}
}
