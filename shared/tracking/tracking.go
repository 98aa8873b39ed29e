// Package tracking has what carriers say of parcels: tracking numbers, statuses, places
// and articles. Service answers from a cache or asks the carrier.
//
// Facts about the carrier cite infra/docs/auspost.md as "auspost.md".
package tracking

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
)

// Cached is a cache entry for one tracking number.
type Cached struct {
	Number    string
	At        time.Time // of the carrier's answer
	Body      []byte    // a cacheBody
	ExpiresAt time.Time
}

// MaxNumbers is how many numbers a call of the carrier takes (auspost.md, "Track").
const MaxNumbers = 10

// CallsPerMinute is how many tracking calls a credential may make in any minute
// (auspost.md, "Track", "Known traps" 15).
const CallsPerMinute = 10

// LooksPerMinute is how many of them the schedule may make.
const LooksPerMinute = 8

// longestNumber is longer than any id of an article, a consignment or a barcode.
const longestNumber = 50

// CleanNumber removes white space from a tracking number and makes its letters capitals,
// as the carrier prints them. fault.Length for an empty number or one of more than 50
// characters; fault.Invalid for anything but letters and digits: the carrier would
// read a comma as the end of a number.
func CleanNumber(field, s string) (string, *fault.Error) {
	s = strings.ToUpper(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s))
	switch {
	case s == "":
		return "", fault.Empty(field)
	case strings.ContainsFunc(s, notAlnum):
		return "", fault.Field(fault.Invalid, field, "%s must be letters and digits; give the parameter once for each number.", field)
	case len(s) > longestNumber:
		return "", fault.TooLong(field, longestNumber)
	}
	return s, nil
}

func isCapital(r rune) bool { return r >= 'A' && r <= 'Z' }
func isDigit(r rune) bool   { return r >= '0' && r <= '9' }

// IsStarTrackNumber tells whether a cleaned number has the form of a StarTrack
// consignment or freight item. Some consignments of Australia Post have the form of a
// consignment too (auspost.md, "Track").
func IsStarTrackNumber(s string) bool { return isConsignment(s) || isFreightItem(s) }

// isConsignment tells whether a number is four letters or digits, at least one of them a
// letter, and eight digits, such as 9ZZZ50000001.
func isConsignment(s string) bool {
	return len(s) == 12 && strings.ContainsFunc(s[:4], isCapital) && allDigits(s[4:]) && !strings.ContainsFunc(s[:4], notAlnum)
}

// isFreightItem tells whether a number is a consignment, the three characters of a
// product and five digits, such as 9ZZZ50000001EXP00001.
func isFreightItem(s string) bool {
	return len(s) == 20 && isConsignment(s[:12]) && strings.ContainsFunc(s[12:15], isCapital) &&
		!strings.ContainsFunc(s[12:15], notAlnum) && allDigits(s[15:])
}

func allDigits(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !isDigit(r) })
}

func notAlnum(r rune) bool { return !isCapital(r) && !isDigit(r) }

// BrandOf returns the brand that a cleaned tracking number most likely belongs to, asked
// with this charge account. A number that begins with the account's merchant location
// belongs to the account's carrier. The form of other numbers tells the brand, but for
// consignments, which both brands have in the same form: those count as Australia
// Post's if the account is of Australia Post and its merchant location is not known,
// and otherwise as StarTrack's.
func BrandOf(a connection.ChargeAccount, number string) carrier.Name {
	switch own := a.MerchantLocationID; {
	case own != "" && strings.HasPrefix(number, strings.ToUpper(own)):
		return a.Carrier
	case isFreightItem(number):
		return carrier.StarTrack
	case !isConsignment(number):
		return carrier.AustraliaPost
	case a.Carrier == carrier.AustraliaPost && own == "":
		return carrier.AustraliaPost
	}
	return carrier.StarTrack
}

// Tracking is what a carrier says of a shipment, by its tracking number, or of a part of
// one: a consignment or an article. The JSON is that of cache entries.
type Tracking struct {
	Number        string     `json:"number,omitempty"` // as requested; of a part: as the carrier writes it, may be empty
	CarrierStatus string     `json:"status"`           // as the carrier writes it, may be empty
	Events        []Event    `json:"events"`           // without those of the parts, the newest first
	Parts         []Tracking `json:"parts,omitempty"`
	IsStarTrack   bool       `json:"consignment,omitempty"` // the answer had the member that only StarTrack's have
}

// Event is one scan, or one message about a parcel.
type Event struct {
	At          time.Time `json:"at"`           // zero where the carrier's time cannot be read
	CarrierTime string    `json:"carrier_time"` // as the carrier writes it
	Description string    `json:"description"`
	Location    string    `json:"location"` // may be empty
}

// Brand returns the brand that the number belongs to, by the answer and by the carrier
// of the charge account that asked.
func (t *Tracking) Brand(asked carrier.Name) carrier.Name {
	switch {
	case t.IsStarTrack, isFreightItem(t.Number), asked == carrier.StarTrack && isConsignment(t.Number):
		return carrier.StarTrack
	}
	return carrier.AustraliaPost
}

// Summary returns how far the shipment is.
func (t *Tracking) Summary() Summary { return t.summary(Summary{}, time.Time{}) }

// summary is Summary for a part of something with the stated status above, of which
// something was last delivered at since.
func (t *Tracking) summary(above Summary, since time.Time) Summary {
	since = t.lastDelivery(since)
	stated := t.stated(above, since)
	parts := make([]Summary, len(t.Parts))
	for i := range t.Parts {
		parts[i] = t.Parts[i].summary(stated, since)
	}
	return combine(stated, parts)
}

// stated returns what the carrier says of this as a whole:
//
//  1. its own status, if that is in the vocabulary;
//  2. the status of what this is a part of, unless 3 came after the delivery of that;
//  3. if no part says anything, the newest event that is in the vocabulary. Beside an own
//     status that is not, it must be the newest of all, which that status may supersede.
func (t *Tracking) stated(above Summary, since time.Time) Summary {
	stated := Summary{ProgressOf(t.CarrierStatus), t.CarrierStatus}
	if stated.known() {
		return stated
	}
	if above.known() {
		stated = above
	}
	if slices.ContainsFunc(t.Parts, func(p Tracking) bool { return !p.Silent() }) {
		return stated
	}
	events := t.Events
	if t.CarrierStatus != "" {
		events = events[:min(1, len(events))]
	}
	for i, e := range events {
		p := e.Progress()
		if !p.known() {
			continue
		}
		if !stated.known() || stated.Status == Delivered && p.Status != Delivered && e.follows(t.Events[i+1:], since) {
			return Summary{p, e.Description}
		}
		break
	}
	return stated
}

// follows tells whether an event came after a delivery: that of an older event of the
// same part, or the one at since.
func (e Event) follows(older []Event, since time.Time) bool {
	return slices.ContainsFunc(older, Event.delivers) || !since.IsZero() && e.At.After(since)
}

func (e Event) delivers() bool { return e.Progress().Status == Delivered }

// CarrierText returns the carrier's own text for the status of the shipment: that of the
// whole, of its only part, or of the part that decides the status.
func (t *Tracking) CarrierText() string {
	switch {
	case t.CarrierStatus != "":
		return t.CarrierStatus
	case len(t.Parts) == 1:
		return cmp.Or(t.Parts[0].CarrierText(), t.Summary().Text)
	}
	return t.Summary().Text
}

// Article is a part without parts of its own: an article, a freight item, or a
// consignment whose articles the carrier does not list.
type Article struct {
	Number string // as the carrier writes it, may be empty
	Summary
	Events []Event // the newest first
}

// Articles returns the articles that the carrier lists, in its order, without those of
// which it gives neither a number nor a status nor an event.
func (t *Tracking) Articles() []Article { return t.articles(Summary{}, time.Time{}) }

func (t *Tracking) articles(above Summary, since time.Time) []Article {
	var all []Article
	since = t.lastDelivery(since)
	stated := t.stated(above, since)
	for i := range t.Parts {
		switch part := &t.Parts[i]; {
		case len(part.Parts) > 0:
			all = append(all, part.articles(stated, since)...)
		case part.Number != "" || !part.Silent():
			s := part.summary(stated, since)
			all = append(all, Article{part.Number, Summary{s.Progress, cmp.Or(part.CarrierStatus, s.Text)}, part.Events})
		}
	}
	return all
}

// Latest reports whether the latest that the carrier says, of the whole or of an article, has
// a detail code: the status, or the newest event. The status of Australia Post's parcels
// stays "In transit" when they are on board.
func (t *Tracking) Latest(detail string) bool {
	latest := func(s Summary, events []Event) bool {
		if s.Status == Delivered || s.Status == Exception {
			return false
		}
		return s.Detail == detail || len(events) > 0 && events[0].Progress().Detail == detail
	}
	whole := t.Summary()
	return latest(whole, t.Events) || whole.Status != Delivered && slices.ContainsFunc(t.Articles(), func(a Article) bool { return latest(a.Summary, a.Events) })
}

// Silent tells whether the carrier gives neither a status nor an event, of the shipment
// or of any part.
func (t *Tracking) Silent() bool {
	return t.CarrierStatus == "" && len(t.Events) == 0 && !slices.ContainsFunc(t.Parts, func(p Tracking) bool { return !p.Silent() })
}

// MaxEvents is how many events of a tracking number are kept: the newest.
const MaxEvents = 100

// History returns the events of the shipment and of all its parts, the newest first, at
// most MaxEvents.
func (t *Tracking) History() []Event { return NewestEvents(t.events(nil), MaxEvents) }

func (t *Tracking) events(all []Event) []Event {
	all = append(all, t.Events...)
	for i := range t.Parts {
		all = t.Parts[i].events(all)
	}
	return all
}

// DeliveredAt returns when the last part was delivered; zero unless all are and an event
// says when.
func (t *Tracking) DeliveredAt() time.Time {
	if t.Summary().Status != Delivered {
		return time.Time{}
	}
	return t.lastDelivery(time.Time{})
}

// lastDelivery returns when something of the shipment was last delivered; otherwise, if
// no event says when.
func (t *Tracking) lastDelivery(fallback time.Time) time.Time {
	var last time.Time
	for _, e := range t.events(nil) {
		if e.At.After(last) && e.delivers() {
			last = e.At
		}
	}
	return cmp.Or(last, fallback)
}

// NewestEvents returns at most limit events, the newest first and those without a time
// last; otherwise their order stays. It drops empty events and duplicates: articles of
// a consignment are scanned together. It overwrites events.
func NewestEvents(events []Event, limit int) []Event {
	slices.SortStableFunc(events, func(a, b Event) int { return b.At.Compare(a.At) })
	seen := map[Event]bool{{}: true}
	kept := events[:0]
	for _, e := range events {
		if !seen[e] && len(kept) < limit {
			seen[e] = true
			kept = append(kept, e)
		}
	}
	return kept
}

// NumberFault is why a carrier has no tracking of a number.
type NumberFault string

// The faults of a number.
const (
	NumberUnknown    NumberFault = "unknown"
	NumberNotTracked NumberFault = "not_tracked"
)

// Err returns fault.NotFound for a number that is unknown, and fault.Invalid for one that
// is not tracked, both with the field tracking_number; nil for no fault.
func (f NumberFault) Err() error {
	const field = "tracking_number"
	switch f {
	case NumberUnknown:
		return fault.Field(fault.NotFound, field, "The carrier does not know this tracking number.")
	case NumberNotTracked:
		return fault.Field(fault.Invalid, field, "The carrier does not track the product that was bought for this number.")
	}
	return nil
}

// ErrAskAlone is the cause of the error of numbers that the carrier refuses to answer for
// together, because it does not find one of them.
var ErrAskAlone = errors.New("the carrier refuses the call for one of its numbers")

// CarrierAnswer is what a carrier answers for one number.
type CarrierAnswer struct {
	Tracking Tracking // valid if Err is nil
	// Err is Fault.Err, why the call was not allowed, or an error of
	// connection.Reading.Err.
	Err   error
	Fault NumberFault // set if the carrier has no tracking of the number
}
