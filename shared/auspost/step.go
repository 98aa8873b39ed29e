package auspost

import (
	"context"
)

type stepKey struct{}

type step struct{ check, attempt int }

// WithStep says in a request's context which check of the connection and which
// attempt within that check the request is, both from 1. The client does it;
// nothing of it goes over the wire.
func WithStep(ctx context.Context, check, attempt int) context.Context {
	return context.WithValue(ctx, stepKey{}, step{max(check, 1), max(attempt, 1)})
}

// StepOf reads what WithStep wrote. A request that nobody counted is the first
// attempt of the first check.
func StepOf(ctx context.Context) (check, attempt int) {
	if s, ok := ctx.Value(stepKey{}).(step); ok {
		return s.check, s.attempt
	}
	return 1, 1
}
