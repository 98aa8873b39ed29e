package storetest

import (
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/store"
)

// purge is when the accounts of these tests vanish.
var purge = now.Add(30 * 24 * time.Hour).Truncate(time.Second) // never changes

// deleted stores a deleted account.
func (s *suite) deleted() account.Account {
	s.Helper()
	a := s.full()
	s.ok(s.DeleteAccount(s.Context(), a, false, purge, effects.Effects{}, now))
	return s.stored(a.ID)
}

func deleteTests() tests {
	return tests{
		"marks the account":                                deleteMarksTheAccount,
		"again keeps the first date":                       deleteAgainKeepsTheFirstDate,
		"of an account that was changed meanwhile":         deleteOfAnAccountThatWasChangedMeanwhile,
		"refuses every change":                             deleteRefusesEveryChange,
		"a link that is at work does not finish":           deleteALinkThatIsAtWorkDoesNotFinish,
		"identifiers stay reserved until the purge":        deleteIdentifiersStayReservedUntilThePurge,
		"purged is absent":                                 deletePurgedIsAbsent,
		"restore":                                          deleteRestore,
		"restore of a disabled account":                    deleteRestoreOfADisabledAccount,
		"restore of what is not deleted":                   deleteRestoreOfWhatIsNotDeleted,
		"restore after somebody took the email":            deleteRestoreAfterSomebodyTookTheEmail,
		"at once with a creation, the email has one owner": deleteAtOnceWithACreationTheEmailHasOneOwner,
		"at once deleted and restored":                     deleteAtOnceDeletedAndRestored,
	}
}

func deleteMarksTheAccount(s *suite) {
	a := s.full()
	s.ok(s.DeleteAccount(s.Context(), a, false, purge.Add(time.Millisecond), effects.Effects{Answer: s.answer()}, now))
	want := a
	want.Active, want.PurgeAt, want.Following, want.Version, want.ModifiedAt = false, purge, true, 2, milli(now)
	s.equal("account", s.stored(a.ID), want)
	for name, f := range map[string]account.Filter{"all": {}, "disabled": {Active: new(bool)}} {
		found, _, err := s.ListAccounts(s.Context(), a.PartnerID, f, nil, 0, 9, now)
		s.ok(err)
		s.equal(name, found, []account.Account{asListed(want)})
	}
	yes := true
	found, _, err := s.ListAccounts(s.Context(), a.PartnerID, account.Filter{Active: &yes}, nil, 0, 9, now)
	s.ok(err)
	s.equal("active", len(found), 0)
}

func deleteAgainKeepsTheFirstDate(s *suite) {
	a := s.full()
	s.ok(s.DeleteAccount(s.Context(), a, false, purge, effects.Effects{}, now))
	b := s.stored(a.ID)
	for name, read := range map[string]account.Account{"read before": a, "read after": b} {
		s.ok(s.DeleteAccount(s.Context(), read, false, purge.Add(-time.Hour), effects.Effects{}, now.Add(time.Hour)))
		rec := s.answer()
		s.ok(s.DeleteAccount(s.Context(), read, false, purge.Add(-time.Hour), effects.Effects{Answer: rec}, now.Add(time.Hour)))
		s.equal(name, s.stored(a.ID), b)
		s.replays(name+", repeated", s.DeleteAccount(s.Context(), read, false, purge, effects.Effects{Answer: rec}, now), *rec)
	}
	s.ok(s.RestoreAccount(s.Context(), b, false, effects.Effects{}, now))
	s.equal("active again", s.stored(a.ID).Active, true)
}

func deleteOfAnAccountThatWasChangedMeanwhile(s *suite) {
	a := s.full()
	b := s.update(a, func(a *account.Account) { a.Email, a.ExternalID = "new."+a.Email, "new" })
	s.ok(s.DeleteAccount(s.Context(), a, false, purge, effects.Effects{}, now))
	s.equal("purge", s.stored(a.ID).PurgeAt, purge)
	s.free(a, now)
	s.free(b, purge)
}

func deleteRefusesEveryChange(s *suite) {
	a := s.deleted()
	s.refusesUpdate("update", a, func(a *account.Account) { a.FirstName = "x" }, fault.State)
	for _, active := range []bool{true, false} {
		for _, rec := range []*effects.Record{nil, s.answer()} {
			err := s.SetAccountActive(s.Context(), a, false, active, effects.Effects{Answer: rec}, now)
			s.fails("enable or disable", err, fault.State)
		}
	}
	err := s.CreateKey(s.Context(), s.newKey(a.PartnerID, a.ID), effects.Effects{}, now)
	s.fails("CreateKey", err, fault.State)
	c := s.newConnection(a.ID)
	s.fails("BeginLink", s.BeginLink(s.Context(), &c, connection.LinkOptions{}), fault.Inactive)
	s.equal("account", s.stored(a.ID), a)
}

func deleteALinkThatIsAtWorkDoesNotFinish(s *suite) {
	a := s.account()
	c := s.newConnection(a.ID)
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
	s.ok(s.DeleteAccount(s.Context(), a, false, purge, effects.Effects{}, now))
	s.fails("FinishLink", s.FinishLink(s.Context(), &c, nil, nil, effects.Effects{}, now), fault.State)
	s.ok(s.RestoreAccount(s.Context(), s.stored(a.ID), false, effects.Effects{}, now))
	s.ok(s.FinishLink(s.Context(), &c, nil, nil, effects.Effects{}, now))
}

func deleteIdentifiersStayReservedUntilThePurge(s *suite) {
	a := s.deleted()
	n := s.newAccount()
	n.Account.PartnerID, n.Account.Email, n.Account.ExternalID = a.PartnerID, a.Email, a.ExternalID
	for _, at := range []time.Time{now, purge.Add(-time.Millisecond)} {
		err := s.CreateAccount(s.Context(), n, effects.Effects{}, at)
		s.equal("conflicts", len(fault.Of(err)), 2)
		id, err := s.AccountByExternalID(s.Context(), a.PartnerID, a.ExternalID, at)
		s.ok(err)
		s.equal("found", id, a.ID)
	}
	other := s.full()
	s.refusesUpdate("another's email", other, func(o *account.Account) { o.Email = a.Email }, fault.Conflict)
	_, err := s.AccountByExternalID(s.Context(), a.PartnerID, a.ExternalID, purge)
	s.fails("at purge", err, fault.NotFound)
	other.Email, n.Account.Email = a.Email, ""
	s.ok(s.UpdateAccount(s.Context(), account.Update{Old: s.stored(other.ID), New: other}, effects.Effects{}, purge))
	s.ok(s.CreateAccount(s.Context(), n, effects.Effects{}, purge))
	id, err := s.AccountByExternalID(s.Context(), a.PartnerID, a.ExternalID, purge.Add(time.Hour))
	s.ok(err)
	s.equal("found", id, n.Account.ID)
}

func deletePurgedIsAbsent(s *suite) {
	a := s.deleted()
	renamed := a
	renamed.FirstName = "Changed"
	before := purge.Add(-time.Nanosecond)
	if s.load(a.ID, store.Want{Now: before}).Account == nil {
		s.Error("absent before its purge")
	}
	for _, at := range []time.Time{purge, purge.Add(time.Hour)} {
		if s.load(a.ID, store.Want{Now: at}).Account != nil {
			s.Error("Load: the account is there")
		}
		found, next, err := s.ListAccounts(s.Context(), a.PartnerID, account.Filter{}, nil, 0, 1, at)
		s.ok(err)
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

func deleteRestore(s *suite) {
	a := s.deleted()
	c := s.newConnection(a.ID)
	rec := s.answer()
	s.ok(s.RestoreAccount(s.Context(), a, false, effects.Effects{Answer: rec}, purge.Add(-time.Second)))
	want := a
	want.Active, want.PurgeAt, want.Version, want.ModifiedAt = true, time.Time{}, 3, purge.Add(-time.Second)
	s.equal("account", s.stored(a.ID), want)
	s.replays("its repeat", s.RestoreAccount(s.Context(), a, false, effects.Effects{Answer: rec}, now), *rec)
	s.replays("its repeat, read afterwards", s.RestoreAccount(s.Context(), want, false, effects.Effects{Answer: rec}, now), *rec)

	yes := true
	found, _, err := s.ListAccounts(s.Context(), a.PartnerID, account.Filter{Active: &yes}, nil, 0, 9, purge)
	s.ok(err)
	s.equal("listed after the date", found, []account.Account{asListed(want)})
	n := s.newAccount()
	n.Account.PartnerID, n.Account.Email, n.Account.ExternalID = a.PartnerID, a.Email, a.ExternalID
	err = s.CreateAccount(s.Context(), n, effects.Effects{}, purge.Add(time.Hour))
	s.equal("conflicts", len(fault.Of(err)), 2)
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
	s.ok(s.DeleteAccount(s.Context(), want, false, purge.Add(time.Hour), effects.Effects{}, now))
	s.equal("deleted again", s.stored(a.ID).PurgeAt, purge.Add(time.Hour))
}

func deleteRestoreOfADisabledAccount(s *suite) {
	a := s.account()
	s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, now))
	disabled := s.stored(a.ID)
	s.ok(s.DeleteAccount(s.Context(), disabled, false, purge, effects.Effects{}, now))
	s.ok(s.RestoreAccount(s.Context(), s.stored(a.ID), false, effects.Effects{}, now))
	got := s.stored(a.ID)
	s.equal("active", got.Active, false)
	found, _, err := s.ListAccounts(s.Context(), a.PartnerID, account.Filter{Active: new(bool)}, nil, 0, 9, now)
	s.ok(err)
	s.equal("listed", found, []account.Account{asListed(got)})
	s.ok(s.SetAccountActive(s.Context(), got, false, true, effects.Effects{}, now))
	s.equal("active", s.stored(a.ID).Active, true)
}

func deleteRestoreOfWhatIsNotDeleted(s *suite) {
	a := s.full()
	for _, rec := range []*effects.Record{nil, s.answer()} {
		err := s.RestoreAccount(s.Context(), a, false, effects.Effects{Answer: rec}, now)
		s.fails("RestoreAccount", err, fault.State)
	}
	d := s.deleted()
	s.ok(s.RestoreAccount(s.Context(), d, false, effects.Effects{}, now))
	err := s.RestoreAccount(s.Context(), d, false, effects.Effects{}, now)
	s.fails("read before", err, fault.State)
}

func deleteRestoreAfterSomebodyTookTheEmail(s *suite) {
	a := s.deleted()
	s.free(a, purge)
	err := s.RestoreAccount(s.Context(), a, false, effects.Effects{}, now) // a clock behind
	s.fails("RestoreAccount", err, fault.NotFound)
}

func deleteAtOnceWithACreationTheEmailHasOneOwner(s *suite) {
	for range 5 {
		a := s.full()
		n := s.newAccount()
		n.Account.Email = a.Email
		errs := race(2, func(i int) error {
			if i == 0 {
				return s.DeleteAccount(s.Context(), a, false, purge, effects.Effects{}, now)
			}
			return s.CreateAccount(s.Context(), n, effects.Effects{}, now)
		})
		s.ok(errs[0])
		if fault.Is(errs[1], fault.State) {
			continue
		}
		s.fails("CreateAccount", errs[1], fault.Conflict)
	}
}

func deleteAtOnceDeletedAndRestored(s *suite) {
	a := s.full()
	for _, err := range race(6, func(i int) error {
		if i%2 == 0 {
			return s.DeleteAccount(s.Context(), a, false, purge, effects.Effects{}, now)
		}
		return s.RestoreAccount(s.Context(), a, false, effects.Effects{Answer: s.answer()}, now)
	}) {
		if err != nil {
			s.fails("in a crowd", err, fault.State)
		}
	}
	got := s.stored(a.ID)
	s.equal("active or deleted", got.Active, !got.Deleted())
	n := s.newAccount()
	n.Account.Email = a.Email
	err := s.CreateAccount(s.Context(), n, effects.Effects{}, purge)
	s.equal("the email goes with the account", err == nil, got.Deleted())
}
