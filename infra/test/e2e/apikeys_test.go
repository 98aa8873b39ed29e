package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	gen "carrierlink/infra/test/client"
)

func keysPath(accountID any) string { return accountPath(accountID) + "/api_keys" }

func keyPath(accountID, keyID any) string { return fmt.Sprint(keysPath(accountID), "/", keyID) }

func TestCreateAPIKeyBadFields(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	for _, test := range []struct {
		name     string
		body     any
		problems []problem
	}{
		{"description empty", fields{"description": ""}, []problem{length("description")}},
		{"description blank", fields{"description": " \t"}, []problem{length("description")}},
		{"description of 101 characters", fields{"description": wide(101)}, []problem{length("description")}},
		{"description with a control character", fields{"description": "a\u0007b"}, []problem{invalid("description")}},
		{"description number", fields{"description": 1}, []problem{invalid("description")}},
		{"scopes empty", fields{"scopes": []string{}}, []problem{invalid("scopes")}},
		{"scopes unknown", fields{"scopes": []string{"read", "write"}}, []problem{invalid("scopes")}},
		{"scopes in capitals", fields{"scopes": []string{"READ"}}, []problem{invalid("scopes")}},
		{"scopes twice", fields{"scopes": []string{"read", "read"}}, []problem{invalid("scopes")}},
		{"scopes text", fields{"scopes": "read"}, []problem{invalid("scopes")}},
		{"scopes numbers", fields{"scopes": []int{1}}, []problem{invalid("scopes")}},
		{"scopes with null", fields{"scopes": []any{nil}}, []problem{invalid("scopes")}},
		{"scopes of objects", fields{"scopes": []any{fields{}}}, []problem{invalid("scopes")}},
		{"expires_at in the past", fields{"expires_at": time.Now().Add(-time.Second).UTC().Format(time.RFC3339)}, []problem{invalid("expires_at")}},
		{"expires_at long ago", fields{"expires_at": "0001-01-01T00:00:00Z"}, []problem{invalid("expires_at")}},
		{"expires_at a date", fields{"expires_at": "2030-01-02"}, []problem{invalid("expires_at")}},
		{"expires_at without zone", fields{"expires_at": "2030-01-02T03:04:05"}, []problem{invalid("expires_at")}},
		{"expires_at a word", fields{"expires_at": "tomorrow"}, []problem{invalid("expires_at")}},
		{"expires_at a number", fields{"expires_at": 1893553445}, []problem{invalid("expires_at")}},
		{"expires_at empty", fields{"expires_at": ""}, []problem{invalid("expires_at")}},
		{"unknown", fields{"name": "x"}, []problem{invalid("name")}},
		{"twice", `{"description":"a","description":"b"}`, []problem{invalid("description")}},
		{"everything at once", fields{"zebra": 1, "expires_at": "x", "scopes": 1, "description": ""}, []problem{
			length("description"), invalid("scopes"), invalid("expires_at"), invalid("zebra"),
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := api.call(t, request{method: http.MethodPost, path: keysPath(m.ID), key: production.APIKey, body: test.body})
			if test.name == "expires_at empty" && a.status == http.StatusBadRequest && a.errors()[0].ErrorCode == "invalid_string_length" {
				test.problems = []problem{length("expires_at")} // an empty string is one of these two
			}
			a.expect(t, http.StatusBadRequest, test.problems...)
		})
	}
}

func TestRotateAPIKeyBadFields(t *testing.T) {
	t.Parallel()
	c := newCaller(t, production)
	for name, body := range map[string]string{
		"negative": `{"grace_period_seconds":-1}`, "too long": `{"grace_period_seconds":604801}`, "text": `{"grace_period_seconds":"60"}`,
		"fraction": `{"grace_period_seconds":1.5}`, "exponent": `{"grace_period_seconds":1e2}`, "far too long": `{"grace_period_seconds":99999999999999999999}`,
		"true": `{"grace_period_seconds":true}`, "twice": `{"grace_period_seconds":1,"grace_period_seconds":2}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api.call(t, request{method: http.MethodPost, path: keyPath(c.ID, c.keyID) + "/rotate", key: production.APIKey, body: body}).
				expect(t, http.StatusBadRequest, invalid("grace_period_seconds"))
		})
	}
	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		api.call(t, request{method: http.MethodPost, path: keyPath(c.ID, c.keyID) + "/rotate", key: production.APIKey, body: `{"scopes":["read"]}`}).
			expect(t, http.StatusBadRequest, invalid("scopes"))
	})
}

// works tells whether a merchant's key is accepted.
func works(t *testing.T, key string) bool {
	t.Helper()
	a := api.call(t, request{method: http.MethodGet, path: "/v1/carriers", key: key})
	if a.status != http.StatusUnauthorized {
		a.expect(t, http.StatusOK)
	}
	return a.status == http.StatusOK
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		t.Run(p.Environment, func(t *testing.T) {
			t.Parallel()
			m, c := newMerchant(t, p), as(t, p.APIKey)
			if keys := c.keys(m.ID); len(keys) != 1 || len(keys[0].Scopes) != 3 || keys[0].LastUsedAt != nil || keys[0].ExpiresAt != nil {
				t.Errorf("the keys of a new account = %s", c.last.body)
			}
			// Without a body.
			for _, body := range []any{nil, "{}", `{"description":null,"scopes":null,"expires_at":null}`} {
				a := api.call(t, request{method: http.MethodPost, path: keysPath(m.ID), key: p.APIKey, body: body})
				a.expect(t, http.StatusOK)
				if got := decode[gen.NewAPIKey](t, a); len(got.Scopes) != 3 || got.ExpiresAt != nil || !works(t, got.EncryptedApiKey) {
					t.Errorf("key = %+v", got)
				}
			}
			expires := time.Now().Add(time.Hour).Truncate(time.Second)
			body := newKeyBody(&expires, "link", "read")
			body.Description = new(" " + wide(100) + " ")
			a := api.call(t, request{method: http.MethodPost, path: keysPath(m.ID), key: p.APIKey, body: body, loose: true})
			a.expect(t, http.StatusOK)
			made := decode[gen.NewAPIKey](t, a)
			at, err := time.Parse(time.RFC3339, *made.ExpiresAt)
			if err != nil || !at.Equal(expires) || *made.Description != wide(100) || made.AccountId != m.ID || made.LastUsedAt != nil ||
				!slices.Equal(made.Scopes, []gen.Scope{"read", "link"}) ||
				!strings.HasPrefix(made.EncryptedApiKey, made.KeyPrefix) || !strings.HasSuffix(made.EncryptedApiKey, made.LastFour) {
				t.Errorf("key = %+v", made)
			}
			if !works(t, made.EncryptedApiKey) {
				t.Error("the new key does not work")
			}
			keys := c.keys(m.ID)
			if leaked := api.secrets.in(string(c.last.body), false); leaked != "" || strings.Contains(string(c.last.body), "encrypted") {
				t.Errorf("the list shows %s", leaked)
			}
			if len(keys) != 5 {
				t.Fatalf("keys = %s", c.last.body)
			}
			today := time.Now().UTC().Format(time.DateOnly)
			want := gen.APIKey{
				AccountId: m.ID, ApiKeyId: made.ApiKeyId, CreatedAt: made.CreatedAt, Description: made.Description, ExpiresAt: made.ExpiresAt,
				KeyPrefix: made.KeyPrefix, LastFour: made.LastFour, LastUsedAt: &today, Scopes: made.Scopes,
			}
			if diff := cmp.Diff(want, keys[4]); diff != "" {
				t.Errorf("listed (-want +got):\n%s", diff)
			}
			// It expires.
			setItem(t, accountPK(m.ID), keySK(made.EncryptedApiKey), item{"valid_until": num(time.Now().Add(-time.Second).UnixMilli())})
			if works(t, made.EncryptedApiKey) {
				t.Error("an expired key works")
			}
			api.call(t, request{method: http.MethodPost, path: keyPath(m.ID, made.ApiKeyId) + "/rotate", key: p.APIKey, body: "{}"}).expect(t, http.StatusConflict, state)
			if len(c.keys(m.ID)) != 5 {
				t.Error("the expired key is not listed")
			}
			// A deletion takes effect at once and works once, also for an expired key.
			for _, id := range []int64{made.ApiKeyId, keys[0].ApiKeyId} {
				_, err := c.DeleteAPIKeyWithResponse(t.Context(), text(m.ID), text(id))
				done(t, c, err)
				api.call(t, request{method: http.MethodDelete, path: keyPath(m.ID, id), key: p.APIKey}).expect(t, http.StatusNotFound, notFound)
				api.call(t, request{method: http.MethodPost, path: keyPath(m.ID, id) + "/rotate", key: p.APIKey, body: "{}"}).expect(t, http.StatusNotFound, notFound)
			}
			if works(t, m.Key) || len(c.keys(m.ID)) != 3 {
				t.Error("the deleted key works, or is listed")
			}
		})
	}
}

func TestRotateAPIKey(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		grace *int
		lives time.Duration // of the old key
	}{
		"at once": {new(0), 0}, "a minute": {new(60), time.Minute}, "a day": {new(86_400), 24 * time.Hour}, "as always": {nil, 24 * time.Hour}, "a week": {new(604_800), 7 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, c := newMerchant(t, production), as(t, production.APIKey)
			body := newKeyBody(nil, "read")
			body.Description = new("Shop")
			old := c.newKey(m.ID, body)
			start := time.Now()
			next := c.rotate(m.ID, old.ApiKeyId, test.grace)
			took := time.Since(start)
			if next.ApiKeyId == old.ApiKeyId || next.EncryptedApiKey == old.EncryptedApiKey || *next.Description != "Shop" || !slices.Equal(next.Scopes, old.Scopes) ||
				next.ExpiresAt != nil || next.Previous.ApiKeyId != old.ApiKeyId {
				t.Errorf("rotated = %+v", next)
			}
			until, err := time.Parse(time.RFC3339, next.Previous.ExpiresAt)
			if off := until.Sub(start.Add(test.lives)); err != nil || off < -time.Second || off > took+time.Second {
				t.Errorf("previous.expires_at = %s, want in %s", next.Previous.ExpiresAt, test.lives)
			}
			if !works(t, next.EncryptedApiKey) || works(t, old.EncryptedApiKey) != (test.lives > 0) || !works(t, m.Key) {
				t.Error("the new key, the account's first key and, in its grace period, the old key must work")
			}
			keys := c.keys(m.ID)
			i := slices.IndexFunc(keys, func(k gen.APIKey) bool { return k.ApiKeyId == old.ApiKeyId })
			if i < 0 || keys[i].ExpiresAt == nil || *keys[i].ExpiresAt != next.Previous.ExpiresAt {
				t.Errorf("keys = %s", c.last.body)
			}
			// A key can be rotated once; its replacement can be rotated again.
			api.call(t, request{method: http.MethodPost, path: keyPath(m.ID, old.ApiKeyId) + "/rotate", key: production.APIKey, body: "{}"}).expect(t, http.StatusConflict, state)
			c.rotate(m.ID, next.ApiKeyId, new(0))
			if works(t, next.EncryptedApiKey) {
				t.Error("a key that was rotated without grace works")
			}
		})
	}
	t.Run("its own end comes first", func(t *testing.T) {
		t.Parallel()
		m, c := newMerchant(t, production), as(t, production.APIKey)
		expires := time.Now().Add(time.Hour).Truncate(time.Second)
		old := c.newKey(m.ID, newKeyBody(&expires))
		if next := c.rotate(m.ID, old.ApiKeyId, nil); next.Previous.ExpiresAt != *old.ExpiresAt || *next.ExpiresAt != *old.ExpiresAt {
			t.Errorf("rotated = %+v, want both to end with %s", next, *old.ExpiresAt)
		}
	})
	t.Run("ten at once", func(t *testing.T) {
		t.Parallel()
		c := newCaller(t, production)
		answers := make([]answer, 10)
		var group sync.WaitGroup
		for i := range answers {
			group.Go(func() {
				answers[i] = api.call(t, request{method: http.MethodPost, path: keyPath(c.ID, c.keyID) + "/rotate", key: production.APIKey, body: "{}"})
			})
		}
		group.Wait()
		rotated := 0
		for _, a := range answers {
			if a.status == http.StatusOK {
				rotated++
			} else {
				a.expect(t, http.StatusConflict, state)
			}
		}
		if keys := as(t, production.APIKey).keys(c.ID); rotated != 1 || len(keys) != 2 {
			t.Errorf("%d of 10 were made, and there are %d keys", rotated, len(keys))
		}
	})
}

func TestTooManyAPIKeys(t *testing.T) {
	t.Parallel()
	m, c := newMerchant(t, production), as(t, production.APIKey)
	var last *gen.NewAPIKey
	for range 48 {
		last = c.newKey(m.ID, newKeyBody(nil))
	}
	// The 50th, 51st and so on at once: only one succeeds.
	answers := make([]answer, 6)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() {
			answers[i] = api.call(t, request{method: http.MethodPost, path: keysPath(m.ID), key: production.APIKey, body: "{}"})
		})
	}
	group.Wait()
	made := 0
	for _, a := range answers {
		if a.status == http.StatusOK {
			made++
		} else {
			a.expect(t, http.StatusConflict, state)
		}
	}
	if keys := c.keys(m.ID); made != 1 || len(keys) != 50 {
		t.Errorf("%d of 6 were made, and there are %d keys", made, len(keys))
	}
	full := request{method: http.MethodPost, path: keysPath(m.ID), key: production.APIKey, body: "{}"}
	api.call(t, full).expect(t, http.StatusConflict, state)
	api.call(t, request{method: http.MethodPost, path: keyPath(m.ID, last.ApiKeyId) + "/rotate", key: production.APIKey, body: "{}"}).expect(t, http.StatusConflict, state)
	c.rotate(m.ID, last.ApiKeyId, new(0)) // takes the old one's place
	_, err := c.DeleteAPIKeyWithResponse(t.Context(), text(m.ID), text(c.keys(m.ID)[0].ApiKeyId))
	done(t, c, err)
	if works(t, m.Key) {
		t.Error("the deleted key works")
	}
	api.call(t, full).expect(t, http.StatusOK)
	api.call(t, full).expect(t, http.StatusConflict, state)
}

// No key can delete itself: a merchant key may not use the route, and a partner key belongs to no account.
func TestDeleteTheKeyThatCalls(t *testing.T) {
	t.Parallel()
	c := newCaller(t, production)
	api.call(t, request{method: http.MethodDelete, path: keyPath(c.ID, c.keyID), key: c.Key}).expect(t, http.StatusForbidden, forbidden)
	if !works(t, c.Key) {
		t.Error("the merchant's key is gone")
	}
	p := newPartner(t, "Sawing")
	m := newMerchant(t, p)
	id, isNumber := getItem(t, partnerPK(p), keySK(p.APIKey))["api_key_id"].(*types.AttributeValueMemberN)
	if !isNumber {
		t.Fatal("the partner's key has no id")
	}
	api.call(t, request{method: http.MethodDelete, path: keyPath(m.ID, id.Value), key: p.APIKey}).expect(t, http.StatusNotFound, notFound)
	api.call(t, request{method: http.MethodDelete, path: keyPath(p.ID, id.Value), key: p.APIKey}).expect(t, http.StatusNotFound, notFound)
	as(t, p.APIKey).account(m.ID)
}

// TestAPIKeyExpiring: a key that ends soon is reported once by the reconciler.
func TestAPIKeyExpiring(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	end := time.Now().Add(6 * 24 * time.Hour).UTC().Truncate(time.Millisecond)
	a := api.call(t, request{method: http.MethodPost, path: keysPath(m.ID), key: production.APIKey, body: fields{"scopes": []string{"read"}, "expires_at": end.Format(time.RFC3339Nano)}})
	a.expect(t, http.StatusOK)
	key := decode[gen.NewAPIKey](t, a)
	row := getItem(t, accountPK(m.ID), keySK(key.EncryptedApiKey))
	if got, want := str(row, "due_key"), fmt.Sprintf("%015d", end.Add(-24*time.Hour).UnixMilli()); str(row, "due_pk") != "EXPIRING" || got != want {
		t.Fatalf("the key is due in %s at %s, want EXPIRING at %s", str(row, "due_pk"), got, want)
	}
	// As if it had been made weeks ago, and no run had looked since.
	setItem(t, accountPK(m.ID), keySK(key.EncryptedApiKey), item{"due_key": txt(fmt.Sprintf("%015d", time.Now().UnixMilli()))})
	expiring := func() []gen.Event { return eventsOf(t, m.Key, "event_type=api_key_expiring") }
	reconciles(t, map[string]func() bool{"the key is not reported": func() bool { return len(expiring()) > 0 }})
	if _, err := service.Invoke(t.Context(), "reconcile", map[string]any{}); err != nil {
		t.Error(err)
	}
	all := expiring()
	if len(all) != 1 {
		t.Fatalf("%d events, want 1", len(all))
	}
	data, err := all[0].Data.AsAPIKeyEventData()
	if err != nil || data.ExpiresInDays == nil || *data.ExpiresInDays != 7 || data.ApiKeyId != key.ApiKeyId || data.LastFour != key.EncryptedApiKey[len(key.EncryptedApiKey)-4:] {
		t.Errorf("the event has %+v, %v", data, err)
	}
	if got := str(getItem(t, accountPK(m.ID), keySK(key.EncryptedApiKey)), "due_key"); got != str(row, "due_key") {
		t.Errorf("the key is next due at %s, want %s", got, str(row, "due_key"))
	}
}
