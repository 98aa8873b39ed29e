package main

import (
	"strings"
	"testing"

	"carrierlink/shared/boot"
)

// TestWire: every setting that is missing is told by name, all at once; with all
// of them there is a handler, and nobody was called.
func TestWire(t *testing.T) {
	settings := []string{
		"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "TABLE_NAME", "RATE_LIMIT_PER_MINUTE", "SANDBOX_RATE_LIMIT_PER_MINUTE",
		"SERVICE_SECRET_ID", "SECRET_PREFIX",
	}
	empty := boot.NewEnv(func(string) string { return "" })
	wire(empty)
	full := map[string]string{}
	for _, name := range settings {
		if err := empty.Err(); err == nil || !strings.Contains(err.Error(), name+" is not set") {
			t.Errorf("%s is not missed: %v", name, err)
		}
		full[name] = "1"
	}
	env := boot.NewEnv(func(name string) string { return full[name] })
	if handler := wire(env); handler == nil || env.Err() != nil {
		t.Errorf("wire = %v, %v", handler, env.Err())
	}
}
