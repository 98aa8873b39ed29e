package functiontest

import (
	"bytes"
	"context"
	"log/slog"

	"github.com/google/uuid"

	"carrierlink/shared/invocation"
)

// Logged runs f as an invocation and returns what it writes to the default logger. Tests
// that use it must not run in parallel with others.
func Logged(ctx context.Context, f func(context.Context)) string {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(invocation.NewLogger(&log, slog.LevelInfo))
	defer slog.SetDefault(before)
	f(invoked(ctx))
	return log.String()
}

// invoked returns a context of an invocation: its records have Lambda's request id.
func invoked(ctx context.Context) context.Context {
	return invocation.With(ctx, slog.String("lambda_request_id", uuid.NewString()))
}
