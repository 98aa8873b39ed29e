package effects

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// EventType is what an event reports.
type EventType string

// The events of accounts and their API keys.
const (
	AccountCreated  EventType = "account_created"
	AccountUpdated  EventType = "account_updated"
	AccountEnabled  EventType = "account_enabled"
	AccountDisabled EventType = "account_disabled"
	AccountDeleted  EventType = "account_deleted"
	AccountRestored EventType = "account_restored"
	APIKeyCreated   EventType = "api_key_created"
	APIKeyRotated   EventType = "api_key_rotated" //nolint:gosec // a name, not a key
	APIKeyDeleted   EventType = "api_key_deleted"
	APIKeyExpiring  EventType = "api_key_expiring" //nolint:gosec // a name, not a key
)

// The events of connections and their contracts. CarrierConnected is ShipEngine's name.
const (
	CarrierConnected        EventType = "carrier_connected"
	CarrierUpdated          EventType = "carrier_updated"
	CarrierRolledBack       EventType = "carrier_rolled_back"
	CarrierDegraded         EventType = "carrier_degraded"
	CarrierActionRequired   EventType = "carrier_action_required"
	CarrierRestricted       EventType = "carrier_restricted"
	CarrierRecovered        EventType = "carrier_recovered"
	CarrierDisconnected     EventType = "carrier_disconnected"
	CarrierAccountChanged   EventType = "carrier_account_changed"
	CarrierContractExpiring EventType = "carrier_contract_expiring"
	CarrierCreditBlocked    EventType = "carrier_credit_blocked"
)

// The events of carriers. They are a partner's own, because an outage concerns no account alone.
const (
	CarrierOutageBegan EventType = "carrier_outage_began"
	CarrierOutageEnded EventType = "carrier_outage_ended"
)

// Track is the event of a registered parcel, with ShipEngine's name. Its Subject is a
// TrackSubject.
const Track EventType = "track"

// TrackSubject returns the subject of a parcel's events.
func TrackSubject(carrierCode, number string) string {
	return trackSubject + carrierCode + " " + number
}

const trackSubject = "parcel "

// ParseTrackSubject reverses TrackSubject; ok is false for another subject.
func ParseTrackSubject(subject string) (carrierCode, number string, ok bool) {
	rest, ok := strings.CutPrefix(subject, trackSubject)
	carrierCode, number, found := strings.Cut(rest, " ")
	return carrierCode, number, ok && found
}

// WebhookDisabled is the event of a webhook that the service has disabled because its
// receiver does not take what it is sent.
const WebhookDisabled EventType = "webhook_disabled"

// What is in the audit log only: the operator's changes of a partner, and what callers do
// with webhooks. A test is sent to the webhook that it names, too.
const (
	PartnerCreated         EventType = "partner_created"
	PartnerEnabled         EventType = "partner_enabled"
	PartnerDisabled        EventType = "partner_disabled"
	PartnerKeyCreated      EventType = "partner_key_created"
	PartnerKeyRotated      EventType = "partner_key_rotated"
	PartnerKeyDeleted      EventType = "partner_key_deleted"
	PartnerSettingsUpdated EventType = "partner_settings_updated"

	WebhookCreated       EventType = "webhook_created"
	WebhookUpdated       EventType = "webhook_updated"
	WebhookDeleted       EventType = "webhook_deleted"
	WebhookSecretRotated EventType = "webhook_secret_rotated"
	WebhookTest          EventType = "webhook_test"
)

// What is in the audit log only: what is done with an account's login, and the showing of a
// carrier's secret to its owner.
const (
	LoginSignedIn      EventType = "login_signed_in"
	LoginInvited       EventType = "login_invited"
	LoginPasswordSet   EventType = "login_password_set"
	LoginEmailChanged  EventType = "login_email_changed"
	LoginSessionsEnded EventType = "login_sessions_ended"
	SecretShown        EventType = "secret_shown"
)

// SecretRead is a reading of a merchant's carrier credentials. It is in the audit log only.
const SecretRead EventType = "secret_read"

// EventTypes returns the types of the events that callers are told of, in the order of
// the contract.
func EventTypes() []EventType {
	return []EventType{
		AccountCreated, AccountUpdated, AccountEnabled, AccountDisabled, AccountDeleted, AccountRestored,
		APIKeyCreated, APIKeyRotated, APIKeyDeleted, APIKeyExpiring,
		CarrierConnected, CarrierUpdated, CarrierRolledBack, CarrierDegraded, CarrierActionRequired, CarrierRestricted, CarrierRecovered,
		CarrierDisconnected, CarrierAccountChanged, CarrierContractExpiring, CarrierCreditBlocked,
		CarrierOutageBegan, CarrierOutageEnded, Track, WebhookDisabled,
	}
}

// AuditTypes returns the types of all entries of the audit log: EventTypes, and those that
// are in the log only.
func AuditTypes() []EventType { return append(EventTypes(), auditOnly...) }

var auditOnly = []EventType{ // never changes
	SecretRead, PartnerCreated, PartnerEnabled, PartnerDisabled, PartnerKeyCreated, PartnerKeyRotated, PartnerKeyDeleted, PartnerSettingsUpdated,
	WebhookCreated, WebhookUpdated, WebhookDeleted, WebhookSecretRotated, WebhookTest,
	LoginSignedIn, LoginInvited, LoginPasswordSet, LoginEmailChanged, LoginSessionsEnded, SecretShown,
}

// AuditOnly reports whether a type is only in the audit log. It is false for the types of
// later versions.
func (t EventType) AuditOnly() bool { return slices.Contains(auditOnly, t) }

// How long events are kept: in the list of events, and in the audit log.
const (
	EventsKept = 30 * 24 * time.Hour
	AuditKept  = 400 * 24 * time.Hour
)

// Recorded is an event with who made its change, as the table keeps it.
type Recorded struct {
	Event
	By By
}

// Listing selects a page of recorded events, the newest first.
type Listing struct {
	PartnerID   int64
	AccountID   int64       // zero: all of the partner's
	From, Until time.Time   // both inclusive; zero: open
	Types       []EventType // empty: all
	Actor       Actor       // empty: all
	KeyID       int64       // of who made the change; zero: all
	Subject     string      // empty: all
	Before      string      // the page begins after this event_id; empty: at the newest
	Limit       int         // at least 1
}

// Matches reports whether an event passes the filters of the listing.
func (l *Listing) Matches(r *Recorded) bool {
	return (len(l.Types) == 0 || slices.Contains(l.Types, r.Type)) && (l.Actor == "" || l.Actor == r.By.Actor) && (l.KeyID == 0 || l.KeyID == r.By.KeyID) &&
		(l.Subject == "" || l.Subject == r.Subject)
}

// Report is what an event says. Data becomes a JSON object of at most MaxEventData bytes;
// it holds no secret and no account number of a carrier.
type Report struct {
	Type      EventType
	PartnerID int64
	AccountID int64  // zero: the partner itself has changed, or a carrier
	Subject   string // what changed: a carrier_id, or for example "api_key 17" or "webhook se-17"
	Data      any
}

// Changed returns the names of the members that differ, sorted. It empties differs of the
// others.
func Changed(differs map[string]bool) []string {
	maps.DeleteFunc(differs, func(_ string, d bool) bool { return !d })
	return slices.Sorted(maps.Keys(differs))
}

// With adds an event for each report. They are in this order wherever events are sorted
// by their ids.
func (e Effects) With(random io.Reader, at time.Time, reports ...Report) (Effects, error) {
	for _, r := range reports {
		id, err := newEventID(random, at, len(e.Events))
		if err != nil {
			return Effects{}, fmt.Errorf("making an event_id: %w", err)
		}
		data, err := json.Marshal(r.Data)
		if err != nil {
			return Effects{}, fmt.Errorf("encoding the data of %s: %w", r.Type, err)
		}
		e.Events = append(slices.Clip(e.Events), Event{
			ID: id, Type: r.Type, PartnerID: r.PartnerID, AccountID: r.AccountID, Subject: r.Subject, At: at, Data: data,
		})
	}
	return e, nil
}

// Reporting makes the effects of a change from its result, with an event for each report.
func (f For[T]) Reporting(result T, random io.Reader, at time.Time, reports ...Report) (Effects, error) {
	fx, err := f.Of(result)
	if err != nil {
		return Effects{}, err
	}
	return fx.With(random, at, reports...)
}

// After moves events from before the millisecond after t into that, so that the events of
// a resource have the order of its changes. t is when the resource was changed last.
func (e Effects) After(t time.Time) Effects {
	next := t.Truncate(time.Millisecond).Add(time.Millisecond)
	moved := slices.Clone(e.Events)
	for i := range moved {
		if own := &moved[i]; !own.At.After(t) && own.At.Before(next) {
			own.At, own.ID = next, EventIDsFrom(next)+own.ID[len(idPrefix)+idTime:]
		}
	}
	e.Events = moved
	return e
}

// Form of an event_id: idPrefix, nine digits of base 36 for the milliseconds since 1970,
// which last until the year 5188, one for the event's place among those of its change,
// and eleven random ones.
const (
	idPrefix     = "se-"
	idTime       = 9
	idRandom     = 11
	idLength     = len(idPrefix) + idTime + 1 + idRandom
	maxIDMilli   = 101_559_956_668_415     // zzzzzzzzz
	idRandomSpan = 131_621_703_842_267_136 // 36^11
	maxTogether  = 36
	base36Digits = "0123456789abcdefghijklmnopqrstuvwxyz"
)

// newEventID returns an event_id that sorts by time, then by place.
func newEventID(random io.Reader, at time.Time, place int) (string, error) {
	if place >= maxTogether {
		return "", fmt.Errorf("a change has more than %d events", maxTogether)
	}
	var b [8]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	drawn := binary.BigEndian.Uint64(b[:]) % idRandomSpan
	return EventIDsFrom(at) + base36Digits[place:place+1] + padded(strconv.FormatUint(drawn, 36), idRandom), nil
}

// EventIDsFrom returns a text that sorts before the ids of all events of a time, and after
// those of any earlier millisecond.
func EventIDsFrom(at time.Time) string {
	return idPrefix + padded(strconv.FormatInt(min(max(at.UnixMilli(), 0), maxIDMilli), 36), idTime)
}

// lastID sorts after every event_id.
const lastID = idPrefix + "~"

// EventIDRange returns the ids, both included, between which those of the events of a time
// are, both ends inclusive and each open if it is zero. Before is the event_id after which a
// list that begins with the newest event goes on, empty at its beginning; the range includes
// it. some is false if the range has no id.
func EventIDRange(from, until time.Time, before string) (first, last string, some bool) {
	// Events have times in milliseconds.
	first, last = EventIDsFrom(from.Add(time.Millisecond-time.Nanosecond)), lastID
	if !until.IsZero() {
		last = EventIDsFrom(until.Add(time.Millisecond))
	}
	if before != "" {
		last = min(last, before)
	}
	return first, last, first <= last
}

// TimeOfID returns the time that an event_id begins with; zero for another text.
func TimeOfID(id string) time.Time {
	if !IsEventID(id) {
		return time.Time{}
	}
	milli, err := strconv.ParseInt(id[len(idPrefix):len(idPrefix)+idTime], 36, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(milli).UTC()
}

// IsEventID reports whether a text has the form of an event_id.
func IsEventID(s string) bool {
	rest, ok := strings.CutPrefix(s, idPrefix)
	return ok && len(s) == idLength && strings.Trim(rest, base36Digits) == ""
}

func padded(digits string, n int) string {
	return strings.Repeat("0", n-len(digits)) + digits
}

// Time returns a time as the API writes it: RFC 3339 in UTC, with milliseconds.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }
