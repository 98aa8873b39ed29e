package webhook

import (
	"context"
	"fmt"
	"time"

	"carrierlink/shared/effects"
)

// Dispatcher makes new events pending for the webhooks that want them.
type Dispatcher struct {
	Store interface {
		// Webhooks reads the lists of owners. One that cannot be read is left out.
		Webhooks(ctx context.Context, owners []Owner, now time.Time) (map[Owner]List, error)
		AddPending(ctx context.Context, pending []Pending) error
		MarkDue(ctx context.Context, refs []Ref, now time.Time) error
	}
	Queue Queue
	Now   func() time.Time
}

// Dispatch makes events pending, and sends a message for each webhook that has some. Until
// it has succeeded it must be called again. To do so once more does nothing but start runs:
// what was delivered is not sent again. It returns how many events it has made pending,
// each counted for each webhook.
func (d *Dispatcher) Dispatch(ctx context.Context, events []effects.Event) (int, error) {
	now := d.Now()
	var owners []Owner
	seen := map[Owner]bool{}
	for i := range events {
		for _, o := range OwnersOf(&events[i]) {
			if !seen[o] {
				seen[o], owners = true, append(owners, o)
			}
		}
	}
	lists, err := d.Store.Webhooks(ctx, owners, now)
	if err != nil {
		return 0, err
	}
	pending, refs := wanted(events, lists)
	if len(pending) == 0 {
		return 0, nil
	}
	if err := d.Store.AddPending(ctx, pending); err != nil {
		return 0, err
	}
	// Before the messages: if one is lost, the schedule finds the webhook.
	if err := d.Store.MarkDue(ctx, refs, now); err != nil {
		return 0, err
	}
	if err := d.Queue.Send(ctx, refs, 0); err != nil {
		return 0, fmt.Errorf("sending messages to the delivery queue: %w", err)
	}
	return len(pending), nil
}

// wanted returns what webhooks get of events, each once, and these webhooks.
func wanted(events []effects.Event, lists map[Owner]List) (pending []Pending, refs []Ref) {
	seen := map[string]bool{} // the stream may repeat an event within a batch
	found := map[Ref]bool{}
	for i := range events {
		e := &events[i]
		if seen[e.ID] {
			continue
		}
		seen[e.ID] = true
		for _, o := range OwnersOf(e) {
			for _, w := range lists[o].Webhooks {
				if !w.Wants(e) {
					continue
				}
				ref := Ref{o, w.ID}
				pending = append(pending, Pending{Ref: ref, EventID: e.ID, EventOwner: e.AccountID, Subject: e.Subject, RequestedAt: e.At})
				if !found[ref] {
					found[ref], refs = true, append(refs, ref)
				}
			}
		}
	}
	return pending, refs
}
