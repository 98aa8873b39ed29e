// Package kit reads and writes the table: its keys, items, edits and transactions,
// throttling, and the effects that every change brings along. Keys are made in keys.go
// and nowhere else. Every write is on a condition that DynamoDB checks with it;
// nothing is read first and written then. Times are kept to the millisecond.
//
// A call that AWS throttles is fault.Overloaded with RetryAfter. Anything else, such
// as AWS failing or refusing the function, is fault.Internal with its cause.
package kit
