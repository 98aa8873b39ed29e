// Get-carrier-account serves GET /v1/carriers/{carrier_id}/account: the carrier's contract
// data of a connection, stored or live.
package main

import (
	"net/http"
	"time"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/httpapi"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any {
	_, api := build(env)
	return api.Serve
}

func build(env *app.Env) (*handler, *httpapi.API) {
	parts := construct.From(env)
	connections := parts.Connections()
	connections.CallsPerMinute = env.Count("CARRIER_CALLS_PER_MINUTE")
	h := &handler{auth: parts.Auth(), accounts: parts.Table(), reader: connections, now: time.Now}
	return h, parts.API(httpapi.Route{Method: http.MethodGet, Resource: "/v1/carriers/{carrier_id}/account", Handler: h.get})
}
