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

	"carrierlink/shared/account"
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

// What EventBridge accepts in one call (EventBridge User Guide, "Calculating PutEvents event
// entry size"). Ten of the largest events of this version have fewer bytes.
const (
	maxEntries = 10
	maxBytes   = 256 << 10
)

// source is the source of all events on the bus.
const source = "carrierlink"

// entry is an event as the bus gets it.
type entry struct {
	id     string
	owner  account.Owned // account 0: the partner itself
	kind   string        // its detail-type
	at     time.Time
	detail []byte // JSON
}

// errNever marks an event that EventBridge will never accept, even when it accepts the
// others. The code MalformedDetail says so. Other codes may be about the bus or the role:
// such an event waits, until somebody mends that or it has left the stream.
var errNever = errors.New("never accepted")

// size returns what an event counts of maxBytes.
func (e *entry) size() int { return 14 + len(source) + len(e.kind) + len(e.detail) } // 14 for the time

// Put puts at most maxEntries events on the bus. refused has an error for each event that
// EventBridge did not accept, nil for the others. EventBridge's message is dropped, because
// it may quote the event. If the call itself fails, any of the events may have been accepted.
//
// A call that EventBridge finds invalid is repeated with one event at a time. If it accepts
// any of them, those that it still finds invalid are refused for good.
func (b *bus) Put(ctx context.Context, entries []entry) (refused []error, err error) {
	refused, err = b.put(ctx, entries)
	if errors.Is(err, errInvalid) && len(entries) > 1 {
		refused, err = b.putSingly(ctx, entries)
	}
	if err != nil {
		return nil, fmt.Errorf("putting events on the bus: %w", err)
	}
	return refused, nil
}

// putSingly makes a call for each event.
func (b *bus) putSingly(ctx context.Context, entries []entry) (refused []error, err error) {
	refused = make([]error, len(entries))
	accepted := false
	for i, e := range entries {
		one, err := b.put(ctx, []entry{e})
		switch {
		case errors.Is(err, errInvalid):
			refused[i] = fmt.Errorf("%w: %w", errNever, err)
		case err != nil:
			return nil, err
		default:
			refused[i], accepted = one[0], accepted || one[0] == nil
		}
	}
	if !accepted {
		return nil, errInvalid
	}
	return refused, nil
}

// errInvalid is the error of a call that EventBridge does not understand.
var errInvalid = errors.New("EventBridge: ValidationException")

// put makes one call.
func (b *bus) put(ctx context.Context, entries []entry) (refused []error, err error) {
	in := &eventbridge.PutEventsInput{}
	for _, e := range entries {
		in.Entries = append(in.Entries, types.PutEventsRequestEntry{
			EventBusName: &b.name, Source: aws.String(source), DetailType: &e.kind, Time: &e.at, Detail: aws.String(string(e.detail)),
		})
	}
	out, err := b.api.PutEvents(ctx, in)
	if failed, ok := errors.AsType[smithy.APIError](err); ok {
		if failed.ErrorCode() == "ValidationException" {
			return nil, errInvalid
		}
		return nil, errors.New("EventBridge: " + failed.ErrorCode())
	}
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
