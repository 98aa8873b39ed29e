package tracking

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
)

func TestCleanNumber(t *testing.T) {
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
		{"a query", "ZZ91&x=1", fault.Invalid},
		{"control characters", "ZZ91\x00", fault.Invalid},
		{"no UTF-8", "ZZ91\xff", fault.Invalid},
	} {
		got, problem := CleanNumber("tracking_number", tc.in)
		if problem == nil || problem.Kind != tc.want || problem.Field != "tracking_number" || got != "" {
			t.Errorf("%s: %q, %v, want %v", tc.name, got, problem, tc.want)
		}
	}
	for in, want := range map[string]string{
		" zz91 0006 3401\u00a01427\n": "ZZ91000634011427",
		"ET000000005AU":               "ET000000005AU",
		"ı1":                          "I1", // dotless i
		strings.Repeat(" 7", 50):      strings.Repeat("7", 50),
	} {
		if got, problem := CleanNumber("f", in); problem != nil || got != want {
			t.Errorf("CleanNumber(%q) = %q, %v, want %q", in, got, problem, want)
		}
	}
}

func TestIsStarTrackNumber(t *testing.T) {
	for number, want := range map[string]bool{
		"": false, "9ZZZ5000000": false, "9ZZZ500000011": false, "123450000001": false, "9ZZZ5000000A": false, "9Z-Z50000001": false,
		"9zzz50000001": false, "ZZ91000634011427": false, "ET000000005AU": false, "ÄZZ50000001": false, "ZZZ50334900100931006": false,
		"9ZZZ5000000112300001": false, "9ZZZ50000001EXP0000": false, "9ZZZ50000001EXP0000A": false, "9ZZZ50000001E-P00001": false, "123450000001EXP00001": false,
		"9ZZZ50000001": true, "RDYZ00000000": true, "2FWZ00000007": true, "36ZZ45032230": true,
		"9ZZZ50000001EXP00001": true, "9ZZZ50000001FPP00002": true, "9ZZZ50000001RE200001": true,
	} {
		if got := IsStarTrackNumber(number); got != want {
			t.Errorf("IsStarTrackNumber(%q) = %v, want %v", number, got, want)
		}
	}
}

// TestBrand checks the brand of a number before the carrier was asked, and after.
func TestBrand(t *testing.T) {
	post, star := carrier.AustraliaPost, carrier.StarTrack
	for _, tc := range []struct {
		name, own string
		carrier   carrier.Name
		number    string
		before    carrier.Name // by which calls are divided
		after     carrier.Name // of an answer without a consignment
	}{
		{"the account's own", "36ZZ4", post, "36ZZ45032230", post, post},
		{"the account's own, written small", "36zz4", post, "36ZZ45032230", post, post},
		{"nothing is known of the account", "", post, "36ZZ45032230", post, post},
		{"another location's, or StarTrack's", "36ZZ4", post, "9ZZZ50000001", star, post},
		{"StarTrack's account", "9ZZZ", star, "9ZZZ50000001", star, star},
		{"another account of StarTrack", "9ZZZ", star, "RDYZ50000001", star, star},
		{"StarTrack's account, nothing is known", "", star, "36ZZ45032230", star, star},
		{"a freight item", "36ZZ4", post, "9ZZZ50000001EXP00001", star, star},
		{"a freight item, StarTrack's account", "9ZZZ", star, "9ZZZ50000001EXP00001", star, star},
		{"an article", "36ZZ4", post, "ZZ91000634011427", post, post},
		{"an article, StarTrack's account", "9ZZZ", star, "ZZ91000634011427", post, post},
		{"from abroad, StarTrack's account", "", star, "ET000000005AU", post, post},
	} {
		account := connection.ChargeAccount{Carrier: tc.carrier, MerchantLocationID: tc.own}
		if got := BrandOf(account, tc.number); got != tc.before {
			t.Errorf("%s: BrandOf = %s, want %s", tc.name, got, tc.before)
		}
		tracking := Tracking{Number: tc.number}
		if got := tracking.Brand(tc.carrier); got != tc.after {
			t.Errorf("%s: Brand = %s, want %s", tc.name, got, tc.after)
		}
		tracking.IsStarTrack = true
		if got := tracking.Brand(tc.carrier); got != star {
			t.Errorf("%s, with a consignment: Brand = %s", tc.name, got)
		}
	}
}

// TestProgress has a row for each entry of auspost.md ("Status vocabulary", "Event texts").
func TestProgress(t *testing.T) {
	want := map[string]Status{
		"": "UN", "Something new": "UN", "Unknown": "UN", "Track items for detailed delivery information": "UN",
		// Australia Post articles
		"Created": "NY", "Sealed": "NY", "Initiated": "AC", "In transit": "IT", "Delivered": "DE", "Awaiting collection": "SP", "Awaiting Collection": "SP",
		"Possible delay": "EX", "Unsuccessful pickup": "EX", "Article damaged": "EX", "Cancelled": "EX", "Held by courier": "EX", "Cannot be delivered": "EX",
		// StarTrack consignments and freight items
		"At Delivery Depot": "IT", "Booked In": "IT", "Confirmed": "AC", "Deleted": "EX", "Delivered in Full": "DE", "Final Shortage": "EX", "Incomplete": "NY",
		"In Transit": "IT", "On Board for Delivery": "IT", "Partial Delivery": "IT", "Partial Pickup": "AC", "Picked Up": "AC", "Re-Consigned": "EX",
		"To be Re-Delivered": "AT", "Ready for Pickup": "AC", "Unconfirmed": "NY", "Unsuccessful Delivery": "AT", "Item Delivered": "DE", "Freight Handling": "IT",
		"  DELIVERED  IN full ": "DE",
		// Texts of events
		"Shipping information received by Australia Post": "AC", "Shipping information approved by Australia Post": "AC", "Received and ready for processing": "AC",
		"Received by Australia Post": "AC", "Received item": "AC", "Arrived": "IT", "Arrived at facility": "IT", "Arrived at sorting facility": "IT", "Item processed": "IT",
		"Item processed at facility": "IT", "Item processed at sorting facility": "IT", "Processed through Australia Post facility": "IT", "Processed at Export Facility": "IT",
		"Departed facility": "IT", "Despatch Parcels from Export Facility": "IT", "In transit to next facility": "IT", "Processed by air carrier": "IT",
		"Arrived awaiting clearance": "IT", "Item is in Customs": "IT", "Item received into Customs for clearance": "IT", "Item cleared by Customs": "IT",
		"Cleared and awaiting international departure": "IT", "Onboard for delivery": "IT", "Out for delivery": "IT", "With Australia Post for delivery today": "IT",
		"Attempted delivery": "AT", "Unable to be left in a safe place": "AT", "Delivered in part": "IT", "Return to sender": "EX", "Returned to sender": "EX",
	}
	words := map[string]bool{}
	for text, code := range want {
		words[strings.ToLower(text)] = true
		if got := ProgressOf(text).Status; got != code {
			t.Errorf("ProgressOf(%q) = %s, want %s", text, got, code)
		}
	}
	for word, p := range progress {
		if !words[word] || p.Status == "" || (p.Detail == "") != (p.Status == Unknown) {
			t.Errorf("%q has no row, or lacks a status or detail: %+v", word, p)
		}
	}
	for status, description := range map[Status]string{
		"UN": "Unknown", "AC": "Accepted", "IT": "In Transit", "DE": "Delivered", "EX": "Exception", "AT": "Delivery Attempt",
		"NY": "Not Yet In System", "SP": "Delivered To Collection Location", "": "Unknown", "XX": "Unknown",
	} {
		if got := status.Description(); got != description {
			t.Errorf("%s is %q, want %q", status, got, description)
		}
	}
}

// TestEventProgress: a place or a remark may follow the words of the vocabulary.
func TestEventProgress(t *testing.T) {
	for text, want := range map[string]Status{
		"": "UN", " ": "UN", " - Delivered": "UN", "Delivered-ish": "UN", "Something in transit": "UN", "Not delivered": "UN", "Undelivered": "UN", "Unknown": "UN",
		"Delivered to the collection point": "UN", "In SYDNEY": "UN", " at ": "UN",
		"Delivered": "DE", "Delivered - Left in a safe place": "DE", "delivered  in KEW VIC": "DE", "DELIVERED IN FULL": "DE", "Delivered in full at KEW VIC": "DE",
		"Delivered in part": "IT", "Delivered in part at KEW VIC": "IT", "Picked Up": "AC", "Picked up from WEST EXAMPLE": "AC",
		"In transit to next facility in ALEXANDRIA NSW": "IT", "in transit to next facility in sydney west nsw": "IT", "IN TRANSIT TO SYDNEY": "IT",
		"Awaiting collection at INALA HEIGHTS LPO": "SP", "Awaiting collection at SHOP IN THE MALL": "SP", "Arrived in New Zealand": "IT",
		"Arrived awaiting clearance (Inbound)": "IT", "Received item from Sender (Outbound)": "AC", "Item processed at CHULLORA": "IT",
		"Attempted delivery - Unable to gain access": "AT", "Unsuccessful delivery - Addressee not available": "AT",
		"Unable to be left in a safe place - Location not suitable": "AT", "Held by courier in DARWIN": "EX",
		"Onboard for delivery SYDNEY NSW": "IT", "Item processed at sorting facility SYDNEY WEST NSW": "IT", "Onboard for delivery: KEW": "IT", "In transit via ADELAIDE": "IT",
		"At Delivery Depot PERTH WA": "IT", "Booked In for 12/05/2026": "IT", "Possible delay due to weather": "EX", "Returned to sender by KEW LPO": "EX",
		"Attempted delivery. Card left": "AT", "Final Shortage KEW": "EX", "Cannot be delivered as addressed": "EX", "Partial Delivery KEW": "IT",
		"Delivered.": "DE", "Delivered. Left at the front door": "DE", "Delivered; signed for": "DE", "Delivered — Left in a safe place": "DE", "Delivered by driver": "DE", "Delivered on 12/05/2026": "DE",
		"Delivered damaged": "UN", "Item delivered incorrectly": "UN", "Delivered in full to a depot": "UN", "Delivered at KEW to an agent": "UN", "Incomplete address": "UN",
		"Createdness": "UN", "Cancelled by sender": "EX", "In transition": "UN", "Delivered, left in a safe place": "DE", "Attempted delivery – Carded": "AT", "Nobody home, delivered to a neighbour": "UN",
	} {
		if got := (Event{Description: text}).Progress().Status; got != want {
			t.Errorf("Progress of the event %q = %s, want %s", text, got, want)
		}
	}
}

func TestDeliveredAt(t *testing.T) {
	at := time.Date(2026, 9, 18, 4, 0, 0, 0, time.UTC)
	events := []Event{{At: at.Add(time.Hour), Description: "Picture taken"}, {At: at, Description: "Delivered"}, {At: at.Add(-time.Hour), Description: "Delivered"}}
	for _, tc := range []struct {
		name     string
		tracking Tracking
		want     time.Time
	}{
		{"not delivered", Tracking{CarrierStatus: "In transit", Events: events}, time.Time{}},
		{"no event says so", Tracking{CarrierStatus: "Delivered", Events: events[:1]}, time.Time{}},
		{"no events", Tracking{CarrierStatus: "Delivered"}, time.Time{}},
		{"delivered", Tracking{CarrierStatus: "Delivered in full", Events: events}, at},
		{"not all of it", Tracking{Parts: []Tracking{{CarrierStatus: "Delivered", Events: events}, {CarrierStatus: "In transit"}}}, time.Time{}},
		{"the last of all", Tracking{CarrierStatus: "Delivered", Parts: []Tracking{
			{Events: events}, {Events: []Event{{At: at.Add(2 * time.Hour), Description: "Delivered in KEW VIC"}, {Description: "Delivered"}}},
		}}, at.Add(2 * time.Hour)},
	} {
		if got := tc.tracking.DeliveredAt(); !got.Equal(tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// parts returns a shipment with the status whole and articles with these statuses.
func parts(whole string, statuses ...string) *Tracking {
	t := Tracking{CarrierStatus: whole}
	for _, s := range statuses {
		t.Parts = append(t.Parts, Tracking{CarrierStatus: s})
	}
	return &t
}

func TestSummary(t *testing.T) {
	for _, tc := range []struct {
		name     string
		tracking *Tracking
		want     string // status, detail, deciding text
		words    string
	}{
		{"nothing", parts(""), "UN||", ""},
		{"an unknown status", parts("Brand new"), "UN||Brand new", "Brand new"},
		{"unknown statuses", parts("", "", "Brand new", "Newer"), "UN||Brand new", "Brand new"},
		{"one failed", parts("", "Delivered", "In transit", "Article damaged"), "EX|PARCEL_DAMAGED|Article damaged", "Article damaged"},
		{"the first that failed", parts("", "Cancelled", "Cannot be delivered"), "EX|CANCELLED|Cancelled", "Cancelled"},
		{"one failed, whatever the whole", parts("Delivered", "Delivered", "Cannot be delivered"), "EX|NOT_DELIVERED|Cannot be delivered", "Delivered"},
		{"the whole failed", parts("Possible delay", "In transit"), "EX|CARRIER_DELAYS|Possible delay", "Possible delay"},
		{"final shortage", parts("", "Item Delivered", "Final Shortage"), "EX|DELIVERED_IN_PART|Final Shortage", "Final Shortage"},
		{"some delivered", parts("", "Delivered", "Awaiting collection", "In transit"), "IT|DELIVERED_IN_PART|In transit", "In transit"},
		{"some delivered, not even in the system", parts("", "Created", "Delivered"), "IT|DELIVERED_IN_PART|Created", "Created"},
		{"some delivered, the rest unknown", parts("", "Delivered", ""), "IT|DELIVERED_IN_PART|Delivered", "Delivered"},
		{"delivered, by the whole alone", parts("Delivered in Full", "Item Delivered", "Confirmed"), "IT|DELIVERED_IN_PART|Confirmed", "Delivered in Full"},
		{"a part is delivered in part", parts("", "Partial Delivery", "In Transit"), "IT|DELIVERED_IN_PART|Partial Delivery", "Partial Delivery"},
		{"partial delivery of what is delivered", parts("Partial Delivery", "Item Delivered"), "IT|DELIVERED_IN_PART|Partial Delivery", "Partial Delivery"},
		{"all delivered", parts("", "Delivered", "Item Delivered"), "DE|DELIVERED|Delivered", "Delivered"},
		{"all delivered, and the whole", parts("Delivered in Full", "Item Delivered"), "DE|DELIVERED|Delivered in Full", "Delivered in Full"},
		{"the whole is delivered, the parts say nothing", parts("Delivered", "", "Unknown"), "DE|DELIVERED|Delivered", "Delivered"},
		{"the least advanced", parts("", "Awaiting collection", "Unsuccessful Delivery", "In Transit"), "IT|IN_TRANSIT|In Transit", "In Transit"},
		{"the least advanced, attempted", parts("", "Awaiting collection", "Unsuccessful Delivery"), "AT|ATTEMPTED_DELIVERY|Unsuccessful Delivery", "Unsuccessful Delivery"},
		{"the least advanced, not in the system", parts("", "Confirmed", "Sealed"), "NY|SHIPMENT_CREATED|Sealed", "Sealed"},
		{"the whole decides among those on their way", parts("In Transit", "Confirmed", "On Board for Delivery"), "IT|IN_TRANSIT|In Transit", "In Transit"},
		{"the only part", parts("", "Unsuccessful Delivery"), "AT|ATTEMPTED_DELIVERY|Unsuccessful Delivery", "Unsuccessful Delivery"},
	} {
		s := tc.tracking.Summary()
		if got := fmt.Sprintf("%s|%s|%s", s.Status, s.Detail, s.Text); got != tc.want || tc.tracking.CarrierText() != tc.words {
			t.Errorf("%s: %s, in the carrier's words %q, want %s, %q", tc.name, got, tc.tracking.CarrierText(), tc.want, tc.words)
		}
	}
}

// definition returns the status of a flat shipment as decision 0025 defines it: the stated
// status of the whole counts as one more part.
func definition(whole string, articles []string) Progress {
	var stated []Progress // what is understood
	unknown := 0
	above := ProgressOf(whole)
	if above.known() {
		stated = append(stated, above)
	}
	for _, a := range articles {
		switch p := ProgressOf(a); {
		case p.known():
			stated = append(stated, p)
		case !above.known():
			unknown++
		}
	}
	count := func(is func(Progress) bool) (n int) {
		for _, p := range stated {
			if is(p) {
				n++
			}
		}
		return n
	}
	if i := slices.IndexFunc(stated, func(p Progress) bool { return p.Status == Exception }); i >= 0 {
		return stated[i]
	}
	switch delivered := count(func(p Progress) bool { return p.Status == Delivered }); {
	case len(stated) == 0:
		return Progress{Status: Unknown}
	case delivered == len(stated) && unknown == 0:
		return stated[0]
	case delivered > 0, count(func(p Progress) bool { return p.Detail == "DELIVERED_IN_PART" }) > 0:
		return Progress{InTransit, "DELIVERED_IN_PART"}
	case above.known():
		return above
	}
	for _, s := range []Status{"NY", "AC", "IT", "AT", "SP"} {
		if i := slices.IndexFunc(stated, func(p Progress) bool { return p.Status == s }); i >= 0 {
			return stated[i]
		}
	}
	return Progress{}
}

// TestSummaryByDefinition compares the status of random shipments with the definition, both
// flat and with their articles in consignments: nesting must not matter.
func TestSummaryByDefinition(t *testing.T) {
	words := []string{"", "Brand new", "Unknown", "Delivered", "Delivered", "Item Delivered", "Delivered", "In transit", "Created", "Initiated", "Awaiting collection", "Unsuccessful Delivery", "Partial Delivery", "Cannot be delivered"}
	random := rand.New(rand.NewPCG(9, 25))
	for range 20_000 {
		articles := make([]string, random.IntN(5))
		kinds := len(words) - random.IntN(3)
		for i := range articles {
			articles[i] = words[random.IntN(kinds)]
		}
		whole := ""
		if random.IntN(2) == 0 {
			whole = words[random.IntN(len(words))]
		}
		flat := parts(whole, articles...)
		want := definition(whole, articles)
		if got := flat.Summary().Progress; got != want {
			t.Fatalf("%q of %q = %+v, want %+v", whole, articles, got, want)
		}
		nested := &Tracking{CarrierStatus: whole}
		for rest := flat.Parts; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			nested.Parts = append(nested.Parts, Tracking{Parts: []Tracking{{Parts: rest[:n]}}})
			rest = rest[n:]
		}
		got := nested.Summary()
		if got.Status != want.Status {
			t.Fatalf("%q of %q, nested = %+v, want %+v", whole, articles, got, want)
		}
		delivered := true
		for _, a := range nested.Articles() {
			delivered = delivered && a.Status == Delivered
		}
		if got.Status == Delivered && !delivered {
			t.Fatalf("%q of %q is delivered, and an article is not", whole, articles)
		}
	}
}

// TestSummaryOfLaterEvents: an article without a status takes the one of what it
// belongs to, unless it was scanned after it had been delivered.
func TestSummaryOfLaterEvents(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 9, d, 0, 0, 0, 0, time.UTC) }
	delivered, onItsWay, returned := Event{At: day(18), Description: "Delivered"}, Event{At: day(19), Description: "In transit to next facility"}, Event{At: day(19), Description: "Return to sender"}
	picture, before, sometime := Event{At: day(20), Description: "Picture taken"}, Event{At: day(17), Description: "Onboard for delivery"}, Event{Description: "In transit"}
	part := func(status string, events ...Event) Tracking { return Tracking{CarrierStatus: status, Events: events} }
	for _, tc := range []struct {
		name  string
		whole Tracking // "Delivered in Full"
		parts []Tracking
		want  string // the status of the whole, then those of the articles
	}{
		{"after its own delivery", part(""), []Tracking{part("", onItsWay, delivered)}, "IT IT"},
		{"after that of the whole", part("", delivered), []Tracking{part("", onItsWay)}, "IT IT"},
		{"after that of another article", part(""), []Tracking{part("Item Delivered", delivered), part("", onItsWay)}, "IT DE IT"},
		{"after its own delivery, another is delivered later", part(""), []Tracking{part("Item Delivered", Event{At: day(21), Description: "Delivered"}), part("", onItsWay, delivered)}, "IT DE IT"},
		{"returned after its delivery", part("", delivered), []Tracking{part("", returned)}, "EX EX"},
		{"behind an event that is not understood", part("", delivered), []Tracking{part("", picture, onItsWay)}, "IT IT"},
		{"with a status that is not understood", part("", delivered), []Tracking{part("Brand new", onItsWay)}, "IT IT"},
		{"with a status and a newest event that are not understood", part("", delivered), []Tracking{part("Brand new", picture, onItsWay)}, "DE DE"},
		{"without times, in the carrier's order", part(""), []Tracking{part("", sometime, Event{Description: "Delivered"})}, "IT IT"},
		{"deeper", part(""), []Tracking{{Parts: []Tracking{part("", onItsWay, delivered)}}}, "IT IT"},
		{"before the delivery", part("", delivered), []Tracking{part("", before)}, "DE DE"},
		{"at some time", part("", delivered), []Tracking{part("", sometime)}, "DE DE"},
		{"no delivery has a time", part(""), []Tracking{part("", onItsWay)}, "DE DE"},
		{"its own status counts", part("", delivered), []Tracking{part("Item Delivered", onItsWay)}, "DE DE"},
		{"after its own delivery, and then delivered", part(""), []Tracking{part("", Event{At: day(20), Description: "Delivered"}, onItsWay, delivered)}, "DE DE"},
	} {
		tc.whole.CarrierStatus, tc.whole.Parts = "Delivered in Full", tc.parts
		all := []string{string(tc.whole.Summary().Status)}
		for _, a := range tc.whole.Articles() {
			all = append(all, string(a.Status))
		}
		got := strings.Join(all, " ")
		if got != tc.want || tc.whole.DeliveredAt().IsZero() != (got[:2] != "DE" || tc.name == "no delivery has a time") {
			t.Errorf("%s: %s, delivered at %v, want %s", tc.name, got, tc.whole.DeliveredAt(), tc.want)
		}
	}
}

func TestArticles(t *testing.T) {
	events := []Event{{Description: "Onboard for delivery"}}
	tracking := Tracking{CarrierStatus: "In transit", Parts: []Tracking{
		{Number: "C1", CarrierStatus: "Delivered", Parts: []Tracking{{Number: "A1"}, {Number: "A2", CarrierStatus: "Brand new", Events: events}, {}}},
		{Number: "A3", Events: events},
		{},
	}}
	unknown := Tracking{Parts: []Tracking{
		{Number: "A1", CarrierStatus: "Brand new", Events: events},
		{Number: "A2", CarrierStatus: "Brand new", Events: append([]Event{{Description: "Newer"}}, events...)},
		{Number: "A3", CarrierStatus: "Brand new"},
	}}
	want := []Article{
		{Number: "A1", Summary: Summary{Progress{Delivered, "DELIVERED"}, "Delivered"}},
		{Number: "A2", Summary: Summary{Progress{Delivered, "DELIVERED"}, "Brand new"}, Events: events},
		{Number: "A3", Summary: Summary{Progress{InTransit, "IN_TRANSIT"}, "In transit"}, Events: events},
	}
	if d := cmp.Diff(want, tracking.Articles()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	out := Progress{InTransit, "OUT_FOR_DELIVERY"}
	want = []Article{
		{Number: "A1", Summary: Summary{out, "Brand new"}, Events: events},
		{Number: "A2", Summary: Summary{Progress{Status: Unknown}, "Brand new"}, Events: unknown.Parts[1].Events},
		{Number: "A3", Summary: Summary{Progress{Status: Unknown}, "Brand new"}},
	}
	if d := cmp.Diff(want, unknown.Articles()); d != "" {
		t.Errorf("of unknown statuses, -want +got:\n%s", d)
	}
	whole := Tracking{CarrierStatus: "Brand new", Events: []Event{{Description: "Cannot be delivered"}}}
	if got := whole.Summary(); got != (Summary{Progress{Exception, "NOT_DELIVERED"}, "Cannot be delivered"}) || whole.CarrierText() != "Brand new" {
		t.Errorf("a whole with an unknown status: %+v, %q", got, whole.CarrierText())
	}
}
