package schedule_test

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/store/storetest"
)

// bulkStore is a store in memory that keeps connections as Go values. The tests over
// virtual time claim and record hundreds of thousands of checks; the real store's items
// and expressions would cost three times as much as the tested code. It implements what
// the schedule needs of connections without concurrent changes; breakers, tallies and
// accounts are the real store's.
type bulkStore struct {
	*storetest.Memory

	mu       sync.Mutex
	rows     map[string]*connection.Connection
	next     map[connection.Lane]time.Time   // the lane has nothing due before
	breakers map[carrier.Name]health.Breaker // a cache; nil: to be read
}

func newBulkStore() *bulkStore {
	return &bulkStore{Memory: storetest.NewMemory(), rows: map[string]*connection.Connection{}, next: map[connection.Lane]time.Time{}}
}

// keep stores a row with the next version. The caller holds mu.
func (s *bulkStore) keep(c *connection.Connection) {
	c.Version++
	row := *c
	s.rows[c.ID] = &row
	if next, ok := s.next[row.Lane()]; ok && row.NextRefreshAt.Before(next) {
		s.next[row.Lane()] = row.NextRefreshAt
	}
}

func (s *bulkStore) BeginLink(_ context.Context, c *connection.Connection, _ connection.LinkOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(c)
	return nil
}

func (s *bulkStore) FinishLink(_ context.Context, c *connection.Connection, _ *connection.HistoryEntry, _ *connection.Snapshot, _ effects.Effects, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(c)
	return nil
}

func (s *bulkStore) Connection(_ context.Context, _ int64, id string) (connection.Connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.rows[id]; c != nil {
		return *c, nil
	}
	return connection.Connection{}, connection.ErrNoConnection()
}

func (s *bulkStore) Snapshot(context.Context, int64, string) (*connection.Snapshot, error) {
	return nil, nil
}

// claim leases a row and changes it, unless refused returns an error for it.
func (s *bulkStore) claim(id string, until, now time.Time, refused func(connection.Connection) error, change func(*connection.Connection)) (connection.Connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.rows[id]
	if c == nil {
		return connection.Connection{}, connection.ErrNoConnection()
	}
	if c.LeaseUntil.After(now) {
		return connection.Connection{}, connection.ErrBeingChecked(c.LeaseUntil.Sub(now), nil)
	}
	if err := refused(*c); err != nil {
		return connection.Connection{}, err
	}
	claimed := *c
	claimed.LeaseUntil = until
	change(&claimed)
	s.keep(&claimed)
	return claimed, nil
}

func (s *bulkStore) ClaimCheck(_ context.Context, conn connection.Connection, _ *connection.Call, until, now time.Time) (connection.Connection, error) {
	return s.claim(conn.ID, until, now, func(c connection.Connection) error {
		if c.Version != conn.Version {
			return fault.Busy(nil)
		}
		return nil
	}, func(*connection.Connection) {})
}

func (s *bulkStore) ClaimDue(_ context.Context, d connection.Due, until, now time.Time, t health.Timing) (connection.Connection, error) {
	return s.claim(d.ConnectionID, until, now, func(c connection.Connection) error {
		if !c.Scheduled() || c.NextRefreshAt.After(now) {
			return connection.ErrNotDue()
		}
		return nil
	}, func(c *connection.Connection) {
		c.ClaimsUnrecorded++
		c.NextRefreshAt = t.ClaimedUntil(c.ClaimsUnrecorded, until, now)
	})
}

func (s *bulkStore) RecordCheck(_ context.Context, c *connection.Connection, _ *connection.HistoryEntry, _ *connection.Snapshot, _ effects.Effects, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows[c.ID].Version != c.Version {
		return fault.Busy(nil)
	}
	c.LeaseUntil = time.Time{}
	s.keep(c)
	return nil
}

func (s *bulkStore) Due(_ context.Context, lane connection.Lane, now time.Time, limit int) ([]connection.Due, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, ok := s.next[lane]
	if ok && now.Before(next) {
		return nil, 0, nil
	}
	var due []connection.Due
	next = now.Add(1_000 * day)
	for _, c := range s.rows {
		switch {
		case c.Lane() != lane || !c.Scheduled():
		case c.NextRefreshAt.After(now):
			if c.NextRefreshAt.Before(next) {
				next = c.NextRefreshAt
			}
		default:
			due = append(due, connection.Due{AccountID: c.AccountID, ConnectionID: c.ID, CredentialID: c.CredentialID, PartnerID: c.PartnerID, DueAt: c.NextRefreshAt})
		}
	}
	if len(due) == 0 {
		s.next[lane] = next
	}
	slices.SortFunc(due, func(a, b connection.Due) int {
		return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.CredentialID, b.CredentialID), cmp.Compare(a.ConnectionID, b.ConnectionID))
	})
	return due[:min(limit, len(due))], 0, nil
}

func (s *bulkStore) Breakers(ctx context.Context) (map[carrier.Name]health.Breaker, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.breakers == nil {
		breakers, err := s.Memory.Breakers(ctx)
		if err != nil {
			return nil, err
		}
		s.breakers = breakers
	}
	own := maps.Clone(s.breakers)
	for name, b := range own {
		b.Peers, b.Doubts = slices.Clone(b.Peers), slices.Clone(b.Doubts)
		own[name] = b
	}
	return own, nil
}

func (s *bulkStore) SaveBreaker(ctx context.Context, b *health.Breaker) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.breakers = nil
	return s.Memory.SaveBreaker(ctx, b)
}
