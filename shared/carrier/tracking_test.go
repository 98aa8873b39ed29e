package carrier

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/fault"
)

func TestCleanTrackingNumber(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     fault.Kind
	}{
		{"nothing", "", fault.Length},
		{"blanks", " \t\u00a0", fault.Length},
		{"51 characters", strings.Repeat("7", 51), fault.Length},
		{"a comma", "ZZ91,ZZ92", fault.Invalid},
		{"a hyphen", "ZZ-91", fault.Invalid},
		{"another alphabet", "ΖΖ91", fault.Invalid},
		{"digits of another script", "١٢٣٤", fault.Invalid},
		{"an invisible character", "ZZ91\u200b", fault.Invalid},
		{"a letter that is two capitals", "ß1", fault.Invalid},
		{"a letter whose capital is plain", "ı1", 0}, // dotless i
		{"a query", "ZZ91&x=1", fault.Invalid},
		{"control characters", "ZZ91\x00", fault.Invalid},
		{"no UTF-8", "ZZ91\xff", fault.Invalid},
	} {
		got, problem := CleanTrackingNumber("tracking_number", tc.in)
		if tc.want == 0 {
			continue
		}
		if problem == nil || problem.Kind != tc.want || problem.Field != "tracking_number" || got != "" {
			t.Errorf("%s: %q, %v, want %v", tc.name, got, problem, tc.want)
		}
	}
	for in, want := range map[string]string{
		" zz91 0006 3401\u00a01427\n": "ZZ91000634011427",
		"ET000000005AU":               "ET000000005AU",
		strings.Repeat(" 7", 50):      strings.Repeat("7", 50),
	} {
		if got, problem := CleanTrackingNumber("f", in); problem != nil || got != want {
			t.Errorf("CleanTrackingNumber(%q) = %q, %v, want %q", in, got, problem, want)
		}
	}
}

func TestIsStarTrackNumber(t *testing.T) {
	for number, want := range map[string]bool{
		"": false, "9ZZZ5000000": false, "9ZZZ500000011": false, "123450000001": false, "9ZZZ5000000A": false, "9Z-Z50000001": false,
		"9zzz50000001": false, "ZZ91000634011427": false, "ET000000005AU": false, "9ZZZ50000001FPP00001": false, "ÄZZ50000001": false,
		"9ZZZ50000001": true, "RDYZ00000000": true, "2FWZ00000007": true,
	} {
		if got := IsStarTrackNumber(number); got != want {
			t.Errorf("IsStarTrackNumber(%q) = %v, want %v", number, got, want)
		}
	}
}

// TestProgress has a row for each word of the contract ("Status vocabulary").
func TestProgress(t *testing.T) {
	want := map[string]TrackingStatus{
		"": "UN", "Something new": "UN", "Unknown": "UN", "Track items for detailed delivery information": "UN",
		// Australia Post articles
		"Created": "NY", "Sealed": "NY", "Initiated": "AC", "In transit": "IT", "Delivered": "DE", "Awaiting collection": "SP", "Awaiting Collection": "SP",
		"Possible delay": "EX", "Unsuccessful pickup": "EX", "Article damaged": "EX", "Cancelled": "EX", "Held by courier": "EX", "Cannot be delivered": "EX",
		// StarTrack consignments and freight items
		"At Delivery Depot": "IT", "Booked In": "IT", "Confirmed": "AC", "Deleted": "EX", "Delivered in Full": "DE", "Final Shortage": "EX", "Incomplete": "NY",
		"In Transit": "IT", "On Board for Delivery": "IT", "Partial Delivery": "IT", "Partial Pickup": "AC", "Picked Up": "AC", "Re-Consigned": "EX",
		"To be Re-Delivered": "AT", "Ready for Pickup": "AC", "Unconfirmed": "NY", "Unsuccessful Delivery": "AT", "Item Delivered": "DE", "Freight Handling": "IT",
		"  DELIVERED  IN full ": "DE",
	}
	words := map[string]bool{}
	for text, code := range want {
		words[strings.ToLower(text)] = true
		if got := ProgressOf(text).Status; got != code {
			t.Errorf("ProgressOf(%q) = %s, want %s", text, got, code)
		}
	}
	for word, p := range progress {
		if !words[word] || p.Status == "" || (p.Detail == "") != (p.Status == TrackingUnknown) {
			t.Errorf("%q is not in the contract, or says too little: %+v", word, p)
		}
	}
	for status, description := range map[TrackingStatus]string{
		"UN": "Unknown", "AC": "Accepted", "IT": "In Transit", "DE": "Delivered", "EX": "Exception", "AT": "Delivery Attempt",
		"NY": "Not Yet In System", "SP": "Delivered To Collection Location", "": "Unknown", "XX": "Unknown",
	} {
		if got := status.Description(); got != description {
			t.Errorf("%s is %q, want %q", status, got, description)
		}
	}
}

func TestEventProgress(t *testing.T) {
	for text, want := range map[string]TrackingStatus{
		"": "UN", " - Delivered": "UN", "Delivered-ish": "UN", "Item processed at facility": "UN", "In transit to next facility in ALEXANDRIA NSW": "UN",
		"Delivered": "DE", "Delivered - Left in a safe place": "DE", "Picked Up": "AC",
	} {
		if got := (TrackingEvent{Description: text}).Progress().Status; got != want {
			t.Errorf("the event %q is %s, want %s", text, got, want)
		}
	}
}

func TestDeliveredAt(t *testing.T) {
	at := time.Date(2026, 9, 18, 4, 0, 0, 0, time.UTC)
	events := []TrackingEvent{{At: at.Add(time.Hour), Description: "Picture taken"}, {At: at, Description: "Delivered"}, {At: at.Add(-time.Hour), Description: "Delivered"}}
	for _, tc := range []struct {
		name     string
		tracking Tracking
		want     time.Time
	}{
		{"not delivered", Tracking{CarrierStatus: "In transit", Events: events}, time.Time{}},
		{"no event says so", Tracking{CarrierStatus: "Delivered", Events: events[:1]}, time.Time{}},
		{"no events", Tracking{CarrierStatus: "Delivered"}, time.Time{}},
		{"delivered", Tracking{CarrierStatus: "Delivered in full", Events: events}, at},
	} {
		if got := tc.tracking.DeliveredAt(); !got.Equal(tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestPlace(t *testing.T) {
	for location, want := range map[string][2]string{
		"": {"", ""}, "SINGAPORE": {"SINGAPORE", ""}, "NSW": {"NSW", ""}, "LOS ANGELES CA": {"LOS ANGELES CA", ""}, "alexandria nsw": {"alexandria nsw", ""},
		"ALEXANDRIA NSW": {"ALEXANDRIA", "NSW"}, " PORT MELBOURNE,  VIC ": {"PORT MELBOURNE", "VIC"},
		"A ACT": {"A", "ACT"}, "A NT": {"A", "NT"}, "A QLD": {"A", "QLD"}, "A SA": {"A", "SA"}, "A TAS": {"A", "TAS"}, "A WA": {"A", "WA"},
	} {
		city, state := TrackingEvent{Location: location}.Place()
		if d := cmp.Diff(want, [2]string{city, state}); d != "" {
			t.Errorf("%q -want +got:\n%s", location, d)
		}
	}
}
