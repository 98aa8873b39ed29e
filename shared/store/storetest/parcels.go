package storetest

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/parcel"
	"carrierlink/shared/tracking"
)

// parcelAt is a parcel of a connection, registered at a time.
func parcelAt(c connection.Connection, number string, at time.Time) parcel.Parcel {
	at = milli(at)
	return parcel.Parcel{
		AccountID: c.AccountID, PartnerID: c.PartnerID, Carrier: c.Carrier, Number: number, ConnectionID: c.ID, RegisteredAt: at,
		Status: tracking.NotYet, NextLookAt: at.Add(5 * time.Minute), Brand: carrier.AustraliaPost, Version: at.UnixMilli(),
	}
}

// registers registers parcels, and returns the numbers that were refused.
func (s *suite) registers(limit int, at time.Time, move bool, parcels ...parcel.Parcel) map[string]error {
	s.Helper()
	c := connection.Connection{ID: parcels[0].ConnectionID, AccountID: parcels[0].AccountID, PartnerID: 7, Environment: carrier.Production, Carrier: carrier.AustraliaPost, CredentialID: "00c0ffee00c0ffee"}
	r := parcel.NewRound(&c, parcels[0].NextLookAt)
	r.RegisteredAt = milli(at)
	return must(s.RegisterParcels(s.Context(), parcels, r, move, limit, at))
}

// some are n parcels of a new connection of a new account.
func (s *suite) some(n int) (connection.Connection, []parcel.Parcel) {
	s.Helper()
	c := s.newConnection(s.id())
	parcels := make([]parcel.Parcel, n)
	for i := range parcels {
		parcels[i] = parcelAt(c, fmt.Sprintf("ZZ91%06d", i), now)
	}
	return c, parcels
}

func (s *suite) listedParcels(l parcel.Listing) []parcel.Parcel {
	s.Helper()
	l.Limit = max(l.Limit, 100)
	found, next := must2(s.ListParcels(s.Context(), l, now))
	s.equal("next", next, "")
	return found
}

// look records what a look has found of one parcel.
func (s *suite) look(p parcel.Parcel, change func(*parcel.Parcel), events ...effects.Event) error {
	s.Helper()
	change(&p)
	l := parcel.Look{Parcel: p}
	if len(events) > 0 {
		l.Event = &events[0]
	}
	return s.RecordLooks(s.Context(), []parcel.Look{l}, effects.By{Actor: effects.Schedule}, now)
}

func end(p *parcel.Parcel) {
	p.End, p.EndedAt, p.NextLookAt = parcel.EndDelivered, milli(now), time.Time{}
}

func refusedNumbers(refused map[string]error) []string {
	var all []string
	for n := range refused {
		all = append(all, n)
	}
	return slices.Sorted(slices.Values(all))
}

// registeredParcels tests RegisterParcels, StopParcel and ListParcels.
type registeredParcels struct{ *suite }

func (s registeredParcels) TestIsKeptAsGiven() {
	c, parcels := s.some(1)
	p := parcels[0]
	p.Detail, p.Statuses, p.ChangedAt, p.LookedAt, p.Beside = "IN_TRANSIT", "ab", milli(now), milli(now), 5
	s.registers(9, now, false, p)
	s.equal("parcels", s.listedParcels(parcel.Listing{AccountID: c.AccountID}), []parcel.Parcel{p})
}

func (s registeredParcels) TestTwiceIsOnce() {
	c, parcels := s.some(3)
	s.registers(3, now, false, parcels[:2]...)
	again := slices.Clone(parcels)
	for i := range again {
		again[i].NextLookAt, again[i].Version = milli(now.Add(time.Hour)), 9
	}
	s.equal("refused", len(s.registers(3, now, false, again...)), 0)
	s.equal("parcels", s.listedParcels(parcel.Listing{AccountID: c.AccountID}), append(parcels[:2:2], again[2]))
}

func (s registeredParcels) TestMoves() {
	c, parcels := s.some(1)
	s.registers(1, now, false, parcels...)
	other := parcels[0]
	other.ConnectionID, other.NextLookAt = "se-other", milli(now.Add(time.Hour))
	s.equal("refused", len(s.registers(1, now, false, other)), 0)
	s.equal("without move", s.listedParcels(parcel.Listing{AccountID: c.AccountID}), parcels)
	s.registers(1, now, true, other)
	moved := other
	moved.Version = parcels[0].Version + 1
	s.equal("moved", s.listedParcels(parcel.Listing{AccountID: c.AccountID}), []parcel.Parcel{moved})
	s.equal("its old version", s.look(parcels[0], end), nil)
	s.equal("after a look that began before", s.listedParcels(parcel.Listing{AccountID: c.AccountID}), []parcel.Parcel{moved})
}

func (s registeredParcels) TestManyAtOnce() {
	c, parcels := s.some(250)
	s.registers(250, now, false, parcels[100:150]...)
	s.equal("refused", len(s.registers(250, now, false, parcels...)), 0)
	found, next := must2(s.ListParcels(s.Context(), parcel.Listing{AccountID: c.AccountID, Limit: 300}, now))
	s.equal("parcels", found, parcels)
	s.equal("next", next, "")
}

func (s registeredParcels) TestCapOfParcels() {
	c, parcels := s.some(12)
	s.equal("refused", refusedNumbers(s.registers(4, now, false, parcels[:6]...)), []string{"ZZ91000004", "ZZ91000005"})
	tomorrow := now.Add(24 * time.Hour)
	refused := s.registers(5, tomorrow, false, parcels[3:8]...)
	s.equal("with room for one more", refusedNumbers(refused), []string{"ZZ91000005", "ZZ91000006", "ZZ91000007"})
	problem := s.problem("the reason", refused["ZZ91000005"], fault.State)
	s.equal("limit", problem.Limit, "caps")
	if !strings.Contains(problem.Message, "at most 5 registered") {
		s.Errorf("the reason is %q", problem.Message)
	}
	s.ok(s.StopParcel(s.Context(), c.AccountID, c.Carrier, "ZZ91000000"))
	s.ok(s.look(parcels[1], end))
	s.equal("after a stop and an end", refusedNumbers(s.registers(5, tomorrow, false, parcels[5:8]...)), []string{"ZZ91000007"})
}

// TestIsCountedUntilItsEnd: a parcel that nobody ends, because the schedule stands still, neither
// expires nor is counted twice; nor does its round end.
func (s registeredParcels) TestIsCountedUntilItsEnd() {
	c, parcels := s.some(4)
	s.registers(2, now, false, parcels[0])
	later := now.AddDate(1, 0, 0)
	s.equal("the same number", len(s.registers(2, later, false, parcels[0])), 0)
	listed, _ := must2(s.ListParcels(s.Context(), parcel.Listing{AccountID: c.AccountID, Limit: 9}, later))
	s.equal("parcels a year later", len(listed), 1)
	s.equal("another one", len(s.registers(2, later, false, parcels[1])), 0)
	s.equal("one too many", refusedNumbers(s.registers(2, later, false, parcels[2])), []string{"ZZ91000002"})
	found, _ := must2(s.RoundParcels(s.Context(), parcel.Round{AccountID: c.AccountID, ConnectionID: c.ID}, 9))
	s.equal("parcels of the round", len(found), 2)
	s.ok(s.look(found[0], end))
	s.equal("after an end", len(s.registers(2, later, false, parcels[2])), 0)
}

func (s registeredParcels) TestCapOfADay() {
	c, parcels := s.some(6)
	s.registers(3, now, false, parcels[:3]...)
	for _, p := range parcels[:3] {
		s.ok(s.StopParcel(s.Context(), c.AccountID, c.Carrier, p.Number))
	}
	refused := s.registers(3, now, false, parcels[3:]...)
	s.equal("refused", len(refused), 3)
	if message := s.problem("the reason", refused["ZZ91000003"], fault.State).Message; !strings.Contains(message, "a day") {
		s.Errorf("the reason is %q", message)
	}
	s.equal("tomorrow", len(s.registers(3, now.Add(24*time.Hour), false, parcels[3:]...)), 0)
}

func (s registeredParcels) TestCapIsExactInARace() {
	c, parcels := s.some(40)
	results := race(4, func(i int) int {
		cc := connection.Connection{ID: c.ID, AccountID: c.AccountID, PartnerID: 7, Carrier: c.Carrier}
		r := parcel.NewRound(&cc, milli(now))
		r.RegisteredAt = milli(now)
		refused, err := s.RegisterParcels(s.Context(), parcels[10*i:10*i+10], r, false, 25, now)
		if err != nil && !fault.Is(err, fault.State) {
			s.Errorf("RegisterParcels: %v", err)
		}
		return len(refused)
	})
	if n := len(s.listedParcels(parcel.Listing{AccountID: c.AccountID})); n > 25 {
		s.Errorf("%d parcels are registered, want at most 25; refused %v", n, results)
	}
}

func (s registeredParcels) TestAgainAfterItsEnd() {
	c, parcels := s.some(1)
	s.registers(1, now, false, parcels...)
	s.ok(s.look(parcels[0], end))
	again := parcels[0]
	again.Version++
	again.Version++
	s.equal("refused", len(s.registers(2, now, false, again)), 0)
	s.equal("parcels", s.listedParcels(parcel.Listing{AccountID: c.AccountID}), []parcel.Parcel{again})
}

func (s registeredParcels) TestStopOfNothing() {
	c, parcels := s.some(1)
	s.ok(s.StopParcel(s.Context(), c.AccountID, c.Carrier, "ZZ91000000"))
	s.registers(1, now, false, parcels...)
	s.ok(s.look(parcels[0], end))
	s.ok(s.StopParcel(s.Context(), c.AccountID, c.Carrier, "ZZ91000000"))
	s.equal("one that has ended stays", len(s.listedParcels(parcel.Listing{AccountID: c.AccountID})), 1)
	s.equal("the count is not below zero", len(s.registers(1, now.Add(24*time.Hour), false, parcelAt(c, "ZZ92", now))), 0)
}

func (s registeredParcels) TestOtherAccountsAreApart() {
	c, parcels := s.some(1)
	d, others := s.some(1)
	s.registers(1, now, false, parcels...)
	s.registers(1, now, false, others...)
	s.ok(s.StopParcel(s.Context(), c.AccountID, c.Carrier, parcels[0].Number))
	s.equal("the other account's", s.listedParcels(parcel.Listing{AccountID: d.AccountID}), others)
}

func (s registeredParcels) TestPagesAndFilters() {
	c, parcels := s.some(7)
	for i := range parcels {
		parcels[i].Status = tracking.InTransit
		if i == 3 {
			parcels[i].Status = tracking.Accepted
		}
	}
	s.registers(9, now, false, parcels...)
	s.ok(s.look(parcels[5], end))
	var pages [][]string
	for after := ""; ; {
		found, next := must2(s.ListParcels(s.Context(), parcel.Listing{AccountID: c.AccountID, After: after, Limit: 3}, now))
		var page []string
		for _, p := range found {
			page = append(page, p.Number)
		}
		if pages = append(pages, page); next == "" {
			break
		}
		after = next
	}
	s.equal("pages", pages, [][]string{{"ZZ91000000", "ZZ91000001", "ZZ91000002"}, {"ZZ91000003", "ZZ91000004", "ZZ91000005"}, {"ZZ91000006"}})
	yes, no := true, false
	for what, l := range map[string]struct {
		parcel.Listing

		want int
	}{
		"active": {parcel.Listing{Active: &yes}, 6}, "ended": {parcel.Listing{Active: &no}, 1}, "status": {parcel.Listing{Status: tracking.Accepted}, 1},
		"number": {parcel.Listing{Number: "ZZ91000002"}, 1}, "another carrier": {parcel.Listing{Carrier: carrier.StarTrack}, 0},
		"another connection": {parcel.Listing{ConnectionID: "se-1"}, 0}, "since later": {parcel.Listing{Since: now.Add(time.Hour)}, 0},
	} {
		l.AccountID = c.AccountID
		s.equal(what, len(s.listedParcels(l.Listing)), l.want)
	}
	gone := now.Add(parcel.KeptFor + time.Second)
	found, _ := must2(s.ListParcels(s.Context(), parcel.Listing{AccountID: c.AccountID, Active: &no, Limit: 9}, gone))
	s.equal("a week after the end", len(found), 0)
}

// rounds tests what the schedule does with parcels.
type rounds struct{ *suite }

// dueRound registers parcels and returns their round's entry.
func (s rounds) dueRound(n int) (connection.Due, []parcel.Parcel) {
	s.Helper()
	c, parcels := s.some(n)
	s.registers(n, now, false, parcels...)
	return connection.Due{AccountID: c.AccountID, ConnectionID: c.ID, CredentialID: c.CredentialID, PartnerID: 7, DueAt: parcels[0].NextLookAt}, parcels
}

func (s rounds) claim(d connection.Due, at time.Time) (parcel.Round, error) {
	return s.ClaimRound(s.Context(), d, at.Add(time.Minute), at, health.Timing{Speed: 1})
}

func (s rounds) TestDue() {
	d, _ := s.dueRound(2)
	in := func(at time.Time) bool {
		due, malformed := must2(s.dueRounds(at))
		s.equal("malformed", malformed, 0)
		return slices.Contains(due, d)
	}
	s.equal("before its time", in(d.DueAt.Add(-time.Millisecond)), false)
	s.equal("at its time", in(d.DueAt), true)
	_ = must(s.claim(d, d.DueAt))
	s.equal("claimed", in(d.DueAt.Add(time.Minute)), false)
	later := d
	later.DueAt = d.DueAt.Add(time.Minute + 90*time.Second)
	due, _ := must2(s.dueRounds(later.DueAt))
	s.equal("never ended", slices.Contains(due, later), true)
}

func (s rounds) dueRounds(at time.Time) ([]connection.Due, int, error) {
	return s.DueRounds(s.Context(), connection.Lane(carrier.AustraliaPost), at, 10_000)
}

func (s rounds) TestClaims() {
	d, _ := s.dueRound(1)
	s.fails("before its time", errOf(s.claim(d, now)), fault.State)
	errs := race(4, func(int) error { return errOf(s.claim(d, d.DueAt)) })
	s.wins(1, errs, fault.State)
	s.fails("leased", errOf(s.claim(d, d.DueAt.Add(time.Minute-time.Millisecond))), fault.State)
	s.equal("after the lease", errOf(s.claim(d, d.DueAt.Add(time.Hour))), nil)
	d.ConnectionID = "se-1"
	s.fails("no such round", errOf(s.claim(d, d.DueAt)), fault.NotFound)
}

func (s rounds) TestParcelsByDue() {
	c, parcels := s.some(5)
	for i := range parcels {
		parcels[i].NextLookAt = milli(now.Add(time.Duration(5-i) * time.Minute))
	}
	parcels[1].Brand = carrier.StarTrack
	s.registers(9, now, false, parcels...)
	other := parcelAt(c, "ZZ92", now)
	other.ConnectionID = "se-other"
	s.registers(9, now, false, other)
	s.ok(s.look(parcels[0], end))
	r := parcel.Round{AccountID: c.AccountID, ConnectionID: c.ID}
	found, more, err := s.RoundParcels(s.Context(), r, 10)
	s.ok(err)
	s.equal("parcels", found, []parcel.Parcel{parcels[4], parcels[3], parcels[2], parcels[1]})
	s.equal("more", more, false)
	found, more, err = s.RoundParcels(s.Context(), r, 2)
	s.ok(err)
	s.equal("two of each brand", found, []parcel.Parcel{parcels[4], parcels[3], parcels[1]})
	s.equal("more", more, true)
}

func (s rounds) TestLooksWithEvents() {
	_, parcels := s.dueRound(3)
	s.ok(s.StopParcel(s.Context(), parcels[1].AccountID, parcels[1].Carrier, parcels[1].Number))
	s.registers(9, now.Add(time.Second), false, parcelAt(connection.Connection{ID: parcels[1].ConnectionID, AccountID: parcels[1].AccountID, PartnerID: 7, Carrier: parcels[1].Carrier}, parcels[1].Number, now.Add(time.Second)))
	partner := s.id()
	looks := make([]parcel.Look, 3)
	for i, p := range parcels {
		p.Status = tracking.InTransit
		fx, err := effects.Effects{}.With(rand.Reader, milli(now), effects.Report{Type: effects.Track, PartnerID: partner, AccountID: p.AccountID, Subject: "parcel", Data: p.Number})
		s.ok(err)
		looks[i] = parcel.Look{Parcel: p, Event: &fx.Events[0]}
	}
	end(&looks[2].Parcel)
	s.ok(s.RecordLooks(s.Context(), looks, effects.By{Actor: effects.Schedule}, now))
	var got []string
	for _, p := range s.listedParcels(parcel.Listing{AccountID: parcels[0].AccountID}) {
		got = append(got, fmt.Sprint(p.Number, " ", p.Status, " ", p.End))
	}
	s.equal("parcels", got, []string{"ZZ91000000 IT ", "ZZ91000001 NY ", "ZZ91000002 IT delivered"})
	events, _ := must2(s.ListEvents(s.Context(), effects.Listing{PartnerID: partner, AccountID: parcels[0].AccountID, Limit: 9}))
	var data []string
	for _, e := range slices.Backward(events) {
		data = append(data, string(e.Data))
		s.equal("by", e.By, effects.By{Actor: effects.Schedule})
	}
	slices.Sort(data)
	s.equal("events", data, []string{`"ZZ91000000"`, `"ZZ91000002"`})
	s.ok(s.RecordLooks(s.Context(), looks, effects.By{Actor: effects.Schedule}, now))
	again, _ := must2(s.ListEvents(s.Context(), effects.Listing{PartnerID: partner, AccountID: parcels[0].AccountID, Limit: 9}))
	s.equal("events of the same look again", len(again), 2)
}

func (s rounds) TestRemovedParcels() {
	d, parcels := s.dueRound(2)
	s.ok(s.RecordLooks(s.Context(), []parcel.Look{{Parcel: parcels[0], Remove: true}}, effects.By{}, now))
	s.equal("parcels", s.listedParcels(parcel.Listing{AccountID: d.AccountID}), parcels[1:])
	s.equal("with room for one more", len(s.registers(2, now.Add(24*time.Hour), false, parcels[0])), 0)
}

func (s rounds) TestEnds() {
	d, _ := s.dueRound(1)
	r := must(s.claim(d, d.DueAt))
	next := milli(now.Add(time.Hour))
	s.ok(s.EndRound(s.Context(), r, effects.Effects{}, now, func(stored parcel.Round) (parcel.Round, bool) {
		stored.DueAt, stored.Failures = next, 3
		return stored, true
	}))
	d.DueAt = next
	again := must(s.claim(d, next))
	s.equal("failures", again.Failures, 3)
	s.ok(s.EndRound(s.Context(), again, effects.Effects{}, now, func(stored parcel.Round) (parcel.Round, bool) { return stored, false }))
	s.fails("removed", errOf(s.claim(d, next)), fault.NotFound)
}

// remove removes a round, as if it was lost.
func (s rounds) remove(d connection.Due) {
	s.Helper()
	r := must(s.claim(d, now.Add(time.Hour)))
	s.ok(s.EndRound(s.Context(), r, effects.Effects{}, now, func(stored parcel.Round) (parcel.Round, bool) { return stored, false }))
}

func (s rounds) TestLostRoundComesBackWithARepeat() {
	d, parcels := s.dueRound(2)
	s.remove(d)
	s.registers(2, now, false, parcels...)
	s.equal("a claim after the repeat", errOf(s.claim(d, d.DueAt)), nil)
	s.registers(2, now, false, parcels...)
	s.fails("another repeat leaves the lease", errOf(s.claim(d, d.DueAt)), fault.State)
}

func (s rounds) TestLostRoundOfAnotherConnectionComesBack() {
	d, parcels := s.dueRound(1)
	s.remove(d)
	through := parcels[0]
	through.ConnectionID = "se-other"
	s.registers(2, now, false, through)
	s.equal("the round of the connection that has the parcel", errOf(s.claim(d, d.DueAt)), nil)
	d.ConnectionID = "se-other"
	s.fails("no round of the one that was named", errOf(s.claim(d, d.DueAt)), fault.NotFound)
}

func (s rounds) TestRegistrationKeepsWhatTheRoundCounts() {
	d, parcels := s.dueRound(1)
	r := must(s.claim(d, d.DueAt))
	reads := connection.Reads{Day: "2026-01-02", Count: 7}
	s.ok(s.EndRound(s.Context(), r, effects.Effects{}, now, func(stored parcel.Round) (parcel.Round, bool) {
		stored.DueAt, stored.Reads, stored.Empty = d.DueAt, reads, true
		return stored, true
	}))
	fresh := parcels[0]
	fresh.Number = "ZZ92"
	s.registers(9, now, false, fresh)
	r = must(s.claim(d, d.DueAt))
	s.equal("readings", r.Reads, reads)
	s.equal("found empty", r.Empty, false)
}

func (s rounds) TestRegistrationEndsNoBackoff() {
	for failures, want := range []time.Duration{5 * time.Minute, time.Hour} {
		d, parcels := s.dueRound(1)
		r := must(s.claim(d, d.DueAt))
		later := milli(now.Add(time.Hour))
		s.ok(s.EndRound(s.Context(), r, effects.Effects{}, now, func(stored parcel.Round) (parcel.Round, bool) {
			stored.DueAt, stored.Failures = later, failures
			return stored, true
		}))
		fresh := parcels[0]
		fresh.Number = "ZZ92"
		s.registers(9, now, false, fresh)
		due := milli(now.Add(want))
		s.fails(fmt.Sprint("before it is due, after failures: ", failures), errOf(s.claim(d, due.Add(-time.Millisecond))), fault.State)
		s.equal(fmt.Sprint("due, after failures: ", failures), must(s.claim(d, due)).Failures, failures)
	}
}

func (s rounds) TestParcelThatTheTableMayDrop() {
	c, parcels := s.some(1)
	old := parcels[0]
	old.RegisteredAt = milli(now.Add(-100 * 24 * time.Hour)) // the emulators drop nothing by themselves
	s.registers(1, now, false, old)
	found, _, err := s.RoundParcels(s.Context(), parcel.Round{AccountID: c.AccountID, ConnectionID: c.ID}, 10)
	s.ok(err)
	s.equal("parcels", found, []parcel.Parcel{old})
	s.ok(s.look(old, end))
	s.equal("refused after its end", len(s.registers(1, now.Add(24*time.Hour), false, parcelAt(c, "ZZ92", now))), 0)
}

func (s rounds) TestEndMeetsARegistration() {
	d, parcels := s.dueRound(1)
	r := must(s.claim(d, d.DueAt))
	fresh := parcels[0]
	fresh.Number, fresh.NextLookAt = "ZZ92", milli(now.Add(20*time.Minute))
	s.registers(9, now.Add(10*time.Minute), false, fresh)
	var seen []time.Time
	s.ok(s.EndRound(s.Context(), r, effects.Effects{}, now, func(stored parcel.Round) (parcel.Round, bool) {
		seen = append(seen, stored.RegisteredAt)
		stored.DueAt = milli(now.Add(time.Hour))
		return stored, true
	}))
	s.equal("times of the latest registration", seen, []time.Time{milli(now), milli(now.Add(10 * time.Minute))})
	d.DueAt = milli(now.Add(time.Hour))
	s.equal("a claim after it", errOf(s.claim(d, d.DueAt)), nil)
}

func (s rounds) TestEndAfterAnotherClaim() {
	d, _ := s.dueRound(1)
	first := must(s.claim(d, d.DueAt))
	later := d.DueAt.Add(10 * time.Minute)
	second := must(s.claim(d, later))
	keep := func(stored parcel.Round) (parcel.Round, bool) { return stored, true }
	s.fails("the first", s.EndRound(s.Context(), first, effects.Effects{}, now, keep), fault.State)
	s.equal("the second", s.EndRound(s.Context(), second, effects.Effects{}, now, keep), nil)
	s.fails("the second again", s.EndRound(s.Context(), second, effects.Effects{}, now, keep), fault.State)
}
