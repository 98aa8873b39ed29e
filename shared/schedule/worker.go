package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/metrics"
)

// Checker makes checks that are due.
type Checker interface {
	// Refresh makes one: fault.State or NotFound where there is nothing to do;
	// with connection.ErrPostponed where it failed by our fault and its row is due
	// again by itself.
	Refresh(ctx context.Context, d connection.Due, b health.Breaker) (connection.Checked, error)
	// Control makes one that is not due: fault.NotFound where the connection is
	// none to compare others with, State where somebody is at it.
	Control(ctx context.Context, accountID int64, connectionID string, b health.Breaker) (connection.Checked, error)
	// Count adds checks to the carrier's tally, and may switch its breaker.
	Count(ctx context.Context, name carrier.Name, b health.Breaker, checks []health.Check) error
}

// Breakers reads whether carriers are asked at all.
type Breakers interface {
	Breakers(ctx context.Context) (map[carrier.Name]health.Breaker, error)
}

// Worker makes the checks that messages ask for.
type Worker struct {
	Checker  Checker
	Breakers Breakers
	Metrics  metrics.Counter
}

// Received is a message as the queue delivers it.
type Received struct{ ID, Body string }

// Batch makes the checks of a batch of messages, all at once, and returns the
// ids of the messages that have to come again: those that are no messages,
// until the queue gives up on them, and those that the table could not be told
// of, because it throttles us or fails. What fails otherwise by our fault is done:
// its row is due again by itself, and has no second message meanwhile. The
// carrier's failures are results, and recorded. While a carrier's breaker is open
// its messages are dropped, but for the probe: the connections stay due. A control
// check that fails by our fault is done: the next pass sends another one.
func (w *Worker) CheckBatch(ctx context.Context, batch []Received) (failed []string) {
	breakers, err := w.Breakers.Breakers(ctx)
	if err != nil {
		slog.ErrorContext(ctx, "the breakers can not be read", slog.String("error", err.Error()))
		for _, r := range batch {
			failed = append(failed, r.ID)
		}
		return failed
	}
	results := make([]result, len(batch))
	var running sync.WaitGroup
	for i, r := range batch {
		running.Go(func() { results[i] = w.check(ctx, r.Body, breakers) })
	}
	running.Wait()

	counted := map[carrier.Name][]health.Check{}
	for i, r := range results {
		if r.again {
			failed = append(failed, batch[i].ID)
		}
		if r.err != nil {
			w.tell(ctx, batch[i].ID, r)
		}
		if name := r.message.Lane.Carrier(); r.counted != nil && name != "" {
			counted[name] = append(counted[name], *r.counted)
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

// result is what a message came to.
type result struct {
	message Message
	counted *health.Check // nil: no check was made
	err     error         // by our fault
	metric  string        // what the error counts as
	again   bool          // the message has to come again
}

func (w *Worker) check(ctx context.Context, body string, breakers map[carrier.Name]health.Breaker) result {
	m, err := decode(body)
	if err != nil {
		return result{err: err, metric: metrics.Malformed, again: true}
	}
	b := breakers[m.Lane.Carrier()]
	if b.Open && !m.Probe {
		return result{message: m}
	}
	checked, err := w.guarded(ctx, m, b)
	switch {
	case m.Control && fault.Is(err, fault.NotFound):
		return result{message: m, counted: &health.Check{AccountID: m.AccountID, ConnectionID: m.ConnectionID, Gone: true}}
	case fault.Is(err, fault.State), fault.Is(err, fault.NotFound):
		return result{message: m}
	case fault.Is(err, fault.Overloaded):
		return result{message: m, err: err, metric: metrics.Throttled, again: !m.Control}
	case err != nil:
		return result{message: m, err: err, metric: metrics.InternalErrors, again: !m.Control && !errors.Is(err, connection.ErrPostponed)}
	}
	checked.Counted.Silent = m.Silent
	return result{message: m, counted: &checked.Counted}
}

// guarded makes a check, and an error of a panic, which would take the other
// checks of the batch with it.
func (w *Worker) guarded(ctx context.Context, m Message, b health.Breaker) (checked connection.Checked, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the check panicked: %T\n%s", v, debug.Stack())
		}
	}()
	if m.Control {
		return w.Checker.Control(ctx, m.AccountID, m.ConnectionID, b)
	}
	return w.Checker.Refresh(ctx, connection.Due{
		AccountID: m.AccountID, ConnectionID: m.ConnectionID, CredentialID: m.CredentialID, PartnerID: m.PartnerID,
	}, b)
}

// tell logs and counts a failure of ours. The status_reason is the line's: the
// connection's own says nothing of it.
func (w *Worker) tell(ctx context.Context, messageID string, r result) {
	attrs := append(w.Metrics.Count(r.metric, 1), slog.String("status_reason", "internal_error"), slog.String("message_id", messageID),
		slog.Bool("again", r.again), slog.String("error", r.err.Error()))
	if r.message.ConnectionID != "" {
		attrs = append(attrs, slog.Int64("account_id", r.message.AccountID), slog.String("carrier_id", r.message.ConnectionID))
	}
	slog.LogAttrs(ctx, slog.LevelError, "a refresh failed", attrs...)
}
