package store_test

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/store"
	"carrierlink/shared/store/kit"
)

// TestEventItems checks the keys and the end of an event's item against
// infra/docs/data-model.md.
func TestEventItems(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, api *dynamodb.Client, table string) {
		t.Helper()
		s := store.New(api, table, kit.Options{})
		at := time.UnixMilli(1_772_600_790_987)
		id := effects.EventIDsFrom(at) + "000000000009"
		err := s.CreatePartner(t.Context(), account.Partner{ID: 771}, account.APIKey{ID: 1, PartnerID: 771, Hash: "events"}, effects.Effects{
			By:     effects.By{Actor: effects.Operator, Operator: "jo@example.com", KeyID: 1, PartnerID: 2, AccountID: 3, RequestID: "r", SourceIP: "192.0.2.1"},
			Events: []effects.Event{{ID: id, Type: effects.PartnerCreated, PartnerID: 771, AccountID: 772, Subject: "partner 771", At: at, Data: []byte("{}")}},
		}, at)
		if err != nil {
			t.Fatal(err)
		}
		out, err := api.Query(t.Context(), &dynamodb.QueryInput{
			TableName: &table, KeyConditionExpression: aws.String("pk = :pk"), ConsistentRead: aws.Bool(true),
			ExpressionAttributeValues: kit.Item{":pk": kit.TextValue("EVENTS#771#772")},
		})
		if err != nil || len(out.Items) != 1 {
			t.Fatalf("the partition of the events has %v, %v, want one item", out, err)
		}
		want := kit.Item{
			"pk": kit.TextValue("EVENTS#771#772"), "sk": kit.TextValue(id), "event_pk": kit.TextValue("EVENTS#771"), "type": kit.TextValue("partner_created"),
			"partner_id": kit.NumberValue(771), "account_id": kit.NumberValue(772), "subject": kit.TextValue("partner 771"), "at": kit.NumberValue(at.UnixMilli()),
			"data": kit.TextValue("{}"), "actor": kit.TextValue("operator"), "by_operator": kit.TextValue("jo@example.com"), "by_key": kit.NumberValue(1),
			"by_partner": kit.NumberValue(2), "by_account": kit.NumberValue(3), "request_id": kit.TextValue("r"), "source_ip": kit.TextValue("192.0.2.1"),
			"expires_at": kit.NumberValue(at.Add(400 * 24 * time.Hour).Unix()),
		}
		if diff := cmp.Diff(want, kit.Item(out.Items[0]), cmpopts.IgnoreUnexported(types.AttributeValueMemberS{}, types.AttributeValueMemberN{})); diff != "" {
			t.Errorf("an event's item (-want +got):\n%s", diff)
		}
	})
}

// TestEventsUpToALimit fills a transaction with events, to 100 items, once beside a
// snapshot of the largest size: they stay below DynamoDB's 4 MB. One event more is
// refused before any call.
func TestEventsUpToALimit(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, api *dynamodb.Client, table string) {
		t.Helper()
		const accountID = 781
		spy := &calls{api: api}
		s := store.New(spy, table, kit.Options{})
		now := time.UnixMilli(1_772_600_790_987)
		told := func(n int) effects.Effects {
			fx := effects.Effects{Answer: &effects.Record{Scope: "limit", Key: strconv.Itoa(n), Sealed: []byte("answer"), ExpiresAt: now.Add(time.Hour)}}
			for i := range n {
				fx.Events = append(fx.Events, effects.Event{
					ID: fmt.Sprintf("%s%06d%06d", effects.EventIDsFrom(now), n, i), Type: "t", PartnerID: 782, AccountID: accountID, At: now, Data: bytes.Repeat([]byte{'1'}, effects.MaxEventData),
				})
			}
			return fx
		}
		create := func(fx effects.Effects) error {
			return s.CreateAccount(t.Context(), account.NewAccount{
				Account: account.Account{ID: accountID, PartnerID: 782, Active: true}, Key: account.APIKey{ID: 1, PartnerID: 782, AccountID: accountID, Hash: "limit"},
			}, fx, now)
		}
		if err := create(told(98)); !fault.Is(err, fault.Internal) {
			t.Errorf("CreateAccount with 98 events = %v, want an internal error", err)
		}
		if made := spy.taken(); len(made) > 0 {
			t.Errorf("calls %v before the error, want none", made)
		}
		if err := create(told(97)); err != nil {
			t.Fatalf("CreateAccount with 97 events = %v", err)
		}

		conn := connection.Connection{ID: "se-1", AccountID: accountID, PartnerID: 782, Carrier: "australia_post", AccountNumber: "0004085230"}
		if err := s.BeginLink(t.Context(), &conn, connection.LinkOptions{}); err != nil {
			t.Fatal(err)
		}
		largest := &connection.Snapshot{Packed: bytes.Repeat([]byte{1}, 350_000), At: now}
		entry := &connection.HistoryEntry{Check: connection.Check{At: now}, Number: 1}
		if err := s.FinishLink(t.Context(), &conn, entry, largest, told(96), now); !fault.Is(err, fault.Internal) {
			t.Errorf("FinishLink with 96 events = %v, want an internal error", err)
		}
		fx := told(95)
		fx.Answer.ClaimID = "c"
		claim := *fx.Answer
		claim.Sealed, claim.LeaseUntil = nil, now.Add(time.Minute)
		if err := s.ClaimIdempotency(t.Context(), claim, now); err != nil {
			t.Fatal(err)
		}
		if err := s.FinishLink(t.Context(), &conn, entry, largest, fx, now); err != nil {
			t.Fatalf("FinishLink with 95 events = %v", err)
		}
		events, _, err := s.ListEvents(t.Context(), effects.Listing{PartnerID: 782, AccountID: accountID, Limit: 1000})
		if err != nil || len(events) != 97+95 {
			t.Errorf("%d events, %v, want %d", len(events), err, 97+95)
		}
	})
}
