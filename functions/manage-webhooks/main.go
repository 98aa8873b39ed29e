// Manage-webhooks serves the webhooks of partners and accounts: create, change, test and
// delete them, rotate their secrets, and what was delivered to them.
package main

import (
	"crypto/rand"
	"net/http"
	"time"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/outbound"
	"carrierlink/shared/vault"
	"carrierlink/shared/webhook"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any {
	_, api, _ := build(env)
	return api.Serve
}

func build(env *app.Env) (*handler, *httpapi.API, *vault.ServiceSecret) {
	parts := construct.From(env)
	table, sealer := parts.Table(), parts.Sealer()
	h := &handler{
		auth: parts.Auth(), accounts: table, claims: table, answers: table.Idempotency, sealer: sealer, now: time.Now,
		urls:     outbound.Checker{Rules: outbound.Rules{AllowLoopback: parts.AllowLoopback()}},
		webhooks: &webhook.Service{Store: table, Sealer: sealer, Log: table, Now: time.Now, Random: rand.Reader},
	}
	return h, parts.APIWithLinks(h.routes()...), parts.ServiceSecret()
}

const listPath = "/v1/environment/webhooks"

func (h *handler) routes() []httpapi.Route {
	const one, deliveries = listPath + "/{webhook_id}", listPath + "/{webhook_id}/deliveries"
	return []httpapi.Route{
		{Method: http.MethodPost, Resource: listPath, Handler: h.create},
		{Method: http.MethodGet, Resource: listPath, Handler: h.list},
		{Method: http.MethodGet, Resource: one, Handler: h.get},
		{Method: http.MethodPut, Resource: one, Handler: h.change},
		{Method: http.MethodDelete, Resource: one, Handler: h.remove},
		{Method: http.MethodPost, Resource: one + "/test", Handler: h.test},
		{Method: http.MethodPost, Resource: one + "/rotate_secret", Handler: h.rotate},
		{Method: http.MethodPost, Resource: one + "/replay", Handler: h.replaySpan},
		{Method: http.MethodGet, Resource: deliveries, Handler: h.deliveries},
		{Method: http.MethodGet, Resource: deliveries + "/{delivery_id}", Handler: h.delivery},
		{Method: http.MethodPost, Resource: deliveries + "/{delivery_id}/replay", Handler: h.replay},
	}
}
