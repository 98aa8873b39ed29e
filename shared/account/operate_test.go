package account_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// operated is a Service over a store in memory with partner p, which has one key, and
// records the effects of changes. before runs before each change is written.
type operated struct {
	*world
	p      account.Partner
	first  *account.IssuedKey
	fx     []effects.Effects
	before func()
}

type operatedStore struct {
	*stand
	o *operated
}

func (s operatedStore) ChangePartner(ctx context.Context, c account.PartnerChange, fx effects.Effects, now time.Time) error {
	if before := s.o.before; before != nil {
		before()
	}
	err := s.stand.ChangePartner(ctx, c, fx, now)
	if err == nil {
		s.o.fx = append(s.o.fx, fx)
	}
	return err
}

func newOperated(t *testing.T) *operated {
	t.Helper()
	o := &operated{world: newWorld(t)}
	o.Store = operatedStore{o.store, o}
	var err error
	o.p, o.first, err = o.CreatePartner(t.Context(), account.PartnerInput{Name: "Shop", Environment: "production", DefaultCountryCode: "NZ"}, effects.Effects{})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func jo() effects.By { return effects.By{Actor: effects.Operator, Operator: "jo"} }

// use uses a key.
func (o *operated) use(t *testing.T, k *account.IssuedKey) (account.APIKey, error) {
	t.Helper()
	used, err := o.store.UseKey(t.Context(), account.KeyUse{PartnerID: o.p.ID, Hash: k.Hash, Now: o.clock, Limit: 1000})
	return used.Key, err
}

// records returns the types of the events since the last call, with their data, and checks
// who made the changes.
func (o *operated) records(t *testing.T) (told []string) {
	t.Helper()
	for _, fx := range o.fx {
		for _, e := range fx.Events {
			if fx.By != jo() || e.Subject != fmt.Sprintf("partner %d", o.p.ID) || e.PartnerID != o.p.ID || e.AccountID != 0 || !json.Valid(e.Data) {
				t.Errorf("event %+v by %+v", e, fx.By)
			}
			told = append(told, string(e.Type)+" "+string(e.Data))
		}
	}
	o.fx = nil
	return told
}

func TestDisabledPartner(t *testing.T) {
	o := newOperated(t)
	ids := fmt.Sprintf(`{"partner_id":%d}`, o.p.ID)
	for i, tc := range []struct {
		disabled, changed bool
		told              []string
	}{
		{false, false, nil},
		{true, true, []string{"partner_disabled " + ids}},
		{true, false, nil}, // a repeated command
		{false, true, []string{"partner_enabled " + ids}},
		{true, true, []string{"partner_disabled " + ids}},
	} {
		p, changed, err := o.SetPartnerDisabled(t.Context(), o.p.ID, tc.disabled, jo())
		if err != nil || changed != tc.changed || p.DisabledAt.IsZero() == tc.disabled {
			t.Errorf("step %d: SetPartnerDisabled(%t) = %+v, %t, %v, want changed %t", i, tc.disabled, p, changed, err, tc.changed)
		}
		if diff := cmp.Diff(tc.told, o.records(t)); diff != "" {
			t.Errorf("step %d: records (-want +got):\n%s", i, diff)
		}
		if k, err := o.use(t, o.first); err != nil || k.PartnerDisabled != tc.disabled {
			t.Errorf("step %d: the key says disabled %t, %v, want %t", i, k.PartnerDisabled, err, tc.disabled)
		}
	}
	for name, makeKey := range map[string]func() (*account.IssuedKey, error){
		"added": func() (*account.IssuedKey, error) {
			return o.IssuePartnerKey(t.Context(), o.p.ID, account.KeyInput{Description: "New"}, jo())
		},
		"rotated": func() (*account.IssuedKey, error) {
			r, err := o.RotatePartnerKey(t.Context(), o.p.ID, o.first.ID, time.Hour, jo())
			return r.Key, err
		},
	} {
		k, err := makeKey()
		if err != nil {
			t.Fatal(err)
		}
		if used, err := o.use(t, k); err != nil || !used.PartnerDisabled || used.DefaultCountryCode != "NZ" {
			t.Errorf("a key %s while its partner is disabled: %+v, %v, want it disabled", name, used, err)
		}
	}
	if _, _, err := o.SetPartnerDisabled(t.Context(), 1, true, jo()); !fault.Is(err, fault.NotFound) {
		t.Errorf("SetPartnerDisabled of an absent partner = %v", err)
	}
}

func TestIssuePartnerKey(t *testing.T) {
	o := newOperated(t)
	in := account.KeyInput{Description: "Warehouse", Scopes: []account.Scope{account.ScopeRead}, ExpiresAt: o.clock.Add(time.Hour)}
	late := in
	late.ExpiresAt = o.clock
	if _, err := o.IssuePartnerKey(t.Context(), o.p.ID, late, jo()); !fault.Is(err, fault.Invalid) {
		t.Errorf("a key that has expired: %v", err)
	}
	key, err := o.IssuePartnerKey(t.Context(), o.p.ID, in, jo())
	if err != nil {
		t.Fatal(err)
	}
	if parsed, ok := account.ParseKey(key.Text.Reveal()); !ok || parsed.PartnerID != o.p.ID || parsed.Hash() != key.Hash {
		t.Errorf("the key's text is of %+v", parsed)
	}
	if k, err := o.use(t, key); err != nil || k.May(account.ScopeAdmin) || !k.May(account.ScopeRead) || k.DefaultCountryCode != "NZ" {
		t.Errorf("the new key = %+v, %v", k, err)
	}
	if diff := cmp.Diff([]string{fmt.Sprintf(`partner_key_created {"partner_id":%d,"api_key_id":%d}`, o.p.ID, key.ID)}, o.records(t)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	again, err := o.IssuePartnerKey(t.Context(), o.p.ID, in, jo())
	if !fault.Is(err, fault.State) || !strings.Contains(err.Error(), strconv.FormatInt(key.ID, 10)) || again != nil || len(o.records(t)) > 0 {
		t.Errorf("the same command again = %v, %v, want fault.State that names key %d", again, err, key.ID)
	}
	o.clock = o.clock.Add(2 * time.Hour)
	in.ExpiresAt = time.Time{}
	if _, err := o.IssuePartnerKey(t.Context(), o.p.ID, in, jo()); err != nil {
		t.Errorf("the same description after the key has expired: %v", err)
	}
}

func TestRotatePartnerKey(t *testing.T) {
	o := newOperated(t)
	for _, grace := range []time.Duration{-1, account.MaxGrace + 1} {
		if _, err := o.RotatePartnerKey(t.Context(), o.p.ID, o.first.ID, grace, jo()); !fault.Is(err, fault.Invalid) {
			t.Errorf("grace %s: %v", grace, err)
		}
	}
	if _, err := o.RotatePartnerKey(t.Context(), o.p.ID, o.first.ID+1, 0, jo()); !fault.Is(err, fault.NotFound) {
		t.Errorf("an absent key: %v", err)
	}
	r, err := o.RotatePartnerKey(t.Context(), o.p.ID, o.first.ID, time.Hour, jo())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []*account.IssuedKey{o.first, r.Key} {
		if _, err := o.use(t, k); err != nil {
			t.Errorf("key %d within the grace period: %v", k.ID, err)
		}
	}
	if diff := cmp.Diff([]string{fmt.Sprintf(`partner_key_rotated {"partner_id":%d,"api_key_id":%d,"previous_api_key_id":%d}`, o.p.ID, r.Key.ID, o.first.ID)}, o.records(t)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	again, err := o.RotatePartnerKey(t.Context(), o.p.ID, o.first.ID, time.Hour, jo())
	if _, keys, _ := o.Partner(t.Context(), o.p.ID); !fault.Is(err, fault.State) || again != nil || len(keys) != 2 {
		t.Errorf("the same command again = %v, %v, and %d keys, want fault.State and 2", again, err, len(keys))
	}
	o.clock = o.clock.Add(time.Hour)
	if _, err := o.use(t, o.first); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("the old key after the grace period: %v", err)
	}
	if _, err := o.use(t, r.Key); err != nil {
		t.Errorf("the new key after the grace period: %v", err)
	}
	if _, err := o.RotatePartnerKey(t.Context(), o.p.ID, o.first.ID, 0, jo()); !fault.Is(err, fault.State) {
		t.Errorf("an expired key: %v", err)
	}
}

func TestDeletePartnerKey(t *testing.T) {
	o := newOperated(t)
	if err := o.DeletePartnerKey(t.Context(), o.p.ID, o.first.ID, jo()); err != nil {
		t.Fatal(err)
	}
	if _, err := o.use(t, o.first); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("the deleted key: %v", err)
	}
	if told := o.records(t); len(told) != 1 || !strings.HasPrefix(told[0], "partner_key_deleted ") {
		t.Errorf("records %q", told)
	}
	if err := o.DeletePartnerKey(t.Context(), o.p.ID, o.first.ID, jo()); !fault.Is(err, fault.NotFound) || len(o.records(t)) > 0 {
		t.Errorf("the same command again: %v", err)
	}
}

func TestPartnerHasRoom(t *testing.T) {
	o := newOperated(t)
	add := func(n int, end time.Time) error {
		_, err := o.IssuePartnerKey(t.Context(), o.p.ID, account.KeyInput{Description: fmt.Sprint("Key ", n), ExpiresAt: end}, jo())
		return err
	}
	for n := 1; n < account.MaxPartnerKeys; n++ {
		if err := add(n, o.clock.Add(time.Duration(n)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if err := add(100, time.Time{}); !fault.Is(err, fault.State) {
		t.Errorf("a key too many: %v", err)
	}
	if _, err := o.RotatePartnerKey(t.Context(), o.p.ID, o.first.ID, time.Hour, jo()); !fault.Is(err, fault.State) {
		t.Errorf("a rotation without room: %v", err)
	}
	if _, _, err := o.SetPartnerDisabled(t.Context(), o.p.ID, true, jo()); err != nil {
		t.Errorf("disabling a partner with all its keys: %v", err)
	}
	o.clock = o.clock.Add(150 * time.Second) // two have expired
	if err := add(100, time.Time{}); err != nil {
		t.Errorf("a key in place of an expired one: %v", err)
	}
	_, keys, err := o.Partner(t.Context(), o.p.ID)
	if err != nil || len(keys) != account.MaxPartnerKeys {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	for _, k := range keys {
		if k.Description == "Key 1" {
			t.Error("the key that expired first is still there")
		}
	}
}

func TestChangesOfAPartnerThatMeet(t *testing.T) {
	o := newOperated(t)
	others := 0
	o.before = func() {
		if others++; others > 3 {
			return
		}
		before := o.before
		o.before = nil
		if _, err := o.IssuePartnerKey(t.Context(), o.p.ID, account.KeyInput{Description: fmt.Sprint("Other ", others)}, jo()); err != nil {
			t.Error(err)
		}
		o.before = before
	}
	if _, changed, err := o.SetPartnerDisabled(t.Context(), o.p.ID, true, jo()); err != nil || !changed {
		t.Fatalf("SetPartnerDisabled = %t, %v", changed, err)
	}
	_, keys, err := o.Partner(t.Context(), o.p.ID)
	if err != nil || len(keys) != 4 {
		t.Fatalf("%d keys, %v, want 4", len(keys), err)
	}
	for _, k := range keys {
		if !k.PartnerDisabled {
			t.Errorf("key %q was added meanwhile and is not disabled", k.Description)
		}
	}
	others = -100 // from now on another change always comes first
	if err := o.DeletePartnerKey(t.Context(), o.p.ID, o.first.ID, jo()); !fault.Is(err, fault.Precondition) || fault.Of(err)[0].Field != "" {
		t.Errorf("a change that never comes first: %v, want Precondition without a field", err)
	}
}
