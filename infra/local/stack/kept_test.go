package stack

import (
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// TestKept: what outlives its stack does not stand in the way of a later deployment. If it has a name of its own, no parameter but
// the stage decides whether it exists, because a resource that left its stack cannot be made again under its name. And what a failed
// deployment has made goes with it.
func TestKept(t *testing.T) {
	exceptions := map[string]string{
		"Table":         "a table that is protected from deletion would make the rollback fail",
		"ApiLogRole":    "API Gateway goes on using the role when ApiLogAccount is gone",
		"ApiLogAccount": "it goes with its role",
	}
	var document struct {
		Resources map[string]struct {
			Condition  string               `yaml:"Condition"`
			Deletion   yaml.Node            `yaml:"DeletionPolicy"`
			Replace    yaml.Node            `yaml:"UpdateReplacePolicy"`
			Properties map[string]yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "template.yaml")), &document); err != nil {
		t.Fatal(err)
	}
	kept := 0
	for id, resource := range document.Resources {
		deletion, replace := expression(resource.Deletion), expression(resource.Replace)
		if deletion == "" && replace == "" {
			continue
		}
		kept++
		want := "RetainExceptOnCreate"
		if exceptions[id] != "" {
			want = "Retain"
		}
		if !strings.HasSuffix(" "+deletion, " "+want) || !strings.HasSuffix(" "+replace, " Retain") {
			t.Errorf("%s has the DeletionPolicy %q and the UpdateReplacePolicy %q, want %s and Retain outside local", id, deletion, replace, want)
		}
		for property := range resource.Properties {
			if strings.HasSuffix(property, "Name") && resource.Condition != "" && resource.Condition != "IsRemote" {
				t.Errorf("%s has the %s that the template gives it, and exists only if %s", id, property, resource.Condition)
			}
		}
	}
	if kept <= len(exceptions) {
		t.Errorf("%d resources are kept, want the table, the service secret, the vault, ...", kept)
	}
}
