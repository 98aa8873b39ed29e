// Describe-api serves GET and HEAD of /health and /v1/openapi.json, and answers 404 to every
// path that no other function serves.
package main

import (
	_ "embed"
	"net/http"

	"carrierlink/shared/app"
	"carrierlink/shared/httpapi"
)

// contract is infra/openapi.yaml as JSON, written by `make generate`.
//
//go:generate go run -C ../../infra/tools ./openapijson ../openapi.yaml ../../functions/describe-api/openapi.json
//go:embed openapi.json
var contract []byte

func main() { app.Main(wire) }

func wire(env *app.Env) any { return build(env).Serve }

func build(env *app.Env) *httpapi.API {
	return &httpapi.API{
		Metrics:     env.Metrics(),
		ErrorSource: env.Optional("ERROR_SOURCE"),
		Routes: []httpapi.Route{
			{Method: http.MethodGet, Resource: "/health", Handler: health},
			{Method: http.MethodGet, Resource: "/v1/openapi.json", Handler: openAPI},
		},
	}
}
