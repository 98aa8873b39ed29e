package account_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/email"
	"carrierlink/shared/fault"
)

// edit returns an edit that sets the last name.
func edit(name string) func(*account.Account) error {
	return func(a *account.Account) error {
		a.LastName = name
		return nil
	}
}

// TestChangeRefuses also checks which refusal comes first.
func TestChangeRefuses(t *testing.T) {
	wrong, another := fault.Field(fault.Invalid, "x", "m"), fault.TooLate("m")
	fails := func(*account.Account) error { return wrong }
	moves := func(a *account.Account) error { a.OriginCountryCode = "NZ"; return nil }
	never := func(account.Account) (bool, error) { return false, another }
	linked := func(a *account.Account) { a.CarriersCount = 1 }
	deleted := func(a *account.Account) { a.PurgeAt = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC) }
	for _, tc := range []struct {
		name  string
		read  func(*account.Account)
		edit  func(*account.Account) error
		match func(account.Account) (bool, error)
		want  string
	}{
		{"the edit, before all", func(a *account.Account) { linked(a); deleted(a) }, fails, never, "invalid x"},
		{"the country, with carriers", func(a *account.Account) { linked(a); deleted(a) }, moves, never, "state origin_country_code"},
		{"another version", deleted, moves, never, "precondition If-Match"},
		{"a deleted account", deleted, moves, nil, "state"},
		{"a deleted account, changed in nothing", deleted, edit(""), nil, "state"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			before := w.account(t, 71)
			read := before
			tc.read(&read)
			if _, err := w.Change(t.Context(), account.Change{Account: read, Edit: tc.edit, Match: tc.match}, nil); told(err) != tc.want {
				t.Errorf("Change = %v, want %q", err, tc.want)
			}
			if diff := cmp.Diff(before, w.account(t, 71)); diff != "" {
				t.Errorf("a refused change changed the account:\n%s", diff)
			}
		})
	}
	t.Run("identifiers that are taken", func(t *testing.T) {
		w := newWorld(t)
		other := w.add(t, account.Account{ID: 72})
		_, err := w.Change(t.Context(), account.Change{Account: other, Edit: func(a *account.Account) error {
			a.ExternalID, a.Email = "shop/1", "ADA@example.com"
			return nil
		}}, nil)
		if want := "conflict external_account_id 71, conflict email 71"; told(err) != want {
			t.Errorf("Change = %v, want %q", err, want)
		}
	})
	t.Run("without its effects", func(t *testing.T) {
		w := newWorld(t)
		a := w.account(t, 71)
		if _, err := w.Change(t.Context(), account.Change{Account: a, Edit: edit("King")}, unmakeable); !errors.Is(err, errUnmakeable) || w.account(t, 71).LastName != "" {
			t.Errorf("Change = %v", err)
		}
	})
}

func TestChange(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(*account.Account)
	}{
		{"nothing", func(*account.Account) {}},
		{"what it is", func(a *account.Account) { a.FirstName = "Ada" }},
		{"a name", func(a *account.Account) { a.LastName = "King" }},
		{"an email", func(a *account.Account) { a.Email = "King@Example.com" }},
		{"an email, to none", func(a *account.Account) { a.Email = "" }},
		{"the country, without carriers", func(a *account.Account) { a.OriginCountryCode = "NZ" }},
		{"metadata in place", func(a *account.Account) { a.Metadata["tier"] = "lead" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			read := w.account(t, 71)
			want := w.account(t, 71)
			w.clock = w.clock.Add(time.Hour)
			tc.edit(&want)
			want.EmailKey = email.Key(want.Email)
			if !want.Same(read) {
				want.Version, want.ModifiedAt = 2, w.now()
			}
			var shown []*account.Account
			got, err := w.Change(t.Context(), account.Change{Account: read, Edit: func(a *account.Account) error { tc.edit(a); return nil }}, answers(&shown))
			if err != nil || len(shown) != 1 || len(w.followed) != 0 {
				t.Fatalf("Change = %v, answered %d times, followed by %v", err, len(shown), w.followed)
			}
			if diff := cmp.Diff([]account.Account{want, want, want}, []account.Account{*got, *shown[0], w.account(t, 71)}); diff != "" {
				t.Errorf("accounts returned, answered and stored (-want +got):\n%s", diff)
			}
			if _, err := w.Change(t.Context(), account.Change{Account: *got, Edit: edit("Mal")}, answers(&shown)); told(err) != "replay" || w.account(t, 71).LastName == "Mal" {
				t.Errorf("the same Idempotency-Key again: %v", err)
			}
		})
	}
}

// TestConcurrentChanges: a change between the read and the write is neither lost nor
// overwritten. A change that is not pinned applies to the new version, and its answer
// shows that version.
func TestConcurrentChanges(t *testing.T) {
	for _, tc := range []struct {
		name   string
		times  int // how often another request is faster
		pinned bool
		want   string
		tries  int
	}{
		{"pinned", 1, true, "precondition If-Match", 1},
		{"as often as it is tried", 4, false, "state", 4},
		{"again and again", 9, false, "state", 4},
		{"once", 1, false, "", 2},
		{"three times", 3, false, "", 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			faster := 0
			w.store.before = func() {
				if faster == tc.times {
					return
				}
				faster++
				a := w.account(t, 71)
				next := a
				next.FirstName = "First " + strconv.Itoa(faster)
				if err := w.store.Store.UpdateAccount(t.Context(), account.Update{Old: a, New: next}, effects.Effects{}, w.clock); err != nil {
					t.Error(err)
				}
			}
			w.clock = w.clock.Add(time.Hour)
			var shown []*account.Account
			c := account.Change{Account: w.account(t, 71), Edit: edit("Second"), Match: func(account.Account) (bool, error) { return tc.pinned, nil }}
			got, err := w.Change(t.Context(), c, answers(&shown))
			if told(err) != tc.want || len(shown) != tc.tries {
				t.Fatalf("Change = %v after %d tries, want %q after %d", err, len(shown), tc.want, tc.tries)
			}
			kept := w.account(t, 71)
			if err != nil {
				if p := fault.Of(err)[0]; kept.LastName != "" || p.Kind == fault.State && p.RetryAfter != time.Second {
					t.Errorf("account %+v, RetryAfter %v", kept, p.RetryAfter)
				}
				return
			}
			if kept.LastName != "Second" || kept.FirstName != "First "+strconv.Itoa(faster) || kept.Version != int64(faster+2) {
				t.Errorf("account %+v", kept)
			}
			if diff := cmp.Diff([]account.Account{kept, kept}, []account.Account{*got, *shown[len(shown)-1]}); diff != "" {
				t.Errorf("accounts returned and answered (-stored +got):\n%s", diff)
			}
		})
	}
	t.Run("deleted meanwhile", func(t *testing.T) {
		w := newWorld(t)
		w.store.before = func() {
			if err := w.Delete(t.Context(), w.account(t, 71), false, account.MinPurgeDays, effects.Effects{}); err != nil {
				t.Error(err)
			}
		}
		if _, err := w.Change(t.Context(), account.Change{Account: w.account(t, 71), Edit: edit("Second")}, nil); told(err) != "state" || fault.Of(err)[0].RetryAfter != 0 {
			t.Errorf("Change = %v", err)
		}
	})
}

// states are the operations that change an account's standing.
func (w *world) states() map[string]func(ctx context.Context, a account.Account, pinned bool, fx effects.Effects) error {
	return map[string]func(context.Context, account.Account, bool, effects.Effects) error{
		"enable": w.Enable, "disable": w.Disable, "restore": w.Restore,
		"delete": func(ctx context.Context, a account.Account, pinned bool, fx effects.Effects) error {
			return w.Delete(ctx, a, pinned, account.MaxPurgeDays, fx)
		},
	}
}

// TestStates runs operations one after another and checks the account's state, and
// whether the connections must follow.
func TestStates(t *testing.T) {
	w := newWorld(t)
	for _, step := range []struct {
		name, do        string
		pinned, stale   bool
		fx              effects.Effects
		want            string
		active, deleted bool
		follows         bool
	}{
		{name: "enable of an active one", do: "enable", active: true},
		{name: "restore of one that is not deleted", do: "restore", want: "state", active: true},
		{name: "disable of an older version", do: "disable", pinned: true, stale: true, want: "precondition If-Match", active: true},
		{name: "disable", do: "disable", fx: answer(), follows: true},
		{name: "its repeat", do: "disable", fx: answer(), want: "replay"},
		{name: "disable of a disabled one", do: "disable"},
		{name: "enable of this version", do: "enable", pinned: true, active: true, follows: true},
		{name: "disable of whatever version", do: "disable", stale: true, follows: true},
		{name: "delete", do: "delete", deleted: true, follows: true},
		{name: "delete of a deleted one", do: "delete", deleted: true},
		{name: "enable of a deleted one", do: "enable", want: "state", deleted: true},
		{name: "disable of a deleted one", do: "disable", want: "state", deleted: true},
		{name: "restore, disabled as it was", do: "restore", follows: true},
		{name: "enable after all", do: "enable", active: true, follows: true},
		{name: "delete of an older version", do: "delete", pinned: true, stale: true, want: "precondition If-Match", active: true},
	} {
		w.clock, w.followed = w.clock.Add(time.Minute), nil
		a := w.account(t, 71)
		if step.stale {
			a.Version--
		}
		err := w.states()[step.do](t.Context(), a, step.pinned, step.fx)
		if told(err) != step.want || (len(w.followed) == 1) != step.follows {
			t.Fatalf("%s: %v, followed %v, want %q", step.name, err, w.followed, step.want)
		}
		if a := w.account(t, 71); a.Active != step.active || a.Deleted() != step.deleted || a.Following {
			t.Fatalf("%s: active %t, deleted %t, following %t", step.name, a.Active, a.Deleted(), a.Following)
		}
	}
}

// TestDeletePurgesAt: the days have limits, and a repeated deletion keeps the first date.
func TestDeletePurgesAt(t *testing.T) {
	w := newWorld(t)
	for _, days := range []int{-1, 0, 6, 31} {
		if err := w.Delete(t.Context(), w.account(t, 71), false, days, effects.Effects{}); told(err) != "invalid purge_after_days" || !w.account(t, 71).PurgeAt.IsZero() {
			t.Errorf("Delete after %d days = %v", days, err)
		}
	}
	want := time.Date(2026, 3, 8, 0, 0, 30, 0, time.UTC)
	for _, days := range []int{7, 30} {
		err := w.Delete(t.Context(), w.account(t, 71), false, days, effects.Effects{})
		if a := w.account(t, 71); err != nil || a.PurgeAt != want || a.Active {
			t.Errorf("Delete after %d days = %v, purge at %v, want %v", days, err, a.PurgeAt, want)
		}
	}
	w.clock = want.Add(-time.Millisecond)
	if err := w.Restore(t.Context(), w.account(t, 71), false, effects.Effects{}); err != nil || !w.account(t, 71).Active {
		t.Errorf("Restore just before the purge = %v", err)
	}
}

// TestFollowFails: the change succeeds even if the connections cannot follow. The account
// stays marked for the reconciler, and a repeat makes the connections follow.
func TestFollowFails(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	for _, failure := range []error{errors.New("broken"), fault.New(fault.State, "m"), fault.New(fault.NotFound, "m"), context.DeadlineExceeded} {
		w := newWorld(t)
		log.Reset()
		for _, op := range []string{"disable", "enable", "delete", "restore"} {
			w.fail = failure
			if err := w.states()[op](t.Context(), w.account(t, 71), false, effects.Effects{}); err != nil || !w.account(t, 71).Following {
				t.Errorf("%s with %v: %v, and the account is not marked", op, failure, err)
			}
			if op == "restore" {
				continue // a repeat is refused
			}
			w.fail, w.followed = nil, nil
			if err := w.states()[op](t.Context(), w.account(t, 71), false, effects.Effects{}); err != nil || len(w.followed) != 1 || w.account(t, 71).Following {
				t.Errorf("%s again: %v, followed %v", op, err, w.followed)
			}
		}
		if n := strings.Count(log.String(), "account_id=71"); n != 4 {
			t.Errorf("logged %d of 4 failures:\n%s", n, &log)
		}
	}
}

// TestFollowHasTheRequestsTime: connections follow within the request's deadline.
func TestFollowHasTheRequestsTime(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 28*time.Second)
	defer cancel()
	if err := w.Disable(ctx, w.account(t, 71), false, effects.Effects{}); err != nil || w.left <= 20*time.Second || w.left > 28*time.Second {
		t.Errorf("Disable = %v with %v for the connections, want at most 28s", err, w.left)
	}
}
