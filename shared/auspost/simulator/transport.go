package simulator

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"carrierlink/shared/auspost"
)

// BaseURL is the base URL for a client over Transport. Its host exists nowhere (RFC
// 6761, "invalid"), so without Transport a client reaches nobody.
const BaseURL = "https://simulator.invalid/shipping/v1"

// Transport is the simulator in process: an http.RoundTripper that answers requests
// itself. It keeps no state: check and attempt come from the request's context
// (auspost.StepOf), and tracking is not limited.
type Transport struct {
	now  func() time.Time
	rest others
}

// NewTransport makes a Transport with a clock.
func NewTransport(now func() time.Time) *Transport { return &Transport{now, trackOrAddress(now)} }

// NewAccountTransport makes a Transport that knows charge accounts only. A function that does
// not track is 10 KB smaller with it.
func NewAccountTransport(now func() time.Time) *Transport { return &Transport{now, nil} }

// RoundTrip answers a request. Where the story gives no answer, it returns the error of
// the request's context once that ends.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	ctx := r.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a := route(r, func(number, _ string) answer {
		check, attempt := auspost.StepOf(ctx)
		return storyOf(number, check, attempt, t.now())
	}, t.rest)
	if a.never {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	header := make(http.Header)
	a.setHeader(header)
	return &http.Response{
		Status: strconv.Itoa(a.status) + " " + http.StatusText(a.status), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(strings.NewReader(a.body)), ContentLength: int64(len(a.body)), Request: r,
	}, nil
}
