// Create-account serves POST /v1/partners/accounts: a partner creates an account for a
// merchant, with the account's first API key.
package main

import (
	"net/http"
	"time"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/email"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/password"
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
	accounts.EmailKey, accounts.HashPassword = email.Key, password.Hash
	h := &handler{auth: parts.Auth(), accounts: accounts, sealer: parts.Sealer(), now: time.Now}
	api := parts.API(httpapi.Route{Method: http.MethodPost, Resource: "/v1/partners/accounts", Handler: h.create})
	return h, api, parts.ServiceSecret()
}
