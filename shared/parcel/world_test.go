package parcel_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
	"carrierlink/shared/parcel"
	"carrierlink/shared/secret"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/tracking"
)

// start is when the tests begin.
var start = time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC) // never changes

// world is the service of parcels over a store in memory, with a carrier whose answers the
// tests choose, in virtual time.
type world struct {
	*storetest.Memory

	clock    time.Time
	service  *parcel.Service
	looker   *parcel.Looker
	tracking *tracking.Service
	answer   func(apiKey, number string, now time.Time) tracking.CarrierAnswer
	together func(numbers []string) error // of a whole call; nil for no error

	mu    sync.Mutex
	calls map[string][]call // of the carrier, by API key
}

// call is a call of the carrier.
type call struct {
	at      time.Time
	numbers []string
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{Memory: storetest.NewMemory(), clock: start, calls: map[string][]call{}}
	w.answer = func(string, string, time.Time) tracking.CarrierAnswer { return unknown() }
	w.together = func([]string) error { return nil }
	now := func() time.Time { return w.clock }
	timing := health.Timing{RefusalGap: health.RefusalGap, Speed: 1}
	w.service = &parcel.Service{Store: w, Timing: timing, Limit: 50_000, Now: now}
	w.tracking = &tracking.Service{Connections: w, Cache: w, Vault: vault{}, Carriers: carrier.PerEnvironment[tracking.Carrier]{Production: w, Sandbox: w}, Now: now, Random: rand.Reader}
	w.looker = &parcel.Looker{Store: w, Tracker: w.tracking, Describe: describe, Timing: timing, Now: now, Random: rand.Reader}
	return w
}

// describe is the data of an event.
func describe(conn *connection.Connection, a tracking.Answer, _ time.Time) any {
	return map[string]string{"tracking_number": a.Tracking.Number, "carrier_id": conn.ID, "status_code": string(a.Tracking.Summary().Status)}
}

// vault has an API key for each connection, which is its id without a last letter: so
// connections may share one.
type vault struct{ connection.Vault }

func (vault) Get(_ context.Context, _ int64, id, _ string) (connection.Credentials, error) {
	return connection.Credentials{APIKey: secret.New(keyOf(id)), APISecret: secret.New("secret")}, nil
}

func keyOf(id string) string { return strings.TrimRight(id, "abc") }

// Track is the carrier's, which never mixes brands.
func (w *world) Track(ctx context.Context, a connection.ChargeAccount, numbers []string, allow func(context.Context) error) map[string]tracking.CarrierAnswer {
	answers := map[string]tracking.CarrierAnswer{}
	for _, brand := range carrier.Names() {
		some := slices.DeleteFunc(slices.Clone(numbers), func(n string) bool { return tracking.BrandOf(a, n) != brand })
		if len(some) == 0 {
			continue
		}
		err := allow(ctx)
		if err == nil {
			w.mu.Lock()
			key := a.Credentials.APIKey.Reveal()
			w.calls[key] = append(w.calls[key], call{w.clock, some})
			w.mu.Unlock()
			err = w.together(some)
		}
		for _, n := range some {
			if answers[n] = (tracking.CarrierAnswer{Err: err}); err == nil {
				one := w.answer(a.Credentials.APIKey.Reveal(), n, w.clock)
				one.Tracking.Number = n
				answers[n] = one
			}
		}
	}
	return answers
}

func unknown() tracking.CarrierAnswer {
	return tracking.CarrierAnswer{Err: tracking.NumberUnknown.Err(), Fault: tracking.NumberUnknown}
}

// says is an answer with a status and, the newest first, events.
func says(status string, events ...string) tracking.CarrierAnswer {
	t := tracking.Tracking{CarrierStatus: status}
	for i, text := range events {
		t.Events = append(t.Events, tracking.Event{At: start.Add(-time.Duration(i+1) * time.Hour), Description: text})
	}
	return tracking.CarrierAnswer{Tracking: t}
}

// account makes an account.
func (w *world) account(tb testing.TB, id int64) account.Account {
	tb.Helper()
	a := account.Account{ID: id, PartnerID: 5, Environment: carrier.Production, Active: true, CreatedAt: start.Add(-time.Hour)}
	key := account.APIKey{ID: id, PartnerID: 5, AccountID: id, Hash: fmt.Sprintf("%064d", id)}
	if err := w.CreateAccount(tb.Context(), account.NewAccount{Account: a, Key: key}, effects.Effects{}, start); err != nil {
		tb.Fatal(err)
	}
	a, err := w.Account(tb.Context(), id, start)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// link links a connection of an account. Its id says which API key it has: see vault.
func (w *world) link(tb testing.TB, accountID int64, id string, name carrier.Name) *connection.Connection {
	tb.Helper()
	conn := connection.Connection{
		ID: id, AccountID: accountID, PartnerID: 5, Environment: carrier.Production, Carrier: name, AccountNumber: id, CredentialID: connection.CredentialID(secret.New(keyOf(id))),
		RefreshPolicy: connection.RefreshHourly, Standing: account.StandingActive, NextRefreshAt: start.Add(time.Minute), CreatedAt: w.clock,
	}
	if err := w.BeginLink(tb.Context(), &conn, connection.LinkOptions{}); err != nil {
		tb.Fatal(err)
	}
	conn.Status = connection.Active
	if err := w.FinishLink(tb.Context(), &conn, nil, nil, effects.Effects{}, w.clock); err != nil {
		tb.Fatal(err)
	}
	return &conn
}

// start registers numbers through a connection.
func (w *world) start(tb testing.TB, conn *connection.Connection, numbers ...string) {
	tb.Helper()
	refused, err := w.service.Start(tb.Context(), parcel.Target{Account: account.Account{ID: conn.AccountID}, Connection: conn}, numbers)
	if err != nil || len(refused) > 0 {
		tb.Fatalf("Start = %v, %v", refused, err)
	}
}

// rounds makes the rounds that are due at the moment.
func (w *world) rounds(tb testing.TB) {
	tb.Helper()
	for _, lane := range connection.Lanes() {
		due, _, err := w.DueRounds(tb.Context(), lane, w.clock, 1000)
		if err != nil {
			tb.Fatal(err)
		}
		for _, d := range due {
			if err := w.looker.Look(tb.Context(), d); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

// run makes the rounds of each minute for d.
func (w *world) run(tb testing.TB, d time.Duration) {
	tb.Helper()
	for end := w.clock.Add(d); w.clock.Before(end); w.clock = w.clock.Add(time.Minute) {
		w.rounds(tb)
	}
}

// parcels are the parcels of an account.
func (w *world) parcels(tb testing.TB, accountID int64) []parcel.Parcel {
	tb.Helper()
	found, next, err := w.service.List(tb.Context(), parcel.Listing{AccountID: accountID, Limit: 1000})
	if err != nil || next != "" {
		tb.Fatalf("List = %q, %v", next, err)
	}
	return found
}

// events are the events of an account's parcels, the oldest first: number and status.
func (w *world) events(tb testing.TB, accountID int64) []string {
	tb.Helper()
	found, _, err := w.ListEvents(tb.Context(), effects.Listing{PartnerID: 5, AccountID: accountID, Types: []effects.EventType{effects.Track}, Limit: 1000})
	if err != nil {
		tb.Fatal(err)
	}
	var all []string
	for _, e := range slices.Backward(found) {
		var data map[string]string
		if err := json.Unmarshal(e.Data, &data); err != nil {
			tb.Fatal(err)
		}
		all = append(all, data["tracking_number"]+" "+data["status_code"])
	}
	return all
}
