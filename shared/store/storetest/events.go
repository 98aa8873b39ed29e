package storetest

import (
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// eventLists tests ListEvents, Event and ExternalIDs.
type eventLists struct{ *suite }

// recorded writes events at these times, a millisecond or more apart, and returns them, the
// newest first. change changes each.
func (s *suite) recorded(partnerID, accountID int64, at []time.Time, change func(i int, e *effects.Recorded)) []effects.Recorded {
	s.Helper()
	var all []effects.Recorded
	for i, t := range at {
		e := effects.Recorded{
			Event: effects.Event{
				ID: eventID(t, i), Type: effects.AccountUpdated, PartnerID: partnerID, AccountID: accountID, Subject: "account", At: milli(t), Data: []byte("{}"),
			},
			By: effects.By{Actor: effects.Partner, KeyID: 3, PartnerID: partnerID, RequestID: "r", SourceIP: "192.0.2.1"},
		}
		if change != nil {
			change(i, &e)
		}
		all = append(all, e)
	}
	// A transaction has events of one maker.
	makers := map[effects.By][]effects.Event{}
	for _, e := range all {
		makers[e.By] = append(makers[e.By], e.Event)
	}
	for by, events := range makers {
		for some := range slices.Chunk(events, 90) {
			s.ok(s.renameAccount(s.account(), effects.Effects{By: by, Events: some}))
		}
	}
	slices.SortFunc(all, func(a, b effects.Recorded) int { return b.At.Compare(a.At) })
	return all
}

// outages returns an event of each of n partners, in which nothing depends on the writer.
func (s *suite) outages(n int) effects.Effects {
	s.Helper()
	fx := effects.Effects{By: effects.By{Actor: effects.Schedule}}
	for range n {
		fx.Events = append(fx.Events, effects.Event{
			ID: eventID(now, n), Type: effects.CarrierOutageBegan, PartnerID: s.id(), Subject: "carrier startrack", At: milli(now), Data: []byte(`{"failure":"outage"}`),
		})
	}
	return fx
}

// hears checks that each partner of fx has its event, and nothing else.
func (s *suite) hears(what string, fx effects.Effects) {
	s.Helper()
	for _, e := range fx.Events {
		got, _ := s.walkEvents(effects.Listing{PartnerID: e.PartnerID, Limit: 5})
		s.equal(what, got, []effects.Recorded{{Event: e, By: fx.By}})
	}
}

// minutes returns n times, a minute apart, the last one now.
func minutes(n int) []time.Time {
	times := make([]time.Time, n)
	for i := range times {
		times[i] = milli(now.Add(time.Duration(i-n+1) * time.Minute))
	}
	return times
}

// walkEvents reads a list of events page by page, and returns it and the number of pages.
func (s *suite) walkEvents(l effects.Listing) (all []effects.Recorded, pages int) {
	s.Helper()
	for {
		page, next := must2(s.ListEvents(s.Context(), l))
		if len(page) > l.Limit {
			s.Errorf("a page of %d events, at most %d were asked for", len(page), l.Limit)
		}
		all, pages = append(all, page...), pages+1
		if next == "" {
			return all, pages
		}
		if l.Before != "" && next >= l.Before {
			s.Fatalf("the page after %s ends at %s", l.Before, next)
		}
		l.Before = next
	}
}

func (s eventLists) TestNothing() {
	partner, mine := s.id(), s.id()
	s.recorded(partner, mine, minutes(2), nil)
	for name, l := range map[string]effects.Listing{
		"another account":                     {PartnerID: partner, AccountID: s.id()},
		"another partner":                     {PartnerID: s.id()},
		"another partner's account":           {PartnerID: s.id(), AccountID: mine},
		"a range before them":                 {PartnerID: partner, AccountID: mine, Until: now.Add(-time.Hour)},
		"a range after them":                  {PartnerID: partner, AccountID: mine, From: now.Add(time.Hour)},
		"a range that ends before it begins":  {PartnerID: partner, AccountID: mine, From: now, Until: now.Add(-time.Hour)},
		"after an event older than the range": {PartnerID: partner, AccountID: mine, From: now.Add(-time.Hour), Before: eventID(now.Add(-2*time.Hour), 0)},
	} {
		l.Limit = 5
		found, next := must2(s.ListEvents(s.Context(), l))
		if len(found) != 0 || next != "" {
			s.Errorf("%s: ListEvents = %v, %q, want nothing", name, found, next)
		}
	}
}

func (s eventLists) TestPages() {
	partner, mine := s.id(), s.id()
	want := s.recorded(partner, mine, minutes(25), nil)
	for _, accountID := range []int64{mine, 0} {
		for _, size := range []int{1, 4, 24, 25, 26, 500} {
			got, pages := s.walkEvents(effects.Listing{PartnerID: partner, AccountID: accountID, Limit: size})
			s.equal(fmt.Sprintf("account %d by %d", accountID, size), got, want)
			s.equal(fmt.Sprintf("account %d by %d: pages", accountID, size), pages, (25+size-1)/size)
		}
	}
	// What happens while a list is read comes before its first page.
	page, next := must2(s.ListEvents(s.Context(), effects.Listing{PartnerID: partner, AccountID: mine, Limit: 5}))
	s.recorded(partner, mine, []time.Time{now.Add(time.Minute)}, nil)
	rest, _ := s.walkEvents(effects.Listing{PartnerID: partner, AccountID: mine, Limit: 5, Before: next})
	s.equal("with an event meanwhile", append(page, rest...), want)
}

func (s eventLists) TestOneMillisecondIsOrderedByID() {
	partner, mine := s.id(), s.id()
	want := s.recorded(partner, mine, []time.Time{now, now, now}, nil)
	slices.Reverse(want)
	for _, accountID := range []int64{mine, 0} {
		got, _ := s.walkEvents(effects.Listing{PartnerID: partner, AccountID: accountID, Limit: 1})
		s.equal(fmt.Sprint("account ", accountID), got, want)
	}
}

func (s eventLists) TestPartnersHaveTheirAccounts() {
	partner, first, second := s.id(), s.id(), s.id()
	times := minutes(6)
	var want []effects.Recorded
	for i, accountID := range []int64{first, second, 0} {
		of := s.recorded(partner, accountID, times[2*i:2*i+2], nil)
		if accountID != 0 {
			found, _ := s.walkEvents(effects.Listing{PartnerID: partner, AccountID: accountID, Limit: 5})
			s.equal(fmt.Sprint("account ", i), found, of)
		}
		want = append(of, want...)
	}
	s.recorded(s.id(), first, times, nil) // of another partner
	got, _ := s.walkEvents(effects.Listing{PartnerID: partner, Limit: 4})
	s.equal("the partner's", got, want)
}

func (s eventLists) TestRange() {
	partner, mine := s.id(), s.id()
	want := s.recorded(partner, mine, minutes(5), nil)
	at := func(n int, more time.Duration) time.Time { return want[n].At.Add(more) }
	for _, tc := range []struct {
		name        string
		from, until time.Time
		want        []effects.Recorded
	}{
		{"from", at(2, 0), time.Time{}, want[:3]},
		{"from a millisecond later", at(2, time.Millisecond), time.Time{}, want[:2]},
		{"until", time.Time{}, at(2, 0), want[2:]},
		{"until a millisecond earlier", time.Time{}, at(2, -time.Millisecond), want[3:]},
		{"until within its millisecond", time.Time{}, at(2, time.Millisecond-time.Nanosecond), want[2:]},
		{"both", at(3, 0), at(1, 0), want[1:4]},
		{"one", at(4, 0), at(4, 0), want[4:]},
		{"from the beginning to the end of time", time.Unix(0, 0), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), want},
	} {
		for _, accountID := range []int64{mine, 0} {
			got, _ := s.walkEvents(effects.Listing{PartnerID: partner, AccountID: accountID, From: tc.from, Until: tc.until, Limit: 2})
			s.equal(fmt.Sprintf("%s, account %d", tc.name, accountID), got, tc.want)
		}
	}
}

func (s eventLists) TestFilters() {
	partner, mine := s.id(), s.id()
	kinds := []effects.EventType{effects.CarrierConnected, effects.CarrierUpdated, effects.AccountUpdated}
	makers := []effects.By{{Actor: effects.Partner, KeyID: 3, PartnerID: partner}, {Actor: effects.Schedule}, {Actor: effects.Operator, Operator: "jo@example.com"}, {Actor: effects.Merchant, KeyID: 4, AccountID: mine}}
	all := s.recorded(partner, mine, minutes(24), func(i int, e *effects.Recorded) { e.Type, e.By = kinds[i%3], makers[i%4] })
	for name, l := range map[string]effects.Listing{
		"a type":                {Types: kinds[:1]},
		"two types":             {Types: kinds[1:]},
		"a type without events": {Types: []effects.EventType{effects.AccountDeleted}},
		"an actor":              {Actor: effects.Schedule},
		"a key":                 {KeyID: 4},
		"a key without events":  {KeyID: 5},
		"all at once":           {Types: kinds[:2], Actor: effects.Partner, KeyID: 3},
		"contradictory":         {Actor: effects.Schedule, KeyID: 3},
	} {
		l.PartnerID, l.Limit = partner, 2
		var want []effects.Recorded
		for _, e := range all {
			if l.Matches(&e) {
				want = append(want, e)
			}
		}
		for _, accountID := range []int64{mine, 0} {
			l.AccountID = accountID
			got, _ := s.walkEvents(l)
			s.equal(fmt.Sprintf("%s, account %d", name, accountID), got, want)
		}
	}
}

// TestInserted: an event that is there stays as it is, and the others are written beside it,
// however many are in a transaction.
func (s eventLists) TestInserted() {
	s.ok(s.InsertEvents(s.Context(), effects.Effects{}))
	for _, n := range []int{1, 2, 100, 101} {
		fx := s.outages(n)
		first := fx
		first.Events = nil
		for i, e := range fx.Events {
			if i%3 == n%3 {
				first.Events = append(first.Events, e)
			}
		}
		s.ok(s.InsertEvents(s.Context(), first))
		s.hears(fmt.Sprintf("some of %d", n), first)
		s.ok(s.InsertEvents(s.Context(), fx))
		again := fx
		again.By, again.Events = effects.By{Actor: effects.Operator, Operator: "jo"}, slices.Clone(fx.Events)
		for i := range again.Events {
			again.Events[i].Data = []byte("{}")
		}
		s.ok(s.InsertEvents(s.Context(), again))
		s.hears(fmt.Sprintf("all of %d", n), fx)
	}
}

// TestInsertedAtOnce: of several writers each leaves all events behind.
func (s eventLists) TestInsertedAtOnce() {
	fx := s.outages(5)
	for _, err := range race(4, func(int) error { return s.InsertEvents(s.Context(), fx) }) {
		if err != nil {
			s.fails("a collision that lasts", err, fault.State)
		}
	}
	s.ok(s.InsertEvents(s.Context(), fx))
	s.hears("all", fx)
}

// TestFewPass: a page ends when it has read 2,000 events, whatever it has found.
func (s eventLists) TestFewPass() {
	partner, mine := s.id(), s.id()
	const n, rare = 2_100, 2_050 // the rare one is among the oldest
	times := make([]time.Time, n)
	for i := range times {
		times[i] = milli(now.Add(-time.Duration(i) * time.Second))
	}
	all := s.recorded(partner, mine, times, func(i int, e *effects.Recorded) {
		if i == rare {
			e.Type = effects.CarrierConnected
		}
	})
	for _, tc := range []struct {
		limit int
		types []effects.EventType
		sizes []int
	}{
		{5, []effects.EventType{effects.CarrierConnected}, []int{0, 1}},
		{3_000, nil, []int{2_000, 100}},
		{2_000, nil, []int{2_000, 100}},
	} {
		l := effects.Listing{PartnerID: partner, AccountID: mine, Types: tc.types, Limit: tc.limit}
		var sizes []int
		for {
			page, next := must2(s.ListEvents(s.Context(), l))
			if sizes = append(sizes, len(page)); next == "" {
				break
			}
			l.Before = next
		}
		s.equal(fmt.Sprintf("pages of %d %v", tc.limit, tc.types), sizes, tc.sizes)
	}
	got, _ := s.walkEvents(effects.Listing{PartnerID: partner, Types: []effects.EventType{effects.CarrierConnected}, Limit: 5})
	s.equal("the partner's", got, all[rare:rare+1])
}

// TestOldest: the same range, from its other end.
func (s eventLists) TestOldest() {
	partner, mine := s.id(), s.id()
	want := s.recorded(partner, mine, minutes(7), nil)
	slices.Reverse(want)
	s.recorded(s.id(), mine, minutes(7), nil) // of another partner
	for _, accountID := range []int64{mine, 0} {
		l := effects.Listing{PartnerID: partner, AccountID: accountID, From: want[1].At, Until: want[5].At, Limit: 3}
		found, last := must2(s.OldestEvents(s.Context(), l))
		s.equal("the first", found, want[1:4])
		s.equal("where it ends", last, want[3].At)
		l.From = last
		found, last = must2(s.OldestEvents(s.Context(), l))
		s.equal("the rest", found, want[3:6])
		s.equal("the end of the rest", last, time.Time{})
		l.From, l.Until = want[6].At, want[0].At
		found, last = must2(s.OldestEvents(s.Context(), l))
		s.equal("an empty range", found, []effects.Recorded(nil))
		s.equal("the end of an empty range", last, time.Time{})
	}
}

func (s eventLists) TestByID() {
	partner, mine, other := s.id(), s.id(), s.id()
	e := s.recorded(partner, mine, minutes(1), nil)[0]
	for name, tc := range map[string]struct {
		partner, account int64
		id               string
	}{
		"another account":           {partner, other, e.ID},
		"another partner":           {s.id(), 0, e.ID},
		"another partner's account": {s.id(), mine, e.ID},
		"the partner's own":         {partner, other, e.ID},
		"an absent id":              {partner, mine, eventID(now, 1)},
		"an absent id of a partner": {partner, 0, eventID(now, 1)},
	} {
		s.fails(name, errOf(s.Event(s.Context(), tc.partner, tc.account, tc.id)), fault.NotFound)
	}
	s.equal("the account's", must(s.Event(s.Context(), partner, mine, e.ID)), e)
	s.equal("the partner's", must(s.Event(s.Context(), partner, 0, e.ID)), e)
}

func (s eventLists) TestExternalIDs() {
	want := map[account.Owned]string{}
	var ask []int64
	partner := s.id()
	for i, a := range s.fill(partner, 230, func(i int, a *account.Account) {
		if a.ExternalID = fmt.Sprint("m-", i); i%10 == 0 {
			a.ExternalID = ""
		}
	}) {
		if ask = append(ask, a.ID); a.ExternalID != "" {
			want[account.Owned{PartnerID: partner, AccountID: a.ID}] = a.ExternalID
		}
		if i%20 == 1 { // no longer readable
			s.ok(s.DeleteAccount(s.Context(), a, false, now.Add(time.Hour), effects.Effects{}, now))
			delete(want, account.Owned{PartnerID: partner, AccountID: a.ID})
		}
	}
	foreign := s.fill(s.id(), 1, func(_ int, a *account.Account) { a.ExternalID = "another partner's" })
	want[account.Owned{PartnerID: foreign[0].PartnerID, AccountID: foreign[0].ID}] = foreign[0].ExternalID
	ask = append(ask, s.id(), 0, foreign[0].ID, ask[0])
	s.equal("an hour later", must(s.ExternalIDs(s.Context(), ask, now.Add(time.Hour))), want)
	s.equal("none", must(s.ExternalIDs(s.Context(), nil, now)), map[account.Owned]string{})
}
