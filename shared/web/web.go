// Package web serves pages behind API Gateway through net/http: the event becomes a request,
// its answer goes back with every header. It has the headers that every page needs, the
// protection against requests from other origins, the base path and the assets.
package web

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/aws/aws-lambda-go/events"

	"carrierlink/shared/metrics"
	"carrierlink/shared/secret"
)

// MaxBody is the largest body in bytes.
const MaxBody = 64 << 10

// Handler answers a request. Its error is rendered as a page by Site.Error, and logged once.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Route is a pattern of http.ServeMux, such as "GET /portal/carriers/{carrier_id}", below the
// base path. A GET also answers HEAD.
type Route struct {
	Pattern string
	Handler Handler
}

// Page is what Render writes; templ's components are pages.
type Page interface {
	Render(ctx context.Context, w io.Writer) error
}

// Asset is a file below /assets: Name is its name with its hash, such as app.1f2e3d4c.css.
type Asset struct {
	Name, Type string
	Body       []byte
}

// Site is all pages of a function.
type Site struct {
	PublicURL string // the address of the API without a trailing slash; empty: as it was called
	Routes    []Route
	Assets    []Asset
	// Error returns the page for an error that no handler has rendered, and its status.
	Error   func(r *http.Request, err error) (status int, page Page)
	Metrics metrics.Recorder
}

// Serve is the handler of the function.
func (s *Site) Serve(ctx context.Context, event events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	panic("unfinished")
}

// Path returns the address of a page of this site for links: the base path and path, which
// begins with /portal or /assets.
func Path(ctx context.Context, path string) string { panic("unfinished") }

// RequestID returns the id of the request.
func RequestID(ctx context.Context) string { panic("unfinished") }

// SourceIP returns the address that the request came from.
func SourceIP(r *http.Request) string { panic("unfinished") }

// Render answers with a page.
func Render(w http.ResponseWriter, r *http.Request, status int, p Page) error {
	panic("unfinished")
}

// Redirect answers 303 with a page of this site; query may be nil.
func Redirect(w http.ResponseWriter, r *http.Request, path string, query url.Values) error {
	panic("unfinished")
}

// Form reads a form: application/x-www-form-urlencoded, valid UTF-8 without NUL, at most
// MaxBody bytes, each field once. Errors: fault.MediaType, TooLarge, Invalid.
func Form(r *http.Request) (url.Values, error) { panic("unfinished") }

// LocalPath returns path if it is one of a page of the portal (^/portal[a-z0-9/_-]*$), else
// fallback: no redirect leads elsewhere.
func LocalPath(path, fallback string) string { panic("unfinished") }

// Cookie returns the value of the session cookie __Host-session; empty for none, or for more than one.
func Cookie(r *http.Request) secret.Text { panic("unfinished") }

// SetCookie sets the session cookie; an empty text removes it.
func SetCookie(w http.ResponseWriter, text secret.Text) { panic("unfinished") }
