package schedule_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/health"
	"carrierlink/shared/store/storetest"
)

// idle is a store in memory that remembers, until something is written, when the
// next check of a lane is due, and the breakers. Nearly all passes of a fleet's
// weeks find nothing to do: the table need not be asked for that.
type idle struct {
	*storetest.Memory

	mu       sync.Mutex
	written  int
	next     map[connection.Lane]time.Time
	breakers map[carrier.Name]health.Breaker
}

func newIdle() *idle { return &idle{Memory: storetest.NewMemory()} }

// fresh forgets what is no longer so. mu is held.
func (s *idle) fresh() {
	if written := s.Table.Written(); s.next == nil || written != s.written {
		s.written, s.next, s.breakers = written, map[connection.Lane]time.Time{}, nil
	}
}

func (s *idle) Due(ctx context.Context, lane connection.Lane, now time.Time, limit int) ([]connection.Due, int, error) {
	s.mu.Lock()
	s.fresh()
	next, known := s.next[lane]
	s.mu.Unlock()
	if known && now.Before(next) {
		return nil, 0, nil
	}
	due, malformed, err := s.Memory.Due(ctx, lane, now, limit)
	if err != nil || len(due)+malformed > 0 {
		return due, malformed, err
	}
	const never = 1_000 * day
	ahead, malformed, err := s.Memory.Due(ctx, lane, now.Add(never), 1)
	if err != nil || malformed > 0 {
		return nil, malformed, err
	}
	next = now.Add(never)
	if len(ahead) > 0 {
		next = ahead[0].DueAt
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fresh(); s.next != nil {
		s.next[lane] = next
	}
	return nil, 0, nil
}

func (s *idle) Breakers(ctx context.Context) (map[carrier.Name]health.Breaker, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fresh()
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
