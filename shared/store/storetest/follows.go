package storetest

import (
	"errors"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/store"
)

// long is long before now, for tests that look at all that is due or unfinished in
// the table.
var long = time.Date(1971, 2, 3, 4, 5, 6, 789_000_000, time.UTC) // never changes

// unfinished lists what is unfinished of an account: ids of connections, and an empty
// text for the account itself.
func (s *suite) unfinished(account int64, at time.Time) []string {
	s.Helper()
	found, _ := must2(s.Unfinished(s.Context(), at, 1000))
	ids := []string{}
	for _, u := range found {
		if u.AccountID == account {
			ids = append(ids, u.ConnectionID)
		}
	}
	return ids
}

// follows tests FollowConnection, EndFollow and Unfinished.
type follows struct{ *suite }

func (s follows) TestChangesOfStandingMarkTheAccount() {
	a := s.account()
	mark := func(what string, at time.Time) {
		s.Helper()
		a = s.stored(a.ID)
		s.equal(what, a.Following, true)
		s.equal(what+": before", s.unfinished(a.ID, at.Add(-time.Millisecond)), []string{})
		s.equal(what+": then", s.unfinished(a.ID, at), []string{""})
		s.ok(s.EndFollow(s.Context(), a))
		want := a
		want.Following = false
		s.equal(what+": followed", s.stored(a.ID), want)
		s.equal(what+": followed", s.unfinished(a.ID, now), []string{})
		a = want
	}
	s.equal("new", a.Following, false)
	a = s.update(a, rename)
	s.equal("renamed", a.Following, false)
	s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, long))
	mark("disabled", long)
	s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, long))
	s.equal("disabled already", s.stored(a.ID), a)
	s.ok(s.UpdateAccount(s.Context(), account.Update{Old: a, New: active(a)}, effects.Effects{}, long))
	mark("enabled by an update", long)
	s.ok(s.DeleteAccount(s.Context(), a, false, purge, effects.Effects{}, long.Add(time.Second)))
	mark("deleted", long.Add(time.Second))
	s.ok(s.RestoreAccount(s.Context(), a, false, effects.Effects{}, long.Add(time.Second)))
	mark("restored", long.Add(time.Second))
	s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, long))
	s.ok(s.SetAccountActive(s.Context(), s.stored(a.ID), false, true, effects.Effects{}, long.Add(time.Minute)))
	mark("twice", long.Add(time.Minute))
	s.ok(s.EndFollow(s.Context(), a))
	s.equal("followed again", s.stored(a.ID), a)
}

func (s follows) TestMarkOutlivesOtherChanges() {
	a := s.account()
	s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, long))
	listed, _ := must2(s.ListAccounts(s.Context(), a.PartnerID, account.Filter{}, nil, 0, 9, now))
	// Lists do not show the mark.
	s.equal("marked", s.update(listed[0], rename).Following, true)
	a = s.update(s.stored(a.ID), func(a *account.Account) { a.LastName = "Changed" })
	s.equal("marked", a.Following, true)
	s.ok(s.EndFollow(s.Context(), a))
}

func (s follows) TestEndFollowOfChangedAccount() {
	s.fails("gone", s.EndFollow(s.Context(), s.newAccount().Account), fault.NotFound)
	disabled := s.disable(s.account())
	enabled := s.enable(disabled)
	s.fails("enabled again", s.EndFollow(s.Context(), disabled), fault.Precondition)
	s.equal("marked", enabled.Following, true)
	s.ok(s.EndFollow(s.Context(), enabled))
}

func (s follows) TestEndFollowKeepsKeys() {
	a, keys := s.withKeys(4, nil)
	a = s.remove(a)
	s.ok(s.EndFollow(s.Context(), a))
	s.ok(s.EndFollow(s.Context(), s.restore(a)))
	s.equal("keys", s.keys(a.ID), keys)
}

func (s follows) TestFollowOfChangedAccount() {
	c := s.linked()
	a := s.stored(c.AccountID)
	next := c
	next.Standing = account.StandingPaused
	s.fails("gone", s.FollowConnection(s.Context(), &next, s.newAccount().Account, effects.Effects{}, now), fault.NotFound)
	changed := s.disable(a)
	s.fails("changed", s.FollowConnection(s.Context(), &next, a, effects.Effects{}, now), fault.Precondition)
	s.equal("connection after a failure", next.Version, c.Version)
	s.equal("row", s.row(c), c)
	absent := s.newConnection(a.ID)
	s.fails("no row", s.FollowConnection(s.Context(), &absent, changed, effects.Effects{}, now), fault.NotFound)
	late := c
	s.ok(s.SaveConnection(s.Context(), &c))
	s.fails("another version", s.FollowConnection(s.Context(), &late, changed, effects.Effects{}, now), fault.State)
	late.PurgeAt = purge
	s.fails("another version, with an end", s.FollowConnection(s.Context(), &late, changed, effects.Effects{}, now), fault.State)
	s.equal("row", s.row(c), c)
	s.equal("holders", s.load(c.AccountID, store.Want{Number: s.number(c), Now: purge}).LinkedAs, []string{c.ID})
}

func (s follows) TestFollowThroughEveryStanding() {
	for name, snap := range map[string]*connection.Snapshot{"with a snapshot": s.snapshot(100, milli(now)), "without": nil} {
		c := s.linkedTo(s.account().ID, snap)
		follow := func(what string, standing account.Standing, purgeAt time.Time) {
			s.Helper()
			before := c
			c.Standing, c.PurgeAt, c.Work, c.LeaseUntil = standing, purgeAt, connection.WorkFollow, milli(now.Add(time.Minute))
			want := c
			want.Version = before.Version + 1
			s.ok(s.FollowConnection(s.Context(), &c, s.stored(c.AccountID), effects.Effects{}, now))
			s.equal(name+": "+what, c, want)
			s.equal(name+": "+what, s.row(c), want)
			l := s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true, Number: s.number(c), Now: purge.Add(-time.Second)})
			s.equal(name+": snapshot before", l.Snapshot, snap)
			s.equal(name+": holders before", l.LinkedAs, []string{c.ID})
			l = s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true, Number: s.number(c), Now: purge})
			s.equal(name+": "+what+": row after", l.Connection != nil, purgeAt.IsZero())
			s.equal(name+": "+what+": snapshot after", l.Snapshot != nil, purgeAt.IsZero() && snap != nil)
			s.equal(name+": "+what+": holders after", len(l.LinkedAs) > 0, purgeAt.IsZero())
		}
		a := s.stored(c.AccountID)
		a = s.disable(a)
		follow("paused", account.StandingPaused, time.Time{})
		a = s.enable(a)
		follow("active", account.StandingActive, time.Time{})
		a = s.remove(a)
		follow("deleted", account.StandingDeleted, purge)
		follow("deleted, again", account.StandingDeleted, purge)
		s.restore(a)
		follow("restored", account.StandingActive, time.Time{})
		s.unschedule(c)
	}
}

func (s follows) TestDisconnectedConnectionHoldsNoNumber() {
	c := s.linked()
	s.disconnect(&c)
	other := s.linkedTo(c.AccountID, nil)
	s.ok(s.FollowConnection(s.Context(), &c, s.stored(c.AccountID), effects.Effects{}, now))
	s.equal("holders", s.load(c.AccountID, store.Want{Number: s.number(c), Now: purge}).LinkedAs, []string{other.ID})
}

func (s follows) TestNumberLinkedAgainHasNoEnd() {
	c := s.linked()
	deleted := s.remove(s.stored(c.AccountID))
	c.PurgeAt = purge
	s.ok(s.FollowConnection(s.Context(), &c, deleted, effects.Effects{}, now))
	s.restore(deleted)
	s.disconnect(&c)
	other := s.linkedTo(c.AccountID, nil)
	s.equal("holders", s.load(c.AccountID, store.Want{Number: s.number(c), Now: purge}).LinkedAs, []string{other.ID})
}

func (s follows) TestUnfinished() {
	a := s.account()
	intent := s.intent(a.ID, func(c *connection.Connection) { c.LeaseUntil = long.Add(time.Second) })
	worked := s.saved(s.linkedTo(a.ID, nil, numbered("0004085231")), func(c *connection.Connection) {
		c.Work, c.LeaseUntil = connection.WorkCredentials, long
	})
	claimed := s.saved(s.linkedTo(a.ID, nil, numbered("0004085232")), func(c *connection.Connection) { c.NextRefreshAt = long })
	claimed = must(s.ClaimDue(s.Context(), entry(claimed), long, long, timing))
	rolled := s.saved(s.linkedTo(a.ID, nil, numbered("0004085233")), func(c *connection.Connection) {
		c.Previous, c.NextRefreshAt = connection.PreviousCredentials{SecretVersion: "v", Until: long.Add(-time.Hour)}, time.Time{}
	})
	s.equal("ended previous credentials", s.unfinished(a.ID, rolled.Previous.Until), []string{rolled.ID})
	s.equal("before they end", s.unfinished(a.ID, rolled.Previous.Until.Add(-time.Millisecond)), []string{})
	s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, long.Add(2*time.Second)))

	s.equal("before", s.unfinished(a.ID, long.Add(-time.Millisecond)), []string{rolled.ID})
	s.equal("the first", s.unfinished(a.ID, long), []string{worked.ID, rolled.ID})
	s.equal("a millisecond early", s.unfinished(a.ID, long.Add(time.Second-time.Nanosecond)), []string{worked.ID, rolled.ID})
	s.equal("the second", s.unfinished(a.ID, long.Add(time.Second)), []string{worked.ID, intent.ID, rolled.ID})
	s.equal("all", s.unfinished(a.ID, now), []string{worked.ID, intent.ID, "", rolled.ID})
	for limit := 1; limit < 5; limit++ {
		found, _ := must2(s.Unfinished(s.Context(), now, limit))
		s.equal("limit", len(found), limit)
	}
	all, _ := must2(s.Unfinished(s.Context(), now, 1000))
	for _, u := range all {
		if u.AccountID == a.ID && u.DueAt.IsZero() != (u.ConnectionID == rolled.ID) {
			s.Errorf("%s is due at %v; want none for ended previous credentials alone", u.ConnectionID, u.DueAt)
		}
	}
	rolled = s.saved(rolled, func(c *connection.Connection) { c.NextRefreshAt = milli(now.Add(time.Hour)) })
	s.equal("the schedule gives them up", s.unfinished(a.ID, now), []string{worked.ID, intent.ID, ""})
	rolled.Previous = connection.PreviousCredentials{}
	s.unschedule(rolled)

	worked = s.saved(worked, func(c *connection.Connection) { c.LeaseUntil = milli(now.Add(time.Hour)) })
	s.equal("taken up", s.unfinished(a.ID, now), []string{intent.ID, ""})
	s.ok(s.DropLink(s.Context(), intent))
	s.ok(s.EndFollow(s.Context(), s.stored(a.ID)))
	s.unschedule(worked)
	s.equal("done", s.unfinished(a.ID, now.Add(24*time.Hour)), []string{})
	s.unschedule(claimed)
}

func (s follows) TestConcurrentChangesEndInTheLastStanding() {
	c := s.linked()
	race(6, func(i int) error {
		if i < 2 {
			return s.SetAccountActive(s.Context(), account.Account{ID: c.AccountID, Active: i == 0}, false, i == 1, effects.Effects{}, now)
		}
		for range 4 {
			a, err := s.Account(s.Context(), c.AccountID, now)
			row, missing := s.Connection(s.Context(), c.AccountID, c.ID)
			if err = errors.Join(err, missing); err != nil {
				return err
			}
			row.Standing = a.Standing()
			if err = s.FollowConnection(s.Context(), &row, a, effects.Effects{}, now); err == nil {
				err = s.EndFollow(s.Context(), a)
			}
			if err != nil && !fault.Is(err, fault.State) && !fault.Is(err, fault.Precondition) {
				s.Error(err)
			}
		}
		return nil
	})
	if a := s.stored(c.AccountID); !a.Following {
		s.equal("standing", s.row(c).Standing, a.Standing())
	} else {
		s.ok(s.EndFollow(s.Context(), a))
	}
}

func active(a account.Account) account.Account {
	a.Active = true
	return a
}
