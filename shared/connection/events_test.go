package connection_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
)

// told returns the events of the account after the first skip of them, the oldest first:
// the type, and the members of the data that not all events have.
func (w *world) told(t *testing.T, conn connection.Connection, skip int) []string {
	t.Helper()
	found, _, err := w.memory.ListEvents(t.Context(), effects.Listing{PartnerID: 5, AccountID: accountID, Types: effects.EventTypes(), Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(found)
	told := []string{}
	for _, e := range found[skip:] {
		var data map[string]any
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		if e.Subject != conn.ID || data["carrier_id"] != conn.ID || data["carrier_code"] != "australia_post" || data["external_carrier_id"] != "ext" {
			t.Errorf("event %+v, data %s", e, e.Data)
		}
		if strings.Contains(string(e.Data), number) || len(e.Data) > effects.MaxEventData {
			t.Errorf("the data of %s have the account number, or %d bytes: %s", e.Type, len(e.Data), e.Data)
		}
		for _, common := range []string{"carrier_id", "carrier_code", "external_carrier_id", "account_number_masked", "status", "status_reason"} {
			if _, ok := data[common]; !ok {
				t.Errorf("the data of %s have no %s: %s", e.Type, common, e.Data)
			}
			if common != "status" && (common != "status_reason" || data[common] == nil) {
				delete(data, common)
			}
		}
		if d, ok := data["diagnosis"].(map[string]any); ok {
			data["diagnosis"] = d["who_must_act"]
		}
		rest, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, fmt.Sprintf("%s %s", e.Type, rest))
	}
	return told
}

// TestEvents: a connection's life is told, each change once; what changes nothing tells
// nothing.
func TestEvents(t *testing.T) {
	w := newWorld(t)
	conn := connection.Connection{}
	reads := func(r connection.Reading) func() error {
		return func() error {
			w.production.answers(r)
			_, err := w.Check(t.Context(), w.row(t, conn.ID), connection.TriggerRead, health.Breaker{}, effects.By{}, nil)
			return err
		}
	}
	contract := func(edit func(*connection.Contract)) connection.Reading {
		r := good(number)
		edit(&r.Contract)
		return r
	}
	edits := func(edit func(*connection.Connection)) func() error {
		return func() error {
			_, err := w.Change(t.Context(), connection.ChangeRequest{Connection: w.row(t, conn.ID), Edit: edit})
			return err
		}
	}
	renewed := good(number)
	renewed.Raw = []byte(`{"renewed":1}`)
	steps := []struct {
		name  string
		after time.Duration
		do    func() error
		want  []string
	}{
		{"linked", 0, func() error {
			made, err := w.Link(t.Context(), w.request(t))
			if err == nil {
				conn = *made
			}
			return err
		}, []string{`carrier_connected {"status":"active"}`}},
		{"a good check", time.Hour, reads(good(number)), []string{}},
		{"an edit of nothing", 0, edits(func(*connection.Connection) {}), []string{}},
		{"an edit", 0, edits(func(c *connection.Connection) {
			c.Nickname, c.Metadata, c.RefreshPolicy = "Till", map[string]string{"a": "c"}, connection.RefreshHourly
		}), []string{`carrier_updated {"changed":["metadata","nickname","refresh_policy"],"status":"active"}`}},
		{"a refresh asked for", 0, func() error {
			_, err := w.RequestRefresh(t.Context(), w.row(t, conn.ID), false, nil)
			return err
		}, []string{}},
		{"an outage", time.Hour, reads(bad(carrier.OutcomeTimeout)), []string{
			`carrier_degraded {"diagnosis":"carrier","previous_status":"active","status":"degraded","status_reason":"timeout"}`,
		}},
		{"the outage goes on", time.Hour, reads(bad(carrier.OutcomeUnavailable)), []string{}},
		{"the outage ends", time.Hour, reads(good(number)), []string{`carrier_recovered {"previous_status":"degraded","status":"active"}`}},
		{"a first refusal", time.Hour, reads(bad(carrier.OutcomeUnauthorized)), []string{}},
		{"a confirmed refusal", time.Hour, reads(bad(carrier.OutcomeUnauthorized)), []string{
			`carrier_action_required {"diagnosis":"merchant","previous_status":"active","status":"action_required","status_reason":"unauthorized"}`,
		}},
		{"refused again", time.Hour, reads(bad(carrier.OutcomeUnauthorized)), []string{}},
		{"refused for another reason", time.Hour, reads(bad(carrier.OutcomeContractEnded)), []string{
			`carrier_action_required {"diagnosis":"merchant","previous_status":"action_required","status":"action_required","status_reason":"contract_not_valid"}`,
		}},
		{"other credentials", time.Hour, func() error {
			w.production.answers(good(number))
			_, err := w.Change(t.Context(), change(w.row(t, conn.ID), "", "two"))
			return err
		}, []string{
			`carrier_updated {"changed":["credentials"],"status":"active"}`, `carrier_recovered {"previous_status":"action_required","status":"active"}`,
		}},
		{"rolled back", time.Hour, func() error {
			_, err := w.Rollback(t.Context(), w.row(t, conn.ID), false, effects.By{}, nil)
			return err
		}, []string{`carrier_rolled_back {"changed":["credentials"],"status":"active"}`}},
		{"the contract changes", time.Hour, reads(renewed), []string{
			`carrier_account_changed {"changes":[{"from":"{\"account_number\":\"*******345\"}","to":"{\"renewed\":1}","type":"changed"}],"status":"active"}`,
		}},
		{"credit blocked", time.Hour, reads(contract(func(c *connection.Contract) { c.CreditBlocked = true })), []string{
			`carrier_account_changed {"changes":[{"from":"{\"renewed\":1}","to":"{\"account_number\":\"*******345\"}","type":"changed"}],"status":"restricted","status_reason":"credit_blocked"}`,
			`carrier_restricted {"previous_status":"active","status":"restricted","status_reason":"credit_blocked"}`,
			`carrier_credit_blocked {"status":"restricted","status_reason":"credit_blocked"}`,
		}},
		{"still blocked", time.Hour, reads(contract(func(c *connection.Contract) { c.CreditBlocked = true })), []string{}},
		{"expired too", time.Hour, reads(contract(func(c *connection.Contract) { c.CreditBlocked, c.Expired = true, true })), []string{
			`carrier_restricted {"previous_status":"restricted","status":"restricted","status_reason":"contract_expired"}`,
		}},
		{"cleared", time.Hour, reads(good(number)), []string{`carrier_recovered {"previous_status":"restricted","status":"active"}`}},
		{"unlinked", 0, func() error { return w.Unlink(t.Context(), w.row(t, conn.ID), false, nil) }, []string{`carrier_disconnected {"status":"disconnected"}`}},
	}
	seen := 0
	for _, step := range steps {
		w.clock = w.clock.Add(step.after + time.Millisecond)
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		got := w.told(t, conn, seen)
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s is told (-want +got):\n%s", step.name, diff)
		}
		seen += len(got)
	}
}

// TestContractExpiring: the end of a contract is reported 30, 14, 7 and 1 days before it,
// once each, by the first check of that time; a new end is reported anew.
func TestContractExpiring(t *testing.T) {
	w := newWorld(t)
	ends := func(validTo string, expired bool) {
		r := good(number)
		r.Contract.ValidTo, r.Contract.Expired = validTo, expired
		w.production.answers(r)
	}
	ends("2026-04-30", false) // the clock begins at 2026-03-01, UTC and AEST
	conn := w.link(t)
	seen := len(w.told(t, conn, 0))
	for _, tc := range []struct {
		day     int // after the link
		validTo string
		expired bool
		want    []string
	}{
		{29, "2026-04-30", false, []string{}},
		{30, "2026-04-30", false, []string{"30"}},
		{31, "2026-04-30", false, []string{}},
		{40, "2026-04-30", false, []string{}},
		{46, "2026-04-30", false, []string{"14"}},
		{46, "not a date", false, []string{}},
		{46, "2026-04-30", false, []string{}},
		{58, "2026-04-30", false, []string{"2"}}, // the check of day 53 never came
		{58, "2027-04-30", false, []string{}},    // renewed
		{59, "2026-04-30", false, []string{"1"}}, // and not, after all
		{60, "2026-04-30", false, []string{}},    // its last day
		{60, "2026-05-01", true, []string{}},     // the carrier says that it is over
		{60, "2026-05-02", false, []string{"2"}},
		{62, "2026-05-02", false, []string{"0"}},
		{62, "2026-05-02", false, []string{}},
		{63, "2026-05-02", false, []string{}},
		{64, "2999-12-31", false, []string{}},
	} {
		w.clock = time.Date(2026, 3, 1+tc.day, 0, 0, 0, 0, time.UTC).Add(time.Duration(seen) * time.Millisecond)
		ends(tc.validTo, tc.expired)
		if _, err := w.Check(t.Context(), w.row(t, conn.ID), connection.TriggerSchedule, health.Breaker{}, effects.By{}, nil); err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, e := range w.told(t, conn, seen) {
			seen++
			if days, ok := strings.CutPrefix(e, `carrier_contract_expiring {"expires_in_days":`); ok {
				days, _, _ = strings.Cut(days, ",")
				got = append(got, days)
			}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("day %d, end %s: days reported (-want +got):\n%s", tc.day, tc.validTo, diff)
		}
	}
	if row := w.row(t, conn.ID); row.WarnedOf != "2026-05-02" || row.WarnedDays != 1 {
		t.Errorf("the row notes %q, %d days", row.WarnedOf, row.WarnedDays)
	}

	// Another charge account with the same end has a contract of its own.
	ends("2026-05-10", false)
	if _, err := w.Check(t.Context(), w.row(t, conn.ID), connection.TriggerSchedule, health.Breaker{}, effects.By{}, nil); err != nil {
		t.Fatal(err)
	}
	seen = len(w.told(t, conn, 0))
	other := good("0004085231")
	other.Contract.ValidTo = "2026-05-10"
	w.production.answers(other)
	w.clock = w.clock.Add(time.Second)
	w.changed(t, w.row(t, conn.ID), "0004085231", "")
	got := w.told(t, conn, seen)
	if len(got) != 2 || !strings.Contains(got[0], `"changed":["account_number"]`) || !strings.Contains(got[1], `"valid_to":"2026-05-10"`) {
		t.Errorf("a change of the number is told as %q, want carrier_updated and carrier_contract_expiring", got)
	}
}

// TestManyChanges: an event has room for so many differences, and counts the others.
func TestManyChanges(t *testing.T) {
	w := newWorld(t)
	w.Compare = func(_, _ []byte) ([]connection.Difference, error) {
		return slices.Repeat([]connection.Difference{{
			Type: connection.ProductRecoded, ProductID: strings.Repeat("p", 30), Field: strings.Repeat("<", 100), From: strings.Repeat("\u2028", 100), To: "b",
		}}, connection.MaxDifferences), nil
	}
	conn := w.link(t)
	w.clock = w.clock.Add(time.Second)
	changed := good(number)
	changed.Raw = []byte(`{"new":1}`)
	w.production.answers(changed)
	if _, err := w.Check(t.Context(), conn, connection.TriggerSchedule, health.Breaker{}, effects.By{}, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.told(t, conn, 1); len(got) != 1 || !strings.Contains(got[0], `"more_changes":87`) || strings.Count(got[0], "product_recoded") != 13 {
		t.Errorf("a hundred differences are told as %q", got)
	}
}

// TestPendingVerification: a link that is verified later is told, and what came of it.
func TestPendingVerification(t *testing.T) {
	w := newWorld(t)
	w.production.answers(bad(carrier.OutcomeTimeout))
	req := w.request(t)
	req.VerifyLater = true
	conn, err := w.Link(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	w.clock = w.clock.Add(time.Hour)
	w.production.answers(good(number))
	if _, err := w.Check(t.Context(), w.row(t, conn.ID), connection.TriggerSchedule, health.Breaker{}, effects.By{}, nil); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`carrier_connected {"status":"pending_verification","status_reason":"timeout"}`,
		`carrier_recovered {"previous_status":"pending_verification","status":"active"}`,
	}
	if diff := cmp.Diff(want, w.told(t, *conn, 0)); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
