package account_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
)

// expiring returns the api_key_expiring of account 71, the oldest first: after how long since
// start each was made, of which key, and how many days it says.
func (w *world) expiring(t *testing.T, start time.Time) []string {
	t.Helper()
	found, _, err := w.store.ListEvents(t.Context(), effects.Listing{PartnerID: 5, AccountID: 71, Types: []effects.EventType{effects.APIKeyExpiring}, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range slices.Backward(found) {
		if want := (effects.By{Actor: effects.Schedule}); e.By != want {
			t.Errorf("made by %+v, want %+v", e.By, want)
		}
		all = append(all, fmt.Sprintf("%s %s %s", e.At.Sub(start), e.Subject, e.Data))
	}
	return all
}

// report runs ReportExpiring.
func (w *world) report(t *testing.T) account.Expiring {
	t.Helper()
	got, err := w.ReportExpiring(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestReportExpiring lets a key come to its end while a run looks every few hours.
func TestReportExpiring(t *testing.T) {
	const day = 24 * time.Hour
	for _, tc := range []struct {
		name  string
		lives time.Duration // zero: for ever
		first time.Duration // when runs begin, one every six hours
		do    func(*world, *account.APIKey) error
		want  []string // %d: the key; %s: its last four characters and expiry
	}{
		{"for ever", 0, 0, nil, nil},
		{"half a day", day / 2, 0, nil, nil},
		{"a day", day, 0, nil, nil},
		{"a day and an hour", day + time.Hour, 0, nil, []string{`6h0m0s api_key %d {"api_key_id":%[1]d,"last_four":%q,"scopes":["read"],"expires_at":%q,"expires_in_days":1}`}},
		{"three days", 3 * day, 0, nil, []string{`48h0m0s api_key %d {"api_key_id":%[1]d,"last_four":%q,"scopes":["read"],"expires_at":%q,"expires_in_days":1}`}},
		{"ten days", 10 * day, 0, nil, []string{
			`72h0m0s api_key %d {"api_key_id":%[1]d,"last_four":%q,"scopes":["read"],"expires_at":%q,"expires_in_days":7}`,
			`216h0m0s api_key %d {"api_key_id":%[1]d,"last_four":%q,"scopes":["read"],"expires_at":%q,"expires_in_days":1}`,
		}},
		{"runs begin late", 10 * day, 8 * day, nil, []string{
			`192h0m0s api_key %d {"api_key_id":%[1]d,"last_four":%q,"scopes":["read"],"expires_at":%q,"expires_in_days":7}`,
			`216h0m0s api_key %d {"api_key_id":%[1]d,"last_four":%q,"scopes":["read"],"expires_at":%q,"expires_in_days":1}`,
		}},
		{"runs begin on the last day", 10 * day, 9*day + time.Hour, nil, []string{`217h0m0s api_key %d {"api_key_id":%[1]d,"last_four":%q,"scopes":["read"],"expires_at":%q,"expires_in_days":1}`}},
		{"runs begin after the end", 10 * day, 10 * day, nil, nil},
		{"deleted", 10 * day, 0, func(w *world, k *account.APIKey) error {
			return w.DeleteKey(context.Background(), k, effects.Effects{})
		}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			start := w.now()
			in := account.KeyInput{Scopes: []account.Scope{account.ScopeRead}}
			if tc.lives > 0 {
				in.ExpiresAt = start.Add(tc.lives)
			}
			key, err := w.IssueKey(t.Context(), new(w.account(t, 71)), in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tc.do != nil {
				if err := tc.do(w, &key.APIKey); err != nil {
					t.Fatal(err)
				}
			}
			reported := 0
			w.clock = w.clock.Add(tc.first)
			for range 12 * 4 {
				reported += w.report(t).Reported
				w.clock = w.clock.Add(6 * time.Hour)
			}
			var want []string
			for _, text := range tc.want {
				want = append(want, fmt.Sprintf(text, key.ID, key.LastFour, effects.Time(in.ExpiresAt)))
			}
			if diff := cmp.Diff(want, w.expiring(t, start)); diff != "" || reported != len(want) {
				t.Errorf("%d reports (-want +got):\n%s", reported, diff)
			}
		})
	}
}

// TestRotatedKeyIsNotExpiring: the event of the rotation has told when the old key ends. The
// new one ends when the old one would have.
func TestRotatedKeyIsNotExpiring(t *testing.T) {
	w := newWorld(t)
	start := w.now()
	old, err := w.IssueKey(t.Context(), new(w.account(t, 71)), account.KeyInput{ExpiresAt: start.Add(8 * 24 * time.Hour)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := w.RotateKey(t.Context(), &old.APIKey, account.MaxGrace, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 9 {
		w.clock = w.clock.Add(24 * time.Hour)
		w.report(t)
	}
	var keys []string
	for _, text := range w.expiring(t, start) {
		var after, word, id string
		if _, err := fmt.Sscan(text, &after, &word, &id); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, after+" "+id)
	}
	id := strconv.FormatInt(rotated.Key.ID, 10)
	if diff := cmp.Diff([]string{"24h0m0s " + id, "168h0m0s " + id}, keys); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
}

// failingKeys is a store that fails for some keys, and after others runs another process.
type failingKeys struct {
	*stand
	fail  map[int64]error
	after func(account.APIKey)
	list  error
}

// ExpiringKeys may fail.
func (f *failingKeys) ExpiringKeys(ctx context.Context, now time.Time, limit int) ([]account.APIKey, int, error) {
	if f.list != nil {
		return nil, 0, f.list
	}
	found, _, err := f.stand.ExpiringKeys(ctx, now, limit)
	return found, 3, err
}

// SaveKeyWarning may fail before it writes.
func (f *failingKeys) SaveKeyWarning(ctx context.Context, k account.APIKey, next time.Time, fx effects.Effects, now time.Time) error {
	if err := f.fail[k.ID]; err != nil {
		return err
	}
	if f.after != nil {
		f.after(k)
	}
	return f.stand.SaveKeyWarning(ctx, k, next, fx, now)
}

// TestReportExpiringFails: one key's failure keeps no other from being reported, and the
// next run makes up for it, once.
func TestReportExpiringFails(t *testing.T) {
	w := newWorld(t)
	start := w.now()
	store := &failingKeys{stand: w.store, fail: map[int64]error{}, list: errors.New("down")}
	w.Store = store
	if _, err := w.ReportExpiring(t.Context(), 10); !errors.Is(err, store.list) {
		t.Errorf("ReportExpiring = %v, want %v", err, store.list)
	}
	store.list = nil
	var ids []int64
	for range 4 {
		key, err := w.IssueKey(t.Context(), new(w.account(t, 71)), account.KeyInput{ExpiresAt: start.Add(8 * 24 * time.Hour)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, key.ID)
	}
	w.clock = w.clock.Add(25 * time.Hour)
	store.fail[ids[1]] = errors.New("full")
	store.after = func(k account.APIKey) { // another run is as fast
		if k.ID == ids[2] {
			if err := store.stand.SaveKeyWarning(t.Context(), k, k.WarnAt.Add(time.Hour), effects.Effects{}, w.now()); err != nil {
				t.Error(err)
			}
		}
	}
	got, err := w.ReportExpiring(t.Context(), 10)
	if want := (account.Expiring{Reported: 2, Malformed: 3, Busy: 1, Failed: 1}); got != want || !errors.Is(err, store.fail[ids[1]]) {
		t.Errorf("ReportExpiring = %+v, %v, want %+v and the failure", got, err, want)
	}
	delete(store.fail, ids[1])
	store.after = nil
	if got := w.report(t); got.Reported != 2 || len(w.expiring(t, start)) != 4 { // the other run only moved its time
		t.Errorf("the next run reports %d keys, %q", got.Reported, w.expiring(t, start))
	}
	if got := w.report(t); got.Reported != 0 {
		t.Errorf("another run reports %d keys, want none", got.Reported)
	}
}

// TestReportExpiringStopsInTime: what does not fit into a run is left to the next one.
func TestReportExpiringStopsInTime(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		if _, err := w.IssueKey(t.Context(), new(w.account(t, 71)), account.KeyInput{ExpiresAt: w.now().Add(8 * 24 * time.Hour)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	w.clock = w.clock.Add(25 * time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 1900*time.Millisecond) // less than the reserve
	defer cancel()
	got, err := w.ReportExpiring(ctx, 10)
	if want := (account.Expiring{Left: 3}); got != want || err != nil {
		t.Errorf("ReportExpiring = %+v, %v, want %+v", got, err, want)
	}
	if got, err := w.ReportExpiring(t.Context(), 2); got.Reported != 2 || err != nil {
		t.Errorf("ReportExpiring of at most two = %+v, %v", got, err)
	}
}
