package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// answerTo returns the answer when a handler returns err.
func answerTo(t *testing.T, err error) events.APIGatewayProxyResponse {
	t.Helper()
	api := quiet(httpapi.Route{Method: "POST", Resource: "/v1/things", Handler: func(context.Context, *httpapi.Request) (*httpapi.Response, error) {
		return nil, err
	}})
	resp, err := api.Serve(t.Context(), post(""))
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// TestErrorTable has the tables of infra/docs/errors.md.
func TestErrorTable(t *testing.T) {
	table := map[fault.Kind]struct {
		status                  int
		errorType, code, source string
		retryable               bool
	}{
		fault.Internal:            {500, "system", "unspecified", "shipengine", false},
		fault.BodyRequired:        {400, "validation", "request_body_required", "shipengine", false},
		fault.Required:            {400, "validation", "field_value_required", "shipengine", false},
		fault.Length:              {400, "validation", "invalid_string_length", "shipengine", false},
		fault.Invalid:             {400, "validation", "invalid_field_value", "shipengine", false},
		fault.Identifier:          {400, "validation", "invalid_identifier", "shipengine", false},
		fault.NotSupported:        {400, "validation", "carrier_not_supported", "shipengine", false},
		fault.Unauthorized:        {401, "security", "unauthorized", "shipengine", false},
		fault.Forbidden:           {403, "security", "forbidden", "shipengine", false},
		fault.Inactive:            {403, "account_status", "subscription_inactive", "shipengine", false},
		fault.NotFound:            {404, "security", "not_found", "shipengine", false},
		fault.Conflict:            {409, "business_rules", "identifier_conflict", "shipengine", false},
		fault.CarrierConflict:     {409, "business_rules", "carrier_conflict", "shipengine", false},
		fault.WebhookConflict:     {409, "business_rules", "webhook_event_type_conflict", "shipengine", false},
		fault.State:               {409, "business_rules", "invalid_status", "shipengine", false},
		fault.Precondition:        {412, "validation", "invalid_field_value", "shipengine", false},
		fault.TooLarge:            {413, "validation", "invalid_field_value", "shipengine", false},
		fault.MediaType:           {415, "validation", "invalid_field_value", "shipengine", false},
		fault.IdempotencyMismatch: {422, "validation", "field_conflict", "shipengine", false},
		fault.RateLimited:         {429, "system", "rate_limit_exceeded", "shipengine", true},
		fault.Overloaded:          {503, "system", "unspecified", "shipengine", true},
		fault.NumberMismatch:      {400, "validation", "identifiers_must_match", "shipengine", false},
		fault.CarrierRefused:      {400, "business_rules", "verification_failure", "shipengine", false},
		fault.CarrierContract:     {400, "account_status", "verification_failure", "shipengine", false},
		fault.CarrierLimited:      {503, "system", "rate_limit_exceeded", "carrier", true},
		fault.CarrierDown:         {502, "system", "unspecified", "carrier", true},
		fault.CarrierTimeout:      {504, "system", "unspecified", "carrier", true},
	}
	for _, k := range fault.Kinds() {
		t.Run(k.String(), func(t *testing.T) {
			want, ok := table[k]
			if !ok {
				t.Fatal("the test has no row for this kind")
			}
			resp := answerTo(t, fmt.Errorf("doing: %w", fault.New(k, "The message.")))
			var body httpapi.Envelope
			if err := json.Unmarshal([]byte(resp.Body), &body); err != nil {
				t.Fatalf("%s: %v", resp.Body, err)
			}
			if k == fault.Internal {
				body.Errors[0].Message = "The message."
			}
			wantBody := httpapi.Envelope{RequestID: resp.Headers["X-Request-Id"], Errors: []httpapi.Problem{{
				ErrorSource: want.source, ErrorType: want.errorType, ErrorCode: want.code, Message: "The message.", Retryable: want.retryable,
			}}}
			if diff := cmp.Diff(wantBody, body); diff != "" || resp.StatusCode != want.status {
				t.Errorf("status %d, want %d; body (-want +got):\n%s", resp.StatusCode, want.status, diff)
			}
		})
	}
}

func TestEnvelopeGolden(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		status int
		want   string
		header map[string]string
	}{
		{
			"internal errors show nothing", fmt.Errorf("reading: %w", errors.New("AccessDenied on table secret-name")), 500,
			`{"request_id":"ID","errors":[{"error_source":"shipengine","error_type":"system","error_code":"unspecified","message":"Something went wrong on our side. Please try again, or tell us the request id."}]}`, nil,
		},
		{
			"internal shows no member either",
			&fault.Error{
				Kind: fault.Internal, Field: "secret", Message: "secret", Cause: fault.List{fault.New(fault.NotFound, "secret")}, ExistingAccountID: 7,
				ExistingCarrierID: "secret", Diagnosis: &fault.Diagnosis{DocURL: "secret"}, RetryAfter: time.Hour,
			}, 500,
			`{"request_id":"ID","errors":[{"error_source":"shipengine","error_type":"system","error_code":"unspecified","message":"Something went wrong on our side. Please try again, or tell us the request id."}]}`, nil,
		},
		{
			"a kind that nobody knows", fault.New(fault.Kind(250), "secret"), 500,
			`{"request_id":"ID","errors":[{"error_source":"shipengine","error_type":"system","error_code":"unspecified","message":"Something went wrong on our side. Please try again, or tell us the request id."}]}`, nil,
		},
		{
			"several, in order; the first one's status",
			fault.List{fault.Field(fault.Conflict, "email", "email is in use."), &fault.Error{Kind: fault.Length, Field: "first_name", Message: "Too <long> & \"bad\".", Cause: errors.New("hidden")}},
			409,
			`{"request_id":"ID","errors":[{"error_source":"shipengine","error_type":"business_rules","error_code":"identifier_conflict","message":"email is in use.","field_name":"email"},` +
				`{"error_source":"shipengine","error_type":"validation","error_code":"invalid_string_length","message":"Too <long> & \"bad\".","field_name":"first_name"}]}`, nil,
		},
		{
			"additive members",
			&fault.Error{Kind: fault.Conflict, Field: "email", Message: "m", ExistingAccountID: 242822, ExistingCarrierID: "se-1"}, 409,
			`{"request_id":"ID","errors":[{"error_source":"shipengine","error_type":"business_rules","error_code":"identifier_conflict","message":"m","field_name":"email","existing_account_id":242822,"existing_carrier_id":"se-1"}]}`, nil,
		},
		{
			"Retry-After, rounded up", &fault.Error{Kind: fault.RateLimited, Message: "m", RetryAfter: 1001 * time.Millisecond}, 429,
			`{"request_id":"ID","errors":[{"error_source":"shipengine","error_type":"system","error_code":"rate_limit_exceeded","message":"m","retryable":true}]}`,
			map[string]string{"Retry-After": "2"},
		},
		{
			"WWW-Authenticate", fault.New(fault.Unauthorized, "m"), 401,
			`{"request_id":"ID","errors":[{"error_source":"shipengine","error_type":"security","error_code":"unauthorized","message":"m"}]}`,
			map[string]string{"WWW-Authenticate": `API-Key realm="carrierlink"`},
		},
		{
			"diagnosis", connection.Reading{Outcome: carrier.OutcomeTimeout, Cause: errors.New("dial tcp 10.0.0.1")}.Err(), 504,
			`{"request_id":"ID","errors":[{"error_source":"carrier","error_type":"system","error_code":"unspecified","message":"The carrier did not answer in time.","retryable":true,` +
				`"doc_url":"https://developers.auspost.com.au/apis/shipping-and-tracking/reference/get-accounts","diagnosis":{"category":"carrier_timeout","who_must_act":"carrier",` +
				`"likely_cause":"The carrier did not answer in time.","next_steps":["Try again in a few minutes; the credentials were not refused."],"retryable":true,` +
				`"doc_url":"https://developers.auspost.com.au/apis/shipping-and-tracking/reference/get-accounts","carrier_error":{"http_status":0,"code":"","name":""}}}]}`, nil,
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			resp := answerTo(t, tc.err)
			body := strings.Replace(resp.Body, resp.Headers["X-Request-Id"], "ID", 1)
			if diff := cmp.Diff(tc.want, body); diff != "" || resp.StatusCode != tc.status {
				t.Errorf("status %d, want %d; body (-want +got):\n%s", resp.StatusCode, tc.status, diff)
			}
			for _, name := range []string{"Retry-After", "WWW-Authenticate"} {
				if resp.Headers[name] != tc.header[name] {
					t.Errorf("%s = %q, want %q", name, resp.Headers[name], tc.header[name])
				}
			}
		})
	}
}

func TestErrorSource(t *testing.T) {
	for _, tc := range []struct {
		name, setting string
		err           error
		want          string
	}{
		{"unset", "", fault.New(fault.NotFound, "m"), `"error_source":"shipengine"`},
		{"set", "carrierlink", fault.New(fault.NotFound, "m"), `"error_source":"carrierlink"`},
		{"the carrier's stays", "carrierlink", fault.New(fault.CarrierDown, "m"), `"error_source":"carrier"`},
	} {
		api := quiet(httpapi.Route{Method: "POST", Resource: "/v1/things", Handler: func(context.Context, *httpapi.Request) (*httpapi.Response, error) {
			return nil, tc.err
		}})
		api.ErrorSource = tc.setting
		if resp, _ := api.Serve(t.Context(), post("")); !strings.Contains(resp.Body, tc.want) {
			t.Errorf("%s: %s, want %s", tc.name, resp.Body, tc.want)
		}
	}
}

// TestRetryableIsThatOfTheDiagnosis: an error that a retry does not help says so, also
// if others of its kind are retryable.
func TestRetryableIsThatOfTheDiagnosis(t *testing.T) {
	for _, retryable := range []bool{false, true} {
		p := fault.New(fault.CarrierDown, "m")
		p.Diagnosis = &fault.Diagnosis{Retryable: retryable}
		if got := httpapi.Problems("", p)[0].Retryable; got != retryable {
			t.Errorf("retryable = %t with a diagnosis that says %t", got, retryable)
		}
	}
}
