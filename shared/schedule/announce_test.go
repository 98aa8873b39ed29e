package schedule_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	gocmp "github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
	"carrierlink/shared/schedule"
	"carrierlink/shared/store"
	"carrierlink/shared/store/dynamotest"
	"carrierlink/shared/store/kit"
)

// announcing is a dispatcher over a table in memory with partners, and a clock. A connection
// of the other carrier is due in each pass, so that a test sees whether the pass does its
// work.
type announcing struct {
	*testing.T
	*fakeStore
	queue      *fakeQueue
	dispatcher *schedule.Dispatcher
	clock      time.Time
	trouble    func(operation string, input any) dynamotest.Trouble // nil: none
	calls      map[string]int                                       // of the table, by operation
}

// newAnnouncing has n partners in production: those with the ids 1 to n.
func newAnnouncing(t *testing.T, n int) *announcing {
	t.Helper()
	a := &announcing{T: t, fakeStore: newFakeStore(), queue: &fakeQueue{}, clock: at(), calls: map[string]int{}}
	a.Table.Trouble = func(operation string, input any) dynamotest.Trouble {
		a.calls[operation]++
		if a.trouble == nil {
			return dynamotest.Trouble{}
		}
		return a.trouble(operation, input)
	}
	// It does not wait between two attempts.
	a.Store = store.New(a.Table, dynamotest.Name, kit.Options{Sleep: func(context.Context, time.Duration) error { return nil }})
	a.add(startrack, 1, 1)
	a.dispatcher = dispatcher(a, a.queue)
	a.dispatcher.Now = func() time.Time { return a.clock }
	for id := range int64(n) {
		a.partner(account.Partner{ID: id + 1, Environment: carrier.Production})
	}
	return a
}

func (a *announcing) partner(p account.Partner) {
	a.Helper()
	a.ok(a.CreatePartner(a.Context(), p, account.APIKey{ID: p.ID, PartnerID: p.ID, Hash: strconv.FormatInt(p.ID, 10)}, effects.Effects{}, a.clock))
}

func (a *announcing) ok(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

// breaker returns Australia Post's breaker.
func (a *announcing) breaker() health.Breaker {
	a.Helper()
	all, err := a.Memory.Breakers(a.Context())
	a.ok(err)
	return all[carrier.AustraliaPost]
}

// change changes the breaker, as a worker does.
func (a *announcing) change(change func(health.Breaker) health.Breaker) {
	a.Helper()
	b := change(a.breaker())
	a.ok(a.Memory.SaveBreaker(a.Context(), &b))
}

func (a *announcing) opens() {
	a.Helper()
	a.change(func(b health.Breaker) health.Breaker {
		return b.Opened("outage", a.clock, health.Timing{Speed: 1})
	})
}

func (a *announcing) closes() {
	a.Helper()
	a.change(func(b health.Breaker) health.Breaker { return b.Closed(a.clock) })
}

// pass runs a pass, which must do its work, and lets a minute go by.
func (a *announcing) pass() schedule.Pass {
	a.Helper()
	return a.passIn(a.Context())
}

func (a *announcing) passIn(ctx context.Context) schedule.Pass {
	a.Helper()
	p, err := a.dispatcher.RunPass(ctx)
	if err != nil || p.Sent != 1 {
		a.Errorf("the pass sent %d messages, want 1; %v", p.Sent, err)
	}
	a.clock = a.clock.Add(time.Minute)
	return p
}

// heard returns the events of a partner, the oldest first.
func (a *announcing) heard(partnerID int64) []effects.Recorded {
	a.Helper()
	found, _, err := a.ListEvents(a.Context(), effects.Listing{PartnerID: partnerID, Limit: 100})
	a.ok(err)
	slices.Reverse(found)
	return found
}

// words returns what the events of a partner say: "began" or "ended".
func (a *announcing) words(partnerID int64) string {
	a.Helper()
	var words []string
	for _, e := range a.heard(partnerID) {
		words = append(words, strings.TrimPrefix(string(e.Type), "carrier_outage_"))
	}
	return strings.Join(words, " ")
}

// TestAnnouncementFails: a failure does not fail the pass or keep it from its work; it is
// counted unless it is throttling, which the store counts; and the next pass goes on.
func TestAnnouncementFails(t *testing.T) {
	broken := errors.New("broken")
	throttled := dynamotest.Cancelled("ThrottlingError")
	internal := map[string][]float64{"InternalErrors": {1}}
	for _, tc := range []struct {
		name, operation string
		nth             int // of the calls of this operation
		err             error
		told            int
		want            map[string][]float64
	}{
		{"the breaker cannot be read again", "BatchGetItem", 2, broken, 0, internal},
		{"the announcement cannot be noted", "TransactWriteItems", 1, broken, 0, internal},
		{"noting it is throttled", "TransactWriteItems", 1, throttled, 0, map[string][]float64{"Throttles": {1}, "Throttles Service=dynamodb": {1}}},
		{"the first partners cannot be listed", "Query", 1, broken, 0, internal},
		{"the first partners cannot be read", "BatchGetItem", 3, broken, 0, internal},
		{"the first events cannot be written", "TransactWriteItems", 2, broken, 0, internal},
		{"the first events are throttled", "TransactWriteItems", 2, throttled, 0, map[string][]float64{"Throttles": {1}, "Throttles Service=dynamodb": {1}}},
		{"the second partners cannot be listed", "Query", 2, broken, 100, internal},
		{"the second events cannot be written", "TransactWriteItems", 3, broken, 100, internal},
		{"the second events are throttled", "TransactWriteItems", 3, throttled, 100, map[string][]float64{"Throttles": {1}, "Throttles Service=dynamodb": {1}}},
		{"the end of the announcement cannot be saved", "TransactWriteItems", 5, broken, 250, internal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAnnouncing(t, 250)
			a.opens()
			clear(a.calls)
			a.trouble = func(operation string, _ any) (trouble dynamotest.Trouble) {
				// What is throttled stays so, whatever the store tries.
				if n := a.calls[operation]; operation == tc.operation && (n == tc.nth || tc.err == throttled && n > tc.nth && n < tc.nth+kit.Attempts) { //nolint:errorlint // this very error
					trouble.Err = tc.err
				}
				return trouble
			}
			var p schedule.Pass
			points := metricstest.Of(t, func(ctx context.Context) { p = a.passIn(ctx) })
			if p.Told != tc.told {
				t.Errorf("%d partners were told, want %d", p.Told, tc.told)
			}
			got := map[string][]float64{}
			for _, name := range []string{"InternalErrors", "Throttles", "Throttles Service=dynamodb"} {
				if values, ok := points[name]; ok {
					got[name] = values
				}
			}
			if diff := gocmp.Diff(tc.want, got); diff != "" {
				t.Errorf("metrics (-want +got):\n%s", diff)
			}
			saved := a.breaker().Outage.After
			a.trouble = nil
			if p := a.pass(); p.Told != 250-int(saved) {
				t.Errorf("%d partners were told in the second pass, want those after %d", p.Told, saved)
			}
			for id := int64(1); id <= 250; id++ {
				if got := a.words(id); got != "began" {
					t.Fatalf("partner %d has heard %q, want began", id, got)
				}
			}
		})
	}
}

// TestAnnouncements lists what partners hear of a breaker that opens (o) and closes (c)
// between passes (|).
func TestAnnouncements(t *testing.T) {
	for _, tc := range []struct{ script, want string }{
		{"|||", ""},
		{"o|", "began"},
		{"o|||", "began"},
		{"o|c|", "began ended"},
		{"o|||c|||", "began ended"},
		{"oc|||", ""},
		{"ococo|c||", "began ended"},
		{"o|co||", "began"},
		{"o|coc||", "began ended"},
		{"o|cococ||", "began ended"},
		{"o|c|o|c|o||", "began ended began ended began"},
		{"o|c|oc|o|co|c|", "began ended began ended"},
	} {
		t.Run(tc.script, func(t *testing.T) {
			a := newAnnouncing(t, 1)
			for _, step := range tc.script {
				switch step {
				case 'o':
					a.opens()
				case 'c':
					a.closes()
				default:
					a.pass()
				}
				a.clock = a.clock.Add(time.Second)
			}
			if got := a.words(1); got != tc.want {
				t.Errorf("heard %q, want %q", got, tc.want)
			}
		})
	}
}

// TestAnnounced checks who hears of an outage, and what.
func TestAnnounced(t *testing.T) {
	a := newAnnouncing(t, 1)
	a.partner(account.Partner{ID: 2, Environment: carrier.Sandbox})
	a.partner(account.Partner{ID: 3, Environment: carrier.Production, DisabledAt: at()})
	a.partner(account.Partner{ID: 4, Environment: carrier.Production})
	a.ok(a.SaveBreaker(t.Context(), new(health.Breaker{Carrier: carrier.StarTrack}.Opened("forbidden", at().Add(-time.Hour), health.Timing{Speed: 1}))))
	a.open(t, carrier.AustraliaPost)
	a.clock = a.clock.Add(1500 * time.Microsecond)
	a.due[startrack], a.due[auspost] = nil, a.due[startrack] // the probe of Australia Post
	if p := a.pass(); p.Told != 4 {
		t.Errorf("%d partners were told, want two of each carrier", p.Told)
	}
	a.partner(account.Partner{ID: 5, Environment: carrier.Production})
	a.closes()
	if p := a.pass(); p.Told != 3 {
		t.Errorf("%d partners were told of the end, want three", p.Told)
	}
	event := func(partnerID int64, kind effects.EventType, name carrier.Name, at time.Time, data string) effects.Recorded {
		return effects.Recorded{
			Event: effects.Event{Type: kind, PartnerID: partnerID, Subject: "carrier " + string(name), At: at, Data: []byte(data)}, By: effects.By{Actor: effects.Schedule},
		}
	}
	first, second := at().Add(time.Millisecond), at().Add(time.Minute+time.Millisecond)
	const began = `{"carrier_code":"australia_post","friendly_name":"Australia Post","failure":"outage","began_at":"2026-11-22T05:59:00.000Z"`
	want := map[int64][]effects.Recorded{2: {}, 3: {}}
	for _, id := range []int64{1, 4} {
		want[id] = []effects.Recorded{
			event(id, effects.CarrierOutageBegan, carrier.AustraliaPost, first, began+"}"),
			event(id, effects.CarrierOutageBegan, carrier.StarTrack, first, `{"carrier_code":"startrack","friendly_name":"StarTrack","failure":"forbidden","began_at":"2026-11-22T05:00:00.000Z"}`),
		}
	}
	for _, id := range []int64{1, 4, 5} {
		want[id] = append(want[id], event(id, effects.CarrierOutageEnded, carrier.AustraliaPost, second, began+`,"ended_at":"2026-11-22T06:01:00.001Z"}`))
	}
	ids := map[string]bool{}
	for _, partnerID := range slices.Sorted(maps.Keys(want)) {
		got := []effects.Recorded{}
		for _, e := range a.heard(partnerID) {
			if ids[e.ID] || !effects.IsEventID(e.ID) || !strings.HasPrefix(e.ID, effects.EventIDsFrom(e.At)) {
				t.Errorf("the id %s is no event_id of %v, or is there twice", e.ID, e.At)
			}
			ids[e.ID], e.ID = true, ""
			got = append(got, e)
		}
		slices.SortFunc(got, func(a, b effects.Recorded) int {
			return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Subject, b.Subject))
		})
		if diff := gocmp.Diff(want[partnerID], got); diff != "" {
			t.Errorf("partner %d has heard (-want +got):\n%s", partnerID, diff)
		}
	}
}

// TestDeathDuringAnnouncement: the process dies after any of its calls of the table. Whatever
// the breaker does before the next pass, each partner hears of beginnings and ends by turns,
// each once, and in the end what is the case.
func TestDeathDuringAnnouncement(t *testing.T) {
	const partners = 230
	noop := func(*announcing) {}
	flips := map[string]func(*announcing){
		"nothing else happens": noop, "it closes": (*announcing).closes, "it opens": (*announcing).opens,
		"it closes and opens": func(a *announcing) { a.closes(); a.opens() }, "it opens and closes": func(a *announcing) { a.opens(); a.closes() },
	}
	for _, tc := range []struct {
		name    string
		prepare func(*announcing)
		flips   map[string]string // what happens after the death, and what partners hear in the end
	}{
		{"began", (*announcing).opens, map[string]string{"nothing else happens": "began", "it closes": "began ended", "it closes and opens": "began"}},
		{"ended", func(a *announcing) { a.opens(); a.pass(); a.closes() }, map[string]string{
			"nothing else happens": "began ended", "it opens": "began ended began", "it opens and closes": "began ended",
		}},
	} {
		for flip, want := range tc.flips {
			t.Run(tc.name+", then "+flip, func(t *testing.T) {
				for deaths := 1; ; deaths++ {
					a := newAnnouncing(t, partners)
					tc.prepare(a)
					left := deaths
					a.trouble = func(string, any) (trouble dynamotest.Trouble) {
						if left--; left < 0 { // nothing that a dead process does has an effect
							trouble.Err = errors.New("dead")
						}
						return trouble
					}
					_, _ = a.dispatcher.RunPass(t.Context())
					survived := left >= 0
					a.trouble = nil
					noted := a.breaker().Outage
					flips[flip](a)
					for range 3 {
						a.clock = a.clock.Add(time.Minute)
						if _, err := a.dispatcher.RunPass(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
					want := want
					switch {
					case flip == "it closes" && noted.BeganAt.IsZero():
						want = "" // over before it was noted
					case flip == "it opens" && noted.EndedAt.IsZero() && !noted.BeganAt.IsZero():
						want = "began" // it goes on
					}
					for id := int64(1); id <= partners; id++ {
						if got := a.words(id); got != want {
							t.Fatalf("dead after %d calls: partner %d has heard %q, want %q", deaths, id, got, want)
						}
					}
					if survived {
						if deaths < 14 {
							t.Errorf("a pass makes %d calls only", deaths)
						}
						return
					}
				}
			})
		}
	}
}

// TestManyPartners counts the calls of an announcement to 2,500 partners, and of the passes
// before and after it, which are those of a pass without an outage.
func TestManyPartners(t *testing.T) {
	a := newAnnouncing(t, 0)
	told := 0
	for id := int64(1); id <= 2500; id++ {
		p := account.Partner{ID: id, Environment: carrier.Production}
		switch {
		case id%7 == 0:
			p.DisabledAt = at()
		case id%5 == 0:
			p.Environment = carrier.Sandbox
		default:
			told++
		}
		a.partner(p)
	}
	for _, step := range []struct {
		name   string
		before func()
		told   int
		want   map[string]int
	}{
		{"no outage", func() {}, 0, map[string]int{"BatchGetItem": 1}},
		{"it begins", a.opens, told, map[string]int{"BatchGetItem": 3 + 25, "Query": 25, "TransactWriteItems": 2 + 25}},
		{"it goes on", func() {}, 0, map[string]int{"BatchGetItem": 1}},
		{"it ends", a.closes, told, map[string]int{"BatchGetItem": 3 + 25, "Query": 25, "TransactWriteItems": 2 + 25}},
		{"it is over", func() {}, 0, map[string]int{"BatchGetItem": 1}},
	} {
		step.before()
		clear(a.calls)
		if p := a.pass(); p.Told != step.told {
			t.Errorf("%s: %d partners were told, want %d", step.name, p.Told, step.told)
		}
		if diff := gocmp.Diff(step.want, a.calls); diff != "" {
			t.Errorf("%s: calls (-want +got):\n%s", step.name, diff)
		}
	}
	for id := int64(1); id <= 2500; id++ {
		want := "began ended"
		if id%7 == 0 || id%5 == 0 {
			want = ""
		}
		if got := a.words(id); got != want {
			t.Fatalf("partner %d has heard %q, want %q", id, got, want)
		}
	}
}

// TestTimeForAnnouncements: a pass spends an eighth of its window on an announcement, and the
// next one goes on where it has stopped. If the run is about to end, a pass begins no page.
func TestTimeForAnnouncements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAnnouncing(t, 1000)
		a.dispatcher.Now = time.Now
		a.clock = time.Now()
		a.opens()
		a.due[startrack][0].DueAt = a.clock
		a.trouble = func(operation string, _ any) dynamotest.Trouble {
			if operation == "Query" {
				time.Sleep(2300 * time.Millisecond) // virtual
			}
			return dynamotest.Trouble{}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
		defer cancel()
		var told []int
		for range 6 {
			began := time.Now()
			told = append(told, a.passIn(ctx).Told)
			if took := time.Since(began); took > 7500*time.Millisecond {
				t.Errorf("a pass took %v, want at most an eighth of a minute", took)
			}
			ctx = t.Context()
		}
		if diff := gocmp.Diff([]int{0, 300, 300, 300, 100, 0}, told); diff != "" {
			t.Errorf("partners told by each pass (-want +got):\n%s", diff)
		}
		if n := a.calls["Query"]; n != 10 {
			t.Errorf("%d pages were read, want 10", n)
		}
	})
}

// TestUnreadablePartner: a partner that cannot be read hears nothing, is counted, and keeps
// no other from hearing.
func TestUnreadablePartner(t *testing.T) {
	a := newAnnouncing(t, 3)
	if _, err := a.Table.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String(dynamotest.Name), Key: kit.PartnerKey(2).Item(), UpdateExpression: aws.String("SET created_at = :text"),
		ExpressionAttributeValues: kit.Item{":text": kit.TextValue("canary")},
	}); err != nil {
		t.Fatal(err)
	}
	a.opens()
	var p schedule.Pass
	points := metricstest.Of(t, func(ctx context.Context) { p = a.passIn(ctx) })
	if p.Told != 2 || a.words(1) != "began" || a.words(2) != "" || a.words(3) != "began" {
		t.Errorf("%d partners were told: %q, %q, %q", p.Told, a.words(1), a.words(2), a.words(3))
	}
	if diff := gocmp.Diff([]float64{1}, points["Malformed"]); diff != "" {
		t.Errorf("malformed (-want +got):\n%s", diff)
	}
	if !a.breaker().Outage.Told {
		t.Error("the announcement is not over")
	}
}

// TestTwoAnnouncers: a second dispatcher announces the same outage in the middle of the first
// one's work, wherever that is.
func TestTwoAnnouncers(t *testing.T) {
	for call := 1; ; call++ {
		a := newAnnouncing(t, 230)
		a.opens()
		seen := 0
		a.trouble = func(string, any) dynamotest.Trouble {
			if seen++; seen == call {
				if _, err := dispatcher(a, &fakeQueue{}).RunPass(t.Context()); err != nil {
					t.Error(err)
				}
			}
			return dynamotest.Trouble{}
		}
		a.pass()
		a.trouble = nil
		if b := a.breaker(); !b.Outage.Told || !b.Open {
			t.Fatalf("the second one before call %d: the breaker is %+v", call, b)
		}
		for id := int64(1); id <= 230; id++ {
			if got := a.words(id); got != "began" {
				t.Fatalf("the second one before call %d: partner %d has heard %q", call, id, got)
			}
		}
		if seen < call {
			return
		}
	}
}

// TestBreakerChangesMeanwhile: what workers write during an announcement is not lost. If they
// write all the time, the next pass goes on.
func TestBreakerChangesMeanwhile(t *testing.T) {
	for _, tc := range []struct {
		name    string
		changes int // of the breaker, each before a write of an announcement
		told    bool
	}{{"once", 1, true}, {"twice", 2, true}, {"all the time", 1000, false}} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAnnouncing(t, 1)
			a.opens()
			left, changing := tc.changes, false
			a.trouble = func(operation string, _ any) dynamotest.Trouble {
				if operation == "TransactWriteItems" && left > 0 && !changing {
					left, changing = left-1, true
					a.change(func(b health.Breaker) health.Breaker {
						return b.Paused(b.ProbeAt, time.Minute)
					})
					changing = false
				}
				return dynamotest.Trouble{}
			}
			before := a.breaker().ProbeAt
			points := metricstest.Of(t, func(ctx context.Context) { a.passIn(ctx) })
			if b := a.breaker(); b.Outage.Told != tc.told || !b.ProbeAt.Equal(before.Add(time.Duration(tc.changes-left)*time.Minute)) {
				t.Errorf("the breaker is %+v, after %d changes by others", b, tc.changes-left)
			}
			if len(points["InternalErrors"]) > 0 {
				t.Error("changes by others count as errors")
			}
			a.trouble = nil
			a.pass()
			if got := a.words(1); got != "began" {
				t.Errorf("heard %q, want began", got)
			}
		})
	}
}
