package signin

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/mail"
	"carrierlink/shared/secret"
)

// TokenKind is what a token is for. Its first letter is in the text of the token.
type TokenKind string

// The kinds and how long they live.
const (
	TokenReset       TokenKind = "reset"        // 30 minutes
	TokenInvitation  TokenKind = "invitation"   // 7 days
	TokenVerifyEmail TokenKind = "verify_email" // 24 hours
	TokenEnter       TokenKind = "enter"        // 60 seconds
)

// life returns how long a token of the kind lives. None outlives its account: that stays for
// MinPurgeDays after a deletion.
func (k TokenKind) life() time.Duration {
	switch k {
	case TokenReset:
		return 30 * time.Minute
	case TokenInvitation:
		return 7 * 24 * time.Hour
	case TokenVerifyEmail:
		return 24 * time.Hour
	case TokenEnter:
		return time.Minute
	}
	return 0
}

// Token is a link that works once, for the epoch in which it was made.
type Token struct {
	Kind      TokenKind
	Hash      string // SHA-256 of the text, hex
	AccountID int64
	PartnerID int64
	Email     string // the address that it was sent to; for TokenVerifyEmail the new one
	Epoch     int64
	APIKeyID  int64     // of TokenEnter: the partner's key that made it
	ExpiresAt time.Time // in whole seconds
}

// Issued is a new token with its text.
type Issued struct {
	Token
	Text secret.Text
}

// issue makes a token for an account, without storing it. The account may be an empty one.
func (s *Service) issue(kind TokenKind, h *Held, email string, now time.Time) (*Issued, error) {
	t := Token{
		Kind: kind, AccountID: h.Account.ID, PartnerID: h.Account.PartnerID, Email: email, Epoch: h.Login.Epoch,
		ExpiresAt: now.Add(kind.life()).Truncate(time.Second),
	}
	text, err := newTokenText(s.Random, &t)
	if err != nil {
		return nil, err
	}
	t.Hash = digest(text)
	return &Issued{t, text}, nil
}

// queue queues a mail, under an id of its own if it has none. While mail is off there are no
// notices.
func (s *Service) queue(ctx context.Context, m mail.Message) error {
	if s.Mailer == nil {
		return nil
	}
	if m.ID == "" {
		var b [16]byte
		if _, err := io.ReadFull(s.Random, b[:]); err != nil {
			return fmt.Errorf("reading randomness: %w", err)
		}
		m.ID = hex.EncodeToString(b[:])
	}
	if err := s.Mailer.Queue(ctx, m); err != nil {
		return fmt.Errorf("queueing a mail: %w", err)
	}
	return nil
}

// Forgot queues a mail with a link for a new password to each account that has the address; the
// answer and its time do not tell whether there is one: as many tokens are written and mails
// queued for nobody. Errors: fault.Invalid or Length for what is no address; RateLimited with
// RetryAfter; State if mail is off.
func (s *Service) Forgot(ctx context.Context, email string, from Client) error {
	address, problem := account.CleanEmail("email", email)
	switch {
	case s.Mailer == nil:
		return ErrMailOff()
	case problem != nil:
		return problem
	}
	now, key := s.now(), s.EmailKey(address)
	if err := s.take(ctx, now, byNetwork(UseMailNetwork, from), byEmail(UseMail, key)); err != nil {
		return err
	}
	found, err := s.Store.FindByEmail(ctx, key, now)
	if err != nil {
		return err
	}
	var tokens []Token
	var mails []mail.Message
	for _, h := range found {
		if !h.active() {
			h = Held{}
		}
		made, err := s.issue(TokenReset, &h, h.Account.Email, now)
		if err != nil {
			return err
		}
		tokens = append(tokens, made.Token)
		mails = append(mails, mail.Message{Kind: mail.Reset, AccountID: h.Account.ID, Token: made.Text, At: now})
	}
	if err := s.Store.IssueTokens(ctx, tokens...); err != nil {
		return err
	}
	for _, m := range mails {
		if err := s.queue(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// Token reads a token without using it. Errors: fault.NotFound for one that is absent, used,
// expired, of another kind or out of date: the page says that the link no longer works.
func (s *Service) Token(ctx context.Context, kind TokenKind, text string) (Token, error) {
	t, _, err := s.token(ctx, kind, text, s.now())
	if err != nil {
		return Token{}, err
	}
	return *t, nil
}

// token reads a token with its account.
func (s *Service) token(ctx context.Context, kind TokenKind, text string, now time.Time) (*Token, *Held, error) {
	accountID, partnerID, ok := parseToken(kind, text)
	if !ok {
		return nil, nil, ErrNoLink()
	}
	t, h, err := s.Store.Token(ctx, digest(secret.New(text)), accountID, now)
	if err != nil {
		return nil, nil, fmt.Errorf("reading a link: %w", err)
	}
	fits := t != nil && t.Kind == kind && t.AccountID == accountID && t.PartnerID == partnerID && h.active() && h.Account.PartnerID == partnerID && t.Epoch == h.Login.Epoch
	if fits && (kind == TokenReset || kind == TokenInvitation) {
		fits = h.Account.EmailKey != "" && s.EmailKey(t.Email) == h.Account.EmailKey
	}
	if !fits {
		return nil, nil, ErrNoLink()
	}
	return t, &h, nil
}

// SetPassword uses a token (TokenReset, TokenInvitation) to set the password, ends all
// sessions and links and starts a session. Errors: those of Token; fault.Invalid or Length for
// the password.
func (s *Service) SetPassword(ctx context.Context, kind TokenKind, text string, password secret.Text, from Client) (Started, error) {
	if kind != TokenReset && kind != TokenInvitation {
		return Started{}, ErrNoLink()
	}
	return retried(func() (Started, error) {
		now := s.now()
		t, h, err := s.token(ctx, kind, text, now)
		if err != nil {
			return Started{}, err
		}
		c, err := s.newPassword(ctx, h, password, t.Hash, now)
		if err != nil {
			return Started{}, err
		}
		c.Use, c.Browser = t.Hash, from.browser()
		if err := s.Store.ForgetAttempts(ctx, byEmail(UsePassword, h.Account.EmailKey), now); err != nil {
			return Started{}, err
		}
		return s.start(ctx, MethodPassword, c, secret.Text{}, from, now, 0, report(&h.Account, effects.LoginPasswordSet, loginData{Through: string(kind)}))
	})
}

// Enter uses a TokenEnter and starts a partner's session. old as in SignIn. Errors: those of
// Token.
func (s *Service) Enter(ctx context.Context, text string, old secret.Text, from Client) (Started, error) {
	now := s.now()
	t, h, err := s.token(ctx, TokenEnter, text, now)
	if err != nil {
		return Started{}, err
	}
	c := Change{Account: account.Update{Old: h.Account, New: h.Account}, Login: &h.Login, Use: t.Hash}
	return s.start(ctx, MethodPartner, c, old, from, now, t.APIKeyID)
}

// Invite makes a TokenInvitation for an account with an email; send says to queue the mail.
// The mail is queued before the token is written, because a repetition of the request gets the
// stored answer and queues none: if the write fails, the link in it does not work.
//
// Errors: fault.State for an account without email, for one that is not active, and if mail is
// off; RateLimited with RetryAfter beyond three mails to the address in an hour; NotFound;
// *effects.Replay.
func (s *Service) Invite(ctx context.Context, a account.Account, send bool, fx effects.For[*Issued]) (*Issued, error) {
	if send && s.Mailer == nil {
		return nil, ErrMailOff()
	}
	now := s.now()
	h, err := s.invitable(ctx, &a, now)
	switch {
	case err != nil:
		return nil, err
	case h.Account.EmailKey == "":
		return nil, ErrNoEmail()
	}
	made, err := s.issue(TokenInvitation, h, h.Account.Email, now)
	if err != nil {
		return nil, err
	}
	delivered := "none"
	if send {
		delivered = "mail"
		switch wait, err := s.Store.TakeAttempt(ctx, byEmail(UseInvitation, h.Account.EmailKey), now); {
		case err != nil:
			return nil, err
		case wait > 0:
			return nil, errTooManyInvitations(wait)
		}
		if err := s.queue(ctx, mail.Message{Kind: mail.Invitation, AccountID: a.ID, Token: made.Text, At: now}); err != nil {
			return nil, err
		}
	}
	with, err := fx.Reporting(made, s.Random, now, report(&h.Account, effects.LoginInvited, loginData{Delivered: delivered, ExpiresAt: effects.Time(made.ExpiresAt)}))
	if err != nil {
		return nil, err
	}
	c := Change{Account: account.Update{Old: h.Account, New: h.Account}, Login: &h.Login, Issue: &made.Token}
	if err := s.Store.ChangeLogin(ctx, c, with, now); err != nil {
		return nil, fmt.Errorf("inviting: %w", err)
	}
	return made, nil
}

// invitable reads an account and its login. Errors: fault.State for an account that is not
// active; NotFound.
func (s *Service) invitable(ctx context.Context, a *account.Account, now time.Time) (*Held, error) {
	h, err := s.Store.LoginOf(ctx, a.ID, now)
	switch {
	case err != nil:
		return nil, err
	case h.Account.ID == 0 || h.Account.PartnerID != a.PartnerID:
		return nil, account.ErrNotFound()
	case h.Account.Deleted():
		return nil, account.ErrDeleted()
	case !h.Account.Active:
		return nil, ErrDisabled()
	}
	return &h, nil
}

// Ephemeral makes a TokenEnter for an account. by is the partner. Errors: fault.State as
// Invite, but an email is not needed; NotFound.
func (s *Service) Ephemeral(ctx context.Context, a account.Account, by effects.By) (*Issued, error) {
	now := s.now()
	h, err := s.invitable(ctx, &a, now)
	if err != nil {
		return nil, err
	}
	made, err := s.issue(TokenEnter, h, "", now)
	if err != nil {
		return nil, err
	}
	made.APIKeyID = by.KeyID
	return made, s.Store.IssueTokens(ctx, made.Token)
}
