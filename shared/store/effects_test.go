package store_test

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/store"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/store/storetest"
)

// eventRow is the item of an event.
type eventRow struct {
	PK, SK, Type, Subject, Data             string
	Service, Operator                       string
	At, KeyID, PartnerID, AccountID, Expiry int64
}

// row reads the item of an event. It returns an error for any other attribute.
func row(it map[string]types.AttributeValue) (r eventRow, err error) {
	texts := map[string]*string{"pk": &r.PK, "sk": &r.SK, "type": &r.Type, "subject": &r.Subject, "data": &r.Data, "by_service": &r.Service, "by_operator": &r.Operator}
	numbers := map[string]*int64{"at": &r.At, "by_key": &r.KeyID, "by_partner": &r.PartnerID, "by_account": &r.AccountID, "expires_at": &r.Expiry}
	for name, value := range it {
		switch value := value.(type) {
		case *types.AttributeValueMemberS:
			if texts[name] == nil {
				return r, fmt.Errorf("an event has no text attribute %s", name)
			}
			*texts[name] = value.Value
		case *types.AttributeValueMemberN:
			if numbers[name] == nil {
				return r, fmt.Errorf("an event has no number attribute %s", name)
			}
			if *numbers[name], err = strconv.ParseInt(value.Value, 10, 64); err != nil {
				return r, err
			}
		default:
			return r, fmt.Errorf("attribute %s has the type %T", name, value)
		}
	}
	return r, nil
}

func eventRows(ctx context.Context, api dynamodb.QueryAPIClient, table string, accountID int64) ([]eventRow, error) {
	var rows []eventRow
	pages := dynamodb.NewQueryPaginator(api, &dynamodb.QueryInput{
		TableName: aws.String(table), KeyConditionExpression: aws.String("pk = :pk"), ConsistentRead: aws.Bool(true),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pk": &types.AttributeValueMemberS{Value: "EVENTS#" + strconv.FormatInt(accountID, 10)}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, it := range page.Items {
			r, err := row(it)
			if err != nil {
				return nil, err
			}
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// eventsIn reads the events of an account.
func eventsIn(ctx context.Context, api dynamodb.QueryAPIClient, table string, accountID int64) ([]storetest.Told, error) {
	rows, err := eventRows(ctx, api, table, accountID)
	if err != nil {
		return nil, err
	}
	var told []storetest.Told
	for _, r := range rows {
		_, id, ok := strings.Cut(r.SK, "#")
		if !ok {
			return nil, fmt.Errorf("sort key %q is not an event's", r.SK)
		}
		e := effects.Event{ID: id, Type: r.Type, AccountID: accountID, Subject: r.Subject, At: time.UnixMilli(r.At).UTC()}
		if r.Data != "" {
			e.Data = []byte(r.Data)
		}
		told = append(told, storetest.Told{Event: e, By: effects.By{KeyID: r.KeyID, PartnerID: r.PartnerID, AccountID: r.AccountID, Service: r.Service, Operator: r.Operator}})
	}
	return told, nil
}

// TestEventItems checks the keys and the end of an event's item against
// infra/docs/data-model.md.
func TestEventItems(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, api *dynamodb.Client, table string) {
		t.Helper()
		s := store.New(api, table, kit.Options{})
		at := time.UnixMilli(1_772_600_790_987)
		err := s.CreatePartner(t.Context(), account.Partner{ID: 771}, account.APIKey{ID: 1, PartnerID: 771, Hash: "events"}, effects.Effects{
			By: effects.By{Service: effects.Operator, Operator: "jo@example.com"}, Events: []effects.Event{{ID: "evt-9", Type: "partner.created", AccountID: 772, Subject: "partner", At: at}},
		}, at)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := eventRows(t.Context(), api, table, 772)
		if err != nil {
			t.Fatal(err)
		}
		want := eventRow{
			PK: "EVENTS#772", SK: "001772600790987#evt-9", Type: "partner.created", Subject: "partner", At: at.UnixMilli(),
			Service: "operator", Operator: "jo@example.com", Expiry: at.Add(90 * 24 * time.Hour).Unix(),
		}
		if len(rows) != 1 || rows[0] != want {
			t.Errorf("events = %+v, want %+v", rows, want)
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
					ID: fmt.Sprint("evt-", n, "-", i), Type: "t", AccountID: accountID, At: now, Data: bytes.Repeat([]byte{'1'}, effects.MaxEventData),
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
		rows, err := eventRows(t.Context(), api, table, accountID)
		if err != nil || len(rows) != 97+95 {
			t.Errorf("%d events, %v, want %d", len(rows), err, 97+95)
		}
	})
}
