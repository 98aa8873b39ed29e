// Package web serves pages behind API Gateway through net/http: the event becomes a request,
// its answer goes back with every header. It has the headers that every page needs, the
// protection against requests from other origins, the base path and the assets.
package web

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/invocation"
	"carrierlink/shared/metrics"
)

// Handler answers a request. Its error is rendered as a page by Site.Error, and logged once;
// what the handler has written before is dropped.
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

// SignIn is the page that people who are not signed in are sent to, and SignedOut the value of
// its query parameter done if their browser sent a session that has ended.
const (
	SignIn    = "/portal/sign-in"
	SignedOut = "signed-out"
)

// Site is all pages of a function.
type Site struct {
	PublicURL string // the address of the API without a trailing slash; empty: as it was called
	Routes    []Route
	Assets    []Asset
	// Error returns the page for an error that no handler has rendered. status is its kind's in
	// the API, but 405 for a method that the page does not have.
	Error   func(r *http.Request, status int, err error) Page
	Log     *slog.Logger // gets one record a request; nil: slog.Default
	Metrics metrics.Recorder
	Now     func() time.Time // nil: time.Now

	once   sync.Once
	mux    *http.ServeMux
	origin http.CrossOriginProtection
	base   string // the path of PublicURL
}

// prepare makes the parts that all requests share. Patterns that contradict one another panic.
func (s *Site) prepare() {
	s.mux = http.NewServeMux()
	for _, r := range s.Routes {
		s.mux.Handle(r.Pattern, page(r.Handler))
	}
	s.mux.Handle("GET /assets/{name}", page(s.asset))
	if u, err := url.Parse(s.PublicURL); err == nil && u.Host != "" {
		s.base = u.Path
		// It fails only for what is no origin.
		if err := s.origin.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
			panic("web: PublicURL: " + err.Error())
		}
	}
}

// page is a Handler in the mux. Its error stays with the answer until Serve renders it.
type page Handler

func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a, ok := w.(*answer); ok {
		a.err = p(w, r)
	}
}

// visit is what a request carries in its context.
type visit struct {
	id, base           string
	account, partnerID int64
}

type contextKey struct{}

func visitOf(ctx context.Context) *visit {
	v, ok := ctx.Value(contextKey{}).(*visit)
	if !ok {
		return &visit{}
	}
	return v
}

// Serve is the handler of the function. Its error is always nil: people get a page even after
// a panic, and before the gateway gives up.
func (s *Site) Serve(ctx context.Context, event events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	s.once.Do(s.prepare)
	now := s.Now
	if now == nil {
		now = time.Now
	}
	start := now()
	v := &visit{id: httpapi.RequestID(event.RequestContext.RequestID), base: s.base}
	if s.PublicURL == "" {
		v.base = baseOf(event)
	}
	ctx = invocation.With(context.WithValue(ctx, contextKey{}, v), slog.String("request_id", v.id))
	ctx, points := s.Metrics.Start(ctx)
	r, err := requestOf(ctx, event)
	a := &answer{header: http.Header{}}
	if err == nil {
		err = s.route(a, r)
	}
	if err != nil {
		err = httpapi.Slow(err)
		if wrong := s.fail(a, r, err); wrong != nil {
			err = &fault.Error{Kind: fault.Internal, Cause: errors.Join(err, wrong)}
		}
	}
	took := now().Sub(start)
	// The pattern, never the path: tokens are in paths.
	_, resource, _ := strings.Cut(r.Pattern, " ")
	record := []any{
		slog.String("method", r.Method), slog.String("resource", cmp.Or(resource, event.Resource)),
		slog.Int("status", a.code()), slog.Int64("duration_ms", took.Milliseconds()), known("partner_id", v.partnerID), known("account_id", v.account),
	}
	if err != nil {
		record = append(record, slog.String("error", err.Error()))
	}
	httpapi.Measure(ctx, "pages", a.code(), err, took)
	points.Log(ctx, cmp.Or(s.Log, slog.Default()), httpapi.Level(a.code(), err), "request", record...)
	return a.event(r.Method == http.MethodHead, v.id, !strings.HasPrefix(s.PublicURL, "http://")), nil
}

// known returns the attribute of an id; for zero the one that slog leaves out.
func known(name string, id int64) (attr slog.Attr) {
	if id != 0 {
		attr = slog.Int64(name, id)
	}
	return attr
}

// route calls the handler of a request and turns its panic into an error.
func (s *Site) route(a *answer, r *http.Request) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &fault.Error{Kind: fault.Internal, Cause: invocation.Panicked(v)}
		}
	}()
	if err := s.origin.Check(r); err != nil {
		return &fault.Error{Kind: fault.Forbidden, Message: "This form was sent from another site.", Cause: err}
	}
	// The mux would redirect to the clean path, without the base path.
	if !plain(r.URL.Path) || path.Clean(r.URL.Path) != r.URL.Path {
		return errNoPage()
	}
	s.mux.ServeHTTP(a, r) // which sets the pattern
	switch {
	case a.err != nil || r.Pattern != "":
		return a.err
	case a.status == http.StatusMethodNotAllowed:
		return fault.New(fault.Invalid, "This page cannot be used like this.")
	}
	return errNoPage()
}

func errNoPage() error { return fault.New(fault.NotFound, "There is no such page.") }

// fail answers with the page of an error, or sends people who are not signed in to sign in. If
// the page fails too, it answers with a sentence and returns why.
func (s *Site) fail(a *answer, r *http.Request, err error) error {
	status, header := httpapi.Status(err), http.Header{}
	if a.status == http.StatusMethodNotAllowed && r.Pattern == "" { // the mux's answer
		status = a.status
		header.Set("Allow", a.header.Get("Allow"))
	}
	*a = answer{header: header}
	if fault.Is(err, fault.Unauthorized) {
		query := url.Values{}
		if next := s.after(r); next != "" {
			query.Set("next", next)
		}
		if len(r.CookiesNamed(cookieName)) > 0 {
			query.Set("done", SignedOut)
		}
		return Redirect(a, r, SignIn, query)
	}
	if after := httpapi.RetryAfter(err); after != "" {
		a.header.Set("Retry-After", after)
	}
	wrong := invocation.Recovering(func() error { return Render(a, r, status, s.Error(r, status, err)) })
	if wrong != nil {
		a.header.Set("Content-Type", "text/plain; charset=utf-8")
		a.status = status
		a.body.Reset()
		a.body.WriteString("Something went wrong on our side. Please try again, or tell us the request id: " + RequestID(r.Context()) + "\n")
	}
	return wrong
}

// after returns the page to which a request leads once its sender has signed in: the one that its
// form or query names, else the page that was asked for. A form is not sent again, so that of a
// POST is the page of its path or, for want of one, the nearest above it. Empty: there is none.
func (s *Site) after(r *http.Request) string {
	at := LocalPath(r.URL.Path, "")
	for r.Method == http.MethodPost && at != "" {
		if _, pattern := s.mux.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: at}, Host: r.Host}); pattern != "" {
			break
		}
		at = LocalPath(path.Dir(at), "")
	}
	return LocalPath(r.PostForm.Get("next"), LocalPath(r.URL.Query().Get("next"), at))
}

// asset answers with a file. Its name has its hash, so it never changes.
func (s *Site) asset(w http.ResponseWriter, r *http.Request) error {
	for _, asset := range s.Assets {
		if asset.Name == r.PathValue("name") {
			return Send(w, asset)
		}
	}
	return errNoPage()
}

// Send answers with a file that never changes under its address.
func Send(w http.ResponseWriter, asset Asset) error {
	w.Header().Set("Content-Type", asset.Type)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, err := w.Write(asset.Body)
	return err
}

// Identify says for the log who makes the request, once that is proven.
func Identify(ctx context.Context, accountID, partnerID int64) {
	v := visitOf(ctx)
	v.account, v.partnerID = accountID, partnerID
}

// Path returns the address of a page of this site for links: the base path and path, which
// begins with /portal or /assets.
func Path(ctx context.Context, path string) string { return visitOf(ctx).base + path }

// RequestID returns the id of the request.
func RequestID(ctx context.Context) string { return visitOf(ctx).id }

// SourceIP returns the address that the request came from.
func SourceIP(r *http.Request) string { return r.RemoteAddr }

// Render answers with a page, also when the time of the request is up.
func Render(w http.ResponseWriter, r *http.Request, status int, p Page) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	return p.Render(context.WithoutCancel(r.Context()), w)
}

// Redirect answers 303 with a page of this site; query may be nil. A path that is none is
// fault.Internal.
func Redirect(w http.ResponseWriter, r *http.Request, path string, query url.Values) error {
	if !under(path, "/portal") || !plain(path) {
		return fault.New(fault.Internal, "a redirect to what is no page of the portal")
	}
	to := url.URL{Path: Path(r.Context(), path), RawQuery: query.Encode()}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// LocalPath returns path if it is one of a page of the portal (^/portal(/[a-z0-9/_-]*)?$), else
// fallback: no redirect leads elsewhere. Tokens have capitals, so it keeps none.
func LocalPath(path, fallback string) string {
	if !under(path, "/portal") || !plain(path) || strings.ToLower(path) != path || strings.ContainsAny(path, ".~") {
		return fallback
	}
	return path
}

// under reports whether a path is that of a page or of one below it.
func under(path, page string) bool {
	rest, ok := strings.CutPrefix(path, page)
	return ok && (rest == "" || rest[0] == '/')
}

// plain reports whether a path is of characters that no URL escapes, so that whoever decodes
// it, once or twice, gets the same.
func plain(path string) bool {
	for _, c := range []byte(path) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("/-_.~", rune(c)) {
			return false
		}
	}
	return true
}
