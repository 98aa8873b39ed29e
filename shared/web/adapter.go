package web

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// requestOf makes the request of an event. The error, fault.Invalid for a body that cannot be
// decoded, comes with a request all the same: its page needs one.
func requestOf(ctx context.Context, event events.APIGatewayProxyRequest) (*http.Request, error) {
	r := (&http.Request{
		Method: strings.ToUpper(event.HTTPMethod), URL: &url.URL{Path: pathOf(event), RawQuery: queryOf(event)},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: headerOf(event), RemoteAddr: event.RequestContext.Identity.SourceIP,
	}).WithContext(ctx)
	r.Host = r.Header.Get("Host")
	if r.Host == "" {
		// Never empty: the origin "null" has an empty host, too.
		r.Host = "unknown.invalid"
	}
	body := []byte(event.Body)
	var err error
	if event.IsBase64Encoded {
		if body, err = base64.StdEncoding.DecodeString(event.Body); err != nil {
			body, err = nil, errUnreadable(err)
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return r, err
}

// pathOf returns the path below the base path. The event's path may begin with the base path
// of a domain, and emulators decode it or do not; the resource tells what is the function's.
// A slash at the end does not count.
func pathOf(event events.APIGatewayProxyRequest) string {
	path := strings.Replace(event.Resource, "{proxy+}", event.PathParameters["proxy"], 1)
	if path != "/" {
		path = strings.TrimSuffix(path, "/")
	}
	return path
}

// baseOf returns what the path that the gateway was called at has before the resource: the
// stage, or the base path of a domain.
func baseOf(event events.APIGatewayProxyRequest) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(event.Resource, "/"), "/")
	base := ""
	for segment := range strings.SplitSeq(event.RequestContext.Path, "/") {
		switch {
		case segment == first:
			return base
		case segment != "" && plain(segment):
			base += "/" + segment
		}
	}
	return ""
}

// queryOf returns the query, which gateways decode.
func queryOf(event events.APIGatewayProxyRequest) string {
	query := url.Values(event.MultiValueQueryStringParameters)
	if len(query) == 0 {
		query = url.Values{}
		for name, value := range event.QueryStringParameters {
			query.Set(name, value)
		}
	}
	return query.Encode()
}

// headerOf returns the headers. AWS keeps the case that the client sent, and sends all values
// in MultiValueHeaders; some emulators send only Headers.
func headerOf(event events.APIGatewayProxyRequest) http.Header {
	header := http.Header{}
	for _, name := range slices.Sorted(maps.Keys(event.MultiValueHeaders)) {
		for _, value := range event.MultiValueHeaders[name] {
			header.Add(name, value)
		}
	}
	if len(header) == 0 {
		for _, name := range slices.Sorted(maps.Keys(event.Headers)) {
			header.Add(name, event.Headers[name])
		}
	}
	return header
}

// answer is the http.ResponseWriter of a request.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
	err    error // of the handler
}

func (a *answer) Header() http.Header { return a.header }

// WriteHeader keeps the first status, as net/http does.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

func (a *answer) code() int {
	if a.status == 0 {
		return http.StatusOK
	}
	return a.status
}

// policy allows what pages need: our own style sheet, script and pictures, and forms to us.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// event returns the answer for the gateway, with the headers of every page. https says that
// browsers come by https.
func (a *answer) event(head bool, requestID string, https bool) events.APIGatewayProxyResponse {
	h := a.header
	h.Set("Content-Security-Policy", policy)
	// Tokens are in paths, so nothing goes to other sites. Under no-referrer a browser would post with "Origin: null".
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
	h.Set("X-Request-Id", requestID)
	if https {
		h.Set("Strict-Transport-Security", "max-age=63072000")
	}
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	out := events.APIGatewayProxyResponse{StatusCode: a.code(), MultiValueHeaders: h}
	switch {
	case head:
	case utf8.Valid(a.body.Bytes()):
		out.Body = a.body.String()
	default:
		out.Body, out.IsBase64Encoded = base64.StdEncoding.EncodeToString(a.body.Bytes()), true
	}
	return out
}
