package storetest

import (
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
)

// historyOf reads the whole history of a connection, the newest entry first.
func (s *suite) historyOf(c connection.Connection) []connection.HistoryEntry {
	s.Helper()
	entries, next := must2(s.History(s.Context(), c.AccountID, c.ID, nil, 0, 1000, now))
	if next != nil {
		s.Errorf("there is more after %v", next)
	}
	return entries
}

// checked stores a connection that was checked at these times, and returns its history,
// the newest entry first.
func (s *suite) checked(at ...time.Time) (connection.Connection, []connection.HistoryEntry) {
	s.Helper()
	c := s.linked()
	var entries []connection.HistoryEntry
	for i, t := range at {
		e := connection.HistoryEntry{Check: connection.Check{At: t, Outcome: carrier.OutcomeOK, Trigger: connection.TriggerSchedule}, Number: i + 1, Status: connection.Active}
		s.ok(s.RecordCheck(s.Context(), &c, &e, nil, effects.Effects{}, now))
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b connection.HistoryEntry) int { return b.At.Compare(a.At) })
	return c, entries
}

// histories tests History and RecentChecks.
type histories struct{ *suite }

func (s histories) TestNone() {
	c := s.linked()
	s.checked(now) // another connection
	for _, before := range []*connection.HistoryPosition{nil, {At: now, Number: 3}, {}} {
		entries, next := must2(s.History(s.Context(), c.AccountID, c.ID, before, 0, 9, now))
		if len(entries) > 0 || next != nil {
			s.Errorf("History = %v, %v, want nothing", entries, next)
		}
	}
}

func (s histories) TestPages() {
	times := make([]time.Time, 25)
	for i := range times {
		times[i] = milli(now.Add(time.Duration(i-25) * time.Hour))
	}
	c, want := s.checked(times...)
	for _, size := range []int{1, 4, 24, 25, 26} {
		var got []connection.HistoryEntry
		var before *connection.HistoryPosition
		for {
			page, next := must2(s.History(s.Context(), c.AccountID, c.ID, before, 0, size, now))
			got = append(got, page...)
			if next == nil {
				break
			}
			before = &connection.HistoryPosition{At: page[len(page)-1].At, Number: page[len(page)-1].Number}
			s.equal("position", next, before)
			s.equal("page", len(page), size)
		}
		s.equal(fmt.Sprint("by ", size), got, want)
	}
	for _, skip := range []int{0, 1, 10, 24, 25, 100} {
		page, next := must2(s.History(s.Context(), c.AccountID, c.ID, nil, skip, 10, now))
		s.equal(fmt.Sprint("skip ", skip), len(page), len(want[min(skip, 25):min(skip+10, 25)]))
		if len(page) > 0 {
			s.equal(fmt.Sprint("skip ", skip), page[0], want[skip])
		}
		s.equal(fmt.Sprint("more after ", skip), next != nil, skip < 15)
	}
}

func (s histories) TestOneMillisecondIsOrderedByNumber() {
	c := s.linked()
	var want []connection.HistoryEntry
	for n := 9; n <= 11; n++ {
		e := first
		e.Number = n
		s.ok(s.RecordCheck(s.Context(), &c, &e, nil, effects.Effects{}, now))
		want = append([]connection.HistoryEntry{e}, want...)
	}
	s.equal("entries", s.historyOf(c), want)
	for number, want := range map[int][]connection.HistoryEntry{11: want[1:], 0: nil} {
		got, _ := must2(s.History(s.Context(), c.AccountID, c.ID, &connection.HistoryPosition{At: first.At, Number: number}, 0, 9, now))
		s.equal(fmt.Sprint("before number ", number), got, want)
	}
}

func (s histories) TestEntriesExpire() {
	c, want := s.checked(milli(now.Add(-time.Hour)), milli(now))
	for _, tc := range []struct {
		name string
		at   time.Time
		want int
	}{
		{"before", want[1].At.Add(connection.HistoryKept - time.Millisecond), 2},
		{"the first one's time", want[1].At.Add(connection.HistoryKept), 1},
		{"later", now.Add(2 * connection.HistoryKept), 0},
	} {
		got, next := must2(s.History(s.Context(), c.AccountID, c.ID, nil, 0, 9, tc.at))
		s.equal(tc.name, len(got), tc.want)
		if next != nil {
			s.Errorf("%s: there is more", tc.name)
		}
	}
	got, _ := must2(s.History(s.Context(), c.AccountID, c.ID, &connection.HistoryPosition{At: now, Number: 9}, 0, 9, now.Add(2*connection.HistoryKept)))
	s.equal("after a position of then", len(got), 0)
}

// TestRecentChecks: they are those of History without their changes and codes.
func (s histories) TestRecentChecks() {
	none, complete := must2(s.RecentChecks(s.Context(), 1, "se-none", now))
	if len(none) > 0 || !complete {
		s.Errorf("of an unknown connection: %d, %t, want none", len(none), complete)
	}
	c, want := s.checked(milli(now.Add(-2*time.Hour)), milli(now.Add(-time.Hour)))
	e := first
	e.Number = 3
	s.ok(s.RecordCheck(s.Context(), &c, &e, nil, effects.Effects{}, now))
	e.Changes, e.Code = nil, ""
	want = append([]connection.HistoryEntry{e}, want...)
	for _, tc := range []struct {
		name string
		at   time.Time
		want []connection.HistoryEntry
	}{
		{"now", now, want},
		{"once others have expired", want[1].At.Add(connection.HistoryKept), want[:1]},
		{"once all have expired", now.Add(2 * connection.HistoryKept), nil},
	} {
		got, complete := must2(s.RecentChecks(s.Context(), c.AccountID, c.ID, tc.at))
		if !complete && len(got) > 0 { // a call may bring less than there is
			tc.want = tc.want[:len(got)]
		}
		s.equal(tc.name, got, tc.want)
	}
}

func (s histories) TestMoreThanOneRead() {
	c := s.linked()
	e := first
	for range connection.MaxDifferences {
		e.Changes = append(e.Changes, connection.Difference{Type: connection.ChangedField, Field: s.hash() + s.hash() + s.hash(), From: s.hash(), To: s.hash()})
	}
	for n := range 40 { // 1.5 MB
		e.Number = n + 1
		s.ok(s.RecordCheck(s.Context(), &c, &e, nil, effects.Effects{}, now))
	}
	s.equal("entries", len(s.historyOf(c)), 40)
	if recent, complete := must2(s.RecentChecks(s.Context(), c.AccountID, c.ID, now)); complete || len(recent) == 0 || recent[0].Number != 40 {
		s.Errorf("RecentChecks = %d entries, complete %t, want the newest of them", len(recent), complete)
	}
	page, next := must2(s.History(s.Context(), c.AccountID, c.ID, nil, 35, 4, now))
	s.equal("a page", []any{len(page), page[0].Number, next.Number}, []any{4, 5, 2})
}

func (s histories) TestSharesNoMemory() {
	c := s.linked()
	e := first
	e.Changes = slices.Clone(first.Changes)
	s.ok(s.RecordCheck(s.Context(), &c, &e, nil, effects.Effects{}, now))
	e.Changes[0].From = "changed"
	s.historyOf(c)[0].Changes[0].From = "changed"
	s.equal("entries", s.historyOf(c), []connection.HistoryEntry{first})
}
