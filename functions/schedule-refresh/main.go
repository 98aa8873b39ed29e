// Schedule-refresh sends a message to the refresh queues for each connection whose
// check is due, one to the parcel queues for each round of parcels, and one to the delivery
// queue for each webhook that is due. It has no route: a rule starts it once a minute.
package main

import (
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/health"
	"carrierlink/shared/queue"
	"carrierlink/shared/schedule"
	"carrierlink/shared/webhook"
)

func main() { app.Main(wire) }

// maxPasses is how many passes fit into a minute: each reads the whole index.
const maxPasses = 6

func wire(env *app.Env) any {
	h, _ := build(env)
	return h.run
}

// passers is what the passes are made with.
type passers struct {
	Checks   *schedule.Dispatcher
	Webhooks *webhook.Waker
}

func build(env *app.Env) (*handler, passers) {
	passes := env.Count("SCHEDULE_PASSES_PER_MINUTE")
	if passes > maxPasses {
		env.Check("SCHEDULE_PASSES_PER_MINUTE", errors.New("at most 6"))
	}
	window := time.Minute / time.Duration(max(passes, 1))
	parts := construct.From(env)
	client := sqs.NewFromConfig(parts.AWS())
	checks := &schedule.Dispatcher{
		Store:  parts.Table(),
		Timing: health.Timing{RefusalGap: env.Seconds("REFUSAL_GAP_SECONDS"), Speed: env.Count("SCHEDULE_SPEED")},
		Now:    time.Now, Window: window,
		Production: schedule.Traffic{Queue: queue.NewRefresh(client, env.Text("QUEUE_URL")), PerMinute: env.Count("REFRESHES_PER_MINUTE")},
		Sandbox:    schedule.Traffic{Queue: queue.NewRefresh(client, env.Text("SANDBOX_QUEUE_URL")), PerMinute: env.Count("SANDBOX_REFRESHES_PER_MINUTE")},
	}
	checks.Rounds = &schedule.Rounds{
		Store:      parts.Table(),
		Production: schedule.Traffic{Queue: queue.NewRefresh(client, env.Text("PARCEL_QUEUE_URL")), PerMinute: env.Count("PARCEL_ROUNDS_PER_MINUTE")},
		Sandbox:    schedule.Traffic{Queue: queue.NewRefresh(client, env.Text("SANDBOX_PARCEL_QUEUE_URL")), PerMinute: env.Count("SANDBOX_PARCEL_ROUNDS_PER_MINUTE")},
	}
	waker := &webhook.Waker{Store: parts.Table(), Deliveries: queue.NewDeliveries(client, env.Text("DELIVERY_QUEUE_URL")), Now: time.Now}
	return &handler{pass: checks.RunPass, wake: waker.Pass, passes: passes, window: window, metrics: env.Metrics()}, passers{checks, waker}
}
