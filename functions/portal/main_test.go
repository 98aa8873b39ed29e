package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"carrierlink/shared/app"
	"carrierlink/shared/app/apptest"
)

func TestWire(t *testing.T) {
	apptest.Wire(t, build, "STAGE", "PUBLIC_URL: PublicURL", "TABLE_NAME", "SECRET_PREFIX", "SERVICE_SECRET_ID", "AUSPOST_BASE_URL",
		"MAX_CONNECTIONS_PER_ACCOUNT", "MAX_DUPLICATES_PER_NUMBER", "MAX_LINKS_PER_DAY", "LINKS_PER_MINUTE", "CARRIER_CALLS_PER_MINUTE",
		"REFUSAL_GAP_SECONDS", "LONE_REFUSAL_SECONDS", "SCHEDULE_SPEED", "MAIL_QUEUE_URL: Mailer.queue.url", "SECRET_REVEAL: reveals", "SESSION_IDLE_MINUTES", "SESSION_HOURS")
}

// TestSite: what needs no table: assets, colours, and the pages of errors.
func TestSite(t *testing.T) {
	h := &handler{now: time.Now}
	site := h.site("https://example.com", app.NewEnv(func(string) string { return "test" }))
	for _, tc := range []struct {
		method, path string
		status       int
		contentType  string
	}{
		{"GET", "/portal/none", 404, "text/html"},
		{"POST", "/portal/forgot/sent", 405, "text/html"},
		{"GET", "/assets/app.00000000.css", 404, "text/html"},
		{"GET", "/assets/accent/0b5ca.css", 404, "text/html"},
		{"GET", "/assets/accent/0B5CAD.css", 404, "text/html"},
		{"GET", "/assets/accent/0b5cad", 404, "text/html"},
		{"GET", "/assets/accent/x.css", 404, "text/html"},
		{"GET", "/assets/accent/0b5cad.css", 200, "text/css"},
		{"GET", "/assets/" + site.Assets[0].Name, 200, "text/css"},
	} {
		first, rest, _ := strings.Cut(tc.path[1:], "/")
		answer, err := site.Serve(t.Context(), events.APIGatewayProxyRequest{HTTPMethod: tc.method, Resource: "/" + first + "/{proxy+}", PathParameters: map[string]string{"proxy": rest}})
		if got := http.Header(answer.MultiValueHeaders).Get("Content-Type"); err != nil || answer.StatusCode != tc.status || !strings.HasPrefix(got, tc.contentType) || answer.Body == "" {
			t.Errorf("%s %s: %d %s, %v, want %d %s", tc.method, tc.path, answer.StatusCode, got, err, tc.status, tc.contentType)
		}
	}
}
