// Manage-parcels registers parcels that the schedule looks at, stops them and lists them.
package main

import (
	"net/http"
	"time"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/health"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/parcel"
	"carrierlink/shared/vault"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any {
	_, api, _ := build(env)
	return api.Serve
}

func build(env *app.Env) (*handler, *httpapi.API, *vault.ServiceSecret) {
	parts := construct.From(env)
	h := &handler{
		auth: parts.Auth(), store: parts.Table(), sealer: parts.Sealer(), errorSource: env.Optional("ERROR_SOURCE"), now: time.Now,
		parcels: &parcel.Service{
			Store: parts.Table(), Timing: health.Timing{Speed: env.Count("SCHEDULE_SPEED")}, Limit: env.Count("MAX_PARCELS_PER_ACCOUNT"), Now: time.Now,
		},
	}
	return h, parts.APIWithLinks(h.routes()...), parts.ServiceSecret()
}

func (h *handler) routes() []httpapi.Route {
	return []httpapi.Route{
		{Method: http.MethodPost, Resource: "/v1/tracking/start", Handler: h.start},
		{Method: http.MethodPost, Resource: "/v1/tracking/stop", Handler: h.stop},
		{Method: http.MethodGet, Resource: "/v1/shipments", Handler: h.list},
		{Method: http.MethodPost, Resource: "/v1/shipments", Handler: h.startMany},
	}
}
