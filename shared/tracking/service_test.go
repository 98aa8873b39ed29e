package tracking_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/auspost"
	"carrierlink/shared/auspost/simulator"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/tracking"
)

// The numbers of the simulator's examples, and one that it does not know.
const (
	parcel    = "ZZ91000634011427"
	abroad    = "ET000000005AU"
	starTrack = "9ZZZ50000001"
	unknown   = "ZZ91000"
)

// world is the Service over a cache in memory, for account 71 and its connections. The
// carrier is the simulator, behind the real client.
type world struct {
	*tracking.Service
	testing.TB
	account     account.Account
	connections []connection.Connection // the oldest first
	clock       time.Time
	asked       []string // tracking_ids of the carrier's calls
	accounts    []string // and the account numbers that they were made for
	failures    []string // of the latest result; nil if it has none
	recorded    []int    // events of each call that was to be taken
	// carrier answers instead of the simulator, unless it is nil.
	carrier *reply

	cache                                tracking.Cache
	getErr, cachedErr, cacheErr, takeErr error
}

// RoundTrip is the carrier's.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	w.asked = append(w.asked, r.URL.Query().Get("tracking_ids"))
	w.accounts = append(w.accounts, r.Header.Get("Account-Number"))
	if c := w.carrier; c != nil {
		return &http.Response{StatusCode: c.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(c.body))}, c.err
	}
	return simulator.NewTransport(time.Now).RoundTrip(r)
}

// Get is the vault's: connections whose ids begin alike share an API key.
func (w *world) Get(_ context.Context, account int64, id, version string) (connection.Credentials, error) {
	if version != "v-"+id {
		return connection.Credentials{}, fmt.Errorf("version %q of %d's %s", version, account, id)
	}
	return connection.Credentials{APIKey: secret.New("key-canary-" + id[:4]), APISecret: secret.New("secret-canary")}, w.getErr
}

// ListConnections is the store's.
func (w *world) ListConnections(_ context.Context, accountID int64, _ bool) ([]connection.Connection, map[string]connection.Snapshot, error) {
	return slices.DeleteFunc(slices.Clone(w.connections), func(c connection.Connection) bool { return !c.Visible() || c.AccountID != accountID }), nil, nil
}

// CachedTracking is the cache's, as are the next two.
func (w *world) CachedTracking(ctx context.Context, account int64, id string, numbers []string, now time.Time) (map[string]tracking.Cached, error) {
	if w.cachedErr != nil {
		return nil, w.cachedErr
	}
	return w.cache.CachedTracking(ctx, account, id, numbers, now)
}

func (w *world) CacheTracking(ctx context.Context, account int64, id string, tracking []tracking.Cached) error {
	if w.cacheErr != nil {
		return w.cacheErr
	}
	return w.cache.CacheTracking(ctx, account, id, tracking)
}

func (w *world) TakeCall(ctx context.Context, c connection.Call, window time.Duration, now time.Time) (time.Duration, error) {
	w.recorded = append(w.recorded, len(c.Effects.Events))
	if w.takeErr != nil {
		return 0, w.takeErr
	}
	return w.cache.TakeCall(ctx, c, window, now)
}

// elsewhere is a carrier that must not be asked.
type elsewhere struct{ testing.TB }

func (e elsewhere) Track(context.Context, connection.ChargeAccount, []string, func(context.Context) error) map[string]tracking.CarrierAnswer {
	e.Error("the other environment's carrier was asked")
	return nil
}

// reply is the carrier's answer to every call.
type reply struct {
	status int
	body   string
	err    error
}

func answers(status int, body string) *reply { return &reply{status: status, body: body} }

type slow struct{}

func (slow) Error() string { return "slow" }
func (slow) Timeout() bool { return true }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		TB: t, account: account.Account{ID: 71, Environment: carrier.Production}, clock: time.Date(2026, 11, 22, 6, 0, 30, 0, time.UTC), cache: storetest.NewMemory(),
	}
	client, err := auspost.New(auspost.Options{
		BaseURL: simulator.BaseURL, Transport: w, Sleep: func(context.Context, time.Duration) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Service = &tracking.Service{
		Connections: w, Cache: w, Vault: w, Carriers: carrier.PerEnvironment[tracking.Carrier]{Production: client, Sandbox: elsewhere{t}},
		Now: func() time.Time { return w.clock }, Random: rand.Reader,
	}
	return w
}

// link creates a connection, by default a working one to Australia Post.
func (w *world) link(id string, edit func(*connection.Connection)) {
	c := connection.Connection{
		ID: id, AccountID: w.account.ID, Carrier: carrier.AustraliaPost, AccountNumber: "0000123400", Status: connection.Active, Standing: account.StandingActive,
		SecretVersion: "v-" + id, CreatedAt: w.clock, MerchantLocationID: "ZZ9",
	}
	if edit != nil {
		edit(&c)
	}
	w.connections = append(w.connections, c)
}

// connection returns the connection of this id.
func (w *world) connection(id string) *connection.Connection {
	w.Helper()
	for i := range w.connections {
		if w.connections[i].ID == id {
			return &w.connections[i]
		}
	}
	w.Fatalf("no connection %s", id)
	return nil
}

// linked returns a world with the connection se-1.
func linked(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.link("se-1", nil)
	return w
}

// track calls Track, and keeps the failures of the result.
func (w *world) track(req tracking.Request) (tracking.Result, error) {
	w.failures = nil
	found, err := w.Track(w.Context(), req)
	if stale, failed, cause := found.Failures(); cause != nil {
		w.failures = []string{fmt.Sprintf("stale %d, failed %d", stale, failed)}
	}
	return found, err
}

// ask asks for numbers of se-1, and returns a line for each, or the problems.
func (w *world) ask(numbers ...string) []string {
	w.Helper()
	return w.askOf("se-1", numbers...)
}

func (w *world) askOf(id string, numbers ...string) []string {
	w.Helper()
	found, err := w.track(tracking.Request{Account: w.account, Connection: w.connection(id), Numbers: numbers})
	if err != nil {
		return told(err)
	}
	var lines []string
	for _, n := range numbers {
		lines = append(lines, w.line(n, found.Answers[n]))
	}
	return lines
}

// line returns an answer about one number in a few words.
func (w *world) line(number string, a tracking.Answer) string {
	if a.Tracking == nil {
		return number + " " + fault.KindOf(a.Err).String()
	}
	s := fmt.Sprintf("%s %s ", number, a.Tracking.Summary().Status)
	if a.Live {
		s += "live"
	} else {
		s += fmt.Sprintf("cached %ds", max(0, int(w.clock.Sub(a.At)/time.Second)))
	}
	if a.Stale {
		s += " stale"
	}
	return s
}

// told returns kind, field and diagnosis of each problem.
func told(err error) []string {
	var all []string
	for _, p := range fault.Of(err) {
		what := p.Kind.String()
		if p.Field != "" {
			what += " " + p.Field
		}
		if p.Diagnosis != nil {
			what += ": " + p.Diagnosis.Category
		}
		all = append(all, what)
	}
	return all
}

// failures are reasons not to get tracking, with the problems of a number that is not in
// the cache.
var failures = []struct {
	name  string
	fail  func(w *world)
	want  []string
	after time.Duration // RetryAfter
}{
	{"refused", func(w *world) { w.carrier = answers(401, `{"errors":[{"error_code":"API_001"}]}`) }, []string{"carrier refused: credentials_refused"}, 0},
	{"not entitled", func(w *world) { w.carrier = answers(403, `{"errors":[{"error_code":"API_003"}]}`) }, []string{"carrier refused: key_not_entitled"}, 0},
	{"unknown account", func(w *world) { w.carrier = answers(400, `{"errors":[{"code":"41001"}]}`) }, []string{"carrier refused account_number: account_not_found"}, 0},
	{"no contract", func(w *world) { w.carrier = answers(400, `{"errors":[{"code":"41007"}]}`) }, []string{"carrier contract: contract_not_set_up"}, 0},
	{"throttled", func(w *world) { w.carrier = answers(429, "") }, []string{"carrier limited: carrier_rate_limited"}, time.Minute},
	{"down", func(w *world) { w.carrier = answers(500, "") }, []string{"carrier down: carrier_unavailable"}, 0},
	{"HTML", func(w *world) { w.carrier = answers(200, "<html>") }, []string{"carrier down: carrier_unreadable"}, 0},
	{"no connection", func(w *world) { w.carrier = &reply{err: io.ErrUnexpectedEOF} }, []string{"carrier down: carrier_unavailable"}, 0},
	{"no answer", func(w *world) { w.carrier = &reply{err: slow{}} }, []string{"carrier timeout: carrier_timeout"}, 0},
	{"another number", func(w *world) { w.carrier = answers(200, `{"tracking_results":[]}`) }, []string{"carrier down: carrier_unreadable"}, 0},
	{"their system", func(w *world) {
		w.carrier = answers(200, `{"tracking_results":[{"tracking_id":"`+parcel+`","errors":[{"code":"ESB-20010"}]}]}`)
	}, []string{"carrier down: carrier_unavailable"}, 0},
	{"no secret", func(w *world) { w.getErr = fault.New(fault.NotFound, "gone") }, []string{"state: credentials_missing"}, 0},
	{"no vault", func(w *world) { w.getErr = errors.New("unseen") }, []string{"internal"}, 0},
	{"no counter", func(w *world) { w.takeErr = errors.New("unseen") }, []string{"internal"}, 0},
	{"collisions", func(w *world) { w.takeErr = fault.Busy(fault.ErrCollision) }, []string{"rate limited"}, time.Second},
	{"no allowance", func(w *world) {
		credential := connection.CredentialAllowance(connection.UseTracking, carrier.Production, 71, connection.CredentialID(secret.New("key-canary-se-1")))
		for range tracking.CallsPerMinute {
			_, _ = w.cache.TakeCall(context.Background(), connection.Call{Allowance: credential, Limit: tracking.CallsPerMinute}, time.Minute, w.clock.Add(-20*time.Second))
		}
	}, []string{"rate limited"}, 40 * time.Second},
}

// allows is a carrier that only calls allow, before which the test may do something.
type allows []func()

func (a allows) Track(ctx context.Context, _ connection.ChargeAccount, numbers []string, allow func(context.Context) error) map[string]tracking.CarrierAnswer {
	answers := map[string]tracking.CarrierAnswer{}
	for _, before := range a {
		before()
		answers[numbers[0]] = tracking.CarrierAnswer{Err: allow(ctx)}
	}
	return answers
}

// TestReadingIsRecordedOnce: with the first call that is taken, and not with one that is not.
func TestReadingIsRecordedOnce(t *testing.T) {
	w := linked(t)
	w.Carriers.Production = allows{
		func() { w.takeErr = fault.Busy(fault.ErrCollision) }, func() { w.takeErr = nil }, func() {},
	}
	_, err := w.Track(t.Context(), tracking.Request{Account: w.account, Connection: w.connection("se-1"), Numbers: []string{parcel}, By: effects.By{Actor: effects.Schedule}})
	if err != nil {
		t.Errorf("Track = %v", err)
	}
	functiontest.Diff(t, "readings recorded with each call", []int{1, 1, 0}, w.recorded)
}

func TestFailures(t *testing.T) {
	for _, tc := range failures {
		t.Run(tc.name, func(t *testing.T) {
			out := functiontest.CaptureLog(t)
			w := linked(t)
			tc.fail(w)
			_, err := w.track(tracking.Request{Account: w.account, Connection: w.connection("se-1"), Numbers: []string{parcel}})
			functiontest.Diff(t, "problems", tc.want, told(err))
			problem := fault.Of(err)[0]
			if problem.RetryAfter != tc.after {
				t.Errorf("RetryAfter = %v, want %v", problem.RetryAfter, tc.after)
			}
			if strings.Contains(err.Error(), "canary") || strings.Contains(problem.Message, "unseen") || out.Len() > 0 {
				t.Errorf("the error or the log tells too much: %v\n%s", err, out)
			}
		})
	}
}

// TestStale: whatever fails, the answer is the tracking from the cache for up to an hour,
// with the reason.
func TestStale(t *testing.T) {
	for _, tc := range failures {
		t.Run(tc.name, func(t *testing.T) {
			w := linked(t)
			functiontest.Diff(t, "at first", []string{parcel + " DE live"}, w.ask(parcel))
			w.clock = w.clock.Add(2 * time.Minute)
			tc.fail(w)
			functiontest.Diff(t, "later", []string{parcel + " DE cached 120s stale"}, w.ask(parcel))
			functiontest.Diff(t, "failures", []string{"stale 1, failed 0"}, w.failures)
			if tc.name == "no allowance" {
				return // by then the allowance has room again
			}
			w.clock = w.clock.Add(58*time.Minute - time.Second)
			functiontest.Diff(t, "just before an hour", []string{parcel + " DE cached 3599s stale"}, w.ask(parcel))
			w.clock = w.clock.Add(time.Second)
			functiontest.Diff(t, "after an hour", tc.want, w.ask(parcel))
		})
	}
}

// TestHeld: while the carrier has asked for a pause of the connection, nobody asks it.
func TestHeld(t *testing.T) {
	w := linked(t)
	functiontest.Diff(t, "at first", []string{parcel + " DE live"}, w.ask(parcel))
	w.clock = w.clock.Add(2 * time.Minute)
	conn := w.connection("se-1")
	conn.HeldUntil, conn.LastCheck.Outcome = w.clock.Add(time.Minute), carrier.OutcomeRateLimited
	w.asked = nil
	functiontest.Diff(t, "held", []string{parcel + " DE cached 120s stale"}, w.ask(parcel))
	_, err := w.track(tracking.Request{Account: w.account, Connection: conn, Numbers: []string{abroad}})
	if !fault.Is(err, fault.CarrierLimited) || fault.Of(err)[0].RetryAfter != time.Minute || len(w.asked) != 0 {
		t.Errorf("held: %v, asked for %v", err, w.asked)
	}
	w.clock = w.clock.Add(time.Minute)
	functiontest.Diff(t, "after it", []string{parcel + " DE live"}, w.ask(parcel))
}

// TestAboutTheNumber: an answer about the number itself replaces older tracking unless the
// product is not tracked, and is not a failure.
func TestAboutTheNumber(t *testing.T) {
	out := functiontest.CaptureLog(t)
	w := linked(t)
	functiontest.Diff(t, "unknown", []string{"not found tracking_number"}, w.ask(unknown))
	functiontest.Diff(t, "unknown again", []string{"not found tracking_number"}, w.ask(unknown))
	functiontest.Diff(t, "calls", []string{unknown}, w.asked)
	functiontest.Diff(t, "known", []string{parcel + " DE live"}, w.ask(parcel))
	w.clock = w.clock.Add(2 * time.Minute)
	w.carrier = answers(200, `{"tracking_results":[{"tracking_id":"`+parcel+`","errors":[{"code":"ESB-10001"}]}]}`)
	functiontest.Diff(t, "no longer known", []string{"not found tracking_number"}, w.ask(parcel))
	w.carrier = answers(200, `{"tracking_results":[{"tracking_id":"`+abroad+`","errors":[{"code":"ESB-10002"}]}]}`)
	functiontest.Diff(t, "not tracked", []string{"invalid tracking_number"}, w.ask(abroad))
	if out.Len() > 0 || w.failures != nil {
		t.Errorf("logged: %s; failures: %q", out, w.failures)
	}
}

func TestOurOwnFailures(t *testing.T) {
	t.Run("the cache cannot be read", func(t *testing.T) {
		w := linked(t)
		w.cachedErr = errors.New("unseen")
		functiontest.Diff(t, "problems", []string{"internal"}, w.ask(parcel))
	})
	t.Run("the cache cannot be written", func(t *testing.T) {
		out := functiontest.CaptureLog(t)
		w := linked(t)
		w.cacheErr = errors.New("throttled")
		functiontest.Diff(t, "answer", []string{parcel + " DE live"}, w.ask(parcel))
		if !strings.Contains(out.String(), "throttled") {
			t.Errorf("logged: %s", out)
		}
	})
	t.Run("the cache holds something else", func(t *testing.T) {
		w := linked(t)
		for i, body := range []string{"", "x", "[]", `{"events":7}`} {
			w.clock = w.clock.Add(time.Minute)
			kept := []tracking.Cached{{Number: parcel, At: w.clock, Body: []byte(body), ExpiresAt: w.clock.Add(time.Hour)}}
			if err := w.CacheTracking(t.Context(), 71, "se-1", kept); err != nil {
				t.Fatal(err)
			}
			functiontest.Diff(t, fmt.Sprintf("answer %d", i), []string{parcel + " DE live"}, w.ask(parcel))
		}
	})
	t.Run("nothing of several numbers", func(t *testing.T) {
		w := linked(t)
		w.getErr = errors.New("unseen")
		functiontest.Diff(t, "problems", []string{"internal"}, w.ask(parcel, abroad))
	})
}

// TestFresh: the carrier is not asked again within two minutes.
func TestFresh(t *testing.T) {
	w := linked(t)
	ask := func(after time.Duration, want string) {
		t.Helper()
		w.clock = w.clock.Add(after)
		functiontest.Diff(t, "answer", []string{parcel + " DE " + want}, w.ask(parcel))
	}
	ask(0, "live")
	ask(0, "cached 0s")
	ask(2*time.Minute-time.Millisecond, "cached 119s")
	ask(time.Millisecond, "live")
	ask(-time.Minute, "cached 0s") // of a clock that is behind
	functiontest.Diff(t, "calls", []string{parcel, parcel}, w.asked)
	w.link("se-2", nil)
	functiontest.Diff(t, "another connection", []string{parcel + " DE live"}, w.askOf("se-2", parcel))
}

func TestSeveral(t *testing.T) {
	w := linked(t)
	functiontest.Diff(t, "answers", []string{
		unknown + " not found", parcel + " DE live", starTrack + " IT live", parcel + " DE live", abroad + " IT live", unknown + " not found",
	}, w.ask(unknown, parcel, starTrack, parcel, abroad, unknown))
	functiontest.Diff(t, "calls: each number once, a call for each brand", []string{unknown + "," + parcel + "," + abroad, starTrack}, w.asked)

	w.clock, w.asked = w.clock.Add(time.Minute), nil
	second := "ZZ91000634011428"
	functiontest.Diff(t, "the carrier is not asked for fresh numbers", []string{parcel + " DE cached 60s", second + " DE live"}, w.ask(parcel, second))
	functiontest.Diff(t, "calls", []string{second}, w.asked)
	functiontest.Diff(t, "failures", nil, w.failures)

	w.clock, w.carrier = w.clock.Add(time.Minute), answers(503, "")
	third := "ZZ91000634011429"
	functiontest.Diff(t, "the carrier is down", []string{third + " carrier down", second + " DE cached 60s", parcel + " DE cached 120s stale"}, w.ask(third, second, parcel))
	functiontest.Diff(t, "failures", []string{"stale 1, failed 1"}, w.failures)
	functiontest.Diff(t, "twice the same is several", []string{third + " carrier down", third + " carrier down"}, w.ask(third, third))
	w.getErr = errors.New("unseen")
	functiontest.Diff(t, "our own failure, and something known", []string{third + " internal", parcel + " DE cached 120s stale"}, w.ask(third, parcel))
}

// TestAllowance: an API key has ten calls in any minute, whichever connections use it and
// whatever the carrier answers.
func TestAllowance(t *testing.T) {
	w := newWorld(t)
	w.link("se-1a", nil)
	w.link("se-1b", func(c *connection.Connection) { c.Carrier, c.AccountNumber = carrier.StarTrack, "00123400" })
	w.link("se-2", nil)
	n := 0
	ask := func(id, want string) {
		t.Helper()
		n++
		number := fmt.Sprintf("ZZ9100063401%04d", n)
		if want == "live" {
			want = number + " DE live"
		}
		functiontest.Diff(t, number, []string{want}, w.askOf(id, number))
	}
	for range 5 {
		ask("se-1a", "live")
		w.clock = w.clock.Add(5 * time.Second)
		ask("se-1b", "live")
		w.clock = w.clock.Add(5 * time.Second)
	}
	ask("se-1a", "rate limited")
	ask("se-1b", "rate limited")
	ask("se-2", "live")
	w.clock = w.clock.Add(10 * time.Second) // a minute after the first call
	w.carrier = answers(500, "")
	ask("se-1a", "carrier down: carrier_unavailable") // the second attempt has to wait
	ask("se-1a", "rate limited")
	w.clock = w.clock.Add(10 * time.Second)
	ask("se-1a", "carrier down: carrier_unavailable") // there were two
	if len(w.asked) != 14 {
		t.Errorf("the carrier was asked %d times, want 14", len(w.asked))
	}
}

// TestWhichConnection: the oldest connection to the carrier that works is used.
func TestWhichConnection(t *testing.T) {
	status := func(s connection.Status) func(*connection.Connection) {
		return func(c *connection.Connection) { c.Status = s }
	}
	tests := []struct {
		name  string
		edits []func(*connection.Connection) // of the connections from the oldest on, numbered from 0
		want  int
	}{
		{"none works", []func(*connection.Connection){status(connection.ActionRequired), status(connection.PendingVerification)}, 0},
		{"intents and disconnected ones are older", []func(*connection.Connection){status(connection.Linking), status(connection.Disconnected), status(connection.ActionRequired)}, 2},
		{"another carrier's is older", []func(*connection.Connection){func(c *connection.Connection) { c.Carrier = carrier.StarTrack }, nil}, 1},
		{"a paused one is older", []func(*connection.Connection){func(c *connection.Connection) { c.Standing = account.StandingPaused }, nil}, 1},
		{"degraded", []func(*connection.Connection){status(connection.ActionRequired), status(connection.Degraded), nil}, 1},
		{"restricted", []func(*connection.Connection){status(connection.Restricted), nil}, 0},
		{"the oldest", []func(*connection.Connection){nil, nil}, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			for i, edit := range tc.edits {
				w.clock = w.clock.Add(time.Minute)
				w.link(fmt.Sprintf("se-%d", i), func(c *connection.Connection) {
					c.AccountNumber = fmt.Sprintf("000012340%d", i)
					if edit != nil {
						edit(c)
					}
				})
			}
			found, err := w.track(tracking.Request{Account: w.account, Carrier: carrier.AustraliaPost, Numbers: []string{parcel}})
			if err != nil {
				t.Fatal(err)
			}
			functiontest.Diff(t, "account numbers", []string{fmt.Sprintf("000012340%d", tc.want)}, w.accounts)
			if want := fmt.Sprintf("se-%d", tc.want); found.Connection.ID != want {
				t.Errorf("asked through %s, want %s", found.Connection.ID, want)
			}
		})
	}
}

// TestNoConnection: intents and disconnected connections are not found.
func TestNoConnection(t *testing.T) {
	w := newWorld(t)
	w.link("se-1", func(c *connection.Connection) { c.Status = connection.Linking })
	w.link("se-2", func(c *connection.Connection) { c.Status = connection.Disconnected })
	for name, req := range map[string]tracking.Request{
		"none":                 {},
		"an intent":            {Connection: w.connection("se-1")},
		"a disconnected one":   {Connection: w.connection("se-2")},
		"none of this carrier": {Carrier: carrier.StarTrack},
	} {
		req.Account, req.Numbers = w.account, []string{parcel}
		_, err := w.track(req)
		functiontest.Diff(t, name, []string{"not found"}, told(err))
	}
	functiontest.Diff(t, "calls", nil, w.asked)
}

// TestSandbox: sandbox accounts ask the other carrier. Each has an allowance of its own,
// so it cannot use up that of another account with the same API key, in the sandbox or
// in production.
func TestSandbox(t *testing.T) {
	w := newWorld(t)
	w.Carriers.Production, w.Carriers.Sandbox = w.Carriers.Sandbox, w.Carriers.Production
	w.account = account.Account{ID: 73, Environment: carrier.Sandbox}
	w.link("se-1", nil)
	for i := range tracking.CallsPerMinute {
		number := fmt.Sprintf("ZZ9100063401%04d", i)
		functiontest.Diff(t, "a call", []string{number + " DE live"}, w.ask(number))
	}
	functiontest.Diff(t, "one more", []string{"rate limited"}, w.ask(parcel))
	id := connection.CredentialID(secret.New("key-canary-se-1"))
	for _, other := range []connection.Allowance{
		connection.CredentialAllowance(connection.UseTracking, carrier.Production, 71, id), connection.CredentialAllowance(connection.UseTracking, carrier.Sandbox, 74, id),
	} {
		if wait, err := w.cache.TakeCall(t.Context(), connection.Call{Allowance: other, Limit: tracking.CallsPerMinute}, connection.AllowanceWindow, w.clock); wait != 0 || err != nil {
			t.Errorf("%+v waits for %v, %v: the sandbox has used it up", other, wait, err)
		}
	}
}

// TestUnknownEnvironment: no carrier is asked for an account whose environment is
// unknown.
func TestUnknownEnvironment(t *testing.T) {
	for _, env := range []carrier.Environment{"", "Production", "staging"} {
		t.Run(string(env), func(t *testing.T) {
			w := newWorld(t)
			w.Carriers.Sandbox = w.Carriers.Production // either would be seen
			w.account.Environment = env
			w.link("se-1", nil)
			functiontest.Diff(t, "problems", []string{"internal"}, w.ask(parcel))
			if len(w.asked) > 0 {
				t.Errorf("a carrier was asked for %q", w.asked)
			}
		})
	}
}

// TestUnknownIsCached: twelve requests for an unknown number within a minute make one call
// of the carrier, so that the allowance is left for other numbers.
func TestUnknownIsCached(t *testing.T) {
	for name, tc := range map[string]struct {
		carrier *reply
		want    []string
	}{
		"by its result":        {nil, []string{"not found tracking_number"}},
		"by the whole answer":  {answers(404, `{"errors":[{"code":"51104","name":"INVALID_TRACKING_ID"}]}`), []string{"not found tracking_number"}},
		"a product, untracked": {answers(200, `{"tracking_results":[{"tracking_id":"`+unknown+`","errors":[{"code":"ESB-10002"}]}]}`), []string{"invalid tracking_number"}},
	} {
		t.Run(name, func(t *testing.T) {
			out := functiontest.CaptureLog(t)
			w := linked(t)
			w.carrier = tc.carrier
			for range 12 {
				functiontest.Diff(t, "problems", tc.want, w.ask(unknown))
				w.clock = w.clock.Add(5 * time.Second)
			}
			functiontest.Diff(t, "calls in a minute", []string{unknown}, w.asked)
			w.clock = w.clock.Add(time.Minute - time.Millisecond)
			functiontest.Diff(t, "just before two minutes", tc.want, w.ask(unknown))
			functiontest.Diff(t, "calls", []string{unknown}, w.asked)
			w.carrier = nil
			functiontest.Diff(t, "among others", []string{unknown + " " + strings.TrimSuffix(tc.want[0], " tracking_number"), parcel + " DE live"}, w.ask(unknown, parcel))
			w.clock = w.clock.Add(time.Millisecond)
			w.carrier = answers(200, `{"tracking_results":[{"tracking_id":"`+unknown+`","status":"Created"}]}`)
			functiontest.Diff(t, "asked again after two minutes", []string{unknown + " NY live"}, w.ask(unknown))
			functiontest.Diff(t, "calls", []string{unknown, parcel, unknown}, w.asked)
			if out.Len() > 0 {
				t.Errorf("logged: %s", out)
			}
		})
	}
}

// TestSilentAnswer: an answer that says nothing of a number does not replace older
// tracking.
func TestSilentAnswer(t *testing.T) {
	w := linked(t)
	silent := answers(200, `{"tracking_results":[{"tracking_id":"`+parcel+`","trackable_items":[{"article_id":"`+parcel+`"}]}]}`)
	w.carrier = silent
	functiontest.Diff(t, "where there is none", []string{parcel + " UN live"}, w.ask(parcel))
	w.carrier, w.clock = nil, w.clock.Add(2*time.Minute)
	functiontest.Diff(t, "something", []string{parcel + " DE live"}, w.ask(parcel))
	w.carrier, w.clock = silent, w.clock.Add(2*time.Minute)
	functiontest.Diff(t, "nothing", []string{parcel + " DE cached 120s stale"}, w.ask(parcel))
	w.carrier = answers(200, `{"tracking_results":[{"tracking_id":"`+parcel+`","errors":[{"code":"ESB-10002"}]}]}`)
	functiontest.Diff(t, "not tracked", []string{parcel + " DE cached 120s stale"}, w.ask(parcel))
	w.carrier = answers(200, `{"tracking_results":[{"tracking_id":"`+parcel+`","trackable_items":[{"errors":[{"code":"ESB-20010"}]}]}]}`)
	functiontest.Diff(t, "failed", []string{parcel + " DE cached 120s stale"}, w.ask(parcel))
}

// TestTooLargeToCache: an answer that is too large does not keep others out of the cache.
func TestTooLargeToCache(t *testing.T) {
	out := functiontest.CaptureLog(t)
	w := linked(t)
	var events []string
	for i := range 100 {
		events = append(events, fmt.Sprintf(`{"date":"2026-09-18T14:43:%02d+10:00","description":"%s%d","location":"%[2]s"}`, i%60, strings.Repeat("\U0001F4E6", 195), i))
	}
	item := `{"events":[` + strings.Join(events, ",") + `]}`
	w.carrier = answers(200, `{"tracking_results":[{"tracking_id":"`+abroad+`","trackable_items":[`+strings.Repeat(item+",", 3)+item+`]},{"tracking_id":"`+parcel+`","status":"Delivered"}]}`)
	for _, want := range [][]string{{abroad + " UN live", parcel + " DE live"}, {abroad + " UN live", parcel + " DE cached 0s"}} {
		functiontest.Diff(t, "answer", want, w.ask(abroad, parcel))
	}
	if !strings.Contains(out.String(), "too many") || strings.Contains(out.String(), abroad) {
		t.Errorf("logged: %s", out)
	}
}

// TestBrands: the connection's carrier and the merchant location of its account decide the
// brand of a number, and its form only if they do not.
func TestBrands(t *testing.T) {
	const consignment, item = "36ZZ45032230", "9ZZZ50000001EXP00001"
	location := func(own string) func(*connection.Connection) {
		return func(c *connection.Connection) { c.MerchantLocationID = own }
	}
	star := func(c *connection.Connection) {
		c.Carrier, c.AccountNumber, c.MerchantLocationID = carrier.StarTrack, "00123400", "9ZZZ"
	}
	const post, starTracks = carrier.AustraliaPost, carrier.StarTrack
	for _, tc := range []struct {
		name    string
		edit    func(*connection.Connection)
		numbers []string
		asked   []string
		brands  []carrier.Name
	}{
		{"the account's own consignment", location("36ZZ4"), []string{consignment, parcel}, []string{consignment + "," + parcel}, []carrier.Name{post, post}},
		{"an account that is not known yet", location(""), []string{consignment, parcel}, []string{consignment + "," + parcel}, []carrier.Name{post, post}},
		{"another account's", location("ZZ9"), []string{consignment, parcel}, []string{parcel, consignment}, []carrier.Name{post, post}},
		{"StarTrack's, told by the answer", location("ZZ9"), []string{starTrack, parcel}, []string{parcel, starTrack}, []carrier.Name{starTracks, post}},
		{"both in one call", location(""), []string{starTrack, parcel}, []string{starTrack + "," + parcel, parcel, starTrack}, []carrier.Name{starTracks, post}},
		{"both in one call, of one form", star, []string{starTrack, consignment}, []string{starTrack + "," + consignment, starTrack, consignment}, []carrier.Name{starTracks, starTracks}},
		{"a freight item", location("ZZ9"), []string{item, parcel}, []string{parcel, item}, []carrier.Name{starTracks, post}},
		{"articles of an account of StarTrack", star, []string{item, starTrack, parcel}, []string{parcel, item + "," + starTrack}, []carrier.Name{starTracks, starTracks, post}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.link("se-1", tc.edit)
			for range 2 { // live, then from the cache
				conn := w.connection("se-1")
				found, err := w.track(tracking.Request{Account: w.account, Connection: conn, Numbers: tc.numbers})
				if err != nil {
					t.Fatal(err)
				}
				var brands []carrier.Name
				for _, n := range tc.numbers {
					brands = append(brands, found.Answers[n].Tracking.Brand(conn.Carrier))
				}
				if diff := cmp.Diff(tc.brands, brands); diff != "" {
					t.Errorf("brands (-want +got):\n%s", diff)
				}
			}
			functiontest.Diff(t, "calls", tc.asked, w.asked)
		})
	}
	t.Run("apart, as far as the allowance goes", func(t *testing.T) {
		w := newWorld(t)
		w.link("se-1", location(""))
		for i := range tracking.CallsPerMinute - 2 {
			w.ask(fmt.Sprintf("ZZ9100063401%04d", i))
		}
		functiontest.Diff(t, "answers", []string{starTrack + " rate limited", parcel + " DE live"}, w.ask(starTrack, parcel))
		if len(w.asked) != tracking.CallsPerMinute {
			t.Errorf("the carrier was asked %d times, want %d", len(w.asked), tracking.CallsPerMinute)
		}
	})
}

// TestOldEntry: cache entries from before there were articles can be read.
func TestOldEntry(t *testing.T) {
	w := linked(t)
	kept := []tracking.Cached{{Number: parcel, At: w.clock, ExpiresAt: w.clock.Add(time.Hour), Body: []byte(
		`{"status":"Delivered","events":[{"at":"2026-09-18T04:43:09Z","carrier_time":"2026-09-18T14:43:09+10:00","description":"Delivered","location":"KEW VIC"}]}`)}}
	if err := w.CacheTracking(t.Context(), 71, "se-1", kept); err != nil {
		t.Fatal(err)
	}
	found, err := w.track(tracking.Request{Account: w.account, Connection: w.connection("se-1"), Numbers: []string{parcel}})
	if err != nil {
		t.Fatal(err)
	}
	got := found.Answers[parcel]
	functiontest.Diff(t, "answer", []string{parcel + " DE cached 0s"}, []string{w.line(parcel, got)})
	at := time.Date(2026, 9, 18, 4, 43, 9, 0, time.UTC)
	if place := got.Tracking.Events[0].Place(); !got.Tracking.DeliveredAt().Equal(at) || place.City != "KEW" || place.State != "VIC" || len(got.Tracking.Articles()) != 0 {
		t.Errorf("read as %+v", got.Tracking)
	}
}
