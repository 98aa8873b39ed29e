package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"carrierlink/shared/effects"
)

// listenerQueue gets everything that is put on the event bus.
var listenerQueue string

// listenToBus makes a rule as a user of the bus would: it passes all events to a queue.
func listenToBus(ctx context.Context) error {
	const name = "carrierlink-listener"
	made, err := queues().CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(name)})
	if err != nil {
		return fmt.Errorf("making the queue of the listener: %w", err)
	}
	listenerQueue = aws.ToString(made.QueueUrl)
	read, err := queues().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
	if err != nil {
		return fmt.Errorf("reading the queue of the listener: %w", err)
	}
	arn := read.Attributes["QueueArn"]
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + arn + `"}]}`
	if _, err := queues().SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: made.QueueUrl, Attributes: map[string]string{"Policy": policy}}); err != nil {
		return fmt.Errorf("opening the queue of the listener: %w", err)
	}
	events := eventbridge.NewFromConfig(service.AWSConfig())
	if _, err := events.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String(name), EventBusName: &service.EventBusName, EventPattern: aws.String(`{"source":["carrierlink"]}`)}); err != nil {
		return fmt.Errorf("making the rule of the listener: %w", err)
	}
	_, err = events.PutTargets(ctx, &eventbridge.PutTargetsInput{
		Rule: aws.String(name), EventBusName: &service.EventBusName, Targets: []eventtypes.Target{{Id: aws.String("queue"), Arn: &arn}},
	})
	if err != nil {
		return fmt.Errorf("making the target of the listener: %w", err)
	}
	return nil
}

// heard is a message that a rule of the bus passes on.
type heard struct {
	Source     string         `json:"source"`
	DetailType string         `json:"detail-type"`
	Detail     map[string]any `json:"detail"`
}

// everyEventIsPublished waits until the listener has heard each event of the table that callers see, and checks that it has
// heard nothing else, no secret, and the events of each resource in their order.
func everyEventIsPublished(ctx context.Context, items []item) error {
	want := map[string]item{}
	for _, it := range items {
		if strings.HasPrefix(str(it, "pk"), "EVENTS#") && slices.Contains(effects.EventTypes(), effects.EventType(str(it, "type"))) {
			want[str(it, "sk")] = it
		}
	}
	var errs []error
	latest := map[string]string{} // event_id by resource
	missing := maps.Clone(want)
	messages := 0
	hear := func(text string) {
		messages++
		if leaked := api.secrets.in(text, true); leaked != "" {
			errs = append(errs, fmt.Errorf("an event on the bus holds %s", leaked))
		}
		var m heard
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			errs = append(errs, fmt.Errorf("a message of the bus: %w", err))
			return
		}
		id, _ := m.Detail["event_id"].(string)
		it, ok := want[id]
		if !ok {
			errs = append(errs, fmt.Errorf("the bus has an event that the table has not: %.300s", text))
			return
		}
		if err := sameEvent(m, it); err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", m.DetailType, id, err))
		}
		resource := str(it, "pk") + " " + str(it, "subject")
		if _, first := missing[id]; first && id < latest[resource] {
			errs = append(errs, fmt.Errorf("%s of %s arrived after %s", id, resource, latest[resource]))
		}
		latest[resource] = max(latest[resource], id)
		delete(missing, id)
	}
	for last := time.Now(); len(missing) > 0 && time.Since(last) < checkWithin; {
		some, err := receive(ctx, listenerQueue)
		if err != nil {
			return err
		}
		for _, message := range some {
			last = time.Now()
			hear(aws.ToString(message.Body))
			if _, err := queues().DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &listenerQueue, ReceiptHandle: message.ReceiptHandle}); err != nil {
				return fmt.Errorf("deleting a message of the bus: %w", err)
			}
		}
	}
	for id, it := range missing {
		errs = append(errs, fmt.Errorf("%s %s was not published", str(it, "type"), id))
	}
	fmt.Fprintf(os.Stderr, "e2e: %d of %d events were published, in %d messages of the bus\n", len(want)-len(missing), len(want), messages)
	return errors.Join(errs[:min(len(errs), 20)]...)
}

// sameEvent compares an event on the bus with the table's.
func sameEvent(m heard, it item) error {
	var data any
	if err := json.Unmarshal([]byte(str(it, "data")), &data); err != nil {
		return err
	}
	id := func(name string) string {
		n, _ := m.Detail[name].(float64)
		return strconv.FormatInt(int64(n), 10)
	}
	url, _ := m.Detail["resource_url"].(string)
	switch {
	case m.Source != "carrierlink" || m.DetailType != str(it, "type") || m.Detail["event"] != m.DetailType:
		return fmt.Errorf("source %q, detail-type %q, event %v", m.Source, m.DetailType, m.Detail["event"])
	case "EVENTS#"+id("partner_id")+"#"+id("account_id") != str(it, "pk"):
		return fmt.Errorf("it names the partner %s and the account %s, the table %s", id("partner_id"), id("account_id"), str(it, "pk"))
	case !strings.HasPrefix(url, service.APIURL+"/v1/"):
		return fmt.Errorf("its resource_url is %q", url)
	case !reflect.DeepEqual(m.Detail["data"], data):
		return fmt.Errorf("its data is %v, the table has %v", m.Detail["data"], data)
	}
	return nil
}
