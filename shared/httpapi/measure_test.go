package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/metrics"
)

// TestMetrics: the one record of a request carries its metrics. Nothing of the request gets
// into them but the group of its route.
func TestMetrics(t *testing.T) {
	const odd = `Zoë's "Shop", {Stage}=production`
	limited := fault.New(fault.RateLimited, "%s", odd)
	limited.Limit = "requests"
	fixed := func(status int) httpapi.Handler {
		return func(context.Context, *httpapi.Request) (*httpapi.Response, error) {
			return httpapi.JSON(status, map[string]string{"company_name": odd}), nil
		}
	}
	failing := func(err error) httpapi.Handler {
		return func(context.Context, *httpapi.Request) (*httpapi.Response, error) { return nil, err }
	}
	for _, tc := range []struct {
		name, method, resource string
		handler                httpapi.Handler
		want                   []string
	}{
		{"our fault", "GET", "/v1/carriers", failing(errors.New(odd)), []string{"Failures Route=connections", "Latency Route=connections", "Requests Outcome=ours"}},
		{"a panic", "GET", "/v1/partners/accounts", func(context.Context, *httpapi.Request) (*httpapi.Response, error) { panic(odd) }, []string{"Failures Route=accounts", "Latency Route=accounts", "Requests Outcome=ours"}},
		{"AWS throttles", "DELETE", "/v1/carriers/{carrier_id}", failing(fault.Throttled(errors.New(odd))), []string{"Failures Route=links", "Latency Route=links", "Requests Outcome=overloaded"}},
		{"the carrier is down", "GET", "/v1/carriers/{carrier_id}/account", failing(fault.New(fault.CarrierDown, "m")), []string{"Failures Route=charge_accounts", "Latency Route=charge_accounts", "Requests Outcome=carrier"}},
		{"the carrier is slow", "POST", "/v1/connections/carriers/{carrier_name}", failing(fault.New(fault.CarrierTimeout, "m")), []string{"Failures Route=links", "Latency Route=links", "Requests Outcome=carrier"}},
		{"the carrier throttles", "GET", "/v1/tracking", failing(fault.New(fault.CarrierLimited, "m")), []string{"Failures Route=tracking", "Latency Route=tracking", "Requests Outcome=carrier"}},
		{"a 5xx without an error", "POST", "/v1/connections/carriers/{carrier_name}", fixed(502), []string{"Failures Route=links", "Latency Route=links", "Requests Outcome=carrier"}},
		{"no key", "GET", "/v1/partners/accounts/{account_id}/api_keys", failing(fault.New(fault.Unauthorized, "%s", odd)), []string{"Latency Route=keys", "Requests Outcome=refused"}},
		{"not allowed", "GET", "/v1/partners/countries", failing(fault.New(fault.Forbidden, "%s", odd)), []string{"Latency Route=accounts", "Requests Outcome=refused"}},
		{"too many requests", "GET", "/v1/carriers/{carrier_id}/history", failing(limited), []string{"Latency Route=connections", "Refusals Limit=requests", "Requests Outcome=refused"}},
		{"bad input", "PUT", "/v1/connections/carriers/{carrier_name}/{carrier_id}", failing(fault.List{fault.New(fault.Invalid, "%s", odd)}), []string{"Latency Route=links", "Requests Outcome=rejected"}},
		{"no such route", "GET", "/{proxy+}", nil, []string{"Latency Route=other", "Requests Outcome=rejected"}},
		{"good", "GET", "/health", fixed(200), []string{"Latency Route=other", "Requests Outcome=ok"}},
		{"not modified", "HEAD", "/v1/carriers", fixed(304), []string{"Latency Route=connections", "Requests Outcome=ok"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log bytes.Buffer
			clock := time.UnixMilli(1_795_000_000_000)
			api := &httpapi.API{
				Log: slog.New(slog.NewJSONHandler(&log, nil)), Metrics: metrics.Recorder{Stage: "test", Now: func() time.Time { return clock }},
				Now: func() time.Time { clock = clock.Add(42 * time.Millisecond); return clock },
			}
			if tc.handler != nil {
				api.Routes = []httpapi.Route{{Method: tc.method, Resource: tc.resource, Handler: tc.handler}}
			}
			if _, err := api.Serve(t.Context(), events.APIGatewayProxyRequest{
				HTTPMethod: tc.method, Resource: tc.resource, Path: "/" + odd, Headers: map[string]string{"API-Key": odd}, Body: odd, QueryStringParameters: map[string]string{odd: odd},
			}); err != nil {
				t.Fatal(err)
			}
			var got []string
			for name, values := range metricstest.In(t, log.String()) {
				got = append(got, name)
				want := 1.0
				if strings.HasPrefix(name, "Latency") {
					want = 42
				}
				if diff := cmp.Diff([]float64{want}, values); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(tc.want, got); diff != "" || strings.Count(log.String(), "\n") != 1 {
				t.Errorf("metrics (-want +got):\n%s\nlog, want one line:\n%s", diff, log.String())
			}
			var record map[string]json.RawMessage
			if err := json.Unmarshal(log.Bytes(), &record); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"_aws", "Stage", "Route", "Outcome", "Limit"} {
				if strings.Contains(string(record[name]), "Shop") {
					t.Errorf("%s is %s", name, record[name])
				}
			}
		})
	}
}
