package main

import (
	"testing"

	"carrierlink/shared/app/apptest"
)

func TestWire(t *testing.T) {
	apptest.Wire(t, build, "TABLE_NAME", "SECRET_PREFIX", "AUSPOST_BASE_URL", "REFUSAL_GAP_SECONDS", "LONE_REFUSAL_SECONDS", "SCHEDULE_SPEED", "STAGE")
}
