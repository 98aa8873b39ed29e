package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/email"
	"carrierlink/shared/fault"
	"carrierlink/shared/signin"
)

// accountLogins tests Visit, Seen, EndSession, SessionsOf, FindByEmail, LoginOf, Token,
// IssueTokens and ChangeLogin.
type accountLogins struct{ *suite }

// newSession is a session of an account with every field.
func (s *suite) newSession(a account.Account) signin.Session {
	s.Helper()
	return signin.Session{
		Hash: s.hash(), AccountID: a.ID, PartnerID: a.PartnerID, Method: signin.MethodPassword, CreatedAt: milli(now), LastSeenAt: milli(now),
		ConfirmedAt: milli(now), EndsAt: now.Add(12 * time.Hour).Truncate(time.Second).UTC(), Browser: "Firefox on Windows", IP: "203.0.113.0/24",
	}
}

// newToken is a token of an account with every field.
func (s *suite) newToken(a account.Account) signin.Token {
	s.Helper()
	return signin.Token{
		Kind: signin.TokenReset, Hash: s.hash(), AccountID: a.ID, PartnerID: a.PartnerID, Email: "Jo@Example.com", Epoch: 3, APIKeyID: 5,
		ExpiresAt: now.Add(time.Hour).Truncate(time.Second).UTC(),
	}
}

// merchant stores an account with an email and a password hash.
func (s *suite) merchant(change ...func(*account.Account)) account.Account {
	s.Helper()
	a := s.account(append([]func(*account.Account){func(a *account.Account) { a.Email, a.PasswordHash = s.email(), "hash" }}, change...)...)
	a.EmailKey = email.Key(a.Email)
	return a
}

// login changes the login of an account that was read as a; edit completes the change.
func (s *suite) login(a account.Account, edit func(*signin.Change), fx ...effects.Effects) error {
	s.Helper()
	c := signin.Change{Account: account.Update{Old: a, New: a}}
	edit(&c)
	return s.ChangeLogin(s.Context(), c, append(fx, effects.Effects{})[0], now)
}

// started starts a session of an account.
func (s *suite) started(a account.Account) signin.Session {
	s.Helper()
	session := s.newSession(a)
	s.ok(s.login(a, func(c *signin.Change) { c.Start = &session }))
	return session
}

func (s *suite) held(a account.Account) signin.Held {
	s.Helper()
	return must(s.LoginOf(s.Context(), a.ID, now))
}

func (s accountLogins) TestVisit() {
	p, _ := s.partner()
	a := s.merchant(func(a *account.Account) { a.PartnerID = p.ID })
	session := s.started(a)
	visit := func(ref signin.Ref, partnerID int64, carrierID string) *signin.Visit {
		return must(s.Visit(s.Context(), ref, partnerID, carrierID, now))
	}
	for what, v := range map[string]*signin.Visit{
		"another session":      visit(signin.Ref{AccountID: a.ID, Hash: s.hash()}, p.ID, ""),
		"another account":      visit(signin.Ref{AccountID: s.account().ID, Hash: session.Hash}, p.ID, ""),
		"an absent partner":    visit(session.Ref(), s.id(), ""),
		"a session that ended": must(s.Visit(s.Context(), session.Ref(), p.ID, "", session.EndsAt)),
	} {
		if v != nil {
			s.Errorf("Visit of %s = %+v, want none", what, v)
		}
	}
	v := visit(session.Ref(), p.ID, "se-1")
	s.equal("the session", v.Session, session)
	s.equal("the account", v.Account, a)
	s.equal("the partner", v.Partner, p)
	s.equal("the settings of a partner that has set nothing", v.Settings, account.Settings{})
	s.equal("the breakers", len(v.Breakers), len(carrier.Names()))
	if v.Connection != nil || v.Snapshot != nil {
		s.Errorf("an absent connection = %+v, %+v", v.Connection, v.Snapshot)
	}
	snap := must(connection.NewSnapshot([]byte(`{"a":1}`), milli(now)))
	c, other := s.linkedTo(a.ID, &snap), s.linked()
	v = visit(session.Ref(), p.ID, c.ID)
	s.equal("the connection", *v.Connection, c)
	s.equal("the snapshot", *v.Snapshot, snap)
	if v := visit(session.Ref(), p.ID, other.ID); v.Connection != nil || v.Snapshot != nil {
		s.Errorf("another account's connection = %+v, %+v", v.Connection, v.Snapshot)
	}
}

func (s accountLogins) TestSessions() {
	a := s.merchant()
	s.equal("of nobody", len(must(s.SessionsOf(s.Context(), a.ID))), 0)
	one, two := s.started(a), s.started(a)
	foreign := s.started(s.merchant())
	s.equal("there", must(s.Seen(s.Context(), one.Ref(), now.Add(time.Minute))), true)
	s.equal("seen later already", must(s.Seen(s.Context(), one.Ref(), now)), true)
	s.equal("absent", must(s.Seen(s.Context(), signin.Ref{AccountID: a.ID, Hash: s.hash()}, now)), false)
	one.LastSeenAt = milli(now.Add(time.Minute))
	found := map[string]signin.Session{}
	for _, session := range must(s.SessionsOf(s.Context(), a.ID)) {
		found[session.Hash] = session
	}
	s.equal("SessionsOf", found, map[string]signin.Session{one.Hash: one, two.Hash: two})
	for range 2 {
		s.ok(s.EndSession(s.Context(), one.Ref()))
	}
	s.equal("ended", must(s.Seen(s.Context(), one.Ref(), now.Add(time.Hour))), false)
	s.equal("the other one", must(s.SessionsOf(s.Context(), a.ID)), []signin.Session{two})
	s.equal("a foreign one", must(s.SessionsOf(s.Context(), foreign.AccountID)), []signin.Session{foreign})
}

func (s accountLogins) TestFindByEmail() {
	address := s.email()
	find := func() (ids [2]int64) {
		s.Helper()
		for i, h := range must(s.FindByEmail(s.Context(), email.Key(address), now)) {
			ids[i] = h.Account.ID
		}
		return ids
	}
	s.equal("nobody's", find(), [2]int64{})
	sandbox := s.merchant(func(a *account.Account) { a.Email, a.Environment = address, carrier.Sandbox })
	s.equal("a sandbox account's", find(), [2]int64{0, sandbox.ID})
	live := s.merchant(func(a *account.Account) { a.Email = address })
	s.equal("both accounts'", find(), [2]int64{live.ID, sandbox.ID})
	s.started(live)
	s.ok(s.login(live, func(c *signin.Change) { c.Advance, c.Browser = true, "Safari on iPad" }))
	h := must(s.FindByEmail(s.Context(), email.Key(address), now))[0]
	s.equal("the account", h.Account, live)
	s.equal("the login", h.Login, signin.Login{Epoch: 1, Browsers: []string{"Safari on iPad"}})
	s.update(live, func(a *account.Account) { a.Email = s.email() })
	s.equal("after the email was changed", find(), [2]int64{0, sandbox.ID})
}

func (s accountLogins) TestTokens() {
	a := s.merchant()
	one, two := s.newToken(a), s.newToken(account.Account{})
	s.ok(s.IssueTokens(s.Context(), one, two))
	t, h := must2(s.Token(s.Context(), one.Hash, a.ID, now))
	s.equal("the token", *t, one)
	s.equal("its account", h.Account, a)
	t, h = must2(s.Token(s.Context(), two.Hash, s.id(), now))
	s.equal("nobody's token", *t, two)
	s.equal("nobody", h, signin.Held{})
	for what, at := range map[string]time.Time{"expired": one.ExpiresAt, "absent": now} {
		hash := one.Hash
		if what == "absent" {
			hash = s.hash()
		}
		if t, _ := must2(s.Token(s.Context(), hash, a.ID, at)); t != nil {
			s.Errorf("Token, %s = %+v, want none", what, t)
		}
	}
}

func (s accountLogins) TestRefusedChanges() {
	a := s.merchant()
	session, token := s.newSession(a), s.newToken(a)
	s.ok(s.IssueTokens(s.Context(), token))
	absent := signin.Ref{AccountID: a.ID, Hash: s.hash()}
	taken := s.merchant()
	for _, tc := range []struct {
		name  string
		edit  func(*signin.Change)
		kind  fault.Kind
		stale bool
	}{
		{"an absent token", func(c *signin.Change) { c.Use = s.hash() }, fault.NotFound, false},
		{"an absent session", func(c *signin.Change) { c.Use, c.Replace = token.Hash, &absent }, fault.Unauthorized, false},
		{"an absent account", func(c *signin.Change) { c.Account.Old.ID = s.id() }, fault.NotFound, false},
		{"a deleted account", func(c *signin.Change) { c.Account.Old = s.deleted(); c.Account.New = c.Account.Old }, fault.State, false},
		{"another password", func(c *signin.Change) { c.Account.Old.PasswordHash = "other" }, fault.State, true},
		{"another version", func(c *signin.Change) {
			c.Account.Old.Version, c.Account.New.Version, c.Account.New.PasswordHash = 7, 8, "anew"
		}, fault.State, true},
		{"another epoch", func(c *signin.Change) { c.Login = &signin.Login{Epoch: 1} }, fault.State, true},
		{"an email that another account has", func(c *signin.Change) {
			c.Account.New.Version++
			c.Account.New.Email, c.Account.New.EmailKey = taken.Email, taken.EmailKey
		}, fault.Conflict, false},
	} {
		err := s.login(a, func(c *signin.Change) {
			c.Start, c.Advance, c.Browser, c.Use = &session, true, "Safari on iPad", token.Hash
			tc.edit(c)
		})
		s.fails(tc.name, err, tc.kind)
		if errors.Is(err, signin.ErrStale) != tc.stale {
			s.Errorf("%s: %v, want ErrStale: %t", tc.name, err, tc.stale)
		}
		s.equal(tc.name+": nothing is written", s.held(a), signin.Held{Account: a})
		s.equal(tc.name+": no session", len(must(s.SessionsOf(s.Context(), a.ID))), 0)
		if t, _ := must2(s.Token(s.Context(), token.Hash, a.ID, now)); t == nil {
			s.Errorf("%s: the token is gone", tc.name)
		}
	}
}

func (s accountLogins) TestChanges() {
	a := s.merchant()
	token, issued := s.newToken(a), s.newToken(a)
	s.ok(s.IssueTokens(s.Context(), token))
	one, two, three := s.started(a), s.started(a), s.newSession(a)
	next := a
	next.Version, next.PasswordHash, next.Email, next.ModifiedAt = 2, "anew", s.email(), milli(now.Add(time.Second))
	next.EmailKey = email.Key(next.Email)
	ref := one.Ref()
	s.ok(s.login(a, func(c *signin.Change) {
		c.Account.New, c.Login, c.Advance, c.Browser = next, &signin.Login{}, true, "Safari on iPad"
		c.Start, c.Replace, c.End, c.Issue, c.Use = &three, &ref, []signin.Ref{two.Ref(), {AccountID: s.id(), Hash: s.hash()}}, &issued, token.Hash
	}))
	want := signin.Held{Account: next, Login: signin.Login{Epoch: 1, Browsers: []string{"Safari on iPad"}}}
	s.equal("the account and its login", s.held(a), want)
	s.equal("the sessions", must(s.SessionsOf(s.Context(), a.ID)), []signin.Session{three})
	s.equal("the new email", must(s.FindByEmail(s.Context(), next.EmailKey, now))[0].Account.ID, a.ID)
	s.equal("the old email", must(s.FindByEmail(s.Context(), a.EmailKey, now))[0], signin.Held{})
	if t, _ := must2(s.Token(s.Context(), token.Hash, a.ID, now)); t != nil {
		s.Error("the used token is there")
	}
	if t, _ := must2(s.Token(s.Context(), issued.Hash, a.ID, now)); t == nil {
		s.Error("the issued token is absent")
	}
	rehashed := next
	rehashed.PasswordHash = "stronger"
	s.ok(s.login(next, func(c *signin.Change) {
		c.Account.New, c.Login, c.Browser = rehashed, &want.Login, "Safari on iPad"
	}))
	want.Account.PasswordHash = "stronger"
	s.equal("the same password with another hash", s.held(a), want)
	s.ok(s.login(next, func(c *signin.Change) { c.Advance, c.Browser = true, "Edge on Windows" }))
	want.Login = signin.Login{Epoch: 2, Browsers: []string{"Edge on Windows", "Safari on iPad"}}
	s.equal("whatever the login was", s.held(a), want)
}

// TestOneUseOfAToken: of many that use a token at once one succeeds.
func (s accountLogins) TestOneUseOfAToken() {
	a := s.merchant()
	token := s.newToken(a)
	s.ok(s.IssueTokens(s.Context(), token))
	var won atomic.Int32
	var using sync.WaitGroup
	for range 20 {
		using.Go(func() {
			session := s.newSession(a)
			err := s.login(a, func(c *signin.Change) { c.Start, c.Use = &session, token.Hash })
			switch {
			case err == nil:
				won.Add(1)
			case !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.State):
				s.Errorf("using a token = %v", err)
			}
		})
	}
	using.Wait()
	if n := won.Load(); n != 1 {
		s.Errorf("%d of 20 have used the token, want 1", n)
	}
	s.equal("sessions", len(must(s.SessionsOf(s.Context(), a.ID))), 1)
}

// TestLife: a login goes with its account and comes back with it.
func (s accountLogins) TestLife() {
	a := s.merchant()
	s.ok(s.login(a, func(c *signin.Change) { c.Advance = true }))
	purge := now.Add(240 * time.Hour).Truncate(time.Second)
	s.ok(s.DeleteAccount(s.Context(), a, false, purge, effects.Effects{}, now))
	s.ok(s.EndFollow(s.Context(), s.stored(a.ID)))
	s.fails("a change while it is deleted", s.login(a, func(c *signin.Change) { c.Advance = true }), fault.State)
	s.equal("after the purge", must(s.LoginOf(s.Context(), a.ID, purge)), signin.Held{})
	s.ok(s.RestoreAccount(s.Context(), s.stored(a.ID), false, effects.Effects{}, now))
	s.ok(s.EndFollow(s.Context(), s.stored(a.ID)))
	s.equal("restored", s.held(a).Login, signin.Login{Epoch: 1})
}

// attempts tests TakeAttempt, ReturnAttempt and ForgetAttempts.
type attempts struct{ *suite }

func (s attempts) throttle(u signin.Use) signin.Throttle {
	return signin.Throttle{Use: u, Whom: s.hash()}
}

// takes takes an attempt at a time and checks for how long it has to wait.
func (s attempts) takes(t signin.Throttle, at, want time.Duration) {
	s.Helper()
	s.equal("attempt after "+at.String(), must(s.TakeAttempt(s.Context(), t, milli(now).Add(at))), want)
}

func (s attempts) TestPasswords() {
	t := s.throttle(signin.UsePassword)
	for i := range 5 {
		s.takes(t, time.Duration(i)*time.Second, 0)
	}
	s.takes(t, 10*time.Second, 54*time.Second)
	s.takes(t, 64*time.Second, 0)
	s.takes(t, 65*time.Second, 299*time.Second)
	s.takes(t, 364*time.Second, 0)
	s.takes(t, 365*time.Second, 899*time.Second)
	for i := range 20 {
		at := 364*time.Second + time.Duration(i+1)*15*time.Minute
		if i < 19 { // until two hours after the first ones a quarter of an hour has to pass
			s.takes(t, at, 0)
		}
	}
	s.takes(t, 12*time.Hour, 0)
	s.takes(s.throttle(signin.UsePassword), 0, 0)
}

func (s attempts) TestHundredGuessesADay() {
	t := s.throttle(signin.UsePassword)
	taken := 0
	for at := time.Duration(0); at < 24*time.Hour; at += 30 * time.Second {
		if must(s.TakeAttempt(s.Context(), t, milli(now).Add(at))) == 0 {
			taken++
		}
	}
	if taken < 90 || taken > 110 {
		s.Errorf("%d guesses in a day, want about 100", taken)
	}
}

func (s attempts) TestForgotten() {
	t := s.throttle(signin.UsePassword)
	for range 5 {
		s.takes(t, 0, 0)
	}
	s.takes(t, time.Second, 59*time.Second)
	s.ok(s.ForgetAttempts(s.Context(), t, now))
	for range 5 {
		s.takes(t, 2*time.Second, 0)
	}
	s.takes(t, 3*time.Second, 59*time.Second)
	other := s.throttle(signin.UsePassword)
	s.ok(s.ForgetAttempts(s.Context(), other, now))
	s.takes(other, 0, 0)
}

func (s attempts) TestReturned() {
	t := s.throttle(signin.UseMail)
	s.ok(s.ReturnAttempt(s.Context(), t, now))
	for i := range 3 {
		s.takes(t, time.Duration(i)*time.Minute, 0)
	}
	s.takes(t, 3*time.Minute, 57*time.Minute)
	s.ok(s.ReturnAttempt(s.Context(), t, now))
	s.takes(t, 4*time.Minute, 0)
	s.takes(t, 5*time.Minute, 55*time.Minute)
	s.takes(t, time.Hour, 0)
}

// TestAtOnce: the count is exact, however many come at once.
func (s attempts) TestAtOnce() {
	for use, most := range map[signin.Use]int32{signin.UsePassword: 5, signin.UseNetwork: 30} {
		t := s.throttle(use)
		var taken atomic.Int32
		var taking sync.WaitGroup
		for range 50 {
			taking.Go(func() {
				wait, err := s.TakeAttempt(s.Context(), t, now)
				if err != nil {
					s.Errorf("TakeAttempt = %v", err)
				} else if wait == 0 {
					taken.Add(1)
				}
			})
		}
		taking.Wait()
		if n := taken.Load(); n != most {
			s.Errorf("%s: %d of 50 attempts were taken, want %d", use, n, most)
		}
	}
}
