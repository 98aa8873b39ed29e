package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"carrierlink/shared/metrics"
	"carrierlink/shared/schedule"
)

type handler struct {
	pass   func(context.Context) (schedule.Pass, error)
	passes int           // in a minute
	window time.Duration // from one to the next

	metrics metrics.Counter
}

// run makes the passes of one minute and returns what they did together; the
// backlog is the last one's. A pass that fails keeps none of those after it from
// being made: the error, which joins theirs, makes the invocation count as
// failed.
func (h *handler) run(ctx context.Context) (schedule.Pass, error) {
	var sum schedule.Pass
	var errs []error
	start := time.Now()
	for n := range h.passes {
		if err := wait(ctx, time.Until(start.Add(time.Duration(n)*h.window))); err != nil {
			errs = append(errs, err)
			break
		}
		p, err := h.pass(ctx)
		sum.Due, sum.Sent, sum.Probes, sum.Backlog = sum.Due+p.Due, sum.Sent+p.Sent, sum.Probes+p.Probes, p.Backlog
		sum.Malformed = max(sum.Malformed, p.Malformed) // the same ones in each pass
		if err != nil {
			errs = append(errs, err)
		}
	}
	slog.InfoContext(ctx, "passes", slog.Int("passes", h.passes), slog.Int("failed", len(errs)),
		slog.Int("due", sum.Due), slog.Int("sent", sum.Sent), slog.Int("probes", sum.Probes), slog.Int("backlog", sum.Backlog), slog.Int("malformed", sum.Malformed))
	if sum.Malformed > 0 {
		slog.LogAttrs(ctx, slog.LevelError, "entries of by_due that nobody can read were skipped", h.metrics.Count(metrics.Malformed, sum.Malformed)...)
	}
	return sum, errors.Join(errs...)
}

// wait waits, or returns the context's error when that ends first.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
