package account_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
)

// told returns the events of an account since the first skip of them, the oldest first:
// type, subject and data.
func (w *world) told(t *testing.T, accountID int64, skip int) []string {
	t.Helper()
	found, _, err := w.store.ListEvents(t.Context(), effects.Listing{PartnerID: 5, AccountID: accountID, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	told := make([]string, len(found))
	for i, e := range found {
		if e.By != jo() || e.PartnerID != 5 || e.AccountID != accountID || e.At.After(w.now()) {
			t.Errorf("event %+v by %+v", e.Event, e.By)
		}
		told[len(found)-1-i] = fmt.Sprintf("%s of %s: %s", e.Type, e.Subject, e.Data)
	}
	return told[skip:]
}

// TestEvents: each change of an account or of its keys is told once, with what changed; a
// change without effect and a refused one tell nothing.
func TestEvents(t *testing.T) {
	w := newWorld(t)
	by := effects.Effects{By: jo()}
	made, err := w.Create(t.Context(), account.Creation{
		Account: account.Account{ExternalID: "shop/2", Email: "eve@example.com"}, Partner: account.Partner{ID: 5, Environment: "production", DefaultCountryCode: "AU"},
	}, effects.MadeBy[*account.Created](jo()))
	if err != nil {
		t.Fatal(err)
	}
	id := made.Account.ID
	key := made.Key.APIKey
	steps := []struct {
		name string
		do   func() error
		want []string
	}{
		{"created", func() error { return nil }, []string{fmt.Sprintf(`account_created of account: {"api_key_id":%d}`, key.ID)}},
		{"a change of nothing", func() error {
			_, err := w.Change(t.Context(), account.Change{Account: w.account(t, id), Edit: func(*account.Account) error { return nil }}, effects.MadeBy[*account.Account](jo()))
			return err
		}, nil},
		{"a change", func() error {
			_, err := w.Change(t.Context(), account.Change{Account: w.account(t, id), Edit: func(a *account.Account) error {
				a.Email, a.FirstName, a.LastName, a.CompanyName = "", "Eve", "Lee", "Shop"
				a.ExternalID, a.OriginCountryCode, a.Metadata = "shop/3", "NZ", map[string]string{"tier": "gold"}
				return nil
			}}, effects.MadeBy[*account.Account](jo()))
			return err
		}, []string{`account_updated of account: {"changed":["company_name","email","external_account_id","first_name","last_name","metadata","origin_country_code"]}`}},
		{"enabled already", func() error { return w.Enable(t.Context(), w.account(t, id), false, by) }, nil},
		{"disabled", func() error { return w.Disable(t.Context(), w.account(t, id), false, by) }, []string{"account_disabled of account: {}"}},
		{"enabled", func() error { return w.Enable(t.Context(), w.account(t, id), false, by) }, []string{"account_enabled of account: {}"}},
		{"another key", func() error {
			issued, err := w.IssueKey(t.Context(), &made.Account, account.KeyInput{Scopes: []account.Scope{account.ScopeRead}, ExpiresAt: w.clock.Add(time.Hour)}, effects.MadeBy[*account.IssuedKey](jo()))
			if err == nil {
				key = issued.APIKey
			}
			return err
		}, nil},
		{"deleted", func() error { return w.Delete(t.Context(), w.account(t, id), false, 7, by) }, []string{`account_deleted of account: {"purge_at":"2026-03-08T00:00:38.000Z"}`}},
		{"deleted again", func() error { return w.Delete(t.Context(), w.account(t, id), false, 30, by) }, nil},
		{"restored", func() error { return w.Restore(t.Context(), w.account(t, id), false, by) }, []string{"account_restored of account: {}"}},
	}
	seen := 0
	for _, step := range steps {
		w.clock = w.clock.Add(time.Second)
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		want := step.want
		if step.name == "another key" {
			want = []string{fmt.Sprintf(`api_key_created of api_key %d: {"api_key_id":%[1]d,"last_four":%q,"scopes":["read"],"expires_at":"2026-03-01T01:00:37.123Z"}`, key.ID, key.LastFour)}
		}
		got := w.told(t, id, seen)
		if len(got) != len(want) || len(want) > 0 && cmp.Diff(want, got) != "" {
			t.Errorf("%s is told as %q, want %q", step.name, got, want)
		}
		seen += len(got)
	}

	w.clock = w.clock.Add(time.Second)
	old, err := w.Key(t.Context(), id, key.ID)
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := w.RotateKey(t.Context(), old, time.Minute, effects.MadeBy[*account.Rotated](jo()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.RotateKey(t.Context(), old, time.Minute, effects.MadeBy[*account.Rotated](jo())); err == nil {
		t.Error("a key was rotated twice")
	}
	w.clock = w.clock.Add(time.Second)
	if err := w.DeleteKey(t.Context(), &rotated.Key.APIKey, by); err != nil {
		t.Fatal(err)
	}
	next := rotated.Key
	want := []string{
		fmt.Sprintf(`api_key_rotated of api_key %d: {"api_key_id":%[1]d,"last_four":%q,"scopes":["read"],"expires_at":"2026-03-01T01:00:37.123Z","previous_api_key_id":%d,"previous_expires_at":"2026-03-01T00:01:41.123Z"}`,
			next.ID, next.LastFour, key.ID),
		fmt.Sprintf(`api_key_deleted of api_key %d: {"api_key_id":%[1]d,"last_four":%q,"scopes":["read"],"expires_at":"2026-03-01T01:00:37.123Z"}`, next.ID, next.LastFour),
	}
	if diff := cmp.Diff(want, w.told(t, id, seen)); diff != "" {
		t.Errorf("a rotation and a deletion are told (-want +got):\n%s", diff)
	}
}
