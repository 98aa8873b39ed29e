package deliveries

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/fault"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/webhook"
)

// MarkDue writes that webhooks have something to deliver. Where a run has the lease it is
// counted, and the run goes on. One that pauses after failures stays as it is: it is due
// when that is over. Any other is due now. It returns fault.State if other runs come
// between again and again.
func (s *Store) MarkDue(ctx context.Context, refs []webhook.Ref, now time.Time) error {
	if err := kit.Concurrently(len(refs), func(i int) error { return s.markDue(ctx, refs[i], now) }); err != nil {
		return fmt.Errorf("marking webhooks as due: %w", err)
	}
	return nil
}

// markTries is how often MarkDue begins again with a webhook whose run has ended meanwhile.
const markTries = 4

func (s *Store) markDue(ctx context.Context, ref webhook.Ref, now time.Time) error {
	for range markTries {
		e := wake(ref, now)
		kit.ScheduleRun(e, ref, now)
		free(e, now)
		it, refused, err := s.table.WriteEdit(ctx, e)
		r := kit.Reader{It: it}
		if err != nil || !refused || !r.Time(kit.AttrLease).After(now) {
			return err
		}
		e = wake(ref, now)
		e.Compares(kit.AttrLease, ">", kit.TimeValue(now)) // else the run has ended, and would not know
		if _, refused, err = s.table.WriteEdit(ctx, e); err != nil || !refused {
			return err
		}
	}
	return fault.Busy(errors.New("the runs of the webhook change all the time"))
}

// wake counts a wake.
func wake(ref webhook.Ref, now time.Time) *kit.Edit {
	e := kit.NewEdit(kit.RunsKey(ref))
	e.Add(kit.AttrWakes, 1)
	e.End(now.Add(kit.RunsKept))
	return e
}

// free adds the conditions that no run has the lease, and that no pause lasts.
func free(e *kit.Edit, now time.Time) {
	e.LacksOr(kit.AttrLease, "<=", kit.TimeValue(now))
	e.LacksOr(kit.AttrPause, "<=", kit.TimeValue(now))
}

// counts adds the condition that a number that only grows is still n.
func counts(e *kit.Edit, attr string, n int64) {
	if n == 0 {
		e.Lacks(attr)
	} else {
		e.Compares(attr, "=", kit.NumberValue(n))
	}
}

// ClaimRun leases a webhook until a time. It returns fault.State while another run has it,
// or while it pauses.
func (s *Store) ClaimRun(ctx context.Context, ref webhook.Ref, until, now time.Time) (webhook.Run, error) {
	e := kit.NewEdit(kit.RunsKey(ref))
	e.Set(kit.AttrLease, kit.TimeValue(until))
	kit.ScheduleRun(e, ref, until)
	free(e, now)
	e.End(now.Add(kit.RunsKept))
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

// EndRun gives a lease back, and writes the run's Health. If its runs began anew since
// run.Restarts, or if the end is to wait for that and the webhook was marked as due since
// run.Wakes, it writes nothing, sets run.Wakes and run.Restarts, gives it the new
// Health in the first case, and returns true. It returns fault.State if another run has taken the lease over.
func (s *Store) EndRun(ctx context.Context, run *webhook.Run, end webhook.End, now time.Time) (woken bool, err error) {
	e := kit.NewEdit(kit.RunsKey(run.Ref))
	e.Compares(kit.AttrLease, "=", kit.TimeValue(run.LeaseUntil))
	counts(e, kit.AttrRestarts, run.Restarts)
	if end.UnlessWoken {
		counts(e, kit.AttrWakes, run.Wakes)
	}
	next := kit.Item{}
	health(kit.Store(next), &run.Health)
	next.Time(kit.AttrPause, end.PauseUntil)
	for _, attr := range append(kit.HealthAttributes(), kit.AttrPause) {
		if next[attr] == nil {
			e.Remove(attr)
		} else {
			e.Set(attr, next[attr])
		}
	}
	e.Remove(kit.AttrLease)
	if end.DueAt.IsZero() {
		e.Remove(kit.AttrDuePK)
		e.Remove(kit.AttrDueKey)
	} else {
		kit.ScheduleRun(e, run.Ref, end.DueAt)
	}
	e.End(now.Add(kit.RunsKept))
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
	if restarts := r.Int(kit.AttrRestarts); restarts != run.Restarts {
		run.Restarts, run.Health = restarts, webhook.Health{RecoveredAt: r.Time(kit.AttrRecovered)}
	}
	return true, nil
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
