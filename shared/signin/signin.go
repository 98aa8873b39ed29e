// Package signin lets people sign in to the account page: sessions, single-use tokens,
// throttling, step-up. It knows no AWS and no HTTP.
package signin

import (
	"context"
	"io"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
	"carrierlink/shared/mail"
	"carrierlink/shared/secret"
)

// Method is how a session was started.
type Method string

// The methods. A session of a partner cannot reveal a secret nor change password or email.
const (
	MethodPassword Method = "password"
	MethodPartner  Method = "partner"
)

// ConfirmedFor is how long a confirmation of the password lasts.
const ConfirmedFor = 5 * time.Minute

// Session is a browser that is signed in. Its text is only in the cookie.
type Session struct {
	Hash        string // SHA-256 of the text, hex
	AccountID   int64
	PartnerID   int64
	Method      Method
	Epoch       int64 // of the login when the session began: see Login
	CreatedAt   time.Time
	LastSeenAt  time.Time
	ConfirmedAt time.Time // when the password was entered last; zero for a partner's session
	Browser     string    // family, such as "Firefox on Windows"
	IP          string    // shortened: /24 or /48
}

// Login is what is kept of an account's sign-ins beside its password hash, which is the
// account's. A session and a token are valid for one epoch: a change of password, of email,
// and "sign out everywhere" add one.
type Login struct {
	Epoch    int64
	Reveals  int // in the hour that begins at RevealsAt
	RevealAt time.Time
}

// Client is the browser that a request came from.
type Client struct {
	IP        string // as the gateway saw it
	UserAgent string
	RequestID string
}

// Visit is a request of a person who is signed in, with what every page needs.
type Visit struct {
	Session  Session
	Login    Login
	Account  account.Account
	Partner  account.Partner
	Settings account.Settings
	Breakers map[carrier.Name]health.Breaker
	// Connection and Snapshot are of the carrier_id that Visit was asked for; nil: there is
	// none, or it is another account's.
	Connection *connection.Connection
	Snapshot   *connection.Snapshot
	By         effects.By // of changes: the actor page
}

// Confirmed reports whether the password was entered within ConfirmedFor.
func (v *Visit) Confirmed(now time.Time) bool {
	return v.Session.Method == MethodPassword && now.Sub(v.Session.ConfirmedAt) <= ConfirmedFor
}

// Started is a new session: Text goes into the cookie.
type Started struct {
	Text    secret.Text
	Session Session
}

// TokenKind is what a token is for.
type TokenKind string

// The kinds and how long they live.
const (
	TokenReset       TokenKind = "reset"        // 30 minutes
	TokenInvitation  TokenKind = "invitation"   // 7 days
	TokenVerifyEmail TokenKind = "verify_email" // 24 hours
	TokenEnter       TokenKind = "enter"        // 60 seconds
)

// Token is a link that works once.
type Token struct {
	Kind      TokenKind
	AccountID int64
	PartnerID int64
	Email     string // the address that it was sent to; for TokenVerifyEmail the new one
	Epoch     int64
	ExpiresAt time.Time
}

// Issued is a new token with its text.
type Issued struct {
	Token
	Text secret.Text
}

// Mailer queues mails.
type Mailer interface {
	Queue(ctx context.Context, m mail.Message) error
}

// Service lets people sign in.
type Service struct {
	Store    Store
	Mailer   Mailer // nil: mail is off
	EmailKey func(address string) string
	Hash     func(random io.Reader, password secret.Text) (string, error) // password.Hash
	Check    func(hash string, password secret.Text) error                // password.Check
	Idle     time.Duration                                                // a session that is not used ends (2 hours)
	Longest  time.Duration                                                // a session ends (12 hours)
	Now      func() time.Time
	Random   io.Reader
}

// Store stores sessions, tokens and throttles.
type Store interface{}

// Visit checks the cookie of a request and reads what its page needs in one call of the
// table. carrierID may be empty. Errors: fault.Unauthorized for a session that is absent,
// ended or of another epoch, and for an account that is disabled, deleted or gone.
func (s *Service) Visit(ctx context.Context, cookie secret.Text, carrierID string, from Client) (*Visit, error) {
	panic("unfinished")
}

// SignIn starts a session. old is the cookie that the browser sent, whose session ends; it
// may be empty. Errors: fault.Unauthorized, the same for an unknown email, a wrong password
// and an account without one; fault.RateLimited with RetryAfter.
func (s *Service) SignIn(ctx context.Context, email string, password, old secret.Text, from Client) (Started, error) {
	panic("unfinished")
}

// SignOut ends the session.
func (s *Service) SignOut(ctx context.Context, cookie secret.Text) error { panic("unfinished") }

// Confirm is the step-up: the session goes on under a new text. Errors: fault.Unauthorized
// for a wrong password (Field "password"), RateLimited; Forbidden for a partner's session.
func (s *Service) Confirm(ctx context.Context, v *Visit, password secret.Text, from Client) (Started, error) {
	panic("unfinished")
}

// Sessions lists the sessions of the account that are valid now, the latest first.
func (s *Service) Sessions(ctx context.Context, v *Visit) ([]Session, error) { panic("unfinished") }

// SignOutOthers ends all sessions and starts another one for this browser. It needs a
// confirmed visit: fault.Forbidden.
func (s *Service) SignOutOthers(ctx context.Context, v *Visit, from Client) (Started, error) {
	panic("unfinished")
}

// Forgot queues a mail with a link for a new password, if an account has the address; the
// answer and its time do not tell. Errors: fault.Invalid for what is no address; RateLimited.
func (s *Service) Forgot(ctx context.Context, email string, from Client) error { panic("unfinished") }

// Token reads a token without using it. Errors: fault.NotFound for one that is absent, used,
// expired, of another kind or out of date: the page says that the link no longer works.
func (s *Service) Token(ctx context.Context, kind TokenKind, text string) (Token, error) {
	panic("unfinished")
}

// SetPassword uses a token (TokenReset, TokenInvitation) to set the password, ends all
// sessions and starts one. Errors: those of Token; fault.Invalid or Length for the password.
func (s *Service) SetPassword(ctx context.Context, kind TokenKind, text string, password secret.Text, from Client) (Started, error) {
	panic("unfinished")
}

// ChangePassword changes the password, ends all other sessions and starts another one for
// this browser. Errors: fault.Forbidden for a visit that is not confirmed or is a partner's;
// Invalid or Length for the password.
func (s *Service) ChangePassword(ctx context.Context, v *Visit, password secret.Text, from Client) (Started, error) {
	panic("unfinished")
}

// RequestEmail sends a link to a new address and a notice to the old one. Errors:
// fault.Forbidden as ChangePassword; Invalid for the address; RateLimited. An address that
// another account has gets a mail of its own kind or none: the answer does not tell.
func (s *Service) RequestEmail(ctx context.Context, v *Visit, email string, from Client) error {
	panic("unfinished")
}

// VerifyEmail uses a TokenVerifyEmail: the account has the new address, and all sessions end
// but the one that is given (may be empty). Errors: those of Token; fault.Conflict if
// another account has taken the address meanwhile.
func (s *Service) VerifyEmail(ctx context.Context, text string, from Client) error {
	panic("unfinished")
}

// Invite makes a TokenInvitation for an account with an email; sent says to queue the mail.
// Errors: fault.State for an account without email or that is not active.
func (s *Service) Invite(ctx context.Context, a account.Account, send bool, fx effects.For[*Issued]) (*Issued, error) {
	panic("unfinished")
}

// Ephemeral makes a TokenEnter for an account. Errors: fault.State as Invite, but an email is
// not needed.
func (s *Service) Ephemeral(ctx context.Context, a account.Account, by effects.By) (*Issued, error) {
	panic("unfinished")
}

// Enter uses a TokenEnter and starts a partner's session. old as in SignIn.
func (s *Service) Enter(ctx context.Context, text string, old secret.Text, from Client) (Started, error) {
	panic("unfinished")
}

// EndSessions ends all sessions of an account.
func (s *Service) EndSessions(ctx context.Context, a account.Account, fx effects.Effects) error {
	panic("unfinished")
}

// Reveal counts a reveal of a connection's secret, writes its audit entry and queues the
// mail. The caller then reads the secret. Errors: fault.Forbidden for a visit that is not
// confirmed or is a partner's; RateLimited beyond three in an hour.
func (s *Service) Reveal(ctx context.Context, v *Visit, conn connection.Connection, from Client) error {
	panic("unfinished")
}
