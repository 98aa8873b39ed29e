package keys

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/store/kit"
)

// Store keeps API keys and counts their use.
type Store struct {
	table *kit.Table
	// MaxKeys is how many keys that have not expired an account may have; no limit
	// if it is zero.
	MaxKeys int
}

// New makes one.
func New(t *kit.Table) *Store { return &Store{table: t} }

// An account counts its key items, expired ones included, in the transactions
// that add and remove them. It holds Caps.Keys at most: when they are that
// many, a new key takes the place of the one that expired first. So the limit is
// one of keys that work, and an account's partition can not grow without end.

// ListKeys reads all keys of an account, expired ones too, the oldest first. An
// account that is absent has none.
func (s *Store) ListKeys(ctx context.Context, accountID int64) ([]account.APIKey, error) {
	items, err := s.table.QueryItems(ctx, kit.AccountPK(accountID), kit.SkKey, kit.SkKey)
	if err != nil {
		return nil, fmt.Errorf("listing API keys: %w", err)
	}
	keys := make([]account.APIKey, len(items))
	for i, it := range items {
		if keys[i], err = Read(it); err != nil {
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
	e := kit.NewEdit(kit.APIKeyKey(k.PartnerID, k.AccountID, k.Hash))
	e.Exists(kit.AttrPK)
	parts := []kit.Part{s.table.Remove(kit.PartKey, e)}
	if k.AccountID != 0 {
		count := kit.NewEdit(kit.AccountKey(k.AccountID))
		count.Add(kit.AttrKeys, -1)
		count.Exists(kit.AttrPK)
		parts = append(parts, s.table.Update(kit.PartAccount, count))
	}
	refused, err := s.table.Commit(ctx, parts, fx, now)
	switch {
	case err != nil:
		return fmt.Errorf("deleting an API key: %w", err)
	case refused.Has(kit.PartAccount):
		return account.ErrNotFound()
	case refused.Has(kit.PartKey):
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
		refused, err := s.table.Commit(ctx, s.keyParts(k, old, spent, now), fx, now)
		if err != nil || len(refused) == 0 {
			return err
		}
		full := false
		if refused.Has(kit.PartAccount) {
			if full, err = refusedKey(refused[kit.PartAccount], now); err != nil {
				return err
			}
		}
		switch {
		case refused.Has(kit.PartOldKey):
			return refusedEnding(refused[kit.PartOldKey], now)
		case refused.Has(kit.PartKey):
			return account.ErrIDTaken
		case n+1 == kit.Attempts:
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
func (s *Store) keyParts(k account.APIKey, old *ending, spent *account.APIKey, now time.Time) []kit.Part {
	account := kit.NewEdit(kit.AccountKey(k.AccountID))
	account.Lacks(kit.AttrTTL)
	parts := []kit.Part{{}, s.table.Insert(kit.PartKey, Item(k))}
	if spent == nil {
		if s.MaxKeys > 0 {
			account.Compares(kit.AttrKeys, "<", kit.NumberValue(int64(s.MaxKeys)))
		}
		account.Add(kit.AttrKeys, 1)
		parts[0] = s.table.Update(kit.PartAccount, account)
	} else {
		account.Exists(kit.AttrPK)
		parts[0] = s.table.Check(kit.PartAccount, account)
	}
	if old != nil {
		e := kit.NewEdit(kit.APIKeyKey(old.key.PartnerID, old.key.AccountID, old.key.Hash))
		e.Exists(kit.AttrPK)
		if old.key.ExpiresAt.IsZero() {
			e.Lacks(kit.AttrValidUntil)
		} else {
			e.Compares(kit.AttrValidUntil, "=", kit.TimeValue(old.key.ExpiresAt))
			e.Compares(kit.AttrValidUntil, ">", kit.TimeValue(now))
		}
		e.Lacks(kit.AttrReplacedBy)
		if spent != nil && spent.Hash == old.key.Hash {
			return append(parts, s.table.Remove(kit.PartOldKey, e))
		}
		e.Set(kit.AttrValidUntil, kit.TimeValue(old.at))
		e.Set(kit.AttrReplacedBy, kit.NumberValue(k.ID))
		parts = append(parts, s.table.Update(kit.PartOldKey, e))
	}
	if spent != nil {
		e := kit.NewEdit(kit.APIKeyKey(spent.PartnerID, spent.AccountID, spent.Hash))
		e.Compares(kit.AttrValidUntil, "<=", kit.TimeValue(now))
		parts = append(parts, s.table.Remove(kit.PartSpentKey, e))
	}
	return parts
}

// refusedKey says why an account takes no key, or that it is full.
func refusedKey(acct kit.Item, now time.Time) (full bool, err error) {
	switch {
	case len(acct) == 0 || kit.Lapsed(acct, now):
		return false, account.ErrNotFound()
	case acct[kit.AttrTTL] != nil:
		return false, account.ErrDeleted()
	}
	return true, nil
}

// refusedEnding says why a key is not rotated.
func refusedEnding(key kit.Item, now time.Time) error {
	if len(key) == 0 {
		return account.ErrNoKey()
	}
	k, err := Read(key)
	switch {
	case err != nil:
		return err
	case k.Expired(now):
		return account.ErrKeyExpired()
	case k.ReplacedBy != 0:
		return account.ErrKeyReplaced()
	}
	return fault.Busy(nil)
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
	case len(keys) < s.MaxKeys:
		return nil, nil // one was deleted meanwhile
	case old != nil && !old.at.After(now):
		return &old.key, nil
	}
	return nil, account.ErrTooManyKeys(s.MaxKeys)
}
