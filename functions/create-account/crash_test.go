package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/probe"
	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/seal"
	"carrierlink/shared/store"
)

// world is a process of the function over a real table, with every remote call
// on a wire.
type world struct {
	url     string // of the engine
	wire    probe.Wire
	client  *dynamodb.Client // over the wire
	seen    inputs
	table   *store.Store
	db      *dynamodb.Client // not over the wire
	api     *httpapi.API
	name    string // of the table
	clock   time.Time
	keyText string
}

func newWorld(tb testing.TB, url, table string) *world {
	tb.Helper()
	probe.Table(tb, emulator.Config(url), table)
	w := connect(url, table, time.Date(2026, 11, 22, 6, 0, 10, 0, time.UTC))
	key, text, err := auth.MakeKey(rand.Reader, carrier.APIKey{PartnerID: 7, Environment: carrier.Production, DefaultCountryCode: "AU", CreatedAt: w.clock})
	if err != nil {
		tb.Fatal(err)
	}
	w.keyText = text.Reveal()
	partner := carrier.Partner{ID: 7, Name: "Acme", Environment: carrier.Production, DefaultCountryCode: "AU", CreatedAt: w.clock}
	if err := w.table.CreatePartner(tb.Context(), partner, key); err != nil {
		tb.Fatal(err)
	}
	return w
}

// connect makes a process over a table that is there.
func connect(url, table string, clock time.Time) *world {
	w := &world{url: url, clock: clock, name: table, db: dynamodb.NewFromConfig(emulator.Config(url))}
	w.client = dynamodb.NewFromConfig(w.wire.Config(url))
	w.seen.Client = w.client
	w.table = store.New(&w.seen, table, store.Options{})
	now := func() time.Time { return w.clock }
	service := carrier.NewSecret("the service secret of the test")
	h := &handler{
		auth:     &auth.Auth{Keys: w.table, Now: now, Limits: auth.Limits{Production: 1_000_000, Sandbox: 1_000_000}},
		accounts: w.table, sealer: seal.New(func(context.Context) (carrier.Secret, error) { return service, nil }),
		now: now, random: rand.Reader,
	}
	w.api = &httpapi.API{Log: slog.New(slog.DiscardHandler), Now: now, Routes: []httpapi.Route{{Method: http.MethodPost, Resource: "/v1/partners/accounts", Handler: h.create}}}
	return w
}

// process is another process over the same table: it shares nothing with this
// one, so that it can be killed.
func (w *world) process() *world {
	p := connect(w.url, w.name, w.clock)
	p.keyText = w.keyText
	return p
}

func (w *world) create(body string, headers map[string]string) events.APIGatewayProxyResponse {
	all := map[string]string{"api-key": w.keyText, "content-type": "application/json"}
	maps.Copy(all, headers)
	resp, _ := w.api.Serve(context.Background(), events.APIGatewayProxyRequest{
		HTTPMethod: http.MethodPost, Resource: "/v1/partners/accounts", Path: "/v1/partners/accounts", Headers: all, Body: body,
	})
	return resp
}

// TestCrashAfterEachCall kills the process after each remote call of a creation
// and sends the same request again: there is one account, and its key works.
func TestCrashAfterEachCall(t *testing.T) {
	url := probe.Emulator(t, emulator.StartDynamoDBLocal)
	const body = `{"first_name":"Ada","external_account_id":"m-1","email":"ada@example.com"}`
	for n, more := 1, true; more; n++ {
		t.Run(fmt.Sprintf("call %d", n), func(t *testing.T) {
			w := newWorld(t, url, fmt.Sprintf("crash-%d", n))
			headers := map[string]string{"Idempotency-Key": "order-66"}
			p := w.process()
			if more = p.wire.DieAfter(n, func() { p.create(body, headers) }); !more && n < 3 {
				t.Fatalf("a creation made %d remote calls, want at least 2", n-1)
			}
			first, second := w.create(body, headers), w.create(body, headers)
			if first.StatusCode != http.StatusOK || first.Body != second.Body {
				t.Fatalf("repeats answer %d %s and %d %s, want 200 and the same", first.StatusCode, first.Body, second.StatusCode, second.Body)
			}
			if second.Headers["Idempotent-Replayed"] != "true" {
				t.Error("the last repeat is not marked as replayed")
			}
			var made answer
			if err := json.Unmarshal([]byte(first.Body), &made); err != nil {
				t.Fatal(err)
			}
			key, ok := auth.ParseKey(made.APIKey.EncryptedAPIKey)
			if !ok || key.AccountID != made.AccountID {
				t.Fatalf("the key does not name account %d", made.AccountID)
			}
			if _, err := w.table.UseKey(t.Context(), carrier.KeyUse{AccountID: key.AccountID, Hash: key.Hash(), Now: w.clock, Limit: 10}); err != nil {
				t.Errorf("the key does not work: %v", err)
			}
			out, err := w.db.Scan(t.Context(), &dynamodb.ScanInput{TableName: &w.name, ConsistentRead: aws.Bool(true)})
			if err != nil {
				t.Fatal(err)
			}
			// Partner and its key; account, its key, email, external id; the stored answer.
			if len(out.Items) != 7 {
				t.Errorf("the table holds %d items, want 7: %v", len(out.Items), out.Items)
			}
		})
	}
}

// TestRemoteCalls counts: auth and one transaction, with an idempotency key or
// without (design: "Round trips").
func TestRemoteCalls(t *testing.T) { probe.Attempts(t, remoteCalls) }

func remoteCalls(t *probe.Attempt) {
	w := newWorld(t, probe.Emulator(t, emulator.StartDynamoDBLocal), "calls")
	t.Watch(&w.wire)
	w.create(`{}`, nil) // the first use of a key in a minute is one call more
	tests := []struct {
		name, body string
		headers    map[string]string
		status     int
		want       []string
	}{
		{"a mistyped key", `{}`, map[string]string{"api-key": w.keyText[:len(w.keyText)-1] + "!"}, http.StatusUnauthorized, nil},
		{"bad input", `{"email":1}`, nil, http.StatusBadRequest, []string{"UpdateItem"}},
		{"create", `{"external_account_id":"a"}`, nil, http.StatusOK, []string{"UpdateItem", "TransactWriteItems"}},
		{"create with an idempotency key", `{"external_account_id":"b"}`, map[string]string{"Idempotency-Key": "k"}, http.StatusOK, []string{"UpdateItem", "TransactWriteItems"}},
		{"replay", `{"external_account_id":"b"}`, map[string]string{"Idempotency-Key": "k"}, http.StatusOK, []string{"UpdateItem", "TransactWriteItems"}},
		{"taken", `{"external_account_id":"a"}`, nil, http.StatusConflict, []string{"UpdateItem", "TransactWriteItems"}},
		{
			"return the existing one", `{"external_account_id":"a"}`,
			map[string]string{"Prefer": "return=existing"},
			http.StatusOK,
			[]string{"UpdateItem", "TransactWriteItems", "BatchGetItem"},
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *probe.Attempt) {
			w.wire.Reset()
			if resp := w.create(tc.body, tc.headers); resp.StatusCode != tc.status {
				t.Fatalf("create answers %d: %s, want %d", resp.StatusCode, resp.Body, tc.status)
			}
			if diff := cmp.Diff(tc.want, w.wire.Calls()); diff != "" {
				t.Errorf("remote calls (-want +got):\n%s", diff)
			}
		})
	}
}
