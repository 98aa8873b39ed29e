// Create-partner makes a partner and its first API key. It has no route: the
// operator invokes it, and IAM says who that may be.
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
