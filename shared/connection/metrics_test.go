package connection_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/metrics"
)

// TestCheckMetrics: a recorded check counts by its trigger, and as refused or failed; one
// that could not be recorded does not.
func TestCheckMetrics(t *testing.T) {
	for _, o := range carrier.Outcomes() {
		w := newWorld(t)
		conn := w.link(t)
		w.production.answers(bad(o))
		if o == carrier.OutcomeOK {
			w.production.answers(good(number))
		}
		want := map[string][]float64{"Checks Trigger=read": {1}}
		switch {
		case o.IsRefusal():
			want["RefusedChecks Trigger=read"] = []float64{1}
		case o.IsOutage():
			want["FailedChecks Trigger=read"] = []float64{1}
		}
		got := metricstest.Of(t, func(ctx context.Context) {
			if _, err := w.Check(ctx, conn, connection.TriggerRead, health.Breaker{}, effects.By{}, nil); err != nil {
				t.Fatal(err)
			}
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", o, diff)
		}
	}
	w := newWorld(t)
	conn := w.link(t)
	w.failing("RecordCheck", fault.Throttled(nil))
	if got := metricstest.Of(t, func(ctx context.Context) {
		_, _ = w.Check(ctx, conn, connection.TriggerRead, health.Breaker{}, effects.By{}, nil)
	}); len(got) > 0 {
		t.Errorf("a check that was not recorded: %v", got)
	}
}

// TestTriggersAndLimitsAreSeries: no trigger and no limit counts as metrics.Other.
func TestTriggersAndLimitsAreSeries(t *testing.T) {
	all := metrics.All()
	for _, trigger := range []connection.Trigger{connection.TriggerLink, connection.TriggerSchedule, connection.TriggerManual, connection.TriggerRead} {
		for _, name := range []string{"Checks", "RefusedChecks", "FailedChecks"} {
			if !slices.Contains(all, metrics.Series{Name: name, Dimension: "Trigger", Value: string(trigger)}) {
				t.Errorf("%s has no trigger %s", name, trigger)
			}
		}
	}
	limits := []*fault.Error{
		connection.ErrTooManyConnections(1), connection.ErrTooManyDuplicates(1), connection.ErrTooManyLinks(1), connection.ErrTooManyUnlinks(1), connection.ErrVerifiedLately(time.Second),
	}
	for _, use := range []connection.Use{connection.UseTracking, connection.UseChecking, connection.UseLinking, connection.UseChanging} {
		limits = append(limits, connection.ErrAllowanceUsedUp(use, 10, time.Second))
	}
	for _, limit := range limits {
		if !slices.Contains(all, metrics.Series{Name: "Refusals", Dimension: "Limit", Value: limit.Limit}) {
			t.Errorf("%v has the limit %q, which is no series", limit, limit.Limit)
		}
	}
}

// TestReconcileMetrics: a run measures what it found, whether or not it could do it.
func TestReconcileMetrics(t *testing.T) {
	none := map[string][]float64{"OldestRepair": {0}}
	run := func(ctx context.Context, w *world) map[string][]float64 {
		return metricstest.Of(t, func(measured context.Context) {
			if d, ok := ctx.Deadline(); ok {
				var cancel context.CancelFunc
				measured, cancel = context.WithDeadline(measured, d)
				defer cancel()
			}
			_, _ = w.Reconcile(measured, 100)
		})
	}
	crashed := func(t *testing.T) *world {
		t.Helper()
		w := newWorld(t)
		w.dies(4, func() { _ = linkOf(number, "one", nil)(t.Context(), w, w.Service) })
		// The lease of the intent ended long ago.
		w.clock = w.clock.Add(2 * time.Hour)
		return w
	}
	for _, tc := range []struct {
		name    string
		prepare func(*testing.T) (context.Context, *world)
		want    map[string][]float64
	}{
		{"nothing", func(t *testing.T) (context.Context, *world) { t.Helper(); return t.Context(), newWorld(t) }, none},
		{"no time", func(t *testing.T) (context.Context, *world) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // less than a repair needs
			t.Cleanup(cancel)
			return ctx, crashed(t)
		}, map[string][]float64{"OldestRepair": {2 * 3600}, "RepairsLeft": {1}}},
		{"another process has it", func(t *testing.T) (context.Context, *world) {
			t.Helper()
			w := crashed(t)
			w.failing("SaveConnection", fault.Busy(nil))
			return t.Context(), w
		}, map[string][]float64{"OldestRepair": {2 * 3600}, "RepairsBusy": {1}}},
		{"done", func(t *testing.T) (context.Context, *world) { t.Helper(); return t.Context(), crashed(t) }, map[string][]float64{"OldestRepair": {2 * 3600}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, w := tc.prepare(t)
			got := run(ctx, w)
			if n := got["OldestRepair"]; len(n) == 1 && n[0] > 0 { // less the lease
				if n[0] < 3600 || n[0] > 2*3600 {
					t.Errorf("OldestRepair = %v, want less than two hours", n)
				}
				got["OldestRepair"] = tc.want["OldestRepair"]
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("metrics (-want +got):\n%s", diff)
			}
		})
	}
	w := crashed(t)
	run(t.Context(), w)
	if diff := cmp.Diff(none, run(t.Context(), w)); diff != "" {
		t.Errorf("after the repair (-want +got):\n%s", diff)
	}

	// Each attempt renews the lease, and the work grows old all the same.
	w = crashed(t)
	w.failing("Delete", errors.New("access denied"))
	for range 5 {
		w.clock = w.clock.Add(15 * time.Minute)
		run(t.Context(), w)
	}
	w.clock = w.clock.Add(15 * time.Minute)
	if got := run(t.Context(), w)["OldestRepair"]; len(got) != 1 || got[0] < 3*3600 {
		t.Errorf("OldestRepair = %v of work that fails at each run, want more than three hours", got)
	}

	// So it does if each attempt is that of a request.
	w = newWorld(t)
	w.link(t)
	w.dies(5, func() { _ = changeOf(number, "", "two")(t.Context(), w, w.Service) })
	w.failing("Align", errors.New("access denied"))
	for range 5 {
		w.clock = w.clock.Add(time.Hour)
		_ = changeOf(number, "", "three")(t.Context(), w, w.Service)
	}
	w.clock = w.clock.Add(time.Hour)
	if got := run(t.Context(), w)["OldestRepair"]; len(got) != 1 || got[0] < 3*3600 {
		t.Errorf("OldestRepair = %v of work that fails at each request, want more than three hours", got)
	}

	// The next request takes that work over, and dies in its own.
	change := func(w *world) {
		w.link(t)
		w.dies(5, func() { _ = changeOf(number, "", "two")(t.Context(), w, w.Service) })
	}
	for name, tc := range map[string]struct {
		interrupted func(*world)
		fails       string
		next        func(context.Context, *world, *connection.Service) error
		diesAt      string
	}{
		"change": {change, "Align", changeOf(number, "", "three"), "Stage"},
		"unlink": {change, "Align", of(number, unlink), "Delete"},
		"deletion of the account": {change, "Align", func(ctx context.Context, w *world, s *connection.Service) error {
			w.deleted(t, 30)
			return follow(ctx, w, s)
		}, "Delete"},
		"link": {func(w *world) {
			w.dies(4, func() { _ = linkOf(number, "one", nil)(t.Context(), w, w.Service) })
		}, "Delete", linkOf(number, "one", nil), "Create"},
		// The lease that the check leaves is not that of the work.
		"end of the rollback": {func(w *world) {
			conn := w.link(t)
			conn.RefreshPolicy, conn.NextRefreshAt = connection.RefreshOff, time.Time{}
			if err := w.memory.SaveConnection(t.Context(), &conn); err != nil {
				t.Fatal(err)
			}
			w.changed(t, conn, "", "two")
			w.on = func(_ context.Context, called string, do func() error) error {
				if called == "RecordCheck" {
					goexit()
				}
				return do()
			}
			inProcess(func() { _ = of(number, verify)(t.Context(), w, w.Service) })
			w.clock = w.clock.Add(connection.PreviousKept - 5*time.Hour) // it ends before the next request
		}, "Align", reconcile, "Align"},
	} {
		w = newWorld(t)
		tc.interrupted(w)
		w.clock = w.clock.Add(time.Minute)
		w.failing(tc.fails, errors.New("access denied"))
		for range 5 {
			run(t.Context(), w)
			w.clock = w.clock.Add(time.Hour)
		}
		w.on = func(_ context.Context, called string, do func() error) error {
			if called == tc.diesAt {
				goexit()
			}
			return do()
		}
		inProcess(func() { _ = tc.next(t.Context(), w, w.Service) })
		w.on = nil
		w.clock = w.clock.Add(10 * time.Minute)
		if got := run(t.Context(), w)["OldestRepair"]; len(got) != 1 || got[0] == 0 || got[0] > 600 {
			t.Errorf("OldestRepair = %v of the crashed %s, want less than ten minutes", got, name)
		}
	}
}
