package main

import (
	"testing"

	"carrierlink/shared/boot/boottest"
)

func TestWire(t *testing.T) {
	boottest.Wire(t, build, "TABLE_NAME")
}
