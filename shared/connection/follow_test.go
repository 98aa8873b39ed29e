package connection_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
)

func TestFollowFails(t *testing.T) {
	down := errors.New("down")
	t.Run("no such account", func(t *testing.T) {
		w := newWorld(t)
		if err := w.Follow(t.Context(), 99); err != nil || len(w.left(99)) > 0 {
			t.Errorf("Follow = %v, and leaves %v", err, w.left(99))
		}
	})
	t.Run("one cannot, the others do", func(t *testing.T) {
		w := newWorld(t)
		first, second := w.link(t), w.linkAs(t, number2, "other")
		w.deleted(t, 30)
		failed := 0
		w.on = func(_ context.Context, name string, do func() error) error {
			if name == "Delete" && failed == 0 {
				failed++
				return down
			}
			return do()
		}
		if err := w.Follow(t.Context(), accountID); !errors.Is(err, down) || !fault.Is(err, fault.Internal) {
			t.Errorf("Follow = %v, want internal", err)
		}
		standings := []string{string(w.row(t, first.ID).Standing), string(w.row(t, second.ID).Standing)}
		slices.Sort(standings)
		if diff := cmp.Diff([]string{"active", "deleted"}, standings); diff != "" || !w.account(t).Following {
			t.Errorf("standings, marked %t:\n%s", w.account(t).Following, diff)
		}
		w.clock = w.clock.Add(time.Minute)
		if report := w.reconciled(t); report.AccountsFollowed != 1 {
			t.Errorf("reconciled %+v", report)
		}
		w.whole(t)
	})
	t.Run("a failure is not hidden behind a busy one", func(t *testing.T) {
		w := newWorld(t)
		w.link(t)
		w.linkAs(t, number2, "other")
		w.deleted(t, 30)
		failures := []error{&fault.Error{Kind: fault.State, Message: "m"}, down}
		w.on = func(_ context.Context, name string, do func() error) error {
			if name == "Delete" && len(failures) > 0 {
				err := failures[0]
				failures = failures[1:]
				return err
			}
			return do()
		}
		if err := w.Follow(t.Context(), accountID); !fault.Is(err, fault.Internal) {
			t.Errorf("Follow = %v, want internal", err)
		}
	})
	t.Run("a change is running", func(t *testing.T) {
		for n := 4; n <= 7; n++ {
			w := newWorld(t)
			w.link(t)
			w.linkAs(t, number2, "other")
			w.dies(n, func() { _ = changeOf(number, "", "two")(context.Background(), w, w.Service) })
			w.deleted(t, 30)
			isState(t, w.Follow(t.Context(), accountID), true)
			busy, other := w.row(t, w.linked(t, number)[0]), w.row(t, w.linked(t, number2)[0])
			if busy.Work != connection.WorkCredentials || other.Standing != account.StandingDeleted || !w.account(t).Following {
				t.Errorf("%s at work on %q, %s stands as %s", busy.ID, busy.Work, other.ID, other.Standing)
			}
			w.clock = w.clock.Add(time.Minute)
			if err := w.Follow(t.Context(), accountID); err != nil {
				t.Errorf("after the lease: %v", err)
			}
			w.whole(t)
		}
	})
	t.Run("the account keeps changing", func(t *testing.T) {
		w := newWorld(t)
		w.link(t)
		w.enabled(t, false)
		w.on = func(_ context.Context, name string, do func() error) error {
			if name == "EndFollow" {
				w.enabled(t, !w.account(t).Active)
			}
			return do()
		}
		isState(t, w.Follow(t.Context(), accountID), true)
	})
}

// TestFollow goes through the states of an account in every order, with and without its
// connections following each time.
func TestFollow(t *testing.T) {
	steps := map[rune]func(*testing.T, *world){
		'e': func(t *testing.T, w *world) { t.Helper(); w.enabled(t, true) },
		'd': func(t *testing.T, w *world) { t.Helper(); w.enabled(t, false) },
		'x': func(t *testing.T, w *world) { t.Helper(); w.deleted(t, 20) },
		'y': func(t *testing.T, w *world) { t.Helper(); w.deleted(t, 9) },
		'r': func(t *testing.T, w *world) { t.Helper(); w.restored(t) },
	}
	for _, way := range []string{"d", "de", "x", "y", "xr", "yr", "dx", "dxr", "dxre", "xry", "xrx", "yrx", "yrxr", "ded", "xrd", "dyrdx"} {
		for follows := range 1 << (len(way) - 1) { // one bit for each step but the last
			t.Run(fmt.Sprintf("%s %b", way, follows), func(t *testing.T) {
				w := newWorld(t)
				conn := w.link(t)
				w.linkAs(t, number2, "other")
				w.changed(t, conn, "", "two")
				gone := w.linkAs(t, "0009912347", "gone")
				if err := w.Unlink(t.Context(), gone, false, nil); err != nil {
					t.Fatal(err)
				}
				unlinked := w.row(t, gone.ID)
				for i, step := range way {
					w.clock = w.clock.Add(time.Hour)
					steps[step](t, w)
					if i == len(way)-1 || follows&(1<<i) != 0 {
						w.followed(t)
					}
				}
				w.whole(t)
				// An unlinked one goes with its account, and no later.
				want, got := unlinked, w.row(t, gone.ID)
				if end := w.account(t).PurgeAt; !end.IsZero() && end.Before(want.PurgeAt) {
					want.PurgeAt = end
				}
				want.Version = got.Version
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("an unlinked one (-want +got):\n%s", diff)
				}
				row := w.row(t, conn.ID)
				if row.Status != connection.Active || row.Scheduled() != (row.Standing == account.StandingActive) {
					t.Errorf("status %s, standing %s, scheduled %t", row.Status, row.Standing, row.Scheduled())
				}
				calls := w.counting()
				w.followed(t)
				if diff := cmp.Diff(map[string]int{"Account": 1}, calls); diff != "" {
					t.Errorf("again (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestFollowCutShort: each change of the account dies after some call; the next one
// comes before or after its lease has expired.
func TestFollowCutShort(t *testing.T) {
	steps := []func(*world){
		func(w *world) { w.enabled(t, false) }, func(w *world) { w.enabled(t, true) },
		func(w *world) { w.deleted(t, 20) }, func(w *world) { w.restored(t) }, func(w *world) { w.deleted(t, 10) }, func(w *world) { w.restored(t) },
	}
	for n := 1; n <= 12; n++ {
		for _, pause := range []time.Duration{0, time.Minute} {
			w := newWorld(t)
			w.link(t)
			w.linkAs(t, number2, "other")
			for i, step := range steps {
				step(w)
				w.dies(n, func() { _ = w.Follow(context.Background(), accountID) })
				w.clock = w.clock.Add(pause)
				if i == len(steps)-1 {
					w.clock = w.clock.Add(time.Minute)
					w.reconciled(t)
					w.whole(t)
				}
			}
		}
	}
}

// TestAccountChangesDuringFollow: the connections follow the new state in the same call.
func TestAccountChangesDuringFollow(t *testing.T) {
	for _, at := range []string{"AllConnections", "FollowConnection", "Delete", "EndFollow"} {
		for nth := 1; nth <= 2; nth++ {
			w := newWorld(t)
			w.link(t)
			w.linkAs(t, number2, "other")
			w.deleted(t, 20)
			calls := 0
			w.on = func(_ context.Context, name string, do func() error) error {
				err := do()
				if name == at {
					if calls++; calls == nth {
						w.restored(t)
					}
				}
				return err
			}
			if err := w.Follow(t.Context(), accountID); err != nil && (at != "EndFollow" || nth != 1) {
				t.Errorf("restored after %s %d: %v", at, nth, err)
			}
			w.on = nil
			w.followed(t)
			if calls >= nth {
				w.whole(t)
			}
		}
	}
}

// TestFollowLeavesWhatStands: connections that are in line with their account are not
// written again, and a missing row or secret is not a failure.
func TestFollowLeavesWhatStands(t *testing.T) {
	w := newWorld(t)
	w.link(t)
	w.enabled(t, false)
	down := errors.New("down")
	w.failing("EndFollow", down)
	if err := w.Follow(t.Context(), accountID); !errors.Is(err, down) {
		t.Fatalf("Follow = %v", err)
	}
	calls := w.counting()
	if err := w.Follow(t.Context(), accountID); err != nil || calls["FollowConnection"] != 0 {
		t.Errorf("Follow again = %v, %d writes, want none", err, calls["FollowConnection"])
	}
	w.on = nil
	w.whole(t)

	w.enabled(t, true)
	w.failing("FollowConnection", fault.New(fault.NotFound, "m"))
	if err := w.Follow(t.Context(), accountID); err != nil || w.account(t).Following {
		t.Errorf("Follow of a row that goes meanwhile = %v", err)
	}

	w = newWorld(t)
	conn := w.link(t)
	w.deleted(t, 20)
	w.followed(t)
	w.loses(t, conn.ID)
	w.restored(t)
	if err := w.Follow(t.Context(), accountID); err != nil || w.row(t, conn.ID).Standing != account.StandingActive || w.account(t).Following {
		t.Errorf("Follow without a secret = %v, row %+v", err, w.row(t, conn.ID))
	}
}

// TestFollowRunsTwice: the second run waits for the connection that the first one is
// working on.
func TestFollowRunsTwice(t *testing.T) {
	w := newWorld(t)
	w.link(t)
	w.deleted(t, 20)
	var second error
	w.on = func(_ context.Context, name string, do func() error) error {
		if name == "Delete" {
			w.on = nil
			second = w.Follow(context.Background(), accountID)
		}
		return do()
	}
	if err := w.Follow(t.Context(), accountID); err != nil {
		t.Errorf("the first: %v", err)
	}
	isState(t, second, true)
	w.whole(t)
}

func TestReconcile(t *testing.T) {
	ctx := context.Background()
	// All kinds of leftovers at once; an intent's account number is its own.
	litter := func(t *testing.T, w *world) {
		t.Helper()
		w.link(t)
		w.dies(6, func() { _ = changeOf(number, "", "two")(ctx, w, w.Service) })
		w.dies(4, func() { _ = linkOf(number2, "other", nil)(ctx, w, w.Service) })
		gone := w.linkAs(t, "0009912347", "gone")
		w.dies(1, func() { _ = w.Unlink(ctx, gone, false, nil) })
		w.enabled(t, false)
	}
	t.Run("cannot look", func(t *testing.T) {
		w := newWorld(t)
		down := errors.New("down")
		w.failing("Unfinished", down)
		if _, err := w.Reconcile(t.Context(), 100); !errors.Is(err, down) {
			t.Errorf("Reconcile = %v", err)
		}
	})
	t.Run("what fails keeps nothing else", func(t *testing.T) {
		w := newWorld(t)
		litter(t, w)
		w.clock = w.clock.Add(time.Minute)
		down := errors.New("down")
		w.failing("Align", down)
		report, err := w.Reconcile(t.Context(), 100)
		if !errors.Is(err, down) {
			t.Errorf("Reconcile = %v", err)
		}
		if report.LinksUndone != 1 || report.UnlinksFinished != 1 || report.Failed != 1 || report.AccountsFollowed != 0 {
			t.Errorf("report %+v", report)
		}
		w.on = nil
		w.clock = w.clock.Add(time.Minute)
		w.reconciled(t)
		w.whole(t)
	})
	t.Run("leases are respected", func(t *testing.T) {
		w := newWorld(t)
		litter(t, w)
		if report := w.reconciled(t); report != (connection.Report{Busy: 1}) { // the account
			t.Errorf("report %+v", report)
		}
	})
	t.Run("all of it", func(t *testing.T) {
		w := newWorld(t)
		litter(t, w)
		w.clock = w.clock.Add(time.Minute)
		want := connection.Report{LinksUndone: 1, ChangesSettled: 1, UnlinksFinished: 1, AccountsFollowed: 1}
		report := w.reconciled(t)
		// The account may come first, and settles what it meets.
		if report.ChangesSettled == 0 {
			want.ChangesSettled = 0
		}
		if report != want {
			t.Errorf("report %+v, want %+v", report, want)
		}
		w.whole(t)
		if report := w.reconciled(t); report != (connection.Report{}) {
			t.Errorf("again: %+v", report)
		}
	})
	t.Run("a few at a time", func(t *testing.T) {
		w := newWorld(t)
		litter(t, w)
		w.clock = w.clock.Add(time.Minute)
		for range 4 {
			if _, err := w.Reconcile(t.Context(), 1); err != nil {
				t.Error(err)
			}
		}
		w.whole(t)
	})
	t.Run("time runs out", func(t *testing.T) {
		w := newWorld(t)
		litter(t, w)
		w.clock = w.clock.Add(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		report, err := w.Reconcile(ctx, 100)
		if err != nil || report != (connection.Report{Left: 4}) {
			t.Errorf("Reconcile = %+v, %v, want all left", report, err)
		}
	})
	t.Run("others are faster", func(t *testing.T) {
		w := newWorld(t)
		litter(t, w)
		w.clock = w.clock.Add(time.Minute)
		w.on = func(_ context.Context, name string, do func() error) error {
			if name == "SaveConnection" || name == "EndFollow" {
				return fault.New(fault.Precondition, "m")
			}
			return do()
		}
		report, err := w.Reconcile(t.Context(), 100)
		if err != nil || report != (connection.Report{Busy: report.Busy}) || report.Busy == 0 {
			t.Errorf("Reconcile = %+v, %v, want busy ones and nothing else", report, err)
		}
	})
	t.Run("time enough", func(t *testing.T) {
		w := newWorld(t)
		litter(t, w)
		w.clock = w.clock.Add(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if report, err := w.Reconcile(ctx, 100); err != nil || report.Left+report.Busy != 0 {
			t.Errorf("Reconcile = %+v, %v, want nothing left", report, err)
		}
		w.whole(t)
	})
	t.Run("it is ended", func(t *testing.T) {
		w := newWorld(t)
		litter(t, w)
		w.clock = w.clock.Add(time.Minute)
		ctx, end := context.WithCancel(t.Context())
		w.on = func(_ context.Context, name string, do func() error) error {
			if name == "Unfinished" {
				defer end()
			}
			return do()
		}
		if report, err := w.Reconcile(ctx, 100); err != nil || report != (connection.Report{Left: 4}) {
			t.Errorf("Reconcile = %+v, %v, want all left", report, err)
		}
	})
	t.Run("nobody takes over what it undoes", func(t *testing.T) {
		w := newWorld(t)
		w.dies(4, func() { _ = linkOf(number, "one", nil)(ctx, w, w.Service) })
		w.clock = w.clock.Add(time.Minute)
		var link error
		w.on = func(_ context.Context, name string, do func() error) error {
			if name == "Delete" {
				w.on = nil
				link = linkOf(number, "two", nil)(ctx, w, w.Service)
			}
			return do()
		}
		w.reconciled(t)
		isState(t, link, true)
		w.whole(t)
	})
	t.Run("two at once", func(t *testing.T) {
		for n := 1; n <= 14; n++ {
			w := newWorld(t)
			litter(t, w)
			w.clock = w.clock.Add(time.Minute)
			calls := 0
			w.on = func(_ context.Context, _ string, do func() error) error {
				if calls++; calls == n {
					on := w.on
					w.on = nil
					if _, err := w.Reconcile(ctx, 100); err != nil {
						t.Errorf("the second, before call %d: %v", n, err)
					}
					w.on = on
				}
				return do()
			}
			if _, err := w.Reconcile(ctx, 100); err != nil {
				t.Errorf("the first, with another before call %d: %v", n, err)
			}
			w.on = nil
			w.clock = w.clock.Add(time.Minute)
			w.reconciled(t)
			w.whole(t)
		}
	})
}
