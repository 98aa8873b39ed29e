// Package parcels stores the parcels that callers have registered, and the rounds in which
// they are looked at.
package parcels

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/metrics"
	"carrierlink/shared/parcel"
	"carrierlink/shared/store/kit"
)

// Store reads and writes parcels.
type Store struct{ table *kit.Table }

// New returns a Store over the table.
func New(t *kit.Table) *Store { return &Store{t} }

const (
	// together is how many parcels a transaction registers, beside their round, the
	// account's number of parcels and that of the day.
	together = kit.MaxParts - 3
	// batch is how many items DynamoDB reads in one call.
	batch = 100
	// maxExamined is how many parcels are read for one page at most, so that a filter that
	// few of them pass costs no more.
	maxExamined = 2000
	dayKept     = 48 * time.Hour
)

// RegisterParcels registers parcels of one connection, each unless it is registered already,
// with its round, which is due when r is, or earlier, and which comes back if it was lost. With move, a registered parcel of
// another connection moves to this one. refused has, by number, why a parcel was not
// registered: parcel.ErrTooManyParcels or ErrTooManyToday, or fault.Internal if what is stored
// cannot be read. limit is for both.
//
// It returns fault.State if other requests keep registering the same parcels: then some may
// be registered, and a repeat registers the rest.
func (s *Store) RegisterParcels(ctx context.Context, parcels []parcel.Parcel, r parcel.Round, move bool, limit int, now time.Time) (refused map[string]error, err error) {
	g := registration{store: s, round: r, move: move, limit: limit, now: now, refused: map[string]error{}, by: map[string]bool{}}
	keys := []kit.Key{kit.RoundKey(r.AccountID, r.ConnectionID)}
	for _, p := range parcels {
		keys = append(keys, kit.ParcelKey(p.AccountID, p.Carrier, p.Number))
	}
	if g.known, err = s.read(ctx, keys); err != nil {
		return nil, fmt.Errorf("reading parcels: %w", err)
	}
	for some := range slices.Chunk(parcels, together) {
		if err := g.write(ctx, some); err != nil {
			return nil, fmt.Errorf("registering parcels: %w", err)
		}
	}
	if err := g.putRounds(ctx); err != nil {
		return nil, fmt.Errorf("putting the rounds of registered parcels: %w", err)
	}
	return g.refused, nil
}

// read reads items by their keys.
func (s *Store) read(ctx context.Context, keys []kit.Key) (map[kit.Key]kit.Item, error) {
	all := make(map[kit.Key]kit.Item, len(keys))
	for some := range slices.Chunk(keys, batch) {
		found, err := s.table.BatchGet(ctx, some)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, found)
	}
	return all, nil
}

// registration is one RegisterParcels.
type registration struct {
	store   *Store
	round   parcel.Round
	move    bool
	limit   int
	now     time.Time
	known   map[kit.Key]kit.Item // as last read, the round's too
	refused map[string]error     // by number
	by      map[string]bool      // the connections of parcels that were registered already
}

// write registers parcels in one transaction, and again without those that are refused.
func (g *registration) write(ctx context.Context, parcels []parcel.Parcel) error {
	roundKey := kit.RoundKey(g.round.AccountID, g.round.ConnectionID)
	for range kit.Attempts {
		parts, added := g.parts(ctx, parcels)
		if len(parts) == 0 {
			return nil
		}
		round, roundPart, err := g.roundPart(g.known[roundKey])
		if err != nil {
			return err
		}
		refused, err := g.store.table.Transact(ctx, append(append(parts, roundPart), g.counts(added)...))
		if err != nil {
			return err
		}
		if len(refused) == 0 {
			g.known[roundKey] = roundItem(&round)
			return nil
		}
		if it, is := refused[kit.PartRound]; is {
			g.known[roundKey] = it
		}
		for i, p := range parcels {
			if it, is := refused[part(i)]; is {
				g.known[kit.ParcelKey(p.AccountID, p.Carrier, p.Number)] = it
			}
		}
		g.limitTo(parcels, refused)
	}
	return fault.Busy(fmt.Errorf("parcels not registered in %d attempts", kit.Attempts))
}

// readable reads a parcel. One that cannot be read is counted, logged and left out: it must
// not hide the others.
func readable(ctx context.Context, it kit.Item) (p parcel.Parcel, ok bool) {
	p, err := parcelFromItem(it)
	if err != nil {
		metrics.Add(ctx, metrics.Malformed, "", 1)
		slog.ErrorContext(ctx, "a parcel cannot be read", slog.String("error", err.Error()))
	}
	return p, err == nil
}

// errUnreadable is why a parcel is not registered in place of one that cannot be read.
var errUnreadable = errors.New("the stored parcel cannot be read")

func part(i int) string { return kit.PartParcel + " " + strconv.Itoa(i) }

// parts returns the parts that register parcels, and how many of them are new. A stored parcel
// that cannot be read is refused, beside the others.
func (g *registration) parts(ctx context.Context, parcels []parcel.Parcel) (parts []kit.Part, added int) {
	for i, p := range parcels {
		if g.refused[p.Number] != nil {
			continue
		}
		it := g.known[kit.ParcelKey(p.AccountID, p.Carrier, p.Number)]
		var stored parcel.Parcel
		if len(it) > 0 {
			var ok bool
			if stored, ok = readable(ctx, it); !ok {
				g.refused[p.Number] = errUnreadable
				continue
			}
		}
		registered := !kit.Gone(it, g.now) && stored.Active()
		if registered && (!g.move || stored.ConnectionID == p.ConnectionID) {
			g.by[stored.ConnectionID] = true
			continue
		}
		if registered {
			next := stored
			next.ConnectionID, next.Brand, next.NextLookAt = p.ConnectionID, p.Brand, p.NextLookAt
			next.Version++
			p = next
		} else if added == g.limit {
			g.refused[p.Number] = parcel.ErrTooManyParcels(g.limit)
			continue
		} else {
			added++
		}
		if len(it) == 0 {
			parts = append(parts, g.store.table.Insert(part(i), parcelItem(&p)))
		} else {
			parts = append(parts, g.store.table.Replace(part(i), parcelItem(&p), stored.Version))
		}
	}
	return parts, added
}

// roundPart returns the round as it will be, and the part that makes it due. it is the
// stored one.
func (g *registration) roundPart(it kit.Item) (parcel.Round, kit.Part, error) {
	next := g.round
	if len(it) == 0 {
		next.Version = g.now.UnixMilli() // see parcel.Service.Start
		return next, g.store.table.Insert(kit.PartRound, roundItem(&next)), nil
	}
	stored, err := roundFromItem(it)
	if err != nil {
		return next, kit.Part{}, err
	}
	if stored.Failures > 0 || stored.DueAt.Before(next.DueAt) { // a registration ends no back-off
		next.DueAt = stored.DueAt
	}
	next.LeaseUntil, next.Failures, next.Reads, next.Version = stored.LeaseUntil, stored.Failures, stored.Reads, stored.Version+1
	return next, g.store.table.Replace(kit.PartRound, roundItem(&next), stored.Version), nil
}

// putRounds puts the rounds of parcels that were registered already, if they are absent: so a
// repeat heals what lost its round.
func (g *registration) putRounds(ctx context.Context) error {
	var keys []kit.Key
	for id := range g.by {
		if k := kit.RoundKey(g.round.AccountID, id); len(g.known[k]) == 0 {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	found, err := g.store.read(ctx, keys)
	if err != nil {
		return err
	}
	for id := range g.by {
		k := kit.RoundKey(g.round.AccountID, id)
		if len(g.known[k]) > 0 || len(found[k]) > 0 {
			continue
		}
		lost := g.round
		lost.ConnectionID, lost.Version = id, g.now.UnixMilli()
		if _, err := g.store.table.Transact(ctx, []kit.Part{g.store.table.Insert(kit.PartRound, roundItem(&lost))}); err != nil {
			return err
		}
	}
	return nil
}

// counts returns the parts that count new parcels: those of the account, and those of the
// day.
func (g *registration) counts(added int) []kit.Part {
	if added == 0 {
		return nil
	}
	count := func(k kit.Key) *kit.Edit {
		e := kit.NewEdit(k)
		e.Add(attrParcels, int64(added))
		e.LacksOr(attrParcels, "<=", kit.NumberValue(int64(g.limit-added)))
		return e
	}
	all, day := count(kit.ParcelCountKey(g.round.AccountID)), count(kit.ParcelDayKey(g.round.AccountID, g.now))
	day.End(g.now.Add(dayKept))
	return []kit.Part{g.store.table.Update(kit.PartParcels, all), g.store.table.Update(kit.PartParcelDay, day)}
}

// limitTo refuses the parcels for which a count has no room.
func (g *registration) limitTo(parcels []parcel.Parcel, refused kit.Refusals) {
	for _, limited := range []struct {
		part   string
		reason func(limit int) *fault.Error
	}{{kit.PartParcels, parcel.ErrTooManyParcels}, {kit.PartParcelDay, parcel.ErrTooManyToday}} {
		it, is := refused[limited.part]
		if !is {
			continue
		}
		count := kit.Reader{It: it}
		room := max(g.limit-int(count.Int(attrParcels)), 0)
		for _, p := range parcels {
			switch known := g.known[kit.ParcelKey(p.AccountID, p.Carrier, p.Number)]; {
			case g.refused[p.Number] != nil, known[kit.AttrDuePK] != nil && !kit.Gone(known, g.now): // neither is new
			case room > 0:
				room--
			default:
				g.refused[p.Number] = limited.reason(g.limit)
			}
		}
	}
}

// StopParcel removes a parcel that is looked at; of any other there is nothing to stop.
func (s *Store) StopParcel(ctx context.Context, accountID int64, name carrier.Name, number string) error {
	e := kit.NewEdit(kit.ParcelKey(accountID, name, number))
	e.Exists(kit.AttrDuePK)
	parts := []kit.Part{s.table.Remove(kit.PartParcel, e), s.fewer(accountID, 1)}
	for {
		refused, err := s.table.Transact(ctx, parts)
		switch {
		case err != nil:
			return fmt.Errorf("stopping a parcel: %w", err)
		case len(refused) == 0 || refused.Has(kit.PartParcel):
			return nil
		}
		parts = parts[:1] // the count is gone, with the account
	}
}

// fewer returns the part that counts n parcels of an account less.
func (s *Store) fewer(accountID int64, n int) kit.Part {
	e := kit.NewEdit(kit.ParcelCountKey(accountID))
	e.Add(attrParcels, int64(-n))
	e.Compares(attrParcels, ">=", kit.NumberValue(int64(n)))
	return s.table.Update(kit.PartParcels, e)
}

// ListParcels reads a page of an account's parcels, by carrier and number: at most l.Limit
// that pass the filters, among the next maxExamined. next is what the next page begins
// after, empty if nothing follows; a page with a next one may be short, or empty.
func (s *Store) ListParcels(ctx context.Context, l parcel.Listing, now time.Time) (found []parcel.Parcel, next string, err error) {
	in := s.table.Range(kit.ParcelsPK(l.AccountID), kit.SkParcel+l.After, kit.SkParcel+"~")
	in.Limit = kit.QueryLimit(l.Limit + 2) // the range includes l.After, and one tells whether there is more
	for examined := 0; ; {
		out, err := s.table.API.Query(ctx, in)
		if err != nil {
			return nil, "", fmt.Errorf("listing parcels: %w", err)
		}
		for _, it := range out.Items {
			own := kit.Reader{It: it}
			at := strings.TrimPrefix(own.Key().SK, kit.SkParcel)
			if at == l.After {
				continue
			}
			if len(found) == l.Limit || examined == maxExamined {
				return found, next, nil
			}
			examined, next = examined+1, at
			if p, ok := readable(ctx, it); ok && !kit.Gone(it, now) && l.Matches(&p) {
				found = append(found, p)
			}
		}
		if len(out.LastEvaluatedKey) == 0 {
			return found, "", nil
		}
		in.ExclusiveStartKey, in.Limit = out.LastEvaluatedKey, aws.Int32(batch)
	}
}
