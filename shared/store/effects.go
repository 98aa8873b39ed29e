package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// commit is transact for a change with its effects, all of it in one transaction:
// the stored answer and the events are there if the change is. Every change that a
// caller can ask for goes through it.
//
// A taken Idempotency-Key is *effects.Replay. It comes before any other refusal,
// because a repeat finds what the first request has done. A claim of the key that
// is gone is fault.State.
func (s *Store) commit(ctx context.Context, parts []part, fx effects.Effects, now time.Time) (refusals, error) {
	all := append(make([]part, 0, len(parts)+len(fx.Events)+1), parts...)
	if fx.Answer != nil {
		all = append(all, s.answered(*fx.Answer, now))
	}
	for _, e := range fx.Events {
		if len(e.Data) > effects.MaxEventData {
			return nil, fmt.Errorf("event %s of type %s has %d bytes of data, and may have %d", e.ID, e.Type, len(e.Data), effects.MaxEventData)
		}
		all = append(all, s.put(partEvent, eventItem(e, fx.By), "", nil))
	}
	// With data of that size, as many events as there is room for have 2 MB. The
	// rest of a change has half a megabyte, so that it stays below DynamoDB's 4 MB.
	if len(all) > mostParts {
		return nil, fmt.Errorf("a change writes %d items, %d of them events; a transaction holds %d", len(all), len(fx.Events), mostParts)
	}
	refused, err := s.transact(ctx, all)
	if err != nil || !refused.has(partIdempotency) {
		return refused, err
	}
	found := refused[partIdempotency]
	if len(found) == 0 {
		return nil, fault.Busy(errors.New("the claim of the Idempotency-Key is gone"))
	}
	existing, err := readIdempotency(found)
	if err != nil {
		return nil, err
	}
	return nil, &effects.Replay{Record: *existing}
}

// answered is the part that keeps an answer: in place of the request's own claim,
// if it has made one, else where the key may be claimed.
func (s *Store) answered(rec effects.Record, now time.Time) part {
	if rec.ClaimID != "" {
		return s.put(partIdempotency, idempotencyItem(rec), ifOurClaim, item{":claim": textValue(rec.ClaimID)})
	}
	return s.claim(rec, now)
}

// claim is the part that takes an Idempotency-Key which may be claimed.
func (s *Store) claim(rec effects.Record, now time.Time) part {
	return s.put(partIdempotency, idempotencyItem(rec), ifClaimable, item{":seconds": numberValue(now.Unix()), ":now": timeValue(now)})
}

// eventsKept is how long an event stays in the table.
const eventsKept = 90 * 24 * time.Hour

func eventItem(e effects.Event, by effects.By) item {
	it := eventKey(e).item()
	it.text("type", e.Type)
	it.text("subject", e.Subject)
	it.time("at", e.At)
	it.text("data", string(e.Data))
	it.int("by_key", by.KeyID)
	it.int("by_partner", by.PartnerID)
	it.int("by_account", by.AccountID)
	it.text("by_service", by.Service)
	it.seconds(attrTTL, e.At.Add(eventsKept))
	return it
}
