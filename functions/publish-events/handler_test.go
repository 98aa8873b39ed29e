package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/metrics"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/wait"
)

// fakeBus is a bus that may refuse events. The zero value accepts all.
type fakeBus struct {
	refuse func(e entry) error // nil: accept
	fail   func() error        // of a call; nil: none
	got    []entry             // accepted
	most   int                 // entries of a call
	mixed  bool                // a call had two events of an owner
}

// Put accepts or refuses events.
func (b *fakeBus) Put(_ context.Context, entries []entry) ([]error, error) {
	b.most = max(b.most, len(entries))
	seen := map[account.Owned]bool{}
	refused := make([]error, len(entries))
	for i, e := range entries {
		b.mixed = b.mixed || seen[e.owner]
		seen[e.owner] = true
		if b.refuse != nil {
			refused[i] = b.refuse(e)
		}
		if refused[i] == nil {
			b.got = append(b.got, e)
		}
	}
	if b.fail != nil {
		if err := b.fail(); err != nil {
			return nil, err // the answer is lost
		}
	}
	return refused, nil
}

func (b *fakeBus) ids() []string {
	var ids []string
	for _, e := range b.got {
		ids = append(ids, e.id)
	}
	return ids
}

// fixture has accounts of two partners in a table in memory.
type fixture struct {
	*testing.T
	table *storetest.Memory
	bus   *fakeBus
	h     *handler
	now   time.Time
	keys  int64

	pauses []time.Duration // that the handler has made
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	d := &fixture{T: t, table: storetest.NewMemory(), bus: &fakeBus{}, now: time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)}
	d.h = &handler{accounts: d.table, bus: d.bus, url: "https://api.example.com", now: func() time.Time { return d.now }, metrics: metrics.Recorder{Stage: "test", Now: time.Now}}
	d.h.sleep = func(_ context.Context, pause time.Duration) error {
		d.pauses = append(d.pauses, pause)
		return nil
	}
	for _, a := range []account.Account{
		{ID: 71, PartnerID: 5, ExternalID: "shop-71", Active: true}, {ID: 72, PartnerID: 5, Active: true}, {ID: 81, PartnerID: 6, ExternalID: "shop-81", Active: true},
	} {
		d.keys++
		err := d.table.CreateAccount(t.Context(), account.NewAccount{Account: a, Key: account.APIKey{ID: d.keys, PartnerID: a.PartnerID, AccountID: a.ID, Hash: strconv.FormatInt(d.keys, 10)}}, effects.Effects{}, d.now)
		if err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// happen writes events of an account, a millisecond apart.
func (d *fixture) happen(partnerID, accountID int64, kinds ...effects.EventType) {
	d.Helper()
	for _, kind := range kinds {
		d.now = d.now.Add(time.Millisecond)
		d.keys++
		fx, err := effects.Effects{By: effects.By{Actor: effects.Partner, KeyID: 3, PartnerID: partnerID}}.With(
			rand.NewChaCha8([32]byte{byte(d.keys)}), d.now, effects.Report{Type: kind, PartnerID: partnerID, AccountID: accountID, Subject: "account", Data: map[string]int64{"n": d.keys}})
		if err != nil {
			d.Fatal(err)
		}
		owner := max(accountID, 71) // a partner's own entry is written beside a key of some account
		key := account.APIKey{ID: d.keys, PartnerID: partnerID, AccountID: owner, Hash: strconv.FormatInt(d.keys, 10)}
		if err := d.table.CreateKey(d.Context(), key, fx, d.now); err != nil {
			d.Fatal(err)
		}
	}
}

// records returns the records of the stream for all events so far, and their ids.
func (d *fixture) records() ([]json.RawMessage, []string) {
	d.Helper()
	return functiontest.Streamed(d.T, d.table.Table.Items()...)
}

// batch returns all events so far.
func (d *fixture) batch() batch {
	d.Helper()
	records, _ := d.records()
	return batch{records}
}

// TestUnreadableRecords: a record that cannot be read, or an event that EventBridge never
// accepts, stops no other.
func TestUnreadableRecords(t *testing.T) {
	d := newFixture(t)
	d.happen(5, 71, effects.AccountUpdated, effects.APIKeyCreated, effects.AccountDisabled, effects.AccountEnabled)
	records, all := d.records()
	bad := func(i int, before, after string) json.RawMessage {
		text := strings.Replace(string(records[i]), before, after, 1)
		if text == string(records[i]) {
			t.Fatalf("%s is not in %s", before, text)
		}
		return json.RawMessage(text)
	}
	d.bus.refuse = func(e entry) error {
		if e.id == all[2] {
			return errNever
		}
		return nil
	}
	batchOf := batch{Records: []json.RawMessage{
		json.RawMessage(`"canary"`), json.RawMessage(`{}`), json.RawMessage(`{"dynamodb":{"SequenceNumber":"7","NewImage":null}}`), json.RawMessage(`{"dynamodb":{"NewImage":"canary"}}`),
		bad(0, `"at":{"N"`, `"at":{"S"`), bad(0, `"at":{"N":"1`, `"at":{"N":"2`), bad(0, `"data":{"S":"{`, `"data":{"S":"canary`), bad(0, `"data":{"S":"{`, `"data":{"S":"{\"n\":`+strings.Repeat("1", 256<<10)),
		json.RawMessage(strings.ReplaceAll(string(records[0]), all[0], "canary")), records[0], records[1], records[2], records[3],
	}}
	var log string
	points := metricstest.Of(t, func(context.Context) {
		log = functiontest.Logged(t.Context(), func(ctx context.Context) {
			if err := d.h.publish(ctx, batchOf); err != nil {
				t.Error(err)
			}
		})
	})
	if len(points) != 0 {
		t.Errorf("points outside of the invocation: %v", points)
	}
	if diff := cmp.Diff([]string{all[0], all[1], all[3]}, d.bus.ids()); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string][]float64{"Malformed": {10}}, metricstest.In(t, log)); diff != "" {
		t.Errorf("metrics (-want +got):\n%s\n%s", diff, log)
	}
	if n := strings.Count(log, "an event cannot be published"); n != 10 || strings.Count(log, `{"S"`) > 0 {
		t.Errorf("%d records of unreadable events, want 10, without their content:\n%s", n, log)
	}
}

// TestAccountsCannotBeRead: nothing is published without its external id.
func TestAccountsCannotBeRead(t *testing.T) {
	d := newFixture(t)
	d.happen(5, 71, effects.AccountUpdated)
	d.h.accounts = noAccounts{}
	if err := d.h.publish(t.Context(), d.batch()); err == nil || len(d.bus.got) > 0 {
		t.Errorf("publish = %v, %d events on the bus, want an error and none", err, len(d.bus.got))
	}
}

type noAccounts struct{}

// ExternalIDs fails.
func (noAccounts) ExternalIDs(context.Context, []int64, time.Time) (map[account.Owned]string, error) {
	return nil, errors.New("down")
}

// TestRefused: a refused event is tried again before the later ones of its account, and
// those of others do not wait for it. A run gives up after five calls in a row that bring
// nothing onto the bus.
func TestRefused(t *testing.T) {
	ms := func(all ...int) []time.Duration {
		var pauses []time.Duration
		for _, n := range all {
			pauses = append(pauses, time.Duration(n)*time.Millisecond)
		}
		return pauses
	}
	down := errors.New("down")
	for _, tc := range []struct {
		name    string
		refuse  func(call, i int) bool // the i-th event, of account 71: 0, 1, 2; of account 81: 3, 4
		fail    func(call int) error
		pauses  []time.Duration
		want    []int
		problem string // %s: the id of event 1
	}{
		{"always", func(_, i int) bool { return i == 1 }, nil, ms(100, 200, 400, 800), []int{0, 3, 4}, "the event %s was not published: EventBridge: ThrottlingException"},
		{"three times", func(call, i int) bool { return i == 1 && call <= 4 }, nil, ms(100, 200, 400), []int{0, 3, 4, 1, 2}, ""},
		{"every second call", func(call, _ int) bool { return call%2 == 1 }, nil, ms(100, 100, 100), []int{0, 3, 1, 4, 2}, ""},
		{"no answer", nil, func(int) error { return down }, ms(100, 200, 400, 800), []int{0, 3, 0, 3, 0, 3, 0, 3, 0, 3}, "down"},
		{"one answer is lost", nil, func(call int) error {
			if call == 2 {
				return down
			}
			return nil
		}, ms(100), []int{0, 3, 1, 4, 1, 4, 2}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newFixture(t)
			d.happen(5, 71, effects.AccountUpdated, effects.AccountUpdated, effects.AccountUpdated)
			d.happen(6, 81, effects.AccountUpdated, effects.AccountUpdated)
			records, all := d.records()
			call := 1
			d.bus.refuse = func(e entry) error {
				if tc.refuse != nil && tc.refuse(call, slices.Index(all, e.id)) {
					return errors.New("EventBridge: ThrottlingException")
				}
				return nil
			}
			d.bus.fail = func() error {
				call++
				if tc.fail != nil {
					return tc.fail(call - 1)
				}
				return nil
			}
			problem := ""
			if err := d.h.publish(t.Context(), batch{records}); err != nil {
				problem = err.Error()
			}
			if problem != strings.Replace(tc.problem, "%s", all[1], 1) {
				t.Errorf("publish = %q, want %q", problem, tc.problem)
			}
			var want []string
			for _, i := range tc.want {
				want = append(want, all[i])
			}
			if diff := cmp.Diff(want, d.bus.ids()); diff != "" {
				t.Errorf("published (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.pauses, d.pauses); diff != "" {
				t.Errorf("pauses (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTimeIsOver: a run that may not pause any longer fails, and keeps what it has done.
func TestTimeIsOver(t *testing.T) {
	d := newFixture(t)
	d.happen(5, 71, effects.AccountUpdated)
	d.bus.refuse = func(entry) error { return errors.New("EventBridge: InternalFailure") }
	d.h.sleep = func(context.Context, time.Duration) error { return context.DeadlineExceeded }
	if err := d.h.publish(t.Context(), d.batch()); err == nil || !strings.HasSuffix(err.Error(), "EventBridge: InternalFailure") {
		t.Errorf("publish = %v, want why the event was refused", err)
	}
}

// TestOnceOrMore: Lambda passes batches on as often as they fail, and sometimes more often.
// Whatever EventBridge refuses, each event arrives, and first arrivals have the order of
// their account.
func TestOnceOrMore(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		d := newFixture(t)
		owners := []account.Owned{{PartnerID: 5, AccountID: 71}, {PartnerID: 5, AccountID: 72}, {PartnerID: 6, AccountID: 81}, {PartnerID: 5}, {PartnerID: 6}}
		for range random.IntN(60) {
			o := owners[random.IntN(len(owners))]
			d.happen(o.PartnerID, o.AccountID, effects.EventTypes()[random.IntN(len(effects.EventTypes()))])
		}
		failing := random.Float64() * 0.7
		d.bus.refuse = func(entry) error {
			if random.Float64() < failing/4 {
				return errors.New("EventBridge: InternalFailure")
			}
			return nil
		}
		d.bus.fail = func() error {
			if random.Float64() < failing/4 {
				return errors.New("no answer")
			}
			return nil
		}
		records, want := d.records()
		for len(records) > 0 {
			part := slices.Clone(records[:min(len(records), 1+random.IntN(100))])
			random.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
			runs := 1 + random.IntN(5)
			for n := 0; runs > 0; n++ {
				if n > 100 {
					t.Fatal("a batch never succeeds")
				}
				if d.h.publish(t.Context(), batch{part}) == nil {
					runs--
				}
			}
			records = records[len(part):]
		}
		first := map[account.Owned][]string{}
		seen := map[string]bool{}
		for _, e := range d.bus.got {
			if !seen[e.id] {
				seen[e.id] = true
				first[e.owner] = append(first[e.owner], e.id)
			}
		}
		for owner, got := range first {
			if !slices.IsSorted(got) {
				t.Errorf("seed %d: events of %+v arrive as %q", seed, owner, got)
			}
		}
		if len(seen) != len(want) || d.bus.most > maxEntries || d.bus.mixed {
			t.Errorf("seed %d: %d of %d events arrived; calls of up to %d, two events of an owner in one: %t", seed, len(seen), len(want), d.bus.most, d.bus.mixed)
		}
	}
}

// TestManyOwners: a call has ten events at most, also of the same outage for many partners.
func TestManyOwners(t *testing.T) {
	var waiting []entry
	for i := range 95 {
		waiting = append(waiting, entry{owner: account.Owned{PartnerID: int64(i % 31)}, id: fmt.Sprintf("%03d", i)})
	}
	calls := 0
	d := newFixture(t)
	d.bus.fail = func() error { calls++; return nil }
	if published, err := d.h.putAll(t.Context(), waiting); published != 95 || err != nil || calls != 10 || d.bus.most != maxEntries || d.bus.mixed {
		t.Errorf("%d events published, %v, in %d calls of up to %d; want 95 in 10 of 10", published, err, calls, d.bus.most)
	}
}

// TestDetail checks what the bus gets. The entries of the operator are for the audit log
// only, an outage is no account's, and an external id is that of the event's partner only. A
// type of a later version, which another function may have already, is published like the
// others if it is an account's.
func TestDetail(t *testing.T) {
	d := newFixture(t)
	d.happen(5, 0, effects.PartnerKeyCreated, "partner_praised", effects.CarrierOutageBegan)
	d.happen(5, 71, effects.AccountUpdated)
	d.happen(5, 72, "account_praised")
	d.happen(7, 71, effects.AccountDeleted) // a purged account had the id before
	if err := d.h.publish(t.Context(), d.batch()); err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	for _, e := range d.bus.got {
		var body map[string]any
		if err := json.Unmarshal(e.detail, &body); err != nil {
			t.Fatal(err)
		}
		if body["event_id"] != e.id || body["event"] != e.kind || body["created_at"] != effects.Time(e.at) {
			t.Errorf("entry %+v of %v", e, body)
		}
		delete(body, "event_id")
		got = append(got, body)
	}
	const url = "https://api.example.com/v1/partners/accounts/71"
	want := []map[string]any{
		{"event": "carrier_outage_began", "created_at": "2031-01-02T03:04:05.003Z", "account_id": nil, "external_account_id": nil, "resource_url": "https://api.example.com/v1/carriers/status", "data": map[string]any{"n": 6.0}, "partner_id": 5.0},
		{"event": "account_updated", "created_at": "2031-01-02T03:04:05.004Z", "account_id": 71.0, "external_account_id": "shop-71", "resource_url": url, "data": map[string]any{"n": 7.0}, "partner_id": 5.0},
		{"event": "account_praised", "created_at": "2031-01-02T03:04:05.005Z", "account_id": 72.0, "external_account_id": nil, "resource_url": url[:len(url)-1] + "2", "data": map[string]any{"n": 8.0}, "partner_id": 5.0},
		{"event": "account_deleted", "created_at": "2031-01-02T03:04:05.006Z", "account_id": 71.0, "external_account_id": nil, "resource_url": url, "data": map[string]any{"n": 9.0}, "partner_id": 7.0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
}

// TestLargestEvents: ten events with as much data as they may have fit into a call.
func TestLargestEvents(t *testing.T) {
	d := newFixture(t)
	data, err := json.Marshal(strings.Repeat("x", effects.MaxEventData-2))
	if err != nil || len(data) != effects.MaxEventData {
		t.Fatal(err, len(data))
	}
	found := effects.Event{
		ID: "se-" + strings.Repeat("z", 21), Type: effects.CarrierContractExpiring, PartnerID: 1<<63 - 1, AccountID: 1<<63 - 1, Subject: "se-" + strings.Repeat("9", 19), At: d.now, Data: data,
	}
	d.h.accounts, d.h.url = longNames{}, "https://"+strings.Repeat("x", 504)
	entries, err := d.h.entries(t.Context(), slices.Repeat([]effects.Event{found}, maxEntries))
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, e := range entries {
		size += e.size()
	}
	if len(entries) != maxEntries || size > maxBytes {
		t.Errorf("%d events have %d bytes, at most %d are allowed", len(entries), size, maxBytes)
	}
}

type longNames struct{}

// ExternalIDs returns the longest external id: as many characters as it may have, each of
// which JSON escapes.
func (longNames) ExternalIDs(_ context.Context, ids []int64, _ time.Time) (map[account.Owned]string, error) {
	return map[account.Owned]string{{PartnerID: 1<<63 - 1, AccountID: ids[0]}: strings.Repeat("<", 128)}, nil
}

// TestCosts counts the calls of a run with one event, on DynamoDB Local and MiniStack.
func TestCosts(t *testing.T) { calltrace.Attempts(t, costs) }

func costs(t *calltrace.Attempt) {
	d := functiontest.EmptyOnEngines(t, functiontest.StartTable(t), "calls")
	d.AddPartner(account.Partner{ID: 5})
	d.AddAccount(account.Account{ID: 71, PartnerID: 5, Active: true})
	fx, err := effects.Effects{}.With(rand.NewChaCha8([32]byte{}), d.Clock, effects.Report{Type: effects.AccountUpdated, PartnerID: 5, AccountID: 71, Subject: "account", Data: map[string][]string{"changed": {"email"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Store.CreateKey(t.Context(), account.APIKey{ID: 9, PartnerID: 5, AccountID: 71, Hash: "h"}, fx, d.Clock); err != nil {
		t.Fatal(err)
	}
	events := eventbridge.NewFromConfig(d.Transport.Config(calltrace.Emulator(t, emulator.StartMiniStack)))
	if _, err := events.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("calls")}); err != nil {
		t.Fatal(err)
	}
	h := &handler{accounts: d.Store, bus: &bus{events, "calls"}, url: "https://api.example.com", now: d.Now, sleep: wait.For, metrics: metrics.Recorder{Stage: "production", Now: d.Now}}
	records, _ := functiontest.Streamed(t, d.Items()...)
	d.Transport.Reset()
	log := functiontest.Logged(t.Context(), func(ctx context.Context) {
		if err := h.publish(ctx, batch{records}); err != nil {
			t.Fatal(err)
		}
	})
	functiontest.Costs(t, "publish", d.Transport, log)
}
