package main

import (
	"context"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"carrierlink/shared/schedule"
)

// worker is what this function needs of shared/refresh.
type worker interface {
	CheckBatch(ctx context.Context, batch []schedule.Received) (failed []string)
}

type handler struct{ worker worker }

// work makes the checks of a batch and names the messages that have to come
// again; the others are done, whatever their carriers said. It never fails: that
// would bring the whole batch back.
func (h *handler) work(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	batch := make([]schedule.Received, len(event.Records))
	for i, r := range event.Records {
		batch[i] = schedule.Received{ID: r.MessageId, Body: r.Body}
	}
	// Not null where there is none: MiniStack can not read that.
	resp := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for _, id := range h.worker.CheckBatch(ctx, batch) {
		resp.BatchItemFailures = append(resp.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: id})
	}
	slog.InfoContext(ctx, "batch", slog.Int("messages", len(batch)), slog.Int("failed", len(resp.BatchItemFailures)))
	return resp, nil
}
