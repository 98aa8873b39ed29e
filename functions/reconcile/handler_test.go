package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/metrics"
	"carrierlink/shared/webhook"
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

type fakeKeys struct {
	expiring account.Expiring
	err      error
	limit    int
	has      time.Duration // the time that it was given
}

// ReportExpiring reports what it is told to.
func (f *fakeKeys) ReportExpiring(ctx context.Context, limit int) (account.Expiring, error) {
	f.limit = limit
	if end, ok := ctx.Deadline(); ok {
		f.has = time.Until(end)
	}
	return f.expiring, f.err
}

type fakeWebhooks struct {
	sealed webhook.Resealed
	err    error
	limit  int
	has    time.Duration // the time that it was given
}

// Reseal reports what it is told to.
func (f *fakeWebhooks) Reseal(ctx context.Context, _ webhook.Resealer, limit int) (webhook.Resealed, error) {
	f.limit = limit
	if end, ok := ctx.Deadline(); ok {
		f.has = time.Until(end)
	}
	return f.sealed, f.err
}

func TestRun(t *testing.T) {
	broken, down, locked := errors.New("broken"), errors.New("down"), errors.New("locked")
	for name, tc := range map[string]struct {
		f fakeConnections
		k fakeKeys
		w fakeWebhooks
	}{
		"fails":           {fakeConnections{report: connection.Report{LinksUndone: 1, Failed: 1}, err: broken}, fakeKeys{expiring: account.Expiring{Reported: 2}}, fakeWebhooks{sealed: webhook.Resealed{Done: 3}}},
		"fails with keys": {fakeConnections{report: connection.Report{LinksUndone: 1}}, fakeKeys{expiring: account.Expiring{Failed: 1}, err: down}, fakeWebhooks{}},
		"fails with all":  {fakeConnections{err: broken}, fakeKeys{err: down}, fakeWebhooks{err: locked}},
		"skips":           {fakeConnections{report: connection.Report{Malformed: 3}}, fakeKeys{}, fakeWebhooks{}},
		"skips others":    {fakeConnections{}, fakeKeys{expiring: account.Expiring{Malformed: 2}}, fakeWebhooks{sealed: webhook.Resealed{Malformed: 1}}},
		"works":           {fakeConnections{report: connection.Report{ChangesSettled: 2, AccountsFollowed: 3, Left: 4}}, fakeKeys{expiring: account.Expiring{Reported: 5, Left: 6}}, fakeWebhooks{sealed: webhook.Resealed{Done: 7}}},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			before := slog.Default()
			slog.SetDefault(slog.New(slog.NewJSONHandler(&log, nil)))
			defer slog.SetDefault(before)
			h := &handler{connections: &tc.f, keys: &tc.k, webhooks: &tc.w, metrics: metrics.Recorder{Stage: "test", Now: time.Now}}
			got, err := h.run(t.Context())
			if tc.k.has <= 0 || tc.k.has > 15*time.Second {
				t.Errorf("expiring keys have %v", tc.k.has)
			}
			if tc.w.has <= 0 || tc.w.has > 10*time.Second {
				t.Errorf("webhooks have %v", tc.w.has)
			}
			want := errors.Join(tc.f.err, tc.k.err, tc.w.err)
			if fmt.Sprint(err) != fmt.Sprint(want) || tc.f.limit != 500 || tc.k.limit != 500 || tc.w.limit != 500 {
				t.Errorf("run = %v with limits %d, %d and %d, want %v with 500", err, tc.f.limit, tc.k.limit, tc.w.limit, want)
			}
			if diff := cmp.Diff(report{tc.f.report, tc.k.expiring, tc.w.sealed}, got); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			level := map[bool]string{true: "ERROR", false: "INFO"}[tc.f.report.Malformed+tc.k.expiring.Malformed+tc.w.sealed.Malformed > 0]
			if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, `"links_undone":`) || !strings.Contains(text, `"expiring_keys":{"reported":`) || !strings.Contains(text, `"webhooks":{"sealed_again":`) || !strings.Contains(text, `"level":"`+level+`"`) {
				t.Errorf("log:\n%s\nwant a line with the report, of level %s", text, level)
			}
			// connection.Service makes the metrics, in the context that the handler passes.
			measured := map[string][]float64{"RepairsLeft": {7}}
			if n := tc.k.expiring.Malformed + tc.w.sealed.Malformed; n > 0 {
				measured["Malformed"] = []float64{float64(n)}
			}
			if diff := cmp.Diff(measured, metricstest.In(t, log.String())); diff != "" {
				t.Errorf("metrics (-want +got):\n%s", diff)
			}
		})
	}
}
