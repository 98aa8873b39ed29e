package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/connection"
	"carrierlink/shared/metrics"
)

// fixed reports what it is told to.
type fakeConnections struct {
	report connection.Report
	err    error
	limit  int
}

func (f *fakeConnections) Reconcile(ctx context.Context, limit int) (connection.Report, error) {
	f.limit = limit
	metrics.Add(ctx, metrics.RepairsLeft, "", 7)
	return f.report, f.err
}

func TestRun(t *testing.T) {
	broken := errors.New("broken")
	for name, f := range map[string]*fakeConnections{
		"fails": {report: connection.Report{LinksUndone: 1, Failed: 1}, err: broken},
		"skips": {report: connection.Report{Malformed: 3}},
		"works": {report: connection.Report{ChangesSettled: 2, AccountsFollowed: 3, Left: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			before := slog.Default()
			slog.SetDefault(slog.New(slog.NewJSONHandler(&log, nil)))
			defer slog.SetDefault(before)
			h := &handler{connections: f, metrics: metrics.Recorder{Stage: "test", Now: time.Now}}
			got, err := h.run(t.Context())
			if !errors.Is(err, f.err) || f.limit != 500 {
				t.Errorf("run = %v with limit %d, want %v with 500", err, f.limit, f.err)
			}
			if diff := cmp.Diff(f.report, got); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			level := map[bool]string{true: "ERROR", false: "INFO"}[f.report.Malformed > 0]
			if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, `"links_undone":`) || !strings.Contains(text, `"level":"`+level+`"`) {
				t.Errorf("log:\n%s\nwant a line with the report, of level %s", text, level)
			}
			// connection.Service makes the metrics, in the context that the handler passes.
			if diff := cmp.Diff(map[string][]float64{"RepairsLeft": {7}}, metricstest.In(t, log.String())); diff != "" {
				t.Errorf("metrics (-want +got):\n%s", diff)
			}
		})
	}
}
