package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/probe"
	"carrierlink/shared/auspost"
	"carrierlink/shared/auspost/simulator"
	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/linking"
	"carrierlink/shared/store"
	"carrierlink/shared/vault"
)

// world is the function over real engines, with one linked account.
type world struct {
	wire   probe.Wire
	client *dynamodb.Client // over the wire
	seen   inputs
	get    func(refresh, etag string) events.APIGatewayProxyResponse
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	tableURL := probe.Emulator(tb, emulator.StartDynamoDBLocal)
	secretsURL := probe.Emulator(tb, emulator.StartMiniStack)
	probe.Table(tb, emulator.Config(tableURL), "calls")
	w := &world{}
	w.wire.Carrier = simulator.NewTransport()
	w.client = dynamodb.NewFromConfig(w.wire.Config(tableURL))
	w.seen.Client = w.client
	clock := time.Date(2026, 11, 22, 6, 0, 10, 0, time.UTC)
	now := func() time.Time { return clock }
	table := store.New(&w.seen, "calls", store.Options{})
	client, err := auspost.New(auspost.Options{BaseURL: simulator.BaseURL, Transport: &w.wire})
	if err != nil {
		tb.Fatal(err)
	}
	linker := &linking.Linker{
		Store: table, Vault: vault.New(secretsmanager.NewFromConfig(w.wire.Config(secretsURL)), "calls/carrier/"),
		Production: client, Sandbox: client, RefusalGap: carrier.RefusalGap, Now: now, Random: rand.Reader,
	}
	h := &handler{
		auth:     &auth.Auth{Keys: table, Now: now, Limits: auth.Limits{Production: 1_000_000, Sandbox: 1_000_000}},
		accounts: table, checker: linker, now: now,
	}
	api := &httpapi.API{Log: slog.New(slog.DiscardHandler), Now: now, Routes: []httpapi.Route{{Method: http.MethodGet, Resource: "/v1/carriers/{carrier_id}/account", Handler: h.get}}}

	account := carrier.Account{ID: 11, PartnerID: 7, Environment: carrier.Production, OriginCountryCode: "AU", Active: true, CreatedAt: clock, ModifiedAt: clock}
	key, text, err := auth.MakeKey(rand.Reader, carrier.APIKey{PartnerID: 7, AccountID: 11, Environment: carrier.Production, CreatedAt: clock})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := table.CreateAccount(tb.Context(), store.NewAccount{Account: account, Key: key}, clock); err != nil {
		tb.Fatal(err)
	}
	charge := carrier.ChargeAccount{Carrier: carrier.AustraliaPost, Number: "0000123400", Credentials: carrier.Credentials{
		APIKey: carrier.NewSecret("11111111-2222-4333-8444-555555555555"), APISecret: carrier.NewSecret("xa1b2c3d4e5f60718293"),
	}}
	conn, err := linker.Link(tb.Context(), linking.LinkRequest{Account: account, ChargeAccount: charge, Nickname: "Main", RefreshPolicy: carrier.RefreshDaily})
	if err != nil {
		tb.Fatal(err)
	}
	w.get = func(refresh, etag string) events.APIGatewayProxyResponse {
		resp, _ := api.Serve(context.Background(), events.APIGatewayProxyRequest{
			HTTPMethod: http.MethodGet, Resource: "/v1/carriers/{carrier_id}/account", Path: "/v1/carriers/" + conn.ID + "/account",
			PathParameters: map[string]string{"carrier_id": conn.ID}, Headers: map[string]string{"API-Key": text.Reveal(), "If-None-Match": etag},
			QueryStringParameters: map[string]string{"refresh": refresh},
		})
		return resp
	}
	return w
}

// TestRemoteCalls counts: a stored snapshot is one write for the key beside one
// batch read; a live one adds claim, secret, carrier call and one transaction
// (design: "Round trips").
func TestRemoteCalls(t *testing.T) {
	w := newWorld(t)
	first := w.get("false", "") // the first use of a key in a minute is one call more
	live := []string{"UpdateItem", "GetSecretValue", "carrier GET", "TransactWriteItems"}
	tests := []struct {
		name, refresh, etag string
		status              int
		after               []string
	}{
		{"stored", "false", "", http.StatusOK, nil},
		{"not modified", "false", first.Headers["ETag"], http.StatusNotModified, nil},
		{"live", "true", "", http.StatusOK, live},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w.wire.Reset()
			if resp := w.get(tc.refresh, tc.etag); resp.StatusCode != tc.status {
				t.Fatalf("get answers %d: %s, want %d", resp.StatusCode, resp.Body, tc.status)
			}
			calls := w.wire.Calls()
			beside := slices.Sorted(slices.Values(calls[:2])) // at once, in either order
			if diff := cmp.Diff([]string{"BatchGetItem", "UpdateItem"}, beside); diff != "" {
				t.Errorf("calls of authentication (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.after, append([]string(nil), calls[2:]...)); diff != "" {
				t.Errorf("calls after authentication (-want +got):\n%s", diff)
			}
		})
	}
}
