package connection_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/health"
	"carrierlink/shared/secret"
)

const gap = 10 * time.Minute

func timing() health.Timing { return health.Timing{RefusalGap: gap, Speed: 1} }

func day(hours float64) time.Time {
	return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(hours * float64(time.Hour)))
}

func refusals() []carrier.Outcome {
	return []carrier.Outcome{
		carrier.OutcomeUnauthorized, carrier.OutcomeForbidden, carrier.OutcomeUnknownAccount, carrier.OutcomeContractEnded, carrier.OutcomeContractAbsent,
		carrier.OutcomeNoCredentials,
	}
}

func outages() []carrier.Outcome {
	return []carrier.Outcome{
		carrier.OutcomeRateLimited, carrier.OutcomeUnavailable, carrier.OutcomeTimeout, carrier.OutcomeUnreadable, carrier.OutcomeMalformed, carrier.OutcomeUnexpected,
	}
}

func states() []connection.Status {
	return []connection.Status{connection.PendingVerification, connection.Active, connection.Degraded, connection.Restricted, connection.ActionRequired}
}

func triggers() []connection.Trigger {
	return []connection.Trigger{connection.TriggerLink, connection.TriggerSchedule, connection.TriggerManual, connection.TriggerRead}
}

// is groups the outcomes as infra/docs/architecture.md does.
func is(o carrier.Outcome) string {
	switch {
	case slices.Contains(refusals(), o):
		return "refusal"
	case o == carrier.OutcomeOK:
		return "good"
	case o == carrier.OutcomeNumberMismatch:
		return "differs"
	case slices.Contains(outages(), o):
		return "outage"
	}
	return "not listed in this test"
}

// checked is one answer of the carrier and what the picture calls it.
type checked struct {
	name    string
	reading connection.Reading
	column  string // of life; of a refusal, the past is the column
}

func answers() []checked {
	refused := func(name, code string, o carrier.Outcome) checked {
		return checked{name, connection.Reading{Outcome: o, Code: code, Latency: time.Second}, "refusal"}
	}
	out := func(name string, o carrier.Outcome) checked {
		return checked{name, connection.Reading{Outcome: o, Latency: time.Second}, "outage"}
	}
	good := func(name, column string, c connection.Contract) checked {
		c.ValidTo = "2027-06-30"
		return checked{name, connection.Reading{Outcome: carrier.OutcomeOK, Contract: c, Latency: time.Second}, column}
	}
	return []checked{
		good("200", "fine", connection.Contract{Products: []connection.Product{{Expired: true}, {}}}),
		good("200, without products", "fine", connection.Contract{}),
		good("200, expired", "contract_expired", connection.Contract{Expired: true}),
		good("200, credit blocked", "credit_blocked", connection.Contract{CreditBlocked: true}),
		good("200, all products expired", "all_products_expired", connection.Contract{Products: []connection.Product{{Expired: true}, {Expired: true}}}),
		{"200, number differs", connection.Reading{Outcome: carrier.OutcomeNumberMismatch, Latency: time.Second}, "differs"},
		refused("401", "API_001", carrier.OutcomeUnauthorized),
		refused("403", "", carrier.OutcomeForbidden),
		refused("40001", "40001", carrier.OutcomeUnknownAccount),
		refused("41001", "41001", carrier.OutcomeUnknownAccount),
		refused("41002", "41002", carrier.OutcomeUnknownAccount),
		refused("41003", "41003", carrier.OutcomeContractEnded),
		refused("41007", "41007", carrier.OutcomeContractAbsent),
		refused("credentials missing", "", carrier.OutcomeNoCredentials),
		out("429", carrier.OutcomeRateLimited),
		out("5xx", carrier.OutcomeUnavailable),
		out("timeout", carrier.OutcomeTimeout),
		out("HTML", carrier.OutcomeUnreadable),
		out("malformed", carrier.OutcomeMalformed),
		out("unexpected", carrier.OutcomeUnexpected),
	}
}

// past is what came before a check.
type past struct {
	name    string
	first   time.Time // the first refusal
	breaker health.Breaker
	counts  bool // the first refusal is still the first one after this one
}

func pasts(now time.Time) []past {
	closed := func(ago time.Duration) health.Breaker { return health.Breaker{ChangedAt: now.Add(-ago)} }
	open := health.Breaker{Open: true, Failure: "unauthorized", ChangedAt: now.Add(-5 * time.Minute)}
	return []past{
		{"none", time.Time{}, health.Breaker{}, false},
		{"none", time.Time{}, closed(time.Hour), false},
		{"soon", now.Add(-gap + 1), health.Breaker{}, true},
		{"soon", now.Add(-gap + 1), closed(gap), true},
		{"soon", now.Add(time.Minute), health.Breaker{}, true}, // by a clock that was fast
		{"later", now.Add(-gap), health.Breaker{}, true},
		{"later", now.Add(-gap), closed(gap + 1), true},
		{"later", day(-9999), health.Breaker{}, true},
		{"before", now.Add(-2 * gap), closed(2 * gap), false},
		{"before", now.Add(-2 * gap), closed(time.Second), false},
		{"open", now.Add(-2 * gap), open, true},
		{"open", now.Add(-2 * gap), health.Breaker{Open: true, ChangedAt: now.Add(-3 * gap)}, true},
		{"open", time.Time{}, open, false},
	}
}

// life is the diagram of infra/docs/architecture.md: the state after each answer, with no
// account to compare with and after LoneRefusal. The columns of a refusal say what came
// before it: no refusal; one less than a gap ago; one at least a gap ago; one from before
// the breaker closed; or the breaker is open. "!" is a new status_reason, "?" a suspected
// one.
const life = `
from                  good     blocked      refusal:none      soon              later             before            open                  outage                 differs           differs:open
pending_verification  active!  restricted!  pending_verification?  pending_verification?  action_required!  pending_verification?  pending_verification  pending_verification!  -             -
active                active!  restricted!  active?           active?           action_required!  active?           active                degraded!              active            active
degraded              active!  restricted!  degraded?         degraded?         action_required!  degraded?         degraded              degraded!              degraded          degraded
restricted            active!  restricted!  restricted        restricted        action_required!  restricted        restricted            restricted             restricted        restricted
action_required       active!  restricted!  action_required   action_required   action_required!  action_required   action_required       action_required        action_required   action_required
linking               linking!      linking!       linking       linking       linking!       linking       linking       linking       linking       linking
disconnected          disconnected! disconnected!  disconnected  disconnected  disconnected!  disconnected  disconnected  disconnected  disconnected  disconnected
`

// TestLifeOfAConnection checks every state, answer, past and trigger against the
// diagram. The trigger makes no difference.
func TestLifeOfAConnection(t *testing.T) {
	now := day(5)
	rows := strings.Split(strings.TrimSpace(life), "\n")[1:]
	if len(rows) != len(states())+2 {
		t.Fatalf("the picture has %d rows", len(rows))
	}
	cells := 0
	refusal := map[string]int{"none": 3, "soon": 4, "later": 5, "before": 6, "open": 7} // the column, by the past
	for _, row := range rows {
		f := strings.Fields(row)
		if len(f) != 11 {
			t.Fatalf("the row of %s has %d cells", f[0], len(f)-1)
		}
		from := connection.Status(f[0])
		for _, a := range answers() {
			t.Run(string(from)+"/"+a.name, func(t *testing.T) {
				for _, p := range pasts(now) {
					cell := ""
					switch a.column {
					case "fine":
						cell = f[1]
					case "contract_expired", "credit_blocked", "all_products_expired":
						cell = f[2]
					case "refusal":
						cell = f[refusal[p.name]]
					case "outage":
						cell = f[8]
					case "differs":
						if cell = f[9]; p.name == "open" {
							cell = f[10]
						}
						if cell == "-" { // as a refusal
							cell = f[refusal[p.name]]
						}
					}
					to, reason := strings.TrimRight(cell, "!?"), "before"
					switch {
					case strings.HasSuffix(cell, "!"):
						reason = string(a.reading.Outcome)
					case strings.HasSuffix(cell, "?"):
						reason = string(a.reading.Outcome) + "_suspected"
					}
					for _, trigger := range triggers() {
						checkRecord(t, from, connection.Status(to), reason, a, p, trigger, now)
						cells++
					}
				}
			})
		}
	}
	if want := len(rows) * len(answers()) * len(pasts(now)) * len(triggers()); cells != want {
		t.Errorf("%d cells were looked at, want %d", cells, want)
	}
}

// checkRecord checks that a check changes exactly the expected fields of a row.
func checkRecord(t *testing.T, from, to connection.Status, reason string, a checked, p past, trigger connection.Trigger, now time.Time) {
	t.Helper()
	was := connection.Connection{
		ID: "se-1", Status: from, StatusReason: "before", Standing: account.StandingActive, ChecksWithCredentials: 3, ChecksEver: 8, ConsecutiveFailures: 2, FirstRefusedAt: p.first,
		RefreshPolicy: connection.RefreshDaily, RefreshRequestedAt: day(4), VerifyCalledAt: day(3), VerifiedAt: day(1), CreatedAt: day(0), ModifiedAt: day(2),
		ContractExpired: true, ContractCreditBlocked: true, ContractValidTo: "2025-06-30", ContractHash: "hash", SecretVersion: "version", Version: 7, LeaseUntil: day(6),
		Metadata: map[string]string{"a": "b"},
	}
	got := was
	entry := got.Record(connection.Observation{Reading: a.reading, Trigger: trigger, Now: now, Breaker: p.breaker, Timing: timing(), Jitter: 0.5})

	want := was
	want.Status, want.ChecksWithCredentials, want.ChecksEver, want.ModifiedAt, want.RefreshRequestedAt = to, 4, 9, now, time.Time{}
	want.LastCheck = connection.Check{At: now, Outcome: a.reading.Outcome, Latency: time.Second, Trigger: trigger, Code: a.reading.Code}
	want.StatusReason, want.ConsecutiveFailures = reason, 3
	if a.reading.Outcome == carrier.OutcomeRateLimited {
		want.HeldUntil = now.Add(time.Minute)
	}
	switch a.column {
	case "refusal":
		if !p.counts && !p.breaker.Open {
			want.FirstRefusedAt = now
		}
		if want.NextRefreshAt = now.Add(12 * time.Minute); want.FirstRefusedAt.Equal(day(-9999)) {
			want.NextRefreshAt = now.Add(62 * time.Minute)
		}
	case "differs":
		want.NextRefreshAt = now.Add(4 * time.Minute)
		if !p.counts && !p.breaker.Open && from == connection.PendingVerification {
			want.FirstRefusedAt = now
		}
	case "outage":
		want.NextRefreshAt = now.Add(4 * time.Minute)
	default:
		want.NextRefreshAt = now.Add(24 * time.Hour)
		want.ConsecutiveFailures, want.FirstRefusedAt, want.VerifiedAt = 0, time.Time{}, now
		want.ContractExpired, want.ContractCreditBlocked, want.ContractValidTo = a.column == "contract_expired", a.column == "credit_blocked", "2027-06-30"
		if want.StatusReason = a.column; a.column == "fine" {
			want.StatusReason = ""
		}
	}
	if to == connection.ActionRequired {
		want.NextRefreshAt = now.Add(24 * time.Hour)
		if want.FirstRefusedAt.Equal(day(-9999)) {
			want.NextRefreshAt = now.Add(7 * 24 * time.Hour)
		}
	}
	// cmp is for the few: there are thousands of cells.
	if !reflect.DeepEqual(want, got) {
		t.Errorf("by %s, past %q %+v: Record (-want +got):\n%s", trigger, p.name, p.breaker, cmp.Diff(want, got))
	}
	if e := (connection.HistoryEntry{Check: want.LastCheck, Number: 9, Status: to}); !reflect.DeepEqual(e, entry) {
		t.Errorf("by %s, past %q: entry (-want +got):\n%s", trigger, p.name, cmp.Diff(e, entry))
	}
}

// TestEveryOutcomeIsInThePicture fails if a new outcome is missing from the diagram.
func TestEveryOutcomeIsInThePicture(t *testing.T) {
	seen := map[carrier.Outcome]bool{}
	for _, a := range answers() {
		seen[a.reading.Outcome] = true
		if column := is(a.reading.Outcome); column != a.column && column != "good" {
			t.Errorf("%s is %s, and %s in the picture", a.name, column, a.column)
		}
	}
	for _, o := range carrier.Outcomes() {
		if !seen[o] {
			t.Errorf("no answer of the picture leads to %s", o)
		}
	}
}

func observe(o carrier.Outcome, now time.Time) connection.Observation {
	return connection.Observation{Reading: connection.Reading{Outcome: o}, Trigger: connection.TriggerSchedule, Now: now, Timing: timing(), Jitter: 0.5}
}

// TestOneRefusalMarksNobody: a single refusal never changes the status, however long ago
// the last good check was and however many outages there were.
func TestOneRefusalMarksNobody(t *testing.T) {
	for _, from := range []connection.Status{connection.PendingVerification, connection.Active, connection.Degraded, connection.Restricted} {
		for _, o := range refusals() {
			c := connection.Connection{Status: from, VerifiedAt: day(-9999), ConsecutiveFailures: 500, RefreshPolicy: connection.RefreshHourly}
			if c.Record(observe(o, day(0))); c.Status != from || !c.FirstRefusedAt.Equal(day(0)) {
				t.Errorf("%s, refused once (%s): %s, first refused at %v", from, o, c.Status, c.FirstRefusedAt)
			}
		}
	}
}

// TestTwoRefusals: two refusals of any kind that are RefusalGap apart, to the
// nanosecond, change the status unless a good check comes between them, however many
// refusals there are before the gap is over.
func TestTwoRefusals(t *testing.T) {
	for _, from := range []connection.Status{connection.Active, connection.Degraded, connection.Restricted} {
		for _, one := range refusals() {
			for _, two := range refusals() {
				for _, between := range []carrier.Outcome{carrier.OutcomeTimeout, carrier.OutcomeRateLimited, carrier.OutcomeNumberMismatch, one, carrier.OutcomeOK} {
					name := fmt.Sprintf("%s: %s, %s, %s", from, one, between, two)
					first := day(0)
					c := connection.Connection{Status: from, RefreshPolicy: connection.RefreshHourly}
					c.Record(observe(one, first))
					c.Record(observe(between, first.Add(gap/2)))
					c.Record(observe(two, first.Add(gap-1)))
					if !c.Status.Works() {
						t.Errorf("%s: %s before the gap was over", name, c.Status)
					}
					c.Record(observe(two, first.Add(gap)))
					if marked := c.Status == connection.ActionRequired; marked != (between != carrier.OutcomeOK) {
						t.Errorf("%s: %s once the gap was over", name, c.Status)
					}
					if c.Status == connection.ActionRequired && (c.StatusReason != string(two) || c.NextRefreshAt.Sub(first.Add(gap)) != 24*time.Hour) {
						t.Errorf("%s: reason %q, next check %v", name, c.StatusReason, c.NextRefreshAt)
					}
				}
			}
		}
	}
}

// TestAnOpenBreakerMarksNobody: no answer changes the status to action_required while
// the breaker is open. After it has closed, two more refusals are needed.
func TestAnOpenBreakerMarksNobody(t *testing.T) {
	for _, from := range []connection.Status{connection.PendingVerification, connection.Active, connection.Degraded, connection.Restricted} {
		for _, o := range carrier.Outcomes() {
			c := connection.Connection{Status: from, RefreshPolicy: connection.RefreshHourly}
			if from != connection.PendingVerification {
				c.FirstRefusedAt = day(0).Add(-time.Minute)
			}
			obs := observe(o, day(0))
			obs.Breaker = health.Breaker{}.Opened("unauthorized", day(0), timing())
			for range 20 {
				obs.Now = obs.Now.Add(gap)
				if c.Record(obs); c.Status == connection.ActionRequired || c.NextRefreshAt.IsZero() {
					t.Fatalf("%s, %s, breaker open: %s, next check at %v", from, o, c.Status, c.NextRefreshAt)
				}
			}
			if is(o) != "refusal" || from == connection.PendingVerification {
				continue
			}
			obs.Breaker = obs.Breaker.Closed(obs.Now)
			for i, want := range []connection.Status{from, connection.ActionRequired} {
				obs.Now = obs.Now.Add(gap)
				if c.Record(obs); c.Status != want {
					t.Errorf("%s, %s, refusal %d after the breaker closed: %s, want %s", from, o, i+1, c.Status, want)
				}
			}
		}
	}
}

// TestAnOutageDegradesAtMost: any number of outages leads to degraded and no further.
func TestAnOutageDegradesAtMost(t *testing.T) {
	want := map[connection.Status]connection.Status{
		connection.PendingVerification: connection.PendingVerification, connection.Active: connection.Degraded, connection.Degraded: connection.Degraded,
		connection.Restricted: connection.Restricted, connection.ActionRequired: connection.ActionRequired,
	}
	for _, from := range states() {
		for _, o := range outages() {
			c := connection.Connection{Status: from, RefreshPolicy: connection.RefreshHourly}
			for i := range 100 {
				if c.Record(observe(o, day(float64(i)))); c.Status != want[from] {
					t.Fatalf("%s after %d times %s: %s, want %s", from, i+1, o, c.Status, want[from])
				}
			}
		}
	}
}

// TestRecordProperties records random checks with a breaker that opens and closes and
// clocks that jump, and checks after each step what merchants are promised.
func TestRecordProperties(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	all := carrier.Outcomes()
	marked, rescued, spared, back := 0, 0, 0, 0
	for range 4000 {
		now := day(0)
		c := connection.Connection{Status: connection.Active, RefreshPolicy: connection.RefreshHourly}
		if random.IntN(4) == 0 {
			c = connection.Connection{Status: connection.PendingVerification, RefreshPolicy: connection.RefreshOff}
		}
		c.LastCheck.At = now
		var breaker health.Breaker
		// The latest time that the connection has seen, and had at the first
		// refusal that counts: no clock that was put back can be behind it.
		latest, first := now, time.Time{}
		for range 40 {
			now = now.Add(time.Duration(random.Int64N(int64(15 * time.Minute))))
			switch random.IntN(20) {
			case 0:
				now = now.Add(-time.Duration(random.Int64N(int64(3 * time.Hour))))
			case 1:
				now = now.Add(time.Duration(random.Int64N(int64(3 * time.Hour))))
			case 2, 3:
				if breaker.Open {
					breaker = breaker.Closed(now)
				} else {
					breaker = breaker.Opened("unauthorized", now, timing())
				}
			}
			if now.Before(latest) {
				back++
			} else {
				latest = now
			}
			o := connection.Observation{
				Reading: connection.Reading{Outcome: all[random.IntN(len(all))]}, Trigger: triggers()[random.IntN(4)], Now: now,
				Breaker: breaker, Timing: timing(), Jitter: random.Float64(),
			}
			if random.IntN(3) == 0 {
				o.Reading.Outcome = carrier.OutcomeUnauthorized
			}
			o.Reading.Contract.Expired = random.IntN(5) == 0
			was := c
			entry := c.Record(o)
			becameDead := c.Status == connection.ActionRequired && was.Status != connection.ActionRequired
			if becameDead && breaker.Open {
				t.Fatalf("%s makes %s action_required while the breaker is open", o.Reading.Outcome, was.Status)
			}
			means := is(o.Reading.Outcome)
			if means == "differs" && was.Status == connection.PendingVerification {
				means = "refusal" // it never was another one's
			}
			switch means {
			case "good":
				first = time.Time{}
				if !c.Status.Works() || c.ConsecutiveFailures != 0 || !c.FirstRefusedAt.IsZero() || !c.VerifiedAt.Equal(latest) {
					t.Fatalf("a good check at %v leaves %+v", now, c)
				}
				if was.Status == connection.ActionRequired {
					rescued++
				}
			case "outage":
				if becameDead || was.Status == connection.Restricted && c.Status != connection.Restricted || !was.Status.Works() && c.Status != was.Status {
					t.Fatalf("an outage makes %s out of %s", c.Status, was.Status)
				}
				if slices.Contains(refusals(), carrier.Outcome(c.StatusReason)) && was.StatusReason != c.StatusReason {
					t.Fatalf("an outage gives the reason %q", c.StatusReason)
				}
			case "differs":
				if c.Status != was.Status {
					t.Fatalf("another number makes %s out of %s", c.Status, was.Status)
				}
			case "refusal":
				counts := !first.IsZero() && first.After(breaker.ChangedAt)
				if becameDead && (!counts || now.Sub(first) < gap) {
					t.Fatalf("refused at %v, first at %v, breaker %+v: action_required too early", now, first, breaker)
				}
				if was.Status.Works() && counts && !breaker.Open && now.Sub(first) >= gap && !becameDead {
					t.Fatalf("refused at %v, first at %v, breaker %+v: still %s", now, first, breaker, c.Status)
				}
				if breaker.Open && was.Status.Works() && now.Sub(first) >= gap && !first.IsZero() {
					spared++
				}
				if !breaker.Open && !counts {
					first = latest
				}
			}
			if becameDead {
				marked++
			}
			if c.Status == connection.Linking || c.LastCheck.Outcome != o.Reading.Outcome || c.ChecksWithCredentials != was.ChecksWithCredentials+1 || c.ChecksEver != was.ChecksEver+1 {
				t.Fatalf("after %s: %+v", o.Reading.Outcome, c)
			}
			// The history is read by time: it must not be out of order.
			if entry.At.Before(was.LastCheck.At) || entry.Number != c.ChecksEver || entry.Status != c.Status {
				t.Fatalf("check %d at %v follows one at %v", entry.Number, entry.At, was.LastCheck.At)
			}
			stopped := c.RefreshPolicy == connection.RefreshOff && c.Status != connection.PendingVerification && (c.Status != connection.ActionRequired || !c.VerifiedAt.IsZero())
			longest := 66 * time.Minute
			if c.Status == connection.ActionRequired {
				longest = 24 * time.Hour * 11 / 10
			}
			if c.NextRefreshAt.IsZero() != stopped {
				t.Fatalf("%s, policy %s: next check at %v", c.Status, c.RefreshPolicy, c.NextRefreshAt)
			}
			if !stopped && (!c.NextRefreshAt.After(now) || c.NextRefreshAt.Sub(now) > longest) {
				t.Fatalf("after %s at %v the next check is at %v", o.Reading.Outcome, now, c.NextRefreshAt)
			}
		}
	}
	if marked < 500 || rescued < 500 || spared < 500 || back < 5000 {
		t.Errorf("only %d were marked, %d rescued, %d spared by the breaker, %d checks by a slow clock: the property is hardly tested", marked, rescued, spared, back)
	}
}

// TestAClockThatWasPutBack: a slow clock records the first refusal, a right one the
// second soon afterwards.
func TestAClockThatWasPutBack(t *testing.T) {
	for name, checks := range map[string][]struct {
		outcome carrier.Outcome
		minute  int
	}{
		"before the first refusal":   {{carrier.OutcomeOK, 120}, {carrier.OutcomeUnauthorized, 60}, {carrier.OutcomeUnauthorized, 121}},
		"some checks before":         {{carrier.OutcomeTimeout, 120}, {carrier.OutcomeTimeout, 55}, {carrier.OutcomeUnauthorized, 60}, {carrier.OutcomeUnauthorized, 129}},
		"after the first refusal":    {{carrier.OutcomeUnauthorized, 120}, {carrier.OutcomeUnauthorized, 60}, {carrier.OutcomeUnauthorized, 71}},
		"within the refusals":        {{carrier.OutcomeUnauthorized, 120}, {carrier.OutcomeUnauthorized, 60}, {carrier.OutcomeUnauthorized, 129}},
		"while there was a good one": {{carrier.OutcomeUnauthorized, 120}, {carrier.OutcomeOK, 60}, {carrier.OutcomeUnauthorized, 61}, {carrier.OutcomeUnauthorized, 121}},
		"and never was right again":  {{carrier.OutcomeUnauthorized, 120}, {carrier.OutcomeUnauthorized, 10}, {carrier.OutcomeUnauthorized, 119}},
		"with an outage in between":  {{carrier.OutcomeOK, 120}, {carrier.OutcomeUnauthorized, 60}, {carrier.OutcomeUnavailable, 61}, {carrier.OutcomeForbidden, 129}},
	} {
		c := connection.Connection{Status: connection.Active, RefreshPolicy: connection.RefreshHourly}
		for _, check := range checks {
			c.Record(observe(check.outcome, day(0).Add(time.Duration(check.minute)*time.Minute)))
		}
		if !c.Status.Works() {
			t.Errorf("%s: %s", name, c.Status)
		}
		if c.Record(observe(carrier.OutcomeUnauthorized, day(0).Add(131*time.Minute))); c.Status != connection.ActionRequired {
			t.Errorf("%s, and a refusal by a right clock: %s", name, c.Status)
		}
	}
}

func TestNextRefresh(t *testing.T) {
	ok, down, no := carrier.OutcomeOK, carrier.OutcomeUnavailable, carrier.OutcomeUnauthorized
	limited := carrier.OutcomeRateLimited
	off, hourly, daily := connection.RefreshOff, connection.RefreshHourly, connection.RefreshDaily
	pending, active, degraded, restricted, required := connection.PendingVerification, connection.Active, connection.Degraded, connection.Restricted, connection.ActionRequired
	const s, m, h = time.Second, time.Minute, time.Hour
	tests := []struct {
		name     string
		policy   connection.RefreshPolicy
		status   connection.Status
		outcome  carrier.Outcome
		failures int // before
		speed    int
		want     [2]time.Duration
	}{
		{"off", off, active, ok, 0, 1, [2]time.Duration{}},
		{"off, outage", off, active, down, 0, 1, [2]time.Duration{}},
		{"off, refused once", off, active, no, 0, 1, [2]time.Duration{}},
		{"off, restricted", off, restricted, down, 0, 1, [2]time.Duration{}},
		{"off, never verified", off, pending, down, 0, 1, [2]time.Duration{54 * s, 66 * s}},
		{"off, never verified, often", off, pending, down, 99, 1, [2]time.Duration{54 * m, 66 * m}},
		{"off, verified at last", off, pending, ok, 3, 1, [2]time.Duration{}},
		{"off, refused while never verified", off, pending, no, 0, 1, [2]time.Duration{10 * m, 14 * m}},
		{"refused while never verified", hourly, pending, no, 0, 1, [2]time.Duration{10 * m, 14 * m}},
		{"another number while never verified", hourly, pending, carrier.OutcomeNumberMismatch, 0, 1, [2]time.Duration{54 * s, 66 * s}},
		{"off, never verified, action required", off, required, no, 0, 1, [2]time.Duration{24 * h * 9 / 10, 24 * h * 11 / 10}},
		{"action required, outage", hourly, required, down, 0, 1, [2]time.Duration{24 * h * 9 / 10, 24 * h * 11 / 10}},
		{"action required, refused", hourly, required, no, 0, 1, [2]time.Duration{24 * h * 9 / 10, 24 * h * 11 / 10}},
		{"action required, 24 times faster", hourly, required, no, 0, 24, [2]time.Duration{54 * m, 66 * m}},
		{"refused once", daily, active, no, 0, 1, [2]time.Duration{10 * m, 14 * m}},
		{"refused once, hourly", hourly, degraded, no, 7, 1, [2]time.Duration{10 * m, 14 * m}},
		{"refused once, restricted", hourly, restricted, carrier.OutcomeContractEnded, 0, 1, [2]time.Duration{10 * m, 14 * m}},
		{"refused once, no credentials", hourly, active, carrier.OutcomeNoCredentials, 0, 1, [2]time.Duration{10 * m, 14 * m}},
		{"refused once: speed leaves the gap alone", daily, active, no, 0, 60, [2]time.Duration{10 * m, 14 * m}},
		{"first outage", daily, active, down, 0, 1, [2]time.Duration{54 * s, 66 * s}},
		{"second outage", daily, degraded, down, 1, 1, [2]time.Duration{108 * s, 132 * s}},
		{"sixth outage", daily, degraded, down, 5, 1, [2]time.Duration{32 * m * 9 / 10, 32 * m * 11 / 10}},
		{"seventh outage: ceiling", daily, degraded, down, 6, 1, [2]time.Duration{54 * m, 66 * m}},
		{"thousandth outage: ceiling", daily, degraded, down, 999, 1, [2]time.Duration{54 * m, 66 * m}},
		{"thousandth outage, restricted", hourly, restricted, down, 999, 1, [2]time.Duration{54 * m, 66 * m}},
		{"outage, sixty times faster", daily, active, down, 5, 60, [2]time.Duration{32 * s * 9 / 10, 32 * s * 11 / 10}},
		{"ceiling, sixty times faster", daily, active, down, 99, 60, [2]time.Duration{54 * s, 66 * s}},
		{"another number", daily, active, carrier.OutcomeNumberMismatch, 0, 1, [2]time.Duration{54 * s, 66 * s}},
		{"throttled: not within a minute", daily, active, limited, 0, 1, [2]time.Duration{m, 66 * s}},
		{"throttled: speed is not the carrier's", daily, active, limited, 0, 60, [2]time.Duration{m, m}},
		{"hourly", hourly, active, ok, 0, 1, [2]time.Duration{54 * m, 66 * m}},
		{"daily", daily, active, ok, 0, 1, [2]time.Duration{24 * h * 9 / 10, 24 * h * 11 / 10}},
		{"no speed is one", hourly, active, ok, 0, 0, [2]time.Duration{54 * m, 66 * m}},
		{"negative speed is one", hourly, active, ok, 0, -3, [2]time.Duration{54 * m, 66 * m}},
		{"hourly, 360 times faster", hourly, active, ok, 0, 360, [2]time.Duration{9 * s, 11 * s}},
		{"daily, 360 times faster", daily, active, ok, 0, 360, [2]time.Duration{216 * s, 264 * s}},
		{"no policy is daily", "", active, ok, 0, 1, [2]time.Duration{24 * h * 9 / 10, 24 * h * 11 / 10}},
		{"after action required", hourly, required, ok, 5, 1, [2]time.Duration{54 * m, 66 * m}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			for i, jitter := range []float64{0, 1} {
				c := connection.Connection{Status: tc.status, RefreshPolicy: tc.policy, ConsecutiveFailures: tc.failures}
				o := observe(tc.outcome, day(0).Add(123456*time.Nanosecond))
				o.Timing.Speed, o.Jitter = tc.speed, jitter
				c.Record(o)
				want := time.Time{}
				if tc.want[i] != 0 {
					want = o.Now.Add(tc.want[i])
				}
				if d := c.NextRefreshAt.Sub(want).Abs(); d > time.Millisecond {
					t.Errorf("jitter %v: next check after %v, want %v", jitter, c.NextRefreshAt.Sub(o.Now), tc.want[i])
				}
				if c.NextRefreshAt != c.NextRefreshAt.Truncate(time.Millisecond) {
					t.Errorf("next check %v has more than milliseconds", c.NextRefreshAt)
				}
			}
		})
	}
	o := observe(limited, day(0))
	o.Reading.RetryAfter = 40 * time.Minute
	c := connection.Connection{Status: connection.Active}
	c.Record(o)
	if got := c.NextRefreshAt.Sub(day(0)); got != 40*time.Minute {
		t.Errorf("throttled with Retry-After: next check after %v, want 40m", got)
	}
	o.Reading.Outcome = carrier.OutcomeUnavailable
	c = connection.Connection{Status: connection.Active}
	c.Record(o)
	if got := c.NextRefreshAt.Sub(day(0)); got != 40*time.Minute {
		t.Errorf("unavailable with Retry-After: next check after %v, want 40m", got)
	}
}

// TestAShortGap: with the short RefusalGap of local stacks, the check after a refusal
// and the second refusal keep to it.
func TestAShortGap(t *testing.T) {
	c := connection.Connection{Status: connection.Active, RefreshPolicy: connection.RefreshDaily}
	o := observe(carrier.OutcomeUnauthorized, day(0))
	o.Timing = health.Timing{RefusalGap: 4 * time.Second, Speed: 360}
	o.Jitter = 0
	c.Record(o)
	if got := c.NextRefreshAt.Sub(o.Now); got != 4*time.Second {
		t.Errorf("next check after %v, want 4s", got)
	}
	o.Now = c.NextRefreshAt
	if c.Record(o); c.Status != connection.ActionRequired {
		t.Errorf("the check that was due leaves %s", c.Status)
	}
}

// TestRefusedForLong: while refusals are unconfirmed the interval grows; a confirmed
// refusal is checked daily for a month, then weekly.
func TestRefusedForLong(t *testing.T) {
	const m, h, d = time.Minute, time.Hour, 24 * time.Hour
	for _, tc := range []struct {
		name  string
		from  connection.Status
		since time.Duration // the first refusal
		speed int
		want  time.Duration
	}{
		{"doubted at first", connection.Active, 0, 1, 10 * m},
		{"doubted for 20 minutes", connection.Active, 20 * m, 1, 10 * m},
		{"doubted for 40 minutes", connection.Active, 40 * m, 1, 20 * m},
		{"doubted for two hours", connection.Degraded, 2 * h, 1, h},
		{"doubted for a day", connection.Active, d, 1, h},
		{"doubted for a day, 60 times faster", connection.Active, d, 60, 10 * m},
		{"believed", connection.ActionRequired, 29 * d, 1, d},
		{"believed for a month", connection.ActionRequired, 30 * d, 1, 7 * d},
		{"believed for a year", connection.ActionRequired, 365 * d, 1, 7 * d},
		{"believed for a month, faster", connection.ActionRequired, d, 30, 7 * d / 30},
		{"believed by a clock that was put back", connection.ActionRequired, -h, 1, d},
	} {
		c := connection.Connection{Status: tc.from, RefreshPolicy: connection.RefreshHourly, AccountID: 1, CredentialID: "1", FirstRefusedAt: day(0).Add(-tc.since)}
		o := observe(carrier.OutcomeUnauthorized, day(0))
		o.Timing.Speed, o.Timing.LoneRefusal = tc.speed, time.Duration(1<<62)
		o.Jitter = 0.5
		if c.Status != connection.ActionRequired {
			o.Jitter = 0
		}
		c.Record(o)
		if got := c.NextRefreshAt.Sub(day(0)); got != tc.want {
			t.Errorf("%s: the next check comes after %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestReschedule(t *testing.T) {
	for _, tc := range []struct {
		name     string
		policy   connection.RefreshPolicy
		status   connection.Status
		speed    int
		low, top time.Duration // zero: no check
	}{
		{"off", connection.RefreshOff, connection.Active, 1, 0, 0},
		{"off, degraded", connection.RefreshOff, connection.Degraded, 1, 0, 0},
		{"off, never verified", connection.RefreshOff, connection.PendingVerification, 1, 54 * time.Minute, 66 * time.Minute},
		{"action required", connection.RefreshHourly, connection.ActionRequired, 1, 24 * time.Hour * 9 / 10, 24 * time.Hour * 11 / 10},
		{"hourly", connection.RefreshHourly, connection.Restricted, 1, 54 * time.Minute, 66 * time.Minute},
		{"daily", connection.RefreshDaily, connection.Active, 1, 24 * time.Hour * 9 / 10, 24 * time.Hour * 11 / 10},
		{"daily, faster", connection.RefreshDaily, connection.Active, 24, 54 * time.Minute, 66 * time.Minute},
	} {
		for jitter, want := range map[float64]time.Duration{0: tc.low, 0.5: (tc.low + tc.top) / 2, 1: tc.top} {
			c := connection.Connection{Status: tc.status, RefreshPolicy: tc.policy, NextRefreshAt: day(-1), ConsecutiveFailures: 3, FirstRefusedAt: day(-2), LastCheck: connection.Check{At: day(-3)}}
			after := c
			if want != 0 {
				after.NextRefreshAt = day(0).Add(want)
			} else {
				after.NextRefreshAt = time.Time{}
			}
			c.Reschedule(day(0), health.Timing{RefusalGap: gap, Speed: tc.speed}, jitter)
			if diff := cmp.Diff(after, c); diff != "" {
				t.Errorf("%s, jitter %v: Reschedule (-want +got):\n%s", tc.name, jitter, diff)
			}
		}
	}
}

func TestSeenAndScheduled(t *testing.T) {
	for _, tc := range []struct {
		name               string
		c                  connection.Connection
		visible, scheduled bool
		shown              connection.Status
	}{
		{"the intent of a link", connection.Connection{Status: connection.Linking, Standing: account.StandingActive, NextRefreshAt: day(0)}, false, false, connection.Linking},
		{"disconnected", connection.Connection{Status: connection.Disconnected, Standing: account.StandingActive, NextRefreshAt: day(0)}, false, false, connection.Disconnected},
		{"disconnected, secret not deleted", connection.Connection{Status: connection.Disconnected, Standing: account.StandingActive, Work: connection.WorkUnlink, NextRefreshAt: day(0)}, false, false, connection.Disconnected},
		{"account disabled", connection.Connection{Status: connection.Active, Standing: account.StandingPaused, NextRefreshAt: day(0)}, true, false, "paused"},
		{"account disabled, key dead", connection.Connection{Status: connection.ActionRequired, Standing: account.StandingPaused}, true, false, "paused"},
		{"account deleted", connection.Connection{Status: connection.Active, Standing: account.StandingDeleted, NextRefreshAt: day(0)}, true, false, "paused"},
		{"credentials being changed", connection.Connection{Status: connection.Active, Standing: account.StandingActive, Work: connection.WorkCredentials, NextRefreshAt: day(0)}, true, false, connection.Active},
		{"following its account", connection.Connection{Status: connection.Active, Standing: account.StandingActive, Work: connection.WorkFollow, NextRefreshAt: day(0)}, true, false, connection.Active},
		{"without a time", connection.Connection{Status: connection.Active, Standing: account.StandingActive}, true, false, connection.Active},
		{"a check was asked for", connection.Connection{Status: connection.ActionRequired, Standing: account.StandingActive, NextRefreshAt: day(0)}, true, true, connection.ActionRequired},
		{"pending", connection.Connection{Status: connection.PendingVerification, Standing: account.StandingActive, NextRefreshAt: day(0)}, true, true, connection.PendingVerification},
		{"active", connection.Connection{Status: connection.Active, Standing: account.StandingActive, NextRefreshAt: day(0)}, true, true, connection.Active},
		{"active, being checked", connection.Connection{Status: connection.Active, Standing: account.StandingActive, NextRefreshAt: day(0), LeaseUntil: day(9)}, true, true, connection.Active},
	} {
		if got := tc.c.Visible(); got != tc.visible {
			t.Errorf("%s: visible %t, want %t", tc.name, got, tc.visible)
		}
		if got := tc.c.Scheduled(); got != tc.scheduled {
			t.Errorf("%s: scheduled %t, want %t", tc.name, got, tc.scheduled)
		}
		if got := tc.c.ShownStatus(); got != tc.shown {
			t.Errorf("%s: shown as %q, want %q", tc.name, got, tc.shown)
		}
	}
}

func TestPreviousCredentialsAvailable(t *testing.T) {
	for _, tc := range []struct {
		name string
		p    connection.PreviousCredentials
		want bool
	}{
		{"none", connection.PreviousCredentials{}, false},
		{"none, with a time", connection.PreviousCredentials{Until: day(2)}, false},
		{"over", connection.PreviousCredentials{SecretVersion: "v", Until: day(1).Add(-1)}, false},
		{"over just now", connection.PreviousCredentials{SecretVersion: "v", Until: day(1)}, false},
		{"for a moment yet", connection.PreviousCredentials{SecretVersion: "v", Until: day(1).Add(1)}, true},
	} {
		if got := tc.p.Available(day(1)); got != tc.want {
			t.Errorf("%s: Available = %t, want %t", tc.name, got, tc.want)
		}
	}
}

// TestCredentialID: rows and queues hold the id, so it must not change between releases,
// and must not reveal the key.
func TestCredentialID(t *testing.T) {
	seen := map[string]string{}
	for _, key := range []string{"", "a", "A", "a ", "7c4a8d09-ca37-462d-9b9c-000000000001", "7c4a8d09-ca37-462d-9b9c-000000000002", "schlüssel", strings.Repeat("k", 500)} {
		id := connection.CredentialID(secret.New(key))
		if len(id) != 16 || strings.Trim(id, "0123456789abcdef") != "" {
			t.Errorf("CredentialID(%q) = %q, want 16 hexadecimal digits", key, id)
		}
		if other, dup := seen[id]; dup {
			t.Errorf("%q and %q have the same id", key, other)
		}
		if again := connection.CredentialID(secret.New(key)); again != id {
			t.Errorf("CredentialID(%q) = %q, then %q", key, id, again)
		}
		seen[id] = key
	}
	if got, want := connection.CredentialID(secret.New("canary-key")), "c30f415dd96eb479"; got != want {
		t.Errorf("CredentialID = %q, want %q", got, want)
	}
}

func TestWorks(t *testing.T) {
	want := map[connection.Status]bool{connection.Active: true, connection.Degraded: true, connection.Restricted: true}
	for _, s := range append(states(), connection.Linking, connection.Disconnected, "") {
		if got := s.Works(); got != want[s] {
			t.Errorf("%q works: %t, want %t", s, got, want[s])
		}
	}
}

func TestParseRefreshPolicy(t *testing.T) {
	for _, in := range []string{"", "Daily", "weekly", "daily ", "1"} {
		if got, p := connection.ParseRefreshPolicy("refresh_policy", in); got != "" || p == nil || p.Field != "refresh_policy" {
			t.Errorf("ParseRefreshPolicy(%q) = %q, %v, want a problem", in, got, p)
		}
	}
	for _, in := range []string{"hourly", "daily", "off"} {
		if got, p := connection.ParseRefreshPolicy("refresh_policy", in); string(got) != in || p != nil {
			t.Errorf("ParseRefreshPolicy(%q) = %q, %v", in, got, p)
		}
	}
}

func TestMaskedNumber(t *testing.T) {
	for in, want := range map[string]string{"": "", "12": "**", "123": "***", "1234": "*234", "0009912345": "*******345", "09912345": "*****345"} {
		if got := (&connection.Connection{AccountNumber: in}).MaskedNumber(); got != want {
			t.Errorf("MaskedNumber of %q = %q, want %q", in, got, want)
		}
	}
}

// TestMerchantLocation: the row has the one of the latest good answer.
func TestMerchantLocation(t *testing.T) {
	c := connection.Connection{Status: connection.PendingVerification, Carrier: carrier.AustraliaPost}
	for _, step := range []struct {
		outcome carrier.Outcome
		own     string // in the answer
		want    string
	}{
		{carrier.OutcomeTimeout, "", ""},
		{carrier.OutcomeOK, "36ZZ4", "36ZZ4"},
		{carrier.OutcomeUnauthorized, "", "36ZZ4"},
		{carrier.OutcomeUnavailable, "", "36ZZ4"},
		{carrier.OutcomeOK, "ABC", "ABC"},
		{carrier.OutcomeOK, "", ""}, // the carrier does not say it any more
	} {
		c.Record(connection.Observation{Reading: connection.Reading{Outcome: step.outcome, Contract: connection.Contract{MerchantLocationID: step.own}}, Trigger: connection.TriggerSchedule, Now: time.Now()})
		if c.MerchantLocationID != step.want {
			t.Errorf("after %s with %q = %q, want %q", step.outcome, step.own, c.MerchantLocationID, step.want)
		}
	}
}
