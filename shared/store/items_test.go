package store_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
	"carrierlink/shared/mail"
	"carrierlink/shared/parcel"
	"carrierlink/shared/store"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/tracking"
)

// TestEndsAndDueKeys checks attributes that no method returns: when an item expires, and
// its keys in by_due.
func TestEndsAndDueKeys(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, api *dynamodb.Client, table string) {
		t.Helper()
		const accountID, partner = 51, 52
		ctx, s := t.Context(), store.New(api, table, kit.Options{})
		now := time.Date(1980, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
		purge := now.Add(30 * 24 * time.Hour)
		ok := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		// is compares the end and the due keys of an item, "-" for an absent one.
		is := func(what, pk, sk, want string) {
			t.Helper()
			out, err := api.GetItem(ctx, &dynamodb.GetItemInput{
				TableName: aws.String(table), ConsistentRead: aws.Bool(true), Key: map[string]types.AttributeValue{
					"pk": &types.AttributeValueMemberS{Value: pk}, "sk": &types.AttributeValueMemberS{Value: sk},
				},
			})
			ok(err)
			if len(out.Item) == 0 {
				t.Errorf("%s: there is no item %s, %s", what, pk, sk)
			}
			var got []string
			for _, name := range []string{"expires_at", "due_pk", "due_key"} {
				switch v := out.Item[name].(type) {
				case *types.AttributeValueMemberN:
					got = append(got, v.Value)
				case *types.AttributeValueMemberS:
					got = append(got, v.Value)
				default:
					got = append(got, "-")
				}
			}
			if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
				t.Errorf("%s: end and due keys (-want +got):\n%s", what, diff)
			}
		}
		milli := func(t time.Time) string { return fmt.Sprintf("%015d", t.UnixMilli()) }
		own := fmt.Sprintf("ACCOUNT#%d", accountID)
		seconds := func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
		ends := seconds(purge)

		err := s.CreateAccount(ctx, account.NewAccount{
			Account: account.Account{ID: accountID, PartnerID: partner, Active: true}, Key: account.APIKey{ID: 1, PartnerID: partner, AccountID: accountID, Hash: "a"},
		}, effects.Effects{}, now)
		ok(err)
		is("account", own, "ACCOUNT", "- - -")
		conn := connection.Connection{
			ID: "se-1", AccountID: accountID, Carrier: carrier.AustraliaPost, AccountNumber: "0004085230", Standing: account.StandingActive,
			PartnerID: 7, CredentialID: "00c0ffee00c0ffee", LeaseUntil: now.Add(time.Minute), NextRefreshAt: now.Add(time.Hour),
		}
		ok(s.BeginLink(ctx, &conn, connection.LinkOptions{}))
		is("intent", own, "CARRIER#se-1", "- REPAIR "+milli(now.Add(time.Minute)))
		conn.Status = connection.Active
		snap, err := connection.NewSnapshot([]byte("{}"), now)
		ok(err)
		ok(s.FinishLink(ctx, &conn, &connection.HistoryEntry{Check: connection.Check{At: now}, Number: 1}, &snap, effects.Effects{}, now))
		scheduled := " REFRESH#australia_post#2 " + milli(now.Add(time.Hour)) + "#00c0ffee00c0ffee#7"
		is("connection", own, "CARRIER#se-1", "-"+scheduled)
		is("history", "HISTORY#51#se-1", milli(now)+"#00000001", seconds(now.Add(connection.HistoryKept))+" - -")
		conn, err = s.ClaimCheck(ctx, conn, nil, now.Add(time.Minute), now)
		ok(err)
		is("claimed", own, "CARRIER#se-1", "-"+scheduled)
		conn.Work = connection.WorkCredentials
		ok(s.SaveConnection(ctx, &conn))
		is("in work", own, "CARRIER#se-1", "- REPAIR "+milli(now.Add(time.Minute)))
		conn.Work, conn.LeaseUntil = connection.NoWork, time.Time{}
		ok(s.SaveConnection(ctx, &conn))

		a, err := s.Account(ctx, accountID, now)
		ok(err)
		err = s.DeleteAccount(ctx, a, false, purge, effects.Effects{}, now)
		ok(err)
		is("deleted account", own, "ACCOUNT", ends+" REPAIR "+milli(now))
		a, err = s.Account(ctx, accountID, now)
		ok(err)
		conn.Standing, conn.PurgeAt = account.StandingDeleted, purge
		ok(s.FollowConnection(ctx, &conn, a, effects.Effects{}, now))
		ok(s.EndFollow(ctx, a))
		is("followed account", own, "ACCOUNT", ends+" - -")
		for _, sk := range []string{"KEY#a", "CARRIER#se-1", "SNAPSHOT#se-1", "NUMBER#australia_post#0004085230"} {
			is("of a deleted account", own, sk, ends+" - -")
		}
		err = s.RestoreAccount(ctx, a, false, effects.Effects{}, now)
		ok(err)
		a, err = s.Account(ctx, accountID, now)
		ok(err)
		conn.Standing, conn.PurgeAt = account.StandingActive, time.Time{}
		ok(s.FollowConnection(ctx, &conn, a, effects.Effects{}, now))
		ok(s.EndFollow(ctx, a))
		is("restored account", own, "ACCOUNT", "- - -")
		is("restored connection", own, "CARRIER#se-1", "-"+scheduled)
		for _, sk := range []string{"KEY#a", "SNAPSHOT#se-1", "NUMBER#australia_post#0004085230"} {
			is("of a restored account", own, sk, "- - -")
		}
		conn.Status, conn.PurgeAt, conn.Work = connection.Disconnected, purge, connection.WorkUnlink
		ok(s.Unlink(ctx, &conn, effects.Effects{}, now))
		is("unlinked, with work left", own, "CARRIER#se-1", ends+" REPAIR 000000000000000")
		conn.Work = connection.NoWork
		ok(s.SaveConnection(ctx, &conn))
		is("unlinked", own, "CARRIER#se-1", ends+" - -")

		ok(s.CountChecks(ctx, carrier.StarTrack, []health.Check{{AccountID: 1, Outcome: carrier.OutcomeOK}}, now))
		minute := now.Truncate(time.Minute)
		is("tally", "HEALTH#startrack", fmt.Sprintf("MINUTE#%012d", minute.Unix()/60), seconds(minute.Add(time.Hour))+" - -")
		_, err = s.TakeCall(ctx, connection.Call{Allowance: connection.CredentialAllowance(connection.UseTracking, carrier.Sandbox, accountID, "ends"), Limit: 10}, time.Minute, now)
		ok(err)
		is("calls", "ALLOWANCE#tracking#51#ends", "CALLS", seconds(now.Add(24*time.Hour))+" - -")
		ok(s.RecordMail(ctx, accountID, "", mail.Sent{ID: "m-1", At: now}))
		is("sent mail", "MAILS#51", "SENT#m-1", seconds(now.Add(5*24*time.Hour))+" - -")
		ok(s.RecordMail(ctx, accountID, "se-1", mail.Sent{ID: "m-1", At: now}))
		is("latest mail", "MAILS#51", "STATE#se-1", seconds(now.Add(400*24*time.Hour))+" - -")
		ok(s.CacheTracking(ctx, accountID, "se-1", []tracking.Cached{{Number: "7XX", ExpiresAt: purge}}))
		is("tracking", "TRACKING#51#se-1", "7XX", ends+" - -")

		at := now.Add(time.Hour)
		p := parcel.Parcel{AccountID: accountID, Carrier: carrier.AustraliaPost, Number: "7XX", ConnectionID: "se-1", RegisteredAt: now, NextLookAt: at, Brand: carrier.StarTrack, Version: 1}
		conn.CredentialID = "00c0ffee00c0ffee"
		round := parcel.NewRound(&conn, at)
		round.Lane, round.RegisteredAt = connection.Lane(carrier.StarTrack), now
		_, err = s.RegisterParcels(ctx, []parcel.Parcel{p}, round, false, 9, now)
		ok(err)
		days := func(n int) string { return seconds(now.AddDate(0, 0, n)) }
		is("parcel", "PARCELS#51", "PARCEL#australia_post#7XX", "- LOOKS#51#se-1#startrack "+milli(at)+"#7XX")
		is("round", "PARCELS#51", "ROUND#se-1", fmt.Sprintf("- ROUNDS#startrack#%d %s#00c0ffee00c0ffee#7", kit.ShardOf(round.Lane, "se-1"), milli(at)))
		is("count of parcels", "ACCOUNT#51", "LIST#PARCELS", "- - -")
		is("parcels of a day", "PARCELS#51", "DAY#"+now.Format(time.DateOnly), days(2)+" - -")
		p.End, p.EndedAt, p.NextLookAt = parcel.EndDelivered, now, time.Time{}
		ok(s.RecordLooks(ctx, []parcel.Look{{Parcel: p}}, effects.By{}, now))
		is("parcel at its end", "PARCELS#51", "PARCEL#australia_post#7XX", days(7)+" - -")
	})
}

// TestEndFollowWhileAKeyIsDeleted: a key is deleted after EndFollow has read the keys.
func TestEndFollowWhileAKeyIsDeleted(t *testing.T) {
	t.Parallel()
	onEngine(t, engines[0], func(t *testing.T, api *dynamodb.Client, table string) {
		t.Helper()
		const accountID, partner = 53, 54
		ctx, now := t.Context(), time.Date(1980, 1, 2, 3, 4, 5, 0, time.UTC)
		s := store.New(api, table, kit.Options{})
		a := account.Account{ID: accountID, PartnerID: partner, Active: true, Version: 1}
		k := account.APIKey{ID: 1, PartnerID: partner, AccountID: accountID, Hash: "a"}
		if err := s.CreateAccount(ctx, account.NewAccount{Account: a, Key: k}, effects.Effects{}, now); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteAccount(ctx, a, false, now.Add(time.Hour), effects.Effects{}, now); err != nil {
			t.Fatal(err)
		}
		a, err := s.Account(ctx, accountID, now)
		if err != nil {
			t.Fatal(err)
		}
		deleted := false
		spy := &calls{api: api, fail: func(operation string, _ any) error {
			if operation != "TransactWriteItems" || deleted {
				return nil
			}
			deleted = true
			return s.DeleteKey(ctx, k, effects.Effects{}, now)
		}}
		if err := store.New(spy, table, kit.Options{}).EndFollow(ctx, a); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"Query", "TransactWriteItems", "Query", "TransactWriteItems"}, spy.taken()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		keys, err := s.ListKeys(ctx, accountID)
		if err != nil || len(keys) != 0 {
			t.Errorf("keys %v, %v, want none", keys, err)
		}
	})
}
