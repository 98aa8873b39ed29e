package health

import (
	"slices"
	"time"

	"carrierlink/shared/carrier"
)

// Peer is a connection of a carrier that others are compared with: whether a
// refusal is the merchant's matter shows in what the carrier answers to others.
type Peer struct {
	PartnerID    int64
	AccountID    int64
	ConnectionID string
	CredentialID string    // see CredentialID
	LastGoodAt   time.Time // the latest good answer
	RefusedAt    time.Time // the first refusal since, which was not believed; zero if none
	TriedAt      time.Time // when a control check of it was last sent; zero if none was
}

// PeerMaxAge is how long after its last good answer a connection is compared with.
// An outage that lasts longer than that is believed in the end.
const PeerMaxAge = 14 * 24 * time.Hour

// How many peers are kept: nine, of which three at most share an account, three
// credentials and seven a partner. Seven are enough that some peer shares neither
// account nor credentials with any given connection, if there is one at all: those
// that do are six at most. Two more are for another partner, whose latest is kept in any
// case.
const (
	mostPeers        = 9
	mostOfAccount    = 3
	mostOfCredential = 3
	mostOfPartner    = 7
)

// Doubt asks for the carrier's answer to somebody else than who was refused:
// another account with other credentials, or, of a doubt about a partner, another
// partner's.
type Doubt struct {
	PartnerID    int64  // of a doubt about a partner; else zero
	AccountID    int64  // else zero
	ConnectionID string // empty for a doubt about a partner
	CredentialID string
	Since        time.Time // an answer after this counts: the first refusal
	At           time.Time // the latest refusal
}

// mostDoubts is how many doubts are kept. Where there are more, there is so much
// traffic that answers to others come by themselves.
const mostDoubts = 8

// other tells whether a peer is somebody else.
func (d Doubt) other(p Peer) bool {
	if d.PartnerID != 0 {
		return p.PartnerID != d.PartnerID
	}
	return p.AccountID != d.AccountID && p.CredentialID != d.CredentialID
}

// Confirms tells whether the carrier has answered somebody else well since.
func (b Breaker) Confirms(d Doubt) bool {
	return slices.ContainsFunc(b.Peers, func(p Peer) bool { return d.other(p) && p.LastGoodAt.After(d.Since) })
}

// Alone tells whether there is nobody to compare with.
func (b Breaker) HasNoPeer(d Doubt, now time.Time) bool {
	return !slices.ContainsFunc(b.Peers, func(p Peer) bool { return d.other(p) && now.Sub(p.LastGoodAt) < PeerMaxAge })
}

// live tells whether a doubt still asks for an answer: until the next check of
// who was refused, which doubts anew.
func (d Doubt) live(now time.Time, t Timing) bool {
	return now.Sub(d.At) < 2*t.RefusalGap+2*ProbeEvery // some passes at least, however short the gap
}

// controlEvery is the time between two control checks of a carrier: a minute, and
// in a local stack with its short gap less.
func controlEvery(t Timing) time.Duration { return min(t.Scale(ProbeEvery), t.RefusalGap/10) }

// open lists the doubts that wait for an answer, the latest first.
func (b Breaker) open(now time.Time, t Timing) []Doubt {
	var open []Doubt
	for _, d := range b.Doubts {
		if d.live(now, t) && !b.Confirms(d) {
			open = inOrder(open, d, func(d Doubt) time.Time { return d.At })
		}
	}
	return open
}

// Control is the doubt for which a control check should be made now, if any, and
// the peer to make it of: one that was well within VoteWithin and was not refused
// since, each once in half a RefusalGap. Where no peer will do, it is nil: another
// connection has to be found.
func (b Breaker) Control(now time.Time, t Timing) (d Doubt, peer *Peer, wanted bool) {
	doubts := b.open(now, t)
	if b.Open || len(doubts) == 0 || now.Before(b.ControlAt.Add(controlEvery(t))) {
		return Doubt{}, nil, false
	}
	var best *Peer
	for _, d := range doubts {
		for i := range b.Peers {
			p := &b.Peers[i]
			if d.other(*p) && p.RefusedAt.IsZero() && now.Sub(p.LastGoodAt) <= VoteWithin && now.Sub(p.TriedAt) >= t.RefusalGap/2 &&
				(best == nil || p.TriedAt.Before(best.TriedAt)) {
				best = p
			}
		}
		if best != nil {
			return d, best, true
		}
	}
	// A doubt about a partner comes of what is known of others' peers.
	doubts = slices.DeleteFunc(doubts, func(d Doubt) bool { return d.PartnerID != 0 })
	if len(doubts) == 0 {
		return Doubt{}, nil, false
	}
	return doubts[0], nil, true
}

// Fits tells whether a connection of the schedule may be checked for the doubt,
// although nothing is known of it: it is somebody else's, and neither a peer, as
// those are known not to do, nor doubted itself.
func (b Breaker) FitsControl(d Doubt, c Peer) bool {
	return d.other(c) &&
		!slices.ContainsFunc(b.Peers, func(p Peer) bool { return p.ConnectionID == c.ConnectionID }) &&
		!slices.ContainsFunc(b.Doubts, func(d Doubt) bool { return d.ConnectionID == c.ConnectionID })
}

// Tried is the breaker after a control check was sent, of a peer or of another
// connection.
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

// WithDoubt is the breaker with a doubt that asks for an answer, and whether that
// is worth a write.
func (b Breaker) WithDoubt(d Doubt, now time.Time, t Timing) (Breaker, bool) {
	if b.Confirms(d) {
		return b, false
	}
	doubts := slices.DeleteFunc(slices.Clone(b.Doubts), func(old Doubt) bool {
		return old.ConnectionID == d.ConnectionID && old.PartnerID == d.PartnerID || !old.live(now, t)
	})
	if len(doubts) >= mostDoubts {
		return b, false
	}
	b.Doubts = append(doubts, d)
	return b, true
}

// peersAge is how old what is known of the peers may get while nobody asks.
const peersAge = 6 * time.Hour

// WithChecks is the breaker after some checks: whom the carrier has answered well, by
// checks of the schedule, and who waits for its answer to others. worth tells whether that is worth a
// write: it answers a doubt, is a new one, a peer was refused or is gone, or what
// is known has become old: 6 hours, and a tenth of RefusalGap while there are
// doubts.
func (b Breaker) WithChecks(checks []Check, now time.Time, t Timing) (next Breaker, worth bool) {
	for _, c := range checks {
		var settles, useful, asks bool
		switch {
		case c.Outcome == carrier.OutcomeOK && c.Scheduled:
			b, settles = b.settled(c.ConnectionID)
			b, useful = b.well(c, now, t)
		case c.Outcome == carrier.OutcomeOK, b.Open:
		case c.Doubt != nil:
			b, useful = b.refused(c)
			b, asks = b.WithDoubt(*c.Doubt, now, t)
		case c.Gone || c.ActionRequired:
			b, settles = b.settled(c.ConnectionID)
			b, useful = b.without(c.ConnectionID)
		}
		worth = worth || settles || useful || asks
	}
	return b, worth
}

// settled is the breaker without the doubt about a connection.
func (b Breaker) settled(connectionID string) (Breaker, bool) {
	had := len(b.Doubts)
	b.Doubts = slices.DeleteFunc(slices.Clone(b.Doubts), func(d Doubt) bool { return d.ConnectionID == connectionID })
	return b, len(b.Doubts) < had
}

// without is the breaker without one peer.
func (b Breaker) without(connectionID string) (Breaker, bool) {
	had := len(b.Peers)
	b.Peers = slices.DeleteFunc(slices.Clone(b.Peers), func(p Peer) bool { return p.ConnectionID == connectionID })
	return b, len(b.Peers) < had
}

// well notes a good answer.
func (b Breaker) well(c Check, now time.Time, t Timing) (Breaker, bool) {
	if !c.OnSchedule {
		return b.without(c.ConnectionID)
	}
	age, open := peersAge, b.open(now, t)
	if len(open) > 0 {
		age = t.RefusalGap / 10
	}
	peer := c.peer()
	worth := slices.ContainsFunc(open, func(d Doubt) bool { return d.other(peer) && peer.LastGoodAt.After(d.Since) })
	before := b.Peers
	b, _ = b.without(c.ConnectionID)
	b.Peers = kernel(b.Peers, peer)
	if len(b.Peers) > len(before) {
		return b, true
	}
	// Which one has it taken the place of?
	for _, p := range before {
		if !slices.Contains(b.Peers, p) && (peer.LastGoodAt.Sub(p.LastGoodAt) > age || !p.RefusedAt.IsZero()) {
			return b, true
		}
	}
	return b, worth
}

// refused notes a refusal that is not believed: who was well is compared with
// others, but is no longer asked for them.
func (b Breaker) refused(c Check) (Breaker, bool) {
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
	with := kernel(b.Peers, peer)
	if !slices.Contains(with, peer) {
		return b, false
	}
	b.Peers = with
	return b, true
}

// inOrder puts one into a list, the latest first, behind those of the same time.
// The lists are short: a sort of each type would be five kilobytes of code.
func inOrder[T any](list []T, one T, at func(T) time.Time) []T {
	i := slices.IndexFunc(list, func(o T) bool { return at(o).Before(at(one)) })
	if i < 0 {
		i = len(list)
	}
	return slices.Insert(list, i, one)
}

// kernel keeps of some peers, the latest first, and one more those that matter:
// the latest ones, no more of an account, of credentials and of a partner than can
// be of use.
func kernel(peers []Peer, one Peer) []Peer {
	peers = inOrder(slices.Clone(peers), one, func(p Peer) time.Time { return p.LastGoodAt })
	type pair struct {
		account    int64
		credential string
	}
	accounts, credentials, partners, pairs := map[int64]int{}, map[string]int{}, map[int64]int{}, map[pair]bool{}
	kept := peers[:0:0]
	for _, p := range peers {
		id := pair{p.AccountID, p.CredentialID}
		crowded := accounts[p.AccountID] >= mostOfAccount || credentials[p.CredentialID] >= mostOfCredential || partners[p.PartnerID] == mostOfPartner
		second := len(partners) == 1 && partners[p.PartnerID] == 0 // the second partner's first is kept in any case
		if len(kept) == mostPeers || pairs[id] || crowded && !second {
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
