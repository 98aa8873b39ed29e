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

	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
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
				if did := w.reconciled(t); tc.checked && did != (connection.Report{}) {
					t.Errorf("the check has left %+v to the reconciler", did)
				}
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

// TestGivingUpFails: if a check cannot take the label from the previous credentials, it is
// recorded all the same, in time, and the next one tries again.
func TestGivingUpFails(t *testing.T) {
	for name, on := range map[string]hook{
		"throttled": func(_ context.Context, called string, do func() error) error {
			if called == "DropPrevious" {
				return fault.Throttled(nil)
			}
			return do()
		},
		"no answer": func(ctx context.Context, called string, do func() error) error {
			if called == "DropPrevious" {
				<-ctx.Done()
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			return do()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				pastRollback(t, w)
				before := w.row(t, w.linked(t, number)[0])
				due := func() {
					t.Helper()
					if next := w.row(t, before.ID).NextRefreshAt; next.After(w.clock) {
						w.clock = next
					}
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					defer cancel()
					end, _ := ctx.Deadline()
					w.production.meanwhile = func() { time.Sleep(time.Until(end) - 1500*time.Millisecond) } // as much as auspost takes
					if err := of(number, refresh)(ctx, w, w.Service); err != nil {
						t.Error(err)
					}
				}
				w.on = on
				due()
				failed := w.row(t, before.ID)
				if failed.ChecksEver != before.ChecksEver+1 || failed.Previous != before.Previous || !failed.Scheduled() {
					t.Errorf("check %d, previous credentials %+v, scheduled: %t", failed.ChecksEver, failed.Previous, failed.Scheduled())
				}
				w.on = nil
				due()
				row := w.row(t, before.ID)
				if diff := cmp.Diff(map[string]string{"AWSCURRENT": row.SecretVersion}, w.labels(t, row.ID)); diff != "" || row.Previous.SecretVersion != "" {
					t.Errorf("labels (-want +got):\n%s", diff)
				}
				w.whole(t)
			})
		})
	}
}

// TestManyEndedRollbacks: the rollbacks of more connections than the reconciler handles in
// a run end before a process crashes. The crash is repaired in the next run, and the
// schedule goes on.
func TestManyEndedRollbacks(t *testing.T) {
	const limit = 500
	w := newWorld(t)
	conn := w.changed(t, w.link(t), "", "two")
	for n := range 2 * (limit + 1) {
		other := conn
		other.ID, other.AccountNumber, other.Status = fmt.Sprintf("se-9%015d", n), fmt.Sprintf("1%09d", n), connection.Linking
		if err := w.memory.BeginLink(t.Context(), &other, connection.LinkOptions{}); err != nil {
			t.Fatal(err)
		}
		other.Status = conn.Status
		if n%2 == 0 { // not on the schedule
			other.RefreshPolicy, other.NextRefreshAt = connection.RefreshOff, time.Time{}
		}
		if err := w.memory.SaveConnection(t.Context(), &other); err != nil {
			t.Fatal(err)
		}
	}
	w.clock = conn.Previous.Until.Add(time.Hour)
	w.dies(4, func() { _ = linkOf(number2, "one", nil)(t.Context(), w, w.Service) })
	w.clock = w.clock.Add(time.Hour)
	points := metricstest.Of(t, func(ctx context.Context) {
		if report, err := w.Reconcile(ctx, limit); err != nil || report.LinksUndone != 1 || report.ChangesSettled != limit-1 {
			t.Errorf("Reconcile = %+v, %v, want the link undone", report, err)
		}
	})
	if age := points["OldestRepair"]; len(age) != 1 || age[0] < 3000 || age[0] > 3600 {
		t.Errorf("OldestRepair = %v, want less than an hour: the age of the crash", age)
	}
	due, _, err := w.memory.Due(t.Context(), conn.Lane(), w.clock, 10*limit)
	if err != nil || len(due) != limit+2 {
		t.Fatalf("%d connections are due, %v, want %d", len(due), err, limit+2)
	}
	for _, d := range due {
		w.clock = w.clock.Add(time.Second)
		if _, err := w.Refresh(t.Context(), d, health.Breaker{}); err != nil {
			t.Fatal(err)
		}
		if row := w.row(t, d.ConnectionID); !row.Scheduled() || row.NextRefreshAt.Before(w.clock) || row.Previous.SecretVersion != "" {
			t.Fatalf("%s: scheduled %t at %v, previous credentials %+v", row.ID, row.Scheduled(), row.NextRefreshAt, row.Previous)
		}
	}
	if due, _, err := w.memory.Due(t.Context(), conn.Lane(), w.clock.Add(48*time.Hour), 10*limit); err != nil || len(due) != limit+2 {
		t.Errorf("%d connections are on the schedule, %v, want %d", len(due), err, limit+2)
	}
}

// TestSecretsManagerThrottledForAMinute: while Secrets Manager refuses every call, no
// request marks a connection or leaves anything that the reconciler cannot put right a
// minute later; and then the same request succeeds.
func TestSecretsManagerThrottledForAMinute(t *testing.T) {
	cause := errors.New("ThrottlingException")
	isVault := map[string]bool{"Create": true, "Get": true, "Stage": true, "Align": true, "DropPrevious": true, "Delete": true, "Restore": true}
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
