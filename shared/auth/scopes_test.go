package auth_test

import (
	"os"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"carrierlink/shared/auth"
)

// TestScopesMatchTheContract compares the table with x-required-scope of every operation
// in infra/openapi.yaml.
func TestScopesMatchTheContract(t *testing.T) {
	text, err := os.ReadFile("../../infra/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]yaml.Node `yaml:"paths"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for path, item := range doc.Paths {
		for method, node := range item {
			var op struct {
				ID    string `yaml:"operationId"`
				Scope string `yaml:"x-required-scope"`
			}
			if node.Kind != yaml.MappingNode || node.Decode(&op) != nil || op.ID == "" {
				continue
			}
			seen++
			want := op.Scope
			got, ok := auth.RequiredScope(strings.ToUpper(method), path)
			if !ok {
				got = "none"
			}
			if want == "" || string(got) != want {
				t.Errorf("%s %s needs the scope %q, the contract says %q", strings.ToUpper(method), path, got, want)
			}
		}
	}
	if seen < 30 {
		t.Errorf("the contract has only %d operations", seen)
	}
}
