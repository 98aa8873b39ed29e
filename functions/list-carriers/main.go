// List-carriers is the read side of a merchant's carriers: which there are to
// link and what they ask for, how they are doing, the connections that are
// linked, and the checks of each.
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
	h := &handler{auth: parts.Auth(), connections: parts.Table(), checks: parts.Table(), contracts: parts.Contracts(), sealer: parts.Sealer(), now: time.Now}
	return h, parts.APIWithLinks(h.routes()...), parts.ServiceSecret()
}

func (h *handler) routes() []httpapi.Route {
	// The gateway says which resource it is: status is no carrier_id.
	return []httpapi.Route{
		{Method: http.MethodGet, Resource: "/v1/connections/carriers", Handler: h.forms},
		{Method: http.MethodGet, Resource: "/v1/carriers", Handler: h.list},
		{Method: http.MethodGet, Resource: "/v1/carriers/status", Handler: h.status},
		{Method: http.MethodGet, Resource: "/v1/carriers/{carrier_id}", Handler: h.get},
		{Method: http.MethodGet, Resource: "/v1/carriers/{carrier_id}/history", Handler: h.history},
	}
}
