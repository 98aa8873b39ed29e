package schedule_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/schedule"
)

// fakeChecker returns outcomes and errors by connection.
type fakeChecker struct {
	outcomes map[string]carrier.Outcome
	errs     map[string]error
	breakers map[carrier.Name]health.Breaker
	down     error // of reading the breakers
	uncount  error // of counting

	mu      sync.Mutex
	asked   []string
	counted map[carrier.Name][]health.Check
	with    map[carrier.Name]health.Breaker
}

func (c *fakeChecker) Breakers(context.Context) (map[carrier.Name]health.Breaker, error) {
	return c.breakers, c.down
}

func (c *fakeChecker) Refresh(_ context.Context, d connection.Due, b health.Breaker) (connection.Checked, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, fmt.Sprint(d.AccountID, " ", d.ConnectionID, " ", b.Carrier, " ", b.Open))
	if d.ConnectionID == "se-panic" {
		panic("canary")
	}
	return c.answer(d.AccountID, d.ConnectionID)
}

func (c *fakeChecker) Control(_ context.Context, accountID int64, id string, b health.Breaker) (connection.Checked, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, fmt.Sprint("control ", accountID, " ", id, " ", b.Carrier, " ", b.Open))
	return c.answer(accountID, id)
}

func (c *fakeChecker) answer(accountID int64, id string) (connection.Checked, error) {
	if err := c.errs[id]; err != nil {
		return connection.Checked{}, err
	}
	outcome, ok := c.outcomes[id]
	if !ok {
		outcome = carrier.OutcomeOK
	}
	return connection.Checked{Counted: health.Check{AccountID: accountID, Outcome: outcome}}, nil
}

func (c *fakeChecker) Count(_ context.Context, name carrier.Name, b health.Breaker, checks []health.Check) error {
	if c.counted == nil {
		c.counted, c.with = map[carrier.Name][]health.Check{}, map[carrier.Name]health.Breaker{}
	}
	c.counted[name], c.with[name] = append(c.counted[name], checks...), b
	return c.uncount
}

// received makes a batch of bodies with the ids m0, m1 and so on.
func received(bodies ...string) []schedule.Received {
	var batch []schedule.Received
	for i, b := range bodies {
		batch = append(batch, schedule.Received{ID: fmt.Sprint("m", i), Body: b})
	}
	return batch
}

func body(account int64, id string, lane connection.Lane, more string) string {
	return fmt.Sprintf(`{"account_id":%d,"carrier_id":%q,"lane":%q%s}`, account, id, lane, more)
}

// poison are bodies that are not messages.
var poison = []string{
	"", "null", "{}", "[]", `"x"`, "not JSON", `{"account_id":1}`, `{"carrier_id":"se-1"}`, `{"account_id":0,"carrier_id":"se-1","lane":"sandbox"}`,
	`{"account_id":-1,"carrier_id":"se-1","lane":"sandbox"}`, `{"account_id":"1","carrier_id":"se-1"}`, `{"account_id":1,"carrier_id":"","lane":"sandbox"}`,
	`{"account_id":1,"carrier_id":"se-1","lane":"sandbox"}x`, `{"account_id":1.5,"carrier_id":"se-1","lane":"sandbox"}`,
	`{"account_id":1,"carrier_id":"se-1"}`, `{"account_id":1,"carrier_id":"se-1","lane":"pigeon"}`,
}

func TestBatchFails(t *testing.T) {
	broken := errors.New("broken")
	good, other := body(1, "se-1", auspost, ""), body(2, "se-2", startrack, "")
	tests := []struct {
		name    string
		checker *fakeChecker
		batch   []string
		want    []string
		asked   int
	}{
		{"poison", &fakeChecker{}, poison, []string{"m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9", "m10", "m11", "m12", "m13", "m14", "m15"}, 0},
		{"poison among messages", &fakeChecker{}, []string{good, "x", other}, []string{"m1"}, 2},
		{"the breakers cannot be read", &fakeChecker{down: broken}, []string{good, "x", other}, []string{"m0", "m1", "m2"}, 0},
		{"the store is down", &fakeChecker{errs: map[string]error{"se-1": broken, "se-2": fault.New(fault.Internal, "m")}}, []string{good, other}, []string{"m0", "m1"}, 2},
		{"the store fails for one", &fakeChecker{errs: map[string]error{"se-2": broken}}, []string{good, other, good}, []string{"m1"}, 3},
		{"a check failed, its row is due again", &fakeChecker{errs: map[string]error{"se-1": fmt.Errorf("x: %w: %w", connection.ErrPostponed, broken)}}, []string{good, other}, nil, 2},
		{"the table throttles a claim", &fakeChecker{errs: map[string]error{"se-1": fault.New(fault.Overloaded, "m")}}, []string{good, other}, []string{"m0"}, 2},
		{"the table throttles a record", &fakeChecker{errs: map[string]error{"se-1": fmt.Errorf("%w: %w", connection.ErrPostponed, fault.New(fault.Overloaded, "m"))}}, []string{good, other}, []string{"m0"}, 2},
		{"a check panics", &fakeChecker{}, []string{good, body(3, "se-panic", auspost, ""), other}, []string{"m1"}, 3},
		{"not due, or another check runs", &fakeChecker{errs: map[string]error{"se-1": fault.New(fault.State, "m")}}, []string{good, other}, nil, 2},
		{"the connection is gone", &fakeChecker{errs: map[string]error{"se-1": fault.New(fault.NotFound, "m")}}, []string{good}, nil, 1},
		{"counting fails", &fakeChecker{uncount: broken}, []string{good, other}, nil, 2},
		{"the carrier fails", &fakeChecker{outcomes: map[string]carrier.Outcome{"se-1": carrier.OutcomeTimeout, "se-2": carrier.OutcomeUnauthorized}}, []string{good, other}, nil, 2},
		{"control: no longer comparable", &fakeChecker{errs: map[string]error{"se-1": fault.New(fault.NotFound, "m")}}, []string{body(1, "se-1", auspost, `,"control":true`)}, nil, 1},
		{"control: another check runs", &fakeChecker{errs: map[string]error{"se-1": fault.New(fault.State, "m")}}, []string{body(1, "se-1", auspost, `,"control":true`)}, nil, 1},
		{"control: the store is down", &fakeChecker{errs: map[string]error{"se-1": broken}}, []string{body(1, "se-1", auspost, `,"control":true`)}, nil, 1},
		{"no messages", &fakeChecker{}, nil, nil, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w := schedule.Worker{Checker: tc.checker, Breakers: tc.checker}
			if diff := cmp.Diff(tc.want, w.Work(t.Context(), received(tc.batch...))); diff != "" {
				t.Errorf("failed messages (-want +got):\n%s", diff)
			}
			if len(tc.checker.asked) != tc.asked {
				t.Errorf("%d checks, want %d: %v", len(tc.checker.asked), tc.asked, tc.checker.asked)
			}
		})
	}
}

// TestFailuresAreLogged: each failure of ours is one line of the log, with the connection,
// and counted; the value of a panic is not logged. The store and the vault count throttled
// calls.
func TestFailuresAreLogged(t *testing.T) {
	c := &fakeChecker{errs: map[string]error{
		"se-1": fmt.Errorf("x: %w: %w", connection.ErrPostponed, errors.New("no JSON")), "se-2": fault.New(fault.Overloaded, "m"), "se-3": fault.New(fault.State, "m"),
	}}
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&log, nil)))
	defer slog.SetDefault(before)
	w := schedule.Worker{Checker: c, Breakers: c}
	var failed []string
	counted := metricstest.Of(t, func(ctx context.Context) {
		failed = w.Work(ctx, received(
			body(1, "se-1", auspost, ""), body(2, "se-2", auspost, ""), body(3, "se-3", auspost, ""), body(4, "se-4", auspost, ""), body(5, "se-panic", auspost, ""), "canary",
		))
	})
	if diff := cmp.Diff(map[string][]float64{"InternalErrors": {2}, "Malformed": {1}}, counted); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"m1", "m4", "m5"}, failed); diff != "" {
		t.Errorf("failed messages (-want +got):\n%s", diff)
	}
	if strings.Contains(log.String(), "canary") {
		t.Errorf("the log quotes a panic or a message:\n%s", log.String())
	}
	var got []string
	for line := range strings.Lines(log.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(fields["carrier_id"], " ", fields["status_reason"], " ", fields["again"]))
	}
	slices.Sort(got)
	want := []string{
		"<nil> internal_error true", "se-1 internal_error false", "se-2 internal_error true", "se-panic internal_error true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// TestOpenBreakerDrops: messages for a carrier with an open breaker are dropped, except
// the probe; the other carrier and the sandbox continue.
func TestOpenBreakerDrops(t *testing.T) {
	c := &fakeChecker{breakers: map[carrier.Name]health.Breaker{
		carrier.AustraliaPost: {Carrier: carrier.AustraliaPost, Open: true}, carrier.StarTrack: {Carrier: carrier.StarTrack},
	}}
	w := schedule.Worker{Checker: c, Breakers: c}
	failed := w.Work(t.Context(), received(
		body(1, "se-1", auspost, ""), body(2, "se-2", auspost, `,"probe":true`), body(3, "se-3", startrack, ""), body(4, "se-4", connection.SandboxLane, ""),
	))
	if failed != nil {
		t.Errorf("Work = %v, want no failed messages", failed)
	}
	slices.Sort(c.asked)
	if diff := cmp.Diff([]string{"2 se-2 australia_post true", "3 se-3 startrack false", "4 se-4  false"}, c.asked); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
}

// TestBatchCounts: every check counts for its carrier, with the breaker as it was read;
// checks of the sandbox do not count.
func TestBatchCounts(t *testing.T) {
	c := &fakeChecker{
		outcomes: map[string]carrier.Outcome{"se-1": carrier.OutcomeUnavailable, "se-5": carrier.OutcomeUnavailable},
		errs:     map[string]error{"se-6": fault.New(fault.State, "m"), "se-7": errors.New("broken"), "se-10": fault.New(fault.NotFound, "m"), "se-11": fault.New(fault.State, "m")},
		breakers: map[carrier.Name]health.Breaker{carrier.AustraliaPost: {Carrier: carrier.AustraliaPost, Version: 7}},
	}
	w := schedule.Worker{Checker: c, Breakers: c}
	failed := w.Work(t.Context(), received(
		body(1, "se-1", auspost, ""), body(2, "se-2", auspost, ""), body(3, "se-3", startrack, ""), body(5, "se-5", connection.SandboxLane, ""),
		body(6, "se-6", auspost, ""), body(7, "se-7", auspost, ""), "poison",
		body(8, "se-8", auspost, `,"silent":true`), body(9, "se-9", auspost, `,"control":true`), body(10, "se-10", auspost, `,"control":true`),
		body(11, "se-11", auspost, `,"control":true`),
	))
	if diff := cmp.Diff([]string{"m5", "m6"}, failed); diff != "" {
		t.Errorf("failed messages (-want +got):\n%s", diff)
	}
	want := map[carrier.Name][]health.Check{
		carrier.AustraliaPost: {
			{AccountID: 1, Outcome: carrier.OutcomeUnavailable},
			{AccountID: 2, Outcome: carrier.OutcomeOK},
			{AccountID: 8, Outcome: carrier.OutcomeOK, Silent: true},
			{AccountID: 9, Outcome: carrier.OutcomeOK},
			{AccountID: 10, ConnectionID: "se-10", Gone: true},
		},
		carrier.StarTrack: {{AccountID: 3, Outcome: carrier.OutcomeOK}},
	}
	if diff := cmp.Diff(want, c.counted); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	if c.with[carrier.AustraliaPost].Version != 7 {
		t.Errorf("counted with the breaker %+v", c.with[carrier.AustraliaPost])
	}
}
