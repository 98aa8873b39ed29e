package main

import (
	"context"
	"encoding/json"
	"log/slog"

	"carrierlink/shared/effects"
	"carrierlink/shared/metrics"
	"carrierlink/shared/store/events"
)

// dispatcher is what this function needs of webhook.Dispatcher.
type dispatcher interface {
	Dispatch(ctx context.Context, events []effects.Event) (int, error)
}

type handler struct {
	dispatcher dispatcher
	metrics    metrics.Recorder
}

// batch is what Lambda passes on of the table's stream: new events, filtered by the
// mapping. Each record is decoded by itself, so that one that cannot be read stops no other.
type batch struct {
	Records []json.RawMessage `json:"Records"`
}

// run makes the events of a batch pending. One that cannot be read is counted, logged and
// left out. After an error Lambda passes the batch on again.
func (h *handler) run(ctx context.Context, b batch) error {
	ctx, points := h.metrics.Start(ctx)
	var found []effects.Event
	for _, record := range b.Records {
		e, err := events.FromStream(record)
		if err != nil {
			metrics.Add(ctx, metrics.Malformed, "", 1)
			slog.ErrorContext(ctx, "an event cannot be delivered", slog.String("event_id", e.ID), slog.String("error", err.Error()))
			continue
		}
		found = append(found, e.Event)
	}
	pending, err := h.dispatcher.Dispatch(ctx, found)
	points.Log(ctx, slog.Default(), slog.LevelInfo, "queued", slog.Int("records", len(b.Records)), slog.Int("events", len(found)), slog.Int("pending", pending))
	return err
}
