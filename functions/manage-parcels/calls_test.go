package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
)

// TestRemoteCalls checks the calls of a request: the write for the API key and the read of the
// account, concurrently; then those of the operation.
func TestRemoteCalls(t *testing.T) { calltrace.Attempts(t, remoteCalls) }

func remoteCalls(t *calltrace.Attempt) {
	d := serve(t, functiontest.OnEngines(t, functiontest.StartEngines(t), "calls"), 1000)
	conn := d.Link(functiontest.Number)
	d.post(merchant, "/v1/tracking/start", "") // the first use of a key in a minute is one call more
	many := func(n int) string {
		numbers := make([]string, n)
		for i := range numbers {
			numbers[i] = fmt.Sprintf(`"ZZ9200%03d"`, i)
		}
		return `{"carrier_id":"` + conn.ID + `","tracking_numbers":[` + strings.Join(numbers, ",") + `]}`
	}
	own := "?carrier_id=" + conn.ID + "&tracking_number=ZZ910001"
	begin := []string{"BatchGetItem", "UpdateItem"}
	for _, tc := range []struct {
		name, method, target, body string
		status                     int
		after                      []string
	}{
		{"wrong", "POST", "/v1/tracking/start", "", 400, nil},
		{"no such connection", "POST", "/v1/tracking/start?carrier_id=se-1&tracking_number=ZZ910001", "", 404, nil},
		{"start", "POST", "/v1/tracking/start" + own, "", 204, []string{"BatchGetItem", "TransactWriteItems"}},
		{"start again", "POST", "/v1/tracking/start" + own, "", 204, []string{"BatchGetItem"}},
		{"start by carrier", "POST", "/v1/tracking/start?carrier_code=australia_post&tracking_number=ZZ910002", "", 204, []string{"Query", "BatchGetItem", "TransactWriteItems"}},
		{"stop", "POST", "/v1/tracking/stop" + own, "", 204, []string{"TransactWriteItems"}},
		{"stop of nothing", "POST", "/v1/tracking/stop" + own, "", 204, []string{"TransactWriteItems"}},
		{"list", "GET", "/v1/shipments", "", 200, []string{"Query"}},
		{"150 numbers", "POST", "/v1/shipments", many(150), 200, []string{"BatchGetItem", "BatchGetItem", "BatchGetItem", "TransactWriteItems", "TransactWriteItems"}},
		{"150 numbers again", "POST", "/v1/shipments", many(150), 200, []string{"BatchGetItem", "BatchGetItem", "BatchGetItem"}},
	} {
		t.Run(tc.name, func(t *calltrace.Attempt) {
			d.Transport.Reset()
			if resp := d.Do(merchant, tc.method, tc.target, tc.body); resp.StatusCode != tc.status {
				t.Fatalf("%d %s, want %d", resp.StatusCode, resp.Body, tc.status)
			}
			calls := d.Transport.Calls()
			if len(calls) < len(begin) {
				t.Fatalf("calls = %q", calls)
			}
			functiontest.Diff(t, "calls of authentication", begin, slices.Sorted(slices.Values(calls[:len(begin)])))
			if diff := cmp.Diff(tc.after, append([]string(nil), calls[len(begin):]...)); diff != "" {
				t.Errorf("calls after authentication (-want +got):\n%s", diff)
			}
		})
	}
}
