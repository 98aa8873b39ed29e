package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/probe"
	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/linking"
	"carrierlink/shared/seal"
	"carrierlink/shared/store"
	"carrierlink/shared/vault"
)

const crashTable, crashPrefix = "carrierlink-test", "carrierlink-test/carrier/"

// wired is the function over real engines.
type wired struct {
	*desk
	tableURL, secretsURL string
	table                *store.Store
	keeper               *linking.Linker
	secrets              *secretsmanager.Client
	account              int64
	conn                 carrier.Connection
}

// wellAnswers is a carrier that is well.
type wellAnswers struct{}

func (wellAnswers) GetAccount(context.Context, carrier.ChargeAccount, int) carrier.Reading {
	return carrier.Reading{Outcome: carrier.OutcomeOK, Raw: []byte(`{}`)}
}

// newWired has an account with one linked connection.
func newWired(t *testing.T, tableURL, secretsURL string) *wired {
	t.Helper()
	w := &wired{
		desk:     &desk{clock: time.Date(2026, 11, 22, 6, 0, 10, 0, time.UTC), keys: map[string]string{}},
		tableURL: tableURL, secretsURL: secretsURL, secrets: secretsmanager.NewFromConfig(emulator.Config(secretsURL)),
	}
	w.table = store.New(dynamodb.NewFromConfig(emulator.Config(tableURL)), crashTable, store.Options{})
	w.keeper = &linking.Linker{
		CallsPerMinute: 1_000_000, LinksPerMinute: 1_000_000,
		Store: w.table, Vault: vault.New(w.secrets, crashPrefix), Carriers: linking.Carriers{Production: wellAnswers{}},
		Timing: carrier.Timing{RefusalGap: carrier.RefusalGap, Speed: 1}, Now: func() time.Time { return w.clock }, Random: rand.Reader,
	}
	id, err := carrier.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w.account = id
	w.key(t, "partner", carrier.APIKey{PartnerID: id}, func(k carrier.APIKey) error {
		return w.table.CreatePartner(t.Context(), carrier.Partner{ID: id, Environment: carrier.Production}, k)
	})
	account := carrier.Account{ID: id, PartnerID: id, Environment: carrier.Production, Active: true, CreatedAt: w.clock, ModifiedAt: w.clock}
	w.key(t, "merchant", carrier.APIKey{PartnerID: id, AccountID: id}, func(k carrier.APIKey) error {
		_, err := w.table.CreateAccount(t.Context(), store.NewAccount{Account: account, Key: k}, w.clock)
		return err
	})
	conn, err := w.keeper.Link(t.Context(), linking.LinkRequest{
		Account: account, RefreshPolicy: carrier.RefreshHourly, ChargeAccount: carrier.ChargeAccount{
			Carrier: carrier.AustraliaPost, Number: "0000123400",
			Credentials: carrier.Credentials{APIKey: carrier.NewSecret("a key"), APISecret: carrier.NewSecret("a secret")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.conn = *conn
	return w
}

// process is a process of the function, with the time of now, and everything
// that it works with its own: it can be killed.
func (w *wired) process() (*desk, *probe.Wire) {
	wire, clock := &probe.Wire{}, w.clock
	now := func() time.Time { return clock }
	table := store.New(dynamodb.NewFromConfig(wire.Config(w.tableURL)), crashTable, store.Options{})
	secrets := secretsmanager.NewFromConfig(wire.Config(w.secretsURL))
	h := &handler{
		auth: &auth.Auth{Keys: table, Now: now, Limits: auth.Limits{Production: 1_000_000}}, accounts: table,
		linker: &linking.Linker{Store: table, Vault: vault.New(secrets, crashPrefix), Now: now},
		sealer: seal.New(func(context.Context) (carrier.Secret, error) { return carrier.NewSecret("the service secret"), nil }), now: now,
	}
	api := &httpapi.API{Log: slog.New(slog.DiscardHandler), Now: now, Routes: h.routes()}
	return &desk{handler: h, api: api, keys: maps.Clone(w.keys)}, wire
}

// do makes the request of an operation in a process of its own.
func (w *wired) do(t *testing.T, method, suffix, idempotencyKey string) int {
	t.Helper()
	d, _ := w.process()
	return w.request(t, d, method, suffix, idempotencyKey)
}

func (w *wired) request(t *testing.T, d *desk, method, suffix, idempotencyKey string) int {
	t.Helper()
	var headers []string
	if idempotencyKey != "" {
		headers = []string{"Idempotency-Key", idempotencyKey}
	}
	return d.ask(t, "partner", method, fmt.Sprintf("%s/%d%s", allPath, w.account, suffix), "", headers...).StatusCode
}

// whole checks that table and vault agree with the account, and that nothing is
// left to do.
func (w *wired) whole(t *testing.T, deleted bool) {
	t.Helper()
	l, err := w.table.Load(t.Context(), w.account, store.Want{Now: w.clock, ConnectionID: w.conn.ID})
	if err != nil {
		t.Fatal(err)
	}
	row := l.Connection
	if l.Account.Deleted() != deleted || l.Account.Following {
		t.Errorf("the account is deleted: %t, to be followed: %t, want deleted: %t", l.Account.Deleted(), l.Account.Following, deleted)
	}
	if row.Standing != l.Account.Standing() || row.Work != carrier.NoWork || !row.LeaseUntil.IsZero() || row.PurgeAt != l.Account.PurgeAt {
		t.Errorf("the row: standing %s, work %q, lease %v, purge at %v; the account's standing %s, purge at %v",
			row.Standing, row.Work, row.LeaseUntil, row.PurgeAt, l.Account.Standing(), l.Account.PurgeAt)
	}
	due, _, err := w.table.Due(t.Context(), row.Lane(), w.clock.Add(24*time.Hour), 10_000)
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
	left, _, err := w.table.Unfinished(t.Context(), w.clock.Add(24*time.Hour), 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range left {
		if u.AccountID == w.account {
			t.Errorf("%+v is unfinished", u)
		}
	}
	secret, err := w.secrets.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{
		SecretId: aws.String(fmt.Sprintf("%s%d/%s", crashPrefix, w.account, w.conn.ID)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if scheduled := secret.DeletedDate != nil; scheduled != deleted {
		t.Errorf("the secret is scheduled for deletion: %t, want %t", scheduled, deleted)
	}
}

// TestCrashAfterEachCall kills the process after each remote call of a deletion
// and of a restore. Then the same request comes again, or the reconciler, or
// both: table and vault agree, and with what the account is by then. Before the
// lease of the dead one is over a repeat may leave it to a later one.
func TestCrashAfterEachCall(t *testing.T) {
	tableURL := probe.Emulator(t, emulator.StartDynamoDBLocal)
	secretsURL := probe.Emulator(t, emulator.StartMiniStack)
	probe.Table(t, emulator.Config(tableURL), crashTable)
	for _, op := range []struct {
		name, method, suffix, key string
		repeats                   []int // the answers that a repeat may have
		finishes                  bool  // a repeat needs no reconciler
	}{
		{"delete", http.MethodDelete, "", "", []int{http.StatusNoContent}, true},
		{"restore", http.MethodPut, "/restore", "", []int{http.StatusNoContent, http.StatusConflict}, false},
		{"restore with an idempotency key", http.MethodPut, "/restore", "order-66", []int{http.StatusNoContent}, false},
	} {
		for _, repeat := range []bool{true, false} {
			for n, more := 1, true; more; n++ {
				t.Run(fmt.Sprintf("%s, call %d, repeated %t", op.name, n, repeat), func(t *testing.T) {
					w := newWired(t, tableURL, secretsURL)
					if op.suffix == "/restore" {
						if status := w.do(t, http.MethodDelete, "", ""); status != http.StatusNoContent {
							t.Fatalf("the deletion before answers %d", status)
						}
						w.whole(t, true)
					}
					d, wire := w.process()
					if more = wire.DieAfter(n, func() { w.request(t, d, op.method, op.suffix, op.key) }); !more && n < 9 {
						t.Fatalf("it made %d remote calls, want at least 9", n-1)
					}
					w.clock = w.clock.Add(31 * time.Second)
					if repeat {
						status := w.do(t, op.method, op.suffix, op.key)
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
					l, err := w.table.Load(t.Context(), w.account, store.Want{Now: w.clock})
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

// reconcile runs the reconciler, which may find what other tests have left too.
func (w *wired) reconcile(t *testing.T) {
	t.Helper()
	report, err := w.keeper.Reconcile(t.Context(), 500)
	if err != nil || report.Failed > 0 {
		t.Fatal(errors.Join(err, fmt.Errorf("report %+v", report)))
	}
}
