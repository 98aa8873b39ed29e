package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/email"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/linking"
	"carrierlink/shared/seal"
	"carrierlink/shared/store"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/vault"
	"carrierlink/shared/vault/vaulttest"
)

const (
	allPath     = "/v1/partners/accounts"
	onePath     = "/v1/partners/accounts/{account_id}"
	externalRes = "/v1/partners/accounts/external_account_id/{external_account_id}"
)

// desk is the function over a store in memory, with the partners 5 and 6.
// Account 71 and 72 are partner 5's, 81 is partner 6's.
type desk struct {
	*handler
	mem   *storetest.Memory
	api   *httpapi.API
	clock time.Time
	keys  map[string]string // text by name
}

func start() time.Time { return time.Date(2026, 3, 1, 0, 0, 30, 123000000, time.UTC) }

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{mem: storetest.NewMemory(), clock: start(), keys: map[string]string{}}
	now := func() time.Time { return d.clock }
	d.handler = &handler{
		auth: &auth.Auth{Keys: d.mem, Now: now, Limits: auth.Limits{Production: 100_000, Sandbox: 100_000}}, accounts: d.mem,
		linker: &linking.Linker{Store: d.mem, Vault: vault.New(vaulttest.NewMemory(), "test/carrier/"), Now: now},
		sealer: seal.New(func(context.Context) (carrier.Secret, error) { return carrier.NewSecret("the service secret"), nil }), now: now,
	}
	d.api = &httpapi.API{Log: slog.New(slog.DiscardHandler), Now: now, Routes: d.routes()}
	for _, p := range []carrier.Partner{{ID: 5, Name: "five"}, {ID: 6, Name: "six"}} {
		d.key(t, p.Name, carrier.APIKey{PartnerID: p.ID}, func(k carrier.APIKey) error { return d.mem.CreatePartner(t.Context(), p, k) })
	}
	d.add(t, carrier.Account{
		ID: 71, PartnerID: 5, ExternalID: "shop/1", Email: "ada@example.com", CompanyName: "Engines & Co", FirstName: "Ada", LastName: "King", OriginCountryCode: "AU",
		PasswordHash: "$argon2id$canary", Metadata: map[string]string{"tier": "gold"}, Active: true,
	})
	d.add(t, carrier.Account{ID: 72, PartnerID: 5, ExternalID: "shop/2", Email: "bob@example.com", OriginCountryCode: "AU", Active: true})
	d.add(t, carrier.Account{ID: 81, PartnerID: 6, ExternalID: "shop/1", Email: "cy@example.com", OriginCountryCode: "AU", Active: true})
	return d
}

// key makes a key, keeps it as keep does, and notes its text.
func (d *desk) key(tb testing.TB, name string, k carrier.APIKey, keep func(carrier.APIKey) error) {
	tb.Helper()
	k.Environment, k.CreatedAt = carrier.Production, d.clock
	k, text, err := auth.MakeKey(rand.Reader, k)
	if err == nil {
		err = keep(k)
	}
	if err != nil {
		tb.Fatal(err)
	}
	d.keys[name] = text.Reveal()
}

// add makes an account now, with a key of the name "account <id>".
func (d *desk) add(t *testing.T, a carrier.Account) {
	t.Helper()
	a.EmailKey = email.Key(a.Email)
	a.Environment, a.CreatedAt, a.ModifiedAt = carrier.Production, d.clock, d.clock
	d.key(t, fmt.Sprintf("account %d", a.ID), carrier.APIKey{PartnerID: a.PartnerID, AccountID: a.ID}, func(k carrier.APIKey) error {
		_, err := d.mem.CreateAccount(t.Context(), store.NewAccount{Account: a, Key: k}, d.clock)
		return err
	})
}

// link gives an account a carrier.
func (d *desk) link(t *testing.T, account int64) {
	t.Helper()
	conn := carrier.Connection{
		ID: "se-1234567", AccountID: account, PartnerID: 5, Carrier: carrier.StarTrack, AccountNumber: "09912345", Standing: carrier.StandingActive,
		LeaseUntil: d.clock.Add(time.Minute), NextRefreshAt: d.clock.Add(time.Hour),
	}
	if err := d.mem.BeginLink(t.Context(), &conn, carrier.LinkOptions{}); err != nil {
		t.Fatal(err)
	}
	conn.Status = carrier.Active
	if err := d.mem.FinishLink(t.Context(), &conn, nil, nil, nil); err != nil {
		t.Fatal(err)
	}
}

// ask is a request; its target may have a query; headers are pairs.
func (d *desk) ask(tb testing.TB, who, method, target, body string, headers ...string) events.APIGatewayProxyResponse {
	tb.Helper()
	path, query, _ := strings.Cut(target, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		tb.Fatal(err)
	}
	e := events.APIGatewayProxyRequest{
		HTTPMethod: method, Path: path, Resource: path, Body: body, MultiValueQueryStringParameters: values,
		Headers: map[string]string{"API-Key": d.keys[who], "Content-Type": "application/json"},
	}
	if rest, ok := strings.CutPrefix(path, allPath+"/"); ok {
		id, action, _ := strings.Cut(rest, "/")
		if id == "external_account_id" {
			e.Resource, e.PathParameters = externalRes, map[string]string{id: action}
		} else {
			e.Resource, e.PathParameters = strings.TrimSuffix(onePath+"/"+action, "/"), map[string]string{"account_id": id}
		}
	}
	for i := 0; i < len(headers); i += 2 {
		e.Headers[headers[i]] = headers[i+1]
	}
	resp, err := d.api.Serve(tb.Context(), e)
	if err != nil {
		tb.Fatal(err)
	}
	return resp
}

// problems is an error answer as a test names it: status, then code and field of
// each problem.
func problems(t *testing.T, resp events.APIGatewayProxyResponse) []string {
	t.Helper()
	var e httpapi.Envelope
	if err := json.Unmarshal([]byte(resp.Body), &e); err != nil {
		t.Fatalf("%d %q: %v", resp.StatusCode, resp.Body, err)
	}
	all := []string{strconv.Itoa(resp.StatusCode)}
	for _, p := range e.Errors {
		what := strings.TrimSuffix(p.ErrorCode+" "+p.FieldName, " ")
		if p.ExistingAccountID != 0 {
			what += fmt.Sprintf(" (%d)", p.ExistingAccountID)
		}
		all = append(all, what)
	}
	return all
}

func decoded[T any](t *testing.T, resp events.APIGatewayProxyResponse) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(resp.Body), &v); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s, %v, want 200", resp.StatusCode, resp.Body, err)
	}
	return v
}

// want204 is the answer of a change that shows nothing.
func want204(t *testing.T, resp events.APIGatewayProxyResponse) {
	t.Helper()
	if resp.StatusCode != http.StatusNoContent || resp.Body != "" || resp.Headers["Content-Type"] != "" {
		t.Fatalf("%d %q with %v, want an empty 204", resp.StatusCode, resp.Body, resp.Headers)
	}
}

// operations are all that name an account.
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
		{"no id", "five", "shop", []string{"400", "invalid_identifier account_id"}},
		{"zero", "five", "0", []string{"400", "invalid_identifier account_id"}},
		{"negative", "five", "-71", []string{"400", "invalid_identifier account_id"}},
		{"too large by one", "five", "2147483648", []string{"400", "invalid_identifier account_id"}},
		{"a fraction", "five", "71.0", []string{"400", "invalid_identifier account_id"}},
		{"a blank behind", "five", "71%20", []string{"400", "invalid_identifier account_id"}},
		{"badly encoded", "five", "71%2", []string{"400", "invalid_identifier account_id"}},
		{"no UTF-8", "five", "%ff", []string{"400", "invalid_identifier account_id"}},
		{"absent", "five", "99", []string{"404", "not_found"}},
		{"another partner's", "five", "81", []string{"404", "not_found"}},
		{"another partner's, as ShipEngine prints it", "five", "se-81", []string{"404", "not_found"}},
	}
	for _, op := range operations {
		for _, tc := range tests {
			t.Run(op.method+op.suffix+", "+tc.name, func(t *testing.T) {
				d := newDesk(t)
				before := d.accountsAsTheyAre(t)
				resp := d.ask(t, tc.who, op.method, allPath+"/"+tc.id+op.suffix, op.body)
				if diff := cmp.Diff(tc.want, problems(t, resp)); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(before, d.accountsAsTheyAre(t)); diff != "" {
					t.Errorf("something has changed:\n%s", diff)
				}
			})
		}
		t.Run(op.method+op.suffix+", absent and foreign are equal", func(t *testing.T) {
			d := newDesk(t)
			absent, foreign := d.ask(t, "five", op.method, allPath+"/99"+op.suffix, op.body), d.ask(t, "five", op.method, allPath+"/81"+op.suffix, op.body)
			absent.Body = strings.Replace(absent.Body, absent.Headers["X-Request-Id"], foreign.Headers["X-Request-Id"], 1)
			if absent.Body != foreign.Body {
				t.Errorf("an absent one:\n%s\nanother's:\n%s", absent.Body, foreign.Body)
			}
		})
	}
}

func (d *desk) accountsAsTheyAre(t *testing.T) []carrier.Account {
	t.Helper()
	var all []carrier.Account
	for _, id := range []int64{71, 72, 81} {
		l, err := d.mem.Load(t.Context(), id, store.Want{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, *l.Account)
	}
	return all
}

func TestGet(t *testing.T) {
	d := newDesk(t)
	const want = `{"account_id":71,"external_account_id":"shop/1","created_at":"2026-03-01T00:00:30.123Z","modified_at":"2026-03-01T00:00:30.123Z","active":true,` +
		`"email":"ada@example.com","company_name":"Engines & Co","first_name":"Ada","last_name":"King","origin_country_code":"AU","environment":"production",` +
		`"metadata":{"tier":"gold"},"carriers_count":0,"purge_at":null}`
	var tags []string
	for _, target := range []string{allPath + "/71", allPath + "/se-71", allPath + "/%37%31", allPath + "/external_account_id/shop%2F1"} {
		resp := d.ask(t, "five", http.MethodGet, target, "null")
		if resp.StatusCode != http.StatusOK || resp.Body != want || resp.Headers["Cache-Control"] != "private, no-cache" {
			t.Errorf("GET %s = %d %s with %v, want\n%s", target, resp.StatusCode, resp.Body, resp.Headers, want)
		}
		tags = append(tags, resp.Headers["ETag"])
		again := d.ask(t, "five", http.MethodGet, target, "", "If-None-Match", `"x", W/`+resp.Headers["ETag"])
		if again.StatusCode != http.StatusNotModified || again.Body != "" || again.Headers["ETag"] != resp.Headers["ETag"] {
			t.Errorf("GET %s again = %d %q, ETag %s", target, again.StatusCode, again.Body, again.Headers["ETag"])
		}
	}
	if tags = slices.Compact(tags); len(tags) != 1 || !strings.HasPrefix(tags[0], `"`) {
		t.Errorf("ETags %q, want one, a strong one", tags)
	}
	d.link(t, 71)
	if resp := d.ask(t, "five", http.MethodGet, allPath+"/71", "", "If-None-Match", tags[0]); decoded[httpapi.AccountBody](t, resp).CarriersCount != 1 {
		t.Errorf("with a carrier: %s", resp.Body)
	}
}

func TestGetByExternalID(t *testing.T) {
	t.Run("refuses", func(t *testing.T) {
		d := newDesk(t)
		long := strings.Repeat("%C3%A9", 129)
		for _, tc := range []struct {
			name, who, id string
			want          []string
		}{
			{"no key", "", "shop%2F1", []string{"401", "unauthorized"}},
			{"a merchant's key", "account 71", "shop%2F1", []string{"403", "forbidden"}},
			{"a merchant's key, a malformed id", "account 71", "%", []string{"403", "forbidden"}},
			{"badly encoded", "five", "shop%2", []string{"400", "invalid_identifier external_account_id"}},
			{"no UTF-8", "five", "%C3", []string{"400", "invalid_identifier external_account_id"}},
			{"empty", "five", "", []string{"400", "invalid_string_length external_account_id"}},
			{"too long by one", "five", long, []string{"400", "invalid_string_length external_account_id"}},
			{"a control character", "five", "shop%00", []string{"400", "invalid_field_value external_account_id"}},
			{"nobody's", "five", "shop", []string{"404", "not_found"}},
			{"in another letter case", "five", "SHOP%2F1", []string{"404", "not_found"}},
			{"encoded twice", "five", "shop%252F1", []string{"404", "not_found"}},
			{"an account's id", "five", "71", []string{"404", "not_found"}},
		} {
			t.Run(tc.name, func(t *testing.T) {
				if diff := cmp.Diff(tc.want, problems(t, d.ask(t, tc.who, http.MethodGet, allPath+"/external_account_id/"+tc.id, ""))); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
			})
		}
	})
	t.Run("finds", func(t *testing.T) {
		d := newDesk(t)
		for i, id := range []string{
			"a b", "a/b", "a%b", "%2F", "a%2Fb", "100%", "a+b", "é", "日本語", "👩‍🚀", "a?b&c=d#e", " outer ", ".", "..", "../71", "{account_id}", `"quoted"`, "\\", "null", "0",
			strings.Repeat("é", 128), strings.Repeat("/", 128),
		} {
			account := int64(1000 + i)
			d.add(t, carrier.Account{ID: account, PartnerID: 5, ExternalID: id, Active: true})
			for name, target := range map[string]string{
				"in the path": allPath + "/external_account_id/" + url.PathEscape(id), "every byte encoded": allPath + "/external_account_id/" + everyByte(id),
			} {
				got := decoded[httpapi.AccountBody](t, d.ask(t, "five", http.MethodGet, target, ""))
				if got.AccountID != account || *got.ExternalAccountID != id {
					t.Errorf("%q %s = account %d", id, name, got.AccountID)
				}
			}
			list := decoded[listBody](t, d.ask(t, "five", http.MethodGet, allPath+"?external_account_id="+url.QueryEscape(id), ""))
			if len(list.Accounts) != 1 || list.Accounts[0].AccountID != account {
				t.Errorf("%q as a filter = %+v", id, list.Accounts)
			}
		}
	})
	t.Run("each partner has its own", func(t *testing.T) {
		d := newDesk(t)
		for who, want := range map[string]int64{"five": 71, "six": 81} {
			if got := decoded[httpapi.AccountBody](t, d.ask(t, who, http.MethodGet, allPath+"/external_account_id/shop%2F1", "")); got.AccountID != want {
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
	d := newDesk(t)
	for who, want := range map[string][]string{"": {"401", "unauthorized"}, "account 71": {"403", "forbidden"}} {
		if diff := cmp.Diff(want, problems(t, d.ask(t, who, http.MethodGet, "/v1/partners/countries", ""))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", who, diff)
		}
	}
	got := decoded[countriesBody](t, d.ask(t, "five", http.MethodGet, "/v1/partners/countries", "")).Countries
	byCode := func(a, b carrier.Country) int { return strings.Compare(a.Code, b.Code) }
	if len(got) != 249 || !slices.IsSortedFunc(got, byCode) || len(slices.CompactFunc(slices.Clone(got), func(a, b carrier.Country) bool { return a.Code == b.Code })) != 249 {
		t.Errorf("%d countries, want 249 in order, each once", len(got))
	}
	for _, c := range got {
		if p := carrier.CheckCountry("f", c.Code); p != nil || c.Name == "" || len(c.Code) != 2 {
			t.Errorf("%+v is listed and refused: %v", c, p)
		}
	}
	if i, ok := slices.BinarySearchFunc(got, carrier.Country{Code: "AU"}, byCode); !ok || got[i].Name != "Australia" {
		t.Error("Australia is not there")
	}
}

// life is what an account shows of its state.
type life struct {
	Active  bool
	PurgeAt string
}

func (d *desk) life(t *testing.T, target string) life {
	t.Helper()
	a := decoded[httpapi.AccountBody](t, d.ask(t, "five", http.MethodGet, target, ""))
	l := life{Active: a.Active}
	if a.PurgeAt != nil {
		l.PurgeAt = *a.PurgeAt
	}
	return l
}

// TestLife goes through the states of an account, up to and beyond its purge.
func TestLife(t *testing.T) {
	d := newDesk(t)
	const one = allPath + "/71"
	merchant := func() error {
		_, err := d.auth.Merchant(t.Context(), httpapi.NewRequest("id", events.APIGatewayProxyRequest{
			HTTPMethod: http.MethodGet, Resource: "/v1/carriers", Headers: map[string]string{"API-Key": d.keys["account 71"]},
		}), func(ctx context.Context, id int64) (*carrier.Account, error) {
			l, err := d.mem.Load(ctx, id, store.Want{Now: d.clock})
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
		if diff := cmp.Diff(want, problems(t, resp)); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", name, diff)
		}
	}
	put := func(action string) events.APIGatewayProxyResponse {
		t.Helper()
		d.clock = d.clock.Add(time.Minute)
		return d.ask(t, "five", http.MethodPut, one+"/"+action, "")
	}
	remove := func(query string) events.APIGatewayProxyResponse {
		t.Helper()
		return d.ask(t, "five", http.MethodDelete, one+query, "")
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
	deletedAt := d.clock
	want204(t, remove("?purge_after_days=7"))
	purge := deletedAt.AddDate(0, 0, 7).Truncate(time.Second)
	dead := life{PurgeAt: purge.Format("2006-01-02T15:04:05.000Z")}
	state("deleted", dead, gone)
	want204(t, remove(""))
	want204(t, remove("?purge_after_days=30"))
	state("deleted again: the first date stands", dead, gone)
	refused("enable of a deleted one", put("enable"), "409", "invalid_status")
	refused("disable of a deleted one", put("disable"), "409", "invalid_status")
	refused("a change of a deleted one", d.ask(t, "five", http.MethodPatch, one, `{"first_name":"Eve"}`), "409", "invalid_status")
	if list := decoded[listBody](t, d.ask(t, "five", http.MethodGet, allPath+"?active=false", "")); len(list.Accounts) != 1 || list.Accounts[0].PurgeAt == nil {
		t.Fatalf("a deleted one is not listed: %+v", list)
	}

	d.clock = purge.Add(-2 * time.Minute)
	want204(t, put("restore"))
	state("restored as it was, disabled", life{}, disabled)
	want204(t, put("enable"))
	state("enabled after all", life{Active: true}, "")

	deletedAt = d.clock
	want204(t, remove(""))
	purge = deletedAt.AddDate(0, 0, 30).Truncate(time.Second)
	d.clock = purge.Add(-time.Millisecond)
	state("the last moment", life{PurgeAt: purge.Format("2006-01-02T15:04:05.000Z")}, gone)
	d.clock = purge
	for _, op := range operations {
		refused("purged: "+op.method+op.suffix, d.ask(t, "five", op.method, one+op.suffix, op.body), "404", "not_found")
	}
	refused("purged, by external id", d.ask(t, "five", http.MethodGet, allPath+"/external_account_id/shop%2F1", ""), "404", "not_found")
	for _, query := range []string{"?external_account_id=shop/1", "?active=false"} {
		if list := decoded[listBody](t, d.ask(t, "five", http.MethodGet, allPath+query, "")); len(list.Accounts) != 0 {
			t.Errorf("a purged one is listed: %+v", list.Accounts)
		}
	}
	if err := merchant(); !strings.Contains(fmt.Sprint(err), gone) {
		t.Errorf("its key: %v", err)
	}
	// What it held is free.
	if got := decoded[httpapi.AccountBody](t, d.ask(t, "five", http.MethodPatch, allPath+"/72", `{"external_account_id":"shop/1","email":"ada@example.com"}`)); *got.ExternalAccountID != "shop/1" {
		t.Errorf("after the purge: %+v", got)
	}
}

// TestRepeats: each change with an idempotency key is answered again with the
// same bytes, also when the account has moved on meanwhile; the key stands for
// one payload and one route.
func TestRepeats(t *testing.T) {
	for _, tc := range []struct {
		name    string
		before  string // what is done first
		op      struct{ method, suffix, body string }
		headers []string
		after   string // what makes the very change impossible, once it is done
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
			d := newDesk(t)
			do := func(what string) {
				t.Helper()
				switch what {
				case "":
				case "delete":
					want204(t, d.ask(t, "five", http.MethodDelete, allPath+"/71", ""))
				default:
					want204(t, d.ask(t, "five", http.MethodPut, allPath+"/71/"+what, ""))
				}
			}
			ask := func(id, body string) events.APIGatewayProxyResponse {
				t.Helper()
				return d.ask(t, "five", tc.op.method, allPath+"/"+id+tc.op.suffix, body, append([]string{"Idempotency-Key", "k"}, tc.headers...)...)
			}
			do(tc.before)
			first := ask("71", tc.op.body)
			if first.StatusCode >= http.StatusBadRequest || first.Headers["Idempotent-Replayed"] != "" {
				t.Fatalf("first: %d %s", first.StatusCode, first.Body)
			}
			do(tc.after)
			now := d.accountsAsTheyAre(t)
			d.clock = d.clock.Add(23 * time.Hour)
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
				t.Errorf("a repeat has changed something:\n%s", diff)
			}
			if diff := cmp.Diff([]string{"422", "field_conflict Idempotency-Key"}, problems(t, ask("71", `{"first_name":"Mal"}`))); diff != "" {
				t.Errorf("another payload (-want +got):\n%s", diff)
			}
			// The partner is the caller, whichever account the path names.
			if diff := cmp.Diff([]string{"422", "field_conflict Idempotency-Key"}, problems(t, d.ask(t, "five", tc.op.method, allPath+"/72"+tc.op.suffix, tc.op.body, "Idempotency-Key", "k"))); diff != "" {
				t.Errorf("another account (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(now, d.accountsAsTheyAre(t)); diff != "" {
				t.Errorf("a refused request has changed something:\n%s", diff)
			}
		})
	}
	t.Run("another route, another key", func(t *testing.T) {
		d := newDesk(t)
		for _, action := range []string{"disable", "enable"} {
			resp := d.ask(t, "five", http.MethodPut, allPath+"/71/"+action, "", "Idempotency-Key", "k")
			if want204(t, resp); resp.Headers["Idempotent-Replayed"] != "" {
				t.Errorf("%s is answered from another route's", action)
			}
		}
	})
	t.Run("what was refused leaves the key free", func(t *testing.T) {
		d := newDesk(t)
		if resp := d.ask(t, "five", http.MethodPatch, allPath+"/71", `{"email":"bob@example.com"}`, "Idempotency-Key", "k"); resp.StatusCode != http.StatusConflict {
			t.Fatalf("%d %s", resp.StatusCode, resp.Body)
		}
		decoded[httpapi.AccountBody](t, d.ask(t, "five", http.MethodPatch, allPath+"/71", `{"email":"new@example.com"}`, "Idempotency-Key", "k"))
	})
	t.Run("after a day the key is free", func(t *testing.T) {
		d := newDesk(t)
		decoded[httpapi.AccountBody](t, d.ask(t, "five", http.MethodPatch, allPath+"/71", `{"first_name":"Eve"}`, "Idempotency-Key", "k"))
		d.clock = d.clock.Add(24 * time.Hour)
		if resp := d.ask(t, "five", http.MethodPatch, allPath+"/71", `{"first_name":"Mal"}`, "Idempotency-Key", "k"); *decoded[httpapi.AccountBody](t, resp).FirstName != "Mal" {
			t.Errorf("%s", resp.Body)
		}
	})
	t.Run("a malformed key changes nothing", func(t *testing.T) {
		d := newDesk(t)
		before := d.accountsAsTheyAre(t)
		for _, op := range operations[1:4] {
			if diff := cmp.Diff([]string{"400", "invalid_field_value Idempotency-Key"}, problems(t, d.ask(t, "five", op.method, allPath+"/71"+op.suffix, op.body, "Idempotency-Key", "clé"))); diff != "" {
				t.Errorf("%s%s (-want +got):\n%s", op.method, op.suffix, diff)
			}
		}
		if diff := cmp.Diff(before, d.accountsAsTheyAre(t)); diff != "" {
			t.Error(diff)
		}
	})
}
