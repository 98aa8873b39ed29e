package functiontest

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/invocation"
)

// Diff fails the test if got differs from want, and shows how.
func Diff[T any](tb testing.TB, name string, want, got T) {
	tb.Helper()
	if d := cmp.Diff(want, got); d != "" {
		tb.Errorf("%s (-want +got):\n%s", name, d)
	}
}

// CaptureLog returns what the default logger writes during the test, as JSON, a line for
// each record.
func CaptureLog(tb testing.TB) *bytes.Buffer {
	tb.Helper()
	var out bytes.Buffer
	before := slog.Default()
	slog.SetDefault(invocation.NewLogger(&out, slog.LevelInfo))
	tb.Cleanup(func() { slog.SetDefault(before) })
	return &out
}
