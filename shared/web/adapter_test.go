package web_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/web"
)

// seen is what a handler sees of a request.
type seen struct {
	Method, Path, Query, Host, IP, Body, Base, Agent, ID string
	Cookies                                              []string
}

// probe is a site that writes down what its handler sees.
func probe(out *seen) *web.Site {
	s := site(web.Route{Pattern: "/portal/{rest...}", Handler: func(w http.ResponseWriter, r *http.Request) error {
		body, err := io.ReadAll(r.Body)
		*out = seen{
			Method: r.Method, Path: r.URL.Path, Query: r.URL.Query().Encode(), Host: r.Host, IP: web.SourceIP(r), Body: string(body),
			Base: web.Path(r.Context(), ""), Agent: r.UserAgent(), ID: web.RequestID(r.Context()),
		}
		for _, c := range r.Cookies() {
			out.Cookies = append(out.Cookies, c.Name+"="+c.Value)
		}
		_, _ = w.Write([]byte("seen"))
		return err
	}})
	s.PublicURL = ""
	return s
}

// TestRequest: the shapes of events of AWS, MiniStack and LocalStack.
func TestRequest(t *testing.T) {
	const uuid = "6b1e7a52-0d1f-4f4e-9d7e-0a4f4c1b2d3e"
	context := func(path string) events.APIGatewayProxyRequestContext {
		return events.APIGatewayProxyRequestContext{RequestID: uuid, Path: path, DomainName: "abc.execute-api.example", Identity: events.APIGatewayRequestIdentity{SourceIP: "203.0.113.7"}}
	}
	for _, tc := range []struct {
		name  string
		event events.APIGatewayProxyRequest
		want  seen
	}{
		{
			"AWS, the stage's address",
			events.APIGatewayProxyRequest{
				HTTPMethod: "POST", Resource: "/portal/{proxy+}", Path: "/portal/carriers/se-1", PathParameters: map[string]string{"proxy": "carriers/se-1"},
				Headers:                         map[string]string{"Host": "abc.execute-api.example", "User-Agent": "b"},
				MultiValueHeaders:               map[string][]string{"Host": {"abc.execute-api.example"}, "User-Agent": {"a"}, "cookie": {"a=1", "b=2; c=3"}},
				QueryStringParameters:           map[string]string{"a": "2"},
				MultiValueQueryStringParameters: map[string][]string{"a": {"1", "2"}, "b c": {"ä&="}},
				RequestContext:                  context("/live/portal/carriers/se-1"), Body: "YT1i", IsBase64Encoded: true,
			},
			seen{
				Method: "POST", Path: "/portal/carriers/se-1", Query: "a=1&a=2&b+c=%C3%A4%26%3D", Host: "abc.execute-api.example", IP: "203.0.113.7", Body: "a=b", Base: "/live", Agent: "a", ID: uuid,
				Cookies: []string{"a=1", "b=2", "c=3"},
			},
		},
		{
			"AWS, a base path of a domain",
			events.APIGatewayProxyRequest{
				HTTPMethod: "GET", Resource: "/portal/{proxy+}", Path: "/shop/portal/account", PathParameters: map[string]string{"proxy": "account"},
				MultiValueHeaders: map[string][]string{"host": {"api.example.com"}}, RequestContext: context("/shop/portal/account"),
			},
			seen{Method: "GET", Path: "/portal/account", Host: "api.example.com", IP: "203.0.113.7", Base: "/shop", ID: uuid},
		},
		{
			"AWS, a domain's root, empty segments, and a page that is named like the site",
			events.APIGatewayProxyRequest{
				HTTPMethod: "GET", Resource: "/portal/{proxy+}", PathParameters: map[string]string{"proxy": "portal/"},
				MultiValueHeaders: map[string][]string{"HOST": {"api.example.com"}}, RequestContext: context("//portal/portal/"),
			},
			seen{Method: "GET", Path: "/portal/portal", Host: "api.example.com", IP: "203.0.113.7", ID: uuid},
		},
		{
			"an emulator with single values, plain text and an id of its own",
			events.APIGatewayProxyRequest{
				HTTPMethod: "post", Resource: "/portal/{proxy+}", Path: "/portal/x", PathParameters: map[string]string{"proxy": "x"},
				Headers: map[string]string{"host": "127.0.0.1:4566", "COOKIE": "a=1"}, QueryStringParameters: map[string]string{"next": "/portal"},
				RequestContext: events.APIGatewayProxyRequestContext{Path: "/live/portal/x", Identity: events.APIGatewayRequestIdentity{SourceIP: "::1"}, RequestID: "12"}, Body: "a=b",
			},
			seen{Method: "POST", Path: "/portal/x", Query: "next=%2Fportal", Host: "127.0.0.1:4566", IP: "::1", Body: "a=b", Base: "/live", Cookies: []string{"a=1"}},
		},
		{
			"nothing but what routes it",
			events.APIGatewayProxyRequest{HTTPMethod: "GET", Resource: "/portal/{proxy+}", PathParameters: map[string]string{"proxy": "x"}},
			seen{Method: "GET", Path: "/portal/x", Host: "unknown.invalid"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got seen
			answer := serve(t, probe(&got), tc.event)
			if answer.StatusCode != http.StatusOK || answer.Body != "seen" {
				t.Fatalf("%d %s", answer.StatusCode, answer.Body)
			}
			if tc.want.ID == "" && len(got.ID) == len(uuid) { // a new one
				got.ID = ""
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOddPaths: a path that a gateway may decode once, twice or not at all is no page.
func TestOddPaths(t *testing.T) {
	for _, proxy := range []string{
		"a%2Fb", "a b", "a+b", "ä", "a\x00b", "%2e%2e/v1", "../v1", "a/../../v1", "./a", "a//b", "/evil.example", "/", "a\\b", "a?b", "a#b", "a\r\nb", "a;b", "{proxy+}", "\xff",
	} {
		var got seen
		event := request("GET", "/portal/x")
		event.PathParameters["proxy"] = proxy
		answer := serve(t, probe(&got), event)
		if answer.StatusCode != http.StatusNotFound || got.Method != "" || answer.MultiValueHeaders["Location"] != nil {
			t.Errorf("path %q: %d, the handler saw %q", proxy, answer.StatusCode, got.Path)
		}
	}
}

// FuzzServe: whatever the event has, the answer is whole and leads nowhere else, and the
// handler gets the very body, headers and query.
func FuzzServe(f *testing.F) {
	f.Add("GET", "/portal/{proxy+}", "carriers/se-1", "/live/portal/carriers/se-1", "Cookie", "a=b", "next", "/portal", []byte("a=b"), true, false)
	f.Add("POST", "/portal", "", "/portal", "ORIGIN", "null", "a", "b", []byte("a=%00"), false, true)
	f.Add("HEAD", "/assets/{proxy+}", "app.0a1b2c3d.css", "//evil.example/assets", "host", "evil.example", "", "\xff", []byte{0xff}, true, true)
	f.Add("OPTIONS", "/portal/{proxy+}", "//evil.example", "/live//evil.example", "sec-fetch-site", "cross-site", "x", "y", []byte{}, false, false)
	f.Fuzz(func(t *testing.T, method, resource, proxy, full, header, value, name, query string, body []byte, encoded, single bool) {
		event := events.APIGatewayProxyRequest{
			HTTPMethod: method, Resource: resource, PathParameters: map[string]string{"proxy": proxy}, Body: string(body), IsBase64Encoded: encoded,
			RequestContext: events.APIGatewayProxyRequestContext{Path: full},
		}
		if encoded {
			event.Body = base64.StdEncoding.EncodeToString(body)
		}
		if single {
			event.Headers, event.QueryStringParameters = map[string]string{header: value}, map[string]string{name: query}
		} else {
			event.MultiValueHeaders, event.MultiValueQueryStringParameters = map[string][]string{header: {value, value}}, map[string][]string{name: {query, query}}
		}
		called := false
		handler := func(w http.ResponseWriter, r *http.Request) error {
			called = true
			got, err := io.ReadAll(r.Body)
			if err != nil || string(got) != string(body) {
				t.Errorf("body %q, %v, want %q", got, err, body)
			}
			if want := (map[bool]int{true: 1, false: 2})[single]; len(r.Header.Values(header)) != want || len(r.URL.Query()[name]) != want || r.Header.Get(header) != value || r.URL.Query().Get(name) != query {
				t.Errorf("headers %v, query %v", r.Header, r.URL.Query())
			}
			if r.Method == http.MethodPost {
				return web.Redirect(w, r, web.LocalPath(query, "/portal"), r.URL.Query())
			}
			_, err = w.Write(body)
			return err
		}
		s := site(web.Route{Pattern: "/portal/{rest...}", Handler: handler}, web.Route{Pattern: "/portal", Handler: handler})
		s.PublicURL = ""
		answer := serve(t, s, event)
		h := http.Header(answer.MultiValueHeaders)
		for _, required := range []string{"Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options", "X-Request-Id", "Cache-Control"} {
			if len(h[required]) != 1 {
				t.Errorf("%s: %v", required, h[required])
			}
		}
		for _, values := range h {
			if slices.ContainsFunc(values, func(v string) bool { return strings.ContainsAny(v, "\r\n\x00") }) {
				t.Errorf("headers %q", h)
			}
		}
		location := h.Get("Location")
		path, _, _ := strings.Cut(location, "?")
		if (location != "") != (answer.StatusCode == http.StatusSeeOther) || location != "" && (strings.HasPrefix(path, "//") || !strings.Contains(path+"/", "/portal/") || strings.ContainsAny(path, `\:%`)) {
			t.Errorf("%d to %q", answer.StatusCode, location)
		}
		text := []byte(answer.Body)
		if answer.IsBase64Encoded {
			var err error
			if text, err = base64.StdEncoding.DecodeString(answer.Body); err != nil {
				t.Errorf("body %q: %v", answer.Body, err)
			}
		} else if !utf8.ValidString(answer.Body) {
			t.Errorf("a body that is no UTF-8 is not encoded: %q", answer.Body)
		}
		if head := strings.EqualFold(method, http.MethodHead); called && answer.StatusCode == http.StatusOK && (!head && string(text) != string(body) || head && len(text) > 0) {
			t.Errorf("body %q, want %q", text, body)
		}
	})
}
