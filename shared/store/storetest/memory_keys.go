package storetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
)

// ListKeys is store.Store's.
func (m *Memory) ListKeys(ctx context.Context, accountID int64) ([]account.APIKey, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("listing API keys: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.keysOf(accountID), nil
}

func (m *Memory) keysOf(accountID int64) []account.APIKey {
	keys := []account.APIKey{}
	for id, r := range m.keys {
		if id.account == accountID {
			keys = append(keys, keptKey(r.key))
		}
	}
	slices.SortFunc(keys, func(a, b account.APIKey) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return keys
}

// CreateKey is store.Store's.
func (m *Memory) CreateKey(ctx context.Context, k account.APIKey, fx effects.Effects, now time.Time) error {
	return m.commit(ctx, "creating an API key", fx, now, func() error { return m.addKey(k, nil, now) })
}

// RotateKey is store.Store's.
func (m *Memory) RotateKey(ctx context.Context, old, k account.APIKey, validUntil time.Time, fx effects.Effects, now time.Time) error {
	return m.commit(ctx, "rotating an API key", fx, now, func() error {
		a, err := m.present(k.AccountID, now)
		r := m.keys[ownerOf(old)]
		switch {
		case err != nil:
			return err
		case a.Deleted():
			return account.ErrDeleted()
		case r == nil:
			return account.ErrNoKey()
		case r.key.Expired(milli(now)):
			return account.ErrKeyExpired()
		case r.key.ReplacedBy != 0:
			return account.ErrKeyReplaced()
		case !r.key.ExpiresAt.Equal(milli(old.ExpiresAt)):
			return account.ErrKeyChanged()
		}
		before := r.key.ExpiresAt
		if before.IsZero() || before.After(validUntil) {
			r.key.ExpiresAt = milli(validUntil)
		}
		if err = m.addKey(k, &old, now); err != nil {
			r.key.ExpiresAt = before
		} else {
			r.key.ReplacedBy = k.ID
		}
		return err
	})
}

// addKey adds a key, in the place of an expired one where the account is full:
// the one that ends now comes last.
func (m *Memory) addKey(k account.APIKey, ended *account.APIKey, now time.Time) error {
	a, err := m.present(k.AccountID, now)
	switch {
	case err != nil:
		return err
	case a.Deleted():
		return account.ErrDeleted()
	case m.keys[ownerOf(k)] != nil:
		return fmt.Errorf("adding an API key: %w", account.ErrIDTaken)
	}
	keys := m.keysOf(a.ID)
	if m.Caps.Keys > 0 && len(keys) >= m.Caps.Keys {
		keys = slices.DeleteFunc(keys, func(k account.APIKey) bool { return !k.Expired(milli(now)) })
		if len(keys) == 0 {
			return account.ErrTooManyKeys(m.Caps.Keys)
		}
		delete(m.keys, ownerOf(slices.MinFunc(keys, func(a, b account.APIKey) int {
			if ended != nil && (a.Hash == ended.Hash) != (b.Hash == ended.Hash) {
				if a.Hash == ended.Hash {
					return 1
				}
				return -1
			}
			return a.ExpiresAt.Compare(b.ExpiresAt)
		})))
	}
	m.keys[ownerOf(k)] = &keyRecord{key: keptKey(k)}
	return nil
}

// DeleteKey is store.Store's.
func (m *Memory) DeleteKey(ctx context.Context, k account.APIKey, fx effects.Effects, now time.Time) error {
	return m.commit(ctx, "deleting an API key", fx, now, func() error {
		if _, ok := m.accounts[k.AccountID]; !ok && k.AccountID != 0 {
			return account.ErrNotFound()
		}
		if m.keys[ownerOf(k)] == nil {
			return account.ErrNoKey()
		}
		delete(m.keys, ownerOf(k))
		return nil
	})
}
