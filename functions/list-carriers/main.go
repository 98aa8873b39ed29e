// List-carriers is the read side of a merchant's carriers: which there are to
// link and what they ask for, how they are doing, the connections that are
// linked, and the checks of each.
package main

import (
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/shared/app"
	"carrierlink/shared/auth"
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
	secret := vault.NewServiceSecret(secretsmanager.NewFromConfig(cfg), env.Text("SERVICE_SECRET_ID"))
	h := &handler{auth: auth.New(table, env), connections: table, checks: table, sealer: seal.New(secret.Read), now: time.Now}
	api := &httpapi.API{ErrorSource: env.Optional("ERROR_SOURCE"), URL: env.OptionalURL("PUBLIC_URL"), Routes: h.routes()}
	return h, api, secret
}

func (h *handler) routes() []httpapi.Route {
	// The gateway says which resource it is: status is no carrier_id.
	return []httpapi.Route{
		{Method: http.MethodGet, Resource: "/v1/connections/carriers", Handler: h.forms},
		{Method: http.MethodGet, Resource: "/v1/carriers", Handler: h.list},
		{Method: http.MethodGet, Resource: "/v1/carriers/status", Handler: h.status},
		{Method: http.MethodGet, Resource: "/v1/carriers/{carrier_id}", Handler: h.get},
		{Method: http.MethodGet, Resource: "/v1/carriers/{carrier_id}/history", Handler: h.history},
	}
}
