package crash

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/bustest"
	"carrierlink/infra/test/functiontest"
)

// listen makes the event bus of the world, and a queue that gets everything that is put on it.
func (w *world) listen() {
	w.t.Helper()
	ctx, cfg := context.Background(), emulator.Config(w.emulatorURL)
	_, err := eventbridge.NewFromConfig(cfg).CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: &w.name})
	// The SDK asks again after a lost answer. Nobody else makes a bus with the name of this world.
	var exists *eventtypes.ResourceAlreadyExistsException
	if err == nil || errors.As(err, &exists) {
		w.queue, err = bustest.Listen(ctx, cfg, w.name, w.name)
	}
	if err != nil {
		w.t.Errorf("making the event bus: %v", err)
	}
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
// The queue behind the bus may pass messages on in another order than it got them: the times
// at which it got them count, in milliseconds.
func (w *world) published(when string) {
	w.t.Helper()
	_, want := w.streamed()
	if len(want) < 2 {
		w.t.Errorf("%s: there are %d events, too few to have an order", when, len(want))
	}
	first := map[string]int64{} // arrival by event_id
	queues := sqs.NewFromConfig(emulator.Config(w.emulatorURL))
	// The bus passes events on in its own time.
	for last, empty := time.Now(), false; (len(first) < len(want) || !empty) && time.Since(last) < time.Minute; {
		out, err := queues.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{
			QueueUrl: &w.queue, MaxNumberOfMessages: 10, WaitTimeSeconds: 1,
			MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameSentTimestamp},
		})
		if err != nil {
			w.t.Errorf("%s: reading what is on the bus: %v", when, err)
			return
		}
		empty = len(out.Messages) == 0
		for _, m := range out.Messages {
			var body struct {
				Detail struct {
					EventID string `json:"event_id"`
				} `json:"detail"`
			}
			at, timeErr := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64)
			if err := errors.Join(json.Unmarshal([]byte(aws.ToString(m.Body)), &body), timeErr); err != nil {
				w.t.Errorf("%s: a message of the bus: %v", when, err)
			}
			if had, ok := first[body.Detail.EventID]; !ok || at < had {
				first[body.Detail.EventID], last = at, time.Now()
			}
		}
	}
	for i, id := range want {
		at, ok := first[id]
		if !ok || i > 0 && at < first[want[i-1]] {
			w.t.Errorf("%s: of the events %q the bus has had %v, in this order by their times\n%s", when, want, first, w.logs())
			return
		}
	}
	if len(first) != len(want) {
		w.t.Errorf("%s: the bus has had %v, want %q", when, first, want)
	}
}
