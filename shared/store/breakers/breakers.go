package breakers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/carrier"
	"carrierlink/shared/health"
	"carrierlink/shared/store/kit"
)

// Store keeps breakers and tallies of carriers.
type Store struct{ table *kit.Table }

// New makes one.
func New(t *kit.Table) *Store { return &Store{t} }

// tallyKept is how long the table has a minute's tally: well past what is read
// of them.
const tallyKept = time.Hour

// CountChecks adds checks of a carrier's connections to the tally of the minute,
// all in one write; none for no checks. What DynamoDB has counted although its
// answer was lost may be counted twice, but has one vote.
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
		slices.Sort(votes) // a set of texts has each once
		e.Include(kit.AttrVotes, kit.TextSet(slices.Compact(votes)...))
	}
	e.Set(kit.AttrTTL, kit.NumberValue(minute.Add(tallyKept).Unix()))
	if _, _, err := s.table.Edited(ctx, e); err != nil {
		return fmt.Errorf("counting checks: %w", err)
	}
	return nil
}

// Tallies reads the tallies of a carrier's last health.TallyWindow, the earliest
// first: of the minute of now and those before it. Minutes without checks have
// none.
func (s *Store) Tallies(ctx context.Context, name carrier.Name, now time.Time) ([]health.Tally, error) {
	minute := now.Truncate(time.Minute)
	in := &dynamodb.QueryInput{
		TableName: &s.table.Name, ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("pk = :pk AND sk BETWEEN :from AND :to"),
		ExpressionAttributeValues: kit.Item{
			":pk": kit.TextValue(kit.HealthPK(name)), ":from": kit.TextValue(kit.TallySK(minute.Add(time.Minute - health.TallyWindow))), ":to": kit.TextValue(kit.TallySK(minute)),
		},
	}
	var tallies []health.Tally
	for {
		out, err := s.table.API.Query(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("reading tallies: %w", err)
		}
		for _, it := range out.Items {
			t, err := readTally(it)
			if err != nil {
				return nil, err
			}
			tallies = append(tallies, t)
		}
		if len(out.LastEvaluatedKey) == 0 {
			return tallies, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// Breakers reads the breakers of all carriers, consistently, in one call. One
// that was never saved is closed.
func (s *Store) Breakers(ctx context.Context) (map[carrier.Name]health.Breaker, error) {
	found, err := s.table.BatchGet(ctx, BreakerKeys())
	if err != nil {
		return nil, fmt.Errorf("reading breakers: %w", err)
	}
	return ReadBreakers(found)
}

// BreakerKeys returns the keys of all carriers' breakers.
func BreakerKeys() []kit.Key {
	var keys []kit.Key
	for _, name := range carrier.Names() {
		keys = append(keys, kit.BreakerKey(name))
	}
	return keys
}

// ReadBreakers reads the breakers among items; a carrier without one has the zero breaker.
func ReadBreakers(found map[kit.Key]kit.Item) (map[carrier.Name]health.Breaker, error) {
	breakers := map[carrier.Name]health.Breaker{}
	var errs []error
	for _, name := range carrier.Names() {
		b, err := readBreaker(name, found[kit.BreakerKey(name)])
		breakers[name] = b
		errs = append(errs, err)
	}
	return breakers, errors.Join(errs...)
}

// SaveBreaker writes a breaker. On success b is what is stored, Version one
// higher. It returns fault.State when the one that is there is not the version
// that was read.
func (s *Store) SaveBreaker(ctx context.Context, b *health.Breaker) error {
	next := *b
	next.Version++
	p := s.table.Insert(kit.PartBreaker, breakerItem(next))
	if b.Version != 0 {
		p = s.table.Put(kit.PartBreaker, breakerItem(next), "#version = :version", kit.Item{":version": kit.NumberValue(b.Version)})
		p.Write.Put.ExpressionAttributeNames = map[string]string{"#version": kit.AttrVersion}
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
