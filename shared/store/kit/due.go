package kit

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/connection"
	"carrierlink/shared/invocation"
)

// FindDue finds what is due in a lane, the earliest first, at most limit (at least 1): in
// the partitions of by_due that pk names. Entries that read cannot read are skipped and
// counted in malformed.
//
// Every entry that is read is paid for. So FindDue reads of each shard no more than its
// share of what is missing, and goes on until no unread entry can be earlier than one
// that it returns.
func (s *Table) FindDue(
	ctx context.Context, lane connection.Lane, pk func(lane connection.Lane, shard int) string, read func(Item) (connection.Due, error), now time.Time, limit int,
) (found []connection.Due, malformed int, err error) {
	shards := make([]*dueShard, DueShards(lane))
	for i := range shards {
		shards[i] = &dueShard{next: s.DueQuery(pk(lane, i), now), read: read}
	}
	unread, share := shards, limit/len(shards)+1
	for {
		if err := s.readShards(ctx, unread, share); err != nil {
			return nil, 0, err
		}
		found, malformed = nil, 0
		for _, shard := range shards {
			found = append(found, shard.found...)
			malformed += shard.malformed
		}
		slices.SortFunc(found, byDue)
		unread = slices.DeleteFunc(slices.Clone(shards), func(shard *dueShard) bool {
			return shard.next == nil || len(found) >= limit && !shard.last().Before(found[limit-1].DueAt)
		})
		if len(unread) == 0 {
			return found[:min(limit, len(found))], malformed, nil
		}
		// Entries no later than the last read of every unread shard are sure to be returned.
		horizon := slices.MinFunc(unread, func(a, b *dueShard) int { return a.last().Compare(b.last()) }).last()
		certain := 0
		for certain < len(found) && !found[certain].DueAt.After(horizon) {
			certain++
		}
		share = max(limit-certain, 0)/len(unread) + 1
	}
}

func byDue(a, b connection.Due) int {
	return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.CredentialID, b.CredentialID), cmp.Compare(a.ConnectionID, b.ConnectionID))
}

// dueShard is what was read of one shard, and the query for more; nil at the end.
type dueShard struct {
	read      func(Item) (connection.Due, error)
	found     []connection.Due
	malformed int
	next      *dynamodb.QueryInput
}

// last returns the latest time that was read. Unread entries are no earlier.
func (d *dueShard) last() time.Time {
	if len(d.found) == 0 {
		return time.Time{}
	}
	return d.found[len(d.found)-1].DueAt
}

// readShards reads n more entries of each shard, concurrently.
func (s *Table) readShards(ctx context.Context, shards []*dueShard, n int) error {
	errs := make([]error, len(shards))
	var reading sync.WaitGroup
	for i, shard := range shards {
		reading.Go(func() {
			errs[i] = invocation.Recovering(func() error { return s.readShard(ctx, shard, n) })
		})
	}
	reading.Wait()
	return errors.Join(errs...)
}

func (s *Table) readShard(ctx context.Context, shard *dueShard, n int) error {
	shard.next.Limit = QueryLimit(n)
	out, err := s.API.Query(ctx, shard.next)
	if err != nil {
		return err
	}
	for _, it := range out.Items {
		due, err := shard.read(it)
		if err != nil {
			shard.malformed++
			continue
		}
		shard.found = append(shard.found, due)
	}
	shard.next.ExclusiveStartKey = out.LastEvaluatedKey
	if len(out.LastEvaluatedKey) == 0 {
		shard.next = nil
	}
	return nil
}
