// Refresh-carrier-account makes the checks that the messages of the refresh queues
// ask for. It has no route.
package main

import (
	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/queue/batch"
	"carrierlink/shared/schedule"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any { return build(env).Serve }

func build(env *app.Env) *batch.Handler {
	parts := construct.From(env)
	return &batch.Handler{Worker: &schedule.Worker{Checker: parts.Connections(), Breakers: parts.Table()}, Metrics: env.Metrics()}
}
