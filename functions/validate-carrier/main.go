// Validate-carrier is POST /v1/connections/carriers/{carrier_name}/validate: it
// tries a charge account out with its carrier, and keeps nothing.
package main

import (
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/auth"
	"carrierlink/shared/connection"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any {
	_, api := build(env)
	return api.Serve
}

func build(env *app.Env) (*handler, *httpapi.API) {
	table := store.New(dynamodb.NewFromConfig(env.AWS()), env.Text("TABLE_NAME"), store.Options{})
	production, sandbox := construct.Carriers(env)
	h := &handler{
		auth: auth.New(table, env), accounts: table,
		linker: &connection.Service{
			Store: table, Carriers: connection.Carriers{Production: production, Sandbox: sandbox}, LinksPerMinute: env.Count("LINKS_PER_MINUTE"), Now: time.Now,
		},
		now: time.Now,
	}
	api := &httpapi.API{
		ErrorSource: env.Optional("ERROR_SOURCE"),
		Routes:      []httpapi.Route{{Method: http.MethodPost, Resource: "/v1/connections/carriers/{carrier_name}/validate", Handler: h.validate}},
	}
	return h, api
}
