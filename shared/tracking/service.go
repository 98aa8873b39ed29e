package tracking

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
)

// Connections reads the connections of an account that are linked, the oldest
// first.
type Connections interface {
	ListConnections(ctx context.Context, accountID int64, withSnapshots bool) ([]connection.Connection, map[string]connection.Snapshot, error)
}

// Cache keeps what the carrier said, and counts the calls of the carrier.
type Cache interface {
	CachedTracking(ctx context.Context, accountID int64, connectionID string, numbers []string, now time.Time) (map[string]Cached, error)
	CacheTracking(ctx context.Context, accountID int64, connectionID string, tracking []Cached) error
	// TakeCall counts a call of an allowance if one is left in the window; else wait
	// says how long until there is one.
	TakeCall(ctx context.Context, a connection.Allowance, limit int, window time.Duration, now time.Time) (wait time.Duration, err error)
}

// Vault reads credentials; fault.NotFound if there are none.
type Vault interface {
	Get(ctx context.Context, accountID int64, connectionID, version string) (connection.Credentials, error)
}

// Carrier asks a carrier where numbers are. It calls allow before each call that
// it makes.
type Carrier interface {
	Track(ctx context.Context, account connection.ChargeAccount, numbers []string, allow func(ctx context.Context) error) Reading
}

// Service answers where shipments are, from what it kept lately or by asking the
// carrier.
type Service struct {
	Connections Connections
	Cache       Cache
	Vault       Vault
	Carriers    carrier.PerEnvironment[Carrier] // the sandbox's is the simulator in process
	Now         func() time.Time
}

// An answer is used for freshFor without asking the carrier again. Tracking is
// kept for keptFor, for when the carrier cannot be asked.
const (
	freshFor = 2 * time.Minute
	keptFor  = time.Hour
)

// maxKept is the most that is kept of one number, in bytes: a DynamoDB item holds
// 400 KB, and one that is too large would keep the others from being written.
const maxKept = 350_000

// Request asks for the numbers of one connection, or of a connection to Carrier.
type Request struct {
	Account    account.Account
	Connection *connection.Connection // that was named; nil if the account has none of that name
	Carrier    carrier.Name           // empty: the connection was named
	Numbers    []string               // cleaned; may hold one twice
}

// Result is what is known of the numbers.
type Result struct {
	Connection *connection.Connection // whose credentials were used
	Answers    map[string]Answer      // by number
}

// Answer is what is known of one number.
type Answer struct {
	Tracking *Tracking // nil: nothing, because of Err
	At       time.Time // when the carrier said so
	Live     bool      // it said so to this request
	Stale    bool      // older than 2 minutes, and not renewed, because of Err if that is set
	Err      error
}

// Track finds what is known of each number. Errors: fault.NotFound for the
// connection; for a single number of which nothing is known, and where our own
// failure leaves nothing to say of any number, the error of the Answer: those of
// NumberFault.Err and connection.Reading.Err, and fault.RateLimited when the API
// key of the carrier has had its calls of the minute.
func (s *Service) Track(ctx context.Context, req Request) (Result, error) {
	conn := req.Connection
	if req.Carrier != "" {
		linked, _, err := s.Connections.ListConnections(ctx, req.Account.ID, false)
		if err != nil {
			return Result{}, fmt.Errorf("reading the connections: %w", err)
		}
		conn = choose(linked, req.Carrier)
	}
	if conn == nil || !conn.Visible() {
		return Result{}, connection.ErrNoCarrier()
	}
	answers, err := s.find(ctx, req.Account.Environment, conn, req.Numbers)
	if err != nil {
		return Result{}, err
	}
	if err := useless(answers); err != nil && (len(req.Numbers) == 1 || fault.KindOf(err) == fault.Internal) {
		return Result{}, fmt.Errorf("tracking: %w", err)
	}
	return Result{conn, answers}, nil
}

// Failures counts the numbers of which the carrier may know more than the result
// tells: stale ones, and those of which nothing is known. err is the reason of one
// of them, nil if there are none. What the carrier says of a number itself is no
// failure.
func (r Result) Failures() (stale, failed int, err error) {
	for _, a := range r.Answers {
		switch {
		case a.Err == nil, fault.Is(a.Err, fault.NotFound), fault.Is(a.Err, fault.Invalid): // about the number
			continue
		case a.Stale:
			stale++
		default:
			failed++
		}
		err = a.Err
	}
	return stale, failed, err
}

// choose is the account's connection to a carrier: the oldest one that works,
// else the oldest; nil if there is none.
func choose(linked []connection.Connection, name carrier.Name) *connection.Connection {
	var chosen *connection.Connection
	for i := range linked {
		switch c := &linked[i]; {
		case c.Carrier != name:
		case c.ShownStatus().Works():
			return c
		case chosen == nil:
			chosen = c
		}
	}
	return chosen
}

// find answers for each number: with what was kept lately, with what the carrier
// says now, or with what was kept for longer if it says nothing.
func (s *Service) find(ctx context.Context, env carrier.Environment, conn *connection.Connection, numbers []string) (map[string]Answer, error) {
	now := s.Now()
	cached, err := s.Cache.CachedTracking(ctx, conn.AccountID, conn.ID, numbers, now)
	if err != nil {
		return nil, err
	}
	found := make(map[string]Answer, len(numbers))
	var ask []string
	for _, n := range numbers {
		if _, twice := found[n]; twice {
			continue
		}
		k := unpack(cached[n])
		found[n] = k
		if k.Tracking == nil && k.Err == nil || now.Sub(k.At) >= freshFor {
			ask = append(ask, n)
		}
	}
	if len(ask) == 0 {
		return found, nil
	}
	reading := s.ask(ctx, env, conn, ask)
	now = s.Now()
	keep := make(map[string]Tracked)
	for _, n := range ask {
		r := reading[n]
		var kept bool
		if found[n], kept = renew(found[n], r, now); kept {
			keep[n] = r
		}
	}
	if err := s.keep(ctx, conn, keep, now); err != nil {
		slog.WarnContext(ctx, "tracking is not kept", slog.String("error", err.Error()))
	}
	return found, nil
}

// renew is the answer for a number once the carrier has been asked, and whether to
// keep it. What was kept stands in for a failure, for an answer that says nothing
// and for a product that is suddenly not tracked, but not for a number that the
// carrier no longer knows.
func renew(old Answer, r Tracked, now time.Time) (a Answer, keep bool) {
	useful := r.Err == nil && (old.Tracking == nil || !r.Tracking.Silent())
	switch {
	case useful:
		return Answer{Tracking: &r.Tracking, At: now, Live: true}, true
	case old.Tracking != nil && r.Fault != NumberUnknown:
		old.Stale, old.Err = true, r.Err
		return old, false
	}
	return Answer{Err: r.Err, At: now}, r.Fault != ""
}

// ask asks the carrier with the connection's credentials, as often as their
// allowance lets it, whatever state the connection is in: that may have changed.
func (s *Service) ask(ctx context.Context, env carrier.Environment, conn *connection.Connection, numbers []string) Reading {
	to, err := s.Carriers.Of(env)
	var credentials connection.Credentials
	if err == nil {
		credentials, err = s.Vault.Get(ctx, conn.AccountID, conn.ID, conn.SecretVersion)
	}
	if fault.Is(err, fault.NotFound) {
		err = connection.Reading{Outcome: carrier.OutcomeNoCredentials, Cause: err}.Err()
	}
	if err != nil {
		reading := Reading{}
		for _, n := range numbers {
			reading[n] = Tracked{Err: err}
		}
		return reading
	}
	allowance := connection.CredentialAllowance(connection.UseTracking, env, conn.AccountID, connection.CredentialID(credentials.APIKey))
	account := connection.ChargeAccount{
		Carrier: conn.Carrier, Number: conn.AccountNumber, Credentials: credentials, MerchantLocationID: conn.MerchantLocationID,
	}
	return to.Track(ctx, account, numbers, func(ctx context.Context) error {
		wait, err := s.Cache.TakeCall(ctx, allowance, CallsPerMinute, connection.AllowanceWindow, s.Now())
		if err == nil && wait > 0 {
			err = &fault.Error{
				Kind: fault.RateLimited, RetryAfter: wait,
				Message: fmt.Sprintf("The carrier takes %d tracking calls a minute for an API key, and they are used up.", CallsPerMinute),
			}
		}
		return err
	})
}

// useless is the error of an answer that would say nothing about any number,
// ours before others; nil if it says something.
func useless(found map[string]Answer) error {
	var first error
	for _, k := range found {
		if k.Tracking != nil {
			return nil
		}
		if first == nil || fault.KindOf(k.Err) == fault.Internal {
			first = k.Err
		}
	}
	return first
}
