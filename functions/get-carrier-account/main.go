// Get-carrier-account is GET /v1/carriers/{carrier_id}/account: the carrier's
// contract data of a connection, stored or asked for now.
package main

import (
	"net/http"
	"time"

	"carrierlink/shared/auth"
	"carrierlink/shared/boot"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/wiring"
)

func main() { boot.Main(wire) }

func wire(env *boot.Env) any {
	_, api := build(env)
	return api.Serve
}

func build(env *boot.Env) (*handler, *httpapi.API) {
	parts := wiring.Linking(env)
	parts.Linker.CallsPerMinute = env.Count("CARRIER_CALLS_PER_MINUTE")
	h := &handler{auth: auth.New(parts.Table, env), accounts: parts.Table, checker: parts.Linker, now: time.Now}
	api := &httpapi.API{
		ErrorSource: env.Optional("ERROR_SOURCE"),
		Routes:      []httpapi.Route{{Method: http.MethodGet, Resource: "/v1/carriers/{carrier_id}/account", Handler: h.get}},
	}
	return h, api
}
