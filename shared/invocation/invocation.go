// Package invocation is what one invocation of a function has: its end, the attributes of
// its log records, and the errors of its panics.
package invocation

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// Margin is the time between the end of an invocation's context and the moment when
// Lambda ends its process. It is for the answer, and for Cleanup.
const Margin = 1500 * time.Millisecond

// answering is the part of Margin that Cleanup leaves for the answer.
const answering = 300 * time.Millisecond

// Cleanup returns a context for what must be done even if ctx has ended. It lasts for most,
// but ends in time for the answer. Several in a row share that end.
func Cleanup(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	end := time.Now().Add(most)
	if d, ok := ctx.Deadline(); ok && d.Add(Margin-answering).Before(end) {
		end = d.Add(Margin - answering)
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end)
}

const (
	// leaseWithoutDeadline is the lease of a context without a deadline: the longest time
	// that a function with leases runs.
	leaseWithoutDeadline = 30 * time.Second
	// leaseMargin covers what happens after the process has ended: a call sent just before
	// that arrives, clocks differ.
	leaseMargin = 2 * time.Second
)

// Lease returns when a lease that is taken now expires: a margin after Lambda ends the
// process, which is Margin after the deadline of ctx.
func Lease(ctx context.Context, now time.Time) time.Time {
	if d, ok := ctx.Deadline(); ok {
		// The deadline is of the wall clock; now may be of another clock.
		return now.Add(time.Until(d) + Margin + leaseMargin)
	}
	return now.Add(leaseWithoutDeadline)
}

// EndsWithin reports whether a context has ended, or ends within d: then nothing more should
// be begun that takes so long.
func EndsWithin(ctx context.Context, d time.Duration) bool {
	end, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && time.Until(end) < d
}

type attrsKey struct{}

// With returns a context with more attributes for each log record that gets it.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	have, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	return context.WithValue(ctx, attrsKey{}, append(slices.Clip(have), attrs...))
}

// Recovering calls do and turns its panic into an error. In a goroutine a panic would end
// the process.
func Recovering(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = Panicked(v)
		}
	}()
	return do()
}

// Panicked returns the error of a recovered panic: the type of its value and the stack, but
// not the value, which may quote a request or a secret.
func Panicked(value any) error {
	text := fmt.Sprintf("%T", value)
	if e, ok := value.(runtime.Error); ok {
		text = e.Error()
	}
	return fmt.Errorf("panic: %s\n%s", text, debug.Stack())
}
