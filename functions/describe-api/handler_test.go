package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/app"
)

func ask(t *testing.T, method, resource, path string) events.APIGatewayProxyResponse {
	t.Helper()
	resp, err := build(app.NewEnv(func(string) string { return "" })).Serve(t.Context(), events.APIGatewayProxyRequest{HTTPMethod: method, Path: path, Resource: resource})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// TestUnknown: every request to the catch-all route is answered 404. Emulators also send it
// known paths with methods that those lack.
func TestUnknown(t *testing.T) {
	for _, path := range []string{"", "/", "/v1", "/healthz", "/health/", "/HEALTH", "/v1/partners/accounts/1/x", "/v1/a%2Fb", "/v1/%zz", "//", "/health", "/v1/partners/accounts"} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "BREW"} {
			resp := ask(t, method, "/{proxy+}", path)
			if resp.StatusCode != http.StatusNotFound || resp.Headers["Allow"] != "" {
				t.Errorf("%s %s = %d %v, want 404 without Allow", method, path, resp.StatusCode, resp.Headers)
			}
			if (resp.Body == "") != (method == http.MethodHead) || resp.Body != "" && !strings.Contains(resp.Body, "not_found") {
				t.Errorf("%s %s: body %q", method, path, resp.Body)
			}
		}
	}
}

func TestHealth(t *testing.T) {
	resp := ask(t, "GET", "/health", "/health")
	if resp.StatusCode != http.StatusOK || resp.Body != `{"status":"ok"}` || resp.Headers["Cache-Control"] != "no-store" {
		t.Errorf("%d %s %v", resp.StatusCode, resp.Body, resp.Headers)
	}
}

func TestContract(t *testing.T) {
	var doc struct {
		OpenAPI string                     `json:"openapi"`
		Paths   map[string]json.RawMessage `json:"paths"`
	}
	resp := ask(t, "GET", "/v1/openapi.json", "/v1/openapi.json")
	if err := json.Unmarshal([]byte(resp.Body), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || len(doc.Paths) < 5 {
		t.Errorf("OpenAPI %q with %d paths; run `make generate`", doc.OpenAPI, len(doc.Paths))
	}
	if resp.StatusCode != http.StatusOK || resp.Headers["Content-Type"] != "application/json" {
		t.Errorf("%d %v", resp.StatusCode, resp.Headers)
	}
}

// TestHead: uptime monitors send HEAD.
func TestHead(t *testing.T) {
	for _, path := range []string{"/health", "/v1/openapi.json"} {
		get, head := ask(t, "GET", path, path), ask(t, "HEAD", path, path)
		if head.StatusCode != http.StatusOK || head.Body != "" {
			t.Errorf("HEAD %s = %d with %d bytes", path, head.StatusCode, len(head.Body))
		}
		delete(get.Headers, "X-Request-Id")
		delete(head.Headers, "X-Request-Id")
		if diff := cmp.Diff(get.Headers, head.Headers); diff != "" {
			t.Errorf("%s: headers of GET (-) and HEAD (+):\n%s", path, diff)
		}
	}
}
