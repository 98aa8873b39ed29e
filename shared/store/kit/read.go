package kit

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/shared/fault"
)

// QueryItems reads all items of a partition whose sort keys stand between two
// prefixes, what begins with them included, consistently.
func (s *Table) QueryItems(ctx context.Context, pk, first, last string) ([]Item, error) {
	in := &dynamodb.QueryInput{
		TableName: &s.Name, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String("pk = :pk AND sk BETWEEN :first AND :last"),
		ExpressionAttributeValues: Item{":pk": TextValue(pk), ":first": TextValue(first), ":last": TextValue(last + "~")},
	}
	var items []Item
	for {
		out, err := s.API.Query(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, it := range out.Items {
			items = append(items, it)
		}
		if len(out.LastEvaluatedKey) == 0 {
			return items, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// BatchGet reads items by their keys. DynamoDB may leave some for another call;
// after six calls that is fault.Overloaded.
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
		for _, items := range out.Responses {
			for _, it := range items {
				r := Reader{It: it}
				found[Key{r.Text(AttrPK), r.Text(AttrSK)}] = it
			}
		}
		if len(out.UnprocessedKeys) == 0 {
			return found, nil
		}
		if n+1 == Attempts {
			return nil, fault.Throttled(fmt.Errorf("items left unread after %d calls", Attempts))
		}
		if err := s.Backoff(ctx, n); err != nil {
			return nil, fault.Throttled(fmt.Errorf("items left unread: %w", err))
		}
		in.RequestItems = out.UnprocessedKeys
	}
}

// One reads one item, consistently; nil if it is not there. Functions that read
// several items at other times do without the code of GetItem.
func (s *Table) One(ctx context.Context, k Key) (Item, error) {
	found, err := s.BatchGet(ctx, []Key{k})
	return found[k], err
}

// Lapsed tells whether an item's time is over: DynamoDB removes it only some
// time later.
func Lapsed(it Item, now time.Time) bool {
	r := Reader{It: it}
	end := r.Seconds(AttrTTL)
	return !end.IsZero() && !now.Before(end)
}

// LimitOf is a limit as a Query takes it: at most maxQuery, which is more items
// than DynamoDB reads in one call (1 MB).
func LimitOf(n int) *int32 {
	return aws.Int32(int32(min(n, maxQuery))) //nolint:gosec // maxQuery fits
}

const maxQuery = 100_000

// Optional reads an item that may be absent: nil then.
func Optional[T any](it Item, read func(Item) (T, error)) (*T, error) {
	if len(it) == 0 {
		return nil, nil // absent is what the caller asks about
	}
	v, err := read(it)
	if err != nil {
		return nil, err
	}
	return &v, nil
}
