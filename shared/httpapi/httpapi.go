// Package httpapi serves HTTP APIs behind API Gateway: routing by method and resource,
// strict JSON, the error envelope, request ids, paging and idempotency. Handlers return
// errors; this package renders and logs each of them once.
package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/uuid"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/invocation"
	"carrierlink/shared/metrics"
)

// Version is the value of the Api-Version header.
const Version = "2026-11-22"

// Handler answers one request. An error is answered with the error envelope.
type Handler func(context.Context, *Request) (*Response, error)

// Route is an HTTP method and a resource as in template.yaml. A route for GET answers
// HEAD too.
type Route struct {
	Method   string
	Resource string
	Handler  Handler
}

// API is the routes of one function.
type API struct {
	// ErrorSource is the error_source of all errors except the carrier's. Empty:
	// "shipengine", the only value that strict ShipEngine clients accept.
	ErrorSource string
	// URL is the public address of the API, without a trailing slash. Empty: the
	// address that the gateway was called by.
	URL string
	// Log gets one record per request. Nil: slog.Default.
	Log *slog.Logger
	// Metrics go into the record. Zero: none.
	Metrics metrics.Recorder
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
	// Routes are served; everything else is fault.NotFound.
	Routes []Route
}

// Response is the answer to a request. It is sealed as JSON under an Idempotency-Key.
type Response struct {
	Status int               `json:"s"`
	Header map[string]string `json:"h"`
	Body   []byte            `json:"b"` // JSON; empty for none
}

// JSON makes a response with a body that can always be encoded, as our view types can.
// It does not escape characters for HTML, so raw JSON in the body stays as it is.
func JSON(status int, body any) *Response {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		panic(fmt.Sprintf("httpapi: encoding %T: %v", body, err))
	}
	return &Response{Status: status, Header: map[string]string{}, Body: bytes.TrimSuffix(b.Bytes(), []byte("\n"))}
}

// NoContent makes a response without a body.
func NoContent() *Response {
	return &Response{Status: http.StatusNoContent, Header: map[string]string{}}
}

// Serve is the Lambda handler. Its error is always nil: callers get the error envelope
// even after a panic. A request that AWS has not answered in time is fault.Slow.
func (a *API) Serve(ctx context.Context, event events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	now, log := a.Now, cmp.Or(a.Log, slog.Default())
	if now == nil {
		now = time.Now
	}
	start := now()
	req := &Request{ID: RequestID(event.RequestContext.RequestID), event: event, url: a.URL}
	ctx = invocation.With(ctx, slog.String("request_id", req.ID))
	ctx, points := a.Metrics.Start(ctx)
	resp, err := a.call(ctx, req)
	if err != nil {
		err = Slow(err)
		resp = a.render(req, err)
	}
	took := now().Sub(start)
	answer := addHeaders(req, resp)
	record := []any{
		slog.String("method", event.HTTPMethod), slog.String("resource", event.Resource),
		slog.Int("status", resp.Status), slog.Int64("duration_ms", took.Milliseconds()),
		known("key_id", req.Subject.KeyID), known("partner_id", req.Subject.PartnerID), known("account_id", req.Subject.AccountID),
	}
	if id := req.Subject.CarrierID; id != "" {
		record = append(record, slog.String("carrier_id", id))
	}
	if id := answer.Headers["X-Request-Id"]; id != req.ID {
		record = append(record, slog.String("replay_of", id))
	}
	if err != nil {
		record = append(record, slog.String("error", err.Error()))
	}
	Measure(ctx, routeGroup(req.Method(), event.Resource), resp.Status, err, took)
	points.Log(ctx, log, Level(resp.Status, err), "request", record...)
	return answer, nil
}

// Slow returns fault.Slow for an error whose cause is that AWS did not answer in time; any other one as it is.
func Slow(err error) error {
	if fault.Is(err, fault.Internal) && errors.Is(err, context.DeadlineExceeded) {
		return fault.Slow(err)
	}
	return err
}

// Level returns the level of a request's log record; err may be nil.
func Level(status int, err error) slog.Level {
	switch {
	case fault.Is(err, fault.Internal):
		return slog.LevelError
	case err != nil && status >= http.StatusInternalServerError:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// known returns the attribute of an id; for zero the one that slog leaves out.
func known(name string, id int64) (attr slog.Attr) {
	if id != 0 {
		attr = slog.Int64(name, id)
	}
	return attr
}

// RequestID returns the gateway's id of the request, which its access log and its own
// answers have too; a new one if that is no UUID. Callers may choose it, by a header of
// the gateway (infra/docs/decisions/0042).
func RequestID(gateway string) string {
	if len(gateway) == 36 && uuid.Validate(gateway) == nil { // which takes other forms, too
		return gateway
	}
	return uuid.NewString()
}

// call calls the handler and turns its panic into an error.
func (a *API) call(ctx context.Context, req *Request) (resp *Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			resp, err = nil, &fault.Error{Kind: fault.Internal, Cause: invocation.Panicked(v)}
		}
		if resp == nil && err == nil {
			err = fault.New(fault.Internal, "the handler of %s returned no response", req.Resource())
		}
	}()
	for _, r := range a.Routes {
		// HEAD is GET without the body, which addHeaders leaves out.
		if (r.Method == req.Method() || r.Method == http.MethodGet && req.Method() == http.MethodHead) && r.Resource == req.event.Resource {
			return r.Handler(ctx, req)
		}
	}
	return nil, fault.New(fault.NotFound, "There is no such resource.")
}

func addHeaders(req *Request, resp *Response) events.APIGatewayProxyResponse {
	h := make(map[string]string, len(resp.Header)+11)
	h["Content-Type"] = "application/json"
	h["X-Content-Type-Options"] = "nosniff"
	h["Strict-Transport-Security"] = "max-age=31536000"
	h["Cache-Control"] = "no-store"
	h["X-Request-Id"] = req.ID
	h["Api-Version"] = Version
	if w := req.window; w != nil {
		h["RateLimit-Limit"] = strconv.Itoa(w.Limit)
		h["RateLimit-Remaining"] = strconv.Itoa(max(0, w.Limit-w.Used))
		h["RateLimit-Reset"] = seconds(w.Reset)
	}
	maps.Copy(h, resp.Header)
	if h["ETag"] != "" {
		h["Cache-Control"] = "private, no-cache"
	}
	if len(resp.Body) == 0 {
		delete(h, "Content-Type")
	}
	out := events.APIGatewayProxyResponse{StatusCode: resp.Status, Headers: h, Body: string(resp.Body)}
	if req.Method() == http.MethodHead {
		out.Body = ""
	}
	return out
}

// seconds formats a duration for a header: whole seconds, rounded up.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// Time formats a time for an answer; nil, which is null in JSON, for the zero time.
func Time(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := effects.Time(t)
	return &s
}

// Text returns a text for an answer; nil, which is null in JSON, if it is empty.
func Text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
