// Create-account is POST /v1/partners/accounts: a partner makes an account for
// one of its merchants, with the account's first API key.
package main

import (
	"crypto/rand"
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
	h := &handler{
		auth:     auth.New(table, env),
		accounts: table, sealer: seal.New(secret.Read), now: time.Now, random: rand.Reader,
	}
	api := &httpapi.API{
		ErrorSource: env.Optional("ERROR_SOURCE"),
		Routes:      []httpapi.Route{{Method: http.MethodPost, Resource: "/v1/partners/accounts", Handler: h.create}},
	}
	return h, api, secret
}
