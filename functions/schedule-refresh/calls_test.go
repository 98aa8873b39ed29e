package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/health"
	"carrierlink/shared/metrics"
	"carrierlink/shared/queue"
	"carrierlink/shared/schedule"
	"carrierlink/shared/webhook"
)

// TestCosts checks what the bill says of a pass that finds nothing due.
func TestCosts(t *testing.T) { calltrace.Attempts(t, costs) }

func costs(t *calltrace.Attempt) {
	d := functiontest.OnEngines(t, functiontest.StartTable(t), "calls")
	empty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		if _, err := fmt.Fprint(w, `{"Attributes":{"ApproximateNumberOfMessages":"0","ApproximateNumberOfMessagesDelayed":"0","ApproximateNumberOfMessagesNotVisible":"0"}}`); err != nil {
			t.Error(err)
		}
	}))
	defer empty.Close()
	client := sqs.NewFromConfig(d.Transport.Config(empty.URL))
	dispatcher := schedule.Dispatcher{
		Store: d.Store, Timing: health.Timing{RefusalGap: health.RefusalGap, Speed: 1}, Now: d.Now, Window: time.Minute,
		Production: schedule.Traffic{Queue: queue.NewRefresh(client, empty.URL+"/1/refresh"), PerMinute: 600},
		Sandbox:    schedule.Traffic{Queue: queue.NewRefresh(client, empty.URL+"/1/sandbox"), PerMinute: 60},
	}
	dispatcher.Rounds = &schedule.Rounds{
		Store:      d.Store,
		Production: schedule.Traffic{Queue: queue.NewRefresh(client, empty.URL+"/1/parcels"), PerMinute: 300},
		Sandbox:    schedule.Traffic{Queue: queue.NewRefresh(client, empty.URL+"/1/parcels-sandbox"), PerMinute: 60},
	}
	waker := webhook.Waker{Store: d.Store, Deliveries: queue.NewDeliveries(client, empty.URL+"/1/deliveries"), Now: d.Now}
	h := &handler{wake: waker.Pass, pass: dispatcher.RunPass, passes: 1, window: time.Minute, metrics: metrics.Recorder{Stage: "production", Now: d.Now}}
	d.Transport.Reset()
	log := functiontest.Logged(t.Context(), func(ctx context.Context) {
		if _, err := h.run(ctx); err != nil {
			t.Fatal(err)
		}
	})
	functiontest.Costs(t, "pass", d.Transport, log)
}
