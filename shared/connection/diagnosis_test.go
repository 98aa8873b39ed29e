package connection

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
)

// class is what an outcome means for a connection.
type class uint8

const (
	good class = iota
	refusal
	outage
	neither
)

func classOf(o carrier.Outcome) class {
	switch {
	case o.IsRefusal() && !o.IsOutage():
		return refusal
	case o.IsOutage() && !o.IsRefusal():
		return outage
	case o == carrier.OutcomeOK:
		return good
	}
	return neither
}

// outcomes are those of auspost.md, "Suggested outcome classes".
func outcomes() map[carrier.Outcome]struct {
	class class
	kind  fault.Kind
	field string
	who   fault.Actor
	retry bool
} {
	return map[carrier.Outcome]struct {
		class class
		kind  fault.Kind
		field string
		who   fault.Actor
		retry bool
	}{
		carrier.OutcomeOK:             {class: good},
		carrier.OutcomeNumberMismatch: {neither, fault.NumberMismatch, "account_number", fault.Merchant, false},
		carrier.OutcomeUnauthorized:   {refusal, fault.CarrierRefused, "", fault.Merchant, false},
		carrier.OutcomeForbidden:      {refusal, fault.CarrierRefused, "", fault.Merchant, false},
		carrier.OutcomeUnknownAccount: {refusal, fault.CarrierRefused, "account_number", fault.Merchant, false},
		carrier.OutcomeContractEnded:  {refusal, fault.CarrierContract, "", fault.Merchant, false},
		carrier.OutcomeContractAbsent: {refusal, fault.CarrierContract, "", fault.Merchant, false},
		carrier.OutcomeRateLimited:    {outage, fault.CarrierLimited, "", fault.Carrier, true},
		carrier.OutcomeUnavailable:    {outage, fault.CarrierDown, "", fault.Carrier, true},
		carrier.OutcomeTimeout:        {outage, fault.CarrierTimeout, "", fault.Carrier, true},
		carrier.OutcomeUnreadable:     {outage, fault.CarrierDown, "", fault.Carrier, true},
		carrier.OutcomeMalformed:      {outage, fault.CarrierDown, "", fault.Partner, true},
		carrier.OutcomeUnexpected:     {outage, fault.CarrierDown, "", fault.Us, true},
		carrier.OutcomeNoCredentials:  {refusal, fault.State, "", fault.Us, false},
	}
}

func TestEveryOutcome(t *testing.T) {
	cause := errors.New("the operator's text")
	categories := map[string]carrier.Outcome{}
	for _, o := range carrier.Outcomes() {
		t.Run(string(o), func(t *testing.T) {
			want, ok := outcomes()[o]
			if !ok {
				t.Fatal("this outcome has no row in the test")
			}
			if got := classOf(o); got != want.class {
				t.Errorf("class = %d, outage %t, want %d", got, o.IsOutage(), want.class)
			}
			r := Reading{Outcome: o, HTTPStatus: 418, Code: "41001", Name: "CUSTOMER_NOT_FOUND", Cause: cause}
			if o == carrier.OutcomeOK {
				if err, d := r.Err(), r.Diagnosis(); err != nil || d != nil {
					t.Errorf("a good reading has error %v, diagnosis %v", err, d)
				}
				return
			}
			var e *fault.Error
			if !errors.As(r.Err(), &e) {
				t.Fatalf("Err() = %v, want a fault", r.Err())
			}
			if e.Kind != want.kind || e.Field != want.field || !errors.Is(e, cause) || e.Message == "" || strings.Contains(e.Message, cause.Error()) {
				t.Errorf("Err() = kind %v, field %q, message %q, cause %v", e.Kind, e.Field, e.Message, e.Cause)
			}
			d := r.Diagnosis()
			if diff := cmp.Diff(d, e.Diagnosis); diff != "" {
				t.Errorf("Err has another diagnosis:\n%s", diff)
			}
			if d.WhoMustAct != want.who || d.Retryable != want.retry {
				t.Errorf("who_must_act = %s, retryable %t, want %s, %t", d.WhoMustAct, d.Retryable, want.who, want.retry)
			}
			if d.Category == "" || d.LikelyCause == "" || len(d.NextSteps) == 0 || !strings.HasPrefix(d.DocURL, "https://") {
				t.Errorf("the diagnosis is not complete: %+v", *d)
			}
			if other, dup := categories[d.Category]; dup {
				t.Errorf("category %q is %s's too", d.Category, other)
			}
			categories[d.Category] = o
			asked := &fault.CarrierError{HTTPStatus: 418, Code: "41001", Name: "CUSTOMER_NOT_FOUND"}
			if o == carrier.OutcomeNoCredentials {
				asked = nil // the carrier was not
			}
			if diff := cmp.Diff(asked, d.CarrierError); diff != "" {
				t.Errorf("carrier_error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnswerOverALimit(t *testing.T) {
	r := Reading{Outcome: carrier.OutcomeUnreadable, Cause: fmt.Errorf("of 7 products: %w", ErrTooLarge)}
	d := r.Diagnosis()
	if e := fault.Of(r.Err())[0]; e.Kind != fault.CarrierDown || e.Message != ErrTooLarge.Message || d.LikelyCause != e.Message || d.Category != "carrier_unreadable" || d.WhoMustAct != fault.Us || d.Retryable {
		t.Errorf("%v, %+v", e, *d)
	}
	if other := (Reading{Outcome: carrier.OutcomeUnreadable}).Diagnosis(); other.LikelyCause == d.LikelyCause || other.WhoMustAct != fault.Carrier {
		t.Errorf("an answer that is not understood: %+v", *other)
	}
}

func TestAnUnknownOutcomeIsAnOutageOfOurs(t *testing.T) {
	for _, o := range []carrier.Outcome{"", "of tomorrow"} {
		r := Reading{Outcome: o}
		if d := r.Diagnosis(); classOf(r.Outcome) != outage || d == nil || d.WhoMustAct != fault.Us {
			t.Errorf("%q: class %d, diagnosis %v", o, classOf(r.Outcome), d)
		}
		if err := r.Err(); !fault.Is(err, fault.CarrierDown) {
			t.Errorf("%q: Err() = %v, want carrier down", o, err)
		}
	}
}

func TestRetryAfterOfReading(t *testing.T) {
	for _, tc := range []struct {
		name string
		r    Reading
		want time.Duration
	}{
		{"at least a minute", Reading{Outcome: carrier.OutcomeRateLimited, RetryAfter: time.Second}, time.Minute},
		{"no wish", Reading{Outcome: carrier.OutcomeRateLimited}, time.Minute},
		{"the carrier's wish", Reading{Outcome: carrier.OutcomeRateLimited, RetryAfter: 5 * time.Minute}, 5 * time.Minute},
		{"unavailable, with a wish", Reading{Outcome: carrier.OutcomeUnavailable, RetryAfter: 90 * time.Second}, 90 * time.Second},
		{"unavailable, with none", Reading{Outcome: carrier.OutcomeUnavailable}, 0},
	} {
		if got := fault.Of(tc.r.Err())[0].RetryAfter; got != tc.want {
			t.Errorf("%s: RetryAfter = %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestDiagnosisMembersAreAlwaysThere(t *testing.T) {
	b, err := json.Marshal(Reading{Outcome: carrier.OutcomeTimeout}.Diagnosis())
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"category":"carrier_timeout","who_must_act":"carrier","likely_cause":"The carrier did not answer in time.",` +
		`"next_steps":["Try again in a few minutes; the credentials were not refused."],"retryable":true,` +
		`"doc_url":"https://developers.auspost.com.au/apis/shipping-and-tracking/reference/get-accounts","carrier_error":{"http_status":0,"code":"","name":""}}`
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Errorf("diagnosis (-want +got):\n%s", diff)
	}
}

// A key that has worked has no typing errors; one that was just entered may.
func TestDiagnosisOfAKeyThatWorked(t *testing.T) {
	const entered, replaced = "Check for typing errors", "Find out whether the key was replaced"
	for _, tc := range []struct {
		name     string
		verified time.Time
		reason   string
		cause    string
		step     string
	}{
		{"never worked", time.Time{}, "unauthorized", "The carrier does not accept this API key and secret.", entered},
		{"has worked", time.Unix(1, 0), "unauthorized", "The carrier no longer accepts this API key and secret.", replaced},
		{"has worked, one refusal", time.Unix(1, 0), "unauthorized_suspected", "The carrier no longer accepts this API key and secret.", replaced},
		{"has worked, refused for something else", time.Unix(1, 0), "forbidden", "The carrier knows the API key but does not let it read this charge account.", "Make sure that the key"},
	} {
		c := Connection{StatusReason: tc.reason, VerifiedAt: tc.verified}
		d := c.Diagnosis()
		if d.LikelyCause != tc.cause || !strings.HasPrefix(d.NextSteps[0], tc.step) {
			t.Errorf("%s: Diagnosis() = %q, %q, want %q, %q", tc.name, d.LikelyCause, d.NextSteps[0], tc.cause, tc.step)
		}
	}
	if step := (Reading{Outcome: carrier.OutcomeUnauthorized}).Diagnosis().NextSteps[0]; !strings.HasPrefix(step, entered) {
		t.Errorf("the table of diagnoses was changed: its first step is %q", step)
	}
}
