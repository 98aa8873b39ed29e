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

// Store keeps claims of idempotency keys.
type Store struct{ table *kit.Table }

// New makes one.
func New(t *kit.Table) *Store { return &Store{t} }

// Idempotency reads the record under rec's Scope and Key, consistently: nil when
// there is none or it has expired.
func (s *Store) Idempotency(ctx context.Context, rec effects.Record, now time.Time) (*effects.Record, error) {
	out, err := s.table.API.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table.Name, Key: kit.IdempotencyKey(rec.Scope, rec.Key).Item(), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, fmt.Errorf("reading an idempotency record: %w", err)
	}
	if len(out.Item) == 0 || kit.Lapsed(out.Item, now) {
		return nil, nil // absent is what the caller asks about
	}
	return kit.ReadIdempotency(out.Item)
}

// ClaimIdempotency takes an idempotency key for a request that calls others
// before it answers: one that is free, expired, or left behind by a request whose
// lease is over, of whatever payload. Else it returns *effects.Replay with the
// record that is there, finished or at work.
func (s *Store) ClaimIdempotency(ctx context.Context, rec effects.Record, now time.Time) error {
	refused, err := s.table.Transact(ctx, []kit.Part{s.table.Claim(rec, now)})
	switch {
	case err != nil:
		return fmt.Errorf("claiming an idempotency key: %w", err)
	case !refused.Has(kit.PartIdempotency):
		return nil
	}
	existing, err := kit.ReadIdempotency(refused[kit.PartIdempotency])
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
	e := kit.NewEdit(kit.IdempotencyKey(rec.Scope, rec.Key))
	e.Compares(kit.AttrClaimID, "=", kit.TextValue(rec.ClaimID))
	e.Lacks(kit.AttrSealed)
	if _, err := s.table.Transact(ctx, []kit.Part{s.table.Remove(kit.PartIdempotency, e)}); err != nil {
		return fmt.Errorf("releasing an idempotency key: %w", err)
	}
	return nil
}
