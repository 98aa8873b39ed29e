// Track-shipments is GET /v1/tracking: where shipments are, asked of the carrier
// in the merchant's name with the linked credentials.
package main

import (
	"net/http"
	"time"

	"carrierlink/shared/auth"
	"carrierlink/shared/boot"
	"carrierlink/shared/carrier"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/wiring"
)

func main() { boot.Main(wire) }

func wire(env *boot.Env) any {
	_, api := build(env)
	return api.Serve
}

func build(env *boot.Env) (*handler, *httpapi.API) {
	parts := wiring.Keeping(env)
	production, sandbox := wiring.Carriers(env)
	h := &handler{
		auth: auth.New(parts.Table, env), connections: parts.Table, cache: parts.Table, secrets: parts.Linker.Vault,
		carriers: carrier.PerEnvironment[tracker]{Production: production, Sandbox: sandbox}, errorSource: env.Optional("ERROR_SOURCE"), now: time.Now,
	}
	api := &httpapi.API{
		ErrorSource: h.errorSource,
		Routes:      []httpapi.Route{{Method: http.MethodGet, Resource: "/v1/tracking", Handler: h.track}},
	}
	return h, api
}
