// Reconcile finishes or undoes what crashes left between the table and the
// vault. It has no route: its rule starts it every quarter of an hour.
package main

import (
	"carrierlink/shared/boot"
	"carrierlink/shared/wiring"
)

func main() { boot.Main(wire) }

func wire(env *boot.Env) any { return build(env).run }

func build(env *boot.Env) *handler {
	return &handler{linker: wiring.Keeping(env).Linker, metrics: env.Metrics()}
}
