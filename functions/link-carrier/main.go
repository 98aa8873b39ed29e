// Link-carrier is POST /v1/connections/carriers/{carrier_name}: it verifies a
// merchant's charge account with its carrier and keeps it as a connection.
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
	"carrierlink/shared/seal"
	"carrierlink/shared/store"
	"carrierlink/shared/vault"
)

func main() { boot.Main(wire) }

func wire(env *boot.Env) any {
	cfg := env.AWS()
	table := store.New(dynamodb.NewFromConfig(cfg), env.Text("TABLE_NAME"), store.Options{})
	secrets := secretsmanager.NewFromConfig(cfg)
	production, err := auspost.New(auspost.Options{BaseURL: env.Text("AUSPOST_BASE_URL")})
	env.Check("AUSPOST_BASE_URL", err)
	sandbox, err := auspost.New(auspost.Options{BaseURL: simulator.BaseURL, Transport: simulator.NewTransport()})
	env.Check("simulator", err)
	h := &handler{
		auth: &auth.Auth{
			Keys: table, Now: time.Now,
			Limits: auth.Limits{Production: env.Count("RATE_LIMIT_PER_MINUTE"), Sandbox: env.Count("SANDBOX_RATE_LIMIT_PER_MINUTE")},
		},
		accounts: table, claims: table,
		sealer: seal.New(vault.NewServiceSecret(secrets, env.Text("SERVICE_SECRET_ID")).Read),
		linker: &linking.Linker{
			Store: table, Vault: vault.New(secrets, env.Text("SECRET_PREFIX")), Production: production, Sandbox: sandbox,
			RefusalGap: env.Seconds("REFUSAL_GAP_SECONDS"), Now: time.Now, Random: rand.Reader,
		},
		now: time.Now,
	}
	api := &httpapi.API{
		ErrorSource: env.Optional("ERROR_SOURCE"),
		Routes:      []httpapi.Route{{Method: http.MethodPost, Resource: "/v1/connections/carriers/{carrier_name}", Handler: h.link}},
	}
	return api.Serve
}
