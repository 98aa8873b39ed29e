// Manage-connections changes, rolls back, verifies, refreshes and unlinks connections.
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
	table.Caps = connection.Caps{Duplicates: env.Count("MAX_DUPLICATES_PER_NUMBER"), LinksPerDay: env.Count("MAX_LINKS_PER_DAY")}
	connections.CallsPerMinute = env.Count("CARRIER_CALLS_PER_MINUTE")
	h := &handler{auth: parts.Auth(), accounts: table, claims: table, sealer: parts.Sealer(), connections: connections, now: time.Now}
	return h, parts.API(h.routes()...), parts.ServiceSecret()
}

func (h *handler) routes() []httpapi.Route {
	const named, byID = "/v1/connections/carriers/{carrier_name}/{carrier_id}", "/v1/carriers/{carrier_id}"
	return []httpapi.Route{
		{Method: http.MethodPut, Resource: named, Handler: h.change},
		{Method: http.MethodPost, Resource: named + "/rollback", Handler: h.run(h.rollback, http.StatusOK)},
		{Method: http.MethodPost, Resource: named + "/verify", Handler: h.verify},
		{Method: http.MethodDelete, Resource: named, Handler: h.unlink},
		{Method: http.MethodDelete, Resource: byID, Handler: h.unlink},
		{Method: http.MethodPost, Resource: byID + "/refresh", Handler: h.run(h.requestRefresh, http.StatusAccepted)},
	}
}
