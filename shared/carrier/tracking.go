package carrier

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"carrierlink/shared/fault"
)

// CachedTracking is what was known of one tracking number a while ago.
type CachedTracking struct {
	Number    string
	At        time.Time
	Body      []byte // in whatever form its keeper gives it
	ExpiresAt time.Time
}

// MaxTrackingNumbers is how many numbers one call of the carrier takes
// (contract: "Track").
const MaxTrackingNumbers = 10

// TrackCalls is the allowance of a credential: so many track calls in any minute
// (contract: "Track", "Known traps" 15).
const TrackCalls = 10

// longestTrackingNumber is more than any article, consignment or barcode id has.
const longestTrackingNumber = 50

// CleanTrackingNumber reads a tracking number as people write it: blanks are
// taken out and letters become capitals, as the carrier prints them. fault.Length
// for none or more than 50 characters; fault.Invalid for anything but letters
// and digits: a comma would make two of one.
func CleanTrackingNumber(field, s string) (string, *fault.Error) {
	s = strings.ToUpper(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s))
	switch {
	case s == "":
		return "", fault.Field(fault.Length, field, "%s must not be empty.", field)
	case strings.ContainsFunc(s, func(r rune) bool { return !isCapital(r) && !isDigit(r) }):
		return "", fault.Field(fault.Invalid, field, "%s must be letters and digits; give the parameter once for each number.", field)
	case len(s) > longestTrackingNumber:
		return "", fault.Field(fault.Length, field, "%s must be at most %d characters.", field, longestTrackingNumber)
	}
	return s, nil
}

func isCapital(r rune) bool { return r >= 'A' && r <= 'Z' }
func isDigit(r rune) bool   { return r >= '0' && r <= '9' }

// IsStarTrackNumber tells whether a cleaned number has the form of a StarTrack
// consignment: four letters or digits with a letter among them, then eight
// digits, such as 9ZZZ50000001 (contract: "Track").
func IsStarTrackNumber(s string) bool {
	return len(s) == 12 && strings.ContainsFunc(s[:4], isCapital) && isDigits(s[4:]) &&
		!strings.ContainsFunc(s[:4], func(r rune) bool { return !isCapital(r) && !isDigit(r) })
}

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
// vocabulary"): Australia Post articles, StarTrack consignments, StarTrack
// freight items. What the words mean is told by the official reference of
// statuses.
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
}

// ProgressOf reads a carrier's status, in whatever letter case. One that is not
// in the vocabulary is TrackingUnknown.
func ProgressOf(text string) Progress {
	p, ok := progress[strings.ToLower(strings.Join(strings.Fields(text), " "))]
	if !ok {
		p.Status = TrackingUnknown
	}
	return p
}

// Tracking is what a carrier knows of one tracking number.
type Tracking struct {
	Number        string
	CarrierStatus string          // as the carrier writes it; empty if it gives none
	Events        []TrackingEvent // the newest first
}

// TrackingEvent is one scan, or one message about a parcel.
type TrackingEvent struct {
	At          time.Time // zero where the carrier's time can not be read
	CarrierTime string    // as the carrier writes it
	Description string
	Location    string // may be empty
}

// Progress is what the carrier's status means.
func (t *Tracking) Progress() Progress { return ProgressOf(t.CarrierStatus) }

// DeliveredAt is when a delivered parcel was; zero if it is not, or no event
// tells.
func (t *Tracking) DeliveredAt() time.Time {
	if t.Progress().Status == TrackingDelivered {
		for _, e := range t.Events {
			if e.Progress().Status == TrackingDelivered {
				return e.At
			}
		}
	}
	return time.Time{}
}

// Progress is what an event's text says, where it is a word of the vocabulary,
// alone or before a dash, such as "Delivered - Left in a safe place".
func (e TrackingEvent) Progress() Progress {
	word, _, _ := strings.Cut(e.Description, " - ")
	return ProgressOf(word)
}

// states are those of Australia, as the carrier writes them.
var states = []string{"ACT", "NSW", "NT", "QLD", "SA", "TAS", "VIC", "WA"}

// Place splits an event's location, such as "ALEXANDRIA NSW". The state is empty
// where it does not end in one of Australia's.
func (e TrackingEvent) Place() (city, state string) {
	city = strings.TrimSpace(e.Location)
	if i := strings.LastIndexByte(city, ' '); i >= 0 && slices.Contains(states, city[i+1:]) {
		return strings.TrimRight(city[:i], " ,"), city[i+1:]
	}
	return city, ""
}

// TrackingReading is a carrier's answer: what it came to for each number that
// was asked.
type TrackingReading map[string]Tracked

// Tracked is one number's part of it.
type Tracked struct {
	Tracking Tracking // where Err is nil
	// Err says why there is none: fault.NotFound or Invalid about the number, what
	// forbade the call, or those of Reading.Err.
	Err error
}
