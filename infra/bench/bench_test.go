package main

import (
	"testing"

	"carrierlink/infra/local/emulator"
)

// TestEnvironment: a new setting of template.yaml has a value in the bench.
func TestEnvironment(t *testing.T) {
	root, err := emulator.Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := environment(root, "http://127.0.0.1:9", "http://127.0.0.1:9", "http://127.0.0.1:9/shipping/v1"); err != nil {
		t.Error(err)
	}
}

// TestSizes checks the one budget that does not depend on the machine: the size
// of each function's arm64 binary.
func TestSizes(t *testing.T) {
	root, err := emulator.Root()
	if err != nil {
		t.Fatal(err)
	}
	files, err := buildAll(t.Context(), root, "arm64", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := sizes(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range functions {
		if ratio := float64(bytes[f.name]) / float64(bytes["hello"]); ratio > f.size {
			t.Errorf("%s is %.3f × hello-world (%d of %d bytes), want at most %.2f", f.name, ratio, bytes[f.name], bytes["hello"], f.size)
		}
	}
}
