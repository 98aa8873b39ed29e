package connection

import (
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/health"
)

// Lane is a share of the schedule's rate: each carrier has one, and the sandbox, which calls
// no carrier, has another.
type Lane string

// SandboxLane is for all sandbox connections.
const SandboxLane Lane = "sandbox"

// Lanes returns all lanes.
func Lanes() []Lane {
	lanes := []Lane{SandboxLane}
	for _, n := range carrier.Names() {
		lanes = append(lanes, Lane(n))
	}
	return lanes
}

// Lane returns the lane of the connection.
func (c *Connection) Lane() Lane {
	if c.Environment == carrier.Sandbox {
		return SandboxLane
	}
	return Lane(c.Carrier)
}

// Carrier returns the lane's carrier, whose breaker applies; empty for the sandbox.
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
	PartnerID    int64  // zero in entries of older versions
	DueAt        time.Time
}

// Peer returns the connection as a peer of health.Breaker.
func (d Due) Peer() health.Peer {
	return health.Peer{AccountID: d.AccountID, ConnectionID: d.ConnectionID, CredentialID: d.CredentialID}
}

// Unfinished is what a crash may have left: a connection whose intent or other work has an
// expired lease, or an account that its connections have not followed. It is also a
// connection without a schedule whose previous credentials have ended.
type Unfinished struct {
	AccountID    int64
	ConnectionID string    // empty: the account itself
	DueAt        time.Time // zero for previous credentials, whose end is no repair
}

// Comparable reports whether other connections can be compared with this one: the schedule
// checks it, and its latest good check is at most VoteWithin old.
func (c *Connection) Comparable(now time.Time) bool {
	return c.Status.Works() && c.Scheduled() && c.RefreshPolicy != RefreshOff && now.Sub(c.VerifiedAt) <= health.VoteWithin
}

// doubt returns the unconfirmed refusal of the connection.
func (c *Connection) doubt() health.Doubt {
	return health.Doubt{AccountID: c.AccountID, ConnectionID: c.ID, CredentialID: c.CredentialID, Since: c.FirstRefusedAt, At: c.LastCheck.At}
}

// Counted returns the last check in the form that Service.Count adds to the tally.
// previouslyVerifiedAt is the connection's VerifiedAt before the check, b the breaker that
// it was recorded with.
func (c *Connection) Counted(r Reading, previouslyVerifiedAt time.Time, b health.Breaker) health.Check {
	counted := health.Check{
		PartnerID: c.PartnerID, AccountID: c.AccountID, ConnectionID: c.ID, CredentialID: c.CredentialID, At: c.LastCheck.At, Outcome: r.Outcome,
		Scheduled: c.LastCheck.Trigger == TriggerSchedule, PreviousGoodAt: previouslyVerifiedAt, LastGoodAt: c.VerifiedAt, ActionRequired: c.Status == ActionRequired, OnSchedule: c.RefreshPolicy != RefreshOff,
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
