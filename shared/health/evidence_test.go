package health_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/health"
)

// checked makes a scheduled check of a connection that was last good an hour ago.
func checked(now time.Time, partner, account, credential int64, o carrier.Outcome) health.Check {
	c := health.Check{
		PartnerID: partner, AccountID: account, CredentialID: fmt.Sprint("key ", credential), ConnectionID: fmt.Sprintf("se-%dx%d", account, credential), At: now,
		Outcome: o, Scheduled: true, OnSchedule: true, PreviousGoodAt: now.Add(-time.Hour), LastGoodAt: now.Add(-time.Hour),
	}
	switch o {
	case carrier.OutcomeOK:
		c.LastGoodAt = now
	case carrier.OutcomeUnauthorized:
		c.Doubt = &health.Doubt{AccountID: c.AccountID, ConnectionID: c.ConnectionID, CredentialID: c.CredentialID, Since: now, At: now}
	default:
	}
	return c
}

// TestPeersAgainstTheirDefinition: whatever was checked, and whichever connections
// share accounts and credentials, the few kept peers settle a doubt about any
// connection exactly when the full list of checks would.
func TestPeersAgainstTheirDefinition(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	confirmed, not := 0, 0
	for range 3000 {
		var b health.Breaker
		var all []health.Check
		now := day(0)
		accounts, credentials, partners := random.Int64N(6)+1, random.Int64N(6)+1, random.Int64N(3)+1
		for range random.IntN(40) + 1 {
			now = now.Add(7 * time.Hour) // so that each answer is worth a write
			account := random.Int64N(accounts) + 1
			c := checked(now, account%partners+1, account, random.Int64N(credentials)+1, carrier.OutcomeOK)
			all = append(all, c)
			b, _ = b.WithChecks([]health.Check{c}, now, timing())
		}
		if len(b.Peers) > 9 {
			t.Fatalf("%d peers, want nine at most", len(b.Peers))
		}
		since := all[random.IntN(len(all))].At.Add(-1)
		for account := range accounts + 1 {
			for credential := range credentials + 1 {
				d := health.Doubt{AccountID: account + 1, CredentialID: fmt.Sprint("key ", credential+1), Since: since}
				want := slices.ContainsFunc(all, func(c health.Check) bool {
					return c.AccountID != d.AccountID && c.CredentialID != d.CredentialID && c.At.After(since)
				})
				if got := b.Confirms(d); got != want {
					t.Fatalf("Confirms(account %d, %s) = %t, want %t\npeers %+v\nchecks %+v", d.AccountID, d.CredentialID, got, want, b.Peers, all)
				}
				if want {
					confirmed++
				} else {
					not++
				}
			}
		}
		// For each partner a peer of another one is kept, if there was any.
		for partner := range partners {
			d := health.Doubt{PartnerID: partner + 1, Since: since}
			want := slices.ContainsFunc(all, func(c health.Check) bool { return c.PartnerID != d.PartnerID && c.At.After(since) })
			if got := b.Confirms(d); got != want {
				t.Fatalf("Confirms(partner %d) = %t, want %t\npeers %+v", d.PartnerID, got, want, b.Peers)
			}
		}
	}
	if confirmed < 10_000 || not < 3_000 {
		t.Errorf("%d confirmed, %d not: the definition is hardly tested", confirmed, not)
	}
}

// TestWithChecks lists what is worth a write, and the result.
func TestWithChecks(t *testing.T) {
	const ok, no = carrier.OutcomeOK, carrier.OutcomeUnauthorized
	now := day(10)
	ago := func(d time.Duration, partner, account, credential int64) health.Check {
		return checked(now.Add(-d), partner, account, credential, ok)
	}
	base := []health.Check{ago(time.Hour, 1, 1, 1), ago(2*time.Hour, 1, 2, 2)}
	change := func(c health.Check, f func(c *health.Check)) health.Check { f(&c); return c }
	tests := []struct {
		name  string
		open  bool
		check health.Check
		worth bool
		peers int
		asked bool // a control check is wanted
	}{
		{"a good check of a peer", false, checked(now, 1, 1, 1, ok), false, 2, false},
		{"a good check of another connection", false, checked(now, 1, 3, 3, ok), true, 3, false},
		{"a good check for a caller", false, change(checked(now, 1, 3, 3, ok), func(c *health.Check) { c.Scheduled = false }), false, 2, false},
		{"a good check of a peer that has left the schedule", false, change(checked(now, 1, 1, 1, ok), func(c *health.Check) { c.OnSchedule = false }), true, 1, false},
		{"a good check of another connection off the schedule", false, change(checked(now, 1, 3, 3, ok), func(c *health.Check) { c.OnSchedule = false }), false, 2, false},
		{"a timeout of a peer", false, checked(now, 1, 1, 1, carrier.OutcomeTimeout), false, 2, false},
		{"a refusal of a peer", false, checked(now, 1, 1, 1, no), true, 2, true},
		{"a refusal of another connection", false, checked(now, 1, 3, 3, no), true, 3, true},
		{"a refusal of a connection that was last good long ago", false, change(checked(now, 1, 3, 3, no), func(c *health.Check) { c.LastGoodAt = now.Add(-health.PeerMaxAge) }), true, 2, true},
		{"a refusal for a caller", false, change(checked(now, 1, 1, 1, no), func(c *health.Check) { c.Scheduled = false }), true, 2, true},
		{"a refusal while the breaker is open", true, checked(now, 1, 1, 1, no), false, 2, false},
		{"a peer that needs action", false, change(checked(now, 1, 1, 1, no), func(c *health.Check) { c.ActionRequired, c.Doubt = true, nil }), true, 1, false},
		{"a peer that is gone", false, health.Check{ConnectionID: "se-1x1", Gone: true}, true, 1, false},
		{"another connection that is gone", false, health.Check{ConnectionID: "se-9x9", Gone: true}, false, 2, false},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			b, worth := health.Breaker{}.WithChecks(base, now, timing())
			if !worth || len(b.Peers) != 2 {
				t.Fatalf("%d peers at the start, want two", len(b.Peers))
			}
			b.Open = tc.open
			got, worth := b.WithChecks([]health.Check{tc.check}, now, timing())
			_, _, asked := got.Control(now, timing())
			if worth != tc.worth || len(got.Peers) != tc.peers || asked != tc.asked {
				t.Errorf("worth a write %t, %d peers, control check wanted %t; want %t, %d, %t", worth, len(got.Peers), asked, tc.worth, tc.peers, tc.asked)
			}
			if len(b.Peers) != 2 || !b.Peers[0].RefusedAt.IsZero() {
				t.Error("WithChecks changed its receiver")
			}
		})
	}
}

// TestControl lists which peer gets a control check for a doubt, and when.
func TestControl(t *testing.T) {
	now := day(10)
	fleet := func(checks ...health.Check) health.Breaker {
		b, _ := health.Breaker{}.WithChecks(checks, now, timing())
		return b
	}
	well := func(ago time.Duration, account, credential int64) health.Check {
		return checked(now.Add(-ago), 1, account, credential, carrier.OutcomeOK)
	}
	refused := checked(now, 1, 1, 1, carrier.OutcomeUnauthorized)
	tests := []struct {
		name   string
		b      health.Breaker
		now    time.Time
		wanted bool
		want   string // the peer; empty: the caller has to find a connection
	}{
		{"no doubt", fleet(well(time.Hour, 2, 2)), now, false, ""},
		{"a peer of another account", fleet(well(time.Hour, 2, 2), refused), now, true, "se-2x2"},
		{"a peer of the same account", fleet(well(time.Hour, 1, 2), refused), now, true, ""},
		{"a peer with the same credentials", fleet(well(time.Hour, 2, 1), refused), now, true, ""},
		{"a peer that was last good two days ago", fleet(well(health.VoteWithin, 2, 2), refused), now, true, "se-2x2"},
		{"a peer that was last good longer ago", fleet(well(health.VoteWithin+1, 2, 2), refused), now, true, ""},
		{"a peer that was refused since", fleet(well(time.Hour, 2, 2), refused, checked(now, 1, 2, 2, carrier.OutcomeUnauthorized)), now, true, ""},
		{"the peer not tried yet", fleet(well(time.Hour, 2, 2), well(2*time.Hour, 3, 3), refused).WithControl("se-2x2", now), now.Add(time.Minute), true, "se-3x3"},
		{"a peer tried half a gap ago", fleet(well(time.Hour, 2, 2), refused).WithControl("se-2x2", now), now.Add(gap / 2), true, "se-2x2"},
		{"no second one within the minute", fleet(well(time.Hour, 2, 2), refused).WithControl("se-3x3", now), now.Add(time.Minute - 1), false, ""},
		{"no more after an answer", fleet(well(time.Hour, 2, 2), refused, checked(now.Add(time.Second), 1, 3, 3, carrier.OutcomeOK)), now.Add(time.Minute), false, ""},
		{"still after two gaps", fleet(well(time.Hour, 2, 2), refused), now.Add(2*gap + 2*time.Minute - 1), true, "se-2x2"},
		{"no longer after two gaps and two minutes", fleet(well(time.Hour, 2, 2), refused), now.Add(2*gap + 2*time.Minute), false, ""},
		{"none while the breaker is open", fleet(well(time.Hour, 2, 2), refused).Opened("unauthorized", now, timing()), now, false, ""},
	}
	for _, tc := range tests {
		d, peer, wanted := tc.b.Control(tc.now, timing())
		got := ""
		if peer != nil {
			got = peer.ConnectionID
		}
		if wanted != tc.wanted || got != tc.want || wanted && d.ConnectionID == "" {
			t.Errorf("%s: Control = %q for %q, %t; want %q, %t", tc.name, got, d.ConnectionID, wanted, tc.want, tc.wanted)
		}
	}
}

// TestEightDoubts: at most eight doubts are kept; expired ones make room.
func TestEightDoubts(t *testing.T) {
	var b health.Breaker
	worth := 0
	for i := range int64(20) {
		next, write := b.WithChecks([]health.Check{checked(day(0), 1, i+1, i+1, carrier.OutcomeUnauthorized)}, day(0), timing())
		if b = next; write {
			worth++
		}
	}
	if len(b.Doubts) != 8 {
		t.Errorf("%d doubts, want eight", len(b.Doubts))
	}
	if b, _ = b.WithChecks([]health.Check{checked(day(1), 1, 30, 30, carrier.OutcomeUnauthorized)}, day(1), timing()); len(b.Doubts) != 1 {
		t.Errorf("a day later %d doubts, want the new one", len(b.Doubts))
	}
	if worth > 9 {
		t.Errorf("20 refusals are worth %d writes", worth)
	}
}
