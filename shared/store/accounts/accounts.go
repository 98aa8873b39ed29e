// Package accounts stores accounts, partners, and the items that keep emails and
// external ids unique.
package accounts

import (
	"context"
	"fmt"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/store/keys"
	"carrierlink/shared/store/kit"
)

// Store reads and writes accounts and partners.
type Store struct{ table *kit.Table }

// New returns a Store over the table.
func New(t *kit.Table) *Store { return &Store{t} }

// CreateAccount writes the account with Version 1, its key, the items that keep its
// email and external id unique, and the effects, in one transaction.
//
// It returns *effects.Replay if the Idempotency-Key is taken, before any other error:
// a repeated request finds its own email taken. It returns fault.Conflict for each of
// external_account_id and email that is taken, in this order, with ExistingAccountID
// if the holder has the same partner; fault.Internal with account.ErrIDTaken if the id
// is taken; and fault.State with RetryAfter if other requests keep writing the same
// items. What a purged account held is free.
func (s *Store) CreateAccount(ctx context.Context, n account.NewAccount, fx effects.Effects, now time.Time) error {
	a := n.Account
	a.Version = 1
	acct := Item(a)
	acct.Int(kit.AttrKeys, 1)
	parts := []kit.Part{s.table.Insert(kit.PartAccount, acct), s.table.Insert(kit.PartKey, keys.Item(n.Key))}
	for _, id := range []identifier{externalOf(a), emailOf(a)} {
		if id.held() {
			parts = append(parts, s.table.Put(id.part, holderItem(id.key, a.ID, a.PartnerID), ifFree, kit.Item{":seconds": kit.NumberValue(now.Unix())}))
		}
	}
	refused, err := s.table.Commit(ctx, parts, fx, now)
	if err != nil {
		return fmt.Errorf("creating an account: %w", err)
	}
	if len(refused) == 0 {
		return nil
	}
	if err := Taken(refused, a.PartnerID); err != nil {
		return err
	}
	return fmt.Errorf("creating an account: %w", account.ErrIDTaken) // the account's or the key's
}

// Account reads an account. It returns fault.NotFound for an account that is absent
// or whose purge is due; a zero now ignores the purge.
func (s *Store) Account(ctx context.Context, accountID int64, now time.Time) (account.Account, error) {
	it, err := s.table.Get(ctx, kit.AccountKey(accountID))
	if err != nil {
		return account.Account{}, fmt.Errorf("reading an account: %w", err)
	}
	return present(it, now)
}
