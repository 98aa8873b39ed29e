package storetest_test

import (
	"testing"

	"carrierlink/shared/store/storetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	memory := storetest.NewMemory()
	storetest.Run(t, func(*testing.T) storetest.Store { return memory })
}
