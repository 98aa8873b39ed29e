// Package account holds merchant accounts, the partners that create them and their API
// keys: their types and rules, and Service, which implements every operation on them.
package account

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"carrierlink/shared/carrier"
)

// Owned names an account of a partner. The id alone may have been another partner's account,
// which was purged.
type Owned struct{ PartnerID, AccountID int64 }

// Account is a merchant's account, created by a partner.
type Account struct {
	ID                int64
	PartnerID         int64
	Environment       carrier.Environment // the partner's
	ExternalID        string              // the partner's own id, unique within the partner; optional
	Email             string              // as it was sent; optional
	EmailKey          string              // email.Key of Email, unique within the environment; empty without an email
	CompanyName       string
	FirstName         string
	LastName          string
	OriginCountryCode string // ISO 3166-1 alpha-2
	PasswordHash      string // argon2id PHC string; empty without a password
	Metadata          map[string]string
	Active            bool
	CarriersCount     int
	CreatedAt         time.Time
	ModifiedAt        time.Time
	// PurgeAt is when a deleted account is removed for good, in whole seconds; zero
	// unless the account is deleted.
	PurgeAt time.Time
	// Following is true while some connections have not yet followed the account's
	// last change of state.
	Following bool
	// Version grows with every change that gives the account another ETag.
	Version int64
}

// Deleted reports whether the account is deleted and waits for its purge.
func (a *Account) Deleted() bool { return !a.PurgeAt.IsZero() }

// Same reports whether two accounts are equal.
func (a Account) Same(b Account) bool {
	if !maps.Equal(a.Metadata, b.Metadata) { // nil equals empty
		return false
	}
	a.Metadata, b.Metadata = nil, nil
	return reflect.DeepEqual(a, b)
}

// Purged reports whether the purge of a deleted account is due: the account counts as
// absent, although DynamoDB may delete it later.
func (a *Account) Purged(now time.Time) bool { return a.Deleted() && !now.Before(a.PurgeAt) }

// Changeable returns fault.State for a deleted account, which can only be restored.
func (a *Account) Changeable() error {
	if a.Deleted() {
		return ErrDeleted()
	}
	return nil
}

// Restorable returns fault.State for an account that is not deleted.
func (a *Account) Restorable() error {
	if !a.Deleted() {
		return ErrNotDeleted()
	}
	return nil
}

// Standing returns what the account lets its connections do.
func (a *Account) Standing() Standing {
	switch {
	case a.Deleted():
		return StandingDeleted
	case !a.Active:
		return StandingPaused
	}
	return StandingActive
}

// Partner is a platform that creates accounts for its merchants.
type Partner struct {
	ID                 int64
	Name               string
	Environment        carrier.Environment
	DefaultCountryCode string // for accounts created without origin_country_code
	CreatedAt          time.Time
	DisabledAt         time.Time // zero: not disabled
	// Version grows with every change of the partner or of one of its keys. It is 0 for
	// a new partner.
	Version int64
}

// APIKey is what we store of an API key, without its text. A merchant key has the ids
// of its account and of the partner, a partner key only the latter.
type APIKey struct {
	ID          int64
	PartnerID   int64
	AccountID   int64 // zero for a partner key
	Hash        string
	Prefix      string // the visible first characters
	LastFour    string
	Description string
	Environment carrier.Environment
	// DefaultCountryCode is the partner's, copied to partner keys so that creating an
	// account does not read the partner.
	DefaultCountryCode string
	// PartnerDisabled is the partner's state, copied to partner keys for the same reason.
	PartnerDisabled bool
	Scopes          []Scope   // empty: all scopes
	ExpiresAt       time.Time // zero: never
	WarnAt          time.Time // when its next api_key_expiring is due; zero: there is none
	ReplacedBy      int64     // the key that replaced it in a rotation; zero: not rotated
	LastUsedOn      time.Time // midnight UTC of the last day of use; zero: never used
	CreatedAt       time.Time
}

// Scope is a kind of work that an API key may do.
type Scope string

// The scopes. No scope includes another.
const (
	ScopeRead  Scope = "read"
	ScopeLink  Scope = "link"
	ScopeAdmin Scope = "admin"
)

// Scopes returns all scopes, in the order of answers.
func Scopes() []Scope { return []Scope{ScopeRead, ScopeLink, ScopeAdmin} }

// May reports whether the key has a scope.
func (k *APIKey) May(s Scope) bool { return len(k.Scopes) == 0 || slices.Contains(k.Scopes, s) }

// Expired reports whether the key's own end has passed.
func (k *APIKey) Expired(now time.Time) bool { return !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(now) }

// MaxKeys is the default limit of an account's keys; expired keys do not count.
const MaxKeys = 50

// MaxPartnerKeys is the limit of a partner's keys. All of them follow the partner's state
// in one transaction, which holds 100 items.
const MaxPartnerKeys = 50

// KeyUse asks to verify a key and to count one use of it in its one-minute window.
type KeyUse struct {
	PartnerID, AccountID int64 // the key's owner: exactly one is set
	Hash                 string
	Now                  time.Time
	Limit                int // uses per window
}

// KeyUsed is a verified key and the state of its window.
type KeyUsed struct {
	Key   APIKey
	Used  int           // uses in this window, including this one
	Reset time.Duration // until the window ends
}

// Standing is what an account lets its connections do.
type Standing string

// The standings of active, disabled and deleted accounts.
const (
	StandingActive  Standing = "active"
	StandingPaused  Standing = "paused"  // no checks
	StandingDeleted Standing = "deleted" // no checks, and no secret
)
