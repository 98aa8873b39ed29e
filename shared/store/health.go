package store

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
)

// tallyKept is how long the table has a minute's tally: well past what is read
// of them.
const tallyKept = time.Hour

// CountChecks adds checks of a carrier's connections to the tally of the minute,
// all in one write; none for no checks. What DynamoDB has counted although its
// answer was lost may be counted twice, but has one vote.
func (s *Store) CountChecks(ctx context.Context, name carrier.Name, checks []health.Counted, now time.Time) error {
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
	e := newEdit(key{healthPK(name), tallySK(minute)})
	e.add(attrChecks, all)
	e.add(attrGood, good)
	if len(votes) > 0 {
		slices.Sort(votes) // a set of texts has each once
		e.include(attrVotes, textSet(slices.Compact(votes)...))
	}
	e.set(attrTTL, numberValue(minute.Add(tallyKept).Unix()))
	if _, _, err := s.edited(ctx, e); err != nil {
		return fmt.Errorf("counting checks: %w", err)
	}
	return nil
}

// Tallies reads the tallies of a carrier's last health.TallyKept, the earliest
// first: of the minute of now and those before it. Minutes without checks have
// none.
func (s *Store) Tallies(ctx context.Context, name carrier.Name, now time.Time) ([]health.Tally, error) {
	minute := now.Truncate(time.Minute)
	in := &dynamodb.QueryInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("pk = :pk AND sk BETWEEN :from AND :to"),
		ExpressionAttributeValues: item{
			":pk": textValue(healthPK(name)), ":from": textValue(tallySK(minute.Add(time.Minute - health.TallyKept))), ":to": textValue(tallySK(minute)),
		},
	}
	var tallies []health.Tally
	for {
		out, err := s.api.Query(ctx, in)
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
	found, err := s.batchGet(ctx, breakerKeys())
	if err != nil {
		return nil, fmt.Errorf("reading breakers: %w", err)
	}
	return readBreakers(found)
}

func breakerKeys() []key {
	var keys []key
	for _, name := range carrier.Names() {
		keys = append(keys, breakerKey(name))
	}
	return keys
}

func readBreakers(found map[key]item) (map[carrier.Name]health.Breaker, error) {
	breakers := map[carrier.Name]health.Breaker{}
	var errs []error
	for _, name := range carrier.Names() {
		b, err := readBreaker(name, found[breakerKey(name)])
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
	p := s.insert(partBreaker, breakerItem(next))
	if b.Version != 0 {
		p = s.put(partBreaker, breakerItem(next), "#version = :version", item{":version": numberValue(b.Version)})
		p.write.Put.ExpressionAttributeNames = map[string]string{"#version": attrVersion}
	}
	refused, err := s.transact(ctx, []part{p})
	switch {
	case err != nil:
		return fmt.Errorf("saving a breaker: %w", err)
	case refused.has(partBreaker):
		return health.BreakerMoved()
	}
	*b = next
	return nil
}
