// Publish-events puts the events that the table's stream passes on onto the stack's event
// bus. It has no route.
package main

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/wait"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any { return build(env).publish }

func build(env *app.Env) *handler {
	parts := construct.From(env)
	return &handler{
		accounts: parts.Table(), bus: &bus{eventbridge.NewFromConfig(parts.AWS()), env.Text("EVENT_BUS_NAME")},
		url: env.OptionalURL("PUBLIC_URL"), now: time.Now, sleep: wait.For, metrics: env.Metrics(),
	}
}
