// Package trackcache caches what carriers said of parcels, and counts calls of carriers.
package trackcache

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/tracking"
)

// Store reads and writes cached tracking and the calls of allowances.
type Store struct{ table *kit.Table }

// New returns a Store over the table.
func New(t *kit.Table) *Store { return &Store{t} }

// TakeCall counts a call of the carrier and returns zero, if the allowance has room for
// it: at most limit calls in any window. Else it returns how long until there is room.
// See kit.Call. The effects of the call are recorded in the same transaction, if it has any.
func (s *Store) TakeCall(ctx context.Context, c connection.Call, window time.Duration, now time.Time) (wait time.Duration, err error) {
	e, waitOf, err := kit.Call(c.Allowance, c.Limit, window, now)
	if err != nil {
		return 0, err
	}
	it, refused, err := s.takeCall(ctx, e, c.Effects, now)
	switch {
	case err != nil:
		return 0, fmt.Errorf("taking a call: %w", err)
	case !refused:
		return 0, nil
	}
	return waitOf(it)
}

// takeCall makes the edit that counts a call. Without effects that costs one write, in a
// transaction two.
func (s *Store) takeCall(ctx context.Context, e *kit.Edit, fx effects.Effects, now time.Time) (it kit.Item, refused bool, err error) {
	if len(fx.Events) == 0 && fx.Answer == nil {
		return s.table.WriteEdit(ctx, e)
	}
	refusals, err := s.table.Commit(ctx, []kit.Part{s.table.Update(kit.PartCall, e)}, fx, now)
	return refusals[kit.PartCall], refusals.Has(kit.PartCall), err
}

// CachedTracking reads the cache entries of at most 100 tracking numbers, in one call.
// Numbers without an entry, or with an expired one, are left out.
func (s *Store) CachedTracking(ctx context.Context, accountID int64, connectionID string, numbers []string, now time.Time) (map[string]tracking.Cached, error) {
	cached := map[string]tracking.Cached{}
	if len(numbers) == 0 {
		return cached, nil
	}
	var keys []kit.Key
	for _, number := range slices.Compact(slices.Sorted(slices.Values(numbers))) {
		keys = append(keys, kit.TrackingKey(accountID, connectionID, number))
	}
	found, err := s.table.BatchGet(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("reading cached tracking: %w", err)
	}
	for _, it := range found {
		if kit.Gone(it, now) {
			continue
		}
		t, err := readTracking(it)
		if err != nil {
			return nil, err
		}
		cached[t.Number] = t
	}
	return cached, nil
}

// CacheTracking writes cache entries of at most 25 numbers, until each expires (whole
// seconds). Entries that DynamoDB has not taken after six calls are dropped, without an
// error.
func (s *Store) CacheTracking(ctx context.Context, accountID int64, connectionID string, entries []tracking.Cached) error {
	if len(entries) == 0 {
		return nil
	}
	byNumber := map[string]types.WriteRequest{} // DynamoDB refuses a number twice
	for _, t := range entries {
		byNumber[t.Number] = types.WriteRequest{PutRequest: &types.PutRequest{Item: trackingItem(accountID, connectionID, t)}}
	}
	left := map[string][]types.WriteRequest{s.table.Name: slices.Collect(maps.Values(byNumber))}
	for n := 0; len(left) > 0 && n < kit.Attempts; n++ {
		if n > 0 && s.table.Backoff(ctx, n-1) != nil {
			return nil //nolint:nilerr // no time left: the rest is dropped
		}
		out, err := s.table.API.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: left})
		if err != nil {
			return fmt.Errorf("caching tracking: %w", err)
		}
		left = out.UnprocessedItems
	}
	return nil
}

func trackingItem(accountID int64, connectionID string, t tracking.Cached) kit.Item {
	it := kit.TrackingKey(accountID, connectionID, t.Number).Item()
	it.Time("at", t.At)
	it.Bytes("body", t.Body)
	it.Seconds(kit.AttrTTL, t.ExpiresAt)
	return it
}

func readTracking(it kit.Item) (tracking.Cached, error) {
	r := kit.Reader{It: it}
	return tracking.Cached{Number: r.Text(kit.AttrSK), At: r.Time("at"), Body: r.Bytes("body"), ExpiresAt: r.Seconds(kit.AttrTTL)}, r.Done("tracking")
}
