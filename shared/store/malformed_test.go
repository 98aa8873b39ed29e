package store_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/store"
	"carrierlink/shared/store/dynamotest"
	"carrierlink/shared/store/events"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/webhook"
)

// TestMalformedRows: a row that cannot be read, or that its entry in by_due contradicts,
// costs a dozen claims a day, and the queue repeats none of them.
func TestMalformedRows(t *testing.T) {
	t.Parallel()
	text, number := &types.AttributeValueMemberS{Value: "canary"}, func(n int64) types.AttributeValue {
		return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
	}
	noon := time.Date(2031, 1, 2, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name, attr string
		value      types.AttributeValue
		postponed  bool // the error is ErrPostponed; else State or NotFound
		most       int  // claims in a day
	}{
		{"a field of another type", "history", text, true, 12},
		{"a time of another type", "verified_at", text, true, 12},
		{"a version of another type", "version", text, true, 1},
		{"a count of another type", "unrecorded", text, true, 1},
		{"a lease of another type", "lease_until", text, true, 1},
		{"a due time of another type", "next_refresh_at", text, true, 1},
		{"a later due time", "next_refresh_at", number(noon.AddDate(1, 0, 0).UnixMilli()), false, 1},
		{"a standing without checks", "standing", &types.AttributeValueMemberS{Value: "paused"}, false, 1},
		{"a status that is not visible", "status", &types.AttributeValueMemberS{Value: "disconnected"}, false, 1},
		{"an end in the past", "expires_at", number(noon.Unix()), false, 1},
	}
	onEngines(t, func(t *testing.T, api *dynamodb.Client, table string) {
		t.Helper()
		s := store.New(api, table, kit.Options{})
		for i, tc := range tests {
			t.Run(tc.name, func(t *testing.T) {
				t.Parallel()
				conn := connection.Connection{
					ID: "se-" + strconv.Itoa(i), AccountID: 7_000_000 + int64(i), PartnerID: 7, Environment: carrier.Production, Carrier: carrier.StarTrack,
					AccountNumber: "00040852", Standing: account.StandingActive, CredentialID: "00c0ffee00c0ffee", NextRefreshAt: noon, LeaseUntil: noon.Add(-time.Hour),
				}
				scheduleRow(t, s, &conn)
				row := map[string]types.AttributeValue{
					"pk": &types.AttributeValueMemberS{Value: "ACCOUNT#" + strconv.FormatInt(conn.AccountID, 10)}, "sk": &types.AttributeValueMemberS{Value: "CARRIER#" + conn.ID},
				}
				if _, err := api.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
					TableName: aws.String(table), Key: row, UpdateExpression: aws.String("SET #a = :v"),
					ExpressionAttributeNames: map[string]string{"#a": tc.attr}, ExpressionAttributeValues: map[string]types.AttributeValue{":v": tc.value},
				}); err != nil {
					t.Fatal(err)
				}
				claims := 0
				for now := noon; now.Before(noon.AddDate(0, 0, 1)); {
					d := connection.Due{AccountID: conn.AccountID, ConnectionID: conn.ID, CredentialID: conn.CredentialID, PartnerID: 7}
					_, err := s.ClaimDue(t.Context(), d, now.Add(30*time.Second), now, health.Timing{})
					claims++
					if err == nil || errors.Is(err, connection.ErrPostponed) != tc.postponed || tc.postponed == (fault.Is(err, fault.State) || fault.Is(err, fault.NotFound)) {
						t.Fatalf("claim %d: %v", claims, err)
					}
					next := dueAgain(t, api, table, row)
					if !next.After(now) {
						t.Fatalf("claim %d: due again at %v", claims, next)
					}
					now = next
				}
				if claims > tc.most {
					t.Errorf("%d claims in a day, want at most %d", claims, tc.most)
				}
			})
		}
	})
}

// scheduleRow creates an account with an active connection.
func scheduleRow(t *testing.T, s *store.Store, conn *connection.Connection) {
	t.Helper()
	acct := account.Account{ID: conn.AccountID, PartnerID: conn.PartnerID, Environment: conn.Environment, Active: true, CreatedAt: time.Unix(1, 0)}
	key := account.APIKey{ID: conn.AccountID, PartnerID: conn.PartnerID, AccountID: conn.AccountID, Hash: "h"}
	err := s.CreateAccount(t.Context(), account.NewAccount{Account: acct, Key: key}, effects.Effects{}, time.Unix(1, 0))
	if err == nil {
		err = s.BeginLink(t.Context(), conn, connection.LinkOptions{})
	}
	conn.Status = connection.Active
	if err == nil {
		err = s.FinishLink(t.Context(), conn, nil, nil, effects.Effects{}, time.Unix(0, 0))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// dueAgain returns when the entry of a row in by_due is due.
func dueAgain(t *testing.T, api *dynamodb.Client, table string, row map[string]types.AttributeValue) time.Time {
	t.Helper()
	out, err := api.GetItem(context.WithoutCancel(t.Context()), &dynamodb.GetItemInput{TableName: aws.String(table), Key: row, ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	key := textOf(out.Item, "due_key")
	milli, err := strconv.ParseInt(key[:15], 10, 64)
	if err != nil || key[15:] != "#00c0ffee00c0ffee#7" {
		t.Fatalf("the due key is %q", key)
	}
	return time.UnixMilli(milli).UTC()
}

// TestMalformedEvent: an event that cannot be read does not hide the others, wherever it is
// on a page.
func TestMalformedEvent(t *testing.T) {
	t.Parallel()
	s := storetest.NewMemory()
	at := time.Date(2031, 1, 2, 12, 0, 0, 0, time.UTC)
	fx, err := effects.Effects{}.With(rand.Reader, at, slices.Repeat([]effects.Report{{Type: effects.AccountUpdated, PartnerID: 7, AccountID: 71}}, 5)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateAccount(t.Context(), account.NewAccount{Account: account.Account{ID: 71, PartnerID: 7}, Key: account.APIKey{ID: 1, PartnerID: 7, AccountID: 71, Hash: "h"}}, fx, at); err != nil {
		t.Fatal(err)
	}
	var want []string
	for i, e := range slices.Backward(fx.Events) {
		if i%2 == 1 {
			want = append(want, e.ID)
			continue
		}
		if _, err := s.Table.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String(dynamotest.Name), Key: kit.Key{PK: kit.EventsPK(7, 71), SK: e.ID}.Item(), UpdateExpression: aws.String("SET #subject = :n"),
			ExpressionAttributeNames: map[string]string{"#subject": "subject"}, ExpressionAttributeValues: kit.Item{":n": kit.NumberValue(1)},
		}); err != nil {
			t.Fatal(err)
		}
	}
	for limit := 1; limit <= 6; limit++ {
		var got []string
		l := effects.Listing{PartnerID: 7, AccountID: 71, Limit: limit}
		for pages := 0; ; pages++ {
			found, next, err := s.ListEvents(t.Context(), l)
			if err != nil || len(found) > limit || pages > 10 {
				t.Fatalf("page %d of %d: %d events, %v", pages, limit, len(found), err)
			}
			for _, e := range found {
				got = append(got, e.ID)
			}
			if next == "" {
				break
			}
			l.Before = next
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pages of %d: %q, want %q", limit, got, want)
		}
	}
	slices.Reverse(want)
	oldest, last, err := s.OldestEvents(t.Context(), effects.Listing{PartnerID: 7, AccountID: 71, Limit: 3})
	if err != nil || len(oldest) != 1 || oldest[0].ID != want[0] || !last.Equal(at) {
		t.Errorf("OldestEvents = %d events, %v, %v, want the second, %v", len(oldest), last, err, at)
	}
	if _, err := s.Event(t.Context(), 7, 71, fx.Events[0].ID); err == nil || fault.Is(err, fault.NotFound) {
		t.Errorf("Event of one that cannot be read = %v, want an internal error", err)
	}
}

// TestMalformedAccount: an account that cannot be read has no external id, and the others
// have theirs.
func TestMalformedAccount(t *testing.T) {
	t.Parallel()
	s := storetest.NewMemory()
	for id := int64(71); id <= 73; id++ {
		text := strconv.FormatInt(id, 10)
		err := s.CreateAccount(t.Context(), account.NewAccount{
			Account: account.Account{ID: id, PartnerID: 7, ExternalID: text}, Key: account.APIKey{ID: id, PartnerID: 7, AccountID: id, Hash: text},
		}, effects.Effects{}, time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Table.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String(dynamotest.Name), Key: kit.AccountKey(72).Item(), UpdateExpression: aws.String("SET #created = :text"),
		ExpressionAttributeNames: map[string]string{"#created": "created_at"}, ExpressionAttributeValues: kit.Item{":text": kit.TextValue("canary")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[account.Owned]string{{PartnerID: 7, AccountID: 71}: "71", {PartnerID: 7, AccountID: 73}: "73"}
	points := metricstest.Of(t, func(ctx context.Context) {
		got, err := s.ExternalIDs(ctx, []int64{71, 72, 73}, time.Unix(1, 0))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("ExternalIDs (-want +got):\n%s\n%v", diff, err)
		}
	})
	if diff := cmp.Diff(map[string][]float64{"Malformed": {1}}, points); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	points = metricstest.Of(t, func(ctx context.Context) {
		ref := webhook.Ref{Owner: webhook.Owner{PartnerID: 7}, ID: "se-1"}
		for owner, want := range map[int64]string{71: "71", 72: ""} {
			l, err := s.LoadPending(ctx, webhook.Pending{Ref: ref, EventID: "se-1", EventOwner: owner}, time.Unix(1, 0))
			if l.ExternalID != want || err != nil {
				t.Errorf("LoadPending for account %d = %+v, %v, want the external id %q", owner, l, err, want)
			}
		}
	})
	if diff := cmp.Diff(map[string][]float64{"Malformed": {1}}, points); diff != "" {
		t.Errorf("metrics of LoadPending (-want +got):\n%s", diff)
	}
}

// TestMalformedPartners: partners that cannot be read, are not there, or whose entry in the
// list has another form keep no other from being listed, on whatever page they are.
func TestMalformedPartners(t *testing.T) {
	t.Parallel()
	s := storetest.NewMemory()
	set := func(k kit.Key, expression string, values kit.Item) {
		t.Helper()
		_, err := s.Table.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String(dynamotest.Name), Key: k.Item(), UpdateExpression: aws.String(expression), ExpressionAttributeValues: values,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var want []int64
	const malformed = 8
	for id := int64(1); id <= 12; id++ {
		p := account.Partner{ID: id, Name: "Shop Ltd", Environment: carrier.Production}
		if err := s.CreatePartner(t.Context(), p, account.APIKey{ID: id, PartnerID: id, Hash: strconv.FormatInt(id, 10)}, effects.Effects{}, time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
		switch id {
		case 1, 5, 6, 12:
			set(kit.PartnerKey(id), "SET disabled_at = :v", kit.Item{":v": kit.TextValue("canary")})
		case 8:
			set(kit.PartnerKey(id), "REMOVE partner_id", nil)
		default:
			want = append(want, id)
		}
	}
	for _, sk := range []string{"00000000030", "0000000013x", "0000000014x"} {
		set(kit.Key{PK: kit.PartnersKey(1).PK, SK: sk}, "SET email_key = :v", kit.Item{":v": kit.TextValue("canary")})
	}
	for limit := 2; limit <= 15; limit++ {
		points := metricstest.Of(t, func(ctx context.Context) {
			var got []int64
			for after, pages := int64(0), 1; ; pages++ {
				page, next, err := s.ListPartners(ctx, after, limit)
				if err != nil || len(page) > limit || pages > 12 {
					t.Fatalf("page %d of %d: %d partners, %v", pages, limit, len(page), err)
				}
				for _, p := range page {
					got = append(got, p.ID)
				}
				if after = next; next == 0 {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("in pages of %d: %v, want %v", limit, got, want)
			}
		})
		if n := points["Malformed"]; len(n) != 1 || n[0] < malformed-1 || limit == 15 && n[0] != malformed {
			t.Errorf("in pages of %d: %v malformed, want about %d", limit, n, malformed)
		}
	}
	if page, next, err := s.ListPartners(t.Context(), 12, 1); err == nil {
		t.Errorf("a page of which nothing can be read = %v, %d, want an error", page, next)
	}
}

// TestFromStream: the record of an event's item in the stream has what a list has of it.
func TestFromStream(t *testing.T) {
	t.Parallel()
	s := storetest.NewMemory()
	at := time.Date(2031, 1, 2, 12, 0, 0, 0, time.UTC)
	by := []effects.By{
		{Actor: effects.Partner, KeyID: 3, PartnerID: 7, RequestID: "r", SourceIP: "192.0.2.1"},
		{Actor: effects.Merchant, KeyID: 4, PartnerID: 7, AccountID: 71},
		{Actor: effects.Operator, Operator: "jo@example.com"},
		{Actor: effects.Schedule},
	}
	for i, who := range by {
		fx, err := effects.Effects{By: who}.With(rand.Reader, at.Add(time.Duration(i)*time.Minute), effects.Report{
			Type: effects.AuditTypes()[i], PartnerID: 7, AccountID: 71, Subject: "account", Data: map[string]string{"text": "\"\\<>&\u2028é"},
		})
		if err != nil {
			t.Fatal(err)
		}
		text := strconv.Itoa(i)
		in := account.NewAccount{Account: account.Account{ID: int64(i), PartnerID: 7}, Key: account.APIKey{ID: int64(i), PartnerID: 7, AccountID: int64(i), Hash: text}}
		if err := s.CreateAccount(t.Context(), in, fx, at); err != nil {
			t.Fatal(err)
		}
	}
	want, _, err := s.ListEvents(t.Context(), effects.Listing{PartnerID: 7, AccountID: 71, Limit: 10})
	if err != nil || len(want) != len(by) {
		t.Fatalf("%d events, %v", len(want), err)
	}
	slices.Reverse(want)
	var got []effects.Recorded
	records, _ := functiontest.Streamed(t, s.Table.Items()...)
	for _, record := range records {
		e, err := events.FromStream(record)
		if err != nil {
			t.Error(err)
		}
		got = append(got, e)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("of the stream (-want +got):\n%s", diff)
	}
}

// TestMalformedWebhooks: a list that cannot be read is an error for its owner only, and
// keeps no other from being sealed again.
func TestMalformedWebhooks(t *testing.T) {
	t.Parallel()
	s := storetest.NewMemory()
	at := time.Date(2031, 1, 2, 12, 0, 0, 0, time.UTC)
	want := map[webhook.Owner]webhook.List{}
	var owners []webhook.Owner
	for i := range int64(230) { // three pages of the index
		l := webhook.List{Owner: webhook.Owner{PartnerID: i + 1}, SealedAt: at.Add(time.Duration(i) * time.Second), Webhooks: []webhook.Webhook{{ID: "se-1", Events: []effects.EventType{"*"}}}}
		if err := s.SaveWebhooks(t.Context(), &l, effects.Effects{}, at); err != nil {
			t.Fatal(err)
		}
		owners = append(owners, l.Owner)
		if i%5 != 0 {
			want[l.Owner] = l
			continue
		}
		_, err := s.Table.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String(dynamotest.Name), Key: kit.WebhooksKey(l.PartnerID, 0).Item(), UpdateExpression: aws.String("SET #w = :v"),
			ExpressionAttributeNames: map[string]string{"#w": "webhooks"}, ExpressionAttributeValues: kit.Item{":v": kit.TextValue("canary")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.WebhooksOf(t.Context(), l.Owner, at); !fault.Is(err, fault.Internal) || strings.Contains(err.Error(), "canary") {
			t.Errorf("WebhooksOf an unreadable list = %v, want an internal error that does not quote it", err)
		}
	}
	recorded := metricstest.Of(t, func(ctx context.Context) {
		got, err := s.Webhooks(ctx, owners, at)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Webhooks: %v (-want +got):\n%s", err, diff)
		}
	})
	if diff := cmp.Diff(map[string][]float64{"Malformed": {46}}, recorded); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	for _, limit := range []int{1, 90, 1000} {
		found, malformed, err := s.SealedBefore(t.Context(), at.Add(time.Hour), limit, at)
		if len(found) != min(limit, len(want)) || err != nil || limit == 1000 && malformed != 46 {
			t.Errorf("SealedBefore, at most %d: %d lists, %d malformed, %v", limit, len(found), malformed, err)
		}
		for i := 1; i < len(found); i++ {
			if !found[i].SealedAt.After(found[i-1].SealedAt) {
				t.Errorf("list %d is not the next oldest", i)
			}
		}
	}
}

// TestMalformedDeliveries: what cannot be read of a webhook stops nothing else of it.
func TestMalformedDeliveries(t *testing.T) {
	t.Parallel()
	s := storetest.NewMemory()
	at := time.Date(2031, 1, 2, 12, 0, 0, 0, time.UTC)
	ref := webhook.Ref{Owner: webhook.Owner{PartnerID: 7}, ID: "se-1"}
	var pending []webhook.Pending
	for _, id := range []string{"se-1", "se-2", "se-3"} {
		pending = append(pending, webhook.Pending{Ref: ref, EventID: id, RequestedAt: at})
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(s.AddPending(t.Context(), pending))
	for _, p := range pending {
		ok(s.SaveDelivery(t.Context(), webhook.Delivery{Ref: ref, EventID: p.EventID, Status: webhook.Delivered, RequestedAt: at}))
	}
	ok(s.MarkDue(t.Context(), []webhook.Ref{ref}, at))
	fx, err := effects.Effects{}.With(rand.Reader, at, effects.Report{PartnerID: 7, Data: 1})
	ok(err)
	ok(s.RecordEffects(t.Context(), fx, at))
	broken := pending[0]
	broken.EventID = fx.Events[0].ID
	for key, attr := range map[kit.Key]string{
		kit.PendingKey(pending[1]): "requested_at", kit.DeliveryKey(ref, "se-2"): "requested_at", kit.RunsKey(ref): "failures",
		{PK: kit.EventsPK(7, 0), SK: broken.EventID}: "at",
	} {
		_, err := s.Table.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String(dynamotest.Name), Key: key.Item(), UpdateExpression: aws.String("SET #w = :v"),
			ExpressionAttributeNames: map[string]string{"#w": attr}, ExpressionAttributeValues: kit.Item{":v": kit.TextValue("canary")},
		})
		ok(err)
	}
	recorded := metricstest.Of(t, func(ctx context.Context) {
		found, _, err := s.ListPending(ctx, ref, 10, at)
		if diff := cmp.Diff([]webhook.Pending{pending[0], pending[2]}, found); diff != "" || err != nil {
			t.Errorf("ListPending: %v (-want +got):\n%s", err, diff)
		}
		list, _, err := s.ListDeliveries(ctx, ref, webhook.DeliveryListing{Limit: 10})
		if len(list) != 2 || err != nil {
			t.Errorf("ListDeliveries = %d deliveries, %v, want 2", len(list), err)
		}
		if l, err := s.LoadPending(ctx, pending[1], at); l.Delivery != nil || err != nil {
			t.Errorf("LoadPending with an unreadable delivery = %+v, %v, want none", l, err)
		}
		if l, err := s.LoadPending(ctx, broken, at); l.Event != nil || err != nil {
			t.Errorf("LoadPending with an unreadable event = %+v, %v, want none", l, err)
		}
		run, err := s.ClaimRun(ctx, ref, at.Add(time.Minute), at)
		if err != nil || run.Wakes != 1 || run.Health.Failures != 0 {
			t.Errorf("ClaimRun = %+v, %v", run, err)
		}
		if woken, err := s.EndRun(ctx, &run, webhook.End{UnlessWoken: true}, at); woken || err != nil {
			t.Errorf("EndRun = %t, %v", woken, err)
		}
	})
	if diff := cmp.Diff(map[string][]float64{"Malformed": {5}}, recorded); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	if _, err := s.Delivery(t.Context(), ref, "se-2"); !fault.Is(err, fault.Internal) || strings.Contains(err.Error(), "canary") {
		t.Errorf("Delivery of an unreadable one = %v, want an internal error that does not quote it", err)
	}
}

// TestMalformedKeys: keys that cannot be read, and those of deleted accounts, keep no other
// from being found, on whatever page they are; and the index may lag.
func TestMalformedKeys(t *testing.T) {
	t.Parallel()
	s := storetest.NewMemory()
	at := time.Date(2031, 1, 2, 12, 0, 0, 0, time.UTC)
	s.MaxKeys = 0 // no limit
	if err := s.CreateAccount(t.Context(), account.NewAccount{Account: account.Account{ID: 71, PartnerID: 7}, Key: account.APIKey{ID: 1000, PartnerID: 7, AccountID: 71, Hash: "first"}}, effects.Effects{}, at); err != nil {
		t.Fatal(err)
	}
	text, number := kit.TextValue, kit.NumberValue
	set := func(hash, attr string, value types.AttributeValue) {
		t.Helper()
		_, err := s.Table.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String(dynamotest.Name), Key: kit.APIKeyKey(7, 71, hash).Item(), UpdateExpression: aws.String("SET #a = :v"),
			ExpressionAttributeNames: map[string]string{"#a": attr}, ExpressionAttributeValues: kit.Item{":v": value},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var want []int64
	malformed := 0
	for i := range int64(250) { // three pages
		hash := strconv.FormatInt(i, 10)
		k := account.APIKey{ID: i + 1, PartnerID: 7, AccountID: 71, Hash: hash, ExpiresAt: at.Add(time.Hour), WarnAt: time.UnixMilli(i + 1).UTC()}
		if err := s.CreateKey(t.Context(), k, effects.Effects{}, at); err != nil {
			t.Fatal(err)
		}
		switch i % 5 {
		case 0:
			set(hash, "created_at", text("canary"))
			malformed++
		case 1:
			set(hash, kit.AttrDueKey, text(kit.WorkKey(time.UnixMilli(i+1), time.UnixMilli(5)))) // another form
			malformed++
		case 2:
			set(hash, kit.AttrTTL, number(at.Add(time.Hour).Unix()))
		default:
			want = append(want, k.ID)
		}
	}
	for _, limit := range []int{1, 2, 60, 1000} {
		found, bad, err := s.ExpiringKeys(t.Context(), at, limit)
		var got []int64
		for _, k := range found {
			got = append(got, k.ID)
		}
		if diff := cmp.Diff(want[:min(limit, len(want))], got); diff != "" || err != nil || limit == 1000 && bad != malformed {
			t.Errorf("at most %d: %d malformed, want %d; %v (-want +got):\n%s", limit, bad, malformed, err, diff)
		}
	}
	s.Table.Lag(1000)
	for _, id := range want {
		k := account.APIKey{ID: id, PartnerID: 7, AccountID: 71, Hash: strconv.FormatInt(id-1, 10), WarnAt: time.UnixMilli(id).UTC()}
		next := time.Time{}
		if id%2 == 0 {
			next = at.Add(time.Hour)
		}
		if err := s.SaveKeyWarning(t.Context(), k, next, effects.Effects{}, at); err != nil {
			t.Fatal(err)
		}
	}
	found, bad, err := s.ExpiringKeys(t.Context(), at, 1000)
	if len(found) > 0 || bad != malformed || err != nil {
		t.Errorf("with an index that lags: %d keys, %d malformed, %v; want none, %d", len(found), bad, err, malformed)
	}
}
