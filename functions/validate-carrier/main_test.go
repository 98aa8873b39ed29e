package main

import (
	"testing"

	"carrierlink/shared/app/apptest"
)

func TestWire(t *testing.T) {
	apptest.Wire(t, build, "ERROR_SOURCE", "STAGE", "TABLE_NAME", "RATE_LIMIT_PER_MINUTE", "SANDBOX_RATE_LIMIT_PER_MINUTE", "AUSPOST_BASE_URL", "LINKS_PER_MINUTE")
}
