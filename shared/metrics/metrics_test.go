package metrics_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/metrics"
)

// TestCount: CloudWatch needs the metric at the root of the record.
func TestCount(t *testing.T) {
	m := metrics.Counter{Stage: "staging", Now: func() time.Time { return time.UnixMilli(1_795_000_000_123) }}
	var line bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&line, nil))
	log.LogAttrs(t.Context(), slog.LevelError, "three checks", append(m.Count(metrics.InternalErrors, 3), slog.String("more", "x"))...)
	var got map[string]any
	if err := json.Unmarshal(line.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	want := map[string]any{
		"level": "ERROR", "msg": "three checks", "more": "x", "Stage": "staging", "InternalErrors": 3.0,
		"_aws": map[string]any{"Timestamp": 1_795_000_000_123.0, "CloudWatchMetrics": []any{map[string]any{
			"Namespace": "carrierlink", "Dimensions": []any{[]any{"Stage"}}, "Metrics": []any{map[string]any{"Name": "InternalErrors", "Unit": "Count"}},
		}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}
