package refresh_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	auspostapi "carrierlink/shared/auspost"
	"carrierlink/shared/auspost/simulator"
	"carrierlink/shared/carrier"
	"carrierlink/shared/linking"
	"carrierlink/shared/refresh"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/vault"
	"carrierlink/shared/vault/vaulttest"
)

// TestLaggingIndex: the index goes on naming connections that were checked, and
// one that was unlinked. Each pass sends them again; the worker checks each of
// them once, and no message comes again.
func TestLaggingIndex(t *testing.T) {
	memory := storetest.NewMemory()
	client, err := auspostapi.New(auspostapi.Options{BaseURL: simulator.BaseURL, Transport: simulator.NewTransport()})
	if err != nil {
		t.Fatal(err)
	}
	clock := at()
	asked := &counting{Carrier: client, calls: map[string]int{}}
	linker := &linking.Linker{
		LinksPerMinute: 1_000_000,
		Store:          memory, Vault: vault.New(vaulttest.NewMemory(), "test/carrier/"), Carriers: linking.Carriers{Production: asked}, Changes: auspostapi.Changes,
		Timing: carrier.Timing{RefusalGap: carrier.RefusalGap, Speed: 1}, Now: func() time.Time { return clock }, Random: rand.Reader,
	}
	account := carrier.Account{ID: 1, PartnerID: 5, Environment: carrier.Production, Active: true}
	makeAccount(t, memory, account)
	const linked = 3
	var rows []*carrier.Connection
	for n := range linked {
		conn, err := linker.Link(t.Context(), linking.LinkRequest{
			Account: account, RefreshPolicy: carrier.RefreshHourly,
			ChargeAccount: carrier.ChargeAccount{
				Carrier: carrier.AustraliaPost, Number: fmt.Sprintf("%08d00", n),
				Credentials: carrier.Credentials{APIKey: carrier.NewSecret(fmt.Sprint("key ", n)), APISecret: carrier.NewSecret("secret")},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, conn)
	}
	clock = clock.Add(2 * time.Hour)
	memory.LagDue(1_000)
	if err := linker.Unlink(t.Context(), *rows[0], false); err != nil {
		t.Fatal(err)
	}
	worker := refresh.Worker{Checker: linker, Breakers: memory, Metrics: metrics}
	for pass := range 3 {
		q := &tray{}
		d := dispatcher(memory, q)
		d.Now = func() time.Time { return clock }
		if _, err := d.Pass(t.Context()); err != nil || len(q.sent) != linked {
			t.Fatalf("pass %d sends %d messages, %v, want %d: the index lags", pass, len(q.sent), err, linked)
		}
		var batch []refresh.Received
		for n, m := range q.sent {
			text, err := json.Marshal(m.Message)
			if err != nil {
				t.Fatal(err)
			}
			batch = append(batch, refresh.Received{ID: strconv.Itoa(n), Body: string(text)})
		}
		if failed := worker.Batch(t.Context(), batch); len(failed) != 0 {
			t.Errorf("pass %d: messages %v come again", pass, failed)
		}
		clock = clock.Add(time.Minute)
	}
	for n, row := range rows {
		want := 2 // its link and one check
		if n == 0 {
			want = 1
		}
		if got := asked.calls[row.AccountNumber]; got != want {
			t.Errorf("the carrier is asked %d times about connection %d, want %d", got, n, want)
		}
	}
}
