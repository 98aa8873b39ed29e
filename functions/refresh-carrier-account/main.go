// Refresh-carrier-account makes the checks that the messages of the refresh
// queue ask for. It has no route.
package main

import (
	"carrierlink/shared/boot"
	"carrierlink/shared/schedule"
	"carrierlink/shared/wiring"
)

func main() { boot.Main(wire) }

func wire(env *boot.Env) any { return build(env).work }

func build(env *boot.Env) *handler {
	parts := wiring.Linking(env)
	return &handler{worker: &schedule.Worker{Checker: parts.Linker, Breakers: parts.Table, Metrics: env.Metrics()}}
}
