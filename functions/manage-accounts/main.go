// Manage-accounts serves what a partner does with existing accounts: read, list, change,
// enable, disable, delete and restore them. It also lists the countries of accounts.
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
		{Method: http.MethodPut, Resource: one + "/enable", Handler: h.setState(h.accounts.Enable)},
		{Method: http.MethodPut, Resource: one + "/disable", Handler: h.setState(h.accounts.Disable)},
		{Method: http.MethodDelete, Resource: one, Handler: h.remove},
		{Method: http.MethodPut, Resource: one + "/restore", Handler: h.setState(h.accounts.Restore)},
		{Method: http.MethodGet, Resource: "/v1/partners/countries", Handler: h.countries},
	}
}
