package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/boot/boottest"
	"carrierlink/shared/linking"
)

// fixed is a linker that reports what it is told to.
type fixed struct {
	report linking.Report
	err    error
	limit  int
}

func (f *fixed) Reconcile(_ context.Context, limit int) (linking.Report, error) {
	f.limit = limit
	return f.report, f.err
}

func TestRun(t *testing.T) {
	broken := errors.New("broken")
	for name, f := range map[string]*fixed{
		"fails": {report: linking.Report{LinksUndone: 1, Failed: 1}, err: broken},
		"works": {report: linking.Report{ChangesSettled: 2, AccountsFollowed: 3, Left: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			before := slog.Default()
			slog.SetDefault(slog.New(slog.NewJSONHandler(&log, nil)))
			defer slog.SetDefault(before)
			h := &handler{linker: f}
			got, err := h.run(t.Context())
			if !errors.Is(err, f.err) || f.limit != 500 {
				t.Errorf("run = %v with limit %d, want %v with 500", err, f.limit, f.err)
			}
			if diff := cmp.Diff(f.report, got); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, `"links_undone":`) {
				t.Errorf("log:\n%s\nwant one line with the report", text)
			}
		})
	}
}

func TestWire(t *testing.T) {
	boottest.Wire(t, build, "TABLE_NAME", "SECRET_PREFIX")
}
