package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/fault"
	"carrierlink/shared/metrics"
	"carrierlink/shared/secret"
	"carrierlink/shared/web"
)

const (
	canary = "hunter2-canary-7f3a"
	id     = "6b1e7a52-0d1f-4f4e-9d7e-0a4f4c1b2d3e"
)

// text is a page of one text; as templ's components, it renders nothing once its context has ended.
type text string

func (p text) Render(ctx context.Context, w io.Writer) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := io.WriteString(w, string(p))
	return err
}

func shows(page string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error { return web.Render(w, r, http.StatusOK, text(page)) }
}

func fails(err error) web.Handler {
	return func(http.ResponseWriter, *http.Request) error { return err }
}

// errorPage shows what Site.Error gets.
func errorPage(r *http.Request, status int, err error) web.Page {
	return text(fmt.Sprintf("error %d %s %s", status, fault.KindOf(err), web.RequestID(r.Context())))
}

func site(routes ...web.Route) *web.Site {
	return &web.Site{
		PublicURL: "https://example.com/base", Routes: routes, Error: errorPage, Log: slog.New(slog.DiscardHandler),
		Assets: []web.Asset{{Name: "app.0a1b2c3d.css", Type: "text/css; charset=utf-8", Body: []byte("a{}")}, {Name: "dot.0a1b2c3d.png", Type: "image/png", Body: []byte{0x89, 'P', 0xff}}},
	}
}

// request is an event of the gateway for a path below /portal or /assets.
func request(method, path string) events.APIGatewayProxyRequest {
	event := events.APIGatewayProxyRequest{
		HTTPMethod: method, Resource: "/portal", Path: path,
		MultiValueHeaders: map[string][]string{"Host": {"example.com"}},
		RequestContext:    events.APIGatewayProxyRequestContext{RequestID: id, Path: "/live" + path, Identity: events.APIGatewayRequestIdentity{SourceIP: "203.0.113.7"}},
	}
	for _, first := range []string{"/portal", "/assets"} {
		if rest, ok := strings.CutPrefix(path, first+"/"); ok {
			event.Resource, event.PathParameters = first+"/{proxy+}", map[string]string{"proxy": rest}
		}
	}
	return event
}

func serve(t *testing.T, s *web.Site, event events.APIGatewayProxyRequest) events.APIGatewayProxyResponse {
	t.Helper()
	answer, err := s.Serve(t.Context(), event)
	if err != nil {
		t.Fatalf("Serve = %v, want no error", err)
	}
	return answer
}

// TestHeaders: every answer has the headers of a page, whatever went wrong.
func TestHeaders(t *testing.T) {
	s := site(
		web.Route{Pattern: "GET /portal/panic", Handler: func(http.ResponseWriter, *http.Request) error { panic(canary) }},
		web.Route{Pattern: "GET /portal/fails", Handler: fails(errors.New(canary))},
		web.Route{Pattern: "GET /portal/late", Handler: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("X-Left", canary)
			_, _ = io.WriteString(w, canary)
			return fault.New(fault.State, "m")
		}},
		web.Route{Pattern: "GET /portal/locked", Handler: fails(fault.New(fault.Unauthorized, "m"))},
		web.Route{Pattern: "GET /portal", Handler: shows("overview")},
		web.Route{Pattern: "POST /portal/form", Handler: func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Security-Policy", "none of ours")
			return web.Redirect(w, r, "/portal", nil)
		}},
	)
	foreign := request("POST", "/portal/form")
	foreign.MultiValueHeaders["Sec-Fetch-Site"] = []string{"cross-site"}
	broken := request("POST", "/portal/form")
	broken.Body, broken.IsBase64Encoded = "&&&", true
	for _, tc := range []struct {
		name   string
		event  events.APIGatewayProxyRequest
		status int
		cache  string
		body   string
	}{
		{"a panic", request("GET", "/portal/panic"), 500, "no-store", "error 500 internal " + id},
		{"our fault", request("GET", "/portal/fails"), 500, "no-store", "error 500 internal " + id},
		{"an error after the page", request("GET", "/portal/late"), 409, "no-store", "error 409 state " + id},
		{"no such page", request("GET", "/portal/nowhere"), 404, "no-store", "error 404 not found " + id},
		{"no such page, HEAD", request("HEAD", "/portal/nowhere"), 404, "no-store", ""},
		{"a path that is not clean", request("GET", "/portal//panic"), 404, "no-store", "error 404 not found " + id},
		{"dots", request("GET", "/portal/a/../panic"), 404, "no-store", "error 404 not found " + id},
		{"dots at the end", request("GET", "/portal/a/.."), 404, "no-store", "error 404 not found " + id},
		{"another method", request("POST", "/portal"), 405, "no-store", "error 405 invalid " + id},
		{"another site", foreign, 403, "no-store", "error 403 forbidden " + id},
		{"a body that is no base64", broken, 400, "no-store", "error 400 invalid " + id},
		{"an asset of another release", request("GET", "/assets/app.ffffffff.css"), 404, "no-store", "error 404 not found " + id},
		{"an asset, POST", request("POST", "/assets/app.0a1b2c3d.css"), 405, "no-store", "error 405 invalid " + id},
		{"not signed in", request("GET", "/portal/locked"), 303, "no-store", ""},
		{"a redirect", request("POST", "/portal/form"), 303, "no-store", ""},
		{"an asset", request("GET", "/assets/app.0a1b2c3d.css"), 200, "public, max-age=31536000, immutable", "a{}"},
		{"an asset, HEAD", request("HEAD", "/assets/app.0a1b2c3d.css"), 200, "public, max-age=31536000, immutable", ""},
		{"an asset that is no text", request("GET", "/assets/dot.0a1b2c3d.png"), 200, "public, max-age=31536000, immutable", "iVD/"},
		{"a page", request("GET", "/portal"), 200, "no-store", "overview"},
		{"a page with a slash", request("GET", "/portal/"), 200, "no-store", "overview"},
		{"a page, HEAD", request("HEAD", "/portal"), 200, "no-store", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answer := serve(t, s, tc.event)
			got := http.Header(answer.MultiValueHeaders)
			want := http.Header{
				"Content-Security-Policy":      {"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
				"Referrer-Policy":              {"same-origin"},
				"Strict-Transport-Security":    {"max-age=63072000"},
				"X-Content-Type-Options":       {"nosniff"},
				"Cross-Origin-Opener-Policy":   {"same-origin"},
				"Cross-Origin-Resource-Policy": {"same-origin"},
				"Permissions-Policy":           {"camera=(), geolocation=(), microphone=(), payment=()"},
				"Cache-Control":                {tc.cache},
				"X-Request-Id":                 {id},
			}
			if answer.StatusCode != http.StatusSeeOther && got.Get("Content-Type") == "" {
				t.Error("no Content-Type")
			}
			if (answer.StatusCode == http.StatusMethodNotAllowed) != (got.Get("Allow") == "GET, HEAD") {
				t.Errorf("status %d, Allow %q", answer.StatusCode, got.Get("Allow"))
			}
			for _, name := range []string{"Content-Type", "Allow", "Location"} {
				got.Del(name)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			if answer.StatusCode != tc.status || answer.Body != tc.body {
				t.Errorf("%d %q, want %d %q", answer.StatusCode, answer.Body, tc.status, tc.body)
			}
			if answer.IsBase64Encoded != (tc.body == "iVD/") {
				t.Errorf("IsBase64Encoded = %t", answer.IsBase64Encoded)
			}
		})
	}
}

// TestStrictTransport: a site that browsers reach by http has no such header.
func TestStrictTransport(t *testing.T) {
	for public, want := range map[string]string{"http://127.0.0.1:8080": "", "https://example.com": "max-age=63072000", "": "max-age=63072000"} {
		s := site()
		s.PublicURL = public
		if got := http.Header(serve(t, s, request("GET", "/portal")).MultiValueHeaders).Get("Strict-Transport-Security"); got != want {
			t.Errorf("PublicURL %q: %q, want %q", public, got, want)
		}
	}
}

// TestCrossOrigin: forms of other sites are refused.
func TestCrossOrigin(t *testing.T) {
	for _, tc := range []struct {
		name, method, site, origin, host string
		ok                               bool
	}{
		{"another site", "POST", "cross-site", "https://evil.example", "gateway.invalid", false},
		{"another site that hides its origin", "POST", "cross-site", "null", "gateway.invalid", false},
		{"a sister domain", "POST", "same-site", "https://evil.example.com", "gateway.invalid", false},
		{"an old browser, another site", "POST", "", "https://evil.example", "gateway.invalid", false},
		{"an old browser that hides its origin", "POST", "", "null", "gateway.invalid", false},
		{"an old browser that hides its origin, and no host", "POST", "", "null", "", false},
		{"our address as the beginning of another", "POST", "", "https://example.com.evil.example", "gateway.invalid", false},
		{"our address by another scheme", "POST", "", "http://example.com", "gateway.invalid", false},
		{"our address at another port", "POST", "", "https://example.com:8443", "gateway.invalid", false},
		{"an unknown word", "POST", "sideways", "https://evil.example", "gateway.invalid", false},
		{"our page", "POST", "same-origin", "https://example.com", "gateway.invalid", true},
		{"our page behind a proxy that changes the host", "POST", "", "https://example.com", "gateway.invalid", true},
		{"the gateway's own address", "POST", "", "https://gateway.invalid", "gateway.invalid", true},
		{"typed by a person", "POST", "none", "", "gateway.invalid", true},
		{"no browser", "POST", "", "", "gateway.invalid", true},
		{"a link of another site", "GET", "cross-site", "", "gateway.invalid", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			called := false
			do := func(w http.ResponseWriter, r *http.Request) error { called = true; return shows("fine")(w, r) }
			event := request(tc.method, "/portal/x")
			event.MultiValueHeaders = map[string][]string{}
			for name, value := range map[string]string{"sec-fetch-site": tc.site, "origin": tc.origin, "host": tc.host} {
				if value != "" {
					event.MultiValueHeaders[name] = []string{value}
				}
			}
			answer := serve(t, site(web.Route{Pattern: "POST /portal/x", Handler: do}, web.Route{Pattern: "GET /portal/x", Handler: do}), event)
			if called != tc.ok || (answer.StatusCode == http.StatusForbidden) == tc.ok {
				t.Errorf("called %t, status %d, want called %t", called, answer.StatusCode, tc.ok)
			}
		})
	}
}

// TestUnauthorized leads to the page for signing in, which leads back.
func TestUnauthorized(t *testing.T) {
	for _, tc := range []struct {
		name, method, path, cookie, want string
	}{
		{"a form", "POST", "/portal/carriers/se-1/change", "", "/base/portal/sign-in?next=%2Fportal%2Fcarriers%2Fse-1%2Fchange"},
		{"a form of the page above", "POST", "/portal/carriers/se-1/verify", "", "/base/portal/sign-in?next=%2Fportal%2Fcarriers%2Fse-1"},
		{"a form of a page further above", "POST", "/portal/carriers/se-1/a/b/c", "", "/base/portal/sign-in?next=%2Fportal%2Fcarriers%2Fse-1"},
		{"a form of no page", "POST", "/portal/none", "", "/base/portal/sign-in?next=%2Fportal"},
		{"a form with a token", "POST", "/portal/reset/AbC", "", "/base/portal/sign-in"},
		{"a form that leads on", "POST", "/portal/form?next=/portal/x", "", "/base/portal/sign-in?next=%2Fportal%2Fcarriers"},
		{"a page that leads on", "GET", "/portal/form?next=/portal/carriers", "", "/base/portal/sign-in?next=%2Fportal%2Fcarriers"},
		{"a page that leads elsewhere", "GET", "/portal/form?next=//evil.example", "", "/base/portal/sign-in?next=%2Fportal%2Fform"},
		{"a path with a token", "GET", "/portal/reset/AbC", "", "/base/portal/sign-in"},
		{"a page", "GET", "/portal/carriers/se-1", "", "/base/portal/sign-in?next=%2Fportal%2Fcarriers%2Fse-1"},
		{"a page, HEAD", "HEAD", "/portal/carriers/se-1", "", "/base/portal/sign-in?next=%2Fportal%2Fcarriers%2Fse-1"},
		{"a session that ended", "GET", "/portal", "__Host-session=" + canary, "/base/portal/sign-in?done=signed-out&next=%2Fportal"},
		{"a session that ended, a form", "POST", "/portal", "__Host-session=" + canary, "/base/portal/sign-in?done=signed-out&next=%2Fportal"},
		{"a session twice", "POST", "/portal", "__Host-session=a; __Host-session=b", "/base/portal/sign-in?done=signed-out&next=%2Fportal"},
		{"another cookie", "POST", "/portal", "session=" + canary, "/base/portal/sign-in?next=%2Fportal"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path, query, _ := strings.Cut(tc.path, "?next=")
			event := request(tc.method, path)
			if query != "" {
				event.MultiValueQueryStringParameters = map[string][]string{"next": {query}}
			}
			if tc.cookie != "" {
				event.MultiValueHeaders["cookie"] = []string{tc.cookie}
			}
			locked := fails(fmt.Errorf("wrapped: %w", fault.New(fault.Unauthorized, "m")))
			var routes []web.Route
			for _, pattern := range []string{
				"POST /portal/{rest...}", "/portal", "GET /portal/reset/{token}", "GET /portal/carriers/{carrier_id}", "GET /portal/carriers/{carrier_id}/change", "GET /portal/form",
			} {
				routes = append(routes, web.Route{Pattern: pattern, Handler: locked})
			}
			routes = append(routes, web.Route{Pattern: "POST /portal/form", Handler: func(w http.ResponseWriter, r *http.Request) error {
				if form, err := web.Form(r); err != nil || form.Get("next") == "" {
					t.Errorf("Form = %v, %v", form, err)
				}
				return locked(w, r)
			}})
			if path == "/portal/form" && tc.method == http.MethodPost {
				event.Body, event.MultiValueHeaders["content-type"] = "next=%2Fportal%2Fcarriers", []string{"application/x-www-form-urlencoded"}
			}
			answer := serve(t, site(routes...), event)
			if got := http.Header(answer.MultiValueHeaders).Get("Location"); answer.StatusCode != http.StatusSeeOther || got != tc.want {
				t.Errorf("%d to %q, want %q", answer.StatusCode, got, tc.want)
			}
		})
	}
}

// TestFailures: a kind has the same status as in the API, and its wait.
func TestFailures(t *testing.T) {
	limited := fault.New(fault.RateLimited, "m")
	limited.RetryAfter = 61 * time.Second
	for _, tc := range []struct {
		name       string
		err        error
		status     int
		retryAfter string
	}{
		{"nothing known", errors.New(canary), 500, ""},
		{"AWS is slow", fmt.Errorf("reading: %w", context.DeadlineExceeded), 503, "5"},
		{"too often", limited, 429, "61"},
		{"not allowed", fault.New(fault.Forbidden, "m"), 403, ""},
		{"not found", fault.New(fault.NotFound, "m"), 404, ""},
		{"too large", fault.New(fault.TooLarge, "m"), 413, ""},
		{"the carrier is down", fault.New(fault.CarrierDown, "m"), 502, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answer := serve(t, site(web.Route{Pattern: "GET /portal", Handler: fails(tc.err)}), request("GET", "/portal"))
			if got := http.Header(answer.MultiValueHeaders).Get("Retry-After"); answer.StatusCode != tc.status || got != tc.retryAfter {
				t.Errorf("%d, Retry-After %q, want %d, %q", answer.StatusCode, got, tc.status, tc.retryAfter)
			}
		})
	}
}

// TestErrorPageFails: people get a sentence with the request id, and the log gets the reason.
func TestErrorPageFails(t *testing.T) {
	for name, page := range map[string]func(*http.Request, int, error) web.Page{
		"a panic":  func(*http.Request, int, error) web.Page { panic(canary) },
		"an error": func(*http.Request, int, error) web.Page { return failing{} },
	} {
		var log bytes.Buffer
		s := site()
		s.Error, s.Log = page, slog.New(slog.NewJSONHandler(&log, nil))
		answer := serve(t, s, request("GET", "/portal/none"))
		got := http.Header(answer.MultiValueHeaders)
		if answer.StatusCode != http.StatusNotFound || !strings.Contains(answer.Body, id) || strings.Contains(answer.Body, "half") || got.Get("Content-Type") != "text/plain; charset=utf-8" || got.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %d %q %v", name, answer.StatusCode, answer.Body, got)
		}
		if line := log.String(); strings.Count(line, "\n") != 1 || !strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, canary) || !strings.Contains(line, "web_test.go") && !strings.Contains(line, "broken") {
			t.Errorf("%s: log, want one error with the reason:\n%s", name, line)
		}
	}
}

// failing is a page that fails halfway.
type failing struct{}

func (failing) Render(_ context.Context, w io.Writer) error {
	_, _ = io.WriteString(w, "half")
	return errors.New("broken")
}

// TestDeadline: the page of an error is rendered although the time is up.
func TestDeadline(t *testing.T) {
	waits := func(_ http.ResponseWriter, r *http.Request) error {
		<-r.Context().Done()
		return fmt.Errorf("reading: %w", r.Context().Err())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	answer, err := site(web.Route{Pattern: "GET /portal", Handler: waits}).Serve(ctx, request("GET", "/portal"))
	if want := "error 503 overloaded " + id; err != nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Body != want {
		t.Errorf("Serve = %d %q, %v, want 503 %q", answer.StatusCode, answer.Body, err, want)
	}
}

// TestRecord: the record of a request has its pattern and who made it, but not its path, which
// may hold a token, nor the value of a panic.
func TestRecord(t *testing.T) {
	known := func(w http.ResponseWriter, r *http.Request) error {
		web.Identify(r.Context(), 12, 34)
		return shows("fine")(w, r)
	}
	for _, tc := range []struct {
		name    string
		handler web.Handler
		path    string
		want    map[string]any
		metrics []string
	}{
		{
			"a panic", func(http.ResponseWriter, *http.Request) error { panic(canary) }, "/portal/reset/" + canary,
			map[string]any{"level": "ERROR", "resource": "/portal/reset/{token}", "status": 500.0},
			[]string{"Failures Route=pages", "Latency Route=pages", "Requests Outcome=ours"},
		},
		{
			"the carrier is down", fails(fault.New(fault.CarrierDown, "m")), "/portal/reset/" + canary,
			map[string]any{"level": "WARN", "resource": "/portal/reset/{token}", "status": 502.0, "error": "carrier down: m"},
			[]string{"Failures Route=pages", "Latency Route=pages", "Requests Outcome=carrier"},
		},
		{
			"no such page", known, "/portal/" + canary,
			map[string]any{"level": "INFO", "resource": "/portal/{proxy+}", "status": 404.0, "error": "not found: There is no such page."},
			[]string{"Latency Route=pages", "Requests Outcome=rejected"},
		},
		{
			"a page", known, "/portal/reset/" + canary,
			map[string]any{"level": "INFO", "resource": "/portal/reset/{token}", "status": 200.0, "account_id": 12.0, "partner_id": 34.0},
			[]string{"Latency Route=pages", "Requests Outcome=ok"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log bytes.Buffer
			clock := time.UnixMilli(1_795_000_000_000)
			s := site(web.Route{Pattern: "GET /portal/reset/{token}", Handler: tc.handler})
			s.Log, s.Now = slog.New(slog.NewJSONHandler(&log, nil)), func() time.Time { clock = clock.Add(42 * time.Millisecond); return clock }
			s.Metrics = metrics.Recorder{Stage: "test", Now: func() time.Time { return clock }}
			serve(t, s, request("GET", tc.path))
			if strings.Contains(log.String(), canary) || strings.Count(log.String(), "\n") != 1 {
				t.Fatalf("log, want one line without the path:\n%s", &log)
			}
			var got []string
			for name := range metricstest.In(t, log.String()) {
				got = append(got, name)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tc.metrics, got); diff != "" {
				t.Errorf("metrics (-want +got):\n%s", diff)
			}
			var record map[string]any
			if err := json.Unmarshal(log.Bytes(), &record); err != nil {
				t.Fatal(err)
			}
			tc.want["msg"], tc.want["method"], tc.want["duration_ms"] = "request", "GET", 42.0
			have := map[string]any{}
			for _, name := range []string{"level", "msg", "method", "resource", "status", "duration_ms", "account_id", "partner_id", "error"} {
				if v, ok := record[name]; ok && (name != "error" || tc.name != "a panic") {
					have[name] = v
				}
			}
			if diff := cmp.Diff(tc.want, have); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

// TestContradiction: routes that contradict one another are found at the first request.
func TestContradiction(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("two routes with one pattern were accepted")
		}
	}()
	serve(t, site(web.Route{Pattern: "GET /portal", Handler: shows("a")}, web.Route{Pattern: "GET /portal", Handler: shows("b")}), request("GET", "/portal"))
}

func TestRedirect(t *testing.T) {
	for _, path := range []string{
		"", "/", "//evil.example", "/\\evil.example", "\\evil.example", "https://evil.example", "javascript:alert(1)", "/portalevil", "/assets/app.css", "/v1/carriers",
		"/portal\r\nSet-Cookie: a=b", "/portal%0d%0a", "/portal/%2f%2fevil.example", "/portal?next=//evil.example", "/portal#x", "portal", " /portal", "/portal/ä", "/portal/\x00",
	} {
		answer := serve(t, site(web.Route{Pattern: "GET /portal", Handler: func(w http.ResponseWriter, r *http.Request) error {
			return web.Redirect(w, r, path, nil)
		}}), request("GET", "/portal"))
		if answer.StatusCode != http.StatusInternalServerError || answer.MultiValueHeaders["Location"] != nil {
			t.Errorf("Redirect to %q: %d, headers %v, want 500", path, answer.StatusCode, answer.MultiValueHeaders)
		}
	}
	for path, want := range map[string]string{
		"/portal":                 "/base/portal?done=a%0D%0Ab%26c",
		"/portal/invitation/Ab-_": "/base/portal/invitation/Ab-_?done=a%0D%0Ab%26c",
		"/portal//evil.example":   "/base/portal//evil.example?done=a%0D%0Ab%26c",
	} {
		answer := serve(t, site(web.Route{Pattern: "GET /portal", Handler: func(w http.ResponseWriter, r *http.Request) error {
			return web.Redirect(w, r, path, url.Values{"done": {"a\r\nb&c"}})
		}}), request("GET", "/portal"))
		if got := http.Header(answer.MultiValueHeaders).Get("Location"); answer.StatusCode != http.StatusSeeOther || got != want {
			t.Errorf("Redirect to %q: %d to %q, want %q", path, answer.StatusCode, got, want)
		}
	}
}

func TestLocalPath(t *testing.T) {
	for _, path := range []string{
		"", "/", "//evil.example", "//evil.example/portal", "/\\evil.example", "\\evil.example", "/portal\\evil.example", "https://evil.example/portal", "javascript:alert(1)",
		"/portalevil", "/portal.evil.example", "/portal@evil.example", "/assets/app.css", "/portal\r\nx", "/portal/%2f%2fevil.example", "/portal?x", "/portal#x", "/portal/..", "/portal/Ab", " /portal", "/portal ", "/portal/ä", "/portal/\x00",
	} {
		if got := web.LocalPath(path, "/portal/fallback"); got != "/portal/fallback" {
			t.Errorf("LocalPath(%q) = %q, want the fallback", path, got)
		}
	}
	for _, path := range []string{"/portal", "/portal/", "/portal/carriers/se-1_2/change"} {
		if got := web.LocalPath(path, ""); got != path {
			t.Errorf("LocalPath(%q) = %q", path, got)
		}
	}
}

func TestForm(t *testing.T) {
	const plain = "application/x-www-form-urlencoded"
	for _, tc := range []struct {
		name, contentType, body string
		kind                    fault.Kind
	}{
		{"no type", "", "a=b", fault.MediaType},
		{"JSON", "application/json", `{"a":"b"}`, fault.MediaType},
		{"files", "multipart/form-data; boundary=x", "--x--", fault.MediaType},
		{"another charset", plain + "; charset=latin1", "a=b", fault.MediaType},
		{"too large", plain, "a=" + strings.Repeat("b", web.MaxBody-1), fault.TooLarge},
		{"a bad escape", plain, "a=%zz" + canary, fault.Invalid},
		{"a semicolon", plain, "a=b;c=" + canary, fault.Invalid},
		{"no UTF-8", plain, "a=%ff", fault.Invalid},
		{"a name that is no UTF-8", plain, "%ff=a", fault.Invalid},
		{"NUL", plain, "a=b%00", fault.Invalid},
		{"NUL in a name", plain, "a%00=b", fault.Invalid},
		{"a field twice", plain, "hunter2-canary-7f3a=b&hunter2-canary-7f3a=b", fault.Invalid},
	} {
		r := &http.Request{Header: http.Header{"Content-Type": {tc.contentType}}, Body: io.NopCloser(strings.NewReader(tc.body))}
		form, err := web.Form(r)
		if !fault.Is(err, tc.kind) || form != nil || strings.Contains(fmt.Sprint(err), canary) {
			t.Errorf("%s: Form = %v, %v, want %v", tc.name, form, err, tc.kind)
		}
	}
	for body, want := range map[string]url.Values{
		"":                                       {},
		"a=b%20c&d=%F0%9F%90%A8+%3Cscript%3E&e=": {"a": {"b c"}, "d": {"🐨 <script>"}, "e": {""}},
		"a=" + strings.Repeat("b", web.MaxBody-2): {"a": {strings.Repeat("b", web.MaxBody-2)}},
	} {
		r := &http.Request{Header: http.Header{"Content-Type": {plain + ";charset=UTF-8"}}, Body: io.NopCloser(strings.NewReader(body))}
		form, err := web.Form(r)
		if diff := cmp.Diff(want, form); diff != "" || err != nil {
			t.Errorf("Form(%.40q): %v (-want +got):\n%s", body, err, diff)
		}
	}
}

func TestCookie(t *testing.T) {
	for _, tc := range []struct{ name, header, want string }{
		{"none", "", ""},
		{"another name", "session=abc", ""},
		{"two", "__Host-session=abc; __Host-session=def", ""},
		{"the same twice", "__Host-session=abc; a=b; __Host-session=abc", ""},
		{"not a value of a cookie", "__Host-session=a\x01b", ""},
		{"one", "a=b; __Host-session=abc-_", "abc-_"},
	} {
		r := &http.Request{Header: http.Header{"Cookie": {tc.header}}}
		if got := web.Cookie(r); !got.Equal(secret.New(tc.want)) {
			t.Errorf("%s: Cookie = %q, want %q", tc.name, got.Reveal(), tc.want)
		}
	}
	for _, tc := range []struct{ text, want string }{
		{"", "__Host-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
		{"abc-_", "__Host-session=abc-_; Path=/; HttpOnly; Secure; SameSite=Lax"},
	} {
		set := func(w http.ResponseWriter, r *http.Request) error {
			http.SetCookie(w, &http.Cookie{Name: "other", Value: "1"})
			web.SetCookie(w, secret.New(tc.text))
			return web.Redirect(w, r, "/portal", nil)
		}
		answer := serve(t, site(web.Route{Pattern: "GET /portal", Handler: set}), request("GET", "/portal"))
		if diff := cmp.Diff([]string{"other=1", tc.want}, answer.MultiValueHeaders["Set-Cookie"]); diff != "" {
			t.Errorf("SetCookie(%q) (-want +got):\n%s", tc.text, diff)
		}
	}
}

// TestOutsideOfASite: pages are rendered in tests without a request.
func TestOutsideOfASite(t *testing.T) {
	web.Identify(t.Context(), 1, 2)
	if got, id := web.Path(t.Context(), "/portal"), web.RequestID(t.Context()); got != "/portal" || id != "" {
		t.Errorf("Path = %q, RequestID = %q", got, id)
	}
}
