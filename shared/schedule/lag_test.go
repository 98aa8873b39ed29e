package schedule_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/schedule"
	"carrierlink/shared/secret"
	"carrierlink/shared/store/storetest"
)

// TestLaggingIndex: the index still lists connections that were checked, and one that
// was unlinked. Each pass sends them again; the worker checks each connection once, and
// no message has to be delivered again.
func TestLaggingIndex(t *testing.T) {
	memory := storetest.NewMemory()
	clock := at()
	service, asked := serviceOver(t, memory, func() time.Time { return clock })
	account := account.Account{ID: 1, PartnerID: 5, Environment: carrier.Production, Active: true}
	makeAccount(t, memory, account)
	const linked = 3
	var rows []*connection.Connection
	for n := range linked {
		conn, err := service.Link(t.Context(), connection.LinkRequest{
			Account: account, RefreshPolicy: connection.RefreshHourly,
			ChargeAccount: connection.ChargeAccount{
				Carrier: carrier.AustraliaPost, Number: fmt.Sprintf("%08d00", n),
				Credentials: connection.Credentials{APIKey: secret.New(fmt.Sprint("key ", n)), APISecret: secret.New("secret")},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, conn)
	}
	clock = clock.Add(2 * time.Hour)
	memory.Table.Lag(1_000)
	if err := service.Unlink(t.Context(), *rows[0], false, nil); err != nil {
		t.Fatal(err)
	}
	worker := schedule.Worker{Checker: service, Breakers: memory}
	for pass := range 3 {
		q := &fakeQueue{}
		d := dispatcher(memory, q)
		d.Now = func() time.Time { return clock }
		if _, err := d.RunPass(t.Context()); err != nil || len(q.sent) != linked {
			t.Fatalf("pass %d sends %d messages, %v, want %d, as the index lags", pass, len(q.sent), err, linked)
		}
		var batch []schedule.Received
		for n, m := range q.sent {
			text, err := json.Marshal(m.Message)
			if err != nil {
				t.Fatal(err)
			}
			batch = append(batch, schedule.Received{ID: strconv.Itoa(n), Body: string(text)})
		}
		if failed := worker.Work(t.Context(), batch); len(failed) != 0 {
			t.Errorf("pass %d: Work = %v, want no failed messages", pass, failed)
		}
		clock = clock.Add(time.Minute)
	}
	for n, row := range rows {
		want := 2 // its link and one check
		if n == 0 {
			want = 1
		}
		if got := asked.calls[row.AccountNumber]; got != want {
			t.Errorf("the carrier was asked %d times about connection %d, want %d", got, n, want)
		}
	}
}
