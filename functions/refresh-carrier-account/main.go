// Refresh-carrier-account makes the checks that the messages of the refresh
// queue ask for. It has no route.
package main

import (
	"carrierlink/shared/boot"
	"carrierlink/shared/refresh"
	"carrierlink/shared/wiring"
)

func main() { boot.Main(wire) }

func wire(env *boot.Env) any {
	parts := wiring.Linking(env)
	h := &handler{worker: &refresh.Worker{Checker: parts.Linker, Breakers: parts.Table}}
	return h.work
}
