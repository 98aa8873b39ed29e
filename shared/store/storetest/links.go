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

// snapshot is a carrier's answer of n bytes that hardly compresses.
func (s *suite) snapshot(n int, at time.Time) *connection.Snapshot {
	s.Helper()
	var b strings.Builder
	b.WriteString(`{"account_number":"0004085230","filler":"`)
	for b.Len() < n {
		b.WriteString(s.hash())
	}
	b.WriteString(`"}`)
	snap := must(connection.NewSnapshot([]byte(b.String()), at))
	return &snap
}

func (s *suite) number(c connection.Connection) *connection.Number {
	return &connection.Number{Carrier: c.Carrier, Number: c.AccountNumber}
}

// first is an entry of a history with a value in every field.
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

// everything is a connection with a value in every field, except DisconnectedAt and
// PurgeAt, which an active connection does not have. TestAllFields fails for a field
// that is missing here.
func everything(c connection.Connection) connection.Connection {
	return connection.Connection{
		ID: c.ID, AccountID: c.AccountID, PartnerID: c.PartnerID, Environment: carrier.Sandbox, Carrier: carrier.AustraliaPost,
		AccountNumber: c.AccountNumber, Nickname: "Lager \u6f22", Status: connection.Restricted, StatusReason: "credit_blocked",
		Standing: account.StandingPaused, ClaimsUnrecorded: 4, Reads: connection.Reads{Day: "2026-03-03", Count: 6}, ChecksWithCredentials: 3, ChecksEver: 5, LastCheck: first.Check,
		VerifiedAt: milli(now), ConsecutiveFailures: 2, FirstRefusedAt: milli(now.Add(-time.Hour)), NextRefreshAt: milli(now.Add(time.Hour)),
		RefreshRequestedAt: milli(now.Add(3 * time.Second)), VerifyCalledAt: milli(now.Add(4 * time.Second)), HeldUntil: milli(now.Add(5 * time.Second)), RefreshPolicy: connection.RefreshHourly,
		APIKeyLastFour: "ab12", CredentialID: "0123456789abcdef", CredentialsUpdatedAt: milli(now.Add(time.Second)), SecretVersion: "0f-1",
		Previous: connection.PreviousCredentials{
			SecretVersion: "0f-0", AccountNumber: "0004085239", LastFour: "cd34", CredentialID: "fedcba9876543210", Until: milli(now.Add(time.Hour)),
		},
		LeaseUntil: milli(now.Add(time.Minute)), Work: connection.WorkCredentials, WorkSince: milli(now.Add(-time.Hour)),
		ContractExpired: true, ContractValidTo: "2999-12-31", ContractCreditBlocked: true, ContractHash: "00ff", WarnedOf: "2026-06-30", WarnedDays: 7, MerchantLocationID: "ZZ9",
		ExternalID: "their#id", Metadata: map[string]string{"k": "v", "e": ""}, CreatedAt: milli(now), ModifiedAt: milli(now.Add(2 * time.Second)),
		Version: c.Version,
	}
}

// links tests BeginLink and FinishLink.
type links struct{ *suite }

func (s links) TestAbsentAccount() {
	c := s.newConnection(s.id())
	before := c
	s.fails("BeginLink", s.BeginLink(s.Context(), &c, connection.LinkOptions{}), fault.NotFound)
	s.equal("connection after a failure", c, before)
	s.fails("Connection", errOf(s.Connection(s.Context(), c.AccountID, c.ID)), fault.NotFound)
}

func (s links) TestDisabledAccount() {
	c := s.newConnection(s.account(func(a *account.Account) { a.Active = false }).ID)
	s.fails("BeginLink", s.BeginLink(s.Context(), &c, connection.LinkOptions{}), fault.Inactive)
	s.heldBy("refused", c)
}

func (s links) TestHeldNumber() {
	first := s.linked()
	c := s.newConnection(first.AccountID)
	p := s.problem("BeginLink", s.BeginLink(s.Context(), &c, connection.LinkOptions{}), fault.CarrierConflict)
	s.equal("existing connection", p.ExistingCarrierID, first.ID)
	s.equal("field", p.Field, "account_number")
	s.equal("connection after a failure", c.Version, int64(0))
	s.fails("Connection", errOf(s.Connection(s.Context(), c.AccountID, c.ID)), fault.NotFound)
}

func (s links) TestNumberIsHeldByCarrierAndAccount() {
	first := s.linked()
	s.intent(first.AccountID, func(c *connection.Connection) { c.Carrier = carrier.StarTrack })
	s.intent(first.AccountID, numbered("0004085231"))
	s.linked() // the same number in another account
}

func (s links) TestAllowedDuplicate() {
	first := s.linked()
	c := s.newConnection(first.AccountID)
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{AllowDuplicate: true}))
	s.heldBy("linked twice", c, first.ID, c.ID)
	third := s.newConnection(first.AccountID)
	p := s.problem("BeginLink", s.BeginLink(s.Context(), &third, connection.LinkOptions{}), fault.CarrierConflict)
	s.equal("existing connection", p.ExistingCarrierID, min(first.ID, c.ID))
}

func (s links) TestTakenID() {
	first := s.linked()
	c := s.newConnection(first.AccountID)
	c.ID, c.AccountNumber = first.ID, "0004085999"
	s.fails("BeginLink", s.BeginLink(s.Context(), &c, connection.LinkOptions{}), fault.State)
	s.equal("row", s.row(first), first)
}

func (s links) TestTakeOverOfNoIntent() {
	first := s.linked()
	taken := first
	s.fails("BeginLink", s.BeginLink(s.Context(), &taken, connection.LinkOptions{TakeOver: true}), fault.State)
	absent := s.newConnection(s.account().ID)
	absent.Version = 1
	s.fails("BeginLink", s.BeginLink(s.Context(), &absent, connection.LinkOptions{TakeOver: true}), fault.State)
	s.heldBy("refused", absent)
}

func (s links) TestTakeOver() {
	c := s.intent(s.account().ID)
	s.equal("version", c.Version, int64(1))
	s.equal("status", c.Status, connection.Linking)
	s.equal("intent", s.row(c), c)
	mine, late := c, c
	mine.LeaseUntil = milli(now.Add(time.Hour))
	s.ok(s.BeginLink(s.Context(), &mine, connection.LinkOptions{TakeOver: true}))
	s.equal("version", mine.Version, int64(2))
	s.fails("another taker", s.BeginLink(s.Context(), &late, connection.LinkOptions{TakeOver: true}), fault.State)
	s.fails("the one that was taken from", s.FinishLink(s.Context(), &c, nil, nil, effects.Effects{}, now), fault.State)
	s.equal("carriers", s.stored(c.AccountID).CarriersCount, 0)
	mine.Status = connection.Active
	s.ok(s.FinishLink(s.Context(), &mine, nil, nil, effects.Effects{}, now))
	s.equal("carriers", s.stored(c.AccountID).CarriersCount, 1)
	s.heldBy("linked", c, c.ID)
}

func (s links) TestFinishTwice() {
	c := s.linked()
	again := c
	again.Version--
	s.fails("FinishLink", s.FinishLink(s.Context(), &again, nil, nil, effects.Effects{}, now), fault.State)
	s.equal("carriers", s.stored(c.AccountID).CarriersCount, 1)
}

func (s links) TestFinishWithoutAccount() {
	c := s.newConnection(s.id())
	s.fails("FinishLink", s.FinishLink(s.Context(), &c, nil, nil, effects.Effects{}, now), fault.NotFound)
}

func (s links) TestFinishInDisabledOrDeletedAccount() {
	a := s.account()
	c := s.intent(a.ID)
	before, disabled := c, s.disable(a)
	s.fails("disabled", s.FinishLink(s.Context(), &c, &first, s.snapshot(100, now), effects.Effects{}, now), fault.Inactive)
	s.remove(disabled)
	s.fails("deleted", s.FinishLink(s.Context(), &c, &first, s.snapshot(100, now), effects.Effects{}, now), fault.State)
	s.equal("connection after a failure", c, before)
	s.holds("refused", before, nil)
	s.equal("carriers", s.stored(a.ID).CarriersCount, 0)
}

func (s links) TestFinishDroppedIntent() {
	c := s.intent(s.account().ID)
	s.ok(s.DropLink(s.Context(), c))
	s.fails("FinishLink", s.FinishLink(s.Context(), &c, nil, nil, effects.Effects{}, now), fault.State)
	s.fails("Connection", errOf(s.Connection(s.Context(), c.AccountID, c.ID)), fault.NotFound)
	s.equal("carriers", s.stored(c.AccountID).CarriersCount, 0)
}

func (s links) TestFinishUnderALostClaim() {
	c := s.intent(s.account().ID)
	rec := s.newRecord()
	rec.Sealed = []byte("answer")
	before := c
	s.fails("never claimed", s.FinishLink(s.Context(), &c, nil, nil, effects.Effects{Answer: &rec}, now), fault.State)
	s.claims("a rival", rival(rec), now)
	s.replays("a rival's", s.FinishLink(s.Context(), &c, nil, s.snapshot(100, now), effects.Effects{Answer: &rec}, now), rival(rec))
	s.equal("connection after a failure", c, before)
	s.holds("refused", before, nil)
	s.equal("carriers", s.stored(c.AccountID).CarriersCount, 0)
}

func (s links) TestAllFields() {
	c, rec, snap := s.intent(s.account().ID), s.answered(), s.snapshot(300, milli(now))
	began := c.Version
	c = everything(c)
	s.ok(s.FinishLink(s.Context(), &c, &first, snap, effects.Effects{Answer: &rec}, now))
	s.equal("version", c.Version, began+1)
	s.equal("lease", c.LeaseUntil, time.Time{})
	l := s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true, Number: s.number(c)})
	s.equal("row", l.Connection, &c)
	s.equal("snapshot", l.Snapshot, snap)
	s.equal("holders", l.LinkedAs, []string{c.ID})
	s.equal("carriers", l.Account.CarriersCount, 1)
	s.findsClaimed("record", rival(rec), now, rec)
	s.holds("linked", c, snap, first)
	for field, v := range reflect.ValueOf(everything(c)).Fields() {
		if v.IsZero() && field.Name != "DisconnectedAt" && field.Name != "PurgeAt" {
			s.Errorf("%s has no value in this test", field.Name)
		}
	}
	s.unschedule(c)
}

func (s links) TestLargestSnapshot() {
	snap := s.snapshot(650_000, milli(now))
	if len(snap.Packed) < 330_000 {
		s.Fatalf("the snapshot packs to %d bytes: too small to show anything", len(snap.Packed))
	}
	c := s.linkedTo(s.account().ID, snap)
	s.equal("snapshot", s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true}).Snapshot, snap)
}

func (s links) TestConcurrentLinksOfOneNumber() {
	account := s.account().ID
	conns := make([]connection.Connection, 8)
	for i := range conns {
		conns[i] = s.newConnection(account)
	}
	results := race(len(conns), func(i int) error { return s.BeginLink(s.Context(), &conns[i], connection.LinkOptions{}) })
	s.wins(1, results, fault.CarrierConflict, fault.State) // State: too many at once
	winner := conns[max(slices.Index(results, nil), 0)]
	for _, err := range results {
		if fault.Is(err, fault.CarrierConflict) {
			s.equal("existing connection", fault.Of(err)[0].ExistingCarrierID, winner.ID)
		}
	}
	s.heldBy("linked once", winner, winner.ID)
}

func (s links) TestConcurrentTakeOvers() {
	c := s.intent(s.account().ID)
	s.wins(1, race(8, func(int) error {
		mine := c
		return s.BeginLink(s.Context(), &mine, connection.LinkOptions{TakeOver: true})
	}), fault.State)
}
