package kit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// Commit is transact for a change with its effects, all of it in one transaction:
// the stored answer and the events are there if the change is. Every change that a
// caller can ask for goes through it.
//
// A taken Idempotency-Key is *effects.Replay. It comes before any other refusal,
// because a repeat finds what the first request has done. A claim of the key that
// is gone is fault.State.
func (s *Table) Commit(ctx context.Context, parts []Part, fx effects.Effects, now time.Time) (Refusals, error) {
	all := append(make([]Part, 0, len(parts)+len(fx.Events)+1), parts...)
	if fx.Answer != nil {
		all = append(all, s.answered(*fx.Answer, now))
	}
	for _, e := range fx.Events {
		if len(e.Data) > effects.MaxEventData {
			return nil, fmt.Errorf("event %s of type %s has %d bytes of data, and may have %d", e.ID, e.Type, len(e.Data), effects.MaxEventData)
		}
		all = append(all, s.Put(partEvent, eventItem(e, fx.By), "", nil))
	}
	// With data of that size, as many events as there is room for have 2 MB. The
	// rest of a change has half a megabyte, so that it stays below DynamoDB's 4 MB.
	if len(all) > MostParts {
		return nil, fmt.Errorf("a change writes %d items, %d of them events; a transaction holds %d", len(all), len(fx.Events), MostParts)
	}
	refused, err := s.Transact(ctx, all)
	if err != nil || !refused.Has(PartIdempotency) {
		return refused, err
	}
	found := refused[PartIdempotency]
	if len(found) == 0 {
		return nil, fault.Busy(errors.New("the claim of the Idempotency-Key is gone"))
	}
	existing, err := ReadIdempotency(found)
	if err != nil {
		return nil, err
	}
	return nil, &effects.Replay{Record: *existing}
}

// answered is the part that keeps an answer: in place of the request's own claim,
// if it has made one, else where the key may be claimed.
func (s *Table) answered(rec effects.Record, now time.Time) Part {
	if rec.ClaimID != "" {
		return s.Put(PartIdempotency, idempotencyItem(rec), ifOurClaim, Item{":claim": TextValue(rec.ClaimID)})
	}
	return s.Claim(rec, now)
}

// Claim is the part that takes an Idempotency-Key which may be claimed.
func (s *Table) Claim(rec effects.Record, now time.Time) Part {
	return s.Put(PartIdempotency, idempotencyItem(rec), ifClaimable, Item{":seconds": NumberValue(now.Unix()), ":now": TimeValue(now)})
}

// eventsKept is how long an event stays in the table.
const eventsKept = 90 * 24 * time.Hour

func eventItem(e effects.Event, by effects.By) Item {
	it := eventKey(e).Item()
	it.Text("type", e.Type)
	it.Text("subject", e.Subject)
	it.Time("at", e.At)
	it.Text("data", string(e.Data))
	it.Int("by_key", by.KeyID)
	it.Int("by_partner", by.PartnerID)
	it.Int("by_account", by.AccountID)
	it.Text("by_service", by.Service)
	it.Seconds(AttrTTL, e.At.Add(eventsKept))
	return it
}

func idempotencyItem(rec effects.Record) Item {
	it := IdempotencyKey(rec.Scope, rec.Key).Item()
	it.Text("scope", rec.Scope)
	it.Text("idempotency_key", rec.Key)
	it.Bytes("payload_mac", rec.PayloadMAC)
	it.Text(AttrClaimID, rec.ClaimID)
	it.Time(AttrLease, rec.LeaseUntil)
	it.Bytes(AttrSealed, rec.Sealed)
	it.Int(AttrTTL, rec.ExpiresAt.Unix())
	return it
}

// ReadIdempotency reads the record of an Idempotency-Key from its item.
func ReadIdempotency(it Item) (*effects.Record, error) {
	r := Reader{It: it}
	return &effects.Record{
		Scope:      r.Text("scope"),
		Key:        r.Text("idempotency_key"),
		PayloadMAC: r.Bytes("payload_mac"),
		ClaimID:    r.Text(AttrClaimID),
		LeaseUntil: r.Time(AttrLease),
		Sealed:     r.Bytes(AttrSealed),
		ExpiresAt:  r.Seconds(AttrTTL),
	}, r.Done("idempotency record")
}

// A key may be claimed when it is free, when its record has expired (DynamoDB
// removes it only some time later), or when the request that claimed it died:
// its lease is over and there is no answer.
const (
	ifClaimable = IfAbsent + " OR expires_at <= :seconds OR (attribute_not_exists(sealed) AND lease_until <= :now)"
	ifOurClaim  = "claim_id = :claim AND attribute_not_exists(sealed)"
)
