package storetest

import (
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/store"
)

// purge is when the deleted accounts of these tests are purged.
var purge = now.Add(30 * 24 * time.Hour).Truncate(time.Second) // never changes

// deleted stores a deleted account.
func (s *suite) deleted() account.Account {
	s.Helper()
	return s.remove(s.full())
}

// deletions tests DeleteAccount and RestoreAccount.
type deletions struct{ *suite }

func (s deletions) TestMarksTheAccount() {
	a := s.full()
	s.ok(s.DeleteAccount(s.Context(), a, false, purge.Add(time.Millisecond), effects.Effects{Answer: s.answer()}, now))
	want := a
	want.Active, want.PurgeAt, want.Following, want.Version, want.ModifiedAt = false, purge, true, 2, milli(now)
	s.equal("account", s.stored(a.ID), want)
	s.lists("all", a.PartnerID, account.Filter{}, now, want)
	s.lists("disabled", a.PartnerID, account.Filter{Active: new(false)}, now, want)
	s.lists("active", a.PartnerID, account.Filter{Active: new(true)}, now)
}

func (s deletions) TestSecondDeletionKeepsThePurgeDate() {
	a := s.full()
	b := s.remove(a)
	for name, read := range map[string]account.Account{"read before": a, "read after": b} {
		s.ok(s.DeleteAccount(s.Context(), read, false, purge.Add(-time.Hour), effects.Effects{}, now.Add(time.Hour)))
		rec := s.answer()
		s.ok(s.DeleteAccount(s.Context(), read, false, purge.Add(-time.Hour), effects.Effects{Answer: rec}, now.Add(time.Hour)))
		s.equal(name, s.stored(a.ID), b)
		s.replays(name+", repeated", s.DeleteAccount(s.Context(), read, false, purge, effects.Effects{Answer: rec}, now), *rec)
	}
	s.equal("active again", s.restore(b).Active, true)
}

func (s deletions) TestAccountChangedMeanwhile() {
	a := s.full()
	b := s.update(a, func(a *account.Account) { a.Email, a.ExternalID = "new."+a.Email, "new" })
	s.equal("purge", s.remove(a).PurgeAt, purge)
	s.free(a, now)
	s.free(b, purge)
}

func (s deletions) TestDeletedAccountRefusesChanges() {
	a := s.deleted()
	s.refusesUpdate("update", a, rename, fault.State)
	for _, active := range []bool{true, false} {
		for _, rec := range []*effects.Record{nil, s.answer()} {
			s.fails("enable or disable", s.SetAccountActive(s.Context(), a, false, active, effects.Effects{Answer: rec}, now), fault.State)
		}
	}
	s.fails("CreateKey", s.CreateKey(s.Context(), s.newKey(a.PartnerID, a.ID), effects.Effects{}, now), fault.State)
	c := s.newConnection(a.ID)
	s.fails("BeginLink", s.BeginLink(s.Context(), &c, connection.LinkOptions{}), fault.Inactive)
	s.equal("account", s.stored(a.ID), a)
}

func (s deletions) TestPendingLinkDoesNotFinish() {
	a := s.account()
	c := s.intent(a.ID)
	deleted := s.remove(a)
	s.fails("FinishLink", s.FinishLink(s.Context(), &c, nil, nil, effects.Effects{}, now), fault.State)
	s.restore(deleted)
	s.ok(s.FinishLink(s.Context(), &c, nil, nil, effects.Effects{}, now))
}

func (s deletions) TestIdentifiersStayReservedUntilThePurge() {
	a := s.deleted()
	n := s.newAccount(identifiedLike(a))
	for _, at := range []time.Time{now, purge.Add(-time.Millisecond)} {
		s.equal("conflicts", len(fault.Of(s.CreateAccount(s.Context(), n, effects.Effects{}, at))), 2)
		s.equal("found", must(s.AccountByExternalID(s.Context(), a.PartnerID, a.ExternalID, at)), a.ID)
	}
	other := s.full()
	s.refusesUpdate("another's email", other, emailed(a.Email), fault.Conflict)
	s.fails("at purge", errOf(s.AccountByExternalID(s.Context(), a.PartnerID, a.ExternalID, purge)), fault.NotFound)
	other.Email, n.Account.Email = a.Email, ""
	s.ok(s.UpdateAccount(s.Context(), account.Update{Old: s.stored(other.ID), New: other}, effects.Effects{}, purge))
	s.ok(s.CreateAccount(s.Context(), n, effects.Effects{}, purge))
	s.equal("found", must(s.AccountByExternalID(s.Context(), a.PartnerID, a.ExternalID, purge.Add(time.Hour))), n.Account.ID)
}

func (s deletions) TestPurgedAccountIsAbsent() {
	a := s.deleted()
	renamed := a
	rename(&renamed)
	if s.load(a.ID, store.Want{Now: purge.Add(-time.Nanosecond)}).Account == nil {
		s.Error("absent before its purge")
	}
	for _, at := range []time.Time{purge, purge.Add(time.Hour)} {
		if s.load(a.ID, store.Want{Now: at}).Account != nil {
			s.Error("Load: the account is there")
		}
		found, next := must2(s.ListAccounts(s.Context(), a.PartnerID, account.Filter{}, nil, 0, 1, at))
		s.equal("listed", len(found), 0)
		s.equal("more", next, (*account.Position)(nil))
		for name, change := range map[string]func(rec *effects.Record) error{
			"restore": func(rec *effects.Record) error {
				return s.RestoreAccount(s.Context(), a, false, effects.Effects{Answer: rec}, at)
			},
			"update": func(rec *effects.Record) error {
				return s.UpdateAccount(s.Context(), account.Update{Old: a, New: renamed}, effects.Effects{Answer: rec}, at)
			},
			"key": func(rec *effects.Record) error {
				return s.CreateKey(s.Context(), s.newKey(a.PartnerID, a.ID), effects.Effects{Answer: rec}, at)
			},
		} {
			s.fails(name, change(nil), fault.NotFound)
			s.fails(name, change(s.answer()), fault.NotFound)
		}
	}
}

func (s deletions) TestRestore() {
	a := s.deleted()
	c := s.newConnection(a.ID)
	rec := s.answer()
	s.ok(s.RestoreAccount(s.Context(), a, false, effects.Effects{Answer: rec}, purge.Add(-time.Second)))
	want := a
	want.Active, want.PurgeAt, want.Version, want.ModifiedAt = true, time.Time{}, 3, purge.Add(-time.Second)
	s.equal("account", s.stored(a.ID), want)
	s.replays("its repeat", s.RestoreAccount(s.Context(), a, false, effects.Effects{Answer: rec}, now), *rec)
	s.replays("its repeat, read afterwards", s.RestoreAccount(s.Context(), want, false, effects.Effects{Answer: rec}, now), *rec)

	s.lists("after the date", a.PartnerID, account.Filter{Active: new(true)}, purge, want)
	err := s.CreateAccount(s.Context(), s.newAccount(identifiedLike(a)), effects.Effects{}, purge.Add(time.Hour))
	s.equal("conflicts", len(fault.Of(err)), 2)
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
	s.ok(s.DeleteAccount(s.Context(), want, false, purge.Add(time.Hour), effects.Effects{}, now))
	s.equal("deleted again", s.stored(a.ID).PurgeAt, purge.Add(time.Hour))
}

func (s deletions) TestRestoreDisabledAccount() {
	got := s.restore(s.remove(s.disable(s.account())))
	s.equal("active", got.Active, false)
	s.lists("disabled", got.PartnerID, account.Filter{Active: new(false)}, now, got)
	s.equal("active", s.enable(got).Active, true)
}

func (s deletions) TestRestoreAccountThatIsNotDeleted() {
	a := s.full()
	for _, rec := range []*effects.Record{nil, s.answer()} {
		s.fails("RestoreAccount", s.RestoreAccount(s.Context(), a, false, effects.Effects{Answer: rec}, now), fault.State)
	}
	d := s.deleted()
	s.restore(d)
	s.fails("read before", s.RestoreAccount(s.Context(), d, false, effects.Effects{}, now), fault.State)
}

func (s deletions) TestRestoreAfterTheEmailWasTaken() {
	a := s.deleted()
	s.free(a, purge)
	s.fails("RestoreAccount, by a clock that is behind", s.RestoreAccount(s.Context(), a, false, effects.Effects{}, now), fault.NotFound)
}

func (s deletions) TestConcurrentDeleteAndCreateWithOneEmail() {
	for range 5 {
		a := s.full()
		n := s.newAccount(emailed(a.Email))
		errs := race(2, func(i int) error {
			if i == 0 {
				return s.DeleteAccount(s.Context(), a, false, purge, effects.Effects{}, now)
			}
			return s.CreateAccount(s.Context(), n, effects.Effects{}, now)
		})
		s.ok(errs[0])
		s.wins(0, errs[1:], fault.Conflict, fault.State)
	}
}

func (s deletions) TestConcurrentDeleteAndRestore() {
	a := s.full()
	for _, err := range race(6, func(i int) error {
		if i%2 == 0 {
			return s.DeleteAccount(s.Context(), a, false, purge, effects.Effects{}, now)
		}
		return s.RestoreAccount(s.Context(), a, false, effects.Effects{Answer: s.answer()}, now)
	}) {
		if err != nil {
			s.fails("too many at once", err, fault.State)
		}
	}
	got := s.stored(a.ID)
	s.equal("active or deleted", got.Active, !got.Deleted())
	err := s.CreateAccount(s.Context(), s.newAccount(emailed(a.Email)), effects.Effects{}, purge)
	s.equal("the email goes with the account", err == nil, got.Deleted())
}
