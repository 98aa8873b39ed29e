package carrier

import "time"

// Lane is whose turn a check is: each carrier has its own, and the sandbox, as
// its connections reach no carrier and say nothing about one.
type Lane string

// SandboxLane is the sandbox's, of whatever carrier.
const SandboxLane Lane = "sandbox"

// Lanes lists them all.
func Lanes() []Lane {
	lanes := []Lane{SandboxLane}
	for _, n := range Names() {
		lanes = append(lanes, Lane(n))
	}
	return lanes
}

// Lane is the lane of the connection.
func (c *Connection) Lane() Lane {
	if c.Environment == Sandbox {
		return SandboxLane
	}
	return Lane(c.Carrier)
}

// Carrier is the carrier of the lane, whose breaker it minds; none for the
// sandbox.
func (l Lane) Carrier() Name {
	if l == SandboxLane {
		return ""
	}
	return Name(l)
}

// DueConnection is a connection whose next check is due.
type DueConnection struct {
	AccountID    int64
	ConnectionID string
	CredentialID string // see CredentialID
	PartnerID    int64  // zero: an entry of before it was noted
	DueAt        time.Time
}

// Unfinished is what a crash may have left: a connection with an intent or
// other work whose lease is over, or an account that its connections have not
// followed.
type Unfinished struct {
	AccountID    int64
	ConnectionID string // empty: the account itself
}

// Counted is one check of a carrier's connections, for its Tally.
type Counted struct {
	AccountID int64
	Outcome   Outcome
}

// HistoryPosition is a place in a connection's history, between two entries.
type HistoryPosition struct {
	At     time.Time
	Number int
}

// ConnectionChange is what is written together with a changed connection.
type ConnectionChange struct {
	Unchanged      bool               // the row stays as it was read, its Version too
	OldNumber      string             // the account number that the row held before; empty: the same
	AllowDuplicate bool               // another connection of the account may hold the new one
	Entry          *HistoryEntry      // nil: no check was made
	Snapshot       *Snapshot          // nil: the one that is there stays
	Answer         *IdempotencyRecord // in place of the request's claim; nil without an idempotency key
}
