package main

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

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
		sum.Delivered, sum.Failed, sum.GivenUp = sum.Delivered+report.Delivered, sum.Failed+report.Failed, sum.GivenUp+report.GivenUp
		if err != nil {
			metrics.Add(ctx, metrics.InternalErrors, "", 1)
			slog.ErrorContext(ctx, "a run of a webhook failed", slog.String("webhook_id", ref.ID), slog.Int64("partner_id", ref.PartnerID), slog.String("error", err.Error()))
		}
	}
	h.closeIdle()
	points.Log(ctx, slog.Default(), slog.LevelInfo, "delivered", slog.Int("messages", len(event.Records)), slog.Int("delivered", sum.Delivered), slog.Int("failed", sum.Failed),
		slog.Int("given_up", sum.GivenUp))
	return resp, nil
}

// bodies makes the bodies of requests.
type bodies struct {
	api string // its URL, without a trailing slash
}

// of returns the body for an event, with the external id that its account has now: empty
// once the account is gone.
func (b *bodies) of(e *effects.Event, externalID string) ([]byte, error) {
	return json.Marshal(views.NewEvent(*e, externalID, func(path string) string { return b.api + path }))
}
