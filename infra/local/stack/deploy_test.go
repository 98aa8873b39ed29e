package stack

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"carrierlink/infra/local/emulator"
)

// TestReadTemplate holds that what a deployment is compared with is the real template: an empty list would agree with
// every deployment.
func TestReadTemplate(t *testing.T) {
	root, err := emulator.Root()
	if err != nil {
		t.Fatal(err)
	}
	got, err := readTemplate(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for id, folder := range got.functions {
		if _, err := os.Stat(filepath.Join(root, "functions", folder, "main.go")); err != nil {
			t.Errorf("%s is built from functions/%s: %v", id, folder, err)
		}
	}
	folders, err := filepath.Glob(filepath.Join(root, "functions", "*", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.functions) != len(folders) {
		t.Errorf("the template has %d functions, functions/ has %d", len(got.functions), len(folders))
	}
	for _, route := range []string{"POST /v1/partners/accounts", "GET /{proxy+}", "OPTIONS /"} {
		if !slices.Contains(got.routes, route) {
			t.Errorf("routes = %q, want %s among them", got.routes, route)
		}
	}
}
