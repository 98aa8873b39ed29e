package effects

import "time"

// Effects is what a change brings along. The store writes all of it in the
// change's transaction: both are there afterwards, or neither.
type Effects struct {
	By     By      // who makes the change
	Answer *Record // the answer to keep under the Idempotency-Key; nil without one
	Events []Event // what tells of the change
}

// AnswerOnly returns the effects without events: those of a change that turned out
// to change nothing.
func (e Effects) AnswerOnly() Effects {
	e.Events = nil
	return e
}

// By is who makes a change: an API key, or a part of the service.
type By struct {
	KeyID     int64  // the API key; zero for a part of the service
	PartnerID int64  // the key's partner
	AccountID int64  // the account that the key acts for; zero for a partner itself
	Service   string // Schedule, Reconciler or Operator; empty for a key
}

// The parts of the service that change things by themselves.
const (
	Schedule   = "schedule"
	Reconciler = "reconciler"
	Operator   = "operator"
)

// Event tells of one change.
type Event struct {
	ID        string // unique
	Type      string
	AccountID int64  // whose it is; zero for a partner's
	Subject   string // what it is ordered by, such as "account" or a carrier_id
	At        time.Time
	Data      []byte // JSON, at most MaxEventData bytes
}

// MaxEventData is the most bytes that an event's data have.
const MaxEventData = 20 << 10

// For makes the effects of a change from what the change came to. A change that
// has to be tried again calls it again. Nil stands for no effects.
type For[T any] func(T) (Effects, error)

// Of calls f; a nil f makes no effects.
func (f For[T]) Of(result T) (Effects, error) {
	if f == nil {
		return Effects{}, nil
	}
	return f(result)
}

// MadeBy returns the effects of changes that keep no answer and tell of nothing.
func MadeBy[T any](by By) For[T] {
	return func(T) (Effects, error) { return Effects{By: by}, nil }
}

// Replay is the error of a change whose Idempotency-Key has an answer already, or
// belongs to another request that is running: nothing was written.
type Replay struct{ Record Record }

// Error does not quote the key, which the caller chose.
func (*Replay) Error() string { return "the Idempotency-Key is taken" }
