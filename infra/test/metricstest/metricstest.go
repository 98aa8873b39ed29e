// Package metricstest shows tests the metrics that a call makes, read as CloudWatch reads
// them.
package metricstest

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"carrierlink/infra/local/emf"
	"carrierlink/shared/metrics"
)

// Of returns the values of each metric that do makes in its context, as "Requests" or
// "Requests Outcome=ok".
func Of(tb testing.TB, do func(context.Context)) map[string][]float64 {
	tb.Helper()
	ctx, points := metrics.Recorder{Stage: "test", Now: time.Now}.Start(tb.Context())
	do(ctx)
	var log bytes.Buffer
	points.Log(ctx, slog.New(slog.NewJSONHandler(&log, nil)), slog.LevelInfo, "test")
	return In(tb, log.String())
}

// In returns the same of the lines of a log.
func In(tb testing.TB, log string) map[string][]float64 {
	tb.Helper()
	var all emf.Summary
	for line := range strings.Lines(log) {
		if err := all.Add(line); err != nil {
			tb.Fatalf("%v: %s", err, line)
		}
	}
	found := map[string][]float64{}
	for _, s := range all.Series() {
		by := ""
		for d := range strings.SplitSeq(s.Dimensions, ",") {
			if !strings.HasPrefix(d, "Stage=") {
				by = " " + d
			}
		}
		found[s.Name+by] = s.Values
	}
	return found
}
