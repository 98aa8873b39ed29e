package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/metrics"
	"carrierlink/shared/queue/batch"
	"carrierlink/shared/schedule"
)

// TestCosts checks what the bill says of a batch of ten due checks whose answers are as
// before.
func TestCosts(t *testing.T) { calltrace.Attempts(t, costs) }

func costs(t *calltrace.Attempt) {
	d := functiontest.OnEngines(t, functiontest.StartEngines(t), "calls")
	var event events.SQSEvent
	for n := range 10 {
		conn := d.Link(fmt.Sprintf("00001%02d400", n))
		text, err := json.Marshal(schedule.Message{AccountID: conn.AccountID, ConnectionID: conn.ID, Lane: conn.Lane()})
		if err != nil {
			t.Fatal(err)
		}
		event.Records = append(event.Records, events.SQSMessage{MessageId: strconv.Itoa(n), Body: string(text)})
	}
	h := &batch.Handler{Worker: &schedule.Worker{Checker: d.Connections, Breakers: d.Store}, Metrics: metrics.Recorder{Stage: "production", Now: d.Now}}
	work := func(ctx context.Context) {
		d.Pass(48 * time.Hour)
		d.Transport.Reset()
		resp, err := h.Serve(ctx, event)
		if err != nil || len(resp.BatchItemFailures) > 0 {
			t.Fatalf("Serve = %+v, %v, want no failure", resp, err)
		}
	}
	work(t.Context()) // the first check of a link may find other bytes than the link
	log := functiontest.Logged(t.Context(), work)
	functiontest.Costs(t, "batch", d.Transport, log)
}
