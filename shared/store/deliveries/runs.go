package deliveries

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"carrierlink/shared/fault"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/webhook"
)

// MarkDue writes that webhooks have something to deliver. Where a run has the lease, or the
// webhook pauses after failures, it is counted, and looked at when that is over; any other
// is due now.
func (s *Store) MarkDue(ctx context.Context, refs []webhook.Ref, now time.Time) error {
	err := kit.Concurrently(len(refs), func(i int) error {
		e := wake(refs[i], now)
		schedule(e, refs[i], now)
		free(e, now)
		_, refused, err := s.table.WriteEdit(ctx, e)
		if err == nil && refused {
			_, _, err = s.table.WriteEdit(ctx, wake(refs[i], now))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("marking webhooks as due: %w", err)
	}
	return nil
}

// wake counts a wake.
func wake(ref webhook.Ref, now time.Time) *kit.Edit {
	e := kit.NewEdit(kit.RunsKey(ref))
	e.Add(kit.AttrWakes, 1)
	e.End(now.Add(runsKept))
	return e
}

// schedule puts a webhook into by_due.
func schedule(e *kit.Edit, ref webhook.Ref, at time.Time) {
	e.Set(kit.AttrDuePK, kit.TextValue(kit.DeliverPK(ref)))
	e.Set(kit.AttrDueKey, kit.TextValue(kit.RepairKey(at)))
}

// free adds the condition that no run has the lease, and that no pause lasts.
func free(e *kit.Edit, now time.Time) { e.LacksOr(kit.AttrLease, "<=", kit.TimeValue(now)) }

// ClaimRun leases a webhook until a time. It returns fault.State while another run has it,
// or while it pauses.
func (s *Store) ClaimRun(ctx context.Context, ref webhook.Ref, until, now time.Time) (webhook.Run, error) {
	e := kit.NewEdit(kit.RunsKey(ref))
	e.Set(kit.AttrLease, kit.TimeValue(until))
	schedule(e, ref, until)
	free(e, now)
	e.End(now.Add(runsKept))
	it, refused, err := s.table.WriteEdit(ctx, e)
	switch {
	case err != nil:
		return webhook.Run{}, fmt.Errorf("claiming a webhook: %w", err)
	case refused:
		return webhook.Run{}, fault.Busy(errors.New("the webhook is leased"))
	}
	run, err := runFromItem(ref, it)
	if err != nil {
		unreadable(ctx, ref, err)
	}
	return run, nil
}

// EndRun gives a lease back, and writes the run's Health. If the end is to wait for that and
// the webhook was marked as due since run.Wakes, it sets Wakes, returns true and writes
// nothing. It returns fault.State if another run has taken the lease over.
func (s *Store) EndRun(ctx context.Context, run *webhook.Run, end webhook.End, now time.Time) (woken bool, err error) {
	e := kit.NewEdit(kit.RunsKey(run.Ref))
	e.Compares(kit.AttrLease, "=", kit.TimeValue(run.LeaseUntil))
	if end.UnlessWoken {
		if run.Wakes == 0 {
			e.Lacks(kit.AttrWakes)
		} else {
			e.Compares(kit.AttrWakes, "=", kit.NumberValue(run.Wakes))
		}
	}
	next := kit.Item{}
	health(kit.Store(next), &run.Health)
	next.Time(kit.AttrLease, end.PauseUntil)
	for _, attr := range append(healthAttributes(), kit.AttrLease) {
		if next[attr] == nil {
			e.Remove(attr)
		} else {
			e.Set(attr, next[attr])
		}
	}
	if end.DueAt.IsZero() {
		e.Remove(kit.AttrDuePK)
		e.Remove(kit.AttrDueKey)
	} else {
		schedule(e, run.Ref, end.DueAt)
	}
	e.End(now.Add(runsKept))
	it, refused, err := s.table.WriteEdit(ctx, e)
	r := kit.Reader{It: it}
	switch {
	case err != nil:
		return false, fmt.Errorf("ending the run of a webhook: %w", err)
	case !refused:
		return false, nil
	case !r.Time(kit.AttrLease).Equal(run.LeaseUntil):
		return false, fault.Busy(errors.New("another run has the lease"))
	}
	run.Wakes = r.Int(kit.AttrWakes)
	return true, nil
}

// healthAttributes returns the attributes of a Health, sorted.
func healthAttributes() []string {
	at, it := time.UnixMilli(1), kit.Item{}
	health(kit.Store(it), &webhook.Health{FailingSince: at, FailedAt: at, RecoveredAt: at, Failures: 1, IdleRuns: 1, AnnouncedAt: at})
	return slices.Sorted(maps.Keys(it))
}

// DueWebhooks finds the webhooks whose deliveries are due, the longest overdue first, at
// most limit (at least 1), with the number of entries that could not be read. The index
// follows the table within a second or so.
func (s *Store) DueWebhooks(ctx context.Context, now time.Time, limit int) (found []webhook.Ref, malformed int, err error) {
	pks := kit.DeliverPKs()
	shards := make([][]kit.Item, len(pks))
	err = kit.Concurrently(len(pks), func(i int) error {
		items, _, err := s.table.QueryPage(ctx, s.table.DueQuery(pks[i], now), 0, limit, time.Time{})
		shards[i] = items
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("finding due webhooks: %w", err)
	}
	due := slices.Concat(shards...)
	slices.SortStableFunc(due, func(a, b kit.Item) int {
		x, y := kit.Reader{It: a}, kit.Reader{It: b}
		return cmp.Compare(x.Text(kit.AttrDueKey), y.Text(kit.AttrDueKey))
	})
	for _, it := range due {
		r := kit.Reader{It: it}
		ref, err := kit.ParseWebhookPK(r.Text(kit.AttrPK))
		if err != nil {
			malformed++
			continue
		}
		if len(found) < limit {
			found = append(found, ref)
		}
	}
	return found, malformed, nil
}
