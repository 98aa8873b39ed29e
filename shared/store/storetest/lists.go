package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// walk reads a list page by page, each after the last one's position.
func (s *suite) walk(partner int64, f account.Filter, size int, at time.Time) []account.Account {
	s.Helper()
	var all []account.Account
	var after *account.Position
	for {
		page, next, err := s.ListAccounts(s.Context(), partner, f, after, 0, size, at)
		s.ok(err)
		all = append(all, page...)
		if next == nil {
			return all
		}
		if len(page) != size {
			s.Fatalf("a page of %d before the last one, want %d", len(page), size)
		}
		s.equal("position", next, &account.Position{CreatedAt: page[size-1].CreatedAt, AccountID: page[size-1].ID})
		after = next
	}
}

func ids(accounts []account.Account) []int64 {
	list := make([]int64, len(accounts))
	for i, a := range accounts {
		list[i] = a.ID
	}
	return list
}

// fill stores accounts of one partner; each is as change makes it.
func (s *suite) fill(partner int64, n int, change func(i int, a *account.Account)) []account.Account {
	s.Helper()
	accounts := make([]account.Account, n)
	var creating sync.WaitGroup
	for worker := range 8 {
		creating.Go(func() {
			for i := worker; i < n; i += 8 {
				in := s.newAccount()
				in.Account.PartnerID, in.Key.PartnerID = partner, partner
				change(i, &in.Account)
				if err := s.CreateAccount(s.Context(), in, effects.Effects{}, now); err != nil {
					s.Error(err)
				}
				accounts[i] = in.Account
			}
		})
	}
	creating.Wait()
	return accounts
}

func byCreation(a, b account.Account) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
}

func listTests() tests {
	return tests{
		"nothing":                          listNothing,
		"external ids with any characters": listExternalIDsWithAnyCharacters,
		"is the partner's own":             listIsThePartnersOwn,
		"1,000 accounts of few times, in order both ways": list1000AccountsOfFewTimesInOrderBothWays,
		"a position of nobody, or outside the filter":     listAPositionOfNobodyOrOutsideTheFilter,
		"what is purged is passed over":                   listWhatIsPurgedIsPassedOver,
		"accounts larger than one read":                   listAccountsLargerThanOneRead,
		"connections, without intents":                    listConnectionsWithoutIntents,
		"connections with more snapshots than one read":   listConnectionsWithMoreSnapshotsThanOneRead,
	}
}

func listNothing(s *suite) {
	partner := s.id()
	for _, f := range []account.Filter{{}, {Ascending: true}, {Active: new(bool)}, {CreatedFrom: now, CreatedUntil: now.Add(-time.Second)}} {
		found, next, err := s.ListAccounts(s.Context(), partner, f, nil, 0, 5, now)
		s.ok(err)
		if len(found) != 0 || next != nil {
			s.Errorf("ListAccounts = %v, %v, want nothing", found, next)
		}
	}
	connections, snapshots, err := s.ListConnections(s.Context(), partner, true)
	s.ok(err)
	s.equal("connections", len(connections)+len(snapshots), 0)
	keys, err := s.ListKeys(s.Context(), partner)
	s.ok(err)
	s.equal("keys", len(keys), 0)
	_, err = s.AccountByExternalID(s.Context(), partner, "x", now)
	s.fails("AccountByExternalID", err, fault.NotFound)
}

func listExternalIDsWithAnyCharacters(s *suite) {
	partner := s.id()
	texts := []string{"a/b", "a%2Fb", "a b", " ", "#", "EXTERNAL", "größe-\u6f22\u5b57", longExternalID(), "A/B", "'\"\\"}
	accounts := s.fill(partner, len(texts), func(i int, a *account.Account) { a.ExternalID = texts[i] })
	for i, text := range texts {
		id, err := s.AccountByExternalID(s.Context(), partner, text, now)
		s.ok(err)
		s.equal(text, id, accounts[i].ID)
		_, err = s.AccountByExternalID(s.Context(), s.id(), text, now)
		s.fails("another partner's", err, fault.NotFound)
		_, err = s.AccountByExternalID(s.Context(), partner, text+"x", now)
		s.fails("longer", err, fault.NotFound)
	}
}

func listIsThePartnersOwn(s *suite) {
	partner := s.id()
	mine := s.fill(partner, 3, func(int, *account.Account) {})
	s.fill(partner*10%(1<<31), 2, func(int, *account.Account) {})
	slices.SortFunc(mine, byCreation)
	slices.Reverse(mine)
	s.equal("accounts", s.walk(partner, account.Filter{}, 2, now), mine)
}

func list1000AccountsOfFewTimesInOrderBothWays(s *suite) {
	partner := s.id()
	accounts := s.fill(partner, 1000, func(i int, a *account.Account) {
		a.CreatedAt = milli(now.Add(time.Duration(i%3) * time.Millisecond))
		a.Active = i%4 != 0
	})
	slices.SortFunc(accounts, byCreation)
	for _, size := range []int{7, 250, 999, 1000, 1001} {
		s.equal(fmt.Sprint("ascending by ", size), ids(s.walk(partner, account.Filter{Ascending: true}, size, now)), ids(accounts))
	}
	reversed := slices.Clone(accounts)
	slices.Reverse(reversed)
	s.equal("descending", ids(s.walk(partner, account.Filter{}, 99, now)), ids(reversed))
	for _, active := range []bool{true, false} {
		want := slices.DeleteFunc(slices.Clone(accounts), func(a account.Account) bool { return a.Active != active })
		s.equal(fmt.Sprint("active: ", active), s.walk(partner, account.Filter{Active: &active, Ascending: true}, 100, now), want)
	}
	middle := milli(now.Add(time.Millisecond))
	for name, tc := range map[string]struct {
		from, until time.Time
		keep        func(t time.Time) bool
	}{
		"from":                      {from: middle, keep: func(t time.Time) bool { return !t.Before(middle) }},
		"until":                     {until: middle, keep: func(t time.Time) bool { return !t.After(middle) }},
		"exactly":                   {from: middle, until: middle, keep: middle.Equal},
		"just after":                {from: middle.Add(1), keep: middle.Before},
		"just before":               {until: middle.Add(-1), keep: middle.After},
		"between two milliseconds":  {from: middle.Add(1), until: middle.Add(2), keep: func(time.Time) bool { return false }},
		"before time began":         {until: time.Unix(-1, 0), keep: func(time.Time) bool { return false }},
		"from the first to no time": {from: time.Unix(-1, 0), until: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), keep: func(time.Time) bool { return true }},
	} {
		want := slices.DeleteFunc(slices.Clone(accounts), func(a account.Account) bool { return !tc.keep(a.CreatedAt) })
		for _, ascending := range []bool{true, false} {
			f := account.Filter{CreatedFrom: tc.from, CreatedUntil: tc.until, Ascending: ascending}
			s.equal(name, ids(s.walk(partner, f, 150, now)), ids(want))
			slices.Reverse(want)
		}
	}
	for _, skip := range []int{0, 1, 500, 990, 999, 1000, 5000} {
		page, next, err := s.ListAccounts(s.Context(), partner, account.Filter{Ascending: true}, nil, skip, 10, now)
		s.ok(err)
		s.equal(fmt.Sprint("skip ", skip), ids(page), ids(accounts[min(skip, 1000):min(skip+10, 1000)]))
		s.equal(fmt.Sprint("more after ", skip), next != nil, skip < 990)
	}
}

func listAPositionOfNobodyOrOutsideTheFilter(s *suite) {
	partner := s.id()
	accounts := s.fill(partner, 4, func(i int, a *account.Account) { a.CreatedAt = milli(now.Add(time.Duration(i) * time.Hour)) })
	slices.SortFunc(accounts, byCreation)
	between := &account.Position{CreatedAt: now.Add(90 * time.Minute), AccountID: 5}
	for _, tc := range []struct {
		name  string
		f     account.Filter
		after *account.Position
		want  []account.Account
	}{
		{"between", account.Filter{Ascending: true}, between, accounts[2:]},
		{"before the range", account.Filter{Ascending: true, CreatedFrom: accounts[3].CreatedAt}, between, accounts[3:]},
		{"after the range", account.Filter{Ascending: true, CreatedUntil: accounts[0].CreatedAt}, between, accounts[:0]},
		{"after all", account.Filter{Ascending: true}, &account.Position{CreatedAt: now.Add(99 * time.Hour), AccountID: 1<<31 - 1}, accounts[:0]},
		{"before all", account.Filter{}, &account.Position{AccountID: 1}, accounts[:0]},
	} {
		found, _, err := s.ListAccounts(s.Context(), partner, tc.f, tc.after, 0, 9, now)
		s.ok(err)
		s.equal(tc.name, ids(found), ids(tc.want))
	}
}

func listWhatIsPurgedIsPassedOver(s *suite) {
	partner := s.id()
	accounts := s.fill(partner, 10, func(i int, a *account.Account) { a.CreatedAt = milli(now.Add(time.Duration(i) * time.Hour)) })
	for _, i := range []int{0, 3, 4, 5, 9} {
		s.ok(s.DeleteAccount(s.Context(), accounts[i], false, purge, effects.Effects{}, now))
	}
	want := []int64{accounts[1].ID, accounts[2].ID, accounts[6].ID, accounts[7].ID, accounts[8].ID}
	s.equal("before", len(s.walk(partner, account.Filter{}, 3, now)), 10)
	for _, size := range []int{1, 2, 3, 5} {
		s.equal(fmt.Sprint("by ", size), ids(s.walk(partner, account.Filter{Ascending: true}, size, purge)), want)
	}
	page, next, err := s.ListAccounts(s.Context(), partner, account.Filter{Ascending: true}, nil, 2, 3, purge)
	s.ok(err)
	s.equal("skipped", ids(page), want[2:])
	s.equal("more", next, (*account.Position)(nil))
}

func listAccountsLargerThanOneRead(s *suite) {
	partner := s.id()
	metadata := map[string]string{}
	for i := range 20 {
		metadata[fmt.Sprint("key", i)] = strings.Repeat("v", 500)
	}
	accounts := s.fill(partner, 120, func(_ int, a *account.Account) { a.Metadata = metadata }) // 1.2 MB
	slices.SortFunc(accounts, byCreation)
	s.equal("accounts", s.walk(partner, account.Filter{Ascending: true}, 119, now), accounts)
}

func listConnectionsWithoutIntents(s *suite) {
	a := s.account()
	var want []connection.Connection
	snapshots := map[string]connection.Snapshot{}
	for i := range 5 {
		c := s.newConnection(a.ID)
		c.AccountNumber, c.CreatedAt = "000408523"+strconv.Itoa(i), milli(now.Add(time.Duration(i/2)*time.Hour))
		s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
		if i == 3 {
			continue // an intent
		}
		var snap *connection.Snapshot
		if i != 1 {
			snap = s.snapshot(100*i, milli(now))
			snapshots[c.ID] = *snap
		}
		c.Status = connection.Active
		s.ok(s.FinishLink(s.Context(), &c, nil, snap, effects.Effects{}, now))
		want = append(want, c)
	}
	slices.SortFunc(want, func(a, b connection.Connection) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	s.linked() // somebody else's
	got, none, err := s.ListConnections(s.Context(), a.ID, false)
	s.ok(err)
	s.equal("connections", got, want)
	s.equal("no snapshots", len(none), 0)
	got, packed, err := s.ListConnections(s.Context(), a.ID, true)
	s.ok(err)
	s.equal("connections", got, want)
	s.equal("snapshots", packed, snapshots)
}

func listConnectionsWithMoreSnapshotsThanOneRead(s *suite) {
	a := s.account()
	for i := range 4 {
		c := s.newConnection(a.ID)
		c.AccountNumber = "000408523" + strconv.Itoa(i)
		s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
		c.Status = connection.Active
		s.ok(s.FinishLink(s.Context(), &c, nil, s.snapshot(650_000, now), effects.Effects{}, now))
	}
	got, packed, err := s.ListConnections(s.Context(), a.ID, true)
	s.ok(err)
	s.equal("connections", len(got), 4)
	s.equal("snapshots", len(packed), 4)
}
