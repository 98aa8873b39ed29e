// List-carriers serves the read routes of a merchant's carriers: which carriers can be
// linked and with which fields, the health of the carriers, the linked connections, and
// the checks of each.
package main

import (
	"net/http"
	"time"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/vault"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any {
	_, api, _ := build(env)
	return api.Serve
}

func build(env *app.Env) (*handler, *httpapi.API, *vault.ServiceSecret) {
	parts := construct.From(env)
	h := &handler{auth: parts.Auth(), store: parts.Table(), contracts: parts.Contracts(), sealer: parts.Sealer(), now: time.Now}
	return h, parts.APIWithLinks(h.routes()...), parts.ServiceSecret()
}

func (h *handler) routes() []httpapi.Route {
	// API Gateway has chosen the resource: "status" does not reach {carrier_id}.
	return []httpapi.Route{
		{Method: http.MethodGet, Resource: "/v1/connections/carriers", Handler: h.forms},
		{Method: http.MethodGet, Resource: "/v1/carriers", Handler: h.list},
		{Method: http.MethodGet, Resource: "/v1/carriers/status", Handler: h.status},
		{Method: http.MethodGet, Resource: "/v1/carriers/{carrier_id}", Handler: h.get},
		{Method: http.MethodGet, Resource: "/v1/carriers/{carrier_id}/history", Handler: h.history},
	}
}
