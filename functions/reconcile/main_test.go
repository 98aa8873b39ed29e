package main

import (
	"testing"

	"carrierlink/shared/app/apptest"
)

func TestWire(t *testing.T) {
	apptest.Wire(t, build, "TABLE_NAME", "SECRET_PREFIX", "SERVICE_SECRET_ID", "STAGE")
}
