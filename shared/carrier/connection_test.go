package carrier_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
)

const gap = 10 * time.Minute

func day(hours float64) time.Time {
	return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(hours * float64(time.Hour)))
}

func refusals() []carrier.Outcome {
	return []carrier.Outcome{
		carrier.OutcomeUnauthorized, carrier.OutcomeForbidden, carrier.OutcomeUnknownAccount, carrier.OutcomeContractEnded, carrier.OutcomeContractAbsent,
	}
}

func states() []carrier.Status {
	return []carrier.Status{carrier.PendingVerification, carrier.Active, carrier.Degraded, carrier.Restricted, carrier.ActionRequired}
}

// is groups the outcomes as design.md, section 5, does.
func is(o carrier.Outcome) string {
	switch {
	case slices.Contains(refusals(), o):
		return "refusal"
	case o == carrier.OutcomeOK:
		return "good"
	case o == carrier.OutcomeNumberMismatch:
		return "mismatch"
	}
	return "outage"
}

// TestRecordTable is the picture of design.md, section 5: every state and every
// outcome, after no refusal, after one within the gap, and after one a gap ago.
func TestRecordTable(t *testing.T) {
	type row struct{ good, refused, refusedSoon, refusedLater, outage, mismatch carrier.Status }
	table := map[carrier.Status]row{
		carrier.PendingVerification: {carrier.Active, carrier.ActionRequired, carrier.ActionRequired, carrier.ActionRequired, carrier.PendingVerification, carrier.ActionRequired},
		carrier.Active:              {carrier.Active, carrier.Active, carrier.Active, carrier.ActionRequired, carrier.Degraded, carrier.Active},
		carrier.Degraded:            {carrier.Active, carrier.Degraded, carrier.Degraded, carrier.ActionRequired, carrier.Degraded, carrier.Degraded},
		carrier.Restricted:          {carrier.Active, carrier.Restricted, carrier.Restricted, carrier.ActionRequired, carrier.Restricted, carrier.Restricted},
		carrier.ActionRequired:      {carrier.Active, carrier.ActionRequired, carrier.ActionRequired, carrier.ActionRequired, carrier.ActionRequired, carrier.ActionRequired},
	}
	now := day(5)
	for _, from := range states() {
		for _, o := range carrier.Outcomes() {
			for _, before := range []struct {
				name  string
				first time.Time
			}{{"no refusal", time.Time{}}, {"a refusal just now", now.Add(-gap + 1)}, {"a refusal a gap ago", now.Add(-gap)}} {
				t.Run(string(from)+"/"+string(o)+"/"+before.name, func(t *testing.T) {
					r := table[from]
					want := map[string]carrier.Status{"good": r.good, "refusal": r.refused, "outage": r.outage, "mismatch": r.mismatch}[is(o)]
					if is(o) == "refusal" && !before.first.IsZero() {
						want = r.refusedSoon
						if now.Sub(before.first) >= gap {
							want = r.refusedLater
						}
					}
					was := carrier.Connection{
						Status: from, StatusReason: "before", Checks: 3, ConsecutiveFailures: 2, FirstRefusedAt: before.first, RefreshPolicy: carrier.RefreshDaily,
						VerifiedAt: day(1), Version: 7, LeaseUntil: day(6),
					}
					c := was
					c.Record(carrier.Reading{Outcome: o, Latency: time.Second, Code: "41001"}, carrier.TriggerSchedule, now, gap, 0.5)
					if c.Status != want {
						t.Errorf("status = %s, want %s", c.Status, want)
					}
					if diff := cmp.Diff(carrier.Check{At: now, Outcome: o, Latency: time.Second, Trigger: carrier.TriggerSchedule, Code: "41001"}, c.LastCheck); diff != "" {
						t.Errorf("last check (-want +got):\n%s", diff)
					}
					if c.Checks != 4 || !c.ModifiedAt.Equal(now) || c.Version != 7 || !c.LeaseUntil.Equal(day(6)) {
						t.Errorf("checks %d, modified %v, version %d, lease %v", c.Checks, c.ModifiedAt, c.Version, c.LeaseUntil)
					}
					if c.NextRefreshAt.IsZero() != (c.Status == carrier.ActionRequired) {
						t.Errorf("status %s, next refresh %v", c.Status, c.NextRefreshAt)
					}
					if c.StatusReason != "" && c.StatusReason != "before" && c.StatusReason != string(o) {
						t.Errorf("reason = %q", c.StatusReason)
					}
					if c.Status != from && c.Status != carrier.Active && c.StatusReason != string(o) {
						t.Errorf("became %s with the reason %q, want %q", c.Status, c.StatusReason, o)
					}
					if is(o) == "good" {
						return
					}
					if c.ConsecutiveFailures != 3 || !c.VerifiedAt.Equal(day(1)) {
						t.Errorf("failures %d, verified at %v", c.ConsecutiveFailures, c.VerifiedAt)
					}
				})
			}
		}
	}
}

// TestGoodCheckResets: whatever was before, and with what the contract says.
func TestGoodCheckResets(t *testing.T) {
	restrictions := map[string]struct {
		contract carrier.Contract
		status   carrier.Status
		reason   string
	}{
		"fine":           {carrier.Contract{ValidTo: "2027-06-30", Products: []carrier.Product{{}}}, carrier.Active, ""},
		"expired":        {carrier.Contract{ValidTo: "2025-06-30", Expired: true}, carrier.Restricted, "contract_expired"},
		"credit blocked": {carrier.Contract{CreditBlocked: true}, carrier.Restricted, "credit_blocked"},
		"products":       {carrier.Contract{Products: []carrier.Product{{Expired: true}}}, carrier.Restricted, "all_products_expired"},
	}
	for name, tc := range restrictions {
		for _, from := range states() {
			t.Run(name+"/"+string(from), func(t *testing.T) {
				c := carrier.Connection{
					Status: from, StatusReason: "unauthorized", ConsecutiveFailures: 9, FirstRefusedAt: day(1), ContractExpired: true, ContractCreditBlocked: true, ContractValidTo: "x",
				}
				c.Record(carrier.Reading{Outcome: carrier.OutcomeOK, Contract: tc.contract}, carrier.TriggerManual, day(5), gap, 0.5)
				want := carrier.Connection{
					Status: tc.status, StatusReason: tc.reason, Checks: 1, LastCheck: carrier.Check{At: day(5), Outcome: carrier.OutcomeOK, Trigger: carrier.TriggerManual},
					VerifiedAt: day(5), ModifiedAt: day(5), NextRefreshAt: day(29),
					ContractExpired: tc.contract.Expired, ContractCreditBlocked: tc.contract.CreditBlocked, ContractValidTo: tc.contract.ValidTo,
				}
				if diff := cmp.Diff(want, c); diff != "" {
					t.Errorf("Record (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestRecordProperties walks random lives of a connection, and holds each step
// against what is promised to merchants.
func TestRecordProperties(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	all := carrier.Outcomes()
	marked, rescued := 0, 0
	for range 3000 {
		now := day(0)
		c := carrier.Connection{Status: carrier.Active, VerifiedAt: now, RefreshPolicy: carrier.RefreshHourly}
		if random.IntN(4) == 0 {
			c = carrier.Connection{Status: carrier.PendingVerification, RefreshPolicy: carrier.RefreshOff}
		}
		var first time.Time // of the refusals since the last good check
		for range 30 {
			now = now.Add(time.Duration(random.Int64N(int64(15 * time.Minute))))
			r := carrier.Reading{Outcome: all[random.IntN(len(all))]}
			if random.IntN(3) == 0 {
				r.Outcome = carrier.OutcomeUnauthorized
			}
			r.Contract.Expired = random.IntN(5) == 0
			was := c
			c.Record(r, carrier.TriggerSchedule, now, gap, random.Float64())
			becameDead := c.Status == carrier.ActionRequired && was.Status != carrier.ActionRequired
			switch is(r.Outcome) {
			case "good":
				if first = (time.Time{}); !c.Status.Works() || c.ConsecutiveFailures != 0 || !c.FirstRefusedAt.IsZero() || c.VerifiedAt != now {
					t.Fatalf("a good check leaves %+v", c)
				}
				if was.Status == carrier.ActionRequired {
					rescued++
				}
			case "outage":
				if becameDead || was.Status == carrier.Restricted && c.Status != carrier.Restricted || !was.Status.Works() && c.Status != was.Status {
					t.Fatalf("an outage makes %s out of %s", c.Status, was.Status)
				}
				if c.StatusReason == string(carrier.OutcomeUnauthorized) && was.StatusReason != c.StatusReason {
					t.Fatalf("an outage gives the reason %q", c.StatusReason)
				}
			case "mismatch":
				if c.Status != was.Status && was.Status != carrier.PendingVerification {
					t.Fatalf("a mismatch makes %s out of %s", c.Status, was.Status)
				}
			case "refusal":
				if becameDead && was.Status != carrier.PendingVerification && (first.IsZero() || now.Sub(first) < gap) {
					t.Fatalf("refused at %v, first at %v: action_required before the gap", now, first)
				}
				if was.Status.Works() && !first.IsZero() && now.Sub(first) >= gap && !becameDead {
					t.Fatalf("refused at %v, first at %v: still %s", now, first, c.Status)
				}
				if first.IsZero() {
					first = now
				}
			}
			if becameDead {
				marked++
			}
			if c.Status == carrier.Linking || c.LastCheck.Outcome != r.Outcome || c.Checks != was.Checks+1 {
				t.Fatalf("after %s: %+v", r.Outcome, c)
			}
			if !c.NextRefreshAt.IsZero() && (!c.NextRefreshAt.After(now) || c.NextRefreshAt.Sub(now) > 66*time.Minute) {
				t.Fatalf("after %s at %v the next check is at %v", r.Outcome, now, c.NextRefreshAt)
			}
		}
	}
	if marked < 500 || rescued < 500 {
		t.Errorf("only %d were marked and %d rescued: the property is hardly tested", marked, rescued)
	}
}

func TestNextRefresh(t *testing.T) {
	ok, down, no := carrier.OutcomeOK, carrier.OutcomeUnavailable, carrier.OutcomeUnauthorized
	limited := carrier.OutcomeRateLimited
	tests := []struct {
		name     string
		policy   carrier.RefreshPolicy
		status   carrier.Status
		outcome  carrier.Outcome
		failures int // before
		want     [2]time.Duration
	}{
		{"off", carrier.RefreshOff, carrier.Active, ok, 0, [2]time.Duration{}},
		{"off, outage", carrier.RefreshOff, carrier.Active, down, 0, [2]time.Duration{}},
		{"off, refused once", carrier.RefreshOff, carrier.Active, no, 0, [2]time.Duration{}},
		{"off, never verified", carrier.RefreshOff, carrier.PendingVerification, down, 0, [2]time.Duration{54 * time.Second, 66 * time.Second}},
		{"off, refused while never verified", carrier.RefreshOff, carrier.PendingVerification, no, 0, [2]time.Duration{}},
		{"action required stays stopped", carrier.RefreshHourly, carrier.ActionRequired, down, 0, [2]time.Duration{}},
		{"refused once", carrier.RefreshDaily, carrier.Active, no, 0, [2]time.Duration{10 * time.Minute, 15 * time.Minute}},
		{"first outage", carrier.RefreshDaily, carrier.Active, down, 0, [2]time.Duration{54 * time.Second, 66 * time.Second}},
		{"second outage", carrier.RefreshDaily, carrier.Degraded, down, 1, [2]time.Duration{108 * time.Second, 132 * time.Second}},
		{"sixth outage", carrier.RefreshDaily, carrier.Degraded, down, 5, [2]time.Duration{32 * time.Minute * 9 / 10, 32 * time.Minute * 11 / 10}},
		{"seventh outage: ceiling", carrier.RefreshDaily, carrier.Degraded, down, 6, [2]time.Duration{54 * time.Minute, 66 * time.Minute}},
		{"thousandth outage: ceiling", carrier.RefreshDaily, carrier.Degraded, down, 999, [2]time.Duration{54 * time.Minute, 66 * time.Minute}},
		{"mismatch", carrier.RefreshDaily, carrier.Active, carrier.OutcomeNumberMismatch, 0, [2]time.Duration{54 * time.Second, 66 * time.Second}},
		{"throttled: not within a minute", carrier.RefreshDaily, carrier.Active, limited, 0, [2]time.Duration{time.Minute, 66 * time.Second}},
		{"hourly", carrier.RefreshHourly, carrier.Active, ok, 0, [2]time.Duration{54 * time.Minute, 66 * time.Minute}},
		{"daily", carrier.RefreshDaily, carrier.Active, ok, 0, [2]time.Duration{24 * time.Hour * 9 / 10, 24 * time.Hour * 11 / 10}},
		{"no policy is daily", "", carrier.Active, ok, 0, [2]time.Duration{24 * time.Hour * 9 / 10, 24 * time.Hour * 11 / 10}},
		{"after action required", carrier.RefreshHourly, carrier.ActionRequired, ok, 5, [2]time.Duration{54 * time.Minute, 66 * time.Minute}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			for i, jitter := range []float64{0, 1} {
				c := carrier.Connection{Status: tc.status, RefreshPolicy: tc.policy, ConsecutiveFailures: tc.failures}
				c.Record(carrier.Reading{Outcome: tc.outcome}, carrier.TriggerSchedule, day(0), gap, jitter)
				want := time.Time{}
				if tc.want[i] != 0 {
					want = day(0).Add(tc.want[i])
				}
				if d := c.NextRefreshAt.Sub(want).Abs(); d > time.Millisecond {
					t.Errorf("jitter %v: next refresh after %v, want %v", jitter, c.NextRefreshAt.Sub(day(0)), tc.want[i])
				}
				if c.NextRefreshAt != c.NextRefreshAt.Truncate(time.Millisecond) {
					t.Errorf("next refresh %v has more than milliseconds", c.NextRefreshAt)
				}
			}
		})
	}
	c := carrier.Connection{Status: carrier.Active}
	c.Record(carrier.Reading{Outcome: limited, RetryAfter: 40 * time.Minute}, carrier.TriggerSchedule, day(0), gap, 0.5)
	if got := c.NextRefreshAt.Sub(day(0)); got != 40*time.Minute {
		t.Errorf("throttled with Retry-After: next refresh after %v, want 40m", got)
	}
}

func TestWorks(t *testing.T) {
	want := map[carrier.Status]bool{carrier.Active: true, carrier.Degraded: true, carrier.Restricted: true}
	for _, s := range append(states(), carrier.Linking, "") {
		if got := s.Works(); got != want[s] {
			t.Errorf("%q works: %t, want %t", s, got, want[s])
		}
	}
}

func TestParseRefreshPolicy(t *testing.T) {
	for _, in := range []string{"", "Daily", "weekly", "daily ", "1"} {
		if got, p := carrier.ParseRefreshPolicy("refresh_policy", in); got != "" || p == nil || p.Field != "refresh_policy" {
			t.Errorf("ParseRefreshPolicy(%q) = %q, %v, want a problem", in, got, p)
		}
	}
	for _, in := range []string{"hourly", "daily", "off"} {
		if got, p := carrier.ParseRefreshPolicy("refresh_policy", in); string(got) != in || p != nil {
			t.Errorf("ParseRefreshPolicy(%q) = %q, %v", in, got, p)
		}
	}
}

func TestMaskedNumber(t *testing.T) {
	for in, want := range map[string]string{"": "", "12": "**", "123": "***", "1234": "*234", "0009912345": "*******345", "09912345": "*****345"} {
		if got := (&carrier.Connection{AccountNumber: in}).MaskedNumber(); got != want {
			t.Errorf("MaskedNumber of %q = %q, want %q", in, got, want)
		}
	}
}
