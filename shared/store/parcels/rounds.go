package parcels

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/parcel"
	"carrierlink/shared/store/kit"
)

// DueRounds finds the rounds of a lane that are due, as connections.Store.Due finds checks.
func (s *Store) DueRounds(ctx context.Context, lane connection.Lane, now time.Time, limit int) (found []connection.Due, malformed int, err error) {
	found, malformed, err = s.table.FindDue(ctx, lane, kit.RoundPK, readDue, now, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("finding due rounds: %w", err)
	}
	return found, malformed, nil
}

// ClaimRound leases a round that is due, whatever version is stored, and lets it be due
// again when t says, if it is never ended. It returns fault.NotFound if there is no such
// round, and fault.State if it is not due or is leased.
func (s *Store) ClaimRound(ctx context.Context, d connection.Due, until, now time.Time, t health.Timing) (parcel.Round, error) {
	e := kit.NewEdit(kit.RoundKey(d.AccountID, d.ConnectionID))
	again := t.ClaimedUntil(1, until, now)
	e.Set(kit.AttrLease, kit.TimeValue(until))
	e.Set(attrDueAt, kit.TimeValue(again))
	e.Set(kit.AttrDueKey, kit.TextValue(kit.RefreshKey(again, d.CredentialID, d.PartnerID)))
	e.Add(kit.AttrVersion, 1)
	e.Compares(attrDueAt, "<=", kit.TimeValue(now))
	e.LacksOr(kit.AttrLease, "<=", kit.TimeValue(now))
	it, refused, err := s.table.WriteEdit(ctx, e)
	switch {
	case err != nil:
		return parcel.Round{}, fmt.Errorf("claiming a round: %w", err)
	case refused && len(it) == 0:
		return parcel.Round{}, connection.ErrNoConnection()
	case refused:
		return parcel.Round{}, connection.ErrNotDue()
	}
	return roundFromItem(it)
}

// RoundParcels reads the first parcels of a round, at most limit of each brand, the earliest
// due first. more reports whether it may have others. The index that finds them follows
// the table within a second or so.
func (s *Store) RoundParcels(ctx context.Context, r parcel.Round, limit int) (found []parcel.Parcel, more bool, err error) {
	var keys []kit.Key
	for _, brand := range brands() {
		items, further, err := s.table.QueryPage(ctx, &dynamodb.QueryInput{
			TableName: &s.table.Name, IndexName: aws.String(kit.IndexDue),
			KeyConditionExpression:    aws.String("due_pk = :pk"),
			ExpressionAttributeValues: kit.Item{":pk": kit.TextValue(kit.LooksPK(r.AccountID, r.ConnectionID, brand))},
		}, 0, limit, time.Time{})
		if err != nil {
			return nil, false, fmt.Errorf("finding the parcels of a round: %w", err)
		}
		more = more || further
		for _, it := range items {
			own := kit.Reader{It: it}
			keys = append(keys, own.Key())
		}
	}
	if len(keys) == 0 {
		return nil, more, nil
	}
	items, err := s.read(ctx, keys)
	if err != nil {
		return nil, false, fmt.Errorf("reading the parcels of a round: %w", err)
	}
	for _, k := range keys {
		if len(items[k]) == 0 {
			continue
		}
		if p, ok := readable(ctx, items[k]); ok && p.Active() && p.ConnectionID == r.ConnectionID {
			found = append(found, p)
		}
	}
	return found, more, nil
}

// RecordLooks writes parcels as looks say, with their events, in one transaction: each on the
// condition that it is the version that was read. One that is not, because it was stopped
// or looked at by another process, stays as it is, and has no event. At most 33 looks.
func (s *Store) RecordLooks(ctx context.Context, looks []parcel.Look, by effects.By, now time.Time) error {
	counted := true
	for range kit.Attempts {
		var parts []kit.Part
		ended := 0
		fx := effects.Effects{By: by}
		for i, l := range looks {
			if l.Remove {
				e := kit.NewEdit(kit.ParcelKey(l.Parcel.AccountID, l.Parcel.Carrier, l.Parcel.Number))
				e.Compares(kit.AttrVersion, "=", kit.NumberValue(l.Parcel.Version))
				parts = append(parts, s.table.Remove(part(i), e))
			} else {
				next := l.Parcel
				next.Version++
				parts = append(parts, s.table.Replace(part(i), parcelItem(&next), l.Parcel.Version))
			}
			if l.Remove || !l.Parcel.Active() {
				ended++
			}
			if l.Event != nil {
				fx.Events = append(fx.Events, *l.Event)
			}
		}
		if len(parts) == 0 {
			return nil
		}
		if ended > 0 && counted {
			parts = append(parts, s.fewer(looks[0].Parcel.AccountID, ended))
		}
		refused, err := s.table.Commit(ctx, parts, fx, now)
		switch {
		case err != nil:
			return fmt.Errorf("recording looks at parcels: %w", err)
		case len(refused) == 0:
			return nil
		}
		if refused.Has(kit.PartParcels) {
			counted = false // the count is gone, with the account
		}
		left := make([]parcel.Look, 0, len(looks))
		for i, l := range looks {
			if !refused.Has(part(i)) {
				left = append(left, l)
			}
		}
		if len(left) < len(looks) {
			counted = true
		}
		looks = slices.Clip(left)
	}
	return fault.Busy(fmt.Errorf("looks not recorded in %d attempts", kit.Attempts))
}

// EndRound writes a claimed round as done says, without its lease, with the effects; done gets it as it is
// stored now, with parcels that were registered meanwhile. A round that done does not keep
// is removed. It returns fault.State if another process has claimed it since.
func (s *Store) EndRound(ctx context.Context, claimed parcel.Round, fx effects.Effects, now time.Time, done func(parcel.Round) (next parcel.Round, keep bool)) error {
	stored := claimed
	for range kit.Attempts {
		next, keep := done(stored)
		e := kit.NewEdit(kit.RoundKey(stored.AccountID, stored.ConnectionID))
		e.Compares(kit.AttrVersion, "=", kit.NumberValue(stored.Version))
		p := s.table.Remove(kit.PartRound, e)
		if keep {
			next.LeaseUntil, next.Version = time.Time{}, stored.Version+1
			p = s.table.Replace(kit.PartRound, roundItem(&next), stored.Version)
		}
		refused, err := s.table.Commit(ctx, []kit.Part{p}, fx, now)
		if err != nil {
			return fmt.Errorf("ending a round: %w", err)
		}
		if len(refused) == 0 {
			return nil
		}
		if stored, err = roundFromItem(refused[kit.PartRound]); err != nil {
			return err
		}
		if !stored.LeaseUntil.Equal(claimed.LeaseUntil) {
			break
		}
	}
	return fault.Busy(nil)
}
