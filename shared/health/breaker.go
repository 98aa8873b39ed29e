package health

import (
	"maps"
	"slices"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
)

// Breaker is what is known of a carrier's health: whether it is asked at all, and
// whom it has answered well lately. It is open while many connections of the
// carrier fail alike: then nothing is checked by the schedule but one probe at a
// time, and no refusal is believed. One good check of the schedule closes it.
type Breaker struct {
	Carrier   carrier.Name
	Open      bool
	Failure   string    // why it is open: see Outcome.Failure
	ChangedAt time.Time // when it opened or closed; zero if it never did
	ProbeAt   time.Time // while open: no probe before
	Peers     []Peer    // a few connections that work, the latest good answer first
	Doubts    []Doubt   // refusals that wait for the answer to somebody else
	ControlAt time.Time // when the last control check was sent; zero if none was
	// Version counts the writes: every write is on the condition that it is the
	// one that was read.
	Version int64
}

// ProbeEvery is the time between two probes of an open breaker, and between two
// control checks.
const ProbeEvery = time.Minute

// ErrBreakerChanged is fault.State with RetryAfter: the breaker is no longer the one that
// was read.
func ErrBreakerChanged() *fault.Error {
	p := fault.New(fault.State, "Another process has changed the state of this carrier; try again.")
	p.RetryAfter = time.Second
	return p
}

// Tally is the checks of a carrier's connections within one minute.
type Tally struct {
	Minute time.Time
	Checks int // of whatever trigger
	Good   int
	Votes  []Vote // in any order
}

// Vote is what one check says about the carrier. Checks of the schedule vote,
// of connections that were well within VoteWithin; callers' do not, so that
// nobody can outvote others by asking often.
type Vote struct {
	At           time.Time
	PartnerID    int64
	AccountID    int64
	CredentialID string // see CredentialID
	Failure      string // see Outcome.Failure; empty: it did not fail
}

// VoteWithin is how long after its last good answer a connection has a vote:
// later its failures are its own.
const VoteWithin = 48 * time.Hour

// VotesPerMinute is about how many checks of a carrier vote in a minute, however
// many are made: a sample that decides as well, in an item of a few kilobytes.
const VotesPerMinute = 100

// TallyWindow is how far back the breaker and the status of a carrier look.
const TallyWindow = 15 * time.Minute

// When a breaker opens. Three accounts with three sets of credentials: one
// merchant's own trouble, in however many connections, is not the carrier's, and
// nor is one dead key that several accounts share.
const (
	tripAccounts    = 3
	tripCredentials = 3
	tripShare       = 0.5
)

// Trip tells whether the breaker should open, by the tallies of the last
// TallyWindow: three or more accounts, with as many credentials, and half of all
// that have a vote, have failed alike since it last closed. Each account has one vote, its latest. They
// have in the last two minutes where there are many connections, and in the
// whole of the time where there are few.
//
// Where more than one partner has connections, more than one has to fail. The
// partner that is the only one to fail is returned otherwise, so that another's
// connection is asked; zero if none would open the breaker by itself.
func (b Breaker) Trip(tallies []Tally, now time.Time) (failure string, lone int64, ok bool) {
	if b.Open {
		return "", 0, false
	}
	for _, window := range []time.Duration{2 * time.Minute, TallyWindow} {
		failure, partner := b.trip(tallies, now, window)
		switch {
		case failure == "":
		case partner == 0:
			return failure, 0, true
		default:
			lone = partner
		}
	}
	return "", lone, false
}

// trip is Trip in one window. Of a failure that only one partner has, although
// there are others, that partner is returned.
func (b Breaker) trip(tallies []Tally, now time.Time, window time.Duration) (failure string, lone int64) {
	since := now.Add(-window)
	if b.ChangedAt.After(since) {
		since = b.ChangedAt
	}
	latest := map[int64]Vote{} // by account
	for _, t := range tallies {
		if !t.Minute.After(since) {
			continue
		}
		for _, v := range t.Votes {
			if had, ok := latest[v.AccountID]; !ok || !v.At.Before(had.At) {
				latest[v.AccountID] = v
			}
		}
	}
	partners := map[int64]bool{}
	for _, p := range b.Peers {
		if p.RefusedAt.IsZero() && now.Sub(p.LastGoodAt) <= VoteWithin {
			partners[p.PartnerID] = true
		}
	}
	type credential struct{ failure, id string }
	credentials, failed, failing := map[credential]bool{}, map[string]int{}, map[string]map[int64]bool{}
	distinct := map[string]int{}
	for _, v := range latest {
		partners[v.PartnerID] = true
		if v.Failure == "" {
			continue
		}
		failed[v.Failure]++
		if c := (credential{v.Failure, v.CredentialID}); !credentials[c] {
			credentials[c] = true
			distinct[v.Failure]++
		}
		if failing[v.Failure] == nil {
			failing[v.Failure] = map[int64]bool{}
		}
		failing[v.Failure][v.PartnerID] = true
	}
	// Two failures can have half of the votes each: the first by name is told.
	for _, f := range slices.Sorted(maps.Keys(failed)) {
		switch {
		case failed[f] < tripAccounts, distinct[f] < tripCredentials, float64(failed[f]) < tripShare*float64(len(latest)):
		case len(failing[f]) > 1 || len(partners) == 1:
			return f, 0
		case failure == "":
			for partner := range failing[f] {
				failure, lone = f, partner
			}
		}
	}
	return failure, lone
}

// Opened is the breaker after Trip; the first probe comes ProbeEvery later. No
// refusal of before is believed, so none waits for an answer.
func (b Breaker) Opened(failure string, now time.Time, t Timing) Breaker {
	b.Open, b.Failure, b.ChangedAt, b.Doubts = true, failure, now, nil
	return b.Probed(now, t)
}

// Probed is the open breaker after a probe was sent: the next one is due later.
func (b Breaker) Probed(now time.Time, t Timing) Breaker {
	b.ProbeAt = now.Add(t.Scale(ProbeEvery))
	return b
}

// Paused is the open breaker of a carrier that asks to be left alone for a time.
func (b Breaker) Paused(now time.Time, wish time.Duration) Breaker {
	if at := now.Add(wish); at.After(b.ProbeAt) {
		b.ProbeAt = at
	}
	return b
}

// Closed is the breaker after a good check.
func (b Breaker) Closed(now time.Time) Breaker {
	b.Open, b.Failure, b.ChangedAt, b.ProbeAt = false, "", now, time.Time{}
	return b
}
