package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/invocation"
	"carrierlink/shared/metrics"
)

// RoundStore is what Rounds needs of the store.
type RoundStore interface {
	// DueRounds lists the rounds of a lane that are due, as Store.Due lists checks.
	DueRounds(ctx context.Context, lane connection.Lane, now time.Time, limit int) (due []connection.Due, malformed int, err error)
}

// Rounds sends messages for the rounds of parcels that are due, in each pass of a Dispatcher.
// A round is the work on the parcels of one connection. They have queues and workers of
// their own, so that no number of parcels delays a check.
type Rounds struct {
	Store               RoundStore
	Production, Sandbox Traffic // PerMinute counts rounds
}

// send sends messages for the rounds that are due, spread as the Dispatcher spreads
// checks. While a carrier's breaker is open its rounds wait; the checks find out when it
// works again. A failure in one lane does not keep the others from being sent.
func (d *Rounds) send(ctx context.Context, window time.Duration, breakers map[carrier.Name]health.Breaker, now time.Time, report *Pass) error {
	var production []connection.Lane
	for _, name := range carrier.Names() {
		if !breakers[name].Open {
			production = append(production, connection.Lane(name))
		}
	}
	return errors.Join(
		d.sendLanes(ctx, d.Production, production, window, now, report),
		d.sendLanes(ctx, d.Sandbox, []connection.Lane{connection.SandboxLane}, window, now, report),
	)
}

func (d *Rounds) sendLanes(ctx context.Context, t Traffic, lanes []connection.Lane, window time.Duration, now time.Time, report *Pass) error {
	_, capacity, err := t.capacity(ctx, window)
	if err != nil || capacity <= 0 {
		return err
	}
	sent, err := t.sendInTurn(ctx, lanes, capacity, turnOf(now, window), func(lane connection.Lane) (urgent, regular []Delayed, err error) {
		due, malformed, err := d.Store.DueRounds(ctx, lane, now, max(maxRead, 2*capacity))
		report.Malformed += malformed
		if err != nil {
			return nil, nil, fmt.Errorf("finding due rounds: %w", err)
		}
		return nil, spread(window, lane, due, now, capacity), nil
	})
	report.Rounds += sent
	return err
}

// Looker makes the rounds.
type Looker interface {
	// Look makes a round that is due. It returns nil where there is nothing to do. After an
	// error the round is due again by itself.
	Look(ctx context.Context, d connection.Due) error
}

// RoundWorker makes the rounds that messages ask for.
type RoundWorker struct {
	Looker   Looker
	Breakers Breakers
}

// Work makes the rounds of a batch of messages, all at once. It returns the ids of the
// messages that the queue must deliver again: bodies that are not messages, until the
// queue gives up on them. Whatever else fails, the round is due again by itself. While a
// carrier's breaker is open its messages are dropped.
func (w *RoundWorker) Work(ctx context.Context, batch []Received) (failed []string) {
	breakers, err := w.Breakers.Breakers(ctx)
	if err != nil {
		countInternal(ctx, err)
		slog.ErrorContext(ctx, "the breakers cannot be read", slog.String("error", err.Error()))
		return nil // the rounds stay due
	}
	again := make([]bool, len(batch))
	var running sync.WaitGroup
	for i, r := range batch {
		running.Go(func() { again[i] = w.look(ctx, r, breakers) })
	}
	running.Wait()
	for i, r := range batch {
		if again[i] {
			failed = append(failed, r.ID)
		}
	}
	return failed
}

func (w *RoundWorker) look(ctx context.Context, r Received, breakers map[carrier.Name]health.Breaker) (again bool) {
	m, err := decode(r.Body)
	if err != nil {
		metrics.Add(ctx, metrics.Malformed, "", 1)
		slog.ErrorContext(ctx, "a round failed", slog.String("message_id", r.ID), slog.Bool("again", true), slog.String("error", err.Error()))
		return true
	}
	if breakers[m.Lane.Carrier()].Open {
		return false
	}
	err = invocation.Recovering(func() error {
		return w.Looker.Look(ctx, connection.Due{AccountID: m.AccountID, ConnectionID: m.ConnectionID, CredentialID: m.CredentialID, PartnerID: m.PartnerID})
	})
	if err == nil {
		return false
	}
	countInternal(ctx, err)
	slog.ErrorContext(ctx, "a round failed", slog.String("message_id", r.ID), slog.Int64("account_id", m.AccountID), slog.String("carrier_id", m.ConnectionID),
		slog.Bool("again", false), slog.String("error", err.Error()))
	return false
}

// countInternal counts an error of ours; the limits of AWS are none.
func countInternal(ctx context.Context, err error) {
	if !fault.Is(err, fault.Overloaded) {
		metrics.Add(ctx, metrics.InternalErrors, "", 1)
	}
}
