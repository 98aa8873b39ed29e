package store_test

import (
	"testing"

	"carrierlink/shared/connection"
	"carrierlink/shared/store"
	"carrierlink/shared/store/dynamotest"
	"carrierlink/shared/store/storetest"
)

// TestConformanceInMemory holds the store over the in-memory table to the suite.
func TestConformanceInMemory(t *testing.T) {
	t.Parallel()
	table := dynamotest.New()
	storetest.Run(t, func(_ *testing.T, caps connection.Caps) storetest.Store {
		s := store.New(table, dynamotest.Name, store.Options{})
		s.Caps = caps
		return s
	})
}
