// Package connections keeps connections, their history, snapshots and account numbers.
package connections
