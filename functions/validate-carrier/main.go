// Validate-carrier is POST /v1/connections/carriers/{carrier_name}/validate: it checks a
// charge account with its carrier and stores nothing.
package main

import (
	"net/http"
	"time"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/connection"
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
		auth: parts.Auth(), accounts: parts.Table(),
		connections: &connection.Service{
			Store: parts.Table(), Carriers: connection.Carriers{Production: production, Sandbox: sandbox}, LinksPerMinute: env.Count("LINKS_PER_MINUTE"), Now: time.Now,
		},
		now: time.Now,
	}
	return h, parts.API(httpapi.Route{Method: http.MethodPost, Resource: "/v1/connections/carriers/{carrier_name}/validate", Handler: h.validate})
}
