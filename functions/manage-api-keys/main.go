// Manage-api-keys is what a partner does with the API keys of an account:
// create, list, rotate, delete.
package main

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/shared/app"
	"carrierlink/shared/auth"
	"carrierlink/shared/connection"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/seal"
	"carrierlink/shared/store"
	"carrierlink/shared/vault"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any {
	_, api, _ := build(env)
	return api.Serve
}

func build(env *app.Env) (*handler, *httpapi.API, *vault.ServiceSecret) {
	cfg := env.AWS()
	table := store.New(dynamodb.NewFromConfig(cfg), env.Text("TABLE_NAME"), store.Options{})
	table.Caps = connection.Caps{Keys: env.Count("MAX_KEYS_PER_ACCOUNT")}
	secret := vault.NewServiceSecret(secretsmanager.NewFromConfig(cfg), env.Text("SERVICE_SECRET_ID"))
	h := &handler{
		auth: auth.New(table, env),
		keys: table, sealer: seal.New(secret.Read), now: time.Now, random: rand.Reader,
	}
	api := &httpapi.API{ErrorSource: env.Optional("ERROR_SOURCE"), Routes: h.routes()}
	return h, api, secret
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
