package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	gen "carrierlink/infra/test/client"
	address "carrierlink/shared/email"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/seal"
	"carrierlink/shared/secret"
)

func accountPath(id any) string { return fmt.Sprint(accountsPath, "/", id) }

func externalPath(id string) string {
	return accountsPath + "/external_account_id/" + url.PathEscape(id)
}

var (
	state   = problem{"business_rules", "invalid_status", "", ""}
	changed = problem{"validation", "invalid_field_value", "If-Match", ""}
)

func patch(t *testing.T, key string, id int64, body any, header ...[2]string) answer {
	t.Helper()
	return api.call(t, request{method: http.MethodPatch, path: accountPath(id), key: key, body: body, header: header})
}

func list(t *testing.T, key, query string) answer {
	t.Helper()
	return api.call(t, request{method: http.MethodGet, path: accountsPath + query, key: key})
}

func TestUpdateAccountBadFields(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	before := as(t, production.APIKey).account(m.ID)
	readOnly := fields{
		"account_id": 1, "created_at": "2026-01-02T03:04:05Z", "modified_at": "2026-01-02T03:04:05Z", "active": false, "environment": "sandbox",
		"carriers_count": 0, "purge_at": "2026-01-02T03:04:05Z", "password": "pw-unknown-2", "api_key": fields{},
	}
	for name, value := range readOnly {
		t.Run("read-only "+name, func(t *testing.T) {
			t.Parallel()
			patch(t, production.APIKey, m.ID, fields{name: value}).expect(t, http.StatusBadRequest, invalid(name))
		})
	}
	for _, test := range []struct {
		name     string
		body     any
		problems []problem
	}{
		{"first_name empty", fields{"first_name": ""}, []problem{length("first_name")}},
		{"first_name of 25 characters", fields{"first_name": wide(25)}, []problem{length("first_name")}},
		{"last_name with a tab", fields{"last_name": "a\tb"}, []problem{invalid("last_name")}},
		{"company_name of 51 characters", fields{"company_name": wide(51)}, []problem{length("company_name")}},
		{"company_name number", fields{"company_name": 1}, []problem{invalid("company_name")}},
		{"external_account_id empty", fields{"external_account_id": ""}, []problem{length("external_account_id")}},
		{"external_account_id of 129 characters", fields{"external_account_id": wide(129)}, []problem{length("external_account_id")}},
		{"external_account_id with a line break", fields{"external_account_id": "a\nb"}, []problem{invalid("external_account_id")}},
		{"country au", fields{"origin_country_code": "au"}, []problem{invalid("origin_country_code")}},
		{"country XX", fields{"origin_country_code": "XX"}, []problem{invalid("origin_country_code")}},
		{"email without @", fields{"email": "mia"}, []problem{invalid("email")}},
		{"email empty", fields{"email": ""}, []problem{length("email")}},
		{"email of 51 characters", fields{"email": strings.Repeat("a", 39) + "@example.com"}, []problem{length("email")}},
		{"metadata text", fields{"metadata": "x"}, []problem{invalid("metadata")}},
		{"metadata value null", fields{"metadata": fields{"k": nil}}, []problem{invalid("metadata.k")}},
		{"metadata key of 41", fields{"metadata": fields{wide(41): "v"}}, []problem{length("metadata")}},
		{"unknown", fields{"nickname": "x"}, []problem{invalid("nickname")}},
		{"in capitals", fields{"First_name": "x"}, []problem{invalid("First_name")}},
		{"twice", `{"first_name":"a","first_name":"b"}`, []problem{invalid("first_name")}},
		{"half a surrogate", `{"first_name":"\ud83d"}`, []problem{invalid("first_name")}},
		{"everything at once", fields{
			"zebra": 1, "metadata": 1, "email": "mia", "origin_country_code": "au", "external_account_id": "", "company_name": wide(51), "last_name": "a\nb", "first_name": 1,
		}, []problem{
			invalid("first_name"), invalid("last_name"), length("company_name"), length("external_account_id"), invalid("origin_country_code"), invalid("email"),
			invalid("metadata"), invalid("zebra"),
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			patch(t, production.APIKey, m.ID, test.body).expect(t, http.StatusBadRequest, test.problems...)
			if after := as(t, production.APIKey).account(m.ID); after.ModifiedAt != before.ModifiedAt {
				t.Error("a refused change has changed modified_at")
			}
		})
	}
}

// PATCH to a taken identifier, to another country while carriers are linked, and of a stale version is refused.
func TestUpdateAccountConflicts(t *testing.T) {
	t.Parallel()
	mine, sibling, foreign := newCaller(t, production), newCaller(t, production), newCaller(t, otherProduction)
	taken := func(field string) problem { return problem{"business_rules", "identifier_conflict", field, ""} }
	for name, test := range map[string]struct {
		body     fields
		existing int64
		problem  problem
	}{
		"email of a sibling":       {fields{"email": strings.ToUpper(sibling.email)}, sibling.ID, taken("email")},
		"email of another partner": {fields{"email": foreign.email}, 0, taken("email")},
		"external id of a sibling": {fields{"external_account_id": sibling.external}, sibling.ID, taken("external_account_id")},
		"country":                  {fields{"origin_country_code": "NZ"}, 0, problem{"business_rules", "invalid_status", "origin_country_code", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := patch(t, production.APIKey, mine.ID, test.body)
			a.expect(t, http.StatusConflict, test.problem)
			if got := a.errors()[0].ExistingAccountID; got != test.existing {
				t.Errorf("existing_account_id = %d, want %d", got, test.existing)
			}
		})
	}
	t.Run("what it has already", func(t *testing.T) {
		t.Parallel()
		c := newCaller(t, production)
		got := as(t, production.APIKey).change(c.ID, updateParams(""), updateBody(fields{
			"email": strings.ToUpper(c.email), "external_account_id": c.external, "origin_country_code": "AU",
		}))
		if *got.Email != strings.ToUpper(c.email) {
			t.Errorf("email = %s", *got.Email)
		}
	})
	t.Run("an external id of another partner's", func(t *testing.T) {
		t.Parallel()
		c := newMerchant(t, production)
		as(t, production.APIKey).change(c.ID, updateParams(""), updateBody(fields{"external_account_id": foreign.external}))
	})
	t.Run("what it gave up is free", func(t *testing.T) {
		t.Parallel()
		c, p := newCaller(t, production), as(t, production.APIKey)
		p.change(c.ID, updateParams(""), updateBody(fields{"email": email(), "external_account_id": externalID()}))
		api.call(t, request{method: http.MethodGet, path: externalPath(c.external), key: production.APIKey}).expect(t, http.StatusNotFound, notFound)
		create(t, production.APIKey, fields{"email": c.email, "external_account_id": c.external}).expect(t, http.StatusOK)
	})
	t.Run("stale If-Match", func(t *testing.T) {
		t.Parallel()
		m, p := newMerchant(t, production), as(t, production.APIKey)
		p.account(m.ID)
		tag := p.last.header.Get("ETag")
		p.change(m.ID, updateParams(tag), updateBody(fields{"first_name": "Mia"}))
		next := p.last.header.Get("ETag")
		if next == tag || next == "" {
			t.Errorf("ETag = %q after %q", next, tag)
		}
		for value, status := range ifMatch(tag, next) {
			header := [][2]string{{"If-Match", value}}
			patch(t, production.APIKey, m.ID, fields{"first_name": "Zoe"}, header...).expect(t, status, changed)
			for _, verb := range []string{"/disable", "/enable", "/restore"} {
				api.call(t, request{method: http.MethodPut, path: accountPath(m.ID) + verb, key: production.APIKey, header: header}).expect(t, status, changed)
			}
			api.call(t, request{method: http.MethodDelete, path: accountPath(m.ID), key: production.APIKey, header: header}).expect(t, status, changed)
		}
		p.change(m.ID, updateParams(`"x", `+next), updateBody(fields{"first_name": "Zoe"}))
		p.change(m.ID, updateParams("*"), updateBody(fields{"last_name": "Chen"}))
		tag = p.last.header.Get("ETag")
		if _, err := p.DisableAccountWithResponse(t.Context(), text(m.ID), &gen.DisableAccountParams{IfMatch: &tag}); err != nil {
			t.Fatal(err)
		}
		done(t, p, nil)
		if got := p.account(m.ID); *got.FirstName != "Zoe" || *got.LastName != "Chen" || got.Active {
			t.Errorf("account = %+v", got)
		}
		tag = p.last.header.Get("ETag")
		api.call(t, request{method: http.MethodDelete, path: accountPath(m.ID), key: production.APIKey, header: [][2]string{{"If-Match", tag}}}).expect(t, http.StatusNoContent)
		if p.account(m.ID).PurgeAt == nil {
			t.Error("the account is not deleted")
		}
	})
	t.Run("two at once with one ETag", func(t *testing.T) {
		t.Parallel()
		for range 10 {
			m := newMerchant(t, production)
			p := as(t, production.APIKey)
			p.account(m.ID)
			tag := p.last.header.Get("ETag")
			var answers [2]answer
			var group sync.WaitGroup
			for i, name := range []string{"Mia", "Zoe"} {
				group.Go(func() {
					answers[i] = patch(t, production.APIKey, m.ID, fields{"first_name": name}, [2]string{"If-Match", tag})
				})
			}
			group.Wait()
			won := 0
			if answers[1].status == http.StatusOK {
				won = 1
			}
			answers[won].expect(t, http.StatusOK)
			answers[1-won].expect(t, http.StatusPreconditionFailed, changed)
			if got := p.account(m.ID); *got.FirstName != []string{"Mia", "Zoe"}[won] {
				t.Errorf("first_name = %s, and %d won", *got.FirstName, won)
			}
		}
	})
}

func TestUpdateAccount(t *testing.T) {
	t.Parallel()
	m, p := newMerchant(t, production), as(t, production.APIKey)
	before := p.account(m.ID)
	mail, id := email(), externalID()
	got := p.change(m.ID, updateParams(""), updateBody(fields{
		"first_name": "Mïa", "last_name": strings.Repeat("😀", 24), "company_name": wide(50), "external_account_id": id, "email": mail,
		"origin_country_code": "NZ", "metadata": fields{"plan": "gold", "since": "2024"},
	}))
	if *got.FirstName != "Mïa" || *got.LastName != strings.Repeat("😀", 24) || *got.CompanyName != wide(50) || *got.ExternalAccountId != id || *got.Email != mail ||
		got.OriginCountryCode != "NZ" || got.Metadata["plan"] != "gold" || got.CreatedAt != before.CreatedAt || got.ModifiedAt <= before.ModifiedAt || !got.Active {
		t.Errorf("account = %s", p.last.body)
	}
	tag := p.last.header.Get("ETag")
	if diff := cmp.Diff(got, p.account(m.ID)); diff != "" || p.last.header.Get("ETag") != tag {
		t.Errorf("answers of PATCH (-) and GET (+):\n%s", diff)
	}
	// metadata is replaced as a whole; other fields stay.
	got = p.change(m.ID, updateParams(""), updateBody(fields{"metadata": fields{"plan": "silver"}}))
	if diff := cmp.Diff(gen.Metadata{"plan": "silver"}, got.Metadata); diff != "" || *got.FirstName != "Mïa" {
		t.Errorf("account = %s", p.last.body)
	}
	if got = p.change(m.ID, updateParams(""), updateBody(fields{"metadata": fields{}})); len(got.Metadata) != 0 {
		t.Errorf("metadata = %v, want none", got.Metadata)
	}
	// null means absent.
	patch(t, production.APIKey, m.ID, `{"first_name":null,"email":null,"metadata":null}`).expect(t, http.StatusOK)
	if got = p.account(m.ID); got.FirstName == nil || got.Email == nil {
		t.Errorf("null took a field away: %+v", got)
	}
	patch(t, production.APIKey, m.ID, "{}").expect(t, http.StatusOK)
}

// oddIDs are external ids that a path or a query could distort.
func oddIDs() []string {
	var ids []string
	for _, odd := range []string{
		"a/b", "/", "//", "../..", ".", "100%", "%2F", "%252F", "a b", " outer ", "a+b", "a&b=c", "a?b", "a#b", "a;b", "a,b", "café", "日本語", "😀", "a\\b", `"quoted"`, "<x>",
		"{account_id}", "a:b@c", "[1]", "a|b", "a^b`c", "api_keys/", "~'()*!$",
	} {
		ids = append(ids, odd+uuid.NewString()[:8])
	}
	return append(ids, uuid.NewString()+"/", uuid.NewString()+" ", uuid.NewString()+"%", strings.Repeat("é", 120)+uuid.NewString()[:8])
}

func TestExternalIDs(t *testing.T) {
	t.Parallel()
	for i, id := range oddIDs() {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			p := as(t, production.APIKey)
			p.accountByExternalID(id, http.StatusNotFound)
			if got := p.accounts(gen.ListAccountsParams{ExternalAccountId: &id}); len(got.Accounts) != 0 {
				t.Errorf("accounts = %+v, want none", got.Accounts)
			}
			made := decode[createdAccount](t, create(t, production.APIKey, fields{"external_account_id": id}))
			byID := p.account(made.AccountID)
			tag := p.last.header.Get("ETag")
			got := p.accountByExternalID(id, http.StatusOK)
			if diff := cmp.Diff(byID, got); diff != "" || *got.ExternalAccountId != id || p.last.header.Get("ETag") != tag {
				t.Errorf("by id (-) and by external id (+):\n%s", diff)
			}
			page := p.accounts(gen.ListAccountsParams{ExternalAccountId: &id})
			if len(page.Accounts) != 1 || page.Accounts[0].AccountId != made.AccountID {
				t.Errorf("accounts = %+v, want the one", page.Accounts)
			}
			as(t, otherProduction.APIKey).accountByExternalID(id, http.StatusNotFound)
			if i > 0 && differs("is slow") {
				return
			}
			// Its links lead to it too.
			again := decode[gen.AccountList](t, api.call(t, request{method: http.MethodGet, path: *page.Links.First.Href, key: production.APIKey}))
			if len(again.Accounts) != 1 {
				t.Errorf("%s finds %d accounts", *page.Links.First.Href, len(again.Accounts))
			}
			if got := p.accounts(gen.ListAccountsParams{ExternalAccountId: &id, Page: new(2)}); len(got.Accounts) != 0 {
				t.Errorf("page 2 = %+v", got.Accounts)
			}
			if got := p.accounts(gen.ListAccountsParams{ExternalAccountId: &id, Active: new(false)}); len(got.Accounts) != 0 {
				t.Errorf("inactive accounts = %+v", got.Accounts)
			}
			for _, header := range []string{tag, tag + `, "x"`, "*", "W/" + tag} {
				api.call(t, request{
					method: http.MethodGet, path: externalPath(id), key: production.APIKey, header: [][2]string{{"If-None-Match", header}},
				}).expect(t, http.StatusNotModified)
				api.call(t, request{
					method: http.MethodGet, path: accountPath(made.AccountID), key: production.APIKey, header: [][2]string{{"If-None-Match", header}},
				}).expect(t, http.StatusNotModified)
			}
		})
	}
	// Routes of the same length below an account do not match an external id.
	for _, id := range []string{"enable", "disable", "restore", "api_keys"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			as(t, otherProduction.APIKey).accountByExternalID(id, http.StatusNotFound)
		})
	}
	for escaped, want := range map[string]problem{
		"%00": invalid("external_account_id"), "a%0ab": invalid("external_account_id"), "%ff": identifier("external_account_id"),
		strings.Repeat("a", 129): length("external_account_id"),
	} {
		t.Run("bad "+escaped[:2], func(t *testing.T) {
			t.Parallel()
			api.call(t, request{method: http.MethodGet, path: accountsPath + "/external_account_id/" + escaped, key: production.APIKey}).expect(t, http.StatusBadRequest, want)
		})
	}
}

func (c *typed) accountByExternalID(id string, status int) *gen.Account {
	c.t.Helper()
	got, err := c.GetAccountByExternalIDWithResponse(c.t.Context(), id, nil)
	if err != nil {
		c.t.Fatalf("the generated client: %v", err)
	}
	if c.last.status != status {
		c.t.Errorf("external id %q: %d %s, want %d", id, c.last.status, c.last.body, status)
		return &gen.Account{ExternalAccountId: new("")}
	}
	return got.JSON200
}

func TestListAccountsBadQueries(t *testing.T) {
	t.Parallel()
	p := newPartner(t, "Lists")
	for range 3 {
		newMerchant(t, p)
	}
	next := func(key, query string) string {
		page := decode[gen.AccountList](t, list(t, key, query))
		if page.Links.Next.Href == nil {
			t.Fatalf("there is no next page: %+v", page.Links)
		}
		link, err := url.Parse(*page.Links.Next.Href)
		if err != nil {
			t.Fatal(err)
		}
		return link.Query().Get("cursor")
	}
	for range 3 {
		newMerchant(t, production)
	}
	cursor, foreign := next(p.APIKey, "?page_size=1"), next(production.APIKey, "?page_size=1")
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		t.Fatal(err)
	}
	forge := func(change func(b []byte) []byte) string {
		return base64.RawURLEncoding.EncodeToString(change(slices.Clone(raw)))
	}
	at := func(age time.Duration) string { return signedCursor(t, p.ID, time.Now().Add(-age)) }
	with := func(cursor string) string { return "?cursor=" + url.QueryEscape(cursor) }
	bad := func(names ...string) (all []problem) {
		for _, name := range names {
			all = append(all, invalid(name))
		}
		return all
	}
	for _, test := range []struct {
		query    string
		problems []problem
	}{
		{"?page_size=0", bad("page_size")},
		{"?page_size=501", bad("page_size")},
		{"?page_size=-1", bad("page_size")},
		{"?page_size=ten", bad("page_size")},
		{"?page_size=", bad("page_size")},
		{"?page_size=1.5", bad("page_size")},
		{"?page_size=99999999999999999999", bad("page_size")},
		{"?page_size=10&page_size=ten", bad("page_size")},
		{"?page=0", bad("page")},
		{"?page=-1", bad("page")},
		{"?page=one", bad("page")},
		{"?page=10001", bad("page")},
		{"?page=401", bad("page")},
		{"?page=21&page_size=500", bad("page")},
		{"?active=yes", bad("active")},
		{"?active=TRUE", bad("active")},
		{"?active=", bad("active")},
		{"?sort_dir=up", bad("sort_dir")},
		{"?sort_dir=ASC", bad("sort_dir")},
		{"?sort_dir=", bad("sort_dir")},
		{"?created_at_start=yesterday", bad("created_at_start")},
		{"?created_at_start=2026-01-02", bad("created_at_start")},
		{"?created_at_end=2026-13-02T03:04:05Z", bad("created_at_end")},
		{"?created_at_end=2026-01-02T03:04:05", bad("created_at_end")},
		{"?created_at_start=2026-01-02T03:04:05+10:00", bad("created_at_start")}, // an unescaped "+" is a blank
		{"?created_at_start=2026-01-02T03:04:06Z&created_at_end=2026-01-02T03:04:05Z", bad("created_at_end")},
		{"?external_account_id=", []problem{length("external_account_id")}},
		{"?external_account_id=" + strings.Repeat("a", 129), []problem{length("external_account_id")}},
		{"?external_account_id=a%0ab", bad("external_account_id")},
		{with("x"), bad("cursor")},
		{with("!!!"), bad("cursor")},
		{with(cursor[:len(cursor)-1]), bad("cursor")},
		{with(cursor[1:]), bad("cursor")},
		{with(cursor[:22]), bad("cursor")},
		{with(cursor + "AA"), bad("cursor")},
		{with(cursor + "="), bad("cursor")},
		{with(forge(func(b []byte) []byte { b[0] ^= 1; return b })), bad("cursor")},
		{with(forge(func(b []byte) []byte { b[len(b)-2] ^= 1; return b })), bad("cursor")},
		{with(forge(func(b []byte) []byte { return b[:16] })), bad("cursor")},
		{with(forge(func(b []byte) []byte { return append(b, ' ') })), bad("cursor")},
		{with(base64.RawURLEncoding.EncodeToString([]byte(`0123456789abcdef{"t":1,"i":1,"p":2,"s":9999999999}`))), bad("cursor")},
		{with(foreign), bad("cursor")},
		{with(at(25 * time.Hour)), bad("cursor")},
		{with(cursor) + "&active=true", bad("cursor")},
		{with(cursor) + "&sort_dir=asc", bad("cursor")},
		{with(cursor) + "&created_at_start=2020-01-02T03:04:05Z", bad("cursor")},
		{with("x") + "&page_size=0&page=0&active=x&sort_dir=x", bad("active", "sort_dir", "page", "page_size", "cursor")},
	} {
		t.Run(test.query, func(t *testing.T) {
			t.Parallel()
			list(t, p.APIKey, test.query).expect(t, http.StatusBadRequest, test.problems...)
		})
	}
	for name, query := range map[string]string{
		"another size": with(cursor) + "&page_size=2", "a cursor of 23 hours": with(at(23 * time.Hour)), "a cursor and a page": with(cursor) + "&page=7",
		"the last page by number": "?page=400", "the last large one": "?page=20&page_size=500", "unknown parameters": "?x=1&page_token=2",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list(t, p.APIKey, query).expect(t, http.StatusOK)
		})
	}
}

// signedCursor makes a cursor as the service would make it at a time.
func signedCursor(t *testing.T, partnerID int64, then time.Time) string {
	t.Helper()
	out, err := secretsmanager.NewFromConfig(service.AWSConfig()).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &service.ServiceSecretARN})
	if err != nil {
		t.Fatal(err)
	}
	pager := httpapi.Pager{
		Sealer: seal.New(func(context.Context) (secret.Text, error) {
			return secret.New(aws.ToString(out.SecretString)), nil
		}, time.Now),
		Now: then, Owner: fmt.Sprintf("partner %d account 0", partnerID), Path: accountsPath,
	}
	links, err := pager.Links(t.Context(), httpapi.NewRequest("", events.APIGatewayProxyRequest{}), httpapi.Page{Number: 1, Size: 25}, &httpapi.Position{At: time.Now(), ID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	link, err := url.Parse(links.Next.Href)
	if err != nil {
		t.Fatal(err)
	}
	return link.Query().Get("cursor")
}

func TestListAccounts(t *testing.T) {
	t.Parallel()
	p := newPartner(t, "Lister")
	c := as(t, p.APIKey)
	if got := c.accounts(gen.ListAccountsParams{}); len(got.Accounts) != 0 || got.Page != 1 || got.PageSize != 25 || got.Links.Next.Href != nil || got.Links.Prev.Href != nil {
		t.Errorf("the list of a new partner = %s", c.last.body)
	}
	const count = 9
	var ids []int64 // oldest first
	for range count {
		ids = append(ids, newMerchant(t, p).ID)
		time.Sleep(2 * time.Millisecond) // another millisecond, so that the order is known
	}
	c.disable(ids[2])
	c.remove(ids[5], nil)
	inactive := []int64{ids[2], ids[5]}
	newest := slices.Clone(ids)
	slices.Reverse(newest)
	idsOf := func(page *gen.AccountList) []int64 {
		all := make([]int64, 0)
		for _, a := range page.Accounts {
			all = append(all, a.AccountId)
		}
		return all
	}
	all := c.accounts(gen.ListAccountsParams{PageSize: new(500)})
	if diff := cmp.Diff(newest, idsOf(all)); diff != "" {
		t.Fatalf("the list (-want +got):\n%s", diff)
	}
	created := func(i int) time.Time {
		at, err := time.Parse(time.RFC3339, all.Accounts[count-1-i].CreatedAt)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for name, test := range map[string]struct {
		params gen.ListAccountsParams
		want   []int64
	}{
		"ascending":      {gen.ListAccountsParams{SortDir: new(gen.ListAccountsParamsSortDir("asc"))}, ids},
		"descending":     {gen.ListAccountsParams{SortDir: new(gen.ListAccountsParamsSortDir("desc"))}, newest},
		"inactive":       {gen.ListAccountsParams{Active: new(false), SortDir: new(gen.ListAccountsParamsSortDir("asc"))}, inactive},
		"active":         {gen.ListAccountsParams{Active: new(true)}, slices.DeleteFunc(slices.Clone(newest), func(id int64) bool { return slices.Contains(inactive, id) })},
		"from":           {gen.ListAccountsParams{CreatedAtStart: new(created(6))}, newest[:3]},
		"until":          {gen.ListAccountsParams{CreatedAtEnd: new(created(2).Add(time.Millisecond))}, newest[6:]},
		"between":        {gen.ListAccountsParams{CreatedAtStart: new(created(3)), CreatedAtEnd: new(created(5).Add(time.Millisecond))}, newest[3:6]},
		"in the future":  {gen.ListAccountsParams{CreatedAtStart: new(time.Now().Add(time.Hour))}, []int64{}},
		"page 2":         {gen.ListAccountsParams{Page: new(2), PageSize: new(4)}, newest[4:8]},
		"the last page":  {gen.ListAccountsParams{Page: new(3), PageSize: new(4)}, newest[8:]},
		"past the end":   {gen.ListAccountsParams{Page: new(4), PageSize: new(4)}, []int64{}},
		"far beyond":     {gen.ListAccountsParams{Page: new(10_000), PageSize: new(1)}, []int64{}},
		"by an external": {gen.ListAccountsParams{ExternalAccountId: new("nobody")}, []int64{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, idsOf(as(t, p.APIKey).accounts(test.params))); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
		})
	}
	// A walk by cursor, or by page numbers in both directions, gives the list in one page.
	for _, query := range []string{"?page_size=2", "?page_size=2&sort_dir=asc", "?page_size=2&active=true", "?page_size=3&active=false", "?page_size=1&created_at_start=2020-01-01T00%3A00%3A00Z"} {
		t.Run("walk "+query, func(t *testing.T) {
			t.Parallel()
			size, rest, _ := strings.Cut(strings.TrimPrefix(query, "?page_size="), "&")
			want := decode[gen.AccountList](t, list(t, p.APIKey, "?page_size=500&"+rest)).Accounts
			var got []gen.Account
			path, pages := accountsPath+query, 0
			var last gen.AccountList
			for path != "" {
				a := api.call(t, request{method: http.MethodGet, path: path, key: p.APIKey})
				a.expect(t, http.StatusOK)
				last = decode[gen.AccountList](t, a)
				got = append(got, last.Accounts...)
				if pages++; last.Page != pages || strconv.Itoa(last.PageSize) != size {
					t.Errorf("page %d of size %d, want %d of %s", last.Page, last.PageSize, pages, size)
				}
				path = ""
				if last.Links.Next.Href != nil {
					path = *last.Links.Next.Href
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("one page (-) and the walk (+):\n%s", diff)
			}
			for ; last.Links.Prev.Href != nil; pages-- {
				last = decode[gen.AccountList](t, api.call(t, request{method: http.MethodGet, path: *last.Links.Prev.Href, key: p.APIKey}))
			}
			if pages != 1 || len(want) > 0 && last.Accounts[0].AccountId != want[0].AccountId {
				t.Errorf("the walk backwards ends at page %d", pages)
			}
		})
	}
}

// A disabled account's keys are refused from the next call on.
func TestDisableAccount(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		t.Run(p.Environment, func(t *testing.T) {
			t.Parallel()
			m, c := newMerchant(t, p), as(t, p.APIKey)
			l := link(t, m, "australia_post", ausPostNumber("00"))
			merchantCalls := func(status int, problems ...problem) {
				t.Helper()
				for _, r := range []request{
					{method: http.MethodGet, path: readPath(l.CarrierID), key: m.Key},
					{method: http.MethodGet, path: "/v1/carriers", key: m.Key},
					{method: http.MethodGet, path: "/v1/carriers/" + l.CarrierID, key: m.Key},
					{method: http.MethodGet, path: "/v1/carriers", key: p.APIKey, header: behalf(m.ID)},
				} {
					api.call(t, r).expect(t, status, problems...)
				}
			}
			for range 2 { // again: 204 too
				c.disable(m.ID)
				merchantCalls(http.StatusForbidden, inactive)
			}
			if got := c.account(m.ID); got.Active || got.PurgeAt != nil {
				t.Errorf("account = %+v", got)
			}
			for range 2 {
				c.enable(m.ID)
				merchantCalls(http.StatusOK)
			}
			if got := c.account(m.ID); !got.Active || got.CarriersCount != 1 {
				t.Errorf("account = %+v", got)
			}
			api.call(t, request{method: http.MethodPut, path: accountPath(m.ID) + "/disable", key: p.APIKey, body: "null", loose: true}).expect(t, http.StatusNoContent)
			api.call(t, request{method: http.MethodPut, path: accountPath(m.ID) + "/enable", key: p.APIKey, body: "not JSON", loose: true}).expect(t, http.StatusNoContent)
		})
	}
}

func TestDeleteAccountBadQueries(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	for _, days := range []string{"6", "31", "ten", "0", "-7", "", "7.5", "99999999999999999999", "7&purge_after_days=x"} {
		t.Run(days, func(t *testing.T) {
			t.Parallel()
			a := api.call(t, request{method: http.MethodDelete, path: accountPath(m.ID) + "?purge_after_days=" + days, key: production.APIKey})
			a.expect(t, http.StatusBadRequest, invalid("purge_after_days"))
			if as(t, production.APIKey).account(m.ID).PurgeAt != nil {
				t.Error("the account is deleted")
			}
		})
	}
}

func TestDeleteAndRestoreAccount(t *testing.T) {
	t.Parallel()
	for _, days := range []int{0, 7, 30} {
		t.Run(fmt.Sprint(days, " days"), func(t *testing.T) {
			t.Parallel()
			m, c := newCaller(t, production), as(t, production.APIKey)
			second := c.newKey(m.ID, newKeyBody(nil)).EncryptedApiKey
			put := func(verb string) answer {
				return api.call(t, request{method: http.MethodPut, path: accountPath(m.ID) + verb, key: production.APIKey})
			}
			put("/restore").expect(t, http.StatusConflict, state)
			param := &days
			want := days
			if days == 0 {
				param, want = nil, 30
			}
			start := time.Now()
			c.remove(m.ID, param)
			took := time.Since(start)
			for _, key := range []string{m.Key, second} {
				for _, path := range []string{"/v1/carriers", "/v1/carriers/" + m.carrier, readPath(m.carrier), "/v1/connections/carriers"} {
					api.call(t, request{method: http.MethodGet, path: path, key: key}).expect(t, http.StatusUnauthorized, unauthorized)
				}
			}
			deleted := c.account(m.ID)
			if deleted.Active || deleted.PurgeAt == nil {
				t.Fatalf("account = %s", c.last.body)
			}
			purge, err := time.Parse(time.RFC3339, *deleted.PurgeAt)
			if off := purge.Sub(start.AddDate(0, 0, want)); err != nil || off < -2*time.Second || off > took+2*time.Second {
				t.Errorf("purge_at = %s, want in %d days", *deleted.PurgeAt, want)
			}
			put("/enable").expect(t, http.StatusConflict, state)
			put("/disable").expect(t, http.StatusConflict, state)
			patch(t, production.APIKey, m.ID, fields{"first_name": "Mia"}).expect(t, http.StatusConflict, state)
			api.call(t, request{method: http.MethodPost, path: accountPath(m.ID) + "/api_keys", key: production.APIKey, body: "{}"}).expect(t, http.StatusConflict, state)
			api.call(t, request{method: http.MethodPost, path: accountPath(m.ID) + "/api_keys/" + m.key + "/rotate", key: production.APIKey, body: "{}"}).expect(t, http.StatusConflict, state)
			taken := func(field string) problem { return problem{"business_rules", "identifier_conflict", field, ""} }
			create(t, production.APIKey, fields{"email": m.email, "external_account_id": m.external}).expect(t, http.StatusConflict, taken("external_account_id"), taken("email"))
			// Deleting it again keeps the first date, whatever the request says.
			c.remove(m.ID, new(9))
			if again := c.accountByExternalID(m.external, http.StatusOK); *again.PurgeAt != *deleted.PurgeAt {
				t.Errorf("purge_at = %s, want %s", *again.PurgeAt, *deleted.PurgeAt)
			}
			c.restore(m.ID)
			if got := c.account(m.ID); !got.Active || got.PurgeAt != nil || got.CarriersCount != 1 {
				t.Errorf("the restored account = %s", c.last.body)
			}
			for _, key := range []string{m.Key, second} {
				if got := as(t, key).carriers(); len(got) != 1 {
					t.Errorf("carriers after the restore = %+v", got)
				}
			}
			put("/restore").expect(t, http.StatusConflict, state)
		})
	}
	t.Run("disabled before", func(t *testing.T) {
		t.Parallel()
		m, c := newMerchant(t, production), as(t, production.APIKey)
		c.disable(m.ID)
		c.remove(m.ID, nil)
		c.restore(m.ID)
		if got := c.account(m.ID); got.Active || got.PurgeAt != nil {
			t.Errorf("the restored account = %s, want it disabled as it was", c.last.body)
		}
		api.call(t, request{method: http.MethodGet, path: "/v1/carriers", key: m.Key}).expect(t, http.StatusForbidden, inactive)
	})
	t.Run("purged", func(t *testing.T) {
		t.Parallel()
		p := newPartner(t, "Purger")
		c := as(t, p.APIKey)
		mail, id := email(), externalID()
		made := decode[createdAccount](t, create(t, p.APIKey, fields{"email": mail, "external_account_id": id}))
		c.remove(made.AccountID, new(7))
		past := item{"expires_at": num(time.Now().Add(-time.Minute).Unix())}
		setItem(t, accountPK(made.AccountID), "ACCOUNT", past)
		setItem(t, "EMAIL#production#"+address.Key(mail), "EMAIL", past)
		setItem(t, fmt.Sprintf("EXTERNAL#%d#%s", p.ID, id), "EXTERNAL", past)
		for _, o := range operations() {
			about := things{account: text(made.AccountID), key: text(made.APIKey.APIKeyID), external: id}
			if !o.partner || !strings.Contains(o.path, "account_id}") {
				continue
			}
			r := o.request(about)
			r.key = p.APIKey
			a, b := api.call(t, r), o.request(absentThings)
			b.key = p.APIKey
			a.expect(t, http.StatusNotFound, notFound)
			if diff := cmp.Diff(bare(api.call(t, b)), bare(a)); diff != "" {
				t.Errorf("%s: absent (-) and purged (+):\n%s", o.id, diff)
			}
		}
		api.call(t, request{method: http.MethodGet, path: "/v1/carriers", key: made.APIKey.EncryptedAPIKey}).expect(t, http.StatusUnauthorized, unauthorized)
		if got := c.accounts(gen.ListAccountsParams{}); len(got.Accounts) != 0 {
			t.Errorf("the list has the purged account: %+v", got.Accounts)
		}
		if got := c.accounts(gen.ListAccountsParams{ExternalAccountId: &id}); len(got.Accounts) != 0 {
			t.Errorf("the filter finds the purged account: %+v", got.Accounts)
		}
		create(t, p.APIKey, fields{"email": mail, "external_account_id": id}).expect(t, http.StatusOK)
	})
	// Other requests change the items all the time, so that the service cannot write them.
	t.Run("busy", func(t *testing.T) {
		t.Parallel()
		m := newMerchant(t, production)
		setItem(t, accountPK(m.ID), "ACCOUNT", item{"version": nil})
		a := api.call(t, request{method: http.MethodDelete, path: accountPath(m.ID), key: production.APIKey})
		a.expect(t, http.StatusConflict, state)
		if a.header.Get("Retry-After") == "" {
			t.Error("Retry-After is absent")
		}
	})
}

func TestCountries(t *testing.T) {
	t.Parallel()
	c := as(t, production.APIKey)
	got, err := c.ListCountriesWithResponse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	countries := ok(t, c, got.JSON200, err).Countries
	if len(countries) != 249 || !slices.IsSortedFunc(countries, func(a, b gen.Country) int { return strings.Compare(a.CountryCode, b.CountryCode) }) {
		t.Errorf("%d countries, or out of order", len(countries))
	}
	names := map[string]string{}
	for _, country := range countries {
		names[country.CountryCode] = country.Name
	}
	if names["AU"] != "Australia" || names["NZ"] != "New Zealand" || names["XX"] != "" {
		t.Errorf("countries = %v", names)
	}
}

// 20 identical creations at once, 50 times (10 on a slow emulator), make one account each time, with equal answers or 409.
func TestIdenticalCreatesAtOnce(t *testing.T) {
	t.Parallel()
	p := newPartner(t, "Hasty")
	conflicts, rounds := 0, 50
	if differs("is slow") {
		rounds = 10
	}
	for round := range rounds {
		body := fields{"external_account_id": externalID(), "email": email()}
		header := [][2]string{{"Idempotency-Key", uuid.NewString()}}
		switch round % 5 {
		case 0: // no key: later requests learn the id of the one account
			header = nil
		case 1: // only a key
			body = fields{}
		case 2:
			header = [][2]string{{"Prefer", "return=existing"}}
		}
		answers := make([]answer, 20)
		var group sync.WaitGroup
		for i := range answers {
			group.Go(func() { answers[i] = create(t, p.APIKey, body, header...) })
		}
		group.Wait()
		made, ids, bodies := 0, map[int64]bool{}, map[string]bool{}
		for _, a := range answers {
			switch a.status {
			case http.StatusOK:
				got := decode[createdAccount](t, a)
				ids[got.AccountID] = true
				if got.APIKey != nil {
					bodies[string(a.body)] = true
				}
				if a.header.Get("Idempotent-Replayed") == "" && got.APIKey != nil {
					made++
				}
			case http.StatusConflict:
				conflicts++
				for _, e := range a.errors() {
					if e.ErrorCode == "identifier_conflict" && e.ExistingAccountID != 0 {
						ids[e.ExistingAccountID] = true
					}
				}
			default:
				t.Errorf("round %d: %d %s", round, a.status, a.body)
			}
		}
		if made != 1 || len(ids) != 1 || len(bodies) != 1 {
			t.Errorf("round %d: %d accounts were made, ids %v, %d different bodies", round, made, ids, len(bodies))
		}
	}
	if got := as(t, p.APIKey).accounts(gen.ListAccountsParams{PageSize: new(500)}); len(got.Accounts) != rounds {
		t.Errorf("there are %d accounts, want %d", len(got.Accounts), rounds)
	}
	t.Logf("%d of %d requests were answered 409", conflicts, 20*rounds)
}

// An account without a country gets its partner's.
func TestDefaultCountry(t *testing.T) {
	t.Parallel()
	body, err := service.Invoke(t.Context(), "create-partner", map[string]string{"name": "Kiwi", "environment": "sandbox", "default_country_code": "NZ"})
	if err != nil {
		t.Fatal(err)
	}
	partner := decode[struct {
		APIKey struct {
			EncryptedAPIKey string `json:"encrypted_api_key"`
		} `json:"api_key"`
	}](t, answer{body: body})
	for _, test := range []struct {
		body any
		want string
	}{{"{}", "NZ"}, {fields{"origin_country_code": "AU"}, "AU"}} {
		if got := decode[createdAccount](t, create(t, partner.APIKey.EncryptedAPIKey, test.body)); got.OriginCountryCode != test.want || got.Environment != "sandbox" {
			t.Errorf("account = %+v, want it in %s", got, test.want)
		}
	}
}
