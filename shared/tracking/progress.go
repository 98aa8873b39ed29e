package tracking

import (
	"cmp"
	"slices"
	"strings"
)

// Status is how far a parcel is, as ShipEngine's status code.
type Status string

// The status codes.
const (
	Unknown    Status = "UN"
	Accepted   Status = "AC"
	InTransit  Status = "IT"
	Delivered  Status = "DE"
	Exception  Status = "EX"
	Attempted  Status = "AT"
	NotYet     Status = "NY"
	Collection Status = "SP"
)

var descriptions = map[Status]string{
	Accepted: "Accepted", InTransit: "In Transit", Delivered: "Delivered", Exception: "Exception", Attempted: "Delivery Attempt",
	NotYet: "Not Yet In System", Collection: "Delivered To Collection Location",
}

// Valid reports whether this is one of the status codes.
func (s Status) Valid() bool { return s == Unknown || descriptions[s] != "" }

// Description returns ShipEngine's text of a status code.
func (s Status) Description() string { return cmp.Or(descriptions[s], "Unknown") }

// Progress is the meaning of a carrier's status: ShipEngine's code and, if one fits, its
// detail code.
type Progress struct {
	Status Status
	Detail string
}

// progress is the carrier's vocabulary, in lower case (auspost.md, "Status vocabulary",
// "Event texts"): the statuses of Australia Post articles, StarTrack consignments and
// StarTrack freight items, then the texts of events. The official reference defines the
// statuses; an event means the same as the status that it leads to.
var progress = map[string]Progress{
	// Australia Post articles
	"created":             {NotYet, "SHIPMENT_CREATED"}, // in no order yet
	"sealed":              {NotYet, "SHIPMENT_CREATED"}, // in an order that is not final
	"initiated":           {Accepted, "ELEC_ADVICE_RECD_BY_CARRIER"},
	"in transit":          {InTransit, "IN_TRANSIT"}, // StarTrack's too
	"delivered":           {Delivered, "DELIVERED"},  // StarTrack's too
	"awaiting collection": {Collection, "AWAITING_COLLECTION_FROM_PICKUP_POINT"},
	"possible delay":      {Exception, "CARRIER_DELAYS"},
	"unsuccessful pickup": {Exception, "PICKUP_FAILED"}, // from the sender
	"article damaged":     {Exception, "PARCEL_DAMAGED"},
	"cancelled":           {Exception, "CANCELLED"},
	"held by courier":     {Exception, "HELD_BY_CARRIER"},
	"cannot be delivered": {Exception, "NOT_DELIVERED"},
	// The items of a shipment differ: ask for each.
	"track items for detailed delivery information": {Status: Unknown},

	// StarTrack consignments and freight items
	"at delivery depot":     {InTransit, "RECEIVED_LOCAL_DELIVERY_DEPOT"},
	"booked in":             {InTransit, "DELIVERY_SCHEDULED"}, // held at the depot until the receiver's date
	"confirmed":             {Accepted, "ELEC_ADVICE_RECD_BY_CARRIER"},
	"deleted":               {Exception, "CANCELLED"}, // by the sender
	"delivered in full":     {Delivered, "DELIVERED"},
	"item delivered":        {Delivered, "DELIVERED"},
	"final shortage":        {Exception, "DELIVERED_IN_PART"}, // nothing more will come
	"incomplete":            {NotYet, "SHIPMENT_CREATED"},     // the sender's information is incomplete
	"on board for delivery": {InTransit, "OUT_FOR_DELIVERY"},
	"partial delivery":      {InTransit, "DELIVERED_IN_PART"},
	"partial pickup":        {Accepted, "PICKED_UP"},
	"picked up":             {Accepted, "PICKED_UP"},
	"re-consigned":          {Exception, "UNSPECIFIED_EXCEPTION"}, // goes on under another number
	"to be re-delivered":    {Attempted, "DELIVERY_RESCHEDULED"},
	"ready for pickup":      {Accepted, "AWAITING_PICKUP_DROP_OFF"}, // by the carrier
	"unconfirmed":           {NotYet, "SHIPMENT_CREATED"},
	"unsuccessful delivery": {Attempted, "ATTEMPTED_DELIVERY"},
	"freight handling":      {InTransit, "HUB_PROCESSING"}, // known from one client only

	"unknown": {Status: Unknown},

	// Events before the carrier has the parcel
	"shipping information received by australia post": {Accepted, "ELEC_ADVICE_RECD_BY_CARRIER"},
	"shipping information approved by australia post": {Accepted, "ELEC_ADVICE_RECD_BY_CARRIER"},
	"received and ready for processing":               {Accepted, "RECEIVED_BY_CARRIER"},
	"received by australia post":                      {Accepted, "RECEIVED_BY_CARRIER"},
	"received item":                                   {Accepted, "RECEIVED_BY_CARRIER"}, // from the sender, abroad

	// Events on the way
	"arrived":                                      {InTransit, "IN_TRANSIT"}, // in a country or town
	"arrived at facility":                          {InTransit, "HUB_SCAN_IN"},
	"arrived at sorting facility":                  {InTransit, "HUB_SCAN_IN"},
	"item processed":                               {InTransit, "HUB_PROCESSING"},
	"item processed at facility":                   {InTransit, "HUB_PROCESSING"},
	"item processed at sorting facility":           {InTransit, "HUB_PROCESSING"},
	"processed through australia post facility":    {InTransit, "HUB_PROCESSING"},
	"processed at export facility":                 {InTransit, "HUB_PROCESSING"},
	"departed facility":                            {InTransit, "HUB_SCAN_OUT"},
	"despatch parcels from export facility":        {InTransit, "HUB_SCAN_OUT"},
	"in transit to next facility":                  {InTransit, "IN_TRANSIT"},
	"processed by air carrier":                     {InTransit, "IN_TRANSIT"},
	"arrived awaiting clearance":                   {InTransit, "CUSTOMS_PROCESSING"},
	"item is in customs":                           {InTransit, "CUSTOMS_PROCESSING"},
	"item received into customs for clearance":     {InTransit, "CUSTOMS_PROCESSING"},
	"item cleared by customs":                      {InTransit, "CUSTOMS_CLEARED"},
	"cleared and awaiting international departure": {InTransit, "CUSTOMS_CLEARED"},

	// Events at the door
	"onboard for delivery":                   {InTransit, "OUT_FOR_DELIVERY"},
	"out for delivery":                       {InTransit, "OUT_FOR_DELIVERY"},
	"with australia post for delivery today": {InTransit, "OUT_FOR_DELIVERY"},
	"attempted delivery":                     {Attempted, "ATTEMPTED_DELIVERY"},
	"unable to be left in a safe place":      {Attempted, "ATTEMPTED_DELIVERY"},
	"delivered in part":                      {InTransit, "DELIVERED_IN_PART"},
	"return to sender":                       {Exception, "RETURN_TO_SENDER"},
	"returned to sender":                     {Exception, "RETURN_TO_SENDER"},
}

// ProgressOf returns the meaning of a carrier's status, in any letter case and with any
// white space; Unknown if it is not in the vocabulary.
func ProgressOf(text string) Progress { return progressOf(fold(text)) }

func progressOf(folded string) Progress { return cmp.Or(progress[folded], Progress{Status: Unknown}) }

func fold(text string) string { return strings.ToLower(strings.Join(strings.Fields(text), " ")) }

func (p Progress) known() bool { return p.Status != Unknown && p.Status != "" }

// Progress returns the meaning of an event's text. A place or a remark may follow the
// words of the vocabulary: "In transit to next facility in SYDNEY", "Awaiting
// collection at INALA LPO", "Delivered - Left in a safe place". Of several entries that
// the text begins with, the longest counts.
func (e Event) Progress() Progress {
	text := strings.TrimRight(fold(e.Description), " .")
	for end := len(text); end > 0; end = strings.LastIndexAny(text[:end], " ,;:.(/") {
		if p := progressOf(text[:end]); p.known() && p.keepsMeaningBefore(text[:end], text[end:]) {
			return p
		}
	}
	return Progress{Status: Unknown}
}

// keepsMeaningBefore tells whether words keep their meaning before the rest of a text. A single
// word may begin another phrase ("Incomplete address"), and "Delivered" may not mean a
// delivery ("Delivered damaged"): a separator must follow both. "Delivered to" a place
// need not mean the receiver's.
func (p Progress) keepsMeaningBefore(words, rest string) bool {
	delivered := p.Status == Delivered
	if !delivered && strings.Contains(words, " ") {
		return true
	}
	separated := rest == "" || slices.ContainsFunc(separators, func(s string) bool { return strings.HasPrefix(rest, s) })
	return separated && (!delivered || !strings.Contains(rest, " to "))
}

// separators stand between words of the vocabulary and a place or remark.
var separators = []string{" - ", " – ", " — ", ", ", ". ", "; ", ": ", " (", " in ", " at ", " from ", " to ", " by ", " on ", " via "}

// Summary is how far a shipment or a part of one is, with the carrier's words that say
// so; empty if it says nothing.
type Summary struct {
	Progress

	Text string
}

// pace orders the statuses on the way to delivery, the least advanced first.
var pace = map[Status]int{
	NotYet: 1, Accepted: 2, InTransit: 3, Attempted: 4, Collection: 5, Delivered: 6,
}

const deliveredInPart = "DELIVERED_IN_PART"

// combine returns how far a whole is (decision 0025). It is an exception if any part is;
// delivered if all parts are; in transit and delivered in part if some are; otherwise
// what the carrier states of the whole, or if that is nothing the least advanced part.
// A part without a known status is not delivered and otherwise does not count.
func combine(stated Summary, parts []Summary) Summary {
	all := parts
	if stated.known() {
		all = append([]Summary{stated}, parts...)
	}
	delivered, partly := true, false
	slowest := Summary{Progress: Progress{Status: Unknown}, Text: stated.Text}
	for _, s := range all {
		if s.Status == Exception {
			return s
		}
		if slowest.Text == "" {
			slowest.Text = s.Text
		}
		delivered = delivered && s.Status == Delivered
		partly = partly || s.Status == Delivered || s.Detail == deliveredInPart
		if s.known() && (!slowest.known() || pace[s.Status] < pace[slowest.Status]) {
			slowest = s
		}
	}
	switch {
	case delivered && len(all) > 0:
		return all[0]
	case partly:
		return Summary{Progress{InTransit, deliveredInPart}, slowest.Text}
	case stated.known():
		return stated
	}
	return slowest
}
