package tracking

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// Connections reads the visible connections of an account, the oldest first.
type Connections interface {
	ListConnections(ctx context.Context, accountID int64, withSnapshots bool) ([]connection.Connection, map[string]connection.Snapshot, error)
}

// Cache stores answers of the carrier, and counts calls of the carrier.
type Cache interface {
	CachedTracking(ctx context.Context, accountID int64, connectionID string, numbers []string, now time.Time) (map[string]Cached, error)
	CacheTracking(ctx context.Context, accountID int64, connectionID string, tracking []Cached) error
	connection.Calls
}

// Carrier asks a carrier for the tracking of numbers. It calls allow before each call of
// the carrier, and makes none if that returns an error.
type Carrier interface {
	Track(ctx context.Context, account connection.ChargeAccount, numbers []string, allow func(ctx context.Context) error) map[string]CarrierAnswer
}

// Service answers where shipments are, from the cache or by asking the carrier.
type Service struct {
	Connections Connections
	Cache       Cache
	Vault       connection.Getter
	Carriers    carrier.PerEnvironment[Carrier] // the simulator, in process, for the sandbox
	Now         func() time.Time
	Random      io.Reader // of event ids
}

// Request asks for numbers through a connection, or through any connection to Carrier.
type Request struct {
	Account    account.Account
	Connection *connection.Connection // the one asked for; nil if the account does not have it
	Carrier    carrier.Name           // if set, Connection is ignored
	Numbers    []string               // cleaned; may hold duplicates
	By         effects.By             // recorded as who had the credentials read
}

// Result is what is known of the numbers.
type Result struct {
	Connection *connection.Connection // whose credentials were used
	Answers    map[string]Answer      // by number
}

// Answer is what is known of one number.
type Answer struct {
	Tracking *Tracking // nil if nothing is known, because of Err
	At       time.Time // of the carrier's answer
	Live     bool      // the carrier said so to this request
	Stale    bool      // no longer fresh and not renewed; Err, if set, says why
	Err      error
	Fault    NumberFault // set if Err is about the number: the carrier was asked, and has no tracking
}

// Track returns what is known of each number. Errors: fault.NotFound for the connection.
// If nothing is known of any number, and there is only one or the cause is our own
// failure, Track returns the error of an Answer: one of NumberFault.Err or
// connection.Reading.Err, or fault.RateLimited if the credential has used up its calls
// of the minute.
func (s *Service) Track(ctx context.Context, req Request) (Result, error) {
	conn := req.Connection
	if req.Carrier != "" {
		linked, _, err := s.Connections.ListConnections(ctx, req.Account.ID, false)
		if err != nil {
			return Result{}, fmt.Errorf("reading the connections: %w", err)
		}
		conn = Choose(linked, req.Carrier)
	}
	if conn == nil || !conn.Visible() {
		return Result{}, connection.ErrNoConnection()
	}
	answers, err := s.readAnswers(ctx, req.Account.Environment, conn, req.Numbers, s.recordedCalls(conn, req.By))
	if err != nil {
		return Result{}, err
	}
	if err := onlyErrors(answers); err != nil && (len(req.Numbers) == 1 || fault.KindOf(err) == fault.Internal) {
		return Result{}, fmt.Errorf("tracking: %w", err)
	}
	return Result{conn, answers}, nil
}

// Failures counts the numbers of which the carrier may know more than the result: those
// with stale tracking, and those without any. err is the cause of one of them, nil if
// there are none. A number that the carrier does not know or track is not a failure.
func (r Result) Failures() (stale, failed int, err error) {
	for _, a := range r.Answers {
		switch {
		case a.Err == nil, fault.Is(a.Err, fault.NotFound), fault.Is(a.Err, fault.Invalid):
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

// Choose returns the connection to use for a carrier: the oldest that works, else the
// oldest; nil if there is none.
func Choose(linked []connection.Connection, name carrier.Name) *connection.Connection {
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

// Look is Track for the schedule: it asks through a visible connection about at most
// MaxNumbers numbers, and takes at most LooksPerMinute of the calls of a credential, so
// that some are left for Track. The errors of numbers are in their answers only.
func (s *Service) Look(ctx context.Context, env carrier.Environment, conn *connection.Connection, numbers []string) (map[string]Answer, error) {
	answers, err := s.readAnswers(ctx, env, conn, numbers, s.takeLook)
	if err != nil {
		return nil, fmt.Errorf("looking at parcels: %w", err)
	}
	return answers, nil
}

// take takes a call of a credential; fault.RateLimited if none is left.
type take func(ctx context.Context, env carrier.Environment, accountID int64, credentialID string) error

func (s *Service) takeCall(ctx context.Context, env carrier.Environment, accountID int64, credentialID string) error {
	return s.allow(ctx, env, accountID, credentialID, effects.Effects{})
}

func (s *Service) allow(ctx context.Context, env carrier.Environment, accountID int64, credentialID string, fx effects.Effects) error {
	allowance := connection.CredentialAllowance(connection.UseTracking, env, accountID, credentialID)
	return s.takeOf(ctx, connection.Call{Allowance: allowance, Limit: CallsPerMinute, Effects: fx})
}

// takeOf takes a call of an allowance. Requests that ask with the same credential at the same
// moment may collide, and that is no failure.
func (s *Service) takeOf(ctx context.Context, c connection.Call) error {
	err := connection.Allow(ctx, s.Cache, c, s.Now())
	if !fault.Is(err, fault.State) {
		return err
	}
	limited := fault.New(fault.RateLimited, "Too many requests use this API key of the carrier at the same moment; try again.")
	limited.RetryAfter, limited.Limit, limited.Cause = time.Second, string(c.Use), err
	return limited
}

// recordedCalls is takeCall for callers: the first call that is taken is recorded as a reading of the
// connection's credentials.
func (s *Service) recordedCalls(conn *connection.Connection, by effects.By) take {
	recorded := false
	return func(ctx context.Context, env carrier.Environment, accountID int64, credentialID string) error {
		if recorded {
			return s.takeCall(ctx, env, accountID, credentialID)
		}
		fx, err := conn.ReadsSecret(by, connection.ReadForTracking, s.Random, s.Now())
		if err != nil {
			return err
		}
		err = s.allow(ctx, env, accountID, credentialID, fx)
		recorded = err == nil
		return err
	}
}

func (s *Service) takeLook(ctx context.Context, env carrier.Environment, accountID int64, credentialID string) error {
	if err := s.takeOf(ctx, connection.Call{Allowance: connection.CredentialAllowance(connection.UseLooking, env, accountID, credentialID), Limit: LooksPerMinute}); err != nil {
		return err
	}
	return s.takeCall(ctx, env, accountID, credentialID)
}

// readAnswers returns an answer for each number: a fresh one from the cache, the
// carrier's, or an older one from the cache if the carrier cannot be asked.
func (s *Service) readAnswers(ctx context.Context, env carrier.Environment, conn *connection.Connection, numbers []string, call take) (map[string]Answer, error) {
	now := s.Now()
	cached, err := s.Cache.CachedTracking(ctx, conn.AccountID, conn.ID, numbers, now)
	if err != nil {
		return nil, err
	}
	found := make(map[string]Answer, len(numbers))
	var ask []string
	for _, n := range numbers {
		if _, duplicate := found[n]; duplicate {
			continue
		}
		a := unpack(cached[n])
		found[n] = a
		if a.Tracking == nil && a.Err == nil || now.Sub(a.At) >= freshFor {
			ask = append(ask, n)
		}
	}
	if len(ask) == 0 {
		return found, nil
	}
	answers := s.askCarrier(ctx, env, conn, ask, call)
	now = s.Now()
	save := make(map[string]CarrierAnswer)
	for _, n := range ask {
		var worthCaching bool
		if found[n], worthCaching = renew(found[n], answers[n], now); worthCaching {
			save[n] = answers[n]
		}
	}
	if err := s.saveToCache(ctx, conn, save, now); err != nil {
		slog.WarnContext(ctx, "tracking was not cached", slog.String("error", err.Error()))
	}
	return found, nil
}

// renew returns the answer for a number after the carrier was asked, and whether to cache
// it. Older tracking stays, stale, if the carrier fails, says nothing or suddenly does
// not track the product, but not if it no longer knows the number.
func renew(old Answer, r CarrierAnswer, now time.Time) (a Answer, worthCaching bool) {
	useful := r.Err == nil && (old.Tracking == nil || !r.Tracking.Silent())
	switch {
	case useful:
		return Answer{Tracking: &r.Tracking, At: now, Live: true}, true
	case old.Tracking != nil && r.Fault != NumberUnknown:
		old.Stale, old.Err, old.Fault = true, r.Err, r.Fault
		return old, false
	}
	return Answer{Err: r.Err, At: now, Fault: r.Fault}, r.Fault != ""
}

// askCarrier asks the carrier with the connection's credentials, within their allowance,
// after the pause that the carrier may have asked for, and whatever the connection's status, which may be out of date.
func (s *Service) askCarrier(ctx context.Context, env carrier.Environment, conn *connection.Connection, numbers []string, call take) map[string]CarrierAnswer {
	to, err := s.Carriers.Of(env)
	var credentials connection.Credentials
	if err == nil {
		err = conn.Held(s.Now())
	}
	if err == nil {
		credentials, err = connection.ReadCredentials(ctx, s.Vault, *conn, s.Now())
	}
	if fault.Is(err, fault.NotFound) {
		err = connection.Reading{Outcome: carrier.OutcomeNoCredentials, Cause: err}.Err()
	}
	if err != nil {
		answers := map[string]CarrierAnswer{}
		for _, n := range numbers {
			answers[n] = CarrierAnswer{Err: err}
		}
		return answers
	}
	credentialID := connection.CredentialID(credentials.APIKey)
	account := connection.ChargeAccount{
		Carrier: conn.Carrier, Number: conn.AccountNumber, Credentials: credentials, MerchantLocationID: conn.MerchantLocationID,
	}
	return to.Track(ctx, account, numbers, func(ctx context.Context) error {
		return call(ctx, env, conn.AccountID, credentialID)
	})
}

// onlyErrors returns nil if there is tracking of any number, and otherwise the error of
// one of them, preferably one of our own failures.
func onlyErrors(found map[string]Answer) error {
	var first error
	for _, a := range found {
		if a.Tracking != nil {
			return nil
		}
		if first == nil || fault.KindOf(a.Err) == fault.Internal {
			first = a.Err
		}
	}
	return first
}
