// Package effects holds what is written together with a change: who made it, the answer
// to keep under its Idempotency-Key, and the events that report it.
package effects

import "time"

// Effects is what the store writes in the same transaction as a change. By is stored with
// each event.
type Effects struct {
	By     By      // who makes the change
	Answer *Record // the answer to keep under the Idempotency-Key; nil without a key
	Events []Event
}

// AnswerOnly returns the effects without events, for a change without effect.
func (e Effects) AnswerOnly() Effects {
	e.Events = nil
	return e
}

// By is who makes a change: an API key, a part of the service, or the operator.
type By struct {
	Actor     Actor
	KeyID     int64  // zero without a key
	PartnerID int64  // the key's partner
	AccountID int64  // the account that the key acts for, or whose page it is; zero on partner routes
	Operator  string // the name that the operator gave; empty for others
	RequestID string // of the request with the key or of the page; empty for others
	SourceIP  string // the address that the gateway saw the request come from
}

// Actor is a kind of who makes changes.
type Actor string

// The actors.
const (
	Partner    Actor = "partner"  // a partner's API key
	Merchant   Actor = "merchant" // an account's API key
	Schedule   Actor = "schedule"
	Reconciler Actor = "reconciler"
	Operator   Actor = "operator"
	Page       Actor = "page" // the merchant, on the account page
)

// Actors returns the actors whose changes are recorded as events.
func Actors() []Actor { return []Actor{Partner, Merchant, Schedule, Operator, Page} }

// Event reports one change.
type Event struct {
	ID        string // see newEventID
	Type      EventType
	PartnerID int64
	AccountID int64  // zero: see Report
	Subject   string // see Report
	At        time.Time
	Data      []byte // JSON, at most MaxEventData bytes
}

// MaxEventData is the maximum size of an event's data, in bytes.
const MaxEventData = 20 << 10

// For makes the effects of a change from its result. A change that is tried again
// calls it again.
type For[T any] func(T) (Effects, error)

// Of calls f; a nil f makes no effects.
func (f For[T]) Of(result T) (Effects, error) {
	if f == nil {
		return Effects{}, nil
	}
	return f(result)
}

// MadeBy makes effects that name who makes the change, without answer and events.
func MadeBy[T any](by By) For[T] {
	return func(T) (Effects, error) { return Effects{By: by}, nil }
}

// Replay is the error of a change whose Idempotency-Key is taken: Record holds its
// answer, or the claim of a request that is still running. Nothing was written.
type Replay struct{ Record Record }

// Error does not quote the key, because the caller chose it.
func (*Replay) Error() string { return "the Idempotency-Key is taken" }

// Record is one request under an Idempotency-Key, and its answer once there is one. A
// claim without an answer belongs to a request that is still running or, if its lease
// is over, to one that died.
type Record struct {
	Scope, Key string    // caller and route; the Idempotency-Key
	PayloadMAC []byte    // of method, path and body
	ClaimID    string    // of the request that claimed the key; empty if none did
	LeaseUntil time.Time // when another request may take over an unfinished claim
	Sealed     []byte    // the sealed answer; empty while unfinished
	ExpiresAt  time.Time // stored in whole seconds; the key is free from then on
}

// Finished reports whether the record holds an answer.
func (r *Record) Finished() bool { return len(r.Sealed) > 0 }
