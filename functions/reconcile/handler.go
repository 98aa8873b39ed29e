package main

import (
	"context"
	"log/slog"

	"carrierlink/shared/connection"
	"carrierlink/shared/metrics"
)

// connections is what this function needs of connection.Service.
type connections interface {
	Reconcile(ctx context.Context, limit int) (connection.Report, error)
}

type handler struct {
	connections connections
	metrics     metrics.Counter
}

// most is how much one run takes up; the next one goes on.
const most = 500

// run reconciles and reports what it did. The error, of what could not be
// settled, makes the invocation count as failed, which raises the alarm.
func (h *handler) run(ctx context.Context) (connection.Report, error) {
	report, err := h.connections.Reconcile(ctx, most)
	slog.InfoContext(ctx, "reconciled", slog.Any("report", report))
	if report.Malformed > 0 {
		slog.LogAttrs(ctx, slog.LevelError, "entries of by_due that nobody can read were skipped", h.metrics.Count(metrics.Malformed, report.Malformed)...)
	}
	return report, err
}
