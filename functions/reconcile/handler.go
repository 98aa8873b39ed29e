package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/metrics"
)

// connections is what this function needs of connection.Service.
type connections interface {
	Reconcile(ctx context.Context, limit int) (connection.Report, error)
}

// keys is what this function needs of account.Service.
type keys interface {
	ReportExpiring(ctx context.Context, limit int) (account.Expiring, error)
}

type handler struct {
	connections connections
	keys        keys
	metrics     metrics.Recorder
}

// report is what one run did.
type report struct {
	connection.Report
	ExpiringKeys account.Expiring `json:"expiring_keys"`
}

// limit is how many connections and accounts, and how many expiring keys, one run handles;
// the next run continues.
const limit = 500

// keysTime is the time that a run has for expiring keys.
const keysTime = 15 * time.Second

// run reconciles and returns what it did. An error, for what it could not finish,
// fails the invocation, which raises the alarm.
func (h *handler) run(ctx context.Context) (report, error) {
	ctx, points := h.metrics.Start(ctx)
	// First, because repairs may take all of the time.
	keysCtx, cancel := context.WithTimeout(ctx, keysTime)
	defer cancel()
	expiring, keysErr := h.keys.ReportExpiring(keysCtx, limit)
	repaired, err := h.connections.Reconcile(ctx, limit)
	done := report{repaired, expiring}
	level := slog.LevelInfo
	if repaired.Malformed+expiring.Malformed > 0 {
		level = slog.LevelError
	}
	if expiring.Malformed > 0 {
		metrics.Add(ctx, metrics.Malformed, "", int64(expiring.Malformed))
	}
	points.Log(ctx, slog.Default(), level, "reconciled", slog.Any("report", done))
	return done, errors.Join(err, keysErr)
}
