package effects

import "time"

// Record is one request under an Idempotency-Key, and its answer once there is one. A
// claim without an answer belongs to a request that is still running or, if its lease
// is over, to one that died.
type Record struct {
	Scope, Key string    // caller and route; the Idempotency-Key
	PayloadMAC []byte    // of method, path and body
	ClaimID    string    // unique for each request
	LeaseUntil time.Time // of an unfinished claim: the request's deadline
	Sealed     []byte    // the sealed answer; empty while unfinished
	ExpiresAt  time.Time // whole seconds; the key is free from then on
}

// Finished reports whether the record holds an answer.
func (r *Record) Finished() bool { return len(r.Sealed) > 0 }

// Expired reports whether the record no longer counts. DynamoDB deletes records some
// time after they expire, so every reader must check.
func (r *Record) Expired(now time.Time) bool { return !now.Before(r.ExpiresAt) }
