// Track-shipments is GET /v1/tracking: where shipments are, asked of the carrier
// in the merchant's name with the linked credentials.
package main

import (
	"net/http"
	"time"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/carrier"
	"carrierlink/shared/httpapi"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any {
	_, api := build(env)
	return api.Serve
}

func build(env *app.Env) (*handler, *httpapi.API) {
	parts := construct.From(env)
	production, sandbox := parts.Carriers()
	h := &handler{
		auth: parts.Auth(), connections: parts.Table(), cache: parts.Table(), secrets: parts.Vault(),
		carriers: carrier.PerEnvironment[tracker]{Production: production, Sandbox: sandbox}, errorSource: env.Optional("ERROR_SOURCE"), now: time.Now,
	}
	return h, parts.API(httpapi.Route{Method: http.MethodGet, Resource: "/v1/tracking", Handler: h.track})
}
