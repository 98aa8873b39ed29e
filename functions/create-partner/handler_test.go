package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/views"
)

// spy notes what is created.
type spy struct {
	*storetest.Memory
	created []account.Partner
	keys    []account.APIKey
	fail    error
}

func (s *spy) CreatePartner(ctx context.Context, p account.Partner, key account.APIKey, fx effects.Effects, now time.Time) error {
	if s.fail != nil {
		return s.fail
	}
	s.created, s.keys = append(s.created, p), append(s.keys, key)
	return s.Memory.CreatePartner(ctx, p, key, fx, now)
}

func at() time.Time { return time.Date(2026, 3, 1, 0, 0, 30, 123456789, time.UTC) }

func newHandler() (*handler, *spy) {
	s := &spy{Memory: storetest.NewMemory()}
	return &handler{partners: s, now: at, random: rand.Reader}, s
}

func TestPayloadIsStrict(t *testing.T) {
	for _, payload := range []string{
		`{"name":"A","environment":"sandbox","default_country":"NZ"}`, `{"name":1,"environment":"sandbox"}`, `[]`, `"A"`,
	} {
		var in request
		if err := json.Unmarshal([]byte(payload), &in); err == nil {
			t.Errorf("payload %s is accepted as %+v", payload, in)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	tests := []struct {
		name, payload string
		want          []string // parts of the error, in order
	}{
		{"nothing", `{}`, []string{"name must not be empty", "environment must be production or sandbox"}},
		{"blanks for a name", `{"name":"  ","environment":"sandbox"}`, []string{"name must not be empty"}},
		{"name too long by one", `{"name":"` + strings.Repeat("é", 101) + `","environment":"sandbox"}`, []string{"name must be at most 100 characters"}},
		{"name with a control character", `{"name":"A\u0000","environment":"sandbox"}`, []string{"name must not contain control characters"}},
		{"environment in capitals", `{"name":"A","environment":"Production"}`, []string{"environment must be production or sandbox"}},
		{"country in small letters", `{"name":"A","environment":"sandbox","default_country_code":"au"}`, []string{"default_country_code must be a country code"}},
		{"everything", `{"name":"","environment":"test","default_country_code":"XX"}`, []string{"name must", "environment must", "default_country_code must"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			h, s := newHandler()
			var in request
			if err := json.Unmarshal([]byte(tc.payload), &in); err != nil {
				t.Fatal(err)
			}
			got, err := h.create(t.Context(), in)
			if got != nil || err == nil || len(s.created) != 0 {
				t.Fatalf("create = %+v, %v, made %v", got, err, s.created)
			}
			rest := err.Error()
			for _, part := range tc.want {
				_, after, ok := strings.Cut(rest, part)
				if !ok {
					t.Fatalf("error %q lacks %q, or has it in another order", err, part)
				}
				rest = after
			}
			if n := strings.Count(err.Error(), " must "); n != len(tc.want) {
				t.Errorf("error %q tells %d problems, want %d", err, n, len(tc.want))
			}
		})
	}
}

func TestCreateFails(t *testing.T) {
	h, s := newHandler()
	broken := errors.New("broken")
	in := request{Name: "A", Environment: "sandbox"}
	s.fail = broken
	if got, err := h.create(t.Context(), in); got != nil || !errors.Is(err, broken) {
		t.Errorf("create with a failing store = %+v, %v", got, err)
	}
	h.random = iotest.ErrReader(broken)
	if got, err := h.create(t.Context(), in); got != nil || !errors.Is(err, broken) {
		t.Errorf("create without randomness = %+v, %v", got, err)
	}
}

func TestCreate(t *testing.T) {
	tests := []struct {
		name    string
		in      request
		country string
		prefix  string
	}{
		{"production", request{Name: " Shop Ltd ", Environment: "production"}, "AU", "cl_live_"},
		{"sandbox, elsewhere", request{Name: "Shop Ltd", Environment: "sandbox", DefaultCountryCode: "NZ"}, "NZ", "cl_test_"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			h, s := newHandler()
			got, err := h.create(t.Context(), tc.in)
			if err != nil {
				t.Fatal(err)
			}
			text := got.APIKey.EncryptedAPIKey
			key, ok := account.ParseKey(text)
			if !ok || key.PartnerID != got.PartnerID || !strings.HasPrefix(text, tc.prefix) {
				t.Errorf("the key %q is %+v, partner %d", text, key, got.PartnerID)
			}
			stamp, description := "2026-03-01T00:00:30.123Z", "First key of the partner"
			want := &answer{
				PartnerID: got.PartnerID, Name: "Shop Ltd", Environment: tc.in.Environment, DefaultCountryCode: tc.country, CreatedAt: &stamp,
				APIKey: views.FirstKey{EncryptedAPIKey: text, APIKeyID: got.APIKey.APIKeyID, Description: &description, CreatedAt: &stamp},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			cut := at().Truncate(time.Millisecond)
			env := carrier.Environment(tc.in.Environment)
			wantPartner := account.Partner{ID: got.PartnerID, Name: "Shop Ltd", Environment: env, DefaultCountryCode: tc.country, CreatedAt: cut}
			wantKey := account.APIKey{
				ID: got.APIKey.APIKeyID, PartnerID: got.PartnerID, Hash: key.Hash(), Prefix: text[:14], LastFour: text[46:], Description: description,
				Environment: env, DefaultCountryCode: tc.country, CreatedAt: cut,
			}
			if diff := cmp.Diff([]any{wantPartner, wantKey}, []any{s.created[0], s.keys[0]}); diff != "" {
				t.Errorf("what is kept (-want +got):\n%s", diff)
			}
			used, err := s.UseKey(t.Context(), account.KeyUse{PartnerID: got.PartnerID, Hash: key.Hash(), Now: at(), Limit: 1})
			if err != nil || used.Key.DefaultCountryCode != tc.country {
				t.Errorf("the key does not work: %+v, %v", used, err)
			}
			again, err := h.create(t.Context(), tc.in)
			if err != nil || again.PartnerID == got.PartnerID || again.APIKey.EncryptedAPIKey == text {
				t.Errorf("the same again = %+v, %v, want another partner", again, err)
			}
		})
	}
}
