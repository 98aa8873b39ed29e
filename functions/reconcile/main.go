// Reconcile finishes or undoes what crashes left unfinished in the table and the
// vault, reports API keys that expire soon, and seals webhooks again after a rotation of
// the service secret. It has no route: a rule starts it every quarter of an hour.
package main

import (
	"time"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/vault"
	"carrierlink/shared/webhook"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any {
	h, _ := build(env)
	return h.run
}

func build(env *app.Env) (*handler, *vault.ServiceSecret) {
	parts := construct.From(env)
	h := &handler{
		connections: parts.ConnectionsWithoutCarriers(), keys: parts.Accounts(), webhooks: &webhook.Service{Store: parts.Table(), Now: time.Now},
		sealer: parts.Sealer(), metrics: env.Metrics(),
	}
	return h, parts.ServiceSecret()
}
