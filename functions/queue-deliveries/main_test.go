package main

import (
	"testing"

	"carrierlink/shared/app/apptest"
)

func TestWire(t *testing.T) {
	apptest.Wire(t, build, "TABLE_NAME", "DELIVERY_QUEUE_URL: Queue.queue.url", "STAGE")
}
