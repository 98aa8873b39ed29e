package connection_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/vault/vaulttest"
)

// notVisible withholds the credentials from the first reads, as Secrets Manager may after
// a write, and counts the reads.
func (w *world) notVisible(reads int) *int {
	made := 0
	w.on = func(_ context.Context, name string, do func() error) error {
		if name == "Get" {
			if made++; made <= reads {
				return connection.ErrNoCredentials(nil)
			}
		}
		return do()
	}
	return &made
}

// TestNotVisibleYet: credentials that are not found within a minute of their write are
// read once more, a second later.
func TestNotVisibleYet(t *testing.T) {
	back := func(t *testing.T, w *world) { t.Helper(); w.changed(t, w.link(t), "", "two") }
	for _, tc := range []struct {
		name  string
		setUp func(*testing.T, *world)
		act   func(context.Context, *world, *connection.Service) error
		tells bool // the operation fails if the credentials are missing
	}{
		{"verify", linked, of(number, verify), false},
		{"read", linked, of(number, readCheck), false},
		{"change of the number", linked, changeOf(number, number2, ""), true},
		{"change to the same", linked, changeOf(number, "", "one"), false},
		{"rollback", back, of(number, rollback), true},
	} {
		for _, late := range []struct {
			name          string
			age           time.Duration
			hidden, reads int
			found         bool
		}{
			{"at once", 0, 1, 2, true},
			{"a minute later", time.Minute, 1, 2, true},
			{"over a minute later", time.Minute + time.Millisecond, 1, 1, false},
			{"gone", 0, 2, 2, false},
		} {
			t.Run(tc.name+"/"+late.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					tc.setUp(t, w)
					conn := w.row(t, w.linked(t, number)[0])
					w.clock = conn.CredentialsUpdatedAt.Add(late.age)
					reads, start := w.notVisible(late.hidden), time.Now()
					err := tc.act(t.Context(), w, w.Service)
					if *reads != late.reads || time.Since(start) != time.Duration(late.reads-1)*time.Second {
						t.Errorf("%d reads in %v, want %d, a second apart", *reads, time.Since(start), late.reads)
					}
					if (err != nil) != (tc.tells && !late.found) {
						t.Errorf("error %v, want one: %t", err, tc.tells && !late.found)
					}
					row := w.row(t, conn.ID)
					missing := row.LastCheck.Outcome == carrier.OutcomeNoCredentials
					if missing == (late.found || tc.tells || tc.name == "change to the same") {
						t.Errorf("the last check is %s", row.LastCheck.Outcome)
					}
					if staged := row.SecretVersion != conn.SecretVersion; tc.name == "change to the same" && staged == late.found {
						t.Errorf("a version is staged: %t", staged)
					}
				})
			})
		}
	}
	t.Run("the request ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			conn := w.link(t)
			reads := w.notVisible(1)
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if _, err := connection.ReadCredentials(ctx, w.Vault, conn, w.clock); !fault.Is(err, fault.NotFound) || *reads != 1 {
				t.Errorf("ReadCredentials = %v after %d reads, want NotFound after one", err, *reads)
			}
		})
	})
}

// TestTooManyVersions: at AWS's limit of versions a change is refused, with a time, and
// nothing has changed: neither row, nor secret, nor labels.
func TestTooManyVersions(t *testing.T) {
	w := newWorld(t)
	w.secrets.Now = func() time.Time { return w.clock }
	conn := w.link(t)
	start := w.clock
	for n := 1; n < vaulttest.MaxVersions; n++ {
		w.clock = w.clock.Add(time.Minute)
		conn = w.changed(t, conn, "", fmt.Sprint("number ", n))
	}
	labels := w.labels(t, conn.ID)
	for _, to := range []string{"", number2} {
		_, err := w.Change(t.Context(), change(conn, to, "one too many"))
		if !fault.Is(err, fault.RateLimited) {
			t.Fatalf("Change = %v, want RateLimited", err)
		}
		if p := fault.Of(err)[0]; p.RetryAfter != time.Hour || !strings.Contains(p.Message, "too often") {
			t.Errorf("%q, again after %v", p.Message, p.RetryAfter)
		}
		row := w.row(t, conn.ID)
		row.Version = conn.Version
		if diff := cmp.Diff(conn, row); diff != "" {
			t.Errorf("the row has changed (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(labels, w.labels(t, conn.ID)); diff != "" {
			t.Errorf("the labels have changed (-before +after):\n%s", diff)
		}
		w.keeps(t, conn.ID, credentials(fmt.Sprint("number ", vaulttest.MaxVersions-1)))
		w.whole(t)
		conn = w.row(t, conn.ID)
	}
	conn = w.changed(t, conn, number2, "") // needs no version
	if err := of(number2, rollback)(t.Context(), w, w.Service); err != nil {
		t.Errorf("Rollback = %v", err)
	}
	conn = w.row(t, conn.ID)
	w.clock = start.Add(24 * time.Hour)
	w.changed(t, conn, "", "the next day")
	w.whole(t)
}

// TestPreviousGivenUp: 30 days after a change the version that it replaced loses its
// label, whether the schedule checks the connection or not.
func TestPreviousGivenUp(t *testing.T) {
	for _, tc := range []struct {
		name    string
		prepare func(*testing.T, *world, connection.Connection)
		checked bool
	}{
		{"checked", func(*testing.T, *world, connection.Connection) {}, true},
		{"refresh policy off", func(t *testing.T, w *world, c connection.Connection) {
			t.Helper()
			_, err := w.Change(t.Context(), connection.ChangeRequest{Connection: c, Edit: func(c *connection.Connection) { c.RefreshPolicy = connection.RefreshOff }})
			if err != nil {
				t.Fatal(err)
			}
		}, false},
		{"account disabled", func(t *testing.T, w *world, _ connection.Connection) { t.Helper(); w.enabled(t, false); w.followed(t) }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			conn := w.changed(t, w.link(t), "", "two")
			tc.prepare(t, w, conn)
			until := conn.Previous.Until
			both := map[string]string{"AWSCURRENT": conn.SecretVersion, "AWSPREVIOUS": conn.Previous.SecretVersion}
			for _, at := range []struct {
				clock time.Time
				want  map[string]string
			}{
				{until.Add(-time.Second), both},
				{until, map[string]string{"AWSCURRENT": conn.SecretVersion}},
				{until.AddDate(0, 0, 7), map[string]string{"AWSCURRENT": conn.SecretVersion}},
			} {
				w.clock = at.clock
				if tc.checked {
					row := w.row(t, conn.ID)
					row.NextRefreshAt = w.clock
					if err := w.memory.SaveConnection(t.Context(), &row); err != nil {
						t.Fatal(err)
					}
					if err := of(number, refresh)(t.Context(), w, w.Service); err != nil {
						t.Fatal(err)
					}
				}
				next := w.row(t, conn.ID).NextRefreshAt
				w.reconciled(t)
				if diff := cmp.Diff(at.want, w.labels(t, conn.ID)); diff != "" {
					t.Errorf("%v: labels (-want +got):\n%s", at.clock.Sub(until), diff)
				}
				row := w.row(t, conn.ID)
				if !row.NextRefreshAt.Equal(next) || row.Scheduled() != tc.checked || row.Work != connection.NoWork {
					t.Errorf("the next check is at %v, was %v; at work on %q", row.NextRefreshAt, next, row.Work)
				}
				if w.reconciled(t) != (connection.Report{}) {
					t.Error("the reconciler finds more to do")
				}
			}
			w.enabled(t, true)
			w.followed(t)
			w.whole(t)
			err := of(number, rollback)(t.Context(), w, w.Service)
			isState(t, err, false)
			if !strings.Contains(err.Error(), "were kept until "+until.UTC().Format(time.RFC3339)) {
				t.Errorf("Rollback = %v", err)
			}
			w.changed(t, w.row(t, conn.ID), "", "three")
			w.whole(t)
		})
	}
}

// TestSecretsManagerThrottledForAMinute: while Secrets Manager refuses every call, no
// request marks a connection or leaves anything that the reconciler cannot put right a
// minute later; and then the same request succeeds.
func TestSecretsManagerThrottledForAMinute(t *testing.T) {
	cause := errors.New("ThrottlingException")
	isVault := map[string]bool{"Create": true, "Get": true, "Stage": true, "Align": true, "Delete": true, "Restore": true}
	for _, u := range useCases() {
		t.Run(u.name, func(t *testing.T) {
			w := newWorld(t)
			u.setUp(t, w)
			before, err := w.memory.AllConnections(t.Context(), accountID)
			if err != nil {
				t.Fatal(err)
			}
			end := w.clock.Add(time.Minute)
			w.on = func(_ context.Context, name string, do func() error) error {
				if isVault[name] && w.clock.Before(end) {
					return fault.Throttled(cause)
				}
				return do()
			}
			for w.clock.Before(end) {
				err := u.act(t.Context(), w, w.Service)
				if err != nil && unexpected(err) && !errors.Is(err, cause) {
					t.Errorf("error %v, want one because of %v", err, cause)
				}
				w.clock = w.clock.Add(20 * time.Second)
			}
			for _, c := range before {
				if row := w.row(t, c.ID); row.Status != c.Status && c.Visible() && row.Visible() && row.LastCheck.Outcome == carrier.OutcomeNoCredentials {
					t.Errorf("%s is %s for missing credentials", c.ID, row.Status)
				}
			}
			w.clock = w.clock.Add(time.Minute)
			w.reconciled(t)
			if err := u.act(t.Context(), w, w.Service); err != nil && unexpected(err) {
				t.Errorf("after that minute: %v", err)
			}
			w.clock = w.clock.Add(time.Minute)
			w.reconciled(t)
			if wrong := w.broken(t); len(wrong) > 0 && u.name != "change without a secret" {
				t.Error(strings.Join(wrong, "\n"))
			}
		})
	}
}
