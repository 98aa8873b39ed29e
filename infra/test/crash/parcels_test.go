package crash

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/parcel"
	"carrierlink/shared/tracking"
)

// parcels is how many parcels a world has: two calls of the carrier.
const parcels = 12

// registered registers parcels of the only connection, which are due.
func (w *world) registered() {
	w.t.Helper()
	w.linked()
	conn := w.connections()[0]
	now := time.Now().UTC().Truncate(time.Millisecond)
	var all []parcel.Parcel
	for i := range parcels {
		all = append(all, parcel.Parcel{
			AccountID: conn.AccountID, PartnerID: conn.PartnerID, Carrier: conn.Carrier, Number: fmt.Sprintf("ZZ9100063401%04d", i), ConnectionID: conn.ID, RegisteredAt: now,
			Status: tracking.NotYet, NextLookAt: now, Brand: carrier.AustraliaPost, Version: now.UnixMilli(),
		})
	}
	round := parcel.NewRound(&conn, now)
	round.RegisteredAt = now
	if refused, err := w.table.RegisterParcels(context.Background(), all, round, false, parcels, now); err != nil || len(refused) > 0 {
		w.t.Errorf("registering parcels: %v, %v", refused, err)
	}
}

// round returns what the schedule sends for the only round. One that was cut off is due again
// minutes after its claim, and only then comes its message.
func (w *world) round() any {
	w.t.Helper()
	_, err := w.db.UpdateItem(context.Background(), &dynamodb.UpdateItemInput{
		TableName: &w.name, UpdateExpression: aws.String("SET due_at = :past"), ConditionExpression: aws.String("attribute_exists(pk)"),
		Key: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: "PARCELS#" + idText(w.account.ID)}, "sk": &types.AttributeValueMemberS{Value: "ROUND#" + w.connections()[0].ID},
		},
		ExpressionAttributeValues: map[string]types.AttributeValue{":past": &types.AttributeValueMemberN{Value: "1"}},
	})
	if err != nil {
		w.t.Errorf("making a round due: %v", err)
	}
	return w.message()
}

// lookedAt checks that each parcel was looked at, and that there is exactly one event of each,
// of the status that it has. The simulator knows all of them.
func (w *world) lookedAt(when string) {
	w.t.Helper()
	ctx := context.Background()
	found, _, err := w.table.ListParcels(ctx, parcel.Listing{AccountID: w.account.ID, Limit: 2 * parcels}, time.Now())
	if err != nil {
		w.t.Errorf("%s: %v", when, err)
	}
	var want, got []string
	for _, p := range found {
		want = append(want, effects.TrackSubject(string(p.Carrier), p.Number))
		if p.Status == tracking.NotYet || p.LookedAt.IsZero() {
			w.t.Errorf("%s: a parcel is %s, looked at %v", when, p.Status, p.LookedAt)
		}
	}
	events, _, err := w.table.ListEvents(ctx, effects.Listing{PartnerID: w.account.PartnerID, AccountID: w.account.ID, Types: []effects.EventType{effects.Track}, Limit: 3 * parcels})
	if err != nil {
		w.t.Errorf("%s: %v", when, err)
	}
	for _, e := range events {
		got = append(got, e.Subject)
	}
	slices.Sort(got)
	if len(want) != parcels || !slices.Equal(want, got) {
		w.t.Errorf("%s: events of %q, want one of each of %q", when, got, want)
	}
}
