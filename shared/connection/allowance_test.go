package connection_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
)

// retryAfterOf returns the Retry-After of a fault.RateLimited; the test ends at any other
// error.
func retryAfterOf(t *testing.T, what string, err error) time.Duration {
	t.Helper()
	if !fault.Is(err, fault.RateLimited) {
		t.Fatalf("%s: %v, want rate limited", what, err)
	}
	return fault.Of(err)[0].RetryAfter
}

// TestAllowance: a credential has one allowance, shared by all connections and
// operations. A limited request neither calls the carrier nor changes the row.
func TestAllowance(t *testing.T) {
	uses := map[string]func(context.Context, *world, connection.Connection) error{
		"read": func(ctx context.Context, w *world, c connection.Connection) error {
			return readCheck(ctx, w, w.Service, c)
		},
		"verify": func(ctx context.Context, w *world, c connection.Connection) error {
			return verify(ctx, w, w.Service, c)
		},
		"change of the number": func(ctx context.Context, w *world, c connection.Connection) error {
			_, err := w.Change(ctx, change(c, number2, ""))
			return err
		},
		"change to the same credentials": func(ctx context.Context, w *world, c connection.Connection) error {
			_, err := w.Change(ctx, change(c, "", "two"))
			return err
		},
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			conn := w.changed(t, w.link(t), "", "two")
			w.clock = w.clock.Add(time.Hour)
			w.CallsPerMinute = 3
			begun := w.clock
			for range w.CallsPerMinute {
				if err := readCheck(t.Context(), w, w.Service, w.row(t, conn.ID)); err != nil {
					t.Fatal(err)
				}
				w.clock = w.clock.Add(time.Second)
			}
			before, asked := w.row(t, conn.ID), len(w.production.asked)
			if wait := retryAfterOf(t, name, use(t.Context(), w, before)); wait != begun.Add(time.Minute).Sub(w.clock) {
				t.Errorf("Retry-After %v", wait)
			}
			if after := w.row(t, conn.ID); after.Version != before.Version || len(w.production.asked) != asked {
				t.Errorf("version %d became %d, %d calls of the carrier", before.Version, after.Version, len(w.production.asked)-asked)
			}
			w.clock = begun.Add(time.Minute)
			if err := use(t.Context(), w, w.row(t, conn.ID)); err != nil {
				t.Errorf("a minute later: %v", err)
			}
		})
	}
}

// TestAllowanceOfAChange: a change takes a call of the new credentials' allowance, a
// rollback one of the previous credentials'.
func TestAllowanceOfAChange(t *testing.T) {
	w := newWorld(t)
	conn := w.changed(t, w.link(t), "", "two")
	w.clock = w.clock.Add(time.Hour)
	w.CallsPerMinute = 1
	if err := readCheck(t.Context(), w, w.Service, w.row(t, conn.ID)); err != nil {
		t.Fatal(err)
	}
	// The current ones are used up, those before and others are not.
	w.changed(t, w.row(t, conn.ID), "", "three")
	retryAfterOf(t, "rollback to two", rollback(t.Context(), w, w.Service, w.row(t, conn.ID)))
	_, err := w.Change(t.Context(), change(w.row(t, conn.ID), "", "two"))
	retryAfterOf(t, "change to two", err)
}

// TestAllowanceOfUnknownCredentials: changes to credentials that are new to the
// connection share one allowance of the account. Known credentials and other accounts do
// not use it.
func TestAllowanceOfUnknownCredentials(t *testing.T) {
	w := newWorld(t)
	one := w.linkAs(t, number, "one")
	two := w.linkAs(t, number2, "two")
	w.clock = w.clock.Add(time.Hour)
	w.CallsPerMinute = 3
	begun := w.clock
	w.changed(t, w.row(t, one.ID), "", "three")
	w.clock = w.clock.Add(time.Second)
	w.production.answers(bad(carrier.OutcomeUnauthorized))
	for _, key := range []string{"four", "five"} {
		if _, err := w.Change(t.Context(), change(w.row(t, two.ID), "", key)); !fault.Is(err, fault.CarrierRefused) {
			t.Fatalf("change to %s: %v", key, err)
		}
	}
	asked := len(w.production.asked)
	_, err := w.Change(t.Context(), change(w.row(t, one.ID), "", "six"))
	if wait := retryAfterOf(t, "a fourth change", err); wait != begun.Add(time.Minute).Sub(w.clock) || len(w.production.asked) != asked {
		t.Errorf("Retry-After %v, asked %d times", wait, len(w.production.asked)-asked)
	}
	w.production.reading = nil
	w.changed(t, w.row(t, two.ID), number3, "") // with what it has
	if err := rollback(t.Context(), w, w.Service, w.row(t, one.ID)); err != nil {
		t.Errorf("rollback to what it had: %v", err)
	}
	w.clock = begun.Add(time.Minute)
	w.changed(t, w.row(t, one.ID), "", "six")
}

// TestAllowanceCountsASecondAttempt: a second attempt takes another call, as the carrier
// counts it.
func TestAllowanceCountsASecondAttempt(t *testing.T) {
	w := newWorld(t)
	conn := w.link(t)
	w.clock = w.clock.Add(time.Hour)
	w.CallsPerMinute, w.LinksPerMinute = 3, 3
	again := 0
	w.production.twice = &again
	if err := readCheck(t.Context(), w, w.Service, conn); err != nil {
		t.Fatal(err)
	}
	if err := readCheck(t.Context(), w, w.Service, w.row(t, conn.ID)); err != nil {
		t.Fatal(err)
	}
	retryAfterOf(t, "a third", readCheck(t.Context(), w, w.Service, w.row(t, conn.ID)))
	if again != 1 {
		t.Errorf("%d second attempts, want 1 of 2", again)
	}
	if err := linkOf(number2, "two", nil)(t.Context(), w, w.Service); err != nil {
		t.Fatal(err)
	}
	if err := linkOf("0009912347", "two", nil)(t.Context(), w, w.Service); err != nil {
		t.Fatal(err)
	}
	retryAfterOf(t, "a third link", linkOf("0009912348", "two", nil)(t.Context(), w, w.Service))
	if again != 2 {
		t.Errorf("%d second attempts, want 2 of 4", again)
	}
	// The schedule does not use the allowance.
	w.clock = w.clock.AddDate(0, 0, 3)
	w.CallsPerMinute = 1
	if err := readCheck(t.Context(), w, w.Service, w.row(t, conn.ID)); err != nil {
		t.Fatal(err)
	}
	due := w.row(t, conn.ID)
	due.NextRefreshAt = w.clock
	if err := w.memory.SaveConnection(t.Context(), &due); err != nil {
		t.Fatal(err)
	}
	if err := refresh(t.Context(), w, w.Service, due); err != nil {
		t.Errorf("refresh after the allowance: %v", err)
	}
}

// TestAllowanceOfLinks: links share one allowance of the account, whatever the
// credentials.
func TestAllowanceOfLinks(t *testing.T) {
	w := newWorld(t)
	w.LinksPerMinute = 2
	w.linkAs(t, number, "one")
	w.linkAs(t, number2, "two")
	asked := len(w.production.asked)
	req := w.request(t)
	req.ChargeAccount, req.Holders = chargeAccount("0009912347", "three"), nil
	_, err := w.Link(t.Context(), req)
	if wait := retryAfterOf(t, "a third link", err); wait != time.Minute || len(w.production.asked) != asked {
		t.Errorf("Retry-After %v, asked %d times", wait, len(w.production.asked)-asked)
	}
	// A conflict asks no carrier, and is told all the same.
	_, err = w.Link(t.Context(), func() connection.LinkRequest { r := w.request(t); r.Holders = w.linked(t, number); return r }())
	if !fault.Is(err, fault.CarrierConflict) {
		t.Errorf("Link of a number that is linked = %v", err)
	}
	w.clock = w.clock.Add(time.Minute)
	if _, err = w.Link(t.Context(), req); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

// TestRefusedByLeaseTakesNoCall: a request that finds the connection leased takes no
// call.
func TestRefusedByLeaseTakesNoCall(t *testing.T) {
	w := newWorld(t)
	conn := w.link(t)
	w.clock = w.clock.Add(time.Hour)
	w.CallsPerMinute = 2
	w.production.meanwhile = func() {
		for range 10 {
			isState(t, readCheck(t.Context(), w, w.Service, w.row(t, conn.ID)), true)
			// A parallel request has read the row before the lease was taken.
			isState(t, readCheck(t.Context(), w, w.Service, conn), true)
			isState(t, verify(t.Context(), w, w.Service, conn), true)
		}
	}
	if err := readCheck(t.Context(), w, w.Service, conn); err != nil {
		t.Fatal(err)
	}
	if err := readCheck(t.Context(), w, w.Service, w.row(t, conn.ID)); err != nil {
		t.Errorf("the second of two: %v", err)
	}
}

// TestNoAllowance: without a limit, or when calls cannot be counted, no carrier is
// called.
func TestNoAllowance(t *testing.T) {
	w := newWorld(t)
	conn := w.link(t)
	asked := len(w.production.asked)
	w.failing("ClaimCheck", errors.New("down"))
	if err := readCheck(t.Context(), w, w.Service, conn); !fault.Is(err, fault.Internal) {
		t.Errorf("the table is down: %v", err)
	}
	w.failing("", nil)
	w.CallsPerMinute, w.LinksPerMinute = 0, 0
	if err := readCheck(t.Context(), w, w.Service, conn); !fault.Is(err, fault.Internal) {
		t.Errorf("no allowance: %v", err)
	}
	if err := linkOf(number2, "two", nil)(t.Context(), w, w.Service); !fault.Is(err, fault.Internal) {
		t.Errorf("no allowance of links: %v", err)
	}
	if len(w.production.asked) != asked {
		t.Error("the carrier was asked")
	}
}
