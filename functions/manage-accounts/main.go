// Manage-accounts is everything that a partner does with an account after it
// was made: read, list, change, enable, disable, delete, restore; and the
// countries that an account may be of.
package main

import (
	"net/http"
	"time"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/email"
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
	accounts := parts.Accounts()
	accounts.EmailKey, accounts.Connections = email.Key, parts.ConnectionsWithoutCarriers()
	h := &handler{auth: parts.Auth(), accounts: accounts, answers: parts.Table().Idempotency, sealer: parts.Sealer(), now: time.Now}
	return h, parts.APIWithLinks(h.routes()...), parts.ServiceSecret()
}

func (h *handler) routes() []httpapi.Route {
	const accounts, one = "/v1/partners/accounts", "/v1/partners/accounts/{account_id}"
	return []httpapi.Route{
		{Method: http.MethodGet, Resource: accounts, Handler: h.list},
		{Method: http.MethodGet, Resource: one, Handler: h.get},
		{Method: http.MethodGet, Resource: accounts + "/external_account_id/{external_account_id}", Handler: h.getByExternalID},
		{Method: http.MethodPatch, Resource: one, Handler: h.change},
		{Method: http.MethodPut, Resource: one + "/enable", Handler: h.enable},
		{Method: http.MethodPut, Resource: one + "/disable", Handler: h.disable},
		{Method: http.MethodDelete, Resource: one, Handler: h.remove},
		{Method: http.MethodPut, Resource: one + "/restore", Handler: h.restore},
		{Method: http.MethodGet, Resource: "/v1/partners/countries", Handler: h.countries},
	}
}
