package storetest

import (
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/store"
)

// long is a time before that of all other tests, for those that look at what
// everybody left undone.
var long = time.Date(1971, 2, 3, 4, 5, 6, 789_000_000, time.UTC) // never changes

// unfinished is what of an account is unfinished.
func (s *suite) unfinished(account int64, at time.Time) []string {
	s.Helper()
	found, _, err := s.Unfinished(s.Context(), at, 1000)
	s.ok(err)
	ids := []string{}
	for _, u := range found {
		if u.AccountID == account {
			ids = append(ids, u.ConnectionID)
		}
	}
	return ids
}

func followTests() tests {
	return tests{
		"every change of what an account lets its connections do marks it":    followEveryChangeOfWhatAnAccountLetsItsConnectionsDoMarksIt,
		"a mark outlives other changes":                                       followAMarkOutlivesOtherChanges,
		"ending what has changed since":                                       followEndingWhatHasChangedSince,
		"ending with keys":                                                    followEndingWithKeys,
		"following an account that has changed":                               followFollowingAnAccountThatHasChanged,
		"following, through a life":                                           followFollowingThroughALife,
		"a disconnected connection follows without a number":                  followADisconnectedConnectionFollowsWithoutANumber,
		"a number that is linked anew has no end":                             followANumberThatIsLinkedAnewHasNoEnd,
		"what is unfinished":                                                  followWhatIsUnfinished,
		"at once with changes of the account, what follows is its last state": followAtOnceWithChangesOfTheAccountWhatFollowsIsItsLastState,
	}
}

func followEveryChangeOfWhatAnAccountLetsItsConnectionsDoMarksIt(s *suite) {
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
	a = s.update(a, func(a *account.Account) { a.FirstName = "Changed" })
	s.equal("renamed", a.Following, false)
	s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, long))
	mark("disabled", long)
	s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, long))
	s.equal("disabled already", s.stored(a.ID), a)
	s.ok(s.UpdateAccount(s.Context(), account.Update{Old: a, New: active(a, true)}, effects.Effects{}, long))
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

func followAMarkOutlivesOtherChanges(s *suite) {
	a := s.account()
	s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, long))
	listed, _, err := s.ListAccounts(s.Context(), a.PartnerID, account.Filter{}, nil, 0, 9, now)
	s.ok(err)
	// As a list shows it: there nobody is marked.
	s.equal("marked", s.update(listed[0], func(a *account.Account) { a.FirstName = "Changed" }).Following, true)
	a = s.update(s.stored(a.ID), func(a *account.Account) { a.LastName = "Changed" })
	s.equal("marked", a.Following, true)
	s.ok(s.EndFollow(s.Context(), a))
}

func followEndingWhatHasChangedSince(s *suite) {
	a := s.account()
	s.fails("gone", s.EndFollow(s.Context(), s.newAccount().Account), fault.NotFound)
	s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, now))
	disabled := s.stored(a.ID)
	s.ok(s.SetAccountActive(s.Context(), disabled, false, true, effects.Effects{}, now))
	s.fails("enabled again", s.EndFollow(s.Context(), disabled), fault.Precondition)
	enabled := s.stored(a.ID)
	s.equal("marked", enabled.Following, true)
	s.ok(s.EndFollow(s.Context(), enabled))
}

func followEndingWithKeys(s *suite) {
	a := s.account()
	for range 3 {
		s.ok(s.CreateKey(s.Context(), s.newKey(a.PartnerID, a.ID), effects.Effects{}, now))
	}
	keys, err := s.ListKeys(s.Context(), a.ID)
	s.ok(err)
	s.ok(s.DeleteAccount(s.Context(), a, false, purge, effects.Effects{}, now))
	s.ok(s.EndFollow(s.Context(), s.stored(a.ID)))
	s.ok(s.RestoreAccount(s.Context(), s.stored(a.ID), false, effects.Effects{}, now))
	s.ok(s.EndFollow(s.Context(), s.stored(a.ID)))
	got, err := s.ListKeys(s.Context(), a.ID)
	s.ok(err)
	s.equal("keys", got, keys)
	s.equal("keys", len(got), 4)
}

func followFollowingAnAccountThatHasChanged(s *suite) {
	c := s.linked()
	a := s.stored(c.AccountID)
	next := c
	next.Standing = account.StandingPaused
	s.fails("gone", s.FollowConnection(s.Context(), &next, s.newAccount().Account), fault.NotFound)
	s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, now))
	s.fails("changed", s.FollowConnection(s.Context(), &next, a), fault.Precondition)
	s.equal("connection after a failure", next.Version, c.Version)
	s.equal("row", s.row(c), c)
	a = s.stored(a.ID)
	absent := s.newConnection(a.ID)
	s.fails("no row", s.FollowConnection(s.Context(), &absent, a), fault.NotFound)
	late := c
	s.ok(s.SaveConnection(s.Context(), &c))
	s.fails("another version", s.FollowConnection(s.Context(), &late, a), fault.State)
	late.PurgeAt = purge
	s.fails("another version, with an end", s.FollowConnection(s.Context(), &late, a), fault.State)
	s.equal("row", s.row(c), c)
	s.equal("holders", s.load(c.AccountID, store.Want{Number: s.number(c), Now: purge}).LinkedAs, []string{c.ID})
}

func followFollowingThroughALife(s *suite) {
	for name, snap := range map[string]*connection.Snapshot{"with a snapshot": s.snapshot(100, milli(now)), "without": nil} {
		c := s.newConnection(s.account().ID)
		s.link(&c, snap)
		follow := func(what string, standing account.Standing, purgeAt time.Time) {
			s.Helper()
			before := c
			c.Standing, c.PurgeAt, c.Work, c.LeaseUntil = standing, purgeAt, connection.WorkFollow, milli(now.Add(time.Minute))
			want := c
			want.Version = before.Version + 1
			s.ok(s.FollowConnection(s.Context(), &c, s.stored(c.AccountID)))
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
		s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, now))
		follow("paused", account.StandingPaused, time.Time{})
		s.ok(s.SetAccountActive(s.Context(), s.stored(a.ID), false, true, effects.Effects{}, now))
		follow("active", account.StandingActive, time.Time{})
		s.ok(s.DeleteAccount(s.Context(), a, false, purge, effects.Effects{}, now))
		follow("deleted", account.StandingDeleted, purge)
		follow("deleted, again", account.StandingDeleted, purge)
		s.ok(s.RestoreAccount(s.Context(), s.stored(a.ID), false, effects.Effects{}, now))
		follow("restored", account.StandingActive, time.Time{})
		s.unschedule(c)
	}
}

func followADisconnectedConnectionFollowsWithoutANumber(s *suite) {
	c := s.linked()
	s.disconnect(&c)
	other := s.newConnection(c.AccountID)
	s.link(&other, nil)
	s.ok(s.FollowConnection(s.Context(), &c, s.stored(c.AccountID)))
	s.equal("holders", s.load(c.AccountID, store.Want{Number: s.number(c), Now: purge}).LinkedAs, []string{other.ID})
}

func followANumberThatIsLinkedAnewHasNoEnd(s *suite) {
	c := s.linked()
	s.ok(s.DeleteAccount(s.Context(), s.stored(c.AccountID), false, purge, effects.Effects{}, now))
	c.PurgeAt = purge
	s.ok(s.FollowConnection(s.Context(), &c, s.stored(c.AccountID)))
	s.ok(s.RestoreAccount(s.Context(), s.stored(c.AccountID), false, effects.Effects{}, now))
	s.disconnect(&c)
	other := s.newConnection(c.AccountID)
	s.link(&other, nil)
	s.equal("holders", s.load(c.AccountID, store.Want{Number: s.number(c), Now: purge}).LinkedAs, []string{other.ID})
}

func followWhatIsUnfinished(s *suite) {
	a := s.account()
	intent, worked, claimed := s.newConnection(a.ID), s.newConnection(a.ID), s.newConnection(a.ID)
	worked.AccountNumber, claimed.AccountNumber = "0004085231", "0004085232"
	intent.LeaseUntil = long.Add(time.Second)
	s.ok(s.BeginLink(s.Context(), &intent, connection.LinkOptions{}))
	s.link(&worked, nil)
	s.link(&claimed, nil)
	worked.Work, worked.LeaseUntil = connection.WorkCredentials, long
	s.ok(s.SaveConnection(s.Context(), &worked))
	claimed.NextRefreshAt = long
	s.ok(s.SaveConnection(s.Context(), &claimed))
	claimed, err := s.ClaimDue(s.Context(), entry(claimed), long, long, timing)
	s.ok(err)
	s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, long.Add(2*time.Second)))

	s.equal("before", s.unfinished(a.ID, long.Add(-time.Millisecond)), []string{})
	s.equal("the first", s.unfinished(a.ID, long), []string{worked.ID})
	s.equal("a millisecond early", s.unfinished(a.ID, long.Add(time.Second-time.Nanosecond)), []string{worked.ID})
	s.equal("the second", s.unfinished(a.ID, long.Add(time.Second)), []string{worked.ID, intent.ID})
	s.equal("all", s.unfinished(a.ID, now), []string{worked.ID, intent.ID, ""})
	for limit := 1; limit < 4; limit++ {
		found, _, err := s.Unfinished(s.Context(), now, limit)
		s.ok(err)
		s.equal("limit", len(found), limit)
	}

	worked.LeaseUntil = milli(now.Add(time.Hour))
	s.ok(s.SaveConnection(s.Context(), &worked))
	s.equal("taken up", s.unfinished(a.ID, now), []string{intent.ID, ""})
	s.ok(s.DropLink(s.Context(), intent))
	s.ok(s.EndFollow(s.Context(), s.stored(a.ID)))
	s.unschedule(worked)
	s.equal("done", s.unfinished(a.ID, now.Add(24*time.Hour)), []string{})
	s.unschedule(claimed)
}

func followAtOnceWithChangesOfTheAccountWhatFollowsIsItsLastState(s *suite) {
	c := s.linked()
	race(6, func(i int) error {
		if i < 2 {
			return s.SetAccountActive(s.Context(), account.Account{ID: c.AccountID, Active: i == 0}, false, i == 1, effects.Effects{}, now)
		}
		for range 4 {
			a, err := s.Account(s.Context(), c.AccountID, now)
			if err != nil {
				return err
			}
			row, err := s.Connection(s.Context(), c.AccountID, c.ID)
			if err != nil {
				return err
			}
			row.Standing = a.Standing()
			if err = s.FollowConnection(s.Context(), &row, a); err == nil {
				err = s.EndFollow(s.Context(), a)
			}
			if err != nil && !slices.Contains([]fault.Kind{fault.State, fault.Precondition}, fault.KindOf(err)) {
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

func active(a account.Account, is bool) account.Account {
	a.Active = is
	return a
}
