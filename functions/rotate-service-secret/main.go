// Rotate-service-secret adds a key to the service secret. It has no route: operators
// invoke it, and IAM decides who may.
package main

import (
	"crypto/rand"
	"time"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any { return build(env).rotate }

func build(env *app.Env) *handler {
	return &handler{secret: construct.From(env).ReplacedSecret(), random: rand.Reader, now: time.Now}
}
