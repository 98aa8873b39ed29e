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

// rename is a change of an account.
func rename(a *account.Account) { a.FirstName = "Changed" }

// full stores an account with an email and an external id, changed by change.
func (s *suite) full(change ...func(*account.Account)) account.Account {
	s.Helper()
	return s.account(append(change, emailed(s.email()), func(a *account.Account) { a.ExternalID = s.hash() })...)
}

// stored reads an account.
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

// lists checks what a list of a partner's accounts has.
func (s *suite) lists(what string, partner int64, f account.Filter, at time.Time, want ...account.Account) {
	s.Helper()
	found, _ := must2(s.ListAccounts(s.Context(), partner, f, nil, 0, 9, at))
	for i := range want {
		want[i] = asListed(want[i])
	}
	s.equal(what+": listed", found, want)
}

// disable, enable, remove and restore change the stored account and return it as it
// is then.
func (s *suite) disable(a account.Account) account.Account {
	s.Helper()
	s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, now))
	return s.stored(a.ID)
}

func (s *suite) enable(a account.Account) account.Account {
	s.Helper()
	s.ok(s.SetAccountActive(s.Context(), a, false, true, effects.Effects{}, now))
	return s.stored(a.ID)
}

func (s *suite) remove(a account.Account) account.Account {
	s.Helper()
	s.ok(s.DeleteAccount(s.Context(), a, false, purge, effects.Effects{}, now))
	return s.stored(a.ID)
}

func (s *suite) restore(a account.Account) account.Account {
	s.Helper()
	s.ok(s.RestoreAccount(s.Context(), a, false, effects.Effects{}, now))
	return s.stored(a.ID)
}

// replays checks that a change was refused because a record has its Idempotency-Key.
func (s *suite) replays(what string, err error, want effects.Record) {
	s.Helper()
	replay, ok := errors.AsType[*effects.Replay](err)
	if !ok {
		s.Fatalf("%s: %v, want a replay", what, err)
	}
	s.equal(what, replay.Record, want)
}

// update changes a stored account, and returns it as it is then.
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
	s.ok(s.CreateAccount(s.Context(), s.newAccount(identifiedLike(a)), effects.Effects{}, at))
}

// changes tests UpdateAccount and SetAccountActive.
type changes struct{ *suite }

func (s changes) TestAbsentAccount() {
	a := s.newAccount().Account
	s.refusesUpdate("update", a, rename, fault.NotFound)
	s.fails("disable", s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, now), fault.NotFound)
	s.fails("delete", s.DeleteAccount(s.Context(), a, false, now.Add(time.Hour), effects.Effects{}, now), fault.NotFound)
	a.PurgeAt = now.Add(time.Hour)
	s.fails("restore", s.RestoreAccount(s.Context(), a, false, effects.Effects{}, now), fault.NotFound)
}

func (s changes) TestOtherVersion() {
	a := s.account()
	b := s.update(a, rename)
	s.equal("version", b.Version, a.Version+1)
	s.refusesUpdate("old", a, func(a *account.Account) { a.LastName = "Late" }, fault.Precondition)
	b.Version++
	s.refusesUpdate("new", b, rename, fault.Precondition)
}

func (s changes) TestCountryIsFixedWhileACarrierIsLinked() {
	a := s.stored(s.linked().AccountID)
	abroad := func(a *account.Account) { a.OriginCountryCode = "NZ" }
	s.equal("field", s.refusesUpdate("linked", a, abroad, fault.State)[0].Field, "origin_country_code")
	s.update(a, rename)
	s.equal("country", s.update(s.account(), abroad).OriginCountryCode, "NZ")
}

func (s changes) TestChangeOfNothing() {
	a := s.full(func(a *account.Account) { a.PasswordHash, a.Metadata = s.hash(), map[string]string{"a": "b", "c": ""} })
	s.equal("as created", s.stored(a.ID), a)
	s.equal("without a record", s.update(a, func(*account.Account) {}), a)
	rec := s.answer()
	s.ok(s.UpdateAccount(s.Context(), account.Update{Old: a, New: a}, effects.Effects{Answer: rec}, now))
	s.equal("with a record", s.stored(a.ID), a)
	s.replays("its repeat", s.UpdateAccount(s.Context(), account.Update{Old: a, New: a}, effects.Effects{Answer: rec}, now), *rec)
	b := s.update(a, rename)
	s.refusesUpdate("of another version", a, func(*account.Account) {}, fault.Precondition)
	s.remove(b)
	s.refusesUpdate("of a deleted one", b, func(*account.Account) {}, fault.State)
	// Only links count carriers: a change of the count changes nothing.
	c := s.stored(s.linked().AccountID)
	s.equal("while a carrier is linked", s.update(c, func(a *account.Account) { a.CarriersCount = 0 }), c)
}

func (s changes) TestPinnedVersion() {
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
			old = s.remove(read)
			read = s.remove(s.restore(old))
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

func (s changes) TestTakenIdentifiers() {
	a, stranger := s.full(), s.full()
	external := conflict{"external_account_id", s.account(external(a.PartnerID, "same")).ID}
	both := func(a *account.Account) { a.ExternalID, a.Email = "same", strings.ToUpper(stranger.Email) }
	s.conflicts("both", s.refusesUpdate("both", a, both, fault.Conflict), external, conflict{"email", 0})
	one := func(a *account.Account) { a.ExternalID, a.Email = "same", "" }
	s.conflicts("one", s.refusesUpdate("one", a, one, fault.Conflict), external)
	s.equal("it keeps its external id", must(s.AccountByExternalID(s.Context(), a.PartnerID, a.ExternalID, now)), a.ID)
}

func (s changes) TestOldVersionComesBeforeConflicts() {
	a, other := s.full(), s.full()
	s.update(a, rename)
	s.refusesUpdate("both", a, emailed(other.Email), fault.Precondition)
}

func (s changes) TestIdentifiers() {
	a := s.full()
	b := s.update(a, func(a *account.Account) { a.Email, a.ExternalID = "new."+a.Email, "n#/%"+a.ExternalID })
	s.free(a, now)
	s.equal("found", must(s.AccountByExternalID(s.Context(), b.PartnerID, b.ExternalID, now)), a.ID)
	s.refuses("the new ones", s.newAccount(identifiedLike(b)), conflict{"external_account_id", a.ID}, conflict{"email", a.ID})

	c := s.update(b, func(a *account.Account) { a.Email, a.ExternalID = "", "" })
	s.free(b, now)
	s.update(c, func(a *account.Account) { a.Email, a.ExternalID = s.email(), "again" })
}

func (s changes) TestLetterCaseOfItsOwnEmail() {
	a := s.full()
	b := s.update(a, func(a *account.Account) { a.Email = strings.ToUpper(a.Email) })
	s.equal("email", b.Email, strings.ToUpper(a.Email))
	s.refuses("another", s.newAccount(emailed(a.Email)), conflict{"email", 0})
}

func (s changes) TestAllFieldsAndBackToEmpty() {
	a := s.account(func(a *account.Account) { a.PasswordHash = s.hash() })
	next := a
	next.ExternalID, next.Email, next.CompanyName, next.FirstName, next.LastName = longExternalID(), s.email(), "C", "F", "L"
	next.OriginCountryCode, next.Metadata, next.ModifiedAt = "NZ", map[string]string{"a": "", "b#c": "1"}, milli(now.Add(time.Second))
	next.Active = false
	want := next
	want.Version, want.Following = 2, true
	// A change cannot change these.
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
	s.lists("empty", a.PartnerID, account.Filter{Active: &little.Active}, now, little)
}

func (s changes) TestListedAccountKeepsItsPassword() {
	a := s.account(func(a *account.Account) { a.PasswordHash = s.hash() })
	listed := a
	listed.PasswordHash = ""
	s.equal("password", s.update(listed, rename).PasswordHash, a.PasswordHash)
}

func (s changes) TestIdempotencyKey() {
	a, rec := s.full(), s.answer()
	next := a
	next.Email = "new." + a.Email
	s.ok(s.UpdateAccount(s.Context(), account.Update{Old: a, New: next}, effects.Effects{Answer: rec}, now))
	twin := *rec
	twin.Sealed = []byte("another")
	s.replays("a repeat, although the version has moved on", s.UpdateAccount(s.Context(), account.Update{Old: a, New: next}, effects.Effects{Answer: &twin}, now), *rec)
	s.equal("Idempotency", must(s.Idempotency(s.Context(), twin, now)), rec)
	s.equal("Load", s.load(a.ID, store.Want{Idempotency: &twin, Now: now}).Idempotency, rec)
	none := (*effects.Record)(nil)
	s.equal("Idempotency, expired", must(s.Idempotency(s.Context(), twin, rec.ExpiresAt)), none)
	s.equal("Load, expired", s.load(a.ID, store.Want{Idempotency: &twin, Now: rec.ExpiresAt}).Idempotency, none)
	twin.Key += "x"
	s.equal("Idempotency of another key", must(s.Idempotency(s.Context(), twin, now)), none)
}

func (s changes) TestActive() {
	a := s.account()
	s.equal("enabled already", s.enable(a), a)
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

	// The stored account counts, not the one that was read before.
	s.equal("disabled already", s.disable(a), want)
	s.update(want, rename)
	got := s.enable(want)
	s.equal("enabled", []any{got.Active, got.FirstName, got.Version}, []any{true, "Changed", int64(4)})
}

func (s changes) TestEndedContextIsInternal() {
	a := s.account()
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	renamed := a
	rename(&renamed)
	_, _, list := s.ListAccounts(ctx, a.PartnerID, account.Filter{}, nil, 0, 1, now)
	_, _, connections := s.ListConnections(ctx, a.ID, true)
	for what, err := range map[string]error{
		"CreateAccount":       s.CreateAccount(ctx, s.newAccount(), effects.Effects{}, now),
		"UpdateAccount":       s.UpdateAccount(ctx, account.Update{Old: a, New: renamed}, effects.Effects{}, now),
		"SetAccountActive":    s.SetAccountActive(ctx, a, false, false, effects.Effects{}, now),
		"DeleteAccount":       s.DeleteAccount(ctx, a, false, now, effects.Effects{}, now),
		"UseKey":              errOf(s.UseKey(ctx, account.KeyUse{AccountID: a.ID, Hash: s.hash(), Now: now, Limit: 5})),
		"ListAccounts":        list,
		"ListConnections":     connections,
		"ListKeys":            errOf(s.ListKeys(ctx, a.ID)),
		"AccountByExternalID": errOf(s.AccountByExternalID(ctx, a.PartnerID, "x", now)),
		"Idempotency":         errOf(s.Idempotency(ctx, *s.answer(), now)),
	} {
		s.wraps(what, err, context.Canceled)
	}
}

func (s changes) TestConcurrentChangesOfOneVersion() {
	a := s.full()
	s.wins(1, race(8, func(i int) error {
		next := a
		next.Email = strconv.Itoa(i) + a.Email
		return s.UpdateAccount(s.Context(), account.Update{Old: a, New: next}, effects.Effects{}, now)
	}), fault.Precondition, fault.State) // State: too many at once
	s.equal("version", s.stored(a.ID).Version, int64(2))
}

func (s changes) TestConcurrentChangesUnderOneIdempotencyKey() {
	a := s.full()
	s.onceUnderOneKey(8, func(_ int, fx effects.Effects) error {
		next := a
		next.FirstName = "Same"
		return s.UpdateAccount(s.Context(), account.Update{Old: a, New: next}, fx, now)
	})
	s.equal("version", s.stored(a.ID).Version, int64(2))
}

func (s changes) TestConcurrentLinksKeepTheCarrierCount() {
	a := s.account()
	conns := make([]connection.Connection, 4)
	for i := range conns {
		conns[i] = s.intent(a.ID, numbered("000408523"+strconv.Itoa(i)))
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
			// An account that was read before the links must not reset the count.
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

func (s changes) TestConcurrentEnableAndDisable() {
	a := s.account()
	for _, err := range race(6, func(i int) error {
		return s.SetAccountActive(s.Context(), a, false, i%2 == 0, effects.Effects{}, now)
	}) {
		if err != nil {
			s.fails("too many at once", err, fault.State)
		}
	}
	got := s.stored(a.ID)
	s.lists("in the end", a.PartnerID, account.Filter{Active: &got.Active}, now, got)
}
