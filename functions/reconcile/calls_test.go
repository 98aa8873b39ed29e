package main

import (
	"context"
	"testing"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/metrics"
	"carrierlink/shared/webhook"
)

// TestCosts checks what the bill says of a run that finds nothing to do.
func TestCosts(t *testing.T) { calltrace.Attempts(t, costs) }

func costs(t *calltrace.Attempt) {
	d := functiontest.OnEngines(t, functiontest.StartTable(t), "calls")
	h := &handler{connections: d.Connections, keys: d.Accounts, webhooks: &webhook.Service{Store: d.Store, Now: d.Now}, sealer: d.Sealer(), metrics: metrics.Recorder{Stage: "production", Now: d.Now}}
	d.Transport.Reset()
	log := functiontest.Logged(t.Context(), func(ctx context.Context) {
		if _, err := h.run(ctx); err != nil {
			t.Fatal(err)
		}
	})
	functiontest.Costs(t, "reconcile", d.Transport, log)
}
