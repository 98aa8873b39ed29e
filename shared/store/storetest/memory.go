package storetest

import (
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/store"
	"carrierlink/shared/store/dynamotest"
	"carrierlink/shared/store/kit"
)

// Memory is the store over a table in memory, for unit tests.
type Memory struct {
	*store.Store
	Table *dynamotest.Table
}

// NewMemory makes an empty store.
func NewMemory() *Memory {
	table := dynamotest.New()
	s := store.New(table, dynamotest.Name, kit.Options{})
	s.MaxKeys = account.MaxKeys
	return &Memory{s, table}
}

// milli is a time as the table stores it.
func milli(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}
