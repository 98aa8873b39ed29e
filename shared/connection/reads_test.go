package connection_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
)

var reader = effects.By{Actor: effects.Merchant, KeyID: 17, RequestID: "request"}

// reads returns the entries of the audit log about stored credentials after the first skip
// of them, the oldest first: who, and the data without what all of them have.
func (w *world) reads(t *testing.T, conn connection.Connection, skip int) []string {
	t.Helper()
	found, _, err := w.memory.ListEvents(t.Context(), effects.Listing{PartnerID: 5, AccountID: accountID, Types: []effects.EventType{effects.SecretRead}, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(found)
	told := []string{}
	for _, e := range found[skip:] {
		var data map[string]any
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		if e.Subject != conn.ID || data["carrier_id"] != conn.ID || data["carrier_code"] != "australia_post" || strings.Contains(string(e.Data), number) {
			t.Errorf("event %+v, data %s", e, e.Data)
		}
		delete(data, "carrier_id")
		delete(data, "carrier_code")
		rest, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, fmt.Sprintf("%s %d %s", e.By.Actor, e.By.KeyID, rest))
	}
	return told
}

// TestReadsForCallers: each request that has stored credentials read is an entry of the audit
// log, whatever comes of it; one that reads none is not.
func TestReadsForCallers(t *testing.T) {
	refusing := func(w *world) { w.production.answers(bad(carrier.OutcomeUnauthorized)) }
	well := func(*world) {}
	asks := func(n, which string) func(context.Context, *world, connection.Connection) error {
		return func(ctx context.Context, w *world, c connection.Connection) error {
			req := change(c, n, which)
			req.By = reader
			_, err := w.Change(ctx, req)
			return err
		}
	}
	verify := func(ctx context.Context, w *world, c connection.Connection) error {
		_, err := w.Verify(ctx, c, health.Breaker{}, reader, nil)
		return err
	}
	rollBack := func(ctx context.Context, w *world, c connection.Connection) error {
		_, err := w.Rollback(ctx, c, false, reader, nil)
		return err
	}
	for _, tc := range []struct {
		name  string
		setUp func(*world)
		do    func(context.Context, *world, connection.Connection) error
		fails bool
		want  []string
	}{
		{"a refused verify", refusing, verify, false, []string{`merchant 17 {"reason":"verify"}`}},
		{"a refused number", refusing, asks("0004085231", ""), true, []string{`merchant 17 {"reason":"change"}`}},
		{"a refused rollback", refusing, rollBack, true, []string{`merchant 17 {"reason":"rollback"}`}},
		{"no call left", func(w *world) { w.CallsPerMinute = 1; w.production.answers(good(number)) }, func(ctx context.Context, w *world, c connection.Connection) error {
			if err := verify(ctx, w, c); err != nil {
				return err
			}
			return asks("", "two")(ctx, w, c)
		}, true, []string{`merchant 17 {"reason":"verify"}`}},
		{"a leased row", well, func(ctx context.Context, w *world, c connection.Connection) error {
			c.LeaseUntil = w.clock.Add(time.Minute)
			return verify(ctx, w, c)
		}, true, []string{}},
		{"other credentials", well, asks("", "three"), false, []string{}},
		{"an edit", well, asks("", ""), false, []string{}},
		{"the same credentials", well, asks("", "two"), false, []string{`merchant 17 {"reason":"change"}`}},
		{"verify", well, verify, false, []string{`merchant 17 {"reason":"verify"}`}},
		{"rollback", well, rollBack, false, []string{`merchant 17 {"reason":"rollback"}`}},
		{"a live read", well, func(ctx context.Context, w *world, c connection.Connection) error {
			_, err := w.ReadCarrierAccount(ctx, connection.ReadRequest{Connection: &c, Refresh: true, By: reader}, nil)
			return err
		}, false, []string{`merchant 17 {"reason":"read"}`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.Contracts = parsed
			conn := w.changed(t, w.link(t), "", "two")
			w.clock = w.clock.Add(time.Hour)
			if got := w.reads(t, conn, 0); len(got) > 0 {
				t.Fatalf("linked and changed: %q", got)
			}
			tc.setUp(w)
			if err := tc.do(t.Context(), w, conn); (err != nil) != tc.fails {
				t.Fatalf("error %v, want one: %t", err, tc.fails)
			}
			if diff := cmp.Diff(tc.want, w.reads(t, conn, 0)); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReadsOfTheSchedule: they are counted by day, also those of checks that were never
// recorded, and the first check of a later day reports them.
func TestReadsOfTheSchedule(t *testing.T) {
	w := newWorld(t)
	w.clock = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	w.production.answers(good(number))
	conn := w.link(t)
	check := func(at time.Time) {
		t.Helper()
		row := w.row(t, conn.ID)
		row.NextRefreshAt = at.Add(-time.Minute)
		if err := w.memory.SaveConnection(t.Context(), &row); err != nil {
			t.Fatal(err)
		}
		w.clock = at
		_, _ = w.Refresh(t.Context(), connection.Due{AccountID: accountID, ConnectionID: conn.ID}, health.Breaker{})
	}
	day := func(n, hour int) time.Time { return time.Date(2026, 3, n, hour, 0, 0, 0, time.UTC) }
	steps := []struct {
		name string
		at   time.Time
		fail string // this call of the store
		want []string
	}{
		{"the first", day(2, 9), "", []string{}},
		{"the same day", day(2, 15), "", []string{}},
		{"the same day, not recorded", day(2, 20), "RecordCheck", []string{}},
		{"the next day", day(3, 0), "", []string{`schedule 0 {"day":"2026-03-02","reads":3,"reason":"schedule"}`}},
		{"the next day again", day(3, 23), "", []string{}},
		{"a week later", day(10, 1), "", []string{`schedule 0 {"day":"2026-03-03","reads":2,"reason":"schedule"}`}},
		{"a clock that is late", day(9, 23), "", []string{}},
		{"and right again", day(11, 1), "", []string{`schedule 0 {"day":"2026-03-10","reads":2,"reason":"schedule"}`}},
	}
	seen := 0
	for _, step := range steps {
		w.failing(step.fail, context.DeadlineExceeded)
		check(step.at)
		w.failing("", nil)
		got := w.reads(t, conn, seen)
		if seen += len(got); !cmp.Equal(step.want, got) {
			t.Errorf("%s: %q, want %q", step.name, got, step.want)
		}
	}
}
