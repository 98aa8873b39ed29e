package health

import (
	"time"

	"carrierlink/shared/carrier"
)

func (c Check) peer() Peer {
	return Peer{PartnerID: c.PartnerID, AccountID: c.AccountID, ConnectionID: c.ConnectionID, CredentialID: c.CredentialID, LastGoodAt: c.LastGoodAt}
}

// Counted is one check of a carrier's connections, for its Tally and its Breaker.
type Check struct {
	PartnerID      int64
	AccountID      int64
	ConnectionID   string
	CredentialID   string
	At             time.Time
	Outcome        carrier.Outcome
	RetryAfter     time.Duration // of an outage: how long the carrier asks to be left alone
	Scheduled      bool          // by the schedule, and not because a caller asked
	Silent         bool          // not in the sample that votes: see VotesPerMinute
	PreviousGoodAt time.Time     // the good answer before this check
	LastGoodAt     time.Time     // the latest one, this check's included
	ActionRequired bool          // the connection needs action after it
	OnSchedule     bool          // it is checked by the schedule: others may be compared with it
	Doubt          *Doubt        // it was refused, which is not believed yet
	Gone           bool          // no check was made: it is no longer one to compare with
}

// Vote is the check's, if it has one.
func (c Check) Vote() (Vote, bool) {
	v := Vote{At: c.At, PartnerID: c.PartnerID, AccountID: c.AccountID, CredentialID: c.CredentialID, Failure: c.Outcome.Failure()}
	asked := !c.Gone && c.Outcome != carrier.OutcomeNoCredentials
	return v, asked && c.Scheduled && !c.Silent && !c.PreviousGoodAt.IsZero() && c.At.Sub(c.PreviousGoodAt) <= VoteWithin
}
