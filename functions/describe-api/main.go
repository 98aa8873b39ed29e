// Describe-api answers GET /health and GET /v1/openapi.json, and everything that
// no route does: an unknown path, and a known one with another method.
package main

import (
	_ "embed"
	"net/http"

	"carrierlink/shared/boot"
	"carrierlink/shared/httpapi"
)

// contract is infra/openapi.yaml as JSON, made by `make generate`.
//
//go:generate go run -C ../../infra/tools ./openapijson ../openapi.yaml ../../functions/describe-api/openapi.json
//go:embed openapi.json
var contract []byte

func main() { boot.Main(wire) }

func wire(env *boot.Env) any {
	_, api := build(env)
	return api.Serve
}

func build(env *boot.Env) (*handler, *httpapi.API) {
	h := &handler{contract: contract}
	api := &httpapi.API{
		ErrorSource: env.Optional("ERROR_SOURCE"),
		Routes: []httpapi.Route{
			{Method: http.MethodGet, Resource: "/health", Handler: h.health},
			{Method: http.MethodGet, Resource: "/v1/openapi.json", Handler: h.openAPI},
		},
		Fallback: h.unknown,
	}
	return h, api
}
