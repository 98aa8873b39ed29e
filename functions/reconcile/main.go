// Reconcile finishes or undoes what crashes left unfinished in the table and the
// vault, and reports API keys that expire soon. It has no route: a rule starts it every
// quarter of an hour.
package main

import (
	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any { return build(env).run }

func build(env *app.Env) *handler {
	parts := construct.From(env)
	return &handler{connections: parts.ConnectionsWithoutCarriers(), keys: parts.Accounts(), metrics: env.Metrics()}
}
