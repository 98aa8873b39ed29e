package storetest

import (
	"context"
	"errors"
	"fmt"
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
	err := s.CreateAccount(s.Context(), n, fx, now)
	if err == nil {
		s.Fatalf("%s: CreateAccount = nil, want %v", what, want)
	}
	var got []conflict
	for _, p := range fault.Of(err) {
		if p.Kind != fault.Conflict || p.Message == "" {
			s.Errorf("%s: problem %v, want a conflict with a message", what, p)
		}
		got = append(got, conflict{p.Field, p.ExistingAccountID})
	}
	s.equal(what, got, want)
	if l := s.load(n.Account.ID, store.Want{}); l.Account != nil && l.Account.CreatedAt.Equal(n.Account.CreatedAt) && l.Account.Email == n.Account.Email {
		s.Errorf("%s: the account is there", what)
	}
	_, err = s.UseKey(s.Context(), account.KeyUse{AccountID: n.Account.ID, Hash: n.Key.Hash, Now: now, Limit: 9})
	s.fails(what+": its key", err, fault.Unauthorized)
}

// longExternalID is 128 characters of four bytes each.
func longExternalID() string { return strings.Repeat("\U0001F4E6", 128) }

func accountTests() tests {
	return tests{
		"an email is taken in any letter case, by anybody":   accountAnEmailIsTakenInAnyLetterCaseByAnybody,
		"an external id is taken within its partner":         accountAnExternalIDIsTakenWithinItsPartner,
		"external ids are kept to the letter":                accountExternalIDsAreKeptToTheLetter,
		"partner 1 with id 2#3 is not partner 1#2 with id 3": accountPartner1WithID23IsNotPartner12WithID3,
		"both are taken, in the order of the fields":         accountBothAreTakenInTheOrderOfTheFields,
		"an id that is taken is ErrIDTaken":                  accountAnIDThatIsTakenIsErrIDTaken,
		"a partner's id that is taken is ErrIDTaken":         accountAPartnersIDThatIsTakenIsErrIDTaken,
		"an ended context is internal":                       accountAnEndedContextIsInternal,
		"an idempotency key in use, before any conflict":     accountAnIdempotencyKeyInUseBeforeAnyConflict,
		"an expired idempotency record is replaced":          accountAnExpiredIdempotencyRecordIsReplaced,
		"a conflict keeps no idempotency record":             accountAConflictKeepsNoIdempotencyRecord,
		"everything comes back":                              accountEverythingComesBack,
		"little comes back as little":                        accountLittleComesBackAsLittle,
		"what callers change later changes nothing":          accountWhatCallersChangeLaterChangesNothing,
		"an email is unique within its environment":          accountAnEmailIsUniqueWithinItsEnvironment,
		"at once with one email, one wins":                   accountAtOnceWithOneEmailOneWins,
		"at once under one idempotency key, one account":     accountAtOnceUnderOneIdempotencyKeyOneAccount,
	}
}

func accountAnEmailIsTakenInAnyLetterCaseByAnybody(s *suite) {
	first := s.newAccount()
	first.Account.Email = "Jo." + s.hash()[:12] + "@Example.com"
	s.create(first)

	stranger := s.newAccount()
	stranger.Account.Email = strings.ToUpper(first.Account.Email)
	stranger.Account.ExternalID = "free"
	s.refuses("another partner is not told whose", stranger, conflict{"email", 0})

	own := s.newAccount()
	own.Account.PartnerID, own.Account.Email = first.Account.PartnerID, strings.ToLower(first.Account.Email)
	s.refuses("its own partner is told", own, conflict{"email", first.Account.ID})

	// What was refused left nothing behind.
	stranger.Account.Email = ""
	s.create(stranger)
}

func accountAnExternalIDIsTakenWithinItsPartner(s *suite) {
	for _, id := range []string{"7", "a#b", "a/b", "#", "ACCOUNT", " x ", "größe-\u6f22\u5b57", longExternalID(), strings.Repeat("z", 128)} {
		first := s.newAccount()
		first.Account.ExternalID = id
		s.create(first)
		again := s.newAccount()
		again.Account.PartnerID, again.Account.ExternalID = first.Account.PartnerID, id
		s.refuses(id, again, conflict{"external_account_id", first.Account.ID})

		other := s.newAccount()
		other.Account.ExternalID = id
		s.create(other)
		s.equal("account", s.load(other.Account.ID, store.Want{}).Account, &other.Account)
	}
}

func accountExternalIDsAreKeptToTheLetter(s *suite) {
	first := s.newAccount()
	first.Account.ExternalID = "Shop#1"
	s.create(first)
	for _, id := range []string{"shop#1", "Shop#1 ", "Shop", "Shop#1#"} {
		n := s.newAccount()
		n.Account.PartnerID, n.Account.ExternalID = first.Account.PartnerID, id
		s.create(n)
	}
}

func accountPartner1WithID23IsNotPartner12WithID3(s *suite) {
	a, b := s.newAccount(), s.newAccount()
	a.Account.ExternalID = fmt.Sprintf("%d#x", b.Account.PartnerID)
	b.Account.ExternalID = "x"
	s.create(a)
	s.create(b)
}

func accountBothAreTakenInTheOrderOfTheFields(s *suite) {
	first, second := s.newAccount(), s.newAccount()
	first.Account.Email = s.hash()[:20] + "@example.com"
	s.create(first)
	second.Account.ExternalID = "both"
	s.create(second)
	n := s.newAccount()
	n.Account.PartnerID, n.Account.ExternalID, n.Account.Email = second.Account.PartnerID, "both", first.Account.Email
	s.refuses("both", n, conflict{"external_account_id", second.Account.ID}, conflict{"email", 0})
}

func accountAnIDThatIsTakenIsErrIDTaken(s *suite) {
	first := s.newAccount()
	first.Account.Email = s.hash()[:20] + "@example.com"
	s.create(first)
	n := s.newAccount()
	n.Account.ID, n.Key.AccountID = first.Account.ID, first.Account.ID
	err := s.CreateAccount(s.Context(), n, effects.Effects{}, now)
	s.fails("CreateAccount", err, fault.Internal)
	if !errors.Is(err, account.ErrIDTaken) {
		s.Errorf("CreateAccount = %v, want ErrIDTaken", err)
	}
	s.equal("account", s.load(first.Account.ID, store.Want{}).Account, &first.Account)
}

func accountAPartnersIDThatIsTakenIsErrIDTaken(s *suite) {
	p := account.Partner{ID: s.id(), Name: "first", Environment: carrier.Production, CreatedAt: milli(now)}
	s.ok(s.CreatePartner(s.Context(), p, s.newKey(p.ID, 0), effects.Effects{}, now))
	k := s.newKey(p.ID, 0)
	err := s.CreatePartner(s.Context(), p, k, effects.Effects{}, now)
	s.fails("CreatePartner", err, fault.Internal)
	if !errors.Is(err, account.ErrIDTaken) {
		s.Errorf("CreatePartner = %v, want ErrIDTaken", err)
	}
	_, err = s.UseKey(s.Context(), account.KeyUse{PartnerID: p.ID, Hash: k.Hash, Now: now, Limit: 9})
	s.fails("its key", err, fault.Unauthorized)
}

func accountAnEndedContextIsInternal(s *suite) {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	err := s.CreateAccount(ctx, s.newAccount(), effects.Effects{}, now)
	s.fails("CreateAccount", err, fault.Internal)
}

func accountAnIdempotencyKeyInUseBeforeAnyConflict(s *suite) {
	n, rec := s.newAccount(), s.answer()
	n.Account.Email, n.Account.ExternalID = s.hash()[:20]+"@example.com", "x"
	s.ok(s.CreateAccount(s.Context(), n, effects.Effects{Answer: rec}, now))

	again := s.newAccount()
	again.Account.PartnerID, again.Account.Email, again.Account.ExternalID = n.Account.PartnerID, n.Account.Email, n.Account.ExternalID
	twin := *rec
	twin.PayloadMAC, twin.Sealed = []byte("another"), []byte("another")
	for _, at := range []time.Time{now, now.Add(time.Hour), rec.ExpiresAt.Add(-time.Millisecond)} {
		s.replays("existing", s.CreateAccount(s.Context(), again, effects.Effects{Answer: &twin}, at), *rec)
	}
	if s.load(again.Account.ID, store.Want{}).Account != nil {
		s.Error("the second account is there")
	}
}

func accountAnExpiredIdempotencyRecordIsReplaced(s *suite) {
	rec := s.answer()
	s.ok(s.CreateAccount(s.Context(), s.newAccount(), effects.Effects{Answer: rec}, now))
	fresh := *rec
	fresh.Sealed, fresh.ExpiresAt = []byte("new"), rec.ExpiresAt.Add(24*time.Hour)
	s.ok(s.CreateAccount(s.Context(), s.newAccount(), effects.Effects{Answer: &fresh}, rec.ExpiresAt))
	s.replays("existing", s.CreateAccount(s.Context(), s.newAccount(), effects.Effects{Answer: &fresh}, rec.ExpiresAt), fresh)
}

func accountAConflictKeepsNoIdempotencyRecord(s *suite) {
	first := s.newAccount()
	first.Account.ExternalID = "x"
	s.create(first)
	n, fx := s.newAccount(), effects.Effects{Answer: s.answer()}
	n.Account.PartnerID, n.Account.ExternalID = first.Account.PartnerID, "x"
	s.refusesWith(fx, "taken", n, conflict{"external_account_id", first.Account.ID})
	n.Account.ExternalID = "y"
	s.ok(s.CreateAccount(s.Context(), n, fx, now))
}

func accountEverythingComesBack(s *suite) {
	n := s.newAccount()
	n.Account = account.Account{
		ID: n.Account.ID, PartnerID: n.Account.PartnerID, Environment: carrier.Sandbox, ExternalID: longExternalID(),
		Email: s.hash()[:20] + "@example.com", CompanyName: "Ünï & Söhne \u6f22", FirstName: "Jo", LastName: "O'Neil", OriginCountryCode: "AU",
		PasswordHash: s.hash(),
		Metadata:     map[string]string{"a": "", "b#c": "\U0001F4E6", ":x": "1"},
		Active:       true, CreatedAt: now, ModifiedAt: now.Add(time.Second), Version: 1,
	}
	s.create(n)
	want := n.Account
	want.CreatedAt, want.ModifiedAt = milli(want.CreatedAt), milli(want.ModifiedAt)
	s.equal("account", s.load(n.Account.ID, store.Want{}).Account, &want)
	alone, err := s.Account(s.Context(), n.Account.ID, now)
	s.ok(err)
	s.equal("account alone", alone, want)
}

func accountLittleComesBackAsLittle(s *suite) {
	n := s.newAccount()
	n.Account = account.Account{ID: n.Account.ID, PartnerID: n.Account.PartnerID, Metadata: map[string]string{}}
	s.create(n)
	n.Account.Metadata, n.Account.Version = nil, 1
	s.equal("account", s.load(n.Account.ID, store.Want{}).Account, &n.Account)
}

func accountWhatCallersChangeLaterChangesNothing(s *suite) {
	n := s.newAccount()
	n.Account.Metadata = map[string]string{"a": "1"}
	s.create(n)
	n.Account.Metadata["a"] = "2"
	s.load(n.Account.ID, store.Want{}).Account.Metadata["a"] = "3"
	s.equal("metadata", s.load(n.Account.ID, store.Want{}).Account.Metadata, map[string]string{"a": "1"})
}

func accountAnEmailIsUniqueWithinItsEnvironment(s *suite) {
	made := map[carrier.Environment]account.Account{}
	for _, env := range []carrier.Environment{carrier.Production, carrier.Sandbox} {
		n := s.newAccount()
		n.Account.Environment = env
		if first, ok := made[carrier.Production]; ok {
			n.Account.Email = first.Email
		} else {
			n.Account.Email = "zo\u00eb" + s.hash()[:10] + "@b\u00fccher.example"
		}
		s.create(n)
		s.equal("key", s.stored(n.Account.ID).EmailKey, email.Key(n.Account.Email))
		made[env] = n.Account
	}
	for env, of := range made {
		n := s.newAccount()
		n.Account.Environment = env
		n.Account.Email = strings.ToUpper(strings.Replace(strings.Replace(of.Email, "\u00eb", "e\u0308", 1), "b\u00fccher", "xn--bcher-kva", 1))
		s.refuses(string(env), n, conflict{"email", 0})
	}
}

func accountAtOnceWithOneEmailOneWins(s *suite) {
	email, partner := s.hash()[:20]+"@example.com", s.id()
	accounts := make([]account.NewAccount, 20)
	for i := range accounts {
		accounts[i] = s.newAccount()
		accounts[i].Account.PartnerID, accounts[i].Account.Email = partner, email
	}
	var winner int64
	results := race(len(accounts), func(i int) error {
		return s.CreateAccount(s.Context(), accounts[i], effects.Effects{}, now)
	})
	for i, err := range results {
		if err == nil && winner != 0 {
			s.Error("two accounts with one email")
		} else if err == nil {
			winner = accounts[i].Account.ID
		}
	}
	for i, err := range results {
		if err != nil && !fault.Is(err, fault.State) { // State: gave up in the crowd
			p := s.problem("a loser", err, fault.Conflict)
			s.equal("existing account", p.ExistingAccountID, winner)
		}
		if l := s.load(accounts[i].Account.ID, store.Want{}); (l.Account != nil) != (err == nil) {
			s.Errorf("account %d is there: %v, but its error is %v", i, l.Account != nil, err)
		}
	}
	if winner == 0 {
		s.Error("no account was created")
	}
}

func accountAtOnceUnderOneIdempotencyKeyOneAccount(s *suite) {
	email := s.hash()[:20] + "@example.com"
	accounts := make([]account.NewAccount, 10)
	for i := range accounts {
		accounts[i] = s.newAccount()
		accounts[i].Account.Email = email
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
	winners, answer := 0, ""
	results := race(n, func(i int) error {
		mine := *rec
		mine.Sealed = []byte(strconv.Itoa(i))
		return change(i, effects.Effects{Answer: &mine})
	})
	for i, err := range results {
		if err == nil {
			winners++
			answer = strconv.Itoa(i)
		}
	}
	s.equal("changes", winners, 1)
	for _, err := range results {
		replay, taken := errors.AsType[*effects.Replay](err)
		switch {
		case taken:
			s.equal("answer", string(replay.Record.Sealed), answer)
		case !fault.Is(err, fault.State): // it gave up in the crowd
			s.ok(err)
		}
	}
}
