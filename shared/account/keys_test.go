package account_test

import (
	"crypto/rand"
	"errors"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

func TestParseScopes(t *testing.T) {
	for _, tc := range []struct {
		name  string
		names []string
		want  []account.Scope
	}{
		{"none", nil, nil},
		{"empty", []string{}, nil},
		{"an unknown one", []string{"read", "write"}, nil},
		{"in capitals", []string{"Read"}, nil},
		{"without a name", []string{""}, nil},
		{"twice", []string{"read", "link", "read"}, nil},
		{"one", []string{"link"}, []account.Scope{account.ScopeLink}},
		{"all, in another order", []string{"admin", "link", "read"}, []account.Scope{account.ScopeAdmin, account.ScopeLink, account.ScopeRead}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, problem := account.ParseScopes(tc.names)
			if diff := cmp.Diff(tc.want, got); diff != "" || (problem == nil) != (tc.want != nil) || problem != nil && (problem.Kind != fault.Invalid || problem.Field != "scopes") {
				t.Errorf("ParseScopes(%q) = %v (-want +got):\n%s", tc.names, problem, diff)
			}
		})
	}
}

// keyOf returns the only key of an account.
func (w *world) keyOf(t *testing.T, accountID int64) *account.APIKey {
	t.Helper()
	keys, err := w.Keys(t.Context(), accountID)
	if err != nil || len(keys) != 1 {
		t.Fatalf("Keys = %d keys, %v, want one", len(keys), err)
	}
	return &keys[0]
}

func TestIssueKeyRefuses(t *testing.T) {
	w := newWorld(t)
	a, broken := w.account(t, 71), errors.New("no entropy")
	for name, at := range map[string]time.Time{
		"past": w.now().Add(-time.Millisecond), "now": w.now(), "within this millisecond": w.clock, "the year 1": time.Time{}.Add(time.Millisecond),
	} {
		if _, err := w.IssueKey(t.Context(), &a, account.KeyInput{ExpiresAt: at}, nil); told(err) != "invalid expires_at" {
			t.Errorf("expires %s: %v", name, err)
		}
	}
	if _, err := w.IssueKey(t.Context(), &a, account.KeyInput{}, unmakeable); !errors.Is(err, errUnmakeable) {
		t.Errorf("effects that cannot be made: %v", err)
	}
	if _, err := w.IssueKey(t.Context(), &account.Account{ID: 99, PartnerID: 5}, account.KeyInput{}, nil); told(err) != "not found" {
		t.Errorf("absent account: %v", err)
	}
	w.Random = iotest.ErrReader(broken)
	if _, err := w.IssueKey(t.Context(), &a, account.KeyInput{}, nil); !errors.Is(err, broken) {
		t.Errorf("without randomness: %v", err)
	}
	w.keyOf(t, 71) // no key was added
	w.Random = rand.Reader
	if err := w.Delete(t.Context(), a, false, account.MinPurgeDays, effects.Effects{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.IssueKey(t.Context(), &a, account.KeyInput{}, nil); told(err) != "state" {
		t.Errorf("deleted account: %v", err)
	}
}

func TestIssueKey(t *testing.T) {
	w := newWorld(t)
	first := w.keyOf(t, 71)
	w.clock = w.clock.Add(time.Minute)
	in := account.KeyInput{Description: "Till", Scopes: []account.Scope{account.ScopeRead}, ExpiresAt: w.now().Add(time.Millisecond)}
	var shown []*account.IssuedKey
	key, err := w.IssueKey(t.Context(), new(w.account(t, 71)), in, answers(&shown))
	if err != nil || len(shown) != 1 || shown[0].ID != key.ID {
		t.Fatalf("IssueKey = %v, answered %+v", err, shown)
	}
	text, ok := account.ParseKey(key.Text.Reveal())
	want := account.APIKey{
		ID: key.ID, PartnerID: 5, AccountID: 71, Hash: text.Hash(), Prefix: text.Prefix(), LastFour: text.Text.LastFour(), Environment: carrier.Production,
		Description: "Till", Scopes: in.Scopes, ExpiresAt: in.ExpiresAt, CreatedAt: w.now(),
	}
	keys, err := w.Keys(t.Context(), 71)
	if diff := cmp.Diff([]account.APIKey{*first, want}, keys); diff != "" || err != nil || !ok || text.AccountID != 71 {
		t.Errorf("keys: %v (-want +got):\n%s", err, diff)
	}
	if _, err := w.IssueKey(t.Context(), new(w.account(t, 71)), account.KeyInput{}, answers(&shown)); told(err) != "replay" {
		t.Errorf("the same Idempotency-Key again: %v", err)
	}
}

func TestRotateKeyRefuses(t *testing.T) {
	w := newWorld(t)
	old := w.keyOf(t, 71)
	for _, grace := range []time.Duration{-time.Second, account.MaxGrace + time.Second} {
		if _, err := w.RotateKey(t.Context(), old, grace, nil); told(err) != "invalid grace_period_seconds" {
			t.Errorf("grace %v: %v", grace, err)
		}
	}
	if _, err := w.RotateKey(t.Context(), old, 0, unmakeable); !errors.Is(err, errUnmakeable) {
		t.Errorf("effects that cannot be made: %v", err)
	}
	if diff := cmp.Diff(old, w.keyOf(t, 71)); diff != "" {
		t.Errorf("a refused rotation changed the key:\n%s", diff)
	}
	if _, err := w.RotateKey(t.Context(), old, account.DefaultGrace, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.RotateKey(t.Context(), old, account.DefaultGrace, nil); told(err) != "state" {
		t.Errorf("key that was already rotated: %v", err)
	}
}

func TestRotateKey(t *testing.T) {
	for _, tc := range []struct {
		name         string
		expires      time.Duration // of the old key; zero: never
		grace, lives time.Duration
	}{
		{"at once", 0, 0, 0},
		{"a day", 0, account.DefaultGrace, 24 * time.Hour},
		{"longest", 0, account.MaxGrace, 7 * 24 * time.Hour},
		{"a key that ends before", time.Hour, account.DefaultGrace, time.Hour},
		{"a key that ends later", 48 * time.Hour, account.DefaultGrace, 24 * time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			in := account.KeyInput{Description: "Till", Scopes: []account.Scope{account.ScopeRead, account.ScopeLink}}
			if tc.expires > 0 {
				in.ExpiresAt = w.now().Add(tc.expires)
			}
			old, err := w.IssueKey(t.Context(), new(w.account(t, 71)), in, nil)
			if err != nil {
				t.Fatal(err)
			}
			var shown []*account.Rotated
			got, err := w.RotateKey(t.Context(), &old.APIKey, tc.grace, answers(&shown))
			if err != nil || len(shown) != 1 || shown[0].Key.ID != got.Key.ID {
				t.Fatalf("RotateKey = %v, answered %+v", err, shown)
			}
			want := old.APIKey
			want.ID, want.Hash, want.Prefix, want.LastFour = got.Key.ID, got.Key.Hash, got.Key.Prefix, got.Key.LastFour
			if diff := cmp.Diff(want, got.Key.APIKey); diff != "" || got.Key.ID == old.ID || got.Key.Text.Equal(old.Text) {
				t.Errorf("the new key (-want +got):\n%s", diff)
			}
			ends := w.now().Add(tc.lives)
			kept, err := w.Key(t.Context(), 71, old.ID)
			if err != nil || got.OldID != old.ID || !got.OldExpiresAt.Equal(ends) || !kept.ExpiresAt.Equal(ends) || kept.ReplacedBy != got.Key.ID {
				t.Errorf("the old key ends at %v, answered %d at %v, want %v; %v", kept.ExpiresAt, got.OldID, got.OldExpiresAt, ends, err)
			}
			if _, err := w.RotateKey(t.Context(), &got.Key.APIKey, 0, answers(&shown)); told(err) != "replay" {
				t.Errorf("the same Idempotency-Key again: %v", err)
			}
		})
	}
}

func TestDeleteKey(t *testing.T) {
	w := newWorld(t)
	w.add(t, account.Account{ID: 72})
	k := w.keyOf(t, 71)
	for id, accountID := range map[int64]int64{k.ID: 72, k.ID + 1: 71} {
		if _, err := w.Key(t.Context(), accountID, id); told(err) != "not found" {
			t.Errorf("key %d of account %d: %v", id, accountID, err)
		}
	}
	if err := w.DeleteKey(t.Context(), k, effects.Effects{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Key(t.Context(), 71, k.ID); told(err) != "not found" {
		t.Errorf("keys after the deletion: %v", err)
	}
	if err := w.DeleteKey(t.Context(), k, effects.Effects{}); told(err) != "not found" {
		t.Errorf("deleting it again: %v", err)
	}
}
