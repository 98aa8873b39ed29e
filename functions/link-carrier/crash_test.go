package main

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"carrierlink/infra/test/functiontest"
)

// link requests the link, with an Idempotency-Key if there is one.
func link(d *functiontest.Fixture, idempotencyKey string) events.APIGatewayProxyResponse {
	var headers []string
	if idempotencyKey != "" {
		headers = []string{"Idempotency-Key", idempotencyKey}
	}
	return post(d, "account 71", "australia_post", body(functiontest.Number, ""), headers...)
}

// TestOnEngines has the tests that need real engines, which are started once.
func TestOnEngines(t *testing.T) {
	engines := functiontest.StartEngines(t)
	t.Run("remote calls", func(t *testing.T) { remoteCalls(t, engines) })
	t.Run("crash after each call", func(t *testing.T) { crashAfterEachCall(t, engines) })
}

// killed requests the link in a process that is killed after its n-th remote call, and
// reports whether there were that many calls.
func killed(d *functiontest.Fixture, n int, idempotencyKey string) bool {
	p := d.Process()
	serve(p)
	return p.Transport.DieAfter(n, func() { link(p, idempotencyKey) })
}

// crashAfterEachCall kills the process after each remote call of a link. Then the same
// request is repeated: within the lease it may have to wait; afterwards there is one
// connection, one secret and no orphan. Or the reconciler runs, and leaves that, or
// nothing.
func crashAfterEachCall(t *testing.T, engines functiontest.Engines) {
	t.Helper()
	for _, idempotencyKey := range []string{"", "order-66"} {
		for n, more := 1, true; more; n++ {
			t.Run(fmt.Sprintf("key %q, call %d", idempotencyKey, n), func(t *testing.T) {
				d := functiontest.OnEngines(t, engines, "link-"+idempotencyKey+strconv.Itoa(n))
				serve(d)
				more = killed(d, n, idempotencyKey)
				if !more {
					if n < 6 {
						t.Fatalf("a link made %d remote calls, want at least 6", n-1)
					}
					d.One(t, functiontest.Number, functiontest.Credentials(functiontest.APIKey, functiontest.APISecret))
					return
				}
				early := link(d, idempotencyKey)
				if early.StatusCode != http.StatusOK && early.StatusCode != http.StatusConflict {
					t.Errorf("the repeat within the lease answers %d: %s", early.StatusCode, early.Body)
				}
				d.Pass(31 * time.Second)
				late := link(d, idempotencyKey)
				switch {
				case late.StatusCode == http.StatusOK:
				case late.StatusCode == http.StatusConflict && idempotencyKey == "" && late.Headers["Retry-After"] == "":
					// Without an idempotency key the repeat of a link that was done is
					// told so, with the connection's id.
				default:
					t.Errorf("the repeat after the lease answers %d: %s", late.StatusCode, late.Body)
				}
				d.One(t, functiontest.Number, functiontest.Credentials(functiontest.APIKey, functiontest.APISecret))

				reconciled := functiontest.OnEngines(t, engines, "reconcile-"+idempotencyKey+strconv.Itoa(n))
				serve(reconciled)
				killed(reconciled, n, idempotencyKey)
				reconciled.Pass(31 * time.Second)
				if _, err := reconciled.Connections.Reconcile(t.Context(), 10); err != nil {
					t.Fatal(err)
				}
				rows, err := reconciled.Store.AllConnections(t.Context(), functiontest.Account)
				if err != nil {
					t.Fatal(err)
				}
				if len(rows) == 0 {
					reconciled.Nothing(t)
				} else {
					reconciled.One(t, functiontest.Number, functiontest.Credentials(functiontest.APIKey, functiontest.APISecret))
				}
			})
		}
	}
}
