package app_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/app"
)

func env(values map[string]string) *app.Env {
	return app.NewEnv(func(name string) string { return values[name] })
}

// TestEveryProblemAtOnce: Err lists problems by name, in the order of reading, without
// values.
func TestEveryProblemAtOnce(t *testing.T) {
	e := env(map[string]string{"COUNT_TEXT": "many-canary", "COUNT_ZERO": "0", "COUNT_MINUS": "-1", "COUNT_HUGE": "99999999999999999999", "COUNT_FRACTION": "1.5", "SWITCH": "true-canary", "LOG_LEVEL": "LOUD-canary"})
	e.Text("TABLE_NAME")
	for _, name := range []string{"COUNT_MISSING", "COUNT_TEXT", "COUNT_ZERO", "COUNT_MINUS", "COUNT_HUGE", "COUNT_FRACTION"} {
		e.Count(name)
	}
	e.Seconds("GAP_SECONDS")
	for _, name := range []string{"SWITCH", "SWITCH_MISSING"} {
		if e.Switch(name) {
			t.Errorf("Switch(%q) = true", name)
		}
	}
	if got := e.LogLevel(); got != slog.LevelInfo {
		t.Errorf("LogLevel for an unknown level = %v, want INFO", got)
	}
	e.AWS()
	e.Check("BASE_URL", errors.New("must be absolute"))
	e.Check("FINE", nil)
	e.Optional("ERROR_SOURCE")
	err := e.Err()
	if err == nil {
		t.Fatal("Err() = nil")
	}
	want := []string{
		"TABLE_NAME is not set", "COUNT_MISSING is not set", "COUNT_TEXT must be a positive whole number", "COUNT_ZERO must be a positive whole number",
		"COUNT_MINUS must be a positive whole number", "COUNT_HUGE must be a positive whole number", "COUNT_FRACTION must be a positive whole number",
		"GAP_SECONDS is not set", "SWITCH must be on or off", "SWITCH_MISSING is not set", "LOG_LEVEL must be DEBUG, INFO, WARN or ERROR", "AWS_REGION is not set", "AWS_ACCESS_KEY_ID is not set",
		"AWS_SECRET_ACCESS_KEY is not set", "BASE_URL: must be absolute",
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("Err() (-want +got):\n%s", diff)
	}
}

func TestEnvReads(t *testing.T) {
	e := env(map[string]string{"TABLE_NAME": "t", "N": "200", "GAP_SECONDS": "600", "NEW": "on", "OLD": "off", "LOG_LEVEL": "WARN", "ERROR_SOURCE": "x"})
	if got := e.Text("TABLE_NAME"); got != "t" {
		t.Errorf("Text = %q", got)
	}
	if got := e.Count("N"); got != 200 {
		t.Errorf("Count = %d", got)
	}
	if got := e.Seconds("GAP_SECONDS"); got != 10*time.Minute {
		t.Errorf("Seconds = %v", got)
	}
	if on, off := e.Switch("NEW"), e.Switch("OLD"); !on || off {
		t.Errorf("Switch = %t and %t", on, off)
	}
	if got := e.LogLevel(); got != slog.LevelWarn {
		t.Errorf("LogLevel = %v", got)
	}
	if got, none := e.Optional("ERROR_SOURCE"), e.Optional("NONE"); got != "x" || none != "" {
		t.Errorf("Optional = %q and %q", got, none)
	}
	if got := env(nil).LogLevel(); got != slog.LevelInfo {
		t.Errorf("LogLevel without a setting = %v", got)
	}
	if err := e.Err(); err != nil {
		t.Errorf("Err() = %v", err)
	}
}

func TestOptionalURL(t *testing.T) {
	for value, ok := range map[string]bool{
		"api.example.com": false, "/v1": false, "ftp://api.example.com": false, "https://": false, "https://api.example.com/": false,
		"https://api.example.com?x=1": false, "https://api.example.com#x": false, "https://user@api.example.com": false, "https://api.example.com/a b": false,
		"://": false, "": true, "https://api.example.com": true, "https://api.example.com/base/path": true, "http://127.0.0.1:8080": true,
	} {
		e := env(map[string]string{"PUBLIC_URL": value})
		got, err := e.OptionalURL("PUBLIC_URL"), e.Err()
		if (err == nil) != ok || ok && got != value {
			t.Errorf("OptionalURL of %q = %q, %v, want it accepted: %t", value, got, err, ok)
		}
		if err != nil && err.Error() != "PUBLIC_URL must be an address such as https://api.example.com" { // never the value
			t.Errorf("%q: %v", value, err)
		}
	}
}

// seen is a request that the SDK sent to a server.
type seen struct{ target, authorization, token string }

func server(t *testing.T, out *[]seen) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*out = append(*out, seen{r.Header.Get("X-Amz-Target"), r.Header.Get("Authorization"), r.Header.Get("X-Amz-Security-Token")})
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = w.Write([]byte(`{}`))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestEndpointOverrides makes real clients and checks where their calls arrive. The SDK
// also reads these variables from the process, so they are set there.
func TestEndpointOverrides(t *testing.T) {
	const both, one, two = "both", "dynamodb", "secretsmanager"
	tests := []struct {
		name              string
		set               map[string]string
		wantDB, wantVault string
	}{
		{"one for all", map[string]string{"AWS_ENDPOINT_URL": both}, both, both},
		{"a service's own comes first", map[string]string{"AWS_ENDPOINT_URL": both, "AWS_ENDPOINT_URL_SECRETS_MANAGER": two}, both, two},
		{"the other service's own", map[string]string{"AWS_ENDPOINT_URL": both, "AWS_ENDPOINT_URL_DYNAMODB": one}, one, both},
		{"each its own", map[string]string{"AWS_ENDPOINT_URL_DYNAMODB": one, "AWS_ENDPOINT_URL_SECRETS_MANAGER": two}, one, two},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			calls := map[string]*[]seen{both: {}, one: {}, two: {}}
			values := map[string]string{
				"AWS_REGION": "ap-southeast-2", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "the token",
				"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_DYNAMODB": "", "AWS_ENDPOINT_URL_SECRETS_MANAGER": "",
			}
			for name, which := range tc.set {
				values[name] = server(t, calls[which])
			}
			for name, v := range values {
				t.Setenv(name, v)
				if v == "" {
					unset(t, name)
				}
			}
			e := env(values)
			cfg := e.AWS()
			if err := e.Err(); err != nil {
				t.Fatal(err)
			}
			if _, err := dynamodb.NewFromConfig(cfg).ListTables(t.Context(), nil); err != nil {
				t.Errorf("DynamoDB: %v", err)
			}
			if _, err := secretsmanager.NewFromConfig(cfg).ListSecrets(t.Context(), nil); err != nil {
				t.Errorf("Secrets Manager: %v", err)
			}
			got := map[string][]string{}
			for where, list := range calls {
				for _, s := range *list {
					got[where] = append(got[where], s.target)
					if !strings.Contains(s.authorization, "Credential=AKIDEXAMPLE/") || !strings.Contains(s.authorization, "/ap-southeast-2/") || s.token != "the token" {
						t.Errorf("signed as %q with the token %q", s.authorization, s.token)
					}
				}
			}
			want := map[string][]string{}
			want[tc.wantDB] = append(want[tc.wantDB], "DynamoDB_20120810.ListTables")
			want[tc.wantVault] = append(want[tc.wantVault], "secretsmanager.ListSecrets")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEndpointsWithoutOverrides: the region decides the endpoint.
func TestEndpointsWithoutOverrides(t *testing.T) {
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"} {
		unset(t, name)
	}
	cfg := env(map[string]string{"AWS_REGION": "ap-southeast-2", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}).AWS()
	if o := dynamodb.NewFromConfig(cfg).Options(); o.BaseEndpoint != nil || o.Region != "ap-southeast-2" {
		t.Errorf("endpoint %v, region %q", aws.ToString(o.BaseEndpoint), o.Region)
	}
	c, err := cfg.Credentials.Retrieve(t.Context())
	if want := (aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b", Source: "environment"}); err != nil || c != want {
		t.Errorf("credentials %+v, %v, want %+v", c, err, want)
	}
}

func TestMetrics(t *testing.T) {
	if got := env(map[string]string{"STAGE": "staging"}).Metrics(); got.Stage != "staging" || got.Now == nil {
		t.Errorf("Metrics() = %+v", got)
	}
	none := env(nil)
	if none.Metrics(); none.Err() == nil || none.Err().Error() != "STAGE is not set" {
		t.Errorf("without STAGE: %v", none.Err())
	}
}
