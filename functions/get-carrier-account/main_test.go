package main

import (
	"testing"

	"carrierlink/shared/app/apptest"
)

func TestWire(t *testing.T) {
	apptest.Wire(t, build, "ERROR_SOURCE", "STAGE", "TABLE_NAME", "RATE_LIMIT_PER_MINUTE", "SANDBOX_RATE_LIMIT_PER_MINUTE",
		"SECRET_PREFIX", "REFUSAL_GAP_SECONDS", "LONE_REFUSAL_SECONDS", "SCHEDULE_SPEED", "AUSPOST_BASE_URL", "CARRIER_CALLS_PER_MINUTE")
}
