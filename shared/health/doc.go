// Package health decides whether a carrier is working: the tally of its latest
// checks, the breaker that stops scheduled checks while it fails, and the evidence
// that a refusal concerns one merchant only.
package health
