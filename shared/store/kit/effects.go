package kit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// Commit writes a change and its effects, the stored answer and the events, in one
// transaction. Every change that a caller can ask for goes through it.
//
// It returns *effects.Replay if the Idempotency-Key is taken, whatever else was
// refused: a repeated request meets what the first one has written. If the request's
// claim of the key is gone, it returns fault.State.
func (s *Table) Commit(ctx context.Context, parts []Part, fx effects.Effects, now time.Time) (Refusals, error) {
	all := append(make([]Part, 0, len(parts)+len(fx.Events)+1), parts...)
	if fx.Answer != nil {
		all = append(all, s.keepAnswer(*fx.Answer, now))
	}
	for _, e := range fx.Events {
		if len(e.Data) > effects.MaxEventData {
			return nil, fmt.Errorf("event %s of type %s has %d bytes of data, at most %d are allowed", e.ID, e.Type, len(e.Data), effects.MaxEventData)
		}
		all = append(all, s.Put(partEvent, EventItem(e, fx.By), "", nil))
	}
	// 100 events of that size have 2 MB, and the rest of a change half a megabyte: the
	// transaction stays below DynamoDB's 4 MB.
	if len(all) > MaxParts {
		return nil, fmt.Errorf("a change writes %d items, %d of them events; a transaction holds %d", len(all), len(fx.Events), MaxParts)
	}
	refused, err := s.Transact(ctx, all)
	if err != nil || !refused.Has(PartIdempotency) {
		return refused, err
	}
	found := refused[PartIdempotency]
	if len(found) == 0 {
		return nil, fault.Busy(errors.New("the claim of the Idempotency-Key is gone"))
	}
	existing, err := IdempotencyFromItem(found)
	if err != nil {
		return nil, err
	}
	return nil, &effects.Replay{Record: *existing}
}

// keepAnswer returns the part that stores an answer: in place of the request's claim
// if it has made one, else where the key may be claimed.
func (s *Table) keepAnswer(rec effects.Record, now time.Time) Part {
	if rec.ClaimID != "" {
		return s.Put(PartIdempotency, idempotencyItem(rec), ifOurClaim, Item{":claim": TextValue(rec.ClaimID)})
	}
	return s.Claim(rec, now)
}

// Claim returns the part that claims an Idempotency-Key, if it may be claimed.
func (s *Table) Claim(rec effects.Record, now time.Time) Part {
	return s.Put(PartIdempotency, idempotencyItem(rec), ifClaimable, Item{":seconds": NumberValue(now.Unix()), ":now": TimeValue(now)})
}

// EventItem makes the item of an event.
func EventItem(e effects.Event, by effects.By) Item {
	it := Key{EventsPK(e.PartnerID, e.AccountID), e.ID}.Item()
	it.Text(AttrEventPK, PartnerEventsPK(e.PartnerID))
	it.Text(AttrEventType, string(e.Type))
	it.Int(AttrPartnerID, e.PartnerID)
	it.Int(AttrAccountID, e.AccountID)
	it.Text("subject", e.Subject)
	it.Time("at", e.At)
	it.Text("data", string(e.Data))
	it.Text("actor", string(by.Actor))
	it.Int("by_key", by.KeyID)
	it.Int("by_partner", by.PartnerID)
	it.Int("by_account", by.AccountID)
	it.Text("by_operator", by.Operator)
	it.Text("request_id", by.RequestID)
	it.Text("source_ip", by.SourceIP)
	it.Seconds(AttrTTL, e.At.Add(effects.AuditKept))
	return it
}

// EventFromItem reads an event.
func EventFromItem(it Item) (effects.Recorded, error) {
	r := Reader{It: it}
	e := effects.Recorded{
		Event: effects.Event{
			ID: r.Text(AttrSK), Type: effects.EventType(r.Text(AttrEventType)), PartnerID: r.Int(AttrPartnerID), AccountID: r.Int(AttrAccountID),
			Subject: r.Text("subject"), At: r.Time("at"), Data: []byte(r.Text("data")),
		},
		By: effects.By{
			Actor: effects.Actor(r.Text("actor")), KeyID: r.Int("by_key"), PartnerID: r.Int("by_partner"), AccountID: r.Int("by_account"),
			Operator: r.Text("by_operator"), RequestID: r.Text("request_id"), SourceIP: r.Text("source_ip"),
		},
	}
	return e, r.Done("event")
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

// IdempotencyFromItem reads the record of an Idempotency-Key.
func IdempotencyFromItem(it Item) (*effects.Record, error) {
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

// A key may be claimed if it has no record, if its record has expired, or if the
// request that claimed it died: its lease is over and it has no answer.
const (
	ifClaimable = IfAbsent + " OR expires_at <= :seconds OR (attribute_not_exists(sealed) AND lease_until <= :now)"
	ifOurClaim  = "claim_id = :claim AND attribute_not_exists(sealed)"
)
