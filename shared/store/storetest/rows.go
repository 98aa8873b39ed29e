package storetest

import (
	"slices"
	"strconv"
	"time"

	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/store"
)

// rows tests SaveConnection, DropLink, ChangeConnection, Unlink and AllConnections.
type rows struct{ *suite }

func (s rows) TestSaveAbsentOrOtherVersion() {
	absent := s.newConnection(s.account().ID)
	absent.Version = 3
	before := absent
	s.fails("absent", s.SaveConnection(s.Context(), &absent), fault.NotFound)
	s.equal("connection after a failure", absent, before)
	c := s.linked()
	late := c
	s.ok(s.SaveConnection(s.Context(), &c))
	s.fails("late", s.SaveConnection(s.Context(), &late), fault.State)
	s.equal("row", s.row(c), c)
}

func (s rows) TestSaveAllFields() {
	linked := s.linked()
	c := everything(linked)
	c.DisconnectedAt, c.PurgeAt = milli(now.Add(5*time.Second)), purge
	s.ok(s.SaveConnection(s.Context(), &c))
	s.equal("version", c.Version, linked.Version+1)
	s.equal("row", s.row(c), c)
	s.ok(s.SaveConnection(s.Context(), &connection.Connection{ID: c.ID, AccountID: c.AccountID, Version: c.Version}))
	s.equal("row", s.row(c), connection.Connection{ID: c.ID, AccountID: c.AccountID, Version: c.Version + 1})
}

func (s rows) TestConcurrentSaves() {
	c := s.linked()
	s.wins(1, race(8, func(int) error {
		mine := c
		mine.Work, mine.LeaseUntil = connection.WorkCredentials, now
		return s.SaveConnection(s.Context(), &mine)
	}), fault.State)
	s.unschedule(s.row(c))
}

func (s rows) TestDropNoIntentOrOtherVersion() {
	absent := s.newConnection(s.account().ID)
	s.fails("absent", s.DropLink(s.Context(), absent), fault.NotFound)
	linked := s.linked()
	s.fails("linked", s.DropLink(s.Context(), linked), fault.State)
	s.equal("row", s.row(linked), linked)
	c := s.intent(s.account().ID)
	late := c
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{TakeOver: true}))
	s.fails("taken over", s.DropLink(s.Context(), late), fault.State)
	s.equal("row", s.row(c), c)
	s.heldBy("taken over", c, c.ID)
}

func (s rows) TestDropFreesTheNumber() {
	first := s.linked()
	c := s.newConnection(first.AccountID)
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{AllowDuplicate: true}))
	s.ok(s.DropLink(s.Context(), c))
	s.heldBy("dropped", c, first.ID)
	s.fails("again", s.DropLink(s.Context(), c), fault.NotFound)

	alone := s.intent(s.account().ID)
	s.ok(s.DropLink(s.Context(), alone))
	s.heldBy("dropped", alone)
	again := s.linkedTo(alone.AccountID, nil)
	s.heldBy("linked again", again, again.ID)
	s.equal("rows", must(s.AllConnections(s.Context(), alone.AccountID)), []connection.Connection{again})
}

func (s rows) TestChangeAbsentOrOtherVersion() {
	absent := s.newConnection(s.account().ID)
	absent.Version = 3
	change := connection.Update{OldNumber: "0004085999", Entry: &first, Snapshot: s.snapshot(100, now)}
	s.fails("absent", s.ChangeConnection(s.Context(), &absent, change, effects.Effects{}, now), fault.NotFound)
	s.heldBy("absent", absent)
	c := s.linked()
	late := c
	s.ok(s.SaveConnection(s.Context(), &c))
	late.AccountNumber = "0004085231"
	change.OldNumber = c.AccountNumber
	s.fails("late", s.ChangeConnection(s.Context(), &late, change, effects.Effects{}, now), fault.State)
	s.unchanged(c, late)
}

func (s rows) TestChangeUnderALostClaim() {
	c := s.linked()
	next, rec := c, s.newRecord()
	next.AccountNumber, rec.Sealed = "0004085231", []byte("answer")
	change := connection.Update{OldNumber: c.AccountNumber, Entry: &first, Snapshot: s.snapshot(100, now)}
	s.fails("never claimed", s.ChangeConnection(s.Context(), &next, change, effects.Effects{Answer: &rec}, now), fault.State)
	s.claims("a rival", rival(rec), now)
	s.replays("a rival's", s.ChangeConnection(s.Context(), &next, change, effects.Effects{Answer: &rec}, now), rival(rec))
	s.equal("version after a failure", next.Version, c.Version)
	s.unchanged(c, next)
}

func (s rows) TestChangeToAHeldNumber() {
	c := s.linked()
	other := s.linkedTo(c.AccountID, nil, numbered("0004085231"))
	next, rec := c, s.answered()
	next.AccountNumber = other.AccountNumber
	change := connection.Update{OldNumber: c.AccountNumber, Entry: &first, Snapshot: s.snapshot(100, now)}
	p := s.problem("ChangeConnection", s.ChangeConnection(s.Context(), &next, change, effects.Effects{Answer: &rec}, now), fault.CarrierConflict)
	s.equal("existing connection", p.ExistingCarrierID, other.ID)
	s.unchanged(c, next, other.ID)
	s.equal("answered", must(s.Idempotency(s.Context(), rec, now)).Finished(), false)

	change.AllowDuplicate = true
	s.ok(s.ChangeConnection(s.Context(), &next, change, effects.Effects{Answer: &rec}, now))
	s.heldBy("new number", next, c.ID, other.ID)
	s.heldBy("old number", c)
}

func (s rows) TestChange() {
	c := s.linked()
	next := everything(c)
	next.AccountNumber = "0004085231"
	rec, snap := s.answered(), s.snapshot(200, milli(now))
	s.ok(s.ChangeConnection(s.Context(), &next, connection.Update{OldNumber: c.AccountNumber, Entry: &first, Snapshot: snap}, effects.Effects{Answer: &rec}, now))
	want := everything(c)
	want.AccountNumber, want.Version = "0004085231", c.Version+1
	s.equal("connection", next, want)
	s.holds("changed", want, snap, first)
	s.heldBy("old number", c)
	s.heldBy("new number", next, c.ID)
	s.findsClaimed("answer", rival(rec), now, rec)
	s.intent(c.AccountID) // its number is free

	s.ok(s.ChangeConnection(s.Context(), &next, connection.Update{OldNumber: next.AccountNumber}, effects.Effects{}, now))
	next.Nickname = "and nothing else"
	s.ok(s.ChangeConnection(s.Context(), &next, connection.Update{}, effects.Effects{}, now))
	s.holds("changed again", next, snap, first)
	s.heldBy("new number", next, c.ID)
	s.unschedule(next)
}

func (s rows) TestUnchangedRowKeepsTheAnswer() {
	c, rec := s.linked(), s.answered()
	unfinished := rec
	unfinished.Sealed = nil
	keep := connection.Update{Unchanged: true}
	late := c
	late.Version++
	s.fails("another version", s.ChangeConnection(s.Context(), &late, keep, effects.Effects{Answer: &rec}, now), fault.State)
	absent := s.newConnection(c.AccountID)
	s.fails("absent", s.ChangeConnection(s.Context(), &absent, keep, effects.Effects{Answer: &rec}, now), fault.NotFound)
	lost := rival(rec)
	s.replays("another's claim", s.ChangeConnection(s.Context(), &c, keep, effects.Effects{Answer: &lost}, now), unfinished)
	next := c
	s.ok(s.ChangeConnection(s.Context(), &next, keep, effects.Effects{Answer: &rec}, now))
	s.equal("connection", next, c)
	s.equal("row", s.row(c), c)
	s.findsClaimed("answer", rival(rec), now, rec)
}

func (s rows) TestConcurrentChangesToOneNumber() {
	account := s.account().ID
	conns := make([]connection.Connection, 4)
	for i := range conns {
		conns[i] = s.linkedTo(account, nil, numbered("000408523"+strconv.Itoa(i)))
	}
	results := race(len(conns), func(i int) error {
		old := conns[i].AccountNumber
		conns[i].AccountNumber = "0004085999"
		return s.ChangeConnection(s.Context(), &conns[i], connection.Update{OldNumber: old}, effects.Effects{}, now)
	})
	s.wins(1, results, fault.CarrierConflict, fault.State) // State: too many at once
	s.heldBy("changed once", conns[0], conns[max(slices.Index(results, nil), 0)].ID)
}

func (s rows) TestUnlinkAbsentOrOtherVersion() {
	absent := s.newConnection(s.id())
	s.fails("no account", s.Unlink(s.Context(), &absent, effects.Effects{}, now), fault.NotFound)
	absent = s.newConnection(s.account().ID)
	s.fails("absent", s.Unlink(s.Context(), &absent, effects.Effects{}, now), fault.NotFound)
	s.equal("carriers", s.stored(absent.AccountID).CarriersCount, 0)
	snap := s.snapshot(100, milli(now))
	c := s.linkedTo(s.account().ID, snap)
	late := c
	s.ok(s.SaveConnection(s.Context(), &c))
	late.Status = connection.Disconnected
	s.fails("late", s.Unlink(s.Context(), &late, effects.Effects{}, now), fault.State)
	s.holds("late", c, snap)
	s.equal("carriers", s.stored(c.AccountID).CarriersCount, 1)
	s.heldBy("late", c, c.ID)
}

func (s rows) TestUnlink() {
	c := must(s.ClaimCheck(s.Context(), s.linkedTo(s.account().ID, s.snapshot(100, now)), nil, now.Add(time.Minute), now))
	s.ok(s.RecordCheck(s.Context(), &c, &first, nil, effects.Effects{}, now))
	account := s.stored(c.AccountID)
	c.Status, c.Work, c.LeaseUntil = connection.Disconnected, connection.WorkUnlink, milli(now.Add(time.Minute))
	c.DisconnectedAt, c.PurgeAt = milli(now), purge
	want := c
	want.Version++
	s.ok(s.Unlink(s.Context(), &c, effects.Effects{}, now))
	s.equal("connection", c, want)
	s.holds("unlinked", want, nil, first)
	l := s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true, Number: s.number(c), Now: purge.Add(-time.Second)})
	account.CarriersCount = 0
	s.equal("loaded", l, store.Loaded{Account: &account, Connection: &want})
	s.equal("all", must(s.AllConnections(s.Context(), c.AccountID)), []connection.Connection{want})
	visible, _ := must2(s.ListConnections(s.Context(), c.AccountID, true))
	s.equal("visible", len(visible), 0)

	s.linkedTo(c.AccountID, nil)
	s.equal("carriers", s.stored(c.AccountID).CarriersCount, 1)
	s.saved(c, func(c *connection.Connection) { c.Work, c.LeaseUntil = connection.NoWork, time.Time{} })
	if s.load(c.AccountID, store.Want{ConnectionID: c.ID, Now: purge}).Connection != nil {
		s.Error("the row is there after its purge")
	}
}

func (s rows) TestUnlinkDuplicateInDisabledOrDeletedAccount() {
	c := s.linked()
	twin := s.newConnection(c.AccountID)
	s.ok(s.BeginLink(s.Context(), &twin, connection.LinkOptions{AllowDuplicate: true}))
	twin.Status = connection.Active
	s.ok(s.FinishLink(s.Context(), &twin, nil, nil, effects.Effects{}, now))
	s.disable(s.stored(c.AccountID))
	s.disconnect(&c)
	s.heldBy("one unlinked", c, twin.ID)
	s.remove(s.stored(c.AccountID))
	s.disconnect(&twin)
	s.heldBy("both unlinked", c)
	s.equal("carriers", s.stored(c.AccountID).CarriersCount, 0)
}

func (s rows) TestConcurrentUnlinks() {
	c := s.linked()
	s.linkedTo(c.AccountID, nil, numbered("0004085231"))
	s.wins(1, race(8, func(int) error {
		mine := c
		mine.Status, mine.PurgeAt = connection.Disconnected, purge
		return s.Unlink(s.Context(), &mine, effects.Effects{}, now)
	}), fault.State)
	s.equal("carriers", s.stored(c.AccountID).CarriersCount, 1)
}

func (s rows) TestAllOldestFirst() {
	a := s.account()
	want := make([]connection.Connection, 3)
	for i := range want {
		c := s.intent(a.ID, func(c *connection.Connection) {
			c.AccountNumber, c.CreatedAt = "000408523"+strconv.Itoa(i), milli(now.Add(-time.Duration(i)*time.Hour))
		})
		if i > 0 {
			c.Status = connection.Active
			s.ok(s.FinishLink(s.Context(), &c, &first, s.snapshot(100, now), effects.Effects{}, now))
		}
		if i > 1 {
			s.disconnect(&c)
		}
		want[2-i] = c
	}
	s.equal("connections", must(s.AllConnections(s.Context(), a.ID)), want)
	visible, _ := must2(s.ListConnections(s.Context(), a.ID, false))
	s.equal("visible", visible, want[1:2])
}

// unchanged checks that nothing was stored of a change of c into next, whose number
// these connections hold.
func (s rows) unchanged(c, next connection.Connection, others ...string) {
	s.Helper()
	s.holds("unchanged", c, nil)
	s.heldBy("old number", c, c.ID)
	s.heldBy("new number", next, others...)
}
