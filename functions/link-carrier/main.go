// Link-carrier is POST /v1/connections/carriers/{carrier_name}: it verifies a
// merchant's charge account with its carrier and keeps it as a connection.
package main

import (
	"net/http"
	"time"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/auth"
	"carrierlink/shared/connection"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/seal"
	"carrierlink/shared/vault"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any {
	_, api, _ := build(env)
	return api.Serve
}

func build(env *app.Env) (*handler, *httpapi.API, *vault.ServiceSecret) {
	parts := construct.Connections(env)
	parts.Table.Caps = connection.Caps{
		Connections: env.Count("MAX_CONNECTIONS_PER_ACCOUNT"), Duplicates: env.Count("MAX_DUPLICATES_PER_NUMBER"), LinksPerDay: env.Count("MAX_LINKS_PER_DAY"),
	}
	parts.Connections.LinksPerMinute = env.Count("LINKS_PER_MINUTE")
	secret := vault.NewServiceSecret(parts.Secrets, env.Text("SERVICE_SECRET_ID"))
	h := &handler{
		auth: auth.New(parts.Table, env), accounts: parts.Table, claims: parts.Table,
		sealer: seal.New(secret.Read), linker: parts.Connections, now: time.Now,
	}
	api := &httpapi.API{
		ErrorSource: env.Optional("ERROR_SOURCE"),
		Routes:      []httpapi.Route{{Method: http.MethodPost, Resource: "/v1/connections/carriers/{carrier_name}", Handler: h.link}},
	}
	return h, api, secret
}
