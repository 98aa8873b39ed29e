package app_test

import (
	"os"
	"testing"
)

// unset takes a variable out of the environment for the rest of the test:
// t.Setenv remembers what was there, and puts it back.
func unset(t *testing.T, name string) {
	t.Helper()
	t.Setenv(name, "")
	if err := os.Unsetenv(name); err != nil {
		t.Fatal(err)
	}
}
