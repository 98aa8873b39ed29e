package simulator

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"carrierlink/shared/auspost"
)

// BaseURL is a base for a client over Transport. Its host exists nowhere (RFC
// 6761, "invalid"): a client that used it without Transport would reach nobody.
const BaseURL = "https://simulator.invalid/shipping/v1"

// Transport is the simulator in process: an http.RoundTripper for a client
// whose requests never leave it. It keeps no state: check and attempt are those
// of the request's context (auspost.StepOf), and tracking is not limited.
type Transport struct{ settings }

// NewTransport makes one.
func NewTransport(opts ...Option) *Transport { return &Transport{apply(opts)} }

// RoundTrip answers a request. A request that the story leaves hanging ends
// with its context, in the context's error.
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
		return tell(number, check, attempt, t.now())
	}, func(string) bool { return true })
	if a.never {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	header := make(http.Header)
	a.write(header)
	return &http.Response{
		Status: strconv.Itoa(a.status) + " " + http.StatusText(a.status), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(strings.NewReader(a.body)), ContentLength: int64(len(a.body)), Request: r,
	}, nil
}
