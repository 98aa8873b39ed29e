package main

import (
	"context"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"carrierlink/shared/metrics"
	"carrierlink/shared/schedule"
)

// worker is what this function needs of schedule.RoundWorker.
type worker interface {
	LookBatch(ctx context.Context, batch []schedule.Received) (failed []string)
}

type handler struct {
	worker  worker
	metrics metrics.Recorder
}

// work makes the rounds of a batch and returns the messages that SQS must deliver
// again; the others are done, whatever the carriers said. It returns no error: SQS
// would deliver the whole batch again.
func (h *handler) work(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	ctx, points := h.metrics.Start(ctx)
	batch := make([]schedule.Received, len(event.Records))
	for i, r := range event.Records {
		batch[i] = schedule.Received{ID: r.MessageId, Body: r.Body}
	}
	// Never null, which MiniStack cannot read.
	resp := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for _, id := range h.worker.LookBatch(ctx, batch) {
		resp.BatchItemFailures = append(resp.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: id})
	}
	points.Log(ctx, slog.Default(), slog.LevelInfo, "batch", slog.Int("messages", len(batch)), slog.Int("failed", len(resp.BatchItemFailures)))
	return resp, nil
}
