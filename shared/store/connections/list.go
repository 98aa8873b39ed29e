package connections

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"carrierlink/shared/connection"
	"carrierlink/shared/store/kit"
)

// ListConnections reads the visible connections of an account, the oldest first, and
// if asked for their snapshots by carrier id. An absent account has none.
func (s *Store) ListConnections(ctx context.Context, accountID int64, withSnapshots bool) ([]connection.Connection, map[string]connection.Snapshot, error) {
	last := kit.SkConnection
	if withSnapshots {
		last = kit.SkSnapshot
	}
	// One query reads both: what lies between them is little.
	items, err := s.table.QueryItems(ctx, kit.AccountPK(accountID), kit.SkConnection, last)
	if err != nil {
		return nil, nil, fmt.Errorf("listing connections: %w", err)
	}
	var connections []connection.Connection
	var snapshots map[string]connection.Snapshot
	if withSnapshots {
		snapshots = map[string]connection.Snapshot{}
	}
	visible := map[string]bool{} // complete before the first snapshot, by the order of the sort keys
	for _, it := range items {
		r := kit.Reader{It: it}
		sk := r.Key().SK
		if id, ok := strings.CutPrefix(sk, kit.SkSnapshot); ok {
			snap, err := SnapshotFromItem(it)
			if err != nil {
				return nil, nil, err
			}
			if visible[id] {
				snapshots[id] = snap
			}
		}
		if strings.HasPrefix(sk, kit.SkConnection) {
			c, err := FromItem(it)
			if err != nil {
				return nil, nil, err
			}
			if c.Visible() {
				connections = append(connections, c)
				visible[c.ID] = true
			}
		}
	}
	kit.SortFunc(connections, byAge)
	return connections, snapshots, nil
}

// AllConnections reads all connections of an account, the oldest first: intents and
// disconnected ones too, and possibly some whose PurgeAt is over. An absent account has
// none.
func (s *Store) AllConnections(ctx context.Context, accountID int64) ([]connection.Connection, error) {
	items, err := s.table.QueryItems(ctx, kit.AccountPK(accountID), kit.SkConnection, kit.SkConnection)
	if err != nil {
		return nil, fmt.Errorf("listing connections: %w", err)
	}
	connections, err := kit.FromItems(items, FromItem)
	kit.SortFunc(connections, byAge)
	return connections, err
}

func byAge(a, b *connection.Connection) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
}
