// Operate-partner runs the operator's commands: it lists, disables and enables partners,
// and lists, adds, rotates and deletes their API keys. It has no route: operators invoke
// it, and IAM decides who may.
package main

import (
	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any { return build(env).run }

func build(env *app.Env) *handler {
	return &handler{construct.From(env).Accounts()}
}
