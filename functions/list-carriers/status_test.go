package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/health"
)

func TestStatus(t *testing.T) {
	d := newFront(t)
	quiet := `{"carrier_code":"startrack","friendly_name":"StarTrack","status":"operational","breaker":{"state":"closed","since":null,"failure":null,"next_probe_at":null},` +
		`"success_rate":null,"checks":0,"window_minutes":15}]}`
	want := `{"carriers":[{"carrier_code":"australia_post","friendly_name":"Australia Post","status":"operational","breaker":{"state":"closed","since":null,"failure":null,"next_probe_at":null},` +
		`"success_rate":null,"checks":0,"window_minutes":15},` + quiet
	if resp := d.ask("account 71", "/v1/carriers/status"); resp.Body != want || resp.Headers["ETag"] != "" {
		t.Errorf("without checks: %s, want\n%s", resp.Body, want)
	}
	count := func(at time.Time, outcomes ...carrier.Outcome) {
		t.Helper()
		var checks []health.Check
		for i, o := range outcomes {
			checks = append(checks, health.Check{AccountID: int64(i), Outcome: o})
		}
		if err := d.Store.CountChecks(t.Context(), carrier.AustraliaPost, checks, at); err != nil {
			t.Fatal(err)
		}
	}
	count(start().Add(-time.Hour), carrier.OutcomeOK)
	count(start().Add(-10*time.Minute), carrier.OutcomeOK, carrier.OutcomeTimeout)
	count(start(), carrier.OutcomeUnavailable)
	b := health.Breaker{Carrier: carrier.AustraliaPost}.Opened("outage", start(), health.Timing{})
	if err := d.Store.SaveBreaker(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	want = `{"carriers":[{"carrier_code":"australia_post","friendly_name":"Australia Post","status":"failing",` +
		`"breaker":{"state":"open","since":"2026-03-01T00:00:30.123Z","failure":"outage","next_probe_at":"2026-03-01T00:01:30.123Z"},` +
		`"success_rate":0.3333,"checks":3,"window_minutes":15},` + quiet
	for _, ask := range [][]string{{"account 71"}, {"partner 5", "On-Behalf-Of", "72"}} {
		if diff := cmp.Diff(want, d.ask(ask[0], "/v1/carriers/status", ask[1:]...).Body); diff != "" {
			t.Errorf("with an open breaker, for %v (-want +got):\n%s", ask, diff)
		}
	}
	b = b.Closed(start().Add(time.Minute))
	if err := d.Store.SaveBreaker(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	d.Clock = start().Add(time.Hour)
	want = `{"carriers":[{"carrier_code":"australia_post","friendly_name":"Australia Post","status":"operational",` +
		`"breaker":{"state":"closed","since":"2026-03-01T00:01:30.123Z","failure":null,"next_probe_at":null},"success_rate":null,"checks":0,"window_minutes":15},` + quiet
	if diff := cmp.Diff(want, d.ask("account 71", "/v1/carriers/status").Body); diff != "" {
		t.Errorf("with the breaker closed again (-want +got):\n%s", diff)
	}
}
