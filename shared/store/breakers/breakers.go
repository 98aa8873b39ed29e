// Package breakers stores the breakers and tallies of carriers.
package breakers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/health"
	"carrierlink/shared/store/kit"
)

// Store reads and writes breakers and tallies of carriers.
type Store struct{ table *kit.Table }

// New returns a Store over the table.
func New(t *kit.Table) *Store { return &Store{t} }

// tallyTTL is how long the table keeps a tally: longer than Tallies reads back.
const tallyTTL = time.Hour

// CountChecks adds checks of a carrier's connections to the tally of the minute, in
// one write; for no checks it writes nothing.
func (s *Store) CountChecks(ctx context.Context, name carrier.Name, checks []health.Check, now time.Time) error {
	var all, good int64
	var votes []string
	for _, c := range checks {
		if c.Gone {
			continue
		}
		all++
		if c.Outcome == carrier.OutcomeOK {
			good++
		}
		if v, ok := c.Vote(); ok {
			votes = append(votes, voteText(v))
		}
	}
	if all == 0 {
		return nil
	}
	minute := now.Truncate(time.Minute)
	e := kit.NewEdit(kit.Key{PK: kit.HealthPK(name), SK: kit.TallySK(minute)})
	e.Add(kit.AttrChecks, all)
	e.Add(kit.AttrGood, good)
	if len(votes) > 0 {
		slices.Sort(votes) // DynamoDB refuses a set with duplicates
		e.Include(kit.AttrVotes, kit.TextSet(slices.Compact(votes)...))
	}
	e.Set(kit.AttrTTL, kit.NumberValue(minute.Add(tallyTTL).Unix()))
	if _, _, err := s.table.WriteEdit(ctx, e); err != nil {
		return fmt.Errorf("counting checks: %w", err)
	}
	return nil
}

// Tallies reads the tallies of a carrier's last health.TallyWindow, the current minute
// included, the earliest first. Minutes without checks have none.
func (s *Store) Tallies(ctx context.Context, name carrier.Name, now time.Time) ([]health.Tally, error) {
	minute := now.Truncate(time.Minute)
	items, err := s.table.QueryItems(ctx, kit.HealthPK(name), kit.TallySK(minute.Add(time.Minute-health.TallyWindow)), kit.TallySK(minute))
	if err != nil {
		return nil, fmt.Errorf("reading tallies: %w", err)
	}
	return kit.FromItems(items, readTally)
}

// Breakers reads the breakers of all carriers, consistently, in one call. A breaker
// that was never saved is closed.
func (s *Store) Breakers(ctx context.Context) (map[carrier.Name]health.Breaker, error) {
	found, err := s.table.BatchGet(ctx, Keys())
	if err != nil {
		return nil, fmt.Errorf("reading breakers: %w", err)
	}
	return FromItems(found)
}

// Keys returns the keys of all carriers' breakers.
func Keys() []kit.Key {
	var keys []kit.Key
	for _, name := range carrier.Names() {
		keys = append(keys, kit.BreakerKey(name))
	}
	return keys
}

// FromItems reads the breakers among items; a carrier without an item has a closed one.
func FromItems(found map[kit.Key]kit.Item) (map[carrier.Name]health.Breaker, error) {
	breakers := map[carrier.Name]health.Breaker{}
	var errs []error
	for _, name := range carrier.Names() {
		b, err := readBreaker(name, found[kit.BreakerKey(name)])
		breakers[name] = b
		errs = append(errs, err)
	}
	return breakers, errors.Join(errs...)
}

// SaveBreaker writes a breaker, and then sets b to what is stored, with Version one
// higher. It returns fault.State if the stored breaker is not the version that was
// read.
func (s *Store) SaveBreaker(ctx context.Context, b *health.Breaker) error {
	next := *b
	next.Version++
	p := s.table.Insert(kit.PartBreaker, breakerItem(next))
	if b.Version != 0 {
		p = s.table.Replace(kit.PartBreaker, breakerItem(next), b.Version)
	}
	refused, err := s.table.Transact(ctx, []kit.Part{p})
	switch {
	case err != nil:
		return fmt.Errorf("saving a breaker: %w", err)
	case refused.Has(kit.PartBreaker):
		return health.ErrBreakerChanged()
	}
	*b = next
	return nil
}
