package main

import (
	"testing"

	"carrierlink/shared/app/apptest"
)

func TestWire(t *testing.T) {
	apptest.Wire(t, build, "TABLE_NAME", "EVENT_BUS_NAME: bus.name", "PUBLIC_URL: url", "STAGE")
}
