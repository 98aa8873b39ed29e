package connection

import (
	"errors"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/health"
)

// Lane is whose turn a check is: each carrier has its own, and the sandbox, as
// its connections reach no carrier and say nothing about one.
type Lane string

// SandboxLane is the sandbox's, of whatever carrier.
const SandboxLane Lane = "sandbox"

// Lanes lists them all.
func Lanes() []Lane {
	lanes := []Lane{SandboxLane}
	for _, n := range carrier.Names() {
		lanes = append(lanes, Lane(n))
	}
	return lanes
}

// Lane is the lane of the connection.
func (c *Connection) Lane() Lane {
	if c.Environment == carrier.Sandbox {
		return SandboxLane
	}
	return Lane(c.Carrier)
}

// Carrier is the carrier of the lane, whose breaker it minds; none for the
// sandbox.
func (l Lane) Carrier() carrier.Name {
	if l == SandboxLane {
		return ""
	}
	return carrier.Name(l)
}

// Due is a connection whose next check is due.
type Due struct {
	AccountID    int64
	ConnectionID string
	CredentialID string // see CredentialID
	PartnerID    int64  // zero: an entry of before it was noted
	DueAt        time.Time
}

// Peer is the connection as one to compare others with.
func (d Due) Peer() health.Peer {
	return health.Peer{AccountID: d.AccountID, ConnectionID: d.ConnectionID, CredentialID: d.CredentialID}
}

// Unfinished is what a crash may have left: a connection with an intent or
// other work whose lease is over, or an account that its connections have not
// followed.
type Unfinished struct {
	AccountID    int64
	ConnectionID string // empty: the account itself
}

// Counted is the check that was just recorded, for the tally; wasWellAt is the
// connection's VerifiedAt before it, b the breaker that it was recorded with.
func (c *Connection) Counted(r Reading, wasWellAt time.Time, b health.Breaker) health.Check {
	counted := health.Check{
		PartnerID: c.PartnerID, AccountID: c.AccountID, ConnectionID: c.ID, CredentialID: c.CredentialID, At: c.LastCheck.At, Outcome: r.Outcome,
		Scheduled: c.LastCheck.Trigger == TriggerSchedule, PreviousGoodAt: wasWellAt, LastGoodAt: c.VerifiedAt, ActionRequired: c.Status == ActionRequired, OnSchedule: c.RefreshPolicy != RefreshOff,
	}
	if r.Outcome.IsOutage() && r.Outcome != carrier.OutcomeRateLimited {
		counted.RetryAfter = r.RetryAfter
	}
	if c.isRefused(r.Outcome) && r.Outcome != carrier.OutcomeNoCredentials && !b.Open && c.Status != ActionRequired {
		d := c.doubt()
		counted.Doubt = &d
	}
	return counted
}

// HistoryPosition is a place in a connection's history, between two entries.
type HistoryPosition struct {
	At     time.Time
	Number int
}

// Update is what is written together with a changed connection.
type Update struct {
	Unchanged      bool          // the row stays as it was read, its Version too
	OldNumber      string        // the account number that the row held before; empty: the same
	AllowDuplicate bool          // another connection of the account may hold the new one
	Entry          *HistoryEntry // nil: no check was made
	Snapshot       *Snapshot     // nil: the one that is there stays
}

// ErrPostponed is in the chain of an error of a scheduled check that failed by
// our fault after its claim: the row knows when it is due again, and nobody has
// to remember it.
var ErrPostponed = errors.New("due again by its row")
