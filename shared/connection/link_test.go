package connection_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/invocation"
	"carrierlink/shared/store"
)

// TestLinkOutcomes: after a refusal nothing is stored, after an outage only with
// VerifyLater.
func TestLinkOutcomes(t *testing.T) {
	for _, o := range carrier.Outcomes() {
		for _, later := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, verify later %t", o, later), func(t *testing.T) {
				w := newWorld(t)
				if o != carrier.OutcomeOK {
					w.production.answers(bad(o))
				}
				req := w.request(t)
				req.VerifyLater = later
				conn, err := w.Link(t.Context(), req)
				if len(w.production.asked) != 1 || len(w.sandbox.asked) != 0 || w.production.checks[0] != 1 || w.production.asked[0].Number != number {
					t.Errorf("the carrier was asked %d times: %v", len(w.production.asked), w.production.checks)
				}
				if o != carrier.OutcomeOK && (!later || !o.IsOutage()) {
					want := fault.KindOf(w.production.reading.Err())
					if conn != nil || !fault.Is(err, want) || fault.Of(err)[0].Diagnosis == nil {
						t.Fatalf("Link = %v, %v, want %v with a diagnosis", conn, err, want)
					}
					if l := w.linked(t, number); len(l) != 0 {
						t.Errorf("a refused link leaves %v", l)
					}
					if l, _ := w.memory.Load(t.Context(), accountID, store.Want{}); l.Account.CarriersCount != 0 {
						t.Errorf("carriers_count = %d", l.Account.CarriersCount)
					}
					return
				}
				if err != nil {
					t.Fatalf("Link = %v", err)
				}
				row, snap := w.stored(t, conn.ID)
				want := connection.Active
				if o != carrier.OutcomeOK {
					want = connection.PendingVerification
				}
				if row.Status != want || conn.Status != want || row.ChecksWithCredentials != 1 || row.LastCheck.Outcome != o || row.LastCheck.Trigger != connection.TriggerLink {
					t.Errorf("status %s, answered %s, want %s; last check %+v", row.Status, conn.Status, want, row.LastCheck)
				}
				if (snap == nil) != (o != carrier.OutcomeOK) || row.NextRefreshAt.IsZero() || !row.LeaseUntil.IsZero() {
					t.Errorf("snapshot %v, next refresh %v, lease %v", snap, row.NextRefreshAt, row.LeaseUntil)
				}
				w.keeps(t, conn.ID, credentials("one"))
				if l, _ := w.memory.Load(t.Context(), accountID, store.Want{}); l.Account.CarriersCount != 1 {
					t.Errorf("carriers_count = %d", l.Account.CarriersCount)
				}
			})
		}
	}
}

func TestLinkKeepsTheRequest(t *testing.T) {
	w := newWorld(t)
	answered, err := w.Link(t.Context(), w.request(t))
	if err != nil {
		t.Fatal(err)
	}
	conn := *answered
	row, snap := w.stored(t, conn.ID)
	want := connection.Connection{
		ID: conn.ID, AccountID: accountID, PartnerID: 5, Carrier: carrier.AustraliaPost, AccountNumber: number, Nickname: "Main", Status: connection.Active,
		Environment: carrier.Production, Standing: account.StandingActive, ChecksEver: 1, CredentialID: connection.CredentialID(credentials("one").APIKey),
		ContractHash:          connection.SnapshotHash([]byte(`{"account_number":"` + number + `"}`)),
		ChecksWithCredentials: 1, LastCheck: connection.Check{At: w.clock, Outcome: carrier.OutcomeOK, Latency: 120 * time.Millisecond, Trigger: connection.TriggerLink}, VerifiedAt: w.clock,
		RefreshPolicy: connection.RefreshDaily, APIKeyLastFour: "1234", CredentialsUpdatedAt: w.clock, ContractValidTo: "2027-06-30", ExternalID: "ext",
		Metadata: map[string]string{"a": "b"}, CreatedAt: w.clock, ModifiedAt: w.clock,
		NextRefreshAt: row.NextRefreshAt, SecretVersion: row.SecretVersion, Version: row.Version,
	}
	if diff := cmp.Diff(want, row); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(row, conn); diff != "" {
		t.Errorf("the answer differs from the row:\n%s", diff)
	}
	if raw, err := snap.Raw(); err != nil || string(raw) != `{"account_number":"`+number+`"}` || !snap.At.Equal(w.clock) {
		t.Errorf("snapshot %s of %v, %v", raw, snap.At, err)
	}
	if _, err := hex.DecodeString(row.SecretVersion); len(row.SecretVersion) != 32 || err != nil {
		t.Errorf("secret version %q", row.SecretVersion)
	}
}

func TestLinkOfALinkedNumber(t *testing.T) {
	w := newWorld(t)
	first := w.link(t)
	w.production.asked = nil
	t.Run("conflict", func(t *testing.T) {
		conn, err := w.Link(t.Context(), w.request(t))
		if conn != nil || !fault.Is(err, fault.CarrierConflict) || fault.Of(err)[0].ExistingCarrierID != first.ID || fault.Of(err)[0].Field != "account_number" {
			t.Errorf("Link = %v, %v, want a conflict with %s", conn, err, first.ID)
		}
		if len(w.production.asked) != 0 {
			t.Error("the carrier is asked although the answer is known")
		}
	})
	t.Run("a holder that is gone", func(t *testing.T) {
		req := w.request(t)
		req.Holders = []string{"se-gone"}
		req.ChargeAccount.Carrier, req.ChargeAccount.Number = carrier.StarTrack, "09912345"
		if _, err := w.Link(t.Context(), req); err != nil {
			t.Errorf("Link = %v", err)
		}
	})
	t.Run("the holder cannot be read", func(t *testing.T) {
		down := errors.New("down")
		w.failing("Connection", down)
		defer func() { w.on = nil }()
		if _, err := w.Link(t.Context(), w.request(t)); fault.KindOf(err) != fault.Internal || !errors.Is(err, down) {
			t.Errorf("Link = %v, want internal", err)
		}
	})
	t.Run("duplicate allowed", func(t *testing.T) {
		req := w.request(t)
		req.AllowDuplicate = true
		second, err := w.Link(t.Context(), req)
		if err != nil || second.ID == first.ID {
			t.Fatalf("Link = %v, %v, want another connection", second, err)
		}
		if l := w.linked(t, number); len(l) != 2 {
			t.Errorf("linked as %v", l)
		}
		if row, _ := w.stored(t, first.ID); row.Status != connection.Active {
			t.Errorf("the first is %s", row.Status)
		}
	})
}

// TestLinkAfterACrash: whichever call the first attempt died after, the next link of the
// number after the lease has expired ends with one connection and one secret, under the
// first attempt's carrier_id and with its own credentials.
func TestLinkAfterACrash(t *testing.T) {
	dead := errors.New("the process died")
	for _, tc := range []struct {
		name string
		cut  func(*world)
	}{
		{"after the intent", func(w *world) { w.failing("Create", dead) }},
		{"after the secret", func(w *world) { w.failing("FinishLink", dead) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			tc.cut(w)
			if _, err := w.Link(t.Context(), w.request(t)); !errors.Is(err, dead) || fault.KindOf(err) != fault.Internal {
				t.Fatalf("Link = %v, want internal", err)
			}
			w.on = nil
			ids := w.linked(t, number)
			if len(ids) != 1 {
				t.Fatalf("the intent holds the number as %v", ids)
			}
			intent, _ := w.stored(t, ids[0])
			if intent.Status != connection.Linking || !intent.LeaseUntil.Equal(w.clock.Add(30*time.Second)) {
				t.Fatalf("the intent is %s until %v", intent.Status, intent.LeaseUntil)
			}

			w.clock = w.clock.Add(20 * time.Second)
			w.production.asked = nil
			_, err := w.Link(t.Context(), w.request(t))
			if !fault.Is(err, fault.State) || fault.Of(err)[0].RetryAfter != time.Second || len(w.production.asked) != 0 {
				t.Fatalf("within the lease: Link = %v, want state with a second, and no question to the carrier", err)
			}

			w.clock = w.clock.Add(10 * time.Second)
			req := w.request(t)
			req.Nickname, req.ChargeAccount.Credentials = "Second try", credentials("two")
			conn, err := w.Link(t.Context(), req)
			if err != nil || conn.ID != ids[0] {
				t.Fatalf("after the lease: Link = %v, %v, want %s taken over", conn, err, ids[0])
			}
			row, snap := w.stored(t, conn.ID)
			if row.Status != connection.Active || row.Nickname != "Second try" || row.ChecksWithCredentials != 1 || snap == nil || row.SecretVersion == intent.SecretVersion {
				t.Errorf("row %+v, snapshot %v", row, snap)
			}
			if !row.CreatedAt.Equal(intent.CreatedAt) || len(w.linked(t, number)) != 1 {
				t.Errorf("created at %v, linked as %v", row.CreatedAt, w.linked(t, number))
			}
			w.keeps(t, conn.ID, credentials("two"))
		})
	}
}

// TestCrashedDuplicateIsNoPermission: an abandoned intent of a duplicate exists beside
// an active connection. A link that does not allow duplicates must not take it over.
func TestCrashedDuplicateIsNoPermission(t *testing.T) {
	for i := range 8 { // in whatever order the ids are
		w := newWorld(t)
		live := w.link(t)
		w.failing("Create", errors.New("the process died"))
		req := w.request(t)
		req.AllowDuplicate = true
		if _, err := w.Link(t.Context(), req); err == nil {
			t.Fatal("Link succeeds without a vault")
		}
		w.on = nil
		w.clock = w.clock.Add(time.Hour)
		if conn, err := w.Link(t.Context(), w.request(t)); !fault.Is(err, fault.CarrierConflict) || fault.Of(err)[0].ExistingCarrierID != live.ID {
			t.Fatalf("try %d: Link = %v, %v, want a conflict with %s", i, conn, err, live.ID)
		}
		req = w.request(t)
		req.AllowDuplicate = true
		if conn, err := w.Link(t.Context(), req); err != nil || conn.ID == live.ID || len(w.linked(t, number)) != 2 {
			t.Fatalf("try %d: Link = %v, %v, want the intent taken over", i, conn, err)
		}
	}
}

// TestTwinIsFaster: a concurrent request links the number while this one asks the
// carrier.
func TestTwinIsFaster(t *testing.T) {
	dead := errors.New("at work")
	for _, tc := range []struct {
		name  string
		twin  func(*testing.T, *world)
		want  fault.Kind
		retry time.Duration
	}{
		{"and done", func(t *testing.T, w *world) { t.Helper(); w.link(t) }, fault.CarrierConflict, 0},
		{"and still at work", func(t *testing.T, w *world) {
			t.Helper()
			w.failing("Create", dead)
			if _, err := w.Link(t.Context(), w.request(t)); !errors.Is(err, dead) {
				t.Fatal(err)
			}
			w.on = nil
		}, fault.State, time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.production.meanwhile = func() { tc.twin(t, w) }
			conn, err := w.Link(t.Context(), w.request(t))
			if conn != nil || !fault.Is(err, tc.want) || fault.Of(err)[0].RetryAfter != tc.retry {
				t.Fatalf("Link = %v, %v, want %v", conn, err, tc.want)
			}
			ids := w.linked(t, number)
			if len(ids) != 1 {
				t.Fatalf("linked as %v", ids)
			}
			if tc.want == fault.CarrierConflict && fault.Of(err)[0].ExistingCarrierID != ids[0] {
				t.Errorf("the conflict is with %q, want %s", fault.Of(err)[0].ExistingCarrierID, ids[0])
			}
		})
	}
	t.Run("at the take-over", func(t *testing.T) {
		w := newWorld(t)
		w.failing("Create", dead)
		if _, err := w.Link(t.Context(), w.request(t)); err == nil {
			t.Fatal("Link succeeds without a vault")
		}
		w.on = nil
		w.clock = w.clock.Add(time.Hour)
		req := w.request(t)
		w.production.meanwhile = func() { w.link(t) }
		if conn, err := w.Link(t.Context(), req); conn != nil || !fault.Is(err, fault.State) || fault.Of(err)[0].RetryAfter == 0 {
			t.Errorf("Link = %v, %v, want state", conn, err)
		}
		if ids := w.linked(t, number); len(ids) != 1 {
			t.Errorf("linked as %v", ids)
		}
	})
}

// TestLinkOfTooLargeAnAnswer: an answer too large to store counts as unreadable.
func TestLinkOfTooLargeAnAnswer(t *testing.T) {
	noise := make([]byte, 400_000)
	random := mathrand.NewChaCha8([32]byte{})
	for i := 0; i+8 <= len(noise); i += 8 {
		binary.LittleEndian.PutUint64(noise[i:], random.Uint64())
	}
	for _, later := range []bool{false, true} {
		w := newWorld(t)
		w.production.answers(good(number))
		w.production.reading.Raw = noise
		req := w.request(t)
		req.VerifyLater = later
		conn, err := w.Link(t.Context(), req)
		if !later {
			if !fault.Is(err, fault.CarrierDown) || len(w.linked(t, number)) != 0 || fault.Of(err)[0].Diagnosis.Category != "carrier_unreadable" || fault.Of(err)[0].Message != connection.ErrTooLarge.Message {
				t.Errorf("Link = %v, %v, want carrier down", conn, err)
			}
			continue
		}
		if err != nil || conn.Status != connection.PendingVerification || conn.StatusReason != string(carrier.OutcomeUnreadable) {
			t.Errorf("Link = %+v, %v, want pending verification", conn, err)
		}
	}
}

func TestLinkFails(t *testing.T) {
	broken := errors.New("broken")
	disabled := merchant(72)
	disabled.Active = false
	absent := merchant(99)
	tests := []struct {
		name  string
		setUp func(*world, *connection.LinkRequest)
		want  fault.Kind
	}{
		{"the account is disabled meanwhile", func(_ *world, r *connection.LinkRequest) { r.Account = disabled }, fault.Inactive},
		{"the account is gone meanwhile", func(_ *world, r *connection.LinkRequest) { r.Account = absent }, fault.NotFound},
		{"no randomness", func(w *world, _ *connection.LinkRequest) { w.Random = iotest.ErrReader(broken) }, fault.Internal},
		{"no randomness for the version", func(w *world, _ *connection.LinkRequest) { w.Random = bytes.NewReader(make([]byte, 8)) }, fault.Internal},
		{"the vault is busy", func(w *world, _ *connection.LinkRequest) {
			w.failing("Create", &fault.Error{Kind: fault.State, Message: "m", RetryAfter: time.Second})
		}, fault.State},
		{"the answer cannot be sealed", func(_ *world, r *connection.LinkRequest) {
			r.Effects = func(*connection.Connection) (effects.Effects, error) { return effects.Effects{}, broken }
		}, fault.Internal},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.newAccount(t, disabled)
			req := w.request(t)
			tc.setUp(w, &req)
			if conn, err := w.Link(t.Context(), req); conn != nil || !fault.Is(err, tc.want) {
				t.Fatalf("Link = %v, %v, want %v", conn, err, tc.want)
			}
			for _, id := range w.linked(t, number) {
				if row, _ := w.stored(t, id); row.Status != connection.Linking {
					t.Errorf("a link that failed is %s", row.Status)
				}
			}
		})
	}
}

// TestAnswerIsStoredWithTheLink: the answer is stored in the same transaction and shows
// the row as stored.
func TestAnswerIsStoredWithTheLink(t *testing.T) {
	w := newWorld(t)
	claim := effects.Record{Scope: "s", Key: "k", ClaimID: "c", PayloadMAC: []byte{1}, LeaseUntil: w.clock.Add(time.Minute), ExpiresAt: w.clock.Add(time.Hour)}
	if err := w.memory.ClaimIdempotency(t.Context(), claim, w.clock); err != nil {
		t.Fatal(err)
	}
	req := w.request(t)
	var shown connection.Connection
	req.Effects = func(c *connection.Connection) (effects.Effects, error) {
		shown = *c
		rec := claim
		rec.Sealed = []byte("sealed")
		return effects.Effects{Answer: &rec}, nil
	}
	conn, err := w.Link(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if shown.Status != connection.Active || shown.ID != conn.ID || shown.NextRefreshAt != conn.NextRefreshAt || shown.ChecksWithCredentials != 1 {
		t.Errorf("the answer shows %+v", shown)
	}
	again := claim
	again.ClaimID = "d"
	if replay, ok := errors.AsType[*effects.Replay](w.memory.ClaimIdempotency(t.Context(), again, w.clock)); !ok || string(replay.Record.Sealed) != "sealed" {
		t.Errorf("the stored answer is %v", replay)
	}
}

// TestLease: the lease ends shortly after Lambda ends the process, by the service's own
// clock. The deadline is that of the invocation's context, 1.5 s earlier.
func TestLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &connection.Service{Now: func() time.Time { return time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC) }}
		if got := w.Lease(t.Context()).Sub(w.Now()); got != 30*time.Second {
			t.Errorf("without a deadline: %v, want 30s", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 28*time.Second-invocation.Margin)
		defer cancel()
		time.Sleep(3 * time.Second) // in a bubble
		if got := w.Lease(ctx).Sub(w.Now()); got != 27*time.Second {
			t.Errorf("with 25s of Lambda's time left: %v, want them and a margin", got)
		}
	})
}

// TestLinkWhatWasUnlinked: the listed holder releases the number before it is read.
func TestLinkWhatWasUnlinked(t *testing.T) {
	w := newWorld(t)
	first := w.link(t)
	req := w.request(t)
	if err := w.Unlink(t.Context(), first, false, nil); err != nil {
		t.Fatal(err)
	}
	if second, err := w.Link(t.Context(), req); err != nil || second.ID == first.ID {
		t.Errorf("Link = %v, %v, want a new connection", second, err)
	}
	w.whole(t)
}

// TestTwinThatDied: the write of an intent finds the abandoned intent of a concurrent
// request. The caller does not learn that intent's carrier_id.
func TestTwinThatDied(t *testing.T) {
	w := newWorld(t)
	w.production.meanwhile = func() {
		w.dies(4, func() { _ = linkOf(number, "two", nil)(context.Background(), w, w.Service) })
		w.clock = w.clock.Add(time.Minute)
	}
	_, err := w.Link(t.Context(), w.request(t))
	isState(t, err, true)
	if fault.Of(err)[0].ExistingCarrierID != "" {
		t.Errorf("the caller learns of an intent: %v", err)
	}
	w.clock = w.clock.Add(time.Minute)
	if report := w.reconciled(t); report.LinksUndone != 1 {
		t.Errorf("reconciled %+v", report)
	}
	w.whole(t)
}

// TestLinkToADisabledAccount: a link that is refused at its last write is undone at
// once. If the process dies while it undoes it, the reconciler does.
func TestLinkToADisabledAccount(t *testing.T) {
	for _, deleted := range []bool{false, true} {
		w := newWorld(t)
		want := fault.Inactive
		w.on = func(_ context.Context, name string, do func() error) error {
			if name == "FinishLink" {
				if w.enabled(t, false); deleted {
					w.deleted(t, 30)
					want = fault.State
				}
			}
			return do()
		}
		if _, err := w.Link(t.Context(), w.request(t)); !fault.Is(err, want) {
			t.Errorf("deleted %t: Link = %v, want %v", deleted, err, want)
		}
		w.on = nil
		w.nothingLinked(t)
		if report := w.reconciled(t); report.LinksUndone != 0 {
			t.Errorf("reconciled %+v", report)
		}
		w.whole(t)
	}
}

// TestRefusedLinkLeavesNothing: of links at once that all begin below a cap, or whose
// Idempotency-Key another request has used, those that are refused at the last write
// leave neither row nor secret, and take nothing from an intent that is another's by then.
func TestRefusedLinkLeavesNothing(t *testing.T) {
	for name, caps := range map[string]connection.Caps{"connections": {Connections: 1}, "links of the day": {LinksPerDay: 1}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.memory.Caps = caps
			w.on = func(_ context.Context, called string, do func() error) error {
				if called == "FinishLink" {
					w.on = nil // the other one's calls
					w.linkAs(t, number2, "two")
				}
				return do()
			}
			_, err := w.Link(t.Context(), w.request(t))
			isState(t, err, false)
			if rows, err := w.memory.AllConnections(t.Context(), accountID); err != nil || len(rows) != 1 || rows[0].AccountNumber != number2 {
				t.Errorf("rows %v, %v", rows, err)
			}
			w.whole(t)
		})
	}
	t.Run("the key is another's", func(t *testing.T) {
		w := newWorld(t)
		rec := effects.Record{Scope: "s", Key: "k", ClaimID: "c", PayloadMAC: []byte{1}, LeaseUntil: w.clock.Add(time.Minute), ExpiresAt: w.clock.Add(time.Hour)}
		if err := w.memory.ClaimIdempotency(t.Context(), rec, w.clock); err != nil {
			t.Fatal(err)
		}
		rec.ClaimID, rec.Sealed = "d", []byte("sealed")
		req := w.request(t)
		req.Effects = func(*connection.Connection) (effects.Effects, error) { return effects.Effects{Answer: &rec}, nil }
		if conn, err := w.Link(t.Context(), req); err == nil {
			t.Fatalf("Link = %v", conn)
		}
		w.nothingLinked(t)
		w.whole(t)
	})
	t.Run("the intent is another's", func(t *testing.T) {
		w := newWorld(t)
		w.on = func(_ context.Context, called string, do func() error) error {
			if called == "FinishLink" {
				w.on = nil
				w.clock = w.clock.Add(time.Minute)
				w.link(t) // takes the intent over
			}
			return do()
		}
		_, err := w.Link(t.Context(), w.request(t))
		isState(t, err, true)
		w.whole(t)
		if n := len(w.linked(t, number)); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
	t.Run("the process dies", func(t *testing.T) {
		for n := 1; ; n++ {
			w := newWorld(t)
			w.memory.Caps = connection.Caps{LinksPerDay: 1}
			refused := -1
			w.on = func(_ context.Context, called string, do func() error) error {
				if called == "FinishLink" && refused < 0 {
					hook := w.on
					w.on, refused = nil, 0
					w.linkAs(t, number2, "two")
					w.on = hook
					return do()
				}
				if refused >= 0 {
					if refused++; refused == n {
						goexit()
					}
				}
				return do()
			}
			inProcess(func() { _ = linkOf(number, "one", nil)(context.Background(), w, w.Service) })
			w.on = nil
			w.clock = w.clock.Add(time.Minute)
			w.reconciled(t)
			w.whole(t)
			if rows, err := w.memory.AllConnections(t.Context(), accountID); err != nil || len(rows) != 1 {
				t.Errorf("killed at call %d: rows %v, %v", n, rows, err)
			}
			if refused < n {
				break
			}
		}
	})
}

// nothingLinked tells that the account has neither row nor secret, before any lease is
// over.
func (w *world) nothingLinked(t *testing.T) {
	t.Helper()
	if rows, err := w.memory.AllConnections(t.Context(), accountID); err != nil || len(rows) != 0 {
		t.Errorf("rows %v, %v", rows, err)
	}
	for id := range w.made {
		if _, missing := w.describe(t, id); !missing {
			t.Errorf("the secret of %s is there", id)
		}
	}
}

// TestUnknownEnvironment: no carrier is called; nil carriers would panic.
func TestUnknownEnvironment(t *testing.T) {
	for _, env := range []carrier.Environment{"", "Sandbox", "staging"} {
		r, snap := connection.Carriers{}.Ask(t.Context(), env, connection.ChargeAccount{Number: "0000123400"}, 1, time.Now())
		if r.Outcome != carrier.OutcomeMalformed || r.Cause == nil || snap != nil {
			t.Errorf("Ask in %q = %+v, %v", env, r, snap)
		}
	}
}

// TestUnknownEnvironmentAsksNobody: a row or an account with an unknown environment
// calls no carrier in any operation, and is never the merchant's fault.
func TestUnknownEnvironmentAsksNobody(t *testing.T) {
	for _, env := range []carrier.Environment{"", "Sandbox", "staging"} {
		for _, u := range []useCase{
			{name: "change credentials", act: changeOf(number, "", "two")},
			{name: "change the number", act: changeOf(number, number2, "")},
			{name: "roll back", act: of(number, rollback)},
			{name: "verify", act: of(number, verify)},
			{name: "read", act: of(number, readCheck)},
			{name: "refresh", act: of(number, refresh)},
			{name: "link", act: linkOf(number2, "other", func(r *connection.LinkRequest) { r.Account.Environment = env })},
			{name: "link for later", act: linkOf(number2, "other", func(r *connection.LinkRequest) { r.Account.Environment, r.VerifyLater = env, true })},
		} {
			w := newWorld(t)
			row := w.changed(t, w.link(t), "", "first")
			row.Environment = env
			if err := w.memory.SaveConnection(t.Context(), &row); err != nil {
				t.Fatal(err)
			}
			w.clock = w.clock.AddDate(0, 0, 3)
			asked := len(w.production.asked)
			if err := u.act(t.Context(), w, w.Service); err != nil && !fault.Is(err, fault.CarrierDown) {
				t.Errorf("%s in %q: %v, want none of the merchant's", u.name, env, err)
			}
			if len(w.production.asked) != asked || len(w.sandbox.asked) != 0 {
				t.Errorf("%s in %q: a carrier is asked", u.name, env)
			}
			if now := w.row(t, row.ID); now.Status == connection.ActionRequired || now.SecretVersion != row.SecretVersion || now.AccountNumber != row.AccountNumber {
				t.Errorf("%s in %q: the row becomes %s, %s", u.name, env, now.Status, now.StatusReason)
			}
		}
	}
}

// TestJitter: the service's Jitter spreads the next check by ± 10 %.
func TestJitter(t *testing.T) {
	for jitter, want := range map[float64]time.Duration{0: 24*time.Hour - 144*time.Minute, 0.5: 24 * time.Hour, 1: 24*time.Hour + 144*time.Minute} {
		w := newWorld(t)
		var asked string
		w.Jitter = func(connectionID string) float64 { asked = connectionID; return jitter }
		conn := w.link(t)
		if got := conn.NextRefreshAt.Sub(w.clock); got != want || asked != conn.ID {
			t.Errorf("jitter %v of %q: next check after %v, want %v", jitter, asked, got, want)
		}
	}
}
