package parcel

import (
	"fmt"
	"testing"
	"time"

	"carrierlink/shared/health"
	"carrierlink/shared/tracking"
)

func says(status string, events ...string) *tracking.Tracking {
	t := &tracking.Tracking{CarrierStatus: status}
	for _, text := range events {
		t.Events = append(t.Events, tracking.Event{Description: text})
	}
	return t
}

// of is a shipment of articles with these statuses.
func of(statuses ...string) *tracking.Tracking {
	t := &tracking.Tracking{}
	for i, s := range statuses {
		t.Parts = append(t.Parts, tracking.Tracking{Number: fmt.Sprint("A", i), CarrierStatus: s})
	}
	return t
}

func TestInterval(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		says *tracking.Tracking
		want time.Duration
	}{
		{"unknown", nil, 6 * time.Hour},
		{"nothing said", says(""), 6 * time.Hour},
		{"on its way", says("In transit", "Item processed at facility"), 6 * time.Hour},
		{"delivered after it was on board", says("Delivered", "Delivered", "Onboard for delivery"), 6 * time.Hour},
		{"on board a day ago, then carded", says("Unsuccessful Delivery", "Unsuccessful Delivery", "On Board for Delivery"), 6 * time.Hour},
		{"at the depot", says("At Delivery Depot"), 2 * time.Hour},
		{"to be delivered again", says("To be Re-Delivered"), 2 * time.Hour},
		{"on board by its status", says("On Board for Delivery"), time.Hour},
		{"on board by its newest event", says("In transit", "With Australia Post for delivery today"), time.Hour},
		{"an article on board", of("In transit", "On Board for Delivery"), time.Hour},
		{"the last article on board", of("Delivered", "On Board for Delivery"), time.Hour},
		{"an article at the depot", of("In transit", "At Delivery Depot"), 2 * time.Hour},
	} {
		if got := interval(tc.says); got != tc.want {
			t.Errorf("%s: interval = %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestEndOf(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		says *tracking.Tracking
		want End
	}{
		{"nothing said", says(""), ""},
		{"on its way", says("In transit"), ""},
		{"a delay may pass", says("Possible delay"), ""},
		{"held", says("Held by courier"), ""},
		{"damaged, which may still be delivered", says("Article damaged"), ""},
		{"not picked up yet", says("Unsuccessful pickup"), ""},
		{"one of two delivered", of("Delivered", "In transit"), ""},
		{"one cannot be delivered, the other is on its way", of("Cannot be delivered", "In transit"), ""},
		{"one cannot be delivered, the other is late", of("Cannot be delivered", "Possible delay"), ""},
		{"delivered", says("Delivered"), EndDelivered},
		{"both delivered", of("Delivered", "Delivered"), EndDelivered},
		{"cannot be delivered", says("Cannot be delivered"), EndException},
		{"cancelled", says("Cancelled"), EndException},
		{"goes on under another number", says("Re-Consigned"), EndException},
		{"nothing more comes", says("Final Shortage"), EndException},
		{"one delivered, the other cannot be", of("Delivered", "Cannot be delivered"), EndException},
	} {
		if got := endOf(tc.says); got != tc.want {
			t.Errorf("%s: endOf = %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		before *tracking.Tracking // nil: nothing
		now    *tracking.Tracking
		want   bool
	}{
		{"nothing said", nil, says(""), false},
		{"not yet in the system", nil, says("Created"), false},
		{"sealed after created", says("Created"), says("Sealed"), false},
		{"silent after a status", says("In transit"), says(""), false},
		{"the same", says("In transit"), says("In transit"), false},
		{"another scan", says("In transit", "Arrived at facility"), says("In transit", "Departed facility", "Arrived at facility"), false},
		{
			"the articles in another order", &tracking.Tracking{Parts: []tracking.Tracking{{Number: "A", CarrierStatus: "Delivered"}, {Number: "B", CarrierStatus: "In transit"}}},
			&tracking.Tracking{Parts: []tracking.Tracking{{Number: "B", CarrierStatus: "In transit"}, {Number: "A", CarrierStatus: "Delivered"}}}, false,
		},
		{"an article is announced", says("In transit"), &tracking.Tracking{CarrierStatus: "In transit", Parts: []tracking.Tracking{{Number: "A", CarrierStatus: "Created"}}}, false},
		{"known for the first time", nil, says("In transit"), true},
		{"unknown words for the first time", nil, says("Pondering"), true},
		{"other unknown words", says("Pondering"), says("Wandering"), true},
		{"another status", says("In transit"), says("Delivered"), true},
		{"another detail", says("In Transit"), says("On Board for Delivery"), true},
		{"back in no order", says("In transit"), says("Created"), true},
		{"of an article", of("In transit", "In transit", "Delivered"), of("In transit", "Delivered", "Delivered"), true},
		{"a new article", of("In transit"), of("In transit", "In transit"), true},
	} {
		p := Parcel{Status: tracking.NotYet}
		if tc.before != nil {
			p.observe(tc.before)
		}
		if got := p.observe(tc.now); got != tc.want {
			t.Errorf("%s: observe = %t, want %t", tc.name, got, tc.want)
		}
		if p.observe(tc.now) {
			t.Errorf("%s: again it has changed", tc.name)
		}
	}
}

// TestSlots: the looks of a connection fall on its slots; the next one is never later than
// the interval, and less than an hour earlier.
func TestSlots(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 4, 5, 6, 7, 8_000_000, time.UTC)
	phases := map[time.Duration]bool{}
	for _, speed := range []int{1, 60, 1000} {
		timing := health.Timing{Speed: speed}
		hour := timing.Scale(time.Hour)
		for n := range 200 {
			id, now := fmt.Sprintf("se-%d", n), start.Add(time.Duration(n)*timing.Scale(7*time.Minute))
			slot := NextRound(id, now, timing)
			if wait := slot.Sub(now); wait <= 0 || wait > hour {
				t.Fatalf("speed %d: the round after %v begins %v later, want up to an hour", speed, now, wait)
			}
			if speed == 1 {
				phases[slot.Sub(slot.Truncate(time.Hour))/time.Minute] = true
			}
			for _, every := range []time.Duration{lookOnBoardEvery, lookAtDepotEvery, lookEvery} {
				next := nextLook(id, now, every, timing)
				if early := now.Add(timing.Scale(every)).Sub(next); early < 0 || early >= hour || next.Sub(slot)%hour != 0 {
					t.Fatalf("speed %d: the look %v after %v is %v early, and %v from a slot", speed, every, now, early, next.Sub(slot)%hour)
				}
			}
			first := FirstLook(id, now, timing)
			if wait := first.Sub(now); wait <= 0 || wait > timing.Scale(10*time.Minute) {
				t.Fatalf("speed %d: the first look comes %v later, want up to ten minutes", speed, wait)
			}
		}
	}
	if len(phases) < 50 {
		t.Errorf("the slots of 200 connections are in %d minutes of the hour, want at least 50", len(phases))
	}
}

func TestMayComeEarly(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, tc := range []struct {
		name         string
		looked, next time.Duration // from now
		want         bool
	}{
		{"just looked at", 0, 6 * time.Hour, false},
		{"before half of the time", -2 * time.Hour, 4 * time.Hour, false},
		{"after half of it", -3 * time.Hour, 3 * time.Hour, true},
		{"of an hour", -20 * time.Minute, 40 * time.Minute, false},
	} {
		p := Parcel{LookedAt: now.Add(tc.looked), NextLookAt: now.Add(tc.next)}
		if got := p.MayComeEarly(now); got != tc.want {
			t.Errorf("%s: MayComeEarly = %t, want %t", tc.name, got, tc.want)
		}
	}
	if p := (Parcel{NextLookAt: now.Add(time.Minute)}); !p.MayComeEarly(now) {
		t.Error("a parcel that nobody has looked at may not come early")
	}
}
