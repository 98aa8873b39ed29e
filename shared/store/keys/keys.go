// Package keys stores API keys and counts their use.
package keys

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/store/kit"
)

// Store reads and writes API keys, and counts their use.
type Store struct {
	table *kit.Table
	// MaxKeys is how many keys that have not expired an account may have; zero: no
	// limit.
	MaxKeys int
}

// New returns a Store over the table.
func New(t *kit.Table) *Store { return &Store{table: t} }

// An account counts its keys, expired ones included, in the transactions that add and
// remove them. When there are MaxKeys, a new key replaces the one that expired first.
// So the limit applies to keys that work, and an account's partition cannot grow
// without bounds.

// ListKeys reads all keys of an account, expired ones included, the oldest first. An
// absent account has none.
func (s *Store) ListKeys(ctx context.Context, accountID int64) ([]account.APIKey, error) {
	items, err := s.table.QueryItems(ctx, kit.AccountPK(accountID), kit.SkKey, kit.SkKey)
	if err != nil {
		return nil, fmt.Errorf("listing API keys: %w", err)
	}
	return FromItems(items)
}

// FromItems reads keys from items, the oldest first.
func FromItems(items []kit.Item) ([]account.APIKey, error) {
	keys, err := kit.FromItems(items, FromItem)
	kit.SortFunc(keys, func(a, b *account.APIKey) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return keys, err
}

// CreateKey adds a key to its account, with the effects.
//
// It returns *effects.Replay if the Idempotency-Key is taken, fault.NotFound if the
// account is gone, fault.State if it is deleted or has MaxKeys keys that have not
// expired, and fault.Internal with account.ErrIDTaken if the key is there already.
func (s *Store) CreateKey(ctx context.Context, k account.APIKey, fx effects.Effects, now time.Time) error {
	if err := s.addKey(ctx, k, nil, fx, now); err != nil {
		return fmt.Errorf("creating an API key: %w", err)
	}
	return nil
}

// RotateKey adds a key to its account and ends the old one at validUntil, unless that
// expires earlier anyway. An old key that ends at once makes room for the new one in a
// full account.
//
// Beside CreateKey's errors it returns fault.NotFound if the old key is gone, and
// fault.State if it has expired, was rotated already, or was changed since it was
// read.
func (s *Store) RotateKey(ctx context.Context, old, k account.APIKey, validUntil time.Time, fx effects.Effects, now time.Time) error {
	if !old.ExpiresAt.IsZero() && old.ExpiresAt.Before(validUntil) {
		validUntil = old.ExpiresAt
	}
	if err := s.addKey(ctx, k, &ending{old, validUntil}, fx, now); err != nil {
		return fmt.Errorf("rotating an API key: %w", err)
	}
	return nil
}

// DeleteKey removes a key, which is not valid from then on. It returns *effects.Replay
// if the Idempotency-Key is taken, and fault.NotFound if the key or its account is
// gone.
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

// ending is a key that a rotation ends at a time.
type ending struct {
	key account.APIKey
	at  time.Time
}

// addKey writes a key and ends another one, nil for none.
func (s *Store) addKey(ctx context.Context, k account.APIKey, old *ending, fx effects.Effects, now time.Time) error {
	var spent *account.APIKey // the key that the new one replaces
	for n := 0; ; n++ {
		refused, err := s.table.Commit(ctx, s.keyParts(k, old, spent, now), fx, now)
		if err != nil || len(refused) == 0 {
			return err
		}
		full := false
		if refused.Has(kit.PartAccount) {
			if full, err = accountRefused(refused[kit.PartAccount], now); err != nil {
				return err
			}
		}
		switch {
		case refused.Has(kit.PartOldKey):
			return endRefused(refused[kit.PartOldKey], now)
		case refused.Has(kit.PartKey):
			return account.ErrIDTaken
		case n+1 == kit.Attempts:
			return fault.Busy(fmt.Errorf("no API key added in %d attempts", n+1))
		}
		spent = nil
		if full {
			if spent, err = s.findSpentKey(ctx, k.AccountID, old, now); err != nil {
				return err
			}
		}
	}
}

// keyParts returns the parts that add a key. Unless it replaces a spent one, the
// account must have room.
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
		e.Remove(kit.AttrDuePK) // api_key_rotated has told its end
		e.Remove(kit.AttrDueKey)
		parts = append(parts, s.table.Update(kit.PartOldKey, e))
	}
	if spent != nil {
		e := kit.NewEdit(kit.APIKeyKey(spent.PartnerID, spent.AccountID, spent.Hash))
		e.Compares(kit.AttrValidUntil, "<=", kit.TimeValue(now))
		parts = append(parts, s.table.Remove(kit.PartSpentKey, e))
	}
	return parts
}

// accountRefused returns why a key cannot be added to an account, or that it is full.
func accountRefused(acct kit.Item, now time.Time) (full bool, err error) {
	switch {
	case kit.Gone(acct, now):
		return false, account.ErrNotFound()
	case acct[kit.AttrTTL] != nil:
		return false, account.ErrDeleted()
	}
	return true, nil
}

// endRefused returns why a key cannot be rotated.
func endRefused(key kit.Item, now time.Time) error {
	if len(key) == 0 {
		return account.ErrNoKey()
	}
	k, err := FromItem(key)
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

// findSpentKey reads the keys of a full account and returns the one to replace: the
// one that expired first, or else the old one if it ends now; nil if the account has
// room by now.
func (s *Store) findSpentKey(ctx context.Context, accountID int64, old *ending, now time.Time) (*account.APIKey, error) {
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
		return nil, nil
	case old != nil && !old.at.After(now):
		return &old.key, nil
	}
	return nil, account.ErrTooManyKeys(s.MaxKeys)
}
