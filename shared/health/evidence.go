package health

import (
	"slices"
	"time"

	"carrierlink/shared/carrier"
)

// Peer is a working connection of a carrier, with which refused ones are compared:
// what the carrier answers to others shows whether a refusal is the merchant's
// matter.
type Peer struct {
	PartnerID    int64
	AccountID    int64
	ConnectionID string
	CredentialID string    // a hash of the API key
	LastGoodAt   time.Time // the latest good answer
	RefusedAt    time.Time // the first refusal since, which did not count; zero if none
	TriedAt      time.Time // when the last control check of it was sent; zero if none was
}

// PeerMaxAge is how long after its last good answer a connection counts as a peer.
// So refusals in an outage that lasts longer count in the end.
const PeerMaxAge = 14 * 24 * time.Hour

// The most peers that are kept, in all and per account, credentials and partner.
// At most six peers share the account or the credentials of any given connection,
// so with seven one shares neither, if there is such a connection. Two more are
// room for another partner, whose latest peer is always kept.
const (
	maxPeers         = 9
	maxPerAccount    = 3
	maxPerCredential = 3
	maxPerPartner    = 7
)

// Doubt asks whether a refusal is the merchant's matter or the carrier's. A good
// answer to another account with other credentials settles it. A doubt about a
// partner, of which all fail alike, needs a good answer to another partner.
type Doubt struct {
	PartnerID    int64 // set for a doubt about a partner only
	AccountID    int64 // set for a doubt about a connection only, like the next two
	ConnectionID string
	CredentialID string
	Since        time.Time // the first refusal: only answers after it count
	At           time.Time // the latest refusal
}

// maxDoubts is how many doubts are kept. With more there is so much traffic that
// answers to others come anyway.
const maxDoubts = 8

// isSettledBy reports whether a good answer to the peer settles the doubt.
func (d Doubt) isSettledBy(p Peer) bool {
	if d.PartnerID != 0 {
		return p.PartnerID != d.PartnerID
	}
	return p.AccountID != d.AccountID && p.CredentialID != d.CredentialID
}

// Confirms reports whether the carrier has given another account a good answer
// since the refusal, which therefore counts.
func (b Breaker) Confirms(d Doubt) bool {
	return slices.ContainsFunc(b.Peers, func(p Peer) bool { return d.isSettledBy(p) && p.LastGoodAt.After(d.Since) })
}

// HasNoPeer reports whether there is no connection to compare with.
func (b Breaker) HasNoPeer(d Doubt, now time.Time) bool {
	return !slices.ContainsFunc(b.Peers, func(p Peer) bool { return d.isSettledBy(p) && now.Sub(p.LastGoodAt) < PeerMaxAge })
}

// isCurrent reports whether the doubt still waits for an answer. It ends when the
// refused connection is due for its next check, which raises it anew; some passes
// of the schedule fit in, however short the gap is.
func (d Doubt) isCurrent(now time.Time, t Timing) bool {
	return now.Sub(d.At) < 2*t.RefusalGap+2*ProbeEvery
}

// openDoubts lists the doubts that wait for an answer, the latest first.
func (b Breaker) openDoubts(now time.Time, t Timing) []Doubt {
	var open []Doubt
	for _, d := range b.Doubts {
		if d.isCurrent(now, t) && !b.Confirms(d) {
			open = insertByTime(open, d, func(d Doubt) time.Time { return d.At })
		}
	}
	return open
}

// Control returns the doubt that needs a control check now, if any, and the peer to
// check: one with a good answer within VoteWithin and no refusal since, at most
// once in half a RefusalGap. peer is nil where no peer will do: the caller has to
// find another connection.
func (b Breaker) Control(now time.Time, t Timing) (d Doubt, peer *Peer, wanted bool) {
	doubts := b.openDoubts(now, t)
	every := min(t.Scale(ProbeEvery), t.RefusalGap/10) // a minute; less in a local stack with its short gap
	if b.Open || len(doubts) == 0 || now.Before(b.ControlAt.Add(every)) {
		return Doubt{}, nil, false
	}
	for _, d := range doubts {
		var best *Peer
		for i := range b.Peers {
			p := &b.Peers[i]
			if d.isSettledBy(*p) && p.RefusedAt.IsZero() && now.Sub(p.LastGoodAt) <= VoteWithin && now.Sub(p.TriedAt) >= t.RefusalGap/2 &&
				(best == nil || p.TriedAt.Before(best.TriedAt)) {
				best = p
			}
		}
		if best != nil {
			return d, best, true
		}
	}
	// Only peers settle a doubt about a partner.
	if i := slices.IndexFunc(doubts, func(d Doubt) bool { return d.PartnerID == 0 }); i >= 0 {
		return doubts[i], nil, true
	}
	return Doubt{}, nil, false
}

// FitsControl reports whether a scheduled connection of which nothing is known can
// be checked for the doubt: its answer settles the doubt, it is not a peer, which
// Control has ruled out, and it is not doubted itself.
func (b Breaker) FitsControl(d Doubt, c Peer) bool {
	return d.isSettledBy(c) &&
		!slices.ContainsFunc(b.Peers, func(p Peer) bool { return p.ConnectionID == c.ConnectionID }) &&
		!slices.ContainsFunc(b.Doubts, func(d Doubt) bool { return d.ConnectionID == c.ConnectionID })
}

// WithControl returns the breaker after a control check of a connection was sent.
func (b Breaker) WithControl(connectionID string, now time.Time) Breaker {
	b.ControlAt = now
	b.Peers = slices.Clone(b.Peers)
	for i := range b.Peers {
		if b.Peers[i].ConnectionID == connectionID {
			b.Peers[i].TriedAt = now
		}
	}
	return b
}

// WithDoubt returns the breaker with the doubt added, and whether that is worth a
// write. A doubt that is settled already is not added.
func (b Breaker) WithDoubt(d Doubt, now time.Time, t Timing) (Breaker, bool) {
	if b.Confirms(d) {
		return b, false
	}
	doubts := slices.DeleteFunc(slices.Clone(b.Doubts), func(old Doubt) bool {
		return old.ConnectionID == d.ConnectionID && old.PartnerID == d.PartnerID || !old.isCurrent(now, t)
	})
	if len(doubts) >= maxDoubts {
		return b, false
	}
	b.Doubts = append(doubts, d)
	return b, true
}

// WithChecks returns the breaker after some checks: their good answers refresh its
// peers, their refusals add doubts. worth reports whether the result is worth a
// write: it settles or adds a doubt, it adds a peer, a peer was refused or is gone,
// or the peers were out of date: by 6 hours, by a tenth of RefusalGap while there
// are doubts.
func (b Breaker) WithChecks(checks []Check, now time.Time, t Timing) (next Breaker, worth bool) {
	for _, c := range checks {
		var doubtsChanged, peersChanged bool
		switch {
		case c.Outcome == carrier.OutcomeOK && c.Scheduled:
			b, doubtsChanged = b.withoutDoubt(c.ConnectionID)
			b, peersChanged = b.withGoodAnswer(c, now, t)
		case c.Outcome == carrier.OutcomeOK, b.Open:
		case c.Doubt != nil:
			b, peersChanged = b.withRefusal(c)
			b, doubtsChanged = b.WithDoubt(*c.Doubt, now, t)
		case c.Gone || c.ActionRequired:
			b, doubtsChanged = b.withoutDoubt(c.ConnectionID)
			b, peersChanged = b.withoutPeer(c.ConnectionID)
		}
		worth = worth || doubtsChanged || peersChanged
	}
	return b, worth
}

func (b Breaker) withoutDoubt(connectionID string) (Breaker, bool) {
	had := len(b.Doubts)
	b.Doubts = slices.DeleteFunc(slices.Clone(b.Doubts), func(d Doubt) bool { return d.ConnectionID == connectionID })
	return b, len(b.Doubts) < had
}

func (b Breaker) withoutPeer(connectionID string) (Breaker, bool) {
	had := len(b.Peers)
	b.Peers = slices.DeleteFunc(slices.Clone(b.Peers), func(p Peer) bool { return p.ConnectionID == connectionID })
	return b, len(b.Peers) < had
}

func (b Breaker) withGoodAnswer(c Check, now time.Time, t Timing) (Breaker, bool) {
	if !c.OnSchedule {
		return b.withoutPeer(c.ConnectionID)
	}
	age, open := 6*time.Hour, b.openDoubts(now, t)
	if len(open) > 0 {
		age = t.RefusalGap / 10
	}
	peer := c.peer()
	settles := slices.ContainsFunc(open, func(d Doubt) bool { return d.isSettledBy(peer) && peer.LastGoodAt.After(d.Since) })
	before := b.Peers
	b, _ = b.withoutPeer(c.ConnectionID)
	b.Peers = withPeer(b.Peers, peer)
	replaces := slices.ContainsFunc(before, func(p Peer) bool {
		return !slices.Contains(b.Peers, p) && (peer.LastGoodAt.Sub(p.LastGoodAt) > age || !p.RefusedAt.IsZero())
	})
	return b, settles || len(b.Peers) > len(before) || replaces
}

// withRefusal notes a refusal that does not count. The connection stays a peer, to
// compare others with, but gets no control check.
func (b Breaker) withRefusal(c Check) (Breaker, bool) {
	peer := c.peer()
	peer.RefusedAt = c.At
	if i := slices.IndexFunc(b.Peers, func(p Peer) bool { return p.ConnectionID == c.ConnectionID }); i >= 0 {
		if !b.Peers[i].RefusedAt.IsZero() {
			return b, false
		}
		b.Peers = slices.Clone(b.Peers)
		b.Peers[i].RefusedAt = c.At
		return b, true
	}
	if !c.OnSchedule || c.At.Sub(c.LastGoodAt) >= PeerMaxAge {
		return b, false
	}
	peers := withPeer(b.Peers, peer)
	if !slices.Contains(peers, peer) {
		return b, false
	}
	b.Peers = peers
	return b, true
}

// insertByTime inserts an element into a list, the latest first, behind those of
// the same time. The lists are short; sorting each type would cost five kilobytes
// of code.
func insertByTime[T any](list []T, element T, at func(T) time.Time) []T {
	i := slices.IndexFunc(list, func(o T) bool { return at(o).Before(at(element)) })
	if i < 0 {
		i = len(list)
	}
	return slices.Insert(list, i, element)
}

// withPeer adds a peer and keeps the latest peers within the limits.
func withPeer(peers []Peer, added Peer) []Peer {
	peers = insertByTime(slices.Clone(peers), added, func(p Peer) time.Time { return p.LastGoodAt })
	type pair struct {
		account    int64
		credential string
	}
	accounts, credentials, partners, pairs := map[int64]int{}, map[string]int{}, map[int64]int{}, map[pair]bool{}
	kept := peers[:0:0]
	for _, p := range peers {
		id := pair{p.AccountID, p.CredentialID}
		crowded := accounts[p.AccountID] >= maxPerAccount || credentials[p.CredentialID] >= maxPerCredential || partners[p.PartnerID] == maxPerPartner
		otherPartner := len(partners) == 1 && partners[p.PartnerID] == 0 // the second partner's latest, which is always kept
		if len(kept) == maxPeers || pairs[id] || crowded && !otherPartner {
			continue
		}
		pairs[id] = true
		accounts[p.AccountID]++
		credentials[p.CredentialID]++
		partners[p.PartnerID]++
		kept = append(kept, p)
	}
	return kept
}
