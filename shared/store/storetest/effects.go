package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/signin"
	"carrierlink/shared/webhook"
)

// write is a write that takes effects: do makes the change, and refused makes the same
// change of something for which it has to be refused.
type write struct {
	do, refused func(fx effects.Effects) error
}

// writeOf is a change of good, and of bad, for which it has to be refused.
func writeOf[T any](change func(T, effects.Effects) error, good, bad T) write {
	return write{
		func(fx effects.Effects) error { return change(good, fx) },
		func(fx effects.Effects) error { return change(bad, fx) },
	}
}

// writes are all writes that take effects. Each creates its own items.
var writes = map[string]func(*suite) write{ // never changes
	"CreateAccount": func(s *suite) write {
		taken := s.newAccount()
		taken.Account.ID = s.account().ID
		return writeOf(func(n account.NewAccount, fx effects.Effects) error { return s.CreateAccount(s.Context(), n, fx, now) }, s.newAccount(), taken)
	},
	"CreatePartner": func(s *suite) write {
		create := func(k account.APIKey, fx effects.Effects) error {
			p := account.Partner{ID: k.PartnerID, Name: "Shop Ltd", Environment: carrier.Production, CreatedAt: now}
			return s.CreatePartner(s.Context(), p, k, fx, now)
		}
		taken := s.newKey(s.id(), 0)
		s.ok(create(taken, effects.Effects{}))
		return writeOf(create, s.newKey(s.id(), 0), taken)
	},
	"ChangePartner": func(s *suite) write {
		p, _ := s.partner()
		good := s.partnerChange(p.ID, func(*account.PartnerChange) {})
		bad := good
		bad.Old.Version = 7
		return writeOf(func(c account.PartnerChange, fx effects.Effects) error {
			return s.ChangePartner(s.Context(), c, fx, now)
		}, good, bad)
	},
	"UpdateAccount": func(s *suite) write { return s.accountWrite(s.renameAccount) },
	"SetAccountActive": func(s *suite) write {
		return s.accountWrite(func(a account.Account, fx effects.Effects) error {
			return s.SetAccountActive(s.Context(), a, true, false, fx, now)
		})
	},
	"DeleteAccount": func(s *suite) write {
		return s.accountWrite(func(a account.Account, fx effects.Effects) error {
			return s.DeleteAccount(s.Context(), a, true, now.Add(time.Hour), fx, now)
		})
	},
	"RestoreAccount": func(s *suite) write {
		restore := func(a account.Account, fx effects.Effects) error {
			return s.RestoreAccount(s.Context(), a, false, fx, now)
		}
		return writeOf(restore, s.deleted(), s.account())
	},
	"CreateKey": func(s *suite) write {
		create := func(k account.APIKey, fx effects.Effects) error { return s.CreateKey(s.Context(), k, fx, now) }
		return writeOf(create, s.newKey(7, s.account().ID), s.newKey(7, s.id()))
	},
	"RotateKey": func(s *suite) write {
		k := s.key()
		next := s.newKey(k.PartnerID, k.AccountID)
		rotate := func(k account.APIKey, fx effects.Effects) error {
			return s.RotateKey(s.Context(), k, next, now.Add(time.Hour), fx, now)
		}
		return writeOf(rotate, k, s.newKey(k.PartnerID, k.AccountID))
	},
	"DeleteKey": func(s *suite) write {
		k := s.key()
		remove := func(k account.APIKey, fx effects.Effects) error { return s.DeleteKey(s.Context(), k, fx, now) }
		return writeOf(remove, k, s.newKey(k.PartnerID, k.AccountID))
	},
	"SaveKeyWarning": func(s *suite) write {
		_, keys := s.withKeys(2, func(_ int, k *account.APIKey) { k.ExpiresAt, k.WarnAt = milli(now.Add(time.Hour)), milli(now) })
		warn := func(k account.APIKey, fx effects.Effects) error {
			return s.SaveKeyWarning(s.Context(), k, time.Time{}, fx, now)
		}
		return writeOf(warn, keys[0], s.newKey(keys[0].PartnerID, keys[0].AccountID))
	},
	"SaveWebhooks": func(s *suite) write {
		good, bad := webhook.List{Owner: webhook.Owner{PartnerID: s.id()}}, webhook.List{Owner: webhook.Owner{PartnerID: s.id()}, Version: 7}
		return writeOf(func(l webhook.List, fx effects.Effects) error { return s.SaveWebhooks(s.Context(), &l, fx, now) }, good, bad)
	},
	"ChangeLogin": func(s *suite) write {
		change := func(a account.Account, fx effects.Effects) error {
			return s.login(a, func(c *signin.Change) { c.Advance = true }, fx)
		}
		return writeOf(change, s.merchant(), s.deleted())
	},
	"SaveSettings": func(s *suite) write {
		partnerID := s.id()
		return writeOf(func(read account.Settings, fx effects.Effects) error {
			return s.SaveSettings(s.Context(), partnerID, read, account.Settings{DisplayName: "Acme", Version: read.Version + 1}, fx, now)
		}, account.Settings{}, account.Settings{Version: 7})
	},
	"FinishLink": func(s *suite) write {
		c := s.intent(s.account().ID)
		c.Status = connection.Active
		return rowWrite(c, func(c connection.Connection, fx effects.Effects) error {
			return s.FinishLink(s.Context(), &c, nil, nil, fx, now)
		})
	},
	"ChangeConnection": func(s *suite) write {
		return rowWrite(s.linked(), func(c connection.Connection, fx effects.Effects) error {
			return s.ChangeConnection(s.Context(), &c, connection.Update{}, fx, now)
		})
	},
	"ChangeConnection of the number": func(s *suite) write {
		c := s.linked()
		old := c.AccountNumber
		c.AccountNumber = "0004085231"
		return rowWrite(c, func(c connection.Connection, fx effects.Effects) error {
			return s.ChangeConnection(s.Context(), &c, connection.Update{OldNumber: old}, fx, now)
		})
	},
	"RecordCheck": func(s *suite) write {
		return rowWrite(s.linked(), func(c connection.Connection, fx effects.Effects) error {
			return s.RecordCheck(s.Context(), &c, &first, nil, fx, now)
		})
	},
	"ClaimCheck": func(s *suite) write {
		return rowWrite(s.linked(), func(c connection.Connection, fx effects.Effects) error {
			allowance := connection.CredentialAllowance(connection.UseChecking, carrier.Production, 0, strconv.FormatInt(s.id(), 10))
			_, err := s.ClaimCheck(s.Context(), c, &connection.Call{Allowance: allowance, Limit: 1, Effects: fx}, now.Add(time.Minute), now)
			return err
		})
	},
	"TakeCall": func(s *suite) write {
		full := connection.AccountAllowance(connection.UseLinking, s.id())
		take := func(a connection.Allowance, fx effects.Effects) error {
			wait, err := s.TakeCall(s.Context(), connection.Call{Allowance: a, Limit: 1, Effects: fx}, time.Minute, now)
			if err == nil && wait > 0 {
				err = connection.ErrAllowanceUsedUp(a.Use, 1, wait)
			}
			return err
		}
		s.ok(take(full, effects.Effects{}))
		return writeOf(take, connection.AccountAllowance(connection.UseLinking, s.id()), full)
	},
	"FollowConnection": func(s *suite) write {
		c := s.linked()
		a := s.stored(c.AccountID)
		return rowWrite(c, func(c connection.Connection, fx effects.Effects) error {
			return s.FollowConnection(s.Context(), &c, a, fx, now)
		})
	},
	"Unlink": func(s *suite) write {
		c := s.linked()
		c.Status, c.DisconnectedAt = connection.Disconnected, now
		return rowWrite(c, func(c connection.Connection, fx effects.Effects) error { return s.Unlink(s.Context(), &c, fx, now) })
	},
}

// renameAccount changes an account that was read as a.
func (s *suite) renameAccount(a account.Account, fx effects.Effects) error {
	next := a
	rename(&next)
	return s.UpdateAccount(s.Context(), account.Update{Old: a, New: next}, fx, now)
}

// accountWrite is a write of an account, and of an old version of another one.
func (s *suite) accountWrite(change func(account.Account, effects.Effects) error) write {
	s.Helper()
	old := s.account()
	s.update(old, rename)
	return writeOf(change, s.account(), old)
}

// rowWrite is a write of a connection, and of another version of it.
func rowWrite(c connection.Connection, change func(connection.Connection, effects.Effects) error) write {
	late := c
	late.Version++
	return writeOf(change, c, late)
}

// reported is the time of the events of told, after all earlier changes.
var reported = now.Add(time.Second) // never changes

// told is effects with an answer and n events of an account.
func (s *suite) told(accountID int64, n int) effects.Effects {
	s.Helper()
	by := effects.By{Actor: effects.Partner, KeyID: 3, PartnerID: 2, AccountID: 1, RequestID: "r", SourceIP: "192.0.2.1"}
	fx := effects.Effects{By: by, Answer: s.answer()}
	for i := range n {
		fx.Events = append(fx.Events, effects.Event{
			ID: eventID(reported, i), Type: effects.AccountUpdated, PartnerID: 2, AccountID: accountID, Subject: "account",
			At: milli(reported), Data: []byte(`{"n":` + strconv.Itoa(i) + `}`),
		})
	}
	return fx
}

// eventID returns an event_id of a time that sorts by n.
func eventID(at time.Time, n int) string {
	return fmt.Sprintf("%s%012d", effects.EventIDsFrom(at), n)
}

// tells checks which events an account has.
func (s *suite) tells(what string, accountID int64, fx effects.Effects) {
	s.Helper()
	var want []effects.Recorded
	for _, e := range slices.Backward(fx.Events) {
		want = append(want, effects.Recorded{Event: e, By: fx.By})
	}
	got, _ := must2(s.ListEvents(s.Context(), effects.Listing{PartnerID: 2, AccountID: accountID, Limit: 1000}))
	s.equal(what+": events", got, want)
}

// keeps checks whether an answer is kept.
func (s *suite) keeps(what string, rec effects.Record, want bool) {
	s.Helper()
	kept := must(s.Idempotency(s.Context(), rec, now))
	s.equal(what+": an answer is kept", kept != nil && bytes.Equal(kept.Sealed, rec.Sealed), want)
}

// writtenEffects tests the answers and events that are written with a change.
type writtenEffects struct{ *suite }

func (s writtenEffects) TestEachWrite() {
	checks := map[string]func(*suite, write){
		"": (*suite).writesEffects, " under a claim": (*suite).writesUnderClaim, " too large": (*suite).refusesTooMuch,
	}
	for name, prepare := range writes {
		for what, check := range checks {
			s.open.run(s.T, name+what, func(s *suite) { check(s, prepare(s)) })
		}
	}
}

// writesEffects checks that effects are written with a change, but not with a refused
// change or a repeat.
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
	s.replays("repeated, and to be refused", w.refused(again), *fx.Answer)
	s.tells("repeated", mine, fx)
}

// writesUnderClaim checks that an answer takes the place of the request's own claim,
// and of no other.
func (s *suite) writesUnderClaim(w write) {
	s.Helper()
	mine := s.id()
	fx := s.told(mine, 1)
	fx.Answer.ClaimID, fx.Answer.LeaseUntil = "mine", milli(now.Add(time.Minute))
	claim := *fx.Answer
	claim.Sealed = nil
	other := rival(claim)

	s.fails("never claimed", w.do(fx), fault.State)
	s.claims("another request", other, now)
	s.replays("claimed by another request", w.do(fx), other)
	s.tells("refused", mine, effects.Effects{})
	s.ok(s.ReleaseIdempotency(s.Context(), other))

	s.claims("this request", claim, now)
	s.ok(w.do(fx))
	s.tells("made", mine, fx)
	s.findsClaimed("answered", other, now, *fx.Answer)
	s.replays("repeated", w.do(fx), *fx.Answer)
	s.tells("repeated", mine, fx)
}

// refusesTooMuch checks that effects which do not fit into a transaction are an
// error, and that nothing is written then.
func (s *suite) refusesTooMuch(w write) {
	s.Helper()
	mine := s.id()
	many := s.told(mine, 100)
	s.fails("a hundred events", w.do(many), fault.Internal)
	large := s.told(mine, 1)
	large.Events[0].Data = bytes.Repeat([]byte{'1'}, effects.MaxEventData+1)
	s.fails("an event of more than 20 KB", w.do(large), fault.Internal)
	s.tells("refused", mine, effects.Effects{})
	s.keeps("refused", *many.Answer, false)

	large.Events[0].Data = large.Events[0].Data[1:]
	s.ok(w.do(large))
	s.tells("an event of 20 KB", mine, large)
}

func (s writtenEffects) TestUnchangedTellsNothing() {
	a, c, deleted := s.account(), s.linked(), s.deleted()
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

func (s writtenEffects) TestEventsOfSeveralAccounts() {
	a := s.account()
	mine, other := s.id(), s.id()
	fx := s.told(mine, 2)
	fx.By, fx.Answer = effects.By{Actor: effects.Reconciler}, nil
	later := effects.Event{
		ID: eventID(reported.Add(time.Millisecond), 0), Type: "t", PartnerID: 2, AccountID: mine, Subject: "se-1", At: milli(reported.Add(time.Millisecond)), Data: []byte(`"\u6f22 漢"`),
	}
	elsewhere := effects.Event{ID: eventID(reported, 7), Type: "t", PartnerID: 2, AccountID: other, At: milli(reported), Data: []byte("{}")}
	fx.Events = append(fx.Events, later, elsewhere)
	s.ok(s.renameAccount(a, fx))
	s.tells("by time and id", mine, effects.Effects{By: fx.By, Events: fx.Events[:3]})
	s.tells("another account's", other, effects.Effects{By: fx.By, Events: fx.Events[3:]})
}
