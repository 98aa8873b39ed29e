package storetest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
)

func byDue(a, b connection.Due) int {
	return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.ConnectionID, b.ConnectionID))
}

// plan stores n scheduled connections of a carrier, and returns them and their
// entries of by_due, the earliest first.
func (s *suite) plan(n int, name carrier.Name, env carrier.Environment, at func(i int) time.Time) (rows []connection.Connection, due []connection.Due) {
	s.Helper()
	account := s.account().ID
	rows, due = make([]connection.Connection, n), make([]connection.Due, n)
	times := make([]time.Time, n)
	for i := range times {
		times[i] = at(i)
	}
	var planning sync.WaitGroup
	for worker := range 4 {
		planning.Go(func() {
			for i := worker; i < n; i += 4 {
				c := s.newConnection(account)
				c.Carrier, c.Environment, c.AccountNumber = name, env, fmt.Sprintf("%010d", i)
				c.CredentialID = fmt.Sprintf("%016x", i%7)
				err := s.BeginLink(s.Context(), &c, connection.LinkOptions{})
				c.Status, c.NextRefreshAt = connection.Active, times[i]
				if err == nil {
					err = s.FinishLink(s.Context(), &c, nil, nil, effects.Effects{}, now)
				}
				if err != nil {
					s.Error(err)
				}
				rows[i], due[i] = c, entry(c)
			}
		})
	}
	planning.Wait()
	slices.SortFunc(due, byDue)
	return rows, due
}

// due lists what is due in a lane. Connections of other tests are due later.
func (s *suite) due(lane connection.Lane, at time.Time, limit int) []connection.Due {
	s.Helper()
	found, _ := must2(s.Due(s.Context(), lane, at, limit))
	if !slices.IsSortedFunc(found, func(a, b connection.Due) int { return a.DueAt.Compare(b.DueAt) }) {
		s.Errorf("%v is not in order", found)
	}
	slices.SortFunc(found, byDue)
	return found
}

// schedule tests Due. Each test has a lane to itself, because it sees all that is due there.
type schedule struct{ *suite }

func (s schedule) TestEarliestOfAllShards() {
	const n = 60
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
	lane := connection.Lane(carrier.AustraliaPost)
	rows, want := s.plan(n, carrier.AustraliaPost, carrier.Production, func(i int) time.Time {
		return long.Add(time.Duration(i)*time.Hour + time.Duration(random.IntN(1000))*time.Millisecond)
	})
	end := want[n-1].DueAt
	s.equal("nothing yet", len(s.due(lane, want[0].DueAt.Add(-time.Millisecond), n)), 0)
	for _, limit := range []int{1, 2, 7, 8, 9, 30, n - 1, n, n + 1, 1000} {
		s.equal(fmt.Sprint("limit ", limit), s.due(lane, end, limit), want[:min(limit, n)])
		s.equal(fmt.Sprint("half, limit ", limit), s.due(lane, want[n/2].DueAt, limit), want[:min(limit, n/2+1)])
	}
	s.equal("a millisecond before the last", s.due(lane, end.Add(-time.Nanosecond), n), want[:n-1])

	// Claiming and recording a check move its entry.
	claimed := must(s.ClaimDue(s.Context(), entry(rows[0]), end.Add(time.Minute), end, timing))
	want = slices.DeleteFunc(want, func(d connection.Due) bool { return d.ConnectionID == claimed.ID })
	s.equal("claimed", s.due(lane, end, n), want)
	s.equal("claimed, due again", s.due(lane, claimed.NextRefreshAt, n+1), append(slices.Clone(want), entry(claimed)))
	claimed.NextRefreshAt = end.Add(time.Second)
	s.ok(s.RecordCheck(s.Context(), &claimed, nil, nil, effects.Effects{}, now))
	s.equal("recorded", s.due(lane, end, n), want)
	want = append(want, entry(claimed))
	s.equal("due again", s.due(lane, end.Add(time.Second), n), want)
	rows[0] = claimed

	for i, leave := range []func(*connection.Connection){
		func(c *connection.Connection) { c.NextRefreshAt = time.Time{} },
		func(c *connection.Connection) { c.Standing = account.StandingPaused },
		func(c *connection.Connection) { c.Standing = account.StandingDeleted },
		func(c *connection.Connection) { c.Work = connection.WorkCredentials },
	} {
		c := s.saved(rows[i+1], leave)
		rows[i+1] = c
		want = slices.DeleteFunc(want, func(d connection.Due) bool { return d.ConnectionID == c.ID })
		s.equal(fmt.Sprint("left ", i), s.due(lane, end.Add(time.Second), n), want)
	}
	s.disconnect(&rows[n-1])
	want = slices.DeleteFunc(want, func(d connection.Due) bool { return d.ConnectionID == rows[n-1].ID })
	s.equal("unlinked", s.due(lane, end.Add(time.Second), n), want)
	for _, c := range rows[:n-1] {
		s.unschedule(c)
	}
	s.equal("none left", len(s.due(lane, end.Add(time.Second), n)), 0)
}

func (s schedule) TestManyDueAtOneTime() {
	lane := connection.Lane(carrier.StarTrack)
	rows, want := s.plan(20, carrier.StarTrack, carrier.Production, func(int) time.Time { return long })
	s.equal("all", s.due(lane, long, 20), want)
	found := s.due(lane, long, 9)
	s.equal("some", len(found), 9)
	s.equal("each once", len(slices.Compact(found)), 9)
	for _, c := range rows {
		s.unschedule(c)
	}
}

func (s schedule) TestSandboxLaneHasBothCarriers() {
	rows, want := s.plan(6, carrier.AustraliaPost, carrier.Sandbox, func(i int) time.Time { return long.Add(time.Duration(i) * time.Second) })
	more, others := s.plan(6, carrier.StarTrack, carrier.Sandbox, func(i int) time.Time { return long.Add(time.Duration(i) * time.Minute) })
	want = append(want, others...)
	slices.SortFunc(want, byDue)
	s.equal("sandbox", s.due(connection.SandboxLane, long.Add(time.Hour), 100), want)
	for _, c := range append(rows, more...) {
		s.unschedule(c)
	}
}
