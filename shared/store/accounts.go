package store

import (
	"context"
	"fmt"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
)

// Parts of transactions.
const (
	partAccount     = "account"
	partPartner     = "partner"
	partKey         = "API key"
	partExternal    = "external id"
	partEmail       = "email"
	partIdempotency = "idempotency"
	partOldExternal = "old external id"
	partOldEmail    = "old email"
	partOldKey      = "old API key"
	partSpentKey    = "expired API key"
	partConnection  = "connection"
	partSnapshot    = "snapshot"
	partNumber      = "number"
	partOldNumber   = "old number"
	partHistory     = "history"
	partDay         = "links of the day"
	partBreaker     = "breaker"
	partPurge       = "purge"
	partEnd         = "end"
	partEvent       = "event"
)

// CreateAccount writes the account with Version 1, its key, what keeps its email
// and external id unique, and the effects, in one transaction.
//
// It returns *effects.Replay when the Idempotency-Key is taken, whoever's the email
// is: a repeat finds its own account's; fault.Conflict for each of
// external_account_id and email that is taken, in this order, with
// ExistingAccountID if the holder is of the same partner; fault.Internal with
// account.ErrIDTaken for an id that is taken; and fault.State with RetryAfter when
// other requests hold on to the same items. What a purged account held is free.
func (s *Store) CreateAccount(ctx context.Context, n account.NewAccount, fx effects.Effects, now time.Time) error {
	a := n.Account
	a.Version = 1
	acct := accountItem(a)
	acct.int(attrKeys, 1)
	parts := []part{s.insert(partAccount, acct), s.insert(partKey, apiKeyItem(n.Key))}
	for _, id := range []identifier{externalOf(a), emailOf(a)} {
		if id.held() {
			parts = append(parts, s.put(id.part, holderItem(id.key, a.ID, a.PartnerID), ifFree, item{":seconds": numberValue(now.Unix())}))
		}
	}
	refused, err := s.commit(ctx, parts, fx, now)
	if err != nil {
		return fmt.Errorf("creating an account: %w", err)
	}
	if len(refused) == 0 {
		return nil
	}
	if err := taken(refused, a.PartnerID); err != nil {
		return err
	}
	return fmt.Errorf("creating an account: %w", account.ErrIDTaken) // the account's or the key's
}

// CreatePartner writes a partner, its first key and the effects in one
// transaction. An id that is taken is fault.Internal with
// account.ErrIDTaken.
func (s *Store) CreatePartner(ctx context.Context, p account.Partner, k account.APIKey, fx effects.Effects, now time.Time) error {
	refused, err := s.commit(ctx, []part{s.insert(partPartner, partnerItem(p)), s.insert(partKey, apiKeyItem(k))}, fx, now)
	if err == nil && len(refused) > 0 {
		err = account.ErrIDTaken
	}
	if err != nil {
		return fmt.Errorf("creating a partner: %w", err)
	}
	return nil
}
