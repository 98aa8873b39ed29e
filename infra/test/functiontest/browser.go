package functiontest

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/uuid"
	"golang.org/x/net/html"

	"carrierlink/shared/web"
)

// Origin is the address of the pages that a Browser visits.
const Origin = "https://portal.example"

// Browser is the browser of one person: it keeps the cookies of the pages and posts their
// forms as browsers do. It follows no redirect by itself.
type Browser struct {
	Cookies   map[string]string // by name
	UserAgent string
	IP        string
	// Header is sent with every request, beside what browsers send; a nil value removes a
	// header that they send.
	Header http.Header

	d    *Fixture
	site *web.Site
}

// Shown is what the browser got.
type Shown struct {
	Status   int
	Header   http.Header
	Body     string
	Location string // of a redirect, without Origin
	Log      string // what the function logged, as JSON

	t    testing.TB
	tree *html.Node
}

// Browser returns a new browser without cookies. The site's PublicURL becomes Origin.
func (d *Fixture) Browser(site *web.Site) *Browser {
	site.PublicURL = Origin
	return &Browser{
		Cookies: map[string]string{}, UserAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", IP: "203.0.113.7",
		Header: http.Header{}, d: d, site: site,
	}
}

// NewShown returns what a browser got from elsewhere.
func NewShown(tb testing.TB, status int, header http.Header, body string) *Shown {
	tb.Helper()
	return &Shown{Status: status, Header: header, Body: body, Location: header.Get("Location"), t: tb}
}

// Get opens a page; target is a path below Origin with its query.
func (b *Browser) Get(target string) *Shown {
	b.d.t.Helper()
	return b.Do(http.MethodGet, target, "")
}

// Post sends the fields as a form of this site would.
func (b *Browser) Post(target string, fields url.Values) *Shown {
	b.d.t.Helper()
	return b.Do(http.MethodPost, target, fields.Encode())
}

// Submit sends the form of a page whose action is the path, with its hidden and filled in
// fields and those that are given, which replace them. It fails the test if the page has no
// such form, or if the form has no such field.
func (b *Browser) Submit(page *Shown, action string, fields url.Values) *Shown {
	b.d.t.Helper()
	form, names := page.Form(action)
	for name, values := range fields {
		if !names[name] {
			b.d.t.Fatalf("the form %s has no field %s:\n%s", action, name, page.Body)
		}
		form[name] = values
	}
	return b.Post(action, form)
}

// Follow opens the page that a redirect leads to. It fails the test if page is no redirect.
func (b *Browser) Follow(page *Shown) *Shown {
	b.d.t.Helper()
	if page.Status != http.StatusSeeOther || page.Location == "" {
		b.d.t.Fatalf("%d to %q, want a redirect:\n%s", page.Status, page.Location, page.Text())
	}
	return b.Get(page.Location)
}

// Copy returns another window of the same browser as it is now; later changes of cookies are
// not shared.
func (b *Browser) Copy() *Browser {
	c := *b
	c.Cookies, c.Header = maps.Clone(b.Cookies), b.Header.Clone()
	return &c
}

// Do makes a request. It fails the test if answer or log contain credentials of the carrier.
func (b *Browser) Do(method, target, body string) *Shown {
	b.d.t.Helper()
	event := b.Event(method, target, body)
	var resp events.APIGatewayProxyResponse
	var err error
	b.d.last.hashes.Store(0)
	log := Logged(context.Background(), func(ctx context.Context) { resp, err = b.site.Serve(ctx, event) })
	b.d.ok(err)
	s := &Shown{Status: resp.StatusCode, Header: http.Header{}, Body: resp.Body, Log: log, t: b.d.t}
	for name, value := range resp.Headers {
		s.Header.Set(name, value)
	}
	for name, values := range resp.MultiValueHeaders {
		s.Header[http.CanonicalHeaderKey(name)] = values
	}
	if resp.IsBase64Encoded {
		plain, err := base64.StdEncoding.DecodeString(resp.Body)
		b.d.ok(err)
		s.Body = string(plain)
	}
	s.Location = strings.TrimPrefix(s.Header.Get("Location"), Origin)
	b.keep(s.Header)
	b.d.last.answer.Store(int64(len(s.Body)))
	b.d.last.log.Store(int64(len(log)))
	for what, text := range map[string]string{"answer": s.Body + fmt.Sprint(s.Header), "log": log} {
		if strings.Contains(text, canary) || strings.Contains(text, APIKey) {
			b.d.t.Errorf("the %s of %s %s shows credentials: %s", what, method, target, text)
		}
	}
	return s
}

// PostAtOnce sends a form n times at once, and counts the answers by their status. Their cookies
// are not kept.
func (b *Browser) PostAtOnce(n int, target string, fields url.Values) map[int]int {
	b.d.t.Helper()
	statuses := make([]int, n)
	log := Logged(context.Background(), func(ctx context.Context) {
		var all sync.WaitGroup
		for i := range statuses {
			event := b.Event(http.MethodPost, target, fields.Encode())
			all.Go(func() {
				if resp, err := b.site.Serve(ctx, event); err == nil {
					statuses[i] = resp.StatusCode
				}
			})
		}
		all.Wait()
	})
	if strings.Contains(log, canary) || strings.Contains(log, APIKey) {
		b.d.t.Errorf("the log of POST %s shows credentials: %s", target, log)
	}
	count := map[int]int{}
	for _, status := range statuses {
		count[status]++
	}
	return count
}

// keep keeps the cookies that an answer sets.
func (b *Browser) keep(header http.Header) {
	for _, c := range (&http.Response{Header: header}).Cookies() {
		if c.MaxAge < 0 || c.Value == "" {
			delete(b.Cookies, c.Name)
			continue
		}
		b.Cookies[c.Name] = c.Value
	}
}

// Event returns the event of a request as API Gateway makes it: the body in base64, because the
// API declares all media types binary.
func (b *Browser) Event(method, target, body string) events.APIGatewayProxyRequest {
	b.d.t.Helper()
	at, err := url.Parse(target)
	b.d.ok(err)
	header := http.Header{"Host": {"portal.example"}, "User-Agent": {b.UserAgent}, "Accept": {"text/html"}}
	if method == http.MethodPost {
		header.Set("Content-Type", "application/x-www-form-urlencoded")
		header.Set("Origin", Origin)
		header.Set("Sec-Fetch-Site", "same-origin")
	}
	if len(b.Cookies) > 0 {
		var all []string
		for name, value := range b.Cookies {
			all = append(all, name+"="+value)
		}
		header.Set("Cookie", strings.Join(all, "; "))
	}
	maps.Copy(header, b.Header)
	maps.DeleteFunc(header, func(_ string, values []string) bool { return len(values) == 0 })
	single := map[string]string{}
	for name, values := range header {
		single[name] = values[len(values)-1]
	}
	resource, params := at.Path, map[string]string{}
	if rest, below := strings.CutPrefix(at.Path, "/portal/"); below {
		resource, params["proxy"] = "/portal/{proxy+}", rest
	}
	event := events.APIGatewayProxyRequest{
		HTTPMethod: method, Path: at.Path, Resource: resource, PathParameters: params, Headers: single, MultiValueHeaders: header,
		MultiValueQueryStringParameters: at.Query(), QueryStringParameters: map[string]string{},
		RequestContext: events.APIGatewayProxyRequestContext{
			RequestID: uuid.NewString(), Path: at.Path, HTTPMethod: method, ResourcePath: resource, Stage: "live",
			Identity: events.APIGatewayRequestIdentity{SourceIP: b.IP, UserAgent: b.UserAgent},
		},
	}
	for name, values := range event.MultiValueQueryStringParameters {
		event.QueryStringParameters[name] = values[len(values)-1]
	}
	if body != "" {
		event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(body)), true
	}
	return event
}

// Form returns the values of the form whose action is the path, and the names of all its
// fields. It fails the test if the page has no such form.
func (s *Shown) Form(action string) (values url.Values, names map[string]bool) {
	s.t.Helper()
	for _, f := range s.all("form") {
		if strings.TrimPrefix(attr(f, "action"), Origin) != action || !strings.EqualFold(attr(f, "method"), http.MethodPost) {
			continue
		}
		values, names = url.Values{}, map[string]bool{}
		within(f, func(n *html.Node) { addField(n, values, names) })
		return values, names
	}
	s.t.Fatalf("%d: no form posts to %s:\n%s", s.Status, action, s.Text())
	return nil, nil
}

// addField adds what a browser sends of a field.
func addField(n *html.Node, values url.Values, names map[string]bool) {
	name := attr(n, "name")
	if n.Type != html.ElementNode || name == "" || has(n, "disabled") {
		return
	}
	switch n.Data {
	case "input":
		names[name] = true
		if kind := attr(n, "type"); kind != "checkbox" && kind != "radio" || has(n, "checked") {
			values.Add(name, attr(n, "value"))
		}
	case "textarea":
		names[name] = true
		values.Add(name, words(n))
	case "select":
		names[name] = true
		within(n, func(o *html.Node) {
			if o.Data == "option" && has(o, "selected") {
				values.Set(name, attr(o, "value"))
			}
		})
	}
}

// Text returns what a person reads: all text of the page with single blanks.
func (s *Shown) Text() string {
	var all []string
	for _, body := range s.all("body") {
		all = append(all, words(body))
	}
	return strings.Join(all, " ")
}

// Links returns the targets of all links, without Origin.
func (s *Shown) Links() []string {
	var all []string
	for _, a := range s.all("a") {
		all = append(all, strings.TrimPrefix(attr(a, "href"), Origin))
	}
	return all
}

// all returns the elements with a name.
func (s *Shown) all(name string) []*html.Node {
	s.t.Helper()
	if s.tree == nil {
		tree, err := html.Parse(bytes.NewReader([]byte(s.Body)))
		if err != nil {
			s.t.Fatal(err)
		}
		s.tree = tree
	}
	var found []*html.Node
	within(s.tree, func(n *html.Node) {
		if n.Type == html.ElementNode && n.Data == name {
			found = append(found, n)
		}
	})
	return found
}

func within(n *html.Node, f func(*html.Node)) {
	for c := range n.Descendants() {
		f(c)
	}
}

func words(n *html.Node) string {
	var b strings.Builder
	within(n, func(c *html.Node) {
		if c.Type == html.TextNode {
			b.WriteString(c.Data + " ")
		}
	})
	return strings.Join(strings.Fields(b.String()), " ")
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}
