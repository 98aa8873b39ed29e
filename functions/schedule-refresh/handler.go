package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"carrierlink/shared/metrics"
	"carrierlink/shared/schedule"
	"carrierlink/shared/wait"
)

type handler struct {
	pass    func(context.Context) (schedule.Pass, error)
	wake    func(context.Context) (sent, malformed int, err error) // webhooks that are due, once a minute
	passes  int                                                    // in a minute
	window  time.Duration                                          // from one pass to the next
	metrics metrics.Recorder
}

// report is the sum of the passes of one minute, with the backlog of the last one.
type report struct {
	schedule.Pass

	Webhooks int `json:"webhooks"` // messages for webhooks that were due
}

// run sends messages for the webhooks that are due, and makes the passes of one minute. A
// failed pass does not keep the next from being made; the error, which joins all failures,
// fails the invocation.
func (h *handler) run(ctx context.Context) (report, error) {
	ctx, points := h.metrics.Start(ctx)
	var sum report
	var errs []error
	start := time.Now()
	var unreadable int
	var err error
	if sum.Webhooks, unreadable, err = h.wake(ctx); err != nil {
		errs = append(errs, err)
	}
	for n := range h.passes {
		if err := wait.For(ctx, time.Until(start.Add(time.Duration(n)*h.window))); err != nil {
			errs = append(errs, err)
			break
		}
		p, err := h.pass(ctx)
		sum.Due, sum.Sent, sum.Probes, sum.Backlog, sum.Told = sum.Due+p.Due, sum.Sent+p.Sent, sum.Probes+p.Probes, p.Backlog, sum.Told+p.Told
		sum.Rounds += p.Rounds
		sum.Malformed = max(sum.Malformed, p.Malformed) // each pass skips the same ones
		if err != nil {
			errs = append(errs, err)
		}
	}
	sum.Malformed += unreadable
	level := slog.LevelInfo
	if sum.Malformed > 0 {
		level = slog.LevelError
		metrics.Add(ctx, metrics.Malformed, "", int64(sum.Malformed))
	}
	points.Log(ctx, slog.Default(), level, "passes", slog.Int("passes", h.passes), slog.Int("failed", len(errs)),
		slog.Int("due", sum.Due), slog.Int("sent", sum.Sent), slog.Int("probes", sum.Probes), slog.Int("rounds", sum.Rounds), slog.Int("backlog", sum.Backlog),
		slog.Int("malformed", sum.Malformed), slog.Int("told", sum.Told), slog.Int("webhooks", sum.Webhooks))
	return sum, errors.Join(errs...)
}
