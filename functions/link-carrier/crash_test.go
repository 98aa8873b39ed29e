package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/probe"
	"carrierlink/shared/auspost"
	"carrierlink/shared/auspost/simulator"
	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/linking"
	"carrierlink/shared/seal"
	"carrierlink/shared/store"
	"carrierlink/shared/vault"
)

// world is the function over real engines, with every remote call on a wire
// that can be cut.
type world struct {
	wire    probe.Wire
	table   *store.Store
	db      *dynamodb.Client // not over the wire
	secrets *secretsmanager.Client
	api     *httpapi.API
	clock   time.Time
	keyText string
	account carrier.Account
}

const (
	tableName = "carrierlink-test"
	prefix    = "carrierlink-test/carrier/"
	number    = "0000123400"
)

func newWorld(t *testing.T, tableURL, secretsURL string) *world {
	t.Helper()
	w := &world{clock: time.Date(2026, 11, 22, 6, 0, 10, 0, time.UTC)}
	w.wire.Carrier = simulator.NewTransport()
	w.db = dynamodb.NewFromConfig(emulator.Config(tableURL))
	w.secrets = secretsmanager.NewFromConfig(emulator.Config(secretsURL))
	w.table = store.New(dynamodb.NewFromConfig(w.wire.Config(tableURL)), tableName, store.Options{})
	wired := secretsmanager.NewFromConfig(w.wire.Config(secretsURL))
	client, err := auspost.New(auspost.Options{BaseURL: simulator.BaseURL, Transport: &w.wire})
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return w.clock }
	service := carrier.NewSecret("the service secret of the test")
	h := &handler{
		auth:     &auth.Auth{Keys: w.table, Now: now, Limits: auth.Limits{Production: 1_000_000, Sandbox: 1_000_000}},
		accounts: w.table, claims: w.table,
		sealer: seal.New(func(context.Context) (carrier.Secret, error) { return service, nil }),
		linker: &linking.Linker{
			Store: w.table, Vault: vault.New(wired, prefix), Production: client, Sandbox: client,
			RefusalGap: carrier.RefusalGap, Now: now, Random: rand.Reader,
		},
		now: now,
	}
	w.api = &httpapi.API{Log: slog.New(slog.DiscardHandler), Now: now, Routes: []httpapi.Route{{Method: http.MethodPost, Resource: "/v1/connections/carriers/{carrier_name}", Handler: h.link}}}
	id, err := carrier.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w.account = carrier.Account{ID: id, PartnerID: id, Environment: carrier.Production, OriginCountryCode: "AU", Active: true, CreatedAt: w.clock, ModifiedAt: w.clock}
	key, text, err := auth.MakeKey(rand.Reader, carrier.APIKey{PartnerID: id, AccountID: id, Environment: carrier.Production, CreatedAt: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	w.keyText = text.Reveal()
	if _, err := w.table.CreateAccount(t.Context(), store.NewAccount{Account: w.account, Key: key}, w.clock); err != nil {
		t.Fatal(err)
	}
	return w
}

// link asks for the link, with an idempotency key where there is one.
func (w *world) link(idempotencyKey string) events.APIGatewayProxyResponse {
	headers := map[string]string{"API-Key": w.keyText, "Content-Type": "application/json"}
	if idempotencyKey != "" {
		headers["Idempotency-Key"] = idempotencyKey
	}
	resp, _ := w.api.Serve(context.Background(), events.APIGatewayProxyRequest{
		HTTPMethod: http.MethodPost, Resource: "/v1/connections/carriers/{carrier_name}", Path: "/v1/connections/carriers/australia_post",
		PathParameters: map[string]string{"carrier_name": "australia_post"}, Headers: headers,
		Body: `{"nickname":"Main","account_number":"` + number + `","api_key":"11111111-2222-4333-8444-555555555555","api_secret":"xa1b2c3d4e5f60718293"}`,
	})
	return resp
}

// items are the sort keys of everything that the table holds of the account.
func (w *world) items(t *testing.T) []map[string]types.AttributeValue {
	t.Helper()
	out, err := w.db.Query(t.Context(), &dynamodb.QueryInput{
		TableName: aws.String(tableName), KeyConditionExpression: aws.String("pk = :pk"), ConsistentRead: aws.Bool(true),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pk": &types.AttributeValueMemberS{Value: fmt.Sprintf("ACCOUNT#%d", w.account.ID)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Items
}

func sortKey(it map[string]types.AttributeValue) string {
	if sk, ok := it["sk"].(*types.AttributeValueMemberS); ok {
		return sk.Value
	}
	return ""
}

// secretNames are the names of the account's secrets.
func (w *world) secretNames(t *testing.T) []string {
	t.Helper()
	out, err := w.secrets.ListSecrets(t.Context(), &secretsmanager.ListSecretsInput{
		Filters: []smtypes.Filter{{Key: smtypes.FilterNameStringTypeName, Values: []string{fmt.Sprintf("%s%d/", prefix, w.account.ID)}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range out.SecretList {
		names = append(names, aws.ToString(s.Name))
	}
	return names
}

// whole checks that both stores tell of exactly one connection, and the same.
func (w *world) whole(t *testing.T, carrierID string) {
	t.Helper()
	var keys []string
	for _, it := range w.items(t) {
		sk := sortKey(it)
		if strings.HasPrefix(sk, "KEY#") {
			sk = "KEY#…"
		}
		keys = append(keys, sk)
	}
	want := []string{"ACCOUNT", "CARRIER#" + carrierID, "KEY#…", "NUMBER#australia_post#" + number, "SNAPSHOT#" + carrierID}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("items of the account (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{fmt.Sprintf("%s%d/%s", prefix, w.account.ID, carrierID)}, w.secretNames(t)); diff != "" {
		t.Errorf("secrets of the account (-want +got):\n%s", diff)
	}
	loaded, err := w.table.Load(t.Context(), w.account.ID, store.Want{ConnectionID: carrierID, Number: &store.Number{Carrier: carrier.AustraliaPost, Number: number}})
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Connection == nil || loaded.Connection.Status != carrier.Active || !loaded.Connection.LeaseUntil.IsZero() {
		t.Errorf("connection = %+v, want it active and free", loaded.Connection)
	}
	if loaded.Account.CarriersCount != 1 {
		t.Errorf("carriers_count = %d, want 1", loaded.Account.CarriersCount)
	}
	if diff := cmp.Diff([]string{carrierID}, loaded.LinkedAs); diff != "" {
		t.Errorf("holders of the number (-want +got):\n%s", diff)
	}
}

func carrierID(t *testing.T, resp events.APIGatewayProxyResponse) string {
	t.Helper()
	var body struct {
		CarrierID string `json:"carrier_id"`
		Errors    []struct {
			ExistingCarrierID string `json:"existing_carrier_id"`
		} `json:"errors"`
	}
	if err := json.Unmarshal([]byte(resp.Body), &body); err != nil {
		t.Fatalf("answer %q: %v", resp.Body, err)
	}
	if len(body.Errors) > 0 {
		return body.Errors[0].ExistingCarrierID
	}
	return body.CarrierID
}

// TestCrashAfterEachCall kills the process after each remote call of a link and
// sends the same request again: while the lease of the dead one lasts it may
// have to wait, after it there is one connection, one secret and no orphan.
func TestCrashAfterEachCall(t *testing.T) {
	tableURL := probe.Emulator(t, emulator.StartDynamoDBLocal)
	secretsURL := probe.Emulator(t, emulator.StartMiniStack)
	probe.Table(t, emulator.Config(tableURL), tableName)
	for _, idempotencyKey := range []string{"", "order-66"} {
		for n, more := 1, true; more; n++ {
			t.Run(fmt.Sprintf("key %q, call %d", idempotencyKey, n), func(t *testing.T) {
				w := newWorld(t, tableURL, secretsURL)
				more = w.wire.DieAfter(n, func() { w.link(idempotencyKey) })
				if !more {
					if n < 6 {
						t.Fatalf("a link made %d remote calls, want at least 6", n-1)
					}
					w.whole(t, w.onlyConnection(t))
					return
				}
				early := w.link(idempotencyKey)
				if early.StatusCode != http.StatusOK && early.StatusCode != http.StatusConflict {
					t.Errorf("the repeat within the lease answers %d: %s", early.StatusCode, early.Body)
				}
				w.clock = w.clock.Add(31 * time.Second)
				late := w.link(idempotencyKey)
				switch {
				case late.StatusCode == http.StatusOK:
				case late.StatusCode == http.StatusConflict && idempotencyKey == "" && late.Headers["Retry-After"] == "":
					// Without an idempotency key the repeat of a link that was done is
					// told so, with the connection's id.
				default:
					t.Errorf("the repeat after the lease answers %d: %s", late.StatusCode, late.Body)
				}
				w.whole(t, carrierID(t, late))
			})
		}
	}
}

// onlyConnection is the id of the one connection that the account has.
func (w *world) onlyConnection(t *testing.T) string {
	t.Helper()
	var ids []string
	for _, it := range w.items(t) {
		if id, ok := strings.CutPrefix(sortKey(it), "CARRIER#"); ok {
			ids = append(ids, id)
		}
	}
	if len(ids) != 1 {
		t.Fatalf("connections = %v, want one", ids)
	}
	return ids[0]
}

// TestRemoteCalls counts: auth, carrier call, intent, CreateSecret, activate
// (design: "Round trips"), and one claim more with an idempotency key.
func TestRemoteCalls(t *testing.T) {
	tableURL := probe.Emulator(t, emulator.StartDynamoDBLocal)
	secretsURL := probe.Emulator(t, emulator.StartMiniStack)
	probe.Table(t, emulator.Config(tableURL), tableName)
	auth := []string{"BatchGetItem", "UpdateItem"} // at once, in either order
	work := []string{"carrier GET", "TransactWriteItems", "CreateSecret", "TransactWriteItems"}
	tests := []struct {
		name, idempotencyKey string
		after                []string
	}{
		{"without an idempotency key", "", work},
		{"with one", "order-66", append([]string{"PutItem"}, work...)},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, tableURL, secretsURL)
			// The first use of a key in a minute is one call more: it is made here.
			if _, err := w.api.Serve(t.Context(), events.APIGatewayProxyRequest{
				HTTPMethod: http.MethodPost, Resource: "/v1/connections/carriers/{carrier_name}", Path: "/v1/connections/carriers/australia_post",
				PathParameters: map[string]string{"carrier_name": "australia_post"}, Headers: map[string]string{"API-Key": w.keyText},
			}); err != nil {
				t.Fatal(err)
			}
			w.wire.Reset()
			if resp := w.link(tc.idempotencyKey); resp.StatusCode != http.StatusOK {
				t.Fatalf("link answers %d: %s", resp.StatusCode, resp.Body)
			}
			got := w.wire.Calls()
			first := got[:2]
			if !cmp.Equal(first, auth) && !cmp.Equal(first, []string{auth[1], auth[0]}) {
				t.Errorf("first calls = %v, want %v", first, auth)
			}
			if diff := cmp.Diff(tc.after, got[2:]); diff != "" {
				t.Errorf("calls after authentication (-want +got):\n%s", diff)
			}
		})
	}
}
