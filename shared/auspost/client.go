// Package auspost is a client of Australia Post's Shipping & Tracking API v1, which
// also serves StarTrack accounts: it reads charge accounts, tracks parcels, and
// translates the answers into the service's own terms. It cites facts about the
// carrier from infra/docs/auspost.md by section.
//
// The carrier is assumed to be hostile: every read is bounded, no redirect is
// followed, and any body may come under any status. Of its free text only the snapshot
// of an account and the words of tracking leave the package.
package auspost

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/metrics"
	"carrierlink/shared/wait"
)

const (
	// maxBody bounds how much of a body is read, after decompression. A large account
	// is some tens of kilobytes.
	maxBody = 1 << 20
	// maxHeader bounds the header of an answer.
	maxHeader = 64 << 10
	// answerMargin is the part of the caller's deadline that is left to the caller, to
	// act on the reading and to respond.
	answerMargin = 1500 * time.Millisecond
	// leastAttempt is the least time for a second attempt: with less, there is none.
	leastAttempt = time.Second
	// retryPause is the wait between a 401 and the second attempt.
	retryPause = 2 * time.Second
	// longestJitter bounds the pause before a failed server is asked again.
	longestJitter = 500 * time.Millisecond

	defaultAttemptTimeout = 8 * time.Second

	userAgent = "carrierlink/1"
)

// Options are the settings of a Client; only BaseURL is required.
type Options struct {
	// BaseURL is an absolute http or https URL that ends in /shipping/v1
	// (infra/docs/auspost.md, "Connection and authentication").
	BaseURL string
	// Transport makes the calls; the default is an HTTPS transport with bounds.
	Transport http.RoundTripper
	// AttemptTimeout bounds one attempt, from dialling to the end of the body; the
	// default is 8 s.
	AttemptTimeout time.Duration
	// Simulated leaves the calls out of the metrics.
	Simulated bool
	// Sleep waits, and returns the context's error if that ends first; the default is
	// real time.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Client reads charge accounts and tracks parcels. It is safe for concurrent use.
type Client struct{ options Options }

// New makes a client. The error says what is wrong with the base URL, without
// repeating it.
func New(o Options) (*Client, error) {
	base := strings.TrimRight(o.BaseURL, "/")
	u, err := url.Parse(base)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return nil, errors.New("auspost: the base URL must be an absolute http or https URL")
	case u.User != nil, u.RawQuery != "", u.ForceQuery, strings.Contains(base, "#"):
		return nil, errors.New("auspost: the base URL must not have a user, a query or a fragment")
	case !strings.HasSuffix(u.Path, "/shipping/v1"):
		return nil, errors.New("auspost: the base URL must end in /shipping/v1")
	}
	o.BaseURL = base
	o.AttemptTimeout = cmp.Or(o.AttemptTimeout, defaultAttemptTimeout)
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	if o.Sleep == nil {
		o.Sleep = wait.For
	}
	return &Client{o}, nil
}

// newTransport returns a transport that keeps connections, so that later calls need
// no handshakes, and takes no proxy from the environment. It speaks HTTP/1.1: over a
// single HTTP/2 connection all checks of a batch would stall together, which looks
// like an outage of the carrier.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		MaxIdleConns:           200,
		MaxIdleConnsPerHost:    200,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		MaxResponseHeaderBytes: maxHeader,
	}
}

// GetAccount asks the carrier for a charge account (infra/docs/auspost.md, "Get
// Accounts: GET /shipping/v1/accounts/{account_number}"); check counts the checks of
// this connection from 1. The reading holds the outcome; its cause holds neither
// credentials nor account number. GetAccount never takes longer than the context's
// deadline less 1.5 s.
//
// After a 401 there is a second attempt, 2 s later, because the carrier has answered
// 401 to good keys (infra/docs/auspost.md, "Known traps" 1). After an outage there
// is one after a random pause of up to half a second, or after the Retry-After of
// the carrier, and none if that is more than 2 s. Nothing else is repeated, and
// nothing when the deadline leaves less than a second.
func (c *Client) GetAccount(ctx context.Context, account connection.ChargeAccount, check int) connection.Reading {
	start := time.Now()
	r := c.ask(ctx, question{
		account: account, path: "/accounts/" + url.PathEscape(account.Number), check: check, allowRetry: account.BeforeRetry,
		read: func(a answer, now time.Time) connection.Reading { return readAccountAnswer(a, account.Number, now) },
	})
	r.Latency = time.Since(start)
	return r
}

// question is one request to the carrier.
type question struct {
	account connection.ChargeAccount
	path    string // after the base URL, with the query
	check   int
	read    func(a answer, now time.Time) connection.Reading
	// allowRetry is called before a second attempt, and forbids it with an error; nil
	// allows it.
	allowRetry func(ctx context.Context) error
}

// ask makes the call, with a second attempt where that may help.
func (c *Client) ask(ctx context.Context, q question) connection.Reading {
	if !isSendable(q.account.Number) {
		return connection.Reading{Outcome: carrier.OutcomeMalformed, Cause: &failure{text: "the account number cannot stand in a path and a header"}}
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-answerMargin))
		defer cancel()
	}
	r := c.attempt(WithStep(ctx, q.check, 1), q)
	pause, ok := pauseAfter(r)
	if !ok || !hasTime(ctx, pause+leastAttempt) {
		return r
	}
	if err := c.options.Sleep(ctx, pause); err != nil {
		return connection.Reading{Outcome: carrier.OutcomeTimeout, HTTPStatus: r.HTTPStatus, Cause: contextFailure(ctx, err)}
	}
	if q.allowRetry != nil && q.allowRetry(ctx) != nil {
		return r
	}
	return c.attempt(WithStep(ctx, q.check, 2), q)
}

// isSendable reports whether a number is visible ASCII and no dot segment. The form
// of charge account numbers is checked in connection.Preflight.
func isSendable(number string) bool {
	for _, b := range []byte(number) {
		if b <= ' ' || b > '~' {
			return false
		}
	}
	return number != "" && number != "." && number != ".."
}

// pauseAfter reports whether a second attempt may help, and after how long.
func pauseAfter(r connection.Reading) (time.Duration, bool) {
	if r.Outcome == carrier.OutcomeUnauthorized {
		return retryPause, true
	}
	if r.Outcome == carrier.OutcomeUnavailable && r.RetryAfter <= retryPause {
		return max(r.RetryAfter, rand.N(longestJitter)), true //nolint:gosec // spreads retries
	}
	return 0, false
}

func hasTime(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() == nil && (!ok || time.Until(deadline) >= d)
}

// attempt makes one call. It uses the transport without an http.Client, which would
// follow redirects and put the URL into errors.
func (c *Client) attempt(ctx context.Context, q question) connection.Reading {
	account := q.account
	ctx, cancel := context.WithTimeout(ctx, c.options.AttemptTimeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return connection.Reading{Outcome: carrier.OutcomeTimeout, Cause: contextFailure(ctx, err)}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.options.BaseURL+q.path, http.NoBody)
	if err != nil {
		return connection.Reading{Outcome: carrier.OutcomeMalformed, Cause: &failure{text: "the request could not be made"}}
	}
	req.SetBasicAuth(account.Credentials.APIKey.Reveal(), account.Credentials.APISecret.Reveal())
	req.Header.Set("Account-Number", account.Number)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent)

	start := time.Now()
	r := c.send(ctx, req, q)
	if !c.options.Simulated {
		metrics.Add(ctx, metrics.CarrierLatency, answerFor(r.Outcome), time.Since(start).Milliseconds())
	}
	return r
}

// answerFor names an outcome for metrics.CarrierLatency, where unnamed ones count together.
func answerFor(o carrier.Outcome) string {
	switch {
	case o.IsRefusal():
		return "refused"
	case o == carrier.OutcomeRateLimited:
		return "limited"
	}
	return string(o)
}

func (c *Client) send(ctx context.Context, req *http.Request, q question) connection.Reading {
	account := q.account
	resp, err := c.options.Transport.RoundTrip(req)
	if err != nil {
		return networkReading(ctx, err, 0, redactor(account))
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case resp.StatusCode == http.StatusTooManyRequests: // whatever its body is
	case err != nil:
		return networkReading(ctx, err, resp.StatusCode, redactor(account))
	case len(body) > maxBody:
		body = nil
		if code := resp.StatusCode; code < http.StatusInternalServerError && code != http.StatusUnauthorized && code != http.StatusForbidden {
			return connection.Reading{Outcome: carrier.OutcomeUnreadable, HTTPStatus: resp.StatusCode, Cause: &failure{"the answer is longer than 1 MiB", connection.ErrTooLarge}}
		}
	}
	return q.read(answer{status: resp.StatusCode, header: resp.Header, body: body}, time.Now())
}
