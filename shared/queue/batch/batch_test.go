package batch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/metrics"
	"carrierlink/shared/queue/batch"
	"carrierlink/shared/schedule"
)

// fakeWorker fails messages with certain bodies.
type fakeWorker struct {
	bad []string
	got []schedule.Received
}

func (w *fakeWorker) Work(ctx context.Context, messages []schedule.Received) (failed []string) {
	w.got = messages
	metrics.Add(ctx, metrics.Checks, "schedule", int64(len(messages)))
	for _, r := range messages {
		for _, bad := range w.bad {
			if r.Body == bad {
				failed = append(failed, r.ID)
			}
		}
	}
	return failed
}

func TestServe(t *testing.T) {
	for _, tc := range []struct{ name, bad, want string }{
		{"all fail", "abc", `{"batchItemFailures":[{"itemIdentifier":"1"},{"itemIdentifier":"2"},{"itemIdentifier":"3"}]}`},
		{"one fails", "b", `{"batchItemFailures":[{"itemIdentifier":"2"}]}`},
		{"none fails", "", `{"batchItemFailures":[]}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := &fakeWorker{bad: strings.Split(tc.bad, "")}
			var log bytes.Buffer
			before := slog.Default()
			slog.SetDefault(slog.New(slog.NewJSONHandler(&log, nil)))
			defer slog.SetDefault(before)
			h := &batch.Handler{Worker: w, Metrics: metrics.Recorder{Stage: "test", Now: time.Now}}
			var event events.SQSEvent
			const text = `{"Records":[{"messageId":"1","body":"a"},{"messageId":"2","body":"b"},{"messageId":"3","body":"c"}]}`
			if err := json.Unmarshal([]byte(text), &event); err != nil {
				t.Fatal(err)
			}
			resp, err := h.Serve(t.Context(), event)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(resp)
			if err != nil || string(got) != tc.want {
				t.Errorf("Serve = %s, %v, want %s", got, err, tc.want)
			}
			if diff := cmp.Diff([]schedule.Received{{ID: "1", Body: "a"}, {ID: "2", Body: "b"}, {ID: "3", Body: "c"}}, w.got); diff != "" {
				t.Errorf("batch (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[string][]float64{"Checks Trigger=schedule": {3}}, metricstest.In(t, log.String())); diff != "" || strings.Count(log.String(), "\n") != 1 {
				t.Errorf("metrics (-want +got):\n%s\nlog, want one line:\n%s", diff, log.String())
			}
		})
	}
}
