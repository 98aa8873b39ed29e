package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/email"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
)

// front is the function over a fixture with the partners 5 and 6 (production, AU) and 9
// (sandbox, NZ), and account 71 of partner 5.
type front struct {
	*functiontest.Fixture
	*handler
	spy *spy
}

// spy records created accounts; load is the error of reading an account.
type spy struct {
	*store.Store
	created []account.NewAccount
	load    error
}

func (s *spy) CreateAccount(ctx context.Context, in account.NewAccount, fx effects.Effects, now time.Time) error {
	err := s.Store.CreateAccount(ctx, in, fx, now)
	if err == nil {
		s.created = append(s.created, in)
	}
	return err
}

func (s *spy) Account(ctx context.Context, id int64, now time.Time) (account.Account, error) {
	if s.load != nil {
		return account.Account{}, s.load
	}
	return s.Store.Account(ctx, id, now)
}

func newFront(t *testing.T) *front {
	t.Helper()
	d := functiontest.EmptyInMemory(t)
	d.Clock = time.Date(2026, 3, 1, 0, 0, 30, 123456789, time.UTC)
	f := serve(d)
	f.spy = &spy{Store: d.Store}
	d.Accounts.Store = f.spy
	for _, p := range []account.Partner{
		{ID: 5, DefaultCountryCode: "AU"}, {ID: 6, DefaultCountryCode: "AU"}, {ID: 9, Environment: carrier.Sandbox, DefaultCountryCode: "NZ"},
	} {
		d.AddPartner(p)
	}
	d.AddAccount(account.Account{ID: 71, PartnerID: 5, Active: true})
	return f
}

// serve returns the function over a fixture.
func serve(d *functiontest.Fixture) *front {
	f := &front{Fixture: d, handler: &handler{auth: d.Auth(), accounts: d.Accounts, sealer: d.Sealer(), now: d.Now}}
	d.Serve(httpapi.Route{Method: http.MethodPost, Resource: "/v1/partners/accounts", Handler: f.create})
	return f
}

// post sends a creation; headers are pairs.
func post(d *functiontest.Fixture, who, body string, headers ...string) events.APIGatewayProxyResponse {
	return d.Do(who, http.MethodPost, "/v1/partners/accounts", body, headers...)
}

type shown struct {
	AccountID int64 `json:"account_id"`
	APIKey    *struct {
		Text      string `json:"encrypted_api_key"`
		AccountID int64  `json:"account_id"`
	} `json:"api_key"`
}

func made(t *testing.T, resp events.APIGatewayProxyResponse) shown {
	t.Helper()
	return functiontest.Read[shown](t, resp, http.StatusOK)
}

func TestCreateRefuses(t *testing.T) {
	long := func(n int) string { return strings.Repeat("é", n) }
	tests := []struct {
		name, who, body string
		want            []string
	}{
		{"no key", "", `{}`, []string{"401", "unauthorized"}},
		{"a merchant's key", "account 71", `{}`, []string{"403", "forbidden"}},
		{"a merchant's key, with a wrong body", "account 71", `{`, []string{"403", "forbidden"}},
		{"no body", "partner 5", ``, []string{"400", "request_body_required"}},
		{"no object", "partner 5", `[]`, []string{"400", "invalid_field_value"}},
		{"too large", "partner 5", `{"first_name":"` + strings.Repeat("a", 65<<10) + `"}`, []string{"413", "invalid_field_value"}},
		{"unknown field", "partner 5", `{"firstname":"Ada"}`, []string{"400", "invalid_field_value firstname"}},
		{"first_name too long by one", "partner 5", `{"first_name":"` + long(25) + `"}`, []string{"400", "invalid_string_length first_name"}},
		{"last_name empty", "partner 5", `{"last_name":""}`, []string{"400", "invalid_string_length last_name"}},
		{"company_name too long by one", "partner 5", `{"company_name":"` + long(51) + `"}`, []string{"400", "invalid_string_length company_name"}},
		{"external_account_id too long by one", "partner 5", `{"external_account_id":"` + long(129) + `"}`, []string{"400", "invalid_string_length external_account_id"}},
		{"country in small letters", "partner 5", `{"origin_country_code":"au"}`, []string{"400", "invalid_field_value origin_country_code"}},
		{"country that is none", "partner 5", `{"origin_country_code":"XX"}`, []string{"400", "invalid_field_value origin_country_code"}},
		{"country empty", "partner 5", `{"origin_country_code":""}`, []string{"400", "invalid_string_length origin_country_code"}},
		{"email without @", "partner 5", `{"email":"ada"}`, []string{"400", "invalid_field_value email"}},
		{"password of 6", "partner 5", `{"email":"a@b.c","password":"123456"}`, []string{"400", "invalid_string_length password"}},
		{"password of 129", "partner 5", `{"email":"a@b.c","password":"` + long(129) + `"}`, []string{"400", "invalid_string_length password"}},
		{"empty password", "partner 5", `{"email":"a@b.c","password":""}`, []string{"400", "invalid_string_length password"}},
		{"password without email", "partner 5", `{"password":"1234567"}`, []string{"400", "field_value_required email"}},
		{"password with email null", "partner 5", `{"email":null,"password":"1234567"}`, []string{"400", "field_value_required email"}},
		{"password of 6 without email", "partner 5", `{"password":"123456"}`, []string{"400", "field_value_required email", "invalid_string_length password"}},
		{"password with a wrong email", "partner 5", `{"password":"1234567","email":"ada"}`, []string{"400", "invalid_field_value email"}},
		{
			"everything", "partner 5",
			`{"x":1,"metadata":{"a":1},"password":"1","email":"ada","origin_country_code":"au","external_account_id":"","company_name":7,"last_name":"\u0000","first_name":"` + long(25) + `"}`,
			[]string{
				"400", "invalid_string_length first_name", "invalid_field_value last_name", "invalid_field_value company_name", "invalid_string_length external_account_id",
				"invalid_field_value origin_country_code", "invalid_field_value email", "invalid_string_length password", "invalid_field_value metadata.a", "invalid_field_value x",
			},
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := newFront(t)
			resp := post(d.Fixture, tc.who, tc.body, "Idempotency-Key", "k")
			if diff := cmp.Diff(tc.want, functiontest.Problems(t, resp)); diff != "" {
				t.Errorf("%.100s (-want +got):\n%s", tc.body, diff)
			}
			if len(d.spy.created) != 0 {
				t.Errorf("a refused request created an account: %+v", d.spy.created)
			}
			// A refused request leaves the Idempotency-Key free.
			if tc.who == "partner 5" {
				made(t, post(d.Fixture, "partner 5", `{}`, "Idempotency-Key", "k"))
			}
		})
	}
	t.Run("idempotency key too long by one", func(t *testing.T) {
		d := newFront(t)
		if diff := cmp.Diff([]string{"400", "invalid_string_length Idempotency-Key"}, functiontest.Problems(t, post(d.Fixture, "partner 5", `{}`, "Idempotency-Key", strings.Repeat("k", 256)))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCreateAnswer(t *testing.T) {
	d := newFront(t)
	resp := post(d.Fixture, "partner 5", `{"first_name":" Ada ","last_name":"King","company_name":"Engines & Co","external_account_id":"shop/1","origin_country_code":"GB",`+
		`"email":"Ada@Example.com","password":"hunter2-canary","metadata":{"tier":"<gold>"}}`)
	s := made(t, resp)
	key, ok := account.ParseKey(s.APIKey.Text)
	if !ok || key.AccountID != s.AccountID || s.APIKey.AccountID != s.AccountID || key.Environment != carrier.Production {
		t.Errorf("the key %q is %+v", s.APIKey.Text, key)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(resp.Body), &got); err != nil {
		t.Fatal(err)
	}
	id := float64(s.AccountID)
	keyBody, ok := got["api_key"].(map[string]any)
	if !ok {
		t.Fatalf("api_key is %v", got["api_key"])
	}
	want := map[string]any{
		"account_id": id, "external_account_id": "shop/1", "created_at": "2026-03-01T00:00:30.123Z", "modified_at": "2026-03-01T00:00:30.123Z", "active": true,
		"email": nil, "company_name": nil, "first_name": nil, "last_name": nil, "origin_country_code": "GB", "environment": "production",
		"metadata": map[string]any{"tier": "<gold>"}, "carriers_count": 0.0, "purge_at": nil,
		"api_key": map[string]any{
			"encrypted_api_key": s.APIKey.Text, "api_key_id": keyBody["api_key_id"], "description": "Created with the account", "account_id": id, "created_at": "2026-03-01T00:00:30.123Z",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if strings.Contains(resp.Body, "hunter2") || strings.Contains(resp.Body, "password") {
		t.Errorf("the answer mentions the password: %s", resp.Body)
	}
	loaded, err := d.Store.Load(t.Context(), s.AccountID, store.Want{})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 0, 0, 30, 123000000, time.UTC)
	wantRow := &account.Account{
		ID: s.AccountID, PartnerID: 5, Environment: carrier.Production, ExternalID: "shop/1", Email: "Ada@Example.com", CompanyName: "Engines & Co", FirstName: "Ada", LastName: "King",
		OriginCountryCode: "GB", PasswordHash: loaded.Account.PasswordHash, Metadata: map[string]string{"tier": "<gold>"}, Active: true, CreatedAt: at, ModifiedAt: at, Version: 1,
	}
	wantRow.EmailKey = email.Key(wantRow.Email)
	if diff := cmp.Diff(wantRow, loaded.Account); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	if kept := fmt.Sprintf("%+v", d.spy.created[0]); strings.Contains(kept, s.APIKey.Text) || strings.Contains(kept, "hunter2") {
		t.Errorf("the row contains a secret: %s", kept)
	}
	// The key works at once.
	if used, err := d.Store.UseKey(t.Context(), account.KeyUse{AccountID: s.AccountID, Hash: key.Hash(), Now: d.Clock, Limit: 1}); err != nil || used.Key.PartnerID != 5 {
		t.Errorf("UseKey = %+v, %v", used, err)
	}
}

func TestCreateTakesThePartnersDefaults(t *testing.T) {
	d := newFront(t)
	s := made(t, post(d.Fixture, "partner 9", `{}`))
	l, err := d.Store.Load(t.Context(), s.AccountID, store.Want{})
	if err != nil {
		t.Fatal(err)
	}
	if a := l.Account; a.OriginCountryCode != "NZ" || a.Environment != carrier.Sandbox || a.PartnerID != 9 || a.PasswordHash != "" || !strings.HasPrefix(s.APIKey.Text, "cl_test_") {
		t.Errorf("account %+v with the key %s", a, s.APIKey.Text)
	}
}

func TestConflicts(t *testing.T) {
	d := newFront(t)
	a := made(t, post(d.Fixture, "partner 5", `{"external_account_id":"a","email":"a@example.com"}`)).AccountID
	b := made(t, post(d.Fixture, "partner 5", `{"external_account_id":"b","email":"b@example.com"}`)).AccountID
	c := made(t, post(d.Fixture, "partner 6", `{"external_account_id":"c","email":"c@example.com"}`)).AccountID
	ext, mail := "identifier_conflict external_account_id", "identifier_conflict email"
	tests := []struct {
		name, body string
		want       []string // the answer without Prefer
		existing   int64    // the account returned with Prefer; zero: the same conflict
	}{
		{"external id", `{"external_account_id":"a"}`, []string{"409", fmt.Sprintf("%s (%d)", ext, a)}, a},
		{"email", `{"email":"a@example.com"}`, []string{"409", fmt.Sprintf("%s (%d)", mail, a)}, a},
		{"email in another letter case", `{"email":"A@EXAMPLE.com"}`, []string{"409", fmt.Sprintf("%s (%d)", mail, a)}, a},
		{"both of one account", `{"external_account_id":"b","email":"b@example.com"}`, []string{"409", fmt.Sprintf("%s (%d)", ext, b), fmt.Sprintf("%s (%d)", mail, b)}, b},
		{"on different accounts", `{"external_account_id":"a","email":"b@example.com"}`, []string{"409", fmt.Sprintf("%s (%d)", ext, a), fmt.Sprintf("%s (%d)", mail, b)}, 0},
		{"another partner's email", `{"email":"c@example.com"}`, []string{"409", mail}, 0},
		{"own external id, another partner's email", `{"external_account_id":"a","email":"c@example.com"}`, []string{"409", fmt.Sprintf("%s (%d)", ext, a), mail}, 0},
		{"external id taken, email new", `{"external_account_id":"a","email":"new@example.com"}`, []string{"409", fmt.Sprintf("%s (%d)", ext, a)}, a},
	}
	before := len(d.spy.created)
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			for prefer, wants := range map[string]bool{
				"": false, "return=minimal": false, "return=existing-x": false, "existing": false, "return=minimal, return=existing": false,
				`x="return=existing"`: false, "x; return=existing": false, "ret urn=existing": false,
				"return=existing": true, "Return=Existing": true, "respond-async, return = existing": true, `return="existing"; x="a,b"`: true,
				"return=existing, return=minimal": true,
			} {
				resp := post(d.Fixture, "partner 5", tc.body, "prefer", prefer)
				if !wants || tc.existing == 0 {
					if diff := cmp.Diff(tc.want, functiontest.Problems(t, resp)); diff != "" || resp.Headers["Preference-Applied"] != "" {
						t.Errorf("Prefer: %s (-want +got):\n%s", prefer, diff)
					}
					continue
				}
				if s := made(t, resp); s.AccountID != tc.existing || s.APIKey != nil || !strings.Contains(resp.Body, `"api_key":null`) || resp.Headers["Preference-Applied"] != "return=existing" {
					t.Errorf("Prefer: %s: %s, %v, want account %d without a key", prefer, resp.Body, resp.Headers, tc.existing)
				}
				if !strings.Contains(resp.Body, `"email":null`) {
					t.Errorf("the answer contains the email: %s", resp.Body)
				}
			}
		})
	}
	if len(d.spy.created) != before {
		t.Error("conflicts created accounts")
	}
	t.Run("the same external id of another partner is free", func(t *testing.T) {
		if s := made(t, post(d.Fixture, "partner 6", `{"external_account_id":"a"}`, "Prefer", "return=existing")); s.AccountID == a || s.AccountID == c || s.APIKey == nil {
			t.Errorf("account %+v", s)
		}
	})
	t.Run("nothing taken", func(t *testing.T) {
		resp := post(d.Fixture, "partner 5", `{"external_account_id":"new"}`, "Prefer", "return=existing")
		if s := made(t, resp); s.APIKey == nil || resp.Headers["Preference-Applied"] != "" {
			t.Errorf("%s, %v", resp.Body, resp.Headers)
		}
	})
	t.Run("the existing account cannot be read", func(t *testing.T) {
		d.spy.load = errors.New("down")
		if got := functiontest.Problems(t, post(d.Fixture, "partner 5", `{"external_account_id":"a"}`, "Prefer", "return=existing")); got[0] != "500" {
			t.Errorf("%v, want 500", got)
		}
	})
}

func TestIdempotentCreate(t *testing.T) {
	d := newFront(t)
	const body = `{"external_account_id":"a","email":"a@example.com","password":"1234567"}`
	first := post(d.Fixture, "partner 5", body, "Idempotency-Key", "k")
	made(t, first)
	t.Run("another payload", func(t *testing.T) {
		if diff := cmp.Diff([]string{"422", "field_conflict Idempotency-Key"}, functiontest.Problems(t, post(d.Fixture, "partner 5", `{}`, "Idempotency-Key", "k"))); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("the same again", func(t *testing.T) {
		d.Clock = d.Clock.Add(23 * time.Hour)
		again := post(d.Fixture, "partner 5", body, "idempotency-key", "k", "Prefer", "return=existing")
		want := maps.Clone(first.Headers)
		want["Idempotent-Replayed"] = "true"
		for _, h := range []map[string]string{want, again.Headers} {
			maps.DeleteFunc(h, func(k, _ string) bool { return strings.HasPrefix(k, "RateLimit-") })
		}
		if again.Body != first.Body || again.StatusCode != first.StatusCode {
			t.Errorf("%d %s, want the first answer byte for byte", again.StatusCode, again.Body)
		}
		if diff := cmp.Diff(want, again.Headers); diff != "" {
			t.Errorf("headers (-want +got):\n%s", diff)
		}
	})
	t.Run("the answer with an existing account is stored too", func(t *testing.T) {
		const same = `{"external_account_id":"a"}`
		one := post(d.Fixture, "partner 5", same, "Idempotency-Key", "e", "Prefer", "return=existing")
		two := post(d.Fixture, "partner 5", same, "Idempotency-Key", "e", "Prefer", "return=existing")
		if one.StatusCode != http.StatusOK || one.Body != two.Body || two.Headers["Idempotent-Replayed"] != "true" {
			t.Errorf("%d %s, then %d %s %v", one.StatusCode, one.Body, two.StatusCode, two.Body, two.Headers)
		}
		if diff := cmp.Diff([]string{"422", "field_conflict Idempotency-Key"}, functiontest.Problems(t, post(d.Fixture, "partner 5", `{}`, "Idempotency-Key", "e"))); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("an empty key is refused", func(t *testing.T) {
		if diff := cmp.Diff([]string{"400", "invalid_string_length Idempotency-Key"}, functiontest.Problems(t, post(d.Fixture, "partner 5", `{}`, "Idempotency-Key", ""))); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("another partner's key is separate", func(t *testing.T) {
		if s := made(t, post(d.Fixture, "partner 6", `{}`, "Idempotency-Key", "k")); s.APIKey == nil {
			t.Error("another partner sees the answer")
		}
	})
	t.Run("after a day the key is free", func(t *testing.T) {
		d.Clock = d.Clock.Add(2 * time.Hour)
		if s := made(t, post(d.Fixture, "partner 5", `{}`, "Idempotency-Key", "k")); s.APIKey == nil || s.AccountID == made(t, first).AccountID {
			t.Errorf("account %+v", s)
		}
	})
	t.Run("without a key each request creates an account", func(t *testing.T) {
		one, two := made(t, post(d.Fixture, "partner 5", `{}`)), made(t, post(d.Fixture, "partner 5", `{}`))
		if one.AccountID == two.AccountID {
			t.Error("two requests without a key created one account")
		}
	})
}
