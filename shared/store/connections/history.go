package connections

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"carrierlink/shared/connection"
	"carrierlink/shared/store/kit"
)

// History reads a page of a connection's checks, the newest first: at most limit (at
// least 1), before a position (nil: from the newest) and after the first skip of them.
// next is where the page ends, nil if nothing follows. Checks older than
// connection.HistoryKept are gone. Skipped checks are read and paid for; a position
// costs nothing.
func (s *Store) History(ctx context.Context, accountID int64, connectionID string, before *connection.HistoryPosition, skip, limit int, now time.Time) (entries []connection.HistoryEntry, next *connection.HistoryPosition, err error) {
	from, to := kit.HistorySK(now.Add(-connection.HistoryKept).UnixMilli()+1, 0), kit.HistorySK(kit.LastMilli, maxNumber)
	if before != nil {
		if to = kit.HistorySK(before.At.UnixMilli(), before.Number-1); before.Number < 1 {
			to = kit.HistorySK(before.At.UnixMilli()-1, maxNumber)
		}
	}
	if from > to {
		return nil, nil, nil // DynamoDB refuses an empty range
	}
	in := s.table.Range(kit.HistoryPK(accountID, connectionID), from, to)
	in.ScanIndexForward = aws.Bool(false)
	items, more, err := s.table.QueryPage(ctx, in, skip, limit, time.Time{})
	if err != nil {
		return nil, nil, fmt.Errorf("reading a history: %w", err)
	}
	if entries, err = kit.FromItems(items, readHistory); err == nil && more {
		last := entries[limit-1]
		next = &connection.HistoryPosition{At: last.At, Number: last.Number}
	}
	return entries, next, err
}

// RecentChecks reads the checks of a connection that are kept, the newest first, without what
// they changed: what the pictures of a page show. It is one call, eventually consistent, which
// reads 1 MB at most: complete is false if older checks are left out.
func (s *Store) RecentChecks(ctx context.Context, accountID int64, connectionID string, now time.Time) (entries []connection.HistoryEntry, complete bool, err error) {
	in := s.table.Range(kit.HistoryPK(accountID, connectionID), kit.HistorySK(now.Add(-connection.HistoryKept).UnixMilli()+1, 0), kit.HistorySK(kit.LastMilli, maxNumber))
	in.ScanIndexForward, in.ConsistentRead = aws.Bool(false), aws.Bool(false)
	in.ProjectionExpression = aws.String("#at, #outcome, #latency, #trigger, #number, #status")
	in.ExpressionAttributeNames = map[string]string{
		"#at": "at", "#outcome": "outcome", "#latency": "latency_ns", "#trigger": "trigger", "#number": "number", "#status": kit.AttrStatus,
	}
	out, err := s.table.API.Query(ctx, in)
	if err != nil {
		return nil, false, fmt.Errorf("reading the recent checks: %w", err)
	}
	for _, it := range out.Items {
		e, err := readHistory(it)
		if err != nil {
			return nil, false, err
		}
		entries = append(entries, e)
	}
	return entries, len(out.LastEvaluatedKey) == 0, nil
}

// maxNumber is the largest number of a check that its key has room for.
const maxNumber = 99_999_999
