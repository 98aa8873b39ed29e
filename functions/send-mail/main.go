// Send-mail sends the mails that the queue of mails asks for: those of sign-in, and those
// about carriers, of which a rule of the event bus tells it. It has no route.
package main

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sesv2"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/vault"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any {
	h, _ := build(env)
	return h.run
}

func build(env *app.Env) (*handler, *vault.ServiceSecret) {
	parts := construct.From(env)
	return &handler{
		store: parts.Table(), sealer: parts.Sealer(), ses: sesv2.NewFromConfig(parts.AWS()), from: env.Text("MAIL_FROM"), url: env.OptionalURL("PUBLIC_URL"),
		now: time.Now, metrics: env.Metrics(),
	}, parts.ServiceSecret()
}
