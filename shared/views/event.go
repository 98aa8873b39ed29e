package views

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/webhook"
)

// Event is an event in answers.
type Event struct {
	EventID           string          `json:"event_id"`
	Event             string          `json:"event"`
	CreatedAt         *string         `json:"created_at"`
	AccountID         *int64          `json:"account_id"` // null: an event of a carrier
	ExternalAccountID *string         `json:"external_account_id"`
	ResourceURL       string          `json:"resource_url"`
	ResourceType      string          `json:"resource_type,omitempty"` // ShipEngine's, of the events that it has
	Data              json.RawMessage `json:"data"`
}

// EventsPage is a page of events.
type EventsPage struct {
	Events   []Event           `json:"events"`
	Page     int               `json:"page"`
	PageSize int               `json:"page_size"`
	Links    httpapi.LinksBody `json:"links"`
}

// ShipEngine's resource_type of webhooks of carrier_connected and track.
const (
	carrierConnected = "API_CARRIER_CONNECTED"
	track            = "API_TRACK"
)

// NewEvent returns the view of an event. externalID is that of its account now, and address
// makes URLs of paths: see httpapi.Request.Address.
func NewEvent(e effects.Event, externalID string, address func(path string) string) Event {
	body := Event{
		EventID: e.ID, Event: string(e.Type), CreatedAt: httpapi.Time(e.At), AccountID: optionalID(e.AccountID), ExternalAccountID: httpapi.Text(externalID),
		ResourceURL: address(resourcePath(e)), Data: e.Data,
	}
	switch e.Type {
	case effects.CarrierConnected:
		body.ResourceType = carrierConnected
	case effects.Track:
		body.ResourceType = track
	default:
	}
	return body
}

// resourcePath returns the path of what has changed.
func resourcePath(e effects.Event) string {
	if strings.HasPrefix(e.Subject, account.IDPrefix) {
		return "/v1/carriers/" + e.Subject
	}
	if id, ok := strings.CutPrefix(e.Subject, webhook.Subject("")); ok {
		return "/v1/environment/webhooks/" + id
	}
	if code, number, ok := effects.ParseTrackSubject(e.Subject); ok {
		return "/v1/tracking?" + url.Values{"carrier_code": {code}, "tracking_number": {number}}.Encode()
	}
	if e.AccountID == 0 {
		return "/v1/carriers/status"
	}
	return "/v1/partners/accounts/" + strconv.FormatInt(e.AccountID, 10)
}

// ETag returns a strong entity tag. An event never changes, but the external id and the
// address beside it may.
func (e Event) ETag() string {
	sum := sha256.Sum256(httpapi.JSON(http.StatusOK, e).Body)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// AuditEntry is an entry of the audit log.
type AuditEntry struct {
	EntryID   string          `json:"entry_id"`
	Action    string          `json:"action"`
	At        *string         `json:"at"`
	AccountID *int64          `json:"account_id"` // null: the partner itself has changed, or a carrier
	Subject   string          `json:"subject"`
	Actor     Actor           `json:"actor"`
	SourceIP  *string         `json:"source_ip"`
	RequestID *string         `json:"request_id"`
	Data      json.RawMessage `json:"data"`
}

// Actor is who made a change.
type Actor struct {
	Type      string  `json:"type"`
	APIKeyID  *int64  `json:"api_key_id"`
	PartnerID *int64  `json:"partner_id"`
	Operator  *string `json:"operator"`
}

// AuditLogPage is a page of the audit log.
type AuditLogPage struct {
	Entries  []AuditEntry      `json:"entries"`
	Page     int               `json:"page"`
	PageSize int               `json:"page_size"`
	Links    httpapi.LinksBody `json:"links"`
}

// NewAuditEntry returns the view of an entry of the audit log.
func NewAuditEntry(e effects.Recorded) AuditEntry {
	return AuditEntry{
		EntryID: e.ID, Action: string(e.Type), At: httpapi.Time(e.At), AccountID: optionalID(e.AccountID), Subject: e.Subject,
		Actor:    Actor{Type: string(e.By.Actor), APIKeyID: optionalID(e.By.KeyID), PartnerID: optionalID(e.By.PartnerID), Operator: httpapi.Text(e.By.Operator)},
		SourceIP: httpapi.Text(e.By.SourceIP), RequestID: httpapi.Text(e.By.RequestID), Data: e.Data,
	}
}

// optionalID returns an id, nil for zero.
func optionalID(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}
