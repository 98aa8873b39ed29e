// Track-shipments serves GET /v1/tracking: it asks the carrier where shipments are, with
// the credentials that the merchant linked.
package main

import (
	"crypto/rand"
	"net/http"
	"time"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/carrier"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/tracking"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any {
	_, api := build(env)
	return api.Serve
}

func build(env *app.Env) (*handler, *httpapi.API) {
	parts := construct.From(env)
	production, sandbox := parts.TrackingCarriers()
	h := &handler{
		auth: parts.Auth(), accounts: parts.Table(), errorSource: env.Optional("ERROR_SOURCE"), now: time.Now,
		tracker: &tracking.Service{
			Connections: parts.Table(), Cache: parts.Table(), Vault: parts.Vault(),
			Carriers: carrier.PerEnvironment[tracking.Carrier]{Production: production, Sandbox: sandbox}, Now: time.Now, Random: rand.Reader,
		},
	}
	return h, parts.API(httpapi.Route{Method: http.MethodGet, Resource: "/v1/tracking", Handler: h.track})
}
