// Package health decides whether a carrier is working: the tally of its latest
// checks, the breaker that stops scheduled checks while it fails, and the evidence
// that a refusal concerns one merchant only.
package health

import (
	"maps"
	"slices"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
)

// Breaker is what we know of a carrier's health. It is open while many connections
// of the carrier fail alike: then the schedule sends one probe at a time and
// nothing else, and no refusal counts. One good scheduled check closes it.
type Breaker struct {
	Carrier   carrier.Name
	Open      bool
	Failure   string    // why it is open: see Outcome.Failure
	ChangedAt time.Time // when it last opened or closed; zero if it never did
	ProbeAt   time.Time // while open: the earliest time of the next probe
	Peers     []Peer    // a few working connections, the latest good answer first
	Doubts    []Doubt   // refusals that wait for the carrier's answer to another account
	ControlAt time.Time // when the last control check was sent; zero if none was
	Outage    Outage    // what partners are told
	// Version counts the writes; a write requires the version that was read.
	Version int64
}

// ProbeEvery is the time between two probes of an open breaker, and between two
// control checks.
const ProbeEvery = time.Minute

// ErrBreakerChanged is fault.State with RetryAfter: another writer has changed the
// breaker since it was read.
func ErrBreakerChanged() *fault.Error {
	return &fault.Error{Kind: fault.State, Message: "Another process has changed the state of this carrier; try again.", RetryAfter: time.Second}
}

// Tally counts the checks of a carrier's connections within one minute.
type Tally struct {
	Minute time.Time
	Checks int // with any trigger
	Good   int
	Votes  []Vote // in any order
}

// Vote is what one check says about the carrier. Only scheduled checks vote, and
// only of connections with a good answer within VoteWithin: callers cannot outvote
// others by asking often.
type Vote struct {
	At           time.Time
	PartnerID    int64
	AccountID    int64
	CredentialID string // a hash of the API key
	Failure      string // see Outcome.Failure; empty: the check did not fail
}

// VoteWithin is how long a connection votes after its last good answer. Later, its
// failures are its own.
const VoteWithin = 48 * time.Hour

// VotesPerMinute is about how many checks of a carrier vote in a minute, however
// many are made: a sample decides as well, in an item of a few kilobytes.
const VotesPerMinute = 100

// TallyWindow is how far back the breaker and the status of a carrier look.
const TallyWindow = 15 * time.Minute

// A breaker opens for three accounts with three sets of credentials at least. One
// merchant's trouble, in however many connections, is not the carrier's; neither is
// one dead key that several accounts share.
const (
	tripAccounts    = 3
	tripCredentials = 3
)

// Trip decides from the tallies of the last TallyWindow whether the breaker opens:
// three or more accounts, with as many credentials, and at least half of all that
// voted, have failed alike since the breaker last closed. Each account has one
// vote, its latest. The condition must hold for the last two minutes, which suits
// many connections, or for the whole window, which suits few.
//
// Where several partners have connections, the failure must concern more than one
// of them. If it concerns one alone, Trip returns that partner as lone, so that
// another partner's connection can be checked; otherwise lone is zero.
func (b Breaker) Trip(tallies []Tally, now time.Time) (failure string, lone int64, ok bool) {
	if b.Open {
		return "", 0, false
	}
	for _, window := range []time.Duration{2 * time.Minute, TallyWindow} {
		failure, partner := b.tripWithin(window, tallies, now)
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

// tripWithin applies Trip's condition to one window. lone is the partner of a
// failure that concerns one partner of several.
func (b Breaker) tripWithin(window time.Duration, tallies []Tally, now time.Time) (failure string, lone int64) {
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
	type group struct { // the votes with one failure
		accounts    int
		credentials map[string]bool
		partners    map[int64]bool
	}
	groups := map[string]*group{}
	for _, v := range latest {
		partners[v.PartnerID] = true
		if v.Failure == "" {
			continue
		}
		g := groups[v.Failure]
		if g == nil {
			g = &group{credentials: map[string]bool{}, partners: map[int64]bool{}}
			groups[v.Failure] = g
		}
		g.accounts++
		g.credentials[v.CredentialID], g.partners[v.PartnerID] = true, true
	}
	// Two failures can have half of the votes each: the first by name wins.
	for _, f := range slices.Sorted(maps.Keys(groups)) {
		g := groups[f]
		switch {
		case g.accounts < tripAccounts, len(g.credentials) < tripCredentials, 2*g.accounts < len(latest):
		case len(g.partners) > 1 || len(partners) == 1:
			return f, 0
		case failure == "":
			for partner := range g.partners {
				failure, lone = f, partner
			}
		}
	}
	return failure, lone
}

// Opened returns the breaker as Trip opens it; the first probe comes ProbeEvery
// later. Earlier refusals no longer count, so the doubts go.
func (b Breaker) Opened(failure string, now time.Time, t Timing) Breaker {
	b.Open, b.Failure, b.ChangedAt, b.Doubts = true, failure, now, nil
	return b.Probed(now, t)
}

// Probed returns the open breaker after a probe was sent: the next one comes
// ProbeEvery later.
func (b Breaker) Probed(now time.Time, t Timing) Breaker {
	b.ProbeAt = now.Add(t.Scale(ProbeEvery))
	return b
}

// Paused returns the open breaker after the carrier asked for a pause: there is no
// probe before the pause ends.
func (b Breaker) Paused(now time.Time, pause time.Duration) Breaker {
	if at := now.Add(pause); at.After(b.ProbeAt) {
		b.ProbeAt = at
	}
	return b
}

// Closed returns the breaker after a good check.
func (b Breaker) Closed(now time.Time) Breaker {
	b.Open, b.Failure, b.ChangedAt, b.ProbeAt = false, "", now, time.Time{}
	return b
}
