package carrier

import (
	"slices"
	"strings"
)

// TrackingStatus is how far a parcel is, in ShipEngine's status codes.
type TrackingStatus string

// The status codes.
const (
	TrackingUnknown    TrackingStatus = "UN"
	TrackingAccepted   TrackingStatus = "AC"
	TrackingInTransit  TrackingStatus = "IT"
	TrackingDelivered  TrackingStatus = "DE"
	TrackingException  TrackingStatus = "EX"
	TrackingAttempted  TrackingStatus = "AT"
	TrackingNotYet     TrackingStatus = "NY"
	TrackingCollection TrackingStatus = "SP"
)

// Description is ShipEngine's text of a status code.
func (s TrackingStatus) Description() string {
	switch s {
	case TrackingAccepted:
		return "Accepted"
	case TrackingInTransit:
		return "In Transit"
	case TrackingDelivered:
		return "Delivered"
	case TrackingException:
		return "Exception"
	case TrackingAttempted:
		return "Delivery Attempt"
	case TrackingNotYet:
		return "Not Yet In System"
	case TrackingCollection:
		return "Delivered To Collection Location"
	case TrackingUnknown:
	}
	return "Unknown"
}

// Progress is what a carrier's status means: ShipEngine's code and, where one
// fits, its detail code.
type Progress struct {
	Status TrackingStatus
	Detail string
}

// progress is the carrier's whole vocabulary, in lower case (contract: "Status
// vocabulary", "Event texts"): the statuses of Australia Post articles, StarTrack
// consignments and StarTrack freight items, then the texts of events. What a
// status means is told by the official reference of statuses; an event means what
// the status does that it leads to.
var progress = map[string]Progress{
	// Australia Post articles
	"created":             {TrackingNotYet, "SHIPMENT_CREATED"}, // in no order yet
	"sealed":              {TrackingNotYet, "SHIPMENT_CREATED"}, // in an order that is not final
	"initiated":           {TrackingAccepted, "ELEC_ADVICE_RECD_BY_CARRIER"},
	"in transit":          {TrackingInTransit, "IN_TRANSIT"}, // StarTrack's too
	"delivered":           {TrackingDelivered, "DELIVERED"},  // StarTrack's too
	"awaiting collection": {TrackingCollection, "AWAITING_COLLECTION_FROM_PICKUP_POINT"},
	"possible delay":      {TrackingException, "CARRIER_DELAYS"},
	"unsuccessful pickup": {TrackingException, "PICKUP_FAILED"}, // from the sender
	"article damaged":     {TrackingException, "PARCEL_DAMAGED"},
	"cancelled":           {TrackingException, "CANCELLED"},
	"held by courier":     {TrackingException, "HELD_BY_CARRIER"},
	"cannot be delivered": {TrackingException, "NOT_DELIVERED"},
	// The items of a shipment differ: each has to be asked for.
	"track items for detailed delivery information": {Status: TrackingUnknown},

	// StarTrack consignments and freight items
	"at delivery depot":     {TrackingInTransit, "RECEIVED_LOCAL_DELIVERY_DEPOT"},
	"booked in":             {TrackingInTransit, "DELIVERY_SCHEDULED"}, // held at the depot until the receiver's date
	"confirmed":             {TrackingAccepted, "ELEC_ADVICE_RECD_BY_CARRIER"},
	"deleted":               {TrackingException, "CANCELLED"}, // by the sender
	"delivered in full":     {TrackingDelivered, "DELIVERED"},
	"item delivered":        {TrackingDelivered, "DELIVERED"},
	"final shortage":        {TrackingException, "DELIVERED_IN_PART"}, // and nothing more will come
	"incomplete":            {TrackingNotYet, "SHIPMENT_CREATED"},     // the sender's information is
	"on board for delivery": {TrackingInTransit, "OUT_FOR_DELIVERY"},
	"partial delivery":      {TrackingInTransit, "DELIVERED_IN_PART"},
	"partial pickup":        {TrackingAccepted, "PICKED_UP"},
	"picked up":             {TrackingAccepted, "PICKED_UP"},
	"re-consigned":          {TrackingException, "UNSPECIFIED_EXCEPTION"}, // goes on under another number
	"to be re-delivered":    {TrackingAttempted, "DELIVERY_RESCHEDULED"},
	"ready for pickup":      {TrackingAccepted, "AWAITING_PICKUP_DROP_OFF"}, // by the carrier
	"unconfirmed":           {TrackingNotYet, "SHIPMENT_CREATED"},
	"unsuccessful delivery": {TrackingAttempted, "ATTEMPTED_DELIVERY"},
	"freight handling":      {TrackingInTransit, "HUB_PROCESSING"}, // seen in one client only

	"unknown": {Status: TrackingUnknown},

	// Events before the carrier has the parcel
	"shipping information received by australia post": {TrackingAccepted, "ELEC_ADVICE_RECD_BY_CARRIER"},
	"shipping information approved by australia post": {TrackingAccepted, "ELEC_ADVICE_RECD_BY_CARRIER"},
	"received and ready for processing":               {TrackingAccepted, "RECEIVED_BY_CARRIER"},
	"received by australia post":                      {TrackingAccepted, "RECEIVED_BY_CARRIER"},
	"received item":                                   {TrackingAccepted, "RECEIVED_BY_CARRIER"}, // from the sender, abroad

	// on the way
	"arrived":                                      {TrackingInTransit, "IN_TRANSIT"}, // in a country or town
	"arrived at facility":                          {TrackingInTransit, "HUB_SCAN_IN"},
	"arrived at sorting facility":                  {TrackingInTransit, "HUB_SCAN_IN"},
	"item processed":                               {TrackingInTransit, "HUB_PROCESSING"},
	"item processed at facility":                   {TrackingInTransit, "HUB_PROCESSING"},
	"item processed at sorting facility":           {TrackingInTransit, "HUB_PROCESSING"},
	"processed through australia post facility":    {TrackingInTransit, "HUB_PROCESSING"},
	"processed at export facility":                 {TrackingInTransit, "HUB_PROCESSING"},
	"departed facility":                            {TrackingInTransit, "HUB_SCAN_OUT"},
	"despatch parcels from export facility":        {TrackingInTransit, "HUB_SCAN_OUT"},
	"in transit to next facility":                  {TrackingInTransit, "IN_TRANSIT"},
	"processed by air carrier":                     {TrackingInTransit, "IN_TRANSIT"},
	"arrived awaiting clearance":                   {TrackingInTransit, "CUSTOMS_PROCESSING"},
	"item is in customs":                           {TrackingInTransit, "CUSTOMS_PROCESSING"},
	"item received into customs for clearance":     {TrackingInTransit, "CUSTOMS_PROCESSING"},
	"item cleared by customs":                      {TrackingInTransit, "CUSTOMS_CLEARED"},
	"cleared and awaiting international departure": {TrackingInTransit, "CUSTOMS_CLEARED"},

	// and at the door
	"onboard for delivery":                   {TrackingInTransit, "OUT_FOR_DELIVERY"},
	"out for delivery":                       {TrackingInTransit, "OUT_FOR_DELIVERY"},
	"with australia post for delivery today": {TrackingInTransit, "OUT_FOR_DELIVERY"},
	"attempted delivery":                     {TrackingAttempted, "ATTEMPTED_DELIVERY"},
	"unable to be left in a safe place":      {TrackingAttempted, "ATTEMPTED_DELIVERY"},
	"delivered in part":                      {TrackingInTransit, "DELIVERED_IN_PART"},
	"return to sender":                       {TrackingException, "RETURN_TO_SENDER"},
	"returned to sender":                     {TrackingException, "RETURN_TO_SENDER"},
}

// ProgressOf reads a carrier's status, in whatever letter case and with whatever
// blanks. One that is not in the vocabulary is TrackingUnknown.
func ProgressOf(text string) Progress { return progressOf(fold(text)) }

func progressOf(folded string) Progress {
	p, ok := progress[folded]
	if !ok {
		p.Status = TrackingUnknown
	}
	return p
}

func fold(text string) string { return strings.ToLower(strings.Join(strings.Fields(text), " ")) }

func (p Progress) known() bool { return p.Status != TrackingUnknown && p.Status != "" }

// Progress is what an event's text says. A place or a remark may follow the words
// of the vocabulary: "In transit to next facility in SYDNEY", "Awaiting
// collection at INALA LPO", "Delivered - Left in a safe place". The longest words
// count that the text begins with.
func (e TrackingEvent) Progress() Progress {
	text := strings.TrimRight(fold(e.Description), " .")
	for end := len(text); end > 0; end = strings.LastIndexAny(text[:end], " ,;:.(/") {
		if p := progressOf(text[:end]); p.known() && p.goesOn(text[:end], text[end:]) {
			return p
		}
	}
	return Progress{Status: TrackingUnknown}
}

// goesOn tells whether words still mean this with what follows them. One word may
// begin another phrase ("Incomplete address"), and a delivery may be none
// ("Delivered damaged"): one of partings has to follow. "Delivered to" a place may
// be anything but a delivery to the receiver.
func (p Progress) goesOn(words, behind string) bool {
	delivered := p.Status == TrackingDelivered
	if !delivered && strings.Contains(words, " ") {
		return true
	}
	parted := behind == "" || slices.ContainsFunc(partings, func(s string) bool { return strings.HasPrefix(behind, s) })
	return parted && (!delivered || !strings.Contains(behind, " to "))
}

// partings are what stands between words of the vocabulary and a place or remark.
var partings = []string{" - ", " – ", " — ", ", ", ". ", "; ", ": ", " (", " in ", " at ", " from ", " to ", " by ", " on ", " via "}

// Summary is how far a shipment or a part of one is, and the carrier's words that
// say so: empty if it says nothing.
type Summary struct {
	Progress

	Text string
}

// pace orders the states on the way to delivery, the least advanced first.
var pace = map[TrackingStatus]int{
	TrackingNotYet: 1, TrackingAccepted: 2, TrackingInTransit: 3, TrackingAttempted: 4, TrackingCollection: 5, TrackingDelivered: 6,
}

// partlyDelivered tells whether something of a part has been delivered.
func (s Summary) partlyDelivered() bool {
	return s.Status == TrackingDelivered || s.Detail == deliveredInPart
}

const deliveredInPart = "DELIVERED_IN_PART"

// combine says how far a whole is (decision 0025): delivered where all of it is;
// failed where any of it is; in transit and delivered in part where some of it is
// delivered; else what the carrier states of the whole, and where it states
// nothing the least advanced part. A part that nothing is known of is not
// delivered, and says nothing else.
func combine(stated Summary, parts []Summary) Summary {
	all := parts
	if stated.known() {
		all = append([]Summary{stated}, parts...)
	}
	delivered, partly := true, false
	slowest := Summary{Progress: Progress{Status: TrackingUnknown}, Text: stated.Text}
	for _, s := range all {
		if s.Status == TrackingException {
			return s
		}
		if slowest.Text == "" {
			slowest.Text = s.Text
		}
		delivered = delivered && s.Status == TrackingDelivered
		partly = partly || s.partlyDelivered()
		if s.known() && (!slowest.known() || pace[s.Status] < pace[slowest.Status]) {
			slowest = s
		}
	}
	switch {
	case delivered && len(all) > 0:
		return all[0]
	case partly:
		return Summary{Progress{TrackingInTransit, deliveredInPart}, slowest.Text}
	case stated.known():
		return stated
	}
	return slowest
}
