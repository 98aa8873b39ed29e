package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
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

// errNever marks an event that EventBridge will never accept, even when it accepts the
// others. Of the codes of single events only MalformedDetail is about the event itself (API
// reference, "PutEventsResultEntry").
var errNever = errors.New("never accepted")

// Put puts at most maxEntries events on the bus. refused has an error for each event that
// EventBridge did not accept, nil for the others. EventBridge's message is dropped, because
// it may quote the event. If the call itself fails, any of the events may have been accepted.
//
// A call that EventBridge finds invalid is repeated with one event at a time, so that only
// the one that it means is refused.
func (b *bus) Put(ctx context.Context, entries []entry) (refused []error, err error) {
	refused, err = b.put(ctx, entries)
	code := ""
	if failed, ok := errors.AsType[smithy.APIError](err); ok {
		code = failed.ErrorCode()
		err = errors.New("EventBridge: " + code)
	}
	switch {
	case err == nil:
		return refused, nil
	case code != "ValidationException":
		return nil, fmt.Errorf("putting events on the bus: %w", err)
	case len(entries) == 1:
		return []error{fmt.Errorf("%w: %w", errNever, err)}, nil
	}
	for _, e := range entries {
		one, err := b.Put(ctx, []entry{e})
		if err != nil {
			return nil, err
		}
		refused = append(refused, one...)
	}
	return refused, nil
}

// put makes one call.
func (b *bus) put(ctx context.Context, entries []entry) (refused []error, err error) {
	in := &eventbridge.PutEventsInput{}
	for _, e := range entries {
		in.Entries = append(in.Entries, types.PutEventsRequestEntry{
			EventBusName: &b.name, Source: aws.String(source), DetailType: &e.kind, Time: &e.at, Detail: aws.String(string(e.detail)),
		})
	}
	out, err := b.api.PutEvents(ctx, in)
	if err != nil {
		return nil, err
	}
	if len(out.Entries) != len(entries) {
		return nil, fmt.Errorf("EventBridge answers for %d of %d events", len(out.Entries), len(entries))
	}
	refused = make([]error, len(entries))
	for i, result := range out.Entries {
		if aws.ToString(result.EventId) != "" {
			continue
		}
		code := aws.ToString(result.ErrorCode)
		refused[i] = errors.New("EventBridge: " + cmp.Or(code, "no reason given"))
		if code == "MalformedDetail" {
			refused[i] = fmt.Errorf("%w: %w", errNever, refused[i])
		}
	}
	return refused, nil
}
