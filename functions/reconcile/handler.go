package main

import (
	"context"
	"log/slog"

	"carrierlink/shared/linking"
)

// linker is what this function needs of shared/linking.
type linker interface {
	Reconcile(ctx context.Context, limit int) (linking.Report, error)
}

type handler struct{ linker linker }

// most is how much one run takes up; the next one goes on.
const most = 500

// run reconciles and reports what it did. The error, of what could not be
// settled, makes the invocation count as failed, which raises the alarm.
func (h *handler) run(ctx context.Context) (linking.Report, error) {
	report, err := h.linker.Reconcile(ctx, most)
	slog.InfoContext(ctx, "reconciled", slog.Any("report", report))
	return report, err
}
