package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/metrics"
	"carrierlink/shared/schedule"
)

// nobody finds no webhook due.
func nobody(context.Context) (sent, malformed int, err error) { return 0, 0, nil }

// TestWebhooks: webhooks are looked for once a minute, and a failure stops no pass.
func TestWebhooks(t *testing.T) {
	down := errors.New("down")
	for _, tc := range []struct {
		name      string
		malformed int
		err       error
	}{{"failing", 0, down}, {"with an unreadable entry", 1, nil}, {"well", 0, nil}} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				made, woken := 0, 0
				h := &handler{
					passes: 3, window: 20 * time.Second, metrics: metrics.Recorder{Now: time.Now},
					wake: func(context.Context) (int, int, error) { woken++; return 7, tc.malformed, tc.err },
					pass: func(context.Context) (schedule.Pass, error) { made++; return schedule.Pass{}, nil },
				}
				got, err := h.run(t.Context())
				if !errors.Is(err, tc.err) || made != 3 || woken != 1 || got.Malformed != tc.malformed {
					t.Errorf("run = %+v, %v after %d passes and %d looks for webhooks, want %v after 3 and 1", got, err, made, woken, tc.err)
				}
			})
		})
	}
}

// TestRunFails: a failed pass is reported after the remaining passes; when the time
// is up, no further pass is made.
func TestRunFails(t *testing.T) {
	first, third := errors.New("first"), errors.New("third")
	one := schedule.Pass{Due: 1, Sent: 2, Probes: 3, Backlog: 4, Malformed: 5, Told: 6, Rounds: 7}
	tests := []struct {
		name   string
		within time.Duration
		errs   []error // of the passes
		want   schedule.Pass
		made   int
		is     []error
	}{
		{"two passes fail", time.Hour, []error{first, nil, third}, schedule.Pass{Due: 3, Sent: 6, Probes: 9, Backlog: 4, Malformed: 5, Told: 18, Rounds: 21}, 3, []error{first, third}},
		{"the time is up", 39 * time.Second, []error{nil, nil, nil}, schedule.Pass{Due: 2, Sent: 4, Probes: 6, Backlog: 4, Malformed: 5, Told: 12, Rounds: 14}, 2, []error{context.DeadlineExceeded}},
		{"a pass fails, and the time is up", 19 * time.Second, []error{first, nil, nil}, one, 1, []error{first, context.DeadlineExceeded}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tc.within)
				defer cancel()
				made := 0
				h := &handler{wake: nobody, passes: len(tc.errs), window: 20 * time.Second, metrics: metrics.Recorder{Now: time.Now}, pass: func(context.Context) (schedule.Pass, error) {
					made++
					return one, tc.errs[made-1]
				}}
				got, err := h.run(ctx)
				for _, want := range tc.is {
					if !errors.Is(err, want) {
						t.Errorf("run = %v, want %v in it", err, want)
					}
				}
				if made != tc.made {
					t.Errorf("%d passes, want %d", made, tc.made)
				}
				if diff := cmp.Diff(tc.want, got.Pass); diff != "" {
					t.Errorf("sum (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestRun: the passes start at even intervals, however long each takes; the next pass
// starts at once after one that took too long.
func TestRun(t *testing.T) {
	tests := []struct {
		name   string
		passes int
		takes  []time.Duration
		want   []time.Duration // since the start
	}{
		{"one", 1, []time.Duration{time.Second}, []time.Duration{0}},
		{"three", 3, []time.Duration{0, 5 * time.Second, time.Second}, []time.Duration{0, 20 * time.Second, 40 * time.Second}},
		{"a slow one", 3, []time.Duration{25 * time.Second, time.Second, time.Second}, []time.Duration{0, 25 * time.Second, 40 * time.Second}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var begun []time.Duration
				h := &handler{wake: nobody, passes: tc.passes, window: time.Minute / time.Duration(tc.passes), metrics: metrics.Recorder{Now: time.Now}, pass: func(context.Context) (schedule.Pass, error) {
					begun = append(begun, time.Since(start))
					time.Sleep(tc.takes[len(begun)-1]) // virtual time
					return schedule.Pass{Due: len(begun), Sent: 10, Probes: 1, Backlog: len(begun)}, nil
				}}
				got, err := h.run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tc.want, begun); diff != "" {
					t.Errorf("passes start at (-want +got):\n%s", diff)
				}
				n := tc.passes
				if diff := cmp.Diff(schedule.Pass{Due: n * (n + 1) / 2, Sent: 10 * n, Probes: n, Backlog: n}, got.Pass); diff != "" {
					t.Errorf("sum (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestMetrics: one record of a minute carries the metrics of all its passes, and what could
// not be read makes it an error.
func TestMetrics(t *testing.T) {
	for _, malformed := range []int{0, 3} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			before := slog.Default()
			slog.SetDefault(slog.New(slog.NewJSONHandler(&log, nil)))
			defer slog.SetDefault(before)
			room := int64(0)
			h := &handler{wake: nobody, passes: 2, window: 30 * time.Second, metrics: metrics.Recorder{Stage: "test", Now: time.Now}, pass: func(ctx context.Context) (schedule.Pass, error) {
				room += 100
				metrics.Add(ctx, metrics.QueueRoom, "", room)
				return schedule.Pass{Malformed: malformed}, nil
			}}
			if _, err := h.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			want, level := map[string][]float64{"QueueRoom": {100, 200}}, "INFO"
			if malformed > 0 {
				want["Malformed"], level = []float64{3}, "ERROR"
			}
			if diff := cmp.Diff(want, metricstest.In(t, log.String())); diff != "" {
				t.Errorf("metrics (-want +got):\n%s", diff)
			}
			if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, `"level":"`+level+`","msg":"passes"`) {
				t.Errorf("log:\n%s\nwant one line of level %s", text, level)
			}
		})
	}
}
