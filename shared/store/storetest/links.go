package storetest

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/store"
)

// snapshot is an answer of a carrier, n bytes long and hard to pack.
func (s *suite) snapshot(n int, at time.Time) *connection.Snapshot {
	s.Helper()
	var b strings.Builder
	b.WriteString(`{"account_number":"0004085230","filler":"`)
	for b.Len() < n {
		b.WriteString(s.hash())
	}
	b.WriteString(`"}`)
	snap, err := connection.NewSnapshot([]byte(b.String()), at)
	s.ok(err)
	return &snap
}

func (s *suite) number(c connection.Connection) *connection.Number {
	return &connection.Number{Carrier: c.Carrier, Number: c.AccountNumber}
}

// first is an entry of a history with all that an entry can hold.
var first = connection.HistoryEntry{ // never changes
	Check: connection.Check{
		At: milli(now), Outcome: carrier.OutcomeUnknownAccount, Latency: 1234567 * time.Nanosecond, Trigger: connection.TriggerLink, Code: "41001",
	},
	Number: 1, Status: connection.Active,
	Changes: []connection.Difference{
		{Type: connection.ChangedValidTo, From: "2026-01-01", To: "2027-01-01"},
		{Type: connection.ChangedField, ProductID: "3D35", Field: "details.lodgement_postcode"},
		{},
	},
}

// everything gives a row a value in every field but for DisconnectedAt and
// PurgeAt, which a link has not. A field that is added and forgotten here fails
// the test of the full row.
func everything(c connection.Connection) connection.Connection {
	return connection.Connection{
		ID: c.ID, AccountID: c.AccountID, PartnerID: c.PartnerID, Environment: carrier.Sandbox, Carrier: carrier.AustraliaPost,
		AccountNumber: c.AccountNumber, Nickname: "Lager \u6f22", Status: connection.Restricted, StatusReason: "credit_blocked",
		Standing: account.StandingPaused, Unrecorded: 4, Checks: 3, History: 5, LastCheck: first.Check,
		VerifiedAt: milli(now), ConsecutiveFailures: 2, FirstRefusedAt: milli(now.Add(-time.Hour)), NextRefreshAt: milli(now.Add(time.Hour)),
		RefreshRequestedAt: milli(now.Add(3 * time.Second)), VerifyCalledAt: milli(now.Add(4 * time.Second)), RefreshPolicy: connection.RefreshHourly,
		APIKeyLastFour: "ab12", CredentialID: "0123456789abcdef", CredentialsUpdatedAt: milli(now.Add(time.Second)), SecretVersion: "0f-1",
		Previous: connection.PreviousCredentials{
			SecretVersion: "0f-0", AccountNumber: "0004085239", LastFour: "cd34", CredentialID: "fedcba9876543210", Until: milli(now.Add(time.Hour)),
		},
		LeaseUntil: milli(now.Add(time.Minute)), Work: connection.WorkCredentials,
		ContractExpired: true, ContractValidTo: "2999-12-31", ContractCreditBlocked: true, ContractHash: "00ff", MerchantLocationID: "ZZ9",
		ExternalID: "their#id", Metadata: map[string]string{"k": "v", "e": ""}, CreatedAt: milli(now), ModifiedAt: milli(now.Add(2 * time.Second)),
		Version: c.Version,
	}
}

func linkTests() tests {
	return tests{
		"no account":                                               linkNoAccount,
		"an account that is disabled":                              linkAnAccountThatIsDisabled,
		"a number that is held":                                    linkANumberThatIsHeld,
		"a number is held by carrier and account":                  linkANumberIsHeldByCarrierAndAccount,
		"a duplicate that is wanted":                               linkADuplicateThatIsWanted,
		"an id that is taken":                                      linkAnIDThatIsTaken,
		"taking over what is not an intent":                        linkTakingOverWhatIsNotAnIntent,
		"taking over an intent, once":                              linkTakingOverAnIntentOnce,
		"finishing twice":                                          linkFinishingTwice,
		"finishing without an account":                             linkFinishingWithoutAnAccount,
		"finishing in an account that is disabled, or was deleted": linkFinishingInAnAccountThatIsDisabledOrWasDeleted,
		"finishing an intent that was dropped":                     linkFinishingAnIntentThatWasDropped,
		"finishing under a claim that is lost":                     linkFinishingUnderAClaimThatIsLost,
		"everything comes back":                                    linkEverythingComesBack,
		"the largest snapshot":                                     linkTheLargestSnapshot,
		"at once with one number, one begins":                      linkAtOnceWithOneNumberOneBegins,
		"at once taking over, one does":                            linkAtOnceTakingOverOneDoes,
	}
}

func linkNoAccount(s *suite) {
	c := s.newConnection(s.id())
	before := c
	s.fails("BeginLink", s.BeginLink(s.Context(), &c, connection.LinkOptions{}), fault.NotFound)
	s.equal("connection after a failure", c, before)
	_, err := s.Connection(s.Context(), c.AccountID, c.ID)
	s.fails("Connection", err, fault.NotFound)
}

func linkAnAccountThatIsDisabled(s *suite) {
	n := s.newAccount()
	n.Account.Active = false
	s.create(n)
	c := s.newConnection(n.Account.ID)
	s.fails("BeginLink", s.BeginLink(s.Context(), &c, connection.LinkOptions{}), fault.Inactive)
	s.equal("holders", s.load(c.AccountID, store.Want{Number: s.number(c)}).LinkedAs, []string(nil))
}

func linkANumberThatIsHeld(s *suite) {
	first := s.linked()
	c := s.newConnection(first.AccountID)
	p := s.problem("BeginLink", s.BeginLink(s.Context(), &c, connection.LinkOptions{}), fault.CarrierConflict)
	s.equal("existing connection", p.ExistingCarrierID, first.ID)
	s.equal("field", p.Field, "account_number")
	s.equal("connection after a failure", c.Version, int64(0))
	_, err := s.Connection(s.Context(), c.AccountID, c.ID)
	s.fails("Connection", err, fault.NotFound)
}

func linkANumberIsHeldByCarrierAndAccount(s *suite) {
	first := s.linked()
	startrack := s.newConnection(first.AccountID)
	startrack.Carrier = carrier.StarTrack
	s.ok(s.BeginLink(s.Context(), &startrack, connection.LinkOptions{}))
	other := s.newConnection(first.AccountID)
	other.AccountNumber = "0004085231"
	s.ok(s.BeginLink(s.Context(), &other, connection.LinkOptions{}))
	s.linked() // same number, another account
}

func linkADuplicateThatIsWanted(s *suite) {
	first := s.linked()
	c := s.newConnection(first.AccountID)
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{AllowDuplicate: true}))
	want := []string{first.ID, c.ID}
	slices.Sort(want)
	s.equal("holders", s.load(c.AccountID, store.Want{Number: s.number(c)}).LinkedAs, want)
	third := s.newConnection(first.AccountID)
	p := s.problem("BeginLink", s.BeginLink(s.Context(), &third, connection.LinkOptions{}), fault.CarrierConflict)
	s.equal("existing connection", p.ExistingCarrierID, want[0])
}

func linkAnIDThatIsTaken(s *suite) {
	first := s.linked()
	c := s.newConnection(first.AccountID)
	c.ID, c.AccountNumber = first.ID, "0004085999"
	s.fails("BeginLink", s.BeginLink(s.Context(), &c, connection.LinkOptions{}), fault.State)
	got, err := s.Connection(s.Context(), first.AccountID, first.ID)
	s.ok(err)
	s.equal("row", got, first)
}

func linkTakingOverWhatIsNotAnIntent(s *suite) {
	first := s.linked()
	taken := first
	s.fails("BeginLink", s.BeginLink(s.Context(), &taken, connection.LinkOptions{TakeOver: true}), fault.State)
	absent := s.newConnection(s.account().ID)
	absent.Version = 1
	s.fails("BeginLink", s.BeginLink(s.Context(), &absent, connection.LinkOptions{TakeOver: true}), fault.State)
	s.equal("holders", s.load(absent.AccountID, store.Want{Number: s.number(absent)}).LinkedAs, []string(nil))
}

func linkTakingOverAnIntentOnce(s *suite) {
	c := s.newConnection(s.account().ID)
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
	s.equal("version", c.Version, int64(1))
	s.equal("status", c.Status, connection.Linking)
	read, err := s.Connection(s.Context(), c.AccountID, c.ID)
	s.ok(err)
	s.equal("intent", read, c)
	mine, late := read, read
	mine.LeaseUntil = milli(now.Add(time.Hour))
	s.ok(s.BeginLink(s.Context(), &mine, connection.LinkOptions{TakeOver: true}))
	s.equal("version", mine.Version, int64(2))
	s.fails("another taker", s.BeginLink(s.Context(), &late, connection.LinkOptions{TakeOver: true}), fault.State)
	s.fails("the one that was taken from", s.FinishLink(s.Context(), &c, nil, nil, effects.Effects{}, now), fault.State)
	s.equal("carriers", s.load(c.AccountID, store.Want{}).Account.CarriersCount, 0)
	mine.Status = connection.Active
	s.ok(s.FinishLink(s.Context(), &mine, nil, nil, effects.Effects{}, now))
	s.equal("carriers", s.load(c.AccountID, store.Want{}).Account.CarriersCount, 1)
	s.equal("holders", s.load(c.AccountID, store.Want{Number: s.number(c)}).LinkedAs, []string{c.ID})
}

func linkFinishingTwice(s *suite) {
	c := s.linked()
	again := c
	again.Version--
	s.fails("FinishLink", s.FinishLink(s.Context(), &again, nil, nil, effects.Effects{}, now), fault.State)
	s.equal("carriers", s.load(c.AccountID, store.Want{}).Account.CarriersCount, 1)
}

func linkFinishingWithoutAnAccount(s *suite) {
	c := s.newConnection(s.id())
	s.fails("FinishLink", s.FinishLink(s.Context(), &c, nil, nil, effects.Effects{}, now), fault.NotFound)
}

func linkFinishingInAnAccountThatIsDisabledOrWasDeleted(s *suite) {
	a := s.account()
	c := s.newConnection(a.ID)
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
	s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, now))
	before := c
	s.fails("disabled", s.FinishLink(s.Context(), &c, &first, s.snapshot(100, now), effects.Effects{}, now), fault.Inactive)
	s.ok(s.DeleteAccount(s.Context(), s.stored(a.ID), false, purge, effects.Effects{}, now))
	s.fails("deleted", s.FinishLink(s.Context(), &c, &first, s.snapshot(100, now), effects.Effects{}, now), fault.State)
	s.equal("connection after a failure", c, before)
	l := s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true})
	s.equal("row", l.Connection, &before)
	s.equal("carriers", l.Account.CarriersCount, 0)
	if l.Snapshot != nil || len(s.historyOf(c)) > 0 {
		s.Error("a snapshot or an entry of the history was written")
	}
}

func linkFinishingAnIntentThatWasDropped(s *suite) {
	c := s.newConnection(s.account().ID)
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
	s.ok(s.DropLink(s.Context(), c))
	s.fails("FinishLink", s.FinishLink(s.Context(), &c, nil, nil, effects.Effects{}, now), fault.State)
	_, err := s.Connection(s.Context(), c.AccountID, c.ID)
	s.fails("Connection", err, fault.NotFound)
	s.equal("carriers", s.load(c.AccountID, store.Want{}).Account.CarriersCount, 0)
}

func linkFinishingUnderAClaimThatIsLost(s *suite) {
	c := s.newConnection(s.account().ID)
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
	rec := s.newRecord()
	rec.Sealed = []byte("answer")
	before := c
	s.fails("never claimed", s.FinishLink(s.Context(), &c, nil, nil, effects.Effects{Answer: &rec}, now), fault.State)
	s.claims("a rival", rival(rec), now)
	s.replays("a rival's", s.FinishLink(s.Context(), &c, nil, s.snapshot(100, now), effects.Effects{Answer: &rec}, now), rival(rec))
	s.equal("connection after a failure", c, before)
	l := s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true})
	s.equal("row", l.Connection, &before)
	s.equal("carriers", l.Account.CarriersCount, 0)
	if l.Snapshot != nil {
		s.Error("the snapshot was written")
	}
}

func linkEverythingComesBack(s *suite) {
	c := s.newConnection(s.account().ID)
	rec := s.newRecord()
	s.claims("claim", rec, now)
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
	began := c.Version
	c = everything(c)
	snap := s.snapshot(300, milli(now))
	rec.Sealed = []byte("answer")
	s.ok(s.FinishLink(s.Context(), &c, &first, snap, effects.Effects{Answer: &rec}, now))
	s.equal("version", c.Version, began+1)
	s.equal("lease", c.LeaseUntil, time.Time{})
	l := s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true, Number: s.number(c)})
	s.equal("row", l.Connection, &c)
	s.equal("snapshot", l.Snapshot, snap)
	s.equal("holders", l.LinkedAs, []string{c.ID})
	s.equal("carriers", l.Account.CarriersCount, 1)
	s.findsClaimed("record", rival(rec), now, rec)
	got, err := s.Connection(s.Context(), c.AccountID, c.ID)
	s.ok(err)
	s.equal("Connection", got, c)
	s.equal("history", s.historyOf(c), []connection.HistoryEntry{first})
	for field, v := range reflect.ValueOf(everything(got)).Fields() {
		if v.IsZero() && field.Name != "DisconnectedAt" && field.Name != "PurgeAt" {
			s.Errorf("%s has no value in this test", field.Name)
		}
	}
	s.unschedule(got)
}

func linkTheLargestSnapshot(s *suite) {
	c := s.newConnection(s.account().ID)
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
	snap := s.snapshot(650_000, milli(now))
	if len(snap.Packed) < 330_000 {
		s.Fatalf("the snapshot packs to %d bytes: too small to show anything", len(snap.Packed))
	}
	c.Status = connection.Active
	s.ok(s.FinishLink(s.Context(), &c, nil, snap, effects.Effects{}, now))
	s.equal("snapshot", s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true}).Snapshot, snap)
}

func linkAtOnceWithOneNumberOneBegins(s *suite) {
	account := s.account().ID
	conns := make([]connection.Connection, 8)
	for i := range conns {
		conns[i] = s.newConnection(account)
	}
	var winner string
	results := race(len(conns), func(i int) error { return s.BeginLink(s.Context(), &conns[i], connection.LinkOptions{}) })
	for i, err := range results {
		if err == nil && winner != "" {
			s.Error("two intents for one number")
		} else if err == nil {
			winner = conns[i].ID
		}
	}
	for _, err := range results {
		if err != nil && !fault.Is(err, fault.State) {
			s.equal("existing connection", s.problem("a loser", err, fault.CarrierConflict).ExistingCarrierID, winner)
		}
	}
	s.equal("holders", s.load(account, store.Want{Number: s.number(conns[0])}).LinkedAs, []string{winner})
}

func linkAtOnceTakingOverOneDoes(s *suite) {
	c := s.newConnection(s.account().ID)
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
	won := 0
	for _, err := range race(8, func(int) error {
		mine := c
		return s.BeginLink(s.Context(), &mine, connection.LinkOptions{TakeOver: true})
	}) {
		if err == nil {
			won++
		} else {
			s.fails("a loser", err, fault.State)
		}
	}
	s.equal("takers", won, 1)
}
