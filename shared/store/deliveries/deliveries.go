// Package deliveries stores what webhooks have yet to get, what came of sending it, and
// what the runs of a webhook keep between them.
package deliveries

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/metrics"
	"carrierlink/shared/store/accounts"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/webhook"
)

// Store reads and writes deliveries.
type Store struct{ table *kit.Table }

// New returns a Store over the table.
func New(t *kit.Table) *Store { return &Store{t} }

// AddPending writes that events are to be delivered. One that is written again is the same
// item; none may be in the list twice. After an error some may have been written.
func (s *Store) AddPending(ctx context.Context, pending []webhook.Pending) error {
	items := make([]kit.Item, len(pending))
	for i, p := range pending {
		items[i] = pendingItem(p)
	}
	if err := s.table.BatchWrite(ctx, items, nil); err != nil {
		return fmt.Errorf("adding pending events: %w", err)
	}
	return nil
}

// ListPending reads what has yet to be delivered to a webhook, the oldest event first, at
// most limit, consistently. more tells whether there is more. What cannot be read is
// counted, logged and left out.
func (s *Store) ListPending(ctx context.Context, ref webhook.Ref, limit int, now time.Time) (found []webhook.Pending, more bool, err error) {
	items, more, err := s.table.QueryPage(ctx, s.table.Range(kit.WebhookPK(ref), kit.SkPending, kit.SkPending+"~"), 0, limit, now)
	if err != nil {
		return nil, false, fmt.Errorf("reading pending events: %w", err)
	}
	for _, it := range items {
		p, err := pendingFromItem(ref, it)
		if err != nil {
			unreadable(ctx, ref, err)
			continue
		}
		found = append(found, p)
	}
	return found, more, nil
}

// unreadable reports that something of a webhook cannot be read.
func unreadable(ctx context.Context, ref webhook.Ref, err error) {
	metrics.Add(ctx, metrics.Malformed, "", 1)
	slog.ErrorContext(ctx, "something of a webhook cannot be read", slog.String("webhook_id", ref.ID), slog.String("error", err.Error()))
}

// LoadPending reads what a pending event is about, consistently and in one call: the event,
// its account and its delivery. What cannot be read counts as absent, and is counted and
// logged; so is an account of another partner, which has the id of one that is gone.
func (s *Store) LoadPending(ctx context.Context, p webhook.Pending, now time.Time) (webhook.Loaded, error) {
	event := kit.Key{PK: kit.EventsPK(p.PartnerID, p.EventOwner), SK: p.EventID}
	delivery, owner := kit.DeliveryKey(p.Ref, p.EventID), kit.AccountKey(p.EventOwner)
	keys := []kit.Key{event, delivery}
	if p.EventOwner != 0 {
		keys = append(keys, owner)
	}
	found, err := s.table.BatchGet(ctx, keys)
	if err != nil {
		return webhook.Loaded{}, fmt.Errorf("reading a pending event: %w", err)
	}
	var l webhook.Loaded
	if l.Event, err = eventFromItem(found[event]); err != nil {
		unreadable(ctx, p.Ref, err)
		l.Event = nil
	}
	if of, id := accounts.ExternalID(ctx, found[owner], now); of.PartnerID == p.PartnerID {
		l.ExternalID = id
	}
	if kit.Gone(found[delivery], now) {
		return l, nil
	}
	d, err := deliveryFromItem(p.Ref, found[delivery])
	if err != nil {
		unreadable(ctx, p.Ref, err)
		return l, nil
	}
	l.Delivery = &d
	return l, nil
}

// SaveDelivery writes a delivery that was tried. If it is retried, the pending events that
// it is for get its times in the same call. If it is final they are deleted in a call of
// their own, afterwards: what is deleted without a delivery would be lost.
func (s *Store) SaveDelivery(ctx context.Context, d webhook.Delivery, pending ...webhook.Pending) error {
	puts := []kit.Item{deliveryItem(d)}
	if d.Status == webhook.Retrying {
		for _, p := range pending {
			p.TriedAt, p.NextAttemptAt = d.Attempts[len(d.Attempts)-1].At, d.NextAttemptAt
			puts = append(puts, pendingItem(p))
		}
	}
	if err := s.table.BatchWrite(ctx, puts, nil); err != nil {
		return fmt.Errorf("writing a delivery: %w", err)
	}
	if d.Status == webhook.Retrying {
		return nil
	}
	return s.DropPending(ctx, pending...)
}

// DropPending deletes pending events.
func (s *Store) DropPending(ctx context.Context, pending ...webhook.Pending) error {
	keys := make([]kit.Key, len(pending))
	for i, p := range pending {
		keys[i] = kit.PendingKey(p)
	}
	if err := s.table.BatchWrite(ctx, nil, keys); err != nil {
		return fmt.Errorf("dropping pending events: %w", err)
	}
	return nil
}

// maxExamined is how many deliveries of a list are read for one page at most.
const maxExamined = 2000

// ListDeliveries reads a page of the deliveries to a webhook, the newest event first: at
// most l.Limit with one of the statuses, among the next maxExamined. One that cannot be read
// is counted, logged and left out. next is the event_id after which the next page begins,
// empty if nothing follows; a page with a next one may be short, or empty.
func (s *Store) ListDeliveries(ctx context.Context, ref webhook.Ref, l webhook.DeliveryListing) (found []webhook.Delivery, next string, err error) {
	from, to, some := effects.EventIDRange(l.From, l.Until, l.Before)
	if !some {
		return nil, "", nil
	}
	in := s.table.Range(kit.WebhookPK(ref), kit.SkDelivery+from, kit.SkDelivery+to)
	in.ScanIndexForward = aws.Bool(false)
	in.Limit = kit.QueryLimit(l.Limit + 2) // the range includes l.Before, and one tells whether there is more
	for examined := 0; ; {
		out, err := s.table.API.Query(ctx, in)
		if err != nil {
			return nil, "", fmt.Errorf("listing deliveries: %w", err)
		}
		for _, it := range out.Items {
			d, err := deliveryFromItem(ref, it)
			switch {
			case d.EventID == l.Before:
				continue
			case len(found) == l.Limit || examined == maxExamined:
				return found, next, nil
			default:
				examined, next = examined+1, d.EventID
			}
			if err != nil {
				unreadable(ctx, ref, err)
				continue
			}
			if len(l.Statuses) == 0 || slices.Contains(l.Statuses, d.Status) {
				found = append(found, d)
			}
		}
		if len(out.LastEvaluatedKey) == 0 {
			return found, "", nil
		}
		in.ExclusiveStartKey, in.Limit = out.LastEvaluatedKey, kit.QueryLimit(100)
	}
}

// Delivery reads the delivery of an event to a webhook: fault.NotFound if there is none.
func (s *Store) Delivery(ctx context.Context, ref webhook.Ref, eventID string) (webhook.Delivery, error) {
	it, err := s.table.Get(ctx, kit.DeliveryKey(ref, eventID))
	switch {
	case err != nil:
		return webhook.Delivery{}, fmt.Errorf("reading a delivery: %w", err)
	case len(it) == 0:
		return webhook.Delivery{}, fault.New(fault.NotFound, "The webhook has no delivery of the last 30 days with this delivery_id.")
	}
	return deliveryFromItem(ref, it)
}
