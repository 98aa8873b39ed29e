// Package wait waits no longer than a context lasts.
package wait

import (
	"context"
	"time"
)

// For waits for d, or returns the context's error if that ends first.
func For(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
