package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/metrics"
	"carrierlink/shared/schedule"
)

// TestRunFails: a failed pass is reported after the remaining passes; when the time
// is up, no further pass is made.
func TestRunFails(t *testing.T) {
	first, third := errors.New("first"), errors.New("third")
	one := schedule.Pass{Due: 1, Sent: 2, Probes: 3, Backlog: 4, Malformed: 5}
	tests := []struct {
		name   string
		within time.Duration
		errs   []error // of the passes
		want   schedule.Pass
		made   int
		is     []error
	}{
		{"two passes fail", time.Hour, []error{first, nil, third}, schedule.Pass{Due: 3, Sent: 6, Probes: 9, Backlog: 4, Malformed: 5}, 3, []error{first, third}},
		{"the time is up", 39 * time.Second, []error{nil, nil, nil}, schedule.Pass{Due: 2, Sent: 4, Probes: 6, Backlog: 4, Malformed: 5}, 2, []error{context.DeadlineExceeded}},
		{"a pass fails, and the time is up", 19 * time.Second, []error{first, nil, nil}, one, 1, []error{first, context.DeadlineExceeded}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tc.within)
				defer cancel()
				made := 0
				h := &handler{passes: len(tc.errs), window: 20 * time.Second, metrics: metrics.Counter{Now: time.Now}, pass: func(context.Context) (schedule.Pass, error) {
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
				if diff := cmp.Diff(tc.want, got); diff != "" {
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
				h := &handler{passes: tc.passes, window: time.Minute / time.Duration(tc.passes), metrics: metrics.Counter{Now: time.Now}, pass: func(context.Context) (schedule.Pass, error) {
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
				if diff := cmp.Diff(schedule.Pass{Due: n * (n + 1) / 2, Sent: 10 * n, Probes: n, Backlog: n}, got); diff != "" {
					t.Errorf("sum (-want +got):\n%s", diff)
				}
			})
		})
	}
}
