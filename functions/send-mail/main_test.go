package main

import (
	"testing"

	"carrierlink/shared/app/apptest"
)

func TestWire(t *testing.T) {
	apptest.Wire(t, build, "TABLE_NAME", "SERVICE_SECRET_ID", "MAIL_FROM: from", "PUBLIC_URL: url", "STAGE")
}
