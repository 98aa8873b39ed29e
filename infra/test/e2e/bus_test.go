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
			if _, err := queues().DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &listenerQueue, ReceiptHandle: m.ReceiptHandle}); err != nil && !isDeleted(err) {
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

// isDeleted reports whether a message was deleted before: the SDK deletes again if the answer was lost.
func isDeleted(err error) bool {
	_, deleted := errors.AsType[*types.ReceiptHandleIsInvalid](err)
	return deleted
}

// eventID returns the event_id of a message that a rule of the bus passes on.
func eventID(m types.Message) string {
	var body heard
	_ = json.Unmarshal([]byte(aws.ToString(m.Body)), &body) // then it has none
	id, _ := body.Detail["event_id"].(string)
	return id
}

// checkHeard compares what the listener has heard with the events of the table, and their order where the stream has one. The
// listener's queue may pass messages on in another order than it got them: the times at which it got them count, in
// milliseconds.
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
	ordered := !differs("reorders the stream")
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
		// Events of one moment are of one transaction; a stream may give them out in two batches, in either order.
		if last := latest[resource]; ordered && !seen[id] && id < last.id && effects.TimeOfID(id).Before(effects.TimeOfID(last.id)) && sent(m) > last.at {
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
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return err
	}
	partner, _ := m.Detail["partner_id"].(float64)
	switch {
	case m.Source != "carrierlink" || m.DetailType != str(it, "type"):
		return fmt.Errorf("source %q, detail-type %q", m.Source, m.DetailType)
	case !strings.HasPrefix(str(it, "pk"), "EVENTS#"+strconv.FormatInt(int64(partner), 10)+"#"):
		return fmt.Errorf("it names the partner %v, the table %s", partner, str(it, "pk"))
	}
	return sameBody(m.Detail, it)
}

// sameBody compares the body of an event, as a webhook and the bus have it, with the table's.
func sameBody(body map[string]any, it item) error {
	var data any
	if err := json.Unmarshal([]byte(str(it, "data")), &data); err != nil {
		return err
	}
	account, _ := body["account_id"].(float64)
	url, _ := body["resource_url"].(string)
	switch {
	case body["event"] != str(it, "type"):
		return fmt.Errorf("it is a %v, the table's a %s", body["event"], str(it, "type"))
	case !strings.HasSuffix(str(it, "pk"), "#"+strconv.FormatInt(int64(account), 10)):
		return fmt.Errorf("it names the account %v, the table %s", account, str(it, "pk"))
	case !strings.HasPrefix(url, service.APIURL+"/v1/"):
		return fmt.Errorf("its resource_url is %q", url)
	case !reflect.DeepEqual(body["data"], data):
		return fmt.Errorf("its data is %v, the table has %v", body["data"], data)
	}
	return nil
}
