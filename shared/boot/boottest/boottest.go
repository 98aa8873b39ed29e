// Package boottest tests how a function's main reads its settings.
package boottest

import (
	"strings"
	"testing"

	"carrierlink/shared/boot"
)

// Wire checks a function's wire: every setting that is missing is told by name,
// all at once; with all of them there is a handler, and nobody was called.
// settings are those beside the three of AWS. It returns the full ones.
func Wire(t *testing.T, wire func(*boot.Env) any, settings ...string) map[string]string {
	t.Helper()
	empty := boot.NewEnv(func(string) string { return "" })
	wire(empty)
	full := map[string]string{}
	for _, name := range append([]string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}, settings...) {
		if err := empty.Err(); err == nil || !strings.Contains(err.Error(), name+" is not set") {
			t.Errorf("%s is not missed: %v", name, err)
		}
		full[name] = "1"
	}
	if full["AUSPOST_BASE_URL"] != "" {
		full["AUSPOST_BASE_URL"] = "https://carrier.invalid/shipping/v1"
	}
	env := boot.NewEnv(func(name string) string { return full[name] })
	if handler := wire(env); handler == nil || env.Err() != nil {
		t.Errorf("wire = %v, %v", handler, env.Err())
	}
	return full
}
