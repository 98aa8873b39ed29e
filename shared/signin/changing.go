package signin

import (
	"context"
	_ "embed"
	"strings"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/mail"
	"carrierlink/shared/secret"
)

// commonPasswords are the 3,000 commonest passwords of eight characters and more, in lower
// case, one a line, the commonest first: from the list "passwords" of zxcvbn 4.5.0 (MIT).
//
//go:embed common.txt
var commonPasswords string

// CheckPassword applies the rule of passwords that people choose here. Errors: fault.Length,
// Invalid.
func CheckPassword(a *account.Account, password secret.Text) error {
	text, problem := account.NewPasswordRule.Clean("password", password.Reveal())
	if problem != nil {
		return problem
	}
	local, _, _ := strings.Cut(a.Email, "@")
	switch {
	case a.Email != "" && (strings.EqualFold(text, a.Email) || strings.EqualFold(text, local)):
		return errIsEmail()
	case strings.Contains("\n"+commonPasswords, "\n"+strings.ToLower(text)+"\n"):
		return errCommon()
	}
	return nil
}

// newPassword returns the change that gives an account another password and ends all sessions
// and links. It queues the notice first: nobody's password changes unnoticed because a process
// dies in between. cause names what allows the change: with the same one there is one mail,
// however often the change is tried.
func (s *Service) newPassword(ctx context.Context, h *Held, password secret.Text, cause string, now time.Time) (Change, error) {
	if err := CheckPassword(&h.Account, password); err != nil {
		return Change{}, err
	}
	next := h.Account
	next.Version, next.ModifiedAt = next.Version+1, now
	var err error
	if next.PasswordHash, err = s.Hash(s.Random, password); err != nil {
		return Change{}, err
	}
	notice := mail.Message{ID: hashOf("password " + cause), Kind: mail.PasswordChanged, AccountID: h.Account.ID, At: now}
	return Change{Account: account.Update{Old: h.Account, New: next}, Login: &h.Login, Advance: true}, s.queue(ctx, notice)
}

// ChangePassword changes the password, ends all other sessions and all links, and starts
// another session for this browser. Errors: fault.Forbidden for a visit that is not confirmed
// or is a partner's; Invalid or Length for the password; Unauthorized if the session has ended
// meanwhile.
func (s *Service) ChangePassword(ctx context.Context, v *Visit, password secret.Text, from Client) (Started, error) {
	if err := mayChange(v, s.now()); err != nil {
		return Started{}, err
	}
	h := &Held{v.Account, v.Login}
	return retried(func() (Started, error) {
		now := s.now()
		c, err := s.newPassword(ctx, h, password, v.Session.Hash, now)
		if err != nil {
			return Started{}, err
		}
		confirmed := *v
		confirmed.Session.ConfirmedAt = now
		started, err := s.renew(ctx, &confirmed, c, from, now, v.report(effects.LoginPasswordSet, loginData{Through: "change"}))
		if !isStale(err) {
			return started, err
		}
		again, readErr := s.reread(ctx, v, now)
		if readErr != nil {
			return Started{}, readErr
		}
		h = again
		return Started{}, err
	})
}

// reread reads the account and the login of a visit again, after others have changed one of
// them. Errors: fault.Unauthorized if that has ended the session.
func (s *Service) reread(ctx context.Context, v *Visit, now time.Time) (*Held, error) {
	h, err := s.Store.LoginOf(ctx, v.Account.ID, now)
	if err == nil && (!h.active() || h.Login.Epoch != v.Session.Epoch) {
		err = ErrSignedOut()
	}
	return &h, err
}

// RequestEmail sends a link to a new address and a notice to the old one, the notice first.
// Errors: fault.Forbidden as ChangePassword; Invalid or Length for the address; RateLimited
// with RetryAfter; State if mail is off. For an address that another account has, the link is
// for nobody: the answer does not tell.
func (s *Service) RequestEmail(ctx context.Context, v *Visit, email string) error {
	now := s.now()
	if err := mayChange(v, now); err != nil {
		return err
	}
	address, problem := account.CleanEmail("email", email)
	switch {
	case s.Mailer == nil:
		return ErrMailOff()
	case problem != nil:
		return problem
	case address == v.Account.Email:
		return errSameEmail()
	}
	key := s.EmailKey(address)
	if err := s.take(ctx, now, byAccount(UseAddress, v.Account.ID), byEmail(UseVerify, key)); err != nil {
		return err
	}
	found, err := s.Store.FindByEmail(ctx, key, now)
	if err != nil {
		return err
	}
	h := Held{v.Account, v.Login}
	for _, other := range found {
		if other.Account.ID != 0 && other.Account.ID != v.Account.ID && other.Account.Environment == v.Account.Environment {
			h = Held{}
		}
	}
	made, err := s.issue(TokenVerifyEmail, &h, address, now)
	if err != nil {
		return err
	}
	if h.Account.ID == 0 {
		made.Email = ""
	}
	if err := s.Store.IssueTokens(ctx, made.Token); err != nil {
		return err
	}
	if err := s.queue(ctx, mail.Message{Kind: mail.EmailChanging, AccountID: v.Account.ID, To: v.Account.Email, At: now}); err != nil {
		return err
	}
	return s.queue(ctx, mail.Message{Kind: mail.VerifyEmail, AccountID: h.Account.ID, To: address, Token: made.Text, At: now})
}

// VerifyEmail uses a TokenVerifyEmail: the account has the new address, and all sessions and
// links end. The old address gets a notice, which is queued first. Errors: those of Token;
// fault.Conflict if another account has taken the address meanwhile.
func (s *Service) VerifyEmail(ctx context.Context, text string, from Client) error {
	_, err := retried(func() (struct{}, error) {
		now := s.now()
		t, h, err := s.token(ctx, TokenVerifyEmail, text, now)
		if err != nil {
			return struct{}{}, err
		}
		next := h.Account
		next.Email, next.EmailKey = t.Email, s.EmailKey(t.Email)
		next.Version, next.ModifiedAt = next.Version+1, now
		if old := h.Account.Email; old != "" {
			if err := s.queue(ctx, mail.Message{ID: hashOf("email " + t.Hash), Kind: mail.EmailChanged, AccountID: h.Account.ID, To: old, At: now}); err != nil {
				return struct{}{}, err
			}
		}
		fx, err := effects.Effects{By: from.by(next.ID)}.With(s.Random, now, report(&next, effects.LoginEmailChanged, loginData{}), h.Account.Updated(&next))
		if err != nil {
			return struct{}{}, err
		}
		c := Change{Account: account.Update{Old: h.Account, New: next}, Login: &h.Login, Advance: true, Use: t.Hash}
		return struct{}{}, s.Store.ChangeLogin(ctx, c, fx.After(h.Account.ModifiedAt), now)
	})
	return err
}

// Reveal counts a reveal of a connection's secret, queues the mail and writes the audit entry,
// in this order: the caller then reads the secret, and shows nothing without them. Errors:
// fault.Forbidden for a visit that is not confirmed or is a partner's; RateLimited beyond
// three in an hour.
func (s *Service) Reveal(ctx context.Context, v *Visit, conn connection.Connection, from Client) error {
	now := s.now()
	if err := mayChange(v, now); err != nil {
		return err
	}
	if conn.AccountID != v.Account.ID {
		return connection.ErrNoConnection()
	}
	if err := s.take(ctx, now, byAccount(UseReveal, v.Account.ID)); err != nil {
		return err
	}
	if err := s.queue(ctx, mail.Message{Kind: mail.SecretShown, AccountID: v.Account.ID, CarrierID: conn.ID, At: now}); err != nil {
		return err
	}
	shown := effects.Report{
		Type: effects.SecretShown, PartnerID: v.Account.PartnerID, AccountID: v.Account.ID, Subject: conn.ID,
		Data: struct {
			CarrierID   string       `json:"carrier_id"`
			CarrierCode carrier.Name `json:"carrier_code"`
		}{conn.ID, conn.Carrier},
	}
	fx, err := effects.Effects{By: from.by(v.Account.ID)}.With(s.Random, now, shown)
	if err != nil {
		return err
	}
	return s.Store.RecordEffects(ctx, fx, now)
}
