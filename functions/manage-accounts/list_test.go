package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// racing is a store that runs another request before each change; fail is the error of
// lists.
type racing struct {
	*store.Store
	before func()
	fail   error
}

func (r *racing) UpdateAccount(ctx context.Context, c account.Update, fx effects.Effects, now time.Time) error {
	r.before()
	return r.Store.UpdateAccount(ctx, c, fx, now)
}

func (r *racing) SetAccountActive(ctx context.Context, a account.Account, pinned, active bool, fx effects.Effects, now time.Time) error {
	r.before()
	return r.Store.SetAccountActive(ctx, a, pinned, active, fx, now)
}

func (r *racing) DeleteAccount(ctx context.Context, a account.Account, pinned bool, purgeAt time.Time, fx effects.Effects, now time.Time) error {
	r.before()
	return r.Store.DeleteAccount(ctx, a, pinned, purgeAt, fx, now)
}

func (r *racing) RestoreAccount(ctx context.Context, a account.Account, pinned bool, fx effects.Effects, now time.Time) error {
	r.before()
	return r.Store.RestoreAccount(ctx, a, pinned, fx, now)
}

func (r *racing) ListAccounts(context.Context, int64, account.Filter, *account.Position, int, int, time.Time) ([]account.Account, *account.Position, error) {
	return nil, nil, r.fail
}

// crowd is a fixture where partner 5 has only the accounts 1001 to 1000+n, created a minute
// apart, the even ones disabled.
func crowd(t *testing.T, n int) *front {
	t.Helper()
	d := newFront(t)
	d.Clock = d.Clock.Add(-time.Duration(n) * time.Minute)
	for _, id := range []int64{71, 72} {
		if err := d.Store.DeleteAccount(t.Context(), account.Account{ID: id}, false, d.Clock, effects.Effects{}, d.Clock); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		d.Clock = d.Clock.Add(time.Minute)
		d.AddAccount(account.Account{ID: int64(1001 + i), PartnerID: 5, ExternalID: fmt.Sprintf("m-%d", i+1), Active: i%2 == 0})
	}
	return d
}

func (d *front) list(t *testing.T, target string) (ids []int64, body views.AccountsPage) {
	t.Helper()
	body = functiontest.Read[views.AccountsPage](t, d.Do("partner 5", http.MethodGet, target, ""), http.StatusOK)
	ids = []int64{}
	for _, a := range body.Accounts {
		ids = append(ids, a.AccountID)
	}
	return ids, body
}

func TestListRefuses(t *testing.T) {
	d := crowd(t, 60)
	_, page := d.list(t, allPath+"?page_size=10")
	_, cursor, _ := strings.Cut(page.Links.Next.Href, "cursor=")
	cursor, _, _ = strings.Cut(cursor, "&")
	if cursor == "" {
		t.Fatalf("no cursor in %+v", page.Links)
	}
	cursorOf := func(query string) string {
		_, page := d.list(t, allPath+query)
		u, err := url.Parse(page.Links.Next.Href)
		if err != nil {
			t.Fatal(err)
		}
		return u.Query().Get("cursor")
	}
	const wrongCursor = "invalid_field_value cursor"
	tests := []struct {
		name, query string
		want        []string
	}{
		{"page_size 0", "page_size=0", []string{"invalid_field_value page_size"}},
		{"page_size 501", "page_size=501", []string{"invalid_field_value page_size"}},
		{"page_size ten", "page_size=ten", []string{"invalid_field_value page_size"}},
		{"page_size empty", "page_size=", []string{"invalid_field_value page_size"}},
		{"page_size negative", "page_size=-1", []string{"invalid_field_value page_size"}},
		{"page_size a fraction", "page_size=1.5", []string{"invalid_field_value page_size"}},
		{"page_size beyond 64 bits", "page_size=99999999999999999999", []string{"invalid_field_value page_size"}},
		{"the second page_size is wrong", "page_size=1&page_size=x", []string{"invalid_field_value page_size"}},
		{"page 0", "page=0", []string{"invalid_field_value page"}},
		{"page -1", "page=-1", []string{"invalid_field_value page"}},
		{"page 10001", "page=10001&page_size=1", []string{"invalid_field_value page"}},
		{"page times page_size over 10,000 by one page", "page=401", []string{"invalid_field_value page"}},
		{"page times page_size over 10,000", "page=21&page_size=500", []string{"invalid_field_value page"}},
		{"active yes", "active=yes", []string{"invalid_field_value active"}},
		{"active TRUE", "active=TRUE", []string{"invalid_field_value active"}},
		{"active empty", "active=", []string{"invalid_field_value active"}},
		{"sort_dir up", "sort_dir=up", []string{"invalid_field_value sort_dir"}},
		{"sort_dir ASC", "sort_dir=ASC", []string{"invalid_field_value sort_dir"}},
		{"an hour of one digit", "created_at_start=2026-03-01T1:00:00Z", []string{"invalid_field_value created_at_start"}},
		{"an offset of a day", "created_at_end=2026-03-01T01:00:00%2B24:00", []string{"invalid_field_value created_at_end"}},
		{"a date alone", "created_at_start=2026-03-01", []string{"invalid_field_value created_at_start"}},
		{"a time without zone", "created_at_end=2026-03-01T00:00:00", []string{"invalid_field_value created_at_end"}},
		{"a plus that is a blank", "created_at_end=2026-03-01T00:00:00+10:00", []string{"invalid_field_value created_at_end"}},
		{"a reversed range", "created_at_start=2026-03-01T00:00:00.001Z&created_at_end=2026-03-01T00:00:00Z", []string{"invalid_field_value created_at_end"}},
		{"a reversed range over zones", "created_at_start=2026-03-01T00:00:00-01:00&created_at_end=2026-03-01T00:59:59Z", []string{"invalid_field_value created_at_end"}},
		{"external_account_id empty", "external_account_id=", []string{"invalid_string_length external_account_id"}},
		{"external_account_id too long by one", "external_account_id=" + strings.Repeat("a", 129), []string{"invalid_string_length external_account_id"}},
		{"a cursor of nothing", "cursor=x", []string{wrongCursor}},
		{"a cursor of base64", "cursor=YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh", []string{wrongCursor}},
		{"a cursor cut", "page_size=10&cursor=" + cursor[:len(cursor)-1], []string{wrongCursor}},
		{"a cursor cut in half", "page_size=10&cursor=" + cursor[:len(cursor)/2], []string{wrongCursor}},
		{"a cursor with more behind", "page_size=10&cursor=" + cursor + "A", []string{wrongCursor}},
		{"a cursor in another order", "sort_dir=asc&cursor=" + cursor, []string{wrongCursor}},
		{"a cursor with the default order named", "sort_dir=desc&cursor=" + cursor, []string{wrongCursor}},
		{"a cursor under a filter", "active=true&cursor=" + cursor, []string{wrongCursor}},
		{"a cursor under another filter", "active=true&cursor=" + cursorOf("?active=false&page_size=3"), []string{wrongCursor}},
		{"a cursor without its filter", "cursor=" + cursorOf("?active=false&page_size=3"), []string{wrongCursor}},
		{"a cursor with an external id", "external_account_id=m-1&cursor=" + cursor, []string{wrongCursor}},
		{
			"everything", "active=x&created_at_start=x&created_at_end=x&external_account_id=&sort_dir=x&page=x&page_size=x&cursor=x",
			[]string{
				"invalid_field_value active", "invalid_field_value created_at_start", "invalid_field_value created_at_end", "invalid_string_length external_account_id",
				"invalid_field_value sort_dir", "invalid_field_value page", "invalid_field_value page_size", wrongCursor,
			},
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			resp := d.Do("partner 5", http.MethodGet, allPath+"?"+tc.query, "")
			if diff := cmp.Diff(append([]string{"400"}, tc.want...), functiontest.Problems(t, resp)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.query, diff)
			}
		})
	}
	t.Run("a page beyond the limit mentions the cursor", func(t *testing.T) {
		if resp := d.Do("partner 5", http.MethodGet, allPath+"?page=401", ""); !strings.Contains(resp.Body, "cursor") {
			t.Error(resp.Body)
		}
	})
	t.Run("callers", func(t *testing.T) {
		for who, want := range map[string][]string{"": {"401", "unauthorized"}, "account 71": {"403", "forbidden"}, "partner 6": {"400", wrongCursor}} {
			if diff := cmp.Diff(want, functiontest.Problems(t, d.Do(who, http.MethodGet, allPath+"?page_size=10&cursor="+cursor, ""))); diff != "" {
				t.Errorf("%q (-want +got):\n%s", who, diff)
			}
		}
	})
	t.Run("age", func(t *testing.T) {
		target := allPath + "?page_size=10&cursor=" + cursor
		issued := d.Clock
		d.Clock = issued.Add(24 * time.Hour).Truncate(time.Second)
		if ids, _ := d.list(t, target); len(ids) != 10 {
			t.Errorf("after a day: %v", ids)
		}
		d.Clock = issued.Add(24*time.Hour + time.Second)
		if diff := cmp.Diff([]string{"400", wrongCursor}, functiontest.Problems(t, d.Do("partner 5", http.MethodGet, target, ""))); diff != "" {
			t.Errorf("after more than a day (-want +got):\n%s", diff)
		}
	})
	t.Run("the store fails", func(t *testing.T) {
		d := newFront(t)
		d.accounts.Store = &racing{Store: d.Store, fail: errors.New("down")}
		if diff := cmp.Diff([]string{"500", "unspecified"}, functiontest.Problems(t, d.Do("partner 5", http.MethodGet, allPath, ""))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestListFilters(t *testing.T) {
	d := crowd(t, 6)
	at := func(n int, more time.Duration) string {
		return url.QueryEscape(start().Add(time.Duration(n-6)*time.Minute + more).Format(time.RFC3339Nano))
	}
	elsewhere := url.QueryEscape(start().Add(-3 * time.Minute).In(time.FixedZone("", 10*60*60)).Format(time.RFC3339Nano))
	tests := []struct {
		name, query string
		want        []int64
	}{
		{"none", "", []int64{1006, 1005, 1004, 1003, 1002, 1001}},
		{"newest first", "?sort_dir=desc", []int64{1006, 1005, 1004, 1003, 1002, 1001}},
		{"oldest first", "?sort_dir=asc", []int64{1001, 1002, 1003, 1004, 1005, 1006}},
		{"active", "?active=true", []int64{1005, 1003, 1001}},
		{"not active", "?active=false&sort_dir=asc", []int64{1002, 1004, 1006}},
		{"from, inclusive", "?created_at_start=" + at(5, 0), []int64{1006, 1005}},
		{"from, a moment later", "?created_at_start=" + at(5, 1), []int64{1006}},
		{"until, inclusive", "?created_at_end=" + at(2, 0), []int64{1002, 1001}},
		{"until, a moment earlier", "?created_at_end=" + at(2, -1), []int64{1001}},
		{"one moment", "?created_at_start=" + at(3, 0) + "&created_at_end=" + at(3, 0), []int64{1003}},
		{"one moment, told in another zone", "?created_at_start=" + elsewhere + "&created_at_end=" + elsewhere, []int64{1003}},
		{"a range without any", "?created_at_start=" + at(3, 1) + "&created_at_end=" + at(4, -1), []int64{}},
		{"all together", "?active=true&sort_dir=asc&created_at_start=" + at(2, 0) + "&created_at_end=" + at(5, 0), []int64{1003, 1005}},
		{"from the first moment of all", "?created_at_start=0001-01-01T00:00:00Z&sort_dir=asc", []int64{1001, 1002, 1003, 1004, 1005, 1006}},
		{"until the first moment of all", "?created_at_end=0001-01-01T00:00:00Z", []int64{}},
		{"external id", "?external_account_id=m-3", []int64{1003}},
		{"external id of nobody", "?external_account_id=m-7", []int64{}},
		{"external id of another partner's", "?external_account_id=shop/1", []int64{}},
		{"external id, active", "?external_account_id=m-3&active=true", []int64{1003}},
		{"external id, not active", "?external_account_id=m-3&active=false", []int64{}},
		{"external id in the range", "?external_account_id=m-3&created_at_start=" + at(3, 0) + "&created_at_end=" + at(3, 0), []int64{1003}},
		{"external id before the range", "?external_account_id=m-3&created_at_start=" + at(3, 1), []int64{}},
		{"external id after the range", "?external_account_id=m-3&created_at_end=" + at(3, -1), []int64{}},
		{"external id, the second page", "?external_account_id=m-3&page=2", []int64{}},
		{"a parameter that is none", "?limit=1&active_only=true", []int64{1006, 1005, 1004, 1003, 1002, 1001}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			ids, body := d.list(t, allPath+tc.query)
			if diff := cmp.Diff(tc.want, ids); diff != "" {
				t.Errorf("accounts (-want +got):\n%s", diff)
			}
			if body.Links.Next.Href != "" {
				t.Errorf("there is a next page: %+v", body.Links)
			}
		})
	}
	t.Run("accounts as in get", func(t *testing.T) {
		_, body := d.list(t, allPath+"?external_account_id=m-3")
		_, whole := d.list(t, allPath)
		one := functiontest.Read[views.Account](t, d.Do("partner 5", http.MethodGet, allPath+"/1003", ""), http.StatusOK)
		if diff := cmp.Diff([]views.Account{one, one}, []views.Account{body.Accounts[0], whole.Accounts[3]}); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("no accounts", func(t *testing.T) {
		const want = `{"accounts":[],"page":1,"page_size":25,"links":{"first":{"href":"/v1/partners/accounts?page=1&page_size=25"},"prev":{},"next":{}}}`
		if resp := d.Do("partner 5", http.MethodGet, allPath+"?active=true&created_at_end=2020-01-01T00:00:00Z", ""); !strings.HasPrefix(resp.Body, `{"accounts":[],"page":1`) {
			t.Error(resp.Body)
		}
		if resp := crowd(t, 0).Do("partner 5", http.MethodGet, allPath, ""); resp.Body != want {
			t.Errorf("%s, want\n%s", resp.Body, want)
		}
	})
}

// TestWalk: following page numbers or links, in both orders, lists every account once,
// even while accounts are created.
func TestWalk(t *testing.T) {
	const n = 60
	d := crowd(t, n)
	var want []int64
	for i := range n {
		want = append(want, int64(1000+n-i))
	}
	for _, tc := range []struct {
		query string
		want  []int64
	}{
		{"page_size=7", want},
		{"page_size=1", want},
		{"page_size=60", want},
		{"page_size=500", want},
		{"page_size=7&sort_dir=asc", reversed(want)},
		{"page_size=4&active=true", slices.DeleteFunc(slices.Clone(want), func(id int64) bool { return id%2 == 0 })},
		{"page_size=4&active=false&sort_dir=asc&created_at_start=2026-03-01T00%3A00%3A00Z", []int64{1060}},
	} {
		t.Run(tc.query, func(t *testing.T) {
			got, pages := []int64{}, 0
			for next := allPath + "?" + tc.query; next != ""; {
				ids, body := d.list(t, next)
				pages++
				if body.Page != pages || len(ids) == 0 {
					t.Fatalf("%s is page %d with %d accounts, want page %d", next, body.Page, len(ids), pages)
				}
				numbered, again := d.list(t, fmt.Sprintf("%s?%s&page=%d", allPath, tc.query, pages))
				if diff := cmp.Diff(ids, numbered); diff != "" {
					t.Errorf("page %d by cursor and by number:\n%s", pages, diff)
				}
				if diff := cmp.Diff([2]httpapi.LinkBody{body.Links.First, body.Links.Prev}, [2]httpapi.LinkBody{again.Links.First, again.Links.Prev}); diff != "" {
					t.Errorf("links of page %d by cursor and by number:\n%s", pages, diff)
				}
				if (body.Links.Prev.Href == "") != (pages == 1) {
					t.Errorf("prev of page %d is %q", pages, body.Links.Prev.Href)
				}
				if pages > 1 {
					before, _ := d.list(t, body.Links.Prev.Href)
					if len(before) == 0 || before[len(before)-1] != got[len(got)-1] {
						t.Errorf("prev of page %d lists %v, want a page that ends with %d", pages, before, got[len(got)-1])
					}
				}
				if first, _ := d.list(t, body.Links.First.Href); first[0] != tc.want[0] {
					t.Errorf("first link of page %d leads to a page that begins with %d", pages, first[0])
				}
				got, next = append(got, ids...), body.Links.Next.Href
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("walk (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("while accounts are created", func(t *testing.T) {
		got := []int64{}
		for next := allPath + "?page_size=7"; next != ""; {
			ids, body := d.list(t, next)
			got, next = append(got, ids...), body.Links.Next.Href
			d.Clock = d.Clock.Add(time.Minute)
			d.AddAccount(account.Account{ID: int64(2000 + len(got)), PartnerID: 5, Active: true})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("walk (-want +got):\n%s", diff)
		}
	})
	t.Run("another page_size continues", func(t *testing.T) {
		_, body := d.list(t, allPath+"?page_size=3&sort_dir=asc")
		ids, _ := d.list(t, strings.Replace(body.Links.Next.Href, "page_size=3", "page_size=2", 1))
		if diff := cmp.Diff([]int64{1004, 1005}, ids); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("after the last page", func(t *testing.T) {
		for _, query := range []string{"?page=400", "?page=20&page_size=500", "?page=10000&page_size=1"} {
			ids, body := d.list(t, allPath+query)
			if len(ids) != 0 || body.Links.Next.Href != "" || body.Links.Prev.Href == "" {
				t.Errorf("%s = %d accounts, links %+v", query, len(ids), body.Links)
			}
		}
	})
}

func reversed(s []int64) []int64 {
	s = slices.Clone(s)
	slices.Reverse(s)
	return s
}

// TestLargeAccounts: a page ends before its event exceeds Lambda's limit of 6 MB, and the
// next page continues after it.
func TestLargeAccounts(t *testing.T) {
	d := crowd(t, 0)
	const n = 400
	metadata := map[string]string{}
	for i := range 20 {
		metadata[fmt.Sprint("key ", i)] = strings.Repeat(`"`, 500) // four bytes each in the event
	}
	want := []int64{}
	for i := range n {
		d.Clock = d.Clock.Add(time.Second)
		d.AddAccount(account.Account{ID: int64(1001 + i), PartnerID: 5, Active: true, Metadata: metadata})
		want = append(want, int64(1001+i))
	}
	got, pages := []int64{}, 0
	for next := allPath + "?sort_dir=asc&page_size=500"; next != ""; pages++ {
		resp := d.Do("partner 5", http.MethodGet, next, "")
		event, err := json.Marshal(resp)
		if err != nil || len(event) > 6<<20 {
			t.Fatalf("page %d is an event of %d bytes, %v", pages+1, len(event), err)
		}
		body := functiontest.Read[views.AccountsPage](t, resp, http.StatusOK)
		for _, a := range body.Accounts {
			got = append(got, a.AccountID)
		}
		next = body.Links.Next.Href
	}
	if diff := cmp.Diff(want, got); diff != "" || pages < 2 {
		t.Errorf("walk of %d pages (-want +got):\n%s", pages, diff)
	}
}
