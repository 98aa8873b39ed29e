package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// bus is an event bus of EventBridge.
type bus struct {
	api  putEvents
	name string
}

// putEvents is what the bus calls of the EventBridge client.
type putEvents interface {
	PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

// maxEntries is how many events EventBridge accepts in one call. Together they may have
// 256 KB (EventBridge User Guide, "Calculating PutEvents event entry size"), which ten of
// the largest events do not reach.
const maxEntries = 10

// source is the source of all events on the bus.
const source = "carrierlink"

// entry is an event as the bus gets it.
type entry struct {
	id        string
	accountID int64
	kind      string // its detail-type
	at        time.Time
	detail    []byte // JSON
}

// errNever is in the error of an event that EventBridge will never accept, whatever the
// others fare.
var errNever = errors.New("never accepted")

// neverAccepted are the codes of errNever. Of the others that EventBridge lists as
// not retryable, each is about the bus, the account or the role (API reference,
// "PutEventsResultEntry").
var neverAccepted = []string{"InvalidArgument", "MalformedDetail", "RedactionFailure"}

// Put puts at most maxEntries events on the bus, in one call. refused has an error for each
// event that EventBridge did not accept, nil for the others; its own text, which may quote
// the event, is left out. After an error of the call itself nothing is known of any.
func (b *bus) Put(ctx context.Context, entries []entry) (refused []error, err error) {
	in := &eventbridge.PutEventsInput{}
	for _, e := range entries {
		in.Entries = append(in.Entries, types.PutEventsRequestEntry{
			EventBusName: &b.name, Source: aws.String(source), DetailType: &e.kind, Time: &e.at, Detail: aws.String(string(e.detail)),
		})
	}
	out, err := b.api.PutEvents(ctx, in)
	switch {
	case err != nil:
		return nil, fmt.Errorf("putting events on the bus: %w", err)
	case len(out.Entries) != len(entries):
		return nil, fmt.Errorf("EventBridge answers for %d of %d events", len(out.Entries), len(entries))
	}
	refused = make([]error, len(entries))
	for i, result := range out.Entries {
		if aws.ToString(result.EventId) != "" {
			continue
		}
		code := aws.ToString(result.ErrorCode)
		refused[i] = errors.New("EventBridge: " + cmp.Or(code, "no reason given"))
		if slices.Contains(neverAccepted, code) {
			refused[i] = fmt.Errorf("%w: %w", errNever, refused[i])
		}
	}
	return refused, nil
}
