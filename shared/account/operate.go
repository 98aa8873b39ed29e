package account

import (
	"context"
	"slices"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// PartnerChange replaces a partner and its keys as they were read by a new version.
type PartnerChange struct {
	Old, New         Partner
	OldKeys, NewKeys []APIKey
}

// PartnerPage is the largest number of partners that Partners reads.
const PartnerPage = 100

// Partners reads the partners in the order of their ids, PartnerPage at most, after an id
// (0: from the first), without those that cannot be read. The next page begins after next;
// zero: nothing follows.
func (s *Service) Partners(ctx context.Context, after int64) (partners []Partner, next int64, err error) {
	return s.Store.ListPartners(ctx, after, PartnerPage)
}

// Partner reads a partner and its keys, including expired ones, oldest first:
// fault.NotFound if there is none.
func (s *Service) Partner(ctx context.Context, partnerID int64) (Partner, []APIKey, error) {
	return s.Store.Partner(ctx, partnerID)
}

// SetPartnerDisabled disables or enables a partner. The keys of a disabled partner are
// refused from the next request on; its merchants' own keys and their scheduled checks go
// on. changed is false if the partner was in this state already. fault.NotFound.
func (s *Service) SetPartnerDisabled(ctx context.Context, partnerID int64, disabled bool, by effects.By) (p Partner, changed bool, err error) {
	event := effects.PartnerEnabled
	if disabled {
		event = effects.PartnerDisabled
	}
	err = s.changePartner(ctx, partnerID, by, func(next *PartnerChange, now time.Time) (partnerEvent, error) {
		p, changed = next.Old, next.Old.DisabledAt.IsZero() == disabled
		if !changed {
			return partnerEvent{}, nil
		}
		if next.New.DisabledAt = (time.Time{}); disabled {
			next.New.DisabledAt = now
		}
		for i := range next.NewKeys {
			next.NewKeys[i].PartnerDisabled = disabled
		}
		p = next.New
		return partnerEvent{kind: event}, nil
	})
	return p, changed, err
}

// IssuePartnerKey creates another key of a partner. The description tells the keys of a
// partner apart, so that a repeated command creates no second key.
//
// Errors: those of KeyInput.Check; fault.State if a key that has not expired has the
// description, or if the partner has MaxPartnerKeys of them; NotFound.
func (s *Service) IssuePartnerKey(ctx context.Context, partnerID int64, in KeyInput, by effects.By) (key *IssuedKey, err error) {
	err = s.changePartner(ctx, partnerID, by, func(next *PartnerChange, now time.Time) (partnerEvent, error) {
		if problem := in.Check(now); problem != nil {
			return partnerEvent{}, problem
		}
		for _, k := range next.OldKeys {
			if k.Description == in.Description && !k.Expired(now) && k.ReplacedBy == 0 {
				return partnerEvent{}, ErrDescriptionTaken(k.ID)
			}
		}
		p := next.Old
		key, err = MakeKey(s.Random, APIKey{
			PartnerID: p.ID, Environment: p.Environment, DefaultCountryCode: p.DefaultCountryCode, PartnerDisabled: !p.DisabledAt.IsZero(),
			Description: in.Description, Scopes: in.Scopes, ExpiresAt: in.ExpiresAt, CreatedAt: now,
		})
		if err != nil {
			return partnerEvent{}, err
		}
		return partnerEvent{effects.PartnerKeyCreated, key.ID, 0}, next.add(key.APIKey, now)
	})
	return key, err
}

// RotatePartnerKey is RotateKey for a partner's key; its errors are the same, and State if
// the partner has MaxPartnerKeys keys that have not expired.
func (s *Service) RotatePartnerKey(ctx context.Context, partnerID, keyID int64, grace time.Duration, by effects.By) (rotated *Rotated, err error) {
	err = s.changePartner(ctx, partnerID, by, func(next *PartnerChange, now time.Time) (partnerEvent, error) {
		old, err := keyOf(next.NewKeys, keyID)
		switch {
		case err != nil:
			return partnerEvent{}, err
		case old.Expired(now):
			return partnerEvent{}, ErrKeyExpired()
		case old.ReplacedBy != 0:
			return partnerEvent{}, ErrKeyReplaced()
		}
		if rotated, err = s.replace(old, grace, now); err != nil {
			return partnerEvent{}, err
		}
		old.ExpiresAt, old.ReplacedBy = rotated.OldExpiresAt, rotated.Key.ID
		return partnerEvent{effects.PartnerKeyRotated, rotated.Key.ID, keyID}, next.add(rotated.Key.APIKey, now)
	})
	return rotated, err
}

// DeletePartnerKey deletes a partner's key: the next request with it is refused.
// fault.NotFound if the partner has no such key.
func (s *Service) DeletePartnerKey(ctx context.Context, partnerID, keyID int64, by effects.By) error {
	return s.changePartner(ctx, partnerID, by, func(next *PartnerChange, _ time.Time) (partnerEvent, error) {
		if _, err := keyOf(next.NewKeys, keyID); err != nil {
			return partnerEvent{}, err
		}
		next.NewKeys = slices.DeleteFunc(next.NewKeys, func(k APIKey) bool { return k.ID == keyID })
		return partnerEvent{effects.PartnerKeyDeleted, keyID, 0}, nil
	})
}

// partnerChanges is how often a change is tried if other changes of the partner come first.
const partnerChanges = 4

// partnerEvent is what reports a change of a partner: see Partner.report. Without a kind
// nothing has changed.
type partnerEvent struct {
	kind              effects.EventType
	keyID, previousID int64
}

// changePartner reads a partner with its keys, lets change make the next version, and
// writes it with the event that change returns.
func (s *Service) changePartner(ctx context.Context, partnerID int64, by effects.By, change func(next *PartnerChange, now time.Time) (partnerEvent, error)) error {
	for n := 1; ; n++ {
		now := s.now()
		p, keys, err := s.Store.Partner(ctx, partnerID)
		if err != nil {
			return err
		}
		next := &PartnerChange{Old: p, New: p, OldKeys: keys, NewKeys: slices.Clone(keys)}
		next.New.Version++
		event, err := change(next, now)
		if err != nil || event.kind == "" {
			return err
		}
		fx, err := effects.Effects{By: by}.With(s.Random, now, p.report(event.kind, event.keyID, event.previousID))
		if err != nil {
			return err
		}
		if err = s.Store.ChangePartner(ctx, *next, fx, now); !fault.Is(err, fault.Precondition) || n == partnerChanges {
			return err
		}
	}
}

// add adds a key. In place of MaxPartnerKeys it takes that of the one that expired first:
// fault.State if none has expired.
func (c *PartnerChange) add(k APIKey, now time.Time) error {
	if len(c.NewKeys) >= MaxPartnerKeys {
		spent := -1
		for i, old := range c.NewKeys {
			if old.Expired(now) && (spent < 0 || old.ExpiresAt.Before(c.NewKeys[spent].ExpiresAt)) {
				spent = i
			}
		}
		if spent < 0 {
			return ErrTooManyPartnerKeys()
		}
		c.NewKeys = slices.Delete(c.NewKeys, spent, spent+1)
	}
	c.NewKeys = append(c.NewKeys, k)
	return nil
}
