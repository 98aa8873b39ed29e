package connection_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
)

// kept is all that is kept of a connection, to the bit.
type kept struct {
	Row      connection.Connection
	Snapshot *connection.Snapshot
	History  []connection.HistoryEntry
	Labels   map[string]string
	Numbers  [2][]string
}

func (w *world) kept(t *testing.T, id string) kept {
	t.Helper()
	row, snap := w.stored(t, id)
	return kept{row, snap, w.history(t, id), w.labels(t, id), [2][]string{w.linked(t, number), w.linked(t, number2)}}
}

// TestRefusedChange: after any answer but a good one nothing has been written.
func TestRefusedChange(t *testing.T) {
	changes := map[string]func(context.Context, *world, connection.Connection) error{
		"credentials": func(ctx context.Context, w *world, _ connection.Connection) error {
			return changeOf(number, "", "three")(ctx, w, w.Service)
		},
		"number": func(ctx context.Context, w *world, _ connection.Connection) error {
			return changeOf(number, number2, "")(ctx, w, w.Service)
		},
		"both": func(ctx context.Context, w *world, _ connection.Connection) error {
			return changeOf(number, number2, "three")(ctx, w, w.Service)
		},
		"rollback": func(ctx context.Context, w *world, c connection.Connection) error {
			return rollback(ctx, w, w.Service, c)
		},
	}
	for name, try := range changes {
		for _, o := range carrier.Outcomes() {
			if o == carrier.OutcomeOK {
				continue
			}
			t.Run(name+" "+string(o), func(t *testing.T) {
				w := newWorld(t)
				conn := w.changed(t, w.link(t), "", "two")
				before := w.kept(t, conn.ID)
				w.production.answers(bad(o))
				w.clock = w.clock.Add(time.Hour)
				err := try(t.Context(), w, conn)
				if !fault.Is(err, fault.KindOf(bad(o).Err())) || fault.Of(err)[0].Diagnosis == nil {
					t.Errorf("error %v, want %v", err, bad(o).Err())
				}
				if diff := cmp.Diff(before, w.kept(t, conn.ID)); diff != "" {
					t.Errorf("something has changed:\n%s", diff)
				}
			})
		}
	}
}

func TestChangeFails(t *testing.T) {
	broken := errors.New("broken")
	busy := &fault.Error{Kind: fault.State, Message: "m", RetryAfter: time.Second}
	both := func(c connection.Connection) connection.ChangeRequest { return change(c, number2, "two") }
	for _, tc := range []struct {
		name  string
		setUp func(*testing.T, *world, *connection.ChangeRequest)
		want  fault.Kind
	}{
		{"another connection holds the number", func(t *testing.T, w *world, _ *connection.ChangeRequest) { t.Helper(); w.linkAs(t, number2, "other") }, fault.CarrierConflict},
		{"the vault is busy", func(_ *testing.T, w *world, _ *connection.ChangeRequest) { w.failing("Stage", busy) }, fault.State},
		{"the vault is down", func(_ *testing.T, w *world, _ *connection.ChangeRequest) { w.failing("Stage", broken) }, fault.Internal},
		{"the table is down", func(_ *testing.T, w *world, _ *connection.ChangeRequest) { w.failing("ChangeConnection", broken) }, fault.Internal},
		{"no randomness", func(_ *testing.T, w *world, _ *connection.ChangeRequest) { w.Random = bytes.NewReader(nil) }, fault.Internal},
		{"the answer cannot be made", func(_ *testing.T, _ *world, r *connection.ChangeRequest) {
			r.Effects = func(*connection.Connection) (effects.Effects, error) { return effects.Effects{}, broken }
		}, fault.Internal},
		{"the claim has passed to another request", func(_ *testing.T, _ *world, r *connection.ChangeRequest) {
			r.Effects = func(*connection.Connection) (effects.Effects, error) {
				return effects.Effects{Answer: &effects.Record{Scope: "s", Key: "k", ClaimID: "none"}}, nil
			}
		}, fault.State},
		{"the request's time is over", func(_ *testing.T, w *world, _ *connection.ChangeRequest) {
			w.failing("Snapshot", context.DeadlineExceeded)
		}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			conn := w.link(t)
			req := both(conn)
			tc.setUp(t, w, &req)
			if tc.want == 0 { // the answer before is read for credentials alone
				req.Number = ""
				w.production.answers(good(number))
				w.production.reading.Raw = []byte(`{"new":1}`)
			}
			before := w.kept(t, conn.ID)
			got, err := w.Change(t.Context(), req)
			if got != nil || !fault.Is(err, tc.want) {
				t.Fatalf("Change = %v, %v, want %v", got, err, tc.want)
			}
			if tc.want == fault.CarrierConflict && fault.Of(err)[0].ExistingCarrierID != w.linked(t, number2)[0] {
				t.Errorf("the conflict is with %s", fault.Of(err)[0].ExistingCarrierID)
			}
			after := w.kept(t, conn.ID)
			after.Row.Version = before.Row.Version
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("something has changed:\n%s", diff)
			}
			w.whole(t)
		})
	}
	t.Run("an intent holds the number", func(t *testing.T) {
		w := newWorld(t)
		conn := w.link(t)
		w.dies(4, func() { _ = linkOf(number2, "other", nil)(context.Background(), w, w.Service) })
		for range 2 { // at work, and abandoned
			_, err := w.Change(t.Context(), both(conn))
			isState(t, err, true)
			if fault.Of(err)[0].ExistingCarrierID != "" {
				t.Errorf("the caller learns of an intent: %v", err)
			}
			w.clock = w.clock.Add(time.Minute)
		}
	})
}

// TestLateWrite: the write of a change gets no answer, and arrives late: before the
// change is undone, or never.
func TestLateWrite(t *testing.T) {
	w := newWorld(t)
	conn := w.link(t)
	var late func() error
	w.on = func(_ context.Context, name string, do func() error) error {
		switch name {
		case "ChangeConnection":
			late = do
			return errLost
		case "Align":
			if err := late(); !fault.Is(err, fault.State) {
				t.Errorf("a late write comes through: %v", err)
			}
		}
		return do()
	}
	if _, err := w.Change(t.Context(), change(conn, "", "two")); !errors.Is(err, errLost) {
		t.Fatal(err)
	}
	w.on = nil
	w.keeps(t, conn.ID, credentials("one"))
	w.whole(t)
}

func TestEdit(t *testing.T) {
	w := newWorld(t)
	conn := w.link(t)
	calls := w.counting()
	w.clock = w.clock.Add(time.Minute)
	edit := func(c *connection.Connection) { c.Nickname = "Other" }
	got, err := w.Change(t.Context(), connection.ChangeRequest{Connection: conn, Number: number, Edit: edit})
	if err != nil {
		t.Fatal(err)
	}
	want := conn
	want.Nickname, want.ModifiedAt, want.Version = "Other", w.clock, conn.Version+1
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, w.row(t, conn.ID)); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"ChangeConnection": 1}, calls); diff != "" || len(w.production.asked) != 1 {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	t.Run("of another version", func(t *testing.T) {
		if _, err := w.Change(t.Context(), connection.ChangeRequest{Connection: conn, Edit: edit, Pinned: true}); !fault.Is(err, fault.Precondition) {
			t.Errorf("pinned: %v", err)
		}
		if _, err := w.Change(t.Context(), connection.ChangeRequest{Connection: conn, Edit: edit}); err != nil {
			t.Errorf("not pinned: %v", err)
		}
		if _, err := w.Change(t.Context(), connection.ChangeRequest{Connection: w.row(t, conn.ID), Edit: edit, Pinned: true}); err != nil {
			t.Errorf("pinned to what is there: %v", err)
		}
	})
	t.Run("a claim that has passed on is no version", func(t *testing.T) {
		for _, pinned := range []bool{false, true} {
			_, err := w.Change(t.Context(), connection.ChangeRequest{Connection: w.row(t, conn.ID), Edit: edit, Pinned: pinned, Effects: func(*connection.Connection) (effects.Effects, error) {
				return effects.Effects{Answer: &effects.Record{Scope: "s", Key: "k", ClaimID: "none"}}, nil
			}})
			isState(t, err, true)
		}
	})
	t.Run("the row keeps changing", func(t *testing.T) {
		w.on = func(_ context.Context, name string, do func() error) error {
			if row := w.row(t, conn.ID); name == "ChangeConnection" {
				if err := w.memory.SaveConnection(context.Background(), &row); err != nil {
					t.Error(err)
				}
			}
			return do()
		}
		defer func() { w.on = nil }()
		_, err := w.Change(t.Context(), connection.ChangeRequest{Connection: conn, Edit: func(c *connection.Connection) { c.Nickname = "Late" }})
		isState(t, err, true)
	})
	t.Run("of nothing", func(t *testing.T) {
		calls := w.counting()
		before := w.row(t, conn.ID)
		got, err := w.Change(t.Context(), connection.ChangeRequest{Connection: before, Number: number, Edit: edit, Pinned: true})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]connection.Connection{before, before}, []connection.Connection{*got, w.row(t, conn.ID)}); diff != "" || len(calls) != 0 {
			t.Errorf("calls %v, answer and row (-want +got):\n%s", calls, diff)
		}
	})
	t.Run("without its answer", func(t *testing.T) {
		broken := errors.New("broken")
		before := w.row(t, conn.ID)
		_, err := w.Change(t.Context(), connection.ChangeRequest{
			Connection: before, Edit: func(c *connection.Connection) { c.Nickname = "Unanswered" },
			Effects: func(*connection.Connection) (effects.Effects, error) { return effects.Effects{}, broken },
		})
		if diff := cmp.Diff(before, w.row(t, conn.ID)); !errors.Is(err, broken) || diff != "" {
			t.Errorf("Change = %v, row (-before +after):\n%s", err, diff)
		}
	})
	t.Run("of the metadata alone", func(t *testing.T) {
		for _, metadata := range []map[string]string{{"a": "c"}, {"b": "c"}, nil} {
			got, err := w.Change(t.Context(), connection.ChangeRequest{Connection: w.row(t, conn.ID), Edit: func(c *connection.Connection) { c.Metadata = metadata }})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(metadata, w.row(t, conn.ID).Metadata, cmpopts.EquateEmpty()); diff != "" || len(got.Metadata) != len(metadata) {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		}
	})
	t.Run("another policy is another schedule", func(t *testing.T) {
		for _, tc := range []struct {
			policy connection.RefreshPolicy
			status connection.Status
			after  time.Duration
		}{
			{connection.RefreshHourly, connection.Active, time.Hour},
			{connection.RefreshOff, connection.Active, 0},
			{connection.RefreshDaily, connection.Active, 24 * time.Hour},
			{connection.RefreshHourly, connection.ActionRequired, 0},
		} {
			row := w.row(t, conn.ID)
			row.Status = tc.status
			if tc.status == connection.ActionRequired {
				row.NextRefreshAt = time.Time{}
			}
			if err := w.memory.SaveConnection(t.Context(), &row); err != nil {
				t.Fatal(err)
			}
			got, err := w.Change(t.Context(), connection.ChangeRequest{Connection: row, Edit: func(c *connection.Connection) { c.RefreshPolicy = tc.policy }})
			if err != nil {
				t.Fatal(err)
			}
			if off := got.NextRefreshAt.Sub(w.clock) - tc.after; tc.after == 0 && !got.NextRefreshAt.IsZero() || tc.after != 0 && off.Abs() > tc.after/10 {
				t.Errorf("%s, %s: next at %v", tc.policy, tc.status, got.NextRefreshAt)
			}
		}
	})
}

func TestChange(t *testing.T) {
	for _, tc := range []struct{ name, number, which string }{
		{"credentials", "", "two"},
		{"number", number2, ""},
		{"both", number2, "two"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			conn := w.link(t)
			if err := readCheck(t.Context(), w, w.Service, conn); err != nil {
				t.Fatal(err)
			}
			w.clock = w.clock.Add(time.Hour)
			req := change(conn, tc.number, tc.which)
			req.Edit = func(c *connection.Connection) { c.Nickname = "Other" }
			claim := w.claim(t)
			claim.Sealed = []byte("sealed")
			req.Effects = func(c *connection.Connection) (effects.Effects, error) {
				if c.Nickname != "Other" || !c.VerifiedAt.Equal(w.clock) {
					t.Errorf("the answer is of %+v", c)
				}
				return effects.Effects{Answer: &claim}, nil
			}
			got, err := w.Change(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			row := w.row(t, conn.ID)
			if diff := cmp.Diff(row, *got); diff != "" {
				t.Errorf("another row is stored:\n%s", diff)
			}
			wantNumber, wantWhich := number, "one"
			if tc.number != "" {
				wantNumber = tc.number
			}
			if tc.which != "" {
				wantWhich = tc.which
			}
			if row.ID != conn.ID || row.AccountNumber != wantNumber || row.Nickname != "Other" || row.ChecksWithCredentials != 1 || row.ChecksEver != 3 || w.production.checks[2] != 1 {
				t.Errorf("row %+v", row)
			}
			want := connection.PreviousCredentials{
				SecretVersion: conn.SecretVersion, AccountNumber: number, LastFour: conn.APIKeyLastFour, CredentialID: conn.CredentialID, Until: w.clock.Add(connection.PreviousKept),
			}
			if diff := cmp.Diff(want, row.Previous); diff != "" {
				t.Errorf("previous (-want +got):\n%s", diff)
			}
			if asked := w.production.asked[2]; asked.Number != wantNumber || !asked.Credentials.Equal(credentials(wantWhich)) {
				t.Errorf("asked for %v", asked)
			}
			w.keeps(t, conn.ID, credentials(wantWhich))
			w.whole(t)
		})
	}
	t.Run("to a number that may be held twice", func(t *testing.T) {
		w := newWorld(t)
		conn := w.link(t)
		w.linkAs(t, number2, "other")
		req := change(conn, number2, "two")
		req.AllowDuplicate = true
		if _, err := w.Change(t.Context(), req); err != nil || len(w.linked(t, number2)) != 2 {
			t.Errorf("Change = %v, linked as %v", err, w.linked(t, number2))
		}
		w.whole(t)
	})
}

// TestChangeToTheSame: the stored credentials are verified only, and a rollback restores
// what it would have restored before.
func TestChangeToTheSame(t *testing.T) {
	again := func(c connection.Connection) connection.ChangeRequest { return change(c, "", "two") }
	setUp := func(t *testing.T) (*world, connection.Connection) {
		t.Helper()
		w := newWorld(t)
		conn := w.changed(t, w.link(t), "", "two")
		w.clock = w.clock.Add(time.Hour)
		w.production.asked, w.production.checks = nil, nil
		return w, conn
	}
	for _, o := range carrier.Outcomes() {
		if o == carrier.OutcomeOK {
			continue
		}
		t.Run("refused: "+string(o), func(t *testing.T) {
			w, conn := setUp(t)
			before := w.kept(t, conn.ID)
			w.production.answers(bad(o))
			if got, err := w.Change(t.Context(), again(conn)); got != nil || !fault.Is(err, fault.KindOf(bad(o).Err())) {
				t.Errorf("Change = %v, %v, want %v", got, err, bad(o).Err())
			}
			if diff := cmp.Diff(before, w.kept(t, conn.ID)); diff != "" {
				t.Errorf("something has changed:\n%s", diff)
			}
		})
	}
	t.Run("the secret cannot be read for now", func(t *testing.T) {
		w, conn := setUp(t)
		w.failing("Get", fault.New(fault.Overloaded, "m"))
		before := w.kept(t, conn.ID)
		if _, err := w.Change(t.Context(), again(conn)); !fault.Is(err, fault.Overloaded) || len(w.production.asked) != 0 {
			t.Errorf("Change = %v, want Overloaded; the carrier was asked %d times", err, len(w.production.asked))
		}
		if diff := cmp.Diff(before, w.kept(t, conn.ID)); diff != "" {
			t.Errorf("something has changed:\n%s", diff)
		}
	})
	t.Run("another change was faster", func(t *testing.T) {
		w, conn := setUp(t)
		w.production.meanwhile = func() { w.changed(t, conn, "", "three") }
		if _, err := w.Change(t.Context(), again(conn)); !fault.Is(err, fault.State) || fault.Of(err)[0].RetryAfter == 0 {
			t.Errorf("Change = %v, want State with RetryAfter", err)
		}
		w.keeps(t, conn.ID, credentials("three"))
	})
	t.Run("the secret is gone", func(t *testing.T) {
		w, conn := setUp(t)
		w.loses(t, conn.ID)
		row := w.changed(t, conn, "", "two")
		if row.SecretVersion == conn.SecretVersion {
			t.Error("the change has not made the secret again")
		}
		w.keeps(t, conn.ID, credentials("two"))
	})
	for name, tc := range map[string]struct {
		number, secret  string
		changed, staged bool
	}{
		"another secret of the key":    {"", "secret three", true, true},
		"another number":               {number2, "secret two", true, false},
		"the same, with the number":    {number, "secret two", false, false},
		"the same, without the number": {"", "secret two", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, conn := setUp(t)
			req := change(conn, tc.number, "two")
			req.Credentials.APISecret = secret.New(tc.secret)
			req.Edit = func(c *connection.Connection) { c.Nickname = "Other" }
			claim := w.claim(t)
			claim.Sealed = []byte("sealed")
			req.Effects = func(*connection.Connection) (effects.Effects, error) { return effects.Effects{Answer: &claim}, nil }
			labels := w.labels(t, conn.ID)
			got, err := w.Change(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			row := w.row(t, conn.ID)
			if diff := cmp.Diff(row, *got); diff != "" || row.Nickname != "Other" {
				t.Errorf("another row is stored:\n%s", diff)
			}
			check := conn.ChecksWithCredentials + 1
			if tc.changed {
				check = 1
			}
			if diff := cmp.Diff([]int{check}, w.production.checks); diff != "" || row.ChecksWithCredentials != check {
				t.Errorf("checks %d, asked (-want +got):\n%s", row.ChecksWithCredentials, diff)
			}
			if h := w.history(t, conn.ID); len(h) != 3 || h[0].At != w.clock || h[0].Trigger != connection.TriggerManual || !row.VerifiedAt.Equal(w.clock) {
				t.Errorf("history %+v, verified at %v", h, row.VerifiedAt)
			}
			kept := row.SecretVersion == conn.SecretVersion && row.Previous == conn.Previous && row.CredentialsUpdatedAt.Equal(conn.CredentialsUpdatedAt)
			if kept == tc.changed || cmp.Equal(labels, w.labels(t, conn.ID)) == tc.changed || (row.SecretVersion != conn.SecretVersion) != tc.staged {
				t.Errorf("kept %v, labels %v, before %v", kept, w.labels(t, conn.ID), labels)
			}
			w.whole(t)
		})
	}
}

// TestChangeMeanwhile: other changes happen while the carrier is asked.
func TestChangeMeanwhile(t *testing.T) {
	ctx := context.Background()
	for _, tc := range []struct {
		name         string
		meanwhile    func(*testing.T, *world, connection.Connection)
		want, pinned fault.Kind // Internal: it goes through
	}{
		{"an edit", func(_ *testing.T, w *world, c connection.Connection) { _ = rename(ctx, w, w.Service, c) }, 0, fault.Precondition},
		{"a check", func(_ *testing.T, w *world, c connection.Connection) { _ = readCheck(ctx, w, w.Service, c) }, 0, fault.Precondition},
		{"a check begins", func(_ *testing.T, w *world, c connection.Connection) {
			_, _ = w.memory.ClaimCheck(ctx, c, nil, w.clock.Add(time.Minute), w.clock)
		}, 0, fault.Precondition},
		{"another change", func(_ *testing.T, w *world, c connection.Connection) { _, _ = w.Change(ctx, change(c, "", "three")) }, fault.State, fault.Precondition},
		{"another change begins", func(_ *testing.T, w *world, c connection.Connection) {
			w.dies(3, func() { _, _ = w.Change(ctx, change(c, "", "three")) })
		}, fault.State, fault.Precondition},
		{"another number", func(_ *testing.T, w *world, c connection.Connection) { _, _ = w.Change(ctx, change(c, number3, "")) }, fault.State, fault.Precondition},
		{"it is unlinked", func(_ *testing.T, w *world, c connection.Connection) { _ = w.Unlink(ctx, c, false, nil) }, fault.NotFound, fault.Precondition},
		{"its account is disabled", func(t *testing.T, w *world, _ connection.Connection) { t.Helper(); w.enabled(t, false); w.followed(t) }, 0, fault.Precondition},
		{"its account is deleted", func(t *testing.T, w *world, _ connection.Connection) { t.Helper(); w.deleted(t, 30); w.followed(t) }, fault.State, fault.Precondition},
		{"its account is being deleted", func(t *testing.T, w *world, _ connection.Connection) {
			t.Helper()
			w.deleted(t, 30)
			w.dies(4, func() { _ = w.Follow(ctx, accountID) })
			w.clock = w.clock.Add(time.Minute)
		}, fault.State, fault.Precondition},
	} {
		for _, pinned := range []bool{false, true} {
			for _, which := range []string{"two", ""} { // credentials and number, the number alone
				t.Run(tc.name, func(t *testing.T) {
					w := newWorld(t)
					conn := w.link(t)
					var left connection.Connection
					w.production.meanwhile = func() { tc.meanwhile(t, w, conn); left = w.row(t, conn.ID) }
					req := change(conn, number2, which)
					req.Pinned = pinned
					want := tc.want
					if pinned {
						want = tc.pinned
					}
					_, err := w.Change(t.Context(), req)
					if want == 0 && err != nil || want != 0 && !fault.Is(err, want) {
						t.Errorf("pinned %t: Change = %v, want %v", pinned, err, want)
					}
					if want != 0 {
						if diff := cmp.Diff(left, w.row(t, conn.ID)); diff != "" {
							t.Errorf("pinned %t: what came first is no more (-before +after):\n%s", pinned, diff)
						}
					}
					w.clock = w.clock.Add(time.Minute)
					w.reconciled(t)
					w.whole(t)
				})
			}
		}
	}
}

// TestChangeIsRunning: other requests wait for the lease of a change, and finish the
// change once the lease has expired.
func TestChangeIsRunning(t *testing.T) {
	others := map[string]func(context.Context, *world, *connection.Service, connection.Connection) error{
		"rename": rename, "verify": verify, "rollback": rollback, "request": requestRefresh, "unlink": unlink,
		"change": func(ctx context.Context, _ *world, s *connection.Service, c connection.Connection) error {
			_, err := s.Change(ctx, change(c, "", "four"))
			return err
		},
	}
	for name, other := range others {
		for n := 1; n <= 7; n++ { // read, two allowances, claim, stage, change, align
			w := newWorld(t)
			conn := w.changed(t, w.link(t), "", "two")
			w.dies(n, func() { _ = changeOf(number, "", "three")(context.Background(), w, w.Service) })
			if n > 3 {
				asked := len(w.production.asked)
				err := other(t.Context(), w, w.Service, w.row(t, conn.ID))
				isState(t, err, true)
				if len(w.production.asked) != asked {
					t.Errorf("%s: the carrier is asked in vain", name)
				}
			}
			w.clock = w.clock.Add(31 * time.Second)
			if err := other(t.Context(), w, w.Service, w.row(t, conn.ID)); err != nil {
				t.Errorf("%s after call %d of a change: %v", name, n, err)
			}
			w.whole(t)
		}
	}
}

func TestRollback(t *testing.T) {
	t.Run("nothing to go back to", func(t *testing.T) {
		w := newWorld(t)
		isState(t, rollback(t.Context(), w, w.Service, w.link(t)), false)
	})
	t.Run("too late", func(t *testing.T) {
		w := newWorld(t)
		conn := w.changed(t, w.link(t), "", "two")
		w.clock = w.clock.Add(connection.PreviousKept)
		isState(t, rollback(t.Context(), w, w.Service, conn), false)
		w.clock = w.clock.Add(-time.Second)
		if err := rollback(t.Context(), w, w.Service, conn); err != nil {
			t.Errorf("a second before: %v", err)
		}
	})
	t.Run("the vault is down", func(t *testing.T) {
		w := newWorld(t)
		conn := w.changed(t, w.link(t), "", "two")
		w.failing("Get", errors.New("down"))
		if err := rollback(t.Context(), w, w.Service, conn); err == nil || !fault.Is(err, fault.Internal) {
			t.Errorf("Rollback = %v", err)
		}
	})
	t.Run("another connection holds the number by now", func(t *testing.T) {
		w := newWorld(t)
		conn := w.changed(t, w.link(t), number2, "two")
		other := w.linkAs(t, number, "other")
		err := rollback(t.Context(), w, w.Service, conn)
		if !fault.Is(err, fault.CarrierConflict) || fault.Of(err)[0].ExistingCarrierID != other.ID {
			t.Errorf("Rollback = %v", err)
		}
		w.keeps(t, conn.ID, credentials("two"))
		w.whole(t)
	})
	t.Run("back and forth", func(t *testing.T) {
		w := newWorld(t)
		conn := w.changed(t, w.link(t), number2, "two")
		for range 3 {
			for _, want := range []struct{ number, which string }{{number, "one"}, {number2, "two"}} {
				if err := rollback(t.Context(), w, w.Service, w.row(t, conn.ID)); err != nil {
					t.Fatal(err)
				}
				if row := w.row(t, conn.ID); row.AccountNumber != want.number {
					t.Errorf("the number is %s, want %s", row.AccountNumber, want.number)
				}
				w.keeps(t, conn.ID, credentials(want.which))
				w.whole(t)
			}
		}
	})
}

func TestUnlink(t *testing.T) {
	w := newWorld(t)
	conn := w.changed(t, w.link(t), "", "two")
	// A check that is running is overtaken.
	var err error
	w.production.meanwhile = func() { err = w.Unlink(context.Background(), conn, false, nil) }
	isState(t, readCheck(t.Context(), w, w.Service, conn), true)
	if err != nil {
		t.Fatal(err)
	}
	row, snap := w.stored(t, conn.ID)
	if row.Status != connection.Disconnected || !row.PurgeAt.Equal(w.clock.Add(connection.HistoryKept)) || !row.DisconnectedAt.Equal(w.clock) || row.Scheduled() || snap != nil || row.Previous.Available(w.clock) {
		t.Errorf("row %+v, snapshot %v", row, snap)
	}
	if n := len(w.history(t, conn.ID)); n != 2 {
		t.Errorf("the history has %d entries", n)
	}
	w.whole(t)
	for name, again := range map[string]func() error{
		"Unlink":                        func() error { return w.Unlink(t.Context(), row, false, nil) },
		"Unlink, as it was read before": func() error { return w.Unlink(t.Context(), conn, false, nil) },
		"Change":                        func() error { return rename(t.Context(), w, w.Service, row) },
		"Check":                         func() error { return readCheck(t.Context(), w, w.Service, row) },
		"Refresh":                       func() error { return refresh(t.Context(), w, w.Service, row) },
		"Rollback":                      func() error { return changeOf(number, "", "three")(t.Context(), w, w.Service) },
	} {
		if err := again(); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s of an unlinked one: %v", name, err)
		}
	}
	t.Run("twice at once", func(t *testing.T) {
		w := newWorld(t)
		conn := w.link(t)
		w.on = func(_ context.Context, name string, do func() error) error {
			if name == "Delete" {
				w.on = nil
				if err := w.Unlink(context.Background(), conn, false, nil); err != nil {
					t.Errorf("the second: %v", err)
				}
			}
			return do()
		}
		if err := w.Unlink(t.Context(), conn, false, nil); err != nil {
			t.Errorf("the first: %v", err)
		}
		w.whole(t)
	})
	t.Run("the vault is down", func(t *testing.T) {
		w := newWorld(t)
		conn := w.link(t)
		w.failing("Delete", errors.New("down"))
		if err := w.Unlink(t.Context(), conn, false, nil); err != nil {
			t.Errorf("Unlink = %v: the connection is gone all the same", err)
		}
		w.on = nil
		w.clock = w.clock.Add(time.Minute)
		if report := w.reconciled(t); report.UnlinksFinished != 1 {
			t.Errorf("reconciled %+v", report)
		}
		w.whole(t)
	})
}
