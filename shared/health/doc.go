// Package health decides whether a carrier is working: the tally of its latest
// checks, the breaker that stops the schedule while it fails, and the evidence
// that a refusal is about one merchant only.
package health
