// Package effects holds what a change brings along: who makes it, the answer that
// is stored under its Idempotency-Key, and the events that tell of it.
package effects
