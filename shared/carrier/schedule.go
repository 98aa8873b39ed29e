package carrier

import (
	"errors"
	"time"
)

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

// Counted is one check of a carrier's connections, for its Tally and its Breaker.
type Counted struct {
	PartnerID    int64
	AccountID    int64
	ConnectionID string
	CredentialID string
	At           time.Time
	Outcome      Outcome
	RetryAfter   time.Duration // of an outage: how long the carrier asks to be left alone
	Scheduled    bool          // by the schedule, and not because a caller asked
	Silent       bool          // not in the sample that votes: see VotesPerMinute
	WasWellAt    time.Time     // the good answer before this check
	WellAt       time.Time     // the latest one, this check's included
	Status       Status        // of the connection after it
	Listed       bool          // it is checked by the schedule: others may be compared with it
	Doubt        *Doubt        // it was refused, which is not believed yet
	Gone         bool          // no check was made: it is no longer one to compare with
}

// Counted is the check that was just recorded, for the tally; wasWellAt is the
// connection's VerifiedAt before it, b the breaker that it was recorded with.
func (c *Connection) Counted(r Reading, wasWellAt time.Time, b Breaker) Counted {
	counted := Counted{
		PartnerID: c.PartnerID, AccountID: c.AccountID, ConnectionID: c.ID, CredentialID: c.CredentialID, At: c.LastCheck.At, Outcome: r.Outcome,
		Scheduled: c.LastCheck.Trigger == TriggerSchedule, WasWellAt: wasWellAt, WellAt: c.VerifiedAt, Status: c.Status, Listed: c.RefreshPolicy != RefreshOff,
	}
	if r.Outcome.IsOutage() && r.Outcome != OutcomeRateLimited {
		counted.RetryAfter = r.RetryAfter
	}
	if c.isRefused(r.Outcome) && r.Outcome != OutcomeNoCredentials && !b.Open && c.Status != ActionRequired {
		d := c.doubt()
		counted.Doubt = &d
	}
	return counted
}

// Vote is the check's, if it has one.
func (c Counted) Vote() (Vote, bool) {
	v := Vote{At: c.At, PartnerID: c.PartnerID, AccountID: c.AccountID, CredentialID: c.CredentialID, Failure: c.Outcome.Failure()}
	asked := !c.Gone && c.Outcome != OutcomeNoCredentials
	return v, asked && c.Scheduled && !c.Silent && !c.WasWellAt.IsZero() && c.At.Sub(c.WasWellAt) <= VoteWithin
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

// ErrPostponed is in the chain of an error of a scheduled check that failed by
// our fault after its claim: the row knows when it is due again, and nobody has
// to remember it.
var ErrPostponed = errors.New("due again by its row")

// ClaimedUntil is when a claimed connection is due again if its check is never
// recorded; claims counts those since the last one that was, this one included.
// The first time it is about two minutes after the claim, so that a check which
// a crash has cut off comes again soon.
func (t Timing) ClaimedUntil(claims int, leaseUntil, now time.Time) time.Time {
	floor := leaseUntil.Add(claimMargin / time.Duration(max(t.Speed, 1)))
	if retry := t.Retry(claims, now); claims > 1 && retry.After(floor) {
		return retry
	}
	return floor
}

// claimMargin is what ClaimedUntil adds to the end of the lease of 30 s.
const claimMargin = 90 * time.Second

// Retry is when a check that failed by our fault is due again: a minute later,
// doubling with each claim that was not recorded up to a day.
func (t Timing) Retry(claims int, now time.Time) time.Time {
	wait := min(time.Minute<<min(max(claims-1, 0), 11), 24*time.Hour)
	return now.Add(wait / time.Duration(max(t.Speed, 1))).Truncate(time.Millisecond)
}
