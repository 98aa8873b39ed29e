package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
)

// connections reads the account and its connections.
type connections interface {
	Load(ctx context.Context, accountID int64, want store.Want) (store.Loaded, error)
	// ListConnections reads those that are linked, the oldest first.
	ListConnections(ctx context.Context, accountID int64, withSnapshots bool) ([]carrier.Connection, map[string]carrier.Snapshot, error)
}

// cache keeps what the carrier said, and counts its calls.
type cache interface {
	CachedTracking(ctx context.Context, accountID int64, connectionID string, numbers []string, now time.Time) (map[string]carrier.CachedTracking, error)
	CacheTracking(ctx context.Context, accountID int64, connectionID string, tracking []carrier.CachedTracking) error
	// TakeCall counts a call of an allowance where one is left in the window; else
	// wait says how long until there is.
	TakeCall(ctx context.Context, a carrier.Allowance, limit int, window time.Duration, now time.Time) (wait time.Duration, err error)
}

// secrets reads credentials: fault.NotFound where there are none.
type secrets interface {
	Get(ctx context.Context, accountID int64, connectionID, version string) (carrier.Credentials, error)
}

// tracker asks a carrier. allow is asked before each call.
type tracker interface {
	Track(ctx context.Context, account carrier.ChargeAccount, numbers []string, allow func(ctx context.Context) error) carrier.TrackingReading
}

type handler struct {
	auth        *auth.Auth
	connections connections
	cache       cache
	secrets     secrets
	carriers    carrier.PerEnvironment[tracker] // the sandbox's is the simulator in process
	errorSource string
	now         func() time.Time
}

// How long tracking is used without asking the carrier, and how long it is kept
// for when the carrier can not be asked.
const (
	freshFor = 2 * time.Minute
	keptFor  = time.Hour
)

// track answers for one number with its tracking, for several with what each
// came to. Errors: those of auth.Merchant; fault.Required, Invalid, Length,
// Identifier and NotSupported for the parameters; NotFound for the connection;
// and for a single number of which nothing is kept those of known.err.
func (h *handler) track(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	q, inputErr := parse(req)
	var loaded store.Loaded
	caller, err := h.auth.Merchant(ctx, req, func(ctx context.Context, accountID int64) (_ *carrier.Account, err error) {
		loaded, err = h.connections.Load(ctx, accountID, store.Want{Now: h.now(), ConnectionID: q.carrierID})
		return loaded.Account, err
	})
	if err != nil {
		return nil, err
	}
	if inputErr != nil {
		return nil, inputErr
	}
	conn := loaded.Connection
	if q.carrier != "" {
		linked, _, err := h.connections.ListConnections(ctx, caller.AccountID, false)
		if err != nil {
			return nil, fmt.Errorf("reading the connections: %w", err)
		}
		conn = choose(linked, q.carrier)
	}
	if conn == nil || !conn.Visible() {
		return nil, fault.New(fault.NotFound, "There is no such carrier.")
	}
	found, err := h.find(ctx, loaded.Account.Environment, conn, q.numbers)
	if err != nil {
		return nil, err
	}
	if err := useless(found); err != nil && (len(q.numbers) == 1 || fault.KindOf(err) == fault.Internal) {
		return nil, fmt.Errorf("tracking: %w", err)
	}
	h.logFailure(ctx, req, caller, conn, found)
	now := h.now()
	if len(q.numbers) == 1 {
		return httpapi.JSON(http.StatusOK, newTrackingBody(conn, found[q.numbers[0]], now)), nil
	}
	body := resultsBody{Results: make([]any, len(q.numbers))}
	for i, n := range q.numbers {
		if k := found[n]; k.tracking == nil {
			body.Results[i] = failureBody{n, httpapi.Problems(h.errorSource, k.err)[0]}
		} else {
			body.Results[i] = newTrackingBody(conn, k, now)
		}
	}
	return httpapi.JSON(http.StatusOK, body), nil
}

// choose is the account's connection to a carrier: the oldest one that works,
// else the oldest; nil if there is none.
func choose(linked []carrier.Connection, name carrier.Name) *carrier.Connection {
	var chosen *carrier.Connection
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

// known is what can be said of one number.
type known struct {
	tracking *carrier.Tracking // nil: nothing, because of err
	at       time.Time         // when the carrier said so
	live     bool
	stale    bool // kept for longer than freshFor, and not renewed because of err
	err      error
}

// find says what is known of each number: kept lately, asked for now, or kept
// for longer where the carrier says nothing of it.
func (h *handler) find(ctx context.Context, env carrier.Environment, conn *carrier.Connection, numbers []string) (map[string]known, error) {
	now := h.now()
	cached, err := h.cache.CachedTracking(ctx, conn.AccountID, conn.ID, numbers, now)
	if err != nil {
		return nil, err
	}
	found := make(map[string]known, len(numbers))
	var ask []string
	for _, n := range numbers {
		if _, twice := found[n]; twice {
			continue
		}
		k := unpack(cached[n])
		found[n] = k
		if k.tracking == nil || now.Sub(k.at) >= freshFor {
			ask = append(ask, n)
		}
	}
	if len(ask) == 0 {
		return found, nil
	}
	reading := h.ask(ctx, env, conn, ask)
	now = h.now()
	var keep []carrier.CachedTracking
	var keepErr error
	for _, n := range ask {
		r := reading[n]
		switch {
		case r.Err == nil:
			found[n] = known{tracking: &r.Tracking, at: now, live: true}
			c, err := pack(r.Tracking, now)
			keep, keepErr = append(keep, c), errors.Join(keepErr, err)
		case found[n].tracking != nil && !fault.Is(r.Err, fault.NotFound):
			k := found[n]
			k.stale, k.err = true, r.Err
			found[n] = k
		default:
			found[n] = known{err: r.Err}
		}
	}
	if len(keep) > 0 && keepErr == nil {
		keepErr = h.cache.CacheTracking(ctx, conn.AccountID, conn.ID, keep)
	}
	if keepErr != nil {
		slog.WarnContext(ctx, "tracking is not kept", slog.String("error", keepErr.Error()))
	}
	return found, nil
}

// ask asks the carrier with the connection's credentials, as often as their
// allowance lets it, whatever state the connection is in: that may have changed.
func (h *handler) ask(ctx context.Context, env carrier.Environment, conn *carrier.Connection, numbers []string) carrier.TrackingReading {
	to, err := h.carriers.Of(env)
	var credentials carrier.Credentials
	if err == nil {
		credentials, err = h.secrets.Get(ctx, conn.AccountID, conn.ID, conn.SecretVersion)
	}
	if fault.Is(err, fault.NotFound) {
		err = carrier.Reading{Outcome: carrier.OutcomeNoCredentials, Cause: err}.Err()
	}
	if err != nil {
		reading := carrier.TrackingReading{}
		for _, n := range numbers {
			reading[n] = carrier.Tracked{Err: err}
		}
		return reading
	}
	allowance := carrier.CredentialAllowance(carrier.UseTracking, env, conn.AccountID, carrier.CredentialID(credentials.APIKey))
	return to.Track(ctx, carrier.ChargeAccount{Carrier: conn.Carrier, Number: conn.AccountNumber, Credentials: credentials}, numbers, func(ctx context.Context) error {
		wait, err := h.cache.TakeCall(ctx, allowance, carrier.TrackCalls, carrier.AllowanceWindow, h.now())
		if err == nil && wait > 0 {
			err = &fault.Error{
				Kind: fault.RateLimited, RetryAfter: wait,
				Message: fmt.Sprintf("The carrier takes %d tracking calls a minute for an API key, and they are used up.", carrier.TrackCalls),
			}
		}
		return err
	})
}

// kept is tracking as the cache holds it, with the words of the carrier: what
// they mean is for the reader to say.
type kept struct {
	Status string      `json:"status"`
	Events []keptEvent `json:"events"`
}

type keptEvent struct {
	At          time.Time `json:"at"`
	CarrierTime string    `json:"carrier_time"`
	Description string    `json:"description"`
	Location    string    `json:"location"`
}

func pack(t carrier.Tracking, now time.Time) (carrier.CachedTracking, error) {
	k := kept{Status: t.CarrierStatus}
	for _, e := range t.Events {
		k.Events = append(k.Events, keptEvent(e))
	}
	body, err := json.Marshal(k)
	return carrier.CachedTracking{Number: t.Number, At: now, Body: body, ExpiresAt: now.Add(keptFor)}, err
}

// unpack reads what the cache held. What can not be read was not there.
func unpack(c carrier.CachedTracking) known {
	var k kept
	if json.Unmarshal(c.Body, &k) != nil {
		return known{}
	}
	t := carrier.Tracking{Number: c.Number, CarrierStatus: k.Status}
	for _, e := range k.Events {
		t.Events = append(t.Events, carrier.TrackingEvent(e))
	}
	return known{tracking: &t, at: c.At}
}

// useless is the error of an answer that would say nothing about any number,
// ours before others; nil if it says something.
func useless(found map[string]known) error {
	var first error
	for _, k := range found {
		if k.tracking != nil {
			return nil
		}
		if first == nil || fault.KindOf(k.err) == fault.Internal {
			first = k.err
		}
	}
	return first
}

// logFailure tells the operator, once, why an answer is less than the carrier
// knows. Numbers are people's: they are not logged.
func (h *handler) logFailure(ctx context.Context, req *httpapi.Request, caller auth.Caller, conn *carrier.Connection, found map[string]known) {
	var err error
	stale, failed := 0, 0
	for _, k := range found {
		switch {
		case k.err == nil, fault.Is(k.err, fault.NotFound), fault.Is(k.err, fault.Invalid): // about the number
			continue
		case k.stale:
			stale++
		default:
			failed++
		}
		err = k.err
	}
	if err != nil {
		slog.WarnContext(ctx, "tracking without the carrier", slog.String("request_id", req.ID),
			slog.String("account_id", strconv.FormatInt(caller.AccountID, 10)), slog.String("carrier_id", conn.ID),
			slog.Int("stale", stale), slog.Int("failed", failed), slog.String("error", err.Error()))
	}
}

// query is what the request asks for.
type query struct {
	carrierID string       // this connection,
	carrier   carrier.Name // or one of this carrier
	numbers   []string     // as they were asked, cleaned
}

// parse reads the query; the error lists every problem.
func parse(req *httpapi.Request) (query, error) {
	var q query
	var problems fault.List
	add := func(err error) { problems = append(problems, fault.Of(err)...) }
	var ids, codes []string
	single := func(name string, into *[]string) {
		problems = append(problems, req.Single(name, func(v string) *fault.Error {
			*into = []string{v}
			return nil
		})...)
	}
	single("carrier_id", &ids)
	single("carrier_code", &codes)
	var err error
	switch {
	case len(problems) > 0:
	case len(ids)+len(codes) == 0:
		add(fault.Field(fault.Required, "carrier_id", "carrier_id or carrier_code is needed."))
	case len(ids) > 0 && len(codes) > 0:
		add(fault.Field(fault.Invalid, "carrier_code", "carrier_code must not be given with carrier_id."))
	case len(ids) > 0:
		q.carrierID, err = carrier.ParseConnectionID(ids[0])
		add(err)
	default:
		if q.carrier, err = carrier.ParseName(codes[0]); err != nil {
			add(fault.Field(fault.NotSupported, "carrier_code", "carrier_code must be australia_post or startrack."))
		}
	}
	const field = "tracking_number"
	numbers := req.Query(field)
	switch {
	case len(numbers) == 0:
		add(fault.Field(fault.Required, field, "%s is needed.", field))
	case len(numbers) > carrier.MaxTrackingNumbers:
		add(fault.Field(fault.Invalid, field, "%s must be given at most %d times.", field, carrier.MaxTrackingNumbers))
	default:
		for _, n := range numbers {
			clean, problem := carrier.CleanTrackingNumber(field, n)
			if problem != nil {
				add(problem)
			}
			q.numbers = append(q.numbers, clean)
		}
	}
	return q, problems.Err()
}
