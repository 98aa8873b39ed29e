package storetest_test

import (
	"testing"

	"carrierlink/shared/connection"
	"carrierlink/shared/store/storetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	memory := storetest.NewMemory()
	storetest.Run(t, func(_ *testing.T, caps connection.Caps) storetest.Table {
		if caps == storetest.Caps {
			return memory
		}
		own := storetest.NewMemory()
		own.Caps = caps
		return own
	})
}
