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

// walk reads a list page by page.
func (s *suite) walk(partner int64, f account.Filter, size int, at time.Time) []account.Account {
	s.Helper()
	var all []account.Account
	var after *account.Position
	for {
		page, next := must2(s.ListAccounts(s.Context(), partner, f, after, 0, size, at))
		all = append(all, page...)
		if next == nil {
			return all
		}
		if len(page) != size {
			s.Fatalf("a page of %d before the last one, want %d", len(page), size)
		}
		after = &account.Position{CreatedAt: page[size-1].CreatedAt, AccountID: page[size-1].ID}
		s.equal("position", next, after)
	}
}

func ids(accounts []account.Account) []int64 {
	list := make([]int64, len(accounts))
	for i, a := range accounts {
		list[i] = a.ID
	}
	return list
}

// fill stores n accounts of a partner, each changed by change, and returns
// them in the order of their creation.
func (s *suite) fill(partner int64, n int, change func(i int, a *account.Account)) []account.Account {
	s.Helper()
	accounts := make([]account.Account, n)
	var creating sync.WaitGroup
	for worker := range 8 {
		creating.Go(func() {
			for i := worker; i < n; i += 8 {
				in := s.newAccount(external(partner, ""), func(a *account.Account) { change(i, a) })
				in.Key.PartnerID = partner
				if err := s.CreateAccount(s.Context(), in, effects.Effects{}, now); err != nil {
					s.Error(err)
				}
				accounts[i] = in.Account
			}
		})
	}
	creating.Wait()
	slices.SortFunc(accounts, func(a, b account.Account) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return accounts
}

// hourly creates accounts an hour apart.
func hourly(i int, a *account.Account) { a.CreatedAt = milli(now.Add(time.Duration(i) * time.Hour)) }

// lists tests ListAccounts, AccountByExternalID and ListConnections.
type lists struct{ *suite }

func (s lists) TestNothing() {
	partner := s.id()
	for _, f := range []account.Filter{{}, {Ascending: true}, {Active: new(bool)}, {CreatedFrom: now, CreatedUntil: now.Add(-time.Second)}} {
		found, next := must2(s.ListAccounts(s.Context(), partner, f, nil, 0, 5, now))
		if len(found) != 0 || next != nil {
			s.Errorf("ListAccounts = %v, %v, want nothing", found, next)
		}
	}
	connections, snapshots := must2(s.ListConnections(s.Context(), partner, true))
	s.equal("connections", len(connections)+len(snapshots), 0)
	s.equal("keys", len(s.keys(partner)), 0)
	s.fails("AccountByExternalID", errOf(s.AccountByExternalID(s.Context(), partner, "x", now)), fault.NotFound)
}

func (s lists) TestExternalIDsWithAnyCharacters() {
	partner := s.id()
	texts := []string{"a/b", "a%2Fb", "a b", " ", "#", "EXTERNAL", "größe-\u6f22\u5b57", longExternalID(), "A/B", "'\"\\"}
	for _, a := range s.fill(partner, len(texts), func(i int, a *account.Account) { a.ExternalID = texts[i] }) {
		text := a.ExternalID
		s.equal(text, must(s.AccountByExternalID(s.Context(), partner, text, now)), a.ID)
		s.fails("another partner's", errOf(s.AccountByExternalID(s.Context(), s.id(), text, now)), fault.NotFound)
		s.fails("longer", errOf(s.AccountByExternalID(s.Context(), partner, text+"x", now)), fault.NotFound)
	}
}

func (s lists) TestOnlyThePartnersAccounts() {
	partner := s.id()
	mine := s.fill(partner, 3, func(int, *account.Account) {})
	s.fill(partner*10%(1<<31), 2, func(int, *account.Account) {})
	slices.Reverse(mine)
	s.equal("accounts", s.walk(partner, account.Filter{}, 2, now), mine)
}

func (s lists) TestThousandAccountsInBothOrders() {
	partner := s.id()
	accounts := s.fill(partner, 1000, func(i int, a *account.Account) {
		a.CreatedAt = milli(now.Add(time.Duration(i%3) * time.Millisecond))
		a.Active = i%4 != 0
	})
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
		page, next := must2(s.ListAccounts(s.Context(), partner, account.Filter{Ascending: true}, nil, skip, 10, now))
		s.equal(fmt.Sprint("skip ", skip), ids(page), ids(accounts[min(skip, 1000):min(skip+10, 1000)]))
		s.equal(fmt.Sprint("more after ", skip), next != nil, skip < 990)
	}
}

func (s lists) TestPositionsOfNoAccount() {
	partner := s.id()
	accounts := s.fill(partner, 4, hourly)
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
		found, _ := must2(s.ListAccounts(s.Context(), partner, tc.f, tc.after, 0, 9, now))
		s.equal(tc.name, ids(found), ids(tc.want))
	}
}

func (s lists) TestPurgedAccountsAreSkipped() {
	partner := s.id()
	accounts := s.fill(partner, 10, hourly)
	for _, i := range []int{0, 3, 4, 5, 9} {
		s.remove(accounts[i])
	}
	want := []int64{accounts[1].ID, accounts[2].ID, accounts[6].ID, accounts[7].ID, accounts[8].ID}
	s.equal("before", len(s.walk(partner, account.Filter{}, 3, now)), 10)
	for _, size := range []int{1, 2, 3, 5} {
		s.equal(fmt.Sprint("by ", size), ids(s.walk(partner, account.Filter{Ascending: true}, size, purge)), want)
	}
	page, next := must2(s.ListAccounts(s.Context(), partner, account.Filter{Ascending: true}, nil, 2, 3, purge))
	s.equal("skipped", ids(page), want[2:])
	s.equal("more", next, (*account.Position)(nil))
}

func (s lists) TestAccountsLargerThanOneRead() {
	partner := s.id()
	metadata := map[string]string{}
	for i := range 20 {
		metadata[fmt.Sprint("key", i)] = strings.Repeat("v", 500)
	}
	accounts := s.fill(partner, 120, func(_ int, a *account.Account) { a.Metadata = metadata }) // 1.2 MB
	s.equal("accounts", s.walk(partner, account.Filter{Ascending: true}, 119, now), accounts)
}

func (s lists) TestConnectionsWithoutIntents() {
	a := s.account()
	var want []connection.Connection
	snapshots := map[string]connection.Snapshot{}
	for i := range 5 {
		change := func(c *connection.Connection) {
			c.AccountNumber, c.CreatedAt = "000408523"+strconv.Itoa(i), milli(now.Add(time.Duration(i/2)*time.Hour))
		}
		switch i {
		case 1:
			want = append(want, s.linkedTo(a.ID, nil, change))
		case 3:
			s.intent(a.ID, change)
		default:
			snap := s.snapshot(100*i, milli(now))
			c := s.linkedTo(a.ID, snap, change)
			want, snapshots[c.ID] = append(want, c), *snap
		}
	}
	slices.SortFunc(want, func(a, b connection.Connection) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	s.linked() // in another account
	got, none := must2(s.ListConnections(s.Context(), a.ID, false))
	s.equal("connections", got, want)
	s.equal("no snapshots", len(none), 0)
	got, packed := must2(s.ListConnections(s.Context(), a.ID, true))
	s.equal("connections", got, want)
	s.equal("snapshots", packed, snapshots)
}

func (s lists) TestMoreSnapshotsThanOneRead() {
	a := s.account()
	for i := range 4 {
		s.linkedTo(a.ID, s.snapshot(650_000, now), numbered("000408523"+strconv.Itoa(i)))
	}
	got, packed := must2(s.ListConnections(s.Context(), a.ID, true))
	s.equal("connections", len(got), 4)
	s.equal("snapshots", len(packed), 4)
}
