package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/mail"
	"carrierlink/shared/parcel"
	"carrierlink/shared/signin"
	"carrierlink/shared/store"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/tracking"
	"carrierlink/shared/webhook"
)

// TestRemoteCalls checks the exact calls of every method, because they make up a
// request's time. They do not depend on the engine, so one engine will do. The test does
// not run in parallel with others: under load an answer may be lost, and the SDK's
// repeat would count.
func TestRemoteCalls(t *testing.T) {
	onEngine(t, engines[0], func(t *testing.T, api *dynamodb.Client, table string) {
		t.Helper()
		const accountID, partner = 41, 42
		spy := &calls{api: api}
		s := store.New(spy, table, kit.Options{})
		s.Caps, s.MaxKeys = connection.Caps{Connections: 100, Duplicates: 5, LinksPerDay: 50}, account.MaxKeys
		ctx, now := t.Context(), time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
		expect := func(what string, err error, kind fault.Kind, want ...string) {
			t.Helper()
			if (kind == fault.Internal) != (err == nil) || err != nil && !fault.Is(err, kind) {
				t.Fatalf("%s: error %v, want kind %v", what, err, kind)
			}
			if diff := cmp.Diff(want, spy.taken()); diff != "" {
				t.Errorf("%s: calls (-want +got):\n%s", what, diff)
			}
		}
		const good = fault.Internal // no error

		partnerKey := account.APIKey{ID: 1, PartnerID: partner, Hash: "p"}
		expect("CreatePartner", s.CreatePartner(ctx, account.Partner{ID: partner}, partnerKey, effects.Effects{}, now), good, "TransactWriteItems")

		p, keys, err := s.Partner(ctx, partner)
		expect("Partner", err, good, "Query")
		_, _, err = s.PartnerWithSettings(ctx, partner)
		expect("PartnerWithSettings", err, good, "BatchGetItem")
		_, err = s.Settings(ctx, partner)
		expect("Settings", err, good, "BatchGetItem")
		set := account.Settings{DisplayName: "Acme", Version: 1}
		expect("SaveSettings", s.SaveSettings(ctx, partner, account.Settings{}, set, effects.Effects{}, now), good, "TransactWriteItems")
		expect("SaveSettings, late", s.SaveSettings(ctx, partner, account.Settings{}, set, effects.Effects{}, now), fault.Precondition, "TransactWriteItems")
		expect("SaveSettings, unchanged", s.SaveSettings(ctx, partner, set, set, effects.Effects{}, now), good)
		_, _, err = s.PartnerWithSettings(ctx, partner+1)
		expect("PartnerWithSettings, absent", err, fault.NotFound, "BatchGetItem")
		_, _, err = s.ListPartners(ctx, partner-1, 1)
		expect("ListPartners", err, good, "Query", "BatchGetItem")
		_, _, err = s.ListPartners(ctx, account.MaxID, 1)
		expect("ListPartners, none", err, good, "Query")
		outage := effects.Event{ID: "se-1", Type: effects.CarrierOutageBegan, PartnerID: partner, At: now, Data: []byte("{}")}
		expect("InsertEvents", s.InsertEvents(ctx, effects.Effects{Events: []effects.Event{outage}}), good, "TransactWriteItems")
		expect("InsertEvents, again", s.InsertEvents(ctx, effects.Effects{Events: []effects.Event{outage}}), good, "TransactWriteItems")
		another := outage
		another.ID = "se-2"
		expect("InsertEvents, and another", s.InsertEvents(ctx, effects.Effects{Events: []effects.Event{outage, another}}), good, "TransactWriteItems", "TransactWriteItems")
		expect("InsertEvents of none", s.InsertEvents(ctx, effects.Effects{}), good)
		operated := account.PartnerChange{Old: p, New: p, OldKeys: keys, NewKeys: keys}
		operated.New.Version++
		expect("ChangePartner", s.ChangePartner(ctx, operated, effects.Effects{}, now), good, "TransactWriteItems")

		// replayed returns nil for a replay, and an error for any other error.
		replayed := func(err error) error {
			if _, ok := errors.AsType[*effects.Replay](err); !ok {
				return fmt.Errorf("%w, want a replay", err)
			}
			return nil
		}
		answer := effects.Record{Scope: "calls", Key: "create", Sealed: []byte("answer"), ExpiresAt: now.Add(time.Hour)}
		n := account.NewAccount{
			Account: account.Account{ID: accountID, PartnerID: partner, Active: true, Email: "calls@example.com", EmailKey: "calls@example.com", ExternalID: "calls"},
			Key:     account.APIKey{ID: 2, PartnerID: partner, AccountID: accountID, Hash: "a"},
		}
		err = s.CreateAccount(ctx, n, effects.Effects{Answer: &answer}, now)
		expect("CreateAccount", err, good, "TransactWriteItems")
		err = s.CreateAccount(ctx, n, effects.Effects{Answer: &answer}, now)
		expect("CreateAccount, repeated", replayed(err), good, "TransactWriteItems")
		err = s.CreateAccount(ctx, n, effects.Effects{}, now)
		expect("CreateAccount, taken", err, fault.Conflict, "TransactWriteItems")

		use := account.KeyUse{AccountID: accountID, Hash: "a", Now: now, Limit: 2}
		_, err = s.UseKey(ctx, use)
		expect("UseKey, first of its minute", err, good, "UpdateItem", "UpdateItem")
		_, err = s.UseKey(ctx, use)
		expect("UseKey", err, good, "UpdateItem")
		_, err = s.UseKey(ctx, use)
		expect("UseKey, over the limit", err, fault.RateLimited, "UpdateItem")
		use.Hash = "absent"
		_, err = s.UseKey(ctx, use)
		expect("UseKey, absent", err, fault.Unauthorized, "UpdateItem")

		a := account.Account{ID: accountID, PartnerID: partner, Active: true, Email: "calls@example.com", EmailKey: "calls@example.com", ExternalID: "calls", Version: 1}
		_, err = s.Load(ctx, accountID, store.Want{Now: now, Idempotency: &answer})
		expect("Load of an account with a record", err, good, "BatchGetItem")
		_, err = s.Idempotency(ctx, answer, now)
		expect("Idempotency", err, good, "GetItem")
		_, err = s.AccountByExternalID(ctx, partner, "calls", now)
		expect("AccountByExternalID", err, good, "GetItem")
		_, _, err = s.ListAccounts(ctx, partner, account.Filter{}, nil, 3, 25, now)
		expect("ListAccounts", err, good, "Query")
		_, _, err = s.ListAccounts(ctx, partner, account.Filter{CreatedFrom: now, CreatedUntil: now.Add(-time.Hour)}, nil, 0, 25, now)
		expect("ListAccounts, an empty range", err, good)
		_, err = s.ExternalIDs(ctx, []int64{accountID, 0}, now)
		expect("ExternalIDs", err, good, "BatchGetItem")
		_, err = s.ExternalIDs(ctx, nil, now)
		expect("ExternalIDs of nobody", err, good)
		_, err = s.ExternalIDs(ctx, []int64{0, 0}, now)
		expect("ExternalIDs of no account", err, good)
		_, _, err = s.ListEvents(ctx, effects.Listing{PartnerID: partner, Limit: 25})
		expect("ListEvents", err, good, "Query")
		_, _, err = s.ListEvents(ctx, effects.Listing{PartnerID: partner, AccountID: accountID, From: now, Until: now.Add(-time.Hour), Limit: 25})
		expect("ListEvents, an empty range", err, good)
		_, err = s.Event(ctx, partner, accountID, "se-1")
		expect("Event, absent", err, fault.NotFound, "Query")
		_, _, err = s.OldestEvents(ctx, effects.Listing{PartnerID: partner, Limit: 25})
		expect("OldestEvents", err, good, "Query")
		_, _, err = s.OldestEvents(ctx, effects.Listing{PartnerID: partner, From: now, Until: now.Add(-time.Hour), Limit: 25})
		expect("OldestEvents, an empty range", err, good)

		_, err = s.Webhooks(ctx, []webhook.Owner{{PartnerID: partner}, {PartnerID: partner, AccountID: accountID}}, now)
		expect("Webhooks", err, good, "BatchGetItem")
		_, err = s.Webhooks(ctx, nil, now)
		expect("Webhooks of nobody", err, good)
		webhooks, err := s.WebhooksOf(ctx, webhook.Owner{PartnerID: partner, AccountID: accountID}, now)
		expect("WebhooksOf", err, good, "BatchGetItem")
		webhooks.SealedAt = time.Unix(1, 0)
		expect("SaveWebhooks", s.SaveWebhooks(ctx, &webhooks, effects.Effects{}, now), good, "TransactWriteItems")
		expect("SaveWebhooks again", s.SaveWebhooks(ctx, &webhooks, effects.Effects{}, now), good, "TransactWriteItems")
		expect("RecordEffects", s.RecordEffects(ctx, effects.Effects{Events: []effects.Event{{ID: "evt-0", At: now}}}, now), good, "TransactWriteItems")
		expect("RecordEffects, none", s.RecordEffects(ctx, effects.Effects{}, now), good)
		_, _, err = s.SealedBefore(ctx, time.Unix(1, 0), 5, now)
		expect("SealedBefore, none", err, good, "Query")
		_, _, err = s.SealedBefore(ctx, time.Unix(2, 0), 5, now)
		expect("SealedBefore", err, good, "Query", "BatchGetItem")
		ref := webhook.Ref{Owner: webhook.Owner{PartnerID: partner}, ID: "se-1"}
		pending := make([]webhook.Pending, 26)
		for i := range pending {
			pending[i] = webhook.Pending{Ref: ref, EventID: fmt.Sprintf("se-%02d", i), RequestedAt: now}
		}
		expect("AddPending", s.AddPending(ctx, pending[:25]), good, "BatchWriteItem")
		expect("AddPending, more than 25", s.AddPending(ctx, pending), good, "BatchWriteItem", "BatchWriteItem")
		expect("MarkDue", s.MarkDue(ctx, []webhook.Ref{ref}, now), good, "UpdateItem")
		run, err := s.ClaimRun(ctx, ref, now.Add(time.Minute), now)
		expect("ClaimRun", err, good, "UpdateItem")
		_, err = s.ClaimRun(ctx, ref, now.Add(time.Minute), now)
		expect("ClaimRun, leased", err, fault.State, "UpdateItem")
		expect("MarkDue, leased", s.MarkDue(ctx, []webhook.Ref{ref}, now), good, "UpdateItem", "UpdateItem")
		_, _, err = s.ListPending(ctx, ref, 100, now)
		expect("ListPending", err, good, "Query")
		_, err = s.LoadPending(ctx, pending[0], now)
		expect("LoadPending", err, good, "BatchGetItem")
		delivery := webhook.Delivery{Ref: ref, EventID: pending[0].EventID, Status: webhook.Delivered, RequestedAt: now}
		expect("SaveDelivery", s.SaveDelivery(ctx, delivery, pending[0]), good, "BatchWriteItem", "BatchWriteItem")
		expect("DropPending", s.DropPending(ctx, pending[1]), good, "BatchWriteItem")
		_, err = s.EndRun(ctx, &run, webhook.End{}, now)
		expect("EndRun", err, good, "UpdateItem")
		_, err = s.Delivery(ctx, ref, pending[0].EventID)
		expect("Delivery", err, good, "BatchGetItem")
		_, _, err = s.ListDeliveries(ctx, ref, webhook.DeliveryListing{Limit: 25})
		expect("ListDeliveries", err, good, "Query")
		_, _, err = s.ListDeliveries(ctx, ref, webhook.DeliveryListing{From: now, Until: now.Add(-time.Hour), Limit: 25})
		expect("ListDeliveries, an empty range", err, good)
		_, _, err = s.DueWebhooks(ctx, now, 5)
		expect("DueWebhooks", err, good, "Query", "Query", "Query", "Query")
		_, err = s.ListKeys(ctx, accountID)
		expect("ListKeys", err, good, "Query")
		_, _, err = s.ListConnections(ctx, accountID, false)
		expect("ListConnections", err, good, "Query")
		_, _, err = s.ListConnections(ctx, accountID, true)
		expect("ListConnections with snapshots", err, good, "Query")

		next := a
		next.FirstName, next.Email, next.EmailKey, next.ExternalID = "Jo", "new.calls@example.com", "new.calls@example.com", "new"
		change := account.Update{Old: a, New: next}
		fx := effects.Effects{
			Answer: &effects.Record{Scope: "calls", Key: "update", Sealed: []byte("answer"), ExpiresAt: now.Add(time.Hour)},
			Events: []effects.Event{{ID: "evt-1", Type: "t", AccountID: accountID, At: now}},
		}
		err = s.UpdateAccount(ctx, change, fx, now)
		expect("UpdateAccount", err, good, "TransactWriteItems")
		err = s.UpdateAccount(ctx, change, fx, now)
		expect("UpdateAccount, repeated", replayed(err), good, "TransactWriteItems")
		err = s.UpdateAccount(ctx, change, effects.Effects{}, now)
		expect("UpdateAccount, old version", err, fault.Precondition, "TransactWriteItems")
		a = next
		a.Version = 2
		err = s.SetAccountActive(ctx, a, false, true, effects.Effects{}, now)
		expect("SetAccountActive, nothing to do", err, good)
		err = s.SetAccountActive(ctx, a, false, false, effects.Effects{}, now)
		expect("SetAccountActive", err, good, "TransactWriteItems")
		err = s.SetAccountActive(ctx, a, false, false, effects.Effects{}, now)
		expect("SetAccountActive, of an old version", err, good, "TransactWriteItems")
		err = s.SetAccountActive(ctx, a, false, true, effects.Effects{}, now)
		expect("SetAccountActive, nothing to do by what was read", err, good)
		a.Active, a.Version = false, 3
		err = s.DeleteAccount(ctx, a, false, now.Add(time.Hour), effects.Effects{}, now)
		expect("DeleteAccount", err, good, "TransactWriteItems")
		a.PurgeAt, a.Version = now.Add(time.Hour), 4
		err = s.DeleteAccount(ctx, a, false, now.Add(time.Hour), effects.Effects{}, now)
		expect("DeleteAccount, again", err, good)
		err = s.RestoreAccount(ctx, a, false, effects.Effects{}, now)
		expect("RestoreAccount", err, good, "TransactWriteItems")
		a.PurgeAt, a.Version = time.Time{}, 5
		err = s.RestoreAccount(ctx, a, false, effects.Effects{}, now)
		expect("RestoreAccount, not deleted", err, fault.State)
		err = s.SetAccountActive(ctx, a, false, true, effects.Effects{}, now)
		expect("SetAccountActive", err, good, "TransactWriteItems")

		first := account.APIKey{ID: 3, PartnerID: partner, AccountID: accountID, Hash: "b"}
		err = s.CreateKey(ctx, first, effects.Effects{}, now)
		expect("CreateKey", err, good, "TransactWriteItems")
		err = s.RotateKey(ctx, first, account.APIKey{ID: 4, PartnerID: partner, AccountID: accountID, Hash: "c"}, now.Add(time.Hour), effects.Effects{}, now)
		expect("RotateKey", err, good, "TransactWriteItems")
		for i := range account.MaxKeys - 3 {
			k := account.APIKey{ID: int64(10 + i), PartnerID: partner, AccountID: accountID, Hash: "n" + strconv.Itoa(i)}
			err = s.CreateKey(ctx, k, effects.Effects{}, now)
			expect("CreateKey", err, good, "TransactWriteItems")
		}
		full := account.APIKey{ID: 5, PartnerID: partner, AccountID: accountID, Hash: "d"}
		err = s.CreateKey(ctx, full, effects.Effects{}, now)
		expect("CreateKey, too many", err, fault.State, "TransactWriteItems", "Query")
		err = s.CreateKey(ctx, full, effects.Effects{}, now.Add(time.Hour))
		expect("CreateKey, replacing an expired key", err, good, "TransactWriteItems", "Query", "TransactWriteItems")
		expect("DeleteKey", s.DeleteKey(ctx, full, effects.Effects{}, now), good, "TransactWriteItems")

		_, _, err = s.ExpiringKeys(ctx, time.Unix(1, 0), 5)
		expect("ExpiringKeys, none", err, good, "Query")
		ending := account.APIKey{ID: 9, PartnerID: partner, AccountID: accountID, Hash: "ending", ExpiresAt: now.Add(time.Hour), WarnAt: time.Unix(1, 0).UTC()}
		expect("CreateKey that ends", s.CreateKey(ctx, ending, effects.Effects{}, now), good, "TransactWriteItems")
		_, _, err = s.ExpiringKeys(ctx, time.Unix(1, 0), 5)
		expect("ExpiringKeys", err, good, "Query", "BatchGetItem")
		expect("SaveKeyWarning", s.SaveKeyWarning(ctx, ending, time.Time{}, effects.Effects{}, now), good, "TransactWriteItems")
		expect("SaveKeyWarning again", s.SaveKeyWarning(ctx, ending, time.Time{}, effects.Effects{}, now), fault.State, "TransactWriteItems")
		expect("DeleteKey that has ended", s.DeleteKey(ctx, ending, effects.Effects{}, now), good, "TransactWriteItems")

		claim := effects.Record{Scope: "calls", Key: "link", ClaimID: "1", LeaseUntil: now.Add(time.Minute), ExpiresAt: now.Add(time.Hour)}
		err = s.ClaimIdempotency(ctx, claim, now)
		expect("ClaimIdempotency", err, good, "TransactWriteItems")
		expect("ReleaseIdempotency", s.ReleaseIdempotency(ctx, claim), good, "TransactWriteItems")
		expect("ReleaseIdempotency, gone", s.ReleaseIdempotency(ctx, claim), good, "TransactWriteItems")

		conn := connection.Connection{
			ID: "se-1", AccountID: accountID, Carrier: carrier.AustraliaPost, AccountNumber: "0004085230", Standing: account.StandingActive,
		}
		entry := &connection.HistoryEntry{Check: connection.Check{At: now}, Number: 1}
		snap, err := connection.NewSnapshot([]byte("{}"), now)
		if err != nil {
			t.Fatal(err)
		}
		expect("BeginLink", s.BeginLink(ctx, &conn, connection.LinkOptions{}), good, "TransactWriteItems")
		conn.Status = connection.Active
		expect("FinishLink", s.FinishLink(ctx, &conn, entry, &snap, effects.Effects{}, now), good, "TransactWriteItems")
		intent := connection.Connection{ID: "se-2", AccountID: accountID, Carrier: carrier.AustraliaPost, AccountNumber: "0004085231"}
		expect("BeginLink", s.BeginLink(ctx, &intent, connection.LinkOptions{}), good, "TransactWriteItems")
		expect("DropLink", s.DropLink(ctx, intent), good, "TransactWriteItems")
		_, err = s.Load(ctx, accountID, store.Want{
			ConnectionID: conn.ID, Snapshot: true, Number: &connection.Number{Carrier: conn.Carrier, Number: conn.AccountNumber}, Breakers: true,
		})
		expect("Load", err, good, "BatchGetItem")
		_, err = s.Account(ctx, accountID, now)
		expect("Account", err, good, "BatchGetItem")
		_, err = s.Snapshot(ctx, accountID, conn.ID)
		expect("Snapshot", err, good, "BatchGetItem")
		_, err = s.AllConnections(ctx, accountID)
		expect("AllConnections", err, good, "Query")
		_, err = s.Connection(ctx, accountID, conn.ID)
		expect("Connection", err, good, "BatchGetItem")
		conn, err = s.ClaimCheck(ctx, conn, nil, now.Add(time.Minute), now)
		expect("ClaimCheck", err, good, "TransactWriteItems")
		_, err = s.ClaimCheck(ctx, conn, nil, now.Add(time.Minute), now)
		expect("ClaimCheck, busy", err, fault.State, "TransactWriteItems")
		expect("RecordCheck with a snapshot", s.RecordCheck(ctx, &conn, nil, &snap, effects.Effects{}, now), good, "TransactWriteItems")
		conn, err = s.ClaimCheck(ctx, conn, nil, now.Add(time.Minute), now)
		expect("ClaimCheck", err, good, "TransactWriteItems")
		expect("RecordCheck without", s.RecordCheck(ctx, &conn, nil, nil, effects.Effects{}, now), good, "TransactWriteItems")
		conn.NextRefreshAt = now
		expect("SaveConnection", s.SaveConnection(ctx, &conn), good, "TransactWriteItems")
		late := conn
		conn, err = s.ClaimDue(ctx, connection.Due{AccountID: accountID, ConnectionID: conn.ID}, now.Add(time.Minute), now, health.Timing{})
		expect("ClaimDue", err, good, "UpdateItem")
		_, err = s.ClaimDue(ctx, connection.Due{AccountID: accountID, ConnectionID: conn.ID}, now.Add(time.Minute), now, health.Timing{})
		expect("ClaimDue, a late message", err, fault.State, "UpdateItem")
		conn, err = s.ClaimDue(ctx, connection.Due{AccountID: accountID, ConnectionID: conn.ID}, now.Add(time.Hour), now.Add(59*time.Minute), health.Timing{})
		expect("ClaimDue, the claim before was not recorded", err, good, "UpdateItem", "UpdateItem")
		conn.NextRefreshAt = now
		expect("RecordCheck with an entry", s.RecordCheck(ctx, &conn, entry, nil, effects.Effects{}, now), good, "TransactWriteItems")
		expect("RecordCheck, late", s.RecordCheck(ctx, &late, entry, &snap, effects.Effects{}, now), fault.State, "TransactWriteItems")
		old := conn.AccountNumber
		conn.AccountNumber = "0004085239"
		expect("ChangeConnection", s.ChangeConnection(ctx, &conn, connection.Update{OldNumber: old, Entry: entry, Snapshot: &snap}, effects.Effects{}, now), good, "TransactWriteItems")
		_, _, err = s.History(ctx, accountID, conn.ID, nil, 0, 25, now)
		expect("History", err, good, "Query")
		_, _, err = s.History(ctx, accountID, conn.ID, &connection.HistoryPosition{}, 0, 25, now)
		expect("History, before the first", err, good)
		_, _, err = s.RecentChecks(ctx, accountID, conn.ID, now)
		expect("RecentChecks", err, good, "Query")

		queries := func(n int) []string { return slices.Repeat([]string{"Query"}, n) }
		found, _, err := s.Due(ctx, connection.Lane(carrier.AustraliaPost), now, 25)
		expect("Due", err, good, queries(8)...)
		if len(found) != 1 {
			t.Errorf("%d due, want 1", len(found))
		}
		_, _, err = s.Due(ctx, connection.Lane(carrier.StarTrack), now, 25)
		expect("Due of StarTrack", err, good, queries(4)...)
		_, _, err = s.Due(ctx, connection.SandboxLane, now, 25)
		expect("Due of the sandbox", err, good, queries(4)...)
		_, _, err = s.Unfinished(ctx, now, 25)
		expect("Unfinished", err, good, "Query", "Query")

		follow := func(what string, standing account.Standing, purgeAt time.Time, calls int) {
			t.Helper()
			a, err := s.Account(ctx, accountID, now)
			expect("Account", err, good, "BatchGetItem")
			conn.Standing, conn.PurgeAt = standing, purgeAt
			expect("FollowConnection, "+what, s.FollowConnection(ctx, &conn, a, effects.Effects{}, now), good, slices.Repeat([]string{"TransactWriteItems"}, calls)...)
			expect("EndFollow, "+what, s.EndFollow(ctx, a), good, "Query", "TransactWriteItems")
		}
		follow("disabled", account.StandingPaused, time.Time{}, 1)
		follow("deleted", account.StandingDeleted, now.Add(time.Hour), 1)
		follow("restored", account.StandingActive, time.Time{}, 2)
		conn.Status = connection.Disconnected
		expect("Unlink", s.Unlink(ctx, &conn, effects.Effects{}, now), good, "TransactWriteItems")
		conn.Status = connection.Active // like a connection that never had a good check
		expect("SaveConnection", s.SaveConnection(ctx, &conn), good, "TransactWriteItems")
		follow("deleted, without a snapshot", account.StandingDeleted, now.Add(time.Hour), 2)
		follow("restored, without a snapshot", account.StandingActive, time.Time{}, 3)

		checks := []health.Check{{AccountID: 1, Outcome: carrier.OutcomeOK}, {AccountID: 2, Outcome: carrier.OutcomeTimeout}, {AccountID: 3, Outcome: carrier.OutcomeForbidden}}
		expect("CountChecks", s.CountChecks(ctx, carrier.AustraliaPost, checks, now), good, "UpdateItem")
		expect("CountChecks of none", s.CountChecks(ctx, carrier.AustraliaPost, nil, now), good)
		_, err = s.Tallies(ctx, carrier.AustraliaPost, now)
		expect("Tallies", err, good, "Query")
		breakers, err := s.Breakers(ctx)
		expect("Breakers", err, good, "BatchGetItem")
		breaker := breakers[carrier.StarTrack]
		expect("SaveBreaker", s.SaveBreaker(ctx, &breaker), good, "TransactWriteItems")

		for i := range 3 {
			wait, err := s.TakeCall(ctx, connection.Call{Allowance: connection.AccountAllowance(connection.UseLinking, accountID), Limit: 2}, time.Minute, now)
			expect("TakeCall", err, good, "UpdateItem")
			if (wait > 0) != (i == 2) {
				t.Errorf("call %d: wait %v", i+1, wait)
			}
		}
		tracking := []tracking.Cached{{Number: "a", ExpiresAt: now.Add(time.Hour)}, {Number: "b", ExpiresAt: now.Add(time.Hour)}}
		expect("CacheTracking", s.CacheTracking(ctx, accountID, conn.ID, tracking), good, "BatchWriteItem")
		expect("RecordMail", s.RecordMail(ctx, accountID, "", mail.Sent{ID: "m-1", At: now}), good, "UpdateItem")
		_, err = s.SentMail(ctx, accountID, "", "m-1", now)
		expect("SentMail", err, good, "BatchGetItem")
		expect("CacheTracking of none", s.CacheTracking(ctx, accountID, conn.ID, nil), good)
		_, err = s.CachedTracking(ctx, accountID, conn.ID, []string{"a", "b", "a"}, now)
		expect("CachedTracking", err, good, "BatchGetItem")
		_, err = s.CachedTracking(ctx, accountID, conn.ID, nil, now)
		expect("CachedTracking of none", err, good)

		parcels := make([]parcel.Parcel, 150)
		for i := range parcels {
			parcels[i] = parcel.Parcel{AccountID: accountID, Carrier: carrier.AustraliaPost, Number: strconv.Itoa(i), ConnectionID: conn.ID, RegisteredAt: now, NextLookAt: now, Brand: carrier.AustraliaPost, Version: 1}
		}
		register := func(n, limit int) error {
			r := parcel.NewRound(&conn, now)
			r.RegisteredAt = now
			_, err := s.RegisterParcels(ctx, parcels[:n], r, false, limit, now)
			return err
		}
		expect("RegisterParcels, one", register(1, 200), good, "BatchGetItem", "TransactWriteItems")
		expect("RegisterParcels, one again", register(1, 200), good, "BatchGetItem")
		expect("RegisterParcels, beyond a cap", register(2, 1), good, "BatchGetItem", "TransactWriteItems")
		expect("RegisterParcels, 150", register(150, 200), good, "BatchGetItem", "BatchGetItem", "TransactWriteItems", "TransactWriteItems")
		_, _, err = s.ListParcels(ctx, parcel.Listing{AccountID: accountID, Limit: 9}, now)
		expect("ListParcels", err, good, "Query")
		_, _, err = s.DueRounds(ctx, connection.Lane(carrier.StarTrack), now, 10)
		expect("DueRounds", err, good, "Query", "Query", "Query", "Query")
		due := connection.Due{AccountID: accountID, ConnectionID: conn.ID}
		round, err := s.ClaimRound(ctx, due, now.Add(time.Minute), now, health.Timing{})
		expect("ClaimRound", err, good, "UpdateItem")
		_, err = s.ClaimRound(ctx, due, now.Add(time.Minute), now, health.Timing{})
		expect("ClaimRound, leased", err, fault.State, "UpdateItem")
		registered, _, err := s.RoundParcels(ctx, round, 10)
		expect("RoundParcels", err, good, "Query", "Query", "BatchGetItem")
		looks := make([]parcel.Look, len(registered))
		for i, p := range registered {
			p.LookedAt = now
			looks[i].Parcel = p
		}
		expect("StopParcel", s.StopParcel(ctx, accountID, carrier.AustraliaPost, registered[0].Number), good, "TransactWriteItems")
		expect("StopParcel of none", s.StopParcel(ctx, accountID, carrier.AustraliaPost, "none"), good, "TransactWriteItems")
		expect("RecordLooks, one stopped", s.RecordLooks(ctx, looks, effects.By{}, now), good, "TransactWriteItems", "TransactWriteItems")
		expect("RecordLooks of none", s.RecordLooks(ctx, nil, effects.By{}, now), good)
		same := func(r parcel.Round) (parcel.Round, bool) { return r, true }
		expect("EndRound", s.EndRound(ctx, round, effects.Effects{}, now, same), good, "TransactWriteItems")
	})
}

// TestReadsAreConsistent checks that every read is consistent, except those of indexes,
// which cannot be.
func TestReadsAreConsistent(t *testing.T) {
	t.Parallel()
	spy := &calls{fail: func(_ string, input any) error {
		switch in := input.(type) {
		case *dynamodb.GetItemInput:
			if in.ConsistentRead == nil || !*in.ConsistentRead {
				t.Error("GetItem is not consistent")
			}
		case *dynamodb.BatchGetItemInput:
			for _, keys := range in.RequestItems {
				if keys.ConsistentRead == nil || !*keys.ConsistentRead {
					t.Error("BatchGetItem is not consistent")
				}
			}
		case *dynamodb.QueryInput:
			if in.IndexName == nil && (in.ConsistentRead == nil || !*in.ConsistentRead) {
				t.Error("Query is not consistent")
			}
		default:
			t.Errorf("unexpected call with %T", in)
		}
		return context.Canceled
	}}
	s := store.New(spy, table, kit.Options{})
	_, _ = s.Load(t.Context(), 1, store.Want{ConnectionID: "se-1", Snapshot: true})
	_, _ = s.Connection(t.Context(), 1, "se-1")
	_, _ = s.Idempotency(t.Context(), effects.Record{}, time.Time{})
	_, _ = s.AccountByExternalID(t.Context(), 1, "x", time.Time{})
	_, _ = s.ListKeys(t.Context(), 1)
	_, _, _ = s.ListConnections(t.Context(), 1, true)
	_, _ = s.Account(t.Context(), 1, time.Time{})
	_, _ = s.Snapshot(t.Context(), 1, "se-1")
	_, _ = s.AllConnections(t.Context(), 1)
	_, _, _ = s.History(t.Context(), 1, "se-1", nil, 0, 1, time.Time{})
	_, _, _ = s.ListEvents(t.Context(), effects.Listing{PartnerID: 1, AccountID: 1, Limit: 1})
	_, _, _ = s.ListEvents(t.Context(), effects.Listing{PartnerID: 1, Limit: 1})
	_, _ = s.Event(t.Context(), 1, 1, "se-1")
	_, _ = s.WebhooksOf(t.Context(), webhook.Owner{PartnerID: 1, AccountID: 1}, time.Time{})
	_, _ = s.Webhooks(t.Context(), []webhook.Owner{{PartnerID: 1}}, time.Time{})
	_, _, _ = s.OldestEvents(t.Context(), effects.Listing{PartnerID: 1, AccountID: 1, Limit: 1})
	_, _, _ = s.ListPending(t.Context(), webhook.Ref{ID: "se-1"}, 1, time.Time{})
	_, _ = s.LoadPending(t.Context(), webhook.Pending{EventID: "se-1"}, time.Time{})
	_, _, _ = s.ListDeliveries(t.Context(), webhook.Ref{ID: "se-1"}, webhook.DeliveryListing{Limit: 1})
	_, _ = s.Delivery(t.Context(), webhook.Ref{ID: "se-1"}, "se-1")
	_, _ = s.ExternalIDs(t.Context(), []int64{1}, time.Time{})
	_, _ = s.Tallies(t.Context(), carrier.StarTrack, time.Time{})
	_, _ = s.Breakers(t.Context())
	_, _ = s.CachedTracking(t.Context(), 1, "se-1", []string{"n"}, time.Time{})
	_, _, _ = s.ListParcels(t.Context(), parcel.Listing{AccountID: 1, Limit: 1}, time.Time{})
	_, _, _ = s.RoundParcels(t.Context(), parcel.Round{AccountID: 1}, 1)
	_, _ = s.RegisterParcels(t.Context(), []parcel.Parcel{{AccountID: 1}}, parcel.Round{AccountID: 1}, false, 1, time.Time{})
	_, _ = s.Visit(t.Context(), signin.Ref{AccountID: 1, Hash: "h"}, 1, "se-1", time.Time{})
	_, _ = s.SessionsOf(t.Context(), 1)
	_, _ = s.FindByEmail(t.Context(), "x", time.Time{})
	_, _ = s.LoginOf(t.Context(), 1, time.Time{})
	_, _, _ = s.Token(t.Context(), "h", 1, time.Time{})
	_, _ = s.Settings(t.Context(), 1)
	want := []string{
		"BatchGetItem", "BatchGetItem", "GetItem", "GetItem", "Query", "Query",
		"BatchGetItem", "BatchGetItem", "Query", "Query", "Query", "Query", "Query", "BatchGetItem", "BatchGetItem", "Query",
		"Query", "BatchGetItem", "Query", "BatchGetItem", "BatchGetItem", "Query", "BatchGetItem", "BatchGetItem",
		"Query", "Query", "BatchGetItem",
		"BatchGetItem", "Query", "BatchGetItem", "BatchGetItem", "BatchGetItem", "BatchGetItem",
	}
	if diff := cmp.Diff(want, spy.taken()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}
