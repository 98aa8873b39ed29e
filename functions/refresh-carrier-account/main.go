// Refresh-carrier-account makes the checks that the messages of the refresh queues
// ask for. It has no route.
package main

import (
	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/schedule"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any { return build(env).work }

func build(env *app.Env) *handler {
	parts := construct.From(env)
	return &handler{worker: &schedule.Worker{Checker: parts.Connections(), Breakers: parts.Table()}, metrics: env.Metrics()}
}
