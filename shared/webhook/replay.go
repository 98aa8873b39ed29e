package webhook

import (
	"context"
	"fmt"
	"time"

	"carrierlink/shared/effects"
)

// Log stores events and their deliveries.
type Log interface {
	// Event reads an event of an account, or of a partner (account 0): fault.NotFound.
	Event(ctx context.Context, partnerID, accountID int64, id string) (effects.Recorded, error)
	// OldestEvents reads the first events of a listing in the order of their ids; last is
	// the time of the last one, readable or not, zero if there is none after it.
	OldestEvents(ctx context.Context, l effects.Listing) (found []effects.Recorded, last time.Time, err error)
	// Delivery reads the delivery of an event: fault.NotFound.
	Delivery(ctx context.Context, ref Ref, eventID string) (Delivery, error)
	// ListDeliveries reads a page; next is the event_id after which the next one begins.
	ListDeliveries(ctx context.Context, ref Ref, l DeliveryListing) (found []Delivery, next string, err error)
	// ListPending reads what has yet to be delivered; more tells whether there is more.
	ListPending(ctx context.Context, ref Ref, limit int, now time.Time) (found []Pending, more bool, err error)
	AddPending(ctx context.Context, pending []Pending) error
	// MarkDue has the schedule look at webhooks.
	MarkDue(ctx context.Context, refs []Ref, now time.Time) error
}

// Bounds of replays.
const (
	MaxReplayed = 1000 // events of a span that a replay looks at
	// maxPending is how much may be pending for a webhook before a replay adds to it: each
	// replay adds items of its own.
	maxPending = 5000
)

// Replay has the event of a delivery sent again, whatever came of it, and then keeps the
// answer of fx: so the request must have claimed its Idempotency-Key.
//
// Errors: fault.State for a disabled webhook, and with RetryAfter while much is pending;
// NotFound for a webhook that is absent, and for one that has no such delivery.
func (s *Service) Replay(ctx context.Context, ref Ref, eventID string, fx effects.Effects) error {
	if _, err := s.enabled(ctx, ref); err != nil {
		return err
	}
	d, err := s.Log.Delivery(ctx, ref, eventID)
	if err != nil {
		return err
	}
	e, err := s.Log.Event(ctx, ref.PartnerID, d.EventOwner, eventID)
	if err != nil {
		return err
	}
	if err := s.queue(ctx, ref, []effects.Recorded{e}); err != nil {
		return err
	}
	return s.Store.RecordEffects(ctx, fx, s.now())
}

// Span is the time whose events are to be replayed, both ends included.
type Span struct {
	From, Until time.Time
	Delivered   bool // what was delivered, too
}

// Replayed is what a replay of a span has queued, and where the next one goes on: zero at
// the end of the span.
type Replayed struct {
	Queued       int
	ContinueFrom time.Time
}

// ReplaySpan has the events of a span that the webhook wants sent to it, the oldest first.
// It looks at MaxReplayed events; those of the last one's millisecond may be looked at
// again by the next call, and be sent twice. fx is that of Replay.
//
// Errors: those of Replay.
func (s *Service) ReplaySpan(ctx context.Context, ref Ref, span Span, fx effects.For[Replayed]) error {
	w, err := s.enabled(ctx, ref)
	if err != nil {
		return err
	}
	found, last, err := s.Log.OldestEvents(ctx, effects.Listing{
		PartnerID: ref.PartnerID, AccountID: ref.AccountID, From: span.From, Until: span.Until, Limit: MaxReplayed,
	})
	if err != nil {
		return fmt.Errorf("reading the events to replay: %w", err)
	}
	delivered := map[string]bool{}
	if !span.Delivered && len(found) > 0 {
		if delivered, err = s.delivered(ctx, ref, found[0].At, found[len(found)-1].At); err != nil {
			return err
		}
	}
	var wanted []effects.Recorded
	for _, e := range found {
		if w.Wants(&e.Event) && !delivered[e.ID] {
			wanted = append(wanted, e)
		}
	}
	if err := s.queue(ctx, ref, wanted); err != nil {
		return err
	}
	with, err := fx.Of(Replayed{len(wanted), last})
	if err != nil {
		return err
	}
	return s.Store.RecordEffects(ctx, with, s.now())
}

// delivered returns the ids of the events of a span that were delivered.
func (s *Service) delivered(ctx context.Context, ref Ref, from, until time.Time) (map[string]bool, error) {
	ids := map[string]bool{}
	l := DeliveryListing{From: from, Until: until, Statuses: []Status{Delivered}, Limit: MaxReplayed}
	for {
		found, next, err := s.Log.ListDeliveries(ctx, ref, l)
		if err != nil {
			return nil, fmt.Errorf("reading what was delivered: %w", err)
		}
		for _, d := range found {
			ids[d.EventID] = true
		}
		if l.Before = next; next == "" {
			return ids, nil
		}
	}
}

// queue makes events pending, as of now: fault.State if too much is.
func (s *Service) queue(ctx context.Context, ref Ref, events []effects.Recorded) error {
	if len(events) == 0 {
		return nil
	}
	now := s.now()
	if _, more, err := s.Log.ListPending(ctx, ref, maxPending, now); err != nil || more {
		if err == nil {
			err = ErrTooManyPending()
		}
		return err
	}
	pending := make([]Pending, len(events))
	for i, e := range events {
		pending[i] = Pending{Ref: ref, EventID: e.ID, EventOwner: e.AccountID, Subject: e.Subject, RequestedAt: now}
	}
	if err := addPending(ctx, s.Log, pending, now); err != nil {
		return err
	}
	return s.Log.MarkDue(ctx, []Ref{ref}, now)
}
