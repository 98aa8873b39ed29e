package effects

import (
	"time"
)

// Record is one request under an idempotency key: who sent what, and
// the answer once there is one. A claim without an answer is a request at work,
// or one that died: its lease tells which.
type Record struct {
	Scope, Key string    // caller and route; the caller's key
	PayloadMAC []byte    // of method, path and body: another payload is another request
	ClaimID    string    // whose claim it is, unique for each request
	LeaseUntil time.Time // of an unfinished claim: the request's deadline
	Sealed     []byte    // the sealed answer, empty while unfinished
	ExpiresAt  time.Time // whole seconds; from then on the key is free again
}

// Finished tells whether the record holds an answer.
func (r *Record) Finished() bool { return len(r.Sealed) > 0 }

// Expired tells whether the record no longer counts: records are removed some
// time after they expire, so whoever reads one has to ask.
func (r *Record) Expired(now time.Time) bool { return !now.Before(r.ExpiresAt) }
