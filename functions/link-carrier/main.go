// Link-carrier is POST /v1/connections/carriers/{carrier_name}: it verifies a merchant's
// charge account with its carrier and stores it as a connection.
package main

import (
	"net/http"
	"time"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/connection"
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
	table, connections := parts.Table(), parts.Connections()
	table.Caps = connection.Caps{
		Connections: env.Count("MAX_CONNECTIONS_PER_ACCOUNT"), Duplicates: env.Count("MAX_DUPLICATES_PER_NUMBER"), LinksPerDay: env.Count("MAX_LINKS_PER_DAY"),
	}
	connections.LinksPerMinute = env.Count("LINKS_PER_MINUTE")
	h := &handler{auth: parts.Auth(), accounts: table, claims: table, sealer: parts.Sealer(), connections: connections, now: time.Now}
	api := parts.API(httpapi.Route{Method: http.MethodPost, Resource: "/v1/connections/carriers/{carrier_name}", Handler: h.link})
	return h, api, parts.ServiceSecret()
}
