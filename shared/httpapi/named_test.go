package httpapi_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"carrierlink/shared/connection"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/invocation"
)

// TestNamesOfCallersReachNoLog: callers choose the names of members, metadata keys and
// query parameters, and values in path and headers, so any of them may be a secret in the
// wrong place. The answer may quote the names; the log never does.
func TestNamesOfCallersReachNoLog(t *testing.T) {
	long := strings.Repeat("x", 501)
	for name, tc := range map[string]struct {
		body string
		told string // part of the answer
	}{
		"an unknown member":              {`{"name-canary":1}`, "name-canary"},
		"many":                           {`{"canary1":1,"canary2":2,"canary3":3}`, "canary3"},
		"an unknown member, twice":       {`{"canary":1,"canary":2}`, "canary"},
		"metadata that is no text":       {`{"metadata":{"key-canary":1}}`, "metadata.key-canary"},
		"half a surrogate pair":          {`{"metadata":{"key-canary":"\ud800"}}`, ""},
		"metadata twice":                 {`{"metadata":{"key-canary":"a","key-canary":"b"}}`, "metadata.key-canary"},
		"a long value":                   {`{"metadata":{"key-canary":"` + long + `"}}`, "metadata.key-canary"},
		"a value with a control":         {`{"metadata":{"key-canary":"\u0007"}}`, "metadata.key-canary"},
		"a long key":                     {`{"metadata":{"` + strings.Repeat("canary", 20) + `":"v"}}`, ""},
		"a key with a control":           {`{"metadata":{"canary\u0007":"v"}}`, ""},
		"a broken name":                  {`{"canary\ud800":1}`, ""},
		"no JSON":                        {`{"canary":`, ""},
		"canary behind the object":       {`{} canary`, ""},
		"a bad value of a known member":  {`{"nickname":"canary\u0007"}`, "nickname"},
		"a known member of a wrong type": {`{"nickname":{"canary":1}}`, "nickname"},
		"a known member, twice":          {`{"nickname":"canary","nickname":"canary"}`, "nickname"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			api := &httpapi.API{Log: invocation.NewLogger(&log, slog.LevelInfo), Routes: []httpapi.Route{{
				Method: http.MethodPost, Resource: "/v1/things/{id}",
				Handler: func(_ context.Context, req *httpapi.Request) (*httpapi.Response, error) {
					var nickname string
					var metadata map[string]string
					return nil, req.JSON(httpapi.String("nickname", &nickname, connection.NicknameRule.Clean), httpapi.Metadata("metadata", &metadata))
				},
			}}}
			resp, err := api.Serve(t.Context(), events.APIGatewayProxyRequest{
				HTTPMethod: http.MethodPost, Resource: "/v1/things/{id}", Path: "/v1/things/canary", PathParameters: map[string]string{"id": "canary"}, Body: tc.body,
				Headers:                         map[string]string{"Content-Type": "application/json", "X-Canary": "canary", "Idempotency-Key": "canary", "On-Behalf-Of": "canary"},
				MultiValueQueryStringParameters: map[string][]string{"canary": {"canary"}},
			})
			if err != nil || resp.StatusCode != http.StatusBadRequest {
				t.Fatalf("Serve = %d %s, %v, want 400", resp.StatusCode, resp.Body, err)
			}
			if !strings.Contains(resp.Body, tc.told) {
				t.Errorf("the answer lacks %q: %s", tc.told, resp.Body)
			}
			if !strings.Contains(log.String(), `"error":"`) || strings.Contains(strings.ToLower(log.String()), "canary") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}
