package connections

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/connection"
	"carrierlink/shared/invocation"
	"carrierlink/shared/store/kit"
)

// Due finds the connections of a lane whose next check is due, the earliest first, at
// most limit (at least 1). Leased connections are included. The index follows the
// table within a second or so. Entries that cannot be read are skipped and counted in
// malformed.
//
// Every entry that is read is paid for. So Due reads of each shard no more than its
// share of what is missing, and goes on until no unread entry can be earlier than one
// that it returns.
func (s *Store) Due(ctx context.Context, lane connection.Lane, now time.Time, limit int) (found []connection.Due, malformed int, err error) {
	shards := make([]*dueShard, kit.DueShards(lane))
	for i := range shards {
		shards[i] = &dueShard{next: s.table.DueQuery(kit.RefreshPK(lane, i), now)}
	}
	unread, share := shards, limit/len(shards)+1
	for {
		if err := s.readShards(ctx, unread, share); err != nil {
			return nil, 0, fmt.Errorf("finding due connections: %w", err)
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
func (s *Store) readShards(ctx context.Context, shards []*dueShard, n int) error {
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

func (s *Store) readShard(ctx context.Context, shard *dueShard, n int) error {
	shard.next.Limit = kit.QueryLimit(n)
	out, err := s.table.API.Query(ctx, shard.next)
	if err != nil {
		return err
	}
	for _, it := range out.Items {
		due, err := readDue(it)
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

// Unfinished finds what a crash may have left: intents and connections with work whose
// lease is over, and accounts whose connections have yet to follow them, the oldest
// first, at most limit (at least 1). If there is room left, connections without a
// schedule whose previous credentials have ended come after all of those. The index
// follows the table within a second or so: read the table before acting. Entries that
// cannot be read are skipped and counted in malformed.
func (s *Store) Unfinished(ctx context.Context, now time.Time, limit int) (found []connection.Unfinished, malformed int, err error) {
	for _, pk := range []string{kit.RepairPK, kit.PreviousPK} {
		in := s.table.DueQuery(pk, now)
		for len(found) < limit {
			in.Limit = kit.QueryLimit(limit - len(found))
			out, err := s.table.API.Query(ctx, in)
			if err != nil {
				return nil, 0, fmt.Errorf("finding unfinished work: %w", err)
			}
			for _, it := range out.Items {
				u, err := readUnfinished(pk, it)
				if err != nil {
					malformed++
					continue
				}
				if u.ConnectionID == "" && slices.ContainsFunc(found, func(f connection.Unfinished) bool { return f.AccountID == u.AccountID && f.ConnectionID == "" }) {
					continue // a deleted account has two entries
				}
				found = append(found, u)
			}
			if len(out.LastEvaluatedKey) == 0 {
				break
			}
			in.ExclusiveStartKey = out.LastEvaluatedKey
		}
	}
	return found, malformed, nil
}
