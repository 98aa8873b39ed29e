package connection_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
)

// TestPostponed: after scheduled checks that fail by our fault the connection is due
// again after a minute, doubling up to a day. Its status does not change, refresh,
// verify and changes of the policy work, and a recorded check ends the doubling.
func TestPostponed(t *testing.T) {
	down := errors.New("no JSON")
	w := newWorld(t)
	conn := w.link(t)
	w.failing("Get", down)
	d := connection.Due{AccountID: accountID, ConnectionID: conn.ID}
	w.clock = w.clock.AddDate(0, 0, 3)
	for n := 1; n <= 13; n++ {
		_, err := w.Refresh(t.Context(), d, health.Breaker{})
		if !errors.Is(err, connection.ErrPostponed) || !errors.Is(err, down) || !fault.Is(err, fault.Internal) {
			t.Fatalf("Refresh %d = %v, want it to be put off", n, err)
		}
		row := w.row(t, conn.ID)
		wait := min(time.Minute<<(n-1), 24*time.Hour)
		if got := row.NextRefreshAt.Sub(w.clock); got != wait || row.ClaimsUnrecorded != n || !row.LeaseUntil.IsZero() {
			t.Fatalf("after %d failures: due in %v, %d counted, lease until %v, want %v and no lease", n, got, row.ClaimsUnrecorded, row.LeaseUntil, wait)
		}
		if row.Status != conn.Status || row.StatusReason != conn.StatusReason || row.ChecksEver != conn.ChecksEver || row.ConsecutiveFailures != 0 {
			t.Fatalf("the failure is the connection's: %+v", row)
		}
		_, err = w.Refresh(t.Context(), d, health.Breaker{})
		isState(t, err, false) // another message does nothing
		w.clock = row.NextRefreshAt
	}
	asked, err := w.RequestRefresh(t.Context(), w.row(t, conn.ID), false, nil)
	if err != nil || !asked.NextRefreshAt.Equal(w.clock) {
		t.Errorf("RequestRefresh = %v, %v, want it due now", asked, err)
	}
	if _, err := w.Verify(t.Context(), w.row(t, conn.ID), health.Breaker{}, effects.By{}, nil); !fault.Is(err, fault.Internal) {
		t.Errorf("Verify = %v, want our failure", err)
	}
	if row := w.row(t, conn.ID); !row.NextRefreshAt.Equal(w.clock) || !row.LeaseUntil.IsZero() {
		t.Errorf("verify changes the schedule: due at %v, lease until %v", row.NextRefreshAt, row.LeaseUntil)
	}
	w.on = nil
	checked, err := w.Refresh(t.Context(), d, health.Breaker{})
	if err != nil || checked.Connection.ClaimsUnrecorded != 0 || checked.Entry.Trigger != connection.TriggerManual {
		t.Errorf("Refresh of one that is well again = %+v, %v", checked.Connection, err)
	}

	// What the table does not take is our overload, and said to be.
	w.clock = w.clock.AddDate(0, 0, 3)
	w.failing("RecordCheck", fault.New(fault.Overloaded, "m"))
	before := len(w.production.asked)
	if _, err := w.Refresh(t.Context(), d, health.Breaker{}); !fault.Is(err, fault.Overloaded) || len(w.production.asked) != before+1 {
		t.Errorf("Refresh while the table throttles = %v, want Overloaded", err)
	}
	w.on = nil
	if row := w.row(t, conn.ID); !row.NextRefreshAt.After(w.clock) || row.NextRefreshAt.Sub(w.clock) > 3*time.Minute {
		t.Errorf("it is due again at %v, want within three minutes of %v", row.NextRefreshAt, w.clock)
	}
}

// TestCollidingRecord: a check that has asked the carrier is recorded although its write
// has collided with others more often than the store repeats it.
func TestCollidingRecord(t *testing.T) {
	w := newWorld(t)
	conn := w.link(t)
	w.clock = conn.NextRefreshAt
	collisions := 0
	w.on = func(_ context.Context, name string, do func() error) error {
		if name == "RecordCheck" && collisions < 3 {
			collisions++
			return fault.Busy(fault.ErrCollision)
		}
		return do()
	}
	before := len(w.production.asked)
	if _, err := w.Refresh(t.Context(), connection.Due{AccountID: accountID, ConnectionID: conn.ID}, health.Breaker{}); err != nil {
		t.Fatalf("Refresh = %v after %d collisions", err, collisions)
	}
	if row := w.row(t, conn.ID); row.ChecksEver != conn.ChecksEver+1 || len(w.production.asked) != before+1 {
		t.Errorf("%d checks are recorded, the carrier was asked %d times, want one of each", row.ChecksEver-conn.ChecksEver, len(w.production.asked)-before)
	}
}

// TestRefusedUnlink: a refusal that is no collision is not tried again.
func TestRefusedUnlink(t *testing.T) {
	w := newWorld(t)
	conn := w.link(t)
	calls := 0
	w.on = func(_ context.Context, name string, do func() error) error {
		if name == "Unlink" {
			calls++
			return connection.ErrTooManyUnlinks(1)
		}
		return do()
	}
	if err := w.Unlink(t.Context(), conn, false, nil); !fault.Is(err, fault.State) || calls != 1 {
		t.Errorf("Unlink = %v after %d calls of the store, want its refusal after one", err, calls)
	}
}
