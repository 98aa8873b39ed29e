package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/metrics"
	"carrierlink/shared/webhook"
)

// connections is what this function needs of connection.Service.
type connections interface {
	Reconcile(ctx context.Context, limit int) (connection.Report, error)
}

// keys is what this function needs of account.Service.
type keys interface {
	ReportExpiring(ctx context.Context, limit int) (account.Expiring, error)
}

// webhooks is what this function needs of webhook.Service.
type webhooks interface {
	Reseal(ctx context.Context, sealer webhook.Resealer, limit int) (webhook.Resealed, error)
}

type handler struct {
	connections connections
	keys        keys
	webhooks    webhooks
	sealer      webhook.Resealer
	metrics     metrics.Recorder
}

// report is what one run did.
type report struct {
	connection.Report
	ExpiringKeys account.Expiring `json:"expiring_keys"`
	Webhooks     webhook.Resealed `json:"webhooks"`
}

// limit is how many connections and accounts, how many expiring keys and how many lists of
// webhooks one run handles; the next run continues.
const limit = 500

// The time that a run has for expiring keys, and for webhooks.
const (
	keysTime     = 15 * time.Second
	webhooksTime = 10 * time.Second
)

// run reconciles and returns what it did. An error, for what it could not finish,
// fails the invocation, which raises the alarm.
func (h *handler) run(ctx context.Context) (report, error) {
	ctx, points := h.metrics.Start(ctx)
	// First, because repairs may take all of the time.
	keysCtx, cancel := context.WithTimeout(ctx, keysTime)
	defer cancel()
	expiring, keysErr := h.keys.ReportExpiring(keysCtx, limit)
	webhooksCtx, cancel := context.WithTimeout(ctx, webhooksTime)
	defer cancel()
	sealed, sealErr := h.webhooks.Reseal(webhooksCtx, h.sealer, limit)
	repaired, err := h.connections.Reconcile(ctx, limit)
	done := report{repaired, expiring, sealed}
	level := slog.LevelInfo
	if repaired.Malformed+expiring.Malformed+sealed.Malformed > 0 {
		level = slog.LevelError
	}
	if n := expiring.Malformed + sealed.Malformed; n > 0 {
		metrics.Add(ctx, metrics.Malformed, "", int64(n))
	}
	points.Log(ctx, slog.Default(), level, "reconciled", slog.Any("report", done))
	return done, errors.Join(err, keysErr, sealErr)
}
