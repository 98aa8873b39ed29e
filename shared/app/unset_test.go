package app_test

import (
	"os"
	"testing"
)

// unset removes an environment variable for the rest of the test; t.Setenv restores it.
func unset(t *testing.T, name string) {
	t.Helper()
	t.Setenv(name, "")
	if err := os.Unsetenv(name); err != nil {
		t.Fatal(err)
	}
}
