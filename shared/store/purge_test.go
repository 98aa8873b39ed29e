package store_test

import (
	"strconv"
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
	"carrierlink/shared/fault"
	"carrierlink/shared/parcel"
	"carrierlink/shared/signin"
	"carrierlink/shared/store"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/tracking"
	"carrierlink/shared/webhook"
)

// estate is an account on an engine, with every kind of item that an account can have.
type estate struct {
	*testing.T
	api     *dynamodb.Client
	table   string
	s       *store.Store
	account int64
	now     time.Time
	rows    []connection.Connection
}

func (e *estate) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// newEstate makes an account with a connection, two that share a number, one whose number
// was changed, one that was unlinked, a link that was dropped, webhooks, a login, a parcel, and
// a number without holders, as version 0.3 left them.
func newEstate(t *testing.T, api *dynamodb.Client, table string, accountID int64) *estate {
	t.Helper()
	e := &estate{t, api, table, store.New(api, table, kit.Options{}), accountID, time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC), nil}
	err := e.s.CreateAccount(t.Context(), account.NewAccount{
		Account: account.Account{ID: accountID, PartnerID: 7, Environment: carrier.Production, Active: true, CreatedAt: e.now},
		Key:     account.APIKey{ID: accountID, PartnerID: 7, AccountID: accountID, Hash: "h" + strconv.FormatInt(accountID, 10)},
	}, effects.Effects{}, e.now)
	e.ok(err)
	for i, number := range []string{"0000000001", "0000000002", "0000000002", "0000000003", "0000000004"} {
		c := connection.Connection{
			ID: "se-" + strconv.Itoa(i), AccountID: accountID, PartnerID: 7, Environment: carrier.Production, Carrier: carrier.AustraliaPost, AccountNumber: number,
			Standing: account.StandingActive, CredentialID: "00c0ffee00c0ffee", NextRefreshAt: e.now.AddDate(50, 0, 0),
		}
		e.ok(e.s.BeginLink(t.Context(), &c, connection.LinkOptions{AllowDuplicate: true}))
		c.Status = connection.Active
		snap, err := connection.NewSnapshot([]byte(`{}`), e.now)
		e.ok(err)
		e.ok(e.s.FinishLink(t.Context(), &c, nil, &snap, effects.Effects{}, e.now))
		e.rows = append(e.rows, c)
	}
	e.rows[3].AccountNumber = "0000000005"
	e.ok(e.s.ChangeConnection(t.Context(), &e.rows[3], connection.Update{OldNumber: "0000000003"}, effects.Effects{}, e.now))
	e.unlink(4)
	intent := connection.Connection{ID: "se-9", AccountID: accountID, Carrier: carrier.AustraliaPost, AccountNumber: "0000000006"}
	e.ok(e.s.BeginLink(t.Context(), &intent, connection.LinkOptions{}))
	e.ok(e.s.DropLink(t.Context(), intent))
	e.ok(e.s.SaveWebhooks(t.Context(), &webhook.List{Owner: webhook.Owner{PartnerID: 7, AccountID: accountID}, SealedAt: e.now}, effects.Effects{}, e.now))
	e.ok(e.s.ChangeLogin(t.Context(), signin.Change{Account: account.Update{Old: account.Account{ID: accountID}}, Advance: true, Browser: "Edge on Windows"}, effects.Effects{}, e.now))
	p := parcel.Parcel{AccountID: accountID, PartnerID: 7, Carrier: carrier.AustraliaPost, Number: "ZZ910001", ConnectionID: "se-0", RegisteredAt: e.now, Status: tracking.NotYet, NextLookAt: e.now, Brand: carrier.AustraliaPost, Version: 1}
	_, err = e.s.RegisterParcels(t.Context(), []parcel.Parcel{p}, parcel.NewRound(&e.rows[0], e.now), false, 9, e.now)
	e.ok(err)
	_, err = api.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(table), Item: map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: e.pk()}, "sk": &types.AttributeValueMemberS{Value: "NUMBER#australia_post#0000000007"},
	}})
	e.ok(err)
	return e
}

func (e *estate) pk() string { return "ACCOUNT#" + strconv.FormatInt(e.account, 10) }

func (e *estate) unlink(i int) {
	e.Helper()
	c := &e.rows[i]
	c.Status, c.DisconnectedAt, c.PurgeAt, c.NextRefreshAt = connection.Disconnected, e.now, e.now.Add(connection.HistoryKept), time.Time{}
	e.ok(e.s.Unlink(e.Context(), c, effects.Effects{}, e.now))
}

func (e *estate) items() map[string]map[string]types.AttributeValue {
	e.Helper()
	out, err := e.api.Query(e.Context(), &dynamodb.QueryInput{
		TableName: &e.table, ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :pk"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pk": &types.AttributeValueMemberS{Value: e.pk()}},
	})
	e.ok(err)
	found := map[string]map[string]types.AttributeValue{}
	for _, it := range out.Items {
		found[textOf(it, "sk")] = it
	}
	return found
}

// numbers returns the numbers of the account and how many connections hold each.
func (e *estate) numbers() map[string]int {
	e.Helper()
	found := map[string]int{}
	for sk, it := range e.items() {
		if len(sk) > 10 && sk[:7] == "NUMBER#" {
			holders, _ := it["carrier_ids"].(*types.AttributeValueMemberSS)
			n := 0
			if holders != nil {
				n = len(holders.Value)
			}
			found[sk[len(sk)-1:]] = n
		}
	}
	return found
}

// endless returns the items that do not expire by a time.
func (e *estate) endless(by time.Time) []string {
	e.Helper()
	var found []string
	for sk, it := range e.items() {
		end, _ := it["expires_at"].(*types.AttributeValueMemberN)
		if end == nil {
			found = append(found, sk+" never ends")
			continue
		}
		if n, err := strconv.ParseInt(end.Value, 10, 64); err != nil || n > by.Unix() {
			found = append(found, sk+" ends at "+end.Value)
		}
		if it["due_pk"] != nil && textOf(it, "due_pk") != "SEALED" { // that one only goes with its item
			found = append(found, sk+" is in by_due")
		}
	}
	return found
}

// TestNumbersEnd: a number is deleted with its last holder, whatever removes that, and
// can be linked again.
func TestNumbersEnd(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, api *dynamodb.Client, table string) {
		t.Helper()
		e := newEstate(t, api, table, 7_100_001)
		steps := []struct {
			name string
			do   func()
			want map[string]int
		}{
			{"after a change, an unlinking and a dropped link", func() {}, map[string]int{"1": 1, "2": 2, "5": 1, "7": 0}},
			{"one of two holders is unlinked", func() { e.unlink(1) }, map[string]int{"1": 1, "2": 1, "5": 1, "7": 0}},
			{"the other holder is unlinked", func() { e.unlink(2) }, map[string]int{"1": 1, "5": 1, "7": 0}},
			{"a deleted number is linked again", func() {
				c := connection.Connection{ID: "se-10", AccountID: e.account, Carrier: carrier.AustraliaPost, AccountNumber: "0000000002"}
				e.ok(e.s.BeginLink(t.Context(), &c, connection.LinkOptions{}))
			}, map[string]int{"1": 1, "2": 1, "5": 1, "7": 0}},
			{"a number without holders is linked and dropped", func() {
				c := connection.Connection{ID: "se-11", AccountID: e.account, Carrier: carrier.AustraliaPost, AccountNumber: "0000000007"}
				e.ok(e.s.BeginLink(t.Context(), &c, connection.LinkOptions{}))
				e.ok(e.s.DropLink(t.Context(), c))
			}, map[string]int{"1": 1, "2": 1, "5": 1}},
			{"the holder of a missing number is unlinked", func() {
				_, err := api.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(table), Key: map[string]types.AttributeValue{
					"pk": &types.AttributeValueMemberS{Value: e.pk()}, "sk": &types.AttributeValueMemberS{Value: "NUMBER#australia_post#0000000005"},
				}})
				e.ok(err)
				e.unlink(3)
			}, map[string]int{"1": 1, "2": 1}},
		}
		for _, step := range steps {
			step.do()
			if diff := cmp.Diff(step.want, e.numbers()); diff != "" {
				t.Errorf("%s: numbers and their holders (-want +got):\n%s", step.name, diff)
			}
		}
		late := e.rows[0]
		e.unlink(0)
		if err := e.s.Unlink(t.Context(), &late, effects.Effects{}, e.now); !fault.Is(err, fault.State) {
			t.Errorf("a second unlinking = %v, want State", err)
		}
	})
}

// TestNothingStays: after a deletion that the connections followed, every item of the
// account expires. If they did not follow, the reconciler finds the account, even if
// its own item is gone, and after EndPurge every item expires.
func TestNothingStays(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, api *dynamodb.Client, table string) {
		t.Helper()
		for i, tc := range []struct {
			name              string
			followed, removed bool
		}{{"followed", true, false}, {"not followed", false, false}, {"not followed, and removed", false, true}} {
			t.Run(tc.name, func(t *testing.T) {
				e := newEstate(t, api, table, 7_100_010+int64(i))
				a, err := e.s.Account(t.Context(), e.account, e.now)
				e.ok(err)
				purge := e.now.AddDate(0, 0, 20)
				err = e.s.DeleteAccount(t.Context(), a, false, purge, effects.Effects{}, e.now)
				e.ok(err)
				a, err = e.s.Account(t.Context(), e.account, e.now)
				e.ok(err)
				if tc.followed {
					for n := range e.rows {
						c := &e.rows[n]
						c.PurgeAt = purge
						if c.Visible() {
							c.Standing = account.StandingDeleted
						}
						e.ok(e.s.FollowConnection(t.Context(), c, a, effects.Effects{}, e.now))
					}
					e.ok(e.s.EndFollow(t.Context(), a))
				} else {
					if tc.removed {
						_, err := api.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(table), Key: map[string]types.AttributeValue{
							"pk": &types.AttributeValueMemberS{Value: e.pk()}, "sk": &types.AttributeValueMemberS{Value: "ACCOUNT"},
						}})
						e.ok(err)
					}
					e.finds(1)
					for n := range e.rows {
						c := &e.rows[n]
						if c.PurgeAt = purge; c.Visible() {
							c.Standing = account.StandingDeleted
						}
						e.ok(e.s.SaveConnection(t.Context(), c))
					}
					e.ok(e.s.EndPurge(t.Context(), e.account, purge))
				}
				if found := e.endless(purge); len(found) > 0 {
					t.Errorf("left after the purge: %q", found)
				}
				e.finds(0)
			})
		}
	})
}

// finds checks how many entries the reconciler finds of the account.
func (e *estate) finds(want int) {
	e.Helper()
	found, _, err := e.s.Unfinished(e.Context(), e.now.AddDate(1, 0, 0), 100_000)
	e.ok(err)
	n := 0
	for _, u := range found {
		if u.AccountID == e.account {
			n++
		}
	}
	if n != want {
		e.Errorf("the reconciler finds %d entries of the account, want %d", n, want)
	}
}
