package construct_test

import (
	"strings"
	"testing"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
)

// TestHTTPIsLocal: credentials are sent over http only on the stage local.
func TestHTTPIsLocal(t *testing.T) {
	for _, tc := range []struct {
		base, stage string
		ok          bool
	}{
		{"http://carrier.invalid/shipping/v1", "production", false},
		{"http://carrier.invalid/shipping/v1", "staging", false},
		{"http://carrier.invalid/shipping/v1", "", false},
		{"HTTP://carrier.invalid/shipping/v1", "production", false},
		{"http://127.0.0.1:8080/shipping/v1", "production", false},
		{"http://127.0.0.1:8080/shipping/v1", "local", true},
		{"https://carrier.invalid/shipping/v1", "production", true},
		{"https://carrier.invalid/shipping/v1", "", true},
	} {
		env := app.NewEnv(func(name string) string {
			return map[string]string{"AUSPOST_BASE_URL": tc.base, "STAGE": tc.stage}[name]
		})
		construct.From(env).Carriers()
		err := env.Err()
		if (err == nil) != tc.ok || err != nil && (!strings.Contains(err.Error(), "AUSPOST_BASE_URL") || strings.Contains(err.Error(), "carrier.invalid")) {
			t.Errorf("%s in the stage %q: %v, want ok %t", tc.base, tc.stage, err, tc.ok)
		}
	}
}

// TestLoopbackIsLocal: webhooks may be on the machine itself on the stage local only.
func TestLoopbackIsLocal(t *testing.T) {
	for _, tc := range []struct {
		value, stage string
		want, ok     bool
	}{
		{"yes", "local", false, false},
		{"TRUE", "local", false, false},
		{"true", "production", true, false},
		{"true", "", true, false},
		{"false", "production", false, true},
		{"", "local", false, true},
		{"true", "local", true, true},
	} {
		env := app.NewEnv(func(name string) string {
			return map[string]string{"WEBHOOK_ALLOW_LOOPBACK": tc.value, "STAGE": tc.stage}[name]
		})
		got := construct.From(env).AllowLoopback()
		if err := env.Err(); got != tc.want || (err == nil) != tc.ok || err != nil && !strings.Contains(err.Error(), "WEBHOOK_ALLOW_LOOPBACK") {
			t.Errorf("%q in the stage %q: %t, %v, want %t, ok %t", tc.value, tc.stage, got, err, tc.want, tc.ok)
		}
	}
}
