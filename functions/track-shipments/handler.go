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

	"carrierlink/shared/account"
	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/tracking"
)

// connections reads the account and its connections.
type connections interface {
	Load(ctx context.Context, accountID int64, want store.Want) (store.Loaded, error)
	// ListConnections reads those that are linked, the oldest first.
	ListConnections(ctx context.Context, accountID int64, withSnapshots bool) ([]connection.Connection, map[string]connection.Snapshot, error)
}

// cache keeps what the carrier said, and counts its calls.
type cache interface {
	CachedTracking(ctx context.Context, accountID int64, connectionID string, numbers []string, now time.Time) (map[string]tracking.Cached, error)
	CacheTracking(ctx context.Context, accountID int64, connectionID string, tracking []tracking.Cached) error
	// TakeCall counts a call of an allowance where one is left in the window; else
	// wait says how long until there is.
	TakeCall(ctx context.Context, a connection.Allowance, limit int, window time.Duration, now time.Time) (wait time.Duration, err error)
}

// secrets reads credentials: fault.NotFound where there are none.
type secrets interface {
	Get(ctx context.Context, accountID int64, connectionID, version string) (connection.Credentials, error)
}

// tracker asks a carrier. allow is asked before each call.
type tracker interface {
	Track(ctx context.Context, account connection.ChargeAccount, numbers []string, allow func(ctx context.Context) error) tracking.Reading
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

// How long an answer is used without asking the carrier again, and how long
// tracking is kept for when the carrier cannot be asked.
const (
	freshFor = 2 * time.Minute
	keptFor  = time.Hour
)

// maxKept bounds what is kept of one number, in bytes: an item of DynamoDB holds
// 400 KB, and one that is too large would keep the others from being written.
const maxKept = 350_000

// track answers for one number with its tracking, for several with what each
// came to. Errors: those of auth.Merchant; fault.Required, Invalid, Length,
// Identifier and NotSupported for the parameters; NotFound for the connection;
// and for a single number of which nothing is kept those of known.err.
func (h *handler) track(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	q, inputErr := parse(req)
	var loaded store.Loaded
	caller, err := h.auth.Merchant(ctx, req, func(ctx context.Context, accountID int64) (_ *account.Account, err error) {
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
		return nil, connection.ErrNoCarrier()
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

// known is what can be said of one number.
type known struct {
	tracking *tracking.Tracking // nil: nothing, because of err
	at       time.Time          // when the carrier said so
	live     bool
	stale    bool // kept for longer than freshFor, and not renewed, because of err if that is set
	err      error
}

// find says what is known of each number: kept lately, asked for now, or kept
// for longer where the carrier says nothing of it.
func (h *handler) find(ctx context.Context, env carrier.Environment, conn *connection.Connection, numbers []string) (map[string]known, error) {
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
		if k.tracking == nil && k.err == nil || now.Sub(k.at) >= freshFor {
			ask = append(ask, n)
		}
	}
	if len(ask) == 0 {
		return found, nil
	}
	reading := h.ask(ctx, env, conn, ask)
	now = h.now()
	keep := make(map[string]tracking.Tracked)
	for _, n := range ask {
		r := reading[n]
		var kept bool
		if found[n], kept = renew(found[n], r, now); kept {
			keep[n] = r
		}
	}
	if err := h.keep(ctx, conn, keep, now); err != nil {
		slog.WarnContext(ctx, "tracking is not kept", slog.String("error", err.Error()))
	}
	return found, nil
}

// renew is what is known of a number after the carrier was asked, and whether
// that is to be kept. What is kept already stands in for a failure, for an answer
// that says nothing, and for a product that is suddenly not tracked, but not for a
// number that the carrier does not know any more.
func renew(old known, r tracking.Tracked, now time.Time) (k known, keep bool) {
	useful := r.Err == nil && (old.tracking == nil || !r.Tracking.Silent())
	switch {
	case useful:
		return known{tracking: &r.Tracking, at: now, live: true}, true
	case old.tracking != nil && r.Fault != tracking.NumberUnknown:
		old.stale, old.err = true, r.Err
		return old, false
	}
	return known{err: r.Err, at: now}, r.Fault != ""
}

// keep writes what the carrier said of numbers.
func (h *handler) keep(ctx context.Context, conn *connection.Connection, said map[string]tracking.Tracked, now time.Time) error {
	var entries []tracking.Cached
	var errs []error
	for n, r := range said {
		c, err := pack(n, r, now)
		if err == nil && len(c.Body) > maxKept {
			err = fmt.Errorf("%d bytes are too many", len(c.Body))
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		entries = append(entries, c)
	}
	if len(entries) > 0 {
		errs = append(errs, h.cache.CacheTracking(ctx, conn.AccountID, conn.ID, entries))
	}
	return errors.Join(errs...)
}

// ask asks the carrier with the connection's credentials, as often as their
// allowance lets it, whatever state the connection is in: that may have changed.
func (h *handler) ask(ctx context.Context, env carrier.Environment, conn *connection.Connection, numbers []string) tracking.Reading {
	to, err := h.carriers.Of(env)
	var credentials connection.Credentials
	if err == nil {
		credentials, err = h.secrets.Get(ctx, conn.AccountID, conn.ID, conn.SecretVersion)
	}
	if fault.Is(err, fault.NotFound) {
		err = connection.Reading{Outcome: carrier.OutcomeNoCredentials, Cause: err}.Err()
	}
	if err != nil {
		reading := tracking.Reading{}
		for _, n := range numbers {
			reading[n] = tracking.Tracked{Err: err}
		}
		return reading
	}
	allowance := connection.CredentialAllowance(connection.UseTracking, env, conn.AccountID, connection.CredentialID(credentials.APIKey))
	account := connection.ChargeAccount{
		Carrier: conn.Carrier, Number: conn.AccountNumber, Credentials: credentials, MerchantLocationID: conn.MerchantLocationID,
	}
	return to.Track(ctx, account, numbers, func(ctx context.Context) error {
		wait, err := h.cache.TakeCall(ctx, allowance, tracking.CallsPerMinute, connection.AllowanceWindow, h.now())
		if err == nil && wait > 0 {
			err = &fault.Error{
				Kind: fault.RateLimited, RetryAfter: wait,
				Message: fmt.Sprintf("The carrier takes %d tracking calls a minute for an API key, and they are used up.", tracking.CallsPerMinute),
			}
		}
		return err
	})
}

// kept is an answer as the cache holds it, with the words of the carrier: what
// they mean is for the reader to say. Entries from before there were parts have
// none.
type kept struct {
	Status string      `json:"status"`
	Events []keptEvent `json:"events"`
	// Of a part.
	Number string `json:"number,omitempty"`
	Parts  []kept `json:"parts,omitempty"`
	// Of the whole.
	Consignment bool                 `json:"consignment,omitempty"`
	Fault       tracking.NumberFault `json:"fault,omitempty"` // instead of all else
}

type keptEvent struct {
	At          time.Time `json:"at"`
	CarrierTime string    `json:"carrier_time"`
	Description string    `json:"description"`
	Location    string    `json:"location"`
}

// pack is what is kept of a number: tracking for keptFor, a fault as long as it is
// fresh, and a second more as the table counts in seconds.
func pack(number string, r tracking.Tracked, now time.Time) (tracking.Cached, error) {
	k, until := kept{Fault: r.Fault}, now.Add(freshFor+time.Second)
	if r.Err == nil {
		k, until = packPart(&r.Tracking), now.Add(keptFor)
		k.Number, k.Consignment = "", r.Tracking.Consignment
	}
	body, err := json.Marshal(k)
	return tracking.Cached{Number: number, At: now, Body: body, ExpiresAt: until}, err
}

func packPart(t *tracking.Tracking) kept {
	k := kept{Status: t.CarrierStatus, Number: t.Number}
	for _, e := range t.Events {
		k.Events = append(k.Events, keptEvent(e))
	}
	for i := range t.Parts {
		k.Parts = append(k.Parts, packPart(&t.Parts[i]))
	}
	return k
}

// unpack reads what the cache held. What cannot be read was not there.
func unpack(c tracking.Cached) known {
	var k kept
	if json.Unmarshal(c.Body, &k) != nil {
		return known{}
	}
	if err := k.Fault.Err(); err != nil {
		return known{err: err, at: c.At}
	}
	t := unpackPart(k)
	t.Number, t.Consignment = c.Number, k.Consignment
	return known{tracking: &t, at: c.At}
}

func unpackPart(k kept) tracking.Tracking {
	t := tracking.Tracking{Number: k.Number, CarrierStatus: k.Status}
	for _, e := range k.Events {
		t.Events = append(t.Events, tracking.Event(e))
	}
	for _, part := range k.Parts {
		t.Parts = append(t.Parts, unpackPart(part))
	}
	return t
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
func (h *handler) logFailure(ctx context.Context, req *httpapi.Request, caller auth.Caller, conn *connection.Connection, found map[string]known) {
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
		q.carrierID, err = connection.ParseID(ids[0])
		add(err)
	default:
		q.carrier, err = carrier.ParseName("carrier_code", codes[0])
		add(err)
	}
	const field = "tracking_number"
	numbers := req.Query(field)
	switch {
	case len(numbers) == 0:
		add(fault.Field(fault.Required, field, "%s is needed.", field))
	case len(numbers) > tracking.MaxNumbers:
		add(fault.Field(fault.Invalid, field, "%s must be given at most %d times.", field, tracking.MaxNumbers))
	default:
		for _, n := range numbers {
			clean, problem := tracking.CleanNumber(field, n)
			if problem != nil {
				add(problem)
			}
			q.numbers = append(q.numbers, clean)
		}
	}
	return q, problems.Err()
}
