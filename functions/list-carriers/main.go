// List-carriers is the read side of a merchant's carriers: which there are to
// link and what they ask for, and the connections that are linked.
package main

import (
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/auth"
	"carrierlink/shared/boot"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
)

func main() { boot.Main(wire) }

func wire(env *boot.Env) any {
	table := store.New(dynamodb.NewFromConfig(env.AWS()), env.Text("TABLE_NAME"), store.Options{})
	h := &handler{
		auth: auth.New(table, env),
		connections: table, now: time.Now,
	}
	api := &httpapi.API{ErrorSource: env.Optional("ERROR_SOURCE"), Routes: h.routes()}
	return api.Serve
}

func (h *handler) routes() []httpapi.Route {
	return []httpapi.Route{
		{Method: http.MethodGet, Resource: "/v1/connections/carriers", Handler: h.forms},
		{Method: http.MethodGet, Resource: "/v1/carriers", Handler: h.list},
		{Method: http.MethodGet, Resource: "/v1/carriers/{carrier_id}", Handler: h.get},
	}
}
