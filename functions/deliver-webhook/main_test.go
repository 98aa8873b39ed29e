package main

import (
	"testing"

	"carrierlink/shared/app/apptest"
)

func TestWire(t *testing.T) {
	apptest.Wire(t, build, "TABLE_NAME", "SERVICE_SECRET_ID", "DELIVERY_QUEUE_URL: Queue.queue.url", "PUBLIC_URL: api", "WEBHOOK_ALLOW_LOOPBACK: Rules.AllowLoopback", "STAGE")
}
