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

// maxNumber is the largest number of a check that its key has room for.
const maxNumber = 99_999_999
