package health

import (
	"time"

	"carrierlink/shared/carrier"
)

// Check is one check of a connection, as the carrier's Tally and Breaker count it.
type Check struct {
	PartnerID      int64
	AccountID      int64
	ConnectionID   string
	CredentialID   string
	At             time.Time
	Outcome        carrier.Outcome
	RetryAfter     time.Duration // the pause that the carrier asks for in an outage
	Scheduled      bool          // made by the schedule, not for a caller
	Silent         bool          // outside the sample that votes: see VotesPerMinute
	PreviousGoodAt time.Time     // the last good answer before this check
	LastGoodAt     time.Time     // the last good answer, this check included
	ActionRequired bool          // the connection's status after the check
	OnSchedule     bool          // the schedule checks the connection, so it can be a peer
	Doubt          *Doubt        // set for a refusal that does not count yet
	Gone           bool          // no check was made: the connection can no longer be a peer
}

func (c Check) peer() Peer {
	return Peer{PartnerID: c.PartnerID, AccountID: c.AccountID, ConnectionID: c.ConnectionID, CredentialID: c.CredentialID, LastGoodAt: c.LastGoodAt}
}

// Vote returns the check's vote; ok reports whether it has one.
func (c Check) Vote() (v Vote, ok bool) {
	v = Vote{At: c.At, PartnerID: c.PartnerID, AccountID: c.AccountID, CredentialID: c.CredentialID, Failure: c.Outcome.Failure()}
	asked := !c.Gone && c.Outcome != carrier.OutcomeNoCredentials
	return v, asked && c.Scheduled && !c.Silent && !c.PreviousGoodAt.IsZero() && c.At.Sub(c.PreviousGoodAt) <= VoteWithin
}
