// Manage-api-keys serves what a partner does with the API keys of an account: create, list,
// rotate and delete them.
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
	parts.Table().MaxKeys = env.Count("MAX_KEYS_PER_ACCOUNT")
	h := &handler{auth: parts.Auth(), accounts: parts.Accounts(), answers: parts.Table().Idempotency, sealer: parts.Sealer(), now: time.Now}
	return h, parts.API(h.routes()...), parts.ServiceSecret()
}

func (h *handler) routes() []httpapi.Route {
	const keys = "/v1/partners/accounts/{account_id}/api_keys"
	return []httpapi.Route{
		{Method: http.MethodPost, Resource: keys, Handler: h.create},
		{Method: http.MethodGet, Resource: keys, Handler: h.list},
		{Method: http.MethodPost, Resource: keys + "/{api_key_id}/rotate", Handler: h.rotate},
		{Method: http.MethodDelete, Resource: keys + "/{api_key_id}", Handler: h.remove},
	}
}
