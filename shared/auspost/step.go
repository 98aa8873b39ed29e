package auspost

import "context"

type stepKey struct{}

type step struct{ check, attempt int }

// WithStep puts into a request's context which check of the connection it belongs to
// and which attempt of that check it is, both from 1. The client calls it for the
// simulator; nothing of it is sent.
func WithStep(ctx context.Context, check, attempt int) context.Context {
	return context.WithValue(ctx, stepKey{}, step{max(check, 1), max(attempt, 1)})
}

// StepOf returns what WithStep put into the context; without it, the first attempt
// of the first check.
func StepOf(ctx context.Context) (check, attempt int) {
	if s, ok := ctx.Value(stepKey{}).(step); ok {
		return s.check, s.attempt
	}
	return 1, 1
}
