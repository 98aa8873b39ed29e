package storetest

import (
	"context"
	"strconv"
	"strings"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/store"
)

// caps tests the caps of an account.
type caps struct{ *suite }

// capped is the suite with a store that has these caps, and an account of it.
func (s caps) capped(c Caps) (caps, int64) {
	s.Helper()
	own := caps{&suite{T: s.T, folding: folding{s.open(s.T, c)}, open: s.open}}
	return own, own.account().ID
}

// linkAt links another connection with this number at a time.
func (s *suite) linkAt(accountID int64, number string, at time.Time) (connection.Connection, error) {
	s.Helper()
	c := s.newConnection(accountID)
	c.AccountNumber, c.ModifiedAt, c.Standing = number, at, account.StandingActive
	if err := s.BeginLink(s.Context(), &c, connection.LinkOptions{AllowDuplicate: true}); err != nil {
		return c, err
	}
	c.Status = connection.Active
	return c, s.FinishLink(s.Context(), &c, nil, nil, effects.Effects{}, now)
}

// refused checks that err is fault.State without RetryAfter, and that its message has
// these words, which name the cap.
func (s *suite) refused(what string, err error, words string) {
	s.Helper()
	p := s.problem(what, err, fault.State)
	if p.RetryAfter != 0 || !strings.Contains(p.Message, words) {
		s.Errorf("%s: %q, Retry-After %v, want %q in it", what, p.Message, p.RetryAfter, words)
	}
}

func (s *suite) unlinkAt(c connection.Connection, at time.Time) error {
	s.Helper()
	c.Status, c.DisconnectedAt = connection.Disconnected, at
	return s.Unlink(s.Context(), &c, effects.Effects{}, now)
}

func (s caps) TestConnections() {
	s, account := s.capped(Caps{Caps: connection.Caps{Connections: 3}})
	var made []connection.Connection
	for i := range 3 {
		made = append(made, must(s.linkAt(account, strconv.Itoa(i), now)))
	}
	s.refused("a fourth", errOf(s.linkAt(account, "more", now)), "3 carrier connections")
	s.ok(s.unlinkAt(made[0], now))
	s.ok(errOf(s.linkAt(account, "more", now)))
}

func (s caps) TestConnectionsOfConcurrentLinks() {
	s, account := s.capped(Caps{Caps: connection.Caps{Connections: 3}})
	var begun []connection.Connection
	for i := range 5 {
		begun = append(begun, s.intent(account, numbered(strconv.Itoa(i))))
	}
	finished := 0
	for _, err := range race(len(begun), func(i int) error {
		c := begun[i]
		c.Status = connection.Active
		return s.FinishLink(context.Background(), &c, nil, nil, effects.Effects{}, now)
	}) {
		if err == nil {
			finished++
		} else {
			s.refused("one too many", err, "3 carrier connections")
		}
	}
	s.equal("connections", finished, 3)
	s.equal("carriers_count", s.load(account, store.Want{}).Account.CarriersCount, 3)
}

func (s caps) TestDuplicatesOfANumber() {
	s, account := s.capped(Caps{Caps: connection.Caps{Duplicates: 2}})
	first := must(s.linkAt(account, "0001", now))
	s.ok(errOf(s.linkAt(account, "0001", now)))
	s.refused("a third", errOf(s.linkAt(account, "0001", now)), "2 times")
	other := must(s.linkAt(account, "0002", now))
	changed := other
	changed.AccountNumber = "0001"
	change := connection.Update{OldNumber: "0002", AllowDuplicate: true}
	s.refused("a change", s.ChangeConnection(s.Context(), &changed, change, effects.Effects{}, now), "2 times")
	s.ok(s.unlinkAt(first, now))
	s.ok(s.ChangeConnection(s.Context(), &changed, change, effects.Effects{}, now))
	s.refused("a third again", errOf(s.linkAt(account, "0001", now)), "2 times")
}

func (s caps) TestLinksPerDay() {
	s, account := s.capped(Caps{Caps: connection.Caps{LinksPerDay: 2}})
	evening := time.Date(2026, 3, 4, 23, 59, 59, 999_000_000, time.UTC)
	for i := range 2 {
		s.ok(s.unlinkAt(must(s.linkAt(account, strconv.Itoa(i), evening)), evening))
	}
	c := s.newConnection(account)
	c.ModifiedAt = evening
	s.refused("a third", s.BeginLink(s.Context(), &c, connection.LinkOptions{}), "link at most 2 carriers a day")
	s.fails("its intent", errOf(s.Connection(s.Context(), account, c.ID)), fault.NotFound)
	// A link that was dropped does not count.
	midnight := evening.Add(time.Millisecond)
	for range 4 {
		s.ok(s.DropLink(s.Context(), s.intent(account, func(c *connection.Connection) { c.ModifiedAt = midnight })))
	}
	for i := range 2 {
		s.ok(errOf(s.linkAt(account, strconv.Itoa(i), midnight)))
	}
	s.refused("a third of the next day", errOf(s.linkAt(account, "more", midnight)), "link at most 2 carriers a day")
	s.ok(errOf(s.linkAt(s.account().ID, "more", midnight)))
}

func (s caps) TestLinksPerDayOfConcurrentLinks() {
	s, account := s.capped(Caps{Caps: connection.Caps{LinksPerDay: 1}})
	var begun []connection.Connection
	for i := range 2 {
		begun = append(begun, s.intent(account, numbered(strconv.Itoa(i)), func(c *connection.Connection) { c.ModifiedAt = now }))
	}
	s.ok(s.FinishLink(s.Context(), &begun[0], nil, nil, effects.Effects{}, now))
	s.refused("the other one", s.FinishLink(s.Context(), &begun[1], nil, nil, effects.Effects{}, now), "link at most 1 carriers a day")
	s.equal("carriers_count", s.load(account, store.Want{}).Account.CarriersCount, 1)
}

func (s caps) TestUnlinksPerDay() {
	s, account := s.capped(Caps{Caps: connection.Caps{LinksPerDay: 2}})
	var made []connection.Connection
	for i := range 4 {
		made = append(made, must(s.linkAt(account, strconv.Itoa(i), now.AddDate(0, 0, i/2))))
	}
	at := now.AddDate(0, 0, 7)
	s.ok(s.unlinkAt(made[0], at))
	s.ok(s.unlinkAt(made[1], at))
	s.refused("a third", s.unlinkAt(made[2], at), "unlink at most 2 carriers a day")
	s.equal("version", s.row(made[2]).Version, made[2].Version)
	s.ok(s.unlinkAt(made[2], at.AddDate(0, 0, 1)))
}

func (s caps) TestKeys() {
	s, account := s.capped(Caps{Keys: 2})
	k := s.newKey(5, account)
	s.ok(s.CreateKey(s.Context(), k, effects.Effects{}, now))
	s.refused("a third", s.CreateKey(s.Context(), s.newKey(5, account), effects.Effects{}, now), "2 API keys")
	s.ok(s.DeleteKey(s.Context(), k, effects.Effects{}, now))
	s.ok(s.CreateKey(s.Context(), s.newKey(5, account), effects.Effects{}, now))
}
