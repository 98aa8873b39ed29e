package health_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/health"
)

// TestAnnouncement lists what has to be announced, by the state of the breaker and by what
// partners know.
func TestAnnouncement(t *testing.T) {
	t.Parallel()
	const m, ms = time.Minute, time.Millisecond
	began, ended, now := day(1), day(2), day(3)
	var closed health.Breaker
	open := closed.Opened("outage", began, timing())
	over := open.Closed(ended)
	again := over.Opened("forbidden", ended.Add(m), timing())
	telling := health.Outage{BeganAt: began, Failure: "outage", At: began.Add(m), After: 7}
	told := health.Outage{BeganAt: began, Failure: "outage", At: began.Add(m), Told: true}
	ending := health.Outage{BeganAt: began, EndedAt: ended, Failure: "outage", At: ended.Add(m), After: 7}
	early := told
	early.At = now.Add(time.Second)
	for _, tc := range []struct {
		name    string
		breaker health.Breaker
		outage  health.Outage
		want    health.Outage
		due     bool
		after   health.Outage // once everyone is told
	}{
		{"never open", closed, health.Outage{}, health.Outage{}, false, health.Outage{}},
		{"over before it was noted", over, health.Outage{}, health.Outage{}, false, health.Outage{}},
		{"over before it was noted, after another", over, health.Outage{At: began}, health.Outage{At: began}, false, health.Outage{}},
		{"known", open, told, told, false, health.Outage{}},
		{"known, closed and open again", again, told, told, false, health.Outage{}},
		{"open", open, health.Outage{}, health.Outage{BeganAt: began, Failure: "outage", At: now}, true, health.Outage{BeganAt: began, Failure: "outage", At: now, Told: true}},
		{
			"open, and the last announcement's clock is ahead", open,
			health.Outage{At: now.Add(m)},
			health.Outage{BeganAt: began, Failure: "outage", At: now.Add(m + ms)},
			true,
			health.Outage{BeganAt: began, Failure: "outage", At: now.Add(m + ms), Told: true},
		},
		{"some know that it began", open, telling, telling, true, told},
		{"some know that it began, and it is over", over, telling, telling, true, told},
		{"some know that it began, and the next one has begun", again, telling, telling, true, told},
		{"over", over, told, health.Outage{BeganAt: began, EndedAt: ended, Failure: "outage", At: now}, true, health.Outage{At: now}},
		{"over, and the other announcement's clock is ahead", over, early, health.Outage{BeganAt: began, EndedAt: ended, Failure: "outage", At: now.Add(time.Second + ms)}, true, health.Outage{At: now.Add(time.Second + ms)}},
		{"some know that it is over", over, ending, ending, true, health.Outage{At: ending.At}},
		{"some know that it is over, and the next one has begun", again, ending, ending, true, health.Outage{At: ending.At}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.breaker.Outage = tc.outage
			got, due := tc.breaker.Announcement(now.Add(ms - 1))
			if diff := cmp.Diff(tc.want, got); diff != "" || due != tc.due {
				t.Fatalf("Announcement = due %t, want %t (-want +got):\n%s", due, tc.due, diff)
			}
			if !due {
				return
			}
			if diff := cmp.Diff(tc.after, got.Announced()); diff != "" {
				t.Errorf("Announced (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAnnouncementsTakeTurns: whatever the breaker does while announcements are noted, made
// and cut off, partners hear of beginnings and ends by turns, at increasing times, and in the
// end what is the case.
func TestAnnouncementsTakeTurns(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(21, 22))
	heard, merged := 0, 0
	for range 2000 {
		var b health.Breaker
		var last health.Outage
		switched := 0
		at := day(0)
		step := func(flaps bool) {
			at = at.Add(time.Duration(random.IntN(90)) * time.Second)
			switch n := random.IntN(4); {
			case n == 0 && flaps && b.Open:
				b, switched = b.Closed(at), switched+1
			case n == 0 && flaps:
				b, switched = b.Opened("outage", at, timing()), switched+1
			case n == 1: // a pass that dies before it has told everyone
				b.Outage, _ = b.Announcement(at)
			case n == 2:
				o, due := b.Announcement(at)
				if !due {
					return
				}
				ends := !o.EndedAt.IsZero()
				if ends != isOutage(last) || !o.At.After(last.At) || ends && (!o.BeganAt.Equal(last.BeganAt) || o.EndedAt.Before(o.BeganAt)) {
					t.Fatalf("after %+v comes %+v", last, o)
				}
				b.Outage, last, heard = o.Announced(), o, heard+1
			}
		}
		for range random.IntN(60) {
			step(true)
		}
		for range 60 {
			step(false)
		}
		if isOutage(last) != b.Open {
			t.Fatalf("the breaker is open: %t, the partners have heard %+v", b.Open, last)
		}
		merged += switched
	}
	if heard < 2000 || merged < 2*heard {
		t.Errorf("%d announcements of %d switches: hardly tested", heard, merged)
	}
}

// isOutage reports whether an announcement says that an outage began.
func isOutage(o health.Outage) bool { return !o.BeganAt.IsZero() && o.EndedAt.IsZero() }
