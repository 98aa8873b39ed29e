package signin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"carrierlink/shared/account"
)

// Throttle limits somebody's attempts at something.
type Throttle struct {
	Use  Use
	Whom string // an address as a hash, a network, or an account
}

// Use is what is limited.
type Use string

// The uses. Passwords are counted by address and by network before they are checked, and
// taken back if they are right.
const (
	UsePassword    Use = "password"
	UseNetwork     Use = "network"
	UseMail        Use = "mail"         // links, by address
	UseMailNetwork Use = "mail_network" // links, by network
	UseAddress     Use = "address"      // new addresses, by account
	UseReveal      Use = "reveal"       // secrets that are shown, by account
)

// Limit says how long an attempt waits, by the number of attempts within a time before it.
type Limit struct {
	Within time.Duration
	Pauses []Pause // in the order of Attempts
}

// Pause is how long after the last attempt the next one may be made while there were fewer
// than Attempts; zero Attempts: however many there were. An attempt that no pause allows waits
// until enough of them are older than Within.
type Pause struct {
	Attempts int
	Pause    time.Duration
}

// Limit returns the limit of a use. That of passwords lets about a hundred guesses a day
// through, as NIST SP 800-63B, 5.2.2, wants it, and never locks anybody out for longer than a
// quarter of an hour.
func (u Use) Limit() Limit {
	switch u {
	case UsePassword:
		return Limit{2 * time.Hour, []Pause{{5, 0}, {6, time.Minute}, {7, 5 * time.Minute}, {0, 15 * time.Minute}}}
	case UseNetwork, UseMailNetwork:
		return Limit{15 * time.Minute, []Pause{{30, 0}}}
	case UseMail, UseAddress, UseReveal:
		return Limit{time.Hour, []Pause{{3, 0}}}
	}
	return Limit{}
}

// passwordsAt throttles the passwords of an address. Only its hash reaches the table: people
// enter addresses that are nobody's account.
func passwordsAt(emailKey string) Throttle { return Throttle{UsePassword, hashOf(emailKey)} }

// passwordsOf is passwordsAt of an account, which may have lost its email since somebody
// signed in.
func passwordsOf(a *account.Account) Throttle {
	if a.EmailKey == "" {
		return byAccount(UsePassword, a.ID)
	}
	return passwordsAt(a.EmailKey)
}

func mailsTo(emailKey string) Throttle { return Throttle{UseMail, hashOf(emailKey)} }

func byAccount(u Use, accountID int64) Throttle {
	return Throttle{u, strconv.FormatInt(accountID, 10)}
}

func byNetwork(u Use, from Client) Throttle { return Throttle{u, network(from.IP, 64)} }

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// take takes an attempt of each throttle, in order: fault.RateLimited with RetryAfter if one
// of them has none left.
func (s *Service) take(ctx context.Context, now time.Time, all ...Throttle) error {
	for _, t := range all {
		wait, err := s.Store.TakeAttempt(ctx, t, now)
		switch {
		case err != nil:
			return err
		case wait > 0:
			return errTooMany(wait)
		}
	}
	return nil
}

// lift forgets the attempts at a password, after one that was right.
func (s *Service) lift(ctx context.Context, passwords Throttle, from Client, now time.Time) error {
	if err := s.Store.ForgetAttempts(ctx, passwords, now); err != nil {
		return err
	}
	return s.Store.ReturnAttempt(ctx, byNetwork(UseNetwork, from), now)
}
