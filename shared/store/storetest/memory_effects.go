package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// commit makes a change and keeps its effects, unless the Idempotency-Key is taken.
// A change that fails changes nothing.
func (m *Memory) commit(ctx context.Context, what string, fx effects.Effects, now time.Time, change func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if fx.Answer != nil {
		if err := m.mayAnswer(*fx.Answer, now); err != nil {
			return err
		}
	}
	for _, e := range fx.Events {
		if len(e.Data) > effects.MaxEventData {
			return errors.New("an event has too much data")
		}
	}
	if len(fx.Events) > mostEvents {
		return errors.New("a change has too many events")
	}
	switch err := change(); {
	case errors.Is(err, errUnchanged):
		fx = fx.AnswerOnly()
	case err != nil:
		return err
	}
	if fx.Answer != nil {
		m.keep(*fx.Answer)
	}
	for _, e := range fx.Events {
		m.events[e.AccountID] = append(m.events[e.AccountID], Told{keptEvent(e), fx.By})
	}
	return nil
}

// errUnchanged is what a change returns that has nothing to do.
var errUnchanged = errors.New("nothing to do")

// mostEvents is as many as a transaction of DynamoDB has room for beside one item.
// The table counts the other items, too.
const mostEvents = 99

// mayAnswer says why an answer may not be kept.
func (m *Memory) mayAnswer(rec effects.Record, now time.Time) error {
	if rec.ClaimID == "" {
		if existing := m.notClaimable(rec, now); existing != nil {
			return &effects.Replay{Record: *existing}
		}
		return nil
	}
	if m.ourClaim(rec) {
		return nil
	}
	old, there := m.idempotency[idempotencyID{rec.Scope, rec.Key}]
	if !there {
		return fault.Busy(errors.New("the claim of the Idempotency-Key is gone"))
	}
	return &effects.Replay{Record: keptIdempotency(old)}
}

// Told is an event and who made the change that it tells of.
type Told struct {
	Event effects.Event
	By    effects.By
}

// Events reads the events of an account, the oldest first.
func (m *Memory) Events(_ context.Context, accountID int64) ([]Told, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	told := slices.Clone(m.events[accountID])
	slices.SortFunc(told, func(a, b Told) int {
		return cmp.Or(a.Event.At.Compare(b.Event.At), cmp.Compare(a.Event.ID, b.Event.ID))
	})
	return told, nil
}

func keptEvent(e effects.Event) effects.Event {
	e.Data, e.At = bytesOrNil(e.Data), milli(e.At)
	return e
}
