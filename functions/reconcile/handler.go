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
	metrics     metrics.Recorder
}

// limit is how many connections and accounts one run handles; the next run continues.
const limit = 500

// run reconciles and returns what it did. An error, for what it could not finish,
// fails the invocation, which raises the alarm.
func (h *handler) run(ctx context.Context) (connection.Report, error) {
	ctx, points := h.metrics.Start(ctx)
	report, err := h.connections.Reconcile(ctx, limit)
	level := slog.LevelInfo
	if report.Malformed > 0 {
		level = slog.LevelError
	}
	points.Log(ctx, slog.Default(), level, "reconciled", slog.Any("report", report))
	return report, err
}
