package storetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/health"
	"carrierlink/shared/store"
	"carrierlink/shared/tracking"
)

// CountChecks is store.Store's.
func (m *Memory) CountChecks(ctx context.Context, name carrier.Name, checks []health.Counted, now time.Time) error {
	if err := ctx.Err(); err != nil && len(checks) > 0 {
		return fmt.Errorf("counting checks: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	id := tallyID{name, now.UTC().Truncate(time.Minute)}
	t := m.tallies[id]
	t.Minute = id.minute
	for _, c := range checks {
		if c.Gone {
			continue
		}
		t.Checks++
		if c.Outcome == carrier.OutcomeOK {
			t.Good++
		}
		v, ok := c.Vote()
		if v.At = milli(v.At); ok && !slices.Contains(t.Votes, v) {
			t.Votes = append(t.Votes, v)
		}
	}
	if t.Checks > 0 {
		m.tallies[id] = t
	}
	return nil
}

// Tallies is store.Store's.
func (m *Memory) Tallies(ctx context.Context, name carrier.Name, now time.Time) ([]health.Tally, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("reading tallies: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var tallies []health.Tally
	last := now.UTC().Truncate(time.Minute)
	for minute := last.Add(time.Minute - health.TallyKept); !minute.After(last); minute = minute.Add(time.Minute) {
		if t, ok := m.tallies[tallyID{name, minute}]; ok {
			t.Votes = slices.Clone(t.Votes)
			tallies = append(tallies, t)
		}
	}
	return tallies, nil
}

// Breakers is store.Store's.
func (m *Memory) Breakers(ctx context.Context) (map[carrier.Name]health.Breaker, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("reading breakers: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.allBreakers(), nil
}

func (m *Memory) allBreakers() map[carrier.Name]health.Breaker {
	breakers := map[carrier.Name]health.Breaker{}
	for _, name := range carrier.Names() {
		b := m.breakers[name]
		b.Carrier, b.Peers, b.Doubts = name, slices.Clone(b.Peers), slices.Clone(b.Doubts)
		breakers[name] = b
	}
	return breakers
}

// SaveBreaker is store.Store's.
func (m *Memory) SaveBreaker(ctx context.Context, b *health.Breaker) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("saving a breaker: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.breakers[b.Carrier].Version != b.Version {
		return health.BreakerMoved()
	}
	b.Version++
	kept := *b
	kept.ChangedAt, kept.ProbeAt, kept.ControlAt = milli(kept.ChangedAt), milli(kept.ProbeAt), milli(kept.ControlAt)
	kept.Peers, kept.Doubts = nil, nil
	for _, p := range b.Peers {
		p.WellAt, p.RefusedAt, p.TriedAt = milli(p.WellAt), milli(p.RefusedAt), milli(p.TriedAt)
		kept.Peers = append(kept.Peers, p)
	}
	for _, d := range b.Doubts {
		d.Since, d.At = milli(d.Since), milli(d.At)
		kept.Doubts = append(kept.Doubts, d)
	}
	m.breakers[b.Carrier] = kept
	return nil
}

// History is store.Store's.
func (m *Memory) History(ctx context.Context, accountID int64, id string, before *connection.HistoryPosition, skip, limit int, now time.Time) ([]connection.HistoryEntry, *connection.HistoryPosition, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("reading a history: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	order := func(a, b connection.HistoryPosition) int {
		return cmp.Or(milli(a.At).Compare(milli(b.At)), cmp.Compare(a.Number, b.Number))
	}
	oldest := milli(now.Add(-connection.HistoryKept))
	var found []connection.HistoryEntry
	for _, e := range m.history[connectionID{accountID, id}] {
		if e.At.After(oldest) && (before == nil || order(placeOf(e), *before) < 0) {
			found = append(found, keptEntry(e))
		}
	}
	slices.SortFunc(found, func(a, b connection.HistoryEntry) int { return order(placeOf(b), placeOf(a)) })
	found = found[min(skip, len(found)):]
	if len(found) == 0 {
		return nil, nil, nil
	}
	if len(found) <= limit {
		return found, nil, nil
	}
	next := placeOf(found[limit-1])
	return found[:limit], &next, nil
}

func placeOf(e connection.HistoryEntry) connection.HistoryPosition {
	return connection.HistoryPosition{At: e.At, Number: e.Number}
}

func keptEntry(e connection.HistoryEntry) connection.HistoryEntry {
	e.At = milli(e.At)
	if e.Changes = slices.Clone(e.Changes); len(e.Changes) == 0 {
		e.Changes = nil
	}
	return e
}

// TakeCall is store.Store's.
func (m *Memory) TakeCall(ctx context.Context, a connection.Allowance, limit int, window time.Duration, now time.Time) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("taking a call: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	limit, window = store.HeldCalls(limit, window)
	calls := m.calls[a]
	if len(calls) >= limit && calls[limit-1].After(milli(now.Add(-window))) {
		return calls[limit-1].Add(window).Sub(now), nil
	}
	m.calls[a] = append([]time.Time{milli(now)}, calls[:min(limit-1, len(calls))]...)
	return 0, nil
}

// CachedTracking is store.Store's.
func (m *Memory) CachedTracking(ctx context.Context, accountID int64, id string, numbers []string, now time.Time) (map[string]tracking.Cached, error) {
	if err := ctx.Err(); err != nil && len(numbers) > 0 {
		return nil, fmt.Errorf("reading cached tracking: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	cached := map[string]tracking.Cached{}
	for _, number := range numbers {
		if t, ok := m.tracking[trackingID{connectionID{accountID, id}, number}]; ok && !over(t.ExpiresAt, now) {
			t.Body = bytesOrNil(t.Body)
			cached[number] = t
		}
	}
	return cached, nil
}

// CacheTracking is store.Store's.
func (m *Memory) CacheTracking(ctx context.Context, accountID int64, id string, tracking []tracking.Cached) error {
	if err := ctx.Err(); err != nil && len(tracking) > 0 {
		return fmt.Errorf("caching tracking: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range tracking {
		t.At, t.ExpiresAt, t.Body = milli(t.At), second(t.ExpiresAt), bytesOrNil(t.Body)
		m.tracking[trackingID{connectionID{accountID, id}, t.Number}] = t
	}
	return nil
}
