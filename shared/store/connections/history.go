package connections

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/connection"
	"carrierlink/shared/store/kit"
)

// History reads a page of a connection's checks, the newest first: those before
// a position (nil: from the newest), without the first skip of them, limit (at
// least 1) at most. next is where the page ends, nil when nothing comes after
// it. Checks older than connection.HistoryKept are gone. What is skipped is read and
// paid for; a position is free.
func (s *Store) History(ctx context.Context, accountID int64, connectionID string, before *connection.HistoryPosition, skip, limit int, now time.Time) (entries []connection.HistoryEntry, next *connection.HistoryPosition, err error) {
	from, to := kit.HistorySK(now.Add(-connection.HistoryKept).UnixMilli()+1, 0), kit.HistorySK(kit.LastMilli, maxNumber)
	if before != nil {
		if to = kit.HistorySK(before.At.UnixMilli(), before.Number-1); before.Number < 1 {
			to = kit.HistorySK(before.At.UnixMilli()-1, maxNumber)
		}
	}
	if from > to {
		return nil, nil, nil // DynamoDB refuses a range that is empty
	}
	in := &dynamodb.QueryInput{
		TableName: &s.table.Name, ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(false),
		KeyConditionExpression: aws.String("pk = :pk AND sk BETWEEN :from AND :to"),
		ExpressionAttributeValues: kit.Item{
			":pk": kit.TextValue(kit.HistoryPK(accountID, connectionID)), ":from": kit.TextValue(from), ":to": kit.TextValue(to),
		},
	}
	for {
		in.Limit = kit.LimitOf(skip + limit + 1 - len(entries)) // one more tells whether there is more
		out, err := s.table.API.Query(ctx, in)
		if err != nil {
			return nil, nil, fmt.Errorf("reading a history: %w", err)
		}
		for _, it := range out.Items {
			if skip > 0 {
				skip--
				continue
			}
			e, err := readHistory(it)
			if err != nil {
				return nil, nil, err
			}
			entries = append(entries, e)
		}
		switch {
		case len(entries) > limit:
			last := entries[limit-1]
			return entries[:limit], &connection.HistoryPosition{At: last.At, Number: last.Number}, nil
		case len(out.LastEvaluatedKey) == 0:
			return entries, nil, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// maxNumber is as many checks of a connection as their keys have room for.
const maxNumber = 99_999_999
