package accounts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/metrics"
	"carrierlink/shared/store/keys"
	"carrierlink/shared/store/kit"
)

// CreatePartner writes a partner, its first key, the item by which the list finds it, and
// the effects in one transaction. It returns fault.Internal with account.ErrIDTaken if the
// id is taken.
func (s *Store) CreatePartner(ctx context.Context, p account.Partner, k account.APIKey, fx effects.Effects, now time.Time) error {
	refused, err := s.table.Commit(ctx, []kit.Part{
		s.table.Insert(kit.PartPartner, partnerItem(p)), s.table.Insert(kit.PartKey, keys.Item(k)),
		s.table.Insert(kit.PartPartners, kit.PartnersKey(p.ID).Item()),
	}, fx, now)
	if err == nil && len(refused) > 0 {
		err = account.ErrIDTaken
	}
	if err != nil {
		return fmt.Errorf("creating a partner: %w", err)
	}
	return nil
}

// Partner reads a partner and its keys, expired ones included, the oldest first, in one
// call. It returns fault.NotFound if there is no such partner.
func (s *Store) Partner(ctx context.Context, partnerID int64) (p account.Partner, all []account.APIKey, err error) {
	own := kit.PartnerKey(partnerID)
	items, err := s.table.QueryItems(ctx, own.PK, kit.SkKey, own.SK)
	if err != nil {
		return p, nil, fmt.Errorf("reading a partner: %w", err)
	}
	// The partner's own sort key follows those of its keys.
	last := kit.Item{}
	if n := len(items) - 1; n >= 0 {
		last, items = items[n], items[:n]
	}
	if r := (kit.Reader{It: last}); r.Key() != own {
		return p, nil, account.ErrNoPartner()
	}
	if p, err = PartnerFromItem(last); err != nil {
		return p, nil, err
	}
	all, err = keys.FromItems(items)
	return p, all, err
}

// ListPartners reads at most limit (1 to 100) partners in the order of their ids, after an
// id (0: from the first). next is the id after which the next page begins, zero if nothing
// follows. A partner that cannot be read is counted, logged and left out.
func (s *Store) ListPartners(ctx context.Context, after int64, limit int) (partners []account.Partner, next int64, err error) {
	from, to := kit.PartnersKey(after+1), kit.PartnersKey(maxID)
	items, more, err := s.table.QueryPage(ctx, s.table.Range(from.PK, from.SK, to.SK), 0, limit, time.Time{})
	if err != nil {
		return nil, 0, fmt.Errorf("listing partners: %w", err)
	}
	var own []kit.Key
	for _, it := range items {
		id, err := kit.ListedPartner(it)
		if err != nil {
			reportUnreadable(ctx, it, err)
			continue
		}
		own, next = append(own, kit.PartnerKey(id)), id
	}
	switch {
	case len(own) > 0:
	case more:
		return nil, 0, errors.New("a whole page of the list of partners cannot be read")
	default:
		return nil, 0, nil
	}
	if !more {
		next = 0
	}
	found, err := s.table.BatchGet(ctx, own)
	if err != nil {
		return nil, 0, fmt.Errorf("reading partners: %w", err)
	}
	for _, k := range own {
		p, err := PartnerFromItem(found[k])
		if err == nil && kit.PartnerKey(p.ID) != k {
			err = errors.New("the list has a partner that is not there")
		}
		if err != nil {
			reportUnreadable(ctx, k.Item(), err)
			continue
		}
		partners = append(partners, p)
	}
	return partners, next, nil
}

// reportUnreadable records that a list leaves out a partner.
func reportUnreadable(ctx context.Context, it kit.Item, err error) {
	r := kit.Reader{It: it}
	metrics.Add(ctx, metrics.Malformed, "", 1)
	slog.ErrorContext(ctx, "a partner cannot be read", slog.String("pk", r.Key().PK), slog.String("sk", r.Key().SK), slog.String("error", err.Error()))
}

// ChangePartner writes what differs between a partner with its keys as they were read and
// their next version, with the effects. Every change of a partner's key goes through it,
// so that the partner's version stands for the keys too.
//
// It returns fault.Precondition if another change came first, fault.NotFound if the partner
// is gone, and fault.Internal with account.ErrIDTaken if a new key is there already.
func (s *Store) ChangePartner(ctx context.Context, c account.PartnerChange, fx effects.Effects, now time.Time) error {
	refused, err := s.table.Commit(ctx, s.partnerParts(c), fx, now)
	switch {
	case err != nil:
		return fmt.Errorf("changing a partner: %w", err)
	case refused.Has(kit.PartPartner) && len(refused[kit.PartPartner]) == 0:
		return account.ErrNoPartner()
	case refused.Has(kit.PartPartner):
		return account.ErrPartnerChanged()
	case refused.Has(kit.PartKey):
		return fmt.Errorf("changing a partner: %w", account.ErrIDTaken)
	case len(refused) > 0:
		return fault.Busy(nil) // a key was removed by hand
	}
	return nil
}

func (s *Store) partnerParts(c account.PartnerChange) []kit.Part {
	e := kit.NewEdit(kit.PartnerKey(c.Old.ID))
	e.Exists(kit.AttrPK)
	if c.Old.Version == 0 {
		e.Lacks(kit.AttrVersion)
	} else {
		e.Compares(kit.AttrVersion, "=", kit.NumberValue(c.Old.Version))
	}
	e.Change(partnerItem(c.Old), partnerItem(c.New))
	parts := []kit.Part{s.table.Update(kit.PartPartner, e)}
	left := slices.Clone(c.OldKeys)
	for _, k := range c.NewKeys {
		i := slices.IndexFunc(left, func(old account.APIKey) bool { return old.Hash == k.Hash })
		if i < 0 {
			parts = append(parts, s.table.Insert(kit.PartKey, keys.Item(k)))
			continue
		}
		e := kit.NewEdit(kit.APIKeyKey(k.PartnerID, 0, k.Hash))
		e.Exists(kit.AttrPK)
		if e.Change(keys.Item(left[i]), keys.Item(k)); e.Changes() {
			parts = append(parts, s.table.Update(kit.PartOldKey, e))
		}
		left = slices.Delete(left, i, i+1)
	}
	for _, k := range left {
		parts = append(parts, s.table.Remove(kit.PartSpentKey, kit.NewEdit(kit.APIKeyKey(k.PartnerID, 0, k.Hash))))
	}
	return parts
}
