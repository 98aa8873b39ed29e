package connection_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
)

// parsed is a contract with an account number only.
func parsed(raw []byte) (connection.Contract, error) {
	if string(raw) != `{"account_number":"`+number+`"}` {
		return connection.Contract{}, errors.New("another answer")
	}
	return connection.Contract{AccountNumber: number}, nil
}

// TestReadCarrierAccount checks which answer a reader gets, and why it is stale.
func TestReadCarrierAccount(t *testing.T) {
	limited := func(t *testing.T, w *world, conn *connection.Connection) {
		t.Helper()
		w.CallsPerMinute = 1
		checked, err := w.Check(t.Context(), *conn, connection.TriggerManual, health.Breaker{}, effects.By{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		*conn = checked.Connection
	}
	leased := func(_ *testing.T, w *world, conn *connection.Connection) { conn.LeaseUntil = w.Now().Add(time.Minute) }
	open := health.Breaker{Carrier: carrier.AustraliaPost, Open: true}
	timeout := bad(carrier.OutcomeTimeout)
	for _, tc := range []struct {
		name     string
		age      time.Duration
		req      connection.ReadRequest
		setUp    func(t *testing.T, w *world, conn *connection.Connection)
		reading  *connection.Reading
		asked    int
		live     bool
		reason   string // empty: not stale
		diagnose string
	}{
		{"young", time.Hour, connection.ReadRequest{MaxAge: time.Hour}, nil, nil, 0, false, "", ""},
		{"too old by a moment", time.Hour + time.Millisecond, connection.ReadRequest{MaxAge: time.Hour}, nil, nil, 1, true, "", ""},
		{"young, and asked for all the same", 0, connection.ReadRequest{MaxAge: time.Hour, Refresh: true}, nil, nil, 1, true, "", ""},
		{"the carrier does not answer", 0, connection.ReadRequest{Refresh: true}, nil, &timeout, 1, false, "timeout", "carrier_timeout"},
		{"another request checks", 0, connection.ReadRequest{Refresh: true}, leased, nil, 0, false, connection.StaleBusy, ""},
		{"the allowance is used up", 0, connection.ReadRequest{Refresh: true}, limited, nil, 0, false, connection.StaleLimited, ""},
		{"the breaker is open", 0, connection.ReadRequest{Refresh: true, Breaker: open}, nil, nil, 0, false, connection.StaleDown, "carrier_unavailable"},
		{"the vault is down", 0, connection.ReadRequest{Refresh: true}, func(_ *testing.T, w *world, _ *connection.Connection) {
			w.failing("Get", errors.New("AccessDenied"))
		}, nil, 0, false, connection.StaleOurs, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.Contracts, w.CallsPerMinute = parsed, 1_000
			conn := w.link(t)
			if tc.setUp != nil {
				tc.setUp(t, w, &conn)
			}
			_, tc.req.Snapshot = w.stored(t, conn.ID)
			tc.req.Connection = &conn
			w.clock = w.clock.Add(tc.age)
			w.production.asked, w.production.reading = nil, tc.reading
			got, err := w.ReadCarrierAccount(t.Context(), tc.req, nil)
			if err != nil {
				t.Fatal(err)
			}
			category := ""
			if got.Diagnosis != nil {
				category = got.Diagnosis.Category
			}
			if got.Live != tc.live || got.Stale != (tc.reason != "") || got.StaleReason != tc.reason || (got.StaleCause != nil) != got.Stale || category != tc.diagnose {
				t.Errorf("live %t, stale %t for %q (%v, %s)", got.Live, got.Stale, got.StaleReason, got.StaleCause, category)
			}
			if diff := cmp.Diff(connection.Contract{AccountNumber: number}, got.Contract); diff != "" || len(got.Raw) == 0 {
				t.Errorf("contract (-want +got):\n%s", diff)
			}
			if n := len(w.production.asked); n != tc.asked {
				t.Errorf("the carrier was asked %d times, want %d", n, tc.asked)
			}
		})
	}
}

// TestReadCarrierAccountRefuses: connections that do not exist and snapshots that cannot
// be read.
func TestReadCarrierAccountRefuses(t *testing.T) {
	w := newWorld(t)
	w.Contracts, w.CallsPerMinute = parsed, 1_000
	conn := w.link(t)
	_, snap := w.stored(t, conn.ID)
	other, err := connection.NewSnapshot([]byte(`{}`), w.clock)
	if err != nil {
		t.Fatal(err)
	}
	hidden := conn
	hidden.Status = connection.Disconnected
	for _, tc := range []struct {
		name string
		req  connection.ReadRequest
		want fault.Kind
	}{
		{"none", connection.ReadRequest{}, fault.NotFound},
		{"a disconnected one", connection.ReadRequest{Connection: &hidden, Snapshot: snap, MaxAge: time.Hour}, fault.NotFound},
		{"a damaged snapshot", connection.ReadRequest{Connection: &conn, Snapshot: &connection.Snapshot{Packed: []byte("x")}, MaxAge: time.Hour}, fault.Internal},
		{"a snapshot of another form", connection.ReadRequest{Connection: &conn, Snapshot: &other, MaxAge: time.Hour}, fault.Internal},
		{"no snapshot, and an open breaker", connection.ReadRequest{Connection: &conn, Breaker: health.Breaker{Open: true}}, fault.CarrierDown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := w.ReadCarrierAccount(t.Context(), tc.req, nil); err == nil || fault.KindOf(err) != tc.want {
				t.Errorf("ReadCarrierAccount = %v, want %v", err, tc.want)
			}
		})
	}
}

// TestCarriersPauseHolds: until the pause that the carrier asks for is over, nobody calls it
// for callers with the connection's credentials. Other credentials are not held, nor is the
// sandbox.
func TestCarriersPauseHolds(t *testing.T) {
	const pause = 5 * time.Minute
	for _, tc := range []struct {
		outcome     carrier.Outcome
		after, want time.Duration
		kind        fault.Kind
	}{
		{carrier.OutcomeRateLimited, pause, pause, fault.CarrierLimited},
		{carrier.OutcomeRateLimited, time.Second, time.Minute, fault.CarrierLimited},
		{carrier.OutcomeRateLimited, 0, time.Minute, fault.CarrierLimited},
		{carrier.OutcomeUnavailable, pause, pause, fault.CarrierDown},
	} {
		t.Run(fmt.Sprintf("%s, %v", tc.outcome, tc.after), func(t *testing.T) {
			w := newWorld(t)
			w.Contracts = parsed
			conn := w.link(t)
			w.clock = w.clock.Add(time.Hour)
			begun := w.clock
			w.production.answers(connection.Reading{Outcome: tc.outcome, HTTPStatus: 429, RetryAfter: tc.after})
			w.production.asked = nil
			held := func(what string, err error) {
				t.Helper()
				if !fault.Is(err, tc.kind) || fault.Of(err)[0].RetryAfter != begun.Add(tc.want).Sub(w.clock) || fault.Of(err)[0].Diagnosis == nil {
					t.Errorf("%s: %v, want %v for the rest of %v", what, err, tc.kind, tc.want)
				}
			}
			stale := func() {
				t.Helper()
				row, snap := w.stored(t, conn.ID)
				got, err := w.ReadCarrierAccount(t.Context(), connection.ReadRequest{Connection: &row, Snapshot: snap, Refresh: true}, nil)
				if err != nil || !got.Stale || got.StaleReason != string(tc.outcome) || got.Diagnosis == nil {
					t.Errorf("read: %+v, %v, want the stored copy", got, err)
				}
				held("read", got.StaleCause)
				row = w.row(t, conn.ID)
				_, err = w.ReadCarrierAccount(t.Context(), connection.ReadRequest{Connection: &row}, nil)
				held("read without a snapshot", err)
			}
			for range 5 {
				stale()
				w.clock = w.clock.Add(time.Second)
			}
			held("verify", verify(t.Context(), w, w.Service, w.row(t, conn.ID)))
			_, err := w.Change(t.Context(), change(w.row(t, conn.ID), number2, ""))
			held("change of the number", err)
			if err := requestRefresh(t.Context(), w, w.Service, w.row(t, conn.ID)); err != nil {
				t.Fatal(err)
			}
			if row := w.row(t, conn.ID); !row.NextRefreshAt.Equal(begun.Add(tc.want)) || row.NextRefreshAt != row.HeldUntil {
				t.Errorf("refresh is due at %v, held until %v", row.NextRefreshAt, row.HeldUntil)
			}
			w.clock = begun.Add(tc.want - time.Millisecond)
			stale()
			if n := len(w.production.asked); n != 1 {
				t.Errorf("the carrier was asked %d times", n)
			}
			w.clock = begun.Add(tc.want)
			w.production.reading = nil
			if err := verify(t.Context(), w, w.Service, w.row(t, conn.ID)); err != nil {
				t.Errorf("after the pause: %v", err)
			}
		})
	}
	t.Run("other credentials", func(t *testing.T) {
		w := newWorld(t)
		conn := w.link(t)
		w.clock = w.clock.Add(time.Hour)
		w.production.answers(connection.Reading{Outcome: carrier.OutcomeRateLimited, RetryAfter: pause})
		if err := readCheck(t.Context(), w, w.Service, conn); err != nil {
			t.Fatal(err)
		}
		w.production.reading = nil
		w.changed(t, w.row(t, conn.ID), "", "two")
		if err := readCheck(t.Context(), w, w.Service, w.row(t, conn.ID)); err != nil {
			t.Errorf("a read with them: %v", err)
		}
	})
	t.Run("the sandbox", func(t *testing.T) {
		row := connection.Connection{Environment: carrier.Sandbox, HeldUntil: day(2), LastCheck: connection.Check{Outcome: carrier.OutcomeRateLimited}}
		if err := row.Held(day(1)); err != nil {
			t.Errorf("Held = %v", err)
		}
	})
}
