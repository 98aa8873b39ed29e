package linking_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/linking"
	"carrierlink/shared/store"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/vault"
	"carrierlink/shared/vault/vaulttest"
)

const (
	accountID = 71
	number    = "0009912345"
)

// askedOf is a carrier that answers what it is told to.
type askedOf struct {
	reading   carrier.Reading
	meanwhile func() // while the carrier is asked
	asked     []carrier.ChargeAccount
	checks    []int
}

func (c *askedOf) GetAccount(_ context.Context, account carrier.ChargeAccount, check int) carrier.Reading {
	c.asked, c.checks = append(c.asked, account), append(c.checks, check)
	if f := c.meanwhile; f != nil {
		c.meanwhile = nil
		f()
	}
	return c.reading
}

// cutStore and cutVault fail where they are told to, as a call does that gets no
// answer: what came before it stays.
type cutStore struct {
	*storetest.Memory
	finish, record, connection error
}

func (s *cutStore) FinishLink(ctx context.Context, conn *carrier.Connection, snap *carrier.Snapshot, answer *carrier.IdempotencyRecord) error {
	if s.finish != nil {
		return s.finish
	}
	return s.Memory.FinishLink(ctx, conn, snap, answer)
}

func (s *cutStore) RecordCheck(ctx context.Context, conn *carrier.Connection, snap *carrier.Snapshot) error {
	if s.record != nil {
		return s.record
	}
	return s.Memory.RecordCheck(ctx, conn, snap)
}

func (s *cutStore) Connection(ctx context.Context, account int64, id string) (carrier.Connection, error) {
	if s.connection != nil {
		return carrier.Connection{}, s.connection
	}
	return s.Memory.Connection(ctx, account, id)
}

type cutVault struct {
	*vault.Vault
	create, get error
}

func (v *cutVault) Create(ctx context.Context, account int64, id, version string, c carrier.Credentials) error {
	if v.create != nil {
		return v.create
	}
	return v.Vault.Create(ctx, account, id, version, c)
}

func (v *cutVault) Get(ctx context.Context, account int64, id string) (carrier.Credentials, error) {
	if v.get != nil {
		return carrier.Credentials{}, v.get
	}
	return v.Vault.Get(ctx, account, id)
}

type world struct {
	*linking.Linker
	store      *cutStore
	vault      *cutVault
	production *askedOf
	sandbox    *askedOf
	clock      time.Time
}

func good(n string) carrier.Reading {
	return carrier.Reading{
		Outcome: carrier.OutcomeOK, HTTPStatus: 200, Latency: 120 * time.Millisecond, Raw: []byte(`{"account_number":"` + n + `"}`),
		Contract: carrier.Contract{AccountNumber: n, ValidTo: "2027-06-30"},
	}
}

func account(id int64) carrier.Account {
	return carrier.Account{ID: id, PartnerID: 5, Environment: carrier.Production, OriginCountryCode: "AU", Active: true}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		store: &cutStore{Memory: storetest.NewMemory()}, vault: &cutVault{Vault: vault.New(vaulttest.NewMemory(), "test/carrier/")},
		production: &askedOf{reading: good(number)}, sandbox: &askedOf{reading: good(number)}, clock: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
	}
	w.Linker = &linking.Linker{
		Store: w.store, Vault: w.vault, Production: w.production, Sandbox: w.sandbox, RefusalGap: carrier.RefusalGap,
		Now: func() time.Time { return w.clock }, Random: rand.Reader,
	}
	w.newAccount(t, account(accountID))
	return w
}

func (w *world) newAccount(t *testing.T, a carrier.Account) {
	t.Helper()
	n := store.NewAccount{Account: a, Key: carrier.APIKey{ID: a.ID, PartnerID: 5, AccountID: a.ID, Hash: strconv.FormatInt(a.ID, 10)}}
	if _, err := w.store.CreateAccount(t.Context(), n, w.clock); err != nil {
		t.Fatal(err)
	}
}

func credentials(s string) carrier.Credentials {
	return carrier.Credentials{APIKey: carrier.NewSecret("key " + s + " 1234"), APISecret: carrier.NewSecret("secret " + s)}
}

// request is a link of the account and number, with what is linked now.
func (w *world) request(t *testing.T) linking.LinkRequest {
	t.Helper()
	return linking.LinkRequest{
		Account: account(accountID), Nickname: "Main", RefreshPolicy: carrier.RefreshDaily, LinkedAs: w.linked(t), ExternalID: "ext",
		Metadata:      map[string]string{"a": "b"},
		ChargeAccount: carrier.ChargeAccount{Carrier: carrier.AustraliaPost, Number: number, Credentials: credentials("one")},
	}
}

func (w *world) linked(t *testing.T) []string {
	t.Helper()
	l, err := w.store.Load(t.Context(), accountID, store.Want{Number: &store.Number{Carrier: carrier.AustraliaPost, Number: number}})
	if err != nil {
		t.Fatal(err)
	}
	return l.LinkedAs
}

func (w *world) stored(t *testing.T, id string) (carrier.Connection, *carrier.Snapshot) {
	t.Helper()
	l, err := w.store.Load(t.Context(), accountID, store.Want{ConnectionID: id, Snapshot: true})
	if err != nil || l.Connection == nil {
		t.Fatalf("connection %s: %v, %v", id, l.Connection, err)
	}
	return *l.Connection, l.Snapshot
}

// keeps checks that the vault holds these credentials for the connection.
func (w *world) keeps(t *testing.T, id string, want carrier.Credentials) {
	t.Helper()
	if got, err := w.vault.Vault.Get(t.Context(), accountID, id); err != nil || !got.Equal(want) {
		t.Errorf("the vault has others for %s, or none: %v", id, err)
	}
}

func (w *world) link(t *testing.T) *carrier.Connection {
	t.Helper()
	conn, err := w.Link(t.Context(), w.request(t))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestLinkOutcomes: a refusal keeps nothing, whatever the request says; an
// outage is kept only where it says so.
func TestLinkOutcomes(t *testing.T) {
	for _, o := range carrier.Outcomes() {
		for _, later := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, verify later %t", o, later), func(t *testing.T) {
				w := newWorld(t)
				if o != carrier.OutcomeOK {
					w.production.reading = carrier.Reading{Outcome: o, HTTPStatus: 418}
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
					if l := w.linked(t); len(l) != 0 {
						t.Errorf("a refused link leaves %v", l)
					}
					if l, _ := w.store.Load(t.Context(), accountID, store.Want{}); l.Account.CarriersCount != 0 {
						t.Errorf("carriers_count = %d", l.Account.CarriersCount)
					}
					return
				}
				if err != nil {
					t.Fatalf("Link = %v", err)
				}
				row, snap := w.stored(t, conn.ID)
				want := carrier.Active
				if o != carrier.OutcomeOK {
					want = carrier.PendingVerification
				}
				if row.Status != want || conn.Status != want || row.Checks != 1 || row.LastCheck.Outcome != o || row.LastCheck.Trigger != carrier.TriggerLink {
					t.Errorf("status %s, answered %s, want %s; last check %+v", row.Status, conn.Status, want, row.LastCheck)
				}
				if (snap == nil) != (o != carrier.OutcomeOK) || row.NextRefreshAt.IsZero() || !row.LeaseUntil.IsZero() {
					t.Errorf("snapshot %v, next refresh %v, lease %v", snap, row.NextRefreshAt, row.LeaseUntil)
				}
				w.keeps(t, conn.ID, credentials("one"))
				if l, _ := w.store.Load(t.Context(), accountID, store.Want{}); l.Account.CarriersCount != 1 {
					t.Errorf("carriers_count = %d", l.Account.CarriersCount)
				}
			})
		}
	}
}

func TestLinkKeepsTheRequest(t *testing.T) {
	w := newWorld(t)
	conn := w.link(t)
	row, snap := w.stored(t, conn.ID)
	want := carrier.Connection{
		ID: conn.ID, AccountID: accountID, PartnerID: 5, Carrier: carrier.AustraliaPost, AccountNumber: number, Nickname: "Main", Status: carrier.Active,
		Checks: 1, LastCheck: carrier.Check{At: w.clock, Outcome: carrier.OutcomeOK, Latency: 120 * time.Millisecond, Trigger: carrier.TriggerLink}, VerifiedAt: w.clock,
		RefreshPolicy: carrier.RefreshDaily, APIKeyLastFour: "1234", CredentialsUpdatedAt: w.clock, ContractValidTo: "2027-06-30", ExternalID: "ext",
		Metadata: map[string]string{"a": "b"}, CreatedAt: w.clock, ModifiedAt: w.clock,
		NextRefreshAt: row.NextRefreshAt, SecretVersion: row.SecretVersion, Version: row.Version,
	}
	if diff := cmp.Diff(want, row); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(row, *conn); diff != "" {
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
		req.LinkedAs = []string{"se-gone"}
		req.ChargeAccount.Carrier, req.ChargeAccount.Number = carrier.StarTrack, "09912345"
		if _, err := w.Link(t.Context(), req); err != nil {
			t.Errorf("Link = %v", err)
		}
	})
	t.Run("the holder can not be read", func(t *testing.T) {
		w.store.connection = errors.New("down")
		defer func() { w.store.connection = nil }()
		if _, err := w.Link(t.Context(), w.request(t)); fault.KindOf(err) != fault.Internal || !errors.Is(err, w.store.connection) {
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
		if l := w.linked(t); len(l) != 2 {
			t.Errorf("linked as %v", l)
		}
		if row, _ := w.stored(t, first.ID); row.Status != carrier.Active {
			t.Errorf("the first is %s", row.Status)
		}
	})
}

// TestLinkAfterACrash: whatever call the first try died after, the next one of
// the same number, after the lease, ends with one connection and one secret
// under the first one's carrier_id, with its own credentials.
func TestLinkAfterACrash(t *testing.T) {
	dead := errors.New("the process died")
	for _, tc := range []struct {
		name string
		cut  func(*world)
	}{
		{"after the intent", func(w *world) { w.vault.create = dead }},
		{"after the secret", func(w *world) { w.store.finish = dead }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			tc.cut(w)
			if _, err := w.Link(t.Context(), w.request(t)); !errors.Is(err, dead) || fault.KindOf(err) != fault.Internal {
				t.Fatalf("Link = %v, want internal", err)
			}
			w.vault.create, w.store.finish = nil, nil
			ids := w.linked(t)
			if len(ids) != 1 {
				t.Fatalf("the intent holds the number as %v", ids)
			}
			intent, _ := w.stored(t, ids[0])
			if intent.Status != carrier.Linking || !intent.LeaseUntil.Equal(w.clock.Add(30*time.Second)) {
				t.Fatalf("the intent is %s until %v", intent.Status, intent.LeaseUntil)
			}

			w.clock = w.clock.Add(20 * time.Second)
			w.production.asked = nil
			_, err := w.Link(t.Context(), w.request(t))
			if !fault.Is(err, fault.State) || fault.Of(err)[0].RetryAfter != 10*time.Second || len(w.production.asked) != 0 {
				t.Fatalf("within the lease: Link = %v, want state with 10s, and no question to the carrier", err)
			}

			w.clock = w.clock.Add(10 * time.Second)
			req := w.request(t)
			req.Nickname, req.ChargeAccount.Credentials = "Second try", credentials("two")
			conn, err := w.Link(t.Context(), req)
			if err != nil || conn.ID != ids[0] {
				t.Fatalf("after the lease: Link = %v, %v, want %s taken over", conn, err, ids[0])
			}
			row, snap := w.stored(t, conn.ID)
			if row.Status != carrier.Active || row.Nickname != "Second try" || row.Checks != 1 || snap == nil || row.SecretVersion == intent.SecretVersion {
				t.Errorf("row %+v, snapshot %v", row, snap)
			}
			if !row.CreatedAt.Equal(intent.CreatedAt) || len(w.linked(t)) != 1 {
				t.Errorf("created at %v, linked as %v", row.CreatedAt, w.linked(t))
			}
			w.keeps(t, conn.ID, credentials("two"))
		})
	}
}

// TestCrashedDuplicateIsNoPermission: the intent of a duplicate lies beside a
// live connection; who does not allow duplicates does not get one by taking the
// intent over.
func TestCrashedDuplicateIsNoPermission(t *testing.T) {
	for i := range 8 { // in whatever order the ids are
		w := newWorld(t)
		live := w.link(t)
		w.vault.create = errors.New("the process died")
		req := w.request(t)
		req.AllowDuplicate = true
		if _, err := w.Link(t.Context(), req); err == nil {
			t.Fatal("Link succeeds without a vault")
		}
		w.vault.create = nil
		w.clock = w.clock.Add(time.Hour)
		if conn, err := w.Link(t.Context(), w.request(t)); !fault.Is(err, fault.CarrierConflict) || fault.Of(err)[0].ExistingCarrierID != live.ID {
			t.Fatalf("try %d: Link = %v, %v, want a conflict with %s", i, conn, err, live.ID)
		}
		req = w.request(t)
		req.AllowDuplicate = true
		if conn, err := w.Link(t.Context(), req); err != nil || conn.ID == live.ID || len(w.linked(t)) != 2 {
			t.Fatalf("try %d: Link = %v, %v, want the intent taken over", i, conn, err)
		}
	}
}

// TestTwinIsFaster: the twin links while this request asks the carrier.
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
			w.vault.create = dead
			if _, err := w.Link(t.Context(), w.request(t)); !errors.Is(err, dead) {
				t.Fatal(err)
			}
			w.vault.create = nil
		}, fault.State, 30 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.production.meanwhile = func() { tc.twin(t, w) }
			conn, err := w.Link(t.Context(), w.request(t))
			if conn != nil || !fault.Is(err, tc.want) || fault.Of(err)[0].RetryAfter != tc.retry {
				t.Fatalf("Link = %v, %v, want %v", conn, err, tc.want)
			}
			ids := w.linked(t)
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
		w.vault.create = dead
		if _, err := w.Link(t.Context(), w.request(t)); err == nil {
			t.Fatal("Link succeeds without a vault")
		}
		w.vault.create = nil
		w.clock = w.clock.Add(time.Hour)
		req := w.request(t)
		w.production.meanwhile = func() { w.link(t) }
		if conn, err := w.Link(t.Context(), req); conn != nil || !fault.Is(err, fault.State) || fault.Of(err)[0].RetryAfter == 0 {
			t.Errorf("Link = %v, %v, want state", conn, err)
		}
		if ids := w.linked(t); len(ids) != 1 {
			t.Errorf("linked as %v", ids)
		}
	})
}

// TestLinkOfTooLargeAnAnswer: what can not be kept counts as unreadable.
func TestLinkOfTooLargeAnAnswer(t *testing.T) {
	noise := make([]byte, 400_000)
	random := mathrand.NewChaCha8([32]byte{})
	for i := 0; i+8 <= len(noise); i += 8 {
		binary.LittleEndian.PutUint64(noise[i:], random.Uint64())
	}
	for _, later := range []bool{false, true} {
		w := newWorld(t)
		w.production.reading.Raw = noise
		req := w.request(t)
		req.VerifyLater = later
		conn, err := w.Link(t.Context(), req)
		if !later {
			if !fault.Is(err, fault.CarrierDown) || len(w.linked(t)) != 0 || fault.Of(err)[0].Diagnosis.Category != "carrier_unreadable" {
				t.Errorf("Link = %v, %v, want carrier down", conn, err)
			}
			continue
		}
		if err != nil || conn.Status != carrier.PendingVerification || conn.StatusReason != string(carrier.OutcomeUnreadable) {
			t.Errorf("Link = %+v, %v, want pending verification", conn, err)
		}
	}
}

func TestLinkFails(t *testing.T) {
	broken := errors.New("broken")
	disabled := account(72)
	disabled.Active = false
	absent := account(99)
	tests := []struct {
		name  string
		setUp func(*world, *linking.LinkRequest)
		want  fault.Kind
	}{
		{"the account is disabled meanwhile", func(_ *world, r *linking.LinkRequest) { r.Account = disabled }, fault.Inactive},
		{"the account is gone meanwhile", func(_ *world, r *linking.LinkRequest) { r.Account = absent }, fault.NotFound},
		{"no randomness", func(w *world, _ *linking.LinkRequest) { w.Random = iotest.ErrReader(broken) }, fault.Internal},
		{"no randomness for the version", func(w *world, _ *linking.LinkRequest) { w.Random = bytes.NewReader(make([]byte, 8)) }, fault.Internal},
		{"the vault is busy", func(w *world, _ *linking.LinkRequest) {
			w.vault.create = &fault.Error{Kind: fault.State, Message: "m", RetryAfter: time.Second}
		}, fault.State},
		{"the answer can not be sealed", func(_ *world, r *linking.LinkRequest) {
			r.Answer = func(*carrier.Connection) (*carrier.IdempotencyRecord, error) { return nil, broken }
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
			for _, id := range w.linked(t) {
				if row, _ := w.stored(t, id); row.Status != carrier.Linking {
					t.Errorf("a link that failed is %s", row.Status)
				}
			}
		})
	}
}

// TestAnswerIsStoredWithTheLink: in the very transaction, and made of the row as
// it will be.
func TestAnswerIsStoredWithTheLink(t *testing.T) {
	w := newWorld(t)
	claim := carrier.IdempotencyRecord{Scope: "s", Key: "k", ClaimID: "c", PayloadMAC: []byte{1}, LeaseUntil: w.clock.Add(time.Minute), ExpiresAt: w.clock.Add(time.Hour)}
	if old, err := w.store.ClaimIdempotency(t.Context(), claim, w.clock); old != nil || err != nil {
		t.Fatal(old, err)
	}
	req := w.request(t)
	var shown carrier.Connection
	req.Answer = func(c *carrier.Connection) (*carrier.IdempotencyRecord, error) {
		shown = *c
		rec := claim
		rec.Sealed = []byte("sealed")
		return &rec, nil
	}
	conn, err := w.Link(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if shown.Status != carrier.Active || shown.ID != conn.ID || shown.NextRefreshAt != conn.NextRefreshAt || shown.Checks != 1 {
		t.Errorf("the answer shows %+v", shown)
	}
	again := claim
	again.ClaimID = "d"
	if old, err := w.store.ClaimIdempotency(t.Context(), again, w.clock); err != nil || old == nil || string(old.Sealed) != "sealed" {
		t.Errorf("the stored answer is %v, %v", old, err)
	}
}

func TestSandboxAccountsAskTheSimulator(t *testing.T) {
	w := newWorld(t)
	req := w.request(t)
	req.Account.Environment = carrier.Sandbox
	conn, err := w.Link(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	row, _ := w.stored(t, conn.ID)
	if _, err := w.Check(t.Context(), carrier.Sandbox, row, carrier.TriggerRead); err != nil {
		t.Fatal(err)
	}
	if len(w.production.asked) != 0 || len(w.sandbox.asked) != 2 {
		t.Errorf("asked production %d times, the simulator %d times", len(w.production.asked), len(w.sandbox.asked))
	}
}

// TestCheckRecords: every outcome ends in the row; only a good one replaces the
// snapshot; none is an error.
func TestCheckRecords(t *testing.T) {
	for _, o := range carrier.Outcomes() {
		t.Run(string(o), func(t *testing.T) {
			w := newWorld(t)
			before, _ := w.stored(t, w.link(t).ID)
			w.clock = w.clock.Add(time.Hour)
			w.production.reading = carrier.Reading{Outcome: o, HTTPStatus: 418, Code: "41001"}
			if o == carrier.OutcomeOK {
				w.production.reading = good(number)
				w.production.reading.Raw = []byte(`{"new":1}`)
			}
			got, err := w.Check(t.Context(), carrier.Production, before, carrier.TriggerSchedule)
			if err != nil || got.Reading.Outcome != o {
				t.Fatalf("Check = %v, %v", got.Reading.Outcome, err)
			}
			if asked := w.production.asked[1]; w.production.checks[1] != 2 || asked.Number != number || asked.Carrier != carrier.AustraliaPost || !asked.Credentials.Equal(credentials("one")) {
				t.Errorf("check %d asks for %v", w.production.checks[1], asked)
			}
			row, snap := w.stored(t, before.ID)
			if diff := cmp.Diff(row, got.Connection); diff != "" {
				t.Errorf("Check returns another row than it stores:\n%s", diff)
			}
			if row.Checks != 2 || row.LastCheck.Outcome != o || row.LastCheck.Trigger != carrier.TriggerSchedule || !row.LeaseUntil.IsZero() {
				t.Errorf("row: checks %d, last %+v, lease %v", row.Checks, row.LastCheck, row.LeaseUntil)
			}
			raw, err := snap.Raw()
			if err != nil {
				t.Fatal(err)
			}
			if isNew := string(raw) == `{"new":1}`; isNew != (o == carrier.OutcomeOK) || (got.Snapshot != nil) != isNew {
				t.Errorf("snapshot %s, returned %v", raw, got.Snapshot)
			}
		})
	}
}

func TestCheckFails(t *testing.T) {
	down := errors.New("down")
	tests := []struct {
		name  string
		setUp func(*testing.T, *world, *carrier.Connection)
		want  fault.Kind
		busy  bool
		asked int
	}{
		{"another check is running", func(t *testing.T, w *world, c *carrier.Connection) {
			t.Helper()
			if _, err := w.store.ClaimCheck(t.Context(), *c, w.clock.Add(time.Second), w.clock); err != nil {
				t.Fatal(err)
			}
		}, fault.State, true, 0},
		{"the row moved on", func(_ *testing.T, _ *world, c *carrier.Connection) { c.Version-- }, fault.State, true, 0},
		{"the connection is gone", func(_ *testing.T, _ *world, c *carrier.Connection) { c.ID = "se-gone" }, fault.NotFound, false, 0},
		{"the secret is missing", func(_ *testing.T, w *world, _ *carrier.Connection) {
			w.vault.Vault = vault.New(vaulttest.NewMemory(), "test/carrier/")
		}, fault.Internal, false, 0},
		{"the vault is busy", func(_ *testing.T, w *world, _ *carrier.Connection) { w.vault.get = fault.New(fault.State, "m") }, fault.Internal, false, 0},
		{"the row can not be written", func(_ *testing.T, w *world, _ *carrier.Connection) { w.store.record = down }, fault.Internal, false, 1},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			before, _ := w.stored(t, w.link(t).ID)
			w.production.asked = nil
			arg := before
			tc.setUp(t, w, &arg)
			got, err := w.Check(t.Context(), carrier.Production, arg, carrier.TriggerRead)
			if !fault.Is(err, tc.want) || errors.Is(err, linking.ErrBusy) != tc.busy || tc.busy && fault.Of(err)[0].RetryAfter <= 0 {
				t.Fatalf("Check = %v, want %v, busy %t", err, tc.want, tc.busy)
			}
			if diff := cmp.Diff(linking.Checked{}, got); diff != "" {
				t.Errorf("Check returns something beside the error:\n%s", diff)
			}
			if len(w.production.asked) != tc.asked {
				t.Errorf("the carrier was asked %d times, want %d", len(w.production.asked), tc.asked)
			}
			after, _ := w.stored(t, before.ID)
			if after.Checks != before.Checks || after.Status != before.Status || after.LastCheck != before.LastCheck {
				t.Errorf("something is recorded: %+v", after)
			}
		})
	}
}

// TestCheckOfTooLargeAnAnswer keeps the snapshot that is there.
func TestCheckOfTooLargeAnAnswer(t *testing.T) {
	w := newWorld(t)
	before, _ := w.stored(t, w.link(t).ID)
	w.production.reading.Raw = make([]byte, 1<<20+1)
	got, err := w.Check(t.Context(), carrier.Production, before, carrier.TriggerRead)
	if err != nil || got.Reading.Outcome != carrier.OutcomeUnreadable || got.Snapshot != nil || got.Connection.Status != carrier.Degraded {
		t.Errorf("Check = %+v, %v, want unreadable and degraded", got.Reading.Outcome, err)
	}
	if _, snap := w.stored(t, before.ID); snap == nil {
		t.Error("the snapshot is gone")
	}
}

// TestLease: until the deadline of the request, by the linker's own clock.
func TestLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &linking.Linker{Now: func() time.Time { return time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC) }}
		if got := w.Lease(t.Context()).Sub(w.Now()); got != 30*time.Second {
			t.Errorf("without a deadline: %v, want 30s", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 28*time.Second)
		defer cancel()
		time.Sleep(3 * time.Second) // in a bubble
		if got := w.Lease(ctx).Sub(w.Now()); got != 25*time.Second {
			t.Errorf("with 25s left: %v", got)
		}
	})
}
