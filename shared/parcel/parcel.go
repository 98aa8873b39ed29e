// Package parcel tracks parcels that callers register: Service registers them and stops
// them, Looker looks at those that are due and reports each change as an event.
//
// The parcels of a connection are looked at in rounds, so that a call of the carrier is
// about ten of them (infra/docs/decisions/0053).
package parcel

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/health"
	"carrierlink/shared/tracking"
)

// Parcel is a registered tracking number. An account registers a number once for each
// carrier.
type Parcel struct {
	AccountID    int64
	PartnerID    int64
	Carrier      carrier.Name
	Number       string // cleaned: see tracking.CleanNumber
	ConnectionID string // through which the carrier is asked
	RegisteredAt time.Time

	Status     tracking.Status // as last reported; tracking.NotYet until the carrier says more
	Detail     string
	Statuses   string       // digest of the status of the whole and of each article; empty while Status is NotYet
	ChangedAt  time.Time    // of the latest event; zero before the first
	LookedAt   time.Time    // zero before the first look
	NextLookAt time.Time    // zero after the end
	Brand      carrier.Name // of the number, by tracking.BrandOf: calls of the carrier have one brand only
	Beside     int          // how many numbers the next call may be about: zero for tracking.MaxNumbers, else it is about such numbers only
	End        End          // why it is no longer looked at; empty while it is
	EndedAt    time.Time    // zero before the end
	Version    int64        // grows with each write
}

// End is why a parcel is no longer looked at.
type End string

// The ends.
const (
	EndDelivered  End = "delivered"
	EndException  End = "exception"   // it will not be delivered
	EndExpired    End = "expired"     // TrackedFor is over
	EndNotTracked End = "not_tracked" // the carrier does not track the product
)

// Active reports whether the parcel is looked at.
func (p *Parcel) Active() bool { return p.End == "" }

// How long a parcel is looked at, and how long the table keeps it.
const (
	TrackedFor = 60 * 24 * time.Hour
	KeptFor    = 7 * 24 * time.Hour // after its end
)

// ExpiresAt returns when the table may drop the parcel: never while it is looked at, because
// nobody would count it less.
func (p *Parcel) ExpiresAt() time.Time {
	if p.Active() {
		return time.Time{}
	}
	return p.EndedAt.Add(KeptFor)
}

// The times between two looks. The carrier's answers name no date of delivery (auspost.md,
// "Track"): the day of delivery begins when the parcel has reached the depot.
const (
	lookEvery        = 6 * time.Hour
	lookAtDepotEvery = 2 * time.Hour
	lookOnBoardEvery = time.Hour
	firstLookWithin  = 10 * time.Minute
	// For a number that the carrier does not know and refuses together with others (Beside is
	// 1): in the first day, and later.
	lookAloneEvery = 12 * time.Hour
	lookLaterEvery = 24 * time.Hour
)

// interval returns the time between two looks at something.
func interval(t *tracking.Tracking) time.Duration {
	switch {
	case t == nil:
		return lookEvery
	case t.Latest("OUT_FOR_DELIVERY"):
		return lookOnBoardEvery
	case t.Latest("RECEIVED_LOCAL_DELIVERY_DEPOT"), t.Latest("DELIVERY_RESCHEDULED"):
		return lookAtDepotEvery
	}
	return lookEvery
}

// aloneInterval returns the time between two looks at an unknown number that must be asked for
// alone, so long after its registration.
func aloneInterval(age time.Duration, t health.Timing) time.Duration {
	if age < t.Scale(lookLaterEvery) {
		return lookAloneEvery
	}
	return lookLaterEvery
}

// FirstLook returns when a parcel that is registered now is first looked at: parcels of a
// connection that are registered within firstLookWithin share their calls.
func FirstLook(connectionID string, now time.Time, t health.Timing) time.Time {
	every := t.Scale(firstLookWithin)
	return lastSlot(connectionID, now, every, t).Add(every)
}

// nextLook returns the time of the look that comes an interval after one: on the last slot
// of the connection until then, so that parcels of different intervals share their calls.
func nextLook(connectionID string, now time.Time, interval time.Duration, t health.Timing) time.Time {
	return lastSlot(connectionID, now.Add(t.Scale(interval)), t.Scale(lookOnBoardEvery), t)
}

// NextRound returns when the next round of a connection begins.
func NextRound(connectionID string, now time.Time, t health.Timing) time.Time {
	return nextLook(connectionID, now, lookOnBoardEvery, t)
}

// lastSlot returns the last slot of a connection until a time. Slots are so far apart; those
// of different connections are spread over the hour by their ids.
func lastSlot(connectionID string, until time.Time, every time.Duration, t health.Timing) time.Time {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(connectionID))
	phase := (time.Duration(hash.Sum32()) * time.Millisecond) % max(t.Scale(time.Hour), time.Millisecond)
	return until.Add(-phase).Truncate(max(every, time.Millisecond)).Add(phase).UTC()
}

// MayComeEarly reports whether the parcel may join a call before it is due: half of the
// time between two looks has passed.
func (p *Parcel) MayComeEarly(now time.Time) bool {
	return p.LookedAt.IsZero() || now.Sub(p.LookedAt) >= p.NextLookAt.Sub(p.LookedAt)/2
}

// besideNext returns the Beside of a parcel after a call about so many numbers, of which the
// carrier has refused some together. Those are asked about again in halves; five or less one
// by one, which takes no more calls than further halves would, and less if the carrier does
// not know several. What it does not know by itself, either, is the culprit and stays alone.
func besideNext(p *Parcel, a tracking.Answer, asked, refused int) int {
	again := errors.Is(a.Err, tracking.ErrAskAlone)
	switch {
	case again && refused > tracking.MaxNumbers/2:
		return (refused + 1) / 2
	case again, p.Beside > 0 && asked == 1 && a.Fault == tracking.NumberUnknown:
		return 1
	}
	return 0
}

// observe notes what the carrier says of the parcel, and reports whether its status or that
// of an article has changed. A number that the carrier does not know yet stays as it is.
func (p *Parcel) observe(t *tracking.Tracking) (changed bool) {
	whole := t.Summary()
	statuses := digest(t)
	if t.Silent() || statuses == p.Statuses {
		return false
	}
	p.Status, p.Detail, p.Statuses = whole.Status, whole.Detail, statuses
	return true
}

// digest returns a text that changes when the status of the whole or of an article does;
// empty for one that is not in the carrier's system yet.
func digest(t *tracking.Tracking) string {
	whole := t.Summary()
	lines := []string{statusLine("", whole)}
	for _, a := range t.Articles() {
		if line := statusLine(a.Number, a.Summary); line != "" {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines[1:]) // the order of the articles is no status
	if text := strings.Join(lines, "\n"); text != "" {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:16])
	}
	return ""
}

// statusLine is a status in a digest. The carrier's text counts only where it is all that is
// known.
func statusLine(number string, s tracking.Summary) string {
	switch s.Status {
	case tracking.NotYet:
		return ""
	case tracking.Unknown:
		return number + " " + string(s.Status) + " " + strings.ToLower(s.Text)
	default:
	}
	return number + " " + string(s.Status) + " " + s.Detail
}

// endOf returns why a parcel of which the carrier says this is not looked at again; empty if
// it is. Of several articles each must be at its end.
func endOf(t *tracking.Tracking) End {
	whole := t.Summary()
	if whole.Status == tracking.Delivered {
		return EndDelivered
	}
	if whole.Status != tracking.Exception {
		return ""
	}
	for _, a := range t.Articles() {
		if a.Status != tracking.Delivered && !definite(a.Summary) {
			return ""
		}
	}
	if definite(whole) {
		return EndException
	}
	return ""
}

// definite reports whether an exception is the end: others, such as a delay, may pass.
func definite(s tracking.Summary) bool {
	return s.Status == tracking.Exception && slices.Contains([]string{
		"CANCELLED", "NOT_DELIVERED", "DELIVERED_IN_PART", "RETURN_TO_SENDER", "UNSPECIFIED_EXCEPTION",
	}, s.Detail)
}

// brandOf returns the brand of a number that is asked for through a connection.
func brandOf(conn *connection.Connection, number string) carrier.Name {
	return tracking.BrandOf(connection.ChargeAccount{Carrier: conn.Carrier, MerchantLocationID: conn.MerchantLocationID}, number)
}

// Round is the work on all parcels that are looked at through a connection.
type Round struct {
	AccountID    int64
	PartnerID    int64
	ConnectionID string
	Carrier      carrier.Name
	CredentialID string
	Lane         connection.Lane
	DueAt        time.Time
	RegisteredAt time.Time // of the latest parcel
	LeaseUntil   time.Time
	Failures     int  // calls of the carrier without an answer, in a row
	Empty        bool // the latest round found no parcels: one more like it, and it is removed
	Reads        connection.Reads
	Version      int64
}

// NewRound returns the round of a connection, due at a time.
func NewRound(conn *connection.Connection, due time.Time) Round {
	return Round{AccountID: conn.AccountID, PartnerID: conn.PartnerID, ConnectionID: conn.ID, Carrier: conn.Carrier, CredentialID: conn.CredentialID, Lane: conn.Lane(), DueAt: due}
}

// byDue orders parcels by when they are due.
func byDue(a, b Parcel) int {
	return cmp.Or(a.NextLookAt.Compare(b.NextLookAt), cmp.Compare(a.Number, b.Number))
}
