package main

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
)

// TestSixtyLiveReads makes sixty live reads in three seconds, one after the other: ten
// call the carrier, the others get the stored copy.
func TestSixtyLiveReads(t *testing.T) {
	f := newFront(t, goodReading(t, carriersText))
	f.Connections.CallsPerMinute = 10
	got := map[string]int{}
	for range 60 {
		a := read(t, f.ask("refresh=true"))
		reason := a.Source
		if a.StaleReason != nil {
			reason += ", " + *a.StaleReason
		}
		if a.Diagnosis != nil || a.Stale != (a.StaleReason != nil) || string(a.Account) != carriersText {
			t.Errorf("answer: %+v", a)
		}
		got[reason]++
		f.Pass(50 * time.Millisecond)
	}
	if n := len(f.Carrier.TakeAsked()); n != 10 || got["live"] != 10 || got["stored, limited"] != 50 {
		t.Errorf("the carrier was asked %d times: %v", n, got)
	}
	f.Pass(time.Minute)
	if a := read(t, f.ask("refresh=true")); a.Source != "live" || a.Stale {
		t.Errorf("a minute later: %+v", a)
	}
}

// TestLimitedWithoutACopy: over the limit and without a stored copy, the answer is 429.
func TestLimitedWithoutACopy(t *testing.T) {
	f := newFront(t, connection.Reading{Outcome: carrier.OutcomeTimeout})
	f.Connections.CallsPerMinute = 1
	f.ask("")
	f.Carrier.TakeAsked()
	resp := f.ask("")
	if diff := cmp.Diff([]string{"429", "rate_limit_exceeded"}, functiontest.Problems(t, resp)); diff != "" {
		t.Errorf("answer without a copy (-want +got):\n%s", diff)
	}
	if resp.Headers["Retry-After"] != "60" || len(f.Carrier.TakeAsked()) != 0 {
		t.Errorf("Retry-After %q", resp.Headers["Retry-After"])
	}
}

// TestLimitedOnEngines: sixty concurrent reads of two connections with the same API key
// make at most ten calls of the carrier.
func TestLimitedOnEngines(t *testing.T) {
	d := functiontest.OnEngines(t, functiontest.StartEngines(t), "limited")
	serve(d)
	ids := []string{d.Link(functiontest.Number).ID, d.Link(functiontest.OtherNumber).ID}
	d.Connections.CallsPerMinute = 10
	d.Carrier.TakeAsked()
	statuses := make(chan string)
	for i := range 60 {
		go func() {
			statuses <- strconv.Itoa(d.Do("account 71", http.MethodGet, "/v1/carriers/"+ids[i%2]+"/account?refresh=true", "").StatusCode)
		}()
	}
	for range 60 {
		if s := <-statuses; s != "200" {
			t.Errorf("status %s, want 200", s)
		}
	}
	if n := len(d.Carrier.TakeAsked()); n < 2 || n > 10 {
		t.Errorf("the carrier was asked %d times, want 2 to 10", n)
	}
	for range 12 {
		d.Do("account 71", http.MethodGet, "/v1/carriers/"+ids[0]+"/account?refresh=true", "")
	}
	if n := len(d.Carrier.TakeAsked()); n > 10 {
		t.Errorf("then the carrier was asked %d times more", n)
	}
}
