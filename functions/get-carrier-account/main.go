// Get-carrier-account is GET /v1/carriers/{carrier_id}/account: the carrier's
// contract data of a connection, stored or asked for now.
package main

import (
	"net/http"
	"time"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/auth"
	"carrierlink/shared/httpapi"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any {
	_, api := build(env)
	return api.Serve
}

func build(env *app.Env) (*handler, *httpapi.API) {
	parts := construct.Connections(env)
	parts.Connections.CallsPerMinute = env.Count("CARRIER_CALLS_PER_MINUTE")
	h := &handler{auth: auth.New(parts.Table, env), accounts: parts.Table, checker: parts.Connections, now: time.Now}
	api := &httpapi.API{
		ErrorSource: env.Optional("ERROR_SOURCE"),
		Routes:      []httpapi.Route{{Method: http.MethodGet, Resource: "/v1/carriers/{carrier_id}/account", Handler: h.get}},
	}
	return h, api
}
