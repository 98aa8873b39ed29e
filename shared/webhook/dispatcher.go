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
	if err := addPending(ctx, d.Store, pending, now); err != nil {
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

// holdTime is for the writes of addPending.
const holdTime = time.Minute

// addPending makes events pending so that a run which reads meanwhile sends none before an
// earlier one of its resource that is not written yet: of several of a resource the first is
// written alone and held, then the rest, and then the first is let go.
func addPending(ctx context.Context, to interface {
	AddPending(ctx context.Context, pending []Pending) error
}, pending []Pending, now time.Time,
) error {
	type line struct {
		Ref
		resource
	}
	first, several := map[line]string{}, map[line]bool{}
	lineOf := func(p *Pending) line { return line{p.Ref, resource{accountID: p.EventOwner, subject: p.Subject}} }
	for i := range pending {
		p := &pending[i]
		l := lineOf(p)
		id, found := first[l]
		if several[l] = found; !found || p.EventID < id {
			first[l] = p.EventID
		}
	}
	var held, free, rest []Pending
	for i := range pending {
		p := pending[i]
		if l := lineOf(&p); !several[l] || first[l] != p.EventID {
			rest = append(rest, p)
			continue
		}
		free = append(free, p)
		p.HeldUntil = now.Add(holdTime)
		held = append(held, p)
	}
	for _, part := range [][]Pending{held, rest, free} {
		if len(part) == 0 {
			continue
		}
		if err := to.AddPending(ctx, part); err != nil {
			return err
		}
	}
	return nil
}
