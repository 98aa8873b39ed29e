package connection_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/connection"
	"carrierlink/shared/health"
)

// TestReconcileAtAnyMoment runs the reconciler before every call of every operation,
// with an index that is up to date or some changes behind. It must leave leased
// connections alone.
func TestReconcileAtAnyMoment(t *testing.T) {
	ctx := context.Background()
	stale := 0
	for _, u := range useCases() {
		for _, lag := range []int{0, 1, 2, 3, 100} {
			calls := -1
			for n := 1; calls < 0 || n <= calls; n++ {
				what := fmt.Sprintf("%s, index %d behind, before call %d", u.name, lag, n)
				w := newWorld(t)
				u.setUp(t, w)
				w.memory.Table.Lag(lag)
				none := hook(nil)
				reconciler := w.process(&none)
				made := 0
				w.on = func(_ context.Context, _ string, do func() error) error {
					if made++; made == n {
						before := w.leased(t)
						stale += w.seenUnfinished(t, before)
						if _, err := reconciler.Reconcile(ctx, 100); err != nil {
							t.Errorf("%s: Reconcile = %v", what, err)
						}
						if diff := cmp.Diff(before, w.these(t, before)); diff != "" {
							t.Errorf("%s: the reconciler touches what is at work (-before +after):\n%s", what, diff)
						}
					}
					return do()
				}
				if err := u.act(ctx, w, w.Service); err != nil && unexpected(err) {
					t.Errorf("%s: %v", what, err)
				}
				if made < n {
					calls = made
				}
				w.on = nil
				w.memory.Table.Lag(0)
				w.clock = w.clock.Add(time.Minute)
				w.reconciled(t)
				if wrong := w.broken(t); len(wrong) > 0 && u.name != "change without a secret" {
					t.Fatalf("%s:\n%s", what, strings.Join(wrong, "\n"))
				}
			}
		}
	}
	if stale == 0 {
		t.Error("the index never named what is at work: nothing was tried")
	}
}

// leased returns the rows of the account with a running lease, by id.
func (w *world) leased(t *testing.T) map[string]connection.Connection {
	t.Helper()
	rows, err := w.memory.AllConnections(context.Background(), accountID)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]connection.Connection{}
	for _, c := range rows {
		if (c.Status == connection.Linking || c.Work != connection.NoWork) && c.LeaseUntil.After(w.clock) {
			found[c.ID] = c
		}
	}
	return found
}

// these are the same rows as they are now.
func (w *world) these(t *testing.T, rows map[string]connection.Connection) map[string]connection.Connection {
	t.Helper()
	now := map[string]connection.Connection{}
	for id := range rows {
		c, err := w.memory.Connection(context.Background(), accountID, id)
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		now[id] = c
	}
	return now
}

// seenUnfinished counts the rows that the index lists for the reconciler.
func (w *world) seenUnfinished(t *testing.T, rows map[string]connection.Connection) int {
	t.Helper()
	left, _, err := w.memory.Unfinished(context.Background(), w.clock, 100)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, u := range left {
		if _, ok := rows[u.ConnectionID]; ok {
			n++
		}
	}
	return n
}

// TestStaleEntryOfARunningLink: a link has taken over an abandoned intent; the index
// still has the intent's first, expired lease.
func TestStaleEntryOfARunningLink(t *testing.T) {
	w := newWorld(t)
	crashed(func(*testing.T, *world) {}, 3, linkOf(number, "one", nil))(t, w)
	w.memory.Table.Lag(1)
	none := hook(nil)
	reconciler := w.process(&none)
	w.on = func(_ context.Context, name string, do func() error) error {
		if name == "Create" {
			if w.seenUnfinished(t, w.leased(t)) != 1 {
				t.Error("the index does not name the running link")
			}
			if report, err := reconciler.Reconcile(t.Context(), 100); err != nil || report != (connection.Report{}) {
				t.Errorf("Reconcile = %+v, %v, want nothing done", report, err)
			}
		}
		return do()
	}
	if err := linkOf(number, "two", nil)(t.Context(), w, w.Service); err != nil {
		t.Errorf("Link = %v", err)
	}
	w.on = nil
	w.memory.Table.Lag(0)
	w.whole(t)
	if len(w.linked(t, number)) != 1 {
		t.Errorf("linked as %v", w.linked(t, number))
	}
}

// TestStaleEntryOfADueCheck: the index still lists a connection that has been checked.
// Its message causes no second check.
func TestStaleEntryOfADueCheck(t *testing.T) {
	w := newWorld(t)
	conn := w.link(t)
	w.clock = conn.NextRefreshAt.Add(time.Minute)
	w.memory.Table.Lag(100)
	for check, want := range []bool{true, false, false} {
		due, _, err := w.memory.Due(t.Context(), conn.Lane(), w.clock, 10)
		if err != nil || len(due) != 1 || due[0].ConnectionID != conn.ID {
			t.Fatalf("Due = %+v, %v, want the connection", due, err)
		}
		asked := len(w.production.asked)
		_, err = w.Refresh(t.Context(), due[0], health.Breaker{})
		if made := len(w.production.asked) > asked; made != want {
			t.Errorf("message %d: the carrier is asked: %t, want %t", check+1, made, want)
		}
		if want != (err == nil) {
			t.Errorf("message %d: Refresh = %v", check+1, err)
		}
		if !want {
			isState(t, err, false)
		}
	}
	// Nor of one that was unlinked meanwhile.
	w.clock = w.clock.AddDate(0, 0, 3)
	if err := w.Unlink(t.Context(), w.row(t, conn.ID), false, nil); err != nil {
		t.Fatal(err)
	}
	asked := len(w.production.asked)
	if _, err := w.Refresh(t.Context(), connection.Due{AccountID: accountID, ConnectionID: conn.ID}, health.Breaker{}); err == nil || len(w.production.asked) != asked {
		t.Errorf("Refresh of an unlinked one = %v", err)
	}
}
