package main

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/connection"
)

// TestOnEngines has the tests that need real engines, which are started once.
func TestOnEngines(t *testing.T) {
	engines := functiontest.StartEngines(t)
	t.Run("remote calls", func(t *testing.T) {
		calltrace.Attempts(t, func(t *calltrace.Attempt) { remoteCalls(t, engines) })
	})
	t.Run("crash after each call", func(t *testing.T) { crashAfterEachCall(t, engines) })
	t.Run("crash without an idempotency key", func(t *testing.T) { crashWithoutAKey(t, engines) })
}

// scenario is a request that is killed after each of its remote calls.
type scenario struct {
	name string
	// arrange is what was done to the connection before; nil: nothing.
	arrange func(f *front)
	do      func(f *front) events.APIGatewayProxyResponse
	// late tells whether the repeat after the lease may answer so.
	late func(status int) bool
	// undone and done look at what is there if nothing was done, or all was.
	undone, done func(t *testing.T, f *front)
	isDone       func(f *front, before connection.Connection) bool
}

func is2xx(status int) bool { return status/100 == 2 }

// holds checks for one connection with these things, and its checks.
func holds(number string, c connection.Credentials, checks int) func(*testing.T, *front) {
	return func(t *testing.T, f *front) {
		t.Helper()
		row := f.One(t, number, c)
		if h := f.History(f.id); len(h) != checks || row.ChecksEver != checks {
			t.Errorf("%d checks in the history, %d in the row, want %d", len(h), row.ChecksEver, checks)
		}
	}
}

func scenarios() []scenario {
	const key = "order-66"
	swapped := func(f *front, before connection.Connection) bool {
		row := f.Row(f.id)
		return row.SecretVersion != before.SecretVersion || row.AccountNumber != before.AccountNumber
	}
	return []scenario{
		{
			name: "credentials", do: func(f *front) events.APIGatewayProxyResponse { return f.change(bodyNew, "Idempotency-Key", key) },
			late: is2xx, undone: holds(functiontest.Number, oldCredentials, 1), done: holds(functiontest.Number, newCredentials, 2), isDone: swapped,
		},
		{
			name: "credentials and number of this state",
			do: func(f *front) events.APIGatewayProxyResponse {
				return f.change(`{"account_number":"`+functiontest.OtherNumber+`",`+bodyNew[1:], "Idempotency-Key", key, "If-Match", f.tag)
			},
			late: is2xx, undone: holds(functiontest.Number, oldCredentials, 1), done: holds(functiontest.OtherNumber, newCredentials, 2), isDone: swapped,
		},
		{
			name: "number", do: func(f *front) events.APIGatewayProxyResponse {
				return f.change(`{"account_number":"`+functiontest.OtherNumber+`"}`, "Idempotency-Key", key)
			},
			late: is2xx, undone: holds(functiontest.Number, oldCredentials, 1), done: holds(functiontest.OtherNumber, oldCredentials, 2), isDone: swapped,
		},
		{
			name: "rollback", arrange: func(f *front) { f.change(bodyNew) },
			do:   func(f *front) events.APIGatewayProxyResponse { return f.rollback("Idempotency-Key", key) },
			late: is2xx, undone: holds(functiontest.Number, newCredentials, 2), done: holds(functiontest.Number, oldCredentials, 3), isDone: swapped,
		},
		{
			name: "verify", do: func(f *front) events.APIGatewayProxyResponse { return f.verify("Idempotency-Key", key) },
			late: is2xx, undone: func(*testing.T, *front) {}, done: holds(functiontest.Number, oldCredentials, 2),
			isDone: func(f *front, _ connection.Connection) bool { return f.Row(f.id).ChecksEver == 2 },
		},
		{
			name: "refresh", do: func(f *front) events.APIGatewayProxyResponse { return f.refresh("Idempotency-Key", key) },
			late: is2xx, undone: holds(functiontest.Number, oldCredentials, 1), done: holds(functiontest.Number, oldCredentials, 1),
			isDone: func(f *front, _ connection.Connection) bool { return !f.Row(f.id).RefreshRequestedAt.IsZero() },
		},
		{
			name: "unlink", do: (*front).unlink, late: func(status int) bool { return status == http.StatusNoContent || status == http.StatusNotFound },
			undone: holds(functiontest.Number, oldCredentials, 1), done: func(t *testing.T, f *front) { t.Helper(); f.Gone(t) },
			isDone: func(f *front, _ connection.Connection) bool { return f.Row(f.id).Status == connection.Disconnected },
		},
	}
}

// killed makes a request in a process that is killed after its n-th remote call, and
// reports whether there were that many calls.
func killed(f *front, n int, do func(*front) events.APIGatewayProxyResponse) bool {
	p := *f
	p.Fixture = f.Process()
	serve(p.Fixture)
	return p.Transport.DieAfter(n, func() { do(&p) })
}

// crashAfterEachCall kills the process after each remote call of a request. Then the
// same request is repeated: within the lease it may have to wait; afterwards it
// succeeds, and the work is done once. Or the reconciler runs: the work is done, or
// undone.
func crashAfterEachCall(t *testing.T, engines functiontest.Engines) {
	t.Helper()
	for s, sc := range scenarios() {
		arranged := func(t *testing.T, name string) *front {
			t.Helper()
			f := newFront(t, functiontest.OnEngines(t, engines, name), functiontest.Number)
			if sc.arrange != nil {
				sc.arrange(f)
			}
			f.tag = tagOf(f)
			return f
		}
		for n, more := 1, true; more; n++ {
			t.Run(fmt.Sprintf("%s, call %d", sc.name, n), func(t *testing.T) {
				f := arranged(t, fmt.Sprintf("repeat-%d-%d", s, n))
				before := f.Row(f.id)
				more = killed(f, n, sc.do)
				if !more {
					sc.done(t, f)
					return
				}
				if early := sc.do(f); !sc.late(early.StatusCode) && early.StatusCode != http.StatusConflict {
					t.Errorf("the repeat within the lease answers %d: %s", early.StatusCode, early.Body)
				}
				f.Pass(31 * time.Second)
				if late := sc.do(f); !sc.late(late.StatusCode) {
					t.Errorf("the repeat after the lease answers %d: %s", late.StatusCode, late.Body)
				}
				// A repeat that was answered from the first one's answer leaves the
				// housekeeping to the reconciler.
				if f.Row(f.id).Work != connection.NoWork {
					reconcile(t, f)
				}
				if !sc.isDone(f, before) {
					t.Error("the work was not done")
				}
				sc.done(t, f)

				f = arranged(t, fmt.Sprintf("reconcile-%d-%d", s, n))
				before = f.Row(f.id)
				killed(f, n, sc.do)
				f.Pass(31 * time.Second)
				reconcile(t, f)
				if sc.isDone(f, before) {
					sc.done(t, f)
				} else {
					sc.undone(t, f)
				}
			})
		}
	}
}

func reconcile(t *testing.T, f *front) {
	t.Helper()
	if report, err := f.Connections.Reconcile(t.Context(), 10); err != nil || report.Busy+report.Failed > 0 {
		t.Errorf("Reconcile = %+v, %v", report, err)
	}
}

// crashWithoutAKey: a change of credentials that is repeated without an Idempotency-Key
// is made at most once more.
func crashWithoutAKey(t *testing.T, engines functiontest.Engines) {
	t.Helper()
	for n, more := 1, true; more; n++ {
		t.Run(fmt.Sprint("call ", n), func(t *testing.T) {
			f := newFront(t, functiontest.OnEngines(t, engines, fmt.Sprintf("keyless-%d", n)), functiontest.Number)
			more = killed(f, n, func(f *front) events.APIGatewayProxyResponse { return f.change(bodyNew) })
			f.Pass(31 * time.Second)
			if resp := f.change(bodyNew); resp.StatusCode != http.StatusOK {
				t.Errorf("again: %d %s", resp.StatusCode, resp.Body)
			}
			f.One(t, functiontest.Number, newCredentials)
			// Others come after, and find nothing in their way.
			if resp := f.change(`{"api_key":"` + functiontest.APIKey + `","api_secret":"` + functiontest.APISecret + `"}`); resp.StatusCode != http.StatusOK {
				t.Errorf("the next one: %d %s", resp.StatusCode, resp.Body)
			}
			f.One(t, functiontest.Number, oldCredentials)
		})
	}
}
