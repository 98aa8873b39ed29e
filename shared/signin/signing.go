package signin

import (
	"context"
	"unicode/utf8"

	"carrierlink/shared/account"
	"carrierlink/shared/mail"
	"carrierlink/shared/secret"
)

// SignIn starts a session. old is the cookie that the browser sent, whose session ends; it
// may be empty.
//
// An email may be that of a production and of a sandbox account. Both are read, and both
// hashes are checked, whatever there is: so neither the answer nor its time tells who has an
// account. If both have the password, the production account is meant.
//
// Errors: fault.Unauthorized, the same for an unknown email, a wrong password and an account
// without one; Inactive for the right password of a disabled or deleted account; RateLimited
// with RetryAfter; State with RetryAfter if the account is changed meanwhile.
func (s *Service) SignIn(ctx context.Context, email string, password, old secret.Text, from Client) (Started, error) {
	now := s.now()
	address, problem := account.CleanEmail("email", email)
	if problem != nil || utf8.RuneCountInString(password.Reveal()) > account.PasswordRule.Max {
		// Nobody has such an email or password.
		if err := s.take(ctx, now, byNetwork(UseNetwork, from)); err != nil {
			return Started{}, err
		}
		return Started{}, s.Check("", secret.Text{})
	}
	key := s.EmailKey(address)
	if err := s.take(ctx, now, byNetwork(UseNetwork, from), byEmail(UsePassword, key)); err != nil {
		return Started{}, err
	}
	found, err := s.Store.FindByEmail(ctx, key, now)
	if err != nil {
		return Started{}, err
	}
	h, err := s.match(&found, password)
	if err != nil {
		return Started{}, err
	}
	if err := s.Store.ForgetAttempts(ctx, byEmail(UsePassword, key), now); err != nil {
		return Started{}, err
	}
	if err := s.Store.ReturnAttempt(ctx, byNetwork(UseNetwork, from), now); err != nil {
		return Started{}, err
	}
	if !h.active() {
		return Started{}, account.ErrInactive(h.Account.Deleted())
	}
	c := Change{Account: account.Update{Old: h.Account, New: h.Account}, Login: &h.Login}
	if s.Weaker != nil && s.Weaker(h.Account.PasswordHash) {
		if c.Account.New.PasswordHash, err = s.Hash(s.Random, password); err != nil {
			return Started{}, err
		}
	}
	if browser := from.browser(); !h.Login.Knows(browser) {
		// Before the session: nobody signs in unnoticed because a process dies in between.
		if err := s.queue(ctx, mail.Message{Kind: mail.NewSignIn, AccountID: h.Account.ID, Browser: browser, At: now}); err != nil {
			return Started{}, err
		}
		c.Browser = browser
	}
	return s.start(ctx, MethodPassword, c, old, from, now, 0)
}

// match returns the account whose password it is. It checks both hashes, always.
func (s *Service) match(found *[2]Held, password secret.Text) (*Held, error) {
	first, second := s.Check(found[0].Account.PasswordHash, password), s.Check(found[1].Account.PasswordHash, password)
	switch {
	case first == nil:
		return &found[0], nil
	case second == nil:
		return &found[1], nil
	}
	return nil, first
}

// Confirm is the step-up: the session goes on under a new text. Errors: fault.Unauthorized
// for a wrong password, with the field password, and without one for a session that has ended
// meanwhile; RateLimited; Forbidden for a partner's session.
func (s *Service) Confirm(ctx context.Context, v *Visit, password secret.Text, from Client) (Started, error) {
	if v.Session.Method != MethodPassword {
		return Started{}, ErrByPartner()
	}
	now, passwords := s.now(), byAccount(UseConfirm, v.Account.ID)
	if err := s.take(ctx, now, passwords); err != nil {
		return Started{}, err
	}
	if err := s.Check(v.Account.PasswordHash, password); err != nil {
		return Started{}, errWrongPassword(err)
	}
	if err := s.Store.ForgetAttempts(ctx, passwords, now); err != nil {
		return Started{}, err
	}
	confirmed := *v
	confirmed.Session.ConfirmedAt = now
	c := s.change(v)
	c.Advance = false
	return s.renew(ctx, &confirmed, c, from, now)
}
