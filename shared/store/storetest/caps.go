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

// capped is the suite with caps, and an account of it.
func (s *suite) capped(caps Caps) (*suite, int64) {
	s.Helper()
	own := &suite{T: s.T, folding: folding{s.open(s.T, caps)}, open: s.open}
	n := own.newAccount()
	own.create(n)
	return own, n.Account.ID
}

// linkAt links one connection more at a time, with this number.
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

// refused expects fault.State, without a time to come back, in words that name
// the cap.
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

func capTests() tests {
	return tests{
		"connections, at a time":        capConnectionsAtATime,
		"connections, begun at once":    capConnectionsBegunAtOnce,
		"duplicates of a number":        capDuplicatesOfANumber,
		"links of a day":                capLinksOfADay,
		"links of a day, begun at once": capLinksOfADayBegunAtOnce,
		"unlinkings of a day":           capUnlinkingsOfADay,
		"keys":                          capKeys,
	}
}

func capConnectionsAtATime(s *suite) {
	s, account := s.capped(Caps{Caps: connection.Caps{Connections: 3}})
	var made []connection.Connection
	for i := range 3 {
		c, err := s.linkAt(account, strconv.Itoa(i), now)
		s.ok(err)
		made = append(made, c)
	}
	_, err := s.linkAt(account, "more", now)
	s.refused("a fourth", err, "3 carrier connections")
	s.ok(s.unlinkAt(made[0], now))
	_, err = s.linkAt(account, "more", now)
	s.ok(err)
}

func capConnectionsBegunAtOnce(s *suite) {
	s, account := s.capped(Caps{Caps: connection.Caps{Connections: 3}})
	var begun []connection.Connection
	for i := range 5 {
		c := s.newConnection(account)
		c.AccountNumber = strconv.Itoa(i)
		s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
		begun = append(begun, c)
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

func capDuplicatesOfANumber(s *suite) {
	s, account := s.capped(Caps{Caps: connection.Caps{Duplicates: 2}})
	first, err := s.linkAt(account, "0001", now)
	s.ok(err)
	_, err = s.linkAt(account, "0001", now)
	s.ok(err)
	_, err = s.linkAt(account, "0001", now)
	s.refused("a third", err, "2 times")
	other, err := s.linkAt(account, "0002", now)
	s.ok(err)
	changed := other
	changed.AccountNumber = "0001"
	change := connection.Update{OldNumber: "0002", AllowDuplicate: true}
	s.refused("a change", s.ChangeConnection(s.Context(), &changed, change, effects.Effects{}, now), "2 times")
	s.ok(s.unlinkAt(first, now))
	s.ok(s.ChangeConnection(s.Context(), &changed, change, effects.Effects{}, now))
	_, err = s.linkAt(account, "0001", now)
	s.refused("a third again", err, "2 times")
}

func capLinksOfADay(s *suite) {
	s, account := s.capped(Caps{Caps: connection.Caps{LinksPerDay: 2}})
	evening := time.Date(2026, 3, 4, 23, 59, 59, 999_000_000, time.UTC)
	for i := range 2 {
		c, err := s.linkAt(account, strconv.Itoa(i), evening)
		s.ok(err)
		s.ok(s.unlinkAt(c, evening))
	}
	c := s.newConnection(account)
	c.ModifiedAt = evening
	s.refused("a third", s.BeginLink(s.Context(), &c, connection.LinkOptions{}), "link 2 carriers a day")
	_, err := s.Connection(s.Context(), account, c.ID)
	s.fails("its intent", err, fault.NotFound)
	// A link that came to nothing counts nothing.
	midnight := evening.Add(time.Millisecond)
	for range 4 {
		failed := s.newConnection(account)
		failed.ModifiedAt = midnight
		s.ok(s.BeginLink(s.Context(), &failed, connection.LinkOptions{}))
		s.ok(s.DropLink(s.Context(), failed))
	}
	for i := range 2 {
		_, err := s.linkAt(account, strconv.Itoa(i), midnight)
		s.ok(err)
	}
	_, err = s.linkAt(account, "more", midnight)
	s.refused("a third of the next day", err, "link 2 carriers a day")
	other := s.newAccount()
	s.create(other)
	_, err = s.linkAt(other.Account.ID, "more", midnight)
	s.ok(err)
}

func capLinksOfADayBegunAtOnce(s *suite) {
	s, account := s.capped(Caps{Caps: connection.Caps{LinksPerDay: 1}})
	var begun []connection.Connection
	for i := range 2 {
		c := s.newConnection(account)
		c.AccountNumber, c.ModifiedAt = strconv.Itoa(i), now
		s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
		begun = append(begun, c)
	}
	s.ok(s.FinishLink(s.Context(), &begun[0], nil, nil, effects.Effects{}, now))
	s.refused("the other one", s.FinishLink(s.Context(), &begun[1], nil, nil, effects.Effects{}, now), "link 1 carriers a day")
	s.equal("carriers_count", s.load(account, store.Want{}).Account.CarriersCount, 1)
}

func capUnlinkingsOfADay(s *suite) {
	s, account := s.capped(Caps{Caps: connection.Caps{LinksPerDay: 2}})
	var made []connection.Connection
	for i := range 4 {
		c, err := s.linkAt(account, strconv.Itoa(i), now.AddDate(0, 0, i/2))
		s.ok(err)
		made = append(made, c)
	}
	at := now.AddDate(0, 0, 7)
	s.ok(s.unlinkAt(made[0], at))
	s.ok(s.unlinkAt(made[1], at))
	s.refused("a third", s.unlinkAt(made[2], at), "unlink 2 carriers a day")
	row, err := s.Connection(s.Context(), account, made[2].ID)
	s.ok(err)
	s.equal("version", row.Version, made[2].Version)
	s.ok(s.unlinkAt(made[2], at.AddDate(0, 0, 1)))
}

func capKeys(s *suite) {
	s, account := s.capped(Caps{Keys: 2})
	k := s.newKey(5, account)
	err := s.CreateKey(s.Context(), k, effects.Effects{}, now)
	s.ok(err)
	err = s.CreateKey(s.Context(), s.newKey(5, account), effects.Effects{}, now)
	s.refused("a third", err, "2 API keys")
	s.ok(s.DeleteKey(s.Context(), k, effects.Effects{}, now))
	err = s.CreateKey(s.Context(), s.newKey(5, account), effects.Effects{}, now)
	s.ok(err)
}
