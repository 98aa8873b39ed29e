// Package store is the DynamoDB table. Each aggregate has a package of its own over
// the kit: accounts, keys, connections, breakers, trackcache, claims. Store is all of
// them together, and reads what several of them hold in one call.
//
// Each method says which fault it returns when.
package store
