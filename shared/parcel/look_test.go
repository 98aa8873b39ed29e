package parcel_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/parcel"
	"carrierlink/shared/store/dynamotest"
	"carrierlink/shared/tracking"
)

const post = carrier.AustraliaPost

// numbers are n numbers of Australia Post.
func numbers(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("ZZ91%010d", i))
	}
	return all
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// asked are the numbers of the carrier's calls with an API key.
func (w *world) asked(key string) (sizes []int) {
	for _, c := range w.calls[key] {
		sizes = append(sizes, len(c.numbers))
	}
	return sizes
}

// TestCarrierDownForADay: nothing is lost, nobody is blamed, the carrier is called less
// and less often, and afterwards within the allowance.
func TestCarrierDownForADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(t, 71)
	conn := w.link(t, 71, "se-1", post)
	w.start(t, conn, numbers(300)...)
	w.answer = func(_, _ string, now time.Time) tracking.CarrierAnswer {
		if now.Sub(start) < 40*time.Hour {
			return says("In transit")
		}
		return says("Delivered")
	}
	w.run(t, 16*time.Hour)
	before := w.parcels(t, 71)
	w.together = func([]string) error { return connection.Reading{Outcome: carrier.OutcomeUnavailable}.Err() }
	down := w.clock
	calls := len(w.calls["se-1"])
	w.run(t, 24*time.Hour)
	if n := len(w.calls["se-1"]) - calls; n < 24 || n > 40 {
		t.Errorf("%d calls of the carrier in the day that it is down, want 24 to 40", n)
	}
	for i, p := range w.parcels(t, 71) {
		before[i].NextLookAt, before[i].Version, p.NextLookAt, p.Version = time.Time{}, 0, time.Time{}, 0
		if diff := cmp.Diff(before[i], p); diff != "" {
			t.Fatalf("a parcel after the day (-before +after):\n%s", diff)
		}
	}
	row, err := w.Connection(t.Context(), 71, "se-1")
	if err != nil || row.Status != connection.Active || row.ConsecutiveFailures != 0 {
		t.Errorf("the connection is %s after %d failures, %v; want it untouched", row.Status, row.ConsecutiveFailures, err)
	}
	w.together = func([]string) error { return nil }
	w.run(t, 70*time.Minute)
	if n := len(w.events(t, 71)); n != 600 {
		t.Errorf("%d events, want two of each parcel", n)
	}
	perMinute := map[time.Time]int{}
	for _, c := range w.calls["se-1"] {
		if c.at.After(down) {
			perMinute[c.at.Truncate(time.Minute)]++
		}
	}
	for minute, n := range perMinute {
		if n > tracking.LooksPerMinute {
			t.Errorf("%d calls in the minute %v", n, minute)
		}
	}
}

// TestStoppedWhileLookedAt: the look records nothing, reports nothing, and does not revive the
// parcel; also if it was registered again meanwhile. The others of its call are recorded.
func TestStoppedWhileLookedAt(t *testing.T) {
	t.Parallel()
	for _, again := range []bool{false, true} {
		t.Run(fmt.Sprint("registered again ", again), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.account(t, 71)
			conn := w.link(t, 71, "se-1", post)
			all := numbers(3)
			w.start(t, conn, all...)
			w.answer = func(_, number string, _ time.Time) tracking.CarrierAnswer {
				if number == all[1] {
					if err := w.service.Stop(t.Context(), parcel.Target{Account: a, Carrier: post}, number); err != nil {
						t.Error(err)
					}
					if again {
						w.start(t, conn, number)
					}
				}
				return says("In transit")
			}
			w.clock = start.Add(10 * time.Minute)
			w.rounds(t)
			equal(t, "events", slices.Sorted(slices.Values(w.events(t, 71))), []string{all[0] + " IT", all[2] + " IT"}) // those of one look are in any order
			var left []string
			for _, p := range w.parcels(t, 71) {
				left = append(left, p.Number+" "+string(p.Status))
			}
			want := []string{all[0] + " IT", all[2] + " IT"}
			if again {
				want = slices.Insert(want, 1, all[1]+" NY")
			}
			equal(t, "parcels", left, want)
		})
	}
}

// TestTwoAccounts: each account asks with its own credentials, hears only of its own parcel,
// and stops only that.
func TestTwoAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := w.account(t, 71), w.account(t, 72)
	w.start(t, w.link(t, 71, "se-1", post), "ZZ910001")
	w.start(t, w.link(t, 72, "se-2", post), "ZZ910001")
	w.answer = func(key, _ string, _ time.Time) tracking.CarrierAnswer {
		if key == "se-1" {
			return says("In transit")
		}
		return says("Delivered")
	}
	if err := w.service.Stop(t.Context(), parcel.Target{Account: second, Carrier: post}, "ZZ910002"); err != nil {
		t.Fatal(err)
	}
	w.run(t, time.Hour)
	equal(t, "events of the first", w.events(t, 71), []string{"ZZ910001 IT"})
	equal(t, "events of the second", w.events(t, 72), []string{"ZZ910001 DE"})
	if err := w.service.Stop(t.Context(), parcel.Target{Account: first, Carrier: post}, "ZZ910001"); err != nil {
		t.Fatal(err)
	}
	equal(t, "parcels of the first", len(w.parcels(t, 71)), 0)
	equal(t, "parcels of the second", len(w.parcels(t, 72)), 1)
}

// TestPaused: while the account is disabled, the connection is unlinked, or its key refused,
// nobody is asked; within an hour of the end of that the parcels are looked at again, by
// another connection to the carrier if the first is gone.
func TestPaused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		pause, resume func(t *testing.T, w *world)
		by            string // the API key that is used afterwards
	}{
		"the account is disabled": {disable, enable, "se-1"},
		"the connection requires action": {
			becomes(connection.ActionRequired), becomes(connection.Active), "se-1",
		},
		"the connection is unlinked": {becomes(connection.Disconnected), another, "se-2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.account(t, 71)
			w.start(t, w.link(t, 71, "se-1", post), numbers(3)...)
			w.link(t, 71, "se-9", carrier.StarTrack) // of no use for these
			w.run(t, time.Hour)
			calls := len(w.calls["se-1"])
			tc.pause(t, w)
			w.run(t, 50*time.Hour)
			if n := len(w.calls["se-1"]); n != calls || len(w.calls["se-9"]) > 0 {
				t.Errorf("%d calls of the carrier while paused, want %d", n, calls)
			}
			for _, p := range w.parcels(t, 71) {
				if !p.Active() || p.NextLookAt.After(w.clock) {
					t.Errorf("a paused parcel ended as %q, and is due at %v", p.End, p.NextLookAt)
				}
			}
			w.answer = func(string, string, time.Time) tracking.CarrierAnswer { return says("In transit") }
			w.calls = map[string][]call{}
			tc.resume(t, w)
			w.run(t, 61*time.Minute)
			equal(t, "calls with the key that works", w.asked(tc.by), []int{3})
			equal(t, "events", len(w.events(t, 71)), 3)
		})
	}
}

// becomes gives the connection se-1 a status.
func becomes(status connection.Status) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		t.Helper()
		row, err := w.Connection(t.Context(), 71, "se-1")
		row.Status = status
		if err == nil {
			err = w.SaveConnection(t.Context(), &row)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// another links another connection to the same carrier.
func another(t *testing.T, w *world) {
	t.Helper()
	w.link(t, 71, "se-2", post)
}

func enable(t *testing.T, w *world) {
	t.Helper()
	w.activate(t, true)
}

func disable(t *testing.T, w *world) {
	t.Helper()
	w.activate(t, false)
}

// activate enables or disables account 71.
func (w *world) activate(t *testing.T, active bool) {
	t.Helper()
	a, err := w.Account(t.Context(), 71, w.clock)
	if err == nil {
		err = w.SetAccountActive(t.Context(), a, false, active, effects.Effects{}, w.clock)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestPausedForTooLong: the 60 days of paused parcels end too, and give their room back.
func TestPausedForTooLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service.Limit = 200
	w.account(t, 71)
	conn := w.link(t, 71, "se-1", post)
	w.start(t, conn, numbers(200)...)
	w.activate(t, false)
	for range 62 * 24 {
		w.rounds(t)
		w.clock = w.clock.Add(time.Hour)
	}
	for _, p := range w.parcels(t, 71) {
		if p.End != parcel.EndExpired {
			t.Fatalf("a parcel has the end %q, want expired", p.End)
		}
	}
	w.start(t, conn, "ZZ920001") // the cap has room again
}

// TestDeletedAccount: its parcels are removed, without a call and an event; those that a
// restored account registers are looked at.
func TestDeletedAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service.Limit = 170
	a := w.account(t, 71)
	conn := w.link(t, 71, "se-1", post)
	w.start(t, conn, numbers(170)...)
	if err := w.DeleteAccount(t.Context(), a, false, start.Add(30*24*time.Hour), effects.Effects{}, start); err != nil {
		t.Fatal(err)
	}
	w.run(t, 2*time.Hour)
	if n := len(w.parcels(t, 71)); n > 0 || len(w.calls) > 0 || len(w.events(t, 71)) > 0 {
		t.Errorf("%d parcels remain, after %d calls of the carrier and %d events; want none", n, len(w.calls["se-1"]), len(w.events(t, 71)))
	}
	a, err := w.Account(t.Context(), 71, w.clock)
	if err == nil {
		err = w.RestoreAccount(t.Context(), a, false, effects.Effects{}, w.clock)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.clock = w.clock.Add(24 * time.Hour) // another day's registrations
	w.start(t, conn, numbers(100)...)
	w.run(t, time.Hour)
	equal(t, "calls after the restore", len(w.calls["se-1"]), 10)
}

// TestUnreadable: a stored parcel that cannot be read is refused, and the others are
// registered and looked at.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(t, 71)
	conn := w.link(t, 71, "se-1", post)
	all := numbers(3)
	w.start(t, conn, all[1])
	if _, err := w.Table.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String(dynamotest.Name), UpdateExpression: aws.String("SET registered_at = :v"),
		Key: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: "PARCELS#71"}, "sk": &types.AttributeValueMemberS{Value: "PARCEL#australia_post#" + all[1]},
		},
		ExpressionAttributeValues: map[string]types.AttributeValue{":v": &types.AttributeValueMemberS{Value: "canary"}},
	}); err != nil {
		t.Fatal(err)
	}
	refused, err := w.service.Start(t.Context(), parcel.Target{Account: a, Connection: conn}, all)
	if err != nil || len(refused) != 1 || fault.KindOf(refused[all[1]]) != fault.Internal {
		t.Fatalf("Start = %v, %v; want one refusal, of fault.Internal", refused, err)
	}
	w.answer = func(string, string, time.Time) tracking.CarrierAnswer { return says("In transit") }
	w.run(t, 15*time.Minute)
	equal(t, "events", len(w.events(t, 71)), 2)
}

// lateIndex is a store whose index of parcels follows the table only later.
type lateIndex struct {
	parcel.Rounds

	empty, more func() bool
}

func (s lateIndex) RoundParcels(ctx context.Context, r parcel.Round, limit int) ([]parcel.Parcel, bool, error) {
	if s.empty() {
		return nil, s.more(), nil
	}
	return s.Rounds.RoundParcels(ctx, r, limit)
}

// TestLateIndex: parcels that the index does not have yet are not lost; a round that finds
// none twice is removed, and comes back with the next registration.
func TestLateIndex(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		late time.Duration // after the first look is due
		more bool
		want int // rounds that remain after it
	}{
		"at one round":            {3 * time.Minute, false, 1},
		"at two rounds":           {2 * time.Hour, false, 0},
		"while there may be more": {10 * time.Hour, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.account(t, 71)
			conn := w.link(t, 71, "se-1", post)
			w.start(t, conn, "ZZ910001")
			w.answer = func(string, string, time.Time) tracking.CarrierAnswer { return says("In transit") }
			until := parcel.FirstLook("se-1", start, w.service.Timing).Add(tc.late)
			w.looker.Store = lateIndex{w, func() bool { return w.clock.Before(until) }, func() bool { return tc.more }}
			w.run(t, until.Sub(start))
			due, _, err := w.DueRounds(t.Context(), connection.Lane(post), w.clock.Add(2*time.Hour), 10)
			if err != nil || len(due) != tc.want {
				t.Errorf("%d rounds remain, %v; want %d", len(due), err, tc.want)
			}
			if tc.want == 0 {
				w.start(t, conn, "ZZ910001")
			}
			w.run(t, 61*time.Minute)
			equal(t, "events", w.events(t, 71), []string{"ZZ910001 IT"})
		})
	}
}

// TestForeignParcels: those of a purged account whose id was given away again are removed, and
// nobody hears of them.
func TestForeignParcels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conn := &connection.Connection{ID: "se-1", AccountID: 71, PartnerID: 6, Environment: carrier.Production, Carrier: post, Status: connection.Active}
	w.clock = start.Add(-2 * time.Hour)
	w.start(t, conn, numbers(3)...)
	w.clock = start
	w.account(t, 71)
	w.link(t, 71, "se-1", post)
	w.answer = func(string, string, time.Time) tracking.CarrierAnswer { return says("In transit") }
	w.run(t, 2*time.Hour)
	if n := len(w.parcels(t, 71)); n > 0 || len(w.calls) > 0 || len(w.events(t, 71)) > 0 {
		t.Errorf("%d foreign parcels remain, after %d calls and %d events; want none", n, len(w.calls["se-1"]), len(w.events(t, 71)))
	}
}

// spoilt has the carrier refuse each call that has one of these numbers beside others; by
// themselves it does not know them.
func (w *world) spoilt(bad ...string) {
	w.together = func(of []string) error {
		if len(of) > 1 && slices.ContainsFunc(of, func(n string) bool { return slices.Contains(bad, n) }) {
			return &fault.Error{Kind: fault.Invalid, Cause: tracking.ErrAskAlone}
		}
		return nil
	}
	w.answer = func(_, number string, _ time.Time) tracking.CarrierAnswer {
		if slices.Contains(bad, number) {
			return unknown()
		}
		return says("In transit")
	}
}

// TestRefusedTogether: the carrier refuses a call for some of its numbers. It is asked again
// for each half, and for each number of a half that it refuses, as soon as the allowance
// permits: one bad number of ten takes eight calls, which a minute has.
func TestRefusedTogether(t *testing.T) {
	t.Parallel()
	all := numbers(10)
	for _, tc := range []struct {
		name string
		of   int
		bad  []string
		want []int // sizes of the calls
	}{
		{"all are bad", 10, all, []int{10, 5, 5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		{"one in each half", 10, []string{all[0], all[9]}, []int{10, 5, 5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		{"two in one half", 10, []string{all[5], all[9]}, []int{10, 5, 5, 1, 1, 1, 1, 1}},
		{"the first", 10, all[:1], []int{10, 5, 5, 1, 1, 1, 1, 1}},
		{"the last", 10, all[9:], []int{10, 5, 5, 1, 1, 1, 1, 1}},
		{"one of seven", 7, all[6:7], []int{7, 4, 3, 1, 1, 1}},
		{"one of five", 5, all[:1], []int{5, 1, 1, 1, 1, 1}},
		{"one of two", 2, all[:1], []int{2, 1, 1}},
		{"none", 10, nil, []int{10}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.account(t, 71)
			w.start(t, w.link(t, 71, "se-1", post), all[:tc.of]...)
			w.spoilt(tc.bad...)
			w.run(t, parcel.FirstLook("se-1", start, w.service.Timing).Sub(start)+6*time.Minute)
			equal(t, "sizes of the first calls", w.asked("se-1"), tc.want)
			equal(t, "events", len(w.events(t, 71)), tc.of-len(tc.bad))
			w.calls = map[string][]call{}
			w.run(t, 7*time.Hour)
			if next := w.asked("se-1"); tc.of > len(tc.bad) {
				equal(t, "sizes of the next calls", next, []int{tc.of - len(tc.bad)})
			}
		})
	}
}

// TestOneIsToBlame: the number for which the carrier refuses a call stays alone, and is asked
// for less often.
func TestOneIsToBlame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(t, 71)
	w.start(t, w.link(t, 71, "se-1", post), numbers(10)...)
	bad := numbers(4)[3]
	w.spoilt(bad)
	w.run(t, 8*time.Hour)
	w.calls = map[string][]call{}
	w.run(t, 4*24*time.Hour)
	var alone []time.Duration
	last := start
	for _, c := range w.calls["se-1"] {
		if slices.Contains(c.numbers, bad) {
			equal(t, "beside it", c.numbers, []string{bad})
			alone = append(alone, c.at.Sub(last).Round(time.Hour))
			last = c.at
		}
	}
	equal(t, "its intervals", alone, []time.Duration{11 * time.Hour, 12 * time.Hour, 12 * time.Hour, 24 * time.Hour, 24 * time.Hour})
}

// TestAllowanceEndsWithinACall: some of a call are in the cache, and for the others no call is
// left. What is known is recorded, and the others are asked for when the allowance permits.
func TestAllowanceEndsWithinACall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(t, 71)
	conn := w.link(t, 71, "se-1", post)
	all := numbers(5)
	w.start(t, conn, all...)
	w.answer = func(string, string, time.Time) tracking.CarrierAnswer { return says("In transit") }
	w.clock = parcel.FirstLook("se-1", start, w.service.Timing)
	for i := range tracking.CallsPerMinute {
		of := fmt.Sprint("ZZ93000", i)
		if i == 0 {
			of = all[2]
		}
		if _, err := w.tracking.Track(t.Context(), tracking.Request{Account: a, Connection: conn, Numbers: []string{of}}); err != nil {
			t.Fatal(err)
		}
	}
	w.rounds(t)
	equal(t, "events at first", w.events(t, 71), []string{all[2] + " IT"})
	w.run(t, 2*time.Minute)
	equal(t, "events two minutes later", len(w.events(t, 71)), 5)
}

// TestOlderAnswer: an answer of the cache that is older than what a look has told is not told
// after it.
func TestOlderAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(t, 71)
	w.start(t, w.link(t, 71, "se-1", post), "ZZ910001")
	w.answer = func(string, string, time.Time) tracking.CarrierAnswer { return says("In transit") }
	w.run(t, time.Hour)
	old := says("Initiated").Tracking
	old.Number = "ZZ910001"
	w.looker.Tracker = cachedAnswer{tracking.Answer{Tracking: &old, At: start}}
	w.run(t, 7*time.Hour)
	equal(t, "events", w.events(t, 71), []string{"ZZ910001 IT"})
	w.looker.Tracker = cachedAnswer{tracking.Answer{Tracking: &old, At: w.clock.Add(24 * time.Hour)}}
	w.run(t, 7*time.Hour)
	equal(t, "events after a newer one", w.events(t, 71), []string{"ZZ910001 IT", "ZZ910001 AC"})
}

// cachedAnswer is what the cache has of the only number.
type cachedAnswer struct{ answer tracking.Answer }

func (c cachedAnswer) Look(_ context.Context, _ carrier.Environment, _ *connection.Connection, numbers []string) (map[string]tracking.Answer, error) {
	return map[string]tracking.Answer{numbers[0]: c.answer}, nil
}

// TestOneNumberFails: the carrier fails for one number of a call. The others are recorded,
// and that one comes again with the next round.
func TestOneNumberFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(t, 71)
	all := numbers(5)
	w.start(t, w.link(t, 71, "se-1", post), all...)
	failing := true
	w.answer = func(_, number string, _ time.Time) tracking.CarrierAnswer {
		if failing && number == all[2] {
			return tracking.CarrierAnswer{Err: connection.Reading{Outcome: carrier.OutcomeUnavailable}.Err()}
		}
		return says("In transit")
	}
	w.run(t, 12*time.Minute)
	equal(t, "events", len(w.events(t, 71)), 4)
	failing = false
	w.run(t, 61*time.Minute)
	equal(t, "events", len(w.events(t, 71)), 5)
}

// TestOurFailure: the round is due again, later after each failure, and nothing is lost.
func TestOurFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(t, 71)
	w.start(t, w.link(t, 71, "se-1", post), numbers(2)...)
	broken := errors.New("broken")
	w.looker.Tracker = failing{broken}
	w.clock = start.Add(10 * time.Minute)
	var waits []time.Duration
	for range 4 {
		due, _, err := w.DueRounds(t.Context(), connection.Lane(post), w.clock, 10)
		if err != nil || len(due) != 1 {
			t.Fatalf("%d rounds are due, %v", len(due), err)
		}
		if err := w.looker.Look(t.Context(), due[0]); !errors.Is(err, broken) {
			t.Fatalf("Look = %v, want the failure", err)
		}
		if err := w.looker.Look(t.Context(), due[0]); err != nil {
			t.Fatalf("Look of a round that is not due = %v, want nil", err)
		}
		waited := w.clock
		for due = nil; len(due) == 0; w.clock = w.clock.Add(time.Minute) {
			if due, _, err = w.DueRounds(t.Context(), connection.Lane(post), w.clock, 10); err != nil {
				t.Fatal(err)
			}
		}
		w.clock = w.clock.Add(-time.Minute)
		waits = append(waits, w.clock.Sub(waited))
	}
	equal(t, "pauses", waits, []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute})
	w.looker.Tracker = w.tracking
	w.answer = func(string, string, time.Time) tracking.CarrierAnswer { return says("In transit") }
	w.rounds(t)
	equal(t, "events", len(w.events(t, 71)), 2)
}

// busy is a store in which others keep changing what a look writes.
type busy struct{ parcel.Rounds }

func (busy) RecordLooks(context.Context, []parcel.Look, effects.By, time.Time) error {
	return fault.Busy(nil)
}

// TestBusyAfterTheClaim: that is a failure, unlike a round that is not due.
func TestBusyAfterTheClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(t, 71)
	w.start(t, w.link(t, 71, "se-1", post), "ZZ910001")
	w.looker.Store = busy{w}
	w.clock = start.Add(10 * time.Minute)
	due, _, err := w.DueRounds(t.Context(), connection.Lane(post), w.clock, 10)
	if err != nil || len(due) != 1 {
		t.Fatalf("%d rounds are due, %v", len(due), err)
	}
	if err := w.looker.Look(t.Context(), due[0]); !fault.Is(err, fault.State) {
		t.Errorf("Look = %v, want fault.State", err)
	}
}

type failing struct{ err error }

func (f failing) Look(context.Context, carrier.Environment, *connection.Connection, []string) (map[string]tracking.Answer, error) {
	return nil, f.err
}

// TestLife: a fresh number is no event; then each change is one, in order, until the parcel
// is delivered.
func TestLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(t, 71)
	w.start(t, w.link(t, 71, "se-1", post), "ZZ910001")
	story := []struct {
		until time.Duration
		says  tracking.CarrierAnswer
	}{
		{8 * time.Hour, unknown()},
		{20 * time.Hour, says("Initiated")},
		{40 * time.Hour, says("In transit", "Arrived at facility")},
		{45 * time.Hour, says("In transit", "Onboard for delivery")},
		{90 * time.Hour, says("Delivered", "Delivered")},
	}
	w.answer = func(_, _ string, now time.Time) tracking.CarrierAnswer {
		i := slices.IndexFunc(story, func(s struct {
			until time.Duration
			says  tracking.CarrierAnswer
		},
		) bool {
			return now.Sub(start) < s.until
		})
		return story[i].says
	}
	w.run(t, 80*time.Hour)
	equal(t, "events", w.events(t, 71), []string{"ZZ910001 AC", "ZZ910001 IT", "ZZ910001 DE"})
	var gaps []time.Duration
	calls := w.calls["se-1"]
	for i := 1; i < len(calls); i++ {
		gaps = append(gaps, calls[i].at.Sub(calls[i-1].at).Round(time.Hour))
	}
	if most, last := slices.Max(gaps), gaps[len(gaps)-2:]; most > 6*time.Hour || last[0] != time.Hour || last[1] != time.Hour {
		t.Errorf("hours between looks: %v; want at most 6, and 1 while on board", gaps)
	}
	p := w.parcels(t, 71)[0]
	if p.End != parcel.EndDelivered || !p.NextLookAt.IsZero() || p.Status != tracking.Delivered {
		t.Errorf("the parcel is %+v, want delivered and at its end", p)
	}
	w.run(t, 8*24*time.Hour)
	equal(t, "calls after the end", len(w.calls["se-1"]), len(calls))
	equal(t, "parcels a week after the end", len(w.parcels(t, 71)), 0)
}

// TestExpired: after 60 days nobody is asked any more.
func TestExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(t, 71)
	w.start(t, w.link(t, 71, "se-1", post), "ZZ910001")
	for range 61 * 24 {
		w.rounds(t)
		w.clock = w.clock.Add(time.Hour)
	}
	p := w.parcels(t, 71)[0]
	if days := p.EndedAt.Sub(start) / (24 * time.Hour); p.End != parcel.EndExpired || days != 60 {
		t.Errorf("the parcel ended as %q after %d days, want expired after 60", p.End, days)
	}
	for _, c := range w.calls["se-1"] {
		if c.at.Sub(start) > parcel.TrackedFor {
			t.Errorf("the carrier was asked at %v", c.at)
		}
	}
}

// TestNotTracked: a product that the carrier does not track is the end, unless it was tracked
// before.
func TestNotTracked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(t, 71)
	w.start(t, w.link(t, 71, "se-1", post), numbers(2)...)
	no := tracking.CarrierAnswer{Err: tracking.NumberNotTracked.Err(), Fault: tracking.NumberNotTracked}
	w.answer = func(_, number string, now time.Time) tracking.CarrierAnswer {
		if number == numbers(1)[0] || now.Sub(start) > time.Hour {
			return no
		}
		return says("In transit")
	}
	w.run(t, 8*time.Hour)
	var ends []parcel.End
	for _, p := range w.parcels(t, 71) {
		ends = append(ends, p.End)
	}
	equal(t, "ends", ends, []parcel.End{parcel.EndNotTracked, ""})
	equal(t, "events", len(w.events(t, 71)), 1)
}

// TestBrandsApart: numbers of Australia Post and StarTrack never share a call, and full calls
// are made of each.
func TestBrandsApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(t, 71)
	conn := w.link(t, 71, "se-1", post)
	var all []string
	for i := range 10 {
		all = append(all, fmt.Sprintf("ZZ91%010d", i), fmt.Sprintf("9ZZZ5000%04dEXP%05d", i, i))
	}
	w.start(t, conn, all...)
	w.run(t, 59*time.Minute)
	equal(t, "sizes of the calls", w.asked("se-1"), []int{10, 10})
	for _, c := range w.calls["se-1"] {
		of := strings.HasPrefix(c.numbers[0], "9ZZZ")
		if slices.ContainsFunc(c.numbers, func(n string) bool { return strings.HasPrefix(n, "9ZZZ") != of }) {
			t.Errorf("a call has both brands: %q", c.numbers)
		}
	}
}

// TestCacheIsShared: a look within two minutes of a read does not ask the carrier, and a read
// after a look does not either.
func TestCacheIsShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(t, 71)
	conn := w.link(t, 71, "se-1", post)
	w.start(t, conn, "ZZ910001")
	w.answer = func(string, string, time.Time) tracking.CarrierAnswer { return says("In transit") }
	w.clock = parcel.FirstLook("se-1", start, w.service.Timing)
	read := func() {
		t.Helper()
		if _, err := w.tracking.Track(t.Context(), tracking.Request{Account: a, Connection: conn, Numbers: []string{"ZZ910001"}}); err != nil {
			t.Fatal(err)
		}
	}
	read()
	w.rounds(t)
	read()
	equal(t, "calls", len(w.calls["se-1"]), 1)
	equal(t, "events", w.events(t, 71), []string{"ZZ910001 IT"})
}

// TestReadsHaveRoom: looks take eight of the ten calls of a minute, and no more than reads
// leave; connections with the same API key share them.
func TestReadsHaveRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(t, 71)
	first, second := w.link(t, 71, "se-1", post), w.link(t, 71, "se-1a", post)
	w.start(t, first, numbers(200)...)
	w.start(t, second, "ZZ920001", "ZZ920002")
	w.clock = start.Add(10 * time.Minute)
	w.rounds(t)
	equal(t, "calls of looks in a minute", len(w.calls["se-1"]), 8)
	for i := range 3 {
		_, err := w.tracking.Track(t.Context(), tracking.Request{Account: a, Connection: first, Numbers: []string{fmt.Sprint("ZZ93000", i)}})
		if want := i < 2; fault.Is(err, fault.RateLimited) == want {
			t.Errorf("read %d: %v, want a call for it: %t", i+1, err, want)
		}
	}
	w.clock = w.clock.Add(time.Minute)
	for i := range 5 {
		_, _ = w.tracking.Track(t.Context(), tracking.Request{Account: a, Connection: first, Numbers: []string{fmt.Sprint("ZZ94000", i)}})
	}
	w.rounds(t)
	w.rounds(t)
	equal(t, "calls in two minutes", len(w.calls["se-1"]), 20)
}

// TestStart: what is refused, and what a repeat changes.
func TestStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service.Limit = 3
	a := w.account(t, 71)
	target := func(name carrier.Name, conn *connection.Connection) parcel.Target {
		return parcel.Target{Account: a, Carrier: name, Connection: conn}
	}
	first, second := w.link(t, 71, "se-1", post), w.link(t, 71, "se-2", post)
	unlinked := *first
	unlinked.Status = connection.Disconnected
	for name, to := range map[string]parcel.Target{"no connection": target("", nil), "an unlinked one": target("", &unlinked), "none to the carrier": target(carrier.StarTrack, nil)} {
		if _, err := w.service.Start(t.Context(), to, []string{"ZZ910001"}); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: Start = %v, want fault.NotFound", name, err)
		}
	}
	w.start(t, second, "ZZ910001")
	if refused, err := w.service.Start(t.Context(), target(post, nil), []string{"ZZ910001", "ZZ910002"}); err != nil || len(refused) > 0 {
		t.Fatalf("Start = %v, %v", refused, err)
	}
	ids := func() (ids []string) {
		for _, p := range w.parcels(t, 71) {
			ids = append(ids, p.Number+" "+p.ConnectionID)
		}
		return ids
	}
	equal(t, "a repeat without a connection changes nothing", ids(), []string{"ZZ910001 se-2", "ZZ910002 se-1"})
	w.start(t, first, "ZZ910001")
	equal(t, "a repeat with another connection moves the parcel", ids(), []string{"ZZ910001 se-1", "ZZ910002 se-1"})
	refused, err := w.service.Start(t.Context(), target(post, nil), []string{"ZZ910002", "ZZ910003", "ZZ910004"})
	if err != nil || len(refused) != 1 || !fault.Is(refused["ZZ910004"], fault.State) {
		t.Errorf("Start beyond the cap = %v, %v; want only the last refused", refused, err)
	}
	if err := w.service.Stop(t.Context(), target("", nil), "ZZ910001"); !fault.Is(err, fault.NotFound) {
		t.Errorf("Stop without a connection = %v, want fault.NotFound", err)
	}
	for range 2 {
		if err := w.service.Stop(t.Context(), target("", &unlinked), "ZZ910001"); err != nil {
			t.Errorf("Stop = %v", err)
		}
	}
	equal(t, "parcels", ids(), []string{"ZZ910002 se-1", "ZZ910003 se-1"})
	refused, err = w.service.Start(t.Context(), target(post, nil), []string{"ZZ910004"})
	if message := fmt.Sprint(refused["ZZ910004"]); err != nil || !strings.Contains(message, "a day") {
		t.Errorf("the fourth of a day = %v, %v; want the cap of the day", refused, err)
	}
	w.clock = w.clock.Add(24 * time.Hour)
	w.start(t, first, "ZZ910004")
}
