package trackcache

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/shared/connection"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/tracking"
)

// Store keeps what carriers said of parcels, and counts their calls.
type Store struct{ table *kit.Table }

// New makes one.
func New(t *kit.Table) *Store { return &Store{t} }

// callsKept is how long the table remembers the calls of an allowance that is no
// longer used.
const callsKept = 24 * time.Hour

// HeldCalls is how an allowance is counted: as it is, or where it is over 60 as 60
// in the same share of the window. An expression of DynamoDB has no room for many
// more.
func HeldCalls(limit int, window time.Duration) (int, time.Duration) {
	const most = 60
	if limit > most {
		return most, window * most / time.Duration(limit)
	}
	return limit, window
}

// TakeCall asks whether a call of the carrier may be made, of which the allowance
// has limit at most in any window, and if so counts it. wait is zero then; else
// it is how long until the next one may be made.
//
// Of a limit over 60 a window may hold up to 60 more: HeldCalls.
//
// The item holds the times of the latest limit calls, shifted by each: a call
// may be made when the one limit calls ago is a window old. So each call is a
// window later than the one limit calls before it, whatever the clocks of those
// who ask, and no window holds more than limit. A call that DynamoDB has counted
// although its answer was lost is counted twice.
func (s *Store) TakeCall(ctx context.Context, a connection.Allowance, limit int, window time.Duration, now time.Time) (wait time.Duration, err error) {
	limit, window = HeldCalls(limit, window)
	call := func(ago int) string { return kit.AttrCall + strconv.Itoa(ago) }
	e := kit.NewEdit(kit.CallsKey(a))
	for ago := limit; ago > 1; ago-- {
		e.SetFromOr(call(ago), call(ago-1), kit.NumberValue(0))
	}
	e.Set(call(1), kit.TimeValue(now))
	e.Set(kit.AttrTTL, kit.NumberValue(now.Add(max(callsKept, window)).Unix()))
	e.LacksOr(call(limit), "<=", kit.TimeValue(now.Add(-window)))
	it, refused, err := s.table.Edited(ctx, e)
	if err != nil {
		return 0, fmt.Errorf("taking a call: %w", err)
	}
	if !refused {
		return 0, nil
	}
	r := kit.Reader{It: it}
	return r.Time(call(limit)).Add(window).Sub(now), r.Done("calls")
}

// CachedTracking reads what is kept of tracking numbers, at most 100, in one
// call. What is absent or has expired is left out.
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
		if kit.Lapsed(it, now) {
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

// CacheTracking keeps tracking, of at most 25 numbers, until it expires (whole
// seconds). It is a cache: what DynamoDB has not taken after six calls is
// dropped, without an error.
func (s *Store) CacheTracking(ctx context.Context, accountID int64, connectionID string, tracking []tracking.Cached) error {
	byKey := map[string]types.WriteRequest{} // DynamoDB refuses a number twice
	for _, t := range tracking {
		byKey[t.Number] = types.WriteRequest{PutRequest: &types.PutRequest{Item: trackingItem(accountID, connectionID, t)}}
	}
	var left map[string][]types.WriteRequest
	for _, put := range byKey {
		left = map[string][]types.WriteRequest{s.table.Name: append(left[s.table.Name], put)}
	}
	for n := 0; len(left) > 0 && n < kit.Attempts; n++ {
		if n > 0 && s.table.Backoff(ctx, n-1) != nil {
			return nil //nolint:nilerr // no time left for what was left
		}
		out, err := s.table.API.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: left})
		if err != nil {
			return fmt.Errorf("caching tracking: %w", err)
		}
		left = out.UnprocessedItems
	}
	return nil
}
