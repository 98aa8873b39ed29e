package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/metrics"
	"carrierlink/shared/views"
	"carrierlink/shared/webhook"
)

// deliverer is what this function needs of webhook.Deliverer.
type deliverer interface {
	Deliver(ctx context.Context, ref webhook.Ref) (webhook.Report, error)
}

type handler struct {
	deliverer deliverer
	closeIdle func() // connections to receivers
	metrics   metrics.Recorder
}

// run makes a run of the webhook of each message, and returns the messages that SQS must
// deliver again: bodies that are not messages, until the queue gives up on them. A run that
// fails by our fault is counted and logged, and the webhook is due again by itself. There is
// one message in a batch (template.yaml): more would wait for each other.
func (h *handler) run(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	ctx, points := h.metrics.Start(ctx)
	// Never null, which MiniStack cannot read.
	resp := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	var sum webhook.Report
	for _, r := range event.Records {
		ref, err := webhook.DecodeMessage(r.Body)
		if err != nil {
			metrics.Add(ctx, metrics.Malformed, "", 1)
			slog.ErrorContext(ctx, "a message cannot be read", slog.String("message_id", r.MessageId), slog.String("error", err.Error()))
			resp.BatchItemFailures = append(resp.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
			continue
		}
		report, err := h.deliverer.Deliver(ctx, ref)
		sum.Delivered, sum.Failed = sum.Delivered+report.Delivered, sum.Failed+report.Failed
		if err != nil {
			metrics.Add(ctx, metrics.InternalErrors, "", 1)
			slog.ErrorContext(ctx, "a run of a webhook failed", slog.String("webhook_id", ref.ID), slog.Int64("partner_id", ref.PartnerID), slog.String("error", err.Error()))
		}
	}
	h.closeIdle()
	points.Log(ctx, slog.Default(), slog.LevelInfo, "delivered", slog.Int("messages", len(event.Records)), slog.Int("delivered", sum.Delivered), slog.Int("failed", sum.Failed))
	return resp, nil
}

// bodies makes the bodies of requests.
type bodies struct {
	accounts interface {
		ExternalIDs(ctx context.Context, accountIDs []int64, now time.Time) (map[account.Owned]string, error)
	}
	api string // its URL, without a trailing slash
	now func() time.Time
}

// of returns the body for an event, with the external id that its account has now: none
// once the account is gone.
func (b *bodies) of(ctx context.Context, e *effects.Event) ([]byte, error) {
	var ids []int64
	if e.AccountID != 0 {
		ids = append(ids, e.AccountID)
	}
	names, err := b.accounts.ExternalIDs(ctx, ids, b.now())
	if err != nil {
		return nil, fmt.Errorf("reading the external id of an account: %w", err)
	}
	name := names[account.Owned{PartnerID: e.PartnerID, AccountID: e.AccountID}]
	return json.Marshal(views.NewEvent(*e, name, func(path string) string { return b.api + path }))
}
