// Package effects holds what a change brings along: the answer that is stored
// under an idempotency key.
package effects
