package auth_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"carrierlink/shared/account"
	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// table implements Keys with a map, and counts calls.
type table struct {
	keys  map[string]account.KeyUsed // by hash
	fail  error                      // returned with the key
	wait  time.Duration
	calls atomic.Int32
	last  account.KeyUse
}

func (f *table) UseKey(_ context.Context, use account.KeyUse) (account.KeyUsed, error) {
	f.calls.Add(1)
	f.last = use
	time.Sleep(f.wait) // of synctest
	used, ok := f.keys[use.Hash]
	if !ok {
		return account.KeyUsed{}, account.ErrKeyNotValid()
	}
	return used, f.fail
}

func clock() time.Time { return time.Date(2026, 3, 1, 0, 0, 30, 0, time.UTC) }

// world has partner 5 with the accounts 71 (active) and 72 (disabled), partner 6 with
// account 81, and their keys.
type world struct {
	*table
	auth                                                     *auth.Auth
	accounts                                                 map[int64]account.Account
	partner, sandboxPartner, merchant, disabled, gone, alien account.Key
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		table: &table{keys: map[string]account.KeyUsed{}},
		accounts: map[int64]account.Account{
			71: {ID: 71, PartnerID: 5, Active: true}, 72: {ID: 72, PartnerID: 5}, 81: {ID: 81, PartnerID: 6, Active: true},
		},
		partner: newKey(t, carrier.Production, 5, 0), sandboxPartner: newKey(t, carrier.Sandbox, 9, 0), merchant: newKey(t, carrier.Production, 5, 71),
		disabled: newKey(t, carrier.Production, 5, 72), gone: newKey(t, carrier.Production, 5, 73), alien: newKey(t, carrier.Production, 5, 71),
	}
	for i, k := range []account.Key{w.partner, w.sandboxPartner, w.merchant, w.disabled, w.gone} {
		w.keys[k.Hash()] = account.KeyUsed{Key: account.APIKey{ID: int64(i + 1), PartnerID: 5, AccountID: k.AccountID}, Used: 3, Reset: 30 * time.Second}
	}
	w.auth = &auth.Auth{Keys: w.table, Limits: auth.Limits{Production: 200, Sandbox: 20}, Now: clock}
	return w
}

func (w *world) beside(_ context.Context, id int64) (*account.Account, error) {
	if a, ok := w.accounts[id]; ok {
		return &a, nil
	}
	return nil, nil //nolint:nilnil // absent
}

// differs compares callers, without what By adds of the request: see TestBy.
func differs(want, got auth.Caller) string {
	return cmp.Diff(want, got, cmpopts.IgnoreFields(auth.Caller{}, "RequestID", "SourceIP"))
}

func request(headers ...string) *httpapi.Request {
	e := events.APIGatewayProxyRequest{HTTPMethod: "GET", Resource: "/v1/carriers", Headers: map[string]string{}}
	for i := 0; i < len(headers); i += 2 {
		e.Headers[headers[i]] = headers[i+1]
	}
	return httpapi.NewRequest("the id", e)
}

// told describes an error: kind and field of its first problem.
func told(err error) string {
	if err == nil {
		return ""
	}
	p := fault.Of(err)[0]
	return strings.TrimSuffix(p.Kind.String()+" "+p.Field, " ")
}

func newKey(t *testing.T, env carrier.Environment, partnerID, accountID int64) account.Key {
	t.Helper()
	k, err := account.NewKey(rand.Reader, env, partnerID, accountID)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// slips returns texts that differ from a key's text by one mistake. The tests of
// account.ParseKey have all of them.
func slips(text string) map[string]string {
	m := map[string]string{
		"nothing": "", "prefix alone": text[:8], "no prefix": text[8:], "the other environment's prefix": "cl_test_" + text[8:], "Bearer": "Bearer " + text,
		"blank before": " " + text, "line break behind": text + "\n", "twice": text + text,
	}
	for i := range len(text) {
		m[fmt.Sprintf("character %d becomes !", i)] = text[:i] + "!" + text[i+1:]
		m[fmt.Sprintf("without character %d", i)] = text[:i] + text[i+1:]
		m[fmt.Sprintf("character %d twice", i)] = text[:i+1] + text[i:]
	}
	return m
}

func TestMistypedKeyCostsNoCall(t *testing.T) {
	w := newWorld(t)
	for name, text := range slips(w.merchant.Text.Reveal()) {
		req := request("API-Key", text, "On-Behalf-Of", "71")
		_, err1 := w.auth.Partner(t.Context(), req)
		_, err2 := w.auth.Merchant(t.Context(), req, func(context.Context, int64) (*account.Account, error) {
			t.Fatalf("%s: the account is read", name)
			return nil, nil
		})
		if told(err1) != "unauthorized" || told(err2) != "unauthorized" {
			t.Errorf("%s: %v, %v, want unauthorized", name, err1, err2)
		}
	}
	for _, req := range []*httpapi.Request{request(), request("Authorization", "Bearer "+w.merchant.Text.Reveal()), request("X-API-Key", w.merchant.Text.Reveal())} {
		if _, err := w.auth.Partner(t.Context(), req); told(err) != "unauthorized" {
			t.Errorf("no key: %v", err)
		}
	}
	if n := w.calls.Load(); n != 0 {
		t.Errorf("%d remote calls", n)
	}
}

// TestRepeatedHeaders: different values are refused.
func TestRepeatedHeaders(t *testing.T) {
	w := newWorld(t)
	partner, merchant := w.partner.Text.Reveal(), w.merchant.Text.Reveal()
	for _, tc := range []struct {
		name         string
		keys, behalf []string
		want         string
		calls        int32
	}{
		{"two keys", []string{partner, merchant}, []string{"71"}, "invalid API-Key", 0},
		{"a key and a wrong one", []string{"x", merchant}, nil, "invalid API-Key", 0},
		{"no key", nil, []string{"71", "72"}, "unauthorized", 0},
		{"a wrong key", []string{"x"}, []string{"71", "72"}, "unauthorized", 0},
		{"an unproven key", []string{w.alien.Text.Reveal()}, []string{"71", "72"}, "unauthorized", 1},
		{"two accounts", []string{partner}, []string{"71", "72"}, "invalid On-Behalf-Of", 1},
		{"two accounts, one is the key's", []string{merchant}, []string{"71", "72"}, "invalid On-Behalf-Of", 1},
		{"each twice the same", []string{partner, partner}, []string{"71", "71"}, "", 1},
	} {
		w.calls.Store(0)
		req := httpapi.NewRequest("id", events.APIGatewayProxyRequest{
			HTTPMethod: "GET", Resource: "/v1/carriers", MultiValueHeaders: map[string][]string{"API-Key": tc.keys, "On-Behalf-Of": tc.behalf},
		})
		caller, err := w.auth.Merchant(t.Context(), req, w.beside)
		if told(err) != tc.want || w.calls.Load() != tc.calls || (caller.AccountID == 71) != (tc.want == "") {
			t.Errorf("%s: %+v, %v after %d calls, want %q after %d", tc.name, caller, err, w.calls.Load(), tc.want, tc.calls)
		}
	}
}

func TestPartner(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name string
		key  account.Key
		want string
	}{
		{"a key that the table does not have", w.alien, "unauthorized"},
		{"a merchant's key", w.merchant, "forbidden"},
		{"a disabled merchant's key", w.disabled, "forbidden"},
		{"a partner's key", w.partner, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w.calls.Store(0)
			caller, err := w.auth.Partner(t.Context(), request("api-key", tc.key.Text.Reveal()))
			if told(err) != tc.want || w.calls.Load() != 1 {
				t.Fatalf("Partner = %+v, %v after %d calls, want %q after one", caller, err, w.calls.Load(), tc.want)
			}
			if err != nil {
				if diff := differs(auth.Caller{}, caller); diff != "" {
					t.Errorf("the refused caller is not empty:\n%s", diff)
				}
				return
			}
			want := auth.Caller{Key: w.keys[tc.key.Hash()].Key, PartnerID: 5}
			if diff := differs(want, caller); diff != "" {
				t.Errorf("Partner (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMerchant(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name, onBehalfOf string
		key              account.Key
		want             string
		account          int64
	}{
		{"a key that the table does not have", "", w.alien, "unauthorized", 0},
		{"a key that the table does not have, for another", "81", w.alien, "unauthorized", 0},
		{"a key that outlived its account", "", w.gone, "unauthorized", 0},
		{"partner, for nobody", "", w.partner, "required On-Behalf-Of", 0},
		{"partner, no id", "shop", w.partner, "identifier On-Behalf-Of", 0},
		{"partner, zero", "0", w.partner, "identifier On-Behalf-Of", 0},
		{"partner, two", "71,72", w.partner, "identifier On-Behalf-Of", 0},
		{"partner, a blank", "71 ", w.partner, "identifier On-Behalf-Of", 0},
		{"partner, too large", "2147483648", w.partner, "identifier On-Behalf-Of", 0},
		{"merchant, no id", "shop", w.merchant, "identifier On-Behalf-Of", 0},
		{"partner, an absent account", "99", w.partner, "not found", 0},
		{"partner, another partner's account", "81", w.partner, "not found", 0},
		{"merchant, an absent account", "99", w.merchant, "not found", 0},
		{"merchant, another account of the same partner", "72", w.merchant, "not found", 0},
		{"merchant, another partner's account", "81", w.merchant, "not found", 0},
		{"partner, a disabled account", "72", w.partner, "inactive", 0},
		{"a disabled account's key", "", w.disabled, "inactive", 0},
		{"merchant", "", w.merchant, "", 71},
		{"merchant, own account", "71", w.merchant, "", 71},
		{"merchant, own account as ShipEngine prints it", "se-71", w.merchant, "", 71},
		{"partner", "71", w.partner, "", 71},
		{"partner, as ShipEngine prints it", "se-71", w.partner, "", 71},
	}
	texts := map[string]string{}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w.calls.Store(0)
			caller, err := w.auth.Merchant(t.Context(), request("API-KEY", tc.key.Text.Reveal(), "on-behalf-of", tc.onBehalfOf), w.beside)
			if told(err) != tc.want || w.calls.Load() != 1 {
				t.Fatalf("Merchant = %+v, %v after %d calls, want %q after one", caller, err, w.calls.Load(), tc.want)
			}
			if err == nil {
				want := auth.Caller{Key: w.keys[tc.key.Hash()].Key, PartnerID: 5, AccountID: tc.account}
				if diff := differs(want, caller); diff != "" {
					t.Errorf("Merchant (-want +got):\n%s", diff)
				}
				return
			}
			if diff := differs(auth.Caller{}, caller); diff != "" {
				t.Errorf("the refused caller is not empty:\n%s", diff)
			}
			// An absent account and another partner's have the same message, and so have
			// a missing key and a wrong one.
			if text, ok := texts[tc.want]; ok && text != fault.Of(err)[0].Message && tc.want != "identifier On-Behalf-Of" {
				t.Errorf("%q has the messages %q and %q", tc.want, text, fault.Of(err)[0].Message)
			}
			texts[tc.want] = fault.Of(err)[0].Message
		})
	}
	if _, err := w.auth.Partner(t.Context(), request()); fault.Of(err)[0].Message != texts["unauthorized"] {
		t.Errorf("a missing key gives %v, a wrong one %q", err, texts["unauthorized"])
	}
}

// TestKeyUse: UseKey gets the limit of the key's environment.
func TestKeyUse(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		name string
		key  account.Key
		want account.KeyUse
	}{
		{"production", w.partner, account.KeyUse{PartnerID: 5, Limit: 200}},
		{"sandbox", w.sandboxPartner, account.KeyUse{PartnerID: 9, Limit: 20}},
		{"merchant", w.merchant, account.KeyUse{AccountID: 71, Limit: 200}},
	} {
		_, _ = w.auth.Partner(t.Context(), request("API-Key", tc.key.Text.Reveal()))
		tc.want.Hash, tc.want.Now = tc.key.Hash(), clock()
		if diff := cmp.Diff(tc.want, w.last); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

// TestRateLimited calls Serve, because callers see the state of the window in headers.
func TestRateLimited(t *testing.T) {
	tests := []struct {
		name string
		key  func(*world) account.Key
		fail error
		used int
		code int
		want map[string]string
	}{
		{
			"over", func(w *world) account.Key { return w.partner }, &fault.Error{Kind: fault.RateLimited, Message: "m", RetryAfter: 30 * time.Second}, 200, 429,
			map[string]string{"RateLimit-Limit": "200", "RateLimit-Remaining": "0", "RateLimit-Reset": "30", "Retry-After": "30"},
		},
		{"unauthorized says nothing of a window", func(w *world) account.Key { return w.alien }, nil, 0, 401, map[string]string{}},
		{"the table is down", func(w *world) account.Key { return w.partner }, errors.New("down"), 0, 500, map[string]string{}},
		{"sandbox", func(w *world) account.Key { return w.sandboxPartner }, nil, 20, 200, map[string]string{"RateLimit-Limit": "20", "RateLimit-Remaining": "0", "RateLimit-Reset": "30"}},
		{"within", func(w *world) account.Key { return w.partner }, nil, 3, 200, map[string]string{"RateLimit-Limit": "200", "RateLimit-Remaining": "197", "RateLimit-Reset": "30"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.fail = tc.fail
			key := tc.key(w)
			if used, ok := w.keys[key.Hash()]; ok {
				used.Used = tc.used
				w.keys[key.Hash()] = used
			}
			api := &httpapi.API{
				Log: slog.New(slog.DiscardHandler),
				Routes: []httpapi.Route{{Method: "GET", Resource: "/v1/carriers", Handler: func(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
					if _, err := w.auth.Partner(ctx, req); err != nil {
						return nil, fmt.Errorf("authenticating: %w", err)
					}
					return httpapi.JSON(200, nil), nil
				}}},
			}
			resp, err := api.Serve(t.Context(), events.APIGatewayProxyRequest{HTTPMethod: "GET", Resource: "/v1/carriers", Headers: map[string]string{"API-Key": key.Text.Reveal()}})
			if err != nil || resp.StatusCode != tc.code {
				t.Fatalf("Serve = %d %s, %v, want %d", resp.StatusCode, resp.Body, err, tc.code)
			}
			got := map[string]string{}
			for k, v := range resp.Headers {
				if strings.HasPrefix(k, "RateLimit-") || k == "Retry-After" {
					got[k] = v
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBesideRunsConcurrently: key and account together take as long as the slower read,
// and both have ended when Merchant returns, even if one fails.
func TestBesideRunsConcurrently(t *testing.T) {
	for _, tc := range []struct {
		name        string
		key, beside time.Duration
		known       bool
	}{
		{"refused at once, the read takes longer", 0, 3 * time.Second, false},
		{"the key takes longer", 3 * time.Second, 2 * time.Second, true},
		{"the read takes longer", 2 * time.Second, 3 * time.Second, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.wait = tc.key
				key := w.merchant
				if !tc.known {
					key = w.alien
				}
				over := false
				start := time.Now()
				_, err := w.auth.Merchant(t.Context(), request("API-Key", key.Text.Reveal()), func(ctx context.Context, id int64) (*account.Account, error) {
					time.Sleep(tc.beside) // of synctest
					over = true
					return w.beside(ctx, id)
				})
				if took := time.Since(start); took != 3*time.Second || !over || (err == nil) != tc.known {
					t.Errorf("Merchant = %v after %v, read ended: %t; want 3s", err, took, over)
				}
			})
		})
	}
}

func TestBesideFails(t *testing.T) {
	w := newWorld(t)
	down := errors.New("down")
	tests := []struct {
		name   string
		key    account.Key
		beside func(context.Context, int64) (*account.Account, error)
		want   string
	}{
		{"an error", w.merchant, func(context.Context, int64) (*account.Account, error) { return nil, down }, "internal"},
		{"an error, with a wrong key", w.alien, func(context.Context, int64) (*account.Account, error) { return nil, down }, "unauthorized"},
		{"a panic", w.merchant, func(context.Context, int64) (*account.Account, error) { panic("hunter2-canary") }, "internal"},
		{"a panic, with a wrong key", w.alien, func(context.Context, int64) (*account.Account, error) { panic("hunter2-canary") }, "unauthorized"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			_, err := w.auth.Merchant(t.Context(), request("API-Key", tc.key.Text.Reveal()), tc.beside)
			if told(err) != tc.want || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("Merchant = %v, want %s", err, tc.want)
			}
		})
	}
}

func TestScopeTellsCallersApart(t *testing.T) {
	seen := map[string]string{}
	for name, c := range map[string]auth.Caller{
		"partner 5":                {Key: account.APIKey{PartnerID: 5}, PartnerID: 5},
		"partner 71":               {Key: account.APIKey{PartnerID: 71}, PartnerID: 71},
		"partner 5 for account 71": {Key: account.APIKey{PartnerID: 5}, PartnerID: 5, AccountID: 71},
		"partner 5 for account 72": {Key: account.APIKey{PartnerID: 5}, PartnerID: 5, AccountID: 72},
		"account 71":               {Key: account.APIKey{PartnerID: 5, AccountID: 71}, PartnerID: 5, AccountID: 71},
		"account 72":               {Key: account.APIKey{PartnerID: 5, AccountID: 72}, PartnerID: 5, AccountID: 72},
	} {
		if twin, dup := seen[c.Scope()]; dup {
			t.Errorf("%s and %s share the scope %q", name, twin, c.Scope())
		}
		seen[c.Scope()] = name
	}
	// Keys of the same account share a scope, so a repeat may use a new key.
	a := auth.Caller{Key: account.APIKey{ID: 1, AccountID: 71}, AccountID: 71}
	b := auth.Caller{Key: account.APIKey{ID: 2, AccountID: 71}, AccountID: 71}
	if a.Scope() != b.Scope() {
		t.Errorf("two keys of one account: %q and %q", a.Scope(), b.Scope())
	}
}

// TestBy: a change is recorded with the key, whom it acts for and the request.
func TestBy(t *testing.T) {
	w := newWorld(t)
	asked := func(key account.Key, onBehalfOf string) *httpapi.Request {
		headers := map[string]string{"API-Key": key.Text.Reveal()}
		if onBehalfOf != "" {
			headers["On-Behalf-Of"] = onBehalfOf
		}
		return httpapi.NewRequest("the id", events.APIGatewayProxyRequest{
			HTTPMethod: "GET", Resource: "/v1/events", Headers: headers,
			RequestContext: events.APIGatewayProxyRequestContext{Identity: events.APIGatewayRequestIdentity{SourceIP: "192.0.2.7"}},
		})
	}
	for _, tc := range []struct {
		name string
		req  *httpapi.Request
		want effects.By
	}{
		{"a partner", asked(w.partner, ""), effects.By{Actor: effects.Partner, KeyID: 1, PartnerID: 5}},
		{"a partner for an account", asked(w.partner, "71"), effects.By{Actor: effects.Partner, KeyID: 1, PartnerID: 5, AccountID: 71}},
		{"a merchant", asked(w.merchant, ""), effects.By{Actor: effects.Merchant, KeyID: 3, PartnerID: 5, AccountID: 71}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			caller, err := w.auth.PartnerOrMerchant(t.Context(), tc.req, w.beside)
			if err != nil {
				t.Fatal(err)
			}
			tc.want.RequestID, tc.want.SourceIP = "the id", "192.0.2.7"
			if diff := cmp.Diff(tc.want, caller.By()); diff != "" {
				t.Errorf("By() (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPartnerOrMerchant: a partner's key without On-Behalf-Of is for all accounts, and then
// no account is read. Everything else is as with Merchant.
func TestPartnerOrMerchant(t *testing.T) {
	w := newWorld(t)
	const empty = "(empty)"
	tests := []struct {
		name, onBehalfOf string
		key              account.Key
		want             string
		account          int64
		reads            int
	}{
		{"a key that the table does not have", "", w.alien, "unauthorized", 0, 1},
		{"a key that outlived its account", "", w.gone, "unauthorized", 0, 1},
		{"partner, an empty header", empty, w.partner, "required On-Behalf-Of", 0, 0},
		{"partner, no id", "shop", w.partner, "identifier On-Behalf-Of", 0, 0},
		{"partner, a blank", " ", w.partner, "identifier On-Behalf-Of", 0, 0},
		{"partner, an absent account", "99", w.partner, "not found", 0, 1},
		{"partner, another partner's account", "81", w.partner, "not found", 0, 1},
		{"merchant, another account of the same partner", "72", w.merchant, "not found", 0, 0},
		{"partner, a disabled account", "72", w.partner, "inactive", 0, 1},
		{"a disabled account's key", "", w.disabled, "inactive", 0, 1},
		{"merchant", "", w.merchant, "", 71, 1},
		{"merchant, own account", "71", w.merchant, "", 71, 1},
		{"partner, for an account", "71", w.partner, "", 71, 1},
		{"partner", "", w.partner, "", 0, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w.calls.Store(0)
			reads := 0
			header := []string{"API-Key", tc.key.Text.Reveal()}
			if tc.onBehalfOf != "" {
				header = append(header, "On-Behalf-Of", strings.TrimPrefix(tc.onBehalfOf, empty))
			}
			caller, err := w.auth.PartnerOrMerchant(t.Context(), request(header...),
				func(ctx context.Context, id int64) (*account.Account, error) {
					reads++
					return w.beside(ctx, id)
				})
			if told(err) != tc.want || w.calls.Load() != 1 || reads != tc.reads {
				t.Fatalf("PartnerOrMerchant = %+v, %v after %d calls and %d reads, want %q after one and %d", caller, err, w.calls.Load(), reads, tc.want, tc.reads)
			}
			want := auth.Caller{}
			if err == nil {
				want = auth.Caller{Key: w.keys[tc.key.Hash()].Key, PartnerID: 5, AccountID: tc.account}
			}
			if diff := differs(want, caller); diff != "" {
				t.Errorf("PartnerOrMerchant (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("two accounts", func(t *testing.T) {
		req := httpapi.NewRequest("id", events.APIGatewayProxyRequest{
			HTTPMethod: "GET", Resource: "/v1/carriers", MultiValueHeaders: map[string][]string{"API-Key": {w.partner.Text.Reveal()}, "On-Behalf-Of": {"", "71"}},
		})
		if caller, err := w.auth.PartnerOrMerchant(t.Context(), req, w.beside); told(err) != "invalid On-Behalf-Of" {
			t.Errorf("PartnerOrMerchant = %+v, %v", caller, err)
		}
	})
	t.Run("without a call", func(t *testing.T) {
		w.calls.Store(0)
		if _, err := w.auth.PartnerOrMerchant(t.Context(), request("API-Key", "cl_live_x"), w.beside); told(err) != "unauthorized" || w.calls.Load() != 0 {
			t.Errorf("a mistyped key: %v after %d calls", err, w.calls.Load())
		}
	})
}

// TestDisabledPartner: the keys of a disabled partner are refused on every route, before
// anything else about the request, and the keys of its merchants work.
func TestDisabledPartner(t *testing.T) {
	w := newWorld(t)
	used := w.keys[w.partner.Hash()]
	used.Key.PartnerDisabled = true
	w.keys[w.partner.Hash()] = used
	text := w.partner.Text.Reveal()
	if _, err := w.auth.Partner(t.Context(), request("API-Key", text)); told(err) != "inactive" {
		t.Errorf("a partner route: %v", err)
	}
	if _, err := w.auth.PartnerOrMerchant(t.Context(), request("API-Key", text), w.beside); told(err) != "inactive" {
		t.Errorf("a route of both: %v", err)
	}
	for _, onBehalfOf := range []string{"71", "72", "81", "x"} {
		if _, err := w.auth.Merchant(t.Context(), request("API-Key", text, "On-Behalf-Of", onBehalfOf), w.beside); told(err) != "inactive" || !strings.Contains(err.Error(), "partner") {
			t.Errorf("on behalf of %s: %v", onBehalfOf, err)
		}
	}
	if _, err := w.auth.Merchant(t.Context(), request("API-Key", w.merchant.Text.Reveal()), w.beside); err != nil {
		t.Errorf("a merchant's own key: %v", err)
	}
}
