package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/httpapi"
	"carrierlink/shared/seal"
	"carrierlink/shared/secret"
)

func pager(filters url.Values) httpapi.Pager {
	return httpapi.Pager{Sealer: sealer(), Now: now(), Owner: "partner 5", Path: "/v1/things", Filters: filters}
}

// asked returns a request with a query.
func asked(t *testing.T, query string) *httpapi.Request {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	e := post("")
	e.MultiValueQueryStringParameters = values
	return httpapi.NewRequest("id", e)
}

// cursorOf returns the cursor to the page after an entry.
func cursorOf(t *testing.T, p httpapi.Pager, page httpapi.Page, next httpapi.Position) string {
	t.Helper()
	links, err := p.Links(t.Context(), asked(t, ""), page, &next)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(links.Next.Href)
	if err != nil || u.Query().Get("cursor") == "" {
		t.Fatalf("no cursor in %q: %v", links.Next.Href, err)
	}
	return u.Query().Get("cursor")
}

func TestParsePage(t *testing.T) {
	tests := []struct {
		name, query string
		page        httpapi.Page
		skip        int
		problems    []string
	}{
		{"zeros and signs before it", "page=01&page_size=%2B5", httpapi.Page{Number: 1, Size: 25}, 0, []string{"invalid page", "invalid page_size"}},
		{"both wrong", "page=0&page_size=501", httpapi.Page{Number: 1, Size: 25}, 0, []string{"invalid page", "invalid page_size"}},
		{"both and the cursor wrong", "page=x&page_size=x&cursor=x", httpapi.Page{Number: 1, Size: 25}, 0, []string{"invalid page", "invalid page_size", "invalid cursor"}},
		{"an empty cursor", "cursor=", httpapi.Page{Number: 1, Size: 25}, 0, []string{"invalid cursor"}},
		{"an empty cursor beside a page", "page=2&cursor=", httpapi.Page{Number: 2, Size: 25}, 25, []string{"invalid cursor"}},
		{"all of them twice", "page=1&page=2&page_size=5&page_size=5&cursor=&cursor=", httpapi.Page{Number: 1, Size: 25}, 0, []string{"invalid page", "invalid page_size", "invalid cursor"}},
		{"just too far", "page=21&page_size=500", httpapi.Page{Number: 21, Size: 500}, 10_000, []string{"invalid page"}},
		{"nothing", "", httpapi.Page{Number: 1, Size: 25}, 0, nil},
		{"page", "page=3", httpapi.Page{Number: 3, Size: 25}, 50, nil},
		{"just near enough", "page=20&page_size=500", httpapi.Page{Number: 20, Size: 500}, 9_500, nil},
		{"one by one", "page=10000&page_size=1", httpapi.Page{Number: 10_000, Size: 1}, 9_999, nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			page, problems, err := pager(nil).Parse(t.Context(), asked(t, tc.query))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.problems, told(problems.Err())); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.page, page); diff != "" && tc.problems == nil || page.Skip() != tc.skip {
				t.Errorf("skip %d, page (-want +got):\n%s", page.Skip(), diff)
			}
		})
	}
}

// TestOnlyNext: such a list has no page by its number but the first, and no way back.
func TestOnlyNext(t *testing.T) {
	p := pager(nil)
	p.OnlyNext = true
	for query, want := range map[string][]string{
		"page=2": {"invalid page"}, "page=10000": {"invalid page"}, "page=0": {"invalid page"}, "page=2&page_size=x": {"invalid page_size"}, "page=1": nil, "page=1&page_size=500": nil, "": nil,
	} {
		_, problems, err := p.Parse(t.Context(), asked(t, query))
		if diff := cmp.Diff(want, told(problems.Err())); diff != "" || err != nil {
			t.Errorf("%q, %v (-want +got):\n%s", query, err, diff)
		}
	}
	last := httpapi.Position{At: now(), ID: "se-1"}
	text := cursorOf(t, p, httpapi.Page{Number: 3, Size: 25}, last)
	page, problems, err := p.Parse(t.Context(), asked(t, "page=2&cursor="+text))
	if err != nil || problems != nil || page.Number != 4 || page.After == nil || page.After.ID != "se-1" {
		t.Errorf("Parse of a cursor = %+v, %v, %v", page, problems, err)
	}
	links, err := p.Links(t.Context(), asked(t, ""), page, nil)
	want := httpapi.LinksBody{First: httpapi.LinkBody{Href: "/v1/things?page=1&page_size=25"}}
	if diff := cmp.Diff(want, links); diff != "" || err != nil {
		t.Errorf("links of page 4, %v (-want +got):\n%s", err, diff)
	}
}

// TestCursor: a cursor selects the page after the last entry and its number, even beyond
// the limit of page numbers, and whatever the parameter page says.
func TestCursor(t *testing.T) {
	p := pager(nil)
	last := httpapi.Position{At: time.Date(2026, 2, 3, 4, 5, 6, 789e6, time.UTC), ID: "se-4821097365120984"}
	for _, number := range []int{1, 2, 400, 4_000_000} {
		text := cursorOf(t, p, httpapi.Page{Number: number, Size: 25}, last)
		for _, query := range []string{"", "&page=7", "&page_size=25&page=400"} {
			page, problems, err := p.Parse(t.Context(), asked(t, "cursor="+text+query))
			if err != nil || problems != nil {
				t.Fatalf("Parse = %v, %v", problems, err)
			}
			if diff := cmp.Diff(httpapi.Page{Number: number + 1, Size: 25, After: &last}, page); diff != "" || page.Skip() != 0 {
				t.Errorf("after page %d, skip %d (-want +got):\n%s", number, page.Skip(), diff)
			}
		}
	}
}

// TestChangedCursorIsRefused changes, removes and doubles each byte in turn.
func TestChangedCursorIsRefused(t *testing.T) {
	p := pager(url.Values{"active": {"true"}})
	text := cursorOf(t, p, httpapi.Page{Number: 1, Size: 25}, httpapi.Position{At: now(), ID: "71"})
	if _, problems, err := p.Parse(t.Context(), asked(t, "cursor="+text)); err != nil || problems != nil {
		t.Fatalf("unchanged cursor: %v, %v", problems, err)
	}
	tried := 0
	refuses := func(what, text string) {
		t.Helper()
		tried++
		page, problems, err := p.Parse(t.Context(), asked(t, "cursor="+url.QueryEscape(text)))
		if diff := cmp.Diff([]string{"invalid cursor"}, told(problems.Err())); diff != "" || err != nil || page.After != nil {
			t.Errorf("%s: %v, %v, want it refused", what, problems, err)
		}
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= \n\r.\x00"
	for i := range text {
		for _, c := range []byte(alphabet) {
			if c != text[i] {
				refuses(fmt.Sprintf("byte %d made %q", i, c), text[:i]+string(c)+text[i+1:])
			}
		}
		refuses(fmt.Sprintf("cut at %d", i), text[:i]+".")
		refuses(fmt.Sprintf("without byte %d", i), text[:i]+text[i+1:])
		if i > 0 {
			refuses(fmt.Sprintf("the first %d bytes", i), text[:i])
		}
		for _, more := range []string{"A", "\n", "\r", "="} {
			refuses(fmt.Sprintf("%q before byte %d", more, i), text[:i]+more+text[i:])
		}
	}
	refuses("twice", text+text)
	refuses("padded", text+"=")
	refuses("a line break behind", text+"\n")
	t.Logf("%d changed cursors", tried)
}

func TestForeignCursor(t *testing.T) {
	p := pager(url.Values{"active": {"true"}})
	text := cursorOf(t, p, httpapi.Page{Number: 1, Size: 25}, httpapi.Position{At: now(), ID: "71"})
	tests := []struct {
		name string
		edit func(*httpapi.Pager)
		ok   bool
	}{
		{"another owner", func(p *httpapi.Pager) { p.Owner = "partner 6" }, false},
		{"another path", func(p *httpapi.Pager) { p.Path = "/v1/other" }, false},
		{"owner and path parted elsewhere", func(p *httpapi.Pager) { p.Owner, p.Path = "partner 5/", "v1/things" }, false},
		{"without the filter", func(p *httpapi.Pager) { p.Filters = nil }, false},
		{"another value", func(p *httpapi.Pager) { p.Filters = url.Values{"active": {"false"}} }, false},
		{"one more filter", func(p *httpapi.Pager) { p.Filters = url.Values{"active": {"true"}, "sort_dir": {"asc"}} }, false},
		{"another secret", func(p *httpapi.Pager) {
			p.Sealer = seal.New(func(context.Context) (secret.Text, error) { return secret.New("another"), nil }, time.Now)
		}, false},
		{"older than a day", func(p *httpapi.Pager) { p.Now = p.Now.Add(24*time.Hour + time.Nanosecond) }, false},
		{"a year old", func(p *httpapi.Pager) { p.Now = p.Now.AddDate(1, 0, 0) }, false},
		{"a day old", func(p *httpapi.Pager) { p.Now = p.Now.Add(24 * time.Hour) }, true},
		{"a clock behind", func(p *httpapi.Pager) { p.Now = p.Now.Add(-time.Minute) }, true},
		{"the same", func(*httpapi.Pager) {}, true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			p := p
			tc.edit(&p)
			if _, problems, err := p.Parse(t.Context(), asked(t, "cursor="+text)); (problems == nil) != tc.ok || err != nil {
				t.Errorf("Parse = %v, %v, want accepted: %t", problems, err, tc.ok)
			}
		})
	}
}

func TestLinks(t *testing.T) {
	next := &httpapi.Position{At: now(), ID: "71"}
	const first, firstOfFilter = "/v1/things?page=1&page_size=25", "/v1/things?active=true&external_account_id=a%2Fb+%26%C3%A9&page=1&page_size=25"
	tests := []struct {
		name        string
		filters     url.Values
		page        httpapi.Page
		first, prev string
		next        bool
	}{
		{"the only page", nil, httpapi.Page{Number: 1, Size: 25}, first, "", false},
		{"the first page", nil, httpapi.Page{Number: 1, Size: 25}, first, "", true},
		{"the second page", nil, httpapi.Page{Number: 2, Size: 25}, first, first, true},
		{"the last one that numbers reach", nil, httpapi.Page{Number: 400, Size: 25}, first, "/v1/things?page=399&page_size=25", true},
		{"behind that", nil, httpapi.Page{Number: 401, Size: 25, After: next}, first, "/v1/things?page=400&page_size=25", true},
		{"beyond what numbers reach", nil, httpapi.Page{Number: 402, Size: 25, After: next}, first, "", true},
		{
			"filters go along",
			url.Values{"active": {"true"}, "external_account_id": {"a/b &é"}},
			httpapi.Page{Number: 2, Size: 25},
			firstOfFilter, firstOfFilter, true,
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			after := next
			if !tc.next {
				after = nil
			}
			got, err := pager(tc.filters).Links(t.Context(), asked(t, ""), tc.page, after)
			if err != nil {
				t.Fatal(err)
			}
			if got.First.Href != tc.first || got.Prev.Href != tc.prev || (got.Next.Href != "") != tc.next {
				t.Errorf("Links = %+v, want first %s, prev %s, next: %t", got, tc.first, tc.prev, tc.next)
			}
			if n := len(tc.filters["active"]) + len(tc.filters["external_account_id"]); n != len(tc.filters) {
				t.Errorf("Links changed the filters: %v", tc.filters)
			}
			if !tc.next {
				if text := httpapi.JSON(http.StatusOK, got).Body; !bytes.Contains(text, []byte(`"next":{}`)) {
					t.Errorf("link to no page = %s, want an empty object", text)
				}
				return
			}
			// Every linked page can be requested.
			for _, href := range []string{got.First.Href, got.Prev.Href, got.Next.Href} {
				_, query, _ := strings.Cut(href, "?")
				if _, problems, err := pager(tc.filters).Parse(t.Context(), asked(t, query)); problems != nil || err != nil {
					t.Errorf("Parse of %q = %v, %v", href, problems, err)
				}
			}
		})
	}
}

// TestFit: a page ends before it is too large, and has at least one entry.
func TestFit(t *testing.T) {
	const half = 495_000 // bytes: half of a full page, with quotes and a comma
	texts := func(sizes ...int) []string {
		all := make([]string, len(sizes))
		for i, n := range sizes {
			all[i] = strings.Repeat("x", n-3)
		}
		return all
	}
	for name, tc := range map[string]struct {
		found []string
		want  int
	}{
		"one byte too many":  {texts(half, half+1, 10), 1},
		"one that is larger": {texts(3*half, 10), 1},
		"nothing":            {nil, 0},
		"just as much":       {texts(half, half), 2},
		"small ones":         {texts(10, 10, 10), 3},
	} {
		got := httpapi.Fit(tc.found, func(s string) string { return s })
		if len(got) != tc.want || got == nil {
			t.Errorf("%s: Fit returns %d of %d, want %d", name, len(got), len(tc.found), tc.want)
		}
	}
}

// TestLinksAreAbsolute: clients can follow them without change.
func TestLinksAreAbsolute(t *testing.T) {
	const headers = "evil.example"
	tests := []struct {
		name, url, domain, path, want string
	}{
		{"no domain", "", "", "/live/v1/things", "/v1/things"},
		{"the stage", "", "abc123.execute-api.ap-southeast-2.amazonaws.com", "/live/v1/things", "https://abc123.execute-api.ap-southeast-2.amazonaws.com/live/v1/things"},
		{"a domain of one's own", "", "api.example.com", "/v1/things", "https://api.example.com/v1/things"},
		{"with a base path", "", "api.example.com", "/a/b/v1/things", "https://api.example.com/a/b/v1/things"},
		{"slashes that the gateway left out", "", "api.example.com", "/live//v1/things/", "https://api.example.com/live/v1/things"},
		{"a shorter path than the resource", "", "api.example.com", "/things", "https://api.example.com/v1/things"},
		{"no path", "", "api.example.com", "", "https://api.example.com/v1/things"},
		{"a setting", "http://127.0.0.1:8080", "", "/live/v1/things", "http://127.0.0.1:8080/v1/things"},
		{"a setting before the domain", "https://api.example.com/x", "abc123.execute-api.ap-southeast-2.amazonaws.com", "/live/v1/things", "https://api.example.com/x/v1/things"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			api := quiet(httpapi.Route{Method: "GET", Resource: "/v1/things", Handler: func(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
				links, err := pager(nil).Links(ctx, req, httpapi.Page{Number: 2, Size: 25}, &httpapi.Position{At: now(), ID: "71"})
				return httpapi.JSON(200, links), err
			}})
			api.URL = tc.url
			resp, err := api.Serve(t.Context(), events.APIGatewayProxyRequest{
				HTTPMethod: "GET", Resource: "/v1/things", Path: "/v1/things",
				Headers:        map[string]string{"Host": headers, "X-Forwarded-Host": headers, "X-Forwarded-Proto": "ftp", "Forwarded": "host=" + headers},
				RequestContext: events.APIGatewayProxyRequestContext{DomainName: tc.domain, Path: tc.path, Stage: "live"},
			})
			if err != nil {
				t.Fatal(err)
			}
			var links httpapi.LinksBody
			if err := json.Unmarshal([]byte(resp.Body), &links); err != nil {
				t.Fatal(err)
			}
			for name, href := range map[string]string{"first": links.First.Href, "prev": links.Prev.Href, "next": links.Next.Href} {
				if got, _, _ := strings.Cut(href, "?"); got != tc.want {
					t.Errorf("%s is %s, want %s", name, got, tc.want)
				}
			}
		})
	}
}

func TestPagingNeedsTheSecret(t *testing.T) {
	down := errors.New("down")
	p := pager(nil)
	text := cursorOf(t, p, httpapi.Page{Number: 1, Size: 25}, httpapi.Position{At: now(), ID: "71"})
	p.Sealer = seal.New(func(context.Context) (secret.Text, error) { return secret.Text{}, down }, time.Now)
	if _, _, err := p.Parse(t.Context(), asked(t, "cursor="+text)); !errors.Is(err, down) {
		t.Errorf("Parse = %v", err)
	}
	if _, err := p.Links(t.Context(), asked(t, ""), httpapi.Page{Number: 1, Size: 25}, &httpapi.Position{At: now(), ID: "1"}); !errors.Is(err, down) {
		t.Errorf("Links = %v", err)
	}
	// A malformed cursor and a last page do not read the secret.
	if _, problems, err := p.Parse(t.Context(), asked(t, "cursor=x")); err != nil || len(problems) != 1 {
		t.Errorf("Parse of a malformed cursor = %v, %v", problems, err)
	}
	if _, err := p.Links(t.Context(), asked(t, ""), httpapi.Page{Number: 2, Size: 25}, nil); err != nil {
		t.Errorf("Links without next = %v", err)
	}
}
