package storetest

import (
	"cmp"
	"slices"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/store"
)

// minute is at the beginning of an hour in which no other test counts checks.
func (s *suite) minute() time.Time {
	s.Helper()
	return time.Unix(s.id()%10_000_000*3600, 0).UTC()
}

// count is a check of the schedule at now, of a connection that was well an hour
// before.
func count(account int64, o carrier.Outcome) health.Check {
	return health.Check{PartnerID: account * 2, AccountID: account, CredentialID: "00c0ffee", At: now, Outcome: o, Scheduled: true, PreviousGoodAt: now.Add(-time.Hour)}
}

func vote(account int64, failure string) health.Vote {
	return health.Vote{At: milli(now), PartnerID: account * 2, AccountID: account, CredentialID: "00c0ffee", Failure: failure}
}

// carrierHealth tests the tallies and breakers of carriers.
type carrierHealth struct{ *suite }

func (s carrierHealth) TestNothingCounted() {
	const name = carrier.AustraliaPost
	minute := s.minute()
	s.ok(s.CountChecks(s.Context(), name, nil, minute))
	s.equal("no checks: tallies", len(must(s.Tallies(s.Context(), name, minute))), 0)
	s.ok(s.CountChecks(s.Context(), name, []health.Check{{AccountID: 1, Gone: true, Scheduled: true, At: now, PreviousGoodAt: now}}, minute))
	s.equal("a check that was not made: tallies", len(must(s.Tallies(s.Context(), name, minute))), 0)
}

func (s carrierHealth) TestChecksOfEachKind() {
	const name = carrier.AustraliaPost
	minute := s.minute()
	s.ok(s.CountChecks(s.Context(), name, []health.Check{count(1, carrier.OutcomeOK), count(2, carrier.OutcomeRateLimited)}, minute))
	s.ok(s.CountChecks(s.Context(), carrier.StarTrack, []health.Check{count(1, carrier.OutcomeTimeout)}, minute))
	s.ok(s.CountChecks(s.Context(), name, []health.Check{
		count(3, carrier.OutcomeTimeout), count(1<<31-1, carrier.OutcomeUnavailable), count(3, carrier.OutcomeUnreadable), count(3, carrier.OutcomeUnauthorized),
	}, minute.Add(time.Minute-time.Nanosecond)))
	silent, asked, late, missing := count(5, carrier.OutcomeTimeout), count(6, carrier.OutcomeTimeout), count(7, carrier.OutcomeTimeout), count(8, carrier.OutcomeNoCredentials)
	silent.Silent, asked.Scheduled, late.PreviousGoodAt = true, false, now.Add(-health.VoteWithin-1)
	s.ok(s.CountChecks(s.Context(), name, []health.Check{count(4, carrier.OutcomeForbidden), count(3, carrier.OutcomeTimeout), silent, asked, late, missing, count(5, carrier.OutcomeOK)}, minute))
	tallies := must(s.Tallies(s.Context(), name, minute.Add(time.Second)))
	for i := range tallies {
		slices.SortFunc(tallies[i].Votes, func(a, b health.Vote) int {
			return cmp.Or(cmp.Compare(a.AccountID, b.AccountID), cmp.Compare(a.Failure, b.Failure))
		})
	}
	s.equal("tallies", tallies, []health.Tally{{Minute: minute, Checks: 13, Good: 2, Votes: []health.Vote{
		vote(1, ""), vote(2, ""), vote(3, "outage"), vote(3, "unauthorized"), vote(4, "forbidden"), vote(5, ""), vote(1<<31-1, "outage"),
	}}})
	tallies = must(s.Tallies(s.Context(), carrier.StarTrack, minute))
	s.equal("the other carrier's", []int{len(tallies), tallies[0].Checks}, []int{1, 1})
	tallies[0].Votes[0].Failure = "changed"
	s.equal("shares no memory", must(s.Tallies(s.Context(), carrier.StarTrack, minute))[0].Votes, []health.Vote{vote(1, "outage")})
}

func (s carrierHealth) TestLastFifteenMinutes() {
	const name = carrier.AustraliaPost
	minute := s.minute()
	for i := range 17 {
		s.ok(s.CountChecks(s.Context(), name, []health.Check{count(1, carrier.OutcomeOK)}, minute.Add(time.Duration(i)*time.Minute)))
	}
	for _, tc := range []struct {
		name     string
		at       time.Time
		from, to int
	}{
		{"the first minute begins", minute, 0, 0},
		{"it ends", minute.Add(time.Minute - time.Nanosecond), 0, 0},
		{"the second begins", minute.Add(time.Minute), 0, 1},
		{"the fifteenth ends", minute.Add(15*time.Minute - time.Nanosecond), 0, 14},
		{"the first is too old", minute.Add(15 * time.Minute), 1, 15},
		{"the last one", minute.Add(16*time.Minute + time.Second), 2, 16},
		{"later", minute.Add(25 * time.Minute), 11, 16},
	} {
		var got, want []time.Time
		for _, t := range must(s.Tallies(s.Context(), name, tc.at)) {
			got = append(got, t.Minute)
		}
		for i := tc.from; i <= tc.to; i++ {
			want = append(want, minute.Add(time.Duration(i)*time.Minute))
		}
		s.equal(tc.name, got, want)
	}
	s.equal("much later", len(must(s.Tallies(s.Context(), name, minute.Add(31*time.Minute)))), 0)
}

func (s carrierHealth) TestConcurrentCountsAreAllKept() {
	const name = carrier.AustraliaPost
	minute := s.minute()
	s.wins(20, race(20, func(i int) error {
		return s.CountChecks(s.Context(), name, []health.Check{count(int64(i), carrier.OutcomeTimeout), count(int64(i), carrier.OutcomeOK)}, minute)
	}))
	t := must(s.Tallies(s.Context(), name, minute))[0]
	s.equal("counts", []int{t.Checks, t.Good, len(t.Votes)}, []int{40, 20, 40})
}

func (s carrierHealth) TestBreakers() {
	found := must(s.Breakers(s.Context()))
	s.equal("breakers", len(found), len(carrier.Names()))
	for _, name := range carrier.Names() {
		b := found[name]
		s.equal("carrier", b.Carrier, name)
		late := b
		opened := b.Opened("outage", milli(now), health.Timing{Speed: 1})
		opened.ControlAt = milli(now.Add(time.Minute))
		opened.Peers = []health.Peer{
			{PartnerID: 1, AccountID: 2, ConnectionID: "se-3", CredentialID: "4", LastGoodAt: milli(now), RefusedAt: milli(now.Add(1)), TriedAt: milli(now.Add(time.Hour))},
			{AccountID: 5, LastGoodAt: milli(now)},
		}
		opened.Doubts = []health.Doubt{
			{AccountID: 6, ConnectionID: "se-7", CredentialID: "8", Since: milli(now), At: milli(now.Add(time.Minute))}, {PartnerID: 9, At: milli(now)},
		}
		opened.Outage = health.Outage{BeganAt: milli(now), EndedAt: milli(now.Add(time.Hour)), Failure: "outage", At: milli(now.Add(time.Minute)), Told: true, After: 1<<31 - 1}
		s.ok(s.SaveBreaker(s.Context(), &opened))
		s.equal("version", opened.Version, b.Version+1)
		s.fails("late", s.SaveBreaker(s.Context(), &late), fault.State)
		ahead := opened
		ahead.Version++
		s.fails("a version that is not there", s.SaveBreaker(s.Context(), &ahead), fault.State)
		s.equal("opened", must(s.Breakers(s.Context()))[name], opened)

		s.wins(1, race(8, func(int) error {
			mine := opened.Probed(milli(now.Add(time.Minute)), health.Timing{})
			return s.SaveBreaker(s.Context(), &mine)
		}), fault.State)
		closed := must(s.Breakers(s.Context()))[name].Closed(milli(now.Add(time.Hour)))
		s.equal("outage of the closed one", closed.Outage, opened.Outage)
		closed.Outage = health.Outage{}
		s.ok(s.SaveBreaker(s.Context(), &closed))
		a := s.account()
		l := s.load(a.ID, store.Want{Breakers: true})
		s.equal("account beside them", l.Account, &a)
		s.equal("closed", l.Breakers[name], closed)
		s.equal("all", len(l.Breakers), len(carrier.Names()))
	}
}
