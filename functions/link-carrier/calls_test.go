package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
)

// remoteCalls checks the calls of a link: authentication, allowance and carrier, intent,
// CreateSecret, activation; and the claim of an Idempotency-Key.
func remoteCalls(t *testing.T, engines functiontest.Engines) {
	t.Helper()
	work := []string{"UpdateItem", "carrier GET", "TransactWriteItems", "CreateSecret", "TransactWriteItems"}
	for name, tc := range map[string]struct {
		idempotencyKey string
		after          []string
	}{
		"without-a-key": {"", work},
		"with-one":      {"order-66", append([]string{"TransactWriteItems"}, work...)},
	} {
		t.Run(name, func(t *testing.T) {
			calltrace.Attempts(t, func(t *calltrace.Attempt) {
				d := functiontest.OnEngines(t, engines, fmt.Sprintf("%s-%d", name, t.N))
				serve(d)
				post(d, "account 71", "australia_post", "") // the first use of a key in a minute is one call more
				d.Transport.Reset()
				if resp := link(d, tc.idempotencyKey); resp.StatusCode != http.StatusOK {
					t.Fatalf("link answers %d: %s", resp.StatusCode, resp.Body)
				}
				if tc.idempotencyKey != "" {
					d.Costs(t, "link")
				}
				got := d.Transport.Calls()
				beside := slices.Sorted(slices.Values(got[:2])) // at once, in either order
				if diff := cmp.Diff([]string{"BatchGetItem", "UpdateItem"}, beside); diff != "" {
					t.Errorf("calls of authentication (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tc.after, got[2:]); diff != "" {
					t.Errorf("calls after authentication (-want +got):\n%s", diff)
				}
			})
		})
	}
}
