// Track-parcels makes the rounds that the messages of the parcel queues ask for: it looks at
// the parcels that are due. It has no route.
package main

import (
	"crypto/rand"
	"time"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/health"
	"carrierlink/shared/parcel"
	"carrierlink/shared/queue/batch"
	"carrierlink/shared/schedule"
	"carrierlink/shared/tracking"
	"carrierlink/shared/views"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any { return build(env).Serve }

func build(env *app.Env) *batch.Handler {
	parts := construct.From(env)
	production, sandbox := parts.TrackingCarriers()
	looker := &parcel.Looker{
		Store: parts.Table(), Describe: describe, Timing: health.Timing{Speed: env.Count("SCHEDULE_SPEED")}, Now: time.Now, Random: rand.Reader,
		Tracker: &tracking.Service{
			Connections: parts.Table(), Cache: parts.Table(), Vault: parts.Vault(),
			Carriers: carrier.PerEnvironment[tracking.Carrier]{Production: production, Sandbox: sandbox}, Now: time.Now, Random: rand.Reader,
		},
	}
	return &batch.Handler{Worker: &schedule.RoundWorker{Looker: looker, Breakers: parts.Table()}, Metrics: env.Metrics()}
}

func describe(conn *connection.Connection, a tracking.Answer, now time.Time) any {
	return views.NewTrackData(conn, a, now)
}
