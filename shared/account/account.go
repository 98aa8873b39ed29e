package account

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"carrierlink/shared/carrier"
)

// Account is a merchant's account, made by a partner.
type Account struct {
	ID                int64
	PartnerID         int64
	Environment       carrier.Environment // its partner's
	ExternalID        string              // the partner's own id, unique within the partner; optional
	Email             string              // as it was sent; optional
	EmailKey          string              // what Email is unique by within the environment (email.Key); empty without one
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
	// PurgeAt is when a deleted account vanishes; zero for one that is not
	// deleted. Whole seconds.
	PurgeAt time.Time
	// Following: the account was disabled, enabled, deleted or restored, and its
	// connections have not all followed yet.
	Following bool
	// Version counts the changes that an ETag tells apart: every change of the
	// account is on the condition that it is the one that was read.
	Version int64
}

// Deleted tells whether the account is deleted and waits for its purge.
func (a *Account) Deleted() bool { return !a.PurgeAt.IsZero() }

// Same tells whether two accounts differ in nothing.
func (a Account) Same(b Account) bool {
	if !maps.Equal(a.Metadata, b.Metadata) { // none and an empty one are equal
		return false
	}
	a.Metadata, b.Metadata = nil, nil
	return reflect.DeepEqual(a, b)
}

// Purged tells whether a deleted account's time is over: it counts as absent,
// although the table may hold it a while longer.
func (a *Account) Purged(now time.Time) bool { return a.Deleted() && !now.Before(a.PurgeAt) }

// Changeable returns fault.State for a deleted account: only a restore changes it.
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

// Standing is what the account lets its connections do.
func (a *Account) Standing() Standing {
	switch {
	case a.Deleted():
		return StandingDeleted
	case !a.Active:
		return StandingPaused
	}
	return StandingActive
}

// Partner is a platform that makes accounts for its merchants.
type Partner struct {
	ID                 int64
	Name               string
	Environment        carrier.Environment
	DefaultCountryCode string // of accounts made without origin_country_code
	CreatedAt          time.Time
}

// APIKey is what is kept of a key: never its text. Exactly one of AccountID (a
// merchant key) and PartnerID with AccountID zero (a partner key) is the owner;
// a merchant key carries its partner's id too.
type APIKey struct {
	ID          int64
	PartnerID   int64
	AccountID   int64 // zero for a partner key
	Hash        string
	Prefix      string // what the key begins with, for people
	LastFour    string
	Description string
	Environment carrier.Environment
	// DefaultCountryCode is the partner's, on partner keys: it saves every
	// account creation a read of the partner.
	DefaultCountryCode string
	Scopes             []Scope   // what the key may do; empty: everything
	ExpiresAt          time.Time // zero: never
	ReplacedBy         int64     // the key that a rotation put in its place; zero: not rotated
	LastUsedOn         time.Time // midnight UTC of the last day of use; zero: never used
	CreatedAt          time.Time
}

// Scope is a kind of work that a key may do.
type Scope string

// The scopes. None includes another.
const (
	ScopeRead  Scope = "read"
	ScopeLink  Scope = "link"
	ScopeAdmin Scope = "admin"
)

// Scopes lists them all, in the order that answers show them.
func Scopes() []Scope { return []Scope{ScopeRead, ScopeLink, ScopeAdmin} }

// May tells whether the key has a scope.
func (k *APIKey) May(s Scope) bool { return len(k.Scopes) == 0 || slices.Contains(k.Scopes, s) }

// Expired tells whether the key no longer works by its own end.
func (k *APIKey) Expired(now time.Time) bool { return !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(now) }

// MaxKeys is how many keys an account may have at a time, expired ones not
// counted, where the deployment does not say otherwise.
const MaxKeys = 50

// KeyUse asks to prove a key and to count one use of it in its one-minute
// window.
type KeyUse struct {
	PartnerID, AccountID int64 // exactly one is set: the key's owner
	Hash                 string
	Now                  time.Time
	Limit                int // uses in a window
}

// KeyUsed is a proven key and the state of its window.
type KeyUsed struct {
	Key   APIKey
	Used  int           // in this window, this use included
	Reset time.Duration // until the window ends
}

// Standing is what the connection's account lets it do, as far as the row has
// followed the account.
type Standing string

// The standings: of an active, a disabled and a deleted account.
const (
	StandingActive  Standing = "active"
	StandingPaused  Standing = "paused"  // nothing is checked
	StandingDeleted Standing = "deleted" // nor is there a secret to check with
)
