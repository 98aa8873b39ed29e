package httpapi_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// TestAccessLog: the gateway's record of a request is JSON, whatever value is missing, has
// the ids by which it is joined to the function's, and no text that a caller chose.
func TestAccessLog(t *testing.T) {
	text, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources struct {
			API struct {
				Properties struct {
					AccessLogSetting []yaml.Node `yaml:"AccessLogSetting"`
					TracingEnabled   bool        `yaml:"TracingEnabled"`
				} `yaml:"Properties"`
			} `yaml:"Api"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	if template.Resources.API.Properties.TracingEnabled {
		t.Error("the API traces: its segments have the whole address, which may have a token")
	}
	var setting struct {
		Format string `yaml:"Format"`
	}
	if err := template.Resources.API.Properties.AccessLogSetting[1].Decode(&setting); err != nil {
		t.Fatal(err)
	}
	variable := regexp.MustCompile(`\$context\.[A-Za-z.]+`)
	// API Gateway Developer Guide, "Variables for access logging for API Gateway". Path, protocol, headers and the user
	// agent are the caller's text.
	known := []string{
		"requestTimeEpoch", "requestId", "extendedRequestId", "integration.requestId", "identity.sourceIp", "httpMethod", "resourcePath", "status",
		"error.responseType", "responseLatency", "integration.latency", "integration.integrationStatus", "integration.status", "responseLength",
	}
	for _, name := range variable.FindAllString(setting.Format, -1) {
		if !slices.Contains(known, strings.TrimPrefix(name, "$context.")) {
			t.Errorf("%s is not known to be a number, an id or a text of ours", name)
		}
	}
	if strings.Contains(variable.ReplaceAllString(setting.Format, ""), "$") || strings.Contains(setting.Format, "\n") || len(setting.Format) > 3<<10 {
		t.Errorf("format %s", setting.Format)
	}
	var got map[string]string
	if err := json.Unmarshal([]byte(variable.ReplaceAllString(setting.Format, "-")), &got); err != nil {
		t.Fatalf("a record without any value is not JSON: %v\n%s", err, setting.Format)
	}
	for _, name := range []string{"request_id", "extended_request_id", "lambda_request_id", "ip", "method", "resource", "status", "latency_ms"} {
		if got[name] == "" {
			t.Errorf("the record lacks %s", name)
		}
	}
}
