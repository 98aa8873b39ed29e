package account_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
)

// partners records which partners are stored.
type partners struct {
	*stand
	made []account.Partner
	keys []account.APIKey
	fx   []effects.Effects
	fail error
}

func (s *partners) CreatePartner(ctx context.Context, p account.Partner, k account.APIKey, fx effects.Effects, now time.Time) error {
	if s.fail != nil {
		return s.fail
	}
	s.made, s.keys, s.fx = append(s.made, p), append(s.keys, k), append(s.fx, fx)
	return s.stand.CreatePartner(ctx, p, k, fx, now)
}

func newPartners(t *testing.T) (*world, *partners) {
	t.Helper()
	w := newWorld(t)
	s := &partners{stand: w.store}
	w.Store = s
	return w, s
}

func TestCreatePartnerRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   account.PartnerInput
		want []string // parts of the error, in order
	}{
		{"nothing", account.PartnerInput{}, []string{"name must not be empty", "environment must be production or sandbox"}},
		{"blanks for a name", account.PartnerInput{Name: "  ", Environment: "sandbox"}, []string{"name must not be empty"}},
		{"name too long by one", account.PartnerInput{Name: strings.Repeat("é", 101), Environment: "sandbox"}, []string{"name must be at most 100 characters"}},
		{"name with a control character", account.PartnerInput{Name: "A\x00", Environment: "sandbox"}, []string{"name must not contain control characters"}},
		{"environment in capitals", account.PartnerInput{Name: "A", Environment: "Production"}, []string{"environment must be production or sandbox"}},
		{"country in small letters", account.PartnerInput{Name: "A", Environment: "sandbox", DefaultCountryCode: "au"}, []string{"default_country_code must be a country code"}},
		{"everything", account.PartnerInput{Environment: "test", DefaultCountryCode: "XX"}, []string{"name must", "environment must", "default_country_code must"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, s := newPartners(t)
			_, _, err := w.CreatePartner(t.Context(), tc.in, effects.Effects{})
			if err == nil || len(s.made) != 0 {
				t.Fatalf("CreatePartner = %v, stored %v", err, s.made)
			}
			rest := err.Error()
			for _, part := range tc.want {
				_, after, ok := strings.Cut(rest, part)
				if !ok {
					t.Fatalf("error %q lacks %q, or has it out of order", err, part)
				}
				rest = after
			}
			if n := strings.Count(err.Error(), " must "); n != len(tc.want) {
				t.Errorf("error %q has %d problems, want %d", err, n, len(tc.want))
			}
		})
	}
}

func TestCreatePartnerFails(t *testing.T) {
	w, s := newPartners(t)
	broken := errors.New("broken")
	in := account.PartnerInput{Name: "A", Environment: "sandbox"}
	s.fail = broken
	if _, _, err := w.CreatePartner(t.Context(), in, effects.Effects{}); !errors.Is(err, broken) {
		t.Errorf("with a failing store: %v", err)
	}
	w.Random = iotest.ErrReader(broken)
	if _, _, err := w.CreatePartner(t.Context(), in, effects.Effects{}); !errors.Is(err, broken) || len(s.made) != 0 {
		t.Errorf("without randomness: %v", err)
	}
}

func TestCreatePartner(t *testing.T) {
	for _, tc := range []struct {
		name    string
		in      account.PartnerInput
		country string
		prefix  string
	}{
		{"production", account.PartnerInput{Name: " Shop Ltd ", Environment: "production"}, "AU", "cl_live_"},
		{"sandbox, elsewhere", account.PartnerInput{Name: "Shop Ltd", Environment: "sandbox", DefaultCountryCode: "NZ"}, "NZ", "cl_test_"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, s := newPartners(t)
			fx := effects.Effects{By: effects.By{Actor: effects.Operator}}
			p, issued, err := w.CreatePartner(t.Context(), tc.in, fx)
			if err != nil {
				t.Fatal(err)
			}
			text := issued.Text.Reveal()
			key, ok := account.ParseKey(text)
			if !ok || key.PartnerID != p.ID || !strings.HasPrefix(text, tc.prefix) {
				t.Errorf("key %q is %+v, partner %d", text, key, p.ID)
			}
			env := carrier.Environment(tc.in.Environment)
			wantPartner := account.Partner{ID: p.ID, Name: "Shop Ltd", Environment: env, DefaultCountryCode: tc.country, CreatedAt: w.now()}
			wantKey := account.APIKey{
				ID: issued.ID, PartnerID: p.ID, Hash: key.Hash(), Prefix: text[:14], LastFour: text[46:], Description: "First key of the partner",
				Environment: env, DefaultCountryCode: tc.country, CreatedAt: w.now(),
			}
			wantFX := fx
			wantFX.Events = []effects.Event{{
				Type: effects.PartnerCreated, PartnerID: p.ID, Subject: fmt.Sprintf("partner %d", p.ID), At: w.now(),
				Data: fmt.Appendf(nil, `{"partner_id":%d,"api_key_id":%d}`, p.ID, issued.ID),
			}}
			got := []any{p, s.made[0], issued.APIKey, s.keys[0], s.fx[0]}
			if diff := cmp.Diff([]any{wantPartner, wantPartner, wantKey, wantKey, wantFX}, got, cmpopts.IgnoreFields(effects.Event{}, "ID")); diff != "" {
				t.Errorf("partner and key, returned and stored (-want +got):\n%s", diff)
			}
			used, err := s.UseKey(t.Context(), account.KeyUse{PartnerID: p.ID, Hash: key.Hash(), Now: w.clock, Limit: 1})
			if err != nil || used.Key.DefaultCountryCode != tc.country {
				t.Errorf("the key does not work: %+v, %v", used, err)
			}
			again, other, err := w.CreatePartner(t.Context(), tc.in, fx)
			if err != nil || again.ID == p.ID || other.Text.Equal(issued.Text) {
				t.Errorf("repeated CreatePartner = %+v, %v, want another partner", again, err)
			}
		})
	}
}
