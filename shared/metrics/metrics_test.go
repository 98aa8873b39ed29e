package metrics_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/metrics"
)

var at = time.UnixMilli(1_795_000_000_123)

// record logs points at a level, with a logger of another level, and returns the lines.
func record(t *testing.T, stage string, level, least slog.Level, add func(context.Context)) []string {
	t.Helper()
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: least, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	ctx, points := metrics.Recorder{Stage: stage, Now: func() time.Time { return at }}.Start(t.Context())
	add(ctx)
	points.Log(ctx, log, level, "request", slog.Int("status", 200))
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func TestRecord(t *testing.T) {
	const head = `{"level":"INFO","msg":"request","status":200`
	aws := func(directives ...string) string {
		return `,"_aws":{"Timestamp":1795000000123,"CloudWatchMetrics":[` + strings.Join(directives, ",") + `]},"Stage":"staging"`
	}
	directive := func(sets, list string) string {
		return `{"Namespace":"carrierlink","Dimensions":[` + sets + `],"Metrics":[` + list + `]}`
	}
	const requests, latency = `{"Name":"Requests","Unit":"Count"}`, `{"Name":"Latency","Unit":"Milliseconds"}`
	for _, tc := range []struct {
		name         string
		stage        string
		level, least slog.Level
		add          func(context.Context)
		want         []string
	}{
		{"nothing", "staging", slog.LevelInfo, slog.LevelInfo, func(context.Context) {}, []string{head + "}"}},
		{"no stage", "", slog.LevelInfo, slog.LevelInfo, func(ctx context.Context) {
			metrics.Add(ctx, metrics.Requests, "ok", 1)
		}, []string{head + "}"}},
		{"two dimensions", "staging", slog.LevelInfo, slog.LevelInfo, func(ctx context.Context) {
			metrics.Add(ctx, metrics.Requests, "ok", 1)
			metrics.Add(ctx, metrics.Latency, "links", 1234)
		}, []string{head + aws(directive(`["Stage","Route"]`, latency), directive(`["Stage","Outcome"]`, requests)) +
			`,"Route":"links","Latency":1234,"Outcome":"ok","Requests":1}`}},
		{"counts are added, samples are kept", "staging", slog.LevelInfo, slog.LevelInfo, func(ctx context.Context) {
			for n := range int64(3) {
				metrics.Add(ctx, metrics.Malformed, "", 2)
				metrics.Add(ctx, metrics.QueueRoom, "", n)
			}
		}, []string{head + aws(directive(`["Stage"]`, `{"Name":"QueueRoom","Unit":"Count"},{"Name":"Malformed","Unit":"Count"}`)) +
			`,"QueueRoom":[0,1,2],"Malformed":6}`}},
		{"with a total", "staging", slog.LevelInfo, slog.LevelInfo, func(ctx context.Context) {
			metrics.Add(ctx, metrics.Throttles, "dynamodb", 1)
		}, []string{head + aws(directive(`["Stage","Service"],["Stage"]`, `{"Name":"Throttles","Unit":"Count"}`)) + `,"Service":"dynamodb","Throttles":1}`}},
		{"a second value needs a second record", "staging", slog.LevelError, slog.LevelInfo, func(ctx context.Context) {
			metrics.Add(ctx, metrics.Requests, "ok", 1)
			metrics.Add(ctx, metrics.Requests, "ours", 1)
			metrics.Add(ctx, metrics.Latency, "links", 5)
		}, []string{
			`{"level":"ERROR","msg":"request","status":200` + aws(directive(`["Stage","Route"]`, latency), directive(`["Stage","Outcome"]`, requests)) + `,"Route":"links","Latency":5,"Outcome":"ok","Requests":1}`,
			`{"level":"INFO","msg":"metrics"` + aws(directive(`["Stage","Outcome"]`, requests)) + `,"Outcome":"ours","Requests":1}`,
		}},
		{"a level that drops the record keeps the points", "staging", slog.LevelInfo, slog.LevelWarn, func(ctx context.Context) {
			metrics.Add(ctx, metrics.Requests, "ok", 1)
		}, []string{`{"level":"WARN","msg":"metrics"` + aws(directive(`["Stage","Outcome"]`, requests)) + `,"Outcome":"ok","Requests":1}`}},
		{"and drops it without points", "staging", slog.LevelInfo, slog.LevelError, func(context.Context) {}, []string{""}},
		{"the highest level", "staging", slog.LevelInfo, slog.LevelError, func(ctx context.Context) {
			metrics.Add(ctx, metrics.Requests, "ok", 1)
		}, []string{`{"level":"ERROR","msg":"metrics"` + aws(directive(`["Stage","Outcome"]`, requests)) + `,"Outcome":"ok","Requests":1}`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := record(t, tc.stage, tc.level, tc.least, tc.add)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			for _, line := range got {
				if line != "" && !json.Valid([]byte(line)) {
					t.Errorf("not JSON: %s", line)
				}
			}
		})
	}
}

// TestOddNames: nothing that a caller or a partner chose ever becomes a dimension, a metric
// or a part of the format.
func TestOddNames(t *testing.T) {
	for _, odd := range []string{
		"Miller & Söhne", `"},"Stage":"production`, "", "242822417", "a\nb", "\x00\xff", "OK", "ok ", strings.Repeat("long", 300), "{{.}}", "ok,ours", "_aws",
	} {
		for _, m := range []metrics.Metric{metrics.Requests, metrics.Latency, metrics.Refusals, metrics.CarrierLatency, metrics.Checks, metrics.OldestDue, metrics.Throttles, metrics.Malformed} {
			for _, line := range record(t, "staging", slog.LevelInfo, slog.LevelInfo, func(ctx context.Context) { metrics.Add(ctx, m, odd, 1) }) {
				var got map[string]any
				if err := json.Unmarshal([]byte(line), &got); err != nil {
					t.Fatalf("%q: %v", odd, err)
				}
				for name, value := range got {
					if text, ok := value.(string); ok && !slices.Contains([]string{"INFO", "request", "staging", metrics.Other}, text) {
						t.Errorf("%q: %s is %q", odd, name, text)
					}
				}
			}
		}
	}
}

// TestManyValues: CloudWatch takes at most 100 values of a metric from one record.
func TestManyValues(t *testing.T) {
	lines := record(t, "staging", slog.LevelInfo, slog.LevelInfo, func(ctx context.Context) {
		for n := range int64(250) {
			metrics.Add(ctx, metrics.CarrierLatency, "ok", n)
		}
	})
	var sizes []int
	sum := 0
	for _, line := range lines {
		var got struct {
			CarrierLatency []int `json:"CarrierLatency"`
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(got.CarrierLatency))
		for _, n := range got.CarrierLatency {
			sum += n
		}
	}
	if diff := cmp.Diff([]int{100, 100, 50}, sizes); diff != "" || sum != 250*249/2 {
		t.Errorf("values in each record (-want +got), sum %d:\n%s", sum, diff)
	}
}

// TestConcurrentPoints adds from many goroutines, as a batch of checks does.
func TestConcurrentPoints(t *testing.T) {
	lines := record(t, "staging", slog.LevelInfo, slog.LevelInfo, func(ctx context.Context) {
		var running sync.WaitGroup
		for range 50 {
			running.Go(func() { metrics.Add(ctx, metrics.Checks, "schedule", 1) })
		}
		running.Wait()
	})
	if len(lines) != 1 || !strings.Contains(lines[0], `"Checks":50`) {
		t.Errorf("records = %q", lines)
	}
}

// TestWithoutStart: a caller that collects nothing gets nothing.
func TestWithoutStart(t *testing.T) {
	metrics.Add(t.Context(), metrics.Requests, "ok", 1)
}

// TestSeries counts what CloudWatch may bill: $0.30 a month for each that occurs in each
// hour (README, "What an idle stack costs").
func TestSeries(t *testing.T) {
	const mostMetrics, mostSeries = 20, 64
	all := metrics.All()
	names := map[string]int{}
	for i, s := range all {
		if names[s.Name]++; slices.Contains(all[:i], s) {
			t.Errorf("%v is there twice", s)
		}
	}
	t.Logf("%d metrics (at most %d), %d series (at most %d), at most $%.2f a month", len(names), mostMetrics, len(all), mostSeries, 0.30*float64(len(all)))
	if len(names) > mostMetrics || len(all) > mostSeries {
		t.Errorf("%d metrics and %d series, want at most %d and %d: %s", len(names), len(all), mostMetrics, mostSeries, fmt.Sprint(names))
	}
}
