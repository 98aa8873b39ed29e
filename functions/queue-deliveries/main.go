// Queue-deliveries makes the events that the table's stream passes on pending for the
// webhooks that want them. It has no route.
package main

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/queue"
	"carrierlink/shared/webhook"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any { return build(env).run }

func build(env *app.Env) *handler {
	parts := construct.From(env)
	deliveries := queue.NewDeliveries(sqs.NewFromConfig(parts.AWS()), env.Text("DELIVERY_QUEUE_URL"))
	return &handler{dispatcher: &webhook.Dispatcher{Store: parts.Table(), Queue: deliveries, Now: time.Now}, metrics: env.Metrics()}
}
