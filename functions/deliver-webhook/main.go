// Deliver-webhook sends to webhooks what is pending for them. The messages of the delivery
// queue say which have something. It has no route.
package main

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/outbound"
	"carrierlink/shared/queue"
	"carrierlink/shared/vault"
	"carrierlink/shared/webhook"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any {
	h, _, _, _ := build(env)
	return h.run
}

func build(env *app.Env) (*handler, *webhook.Deliverer, *bodies, *vault.ServiceSecret) {
	parts := construct.From(env)
	table := parts.Table()
	client := outbound.New(outbound.Options{Rules: outbound.Rules{AllowLoopback: parts.AllowLoopback()}})
	bodies := &bodies{api: env.OptionalURL("PUBLIC_URL")}
	d := &webhook.Deliverer{
		Store: table, Webhooks: &webhook.Service{Store: table, Sealer: parts.Sealer(), Now: time.Now, Random: rand.Reader},
		Sender: client, Queue: queue.NewDeliveries(sqs.NewFromConfig(parts.AWS()), env.Text("DELIVERY_QUEUE_URL")),
		Body: bodies.of, Now: time.Now, Jitter: mathrand.Float64,
	}
	return &handler{deliverer: d, closeIdle: client.CloseIdle, metrics: env.Metrics()}, d, bodies, parts.ServiceSecret()
}
