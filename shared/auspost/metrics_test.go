package auspost

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/metricstest"
)

// TestCallMetrics: each call of the carrier is a sample by its answer; calls of the
// simulator are none.
func TestCallMetrics(t *testing.T) {
	fixed := func(status int, body string) func(int, *http.Request) (*http.Response, error) {
		return func(int, *http.Request) (*http.Response, error) { return response(status, body), nil }
	}
	for _, tc := range []struct {
		name      string
		simulated bool
		do        func(int, *http.Request) (*http.Response, error)
		want      map[string]int
	}{
		{"unavailable twice", false, fixed(500, ""), map[string]int{"CarrierLatency Answer=unavailable": 2}},
		{"no connection, then good", false, func(n int, _ *http.Request) (*http.Response, error) {
			if n == 1 {
				return nil, errors.New("refused")
			}
			return response(200, fineBody), nil
		}, map[string]int{"CarrierLatency Answer=unavailable": 1, "CarrierLatency Answer=ok": 1}},
		{"timeout", false, func(int, *http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded }, map[string]int{"CarrierLatency Answer=timeout": 1}},
		{"refused", false, fixed(403, refusedBody), map[string]int{"CarrierLatency Answer=refused": 1}},
		{"limited", false, fixed(429, ""), map[string]int{"CarrierLatency Answer=limited": 1}},
		{"unreadable", false, fixed(200, "<html>"), map[string]int{"CarrierLatency Answer=other": 1}},
		{"good", false, fixed(200, fineBody), map[string]int{"CarrierLatency Answer=ok": 1}},
		{"simulated", true, fixed(200, fineBody), map[string]int{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := New(Options{
				BaseURL: "https://carrier.example/shipping/v1", Transport: &roundTripper{do: tc.do}, Simulated: tc.simulated,
				Sleep: func(context.Context, time.Duration) error { return nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]int{}
			for name, values := range metricstest.Of(t, func(ctx context.Context) { c.GetAccount(ctx, chargeAccount(asked), 1) }) {
				got[name] = len(values)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("samples (-want +got):\n%s", diff)
			}
		})
	}
}
