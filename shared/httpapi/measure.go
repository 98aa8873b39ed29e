package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"carrierlink/shared/fault"
	"carrierlink/shared/metrics"
)

// Measure adds the metrics of a request: how it was answered, how long it took, and which
// limit refused it. route is a value of the dimension Route; err may be nil.
func Measure(ctx context.Context, route string, status int, err error, took time.Duration) {
	outcome := outcomeOf(status, err)
	metrics.Add(ctx, metrics.Requests, outcome, 1)
	metrics.Add(ctx, metrics.Latency, route, took.Milliseconds())
	switch outcome {
	case "carrier", "ours", "overloaded":
		metrics.Add(ctx, metrics.Failures, route, 1)
	case "rejected", "refused":
		if limit := fault.Of(err).Limit(); limit != "" {
			metrics.Add(ctx, metrics.Refusals, limit, 1)
		}
	}
}

// outcomeOf returns the outcome of a request for metrics.Requests.
func outcomeOf(status int, err error) string {
	switch {
	case status < http.StatusBadRequest:
		return "ok"
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusTooManyRequests:
		return "refused"
	case status < http.StatusInternalServerError:
		return "rejected"
	case status == http.StatusInternalServerError:
		return "ours"
	case fault.Is(err, fault.Overloaded):
		return "overloaded"
	}
	return "carrier"
}

// routeGroup returns the group of a route for metrics. Links are all routes that change
// or verify a connection: most of them ask the carrier.
func routeGroup(method, resource string) string {
	switch {
	case strings.Contains(resource, "/api_keys"):
		return "keys"
	case strings.HasPrefix(resource, "/v1/partners/"):
		return "accounts"
	case strings.HasSuffix(resource, "/account"):
		return "charge_accounts"
	case resource == "/v1/tracking":
		return "tracking"
	case !strings.HasPrefix(resource, "/v1/c"):
		return metrics.Other
	case method == http.MethodGet, method == http.MethodHead:
		return "connections"
	}
	return "links"
}
