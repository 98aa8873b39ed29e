package tracking

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
)

// Cached is what was known of one tracking number a while ago.
type Cached struct {
	Number    string
	At        time.Time
	Body      []byte // in whatever form its keeper gives it
	ExpiresAt time.Time
}

// MaxNumbers is how many numbers one call of the carrier takes
// (contract: "Track").
const MaxNumbers = 10

// CallsPerMinute is the allowance of a credential: so many track calls in any minute
// (contract: "Track", "Known traps" 15).
const CallsPerMinute = 10

// longestNumber is more than any article, consignment or barcode id has.
const longestNumber = 50

// CleanNumber reads a tracking number as people write it: blanks are
// taken out and letters become capitals, as the carrier prints them. fault.Length
// for none or more than 50 characters; fault.Invalid for anything but letters
// and digits: a comma would make two of one.
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
	case strings.ContainsFunc(s, isOther):
		return "", fault.Field(fault.Invalid, field, "%s must be letters and digits; give the parameter once for each number.", field)
	case len(s) > longestNumber:
		return "", fault.TooLong(field, longestNumber)
	}
	return s, nil
}

func isCapital(r rune) bool { return r >= 'A' && r <= 'Z' }
func isDigit(r rune) bool   { return r >= '0' && r <= '9' }

// IsStarTrackNumber tells whether a cleaned number has the form of a StarTrack
// consignment, four letters or digits with a letter among them and eight digits,
// such as 9ZZZ50000001, or of a freight item of one. Australia Post has
// consignments of the first form too (contract: "Track").
func IsStarTrackNumber(s string) bool { return isConsignment(s) || isFreightItem(s) }

func isConsignment(s string) bool {
	return len(s) == 12 && strings.ContainsFunc(s[:4], isCapital) && allDigits(s[4:]) && !strings.ContainsFunc(s[:4], isOther)
}

// isFreightItem: a consignment, the three characters of a product and five
// digits, such as 9ZZZ50000001EXP00001.
func isFreightItem(s string) bool {
	return len(s) == 20 && isConsignment(s[:12]) && strings.ContainsFunc(s[12:15], isCapital) &&
		!strings.ContainsFunc(s[12:15], isOther) && allDigits(s[15:])
}

func allDigits(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !isDigit(r) })
}

func isOther(r rune) bool { return !isCapital(r) && !isDigit(r) }

// BrandOf is whose number a cleaned tracking number is most likely to be, asked
// with this charge account. What begins with the account's merchant location is
// the account's own. Of other numbers the form tells which can be one brand's
// only. What is left has the form of both brands' consignments: it is taken for
// the carrier's that the account is of, and for StarTrack's where that account's
// merchant location is known to be another one.
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

// Tracking is what a carrier says of a tracking number, or of a part of the
// shipment: a consignment or an article.
type Tracking struct {
	Number        string  // as it was asked for; of a part as the carrier writes it, may be empty
	CarrierStatus string  // as the carrier writes it; empty if it gives none
	Events        []Event // of this itself and not of its parts, the newest first
	Parts         []Tracking
	// Consignment says that the answer had the member which only StarTrack's have.
	Consignment bool
}

// Event is one scan, or one message about a parcel.
type Event struct {
	At          time.Time // zero where the carrier's time cannot be read
	CarrierTime string    // as the carrier writes it
	Description string
	Location    string // may be empty
}

// Brand is whose number it is, by the answer and by what asked for it.
func (t *Tracking) Brand(asked carrier.Name) carrier.Name {
	switch {
	case t.Consignment, isFreightItem(t.Number), asked == carrier.StarTrack && isConsignment(t.Number):
		return carrier.StarTrack
	}
	return carrier.AustraliaPost
}

// Summary is how far the whole is.
func (t *Tracking) Summary() Summary { return t.summary(Summary{}) }

// summary: above is what is stated of what this is a part of.
func (t *Tracking) summary(above Summary) Summary {
	stated := t.stated(above)
	parts := make([]Summary, len(t.Parts))
	for i := range t.Parts {
		parts[i] = t.Parts[i].summary(stated)
	}
	return combine(stated, parts)
}

// stated is what the carrier says of this whole: its own status, or the one of what
// it is a part of where it has none that is understood. Where there is none at all,
// not even of a part, the newest event that is understood tells; beside a status
// that is not understood, only the newest event of all: an older one may say what
// that status has ended.
func (t *Tracking) stated(above Summary) Summary {
	own := Summary{ProgressOf(t.CarrierStatus), t.CarrierStatus}
	switch {
	case own.known():
		return own
	case above.known():
		return above
	case slices.ContainsFunc(t.Parts, func(p Tracking) bool { return !p.Silent() }):
		return own
	}
	events := t.Events
	if own.Text != "" {
		events = events[:min(1, len(events))]
	}
	for _, e := range events {
		if p := e.Progress(); p.known() {
			return Summary{p, e.Description}
		}
	}
	return own
}

// Words are the carrier's own for the status of the whole: what it writes about
// the whole, about the only part there is, or about the part that decides.
func (t *Tracking) Words() string {
	switch {
	case t.CarrierStatus != "":
		return t.CarrierStatus
	case len(t.Parts) == 1:
		return cmp.Or(t.Parts[0].Words(), t.Summary().Text)
	}
	return t.Summary().Text
}

// Article is a part that has no parts itself: an article, a freight item, or a
// consignment whose articles the carrier does not list.
type Article struct {
	Number string // as the carrier writes it, may be empty
	Summary
	Events []Event // the newest first
}

// Articles are those that the carrier lists, in its order.
func (t *Tracking) Articles() []Article {
	var all []Article
	t.articles(Summary{}, &all)
	return all
}

func (t *Tracking) articles(above Summary, all *[]Article) {
	for i := range t.Parts {
		part, stated := &t.Parts[i], t.stated(above)
		switch {
		case len(part.Parts) > 0:
			part.articles(stated, all)
		case !part.empty():
			s := part.summary(stated)
			*all = append(*all, Article{part.Number, Summary{s.Progress, cmp.Or(part.CarrierStatus, s.Text)}, part.Events})
		}
	}
}

// empty: it is a part of which the carrier only says that it exists.
func (t *Tracking) empty() bool { return t.Number == "" && t.Silent() }

// Silent tells whether the carrier gives neither a status nor an event, of the
// whole or of a part.
func (t *Tracking) Silent() bool {
	return t.CarrierStatus == "" && len(t.Events) == 0 && !slices.ContainsFunc(t.Parts, func(p Tracking) bool { return !p.Silent() })
}

// MaxEvents bounds the events of a tracking number, the newest ones.
const MaxEvents = 100

// History is what happened to the whole and to all its parts, the newest first,
// at most MaxEvents.
func (t *Tracking) History() []Event { return NewestEvents(t.events(nil), MaxEvents) }

func (t *Tracking) events(all []Event) []Event {
	all = append(all, t.Events...)
	for i := range t.Parts {
		all = t.Parts[i].events(all)
	}
	return all
}

// DeliveredAt is when the last part of a delivered shipment was; zero if not all
// of it is delivered, or no event tells.
func (t *Tracking) DeliveredAt() time.Time {
	var last time.Time
	if t.Summary().Status != Delivered {
		return last
	}
	for _, e := range t.events(nil) {
		if e.Progress().Status == Delivered && e.At.After(last) {
			last = e.At
		}
	}
	return last
}

// NewestEvents sorts events, takes out those that say nothing or the same as
// another (articles of one consignment are scanned together), and keeps the
// newest. Those without a time come last; else the order stays. It changes events.
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

// NumberFault is what a carrier says of a number instead of tracking.
type NumberFault string

// The faults of a number.
const (
	NumberUnknown    NumberFault = "unknown"
	NumberNotTracked NumberFault = "not_tracked"
)

// Err is fault.NotFound for a number that is unknown, fault.Invalid for one that
// is not tracked; both name tracking_number. It is nil for no fault.
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

// Reading is a carrier's answer: what it came to for each number that
// was asked.
type Reading map[string]Tracked

// Tracked is one number's part of it.
type Tracked struct {
	Tracking Tracking // where Err is nil
	// Err says why there is none: Fault's, what forbade the call, or those of
	// Reading.Err.
	Err   error
	Fault NumberFault // what the carrier says of the number, where that is it
}
