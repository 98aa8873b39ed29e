package kit

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// QueryItems reads all items of a partition whose sort keys lie between two
// prefixes, those that begin with a prefix included, consistently.
func (s *Table) QueryItems(ctx context.Context, pk, first, last string) ([]Item, error) {
	items, _, err := s.QueryPage(ctx, s.Range(pk, first, last+"~"), 0, math.MaxInt32, time.Time{})
	return items, err
}

// Range returns the query for the items of a partition whose sort keys lie between
// two, both included, consistently.
func (s *Table) Range(pk, from, to string) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		TableName: &s.Name, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String("pk = :pk AND sk BETWEEN :from AND :to"),
		ExpressionAttributeValues: Item{":pk": TextValue(pk), ":from": TextValue(from), ":to": TextValue(to)},
	}
}

// DueQuery returns the query for the entries of a partition of by_due that are due, the
// earliest first.
func (s *Table) DueQuery(pk string, now time.Time) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		TableName: &s.Name, IndexName: aws.String(IndexDue),
		KeyConditionExpression:    aws.String("due_pk = :pk AND due_key < :until"),
		ExpressionAttributeValues: Item{":pk": TextValue(pk), ":until": TextValue(DueUntil(now))},
	}
}

// QueryPage reads a page of what a query finds: limit items (at least 1) at most,
// after the first skip of them. Items that are gone by now do not count; at the zero
// time none is. more tells whether items follow the page.
func (s *Table) QueryPage(ctx context.Context, in *dynamodb.QueryInput, skip, limit int, now time.Time) (items []Item, more bool, err error) {
	for {
		in.Limit = QueryLimit(skip + limit + 1 - len(items)) // one more tells whether there is more
		out, err := s.API.Query(ctx, in)
		if err != nil {
			return nil, false, err
		}
		for _, it := range out.Items {
			switch {
			case Gone(it, now):
			case skip > 0:
				skip--
			default:
				items = append(items, it)
			}
		}
		switch {
		case len(items) > limit:
			return items[:limit], true, nil
		case len(out.LastEvaluatedKey) == 0:
			return items, false, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// QueryLimit returns a limit as a Query takes it: at most 100,000, which is more
// items than DynamoDB reads in one call (1 MB).
func QueryLimit(n int) *int32 {
	return aws.Int32(int32(min(n, 100_000))) //nolint:gosec // 100,000 fits
}

// BatchGet reads items by their keys, consistently. DynamoDB may leave some for
// another call; after six calls that is fault.Overloaded.
func (s *Table) BatchGet(ctx context.Context, keys []Key) (map[Key]Item, error) {
	ask := types.KeysAndAttributes{ConsistentRead: aws.Bool(true)}
	for _, k := range keys {
		ask.Keys = append(ask.Keys, k.Item())
	}
	in := &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{s.Name: ask}}
	found := make(map[Key]Item, len(keys))
	for n := 0; ; n++ {
		out, err := s.API.BatchGetItem(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, it := range out.Responses[s.Name] {
			r := Reader{It: it}
			found[r.Key()] = it
		}
		if len(out.UnprocessedKeys) == 0 {
			return found, nil
		}
		if n+1 == Attempts {
			return nil, throttled(ctx, fmt.Errorf("items left unread after %d calls", Attempts))
		}
		if err := s.Backoff(ctx, n); err != nil {
			return nil, throttled(ctx, fmt.Errorf("items left unread: %w", err))
		}
		in.RequestItems = out.UnprocessedKeys
	}
}

// Get reads one item, consistently; nil if it is absent. It calls BatchGetItem: so
// functions that read several items elsewhere do not link GetItem.
func (s *Table) Get(ctx context.Context, k Key) (Item, error) {
	found, err := s.BatchGet(ctx, []Key{k})
	return found[k], err
}

// Gone tells whether an item is absent or has expired. DynamoDB removes expired
// items only some time later.
func Gone(it Item, now time.Time) bool {
	r := Reader{It: it}
	end := r.Seconds(AttrTTL)
	return len(it) == 0 || !end.IsZero() && !now.Before(end)
}
