package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/store/internal/problem"
)

// ErrIDTaken is in the chain of the fault.Internal that says that a new account
// or partner has another one's id: draw another id and try again.
var ErrIDTaken = errors.New("the id is taken")

// NewAccount is an account with its first key, and the answer to be repeated
// under the request's idempotency key, nil without one.
type NewAccount struct {
	Account     carrier.Account
	Key         carrier.APIKey
	Idempotency *carrier.IdempotencyRecord
}

// Parts of transactions.
const (
	partAccount     = "account"
	partPartner     = "partner"
	partKey         = "API key"
	partExternal    = "external id"
	partEmail       = "email"
	partIdempotency = "idempotency"
	partConnection  = "connection"
	partSnapshot    = "snapshot"
	partNumber      = "number"
)

// CreateAccount writes the account, its key, what keeps its email and external
// id unique, and the idempotency record, in one transaction. When the
// idempotency key is in use it writes nothing and returns the record that is
// there, whoever's the email is: a repeat finds its own account's.
//
// It returns fault.Conflict for each of external_account_id and email that is
// taken, in this order, with ExistingAccountID if the holder is of the same
// partner; fault.Internal with ErrIDTaken for an id that is taken; and
// fault.State with RetryAfter when other requests hold on to the same items.
func (s *Store) CreateAccount(ctx context.Context, n NewAccount, now time.Time) (*carrier.IdempotencyRecord, error) {
	a := n.Account
	parts := []part{s.insert(partAccount, accountItem(a)), s.insert(partKey, apiKeyItem(n.Key))}
	if a.ExternalID != "" {
		parts = append(parts, s.insert(partExternal, holderItem(externalKey(a.PartnerID, a.ExternalID), a.ID, a.PartnerID)))
	}
	if a.Email != "" {
		parts = append(parts, s.insert(partEmail, holderItem(emailKey(a.Email), a.ID, a.PartnerID)))
	}
	if n.Idempotency != nil {
		parts = append(parts, s.put(partIdempotency, idempotencyItem(*n.Idempotency), ifClaimable, claimableAt(now)))
	}
	refused, err := s.transact(ctx, parts)
	if err != nil {
		return nil, fmt.Errorf("creating an account: %w", err)
	}
	if refused.has(partIdempotency) {
		return readIdempotency(refused[partIdempotency])
	}
	var conflicts fault.List
	for _, unique := range []struct{ part, field string }{
		{partExternal, "external_account_id"}, {partEmail, "email"},
	} {
		if !refused.has(unique.part) {
			continue
		}
		r := reader{it: refused[unique.part]}
		holder, partner := r.int(attrAccountID), r.int(attrPartnerID)
		if err := r.done(unique.part); err != nil {
			return nil, err
		}
		if partner != a.PartnerID {
			holder = 0
		}
		conflicts = append(conflicts, problem.Taken(unique.field, holder))
	}
	switch {
	case len(conflicts) > 0:
		return nil, conflicts
	case len(refused) > 0: // account or key
		return nil, fmt.Errorf("creating an account: %w", ErrIDTaken)
	}
	return nil, nil // created: there is no earlier record
}

// CreatePartner writes a partner and its first key in one transaction. An id
// that is taken is fault.Internal with ErrIDTaken.
func (s *Store) CreatePartner(ctx context.Context, p carrier.Partner, k carrier.APIKey) error {
	refused, err := s.transact(ctx, []part{s.insert(partPartner, partnerItem(p)), s.insert(partKey, apiKeyItem(k))})
	if err == nil && len(refused) > 0 {
		err = ErrIDTaken
	}
	if err != nil {
		return fmt.Errorf("creating a partner: %w", err)
	}
	return nil
}
