package outbound

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"time"

	"code.dny.dev/ssrf"

	"carrierlink/shared/wait"
)

const (
	defaultTimeout = 15 * time.Second
	dialTime       = 5 * time.Second // for the lookup of the name, the connection and the TLS handshake
	// answerTime bounds how long the body of an answer is read. It is for the delivery log
	// only, so nobody waits for one that trickles.
	answerTime        = 2 * time.Second
	maxAnswer         = 64 << 10 // bytes of a body that are read
	maxHeader         = 16 << 10 // bytes of an answer's header
	longestRetryAfter = 24 * time.Hour

	userAgent = "carrierlink-webhooks/1"
)

// Options are the settings of a Client. The zero value is that of production.
type Options struct {
	Rules    Rules
	Resolver *net.Resolver    // nil: the system's
	Timeout  time.Duration    // of a request, from the lookup of the name to the answer; zero: 15 s
	Roots    *x509.CertPool   // nil: the system's
	Now      func() time.Time // nil: time.Now; Retry-After may be a date
}

// Client sends requests. It is safe for concurrent use.
type Client struct {
	options   Options
	transport *http.Transport
}

// New makes a client. It keeps connections, so that the requests of one run to a receiver
// need one handshake; CloseIdle ends them. It takes no proxy from the environment and
// speaks HTTP/1.1. It asks for no compression, so 64 KiB are 64 KiB.
func New(o Options) *Client {
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	if o.Now == nil {
		o.Now = time.Now
	}
	// The dialer looks a name up once and has every address checked just before it is
	// connected to: so it does not matter what the name has meant before.
	dialer := &net.Dialer{Timeout: dialTime, Resolver: o.Resolver, Control: o.Rules.guardian().Safe}
	tlsDialer := &tls.Dialer{NetDialer: dialer, Config: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots}}
	return &Client{o, &http.Transport{
		DialContext: dialer.DialContext,
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := tlsDialer.DialContext(ctx, network, address)
			var op *net.OpError
			if err != nil && (!errors.As(err, &op) || op.Op != "dial") {
				err = fmt.Errorf("%w: %w", ErrTLS, err)
			}
			return conn, err
		},
		DisableCompression:     true,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        10 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
	}}
}

// CloseIdle closes the connections that no request uses. Call it at the end of an
// invocation: Lambda may freeze the process, and a receiver closes its end meanwhile.
func (c *Client) CloseIdle() { c.transport.CloseIdleConnections() }

// Result is what a receiver has answered.
type Result struct {
	Status     int           // zero without an answer
	Answer     []byte        // the body's first 64 KiB at most, as it came; it may end early
	RetryAfter time.Duration // at most 24 h; zero if the receiver asks for none
	Latency    time.Duration // until the header of the answer, or the failure
}

// The reasons why there is no answer. Their texts are for the owner of the address.
var (
	ErrAddress    = errors.New("the address is not allowed: it must be public, and its URL must be https")
	ErrName       = errors.New("the host name could not be resolved")
	ErrTLS        = errors.New("the TLS handshake failed, or the certificate is not valid for the host")
	ErrTimeout    = errors.New("no answer in time")
	ErrConnection = errors.New("the connection failed, or the answer was not HTTP")
)

// Send posts a JSON body. An answer of any status is a Result without an error, a redirect
// too: it is not followed. So is 101, whose connection is closed unread. Without an answer the error is one of those above or, if ctx
// has ended, that of ctx, which says nothing about the receiver. It never quotes the URL,
// an address or what the other side has sent.
func (c *Client) Send(ctx context.Context, url string, header http.Header, body []byte) (Result, error) {
	if CheckURL("url", url, c.options.Rules) != nil {
		return Result{}, ErrAddress
	}
	sending, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(sending, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return Result{}, ErrAddress
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", userAgent)

	start := time.Now()
	// The transport alone: a http.Client would follow redirects, and quote the URL in errors.
	resp, err := c.transport.RoundTrip(req)
	r := Result{Latency: time.Since(start)}
	if err != nil {
		return r, failure(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	r.Status = resp.StatusCode
	if r.Status < http.StatusOK {
		// The receiver switches protocols: the body is the connection itself, which knows no
		// deadline and may stay open for ever.
		return r, nil
	}
	defer time.AfterFunc(answerTime, cancel).Stop()
	// Nothing is read past the time of the request, whatever the body is.
	defer context.AfterFunc(sending, func() { _ = resp.Body.Close() })()
	r.RetryAfter = wait.RetryAfter(resp.Header.Get("Retry-After"), c.options.Now(), longestRetryAfter)
	r.Answer, _ = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // the status counts, however the body ends
	return r, nil
}

// failure classifies an error of the transport.
func failure(ctx context.Context, err error) error {
	var (
		timeout interface{ Timeout() bool }
		name    *net.DNSError
	)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ssrf.ErrProhibitedIP):
		return ErrAddress
	case errors.As(err, &timeout) && timeout.Timeout():
		return ErrTimeout
	case errors.As(err, &name):
		return ErrName
	case errors.Is(err, ErrTLS):
		return ErrTLS
	}
	return ErrConnection
}
