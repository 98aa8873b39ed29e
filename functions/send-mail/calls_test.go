package main

import (
	"context"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/mail"
	"carrierlink/shared/metrics"
	"carrierlink/shared/queue"
	"carrierlink/shared/secret"
)

// TestCosts counts the calls of a mail, on DynamoDB Local and MiniStack, and what its record
// has; and what SES says of a sender that is not verified.
func TestCosts(t *testing.T) { calltrace.Attempts(t, costs) }

func costs(t *calltrace.Attempt) {
	d := functiontest.EmptyOnEngines(t, functiontest.StartTable(t), "calls")
	d.AddPartner(account.Partner{ID: 5, Name: "Acme Shops"})
	d.AddAccount(account.Account{ID: 71, PartnerID: 5, Active: true, Email: "jo@bluegum.example", EmailKey: "jo@bluegum.example", Environment: carrier.Production})
	client := sesv2.NewFromConfig(d.Transport.Config(calltrace.Emulator(t, emulator.StartMiniStack)))
	const from = "no-reply@carrierlink.example"
	h := &handler{store: d.Store, sealer: d.Sealer(), ses: client, from: from, url: "https://api.example.com", now: d.Now, metrics: metrics.Recorder{Stage: "production", Now: d.Now}}
	queued := &bodies{}
	if err := queue.NewMails(queued, "queue", d.Sealer()).Queue(t.Context(), mail.Message{ID: "m-1", Kind: mail.Reset, AccountID: 71, Token: secret.New("canary-token"), At: d.Clock}); err != nil {
		t.Fatal(err)
	}
	batch := events.SQSEvent{Records: []events.SQSMessage{{MessageId: "a", Body: queued.last}}}
	if resp, err := h.run(t.Context(), batch); err != nil || len(resp.BatchItemFailures) != 1 {
		t.Errorf("with a sender that is not verified: %+v, %v, want a failure", resp, err)
	}
	if _, err := client.CreateEmailIdentity(t.Context(), &sesv2.CreateEmailIdentityInput{EmailIdentity: aws.String(from)}); err != nil {
		t.Fatal(err)
	}
	d.Transport.Reset()
	log := functiontest.Logged(t.Context(), func(ctx context.Context) {
		if resp, err := h.run(ctx, batch); err != nil || len(resp.BatchItemFailures) != 0 {
			t.Errorf("run = %+v, %v", resp, err)
		}
	})
	if diff := cmp.Diff([]string{"BatchGetItem", "BatchGetItem", "BatchGetItem", "SendEmail", "UpdateItem"}, d.Transport.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	functiontest.Costs(t, "mail", d.Transport, log)
}
