// Package events reads the events of accounts, and writes those that no change causes. Each
// change writes its own: see kit.Table.Commit.
package events

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/metrics"
	"carrierlink/shared/store/kit"
)

// Store reads events, and writes some.
type Store struct{ table *kit.Table }

// New returns a Store over the table.
func New(t *kit.Table) *Store { return &Store{t} }

// maxExamined is how many events of a list are read for one page at most, so that a filter
// that few of them pass costs no more.
const maxExamined = 2000

// ListEvents reads a page of events, the newest first: at most l.Limit that pass the
// filters, among the next maxExamined. One that cannot be read is counted, logged and left
// out. next is the event_id after which the next page begins, empty if nothing follows; a
// page with a next one may be short, or empty.
//
// A partner's list, which an index has, follows the table within a second or so; an
// account's own is consistent.
func (s *Store) ListEvents(ctx context.Context, l effects.Listing) (found []effects.Recorded, next string, err error) {
	from, to, some := effects.EventIDRange(l.From, l.Until, l.Before)
	if !some {
		return nil, "", nil // DynamoDB refuses an empty range
	}
	in := s.query(l.PartnerID, l.AccountID, from, to)
	in.ScanIndexForward = aws.Bool(false)
	// Two more: the range includes l.Before, and one tells whether there is more.
	in.Limit = kit.QueryLimit(l.Limit + 2)
	for examined := 0; ; {
		out, err := s.table.API.Query(ctx, in)
		if err != nil {
			return nil, "", fmt.Errorf("listing events: %w", err)
		}
		for _, it := range out.Items {
			id := kit.Reader{It: it}
			switch own := id.Key(); {
			case own.SK == l.Before:
				continue
			case len(found) == l.Limit || examined == maxExamined:
				return found, next, nil
			default:
				examined, next = examined+1, own.SK
			}
			e, err := kit.EventFromItem(it)
			if err != nil {
				unreadable(ctx, next, err)
				continue
			}
			if l.Matches(&e) {
				found = append(found, e)
			}
		}
		if len(out.LastEvaluatedKey) == 0 {
			return found, "", nil
		}
		// A filter has dropped some.
		in.ExclusiveStartKey, in.Limit = out.LastEvaluatedKey, kit.QueryLimit(100)
	}
}

// OldestEvents reads the first l.Limit events of a listing, the oldest first; its filters and
// l.Before do not count. One that cannot be read is counted, logged and left out. last is
// the time of the last one that was read if more follow, else zero.
func (s *Store) OldestEvents(ctx context.Context, l effects.Listing) (found []effects.Recorded, last time.Time, err error) {
	from, to, some := effects.EventIDRange(l.From, l.Until, "")
	if !some {
		return nil, time.Time{}, nil
	}
	items, more, err := s.table.QueryPage(ctx, s.query(l.PartnerID, l.AccountID, from, to), 0, l.Limit, time.Time{})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("listing the oldest events: %w", err)
	}
	for _, it := range items {
		id := kit.Reader{It: it}
		e, err := kit.EventFromItem(it)
		if err != nil {
			unreadable(ctx, id.Text(kit.AttrSK), err)
		} else {
			found = append(found, e)
		}
		if more {
			last = effects.TimeOfID(id.Text(kit.AttrSK))
		}
	}
	return found, last, nil
}

// unreadable reports an event that cannot be read.
func unreadable(ctx context.Context, id string, err error) {
	metrics.Add(ctx, metrics.Malformed, "", 1)
	slog.ErrorContext(ctx, "an event cannot be read", slog.String("event_id", id), slog.String("error", err.Error()))
}

// Event reads an event of an account, or of any account of a partner (account 0):
// fault.NotFound if there is none.
func (s *Store) Event(ctx context.Context, partnerID, accountID int64, id string) (effects.Recorded, error) {
	out, err := s.table.API.Query(ctx, s.query(partnerID, accountID, id, id))
	switch {
	case err != nil:
		return effects.Recorded{}, fmt.Errorf("reading an event: %w", err)
	case len(out.Items) == 0:
		return effects.Recorded{}, ErrNoEvent()
	}
	return kit.EventFromItem(out.Items[0])
}

// ErrNoEvent is fault.NotFound for an event_id.
func ErrNoEvent() *fault.Error {
	return fault.New(fault.NotFound, "No event of the last 30 days has this event_id.")
}

// InsertEvents writes the events of fx, which no change causes, kit.MaxParts in a transaction.
// One that is there already stays as it is: so a repeat writes what a crash has left out.
func (s *Store) InsertEvents(ctx context.Context, fx effects.Effects) error {
	for chunk := range slices.Chunk(fx.Events, kit.MaxParts) {
		for missing := chunk; len(missing) > 0; {
			var parts []kit.Part
			for _, e := range missing {
				parts = append(parts, s.table.Insert(partOf(e), kit.EventItem(e, fx.By)))
			}
			refused, err := s.table.Transact(ctx, parts)
			if err != nil {
				return fmt.Errorf("writing events: %w", err)
			}
			if len(refused) == 0 {
				break
			}
			missing = slices.DeleteFunc(slices.Clone(missing), func(e effects.Event) bool { return refused.Has(partOf(e)) })
		}
	}
	return nil
}

// partOf names an event's part of a transaction.
func partOf(e effects.Event) string { return kit.EventsPK(e.PartnerID, e.AccountID) + " " + e.ID }

// query returns the query for the events of an account, or of a partner (account 0),
// whose ids lie between two, both included.
func (s *Store) query(partnerID, accountID int64, from, to string) *dynamodb.QueryInput {
	if accountID != 0 {
		return s.table.Range(kit.EventsPK(partnerID, accountID), from, to)
	}
	return &dynamodb.QueryInput{
		TableName: &s.table.Name, IndexName: aws.String(kit.IndexEvent),
		KeyConditionExpression:    aws.String("event_pk = :pk AND sk BETWEEN :from AND :to"),
		ExpressionAttributeValues: kit.Item{":pk": kit.TextValue(kit.PartnerEventsPK(partnerID)), ":from": kit.TextValue(from), ":to": kit.TextValue(to)},
	}
}
