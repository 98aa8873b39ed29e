package refresh

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/linking"
)

// Checker makes checks that are due.
type Checker interface {
	// Refresh makes one; fault.State or NotFound where there is nothing to do.
	Refresh(ctx context.Context, accountID int64, connectionID string, b carrier.Breaker) (linking.Checked, error)
	// Count adds checks to the carrier's tally, and may switch its breaker.
	Count(ctx context.Context, name carrier.Name, b carrier.Breaker, checks []carrier.Counted) error
}

// Breakers reads whether carriers are asked at all.
type Breakers interface {
	Breakers(ctx context.Context) (map[carrier.Name]carrier.Breaker, error)
}

// Worker makes the checks that messages ask for.
type Worker struct {
	Checker  Checker
	Breakers Breakers
}

// Received is a message as the queue delivers it.
type Received struct{ ID, Body string }

// Batch makes the checks of a batch of messages, all at once, and returns the
// ids of the messages that have to come again: those that are no messages,
// until the queue gives up on them, and those whose check failed by our fault.
// The carrier's failures are results, and recorded. While a carrier's breaker is
// open its messages are dropped, but for the probe: the connections stay due.
func (w *Worker) Batch(ctx context.Context, batch []Received) (failed []string) {
	breakers, err := w.Breakers.Breakers(ctx)
	if err != nil {
		slog.ErrorContext(ctx, "the breakers can not be read", slog.String("error", err.Error()))
		for _, r := range batch {
			failed = append(failed, r.ID)
		}
		return failed
	}
	type result struct {
		lane    carrier.Lane
		counted carrier.Counted
	}
	results := make([]*result, len(batch))
	errs := make([]error, len(batch))
	var running sync.WaitGroup
	for i, r := range batch {
		running.Go(func() {
			m, err := decode(r.Body)
			if err != nil {
				errs[i] = err
				return
			}
			b := breakers[m.Lane.Carrier()]
			if b.Open && !m.Probe {
				return
			}
			checked, err := w.Checker.Refresh(ctx, m.AccountID, m.CarrierID, b)
			switch {
			case fault.Is(err, fault.State), fault.Is(err, fault.NotFound):
			case err != nil:
				errs[i] = err
			default:
				results[i] = &result{m.Lane, carrier.Counted{AccountID: m.AccountID, Outcome: checked.Reading.Outcome}}
			}
		})
	}
	running.Wait()

	counted := map[carrier.Name][]carrier.Counted{}
	for i, r := range results {
		if errs[i] != nil {
			failed = append(failed, batch[i].ID)
			slog.ErrorContext(ctx, "a refresh failed", slog.String("message_id", batch[i].ID), slog.String("error", errs[i].Error()))
		}
		if r != nil && r.lane != carrier.SandboxLane {
			name := r.lane.Carrier()
			counted[name] = append(counted[name], r.counted)
		}
	}
	for name, checks := range counted {
		if err := w.Checker.Count(ctx, name, breakers[name], checks); err != nil {
			// The checks are made and recorded; the tally is worth a few less.
			slog.WarnContext(ctx, "checks were not counted", slog.String("carrier", string(name)), slog.String("error", fmt.Sprint(err)))
		}
	}
	return failed
}
