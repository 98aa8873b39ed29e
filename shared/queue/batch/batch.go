// Package batch serves the batches of messages with which SQS starts the workers of the
// schedule. It is separate from queue because it links no client of AWS.
package batch

import (
	"context"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"carrierlink/shared/metrics"
	"carrierlink/shared/schedule"
)

// Worker does what messages ask for: schedule.Worker and schedule.RoundWorker do.
type Worker interface {
	// Work returns the ids of the messages that the queue must deliver again.
	Work(ctx context.Context, batch []schedule.Received) (failed []string)
}

// Handler serves batches.
type Handler struct {
	Worker  Worker
	Metrics metrics.Recorder
}

// Serve does what the messages of a batch ask for, and returns those that SQS must deliver
// again; the others are done, whatever the carriers said. It returns no error: SQS would
// deliver the whole batch again.
func (h *Handler) Serve(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	ctx, points := h.Metrics.Start(ctx)
	batch := make([]schedule.Received, len(event.Records))
	for i, r := range event.Records {
		batch[i] = schedule.Received{ID: r.MessageId, Body: r.Body}
	}
	// Never null, which MiniStack cannot read.
	resp := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for _, id := range h.Worker.Work(ctx, batch) {
		resp.BatchItemFailures = append(resp.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: id})
	}
	points.Log(ctx, slog.Default(), slog.LevelInfo, "batch", slog.Int("messages", len(batch)), slog.Int("failed", len(resp.BatchItemFailures)))
	return resp, nil
}
