package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/email"
	"carrierlink/shared/fault"
	"carrierlink/shared/store"
)

// conflict is one problem of CreateAccount.
type conflict struct {
	Field    string
	Existing int64
}

// refuses checks that n is refused for these fields, and that nothing of it is
// kept.
func (s *suite) refuses(what string, n account.NewAccount, want ...conflict) {
	s.Helper()
	s.refusesWith(effects.Effects{}, what, n, want...)
}

// refusesWith is refuses for an account that comes with effects.
func (s *suite) refusesWith(fx effects.Effects, what string, n account.NewAccount, want ...conflict) {
	s.Helper()
	s.conflicts(what, fault.Of(s.CreateAccount(s.Context(), n, fx, now)), want...)
	if l := s.load(n.Account.ID, store.Want{}); l.Account != nil && l.Account.CreatedAt.Equal(n.Account.CreatedAt) && l.Account.Email == n.Account.Email {
		s.Errorf("%s: the account is there", what)
	}
	s.fails(what+": its key", errOf(s.UseKey(s.Context(), use(n.Key, 9))), fault.Unauthorized)
}

// conflicts checks that problems are these conflicts, each with a message.
func (s *suite) conflicts(what string, problems []*fault.Error, want ...conflict) {
	s.Helper()
	var got []conflict
	for _, p := range problems {
		if p.Kind != fault.Conflict || p.Message == "" {
			s.Errorf("%s: problem %v, want a conflict with a message", what, p)
		}
		got = append(got, conflict{p.Field, p.ExistingAccountID})
	}
	s.equal(what, got, want)
}

// longExternalID is 128 characters of four bytes each.
func longExternalID() string { return strings.Repeat("\U0001F4E6", 128) }

// external gives an account an external id of a partner.
func external(partnerID int64, id string) func(*account.Account) {
	return func(a *account.Account) { a.PartnerID, a.ExternalID = partnerID, id }
}

// emailed gives an account an email address.
func emailed(address string) func(*account.Account) {
	return func(a *account.Account) { a.Email = address }
}

// identifiedLike gives an account the partner and the identifiers of another one.
func identifiedLike(other account.Account) func(*account.Account) {
	return func(a *account.Account) {
		a.PartnerID, a.Email, a.ExternalID = other.PartnerID, other.Email, other.ExternalID
	}
}

// creation tests CreateAccount and CreatePartner.
type creation struct{ *suite }

func (s creation) TestEmailIsUniqueInAnyLetterCase() {
	first := s.account(emailed("Jo." + s.hash()[:12] + "@Example.com"))
	stranger := s.newAccount(emailed(strings.ToUpper(first.Email)), func(a *account.Account) { a.ExternalID = "free" })
	s.refuses("another partner is not told whose", stranger, conflict{"email", 0})
	own := s.newAccount(external(first.PartnerID, ""), emailed(strings.ToLower(first.Email)))
	s.refuses("its own partner is told", own, conflict{"email", first.ID})

	// Nothing of the refused account was kept.
	stranger.Account.Email = ""
	s.create(stranger)
}

func (s creation) TestExternalIDIsUniqueWithinItsPartner() {
	for _, id := range []string{"7", "a#b", "a/b", "#", "ACCOUNT", " x ", "größe-\u6f22\u5b57", longExternalID(), strings.Repeat("z", 128)} {
		first := s.account(external(s.id(), id))
		s.refuses(id, s.newAccount(external(first.PartnerID, id)), conflict{"external_account_id", first.ID})
		other := s.account(external(s.id(), id))
		s.equal("account", s.stored(other.ID), other)
	}
}

func (s creation) TestExternalIDsAreCaseSensitive() {
	first := s.account(external(s.id(), "Shop#1"))
	for _, id := range []string{"shop#1", "Shop#1 ", "Shop", "Shop#1#"} {
		s.account(external(first.PartnerID, id))
	}
}

func (s creation) TestExternalIDWithSeparatorStaysWithItsPartner() {
	partner := s.id()
	s.account(external(s.id(), fmt.Sprintf("%d#x", partner)))
	s.account(external(partner, "x"))
}

func (s creation) TestBothConflictsInFieldOrder() {
	first, second := s.account(emailed(s.email())), s.account(external(s.id(), "both"))
	n := s.newAccount(external(second.PartnerID, "both"), emailed(first.Email))
	s.refuses("both", n, conflict{"external_account_id", second.ID}, conflict{"email", 0})
}

func (s creation) TestTakenIDIsErrIDTaken() {
	first := s.account(emailed(s.email()))
	n := s.newAccount(func(a *account.Account) { a.ID = first.ID })
	n.Key.AccountID = first.ID
	s.wraps("CreateAccount", s.CreateAccount(s.Context(), n, effects.Effects{}, now), account.ErrIDTaken)
	s.equal("account", s.stored(first.ID), first)
}

func (s creation) TestTakenPartnerIDIsErrIDTaken() {
	p := account.Partner{ID: s.id(), Name: "first", Environment: carrier.Production, CreatedAt: milli(now)}
	s.ok(s.CreatePartner(s.Context(), p, s.newKey(p.ID, 0), effects.Effects{}, now))
	k := s.newKey(p.ID, 0)
	s.wraps("CreatePartner", s.CreatePartner(s.Context(), p, k, effects.Effects{}, now), account.ErrIDTaken)
	s.fails("its key", errOf(s.UseKey(s.Context(), use(k, 9))), fault.Unauthorized)
}

func (s creation) TestReplayComesBeforeConflicts() {
	n, rec := s.newAccount(emailed(s.email()), func(a *account.Account) { a.ExternalID = "x" }), s.answer()
	s.ok(s.CreateAccount(s.Context(), n, effects.Effects{Answer: rec}, now))
	again := s.newAccount(identifiedLike(n.Account))
	twin := *rec
	twin.PayloadMAC, twin.Sealed = []byte("another"), []byte("another")
	for _, at := range []time.Time{now, now.Add(time.Hour), rec.ExpiresAt.Add(-time.Millisecond)} {
		s.replays("existing", s.CreateAccount(s.Context(), again, effects.Effects{Answer: &twin}, at), *rec)
	}
	if s.load(again.Account.ID, store.Want{}).Account != nil {
		s.Error("the second account is there")
	}
}

func (s creation) TestExpiredIdempotencyRecordIsReplaced() {
	rec := s.answer()
	s.ok(s.CreateAccount(s.Context(), s.newAccount(), effects.Effects{Answer: rec}, now))
	fresh := *rec
	fresh.Sealed, fresh.ExpiresAt = []byte("new"), rec.ExpiresAt.Add(24*time.Hour)
	s.ok(s.CreateAccount(s.Context(), s.newAccount(), effects.Effects{Answer: &fresh}, rec.ExpiresAt))
	s.replays("existing", s.CreateAccount(s.Context(), s.newAccount(), effects.Effects{Answer: &fresh}, rec.ExpiresAt), fresh)
}

func (s creation) TestConflictStoresNoIdempotencyRecord() {
	first := s.account(external(s.id(), "x"))
	n, fx := s.newAccount(external(first.PartnerID, "x")), effects.Effects{Answer: s.answer()}
	s.refusesWith(fx, "taken", n, conflict{"external_account_id", first.ID})
	n.Account.ExternalID = "y"
	s.ok(s.CreateAccount(s.Context(), n, fx, now))
}

func (s creation) TestAllFields() {
	a := s.account(func(a *account.Account) {
		*a = account.Account{
			ID: a.ID, PartnerID: a.PartnerID, Environment: carrier.Sandbox, ExternalID: longExternalID(),
			Email: s.email(), CompanyName: "Ünï & Söhne \u6f22", FirstName: "Jo", LastName: "O'Neil", OriginCountryCode: "AU",
			PasswordHash: s.hash(),
			Metadata:     map[string]string{"a": "", "b#c": "\U0001F4E6", ":x": "1"},
			Active:       true, CreatedAt: now, ModifiedAt: now.Add(time.Second), Version: 1,
		}
	})
	a.CreatedAt, a.ModifiedAt = milli(a.CreatedAt), milli(a.ModifiedAt)
	s.equal("account", s.stored(a.ID), a)
	s.equal("account alone", must(s.Account(s.Context(), a.ID, now)), a)
	s.lists("all", a.PartnerID, account.Filter{}, now, a)
	s.lists("active", a.PartnerID, account.Filter{Active: &a.Active}, now, a)
}

func (s creation) TestEmptyFields() {
	a := s.account(func(a *account.Account) {
		*a = account.Account{ID: a.ID, PartnerID: a.PartnerID, Metadata: map[string]string{}}
	})
	a.Metadata, a.Version = nil, 1
	s.equal("account", s.stored(a.ID), a)
}

func (s creation) TestSharesNoMemory() {
	a := s.account(func(a *account.Account) { a.Metadata = map[string]string{"a": "1"} })
	a.Metadata["a"] = "2"
	s.stored(a.ID).Metadata["a"] = "3"
	s.equal("metadata", s.stored(a.ID).Metadata, map[string]string{"a": "1"})
}

func (s creation) TestEmailIsUniqueWithinItsEnvironment() {
	address := "zo\u00eb" + s.hash()[:10] + "@b\u00fccher.example"
	for _, env := range []carrier.Environment{carrier.Production, carrier.Sandbox} {
		in := func(a *account.Account) { a.Environment = env }
		a := s.account(emailed(address), in)
		s.equal("key", s.stored(a.ID).EmailKey, email.Key(address))
		same := strings.ToUpper(strings.Replace(strings.Replace(address, "\u00eb", "e\u0308", 1), "b\u00fccher", "xn--bcher-kva", 1))
		s.refuses(string(env), s.newAccount(emailed(same), in), conflict{"email", 0})
	}
}

func (s creation) TestConcurrentCreatesWithOneEmail() {
	address, partner := s.email(), s.id()
	accounts := make([]account.NewAccount, 20)
	for i := range accounts {
		accounts[i] = s.newAccount(external(partner, ""), emailed(address))
	}
	results := race(len(accounts), func(i int) error {
		return s.CreateAccount(s.Context(), accounts[i], effects.Effects{}, now)
	})
	s.wins(1, results, fault.Conflict, fault.State) // State: too many at once
	winner := accounts[max(slices.Index(results, nil), 0)].Account.ID
	for i, err := range results {
		if fault.Is(err, fault.Conflict) {
			s.equal("existing account", fault.Of(err)[0].ExistingAccountID, winner)
		}
		if l := s.load(accounts[i].Account.ID, store.Want{}); (l.Account != nil) != (err == nil) {
			s.Errorf("account %d is there: %v, but its error is %v", i, l.Account != nil, err)
		}
	}
}

func (s creation) TestConcurrentCreatesUnderOneIdempotencyKey() {
	accounts, address := make([]account.NewAccount, 10), s.email()
	for i := range accounts {
		accounts[i] = s.newAccount(emailed(address))
	}
	s.onceUnderOneKey(len(accounts), func(i int, fx effects.Effects) error {
		return s.CreateAccount(s.Context(), accounts[i], fx, now)
	})
}

// onceUnderOneKey makes n changes at once under one Idempotency-Key: one is made,
// and the others are replays of it.
func (s *suite) onceUnderOneKey(n int, change func(i int, fx effects.Effects) error) {
	s.Helper()
	rec := s.answer()
	results := race(n, func(i int) error {
		mine := *rec
		mine.Sealed = []byte(strconv.Itoa(i))
		return change(i, effects.Effects{Answer: &mine})
	})
	winners := 0
	for _, err := range results {
		replay, taken := errors.AsType[*effects.Replay](err)
		switch {
		case taken:
			s.equal("answer", string(replay.Record.Sealed), strconv.Itoa(slices.Index(results, nil)))
		case err == nil:
			winners++
		case !fault.Is(err, fault.State): // State: too many at once
			s.ok(err)
		}
	}
	s.equal("changes", winners, 1)
}
