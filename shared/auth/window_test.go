package auth_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
)

// counted sets the state of a key's window in the table.
func (w *world) counted(key account.Key, used int, fail error) {
	k := w.keys[key.Hash()]
	k.Used = used
	w.keys[key.Hash()], w.fail = k, fail
}

// TestFullWindow: once this process knows that half of the window is used, refused
// requests read nothing; once it was refused itself, they cost no call at all.
func TestFullWindow(t *testing.T) {
	w := newWorld(t)
	now := clock()
	w.auth.Now = func() time.Time { return now }
	full := &fault.Error{Kind: fault.RateLimited, Message: "m", RetryAfter: 30 * time.Second}
	reads := 0
	for i, tc := range []struct {
		name         string
		used         int
		fail         error
		passed       time.Duration // since the previous step
		want         string
		calls, reads int
		wait         time.Duration // Retry-After
	}{
		{"another process has filled the minute", 200, full, 0, "rate limited", 1, 1, 30 * time.Second},
		{"it is refused without a call", 200, full, 10 * time.Second, "rate limited", 0, 0, 20 * time.Second},
		{"to its end", 200, full, 20*time.Second - time.Nanosecond, "rate limited", 0, 0, time.Nanosecond},
		{"the next minute", 99, nil, time.Nanosecond, "", 1, 1, 0},
		{"the last one beside", 100, nil, 0, "", 1, 1, 0},
		{"half used", 101, nil, 0, "", 1, 1, 0},
		{"counted first, and refused", 200, full, time.Second, "rate limited", 1, 0, 30 * time.Second},
		{"refused without a call", 200, full, time.Second, "rate limited", 0, 0, 29 * time.Second},
	} {
		now = now.Add(tc.passed)
		w.counted(w.merchant, tc.used, tc.fail)
		w.calls.Store(0)
		reads = 0
		_, err := w.auth.Merchant(t.Context(), request("API-Key", w.merchant.Text.Reveal()), func(ctx context.Context, id int64) (*account.Account, error) {
			reads++
			return w.beside(ctx, id)
		})
		if told(err) != tc.want || int(w.calls.Load()) != tc.calls || reads != tc.reads {
			t.Fatalf("%d, %s: %v after %d calls and %d reads, want %q, %d, %d", i, tc.name, err, w.calls.Load(), reads, tc.want, tc.calls, tc.reads)
		}
		if err != nil && fault.Of(err)[0].RetryAfter != tc.wait {
			t.Errorf("%s: Retry-After %v, want %v", tc.name, fault.Of(err)[0].RetryAfter, tc.wait)
		}
	}
	t.Run("another key has its own minute", func(t *testing.T) {
		w.counted(w.partner, 3, nil)
		if _, err := w.auth.Partner(t.Context(), request("API-Key", w.partner.Text.Reveal())); err != nil {
			t.Error(err)
		}
	})
}

// TestHalfUsedWindowIsCountedFirst: nothing is read for a refused key, and a read that
// panics is an error here too.
func TestHalfUsedWindowIsCountedFirst(t *testing.T) {
	for name, tc := range map[string]struct {
		fail   error
		beside func(context.Context, int64) (*account.Account, error)
		want   string
		reads  int
	}{
		"refused":                 {fault.New(fault.Unauthorized, "gone"), nil, "unauthorized", 0},
		"the table is down":       {errors.New("down"), nil, "internal", 0},
		"the read fails":          {nil, func(context.Context, int64) (*account.Account, error) { return nil, errors.New("down") }, "internal", 1},
		"the read panics":         {nil, func(context.Context, int64) (*account.Account, error) { panic("canary") }, "internal", 1},
		"the read brings nothing": {nil, func(context.Context, int64) (*account.Account, error) { return nil, nil }, "unauthorized", 1}, //nolint:nilnil // absent
		"proven":                  {nil, nil, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ask := func(beside func(context.Context, int64) (*account.Account, error)) (reads int, err error) {
				_, err = w.auth.Merchant(t.Context(), request("API-Key", w.merchant.Text.Reveal()), func(ctx context.Context, id int64) (*account.Account, error) {
					reads++
					if beside == nil {
						beside = w.beside
					}
					return beside(ctx, id)
				})
				return reads, err
			}
			w.counted(w.merchant, 150, nil)
			if _, err := ask(nil); err != nil {
				t.Fatal(err)
			}
			w.fail = tc.fail
			if reads, err := ask(tc.beside); told(err) != tc.want || reads != tc.reads {
				t.Errorf("Merchant = %v after %d reads, want %q after %d", err, reads, tc.want, tc.reads)
			}
		})
	}
}

// TestManyKeysAreForgotten: the number of remembered windows is limited.
func TestManyKeysAreForgotten(t *testing.T) {
	w := newWorld(t)
	full := &fault.Error{Kind: fault.RateLimited, Message: "m", RetryAfter: 30 * time.Second}
	for i := range 10_000 {
		key := newKey(t, carrier.Production, 5, 71)
		w.keys[key.Hash()] = account.KeyUsed{Key: account.APIKey{ID: int64(i + 1), PartnerID: 5, AccountID: 71}, Used: 200, Reset: 30 * time.Second}
		w.fail = full
		w.calls.Store(0)
		for n := range 2 {
			if _, err := w.auth.Merchant(t.Context(), request("API-Key", key.Text.Reveal()), w.beside); told(err) != "rate limited" || w.calls.Load() != 1 {
				t.Fatalf("key %d, request %d: %v after %d calls", i, n, err, w.calls.Load())
			}
		}
		delete(w.keys, key.Hash())
	}
	if n := w.auth.Known(); n == 0 || n > 4096 {
		t.Errorf("%d windows are remembered", n)
	}
}
