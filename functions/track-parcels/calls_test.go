package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
	"carrierlink/shared/metrics"
	"carrierlink/shared/parcel"
	"carrierlink/shared/queue/batch"
	"carrierlink/shared/schedule"
	"carrierlink/shared/tracking"
)

// TestRemoteCalls checks the calls of a round: its claim, what it needs to know, for each ten
// parcels one call of the carrier, within two allowances, and one write; then its end.
// A round that is not due costs one refused write.
func TestRemoteCalls(t *testing.T) { calltrace.Attempts(t, remoteCalls) }

func remoteCalls(t *calltrace.Attempt) {
	d := functiontest.OnEngines(t, functiontest.StartEngines(t), "calls")
	conn := d.Link(functiontest.Number)
	conn.Status = "active"
	if err := d.Store.SaveConnection(t.Context(), &conn); err != nil {
		t.Fatal(err)
	}
	timing := health.Timing{Speed: 1}
	service := &parcel.Service{Store: d.Store, Timing: timing, Limit: 100, Now: d.Now}
	looker := &parcel.Looker{
		Store: d.Store, Describe: describe, Timing: timing, Now: d.Now, Random: rand.Reader,
		Tracker: &tracking.Service{Connections: d.Store, Cache: d.Store, Vault: d.Vault, Carriers: carrier.PerEnvironment[tracking.Carrier]{Production: d.Client, Sandbox: d.Client}, Now: d.Now},
	}
	h := &batch.Handler{Worker: &schedule.RoundWorker{Looker: looker, Breakers: d.Store}, Metrics: metrics.Recorder{Stage: "production", Now: d.Now}}
	body, err := json.Marshal(schedule.Message{AccountID: conn.AccountID, ConnectionID: conn.ID, CredentialID: conn.CredentialID, Lane: conn.Lane()})
	if err != nil {
		t.Fatal(err)
	}
	work := func(what string, want ...string) {
		t.Helper()
		d.Transport.Reset()
		functiontest.Logged(t.Context(), func(ctx context.Context) {
			resp, err := h.Serve(ctx, events.SQSEvent{Records: []events.SQSMessage{{MessageId: "1", Body: string(body)}}})
			if err != nil || len(resp.BatchItemFailures) > 0 {
				t.Fatalf("%s: Serve = %+v, %v, want no failure", what, resp, err)
			}
		})
		if diff := cmp.Diff(want, d.Transport.Calls()); diff != "" {
			t.Errorf("%s: calls (-want +got):\n%s", what, diff)
		}
	}
	begin := []string{"BatchGetItem", "UpdateItem", "BatchGetItem", "Query", "Query", "Query", "BatchGetItem"}
	call := []string{"BatchGetItem", "GetSecretValue", "UpdateItem", "UpdateItem", "carrier GET", "BatchWriteItem", "TransactWriteItems"}
	work("without parcels", "BatchGetItem", "UpdateItem")
	var numbers []string
	for i := range 15 {
		numbers = append(numbers, fmt.Sprintf("ZZ910006340100%02d", i))
	}
	if refused, err := service.Start(t.Context(), parcel.Target{Account: account.Account{ID: conn.AccountID}, Connection: &conn}, numbers); err != nil || len(refused) > 0 {
		t.Fatalf("Start = %v, %v", refused, err)
	}
	work("before its time", "BatchGetItem", "UpdateItem")
	d.Pass(10 * time.Minute)
	want := append(append(append(append([]string{}, begin...), call...), call...), "TransactWriteItems")
	work("15 parcels", want...)
	work("again", "BatchGetItem", "UpdateItem")
	found, _, err := d.Store.ListEvents(t.Context(), effects.Listing{PartnerID: conn.PartnerID, AccountID: conn.AccountID, Types: []effects.EventType{effects.Track}, Limit: 100})
	if err != nil || len(found) != 15 {
		t.Errorf("%d events, %v, want 15", len(found), err)
	}
}
