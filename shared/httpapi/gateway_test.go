package httpapi_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// TestGatewayResponses: the gateway's own answers have the envelope and the headers of our
// answers with the same status.
func TestGatewayResponses(t *testing.T) {
	text, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		StatusCode         int `yaml:"StatusCode"`
		ResponseParameters struct {
			Headers map[string]string `yaml:"Headers"`
		} `yaml:"ResponseParameters"`
		ResponseTemplates map[string]string `yaml:"ResponseTemplates"`
	}
	var template struct {
		Resources struct {
			API struct {
				Properties struct {
					GatewayResponses map[string]answer `yaml:"GatewayResponses"`
				} `yaml:"Properties"`
			} `yaml:"Api"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]fault.Kind{
		"MISSING_AUTHENTICATION_TOKEN": fault.NotFound, "INVALID_SIGNATURE": fault.NotFound, "RESOURCE_NOT_FOUND": fault.NotFound,
		"REQUEST_TOO_LARGE": fault.TooLarge, "THROTTLED": fault.RateLimited, "QUOTA_EXCEEDED": fault.RateLimited, "WAF_FILTERED": fault.Forbidden,
		"INTEGRATION_TIMEOUT": fault.CarrierTimeout, "DEFAULT_4XX": fault.Invalid, "DEFAULT_5XX": fault.Overloaded,
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			got, ok := template.Resources.API.Properties.GatewayResponses[name]
			if !ok {
				t.Fatal("template.yaml has no such GatewayResponse")
			}
			ours := answerTo(t, fault.New(kind, "m"))
			if got.StatusCode != ours.StatusCode && !strings.HasPrefix(name, "DEFAULT_") {
				t.Errorf("status %d, want %d", got.StatusCode, ours.StatusCode)
			}
			want := map[string]string{"X-Request-Id": "context.requestId"}
			for name, value := range ours.Headers {
				if name != "Content-Type" && name != "X-Request-Id" {
					want[name] = "'" + value + "'"
				}
			}
			headers := got.ResponseParameters.Headers
			wait := headers["Retry-After"]
			delete(headers, "Retry-After")
			if diff := cmp.Diff(want, headers); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			var envelope, wanted httpapi.Envelope
			body := strings.NewReplacer("$context.requestId", "id", "${ErrorSource}", "shipengine").Replace(got.ResponseTemplates["application/json"])
			if err := json.Unmarshal([]byte(body), &envelope); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			if err := json.Unmarshal([]byte(ours.Body), &wanted); err != nil {
				t.Fatal(err)
			}
			problem, ourProblem := envelope.Errors[0], wanted.Errors[0]
			if problem.Message == "" || envelope.RequestID != "id" {
				t.Errorf("body %s", body)
			}
			if (wait != "") != problem.Retryable {
				t.Errorf("retryable is %t, Retry-After %q", problem.Retryable, wait)
			}
			problem.Message, ourProblem.Message, ourProblem.ErrorSource = "", "", "shipengine" // the gateway is not the carrier
			if diff := cmp.Diff(ourProblem, problem); diff != "" || len(envelope.Errors) != 1 {
				t.Errorf("problem (-want +got):\n%s", diff)
			}
		})
	}
	if all := len(template.Resources.API.Properties.GatewayResponses); all != len(kinds) {
		t.Errorf("template.yaml has %d GatewayResponses, this test has %d", all, len(kinds))
	}
}
