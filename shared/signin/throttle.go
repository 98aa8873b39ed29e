package signin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// Throttle limits somebody's attempts at something.
type Throttle struct {
	Use  Use
	Whom string // an address as a hash, a network, or an account
}

// Use is what is limited.
type Use string

// The uses. Passwords are counted before they are checked, and taken back if they are right:
// those of people who sign in by address and by network, those of people who are signed in by
// account, so that no stranger's attempts stop them. Each kind of mail has its own use, for
// the same reason.
const (
	UsePassword    Use = "password"
	UseNetwork     Use = "network"
	UseConfirm     Use = "confirm"      // passwords again, by account
	UseMail        Use = "mail"         // links for a new password, by address
	UseMailNetwork Use = "mail_network" // likewise, by network
	UseAddress     Use = "address"      // new addresses, by account
	UseVerify      Use = "verify"       // links to new addresses, by address
	UseInvitation  Use = "invitation"   // invitations that are mailed, by address
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
	case UsePassword, UseConfirm:
		return Limit{2 * time.Hour, []Pause{{5, 0}, {6, time.Minute}, {7, 5 * time.Minute}, {0, 15 * time.Minute}}}
	case UseNetwork, UseMailNetwork:
		return Limit{15 * time.Minute, []Pause{{30, 0}}}
	case UseMail, UseAddress, UseVerify, UseInvitation, UseReveal:
		return Limit{time.Hour, []Pause{{3, 0}}}
	}
	return Limit{}
}

// byEmail throttles a use of an address. Only its hash reaches the table: people enter
// addresses that are nobody's account.
func byEmail(u Use, emailKey string) Throttle { return Throttle{u, hashOf(emailKey)} }

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
