package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// front is the function over a fixture with the accounts 71 and 72 of partner 5, and 81 of
// partner 6.
type front struct {
	*functiontest.Fixture
	*handler
	first map[int64]int64 // api_key_id of each account's first key
}

func start() time.Time { return time.Date(2026, 3, 1, 0, 0, 30, 123456789, time.UTC) }

func newFront(tb testing.TB) *front {
	tb.Helper()
	d := functiontest.EmptyInMemory(tb)
	d.Clock = start()
	return open(d)
}

// open creates the partners and accounts of a fixture and returns the function over it.
func open(d *functiontest.Fixture) *front {
	f := &front{d, &handler{auth: d.Auth(), accounts: d.Accounts, answers: d.Store.Idempotency, sealer: d.Sealer(), now: d.Now}, map[int64]int64{}}
	d.Serve(f.routes()...)
	for _, id := range []int64{5, 6} {
		d.AddPartner(account.Partner{ID: id})
	}
	for id, partner := range map[int64]int64{71: 5, 72: 5, 81: 6} {
		f.first[id] = d.AddAccount(account.Account{ID: id, PartnerID: partner, Active: true}).ID
	}
	return f
}

// ask sends a request about the keys of an account. rest is the path after api_keys;
// headers are pairs.
func (d *front) ask(who, method, account, rest, body string, headers ...string) events.APIGatewayProxyResponse {
	return d.Do(who, method, "/v1/partners/accounts/"+account+"/api_keys"+rest, body, headers...)
}

func (d *front) create(t *testing.T, body string, headers ...string) views.FullKey {
	t.Helper()
	return functiontest.Read[views.FullKey](t, d.ask("partner 5", http.MethodPost, "71", "", body, headers...), http.StatusOK)
}

func (d *front) list(tb testing.TB) []views.Key {
	tb.Helper()
	return functiontest.Read[views.Keys](tb, d.ask("partner 5", http.MethodGet, "71", "", ""), http.StatusOK).APIKeys
}

func rotation(id int64) string { return fmt.Sprintf("/%d/rotate", id) }

// works reports whether a key is valid now.
func (d *front) works(t *testing.T, text string) bool {
	t.Helper()
	k, ok := account.ParseKey(text)
	if !ok {
		t.Fatalf("%q is not a key", text)
	}
	_, err := d.Store.UseKey(t.Context(), account.KeyUse{PartnerID: k.PartnerID, AccountID: k.AccountID, Hash: k.Hash(), Now: d.Clock, Limit: 100_000})
	return err == nil
}

func gone(t *testing.T, resp events.APIGatewayProxyResponse) {
	t.Helper()
	if resp.StatusCode != http.StatusNoContent || resp.Body != "" || resp.Headers["Content-Type"] != "" {
		t.Fatalf("%d %q, want an empty 204", resp.StatusCode, resp.Body)
	}
}

func TestEveryOperationRefuses(t *testing.T) {
	d := newFront(t)
	own, foreign := "/"+strconv.FormatInt(d.first[71], 10), "/"+strconv.FormatInt(d.first[81], 10)
	other := "/" + strconv.FormatInt(d.first[72], 10)
	operations := []struct {
		method, key, suffix string
	}{
		{http.MethodPost, "", ""},
		{http.MethodGet, "", ""},
		{http.MethodPost, own, "/rotate"},
		{http.MethodDelete, own, ""},
	}
	tests := []struct {
		name, who, account string
		want               []string
	}{
		{"no key", "", "71", []string{"401", "unauthorized"}},
		{"no key, a malformed id", "", "x", []string{"401", "unauthorized"}},
		{"the account's own key", "account 71", "71", []string{"403", "forbidden"}},
		{"the account's own key, a malformed id", "account 71", "x", []string{"403", "forbidden"}},
		{"no id", "partner 5", "shop", []string{"400", "invalid_identifier account_id"}},
		{"zero", "partner 5", "0", []string{"400", "invalid_identifier account_id"}},
		{"badly encoded", "partner 5", "7%", []string{"400", "invalid_identifier account_id"}},
		{"absent", "partner 5", "99", []string{"404", "not_found"}},
		{"another partner's", "partner 5", "81", []string{"404", "not_found"}},
	}
	for _, op := range operations {
		for _, tc := range tests {
			t.Run(op.method+op.suffix+", "+tc.name, func(t *testing.T) {
				if diff := cmp.Diff(tc.want, functiontest.Problems(t, d.ask(tc.who, op.method, tc.account, op.key+op.suffix, ""))); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
			})
		}
	}
	for _, op := range operations[2:] {
		for name, tc := range map[string]struct {
			key  string
			want []string
		}{
			"no key id":                  {"/x", []string{"400", "invalid_identifier api_key_id"}},
			"key id zero":                {"/0", []string{"400", "invalid_identifier api_key_id"}},
			"key id too large":           {"/2147483648", []string{"400", "invalid_identifier api_key_id"}},
			"key id badly encoded":       {"/%4", []string{"400", "invalid_identifier api_key_id"}},
			"an absent key":              {"/1", []string{"404", "not_found"}},
			"another account's key":      {other, []string{"404", "not_found"}},
			"another partner's key":      {foreign, []string{"404", "not_found"}},
			"the key's text is no id":    {"/" + d.Keys["account 71"], []string{"400", "invalid_identifier api_key_id"}},
			"an id with a letter behind": {own + "a", []string{"400", "invalid_identifier api_key_id"}},
		} {
			t.Run(op.method+op.suffix+", "+name, func(t *testing.T) {
				if diff := cmp.Diff(tc.want, functiontest.Problems(t, d.ask("partner 5", op.method, "71", tc.key+op.suffix, ""))); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
			})
		}
		t.Run(op.method+op.suffix+", absent and foreign are equal", func(t *testing.T) {
			bodies := map[string]string{}
			for name, key := range map[string]string{"absent": "/1", "another account's": other, "another partner's": foreign} {
				resp := d.ask("partner 5", op.method, "71", key+op.suffix, "")
				bodies[strings.Replace(resp.Body, resp.Headers["X-Request-Id"], "ID", 1)] = name
			}
			if len(bodies) != 1 {
				t.Errorf("the answers differ: %v", bodies)
			}
		})
	}
	for name, text := range d.Keys {
		if !d.works(t, text) {
			t.Errorf("the key of %s does not work any more", name)
		}
	}
	if keys := d.list(t); len(keys) != 1 {
		t.Errorf("%d keys, want only the first", len(keys))
	}
}

func TestCreateRefuses(t *testing.T) {
	tests := []struct {
		name, body string
		want       []string
	}{
		{"no object", `[]`, []string{"400", "invalid_field_value"}},
		{"no JSON", `{`, []string{"400", "invalid_field_value"}},
		{"unknown field", `{"scope":"read"}`, []string{"400", "invalid_field_value scope"}},
		{"read-only field", `{"api_key_id":1}`, []string{"400", "invalid_field_value api_key_id"}},
		{"description empty", `{"description":""}`, []string{"400", "invalid_string_length description"}},
		{"description too long by one", `{"description":"` + strings.Repeat("é", 101) + `"}`, []string{"400", "invalid_string_length description"}},
		{"description with a control character", `{"description":"a\u0007"}`, []string{"400", "invalid_field_value description"}},
		{"scopes empty", `{"scopes":[]}`, []string{"400", "invalid_field_value scopes"}},
		{"scopes a text", `{"scopes":"read"}`, []string{"400", "invalid_field_value scopes"}},
		{"an unknown scope", `{"scopes":["read","write"]}`, []string{"400", "invalid_field_value scopes"}},
		{"a scope in capitals", `{"scopes":["Read"]}`, []string{"400", "invalid_field_value scopes"}},
		{"a scope twice", `{"scopes":["read","link","read"]}`, []string{"400", "invalid_field_value scopes"}},
		{"a scope null", `{"scopes":[null]}`, []string{"400", "invalid_field_value scopes"}},
		{"expires_at a number", `{"expires_at":1}`, []string{"400", "invalid_field_value expires_at"}},
		{"expires_at a date", `{"expires_at":"2027-01-01"}`, []string{"400", "invalid_field_value expires_at"}},
		{"expires_at in the past", `{"expires_at":"2026-03-01T00:00:30.122Z"}`, []string{"400", "invalid_field_value expires_at"}},
		{"expires_at now", `{"expires_at":"2026-03-01T00:00:30.123Z"}`, []string{"400", "invalid_field_value expires_at"}},
		{"expires_at within this millisecond", `{"expires_at":"2026-03-01T00:00:30.1239Z"}`, []string{"400", "invalid_field_value expires_at"}},
		{"expires_at within the first millisecond of the year 1", `{"expires_at":"0001-01-01T00:00:00.0001Z"}`, []string{"400", "invalid_field_value expires_at"}},
		{"expires_at in the year 1", `{"expires_at":"0001-01-01T00:00:00Z"}`, []string{"400", "invalid_field_value expires_at"}},
		{
			"everything", `{"x":1,"expires_at":"2020-01-01T00:00:00Z","scopes":[1],"description":1}`,
			[]string{"400", "invalid_field_value description", "invalid_field_value scopes", "invalid_field_value x", "invalid_field_value expires_at"},
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := newFront(t)
			if diff := cmp.Diff(tc.want, functiontest.Problems(t, d.ask("partner 5", http.MethodPost, "71", "", tc.body, "Idempotency-Key", "k"))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.body, diff)
			}
			if keys := d.list(t); len(keys) != 1 {
				t.Errorf("a refused request created a key: %+v", keys)
			}
			d.create(t, `{}`, "Idempotency-Key", "k") // a refused request leaves the key free
		})
	}
	t.Run("a deleted account", func(t *testing.T) {
		d := newFront(t)
		d.remove(t, 71)
		if diff := cmp.Diff([]string{"409", "invalid_status"}, functiontest.Problems(t, d.ask("partner 5", http.MethodPost, "71", "", `{}`))); diff != "" {
			t.Error(diff)
		}
		if keys := d.list(t); len(keys) != 1 {
			t.Errorf("the account has the keys %+v", keys)
		}
	})
	t.Run("no randomness", func(t *testing.T) {
		d := newFront(t)
		d.accounts.Random = iotest.ErrReader(errors.New("none"))
		if diff := cmp.Diff([]string{"500", "unspecified"}, functiontest.Problems(t, d.ask("partner 5", http.MethodPost, "71", "", `{}`))); diff != "" {
			t.Error(diff)
		}
	})
}

// remove deletes an account.
func (d *front) remove(t *testing.T, accountID int64) {
	t.Helper()
	if err := d.Store.DeleteAccount(t.Context(), account.Account{ID: accountID}, false, d.Clock.AddDate(0, 0, 30), effects.Effects{}, d.Clock); err != nil {
		t.Fatal(err)
	}
}

func TestCreate(t *testing.T) {
	all := []string{"read", "link", "admin"}
	text := func(s string) *string { return &s }
	tests := []struct {
		name, body string
		want       views.Key
	}{
		{"no body", ``, views.Key{Scopes: all}},
		{"null", `null`, views.Key{Scopes: all}},
		{"nothing", `{}`, views.Key{Scopes: all}},
		{"nulls", `{"description":null,"scopes":null,"expires_at":null}`, views.Key{Scopes: all}},
		{"description", `{"description":" Till 4 "}`, views.Key{Scopes: all, Description: text("Till 4")}},
		{"one scope", `{"scopes":["link"]}`, views.Key{Scopes: []string{"link"}}},
		{"scopes in another order", `{"scopes":["admin","read"]}`, views.Key{Scopes: []string{"read", "admin"}}},
		{"every scope", `{"scopes":["admin","link","read"]}`, views.Key{Scopes: all}},
		{"expires a moment later", `{"expires_at":"2026-03-01T10:00:30.124+10:00"}`, views.Key{Scopes: all, ExpiresAt: text("2026-03-01T00:00:30.124Z")}},
		{"expires far away", `{"expires_at":"9999-12-31T23:59:59Z"}`, views.Key{Scopes: all, ExpiresAt: text("9999-12-31T23:59:59.000Z")}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := newFront(t)
			got := d.create(t, tc.body)
			tc.want.APIKeyID, tc.want.AccountID, tc.want.CreatedAt = got.APIKeyID, 71, text("2026-03-01T00:00:30.123Z")
			tc.want.KeyPrefix, tc.want.LastFour = got.EncryptedAPIKey[:14], got.EncryptedAPIKey[len(got.EncryptedAPIKey)-4:]
			if diff := cmp.Diff(views.FullKey{EncryptedAPIKey: got.EncryptedAPIKey, Key: tc.want}, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			keys := d.list(t)
			at := len(keys) - 1
			if keys[0].APIKeyID == got.APIKeyID {
				at = 0 // created at the same time as the first key
			}
			if diff := cmp.Diff(tc.want, keys[at]); diff != "" || len(keys) != 2 {
				t.Errorf("of %d listed keys (-want +got):\n%s", len(keys), diff)
			}
			if !d.works(t, got.EncryptedAPIKey) {
				t.Error("the key does not work")
			}
		})
	}
}

func TestScopesAndExpiry(t *testing.T) {
	d := newFront(t)
	got := d.create(t, `{"scopes":["read"],"expires_at":"2026-03-01T00:01:00Z"}`)
	merchant := func(method, resource string) error {
		_, err := d.auth.Merchant(t.Context(), httpapi.NewRequest("id", events.APIGatewayProxyRequest{
			HTTPMethod: method, Resource: resource, Headers: map[string]string{"API-Key": got.EncryptedAPIKey},
		}), func(ctx context.Context, id int64) (*account.Account, error) {
			l, err := d.Store.Load(ctx, id, store.Want{Now: d.Clock})
			return l.Account, err
		})
		return err
	}
	if err := merchant(http.MethodGet, "/v1/carriers"); err != nil {
		t.Errorf("read: %v", err)
	}
	if err := merchant(http.MethodPost, "/v1/connections/carriers/{carrier_name}"); err == nil || !strings.Contains(err.Error(), "scope link") {
		t.Errorf("link: %v, want a missing scope", err)
	}
	keys := d.list(t)
	used := slices.IndexFunc(keys, func(k views.Key) bool { return k.APIKeyID == got.APIKeyID })
	if used < 0 || keys[used].LastUsedAt == nil || *keys[used].LastUsedAt != "2026-03-01" {
		t.Errorf("last used: %+v", keys)
	}
	d.Clock = time.Date(2026, 3, 1, 0, 1, 0, 0, time.UTC)
	if d.works(t, got.EncryptedAPIKey) {
		t.Error("an expired key works")
	}
	if keys := d.list(t); len(keys) != 2 {
		t.Errorf("%d keys, want also the expired one", len(keys))
	}
}

func TestLimit(t *testing.T) {
	d := newFront(t)
	expiring := d.create(t, `{"expires_at":"2026-03-01T01:00:00Z"}`)
	for range account.MaxKeys - 2 {
		d.create(t, `{}`)
	}
	rotated := d.first[71]
	full := func(name string) {
		t.Helper()
		for _, ask := range []func() events.APIGatewayProxyResponse{
			func() events.APIGatewayProxyResponse { return d.ask("partner 5", http.MethodPost, "71", "", `{}`) },
			func() events.APIGatewayProxyResponse {
				return d.ask("partner 5", http.MethodPost, "71", rotation(rotated), `{"grace_period_seconds":1}`)
			},
		} {
			if diff := cmp.Diff([]string{"409", "invalid_status"}, functiontest.Problems(t, ask())); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		if n := len(d.list(t)); n != account.MaxKeys {
			t.Errorf("%s: %d keys", name, n)
		}
	}
	full("full")
	// A rotation without a grace period does not need room for another key.
	next := functiontest.Read[views.RotatedKey](t, d.ask("partner 5", http.MethodPost, "71", rotation(d.first[71]), `{"grace_period_seconds":0}`), http.StatusOK)
	if d.works(t, d.Keys["account 71"]) || !d.works(t, next.EncryptedAPIKey) {
		t.Error("after a rotation without a grace period, the old key works or the new one does not")
	}
	rotated = next.APIKeyID
	full("full after a rotation")
	d.Clock = d.Clock.Add(time.Hour)
	d.create(t, `{}`) // takes the place of the expired key
	for _, k := range d.list(t) {
		if k.APIKeyID == expiring.APIKeyID {
			t.Error("the expired key is still there")
		}
	}
	full("full again")
	gone(t, d.ask("partner 5", http.MethodDelete, "71", fmt.Sprintf("/%d", next.APIKeyID), ""))
	d.create(t, `{}`)
}

// TestListShowsNoText: the list contains neither texts nor hashes of keys.
func TestListShowsNoText(t *testing.T) {
	d := newFront(t)
	texts := []string{d.Keys["account 71"], d.create(t, `{}`).EncryptedAPIKey}
	texts = append(texts, functiontest.Read[views.RotatedKey](t, d.ask("partner 5", http.MethodPost, "71", rotation(d.first[71]), ``), http.StatusOK).EncryptedAPIKey)
	body := d.ask("partner 5", http.MethodGet, "71", "", "").Body
	for _, text := range texts {
		k, _ := account.ParseKey(text)
		if strings.Contains(body, text) || strings.Contains(body, k.Hash()) || strings.Contains(body, text[14:40]) || !strings.Contains(body, text[len(text)-4:]) {
			t.Errorf("the list shows the text of a key, or lacks its expires_at: %s", body)
		}
	}
	if strings.Contains(body, "encrypted_api_key") {
		t.Error(body)
	}
	// Keys are listed oldest first.
	d.Clock = d.Clock.Add(time.Minute)
	last := d.create(t, `{}`).APIKeyID
	if keys := d.list(t); len(keys) != 4 || keys[3].APIKeyID != last {
		t.Errorf("keys %+v, want %d last", keys, last)
	}
}

func TestRotate(t *testing.T) {
	t.Run("refuses", func(t *testing.T) {
		d := newFront(t)
		for _, body := range []string{
			`{"grace_period_seconds":-1}`, `{"grace_period_seconds":604801}`, `{"grace_period_seconds":1.5}`, `{"grace_period_seconds":"1"}`, `{"grace_period_seconds":1e2}`,
			`{"grace_period_seconds":99999999999999999999}`, `{"grace_period_seconds":true}`, `{"grace_period_seconds":""}`,
		} {
			if diff := cmp.Diff([]string{"400", "invalid_field_value grace_period_seconds"}, functiontest.Problems(t, d.ask("partner 5", http.MethodPost, "71", rotation(d.first[71]), body))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", body, diff)
			}
		}
		for body, field := range map[string]string{`{"scopes":["read"]}`: " scopes", `[]`: "", `x`: ""} {
			if diff := cmp.Diff([]string{"400", "invalid_field_value" + field}, functiontest.Problems(t, d.ask("partner 5", http.MethodPost, "71", rotation(d.first[71]), body))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", body, diff)
			}
		}
		if keys := d.list(t); len(keys) != 1 || keys[0].ExpiresAt != nil {
			t.Errorf("keys: %+v", keys)
		}
	})
	for _, tc := range []struct {
		name, body string
		grace      time.Duration
	}{
		{"no body", ``, 24 * time.Hour},
		{"null", `{"grace_period_seconds":null}`, 24 * time.Hour},
		{"at once", `{"grace_period_seconds":0}`, 0},
		{"a second", `{"grace_period_seconds":1}`, time.Second},
		{"longest", `{"grace_period_seconds":604800}`, 7 * 24 * time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newFront(t)
			old := d.create(t, `{"description":"Till","scopes":["read","link"]}`)
			d.Clock = d.Clock.Add(time.Minute)
			resp := d.ask("partner 5", http.MethodPost, "71", rotation(old.APIKeyID), tc.body)
			got := functiontest.Read[views.RotatedKey](t, resp, http.StatusOK)
			ends := d.Clock.Truncate(time.Millisecond).Add(tc.grace)
			if got.Previous.APIKeyID != old.APIKeyID || *got.Previous.ExpiresAt != *httpapi.Time(ends) {
				t.Errorf("previous: %s, want the end %v", resp.Body, ends)
			}
			want := old.Key
			want.APIKeyID, want.KeyPrefix, want.LastFour, want.CreatedAt = got.APIKeyID, got.KeyPrefix, got.LastFour, httpapi.Time(d.Clock.Truncate(time.Millisecond))
			if diff := cmp.Diff(want, got.Key); diff != "" || got.APIKeyID == old.APIKeyID || got.EncryptedAPIKey == old.EncryptedAPIKey {
				t.Errorf("the new key (-want +got):\n%s", diff)
			}
			d.Clock = ends.Add(-time.Millisecond)
			if tc.grace > 0 && !d.works(t, old.EncryptedAPIKey) {
				t.Error("the old key does not work until its end")
			}
			d.Clock = ends
			if d.works(t, old.EncryptedAPIKey) || !d.works(t, got.EncryptedAPIKey) {
				t.Error("after its end the old key works, or the new one does not")
			}
			if diff := cmp.Diff([]string{"409", "invalid_status"}, functiontest.Problems(t, d.ask("partner 5", http.MethodPost, "71", rotation(old.APIKeyID), ""))); diff != "" {
				t.Errorf("rotating an expired key (-want +got):\n%s", diff)
			}
			if n := len(d.list(t)); n != 3 {
				t.Errorf("%d keys, want 3", n)
			}
		})
	}
	t.Run("a key that was already rotated", func(t *testing.T) {
		d := newFront(t)
		functiontest.Read[views.RotatedKey](t, d.ask("partner 5", http.MethodPost, "71", rotation(d.first[71]), ``), http.StatusOK)
		for _, body := range []string{``, `{"grace_period_seconds":0}`} {
			if diff := cmp.Diff([]string{"409", "invalid_status"}, functiontest.Problems(t, d.ask("partner 5", http.MethodPost, "71", rotation(d.first[71]), body))); diff != "" {
				t.Errorf("%q (-want +got):\n%s", body, diff)
			}
		}
		if n := len(d.list(t)); n != 2 || !d.works(t, d.Keys["account 71"]) {
			t.Errorf("%d keys, or the old one has ended", n)
		}
	})
	t.Run("a key with an end of its own", func(t *testing.T) {
		d := newFront(t)
		old := d.create(t, `{"expires_at":"2026-03-01T01:00:00Z"}`)
		got := functiontest.Read[views.RotatedKey](t, d.ask("partner 5", http.MethodPost, "71", rotation(old.APIKeyID), ``), http.StatusOK)
		if *got.ExpiresAt != *old.ExpiresAt || *got.Previous.ExpiresAt != *old.ExpiresAt {
			t.Errorf("ends %s and %s, want %s for both", *got.ExpiresAt, *got.Previous.ExpiresAt, *old.ExpiresAt)
		}
	})
	t.Run("a deleted account", func(t *testing.T) {
		d := newFront(t)
		d.remove(t, 71)
		if diff := cmp.Diff([]string{"409", "invalid_status"}, functiontest.Problems(t, d.ask("partner 5", http.MethodPost, "71", rotation(d.first[71]), ``))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDelete(t *testing.T) {
	d := newFront(t)
	k := d.create(t, `{}`)
	path := fmt.Sprintf("/%d", k.APIKeyID)
	gone(t, d.ask("partner 5", http.MethodDelete, "71", path, "null"))
	if d.works(t, k.EncryptedAPIKey) || !d.works(t, d.Keys["account 71"]) {
		t.Error("the deleted key works, or the other one does not")
	}
	for _, op := range []struct{ method, rest string }{{http.MethodDelete, path}, {http.MethodPost, path + "/rotate"}} {
		if diff := cmp.Diff([]string{"404", "not_found"}, functiontest.Problems(t, d.ask("partner 5", op.method, "71", op.rest, ""))); diff != "" {
			t.Errorf("%s of a deleted key (-want +got):\n%s", op.method, diff)
		}
	}
	if keys := d.list(t); len(keys) != 1 {
		t.Errorf("keys: %+v", keys)
	}
	// The last key, and a key of a deleted account, can be deleted.
	d.remove(t, 71)
	gone(t, d.ask("partner 5", http.MethodDelete, "71", fmt.Sprintf("/%d", d.first[71]), ""))
	if body := d.ask("partner 5", http.MethodGet, "71", "", "").Body; body != `{"api_keys":[]}` {
		t.Errorf("no keys: %s", body)
	}
}

// TestRepeats: repeats of create and rotate answer with the same key and create none.
func TestRepeats(t *testing.T) {
	for name, op := range map[string]struct {
		rest  func(d *front) string
		body  string
		after func(t *testing.T, d *front)
	}{
		"create": {func(*front) string { return "" }, `{"description":"Till"}`, func(*testing.T, *front) {}},
		"create, with an end that is past since": {
			func(*front) string { return "" }, `{"expires_at":"2026-03-01T00:01:00Z"}`,
			func(_ *testing.T, d *front) { d.Clock = d.Clock.Add(time.Hour) },
		},
		"create, deleted since": {func(*front) string { return "" }, `{}`, func(t *testing.T, d *front) { t.Helper(); d.remove(t, 71) }},
		"rotate":                {func(d *front) string { return rotation(d.first[71]) }, ``, func(*testing.T, *front) {}},
		"rotate, the old key has ended since": {
			func(d *front) string { return rotation(d.first[71]) }, `{"grace_period_seconds":1}`,
			func(_ *testing.T, d *front) { d.Clock = d.Clock.Add(time.Hour) },
		},
		"rotate, the old key is deleted since": {
			func(d *front) string { return rotation(d.first[71]) }, ``,
			func(t *testing.T, d *front) {
				t.Helper()
				gone(t, d.ask("partner 5", http.MethodDelete, "71", fmt.Sprintf("/%d", d.first[71]), ""))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newFront(t)
			ask := func(account, body string) events.APIGatewayProxyResponse {
				t.Helper()
				return d.ask("partner 5", http.MethodPost, account, op.rest(d), body, "Idempotency-Key", "k")
			}
			first := ask("71", op.body)
			if first.StatusCode != http.StatusOK {
				t.Fatalf("first: %d %s", first.StatusCode, first.Body)
			}
			op.after(t, d)
			n := len(d.list(t))
			for range 2 {
				again := ask("71", op.body)
				if again.StatusCode != http.StatusOK || again.Body != first.Body || again.Headers["Idempotent-Replayed"] != "true" || again.Headers["X-Request-Id"] != first.Headers["X-Request-Id"] {
					t.Errorf("again: %d %s %v\nfirst: %s", again.StatusCode, again.Body, again.Headers, first.Body)
				}
			}
			if got := len(d.list(t)); got != n {
				t.Errorf("%d keys, want %d", got, n)
			}
			if diff := cmp.Diff([]string{"422", "field_conflict Idempotency-Key"}, functiontest.Problems(t, ask("71", op.body+" "))); diff != "" {
				t.Errorf("another payload (-want +got):\n%s", diff)
			}
			// The scope of keys is the partner, not the account in the path.
			if diff := cmp.Diff([]string{"422", "field_conflict Idempotency-Key"}, functiontest.Problems(t, ask("72", op.body))); diff != "" {
				t.Errorf("another account (-want +got):\n%s", diff)
			}
		})
	}
}
