package webhook_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/seal"
	"carrierlink/shared/secret"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/webhook"
)

// desk is the service over a store in memory, with a service secret that can be rotated.
type desk struct {
	*webhook.Service
	t     *testing.T
	store *storetest.Memory
	clock time.Time
	text  secret.Text
}

var (
	partner  = webhook.Owner{PartnerID: 5}                // never changes
	merchant = webhook.Owner{PartnerID: 5, AccountID: 71} // never changes
)

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, store: storetest.NewMemory(), clock: time.Date(2026, 3, 1, 0, 0, 30, 123_000_000, time.UTC), text: secret.New("the service secret of the tests")}
	d.Service = &webhook.Service{Store: d.store, Sealer: d.sealer(), Log: d.store, Now: d.now, Random: rand.Reader}
	a := account.NewAccount{Account: account.Account{ID: 71, PartnerID: 5, Active: true, CreatedAt: d.clock}, Key: account.APIKey{ID: 9, PartnerID: 5, AccountID: 71, Hash: "h"}}
	d.ok(d.store.CreateAccount(t.Context(), a, effects.Effects{}, d.clock))
	return d
}

func (d *desk) now() time.Time { return d.clock }

// sealer is that of a process that starts now.
func (d *desk) sealer() *seal.Sealer {
	return seal.New(func(context.Context) (secret.Text, error) { return d.text, nil }, d.now)
}

func (d *desk) ok(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// refused checks that an error is of a kind.
func (d *desk) refused(what string, err error, want fault.Kind) {
	d.t.Helper()
	if !fault.Is(err, want) {
		d.t.Errorf("%s = %v, want kind %v", what, err, want)
	}
}

func by() effects.By { return effects.By{Actor: effects.Partner, KeyID: 3, PartnerID: 5} }

// made creates a webhook of all events.
func (d *desk) made(o webhook.Owner, url string) (webhook.Ref, *webhook.Created) {
	d.t.Helper()
	c, err := d.Create(d.t.Context(), o, webhook.Input{URL: url, Events: []effects.EventType{webhook.AllEvents}}, effects.MadeBy[*webhook.Created](by()))
	d.ok(err)
	return webhook.Ref{Owner: o, ID: c.Webhook.ID}, c
}

func (d *desk) get(ref webhook.Ref) *webhook.Webhook {
	d.t.Helper()
	w, err := d.Get(d.t.Context(), ref)
	d.ok(err)
	return w
}

// told returns the events of the partner and its account, the oldest first, as type, account
// and data.
func (d *desk) told() []string {
	d.t.Helper()
	found, _, err := d.store.ListEvents(d.t.Context(), effects.Listing{PartnerID: 5, Limit: 1000})
	d.ok(err)
	var all []string
	for _, e := range slices.Backward(found) {
		if e.Type != effects.AccountUpdated {
			all = append(all, fmt.Sprintf("%s %d %s %s", e.Type, e.AccountID, e.By.Actor, e.Data))
		}
	}
	return all
}

func (d *desk) diff(what string, want, got any) {
	d.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

const url = "https://user-path.example/T0KEN/x?q=T0KEN"

func TestAbsent(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	own, _ := d.made(merchant, url)
	for name, ref := range map[string]webhook.Ref{
		"no such id": {Owner: merchant, ID: "se-1"}, "the partner's": {Owner: partner, ID: own.ID}, "another partner's": {Owner: webhook.Owner{PartnerID: 6, AccountID: 71}, ID: own.ID},
	} {
		for what, do := range map[string]func() error{
			"Get":    func() error { _, err := d.Get(t.Context(), ref); return err },
			"Change": func() error { return d.Change(t.Context(), ref, webhook.Input{Name: "x"}, nil, effects.Effects{}) },
			"Delete": func() error { return d.Delete(t.Context(), ref, nil, effects.Effects{}) },
			"Rotate": func() error { _, err := d.RotateSecret(t.Context(), ref, nil); return err },
			"Test":   func() error { return d.Test(t.Context(), ref, nil) },
			"Replay": func() error { return d.Replay(t.Context(), ref, "se-1", effects.Effects{}) },
			"Span":   func() error { return d.ReplaySpan(t.Context(), ref, webhook.Span{}, nil) },
		} {
			d.refused(what+" of "+name, do(), fault.NotFound)
		}
		_, err := d.Disable(t.Context(), ref, d.clock, webhook.Gone, d.clock)
		d.ok(err)
	}
	if w := d.get(own); !w.DisabledAt.IsZero() || len(d.told()) != 1 {
		t.Errorf("the webhook has changed: %+v; events %q", w, d.told())
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	create := func(o webhook.Owner, url string, types ...effects.EventType) error {
		_, err := d.Create(t.Context(), o, webhook.Input{URL: url, Events: types}, nil)
		return err
	}
	d.refused("an absent account", create(webhook.Owner{PartnerID: 5, AccountID: 99}, url, "*"), fault.NotFound)
	d.ok(create(merchant, url, effects.CarrierConnected, effects.CarrierUpdated))
	for _, types := range [][]effects.EventType{{"*"}, {effects.CarrierUpdated}, {effects.AccountCreated, effects.CarrierConnected}} {
		d.refused(fmt.Sprint("the same URL for ", types), create(merchant, url, types...), fault.WebhookConflict)
	}
	d.ok(create(merchant, url, effects.CarrierDegraded))
	d.ok(create(merchant, url+"2", "*"))
	d.refused("another for all", create(merchant, url+"2", effects.CarrierDegraded), fault.WebhookConflict)
	d.ok(create(partner, url, "*")) // of another owner
	for i := 3; i < webhook.MaxWebhooks; i++ {
		d.ok(create(merchant, fmt.Sprint(url, "n", i), "*"))
	}
	d.refused("the 21st", create(merchant, url+"last", "*"), fault.State)
	d.ok(create(partner, url+"last", "*"))
	broken := *d.Service
	broken.Random = strings.NewReader("short")
	if _, err := broken.Create(t.Context(), partner, webhook.Input{URL: url + "broken", Events: []effects.EventType{"*"}}, nil); err == nil {
		t.Error("a webhook without randomness")
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	headers := []webhook.Header{{Key: "Authorization", Value: secret.New("Bearer c4nary")}, {Key: "X-Shop", Value: secret.New("7")}}
	store := int32(-3)
	in := webhook.Input{Name: "Links", URL: url, StoreID: &store, Events: []effects.EventType{effects.CarrierConnected}, Headers: &headers}
	c, err := d.Create(t.Context(), merchant, in, effects.MadeBy[*webhook.Created](by()))
	d.ok(err)
	ref := webhook.Ref{Owner: merchant, ID: c.Webhook.ID}
	w := d.get(ref)
	d.diff("stored", &c.Webhook, w)
	want := webhook.Webhook{
		ID: w.ID, Name: "Links", StoreID: &store, URL: url, Events: in.Events, Headers: w.Headers, Secrets: w.Secrets, CreatedAt: d.clock, ModifiedAt: d.clock,
	}
	d.diff("webhook", want, *w)
	got, err := d.Headers(t.Context(), ref, w)
	d.ok(err)
	if len(got) != 2 || got[0].Key != "Authorization" || got[0].Value.Reveal() != "Bearer c4nary" || got[1].Value.Reveal() != "7" || len(c.Headers) != 2 {
		t.Errorf("headers = %d, answered %d", len(got), len(c.Headers))
	}
	secrets, err := d.Secrets(t.Context(), ref, w, d.clock)
	d.ok(err)
	if len(secrets) != 1 || !secrets[0].Equal(c.Secret) || !strings.HasPrefix(c.Secret.Reveal(), "whsec_") {
		t.Errorf("%d secrets, want that of the answer", len(secrets))
	}
	if _, err := d.Secrets(t.Context(), webhook.Ref{Owner: partner, ID: w.ID}, w, d.clock); !errors.Is(err, seal.ErrForged) {
		t.Errorf("a secret opens for another owner: %v", err)
	}
	d.diff("events", []string{`webhook_created 71 partner {"webhook_id":"` + w.ID + `","host":"user-path.example","events":["carrier_connected"]}`}, d.told())
	for _, it := range d.store.Table.Items() {
		for name, v := range it {
			for _, canary := range []string{"c4nary", c.Secret.Reveal()} {
				if strings.Contains(fmt.Sprintf("%+v", v), canary) {
					t.Errorf("attribute %s shows a secret", name)
				}
			}
		}
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ref, _ := d.made(merchant, url)
	other, _ := d.made(merchant, url+"other")
	first := d.get(ref)
	headers, none := []webhook.Header{{Key: "X-Shop", Value: secret.New("7")}}, []webhook.Header{}
	on, off, id := true, false, int32(0)
	mismatch := fault.TooLate("x")
	d.refused("If-Match", d.Change(t.Context(), ref, webhook.Input{Name: "x"}, func(*webhook.Webhook) error { return mismatch }, effects.Effects{}), fault.Precondition)
	d.refused("the other's URL", d.Change(t.Context(), ref, webhook.Input{URL: url + "other"}, nil, effects.Effects{}), fault.WebhookConflict)
	d.diff("nothing has changed", first, d.get(ref))
	for _, tc := range []struct {
		name    string
		in      webhook.Input
		changed string // empty: nothing
	}{
		{"nothing", webhook.Input{}, ""},
		{"what it is", webhook.Input{URL: url, Events: first.Events, Enabled: &on, Headers: &none}, ""},
		{"name and store", webhook.Input{Name: "Links", StoreID: &id}, `["name","store_id"]`},
		{"headers", webhook.Input{Headers: &headers}, `["headers"]`},
		{"the same headers", webhook.Input{Headers: &headers, Name: "Links", StoreID: &id}, ""},
		{"url and events", webhook.Input{URL: url + "new", Events: []effects.EventType{effects.CarrierUpdated}}, `["events","url"]`},
		{"no headers", webhook.Input{Headers: &none}, `["headers"]`},
		{"disabled", webhook.Input{Enabled: &off}, `["enabled"]`},
		{"disabled again", webhook.Input{Enabled: &off}, ""},
		{"enabled", webhook.Input{Enabled: &on}, `["enabled"]`},
	} {
		before, told := d.get(ref), d.told()
		d.ok(d.Change(t.Context(), ref, tc.in, nil, effects.Effects{By: by()}))
		after, events := d.get(ref), d.told()[len(told):]
		if tc.changed == "" {
			d.diff(tc.name, before, after)
			d.diff(tc.name+": events", []string{}, append([]string{}, events...))
			continue
		}
		if !after.ModifiedAt.After(before.ModifiedAt) || len(events) != 1 || !strings.HasPrefix(events[0], "webhook_updated 71 partner") || !strings.Contains(events[0], `"changed":`+tc.changed) {
			t.Errorf("%s: modified at %v after %v, events %q", tc.name, after.ModifiedAt, before.ModifiedAt, events)
		}
		if disabled := tc.name == "disabled"; disabled != !after.DisabledAt.IsZero() || disabled && after.DisabledFor != webhook.ByOwner {
			t.Errorf("%s: disabled at %v for %q", tc.name, after.DisabledAt, after.DisabledFor)
		}
	}
	due, _, err := d.store.DueWebhooks(t.Context(), d.clock, 5)
	d.ok(err)
	d.diff("due after it was enabled", []webhook.Ref{ref}, due)
	if w := d.get(other); w.URL != url+"other" {
		t.Errorf("the other webhook is %+v", w)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ref, _ := d.made(partner, url)
	other, _ := d.made(partner, url+"other")
	mismatch := fault.TooLate("x")
	d.refused("If-Match", d.Delete(t.Context(), ref, func(*webhook.Webhook) error { return mismatch }, effects.Effects{}), fault.Precondition)
	d.ok(d.Delete(t.Context(), ref, nil, effects.Effects{By: by()}))
	d.refused("again", d.Delete(t.Context(), ref, nil, effects.Effects{}), fault.NotFound)
	left, err := d.List(t.Context(), partner)
	d.ok(err)
	if len(left) != 1 || left[0].ID != other.ID {
		t.Errorf("left: %+v", left)
	}
	if told := d.told(); len(told) != 3 || !strings.HasPrefix(told[2], "webhook_deleted 0 partner ") {
		t.Errorf("events = %q", told)
	}
	d.ok(d.Delete(t.Context(), other, nil, effects.Effects{}))
	if l, err := d.store.WebhooksOf(t.Context(), partner, d.clock); err != nil || !l.SealedAt.IsZero() {
		t.Errorf("a list without webhooks has secrets of %v, %v", l.SealedAt, err)
	}
}

// TestRotateTwiceWithinAnHour: each replaced secret signs for its own day.
func TestRotateTwiceWithinAnHour(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ref, first := d.made(merchant, url)
	rotate := func() *webhook.Created {
		t.Helper()
		c, err := d.RotateSecret(t.Context(), ref, effects.MadeBy[*webhook.Created](by()))
		d.ok(err)
		if want := d.clock.Add(24 * time.Hour); !c.PreviousEnds.Equal(want) {
			t.Errorf("PreviousEnds = %v, want %v", c.PreviousEnds, want)
		}
		return c
	}
	start := d.clock
	second := rotate()
	d.clock = start.Add(time.Hour)
	third := rotate()
	for _, tc := range []struct {
		after time.Duration
		want  []secret.Text
	}{
		{time.Hour, []secret.Text{third.Secret, second.Secret, first.Secret}},
		{24*time.Hour - time.Millisecond, []secret.Text{third.Secret, second.Secret, first.Secret}},
		{24 * time.Hour, []secret.Text{third.Secret, second.Secret}},
		{25 * time.Hour, []secret.Text{third.Secret}},
		{10_000 * time.Hour, []secret.Text{third.Secret}},
	} {
		got, err := d.Secrets(t.Context(), ref, d.get(ref), start.Add(tc.after))
		d.ok(err)
		if !slices.EqualFunc(got, tc.want, secret.Text.Equal) {
			t.Errorf("after %v: %d secrets, want %d, the newest first", tc.after, len(got), len(tc.want))
		}
	}
	rotate()
	rotate()
	_, err := d.RotateSecret(t.Context(), ref, nil)
	d.refused("a sixth secret", err, fault.State)
	d.clock = start.Add(24 * time.Hour)
	rotate()
	if n := len(d.get(ref).Secrets); n != webhook.MaxSecrets {
		t.Errorf("%d secrets are kept, want %d", n, webhook.MaxSecrets)
	}
	if told := d.told(); !strings.Contains(told[1], `"previous_expires_at":"2026-03-02T00:00:30.123Z"`) || strings.Contains(strings.Join(told, ""), "whsec") {
		t.Errorf("events = %q", told)
	}
}

func TestDisable(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ref, _ := d.made(merchant, url)
	version := d.get(ref).ModifiedAt
	at := d.clock.Add(time.Minute)
	d.clock = at
	if done, err := d.Disable(t.Context(), ref, version.Add(-time.Millisecond), webhook.Gone, at); err != nil || done || !d.get(ref).DisabledAt.IsZero() {
		t.Errorf("Disable of an older version = %t, %v, want false, nil", done, err)
	}
	for range 2 { // the second one finds it disabled
		done, err := d.Disable(t.Context(), ref, version, webhook.Gone, at)
		d.ok(err)
		d.diff("disabled", true, done)
	}
	w := d.get(ref)
	if !w.DisabledAt.Equal(at) || w.DisabledFor != webhook.Gone {
		t.Errorf("disabled at %v for %q", w.DisabledAt, w.DisabledFor)
	}
	d.diff("events", []string{`webhook_disabled 71 schedule {"webhook_id":"` + w.ID + `","host":"user-path.example","events":["*"],"reason":"gone"}`}, d.told()[1:])
	for name, err := range map[string]error{
		"Test": d.Test(t.Context(), ref, nil), "Replay": d.Replay(t.Context(), ref, "se-1", effects.Effects{}), "ReplaySpan": d.ReplaySpan(t.Context(), ref, webhook.Span{}, nil),
	} {
		d.refused(name, err, fault.State)
	}
}

func TestTestEvent(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ref, _ := d.made(merchant, url)
	broken := errors.New("broken")
	if err := d.Test(t.Context(), ref, func(string) (effects.Effects, error) { return effects.Effects{}, broken }); !errors.Is(err, broken) {
		t.Errorf("Test = %v, want %v", err, broken)
	}
	var id string
	d.ok(d.Test(t.Context(), ref, func(eventID string) (effects.Effects, error) {
		id = eventID
		return effects.Effects{By: by()}, nil
	}))
	e, err := d.store.Event(t.Context(), 5, 71, id)
	d.ok(err)
	if e.Type != effects.WebhookTest || !d.get(ref).Wants(&e.Event) || len(d.told()) != 2 {
		t.Errorf("event = %+v, told %q", e, d.told())
	}
}

// overtaken is a store in which another change of the list comes before each of the first n
// saves.
type overtaken struct {
	*storetest.Memory
	n int
}

func (o *overtaken) SaveWebhooks(ctx context.Context, l *webhook.List, fx effects.Effects, now time.Time, anew ...string) error {
	if o.n > 0 {
		o.n--
		other, err := o.WebhooksOf(ctx, l.Owner, now)
		if err != nil {
			return err
		}
		if err := o.Memory.SaveWebhooks(ctx, &other, effects.Effects{}, now); err != nil {
			return err
		}
	}
	return o.Memory.SaveWebhooks(ctx, l, fx, now, anew...)
}

func TestOvertaken(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ref, _ := d.made(merchant, url)
	for _, tc := range []struct {
		times int
		kind  fault.Kind
	}{{4, fault.State}, {3, 0}, {1, 0}} {
		d.Store = &overtaken{d.store, tc.times}
		err := d.Change(t.Context(), ref, webhook.Input{Name: fmt.Sprint("overtaken ", tc.times)}, nil, effects.Effects{})
		if tc.kind != 0 {
			d.refused(fmt.Sprint(tc.times, " times"), err, tc.kind)
			if fault.Of(err)[0].RetryAfter == 0 {
				t.Errorf("%v has no RetryAfter", err)
			}
			continue
		}
		d.ok(err)
	}
	if n := len(d.told()); n != 3 {
		t.Errorf("%d events, want 3: %q", n, d.told())
	}
}

// happens writes events of the account, a minute apart, and returns their ids.
func (d *desk) happens(types ...effects.EventType) []string {
	d.t.Helper()
	var ids []string
	for i, kind := range types {
		fx, err := effects.Effects{}.With(rand.Reader, d.clock.Add(time.Duration(i)*time.Minute), effects.Report{Type: kind, PartnerID: 5, AccountID: 71, Subject: "account"})
		d.ok(err)
		d.ok(d.store.RecordEffects(d.t.Context(), fx, d.clock))
		ids = append(ids, fx.Events[0].ID)
	}
	return ids
}

// pending returns the ids of what is pending, and deletes it.
func (d *desk) pending(ref webhook.Ref) []string {
	d.t.Helper()
	found, _, err := d.store.ListPending(d.t.Context(), ref, 2000, d.clock)
	d.ok(err)
	ids := []string{}
	for _, p := range found {
		if p.Ref != ref || p.EventOwner != 71 || p.Subject != "account" || !p.RequestedAt.Equal(d.clock) {
			d.t.Errorf("pending: %+v", p)
		}
		ids = append(ids, p.EventID)
	}
	d.ok(d.store.DropPending(d.t.Context(), found...))
	return ids
}

// delivered records deliveries with a status.
func (d *desk) delivered(ref webhook.Ref, status webhook.Status, ids ...string) {
	d.t.Helper()
	for _, id := range ids {
		d.ok(d.store.SaveDelivery(d.t.Context(), webhook.Delivery{
			Ref: ref, EventID: id, EventOwner: 71, Status: status, RequestedAt: d.clock, Attempts: []webhook.Attempt{{At: d.clock, HTTPStatus: 200}},
		}))
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ref, _ := d.made(partner, url)
	own, _ := d.made(merchant, url)
	ids := d.happens(effects.CarrierConnected, effects.CarrierConnected)
	d.delivered(ref, webhook.Failed, ids[0])
	d.refused("one without a delivery", d.Replay(t.Context(), ref, ids[1], effects.Effects{}), fault.NotFound)
	d.refused("another webhook's", d.Replay(t.Context(), own, ids[0], effects.Effects{}), fault.NotFound)
	d.ok(d.Replay(t.Context(), ref, ids[0], effects.Effects{}))
	d.diff("pending", ids[:1], d.pending(ref))
	due, _, err := d.store.DueWebhooks(t.Context(), d.clock, 5)
	d.ok(err)
	d.diff("due", []webhook.Ref{ref}, due)
}

func TestReplaySpan(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ref, _ := d.made(merchant, url)
	d.ok(d.Change(t.Context(), ref, webhook.Input{Events: []effects.EventType{effects.CarrierConnected, effects.CarrierUpdated}}, nil, effects.Effects{}))
	d.clock = d.clock.Add(time.Hour)
	start := d.clock
	ids := d.happens(effects.CarrierConnected, effects.CarrierDegraded, effects.CarrierUpdated, effects.CarrierConnected, effects.CarrierConnected, effects.WebhookCreated)
	d.delivered(ref, webhook.Delivered, ids[2])
	d.delivered(ref, webhook.Failed, ids[0])
	replay := func(span webhook.Span) (got webhook.Replayed) {
		t.Helper()
		d.ok(d.ReplaySpan(t.Context(), ref, span, func(r webhook.Replayed) (effects.Effects, error) {
			got = r
			return effects.Effects{}, nil
		}))
		return got
	}
	for _, tc := range []struct {
		name string
		span webhook.Span
		want []string
	}{
		{"nothing", webhook.Span{From: start.Add(time.Hour), Until: start.Add(2 * time.Hour)}, []string{}},
		{"all that was not delivered", webhook.Span{From: start, Until: start.Add(time.Hour)}, []string{ids[0], ids[3], ids[4]}},
		{"a part, also what was", webhook.Span{From: start.Add(time.Minute), Until: start.Add(3 * time.Minute), Delivered: true}, []string{ids[2], ids[3]}},
	} {
		d.diff(tc.name, webhook.Replayed{Queued: len(tc.want)}, replay(tc.span))
		d.diff(tc.name+": pending", tc.want, d.pending(ref))
	}
	broken := errors.New("broken")
	if err := d.ReplaySpan(t.Context(), ref, webhook.Span{From: start, Until: start}, func(webhook.Replayed) (effects.Effects, error) { return effects.Effects{}, broken }); !errors.Is(err, broken) {
		t.Errorf("ReplaySpan = %v, want %v", err, broken)
	}
}

// TestReplayOfMany: calls that go on where the last one ended queue each event, and no
// replay adds to what is far behind.
func TestReplayOfMany(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ref, _ := d.made(merchant, url)
	d.clock = d.clock.Add(time.Hour)
	want := d.happens(slices.Repeat([]effects.EventType{effects.CarrierConnected}, 2_300)...)
	span := webhook.Span{From: d.clock, Until: d.clock.Add(1000 * time.Hour)}
	found := map[string]bool{}
	calls := 0
	for ; !span.From.IsZero(); calls++ {
		var got webhook.Replayed
		d.ok(d.ReplaySpan(t.Context(), ref, span, func(r webhook.Replayed) (effects.Effects, error) {
			got = r
			return effects.Effects{}, nil
		}))
		ids := d.pending(ref)
		if got.Queued != len(ids) || got.Queued > webhook.MaxReplayed || calls > 3 {
			t.Fatalf("call %d has queued %d, %d are pending", calls, got.Queued, len(ids))
		}
		for _, id := range ids {
			found[id] = true
		}
		span.From = got.ContinueFrom
	}
	if len(found) != len(want) || calls != 3 {
		t.Errorf("%d calls have queued %d events, want %d in 3", calls, len(found), len(want))
	}
	var behind []webhook.Pending
	for i := range 5_001 {
		behind = append(behind, webhook.Pending{Ref: ref, EventID: fmt.Sprintf("se-%021d", i), RequestedAt: d.clock})
	}
	d.ok(d.store.AddPending(t.Context(), behind))
	err := d.ReplaySpan(t.Context(), ref, webhook.Span{From: d.clock, Until: d.clock.Add(time.Hour)}, nil)
	d.refused("more than 5,000 are pending", err, fault.State)
	if fault.Of(err)[0].RetryAfter == 0 {
		t.Errorf("%v has no RetryAfter", err)
	}
}

// TestReseal: webhooks outlive the keys of the service secret.
func TestReseal(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	headers := []webhook.Header{{Key: "X-Shop", Value: secret.New("7")}}
	ref, first := d.made(merchant, url)
	d.ok(d.Change(t.Context(), ref, webhook.Input{Headers: &headers}, nil, effects.Effects{}))
	d.made(partner, url)
	reseal := func(want webhook.Resealed) {
		t.Helper()
		got, err := d.Reseal(t.Context(), d.sealer(), 100)
		if err != nil || got != want {
			t.Errorf("%v: Reseal = %+v, %v, want %+v", d.clock, got, err, want)
		}
	}
	reseal(webhook.Resealed{})
	for range 5 {
		next, made, err := seal.Rotate(d.text, rand.Reader, d.clock)
		d.ok(err)
		d.text = next
		d.clock = made.UsedFrom.Add(23 * time.Hour)
		reseal(webhook.Resealed{}) // a process may seal with the old key yet
		d.clock = made.UsedFrom.Add(24 * time.Hour)
		reseal(webhook.Resealed{Done: 2})
		reseal(webhook.Resealed{})
		d.clock = made.PreviousUntil.Add(time.Hour)
		d.Sealer = d.sealer()
		secrets, err := d.Secrets(t.Context(), ref, d.get(ref), d.clock)
		d.ok(err)
		got, err := d.Headers(t.Context(), ref, d.get(ref))
		d.ok(err)
		if len(secrets) != 1 || !secrets[0].Equal(first.Secret) || len(got) != 1 || got[0].Value.Reveal() != "7" {
			t.Fatalf("%d secrets and %d headers after a rotation", len(secrets), len(got))
		}
	}
	if told := d.told(); len(told) != 3 {
		t.Errorf("events = %q, want none of sealing again", told)
	}
	// What cannot be opened is counted, and keeps no other from being sealed again.
	next, made, err := seal.Rotate(d.text, rand.Reader, d.clock)
	d.ok(err)
	d.text, d.clock = next, made.UsedFrom.Add(30*time.Hour)
	l, err := d.store.WebhooksOf(t.Context(), partner, d.clock)
	d.ok(err)
	l.Webhooks[0].Secrets[0].Sealed[9] ^= 1
	d.ok(d.store.SaveWebhooks(t.Context(), &l, effects.Effects{}, d.clock))
	reseal(webhook.Resealed{Done: 1, Malformed: 1})
	broken := webhook.Ref{Owner: partner, ID: l.Webhooks[0].ID}
	if got, err := d.Secrets(t.Context(), broken, d.get(broken), d.clock); err == nil {
		t.Fatalf("%d secrets of a webhook whose only one cannot be opened", len(got))
	}
	fresh, err := d.RotateSecret(t.Context(), broken, nil)
	d.ok(err)
	if got, err := d.Secrets(t.Context(), broken, d.get(broken), d.clock); err != nil || len(got) != 1 || !got[0].Equal(fresh.Secret) {
		t.Errorf("%d secrets after its rotation, %v; want the new one", len(got), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if got, err := d.Reseal(ctx, d.sealer(), 100); err != nil || got.Done+got.Malformed != 0 {
		t.Errorf("without time: %+v, %v", got, err)
	}
}
