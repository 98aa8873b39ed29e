package httpapi

import (
	"encoding/base64"
	"maps"
	"mime"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"carrierlink/shared/fault"
)

// MaxBody is the maximum size of a request body, in bytes.
const MaxBody = 64 << 10

// Request is one call of the API.
type Request struct {
	// ID is the request id: the gateway's, if it is well-formed.
	ID string
	// Subject is for the log. Those who find out more of it add that.
	Subject Subject

	event  events.APIGatewayProxyRequest
	url    string // API.URL
	window *Window
}

// Subject is who makes a request and what it is about, as far as that is proven: the key is
// valid, and the caller may see account and connection. Zero and empty: unknown.
type Subject struct {
	KeyID, PartnerID, AccountID int64
	CarrierID                   string
}

// Window is the state of a key's rate window, for the RateLimit headers.
type Window struct {
	Limit, Used int
	Reset       time.Duration // until the window ends
}

// NewRequest makes a request for tests; Serve makes its own.
func NewRequest(id string, event events.APIGatewayProxyRequest) *Request {
	return &Request{ID: id, event: event}
}

// Method returns the HTTP method in capitals.
func (r *Request) Method() string { return strings.ToUpper(r.event.HTTPMethod) }

// SourceIP returns the address that the gateway saw the request come from.
func (r *Request) SourceIP() string { return r.event.RequestContext.Identity.SourceIP }

// Resource returns the path as in template.yaml, with parameter names.
func (r *Request) Resource() string { return r.event.Resource }

// Address returns the public URL of a path: below API.URL or, without one, below the
// domain that the gateway was called by, with its stage or base path. It returns the
// path alone if the event has no domain.
func (r *Request) Address(path string) string {
	if r.url != "" {
		return r.url + path
	}
	// The domain comes from the gateway, never from a header, which callers may forge.
	domain := r.event.RequestContext.DomainName
	if domain == "" {
		return path
	}
	ours, all := segments(r.event.Resource), segments(r.event.RequestContext.Path)
	for _, before := range slices.Backward(all[:max(0, len(all)-len(ours))]) {
		path = "/" + before + path
	}
	return "https://" + domain + path
}

// Servers returns the URLs of the API without the paths below them, as far as a request
// tells: API.URL, and the domain that the gateway was called by.
func (r *Request) Servers() []string {
	var all []string
	if r.url != "" {
		all = append(all, r.url)
	}
	if domain := r.event.RequestContext.DomainName; domain != "" {
		all = append(all, "https://"+domain)
	}
	return all
}

// segments returns the non-empty segments of a path. Gateways may ignore empty segments
// when they match a route.
func segments(path string) []string {
	return strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
}

// Identify sets the subject, as far as a valid key tells it, and the key's rate window.
func (r *Request) Identify(s Subject, w Window) { r.Subject, r.window = s, &w }

// Header returns the value of a header that has one value. given is true even for an
// empty value. Different values are fault.Invalid. Names are case-insensitive, because
// AWS keeps the case that the client sent.
func (r *Request) Header(name string) (value string, given bool, err error) {
	lines := r.headerLines(name)
	if len(lines) == 0 {
		return "", false, nil
	}
	if slices.ContainsFunc(lines, func(line string) bool { return line != lines[0] }) {
		return "", true, fault.Field(fault.Invalid, name, "The header %s must have one value.", name)
	}
	return lines[0], true, nil
}

// HeaderList returns the value of a header that is a list, with several header lines
// joined into one (RFC 9110, section 5.3).
func (r *Request) HeaderList(name string) (value string, given bool) {
	lines := r.headerLines(name)
	return strings.Join(lines, ", "), len(lines) > 0
}

// headerLines returns the values of a header. AWS sends all of them in MultiValueHeaders,
// and the last one of each spelling in Headers; some emulators send only the latter.
func (r *Request) headerLines(name string) []string {
	var lines []string
	for k, v := range r.event.MultiValueHeaders {
		if strings.EqualFold(k, name) {
			lines = append(lines, v...)
		}
	}
	if len(lines) > 0 {
		return lines
	}
	for k, v := range r.event.Headers {
		if strings.EqualFold(k, name) {
			lines = append(lines, v)
		}
	}
	return lines
}

// Param returns a decoded path parameter; API Gateway does not decode it. A malformed one
// is fault.Identifier.
func (r *Request) Param(name string) (string, error) {
	v, err := url.PathUnescape(r.event.PathParameters[name])
	if err != nil || !utf8.ValidString(v) {
		return "", fault.Field(fault.Identifier, name, "%s is not properly URL-encoded.", name)
	}
	return v, nil
}

// parameters returns the path's parameters in order, in one spelling: an id may begin
// with se-, a carrier's name may contain an underscore.
func (r *Request) parameters() ([][]byte, error) {
	var all [][]byte
	for _, name := range slices.Sorted(maps.Keys(r.event.PathParameters)) {
		v, err := r.Param(name)
		if err != nil {
			return nil, err
		}
		all = append(all, []byte(strings.ReplaceAll(strings.TrimPrefix(v, "se-"), "_", "")))
	}
	return all, nil
}

// Single parses a query parameter that may be given once: fault.Invalid if it is
// repeated. parse is called only if there is one value.
func (r *Request) Single(name string, parse func(value string) *fault.Error) fault.List {
	switch values := r.Query(name); len(values) {
	case 0:
		return nil
	case 1:
		return fault.ListOf(parse(values[0]))
	}
	return fault.List{fault.Field(fault.Invalid, name, "%s must be given once.", name)}
}

// Number parses a query parameter that is a whole number from least to most, in digits
// without sign or leading zeros, into dst. If it is malformed or repeated, it is
// fault.Invalid and dst stays as it is.
func (r *Request) Number(name string, dst *int, least, most int) fault.List {
	return r.Single(name, func(v string) *fault.Error {
		n, err := strconv.Atoi(v)
		if err != nil || strconv.Itoa(n) != v || n < least || n > most {
			return fault.OutOfRange(name, least, most)
		}
		*dst = n
		return nil
	})
}

// Query returns every value of a query parameter.
func (r *Request) Query(name string) []string {
	if v := r.event.MultiValueQueryStringParameters[name]; len(v) > 0 {
		return v
	}
	if v, ok := r.event.QueryStringParameters[name]; ok {
		return []string{v}
	}
	return nil
}

func (r *Request) body() ([]byte, error) {
	if !r.event.IsBase64Encoded {
		return []byte(r.event.Body), nil
	}
	b, err := base64.StdEncoding.DecodeString(r.event.Body)
	if err != nil {
		return nil, &fault.Error{Kind: fault.Invalid, Message: "The request body cannot be read.", Cause: err}
	}
	return b, nil
}

// JSON decodes the body into fields. The error lists every problem, in the order of the
// fields, unknown members last: fault.BodyRequired, TooLarge, MediaType, Invalid, and
// the problems of each field.
func (r *Request) JSON(fields ...Field) error {
	body, err := r.checkedBody()
	if err != nil {
		return err
	}
	return decode(body, fields)
}

// Peek decodes some members of the body before the caller is authenticated, and ignores
// the others. It returns false if the body or one of the members is invalid; JSON
// reports why once the caller is authenticated.
func (r *Request) Peek(fields ...Field) bool {
	body, err := r.checkedBody()
	if err != nil {
		return false
	}
	members, err := parseBody(body)
	return err == nil && len(decodeFields(members, fields)) == 0
}

// checkedBody returns the body after checking its size and headers: fault.TooLarge,
// MediaType or Invalid.
func (r *Request) checkedBody() ([]byte, error) {
	body, err := r.body()
	if err != nil {
		return nil, err
	}
	if len(body) > MaxBody {
		return nil, fault.New(fault.TooLarge, "The request body must be at most %d bytes.", MaxBody)
	}
	if len(body) > 0 {
		if err := r.checkContent(); err != nil {
			return nil, err
		}
	}
	return body, nil
}

// checkContent returns fault.MediaType if the headers say that the body is not JSON in
// UTF-8. A body without these headers passes.
func (r *Request) checkContent() error {
	codings, _ := r.HeaderList("Content-Encoding")
	for coding := range strings.SplitSeq(codings, ",") {
		if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
			return fault.Field(fault.MediaType, "Content-Encoding", "The request body must not be compressed: send it without Content-Encoding.")
		}
	}
	ct, _, err := r.Header("Content-Type")
	if err != nil || ct == "" {
		return err
	}
	media, params, err := mime.ParseMediaType(ct)
	charset := strings.ToLower(params["charset"])
	// Some clients write utf8, although it is not a registered name.
	if err != nil || media != "application/json" || charset != "" && charset != "utf-8" && charset != "utf8" {
		return fault.Field(fault.MediaType, "Content-Type", "Content-Type must be application/json, in UTF-8.")
	}
	return nil
}
