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

// ErrIDTaken is in the chain of the error that says that a new account, partner or
// key has the id of another one: draw another id and try again.
var ErrIDTaken = errors.New("the id is taken")

// NewAccount is an account with its first key.
type NewAccount struct {
	Account Account
	Key     APIKey
}

// Update is an account as it was read and as it shall be.
type Update struct {
	Old, New Account
}

// Store keeps accounts, partners and API keys. It writes each change together with
// its effects, on a condition: what the caller could not know when it read is a
// refusal of the write. Where the change's Idempotency-Key is taken it writes
// nothing and returns *effects.Replay.
type Store interface {
	// Account reads an account by its key: fault.NotFound for one that is absent, or
	// whose purge is due.
	Account(ctx context.Context, accountID int64, now time.Time) (Account, error)
	// AccountByExternalID reads the id of a partner's account by its key:
	// fault.NotFound.
	AccountByExternalID(ctx context.Context, partnerID int64, externalID string, now time.Time) (int64, error)
	// ListAccounts reads a page, and where the next one begins; nil for no next one.
	ListAccounts(ctx context.Context, partnerID int64, f Filter, after *Position, skip, limit int, now time.Time) ([]Account, *Position, error)

	// CreateAccount writes account and key: fault.Conflict for each identifier that
	// is taken; an error with ErrIDTaken.
	CreateAccount(ctx context.Context, in NewAccount, fx effects.Effects, now time.Time) error
	// UpdateAccount writes what is different: fault.Precondition when the account is
	// no longer the one that was read; State for one that is deleted, and for a
	// country while carriers are linked; Conflict.
	UpdateAccount(ctx context.Context, c Update, fx effects.Effects, now time.Time) error
	// SetAccountActive, DeleteAccount and RestoreAccount change whatever version of
	// the account there is; a pinned change is fault.Precondition for another one.
	// fault.State for an account in no state for it.
	SetAccountActive(ctx context.Context, a Account, pinned, active bool, fx effects.Effects, now time.Time) error
	DeleteAccount(ctx context.Context, a Account, pinned bool, purgeAt time.Time, fx effects.Effects, now time.Time) error
	RestoreAccount(ctx context.Context, a Account, pinned bool, fx effects.Effects, now time.Time) error
	// ClaimIdempotency writes an answer for which nothing else is written.
	ClaimIdempotency(ctx context.Context, rec effects.Record, now time.Time) error

	// ListKeys reads the keys of an account, the oldest first.
	ListKeys(ctx context.Context, accountID int64) ([]APIKey, error)
	// CreateKey, RotateKey and DeleteKey: fault.NotFound for the account or the key
	// that is gone; State for a deleted account, for one with as many keys as it may
	// have, and for a key that is in no state for it.
	CreateKey(ctx context.Context, k APIKey, fx effects.Effects, now time.Time) error
	RotateKey(ctx context.Context, old, next APIKey, validUntil time.Time, fx effects.Effects, now time.Time) error
	DeleteKey(ctx context.Context, k APIKey, fx effects.Effects, now time.Time) error

	// CreatePartner writes partner and key; an error with ErrIDTaken.
	CreatePartner(ctx context.Context, p Partner, k APIKey, fx effects.Effects, now time.Time) error
}

// Connections are what follows an account when it changes its state.
type Connections interface {
	// Follow makes the connections of an account stand as it stands.
	Follow(ctx context.Context, accountID int64) error
}

// Service implements every operation on accounts, partners and API keys.
type Service struct {
	Store       Store
	Connections Connections // of Enable, Disable, Delete and Restore
	// EmailKey (email.Key) is for Create and Change, HashPassword (password.Hash)
	// for Create. Both come from packages that only their users link.
	EmailKey     func(address string) string
	HashPassword func(random io.Reader, password secret.Text) (string, error)
	Now          func() time.Time
	Random       io.Reader // of ids and keys; crypto/rand.Reader outside tests
}

// now is the time of a change, to the millisecond that the table keeps.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// Find reads an account, whoever's it is; nil for one that is absent, or whose
// purge is due. It reads by primary key alone, so that auth may run it beside a key
// that is not proven yet.
func (s *Service) Find(ctx context.Context, accountID int64) (*Account, error) {
	a, err := s.Store.Account(ctx, accountID, s.now())
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &a, nil
}

// Get reads a partner's account: fault.NotFound for one that is absent, or another
// partner's.
func (s *Service) Get(ctx context.Context, partnerID, accountID int64) (Account, error) {
	a, err := s.Find(ctx, accountID)
	if err != nil {
		return Account{}, fmt.Errorf("reading the account: %w", err)
	}
	if a == nil || a.PartnerID != partnerID {
		return Account{}, ErrNotFound()
	}
	return *a, nil
}

// IDByExternalID finds a partner's account by the partner's own id: fault.NotFound.
// It reads by primary key alone, as Find does.
func (s *Service) IDByExternalID(ctx context.Context, partnerID int64, externalID string) (int64, error) {
	return s.Store.AccountByExternalID(ctx, partnerID, externalID, s.now())
}

// Listing asks for a page of a partner's accounts.
type Listing struct {
	Filter
	ExternalID  *string   // the one account that has it; nil: all
	After       *Position // where the page before ended; nil: skip so many
	Skip, Limit int
}

// List reads a page of a partner's accounts, and where the next one begins; nil for
// no next one.
func (s *Service) List(ctx context.Context, partnerID int64, l Listing) ([]Account, *Position, error) {
	if l.ExternalID == nil {
		return s.Store.ListAccounts(ctx, partnerID, l.Filter, l.After, l.Skip, l.Limit, s.now())
	}
	id, err := s.IDByExternalID(ctx, partnerID, *l.ExternalID)
	if err == nil && l.Skip > 0 {
		return nil, nil, nil
	}
	var a Account
	if err == nil {
		a, err = s.Get(ctx, partnerID, id)
	}
	switch {
	case fault.Is(err, fault.NotFound), err == nil && !l.Matches(a):
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	}
	return []Account{a}, nil, nil
}
