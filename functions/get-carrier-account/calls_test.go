package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/carrier"
	"carrierlink/shared/health"
	"carrierlink/shared/store/kit"
)

// world is the function over real engines, with one linked account.
type world struct {
	*functiontest.Fixture
	seen inputs
	id   string
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{}
	engines := functiontest.StartEngines(tb)
	engines.Tap = func(client *dynamodb.Client) kit.API {
		w.seen.Client = client
		return &w.seen
	}
	w.Fixture = functiontest.OnEngines(tb, engines, "calls")
	serve(w.Fixture)
	w.id = w.Link(functiontest.Number).ID
	return w
}

func (w *world) get(refresh, etag string) events.APIGatewayProxyResponse {
	return w.Do("account 71", http.MethodGet, "/v1/carriers/"+w.id+"/account?refresh="+refresh, "", "If-None-Match", etag)
}

// TestRemoteCalls checks the calls of a request. A stored snapshot takes a write for the
// API key and a batch read, concurrently. A live read adds allowance, claim, secret,
// carrier call, a transaction and the carrier's tally, and one more read if the answer
// differs from the last; with an open breaker it adds nothing.
func TestRemoteCalls(t *testing.T) { calltrace.Attempts(t, remoteCalls) }

func remoteCalls(t *calltrace.Attempt) {
	w := newWorld(t)
	first := w.get("false", "") // the first use of a key in a minute is one call more
	live := []string{"TransactWriteItems", "GetSecretValue", "carrier GET", "TransactWriteItems", "UpdateItem"}
	tests := []struct {
		name, refresh, etag string
		before              func()
		status              int
		after               []string
	}{
		{"stored", "false", "", nil, http.StatusOK, nil},
		{"not modified", "false", first.Headers["ETag"], nil, http.StatusNotModified, nil},
		{"live", "true", "", nil, http.StatusOK, live},
		{"live, and another answer", "true", "", func() {
			raw := strings.Replace(carriersText, number, functiontest.Number, 1)
			w.Carrier.Reading = new(goodReading(t, raw))
		}, http.StatusOK, []string{"TransactWriteItems", "GetSecretValue", "BatchGetItem", "TransactWriteItems", "UpdateItem"}},
		{"the breaker is open", "true", "", func() {
			b := health.Breaker{Carrier: carrier.AustraliaPost}.Opened("outage", w.Clock, health.Timing{})
			if err := w.Store.SaveBreaker(t.Context(), &b); err != nil {
				t.Fatal(err)
			}
		}, http.StatusOK, nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *calltrace.Attempt) {
			if tc.before != nil {
				tc.before()
			}
			w.Transport.Reset()
			if resp := w.get(tc.refresh, tc.etag); resp.StatusCode != tc.status {
				t.Fatalf("get answers %d: %s, want %d", resp.StatusCode, resp.Body, tc.status)
			}
			if operation := map[string]string{"stored": "read_stored", "live": "read_live"}[tc.name]; operation != "" {
				w.Costs(t, operation)
			}
			calls := w.Transport.Calls()
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
