package schedule_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/calltrace"
	"carrierlink/shared/account"
	auspostapi "carrierlink/shared/auspost"
	"carrierlink/shared/auspost/simulator"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/health"
	"carrierlink/shared/schedule"
	"carrierlink/shared/secret"
	"carrierlink/shared/store"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/vault"
	"carrierlink/shared/vault/vaulttest"
)

// counting is a carrier that counts the checks of each charge account.
type counting struct {
	connection.Carrier
	mu    sync.Mutex
	calls map[string]int
}

func (c *counting) GetAccount(ctx context.Context, account connection.ChargeAccount, check int) connection.Reading {
	c.mu.Lock()
	c.calls[account.Number]++
	c.mu.Unlock()
	return c.Carrier.GetAccount(ctx, account, check)
}

// serviceOver returns a connection service over a store, with the simulator as its
// carrier, whose checks are counted.
func serviceOver(tb testing.TB, table connection.Store, now func() time.Time) (*connection.Service, *counting) {
	tb.Helper()
	client, err := auspostapi.New(auspostapi.Options{BaseURL: simulator.BaseURL, Transport: simulator.NewTransport(time.Now)})
	if err != nil {
		tb.Fatal(err)
	}
	asked := &counting{Carrier: client, calls: map[string]int{}}
	return &connection.Service{
		LinksPerMinute: 1_000_000,
		Store:          table, Vault: vault.New(vaulttest.NewMemory(), "test/carrier/"), Carriers: connection.Carriers{Production: asked}, Compare: auspostapi.Changes,
		Timing: health.Timing{RefusalGap: health.RefusalGap, Speed: 1}, Now: now, Random: rand.Reader, Jitter: seeded(tb, now),
	}, asked
}

// TestExactlyOnce runs on a real table engine. Every message is delivered one to five
// times, in any order, in concurrent batches, some in the next period; one message in
// ten is poison. Each connection must be checked exactly once in each period, with one
// entry in its history, and only the poison may be delivered again.
//
// A run with lost answers does not count: a call fails after the SDK's third attempt, and
// a repeat is an edit of its own if another one came between.
func TestExactlyOnce(t *testing.T) { calltrace.Attempts(t, exactlyOnce) }

func exactlyOnce(t *calltrace.Attempt) {
	const (
		accounts, each = 50, 20
		all            = accounts * each
		periods        = 2
		atOnce         = 8 // batches
	)
	url := calltrace.Emulator(t, emulator.StartDynamoDBLocal)
	calltrace.Table(t, emulator.Config(url), "once")
	var wire calltrace.Transport
	t.Watch(&wire)
	table := store.New(dynamodb.NewFromConfig(wire.Config(url)), "once", kit.Options{})
	clock := at()
	service, asked := serviceOver(t, table, func() time.Time { return clock })
	worker := schedule.Worker{Checker: service, Breakers: table}

	rows := make([]connection.Connection, all)
	var linked sync.WaitGroup
	for a := range accounts {
		account := account.Account{ID: int64(a + 1), PartnerID: 5, Environment: carrier.Production, Active: true}
		makeAccount(t, table, account)
		linked.Go(func() {
			for n := a * each; n < (a+1)*each; n++ {
				conn, err := service.Link(t.Context(), connection.LinkRequest{
					Account: account, RefreshPolicy: connection.RefreshHourly,
					ChargeAccount: connection.ChargeAccount{
						Carrier: carrier.AustraliaPost, Number: fmt.Sprintf("%08d00", n),
						Credentials: connection.Credentials{APIKey: secret.New(fmt.Sprint("key ", n)), APISecret: secret.New("secret")},
					},
				})
				if err != nil {
					t.Error(err)
					return
				}
				rows[n] = *conn
			}
		})
	}
	if linked.Wait(); t.Failed() {
		t.FailNow()
	}

	deliveries := 0
	var late []schedule.Received // delivered in the next period
	for period := 1; period <= periods; period++ {
		clock = clock.Add(2 * time.Hour)
		messages := late
		late = nil
		for n, row := range rows {
			text, err := json.Marshal(schedule.Message{AccountID: row.AccountID, ConnectionID: row.ID, Lane: row.Lane()})
			if err != nil {
				t.Fatal(err)
			}
			for copies := range 1 + mathrand.IntN(5) {
				m := schedule.Received{ID: fmt.Sprint("message ", n), Body: string(text)}
				if copies > 1 && period < periods && mathrand.IntN(4) == 0 {
					late = append(late, m)
				} else {
					messages = append(messages, m)
				}
			}
		}
		for n := range len(messages) / 9 {
			messages = append(messages, schedule.Received{ID: fmt.Sprint("poison ", n), Body: poison[n%len(poison)]})
		}
		mathrand.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
		deliveries += len(messages)

		batches := make(chan []schedule.Received)
		failed := make([][]string, atOnce)
		var working sync.WaitGroup
		for w := range atOnce {
			working.Go(func() {
				for batch := range batches {
					failed[w] = append(failed[w], worker.Work(t.Context(), batch)...)
				}
			})
		}
		for batch := range slices.Chunk(messages, 10) {
			batches <- batch
		}
		close(batches)
		working.Wait()

		var want []string
		for _, m := range messages {
			if strings.HasPrefix(m.ID, "poison") {
				want = append(want, m.ID)
			}
		}
		got := slices.Sorted(slices.Values(slices.Concat(failed...)))
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("period %d: messages to be delivered again (-want +got):\n%s", period, diff)
		}
		// The link made one more check.
		once := 0
		for _, row := range rows {
			calls := asked.calls[row.AccountNumber]
			entries, _, err := table.History(t.Context(), row.AccountID, row.ID, nil, 0, 10, clock)
			if err != nil {
				t.Fatal(err)
			}
			if calls != 1+period || len(entries) != 1+period || entries[0].At != clock || entries[0].Trigger != connection.TriggerSchedule {
				t.Errorf("period %d: %s has had %d checks, its history %d", period, row.ID, calls-1, len(entries)-1)
				continue
			}
			once++
		}
		t.Logf("period %d: %d of %d connections checked once by %d messages, %d of them poison", period, once, all, len(messages), len(want))
	}
	t.Logf("%d deliveries for %d due checks", deliveries, periods*all)
}
