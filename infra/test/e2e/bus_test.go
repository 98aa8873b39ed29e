package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"carrierlink/shared/effects"
)

// listenerQueue gets everything that is put on the event bus.
var listenerQueue string

// heard is a message that a rule of the bus passes on.
type heard struct {
	Source     string         `json:"source"`
	DetailType string         `json:"detail-type"`
	Detail     map[string]any `json:"detail"`
}

// published returns the events of the table that are published, by their ids.
func published(items []item) map[string]item {
	events := map[string]item{}
	for _, it := range items {
		if strings.HasPrefix(str(it, "pk"), "EVENTS#") && slices.Contains(effects.EventTypes(), effects.EventType(str(it, "type"))) {
			events[str(it, "sk")] = it
		}
	}
	return events
}

// everyEventIsPublished waits until the listener has heard each event of the table that callers see, and checks that it has
// heard nothing else, no secret, and the events of each resource in their order.
func everyEventIsPublished(ctx context.Context, items []item) error {
	missing := published(items)
	total := len(missing)
	var messages []types.Message
	for last, empty := time.Now(), false; (len(missing) > 0 || !empty) && time.Since(last) < checkWithin; {
		some, err := receive(ctx, listenerQueue)
		if err != nil {
			return err
		}
		empty = len(some) == 0
		for _, m := range some {
			messages = append(messages, m)
			if id := eventID(m); missing[id] != nil {
				delete(missing, id)
				last = time.Now()
			}
			if _, err := queues().DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &listenerQueue, ReceiptHandle: m.ReceiptHandle}); err != nil {
				return fmt.Errorf("deleting a message of the bus: %w", err)
			}
		}
	}
	var errs []error
	for id, it := range missing {
		errs = append(errs, fmt.Errorf("%s %s was not published", str(it, "type"), id))
	}
	// The schedule goes on meanwhile.
	items, err := allItems(ctx)
	if err != nil {
		return err
	}
	errs = append(errs, checkHeard(messages, published(items))...)
	fmt.Fprintf(os.Stderr, "e2e: %d of %d events were published, in %d messages of the bus\n", total-len(missing), total, len(messages))
	return errors.Join(errs[:min(len(errs), 20)]...)
}

// eventID returns the event_id of a message that a rule of the bus passes on.
func eventID(m types.Message) string {
	var body heard
	_ = json.Unmarshal([]byte(aws.ToString(m.Body)), &body) // then it has none
	id, _ := body.Detail["event_id"].(string)
	return id
}

// checkHeard compares what the listener has heard with the events of the table. The listener's queue may pass messages on in
// another order than it got them: the times at which it got them count, in milliseconds.
func checkHeard(messages []types.Message, want map[string]item) (errs []error) {
	sent := func(m types.Message) int64 {
		n, _ := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
		return n
	}
	slices.SortStableFunc(messages, func(a, b types.Message) int { return cmp.Compare(sent(a), sent(b)) })
	type arrival struct {
		id string
		at int64
	}
	latest, seen := map[string]arrival{}, map[string]bool{} // by resource, by event_id
	for _, m := range messages {
		text := aws.ToString(m.Body)
		if leaked := api.secrets.in(text, true); leaked != "" {
			errs = append(errs, fmt.Errorf("an event on the bus holds %s", leaked))
		}
		if sent(m) == 0 {
			errs = append(errs, errors.New("a message of the bus has no time"))
		}
		id := eventID(m)
		it, ok := want[id]
		if !ok {
			errs = append(errs, fmt.Errorf("the bus has an event that the table has not: %.300s", text))
			continue
		}
		if err := sameEvent(text, it); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", id, err))
		}
		resource := str(it, "pk") + " " + str(it, "subject")
		if last := latest[resource]; !seen[id] && id < last.id && sent(m) > last.at {
			errs = append(errs, fmt.Errorf("%s of %s arrived after %s", id, resource, last.id))
		}
		if id > latest[resource].id {
			latest[resource] = arrival{id, sent(m)}
		}
		seen[id] = true
	}
	return errs
}

// sameEvent compares an event on the bus with the table's.
func sameEvent(text string, it item) error {
	var m heard
	var data any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return err
	}
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
