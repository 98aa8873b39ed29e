// List-events serves what has happened to accounts, their keys and their connections: the
// list of events, one event, and the audit log, which also says who did it.
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
	h := &handler{auth: parts.Auth(), store: parts.Table(), sealer: parts.Sealer(), now: time.Now}
	return h, parts.APIWithLinks(h.routes()...), parts.ServiceSecret()
}

func (h *handler) routes() []httpapi.Route {
	return []httpapi.Route{
		{Method: http.MethodGet, Resource: "/v1/events", Handler: h.events},
		{Method: http.MethodGet, Resource: "/v1/events/{event_id}", Handler: h.event},
		{Method: http.MethodGet, Resource: "/v1/audit_log", Handler: h.auditLog},
	}
}
