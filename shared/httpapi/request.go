package httpapi

import (
	"encoding/base64"
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

// MaxBody is the largest request body, in bytes.
const MaxBody = 64 << 10

// Request is one call of the API.
type Request struct {
	// ID is the request id: ours, as an emulator may give all requests one.
	ID string

	event  events.APIGatewayProxyRequest
	url    string // API.URL
	caller string
	window *Window
}

// Window is the state of a key's rate window: what RateLimit headers tell.
type Window struct {
	Limit, Used int
	Reset       time.Duration // until the window ends
}

// NewRequest makes a request of an event, for callers outside Serve.
func NewRequest(id string, event events.APIGatewayProxyRequest) *Request {
	return &Request{ID: id, event: event}
}

// Method is the HTTP method in capitals.
func (r *Request) Method() string { return strings.ToUpper(r.event.HTTPMethod) }

// Path is the path as it was asked for, without query.
func (r *Request) Path() string { return r.event.Path }

// Resource is the path as template.yaml spells it, with parameter names.
func (r *Request) Resource() string { return r.event.Resource }

// Address is the address of a path of this API for the caller: below API.URL,
// else below the domain that the gateway was called by and what its address has
// before our paths, a stage or the base path of a domain of one's own. A path as
// it is where the event names no domain.
func (r *Request) Address(path string) string {
	if r.url != "" {
		return r.url + path
	}
	// Of the gateway, never of a header that a caller may choose.
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

// segments are what stands between the slashes of a path; empty ones are none,
// as a gateway may leave them out when it looks for its route.
func segments(path string) []string {
	return strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
}

// Identify notes who calls, for the log, and the caller's rate window.
func (r *Request) Identify(caller string, w Window) { r.caller, r.window = caller, &w }

// Header is the value of a header that has one value, whatever the letter case of
// its name: AWS keeps what the client sent, emulators change it. given tells an
// empty one from none. One that comes several times with different values is
// fault.Invalid: which of them counts would be a guess.
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

// HeaderList is the value of a header that is a list: several header lines of
// the name are joined to one (RFC 9110, section 5.3). given is false for none.
func (r *Request) HeaderList(name string) (value string, given bool) {
	lines := r.headerLines(name)
	return strings.Join(lines, ", "), len(lines) > 0
}

// headerLines are the values of a header. AWS has all of them in one member of
// the event, and the last of each spelling in another; a caller without the first
// has the second.
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

// Param is a path parameter, decoded once: API Gateway hands it over as it
// stood in the URL. One that does not decode is fault.Identifier.
func (r *Request) Param(name string) (string, error) {
	v, err := url.PathUnescape(r.event.PathParameters[name])
	if err != nil || !utf8.ValidString(v) {
		return "", fault.Field(fault.Identifier, name, "%s is not properly encoded.", name)
	}
	return v, nil
}

// Single reads a query parameter that has one value: read gets it if it is
// there. One that is given again is fault.Invalid, and not read.
func (r *Request) Single(name string, read func(value string) *fault.Error) fault.List {
	values := r.Query(name)
	if len(values) == 0 {
		return nil
	}
	problem := fault.Field(fault.Invalid, name, "%s must be given once.", name)
	if len(values) == 1 {
		problem = read(values[0])
	}
	if problem == nil {
		return nil
	}
	return fault.List{problem}
}

// Number reads a query parameter that is a whole number from least to most into
// dst: plain digits, without sign or leading zeros. Else, and if it is given
// again, it is fault.Invalid, and dst stays.
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

// Query is every value of a query parameter that may be given several times;
// Single reads the others.
func (r *Request) Query(name string) []string {
	if v := r.event.MultiValueQueryStringParameters[name]; len(v) > 0 {
		return v
	}
	if v, ok := r.event.QueryStringParameters[name]; ok {
		return []string{v}
	}
	return nil
}

// body is the request's body as bytes.
func (r *Request) body() ([]byte, error) {
	if !r.event.IsBase64Encoded {
		return []byte(r.event.Body), nil
	}
	b, err := base64.StdEncoding.DecodeString(r.event.Body)
	if err != nil {
		return nil, &fault.Error{Kind: fault.Invalid, Message: "The request body can not be read.", Cause: err}
	}
	return b, nil
}

// JSON decodes the body into fields, which say where each member goes. The
// error lists every problem, in the order of the fields, unknown members last:
// fault.BodyRequired, TooLarge, MediaType, Invalid, or what a field reports.
func (r *Request) JSON(fields ...Field) error {
	body, err := r.checkedBody()
	if err != nil {
		return err
	}
	return decode(body, fields)
}

// Peek decodes some members of the body and looks at nothing else of it: for what
// has to be read beside the key of a caller who is not known yet. It returns false
// if one of them is wrong or the body is no JSON object: JSON tells what is wrong
// once the caller is known.
func (r *Request) Peek(fields ...Field) bool {
	body, err := r.checkedBody()
	if err != nil {
		return false
	}
	members, err := membersOf(body)
	return err == nil && len(keep(members, fields)) == 0
}

// checkedBody is the body if size and headers let it be JSON: else fault.TooLarge,
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

// checkContent tells from its headers whether a body can be JSON in UTF-8; one
// without headers can. Else it is fault.MediaType.
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
	// Clients write utf8, which is no registered name, and mean UTF-8.
	if err != nil || media != "application/json" || charset != "" && charset != "utf-8" && charset != "utf8" {
		return fault.Field(fault.MediaType, "Content-Type", "Content-Type must be application/json, in UTF-8.")
	}
	return nil
}
