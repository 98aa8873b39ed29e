package carrier

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/fault"
)

// TestOutcomesListsEveryConstant reads the source: an outcome that is added and
// not listed would escape every other test here.
func TestOutcomesListsEveryConstant(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "outcome.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Outcome" {
				declared += len(spec.Names)
			}
		}
		return true
	})
	listed := Outcomes()
	slices.Sort(listed)
	if got := len(slices.Compact(listed)); got != declared || declared == 0 {
		t.Errorf("Outcomes() lists %d, %d are declared", got, declared)
	}
}

// outcomes is design.md, "Carrier outcome" and "who_must_act".
func outcomes() map[Outcome]struct {
	class class
	kind  fault.Kind
	field string
	who   fault.Actor
	retry bool
} {
	return map[Outcome]struct {
		class class
		kind  fault.Kind
		field string
		who   fault.Actor
		retry bool
	}{
		OutcomeOK:             {class: good},
		OutcomeNumberMismatch: {neither, fault.NumberMismatch, "account_number", fault.Merchant, false},
		OutcomeUnauthorized:   {refusal, fault.CarrierRefused, "", fault.Merchant, false},
		OutcomeForbidden:      {refusal, fault.CarrierRefused, "", fault.Merchant, false},
		OutcomeUnknownAccount: {refusal, fault.CarrierRefused, "account_number", fault.Merchant, false},
		OutcomeContractEnded:  {refusal, fault.CarrierContract, "", fault.Merchant, false},
		OutcomeContractAbsent: {refusal, fault.CarrierContract, "", fault.Merchant, false},
		OutcomeRateLimited:    {outage, fault.CarrierLimited, "", fault.Carrier, true},
		OutcomeUnavailable:    {outage, fault.CarrierDown, "", fault.Carrier, true},
		OutcomeTimeout:        {outage, fault.CarrierTimeout, "", fault.Carrier, true},
		OutcomeUnreadable:     {outage, fault.CarrierDown, "", fault.Carrier, true},
		OutcomeMalformed:      {outage, fault.CarrierDown, "", fault.Partner, true},
		OutcomeUnexpected:     {outage, fault.CarrierDown, "", fault.Us, true},
		OutcomeNoCredentials:  {refusal, fault.State, "", fault.Us, false},
	}
}

func TestEveryOutcome(t *testing.T) {
	cause := errors.New("the operator's text")
	categories := map[string]Outcome{}
	for _, o := range Outcomes() {
		t.Run(string(o), func(t *testing.T) {
			want, ok := outcomes()[o]
			if !ok {
				t.Fatal("this outcome has no row in the test")
			}
			if got := o.class(); got != want.class || o.IsOutage() != (want.class == outage) {
				t.Errorf("class = %d, outage %t, want %d", got, o.IsOutage(), want.class)
			}
			r := Reading{Outcome: o, HTTPStatus: 418, Code: "41001", Name: "CUSTOMER_NOT_FOUND", Cause: cause}
			if o == OutcomeOK {
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
			if o == OutcomeNoCredentials {
				asked = nil // the carrier was not
			}
			if diff := cmp.Diff(asked, d.CarrierError); diff != "" {
				t.Errorf("carrier_error (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFailure: what counts as the carrier's own failure once many connections
// have it. 429 is about one credential; others are about us.
func TestFailure(t *testing.T) {
	want := map[Outcome]string{
		OutcomeOK: "", OutcomeNumberMismatch: "", OutcomeRateLimited: "", OutcomeMalformed: "", OutcomeUnexpected: "", OutcomeNoCredentials: "",
		OutcomeUnavailable: "outage", OutcomeTimeout: "outage", OutcomeUnreadable: "outage",
		OutcomeUnauthorized: "unauthorized", OutcomeForbidden: "forbidden", OutcomeUnknownAccount: "unknown_account",
		OutcomeContractEnded: "contract_not_valid", OutcomeContractAbsent: "contract_not_set_up",
	}
	for _, o := range append(Outcomes(), "", "of tomorrow") {
		failure, ok := want[o]
		if got := o.Failure(); got != failure || !ok && slices.Contains(Outcomes(), o) {
			t.Errorf("Failure of %q = %q, want %q", o, got, failure)
		}
	}
}

func TestAnUnknownOutcomeIsAnOutageOfOurs(t *testing.T) {
	for _, o := range []Outcome{"", "of tomorrow"} {
		r := Reading{Outcome: o}
		if d := r.Diagnosis(); r.Outcome.class() != outage || d == nil || d.WhoMustAct != fault.Us {
			t.Errorf("%q: class %d, diagnosis %v", o, r.Outcome.class(), d)
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
		{"at least a minute", Reading{Outcome: OutcomeRateLimited, RetryAfter: time.Second}, time.Minute},
		{"no wish", Reading{Outcome: OutcomeRateLimited}, time.Minute},
		{"the carrier's wish", Reading{Outcome: OutcomeRateLimited, RetryAfter: 5 * time.Minute}, 5 * time.Minute},
		{"unavailable, with a wish", Reading{Outcome: OutcomeUnavailable, RetryAfter: 90 * time.Second}, 90 * time.Second},
		{"unavailable, with none", Reading{Outcome: OutcomeUnavailable}, 0},
	} {
		if got := fault.Of(tc.r.Err())[0].RetryAfter; got != tc.want {
			t.Errorf("%s: RetryAfter = %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestDiagnosisMembersAreAlwaysThere(t *testing.T) {
	b, err := json.Marshal(Reading{Outcome: OutcomeTimeout}.Diagnosis())
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
