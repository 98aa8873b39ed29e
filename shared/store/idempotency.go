package store

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/effects"
)

// A key may be claimed when it is free, when its record has expired (DynamoDB
// removes it only some time later), or when the request that claimed it died:
// its lease is over and there is no answer.
const (
	ifClaimable = ifAbsent + " OR expires_at <= :seconds OR (attribute_not_exists(sealed) AND lease_until <= :now)"
	ifOurClaim  = "claim_id = :claim AND attribute_not_exists(sealed)"
)

// Idempotency reads the record under rec's Scope and Key, consistently: nil when
// there is none or it has expired.
func (s *Store) Idempotency(ctx context.Context, rec effects.Record, now time.Time) (*effects.Record, error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table, Key: idempotencyKey(rec.Scope, rec.Key).item(), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, fmt.Errorf("reading an idempotency record: %w", err)
	}
	if len(out.Item) == 0 || lapsed(out.Item, now) {
		return nil, nil // absent is what the caller asks about
	}
	return readIdempotency(out.Item)
}

// ClaimIdempotency takes an idempotency key for a request that calls others
// before it answers: one that is free, expired, or left behind by a request whose
// lease is over, of whatever payload. Else it returns *effects.Replay with the
// record that is there, finished or at work.
func (s *Store) ClaimIdempotency(ctx context.Context, rec effects.Record, now time.Time) error {
	refused, err := s.transact(ctx, []part{s.claim(rec, now)})
	switch {
	case err != nil:
		return fmt.Errorf("claiming an idempotency key: %w", err)
	case !refused.has(partIdempotency):
		return nil
	}
	existing, err := readIdempotency(refused[partIdempotency])
	switch {
	case err != nil:
		return err
	case existing.ClaimID == rec.ClaimID && !existing.Finished():
		return nil // our own claim: an earlier call made it, and its answer was lost
	}
	return &effects.Replay{Record: *existing}
}

// ReleaseIdempotency frees a key whose request came to nothing. A claim that is
// gone, finished or somebody else's by now is left alone, without an error.
func (s *Store) ReleaseIdempotency(ctx context.Context, rec effects.Record) error {
	e := newEdit(idempotencyKey(rec.Scope, rec.Key))
	e.compares(attrClaimID, "=", textValue(rec.ClaimID))
	e.lacks(attrSealed)
	if _, err := s.transact(ctx, []part{s.remove(partIdempotency, e)}); err != nil {
		return fmt.Errorf("releasing an idempotency key: %w", err)
	}
	return nil
}
