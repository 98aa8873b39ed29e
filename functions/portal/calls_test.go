package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/store/kit"
)

// onEngines returns the function with one connected account on DynamoDB Local, and its
// visitor.
func onEngines(t *calltrace.Attempt, e functiontest.Engines, name string) (*front, *functiontest.Browser, string) {
	t.Helper()
	d := functiontest.EmptyOnEngines(t, e, name)
	d.AddPartner(account.Partner{ID: 5, Name: "Parcel Hub"})
	d.AddAccount(account.Account{ID: 71, PartnerID: 5, CompanyName: "Blue Gum Trading", OriginCountryCode: "AU", Active: true})
	d.AddLogin(71)
	f := showing(serve(d))
	return f, f.visitor(jo), carrierPath(d.Link("0000123400").ID)
}

// TestPageCalls: a page is one BatchGetItem; lists and the history are queries beside one
// another.
func TestPageCalls(t *testing.T) { calltrace.Attempts(t, pageCalls) }

func pageCalls(t *calltrace.Attempt) {
	d, b, here := onEngines(t, functiontest.StartTable(t), "pages")
	for _, tc := range []struct {
		name, path string
		status     int
		queries    int
	}{
		{"overview", "/portal", 200, 3}, // carriers, keys, parcels
		{"carriers", "/portal/carriers", 200, 1},
		{"form of a link", postPath, 200, 0},
		{"connection", here, 200, 1}, // history
		{"timeline", here + "/timeline", 200, 2},
		{"timeline of checks", here + "/timeline?kind=checks", 200, 1},
		{"timeline of changes", here + "/timeline?kind=changes", 200, 1},
		{"timeline of a day that is none", here + "/timeline?from=x", 422, 0},
		{"form of a change", here + "/change", 200, 0},
		{"form of a disconnection", here + "/disconnect", 200, 0},
		{"a connection of nobody", "/portal/carriers/se-1234567", 404, 0},
		{"a text that is no carrier_id", "/portal/carriers/x", 404, 0},
		{"help", "/portal/help/australia-post-key", 200, 0},
	} {
		t.Run(tc.name, func(t *calltrace.Attempt) {
			d.Transport.Reset()
			if s := b.Get(tc.path); s.Status != tc.status {
				t.Fatalf("%d, want %d:\n%s", s.Status, tc.status, s.Text())
			}
			want := append([]string{"BatchGetItem"}, slices.Repeat([]string{"Query"}, tc.queries)...)
			if diff := cmp.Diff(want, d.Transport.Calls()); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFormCalls: a form makes the calls of the API's request, after the one that reads the
// visit. A link also reads who has the number, which the API reads with the account.
func TestFormCalls(t *testing.T) { calltrace.Attempts(t, formCalls) }

func formCalls(t *calltrace.Attempt) {
	d, b, here := onEngines(t, functiontest.StartTable(t), "forms")
	for _, tc := range []struct {
		name, page, action string
		fields             []string
		want               []string
	}{
		{
			"link", postPath, postPath,
			[]string{"nickname", "n", "account_number", "0000456700", "api_key", functiontest.APIKey, "api_secret", functiontest.APISecret},
			// visit, holders, claim, allowance, the carrier, intent, connection
			[]string{"BatchGetItem", "BatchGetItem", "TransactWriteItems", "UpdateItem", "carrier GET", "TransactWriteItems", "TransactWriteItems"},
		},
		{
			"link what the form refuses", postPath, postPath,
			[]string{"account_number", "1"},
			[]string{"BatchGetItem"},
		},
		{"rename", here + "/change", here + "/change", []string{"nickname", "East"}, []string{"BatchGetItem", "TransactWriteItems", "TransactWriteItems"}},
		{
			"check", here, here + "/verify", nil,
			// visit, claim, claim of the check, the carrier, check, tally
			[]string{"BatchGetItem", "TransactWriteItems", "TransactWriteItems", "carrier GET", "TransactWriteItems", "UpdateItem"},
		},
		{"disconnect", here + "/disconnect", here + "/disconnect", nil, []string{"BatchGetItem", "TransactWriteItems", "TransactWriteItems"}},
	} {
		t.Run(tc.name, func(t *calltrace.Attempt) {
			page := b.Get(tc.page)
			d.Transport.Reset()
			if s := b.Submit(page, tc.action, fields(tc.fields...)); s.Status != http.StatusSeeOther && s.Status != http.StatusUnprocessableEntity {
				t.Fatalf("%d:\n%s", s.Status, s.Text())
			}
			if diff := cmp.Diff(tc.want, d.Transport.Calls()); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
		})
	}
}

// failing is a table of which the partitions with a prefix cannot be queried.
type failing struct {
	kit.API
	prefix *atomic.Value
}

func (f failing) Query(ctx context.Context, in *dynamodb.QueryInput, o ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	pk, _ := in.ExpressionAttributeValues[":pk"].(*types.AttributeValueMemberS)
	sk, _ := in.ExpressionAttributeValues[":from"].(*types.AttributeValueMemberS)
	if prefix, _ := f.prefix.Load().(string); prefix != "" && pk != nil && sk != nil && strings.HasPrefix(pk.Value+" "+sk.Value, prefix) {
		return nil, errors.New("the table does not answer")
	}
	return f.API.Query(ctx, in, o...)
}

// TestPartsThatFail: a page that cannot read a part says which, shows the rest, and has the
// request id; what failed is logged.
func TestPartsThatFail(t *testing.T) { calltrace.Attempts(t, partsThatFail) }

func partsThatFail(t *calltrace.Attempt) {
	var prefix atomic.Value
	e := functiontest.StartTable(t)
	e.Tap = func(c *dynamodb.Client) kit.API { return failing{c, &prefix} }
	_, b, here := onEngines(t, e, "parts")
	for _, tc := range []struct {
		name, prefix, path string
		says, rest         string
	}{
		{"carriers", "ACCOUNT#71 CARRIER", "/portal", "We cannot look at your carriers right now", "What changes soon"},
		{"keys", "ACCOUNT#71 KEY", "/portal", "We could not look whether the keys of your software end soon", "Everything works"},
		{"parcels", "PARCELS#71", "/portal", "We cannot show your parcels right now. They are tracked all the same.", "Everything works"},
		{"history", "HISTORY#71", here, "We cannot show the past checks right now. The rest of this page is right.", "Products of the contract"},
		{"checks of the timeline", "HISTORY#71", here + "/timeline", "We cannot show the checks right now.", "Linked"},
		{"events of the timeline", "EVENTS#", here + "/timeline", "We cannot show changes and news right now.", "Checked: it works"},
	} {
		t.Run(tc.name, func(t *calltrace.Attempt) {
			prefix.Store(tc.prefix)
			s := b.Get(tc.path)
			prefix.Store("")
			text := s.Text()
			for _, want := range []string{tc.says, tc.rest, s.Header.Get("X-Request-Id")} {
				if s.Status != http.StatusOK || !strings.Contains(text, want) {
					t.Errorf("%d, want %q in:\n%s", s.Status, want, text)
				}
			}
			if !strings.Contains(s.Log, "a part of a page cannot be read") || !strings.Contains(s.Log, "the table does not answer") {
				t.Errorf("the log does not say what failed: %s", s.Log)
			}
			if s := b.Get(tc.path); strings.Contains(s.Text(), "right now") {
				t.Errorf("once the table answers again: %s", s.Text())
			}
		})
	}
}
