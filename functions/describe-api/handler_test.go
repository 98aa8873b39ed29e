package main

import (
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/httpapi"
)

func newAPI(contract string) *httpapi.API {
	h := &handler{contract: []byte(contract)}
	return &httpapi.API{
		Log: slog.New(slog.DiscardHandler), Fallback: h.unknown,
		Routes: []httpapi.Route{
			{Method: http.MethodGet, Resource: "/health", Handler: h.health}, {Method: http.MethodGet, Resource: "/v1/openapi.json", Handler: h.openAPI},
		},
	}
}

// ask calls as API Gateway does: a route's resource is its path, all else comes
// by the catch-all.
func ask(t *testing.T, api *httpapi.API, method, path string) events.APIGatewayProxyResponse {
	t.Helper()
	e := events.APIGatewayProxyRequest{HTTPMethod: method, Path: path, Resource: "/{proxy+}"}
	if method == http.MethodGet && (path == "/health" || path == "/v1/openapi.json") {
		e.Resource = path
	}
	resp, err := api.Serve(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

const small = `{"paths":{
	"/health":{"get":{},"summary":"s","parameters":[]},
	"/v1/things":{"post":{},"get":{}},
	"/v1/things/{id}":{"get":{},"patch":{},"delete":{}},
	"/v1/things/mine":{"put":{}},
	"/v1/things/{id}/parts":{"get":{}}}}`

func TestUnknown(t *testing.T) {
	tests := []struct {
		name, method, path string
		status             int
		allow              string
	}{
		{"no such path", "GET", "/v1/thing", 404, ""},
		{"the root", "GET", "/", 404, ""},
		{"nothing", "GET", "", 404, ""},
		{"a part of a path", "GET", "/v1", 404, ""},
		{"more than a path", "GET", "/v1/things/1/parts/2", 404, ""},
		{"an empty parameter", "PUT", "/v1/things//parts", 404, ""},
		{"a trailing slash", "PUT", "/v1/things/", 404, ""},
		{"a trailing slash, with the route's own method", "POST", "/v1/things/", 404, ""},
		{"a trailing slash behind a parameter", "POST", "/v1/things/1/", 404, ""},
		{"two slashes in front", "PUT", "//v1/things", 404, ""},
		{"another case", "PUT", "/V1/Things", 404, ""},
		{"a path with the method that reached us all the same", "GET", "/v1/things/1/parts", 404, ""},
		{"another method", "PUT", "/v1/things", 405, "GET, POST"},
		{"another method of a parameter's path", "POST", "/v1/things/1", 405, "GET, PATCH, DELETE"},
		{"a literal comes before a parameter", "GET", "/v1/things/mine", 405, "PUT"},
		{"an encoded slash is one segment", "PUT", "/v1/things/a%2Fb", 405, "GET, PATCH, DELETE"},
		{"a method in small letters", "put", "/v1/things", 405, "GET, POST"},
		{"OPTIONS", "OPTIONS", "/v1/things", 405, "GET, POST"},
		{"a method that is none", "BREW", "/health", 405, "GET"},
		{"HEAD", "HEAD", "/health", 405, "GET"},
		{"HEAD of nothing", "HEAD", "/v1/thing", 404, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			for range 5 { // maps have no order
				resp := ask(t, newAPI(small), tc.method, tc.path)
				if resp.StatusCode != tc.status || resp.Headers["Allow"] != tc.allow {
					t.Fatalf("%s %s = %d, Allow %q, want %d, %q", tc.method, tc.path, resp.StatusCode, resp.Headers["Allow"], tc.status, tc.allow)
				}
				if (resp.Body == "") != (tc.method == http.MethodHead) || resp.Body != "" && !strings.Contains(resp.Body, resp.Headers["X-Request-Id"]) {
					t.Fatalf("%s %s: body %q", tc.method, tc.path, resp.Body)
				}
			}
		})
	}
}

func TestBrokenContract(t *testing.T) {
	api := newAPI(`{"paths":`)
	for range 2 {
		if resp := ask(t, api, "GET", "/v1/thing"); resp.StatusCode != http.StatusInternalServerError {
			t.Errorf("%d %s, want 500", resp.StatusCode, resp.Body)
		}
	}
}

func TestHealth(t *testing.T) {
	resp := ask(t, newAPI(small), "GET", "/health")
	if resp.StatusCode != http.StatusOK || resp.Body != `{"status":"ok"}` || resp.Headers["Cache-Control"] != "no-store" {
		t.Errorf("%d %s %v", resp.StatusCode, resp.Body, resp.Headers)
	}
}

// TestTheContract asks for every path of the embedded document with every
// method: what the document has is not for the fallback, all else is 405 with
// what it has.
func TestTheContract(t *testing.T) {
	var doc struct {
		OpenAPI string                                `json:"openapi"`
		Paths   map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(contract, &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || len(doc.Paths) < 5 {
		t.Fatalf("OpenAPI %q with %d paths: `make generate` writes it", doc.OpenAPI, len(doc.Paths))
	}
	api := newAPI(string(contract))
	resp := ask(t, api, "GET", "/v1/openapi.json")
	if resp.StatusCode != http.StatusOK || resp.Body != string(contract) || resp.Headers["Content-Type"] != "application/json" {
		t.Errorf("the contract is answered with %d, %d bytes, %v", resp.StatusCode, len(resp.Body), resp.Headers)
	}
	methods := []string{"get", "post", "put", "patch", "delete"}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		var has []string
		for _, m := range methods {
			if _, ok := doc.Paths[path][m]; ok {
				has = append(has, strings.ToUpper(m))
			}
		}
		concrete := strings.NewReplacer("{carrier_id}", "se-1", "{carrier_name}", "startrack", "{account_id}", "1").Replace(path)
		for _, m := range methods {
			if m = strings.ToUpper(m); slices.Contains(has, m) {
				continue
			}
			resp := ask(t, api, m, concrete)
			if diff := cmp.Diff(strings.Join(has, ", "), resp.Headers["Allow"]); diff != "" || resp.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("%s %s = %d, Allow (-want +got):\n%s", m, concrete, resp.StatusCode, diff)
			}
		}
		if resp := ask(t, api, "TRACE", concrete+"/"); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s/ = %d, want 404", concrete, resp.StatusCode)
		}
	}
}
