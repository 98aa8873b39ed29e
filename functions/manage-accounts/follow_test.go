package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/store"
)

// follower is a linker that notes which accounts it is told to follow, and how
// long it may take.
type follower struct {
	accounts []int64
	left     time.Duration
	err      error
}

func (f *follower) Follow(ctx context.Context, accountID int64) error {
	f.accounts = append(f.accounts, accountID)
	if deadline, ok := ctx.Deadline(); ok {
		f.left = time.Until(deadline)
	}
	return f.err
}

// logged is what is logged in a test.
func logged(t *testing.T) *bytes.Buffer {
	t.Helper()
	var text bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&text, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return &text
}

// mark is whether an account waits to be followed.
func (d *front) mark(t *testing.T, id int64) bool {
	t.Helper()
	l, err := d.Store.Load(t.Context(), id, store.Want{Now: d.Clock})
	if err != nil {
		t.Fatal(err)
	}
	return l.Account.Following
}

// TestFollowFails: whatever becomes of the connections, the change is made and
// answered; the mark that its transaction set is the reconciler's.
func TestFollowFails(t *testing.T) {
	for _, failure := range []error{errors.New("broken"), fault.New(fault.State, "m"), fault.New(fault.NotFound, "m"), context.DeadlineExceeded} {
		d, log := newFront(t), logged(t)
		d.linker = &follower{err: failure}
		for _, op := range []struct{ method, suffix string }{
			{http.MethodPut, "/disable"}, {http.MethodPut, "/enable"}, {http.MethodDelete, ""}, {http.MethodPut, "/restore"},
		} {
			want204(t, d.Do("partner 5", op.method, allPath+"/71"+op.suffix, ""))
			if !d.mark(t, 71) {
				t.Errorf("%s%s after %v: there is no mark", op.method, op.suffix, failure)
			}
		}
		if n := strings.Count(log.String(), "account_id=71"); n != 4 {
			t.Errorf("%d of 4 failures are logged:\n%s", n, log)
		}
	}
}

// TestFollow: after each change of what an account lets its connections do, and
// only then; also when it is so already and its connections have not followed.
func TestFollow(t *testing.T) {
	const one = allPath + "/71"
	tests := []struct {
		name, method, suffix string
		headers              []string
		status               int
		followed             bool
	}{
		{"get", http.MethodGet, "", nil, 200, false},
		{"change", http.MethodPatch, "", nil, 200, false},
		{"enable of an enabled one", http.MethodPut, "/enable", nil, 204, false},
		{"restore of one that is there", http.MethodPut, "/restore", nil, 409, false},
		{"disable of another version", http.MethodPut, "/disable", []string{"If-Match", `"x"`}, 412, false},
		{"disable", http.MethodPut, "/disable", []string{"Idempotency-Key", "k"}, 204, true},
		{"its repeat", http.MethodPut, "/disable", []string{"Idempotency-Key", "k"}, 204, false},
		{"disable of a disabled one", http.MethodPut, "/disable", nil, 204, false},
		{"change of a disabled one", http.MethodPatch, "", nil, 200, false},
		{"enable of this version", http.MethodPut, "/enable", []string{"If-Match", "*"}, 204, true},
		{"delete", http.MethodDelete, "", nil, 204, true},
		{"delete of a deleted one", http.MethodDelete, "", nil, 204, false},
		{"enable of a deleted one", http.MethodPut, "/enable", nil, 409, false},
		{"restore", http.MethodPut, "/restore", nil, 204, true},
	}
	d := newFront(t)
	linker := d.linker
	for _, tc := range tests {
		f := &follower{}
		d.linker = f
		body := ""
		if tc.method == http.MethodPatch {
			body = `{"first_name":"Eve"}`
		}
		resp := d.Do("partner 5", tc.method, one+tc.suffix, body, tc.headers...)
		if resp.StatusCode != tc.status {
			t.Fatalf("%s: %d %s, want %d", tc.name, resp.StatusCode, resp.Body, tc.status)
		}
		var want []int64
		if tc.followed {
			want = []int64{71}
		}
		if diff := cmp.Diff(want, f.accounts); diff != "" {
			t.Errorf("%s: followed (-want +got):\n%s", tc.name, diff)
		}
		// The real one ends the mark, so that the next change is from rest.
		if tc.followed {
			if err := linker.Follow(t.Context(), 71); err != nil {
				t.Fatal(err)
			}
		}
	}

	t.Run("what was left is followed by a repeat", func(t *testing.T) {
		logged(t)
		for _, op := range []struct{ method, suffix string }{{http.MethodPut, "/disable"}, {http.MethodPut, "/enable"}, {http.MethodDelete, ""}} {
			d.linker = &follower{err: errors.New("broken")}
			want204(t, d.Do("partner 5", op.method, one+op.suffix, ""))
			f := &follower{}
			d.linker = f
			want204(t, d.Do("partner 5", op.method, one+op.suffix, ""))
			if len(f.accounts) != 1 {
				t.Errorf("%s%s again follows %v", op.method, op.suffix, f.accounts)
			}
		}
	})
	t.Run("within the time of the request", func(t *testing.T) {
		d, f := newFront(t), &follower{}
		d.linker = f
		ctx, cancel := context.WithTimeout(t.Context(), 28*time.Second)
		defer cancel()
		d.DoWithin(ctx, "partner 5", http.MethodDelete, one, "")
		if f.left <= 20*time.Second || f.left > 26*time.Second {
			t.Errorf("%v for the connections, want 26s less what was done before", f.left)
		}
	})
}

// TestConnectionsFollow: through the store and the vault, one connection stands
// as its account does, is due only while that is active, and nothing is left to
// do.
func TestConnectionsFollow(t *testing.T) {
	d := newFront(t)
	d.link(t, 71)
	for _, step := range []struct {
		method, suffix string
		want           account.Standing
	}{
		{http.MethodPut, "/disable", account.StandingPaused},
		{http.MethodPut, "/enable", account.StandingActive},
		{http.MethodDelete, "", account.StandingDeleted},
		{http.MethodPut, "/restore", account.StandingActive},
		{http.MethodPut, "/disable", account.StandingPaused},
		{http.MethodDelete, "", account.StandingDeleted},
		{http.MethodPut, "/restore", account.StandingPaused},
	} {
		want204(t, d.Do("partner 5", step.method, allPath+"/71"+step.suffix, ""))
		l, err := d.Store.Load(t.Context(), 71, store.Want{Now: d.Clock, ConnectionID: "se-1234567"})
		if err != nil {
			t.Fatal(err)
		}
		row := l.Connection
		if row.Standing != step.want || row.Work != connection.NoWork || row.PurgeAt != l.Account.PurgeAt || l.Account.Following {
			t.Errorf("%s%s: standing %s, work %q, purge at %v and the account's %v, to be followed %t",
				step.method, step.suffix, row.Standing, row.Work, row.PurgeAt, l.Account.PurgeAt, l.Account.Following)
		}
		due, _, err := d.Store.Due(t.Context(), row.Lane(), d.Clock.Add(time.Hour), 10)
		if err != nil {
			t.Fatal(err)
		}
		if (len(due) == 1) != (step.want == account.StandingActive) {
			t.Errorf("%s%s: due %v", step.method, step.suffix, due)
		}
		if left, _, err := d.Store.Unfinished(t.Context(), d.Clock.Add(time.Hour), 10); err != nil || len(left) > 0 {
			t.Errorf("%s%s: unfinished %v, %v", step.method, step.suffix, left, err)
		}
	}
}
