package main

import (
	"testing"

	"carrierlink/shared/app/apptest"
)

func TestWire(t *testing.T) {
	apptest.Wire(t, build, "ERROR_SOURCE", "STAGE", "PUBLIC_URL: URL", "TABLE_NAME", "RATE_LIMIT_PER_MINUTE", "SANDBOX_RATE_LIMIT_PER_MINUTE", "SERVICE_SECRET_ID",
		"WEBHOOK_ALLOW_LOOPBACK: urls.AllowLoopback", "MAIL_QUEUE_URL: Mailer.queue.url")
}
