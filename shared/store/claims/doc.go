// Package claims keeps claims of Idempotency-Keys.
package claims
