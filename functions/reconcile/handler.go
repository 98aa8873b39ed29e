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

// limit is how many connections and accounts one run handles; the next run continues.
const limit = 500

// run reconciles and returns what it did. An error, for what it could not finish,
// fails the invocation, which raises the alarm.
func (h *handler) run(ctx context.Context) (connection.Report, error) {
	report, err := h.connections.Reconcile(ctx, limit)
	slog.InfoContext(ctx, "reconciled", slog.Any("report", report))
	if report.Malformed > 0 {
		slog.LogAttrs(ctx, slog.LevelError, "malformed entries of by_due were skipped", h.metrics.Count(metrics.Malformed, report.Malformed)...)
	}
	return report, err
}
