package connections

import (
	"context"
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/connection"
	"carrierlink/shared/store/kit"
)

// Due finds the connections of a lane whose next check is due, the earliest first, at
// most limit (at least 1). Leased connections are included. The index follows the
// table within a second or so. Entries that cannot be read are skipped and counted in
// malformed.
func (s *Store) Due(ctx context.Context, lane connection.Lane, now time.Time, limit int) (found []connection.Due, malformed int, err error) {
	found, malformed, err = s.table.FindDue(ctx, lane, kit.RefreshPK, readDue, now, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("finding due connections: %w", err)
	}
	return found, malformed, nil
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
