package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/invocation"
	"carrierlink/shared/metrics"
)

// Checker makes the checks.
type Checker interface {
	// Refresh checks a connection that is due. It returns fault.State or NotFound
	// where there is nothing to do, and an error that wraps connection.ErrPostponed
	// where the check failed through our fault and its row is due again by itself.
	Refresh(ctx context.Context, d connection.Due, b health.Breaker) (connection.Checked, error)
	// Control checks a connection that is not due. It returns fault.NotFound where the
	// connection cannot be compared with others, State while another check runs.
	Control(ctx context.Context, accountID int64, connectionID string, b health.Breaker) (connection.Checked, error)
	// Count adds checks to the carrier's tally, and may switch its breaker.
	Count(ctx context.Context, name carrier.Name, b health.Breaker, checks []health.Check) error
}

// Breakers reads the breakers of all carriers.
type Breakers interface {
	Breakers(ctx context.Context) (map[carrier.Name]health.Breaker, error)
}

// Worker makes the checks that messages ask for.
type Worker struct {
	Checker  Checker
	Breakers Breakers
}

// Received is a message as the queue delivers it.
type Received struct{ ID, Body string }

// Work makes the checks of a batch of messages, all at once, and returns the
// ids of the messages that the queue must deliver again: bodies that are not
// messages, until the queue gives up on them, and checks whose row the table could
// not record, because it throttles or fails. Any other failure of ours is done: its
// row is due again by itself, or the next pass sends another control check. The
// carrier's failures are results, and recorded. While a carrier's breaker is open,
// its messages are dropped, except the probe: the connections stay due.
func (w *Worker) Work(ctx context.Context, batch []Received) (failed []string) {
	breakers, err := w.Breakers.Breakers(ctx)
	if err != nil {
		slog.ErrorContext(ctx, "the breakers cannot be read", slog.String("error", err.Error()))
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
			logFailure(ctx, batch[i].ID, r)
		}
		if name := r.message.Lane.Carrier(); r.counted != nil && name != "" {
			counted[name] = append(counted[name], *r.counted)
		}
	}
	for name, checks := range counted {
		if err := w.Checker.Count(ctx, name, breakers[name], checks); err != nil {
			// The checks are recorded; the tally only lacks them.
			slog.WarnContext(ctx, "checks were not counted", slog.String("carrier", string(name)), slog.String("error", fmt.Sprint(err)))
		}
	}
	return failed
}

// result is the result of one message.
type result struct {
	message Message
	counted *health.Check // nil: nothing to count
	err     error         // a failure of ours
	again   bool          // the queue must deliver the message again
}

func (w *Worker) check(ctx context.Context, body string, breakers map[carrier.Name]health.Breaker) result {
	m, err := decode(body)
	if err != nil {
		metrics.Add(ctx, metrics.Malformed, "", 1)
		return result{err: err, again: true}
	}
	b := breakers[m.Lane.Carrier()]
	if b.Open && !m.Probe {
		return result{message: m}
	}
	checked, err := w.checkRecovering(ctx, m, b)
	switch {
	case m.Control && fault.Is(err, fault.NotFound):
		return result{message: m, counted: &health.Check{AccountID: m.AccountID, ConnectionID: m.ConnectionID, Gone: true}}
	case fault.Is(err, fault.State), fault.Is(err, fault.NotFound):
		return result{message: m}
	case fault.Is(err, fault.Overloaded):
		return result{message: m, err: err, again: !m.Control}
	case err != nil:
		metrics.Add(ctx, metrics.InternalErrors, "", 1)
		return result{message: m, err: err, again: !m.Control && !errors.Is(err, connection.ErrPostponed)}
	}
	checked.Counted.Silent = m.Silent
	return result{message: m, counted: &checked.Counted}
}

// checkRecovering makes a check. It turns a panic, which would end the other checks
// of the batch, into an error.
func (w *Worker) checkRecovering(ctx context.Context, m Message, b health.Breaker) (checked connection.Checked, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the check: %w", invocation.Panicked(v))
		}
	}()
	if m.Control {
		return w.Checker.Control(ctx, m.AccountID, m.ConnectionID, b)
	}
	return w.Checker.Refresh(ctx, connection.Due{
		AccountID: m.AccountID, ConnectionID: m.ConnectionID, CredentialID: m.CredentialID, PartnerID: m.PartnerID,
	}, b)
}

// logFailure logs a failure of ours. status_reason belongs to the log line: the
// connection keeps its own.
func logFailure(ctx context.Context, messageID string, r result) {
	attrs := []slog.Attr{
		slog.String("status_reason", "internal_error"), slog.String("message_id", messageID), slog.Bool("again", r.again), slog.String("error", r.err.Error()),
	}
	if r.message.ConnectionID != "" {
		attrs = append(attrs, slog.Int64("account_id", r.message.AccountID), slog.String("carrier_id", r.message.ConnectionID))
	}
	slog.LogAttrs(ctx, slog.LevelError, "a refresh failed", attrs...)
}
