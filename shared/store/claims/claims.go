// Package claims stores claims of Idempotency-Keys, and reads stored answers.
package claims

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/effects"
	"carrierlink/shared/store/kit"
)

// Store reads and writes records of Idempotency-Keys.
type Store struct{ table *kit.Table }

// New returns a Store over the table.
func New(t *kit.Table) *Store { return &Store{t} }

// Idempotency reads the record of rec's Scope and Key, consistently; nil if there is
// none or it has expired.
func (s *Store) Idempotency(ctx context.Context, rec effects.Record, now time.Time) (*effects.Record, error) {
	out, err := s.table.API.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table.Name, Key: kit.IdempotencyKey(rec.Scope, rec.Key).Item(), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, fmt.Errorf("reading an idempotency record: %w", err)
	}
	if kit.Gone(out.Item, now) {
		return nil, nil
	}
	return kit.IdempotencyFromItem(out.Item)
}

// ClaimIdempotency claims an Idempotency-Key for a request that calls the carrier or
// Secrets Manager before it answers. The key must be free, expired, or left by a
// request whose lease is over, whatever that one's payload. Otherwise it returns
// *effects.Replay with the stored record, whether finished or still a claim.
func (s *Store) ClaimIdempotency(ctx context.Context, rec effects.Record, now time.Time) error {
	refused, err := s.table.Transact(ctx, []kit.Part{s.table.Claim(rec, now)})
	switch {
	case err != nil:
		return fmt.Errorf("claiming an idempotency key: %w", err)
	case !refused.Has(kit.PartIdempotency):
		return nil
	}
	existing, err := kit.IdempotencyFromItem(refused[kit.PartIdempotency])
	switch {
	case err != nil:
		return err
	case existing.ClaimID == rec.ClaimID && !existing.Finished():
		return nil // an earlier attempt wrote our claim, and its answer was lost
	}
	return &effects.Replay{Record: *existing}
}

// ReleaseIdempotency deletes the claim of a request that failed. It leaves a record
// alone, without an error, that is finished or another request's by now.
func (s *Store) ReleaseIdempotency(ctx context.Context, rec effects.Record) error {
	e := kit.NewEdit(kit.IdempotencyKey(rec.Scope, rec.Key))
	e.Compares(kit.AttrClaimID, "=", kit.TextValue(rec.ClaimID))
	e.Lacks(kit.AttrSealed)
	if _, err := s.table.Transact(ctx, []kit.Part{s.table.Remove(kit.PartIdempotency, e)}); err != nil {
		return fmt.Errorf("releasing an idempotency key: %w", err)
	}
	return nil
}
