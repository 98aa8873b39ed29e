// Package signin lets people sign in to the account page: sessions, single-use tokens,
// throttling, step-up. It knows no AWS and no HTTP.
package signin

import (
	"context"
	"io"
	"slices"
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

// seenEvery is how often the table learns that a session is in use. A session may end that
// much before it has been idle for Service.Idle.
const seenEvery = 5 * time.Minute

// MaxSessions is how many sessions an account may have. A further one ends the oldest.
const MaxSessions = 50

// Session is a browser that is signed in. Its text is only in the cookie.
type Session struct {
	Hash        string // SHA-256 of the text, hex
	AccountID   int64
	PartnerID   int64
	Method      Method
	Epoch       int64 // of the login when the session began: see Login
	CreatedAt   time.Time
	LastSeenAt  time.Time // at most seenEvery old
	ConfirmedAt time.Time // when the password was entered last; zero for a partner's session
	EndsAt      time.Time // in whole seconds
	Browser     string    // family, such as "Firefox on Windows"
	IP          string    // shortened: /24 or /48
}

// Ref names a session.
type Ref struct {
	AccountID int64
	Hash      string
}

// Ref returns the name of the session.
func (s *Session) Ref() Ref { return Ref{s.AccountID, s.Hash} }

// Login is what is kept of an account's sign-ins beside its password hash, which is the
// account's. A session and a token are valid for one epoch: a change of password, of email,
// and "sign out everywhere" add one.
type Login struct {
	Epoch    int64
	Browsers []string // the families that have signed in: those of Client.browser, so there are few
}

// Knows reports whether a browser of the family has signed in before.
func (l *Login) Knows(browser string) bool { return slices.Contains(l.Browsers, browser) }

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
	// Connection and Snapshot are of the carrier_id that Visit was asked for, of whatever
	// status: it may not be Visible. Nil: there is none, or it is another account's.
	Connection *connection.Connection
	Snapshot   *connection.Snapshot
	By         effects.By // of changes: the actor page
	// Successor is the text under which the session goes on if it is given another one: see the
	// function. Zero: a random one.
	Successor secret.Text
}

// Confirmed reports whether the password was entered within ConfirmedFor.
func (v *Visit) Confirmed(now time.Time) bool {
	return v.Session.Method == MethodPassword && now.Sub(v.Session.ConfirmedAt) <= ConfirmedFor
}

// Held is an account with its login, as they are read together.
type Held struct {
	Account account.Account // ID is zero: there is none
	Login   Login
}

// active reports whether somebody may sign in to the account.
func (h *Held) active() bool {
	return h.Account.ID != 0 && h.Account.Standing() == account.StandingActive
}

// Started is a new session: Text goes into the cookie.
type Started struct {
	Text    secret.Text
	Session Session
}

// Service lets people sign in.
type Service struct {
	Store    Store
	Mailer   Mailer // nil: mail is off
	EmailKey func(address string) string
	Hash     func(random io.Reader, password secret.Text) (string, error) // password.Hash
	Check    func(hash string, password secret.Text) error                // password.Check
	// Weaker (password.Weaker) reports whether a hash costs less than a new one would: then
	// a sign-in replaces it. Nil: none does.
	Weaker  func(hash string) bool
	Idle    time.Duration // a session that is not used ends (2 hours)
	Longest time.Duration // a session ends (12 hours)
	Now     func() time.Time
	Random  io.Reader
}

// Mailer queues mails.
type Mailer interface {
	Queue(ctx context.Context, m mail.Message) error
}

// Store stores sessions, tokens and throttles.
type Store interface {
	// Visit reads what a visit needs in one call; nil if there is no such session, or its
	// account or partner is gone. carrierID may be empty.
	Visit(ctx context.Context, ref Ref, partnerID int64, carrierID string, now time.Time) (*Visit, error)
	// Seen writes LastSeenAt of a session, unless it is later already; there is false if
	// the session is gone.
	Seen(ctx context.Context, ref Ref, now time.Time) (there bool, err error)
	// EndSession removes a session.
	EndSession(ctx context.Context, ref Ref) error
	// SessionsOf reads all sessions of an account, ended ones included.
	SessionsOf(ctx context.Context, accountID int64) ([]Session, error)

	// FindByEmail reads the accounts that have an email, the production account and the
	// sandbox account. It makes the same calls whether there are such accounts or not.
	FindByEmail(ctx context.Context, emailKey string, now time.Time) ([2]Held, error)
	// LoginOf reads an account with its login: an empty Held if the account is gone.
	LoginOf(ctx context.Context, accountID int64, now time.Time) (Held, error)
	// Token reads a token with the account and the login that it is for: nil if it is
	// absent or has expired.
	Token(ctx context.Context, hash string, accountID int64, now time.Time) (*Token, Held, error)
	// IssueTokens writes tokens.
	IssueTokens(ctx context.Context, tokens ...Token) error
	// ChangeLogin writes a change with its effects, all or nothing: see Change.
	ChangeLogin(ctx context.Context, c Change, fx effects.Effects, now time.Time) error
	// RecordEffects writes effects without a change.
	RecordEffects(ctx context.Context, fx effects.Effects, now time.Time) error

	// TakeAttempt counts an attempt before it is made, unless it has to wait: then for how
	// long. It is exact, however many come at once.
	TakeAttempt(ctx context.Context, t Throttle, now time.Time) (wait time.Duration, err error)
	// ReturnAttempt takes back one attempt, ForgetAttempts all.
	ReturnAttempt(ctx context.Context, t Throttle, now time.Time) error
	ForgetAttempts(ctx context.Context, t Throttle, now time.Time) error
}

// Change is a change of an account's login. Errors of Store.ChangeLogin, in this order:
// *effects.Replay; fault.NotFound if Use is gone (ErrNoLink); Unauthorized if Replace is gone
// (ErrSignedOut); NotFound or State for an account that is gone or deleted; Conflict if another
// account has the new email; State with ErrStale in its chain if the account or the login has
// changed since they were read.
type Change struct {
	// Account has another password hash or email in New, and is then written on the
	// condition of the Version that was read. New of the same Version has another password
	// hash at most, which is the same password's.
	Account account.Update
	// Login is as it was read; nil: whatever it is.
	Login   *Login
	Advance bool   // adds one to the epoch
	Browser string // is known from now on; empty: none

	Start   *Session // on the condition that the password hash is as it was read
	Replace *Ref     // is removed; the change is made only if it is there
	End     []Ref    // are removed if they are there

	Issue *Token
	Use   string // the hash of a token, which is removed; the change is made only if it is there
}

// now returns the time in milliseconds, the precision of the table.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }
