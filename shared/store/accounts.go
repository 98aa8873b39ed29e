package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
)

// ErrIDTaken is in the chain of the fault.Internal that says that a new account
// or partner has another one's id: draw another id and try again.
var ErrIDTaken = errors.New("the id is taken")

// NewAccount is an account with its first key, and the answer to be repeated
// under the request's idempotency key, nil without one.
type NewAccount struct {
	Account     account.Account
	Key         account.APIKey
	Idempotency *effects.Record
}

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
)

// CreateAccount writes the account with Version 1, its key, what keeps its email
// and external id unique, and the idempotency record, in one transaction. When
// the idempotency key is in use it writes nothing and returns the record that is
// there, whoever's the email is: a repeat finds its own account's.
//
// It returns fault.Conflict for each of external_account_id and email that is
// taken, in this order, with ExistingAccountID if the holder is of the same
// partner; fault.Internal with ErrIDTaken for an id that is taken; and
// fault.State with RetryAfter when other requests hold on to the same items.
// What a purged account held is free.
func (s *Store) CreateAccount(ctx context.Context, n NewAccount, now time.Time) (*effects.Record, error) {
	a := n.Account
	a.Version = 1
	account := accountItem(a)
	account.int(attrKeys, 1)
	parts := []part{s.insert(partAccount, account), s.insert(partKey, apiKeyItem(n.Key))}
	for _, id := range []identifier{externalOf(a), emailOf(a)} {
		if id.held() {
			parts = append(parts, s.put(id.part, holderItem(id.key, a.ID, a.PartnerID), ifFree, item{":seconds": numberValue(now.Unix())}))
		}
	}
	existing, refused, err := s.transactOnce(ctx, parts, n.Idempotency, now)
	if err != nil {
		return nil, fmt.Errorf("creating an account: %w", err)
	}
	if existing != nil || len(refused) == 0 {
		return existing, nil
	}
	if err := taken(refused, a.PartnerID); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("creating an account: %w", ErrIDTaken) // the account's or the key's
}

// transactOnce is transact with the answer to be kept under an idempotency key,
// nil without one. When the key is in use nothing is written: that comes before
// any refusal, because a repeat finds what the first request has done.
func (s *Store) transactOnce(ctx context.Context, parts []part, rec *effects.Record, now time.Time) (*effects.Record, refusals, error) {
	if rec != nil {
		parts = append(parts, s.put(partIdempotency, idempotencyItem(*rec), ifClaimable, claimableAt(now)))
	}
	refused, err := s.transact(ctx, parts)
	if err != nil || !refused.has(partIdempotency) {
		return nil, refused, err
	}
	existing, err := readIdempotency(refused[partIdempotency])
	return existing, nil, err
}

// CreatePartner writes a partner and its first key in one transaction. An id
// that is taken is fault.Internal with ErrIDTaken.
func (s *Store) CreatePartner(ctx context.Context, p account.Partner, k account.APIKey) error {
	refused, err := s.transact(ctx, []part{s.insert(partPartner, partnerItem(p)), s.insert(partKey, apiKeyItem(k))})
	if err == nil && len(refused) > 0 {
		err = ErrIDTaken
	}
	if err != nil {
		return fmt.Errorf("creating a partner: %w", err)
	}
	return nil
}
