package storetest

import (
	"bytes"
	"strconv"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// write is a write that takes effects: do makes the change, and refused is the same
// write of what it has to refuse.
type write struct {
	do, refused func(fx effects.Effects) error
}

// writes are all writes that take effects, each of things of its own.
func writes() map[string]func(*suite) write {
	return map[string]func(*suite) write{
		"CreateAccount": func(s *suite) write {
			n, taken := s.newAccount(), s.newAccount()
			taken.Account.ID = s.account().ID
			create := func(n account.NewAccount) func(effects.Effects) error {
				return func(fx effects.Effects) error { return s.CreateAccount(s.Context(), n, fx, now) }
			}
			return write{create(n), create(taken)}
		},
		"CreatePartner": func(s *suite) write {
			create := func(id int64) func(effects.Effects) error {
				p := account.Partner{ID: id, Name: "Shop Ltd", Environment: carrier.Production, CreatedAt: now}
				k := s.newKey(id, 0)
				return func(fx effects.Effects) error { return s.CreatePartner(s.Context(), p, k, fx, now) }
			}
			first := s.id()
			s.ok(create(first)(effects.Effects{}))
			return write{create(s.id()), create(first)}
		},
		"UpdateAccount":    func(s *suite) write { return s.accountWrite((*suite).renameAccount) },
		"SetAccountActive": func(s *suite) write { return s.accountWrite((*suite).disableAccount) },
		"DeleteAccount":    func(s *suite) write { return s.accountWrite((*suite).deleteAccount) },
		"RestoreAccount": func(s *suite) write {
			deleted, present := s.account(), s.account()
			s.ok(s.DeleteAccount(s.Context(), deleted, false, now.Add(time.Hour), effects.Effects{}, now))
			restore := func(a account.Account) func(effects.Effects) error {
				return func(fx effects.Effects) error { return s.RestoreAccount(s.Context(), a, false, fx, now) }
			}
			return write{restore(s.stored(deleted.ID)), restore(present)}
		},
		"CreateKey": func(s *suite) write {
			create := func(accountID int64) func(effects.Effects) error {
				k := s.newKey(7, accountID)
				return func(fx effects.Effects) error { return s.CreateKey(s.Context(), k, fx, now) }
			}
			return write{create(s.account().ID), create(s.id())}
		},
		"RotateKey": func(s *suite) write {
			return s.keyWrite(func(k account.APIKey) func(effects.Effects) error {
				next := s.newKey(k.PartnerID, k.AccountID)
				return func(fx effects.Effects) error { return s.RotateKey(s.Context(), k, next, now.Add(time.Hour), fx, now) }
			})
		},
		"DeleteKey": func(s *suite) write {
			return s.keyWrite(func(k account.APIKey) func(effects.Effects) error {
				return func(fx effects.Effects) error { return s.DeleteKey(s.Context(), k, fx, now) }
			})
		},
		"FinishLink": func(s *suite) write {
			c := s.newConnection(s.account().ID)
			s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
			c.Status = connection.Active
			return s.rowWrite(c, func(c *connection.Connection, fx effects.Effects) error {
				return s.FinishLink(s.Context(), c, nil, nil, fx, now)
			})
		},
		"ChangeConnection": func(s *suite) write {
			return s.rowWrite(s.linked(), func(c *connection.Connection, fx effects.Effects) error {
				return s.ChangeConnection(s.Context(), c, connection.Update{}, fx, now)
			})
		},
		"ChangeConnection of the number": func(s *suite) write {
			c := s.linked()
			old := c.AccountNumber
			c.AccountNumber = "0004085231"
			return s.rowWrite(c, func(c *connection.Connection, fx effects.Effects) error {
				return s.ChangeConnection(s.Context(), c, connection.Update{OldNumber: old}, fx, now)
			})
		},
		"RecordCheck": func(s *suite) write {
			return s.rowWrite(s.linked(), func(c *connection.Connection, fx effects.Effects) error {
				return s.RecordCheck(s.Context(), c, &first, nil, fx, now)
			})
		},
		"Unlink": func(s *suite) write {
			c := s.linked()
			c.Status, c.DisconnectedAt = connection.Disconnected, now
			return s.rowWrite(c, func(c *connection.Connection, fx effects.Effects) error { return s.Unlink(s.Context(), c, fx, now) })
		},
	}
}

func (s *suite) renameAccount(a account.Account, fx effects.Effects) error {
	next := a
	next.FirstName = "Changed"
	return s.UpdateAccount(s.Context(), account.Update{Old: a, New: next}, fx, now)
}

func (s *suite) disableAccount(a account.Account, fx effects.Effects) error {
	return s.SetAccountActive(s.Context(), a, true, false, fx, now)
}

func (s *suite) deleteAccount(a account.Account, fx effects.Effects) error {
	return s.DeleteAccount(s.Context(), a, true, now.Add(time.Hour), fx, now)
}

// accountWrite is a write of an account, and of an old version of another one.
func (s *suite) accountWrite(change func(*suite, account.Account, effects.Effects) error) write {
	s.Helper()
	a, old := s.account(), s.account()
	s.update(old, func(a *account.Account) { a.CompanyName = "Changed" })
	return write{
		func(fx effects.Effects) error { return change(s, a, fx) },
		func(fx effects.Effects) error { return change(s, old, fx) },
	}
}

// keyWrite is a write of a key, and of one that is gone.
func (s *suite) keyWrite(change func(account.APIKey) func(effects.Effects) error) write {
	s.Helper()
	n := s.newAccount()
	s.create(n)
	gone := n.Key
	gone.Hash = s.hash()
	return write{change(n.Key), change(gone)}
}

// rowWrite is a write of a connection, and of another version of it.
func (s *suite) rowWrite(c connection.Connection, change func(*connection.Connection, effects.Effects) error) write {
	late := c
	late.Version++
	of := func(c connection.Connection) func(effects.Effects) error {
		return func(fx effects.Effects) error {
			row := c
			return change(&row, fx)
		}
	}
	return write{of(c), of(late)}
}

// told is effects with an answer and n events of an account.
func (s *suite) told(accountID int64, n int) effects.Effects {
	s.Helper()
	fx := effects.Effects{By: effects.By{KeyID: 3, PartnerID: 2, AccountID: 1}, Answer: s.answer()}
	for i := range n {
		fx.Events = append(fx.Events, effects.Event{
			ID: "evt-" + strconv.Itoa(100+i), Type: "account.changed", AccountID: accountID, Subject: "account",
			At: milli(now), Data: []byte(`{"n":` + strconv.Itoa(i) + `}`),
		})
	}
	return fx
}

// tells checks which events an account has.
func (s *suite) tells(what string, accountID int64, fx effects.Effects) {
	s.Helper()
	got, err := s.Events(s.Context(), accountID)
	s.ok(err)
	var want []Told
	for _, e := range fx.Events {
		want = append(want, Told{e, fx.By})
	}
	s.equal(what+": events", got, want)
}

// keeps checks whether an answer is kept.
func (s *suite) keeps(what string, rec effects.Record, want bool) {
	s.Helper()
	kept, err := s.Idempotency(s.Context(), rec, now)
	s.ok(err)
	s.equal(what+": an answer is kept", kept != nil && bytes.Equal(kept.Sealed, rec.Sealed), want)
}

func effectTests() tests {
	t := tests{
		"a change of nothing keeps the answer and tells of nothing": testUnchangedTellsNothing,
		"events of several accounts":                                testEventsOfSeveralAccounts,
	}
	for name, prepare := range writes() {
		t["of "+name] = func(s *suite) { s.writesEffects(prepare(s)) }
		t["of "+name+" under a claim"] = func(s *suite) { s.writesUnderClaim(prepare(s).do) }
		t["of "+name+", too large"] = func(s *suite) { s.refusesTooMuch(prepare(s).do) }
	}
	return t
}

// writesEffects checks that effects are written with a change, and neither with one
// that is refused nor with a repeat.
func (s *suite) writesEffects(w write) {
	s.Helper()
	mine := s.id()
	fx := s.told(mine, 2)
	if err := w.refused(fx); err == nil {
		s.Fatal("the write was not refused")
	}
	s.tells("refused", mine, effects.Effects{})
	s.keeps("refused", *fx.Answer, false)

	s.ok(w.do(fx))
	s.tells("made", mine, fx)
	s.keeps("made", *fx.Answer, true)

	again := s.told(mine, 3)
	again.Answer = fx.Answer
	s.replays("repeated", w.do(again), *fx.Answer)
	s.replays("repeated, of what is refused", w.refused(again), *fx.Answer)
	s.tells("repeated", mine, fx)
}

// writesUnderClaim checks that an answer takes the place of the request's own claim,
// and of no other.
func (s *suite) writesUnderClaim(do func(effects.Effects) error) {
	s.Helper()
	mine := s.id()
	fx := s.told(mine, 1)
	fx.Answer.ClaimID, fx.Answer.LeaseUntil = "mine", milli(now.Add(time.Minute))
	claim := *fx.Answer
	claim.Sealed = nil
	other := rival(claim)

	s.fails("never claimed", do(fx), fault.State)
	s.claims("another request", other, now)
	s.replays("claimed by another request", do(fx), other)
	s.tells("refused", mine, effects.Effects{})
	s.ok(s.ReleaseIdempotency(s.Context(), other))

	s.claims("this request", claim, now)
	s.ok(do(fx))
	s.tells("made", mine, fx)
	s.findsClaimed("answered", other, now, *fx.Answer)
	s.replays("repeated", do(fx), *fx.Answer)
	s.tells("repeated", mine, fx)
}

// refusesTooMuch checks that effects which do not fit into a transaction are an
// error, and that nothing is written then.
func (s *suite) refusesTooMuch(do func(effects.Effects) error) {
	s.Helper()
	mine := s.id()
	many := s.told(mine, 100)
	s.fails("a hundred events", do(many), fault.Internal)
	large := s.told(mine, 1)
	large.Events[0].Data = bytes.Repeat([]byte{'1'}, effects.MaxEventData+1)
	s.fails("an event of more than 20 KB", do(large), fault.Internal)
	s.tells("refused", mine, effects.Effects{})
	s.keeps("refused", *many.Answer, false)

	large.Events[0].Data = large.Events[0].Data[1:]
	s.ok(do(large))
	s.tells("an event of 20 KB", mine, large)
}

func testUnchangedTellsNothing(s *suite) {
	a, c, deleted := s.account(), s.linked(), s.account()
	s.ok(s.DeleteAccount(s.Context(), deleted, false, now.Add(time.Hour), effects.Effects{}, now))
	deleted = s.stored(deleted.ID)
	for name, do := range map[string]func(effects.Effects) error{
		"UpdateAccount": func(fx effects.Effects) error {
			return s.UpdateAccount(s.Context(), account.Update{Old: a, New: a}, fx, now)
		},
		"SetAccountActive": func(fx effects.Effects) error { return s.SetAccountActive(s.Context(), a, false, true, fx, now) },
		"DeleteAccount":    func(fx effects.Effects) error { return s.DeleteAccount(s.Context(), deleted, false, now, fx, now) },
		"ChangeConnection": func(fx effects.Effects) error {
			row := c
			return s.ChangeConnection(s.Context(), &row, connection.Update{Unchanged: true}, fx, now)
		},
	} {
		mine := s.id()
		fx := s.told(mine, 1)
		s.ok(do(fx))
		s.keeps(name, *fx.Answer, true)
		s.tells(name, mine, effects.Effects{})
	}
}

func testEventsOfSeveralAccounts(s *suite) {
	a := s.account()
	mine, other := s.id(), s.id()
	fx := s.told(mine, 2)
	fx.By, fx.Answer = effects.By{Service: effects.Reconciler}, nil
	later := effects.Event{ID: "evt-1", Type: "t", AccountID: mine, Subject: "se-1", At: milli(now.Add(time.Millisecond)), Data: []byte(`"\u6f22 漢"`)}
	elsewhere := effects.Event{ID: "evt-2", Type: "t", AccountID: other, At: milli(now)}
	fx.Events = append(fx.Events, later, elsewhere)
	s.ok(s.renameAccount(a, fx))
	s.tells("by time and id", mine, effects.Effects{By: fx.By, Events: fx.Events[:3]})
	s.tells("another account's", other, effects.Effects{By: fx.By, Events: fx.Events[3:]})
}
