package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// An account counts its key items, expired ones included, in the transactions
// that add and remove them. It holds Caps.Keys at most: when they are that
// many, a new key takes the place of the one that expired first. So the limit is
// one of keys that work, and an account's partition can not grow without end.

// ListKeys reads all keys of an account, expired ones too, the oldest first. An
// account that is absent has none.
func (s *Store) ListKeys(ctx context.Context, accountID int64) ([]account.APIKey, error) {
	items, err := s.queryItems(ctx, accountPK(accountID), skKey, skKey)
	if err != nil {
		return nil, fmt.Errorf("listing API keys: %w", err)
	}
	keys := make([]account.APIKey, len(items))
	for i, it := range items {
		if keys[i], err = readAPIKey(it); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(keys, func(a, b account.APIKey) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return keys, nil
}

// CreateKey adds a key to its account, with the effects.
//
// It returns *effects.Replay when the Idempotency-Key is taken, fault.NotFound when the account is gone, fault.State when it is
// deleted or has Caps.Keys keys that have not expired, and fault.Internal
// with account.ErrIDTaken when the very key is there already.
func (s *Store) CreateKey(ctx context.Context, k account.APIKey, fx effects.Effects, now time.Time) error {
	if err := s.addKey(ctx, k, nil, fx, now); err != nil {
		return fmt.Errorf("creating an API key: %w", err)
	}
	return nil
}

// RotateKey adds a key to its account and ends another one at validUntil, or
// when that one expires by itself if that is earlier: its end only ever comes
// nearer. One that ends at once makes room for the new key where the account is
// full.
//
// Beside CreateKey's refusals it returns fault.NotFound when the old key is
// gone, and fault.State when it has expired, was rotated already, or its end was
// changed since it was read.
func (s *Store) RotateKey(ctx context.Context, old, k account.APIKey, validUntil time.Time, fx effects.Effects, now time.Time) error {
	if !old.ExpiresAt.IsZero() && old.ExpiresAt.Before(validUntil) {
		validUntil = old.ExpiresAt
	}
	if err := s.addKey(ctx, k, &ending{old, validUntil}, fx, now); err != nil {
		return fmt.Errorf("rotating an API key: %w", err)
	}
	return nil
}

// DeleteKey removes a key: it is refused from then on. It returns *effects.Replay
// when the Idempotency-Key is taken, and fault.NotFound when the key is gone.
func (s *Store) DeleteKey(ctx context.Context, k account.APIKey, fx effects.Effects, now time.Time) error {
	e := newEdit(apiKeyKey(k.PartnerID, k.AccountID, k.Hash))
	e.exists(attrPK)
	parts := []part{s.remove(partKey, e)}
	if k.AccountID != 0 {
		count := newEdit(accountKey(k.AccountID))
		count.add(attrKeys, -1)
		count.exists(attrPK)
		parts = append(parts, s.update(partAccount, count))
	}
	refused, err := s.commit(ctx, parts, fx, now)
	switch {
	case err != nil:
		return fmt.Errorf("deleting an API key: %w", err)
	case refused.has(partAccount):
		return account.ErrNotFound()
	case refused.has(partKey):
		return account.ErrNoKey()
	}
	return nil
}

// ending is a key that ends at a time.
type ending struct {
	key account.APIKey
	at  time.Time
}

// addKey adds a key and ends another one, nil if none.
func (s *Store) addKey(ctx context.Context, k account.APIKey, old *ending, fx effects.Effects, now time.Time) error {
	var spent *account.APIKey // whose place the new key takes
	for n := 0; ; n++ {
		refused, err := s.commit(ctx, s.keyParts(k, old, spent, now), fx, now)
		if err != nil || len(refused) == 0 {
			return err
		}
		full := false
		if refused.has(partAccount) {
			if full, err = refusedKey(refused[partAccount], now); err != nil {
				return err
			}
		}
		switch {
		case refused.has(partOldKey):
			return refusedEnding(refused[partOldKey], now)
		case refused.has(partKey):
			return account.ErrIDTaken
		case n+1 == attempts:
			return fault.Busy(fmt.Errorf("no API key added in %d attempts", n+1))
		}
		spent = nil
		if full {
			if spent, err = s.spentKey(ctx, k.AccountID, old, now); err != nil {
				return err
			}
		}
	}
}

// keyParts adds a key. Without a spent one the account must have room.
func (s *Store) keyParts(k account.APIKey, old *ending, spent *account.APIKey, now time.Time) []part {
	account := newEdit(accountKey(k.AccountID))
	account.lacks(attrTTL)
	parts := []part{{}, s.insert(partKey, apiKeyItem(k))}
	if spent == nil {
		if s.Caps.Keys > 0 {
			account.compares(attrKeys, "<", numberValue(int64(s.Caps.Keys)))
		}
		account.add(attrKeys, 1)
		parts[0] = s.update(partAccount, account)
	} else {
		account.exists(attrPK)
		parts[0] = s.check(partAccount, account)
	}
	if old != nil {
		e := newEdit(apiKeyKey(old.key.PartnerID, old.key.AccountID, old.key.Hash))
		e.exists(attrPK)
		if old.key.ExpiresAt.IsZero() {
			e.lacks(attrValidUntil)
		} else {
			e.compares(attrValidUntil, "=", timeValue(old.key.ExpiresAt))
			e.compares(attrValidUntil, ">", timeValue(now))
		}
		e.lacks(attrReplacedBy)
		if spent != nil && spent.Hash == old.key.Hash {
			return append(parts, s.remove(partOldKey, e))
		}
		e.set(attrValidUntil, timeValue(old.at))
		e.set(attrReplacedBy, numberValue(k.ID))
		parts = append(parts, s.update(partOldKey, e))
	}
	if spent != nil {
		e := newEdit(apiKeyKey(spent.PartnerID, spent.AccountID, spent.Hash))
		e.compares(attrValidUntil, "<=", timeValue(now))
		parts = append(parts, s.remove(partSpentKey, e))
	}
	return parts
}

// refusedKey says why an account takes no key, or that it is full.
func refusedKey(acct item, now time.Time) (full bool, err error) {
	switch {
	case len(acct) == 0 || lapsed(acct, now):
		return false, account.ErrNotFound()
	case acct[attrTTL] != nil:
		return false, account.ErrDeleted()
	}
	return true, nil
}

// refusedEnding says why a key is not rotated.
func refusedEnding(key item, now time.Time) error {
	if len(key) == 0 {
		return account.ErrNoKey()
	}
	k, err := readAPIKey(key)
	switch {
	case err != nil:
		return err
	case k.Expired(now):
		return account.ErrKeyExpired()
	case k.ReplacedBy != 0:
		return account.ErrKeyReplaced()
	}
	return account.ErrKeyChanged()
}

// spentKey is the key that expired first, or the one that ends now.
func (s *Store) spentKey(ctx context.Context, accountID int64, old *ending, now time.Time) (*account.APIKey, error) {
	keys, err := s.ListKeys(ctx, accountID)
	if err != nil {
		return nil, err
	}
	var spent *account.APIKey
	for _, k := range keys {
		if k.Expired(now) && (spent == nil || k.ExpiresAt.Before(spent.ExpiresAt)) {
			spent = &k
		}
	}
	switch {
	case spent != nil:
		return spent, nil
	case len(keys) < s.Caps.Keys:
		return nil, nil // one was deleted meanwhile
	case old != nil && !old.at.After(now):
		return &old.key, nil
	}
	return nil, account.ErrTooManyKeys(s.Caps.Keys)
}
