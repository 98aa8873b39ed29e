package connection_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
)

// TestPurge: whatever is unfinished of a deletion when the purge is due, and whether or
// not the account's item still exists, the reconciler deletes the secrets, or fails each
// time until it can. Then nothing is left, and the schedule finds nothing.
func TestPurge(t *testing.T) {
	down := errors.New("access denied")
	for name, arrange := range map[string]func(t *testing.T, w *world){
		"no connection has followed": func(t *testing.T, w *world) { t.Helper(); w.deleted(t, 9) },
		"after another deletion and a restore": func(t *testing.T, w *world) {
			t.Helper()
			w.deleted(t, 20)
			w.followed(t)
			w.restored(t)
			w.deleted(t, 9)
		},
		"cut off in the midst of a connection": func(t *testing.T, w *world) {
			t.Helper()
			w.deleted(t, 9)
			crashed(func(*testing.T, *world) {}, 3, follow)(t, w)
		},
		"with a change cut off": func(t *testing.T, w *world) {
			t.Helper()
			crashed(func(*testing.T, *world) {}, 4, changeOf(number, "", "two"))(t, w)
			w.deleted(t, 9)
		},
		"with an unlinking cut off": func(t *testing.T, w *world) {
			t.Helper()
			crashed(func(*testing.T, *world) {}, 1, of(number, unlink))(t, w)
			w.deleted(t, 9)
		},
		"with a link cut off": func(t *testing.T, w *world) {
			t.Helper()
			crashed(func(*testing.T, *world) {}, 4, linkOf("0009912349", "one", nil))(t, w)
			w.deleted(t, 9)
		},
	} {
		for _, removed := range []bool{false, true} {
			when := map[bool]string{false: ", the account is there", true: ", the account was removed"}[removed]
			t.Run(name+when, func(t *testing.T) {
				w := newWorld(t)
				w.link(t)
				w.linkAs(t, number2, "other")
				gone := w.linkAs(t, "0009912347", "gone")
				if err := w.Unlink(t.Context(), gone, false, nil); err != nil {
					t.Fatal(err)
				}
				arrange(t, w)
				w.clock = w.clock.AddDate(0, 0, 10)
				if removed {
					w.memory.Table.Expire(w.clock)
				}
				w.on = func(_ context.Context, name string, do func() error) error {
					if name == "Delete" {
						return down
					}
					return do()
				}
				scheduled := strings.HasPrefix(name, "after another deletion") // the secrets are
				for range 2 {
					report, err := w.Reconcile(t.Context(), 100)
					if !scheduled && (report.Failed == 0 || !errors.Is(err, down)) {
						t.Fatalf("Reconcile without the right to delete = %+v, %v, want it to fail each time", report, err)
					}
					w.clock = w.clock.Add(15 * time.Minute)
				}
				w.on = nil
				w.clock = w.clock.Add(time.Hour) // what was begun meanwhile has leases
				for range 2 {
					if report, err := w.Reconcile(t.Context(), 100); err != nil || report.Failed+report.Busy > 0 {
						t.Fatalf("Reconcile = %+v, %v", report, err)
					}
				}
				w.purgedWhole(t)
			})
		}
	}
}

// purgedWhole checks that everything left of the account has expired, and that none of
// its secrets is left.
func (w *world) purgedWhole(t *testing.T) {
	t.Helper()
	for id := range w.made {
		if secret, missing := w.describe(t, id); !missing && secret.DeletedDate == nil {
			t.Errorf("the secret of %s is alive", id)
		}
	}
	for _, lane := range connection.Lanes() {
		if due, _, err := w.memory.Due(t.Context(), lane, w.clock.AddDate(1, 0, 0), 10); err != nil || len(due) > 0 {
			t.Errorf("the schedule finds %+v, %v", due, err)
		}
	}
	if left, _, err := w.memory.Unfinished(t.Context(), w.clock.AddDate(1, 0, 0), 10); err != nil || len(left) > 0 {
		t.Errorf("the reconciler finds %+v, %v", left, err)
	}
	w.memory.Table.Expire(w.clock)
	if left := w.left(accountID); len(left) > 0 {
		t.Errorf("after the purge there are %v", left)
	}
}

// left returns the items of an account in the table, by sort key.
func (w *world) left(account int64) []string {
	return w.memory.Table.Keys("ACCOUNT#" + strconv.FormatInt(account, 10))
}

// TestPurgeWaits: while another process works on a connection the account is neither
// purged nor forgotten.
func TestPurgeWaits(t *testing.T) {
	w := newWorld(t)
	conn := w.link(t)
	w.deleted(t, 9)
	w.clock = w.clock.AddDate(0, 0, 10)
	row := w.row(t, conn.ID)
	row.Work, row.LeaseUntil = connection.WorkCredentials, w.clock.Add(time.Minute)
	if err := w.memory.SaveConnection(t.Context(), &row); err != nil {
		t.Fatal(err)
	}
	if report, err := w.Reconcile(t.Context(), 100); err != nil || report.Busy != 1 || report.AccountsFollowed != 0 {
		t.Errorf("Reconcile = %+v, %v, want it to come back", report, err)
	}
	if err := w.Follow(t.Context(), accountID); !fault.Is(err, fault.State) {
		t.Errorf("Follow = %v, want State", err)
	}
	w.clock = w.clock.Add(2 * time.Minute)
	for range 2 {
		if _, err := w.Reconcile(t.Context(), 100); err != nil {
			t.Error(err)
		}
	}
	w.purgedWhole(t)
}
