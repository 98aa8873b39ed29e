// Create-partner creates a partner and its first API key. It has no route: operators
// invoke it, and IAM decides who may.
package main

import (
	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any { return build(env).create }

func build(env *app.Env) *handler {
	return &handler{construct.From(env).Accounts()}
}
