package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

// The contract and the template have the same routes, but those of pages.
func TestRoutesOfTemplateAndContract(t *testing.T) {
	t.Parallel()
	var contract []string
	for path, item := range api.doc.Paths.Map() {
		for method := range item.Operations() {
			contract = append(contract, method+" "+path)
		}
	}
	slices.Sort(contract)
	template, pages, catchAll := templateRoutes(t)
	if diff := cmp.Diff(contract, template); diff != "" {
		t.Errorf("routes of infra/openapi.yaml (-) and template.yaml (+):\n%s", diff)
	}
	every := func(paths, methods []string) (all []string) {
		for _, path := range paths {
			for _, method := range methods {
				all = append(all, method+" "+path)
			}
		}
		slices.Sort(all)
		return all
	}
	want := every([]string{"/", "/{proxy+}"}, []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
	if diff := cmp.Diff(want, catchAll); diff != "" {
		t.Errorf("catch-all of template.yaml (-want +got):\n%s", diff)
	}
	want = every([]string{"/portal", "/portal/{proxy+}", "/assets/{proxy+}"}, []string{"GET", "POST", "HEAD"})
	if diff := cmp.Diff(want, pages); diff != "" {
		t.Errorf("pages of template.yaml (-want +got):\n%s", diff)
	}
}

// Every answer of the contract documents the headers that all answers have.
func TestHeadersOfTheContract(t *testing.T) {
	t.Parallel()
	hold := func(where string, response *openapi3.ResponseRef) {
		for _, name := range []string{"X-Request-Id", "Cache-Control", "Api-Version", "X-Content-Type-Options", "Strict-Transport-Security"} {
			if response.Value.Headers[name] == nil {
				t.Errorf("%s: the contract has no header %s", where, name)
			}
		}
	}
	for name, response := range api.doc.Components.Responses {
		hold(name, response)
	}
	for path, item := range api.doc.Paths.Map() {
		for method, op := range item.Operations() {
			for status, response := range op.Responses.Map() {
				hold(method+" "+path+" "+status, response)
			}
		}
	}
}

func templateRoutes(t *testing.T) (routes, pages, catchAll []string) {
	t.Helper()
	var document struct {
		Resources map[string]struct {
			Properties struct {
				Events map[string]struct {
					Type       string `yaml:"Type"`
					Properties struct {
						Path   string `yaml:"Path"`
						Method string `yaml:"Method"`
					} `yaml:"Properties"`
				} `yaml:"Events"`
			} `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(rootFile(t, "template.yaml"), &document); err != nil {
		t.Fatal(err)
	}
	for _, resource := range document.Resources {
		for _, event := range resource.Properties.Events {
			route := event.Properties
			switch {
			case event.Type != "Api":
			case route.Path == "/" || route.Path == "/{proxy+}":
				catchAll = append(catchAll, route.Method+" "+route.Path)
			case strings.HasPrefix(route.Path, "/portal") || strings.HasPrefix(route.Path, "/assets/"):
				pages = append(pages, route.Method+" "+route.Path)
			default:
				routes = append(routes, route.Method+" "+route.Path)
			}
		}
	}
	slices.Sort(routes)
	slices.Sort(pages)
	slices.Sort(catchAll)
	return routes, pages, catchAll
}

func TestUnknownRoutes(t *testing.T) {
	t.Parallel()
	methods := []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"}
	for _, path := range []string{
		"/", "/v1", "/v2/partners/accounts", "/v1/partners", "/v1/partners/accounts/1/x", "/v1/partners/accounts/1/enabled", "/v1/partners/countries/AU",
		"/v1/partners/accounts/external_account_id/a/b", "/v1/connections", "/v1/connections/carriers/australia_post/se-1/x", "/v1/carriers/se-1/refresh/x", "/v1/tracking/x", "/v1/carriers/se-1/account/x", "/healthz", "/HEALTH",
		"/v1/%2e%2e/health", "/v1/partners%2Faccounts", "/live/health",
	} {
		for _, method := range methods {
			t.Run(method+" "+path, func(t *testing.T) {
				t.Parallel()
				// Without a key: a stranger only learns that the path does not exist.
				a := api.call(t, request{method: method, path: path})
				if method == http.MethodHead {
					a.expect(t, http.StatusNotFound)
					return
				}
				a.expect(t, http.StatusNotFound, notFound)
			})
		}
	}
}

// An extra slash makes another path, which does not exist; a gateway may drop the slash before it looks up the route.
func TestSlashes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ path, difference string }{
		{"/v1/partners/accounts/", "drops outer slashes"},
		{"//v1/partners/accounts", "drops outer slashes"},
		{"/v1//partners/accounts", "drops inner slashes"},
	} {
		t.Run("POST "+test.path, func(t *testing.T) {
			t.Parallel()
			if differs(test.difference) {
				api.call(t, request{method: http.MethodPost, path: test.path, as: accountsPath}).expect(t, http.StatusUnauthorized, unauthorized)
				return
			}
			api.call(t, request{method: http.MethodPost, path: test.path}).expect(t, http.StatusNotFound, notFound)
		})
	}
	t.Run("GET /v1//partners//companies", func(t *testing.T) {
		t.Parallel()
		api.call(t, request{method: http.MethodGet, path: "/v1//partners//companies"}).expect(t, http.StatusNotFound, notFound)
	})
}

// Another method on a known path is a 404, without a key. The emulators pass it to the catch-all.
func TestOtherMethods(t *testing.T) {
	t.Parallel()
	concrete := strings.NewReplacer("{carrier_name}", "dhl", "{carrier_id}", "se-1", "{", "", "}", "")
	for name, item := range api.doc.Paths.Map() {
		path := concrete.Replace(name)
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"} {
			if item.GetOperation(method) != nil {
				continue
			}
			t.Run(method+" "+path, func(t *testing.T) {
				t.Parallel()
				if as := wider(method, name, path); as != "" && differs("tries parameters") {
					api.call(t, request{method: method, path: path, as: concrete.Replace(as)}).expect(t, http.StatusUnauthorized, unauthorized)
					return
				}
				a := api.call(t, request{method: method, path: path})
				if method == http.MethodHead {
					a.expect(t, http.StatusNotFound)
					return
				}
				a.expect(t, http.StatusNotFound, notFound)
			})
		}
	}
}

// wider returns another path of the contract with the method that has a parameter in the place of a literal segment:
// /v1/carriers/{carrier_id} for /v1/carriers/status. Empty: none.
func wider(method, name, path string) string {
	for other, item := range api.doc.Paths.Map() {
		if _, ok := match(strings.Split(other, "/"), strings.Split(path, "/")); ok && other != name && item.GetOperation(method) != nil {
			return other
		}
	}
	return ""
}

// Uptime monitors use HEAD.
func TestHead(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/health", "/v1/openapi.json"} {
		get, head := api.call(t, request{method: http.MethodGet, path: path}), api.call(t, request{method: http.MethodHead, path: path})
		get.expect(t, http.StatusOK)
		head.expect(t, http.StatusOK)
		for _, a := range []answer{get, head} {
			for name := range a.header { // these differ in every answer
				if slices.Contains([]string{"X-Request-Id", "Date", "Content-Length"}, name) || strings.HasPrefix(name, "X-Am") {
					a.header.Del(name)
				}
			}
		}
		if diff := cmp.Diff(get.header, head.header); diff != "" {
			t.Errorf("%s: headers of GET (-) and HEAD (+):\n%s", path, diff)
		}
	}
}

func TestHealthAndContract(t *testing.T) {
	t.Parallel()
	health := api.call(t, request{method: http.MethodGet, path: "/health"})
	health.expect(t, http.StatusOK)
	if got := string(health.body); got != `{"status":"ok"}` {
		t.Errorf("health = %s", got)
	}
	contract := api.call(t, request{method: http.MethodGet, path: "/v1/openapi.json?x=y"})
	contract.expect(t, http.StatusOK)
	if doc := decode[struct{ OpenAPI string }](t, contract); !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("openapi = %q, want 3.1", doc.OpenAPI)
	}
}
