package crash

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"carrierlink/infra/local/emulator"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
)

// endOutage lets an outage begin, has it announced, and lets it end.
func (w *world) endOutage() {
	w.t.Helper()
	ctx := context.Background()
	made, err := sqs.NewFromConfig(emulator.Config(w.emulatorURL)).CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(w.name + "-refresh")})
	if err != nil {
		w.t.Errorf("making the refresh queue: %v", err)
		return
	}
	w.refresh = aws.ToString(made.QueueUrl)
	w.change(func(b health.Breaker) health.Breaker {
		return b.Opened("outage", time.Now().Add(-time.Hour), health.Timing{Speed: 1})
	})
	if _, err := w.run("schedule-refresh", nil, map[string]any{}, nil); err != nil {
		w.t.Errorf("arranging: the pass fails: %v\n%s", err, w.logs())
	}
	w.change(func(b health.Breaker) health.Breaker { return b.Closed(time.Now()) })
}

// change changes the breaker of Australia Post.
func (w *world) change(change func(health.Breaker) health.Breaker) {
	w.t.Helper()
	all, err := w.table.Breakers(context.Background())
	if err == nil {
		b := change(all[carrier.AustraliaPost])
		err = w.table.SaveBreaker(context.Background(), &b)
	}
	if err != nil {
		w.t.Errorf("changing the breaker: %v", err)
	}
}

// outageHeard checks that the partner has heard once that the outage began, and once that it
// ended.
func (w *world) outageHeard(when string) {
	w.t.Helper()
	found, _, err := w.table.ListEvents(context.Background(), effects.Listing{PartnerID: w.account.PartnerID, Limit: 10})
	var heard []effects.EventType
	for _, e := range slices.Backward(found) {
		heard = append(heard, e.Type)
	}
	if err != nil || !slices.Equal(heard, []effects.EventType{effects.CarrierOutageBegan, effects.CarrierOutageEnded}) {
		w.t.Errorf("%s: the partner has heard %v, %v\n%s", when, heard, err, w.logs())
	}
	all, err := w.table.Breakers(context.Background())
	if o := all[carrier.AustraliaPost].Outage; err != nil || !o.BeganAt.IsZero() {
		w.t.Errorf("%s: the announcement of %+v is not over, %v", when, o, err)
	}
}
