package auspost

import (
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
)

const (
	// maxBody bounds what is read of an answer, after decompression. A large
	// account is some tens of kilobytes.
	maxBody = 1 << 20
	// maxHeader bounds the header of an answer.
	maxHeader = 64 << 10
	// answerMargin is left of the caller's deadline, for the caller to act on
	// the reading and to answer.
	answerMargin = 1500 * time.Millisecond
	// leastAttempt: with less time than this no second attempt is begun.
	leastAttempt = time.Second
	// longestJitter bounds the pause before a failed server is asked again.
	longestJitter = 500 * time.Millisecond

	defaultAttemptTimeout = 8 * time.Second
	defaultRetryPause     = 2 * time.Second

	userAgent = "carrierlink/1"
)

// Options are the settings of a Client; only BaseURL has no default.
type Options struct {
	// BaseURL is an absolute http or https URL that ends in /shipping/v1
	// (infra/docs/auspost.md, "Connection and authentication").
	BaseURL string
	// Transport makes the calls; nil is a bounded HTTPS transport of its own.
	Transport http.RoundTripper
	// AttemptTimeout bounds one attempt, from dialling to the end of the body;
	// 8 s when zero.
	AttemptTimeout time.Duration
	// RetryPause is the wait after a 401 before the one further attempt; 2 s
	// when zero.
	RetryPause time.Duration
	// Sleep waits, and returns the context's error when that ends first; nil is
	// real time.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Client reads charge accounts and tracks parcels. It is safe for concurrent use.
type Client struct {
	base           string // without a trailing slash
	transport      http.RoundTripper
	attemptTimeout time.Duration
	retryPause     time.Duration
	sleep          func(ctx context.Context, d time.Duration) error
}

// New makes a client; the error says what is wrong with the base URL, without
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
	c := &Client{
		base: base, transport: o.Transport, attemptTimeout: o.AttemptTimeout, retryPause: o.RetryPause, sleep: o.Sleep,
	}
	if c.transport == nil {
		c.transport = newTransport()
	}
	if c.attemptTimeout <= 0 {
		c.attemptTimeout = defaultAttemptTimeout
	}
	if c.retryPause <= 0 {
		c.retryPause = defaultRetryPause
	}
	if c.sleep == nil {
		c.sleep = sleep
	}
	return c, nil
}

// newTransport keeps connections, so that calls after the first spare the
// handshakes, and takes no proxy from the environment. It speaks HTTP/1.1: over
// one connection of HTTP/2 all checks of a batch would stall together, and look
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

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// GetAccount asks the carrier for a charge account (infra/docs/auspost.md, "GET
// /shipping/v1/accounts/{account_number}"); check counts the checks of this
// connection from 1. The outcome is in the reading; it never panics and never
// takes longer than the context's deadline less 1.5 s. The reading's cause holds
// neither credentials nor account number.
//
// A 401 is asked again once after RetryPause, because the carrier has answered
// 401 to good keys (infra/docs/auspost.md, "Known traps" 1); what is unavailable
// once after a random pause of up to half a second, or after the carrier's
// Retry-After where that is no longer than RetryPause: a carrier that asks for
// more is left alone. Nothing else is repeated, and nothing where the deadline
// leaves less than a second for it.
func (c *Client) GetAccount(ctx context.Context, account connection.ChargeAccount, check int) connection.Reading {
	start := time.Now()
	r := c.getAccount(ctx, account, check)
	r.Latency = time.Since(start)
	return r
}

func (c *Client) getAccount(ctx context.Context, account connection.ChargeAccount, check int) connection.Reading {
	return c.ask(ctx, question{
		account: account, path: "/accounts/" + url.PathEscape(account.Number), check: check, again: account.Again,
		read: func(a answer, now time.Time) connection.Reading { return read(a, account.Number, now) },
	})
}

// question is one thing to ask the carrier for.
type question struct {
	account connection.ChargeAccount
	path    string // behind the base URL, with its query
	check   int
	read    func(a answer, now time.Time) connection.Reading
	// again forbids a second attempt by an error; nil forbids none.
	again func(ctx context.Context) error
}

// ask makes the call, and makes it a second time where that may help.
func (c *Client) ask(ctx context.Context, q question) connection.Reading {
	if !sendable(q.account.Number) {
		return connection.Reading{Outcome: carrier.OutcomeMalformed, Cause: &failure{text: "the account number can not stand in a path and a header"}}
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-answerMargin))
		defer cancel()
	}
	r := c.attempt(WithStep(ctx, q.check, 1), q)
	pause, ok := c.pauseAfter(r)
	if !ok || !hasRoom(ctx, pause+leastAttempt) {
		return r
	}
	if err := c.sleep(ctx, pause); err != nil {
		return connection.Reading{Outcome: carrier.OutcomeTimeout, HTTPStatus: r.HTTPStatus, Cause: ended(ctx, err)}
	}
	if q.again != nil && q.again(ctx) != nil {
		return r
	}
	return c.attempt(WithStep(ctx, q.check, 2), q)
}

// sendable: visible ASCII that is no dot segment. What a charge account number
// looks like is connection.Preflight's to say.
func sendable(number string) bool {
	for _, b := range []byte(number) {
		if b <= ' ' || b > '~' {
			return false
		}
	}
	return number != "" && number != "." && number != ".."
}

// pauseAfter says whether an answer is worth a second attempt, and after how long.
func (c *Client) pauseAfter(r connection.Reading) (time.Duration, bool) {
	if r.Outcome == carrier.OutcomeUnauthorized {
		return c.retryPause, true
	}
	if r.Outcome == carrier.OutcomeUnavailable && r.RetryAfter <= c.retryPause {
		return max(r.RetryAfter, rand.N(longestJitter)), true //nolint:gosec // spreads retries
	}
	return 0, false
}

func hasRoom(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() == nil && (!ok || time.Until(deadline) >= d)
}

// attempt makes one call. The transport is used without an http.Client: it
// follows no redirect and puts no URL into its errors.
func (c *Client) attempt(ctx context.Context, q question) connection.Reading {
	account := q.account
	ctx, cancel := context.WithTimeout(ctx, c.attemptTimeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return connection.Reading{Outcome: carrier.OutcomeTimeout, Cause: ended(ctx, err)}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+q.path, http.NoBody)
	if err != nil {
		return connection.Reading{Outcome: carrier.OutcomeMalformed, Cause: &failure{text: "the request could not be made"}}
	}
	req.SetBasicAuth(account.Credentials.APIKey.Reveal(), account.Credentials.APISecret.Reveal())
	req.Header.Set("Account-Number", account.Number)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent)

	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return unanswered(ctx, err, 0, redactor(account))
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case resp.StatusCode == http.StatusTooManyRequests: // whatever its body is
	case err != nil:
		return unanswered(ctx, err, resp.StatusCode, redactor(account))
	case len(body) > maxBody:
		body = nil
		if code := resp.StatusCode; code < http.StatusInternalServerError && code != http.StatusUnauthorized && code != http.StatusForbidden {
			return connection.Reading{Outcome: carrier.OutcomeUnreadable, HTTPStatus: resp.StatusCode, Cause: &failure{text: "the answer is longer than 1 MiB"}}
		}
	}
	return q.read(answer{status: resp.StatusCode, header: resp.Header, body: body}, time.Now())
}
