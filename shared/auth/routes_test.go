package auth_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"carrierlink/shared/account"
	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// every route that needs a key, by scope.
var routes = map[account.Scope][]string{
	account.ScopeRead: {
		"GET /v1/partners/accounts", "GET /v1/partners/accounts/{account_id}", "GET /v1/partners/accounts/external_account_id/{external_account_id}",
		"GET /v1/partners/accounts/{account_id}/api_keys", "GET /v1/partners/countries", "GET /v1/partners/settings", "GET /v1/connections/carriers", "GET /v1/carriers",
		"GET /v1/carriers/status", "GET /v1/carriers/{carrier_id}", "GET /v1/carriers/{carrier_id}/account", "GET /v1/carriers/{carrier_id}/history", "GET /v1/tracking",
		"GET /v1/events", "GET /v1/events/{event_id}", "GET /v1/audit_log", "GET /v1/shipments",
		"GET /v1/environment/webhooks", "GET /v1/environment/webhooks/{webhook_id}", "GET /v1/environment/webhooks/{webhook_id}/deliveries",
		"GET /v1/environment/webhooks/{webhook_id}/deliveries/{delivery_id}",
	},
	account.ScopeLink: {
		"POST /v1/connections/carriers/{carrier_name}", "POST /v1/connections/carriers/{carrier_name}/validate", "PUT /v1/connections/carriers/{carrier_name}/{carrier_id}",
		"DELETE /v1/connections/carriers/{carrier_name}/{carrier_id}", "POST /v1/connections/carriers/{carrier_name}/{carrier_id}/rollback",
		"POST /v1/connections/carriers/{carrier_name}/{carrier_id}/verify", "DELETE /v1/carriers/{carrier_id}", "POST /v1/carriers/{carrier_id}/refresh",
		"POST /v1/tracking/start", "POST /v1/tracking/stop", "POST /v1/shipments",
	},
	account.ScopeAdmin: {
		"POST /v1/partners/accounts", "PATCH /v1/partners/accounts/{account_id}", "DELETE /v1/partners/accounts/{account_id}", "PUT /v1/partners/accounts/{account_id}/enable",
		"PUT /v1/partners/accounts/{account_id}/disable", "PUT /v1/partners/accounts/{account_id}/restore", "POST /v1/partners/accounts/{account_id}/api_keys",
		"POST /v1/partners/accounts/{account_id}/api_keys/{api_key_id}/rotate", "DELETE /v1/partners/accounts/{account_id}/api_keys/{api_key_id}",
		"POST /v1/partners/accounts/{account_id}/login_invitations", "DELETE /v1/partners/accounts/{account_id}/sessions", "POST /v1/tokens/ephemeral", "PUT /v1/partners/settings",
		"POST /v1/environment/webhooks", "PUT /v1/environment/webhooks/{webhook_id}", "DELETE /v1/environment/webhooks/{webhook_id}",
		"POST /v1/environment/webhooks/{webhook_id}/test", "POST /v1/environment/webhooks/{webhook_id}/rotate_secret", "POST /v1/environment/webhooks/{webhook_id}/replay",
		"POST /v1/environment/webhooks/{webhook_id}/deliveries/{delivery_id}/replay",
	},
}

// requestFor returns a request to a route, about account 71.
func requestFor(route string, key account.Key, params ...string) *httpapi.Request {
	method, resource, _ := strings.Cut(route, " ")
	e := events.APIGatewayProxyRequest{
		HTTPMethod: method, Resource: resource, Headers: map[string]string{"API-Key": key.Text.Reveal()}, PathParameters: map[string]string{"account_id": "71"},
	}
	for i := 0; i < len(params); i += 2 {
		e.PathParameters[params[i]] = params[i+1]
	}
	if key.PartnerID != 0 && !strings.Contains(resource, "/partners/") {
		e.Headers["On-Behalf-Of"] = "71"
	}
	return httpapi.NewRequest("id", e)
}

// TestEachScopeAllowsItsRoutes and no others, with every method of Auth, for partner keys
// and merchant keys.
func TestEachScopeAllowsItsRoutes(t *testing.T) {
	sets := [][]account.Scope{
		nil,
		{account.ScopeRead},
		{account.ScopeLink},
		{account.ScopeAdmin},
		{account.ScopeRead, account.ScopeLink},
		{account.ScopeLink, account.ScopeAdmin},
		{account.ScopeRead, account.ScopeLink, account.ScopeAdmin},
		{"other"},
	}
	tried := 0
	for _, set := range sets {
		for scope, of := range routes {
			for _, route := range of {
				for _, merchant := range []bool{false, true} {
					if merchant && strings.Contains(route, "/partners/") {
						continue // refused with any scope
					}
					w := newWorld(t)
					key := w.partner
					if merchant {
						key = w.merchant
					}
					used := w.keys[key.Hash()]
					used.Key.Scopes = set
					w.keys[key.Hash()] = used
					ways := map[string]func() error{
						"Partner": func() error { _, err := w.auth.Partner(t.Context(), requestFor(route, key)); return err },
						"PartnerBeside": func() error {
							_, err := w.auth.PartnerBeside(t.Context(), requestFor(route, key), func(context.Context, int64) error { return nil })
							return err
						},
						"PartnerAccount": func() error {
							_, _, err := w.auth.PartnerAccount(t.Context(), requestFor(route, key), w.beside)
							return err
						},
					}
					if !strings.Contains(route, "/partners/") {
						ways = map[string]func() error{
							"Merchant": func() error {
								_, err := w.auth.Merchant(t.Context(), requestFor(route, key), w.beside)
								return err
							},
							"PartnerOrMerchant": func() error {
								_, err := w.auth.PartnerOrMerchant(t.Context(), requestFor(route, key), w.beside)
								return err
							},
						}
						if !merchant { // it refuses a merchant's key with any scope
							ways["PartnerOnBehalf"] = func() error {
								_, err := w.auth.PartnerOnBehalf(t.Context(), requestFor(route, key), w.beside)
								return err
							}
						}
					}
					for name, way := range ways {
						tried++
						want := "forbidden"
						if len(set) == 0 || slices.Contains(set, scope) {
							want = ""
						}
						if err := way(); told(err) != want {
							t.Errorf("%s of %s with %q, merchant %t = %v, want %q", name, route, set, merchant, err, want)
						}
					}
				}
			}
		}
	}
	t.Logf("%d cases", tried)
}

// TestUnknownRoutesAreRefused, even to a key with every scope.
func TestUnknownRoutesAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, route := range []string{
		"GET ", " /v1/carriers", "GET /v1/carriers/", "HEAD /v1/carriers", "POST /v1/carriers", "DELETE /v1/partners/accounts", "GET /v1/partners/accounts/71", "GET /health", "GET /{proxy+}",
	} {
		method, resource, _ := strings.Cut(route, " ")
		if scope, ok := auth.RequiredScope(method, resource); ok {
			t.Errorf("%q needs the scope %q, want it unknown", route, scope)
		}
		_, err1 := w.auth.Partner(t.Context(), requestFor(route, w.partner))
		_, err2 := w.auth.Merchant(t.Context(), requestFor(route, w.merchant), w.beside)
		_, _, err3 := w.auth.PartnerAccount(t.Context(), requestFor(route, w.partner), w.beside)
		if told(err1) != "internal" || told(err2) != "internal" || told(err3) != "internal" {
			t.Errorf("%q: %v, %v, %v, want internal errors", route, err1, err2, err3)
		}
	}
	known := 0
	for scope, of := range routes {
		for _, route := range of {
			method, resource, _ := strings.Cut(route, " ")
			if got, ok := auth.RequiredScope(method, resource); !ok || got != scope {
				t.Errorf("%s needs the scope %q, want %q", route, got, scope)
			}
			known++
		}
	}
	if known != 52 {
		t.Errorf("%d routes", known)
	}
}

const accountRoute = "GET /v1/partners/accounts/{account_id}"

func TestPartnerAccount(t *testing.T) {
	deleted := account.Account{ID: 74, PartnerID: 5, PurgeAt: clock().Add(time.Hour)}
	down := errors.New("down")
	tests := []struct {
		name, id string
		key      func(*world) account.Key
		fail     error
		want     string
		account  int64
		reads    int
	}{
		{"a key that the table does not have", "71", func(w *world) account.Key { return w.alien }, nil, "unauthorized", 0, 0},
		{"a key that the table does not have, no id", "x", func(w *world) account.Key { return w.alien }, nil, "unauthorized", 0, 0},
		{"a merchant's key, its own account", "71", func(w *world) account.Key { return w.merchant }, nil, "forbidden", 0, 0},
		{"a merchant's key, no id", "x", func(w *world) account.Key { return w.merchant }, nil, "forbidden", 0, 0},
		{"no id", "x", func(w *world) account.Key { return w.partner }, nil, "identifier account_id", 0, 0},
		{"empty", "", func(w *world) account.Key { return w.partner }, nil, "identifier account_id", 0, 0},
		{"zero", "0", func(w *world) account.Key { return w.partner }, nil, "identifier account_id", 0, 0},
		{"encoded badly", "%7", func(w *world) account.Key { return w.partner }, nil, "identifier account_id", 0, 0},
		{"encoded twice", "%2537%2531", func(w *world) account.Key { return w.partner }, nil, "identifier account_id", 0, 0},
		{"too large", "2147483648", func(w *world) account.Key { return w.partner }, nil, "identifier account_id", 0, 0},
		{"the read fails", "71", func(w *world) account.Key { return w.partner }, down, "internal", 0, 1},
		{"absent", "99", func(w *world) account.Key { return w.partner }, nil, "not found", 0, 1},
		{"another partner's", "81", func(w *world) account.Key { return w.partner }, nil, "not found", 0, 1},
		{"its own", "71", func(w *world) account.Key { return w.partner }, nil, "", 71, 1},
		{"as ShipEngine prints it", "se-71", func(w *world) account.Key { return w.partner }, nil, "", 71, 1},
		{"encoded", "%37%31", func(w *world) account.Key { return w.partner }, nil, "", 71, 1},
		{"disabled", "72", func(w *world) account.Key { return w.partner }, nil, "", 72, 1},
		{"deleted", "74", func(w *world) account.Key { return w.partner }, nil, "", 74, 1},
	}
	texts := map[string]string{}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.accounts[74] = deleted
			key := tc.key(w)
			reads, asked := 0, int64(0)
			caller, acct, err := w.auth.PartnerAccount(t.Context(), requestFor(accountRoute, key, "account_id", tc.id), func(ctx context.Context, id int64) (*account.Account, error) {
				if key.PartnerID == 0 {
					t.Error("find is called for a merchant's key")
				}
				reads++
				asked = id
				if tc.fail != nil {
					return nil, tc.fail
				}
				return w.beside(ctx, id)
			})
			if told(err) != tc.want || w.calls.Load() != 1 || reads != tc.reads {
				t.Fatalf("PartnerAccount = %+v, %v after %d calls and %d reads, want %q", caller, err, w.calls.Load(), reads, tc.want)
			}
			want := auth.Caller{}
			if err == nil {
				// The caller is the partner, not the account in the path.
				want = auth.Caller{Key: w.keys[key.Hash()].Key, PartnerID: 5}
				if asked != tc.account || acct == nil || acct.ID != tc.account {
					t.Errorf("find reads account %d and PartnerAccount returns %+v, want %d", asked, acct, tc.account)
				}
			} else if text, ok := texts[tc.want]; ok && text != fault.Of(err)[0].Message {
				t.Errorf("%q has the messages %q and %q", tc.want, text, fault.Of(err)[0].Message)
			} else if tc.want != "internal" && tc.want != "identifier account_id" {
				texts[tc.want] = fault.Of(err)[0].Message
			}
			if diff := differs(want, caller); diff != "" {
				t.Errorf("caller (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPartnerBeside(t *testing.T) {
	down := fault.New(fault.NotFound, "m")
	tests := []struct {
		name  string
		key   func(*world) account.Key
		fail  error
		want  string
		reads int64 // the partner that beside gets; zero: not called
	}{
		{"a key that the table does not have", func(w *world) account.Key { return w.alien }, nil, "unauthorized", 0},
		{"a merchant's key", func(w *world) account.Key { return w.merchant }, nil, "forbidden", 0},
		{"a merchant's key, the read would fail", func(w *world) account.Key { return w.merchant }, down, "forbidden", 0},
		{"the read fails", func(w *world) account.Key { return w.partner }, down, "not found", 5},
		{"a partner's key", func(w *world) account.Key { return w.partner }, nil, "", 5},
		{"another partner's key", func(w *world) account.Key { return w.sandboxPartner }, nil, "", 9},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			key := tc.key(w)
			var read int64
			caller, err := w.auth.PartnerBeside(t.Context(), requestFor("GET /v1/partners/accounts", key), func(_ context.Context, partner int64) error {
				read = partner
				return tc.fail
			})
			if told(err) != tc.want || read != tc.reads || w.calls.Load() != 1 {
				t.Fatalf("PartnerBeside = %+v, %v; read %d, want %q and %d", caller, err, read, tc.want, tc.reads)
			}
			want := auth.Caller{}
			if err == nil {
				want = auth.Caller{Key: w.keys[key.Hash()].Key, PartnerID: tc.reads}
			}
			if diff := differs(want, caller); diff != "" {
				t.Errorf("caller (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a refused key's read tells nothing", func(t *testing.T) {
		w := newWorld(t)
		stranger := newKey(t, carrier.Production, 5, 0)
		_, err := w.auth.PartnerBeside(t.Context(), requestFor("GET /v1/partners/accounts", stranger), func(context.Context, int64) error { return down })
		if told(err) != "unauthorized" {
			t.Errorf("PartnerBeside = %v", err)
		}
	})
	t.Run("a panic", func(t *testing.T) {
		w := newWorld(t)
		_, err := w.auth.PartnerBeside(t.Context(), requestFor("GET /v1/partners/accounts", w.partner), func(context.Context, int64) error { panic("hunter2-canary") })
		if told(err) != "internal" || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("PartnerBeside = %v", err)
		}
	})
	t.Run("at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.wait = 3 * time.Second
			begun := time.Now()
			_, err := w.auth.PartnerBeside(t.Context(), requestFor("GET /v1/partners/accounts", w.partner), func(context.Context, int64) error {
				time.Sleep(2 * time.Second) // of synctest
				return nil
			})
			if took := time.Since(begun); took != 3*time.Second || err != nil {
				t.Errorf("PartnerBeside = %v after %v, want 3s", err, took)
			}
		})
	})
}

// TestDeletedAccount: its own key is not valid any more; its partner learns that the
// account is deleted.
func TestDeletedAccount(t *testing.T) {
	w := newWorld(t)
	a := w.accounts[71]
	a.Active, a.PurgeAt = false, clock().Add(time.Hour)
	w.accounts[71] = a
	for _, tc := range []struct {
		name string
		key  account.Key
		want string
	}{{"its own key", w.merchant, "unauthorized"}, {"its partner's key", w.partner, "inactive"}} {
		_, err := w.auth.Merchant(t.Context(), requestFor("GET /v1/carriers", tc.key), w.beside)
		if told(err) != tc.want {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.want)
		}
		if m := fault.Of(err)[0].Message; tc.want == "inactive" && (!strings.Contains(m, "deleted") || strings.Contains(m, "disabled")) {
			t.Errorf("%s: message of a deleted account = %q", tc.name, m)
		}
	}
	// A deleted account is refused even if it is marked as active.
	a.Active = true
	w.accounts[71] = a
	if _, err := w.auth.Merchant(t.Context(), requestFor("GET /v1/carriers", w.merchant), w.beside); told(err) != "unauthorized" {
		t.Errorf("deleted and active: %v", err)
	}
}
