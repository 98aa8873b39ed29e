package main

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/tracking"
)

// TestRemoteCalls checks the calls of a request: the write for the API key and the read of
// the account, concurrently; a read of the cache; and only if that is not enough the
// secret, for each call of the carrier its allowance and the call, and a write of the
// cache.
func TestRemoteCalls(t *testing.T) { calltrace.Attempts(t, remoteCalls) }

func remoteCalls(t *calltrace.Attempt) {
	d := &front{Fixture: functiontest.OnEngines(t, functiontest.StartEngines(t), "calls")}
	d.service = &tracking.Service{
		Connections: d.Store, Cache: d.Store, Vault: d.Vault, Carriers: carrier.PerEnvironment[tracking.Carrier]{Production: d.Client, Sandbox: d.Client}, Now: d.Now, Random: rand.Reader,
	}
	d.serve()
	conn := d.Link(functiontest.Number)
	ask := func(name, value string, numbers ...string) events.APIGatewayProxyResponse {
		return d.ask(functiontest.Account, name+"="+value+"&tracking_number="+strings.Join(numbers, "&tracking_number="))
	}
	ask("carrier_id", "se-1") // the first use of a key in a minute is one call more

	one := []string{"BatchGetItem", "UpdateItem"}
	call := []string{"UpdateItem", "carrier GET"}
	first := []string{"BatchGetItem", "GetSecretValue", "TransactWriteItems", "carrier GET"} // the transaction also records that the secret is read
	tests := []struct {
		name, by, value string
		numbers         []string
		status          int
		beside          []string // concurrent, in any order
		after           []string
	}{
		{"a wrong number", "carrier_id", conn.ID, []string{"A,B"}, 400, one, nil},
		{"no such connection", "carrier_id", "se-1", []string{parcel}, 404, one, nil},
		{"an unknown number", "carrier_id", conn.ID, []string{unknown}, 404, one, slices.Concat(first, []string{"BatchWriteItem"})},
		{"an unknown number again", "carrier_id", conn.ID, []string{unknown}, 404, one, []string{"BatchGetItem"}},
		{"live", "carrier_id", conn.ID, []string{parcel}, 200, one, slices.Concat(first, []string{"BatchWriteItem"})},
		{"cached", "carrier_id", conn.ID, []string{parcel}, 200, one, []string{"BatchGetItem"}},
		{"by carrier", "carrier_code", "australia_post", []string{parcel}, 200, one, []string{"Query", "BatchGetItem"}},
		{"ten", "carrier_id", conn.ID, []string{
			"ZZ91000634010000", "ZZ91000634010001", "ZZ91000634010002", "ZZ91000634010003", "ZZ91000634010004",
			"ZZ91000634010005", "ZZ91000634010006", "ZZ91000634010007", "ZZ91000634010008", "ZZ91000634010009",
		}, 200, one, slices.Concat(first, []string{"BatchWriteItem"})},
		{"both brands", "carrier_id", conn.ID, []string{starTrack, abroad}, 200, one, slices.Concat(first, call, []string{"BatchWriteItem"})},
		// The simulator knows that the first is StarTrack's and takes the second for Australia Post's.
		{"both brands, of one form", "carrier_id", conn.ID, []string{"2FWZ00000001", "36ZZ40000001"}, 200, one, slices.Concat(first, call, call, []string{"BatchWriteItem"})},
	}
	t.Run("a forged key, by carrier", func(t *calltrace.Attempt) {
		forged, err := account.NewKey(rand.Reader, carrier.Production, 0, 71)
		if err != nil {
			t.Fatal(err)
		}
		d.Transport.Reset()
		if resp := d.ask(functiontest.Account, "carrier_code=australia_post&tracking_number="+parcel, "API-Key", forged.Text.Reveal()); resp.StatusCode != http.StatusUnauthorized {
			t.Fatalf("%d %s, want 401", resp.StatusCode, resp.Body)
		}
		functiontest.Diff(t, "calls", one, slices.Sorted(slices.Values(d.Transport.Calls())))
	})
	for _, tc := range tests {
		t.Run(tc.name, func(t *calltrace.Attempt) {
			d.Transport.Reset()
			if resp := ask(tc.by, tc.value, tc.numbers...); resp.StatusCode != tc.status {
				t.Fatalf("%d %s, want %d", resp.StatusCode, resp.Body, tc.status)
			}
			if operation := map[string]string{"live": "track_live", "cached": "track_cached"}[tc.name]; operation != "" {
				d.Costs(t, operation)
			}
			calls := d.Transport.Calls()
			if len(calls) < len(tc.beside) {
				t.Fatalf("calls = %q", calls)
			}
			functiontest.Diff(t, "calls of authentication", tc.beside, slices.Sorted(slices.Values(calls[:len(tc.beside)])))
			if diff := cmp.Diff(tc.after, append([]string(nil), calls[len(tc.beside):]...)); diff != "" {
				t.Errorf("calls after authentication (-want +got):\n%s", diff)
			}
		})
	}
}
