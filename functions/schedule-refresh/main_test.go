package main

import (
	"strings"
	"testing"
	"time"

	"carrierlink/shared/app"
	"carrierlink/shared/app/apptest"
)

// TestWire also tests the limits of SCHEDULE_PASSES_PER_MINUTE.
func TestWire(t *testing.T) {
	full := apptest.Wire(t, build, "TABLE_NAME", "QUEUE_URL: Checks.Production.Queue.queue.url", "SANDBOX_QUEUE_URL: Checks.Sandbox.Queue.queue.url",
		"PARCEL_QUEUE_URL: Rounds.Production.Queue.queue.url", "SANDBOX_PARCEL_QUEUE_URL: Rounds.Sandbox.Queue.queue.url", "DELIVERY_QUEUE_URL: Webhooks.Deliveries.queue.url",
		"PARCEL_ROUNDS_PER_MINUTE: Rounds.Production.PerMinute", "SANDBOX_PARCEL_ROUNDS_PER_MINUTE: Rounds.Sandbox.PerMinute",
		"REFRESHES_PER_MINUTE: Checks.Production.PerMinute", "SANDBOX_REFRESHES_PER_MINUTE: Checks.Sandbox.PerMinute", "SCHEDULE_PASSES_PER_MINUTE: passes", "REFUSAL_GAP_SECONDS", "SCHEDULE_SPEED", "STAGE")
	env := app.NewEnv(func(name string) string { return full[name] })
	if h, p := build(env); h.window != 12*time.Second || p.Checks.Window != h.window {
		t.Errorf("five passes a minute are %v apart, and they send for %v, want 12 s", h.window, p.Checks.Window)
	}
	for passes, problem := range map[string]string{"7": "SCHEDULE_PASSES_PER_MINUTE: at most 6", "0": "SCHEDULE_PASSES_PER_MINUTE must be", "1": "", "6": ""} {
		full["SCHEDULE_PASSES_PER_MINUTE"] = passes
		env := app.NewEnv(func(name string) string { return full[name] })
		handler, err := wire(env), env.Err()
		if handler == nil || (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("with %s passes: %v, want %q", passes, err, problem)
		}
	}
}
