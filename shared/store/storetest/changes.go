package storetest

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/store"
)

// full stores an account with an email and an external id.
func (s *suite) full() account.Account {
	s.Helper()
	n := s.newAccount()
	n.Account.Email, n.Account.ExternalID = s.hash()[:20]+"@example.com", s.hash()
	s.create(n)
	return n.Account
}

// stored is the account as it is now.
func (s *suite) stored(id int64) account.Account {
	s.Helper()
	a := s.load(id, store.Want{}).Account
	if a == nil {
		s.Fatal("the account is absent")
	}
	return *a
}

// asListed is an account as lists show it.
func asListed(a account.Account) account.Account {
	a.PasswordHash, a.Following = "", false
	return a
}

// replays checks that a change found its Idempotency-Key taken by a record.
func (s *suite) replays(what string, err error, want effects.Record) {
	s.Helper()
	replay, ok := errors.AsType[*effects.Replay](err)
	if !ok {
		s.Fatalf("%s: %v, want a replay", what, err)
	}
	s.equal(what, replay.Record, want)
}

// update changes the stored account by f, and returns it as it is then.
func (s *suite) update(a account.Account, f func(*account.Account)) account.Account {
	s.Helper()
	next := a
	f(&next)
	s.ok(s.UpdateAccount(s.Context(), account.Update{Old: a, New: next}, effects.Effects{}, now))
	return s.stored(a.ID)
}

// refusesUpdate checks that a change is refused and nothing of it is kept.
func (s *suite) refusesUpdate(what string, a account.Account, f func(*account.Account), kind fault.Kind) []*fault.Error {
	s.Helper()
	before := s.load(a.ID, store.Want{}).Account
	next := a
	f(&next)
	rec := s.answer()
	err := s.UpdateAccount(s.Context(), account.Update{Old: a, New: next}, effects.Effects{Answer: rec}, now)
	if err == nil || !fault.Is(err, kind) {
		s.Fatalf("%s: UpdateAccount = %v, want kind %v", what, err, kind)
	}
	s.equal(what+": account", s.load(a.ID, store.Want{}).Account, before)
	if kept, err := s.Idempotency(s.Context(), *rec, now); kept != nil || err != nil {
		s.Errorf("%s: the answer was kept: %v, %v", what, kept, err)
	}
	return fault.Of(err)
}

// answer is a record of a finished request.
func (s *suite) answer() *effects.Record {
	rec := s.newRecord()
	rec.Sealed, rec.ClaimID, rec.LeaseUntil = []byte("answer"), "", time.Time{}
	return &rec
}

// free checks that an account can be created with these identifiers.
func (s *suite) free(a account.Account, at time.Time) {
	s.Helper()
	n := s.newAccount()
	n.Account.PartnerID, n.Account.Email, n.Account.ExternalID = a.PartnerID, a.Email, a.ExternalID
	s.ok(s.CreateAccount(s.Context(), n, effects.Effects{}, at))
}

func changeTests() tests {
	return tests{
		"of what is gone":                                      changeOfWhatIsGone,
		"of another version":                                   changeOfAnotherVersion,
		"of the country while a carrier is linked":             changeOfTheCountryWhileACarrierIsLinked,
		"of nothing":                                           changeOfNothing,
		"of a state, pinned to what was read":                  changeOfAStatePinnedToWhatWasRead,
		"to what others hold":                                  changeToWhatOthersHold,
		"an old version of an account comes before conflicts":  changeAnOldVersionOfAnAccountComesBeforeConflicts,
		"of identifiers":                                       changeOfIdentifiers,
		"of an email's letter case is no conflict with itself": changeOfAnEmailsLetterCaseIsNoConflictWithItself,
		"everything, and back to little":                       changeEverythingAndBackToLittle,
		"of an account as a list shows it leaves its password": changeOfAnAccountAsAListShowsItLeavesItsPassword,
		"under an idempotency key":                             changeUnderAnIdempotencyKey,
		"of Active":                                            changeOfActive,
		"an ended context is internal":                         changeAnEndedContextIsInternal,
		"at once of one version, one wins":                     changeAtOnceOfOneVersionOneWins,
		"at once under one idempotency key, one changes":       changeAtOnceUnderOneIdempotencyKeyOneChanges,
		"at once with links, no carrier is lost":               changeAtOnceWithLinksNoCarrierIsLost,
		"at once enabled and disabled, both are done":          changeAtOnceEnabledAndDisabledBothAreDone,
	}
}

func changeOfWhatIsGone(s *suite) {
	rename := func(a *account.Account) { a.FirstName = "Changed" }
	a := s.newAccount().Account
	s.refusesUpdate("update", a, rename, fault.NotFound)
	err := s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, now)
	s.fails("disable", err, fault.NotFound)
	err = s.DeleteAccount(s.Context(), a, false, now.Add(time.Hour), effects.Effects{}, now)
	s.fails("delete", err, fault.NotFound)
	a.PurgeAt = now.Add(time.Hour)
	err = s.RestoreAccount(s.Context(), a, false, effects.Effects{}, now)
	s.fails("restore", err, fault.NotFound)
}

func changeOfAnotherVersion(s *suite) {
	rename := func(a *account.Account) { a.FirstName = "Changed" }
	a := s.account()
	b := s.update(a, rename)
	s.equal("version", b.Version, a.Version+1)
	s.refusesUpdate("old", a, func(a *account.Account) { a.LastName = "Late" }, fault.Precondition)
	b.Version++
	s.refusesUpdate("new", b, rename, fault.Precondition)
}

func changeOfTheCountryWhileACarrierIsLinked(s *suite) {
	rename := func(a *account.Account) { a.FirstName = "Changed" }
	a := s.stored(s.linked().AccountID)
	abroad := func(a *account.Account) { a.OriginCountryCode = "NZ" }
	p := s.refusesUpdate("linked", a, abroad, fault.State)
	s.equal("field", p[0].Field, "origin_country_code")
	s.update(a, rename)
	s.equal("country", s.update(s.account(), abroad).OriginCountryCode, "NZ")
}

func changeOfNothing(s *suite) {
	rename := func(a *account.Account) { a.FirstName = "Changed" }
	n := s.newAccount()
	n.Account.Email, n.Account.ExternalID, n.Account.PasswordHash = s.hash()[:20]+"@example.com", s.hash(), s.hash()
	n.Account.Metadata = map[string]string{"a": "b", "c": ""}
	s.create(n)
	a := s.stored(n.Account.ID)
	s.equal("without a record", s.update(a, func(*account.Account) {}), a)
	rec := s.answer()
	s.ok(s.UpdateAccount(s.Context(), account.Update{Old: a, New: a}, effects.Effects{Answer: rec}, now))
	s.equal("with a record", s.stored(a.ID), a)
	s.replays("its repeat", s.UpdateAccount(s.Context(), account.Update{Old: a, New: a}, effects.Effects{Answer: rec}, now), *rec)
	b := s.update(a, rename)
	s.refusesUpdate("of another version", a, func(*account.Account) {}, fault.Precondition)
	s.ok(s.DeleteAccount(s.Context(), b, false, purge, effects.Effects{}, now))
	s.refusesUpdate("of a deleted one", b, func(*account.Account) {}, fault.State)
	// Carriers are counted by links, whatever a change says of them.
	c := s.stored(s.linked().AccountID)
	s.equal("while a carrier is linked", s.update(c, func(a *account.Account) { a.CarriersCount = 0 }), c)
}

func changeOfAStatePinnedToWhatWasRead(s *suite) {
	rename := func(a *account.Account) { a.FirstName = "Changed" }
	for what, change := range map[string]func(a account.Account, rec *effects.Record) error{
		"disable": func(a account.Account, rec *effects.Record) error {
			return s.SetAccountActive(s.Context(), a, true, false, effects.Effects{Answer: rec}, now)
		},
		"delete": func(a account.Account, rec *effects.Record) error {
			return s.DeleteAccount(s.Context(), a, true, purge, effects.Effects{Answer: rec}, now)
		},
		"restore": func(a account.Account, rec *effects.Record) error {
			return s.RestoreAccount(s.Context(), a, true, effects.Effects{Answer: rec}, now)
		},
	} {
		old := s.full()
		read := s.update(old, rename)
		if what == "restore" {
			s.ok(s.DeleteAccount(s.Context(), read, false, purge, effects.Effects{}, now))
			old = s.stored(read.ID)
			s.ok(s.RestoreAccount(s.Context(), old, false, effects.Effects{}, now))
			s.ok(s.DeleteAccount(s.Context(), s.stored(old.ID), false, purge, effects.Effects{}, now))
			read = s.stored(old.ID)
		}
		for _, rec := range []*effects.Record{nil, s.answer()} {
			s.fails(what+" of an old version", change(old, rec), fault.Precondition)
			s.equal(what, s.stored(read.ID), read)
		}
		rec := s.answer()
		s.ok(change(read, rec))
		s.equal(what+": version", s.stored(read.ID).Version, read.Version+1)
		s.replays(what+", repeated", change(read, rec), *rec)
	}
}

func changeToWhatOthersHold(s *suite) {
	a, same, stranger := s.full(), s.newAccount(), s.full()
	same.Account.PartnerID, same.Account.ExternalID = a.PartnerID, "same"
	s.create(same)
	list := s.refusesUpdate("both", a, func(a *account.Account) {
		a.ExternalID, a.Email = "same", strings.ToUpper(stranger.Email)
	}, fault.Conflict)
	var got []conflict
	for _, p := range list {
		got = append(got, conflict{p.Field, p.ExistingAccountID})
	}
	s.equal("conflicts", got, []conflict{{"external_account_id", same.Account.ID}, {"email", 0}})
	list = s.refusesUpdate("one", a, func(a *account.Account) { a.Email, a.ExternalID = "", "same" }, fault.Conflict)
	s.equal("conflicts", len(list), 1)
	id, err := s.AccountByExternalID(s.Context(), a.PartnerID, a.ExternalID, now)
	s.ok(err)
	s.equal("what it has is its own still", id, a.ID)
}

func changeAnOldVersionOfAnAccountComesBeforeConflicts(s *suite) {
	rename := func(a *account.Account) { a.FirstName = "Changed" }
	a, other := s.full(), s.full()
	s.update(a, rename)
	s.refusesUpdate("both", a, func(a *account.Account) { a.Email = other.Email }, fault.Precondition)
}

func changeOfIdentifiers(s *suite) {
	a := s.full()
	old := a
	b := s.update(a, func(a *account.Account) { a.Email, a.ExternalID = "new."+a.Email, "n#/%"+a.ExternalID })
	s.free(old, now)
	id, err := s.AccountByExternalID(s.Context(), b.PartnerID, b.ExternalID, now)
	s.ok(err)
	s.equal("found", id, a.ID)
	n := s.newAccount()
	n.Account.PartnerID, n.Account.Email, n.Account.ExternalID = b.PartnerID, b.Email, b.ExternalID
	s.refuses("the new ones", n, conflict{"external_account_id", a.ID}, conflict{"email", a.ID})

	c := s.update(b, func(a *account.Account) { a.Email, a.ExternalID = "", "" })
	s.free(b, now)
	s.update(c, func(a *account.Account) { a.Email, a.ExternalID = s.hash()[:20]+"@example.com", "again" })
}

func changeOfAnEmailsLetterCaseIsNoConflictWithItself(s *suite) {
	a := s.full()
	b := s.update(a, func(a *account.Account) { a.Email = strings.ToUpper(a.Email) })
	s.equal("email", b.Email, strings.ToUpper(a.Email))
	n := s.newAccount()
	n.Account.Email = a.Email
	s.refuses("another", n, conflict{"email", 0})
}

func changeEverythingAndBackToLittle(s *suite) {
	n := s.newAccount()
	n.Account.PasswordHash = s.hash()
	s.create(n)
	a := n.Account
	next := a
	next.ExternalID, next.Email, next.CompanyName, next.FirstName, next.LastName = longExternalID(), s.hash()[:20]+"@example.com", "C", "F", "L"
	next.OriginCountryCode, next.Metadata, next.ModifiedAt = "NZ", map[string]string{"a": "", "b#c": "1"}, milli(now.Add(time.Second))
	next.Active = false
	want := next
	want.Version, want.Following = 2, true
	// What does not count.
	next.ID, next.PartnerID, next.Version, next.CarriersCount, next.PurgeAt, next.CreatedAt = 1, 2, 3, 4, now, now.Add(time.Hour)
	s.ok(s.UpdateAccount(s.Context(), account.Update{Old: a, New: next}, effects.Effects{}, now))
	s.equal("account", s.stored(a.ID), want)
	want.Metadata = map[string]string{"b#c": "2"}
	s.equal("metadata", s.update(s.stored(a.ID), func(a *account.Account) { a.Metadata = want.Metadata }).Metadata, want.Metadata)
	little := want
	little.ExternalID, little.Email, little.CompanyName, little.FirstName, little.LastName, little.Metadata = "", "", "", "", "", nil
	s.ok(s.UpdateAccount(s.Context(), account.Update{Old: s.stored(a.ID), New: little}, effects.Effects{}, now))
	little.Version = 4
	s.equal("account", s.stored(a.ID), little)
	found, _, err := s.ListAccounts(s.Context(), a.PartnerID, account.Filter{Active: &little.Active}, nil, 0, 9, now)
	s.ok(err)
	s.equal("listed", found, []account.Account{asListed(little)})
}

func changeOfAnAccountAsAListShowsItLeavesItsPassword(s *suite) {
	rename := func(a *account.Account) { a.FirstName = "Changed" }
	n := s.newAccount()
	n.Account.PasswordHash = s.hash()
	s.create(n)
	a := n.Account
	a.PasswordHash = ""
	s.equal("password", s.update(a, rename).PasswordHash, n.Account.PasswordHash)
}

func changeUnderAnIdempotencyKey(s *suite) {
	a, rec := s.full(), s.answer()
	next := a
	next.Email = "new." + a.Email
	s.ok(s.UpdateAccount(s.Context(), account.Update{Old: a, New: next}, effects.Effects{Answer: rec}, now))
	twin := *rec
	twin.Sealed = []byte("another")
	s.replays("a repeat, although the version has moved on", s.UpdateAccount(s.Context(), account.Update{Old: a, New: next}, effects.Effects{Answer: &twin}, now), *rec)
	got, err := s.Idempotency(s.Context(), twin, now)
	s.ok(err)
	s.equal("Idempotency", got, rec)
	s.equal("Load", s.load(a.ID, store.Want{Idempotency: &twin, Now: now}).Idempotency, rec)
	got, err = s.Idempotency(s.Context(), twin, rec.ExpiresAt)
	s.ok(err)
	if got != nil || s.load(a.ID, store.Want{Idempotency: &twin, Now: rec.ExpiresAt}).Idempotency != nil {
		s.Error("an expired record was returned")
	}
	twin.Key += "x"
	if got, err = s.Idempotency(s.Context(), twin, now); got != nil || err != nil {
		s.Errorf("Idempotency of another key = %v, %v", got, err)
	}
}

func changeOfActive(s *suite) {
	rename := func(a *account.Account) { a.FirstName = "Changed" }
	a := s.account()
	s.ok(s.SetAccountActive(s.Context(), a, false, true, effects.Effects{}, now))
	s.equal("enabled already", s.stored(a.ID), a)
	rec := s.answer()
	s.ok(s.SetAccountActive(s.Context(), a, false, true, effects.Effects{Answer: rec}, now))
	s.equal("enabled already, with a record", s.stored(a.ID), a)
	s.replays("its repeat", s.SetAccountActive(s.Context(), a, false, true, effects.Effects{Answer: rec}, now), *rec)

	s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{Answer: s.answer()}, now.Add(time.Second)))
	want := a
	want.Active, want.Following, want.Version, want.ModifiedAt = false, true, 2, milli(now.Add(time.Second))
	s.equal("disabled", s.stored(a.ID), want)
	c := s.newConnection(a.ID)
	s.fails("BeginLink", s.BeginLink(s.Context(), &c, connection.LinkOptions{}), fault.Inactive)

	// As read before: it is what it is now that counts.
	s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, now))
	s.equal("disabled already", s.stored(a.ID), want)
	s.update(want, rename)
	s.ok(s.SetAccountActive(s.Context(), want, false, true, effects.Effects{}, now))
	got := s.stored(a.ID)
	s.equal("enabled", []any{got.Active, got.FirstName, got.Version}, []any{true, "Changed", int64(4)})
}

func changeAnEndedContextIsInternal(s *suite) {
	rename := func(a *account.Account) { a.FirstName = "Changed" }
	a := s.account()
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	renamed := a
	rename(&renamed)
	update := s.UpdateAccount(ctx, account.Update{Old: a, New: renamed}, effects.Effects{}, now)
	disable := s.SetAccountActive(ctx, a, false, false, effects.Effects{}, now)
	remove := s.DeleteAccount(ctx, a, false, now, effects.Effects{}, now)
	_, _, list := s.ListAccounts(ctx, a.PartnerID, account.Filter{}, nil, 0, 1, now)
	_, _, connections := s.ListConnections(ctx, a.ID, true)
	_, keys := s.ListKeys(ctx, a.ID)
	_, find := s.AccountByExternalID(ctx, a.PartnerID, "x", now)
	_, record := s.Idempotency(ctx, *s.answer(), now)
	for _, err := range []error{update, disable, remove, list, connections, keys, find, record} {
		s.fails("ended", err, fault.Internal)
		if !errors.Is(err, context.Canceled) {
			s.Errorf("%v, want a chain with context.Canceled", err)
		}
	}
}

func changeAtOnceOfOneVersionOneWins(s *suite) {
	a := s.full()
	won := 0
	for _, err := range race(8, func(i int) error {
		next := a
		next.Email = strconv.Itoa(i) + a.Email
		return s.UpdateAccount(s.Context(), account.Update{Old: a, New: next}, effects.Effects{}, now)
	}) {
		if err == nil {
			won++
		} else if !fault.Is(err, fault.State) { // State: gave up in the crowd
			s.fails("a loser", err, fault.Precondition)
		}
	}
	s.equal("winners", won, 1)
	s.equal("version", s.stored(a.ID).Version, int64(2))
}

func changeAtOnceUnderOneIdempotencyKeyOneChanges(s *suite) {
	a := s.full()
	s.onceUnderOneKey(8, func(_ int, fx effects.Effects) error {
		next := a
		next.FirstName = "Same"
		return s.UpdateAccount(s.Context(), account.Update{Old: a, New: next}, fx, now)
	})
	s.equal("version", s.stored(a.ID).Version, int64(2))
}

func changeAtOnceWithLinksNoCarrierIsLost(s *suite) {
	a := s.account()
	conns := make([]connection.Connection, 4)
	for i := range conns {
		conns[i] = s.newConnection(a.ID)
		conns[i].AccountNumber = "000408523" + strconv.Itoa(i)
		s.ok(s.BeginLink(s.Context(), &conns[i], connection.LinkOptions{}))
		conns[i].Status = connection.Active
	}
	race(8, func(i int) error {
		if i < len(conns) {
			for {
				err := s.FinishLink(s.Context(), &conns[i], nil, nil, effects.Effects{}, now)
				if !fault.Is(err, fault.State) {
					if err != nil {
						s.Error(err)
					}
					return err
				}
			}
		}
		for range 4 {
			// As read before the links: their count must not come back.
			b := s.load(a.ID, store.Want{}).Account
			old := *b
			old.CarriersCount = 0
			b.CarriersCount, b.FirstName = 0, s.hash()[:10]
			err := s.UpdateAccount(s.Context(), account.Update{Old: old, New: *b}, effects.Effects{}, now)
			if err != nil && !fault.Is(err, fault.State) && !fault.Is(err, fault.Precondition) {
				s.Error(err)
			}
		}
		return nil
	})
	s.equal("carriers", s.stored(a.ID).CarriersCount, len(conns))
}

func changeAtOnceEnabledAndDisabledBothAreDone(s *suite) {
	a := s.account()
	for _, err := range race(6, func(i int) error {
		return s.SetAccountActive(s.Context(), a, false, i%2 == 0, effects.Effects{}, now)
	}) {
		if err != nil {
			s.fails("in a crowd", err, fault.State)
		}
	}
	got := s.stored(a.ID)
	found, _, err := s.ListAccounts(s.Context(), a.PartnerID, account.Filter{Active: &got.Active}, nil, 0, 9, now)
	s.ok(err)
	s.equal("listed", found, []account.Account{asListed(got)})
}
