package main

import (
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
	"carrierlink/shared/store"
	"carrierlink/shared/vault"
)

// TestRemoteCalls counts: the key's write beside one read of the account, one
// read of what is kept, and only where that is not enough the secret, leave for
// each call of the carrier, the call, and one write.
func TestRemoteCalls(t *testing.T) { probe.Attempts(t, remoteCalls) }

func remoteCalls(t *probe.Attempt) {
	tableURL := probe.Emulator(t, emulator.StartDynamoDBLocal)
	secretsURL := probe.Emulator(t, emulator.StartMiniStack)
	probe.Table(t, emulator.Config(tableURL), "calls")
	wire := probe.Wire{Carrier: simulator.NewTransport()}
	t.Watch(&wire)
	clock := time.Date(2026, 11, 22, 6, 0, 10, 0, time.UTC)
	now := func() time.Time { return clock }
	table := store.New(dynamodb.NewFromConfig(wire.Config(tableURL)), "calls", store.Options{})
	credentials := vault.New(secretsmanager.NewFromConfig(wire.Config(secretsURL)), "calls/carrier/")
	client, err := auspost.New(auspost.Options{BaseURL: simulator.BaseURL, Transport: &wire})
	if err != nil {
		t.Fatal(err)
	}
	h := &handler{
		auth:        &auth.Auth{Keys: table, Now: now, Limits: auth.Limits{Production: 1_000_000}},
		connections: table, cache: table, secrets: credentials, carriers: carrier.PerEnvironment[tracker]{Production: client, Sandbox: client}, now: now,
	}
	api := &httpapi.API{Log: slog.New(slog.DiscardHandler), Now: now, Routes: []httpapi.Route{{Method: http.MethodGet, Resource: "/v1/tracking", Handler: h.track}}}

	k, text, err := auth.MakeKey(rand.Reader, carrier.APIKey{PartnerID: 5, AccountID: 71, Environment: carrier.Production, CreatedAt: clock})
	if err != nil {
		t.Fatal(err)
	}
	account := carrier.Account{ID: 71, PartnerID: 5, Environment: carrier.Production, Active: true, CreatedAt: clock}
	if _, err := table.CreateAccount(t.Context(), store.NewAccount{Account: account, Key: k}, clock); err != nil {
		t.Fatal(err)
	}
	conn := carrier.Connection{
		ID: "se-1234567", AccountID: 71, PartnerID: 5, Carrier: carrier.AustraliaPost, AccountNumber: "0000123400", Status: carrier.Linking,
		Standing: carrier.StandingActive, CreatedAt: clock, LeaseUntil: clock.Add(time.Minute), MerchantLocationID: "ZZ9",
	}
	if err := table.BeginLink(t.Context(), &conn, carrier.LinkOptions{}); err != nil {
		t.Fatal(err)
	}
	conn.SecretVersion, err = credentials.Create(t.Context(), 71, conn.ID, "0123456789abcdef0123456789abcdef", carrier.Credentials{APIKey: carrier.NewSecret("key"), APISecret: carrier.NewSecret("secret")})
	if err != nil {
		t.Fatal(err)
	}
	conn.Status = carrier.Active
	if err := table.FinishLink(t.Context(), &conn, nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	ask := func(name, value string, numbers ...string) events.APIGatewayProxyResponse {
		resp, err := api.Serve(t.Context(), events.APIGatewayProxyRequest{
			HTTPMethod: http.MethodGet, Resource: "/v1/tracking", Path: "/v1/tracking", Headers: map[string]string{"API-Key": text.Reveal()},
			MultiValueQueryStringParameters: map[string][]string{name: {value}, "tracking_number": numbers},
		})
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	ask("carrier_id", "se-1") // the first use of a key in a minute is one call more

	one := []string{"BatchGetItem", "UpdateItem"}
	call := []string{"UpdateItem", "carrier GET"}
	tests := []struct {
		name, by, value string
		numbers         []string
		status          int
		beside          []string // at once, in any order
		after           []string
	}{
		{"a wrong number", "carrier_id", conn.ID, []string{"A,B"}, 400, one, nil},
		{"no such connection", "carrier_id", "se-1", []string{parcel}, 404, one, nil},
		{"an unknown number", "carrier_id", conn.ID, []string{unknown}, 404, one, slices.Concat([]string{"BatchGetItem", "GetSecretValue"}, call, []string{"BatchWriteItem"})},
		{"an unknown number again", "carrier_id", conn.ID, []string{unknown}, 404, one, []string{"BatchGetItem"}},
		{"live", "carrier_id", conn.ID, []string{parcel}, 200, one, slices.Concat([]string{"BatchGetItem", "GetSecretValue"}, call, []string{"BatchWriteItem"})},
		{"kept", "carrier_id", conn.ID, []string{parcel}, 200, one, []string{"BatchGetItem"}},
		{"by carrier", "carrier_code", "australia_post", []string{parcel}, 200, one, []string{"Query", "BatchGetItem"}},
		{"ten", "carrier_id", conn.ID, []string{
			"ZZ91000634010000", "ZZ91000634010001", "ZZ91000634010002", "ZZ91000634010003", "ZZ91000634010004",
			"ZZ91000634010005", "ZZ91000634010006", "ZZ91000634010007", "ZZ91000634010008", "ZZ91000634010009",
		}, 200, one, slices.Concat([]string{"BatchGetItem", "GetSecretValue"}, call, []string{"BatchWriteItem"})},
		{"both brands", "carrier_id", conn.ID, []string{starTrack, abroad}, 200, one, slices.Concat([]string{"BatchGetItem", "GetSecretValue"}, call, call, []string{"BatchWriteItem"})},
		// The simulator knows that the first is StarTrack's and takes the second for Australia Post's.
		{"both brands, of one form", "carrier_id", conn.ID, []string{"2FWZ00000001", "36ZZ40000001"}, 200, one, slices.Concat([]string{"BatchGetItem", "GetSecretValue"}, call, call, call, []string{"BatchWriteItem"})},
	}
	t.Run("a forged key, by carrier", func(t *probe.Attempt) {
		forged, err := auth.NewKey(rand.Reader, carrier.Production, 0, 71)
		if err != nil {
			t.Fatal(err)
		}
		own := text
		text = forged.Text
		defer func() { text = own }()
		wire.Reset()
		if resp := ask("carrier_code", "australia_post", parcel); resp.StatusCode != http.StatusUnauthorized {
			t.Fatalf("%d %s, want 401", resp.StatusCode, resp.Body)
		}
		expect(t, "calls", one, slices.Sorted(slices.Values(wire.Calls())))
	})
	for _, tc := range tests {
		t.Run(tc.name, func(t *probe.Attempt) {
			wire.Reset()
			if resp := ask(tc.by, tc.value, tc.numbers...); resp.StatusCode != tc.status {
				t.Fatalf("%d %s, want %d", resp.StatusCode, resp.Body, tc.status)
			}
			calls := wire.Calls()
			if len(calls) < len(tc.beside) {
				t.Fatalf("calls = %q", calls)
			}
			expect(t, "calls of authentication", tc.beside, slices.Sorted(slices.Values(calls[:len(tc.beside)])))
			if diff := cmp.Diff(tc.after, append([]string(nil), calls[len(tc.beside):]...)); diff != "" {
				t.Errorf("calls after authentication (-want +got):\n%s", diff)
			}
		})
	}
}
