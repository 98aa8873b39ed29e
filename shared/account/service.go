package account

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
)

// ErrIDTaken means that another account, partner or key has the random id of a new one:
// try again with another id.
var ErrIDTaken = errors.New("the id is taken")

// NewAccount is a new account and its first key.
type NewAccount struct {
	Account Account
	Key     APIKey
}

// Update replaces an account as it was read by a new version.
type Update struct {
	Old, New Account
}

// Store stores accounts, partners and API keys. It writes each change together with its
// effects in one transaction, which fails if a concurrent change forbids it. If the
// Idempotency-Key is taken, it writes nothing and returns *effects.Replay.
type Store interface {
	// Account reads an account by primary key: fault.NotFound if it is absent or its
	// purge is due.
	Account(ctx context.Context, accountID int64, now time.Time) (Account, error)
	// AccountByExternalID reads the id of a partner's account by primary key:
	// fault.NotFound if there is none.
	AccountByExternalID(ctx context.Context, partnerID int64, externalID string, now time.Time) (int64, error)
	// ListAccounts reads a page, and the position after which the next one begins; nil
	// for the last page.
	ListAccounts(ctx context.Context, partnerID int64, f Filter, after *Position, skip, limit int, now time.Time) ([]Account, *Position, error)

	// CreateAccount writes account and key: fault.Conflict for each identifier that is
	// taken; an error with ErrIDTaken in its chain.
	CreateAccount(ctx context.Context, in NewAccount, fx effects.Effects, now time.Time) error
	// UpdateAccount writes the differences: fault.Precondition if the account has
	// changed since it was read; State if it is deleted, and for a country while
	// carriers are linked; Conflict.
	UpdateAccount(ctx context.Context, c Update, fx effects.Effects, now time.Time) error
	// SetAccountActive, DeleteAccount and RestoreAccount change the current version; a
	// pinned change of another version is fault.Precondition. fault.State if the
	// account's state forbids the change.
	SetAccountActive(ctx context.Context, a Account, pinned, active bool, fx effects.Effects, now time.Time) error
	DeleteAccount(ctx context.Context, a Account, pinned bool, purgeAt time.Time, fx effects.Effects, now time.Time) error
	RestoreAccount(ctx context.Context, a Account, pinned bool, fx effects.Effects, now time.Time) error
	// ClaimIdempotency writes an answer without a change.
	ClaimIdempotency(ctx context.Context, rec effects.Record, now time.Time) error

	// ListKeys reads the keys of an account, oldest first.
	ListKeys(ctx context.Context, accountID int64) ([]APIKey, error)
	// CreateKey, RotateKey and DeleteKey return fault.NotFound if the account or the
	// key is gone; State if the account is deleted or has as many keys as it may have,
	// and if the key's state forbids the change.
	CreateKey(ctx context.Context, k APIKey, fx effects.Effects, now time.Time) error
	RotateKey(ctx context.Context, old, next APIKey, validUntil time.Time, fx effects.Effects, now time.Time) error
	DeleteKey(ctx context.Context, k APIKey, fx effects.Effects, now time.Time) error
	// ExpiringKeys lists keys whose WarnAt has come, the earliest first, and counts the
	// entries that cannot be read.
	ExpiringKeys(ctx context.Context, now time.Time, limit int) (found []APIKey, malformed int, err error)
	// SaveKeyWarning writes the next WarnAt of a key: fault.State if the key has changed since
	// it was read, or is gone.
	SaveKeyWarning(ctx context.Context, k APIKey, next time.Time, fx effects.Effects, now time.Time) error

	// CreatePartner writes partner and key: an error with ErrIDTaken in its chain.
	CreatePartner(ctx context.Context, p Partner, k APIKey, fx effects.Effects, now time.Time) error
	// Partner reads a partner and its keys, the oldest first: fault.NotFound if there is
	// none.
	Partner(ctx context.Context, partnerID int64) (Partner, []APIKey, error)
	// ListPartners reads a page of partners by id, without those that cannot be read. The next
	// page begins after next; zero: nothing follows.
	ListPartners(ctx context.Context, after int64, limit int) (partners []Partner, next int64, err error)
	// ChangePartner writes the differences: fault.Precondition if the partner or one of
	// its keys has changed since they were read; NotFound; an error with ErrIDTaken in
	// its chain.
	ChangePartner(ctx context.Context, c PartnerChange, fx effects.Effects, now time.Time) error
}

// Connections follow the state of their account.
type Connections interface {
	// Follow updates the standing of every connection of an account.
	Follow(ctx context.Context, accountID int64) error
}

// Service implements every operation on accounts, partners and API keys.
type Service struct {
	Store       Store
	Connections Connections // for Enable, Disable, Delete and Restore
	// EmailKey (email.Key) is for Create and Change, HashPassword (password.Hash) for
	// Create. Other functions leave them nil, so that they do not link those packages.
	EmailKey     func(address string) string
	HashPassword func(random io.Reader, password secret.Text) (string, error)
	Now          func() time.Time
	Random       io.Reader // crypto/rand.Reader outside tests
}

// now returns the time in milliseconds, the precision of the table.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// Find reads an account of any partner: fault.NotFound if it is absent or its purge is
// due. It reads by primary key only, so auth may run it before the API key is verified.
func (s *Service) Find(ctx context.Context, accountID int64) (*Account, error) {
	a, err := s.Store.Account(ctx, accountID, s.now())
	return &a, err
}

// Get reads an account: fault.NotFound if it is absent or belongs to another partner.
func (s *Service) Get(ctx context.Context, partnerID, accountID int64) (Account, error) {
	a, err := s.Find(ctx, accountID)
	if err != nil {
		return Account{}, fmt.Errorf("reading the account: %w", err)
	}
	if a.PartnerID != partnerID {
		return Account{}, ErrNotFound()
	}
	return *a, nil
}

// IDByExternalID reads the id of the account with a partner's external id: fault.NotFound
// if there is none. It reads by primary key only, as Find does.
func (s *Service) IDByExternalID(ctx context.Context, partnerID int64, externalID string) (int64, error) {
	return s.Store.AccountByExternalID(ctx, partnerID, externalID, s.now())
}

// Filter limits and orders a list of a partner's accounts.
type Filter struct {
	Active       *bool     // nil: both
	CreatedFrom  time.Time // inclusive; zero: from the first
	CreatedUntil time.Time // inclusive; zero: to the last
	Ascending    bool      // oldest first; otherwise newest first
}

// Position is the last account of a page: the next page begins after it.
type Position struct {
	CreatedAt time.Time
	AccountID int64
}

// Matches reports whether an account passes the filter.
func (f Filter) Matches(a Account) bool {
	return (f.Active == nil || *f.Active == a.Active) &&
		(f.CreatedFrom.IsZero() || !a.CreatedAt.Before(f.CreatedFrom)) &&
		(f.CreatedUntil.IsZero() || !a.CreatedAt.After(f.CreatedUntil))
}

// Listing selects a page of a partner's accounts.
type Listing struct {
	Filter
	ExternalID  *string   // only the account with this id; nil: all
	After       *Position // where the previous page ended; nil: use Skip
	Skip, Limit int
}

// List reads a page of a partner's accounts, and the position after which the next page
// begins; nil for the last page.
func (s *Service) List(ctx context.Context, partnerID int64, l Listing) ([]Account, *Position, error) {
	if l.ExternalID == nil {
		return s.Store.ListAccounts(ctx, partnerID, l.Filter, l.After, l.Skip, l.Limit, s.now())
	}
	id, err := s.IDByExternalID(ctx, partnerID, *l.ExternalID)
	var a Account
	if err == nil && l.Skip == 0 {
		a, err = s.Get(ctx, partnerID, id)
	}
	if fault.Is(err, fault.NotFound) || err == nil && (l.Skip > 0 || !l.Matches(a)) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return []Account{a}, nil, nil
}
