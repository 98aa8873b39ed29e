// Get-carrier-account is GET /v1/carriers/{carrier_id}/account: the carrier's
// contract data of a connection, stored or asked for now.
package main

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/shared/auspost"
	"carrierlink/shared/auspost/simulator"
	"carrierlink/shared/auth"
	"carrierlink/shared/boot"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/linking"
	"carrierlink/shared/store"
	"carrierlink/shared/vault"
)

func main() { boot.Main(wire) }

func wire(env *boot.Env) any {
	cfg := env.AWS()
	table := store.New(dynamodb.NewFromConfig(cfg), env.Text("TABLE_NAME"), store.Options{})
	production, err := auspost.New(auspost.Options{BaseURL: env.Text("AUSPOST_BASE_URL")})
	env.Check("AUSPOST_BASE_URL", err)
	sandbox, err := auspost.New(auspost.Options{BaseURL: simulator.BaseURL, Transport: simulator.NewTransport()})
	env.Check("simulator", err)
	h := &handler{
		auth: &auth.Auth{
			Keys: table, Now: time.Now,
			Limits: auth.Limits{Production: env.Count("RATE_LIMIT_PER_MINUTE"), Sandbox: env.Count("SANDBOX_RATE_LIMIT_PER_MINUTE")},
		},
		accounts: table,
		checker: &linking.Linker{
			Store: table, Vault: vault.New(secretsmanager.NewFromConfig(cfg), env.Text("SECRET_PREFIX")),
			Production: production, Sandbox: sandbox, RefusalGap: env.Seconds("REFUSAL_GAP_SECONDS"), Now: time.Now, Random: rand.Reader,
		},
		now: time.Now,
	}
	api := &httpapi.API{
		ErrorSource: env.Optional("ERROR_SOURCE"),
		Routes:      []httpapi.Route{{Method: http.MethodGet, Resource: "/v1/carriers/{carrier_id}/account", Handler: h.get}},
	}
	return api.Serve
}
