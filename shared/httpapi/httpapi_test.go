package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/invocation"
)

// quiet returns an API that discards its log.
func quiet(routes ...httpapi.Route) *httpapi.API {
	return &httpapi.API{Log: slog.New(slog.DiscardHandler), Routes: routes}
}

const canary = "hunter2-canary-7f3a"

// TestServeSurvivesPanics: the caller gets the envelope. Neither the answer nor the log
// contains the value of the panic, which may quote the request.
func TestServeSurvivesPanics(t *testing.T) {
	var none map[string]string
	panics := map[string]func(){
		"a text":          func() { panic(canary) },
		"an error":        func() { panic(errors.New(canary)) },
		"a fault":         func() { panic(fault.New(fault.NotFound, canary)) },
		"a struct":        func() { panic(struct{ Key string }{canary}) },
		"a pointer":       func() { panic(&struct{ Key string }{canary}) },
		"a nil map":       func() { none[canary] = canary },
		"an index":        func() { _ = []string{canary}[len(none)+1] },
		"a conversion":    func() { _ = any(canary).(int) }, //nolint:forcetypeassert // it is to panic
		"a nil pointer":   func() { var r *httpapi.Response; r.Status = 1 },
		"nil":             func() { panic(nil) },
		"while panicking": func() { defer func() { panic(canary) }(); panic("a " + canary) },
	}
	for name, f := range panics {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			api := &httpapi.API{
				Log: invocation.NewLogger(&log, slog.LevelInfo),
				Routes: []httpapi.Route{{Method: "POST", Resource: "/v1/things", Handler: func(context.Context, *httpapi.Request) (*httpapi.Response, error) {
					f()
					return httpapi.JSON(200, nil), nil
				}}},
			}
			resp, err := api.Serve(t.Context(), post(canary))
			if err != nil || resp.StatusCode != http.StatusInternalServerError || !strings.Contains(resp.Body, `"error_code":"unspecified"`) {
				t.Errorf("Serve = %d %s, %v, want 500 in the envelope", resp.StatusCode, resp.Body, err)
			}
			if strings.Contains(resp.Body+log.String(), canary) {
				t.Errorf("the value of the panic leaks:\n%s\n%s", resp.Body, log.String())
			}
			if !strings.Contains(log.String(), "panic: ") || !strings.Contains(log.String(), "httpapi_test.go") || !strings.Contains(log.String(), `"level":"ERROR"`) {
				t.Errorf("the log has no stack: %s", log.String())
			}
		})
	}
}

func TestServeWithoutResponseIsInternal(t *testing.T) {
	api := quiet(httpapi.Route{Method: "POST", Resource: "/v1/things", Handler: func(context.Context, *httpapi.Request) (*httpapi.Response, error) {
		return nil, nil //nolint:nilnil // what must not bring Serve down
	}})
	if resp, err := api.Serve(t.Context(), post("")); err != nil || resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("Serve = %d, %v, want 500", resp.StatusCode, err)
	}
}

func TestServeRoutes(t *testing.T) {
	says := func(s string) httpapi.Handler {
		return func(context.Context, *httpapi.Request) (*httpapi.Response, error) { return httpapi.JSON(200, s), nil }
	}
	api := quiet(
		httpapi.Route{Method: "POST", Resource: "/v1/things", Handler: says("make")},
		httpapi.Route{Method: "GET", Resource: "/v1/things/{id}", Handler: says("read")},
	)
	tests := []struct {
		name, method, resource, want string // empty want: 404
	}{
		{"another method", "PUT", "/v1/things", ""},
		{"another method, by the catch-all", "PUT", "/{proxy+}", ""},
		{"another resource", "POST", "/v1/thing", ""},
		{"the path is not the resource", "GET", "/v1/things/7", ""},
		{"trailing slash", "POST", "/v1/things/", ""},
		{"HEAD of what has no GET", "HEAD", "/v1/things", ""},
		{"first", "POST", "/v1/things", `"make"`},
		{"second", "GET", "/v1/things/{id}", `"read"`},
		{"method in lower case", "get", "/v1/things/{id}", `"read"`},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			resp, err := api.Serve(t.Context(), events.APIGatewayProxyRequest{HTTPMethod: tc.method, Resource: tc.resource, Path: tc.resource})
			if err != nil {
				t.Fatal(err)
			}
			if tc.want == "" {
				if resp.StatusCode != http.StatusNotFound || tc.method != http.MethodHead && !strings.Contains(resp.Body, "not_found") {
					t.Errorf("%d %s, want 404", resp.StatusCode, resp.Body)
				}
				return
			}
			if resp.StatusCode != http.StatusOK || resp.Body != tc.want {
				t.Errorf("%d %s, want %s", resp.StatusCode, resp.Body, tc.want)
			}
		})
	}
}

// TestHeadIsGetWithoutBody: HEAD has the status and headers of GET.
func TestHeadIsGetWithoutBody(t *testing.T) {
	tests := map[string]httpapi.Handler{
		"an answer": func(context.Context, *httpapi.Request) (*httpapi.Response, error) {
			return &httpapi.Response{Status: 200, Header: map[string]string{"ETag": `"1"`}, Body: []byte(`{}`)}, nil
		},
		"an error": func(context.Context, *httpapi.Request) (*httpapi.Response, error) {
			return nil, fault.New(fault.Unauthorized, "m")
		},
	}
	for name, handler := range tests {
		t.Run(name, func(t *testing.T) {
			api := quiet(httpapi.Route{Method: "GET", Resource: "/health", Handler: handler})
			var got [2]events.APIGatewayProxyResponse
			for i, method := range []string{"GET", "HEAD"} {
				var err error
				if got[i], err = api.Serve(t.Context(), events.APIGatewayProxyRequest{HTTPMethod: method, Resource: "/health"}); err != nil {
					t.Fatal(err)
				}
				delete(got[i].Headers, "X-Request-Id")
			}
			if got[0].Body == "" || got[1].Body != "" {
				t.Errorf("bodies of GET and HEAD = %q, %q", got[0].Body, got[1].Body)
			}
			got[0].Body = ""
			if diff := cmp.Diff(got[0], got[1]); diff != "" {
				t.Errorf("answers to GET (-) and HEAD (+):\n%s", diff)
			}
		})
	}
}

func TestServeHeaders(t *testing.T) {
	base := func(extra map[string]string) map[string]string {
		h := map[string]string{
			"Content-Type": "application/json", "Cache-Control": "no-store", "Api-Version": httpapi.Version, "X-Request-Id": "ID",
			"X-Content-Type-Options": "nosniff", "Strict-Transport-Security": "max-age=31536000",
		}
		for k, v := range extra {
			if h[k] = v; v == "" {
				delete(h, k)
			}
		}
		return h
	}
	body := httpapi.JSON(200, map[string]string{"a": "b"})
	tests := []struct {
		name    string
		method  string
		window  *httpapi.Window
		respond func() (*httpapi.Response, error)
		want    map[string]string
		status  int
		body    string
	}{
		{"error", "POST", nil, func() (*httpapi.Response, error) { return nil, fault.New(fault.NotFound, "m") }, base(nil), 404, `"m"`},
		{
			"rate limited", "POST", &httpapi.Window{Limit: 20, Used: 21, Reset: 1500 * time.Millisecond},
			func() (*httpapi.Response, error) {
				return nil, &fault.Error{Kind: fault.RateLimited, Message: "m", RetryAfter: 1500 * time.Millisecond}
			},
			base(map[string]string{"RateLimit-Limit": "20", "RateLimit-Remaining": "0", "RateLimit-Reset": "2", "Retry-After": "2"}), 429, `"m"`,
		},
		{"plain", "POST", nil, func() (*httpapi.Response, error) { return body, nil }, base(nil), 200, `{"a":"b"}`},
		{
			"rate window", "POST", &httpapi.Window{Limit: 200, Used: 3, Reset: time.Minute}, func() (*httpapi.Response, error) { return body, nil },
			base(map[string]string{"RateLimit-Limit": "200", "RateLimit-Remaining": "197", "RateLimit-Reset": "60"}), 200, `{"a":"b"}`,
		},
		{
			"ETag", "POST", nil, func() (*httpapi.Response, error) {
				return &httpapi.Response{Status: 200, Header: map[string]string{"ETag": `W/"1"`}, Body: []byte(`{}`)}, nil
			},
			base(map[string]string{"ETag": `W/"1"`, "Cache-Control": "private, no-cache"}), 200, `{}`,
		},
		{
			"not modified", "POST", nil, func() (*httpapi.Response, error) {
				return &httpapi.Response{Status: 304, Header: map[string]string{"ETag": `W/"1"`}}, nil
			},
			base(map[string]string{"ETag": `W/"1"`, "Cache-Control": "private, no-cache", "Content-Type": ""}), 304, "",
		},
		{"no body, no header map", "POST", nil, func() (*httpapi.Response, error) { return &httpapi.Response{Status: 204}, nil }, base(map[string]string{"Content-Type": ""}), 204, ""},
		{"HEAD", "HEAD", nil, func() (*httpapi.Response, error) { return body, nil }, base(nil), 200, ""},
		{"HEAD of an error", "HEAD", nil, func() (*httpapi.Response, error) { return nil, fault.New(fault.NotFound, "m") }, base(nil), 404, ""},
		{
			"a replay keeps its id", "POST", nil, func() (*httpapi.Response, error) {
				return &httpapi.Response{Status: 200, Header: map[string]string{"X-Request-Id": "the first"}, Body: []byte(`{}`)}, nil
			},
			base(map[string]string{"X-Request-Id": "the first"}), 200, `{}`,
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var id string
			api := quiet(httpapi.Route{Method: tc.method, Resource: "/v1/things", Handler: func(_ context.Context, req *httpapi.Request) (*httpapi.Response, error) {
				id = req.ID
				if tc.window != nil {
					req.Identify(httpapi.Subject{KeyID: 1}, *tc.window)
				}
				return tc.respond()
			}})
			e := post("")
			e.HTTPMethod = tc.method
			resp, err := api.Serve(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Headers["X-Request-Id"] == id {
				resp.Headers["X-Request-Id"] = "ID"
			}
			if diff := cmp.Diff(tc.want, resp.Headers); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			if resp.StatusCode != tc.status || !strings.Contains(resp.Body, tc.body) || tc.body == "" && resp.Body != "" {
				t.Errorf("%d %s, want %d %s", resp.StatusCode, resp.Body, tc.status, tc.body)
			}
			if strings.Contains(resp.Body, "request_id") && !strings.Contains(resp.Body, id) {
				t.Errorf("the body lacks the request id %s: %s", id, resp.Body)
			}
			if resp.IsBase64Encoded || len(resp.MultiValueHeaders) > 0 {
				t.Error("the body is Base64-encoded")
			}
		})
	}
}

func TestServeLogsOnce(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	ticks := 0
	tests := []struct {
		name string
		err  error
		want map[string]any
	}{
		{
			"internal", errors.New("AccessDenied"),
			map[string]any{"level": "ERROR", "status": 500.0, "error": "AccessDenied"},
		},
		{
			"the caller's", &fault.Error{Kind: fault.NotFound, Message: "m", Cause: errors.New("why")},
			map[string]any{"level": "INFO", "status": 404.0, "error": "not found: m: why"},
		},
		{
			"the carrier's", &fault.Error{Kind: fault.CarrierDown, Message: "m"},
			map[string]any{"level": "WARN", "status": 502.0, "error": "carrier down: m"},
		},
		{
			"a time that is up", fmt.Errorf("reading: %w", context.DeadlineExceeded),
			map[string]any{"level": "WARN", "status": 503.0, "error": fault.Slow(nil).Error() + ": reading: context deadline exceeded"},
		},
		{"good", nil, map[string]any{"level": "INFO", "status": 200.0}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var log bytes.Buffer
			api := &httpapi.API{
				Log: invocation.NewLogger(&log, slog.LevelInfo),
				Now: func() time.Time { ticks++; return at.Add(time.Duration(ticks) * 40 * time.Millisecond) },
				Routes: []httpapi.Route{{Method: "POST", Resource: "/v1/things", Handler: func(_ context.Context, req *httpapi.Request) (*httpapi.Response, error) {
					req.Identify(httpapi.Subject{KeyID: 5, PartnerID: 3}, httpapi.Window{})
					req.Subject.AccountID, req.Subject.CarrierID = 71, "se-1"
					if tc.err != nil {
						return nil, tc.err
					}
					return httpapi.JSON(200, canary), nil
				}}},
			}
			e := post(canary)
			e.Path, e.Headers = "/v1/"+canary, map[string]string{"API-Key": canary}
			resp, err := api.Serve(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal(log.Bytes(), &got); err != nil {
				t.Fatalf("want one log record: %v\n%s", err, log.String())
			}
			delete(got, "timestamp")
			maps.Copy(tc.want, map[string]any{
				"msg": "request", "request_id": resp.Headers["X-Request-Id"], "method": "POST", "resource": "/v1/things", "duration_ms": 40.0,
				"key_id": 5.0, "partner_id": 3.0, "account_id": 71.0, "carrier_id": "se-1",
			})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRequestIDIsTheGateways: if it is a UUID. Anything else may be a caller's text.
func TestRequestIDIsTheGateways(t *testing.T) {
	const good = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
	for _, tc := range []struct{ name, id string }{
		{"none", ""},
		{"a text", "the emulator's"},
		{"without hyphens", "c6af9ac67b6111e69a4193e8deadbeef"},
		{"in braces", "{" + good + "}"},
		{"a URN", "urn:uuid:" + good},
		{"too short", good[1:]},
		{"too long", good + "0"},
		{"a hyphen too many", "-" + good[1:]},
		{"a digit too many", strings.Replace(good, "-", "0", 1)},
		{"no digit", "g" + good[1:]},
		{"a line break", "\n" + good[1:]},
		{"the gateway's replacement", good + "_REPLACED_INVALID_REQUEST_ID"},
		{"a letter of two bytes", "é" + good[2:]},
		{"good", good},
		{"in capitals", strings.ToUpper(good)},
	} {
		e := post("")
		e.RequestContext.RequestID = tc.id
		resp, err := quiet().Serve(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		got := resp.Headers["X-Request-Id"]
		if kept := got == tc.id; kept != strings.EqualFold(tc.id, good) || uuid.Validate(got) != nil || len(got) != len(good) {
			t.Errorf("%s: the id of %q is %q", tc.name, tc.id, got)
		}
		if !strings.Contains(resp.Body, `"request_id":"`+got+`"`) {
			t.Errorf("%s: the body lacks %s: %s", tc.name, got, resp.Body)
		}
	}
}

// TestReplayIsLogged: the record of a replay has the id of its own request, and that of the
// answer, which is the first request's.
func TestReplayIsLogged(t *testing.T) {
	var log bytes.Buffer
	api := &httpapi.API{Log: invocation.NewLogger(&log, slog.LevelInfo), Routes: []httpapi.Route{{
		Method: "POST", Resource: "/v1/things", Handler: func(context.Context, *httpapi.Request) (*httpapi.Response, error) {
			return &httpapi.Response{Status: 200, Header: map[string]string{"X-Request-Id": "the first"}, Body: []byte(`{}`)}, nil
		},
	}}}
	e := post("")
	e.RequestContext.RequestID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
	if _, err := api.Serve(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if want := `"request_id":"` + e.RequestContext.RequestID + `"`; !strings.Contains(log.String(), want) || !strings.Contains(log.String(), `"replay_of":"the first"`) {
		t.Errorf("the record lacks %s or replay_of: %s", want, log.String())
	}
}

func TestRequestIDsDiffer(t *testing.T) {
	var seen []string
	api := quiet()
	e := post("")
	e.RequestContext.RequestID = "the emulator's"
	for range 50 {
		resp, err := api.Serve(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, resp.Headers["X-Request-Id"])
	}
	slices.Sort(seen)
	if len(slices.Compact(seen)) != 50 {
		t.Error("two requests have the same id")
	}
}

func TestTime(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   time.Time
		want string
	}{
		{"milliseconds are cut", time.Date(2026, 1, 2, 3, 4, 5, 678_999_999, time.UTC), "2026-01-02T03:04:05.678Z"},
		{"always three digits", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "2026-01-02T03:04:05.000Z"},
		{"in UTC", time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("AEST", 36000)), "2026-01-01T17:04:05.000Z"},
	} {
		if got := httpapi.Time(tc.in); got == nil || *got != tc.want {
			t.Errorf("%s: Time = %v, want %s", tc.name, got, tc.want)
		}
	}
	if httpapi.Time(time.Time{}) != nil || httpapi.Text("") != nil || *httpapi.Text("a") != "a" {
		t.Error("Text and Time must be null exactly for empty values")
	}
}
