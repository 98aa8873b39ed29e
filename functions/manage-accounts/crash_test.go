package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/connection"
	"carrierlink/shared/store"
)

// wired is the function over real engines, with an account with one linked connection.
type wired struct {
	*front
	conn connection.Connection
}

func newWired(t *testing.T, engines functiontest.Engines, table string) *wired {
	t.Helper()
	d := functiontest.OnEngines(t, engines, table)
	return &wired{serve(d), d.Link(functiontest.Number)}
}

// request sends the request of an operation, in this process or in another one.
func request(d *functiontest.Fixture, method, suffix, idempotencyKey string) int {
	var headers []string
	if idempotencyKey != "" {
		headers = []string{"Idempotency-Key", idempotencyKey}
	}
	return d.Do("partner 5", method, fmt.Sprintf("%s/%d%s", allPath, functiontest.Account, suffix), "", headers...).StatusCode
}

// whole checks that table and vault agree with the account, and that no work remains.
func (w *wired) whole(t *testing.T, deleted bool) {
	t.Helper()
	l, err := w.Store.Load(t.Context(), functiontest.Account, store.Want{Now: w.Clock, ConnectionID: w.conn.ID})
	if err != nil {
		t.Fatal(err)
	}
	row := l.Connection
	if l.Account.Deleted() != deleted || l.Account.Following {
		t.Errorf("account deleted: %t, following: %t, want deleted: %t", l.Account.Deleted(), l.Account.Following, deleted)
	}
	if row.Standing != l.Account.Standing() || row.Work != connection.NoWork || !row.LeaseUntil.IsZero() || row.PurgeAt != l.Account.PurgeAt {
		t.Errorf("connection: standing %s, work %q, lease %v, purge at %v; account: standing %s, purge at %v",
			row.Standing, row.Work, row.LeaseUntil, row.PurgeAt, l.Account.Standing(), l.Account.PurgeAt)
	}
	due, _, err := w.Store.Due(t.Context(), row.Lane(), w.Clock.Add(48*time.Hour), 10_000)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, c := range due {
		found = found || c.ConnectionID == w.conn.ID && c.DueAt.Equal(row.NextRefreshAt)
	}
	if found == deleted {
		t.Errorf("the connection is in the due index: %t", found)
	}
	left, _, err := w.Store.Unfinished(t.Context(), w.Clock.Add(48*time.Hour), 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range left {
		if u.AccountID == functiontest.Account {
			t.Errorf("%+v is unfinished", u)
		}
	}
	secret, err := w.Secrets.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{
		SecretId: aws.String(w.SecretName(w.conn.ID)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if scheduled := secret.DeletedDate != nil; scheduled != deleted {
		t.Errorf("the secret is scheduled for deletion: %t, want %t", scheduled, deleted)
	}
}

// TestCrashAfterEachCall kills the process after each remote call of a deletion and of a
// restore. Then the request is repeated, or the reconciler runs, or both: table and vault
// agree with the account. A repeat may leave work to the reconciler while the lease of the
// dead process lasts.
func TestCrashAfterEachCall(t *testing.T) {
	engines := functiontest.StartEngines(t)
	for _, op := range []struct {
		name, method, suffix, key string
		repeats                   []int // the statuses that a repeat may have
		finishes                  bool  // a repeat completes it without the reconciler
	}{
		{"delete", http.MethodDelete, "", "", []int{http.StatusNoContent}, true},
		{"restore", http.MethodPut, "/restore", "", []int{http.StatusNoContent, http.StatusConflict}, false},
		{"restore with an idempotency key", http.MethodPut, "/restore", "order-66", []int{http.StatusNoContent}, false},
	} {
		for _, repeat := range []bool{true, false} {
			for n, more := 1, true; more; n++ {
				t.Run(fmt.Sprintf("%s, call %d, repeated %t", op.name, n, repeat), func(t *testing.T) {
					w := newWired(t, engines, fmt.Sprintf("%s-%d-%t", strings.ReplaceAll(op.name, " ", "-"), n, repeat))
					if op.suffix == "/restore" {
						if status := request(w.Fixture, http.MethodDelete, "", ""); status != http.StatusNoContent {
							t.Fatalf("deletion before the restore answers %d", status)
						}
						w.whole(t, true)
					}
					p := w.Process()
					serve(p)
					if more = p.Transport.DieAfter(n, func() { request(p, op.method, op.suffix, op.key) }); !more && n < 9 {
						t.Fatalf("the operation took %d remote calls, want at least 9", n-1)
					}
					w.Pass(31 * time.Second)
					if repeat {
						status := request(w.Fixture, op.method, op.suffix, op.key)
						if !more && op.method == http.MethodPut && op.key == "" {
							op.repeats = []int{http.StatusConflict}
						}
						if ok := status == op.repeats[0] || status == op.repeats[len(op.repeats)-1]; !ok {
							t.Errorf("the repeat answers %d, want %v", status, op.repeats)
						}
					}
					if !repeat || !op.finishes {
						w.reconcile(t)
					}
					l, err := w.Store.Load(t.Context(), functiontest.Account, store.Want{Now: w.Clock})
					if err != nil {
						t.Fatal(err)
					}
					deleted := l.Account.Deleted()
					if repeat && deleted != (op.method == http.MethodDelete) {
						t.Errorf("after the repeat the account is deleted: %t", deleted)
					}
					w.whole(t, deleted)
				})
			}
		}
	}
}

// reconcile runs the reconciler.
func (w *wired) reconcile(t *testing.T) {
	t.Helper()
	report, err := w.Connections.Reconcile(t.Context(), 500)
	if err != nil || report.Failed > 0 {
		t.Fatal(errors.Join(err, fmt.Errorf("report %+v", report)))
	}
}
