package main

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
)

// TestRemoteCalls: the key and the account are read concurrently, then an allowance is
// counted and the carrier is called.
func TestRemoteCalls(t *testing.T) { calltrace.Attempts(t, remoteCalls) }

func remoteCalls(t *calltrace.Attempt) {
	d := functiontest.OnEngines(t, functiontest.StartEngines(t), "validate")
	serve(d)
	d.Link(functiontest.OtherNumber)
	ask(d, accountText, "australia_post", "") // the first use of a key in a minute is one call more
	for name, tc := range map[string]struct {
		number string
		after  []string
	}{
		"a mistake": {"1", []string{}}, "good": {"0000123400", []string{"UpdateItem", "carrier GET"}}, "refused": {"0000123401", []string{"UpdateItem", "carrier GET"}},
		"linked already": {functiontest.OtherNumber, []string{"BatchGetItem"}},
	} {
		t.Run(name, func(t *calltrace.Attempt) {
			d.Transport.Reset()
			if resp := ask(d, accountText, "australia_post", body(tc.number, functiontest.APIKey, functiontest.APISecret), "Idempotency-Key", "k"); resp.StatusCode != http.StatusOK {
				t.Fatalf("%d %s", resp.StatusCode, resp.Body)
			}
			calls := d.Transport.Calls()
			beside := slices.Sorted(slices.Values(calls[:2])) // at once, in either order
			if diff := cmp.Diff([]string{"BatchGetItem", "UpdateItem"}, beside); diff != "" {
				t.Errorf("calls of authentication (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.after, calls[2:]); diff != "" {
				t.Errorf("calls after authentication (-want +got):\n%s", diff)
			}
		})
	}
}
