package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

const allPath = "/v1/partners/accounts"

// front is the function over a fixture with the accounts 71 and 72 of partner 5, and 81 of
// partner 6.
type front struct {
	*functiontest.Fixture
	*handler
}

func start() time.Time { return time.Date(2026, 3, 1, 0, 0, 30, 123000000, time.UTC) }

func newFront(tb testing.TB) *front {
	tb.Helper()
	d := functiontest.EmptyInMemory(tb)
	d.Clock = start()
	d.AddPartner(account.Partner{ID: 5})
	d.AddPartner(account.Partner{ID: 6})
	d.AddAccount(account.Account{
		ID: 71, PartnerID: 5, ExternalID: "shop/1", Email: "ada@example.com", CompanyName: "Engines & Co", FirstName: "Ada", LastName: "King", OriginCountryCode: "AU",
		PasswordHash: "$argon2id$canary", Metadata: map[string]string{"tier": "gold"}, Active: true,
	})
	d.AddAccount(account.Account{ID: 72, PartnerID: 5, ExternalID: "shop/2", Email: "bob@example.com", OriginCountryCode: "AU", Active: true})
	d.AddAccount(account.Account{ID: 81, PartnerID: 6, ExternalID: "shop/1", Email: "cy@example.com", OriginCountryCode: "AU", Active: true})
	return serve(d)
}

// serve returns the function over a fixture.
func serve(d *functiontest.Fixture) *front {
	f := &front{d, &handler{auth: d.Auth(), accounts: d.Accounts, answers: d.Store.Idempotency, sealer: d.Sealer(), now: d.Now}}
	d.Serve(f.routes()...)
	return f
}

// link links a carrier to an account.
func (d *front) link(t *testing.T, accountID int64) {
	t.Helper()
	conn := connection.Connection{
		ID: "se-1234567", AccountID: accountID, PartnerID: 5, Carrier: carrier.StarTrack, AccountNumber: "09912345", Standing: account.StandingActive,
		LeaseUntil: d.Clock.Add(time.Minute), NextRefreshAt: d.Clock.Add(time.Hour),
	}
	if err := d.Store.BeginLink(t.Context(), &conn, connection.LinkOptions{}); err != nil {
		t.Fatal(err)
	}
	conn.Status = connection.Active
	if err := d.Store.FinishLink(t.Context(), &conn, nil, nil, effects.Effects{}, d.Clock); err != nil {
		t.Fatal(err)
	}
}

// want204 checks that an answer is an empty 204.
func want204(t *testing.T, resp events.APIGatewayProxyResponse) {
	t.Helper()
	if resp.StatusCode != http.StatusNoContent || resp.Body != "" || resp.Headers["Content-Type"] != "" {
		t.Fatalf("%d %q with %v, want an empty 204", resp.StatusCode, resp.Body, resp.Headers)
	}
}

// operations are all operations on one account.
var operations = []struct{ method, suffix, body string }{
	{http.MethodGet, "", ""},
	{http.MethodPatch, "", `{"first_name":"Eve"}`},
	{http.MethodPut, "/enable", ""},
	{http.MethodPut, "/disable", ""},
	{http.MethodDelete, "", ""},
	{http.MethodPut, "/restore", ""},
}

func TestEveryOperationRefuses(t *testing.T) {
	tests := []struct {
		name, who, id string
		want          []string
	}{
		{"no key", "", "71", []string{"401", "unauthorized"}},
		{"no key, a malformed id", "", "x", []string{"401", "unauthorized"}},
		{"the account's own key", "account 71", "71", []string{"403", "forbidden"}},
		{"the account's own key, a malformed id", "account 71", "x", []string{"403", "forbidden"}},
		{"no id", "partner 5", "shop", []string{"400", "invalid_identifier account_id"}},
		{"zero", "partner 5", "0", []string{"400", "invalid_identifier account_id"}},
		{"negative", "partner 5", "-71", []string{"400", "invalid_identifier account_id"}},
		{"too large by one", "partner 5", "2147483648", []string{"400", "invalid_identifier account_id"}},
		{"a fraction", "partner 5", "71.0", []string{"400", "invalid_identifier account_id"}},
		{"a trailing blank", "partner 5", "71%20", []string{"400", "invalid_identifier account_id"}},
		{"badly encoded", "partner 5", "71%2", []string{"400", "invalid_identifier account_id"}},
		{"not UTF-8", "partner 5", "%ff", []string{"400", "invalid_identifier account_id"}},
		{"absent", "partner 5", "99", []string{"404", "not_found"}},
		{"another partner's", "partner 5", "81", []string{"404", "not_found"}},
		{"another partner's, as ShipEngine prints it", "partner 5", "se-81", []string{"404", "not_found"}},
	}
	for _, op := range operations {
		for _, tc := range tests {
			t.Run(op.method+op.suffix+", "+tc.name, func(t *testing.T) {
				d := newFront(t)
				before := d.accountsAsTheyAre(t)
				resp := d.Do(tc.who, op.method, allPath+"/"+tc.id+op.suffix, op.body)
				if diff := cmp.Diff(tc.want, functiontest.Problems(t, resp)); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(before, d.accountsAsTheyAre(t)); diff != "" {
					t.Errorf("a refused request changed something:\n%s", diff)
				}
			})
		}
		t.Run(op.method+op.suffix+", absent and foreign are equal", func(t *testing.T) {
			d := newFront(t)
			absent, foreign := d.Do("partner 5", op.method, allPath+"/99"+op.suffix, op.body), d.Do("partner 5", op.method, allPath+"/81"+op.suffix, op.body)
			absent.Body = strings.Replace(absent.Body, absent.Headers["X-Request-Id"], foreign.Headers["X-Request-Id"], 1)
			if absent.Body != foreign.Body {
				t.Errorf("absent account:\n%s\nanother partner's:\n%s", absent.Body, foreign.Body)
			}
		})
	}
}

func (d *front) accountsAsTheyAre(t *testing.T) []account.Account {
	t.Helper()
	var all []account.Account
	for _, id := range []int64{71, 72, 81} {
		l, err := d.Store.Load(t.Context(), id, store.Want{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, *l.Account)
	}
	return all
}

func TestGet(t *testing.T) {
	d := newFront(t)
	const want = `{"account_id":71,"external_account_id":"shop/1","created_at":"2026-03-01T00:00:30.123Z","modified_at":"2026-03-01T00:00:30.123Z","active":true,` +
		`"email":"ada@example.com","company_name":"Engines & Co","first_name":"Ada","last_name":"King","origin_country_code":"AU","environment":"production",` +
		`"metadata":{"tier":"gold"},"carriers_count":0,"purge_at":null}`
	var tags []string
	for _, target := range []string{allPath + "/71", allPath + "/se-71", allPath + "/%37%31", allPath + "/external_account_id/shop%2F1"} {
		resp := d.Do("partner 5", http.MethodGet, target, "null")
		if resp.StatusCode != http.StatusOK || resp.Body != want || resp.Headers["Cache-Control"] != "private, no-cache" {
			t.Errorf("GET %s = %d %s with %v, want\n%s", target, resp.StatusCode, resp.Body, resp.Headers, want)
		}
		tags = append(tags, resp.Headers["ETag"])
		again := d.Do("partner 5", http.MethodGet, target, "", "If-None-Match", `"x", W/`+resp.Headers["ETag"])
		if again.StatusCode != http.StatusNotModified || again.Body != "" || again.Headers["ETag"] != resp.Headers["ETag"] {
			t.Errorf("GET %s again = %d %q, ETag %s", target, again.StatusCode, again.Body, again.Headers["ETag"])
		}
	}
	if tags = slices.Compact(tags); len(tags) != 1 || !strings.HasPrefix(tags[0], `"`) {
		t.Errorf("ETags %q, want one strong tag", tags)
	}
	d.link(t, 71)
	if resp := d.Do("partner 5", http.MethodGet, allPath+"/71", "", "If-None-Match", tags[0]); functiontest.Read[views.Account](t, resp, http.StatusOK).CarriersCount != 1 {
		t.Errorf("with a carrier: %s", resp.Body)
	}
}

func TestGetByExternalID(t *testing.T) {
	t.Run("refuses", func(t *testing.T) {
		d := newFront(t)
		long := strings.Repeat("%C3%A9", 129)
		for _, tc := range []struct {
			name, who, id string
			want          []string
		}{
			{"no key", "", "shop%2F1", []string{"401", "unauthorized"}},
			{"a merchant's key", "account 71", "shop%2F1", []string{"403", "forbidden"}},
			{"a merchant's key, a malformed id", "account 71", "%", []string{"403", "forbidden"}},
			{"badly encoded", "partner 5", "shop%2", []string{"400", "invalid_identifier external_account_id"}},
			{"not UTF-8", "partner 5", "%C3", []string{"400", "invalid_identifier external_account_id"}},
			{"empty", "partner 5", "", []string{"400", "invalid_string_length external_account_id"}},
			{"too long by one", "partner 5", long, []string{"400", "invalid_string_length external_account_id"}},
			{"a control character", "partner 5", "shop%00", []string{"400", "invalid_field_value external_account_id"}},
			{"nobody's", "partner 5", "shop", []string{"404", "not_found"}},
			{"in another letter case", "partner 5", "SHOP%2F1", []string{"404", "not_found"}},
			{"encoded twice", "partner 5", "shop%252F1", []string{"404", "not_found"}},
			{"an account's id", "partner 5", "71", []string{"404", "not_found"}},
		} {
			t.Run(tc.name, func(t *testing.T) {
				if diff := cmp.Diff(tc.want, functiontest.Problems(t, d.Do(tc.who, http.MethodGet, allPath+"/external_account_id/"+tc.id, ""))); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
			})
		}
	})
	t.Run("finds", func(t *testing.T) {
		d := newFront(t)
		for i, id := range []string{
			"a b", "a/b", "a%b", "%2F", "a%2Fb", "100%", "a+b", "é", "日本語", "👩‍🚀", "a?b&c=d#e", " outer ", ".", "..", "../71", "{account_id}", `"quoted"`, "\\", "null", "0",
			strings.Repeat("é", 128), strings.Repeat("/", 128),
		} {
			accountID := int64(1000 + i)
			d.AddAccount(account.Account{ID: accountID, PartnerID: 5, ExternalID: id, Active: true})
			for name, target := range map[string]string{
				"in the path": allPath + "/external_account_id/" + url.PathEscape(id), "every byte encoded": allPath + "/external_account_id/" + everyByte(id),
			} {
				got := functiontest.Read[views.Account](t, d.Do("partner 5", http.MethodGet, target, ""), http.StatusOK)
				if got.AccountID != accountID || *got.ExternalAccountID != id {
					t.Errorf("%q %s = account %d", id, name, got.AccountID)
				}
			}
			list := functiontest.Read[views.AccountsPage](t, d.Do("partner 5", http.MethodGet, allPath+"?external_account_id="+url.QueryEscape(id), ""), http.StatusOK)
			if len(list.Accounts) != 1 || list.Accounts[0].AccountID != accountID {
				t.Errorf("%q as a filter = %+v", id, list.Accounts)
			}
		}
	})
	t.Run("each partner has its own", func(t *testing.T) {
		d := newFront(t)
		for who, want := range map[string]int64{"partner 5": 71, "partner 6": 81} {
			if got := functiontest.Read[views.Account](t, d.Do(who, http.MethodGet, allPath+"/external_account_id/shop%2F1", ""), http.StatusOK); got.AccountID != want {
				t.Errorf("%s finds %d, want %d", who, got.AccountID, want)
			}
		}
	})
}

func everyByte(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}

func TestCountries(t *testing.T) {
	d := newFront(t)
	for who, want := range map[string][]string{"": {"401", "unauthorized"}, "account 71": {"403", "forbidden"}} {
		if diff := cmp.Diff(want, functiontest.Problems(t, d.Do(who, http.MethodGet, "/v1/partners/countries", ""))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", who, diff)
		}
	}
	got := functiontest.Read[views.Countries](t, d.Do("partner 5", http.MethodGet, "/v1/partners/countries", ""), http.StatusOK).Countries
	byCode := func(a, b account.Country) int { return strings.Compare(a.Code, b.Code) }
	if len(got) != 249 || !slices.IsSortedFunc(got, byCode) || len(slices.CompactFunc(slices.Clone(got), func(a, b account.Country) bool { return a.Code == b.Code })) != 249 {
		t.Errorf("%d countries, want 249 in order, each once", len(got))
	}
	for _, c := range got {
		if p := account.CheckCountry("f", c.Code); p != nil || c.Name == "" || len(c.Code) != 2 {
			t.Errorf("%+v is listed, but refused: %v", c, p)
		}
	}
	if i, ok := slices.BinarySearchFunc(got, account.Country{Code: "AU"}, byCode); !ok || got[i].Name != "Australia" {
		t.Error("Australia is missing")
	}
}

// life is the state that an account shows.
type life struct {
	Active  bool
	PurgeAt string
}

func (d *front) life(t *testing.T, target string) life {
	t.Helper()
	a := functiontest.Read[views.Account](t, d.Do("partner 5", http.MethodGet, target, ""), http.StatusOK)
	l := life{Active: a.Active}
	if a.PurgeAt != nil {
		l.PurgeAt = *a.PurgeAt
	}
	return l
}

// TestLife takes an account through all its states, to the time after its purge.
func TestLife(t *testing.T) {
	d := newFront(t)
	const one = allPath + "/71"
	merchant := func() error {
		_, err := d.auth.Merchant(t.Context(), httpapi.NewRequest("id", events.APIGatewayProxyRequest{
			HTTPMethod: http.MethodGet, Resource: "/v1/carriers", Headers: map[string]string{"API-Key": d.Keys["account 71"]},
		}), func(ctx context.Context, id int64) (*account.Account, error) {
			l, err := d.Store.Load(ctx, id, store.Want{Now: d.Clock})
			return l.Account, err
		})
		return err
	}
	state := func(name string, want life, key string) {
		t.Helper()
		for _, target := range []string{one, allPath + "/external_account_id/shop%2F1"} {
			if diff := cmp.Diff(want, d.life(t, target)); diff != "" {
				t.Fatalf("%s: GET %s (-want +got):\n%s", name, target, diff)
			}
		}
		err := merchant()
		if got := fmt.Sprint(err); (err == nil) != (key == "") || !strings.Contains(got, key) {
			t.Fatalf("%s: its key: %v, want %q", name, err, key)
		}
	}
	refused := func(name string, resp events.APIGatewayProxyResponse, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, functiontest.Problems(t, resp)); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", name, diff)
		}
	}
	put := func(action string) events.APIGatewayProxyResponse {
		t.Helper()
		d.Clock = d.Clock.Add(time.Minute)
		return d.Do("partner 5", http.MethodPut, one+"/"+action, "")
	}
	remove := func(query string) events.APIGatewayProxyResponse {
		t.Helper()
		return d.Do("partner 5", http.MethodDelete, one+query, "")
	}
	const disabled, gone = "disabled", "API key is needed"

	state("new", life{Active: true}, "")
	want204(t, put("enable"))
	state("enabled, which it was", life{Active: true}, "")
	refused("restore of one that is there", put("restore"), "409", "invalid_status")
	for range 2 {
		want204(t, put("disable"))
		state("disabled", life{}, disabled)
	}
	want204(t, put("enable"))
	state("enabled", life{Active: true}, "")

	for _, query := range []string{"?purge_after_days=6", "?purge_after_days=31", "?purge_after_days=", "?purge_after_days=ten", "?purge_after_days=7.5", "?purge_after_days=07", "?purge_after_days=%2B7", "?purge_after_days=-7", "?purge_after_days=7&purge_after_days=99"} {
		refused(query, remove(query), "400", "invalid_field_value purge_after_days")
	}
	state("not deleted", life{Active: true}, "")
	want204(t, put("disable"))
	deletedAt := d.Clock
	want204(t, remove("?purge_after_days=7"))
	purge := deletedAt.AddDate(0, 0, 7).Truncate(time.Second)
	dead := life{PurgeAt: purge.Format("2006-01-02T15:04:05.000Z")}
	state("deleted", dead, gone)
	want204(t, remove(""))
	want204(t, remove("?purge_after_days=30"))
	state("deleted again: the first date stands", dead, gone)
	refused("enable of a deleted one", put("enable"), "409", "invalid_status")
	refused("disable of a deleted one", put("disable"), "409", "invalid_status")
	refused("a change of a deleted one", d.Do("partner 5", http.MethodPatch, one, `{"first_name":"Eve"}`), "409", "invalid_status")
	if list := functiontest.Read[views.AccountsPage](t, d.Do("partner 5", http.MethodGet, allPath+"?active=false", ""), http.StatusOK); len(list.Accounts) != 1 || list.Accounts[0].PurgeAt == nil {
		t.Fatalf("a deleted account is not listed: %+v", list)
	}

	d.Clock = purge.Add(-2 * time.Minute)
	want204(t, put("restore"))
	state("restored as it was, disabled", life{}, disabled)
	want204(t, put("enable"))
	state("enabled after all", life{Active: true}, "")

	deletedAt = d.Clock
	want204(t, remove(""))
	purge = deletedAt.AddDate(0, 0, 30).Truncate(time.Second)
	d.Clock = purge.Add(-time.Millisecond)
	state("the last moment", life{PurgeAt: purge.Format("2006-01-02T15:04:05.000Z")}, gone)
	d.Clock = purge
	for _, op := range operations {
		refused("purged: "+op.method+op.suffix, d.Do("partner 5", op.method, one+op.suffix, op.body), "404", "not_found")
	}
	refused("purged, by external id", d.Do("partner 5", http.MethodGet, allPath+"/external_account_id/shop%2F1", ""), "404", "not_found")
	for _, query := range []string{"?external_account_id=shop/1", "?active=false"} {
		if list := functiontest.Read[views.AccountsPage](t, d.Do("partner 5", http.MethodGet, allPath+query, ""), http.StatusOK); len(list.Accounts) != 0 {
			t.Errorf("a purged account is listed: %+v", list.Accounts)
		}
	}
	if err := merchant(); !strings.Contains(fmt.Sprint(err), gone) {
		t.Errorf("its key: %v", err)
	}
	// Its identifiers are free.
	if got := functiontest.Read[views.Account](t, d.Do("partner 5", http.MethodPatch, allPath+"/72", `{"external_account_id":"shop/1","email":"ada@example.com"}`), http.StatusOK); *got.ExternalAccountID != "shop/1" {
		t.Errorf("after the purge: %+v", got)
	}
}

// TestRepeats: a repeated request with an Idempotency-Key gets the same bytes again, even if
// the account has changed since. A key is for one payload and one route.
func TestRepeats(t *testing.T) {
	for _, tc := range []struct {
		name    string
		before  string // an operation to run first
		op      struct{ method, suffix, body string }
		headers []string
		after   string // an operation after which the change would be refused
	}{
		{"change", "", operations[1], nil, ""},
		{"change with If-Match", "", operations[1], []string{"If-Match", `"1-0"`}, ""},
		{"change, deleted since", "", operations[1], nil, "delete"},
		{"enable", "disable", operations[2], nil, "disable"},
		{"disable", "", operations[3], nil, "enable"},
		{"disable, deleted since", "", operations[3], nil, "delete"},
		{"restore", "delete", operations[5], nil, ""},
		{"restore, deleted again since", "delete", operations[5], nil, "delete"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newFront(t)
			do := func(what string) {
				t.Helper()
				switch what {
				case "":
				case "delete":
					want204(t, d.Do("partner 5", http.MethodDelete, allPath+"/71", ""))
				default:
					want204(t, d.Do("partner 5", http.MethodPut, allPath+"/71/"+what, ""))
				}
			}
			ask := func(id, body string) events.APIGatewayProxyResponse {
				t.Helper()
				return d.Do("partner 5", tc.op.method, allPath+"/"+id+tc.op.suffix, body, append([]string{"Idempotency-Key", "k"}, tc.headers...)...)
			}
			do(tc.before)
			first := ask("71", tc.op.body)
			if first.StatusCode >= http.StatusBadRequest || first.Headers["Idempotent-Replayed"] != "" {
				t.Fatalf("first: %d %s", first.StatusCode, first.Body)
			}
			do(tc.after)
			now := d.accountsAsTheyAre(t)
			d.Clock = d.Clock.Add(23 * time.Hour)
			for range 2 {
				again := ask("71", tc.op.body)
				if again.Headers["Idempotent-Replayed"] != "true" {
					t.Fatalf("the repeat: %d %s is not marked", again.StatusCode, again.Body)
				}
				for _, h := range []string{"Idempotent-Replayed", "RateLimit-Remaining", "RateLimit-Reset"} {
					delete(first.Headers, h)
					delete(again.Headers, h)
				}
				if diff := cmp.Diff(first, again); diff != "" {
					t.Errorf("first and again:\n%s", diff)
				}
			}
			if diff := cmp.Diff(now, d.accountsAsTheyAre(t)); diff != "" {
				t.Errorf("a repeat changed something:\n%s", diff)
			}
			if diff := cmp.Diff([]string{"422", "field_conflict Idempotency-Key"}, functiontest.Problems(t, ask("71", `{"first_name":"Mal"}`))); diff != "" {
				t.Errorf("another payload (-want +got):\n%s", diff)
			}
			// The scope of keys is the partner, not the account in the path.
			if diff := cmp.Diff([]string{"422", "field_conflict Idempotency-Key"}, functiontest.Problems(t, d.Do("partner 5", tc.op.method, allPath+"/72"+tc.op.suffix, tc.op.body, "Idempotency-Key", "k"))); diff != "" {
				t.Errorf("another account (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(now, d.accountsAsTheyAre(t)); diff != "" {
				t.Errorf("a refused request changed something:\n%s", diff)
			}
		})
	}
	t.Run("keys of different routes are separate", func(t *testing.T) {
		d := newFront(t)
		for _, action := range []string{"disable", "enable"} {
			resp := d.Do("partner 5", http.MethodPut, allPath+"/71/"+action, "", "Idempotency-Key", "k")
			if want204(t, resp); resp.Headers["Idempotent-Replayed"] != "" {
				t.Errorf("%s gets the answer of another route", action)
			}
		}
	})
	t.Run("a refused request leaves the key free", func(t *testing.T) {
		d := newFront(t)
		if resp := d.Do("partner 5", http.MethodPatch, allPath+"/71", `{"email":"bob@example.com"}`, "Idempotency-Key", "k"); resp.StatusCode != http.StatusConflict {
			t.Fatalf("%d %s", resp.StatusCode, resp.Body)
		}
		functiontest.Read[views.Account](t, d.Do("partner 5", http.MethodPatch, allPath+"/71", `{"email":"new@example.com"}`, "Idempotency-Key", "k"), http.StatusOK)
	})
	t.Run("after a day the key is free", func(t *testing.T) {
		d := newFront(t)
		functiontest.Read[views.Account](t, d.Do("partner 5", http.MethodPatch, allPath+"/71", `{"first_name":"Eve"}`, "Idempotency-Key", "k"), http.StatusOK)
		d.Clock = d.Clock.Add(24 * time.Hour)
		if resp := d.Do("partner 5", http.MethodPatch, allPath+"/71", `{"first_name":"Mal"}`, "Idempotency-Key", "k"); *functiontest.Read[views.Account](t, resp, http.StatusOK).FirstName != "Mal" {
			t.Errorf("%s", resp.Body)
		}
	})
	t.Run("a malformed key changes nothing", func(t *testing.T) {
		d := newFront(t)
		before := d.accountsAsTheyAre(t)
		for _, op := range operations[1:4] {
			if diff := cmp.Diff([]string{"400", "invalid_field_value Idempotency-Key"}, functiontest.Problems(t, d.Do("partner 5", op.method, allPath+"/71"+op.suffix, op.body, "Idempotency-Key", "clé"))); diff != "" {
				t.Errorf("%s%s (-want +got):\n%s", op.method, op.suffix, diff)
			}
		}
		if diff := cmp.Diff(before, d.accountsAsTheyAre(t)); diff != "" {
			t.Error(diff)
		}
	})
}
