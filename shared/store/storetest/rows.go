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

func rowTests() tests {
	return tests{
		"saving what is gone, or another version":    rowSavingWhatIsGoneOrAnotherVersion,
		"saving everything":                          rowSavingEverything,
		"at once saving, one does":                   rowAtOnceSavingOneDoes,
		"dropping what is no intent, or another one": rowDroppingWhatIsNoIntentOrAnotherOne,
		"dropping an intent frees its number":        rowDroppingAnIntentFreesItsNumber,
		"changing what is gone, or another version":  rowChangingWhatIsGoneOrAnotherVersion,
		"changing under a claim that is lost":        rowChangingUnderAClaimThatIsLost,
		"changing to a number that is held":          rowChangingToANumberThatIsHeld,
		"changing":                                   rowChanging,
		"keeping an answer beside a row that stays":  rowKeepingAnAnswerBesideARowThatStays,
		"at once to one number, one changes":         rowAtOnceToOneNumberOneChanges,
		"unlinking what is gone, or another version": rowUnlinkingWhatIsGoneOrAnotherVersion,
		"unlinking": rowUnlinking,
		"unlinking one of two of a number, in an account that is disabled or deleted": rowUnlinkingOneOfTwoOfANumberInAnAccountThatIsDisabledOrDeleted,
		"at once unlinking, one does":   rowAtOnceUnlinkingOneDoes,
		"all of them, the oldest first": rowAllOfThemTheOldestFirst,
	}
}

func rowSavingWhatIsGoneOrAnotherVersion(s *suite) {
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

func rowSavingEverything(s *suite) {
	linked := s.linked()
	c := everything(linked)
	c.DisconnectedAt, c.PurgeAt = milli(now.Add(5*time.Second)), purge
	s.ok(s.SaveConnection(s.Context(), &c))
	s.equal("version", c.Version, linked.Version+1)
	s.equal("row", s.row(c), c)
	s.ok(s.SaveConnection(s.Context(), &connection.Connection{ID: c.ID, AccountID: c.AccountID, Version: c.Version}))
	s.equal("row", s.row(c), connection.Connection{ID: c.ID, AccountID: c.AccountID, Version: c.Version + 1})
}

func rowAtOnceSavingOneDoes(s *suite) {
	c := s.linked()
	s.equal("saved", s.won(race(8, func(int) error {
		mine := c
		mine.Work, mine.LeaseUntil = connection.WorkCredentials, now
		return s.SaveConnection(s.Context(), &mine)
	}), fault.State), 1)
	s.unschedule(s.row(c))
}

func rowDroppingWhatIsNoIntentOrAnotherOne(s *suite) {
	absent := s.newConnection(s.account().ID)
	s.fails("absent", s.DropLink(s.Context(), absent), fault.NotFound)
	linked := s.linked()
	s.fails("linked", s.DropLink(s.Context(), linked), fault.State)
	s.equal("row", s.row(linked), linked)
	c := s.newConnection(s.account().ID)
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
	late := c
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{TakeOver: true}))
	s.fails("taken over", s.DropLink(s.Context(), late), fault.State)
	s.equal("row", s.row(c), c)
	s.equal("holders", s.holders(c), []string{c.ID})
}

func rowDroppingAnIntentFreesItsNumber(s *suite) {
	first := s.linked()
	c := s.newConnection(first.AccountID)
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{AllowDuplicate: true}))
	s.ok(s.DropLink(s.Context(), c))
	s.equal("other holders", s.holders(c), []string{first.ID})
	s.fails("again", s.DropLink(s.Context(), c), fault.NotFound)

	alone := s.newConnection(s.account().ID)
	s.ok(s.BeginLink(s.Context(), &alone, connection.LinkOptions{}))
	s.ok(s.DropLink(s.Context(), alone))
	s.equal("holders", s.holders(alone), []string(nil))
	again := s.newConnection(alone.AccountID)
	s.link(&again, nil)
	s.equal("holders", s.holders(again), []string{again.ID})
	rows, err := s.AllConnections(s.Context(), alone.AccountID)
	s.ok(err)
	s.equal("rows", rows, []connection.Connection{again})
}

func rowChangingWhatIsGoneOrAnotherVersion(s *suite) {
	absent := s.newConnection(s.account().ID)
	absent.Version = 3
	change := connection.Update{OldNumber: "0004085999", Entry: &first, Snapshot: s.snapshot(100, now)}
	s.fails("absent", s.ChangeConnection(s.Context(), &absent, change, effects.Effects{}, now), fault.NotFound)
	s.equal("holders", s.holders(absent), []string(nil))
	c := s.linked()
	late := c
	s.ok(s.SaveConnection(s.Context(), &c))
	late.AccountNumber = "0004085231"
	change.OldNumber = c.AccountNumber
	s.fails("late", s.ChangeConnection(s.Context(), &late, change, effects.Effects{}, now), fault.State)
	s.unchangedBut(c, late)
}

func rowChangingUnderAClaimThatIsLost(s *suite) {
	c := s.linked()
	next, rec := c, s.newRecord()
	next.AccountNumber, rec.Sealed = "0004085231", []byte("answer")
	change := connection.Update{OldNumber: c.AccountNumber, Entry: &first, Snapshot: s.snapshot(100, now)}
	s.fails("never claimed", s.ChangeConnection(s.Context(), &next, change, effects.Effects{Answer: &rec}, now), fault.State)
	s.claims("a rival", rival(rec), now)
	s.replays("a rival's", s.ChangeConnection(s.Context(), &next, change, effects.Effects{Answer: &rec}, now), rival(rec))
	s.equal("version after a failure", next.Version, c.Version)
	s.unchangedBut(c, next)
}

func rowChangingToANumberThatIsHeld(s *suite) {
	c := s.linked()
	other := s.newConnection(c.AccountID)
	other.AccountNumber = "0004085231"
	s.link(&other, nil)
	next, rec := c, s.newRecord()
	next.AccountNumber = other.AccountNumber
	s.claims("claim", rec, now)
	rec.Sealed = []byte("answer")
	change := connection.Update{OldNumber: c.AccountNumber, Entry: &first, Snapshot: s.snapshot(100, now)}
	p := s.problem("ChangeConnection", s.ChangeConnection(s.Context(), &next, change, effects.Effects{Answer: &rec}, now), fault.CarrierConflict)
	s.equal("existing connection", p.ExistingCarrierID, other.ID)
	s.equal("holders", s.holders(other), []string{other.ID})
	s.equal("row", s.row(c), c)
	s.equal("history", len(s.historyOf(c)), 0)
	got, err := s.Idempotency(s.Context(), rec, now)
	s.ok(err)
	s.equal("answered", got.Finished(), false)

	change.AllowDuplicate = true
	s.ok(s.ChangeConnection(s.Context(), &next, change, effects.Effects{Answer: &rec}, now))
	both := []string{c.ID, other.ID}
	slices.Sort(both)
	s.equal("holders", s.holders(next), both)
	s.equal("holders of the old number", s.holders(c), []string(nil))
}

func rowChanging(s *suite) {
	c := s.linked()
	next := everything(c)
	next.AccountNumber = "0004085231"
	rec := s.newRecord()
	s.claims("claim", rec, now)
	rec.Sealed = []byte("answer")
	snap := s.snapshot(200, milli(now))
	s.ok(s.ChangeConnection(s.Context(), &next, connection.Update{OldNumber: c.AccountNumber, Entry: &first, Snapshot: snap}, effects.Effects{Answer: &rec}, now))
	want := everything(c)
	want.AccountNumber, want.Version = "0004085231", c.Version+1
	s.equal("connection", next, want)
	s.equal("row", s.row(c), want)
	s.equal("holders of the old number", s.holders(c), []string(nil))
	s.equal("holders of the new one", s.holders(next), []string{c.ID})
	s.equal("history", s.historyOf(c), []connection.HistoryEntry{first})
	got, err := s.Snapshot(s.Context(), c.AccountID, c.ID)
	s.ok(err)
	s.equal("snapshot", got, snap)
	s.findsClaimed("answer", rival(rec), now, rec)
	free := s.newConnection(c.AccountID)
	s.ok(s.BeginLink(s.Context(), &free, connection.LinkOptions{}))

	s.ok(s.ChangeConnection(s.Context(), &next, connection.Update{OldNumber: next.AccountNumber}, effects.Effects{}, now))
	next.Nickname = "and nothing else"
	s.ok(s.ChangeConnection(s.Context(), &next, connection.Update{}, effects.Effects{}, now))
	s.equal("row", s.row(c), next)
	s.equal("holders", s.holders(next), []string{c.ID})
	s.equal("history", s.historyOf(c), []connection.HistoryEntry{first})
	s.unschedule(next)
}

func rowKeepingAnAnswerBesideARowThatStays(s *suite) {
	c, rec := s.linked(), s.newRecord()
	s.claims("claim", rec, now)
	unfinished := rec
	rec.Sealed = []byte("answer")
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

func rowAtOnceToOneNumberOneChanges(s *suite) {
	account := s.account().ID
	conns := make([]connection.Connection, 4)
	for i := range conns {
		conns[i] = s.newConnection(account)
		conns[i].AccountNumber = "000408523" + strconv.Itoa(i)
		s.link(&conns[i], nil)
	}
	changed := 0
	for _, err := range race(len(conns), func(i int) error {
		old := conns[i].AccountNumber
		conns[i].AccountNumber = "0004085999"
		return s.ChangeConnection(s.Context(), &conns[i], connection.Update{OldNumber: old}, effects.Effects{}, now)
	}) {
		if err == nil {
			changed++
		} else if !fault.Is(err, fault.State) { // State: gave up in the crowd
			s.fails("a loser", err, fault.CarrierConflict)
		}
	}
	s.equal("changed", changed, 1)
	s.equal("holders", len(s.holders(conns[0])), 1)
}

func rowUnlinkingWhatIsGoneOrAnotherVersion(s *suite) {
	absent := s.newConnection(s.id())
	s.fails("no account", s.Unlink(s.Context(), &absent, effects.Effects{}, now), fault.NotFound)
	absent = s.newConnection(s.account().ID)
	s.fails("absent", s.Unlink(s.Context(), &absent, effects.Effects{}, now), fault.NotFound)
	s.equal("carriers", s.stored(absent.AccountID).CarriersCount, 0)
	c := s.newConnection(s.account().ID)
	s.link(&c, s.snapshot(100, now))
	late := c
	s.ok(s.SaveConnection(s.Context(), &c))
	late.Status = connection.Disconnected
	s.fails("late", s.Unlink(s.Context(), &late, effects.Effects{}, now), fault.State)
	s.equal("row", s.row(c), c)
	s.equal("carriers", s.stored(c.AccountID).CarriersCount, 1)
	s.equal("holders", s.holders(c), []string{c.ID})
	snap, err := s.Snapshot(s.Context(), c.AccountID, c.ID)
	s.ok(err)
	if snap == nil {
		s.Error("the snapshot is gone")
	}
}

func rowUnlinking(s *suite) {
	c := s.newConnection(s.account().ID)
	s.link(&c, s.snapshot(100, now))
	c, err := s.ClaimCheck(s.Context(), c, now.Add(time.Minute), now)
	s.ok(err)
	s.ok(s.RecordCheck(s.Context(), &c, &first, nil, effects.Effects{}, now))
	account := s.stored(c.AccountID)
	c.Status, c.Work, c.LeaseUntil = connection.Disconnected, connection.WorkUnlink, milli(now.Add(time.Minute))
	c.DisconnectedAt, c.PurgeAt = milli(now), purge
	want := c
	want.Version++
	s.ok(s.Unlink(s.Context(), &c, effects.Effects{}, now))
	s.equal("connection", c, want)
	s.equal("row", s.row(c), want)
	l := s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true, Number: s.number(c), Now: purge.Add(-time.Second)})
	s.equal("as it is", l.Connection, &want)
	s.equal("holders", l.LinkedAs, []string(nil))
	if l.Snapshot != nil {
		s.Error("the snapshot is there")
	}
	account.CarriersCount = 0
	s.equal("account", l.Account, &account)
	s.equal("history", s.historyOf(c), []connection.HistoryEntry{first})
	rows, err := s.AllConnections(s.Context(), c.AccountID)
	s.ok(err)
	s.equal("all", rows, []connection.Connection{want})
	visible, _, err := s.ListConnections(s.Context(), c.AccountID, true)
	s.ok(err)
	s.equal("visible", len(visible), 0)

	again := s.newConnection(c.AccountID)
	s.link(&again, nil)
	s.equal("carriers", s.stored(c.AccountID).CarriersCount, 1)
	c.Work, c.LeaseUntil = connection.NoWork, time.Time{}
	s.ok(s.SaveConnection(s.Context(), &c))
	if s.load(c.AccountID, store.Want{ConnectionID: c.ID, Now: purge}).Connection != nil {
		s.Error("the row is there after its purge")
	}
}

func rowUnlinkingOneOfTwoOfANumberInAnAccountThatIsDisabledOrDeleted(s *suite) {
	c := s.linked()
	twin := s.newConnection(c.AccountID)
	s.ok(s.BeginLink(s.Context(), &twin, connection.LinkOptions{AllowDuplicate: true}))
	twin.Status = connection.Active
	s.ok(s.FinishLink(s.Context(), &twin, nil, nil, effects.Effects{}, now))
	a := s.stored(c.AccountID)
	s.ok(s.SetAccountActive(s.Context(), a, false, false, effects.Effects{}, now))
	s.disconnect(&c)
	s.equal("holders", s.holders(c), []string{twin.ID})
	s.ok(s.DeleteAccount(s.Context(), a, false, purge, effects.Effects{}, now))
	s.disconnect(&twin)
	s.equal("holders", s.holders(c), []string(nil))
	s.equal("carriers", s.stored(c.AccountID).CarriersCount, 0)
}

func rowAtOnceUnlinkingOneDoes(s *suite) {
	c := s.linked()
	other := s.newConnection(c.AccountID)
	other.AccountNumber = "0004085231"
	s.link(&other, nil)
	s.equal("unlinked", s.won(race(8, func(int) error {
		mine := c
		mine.Status, mine.PurgeAt = connection.Disconnected, purge
		return s.Unlink(s.Context(), &mine, effects.Effects{}, now)
	}), fault.State), 1)
	s.equal("carriers", s.stored(c.AccountID).CarriersCount, 1)
}

func rowAllOfThemTheOldestFirst(s *suite) {
	a := s.account()
	want := make([]connection.Connection, 3)
	for i := range want {
		c := s.newConnection(a.ID)
		c.AccountNumber, c.CreatedAt = "000408523"+strconv.Itoa(i), milli(now.Add(-time.Duration(i)*time.Hour))
		s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
		if i > 0 {
			c.Status = connection.Active
			s.ok(s.FinishLink(s.Context(), &c, &first, s.snapshot(100, now), effects.Effects{}, now))
		}
		if i > 1 {
			s.disconnect(&c)
		}
		want[2-i] = c
	}
	got, err := s.AllConnections(s.Context(), a.ID)
	s.ok(err)
	s.equal("connections", got, want)
	visible, _, err := s.ListConnections(s.Context(), a.ID, false)
	s.ok(err)
	s.equal("visible", visible, want[1:2])
}

// unchangedBut checks that nothing came of a change.
func (s *suite) unchangedBut(c, next connection.Connection) {
	s.Helper()
	s.equal("row", s.row(c), c)
	s.equal("holders of the old number", s.holders(c), []string{c.ID})
	s.equal("holders of the new one", s.holders(next), []string(nil))
	s.equal("history", len(s.historyOf(c)), 0)
	snap, err := s.Snapshot(s.Context(), c.AccountID, c.ID)
	s.ok(err)
	if snap != nil {
		s.Error("a snapshot was written")
	}
}
