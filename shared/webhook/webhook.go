// Package webhook is the addresses to which partners and merchants have events sent: what
// they may be, their signing secrets, what of each event was delivered to them.
package webhook

import (
	"slices"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/secret"
)

// Owner is whose webhooks these are: an account, or with AccountID zero the partner itself,
// whose webhooks hear all of its accounts.
type Owner struct{ PartnerID, AccountID int64 }

// OwnersOf returns who may have webhooks that hear an event.
func OwnersOf(e *effects.Event) []Owner {
	if e.AccountID == 0 {
		return []Owner{{e.PartnerID, 0}}
	}
	return []Owner{{e.PartnerID, 0}, {e.PartnerID, e.AccountID}}
}

// Ref names one webhook.
type Ref struct {
	Owner
	ID string // a webhook_id
}

// List is all webhooks of an owner. They are stored in one item, which is written as a
// whole: so their number and their differences can be checked with the write.
type List struct {
	Owner
	Version  int64 // zero: nothing is stored yet
	Webhooks []Webhook
	SealedAt time.Time // no secret or header was sealed before; zero: there is none
	EndsAt   time.Time // the purge of a deleted account; zero: none is due
}

// MaxWebhooks is how many webhooks an owner may have.
const MaxWebhooks = 20

// Webhook is an address with the events that it gets.
type Webhook struct {
	ID          string
	Name        string // may be empty
	StoreID     *int32 // ShipEngine's; kept and shown, not used
	URL         string
	Events      []effects.EventType // sorted as in effects.EventTypes; AllEvents alone for all, those of later versions included
	Headers     []byte              // sealed JSON; empty without custom headers
	Secrets     []SigningSecret     // the newest first; never empty
	DisabledAt  time.Time           // zero: enabled
	DisabledFor Reason
	CreatedAt   time.Time
	ModifiedAt  time.Time
}

// AllEvents stands for all events.
const AllEvents effects.EventType = "*"

// SigningSecret is a sealed secret that signs until a time; the newest has none.
type SigningSecret struct {
	Sealed []byte
	Until  time.Time
}

// Reason is why a webhook is disabled.
type Reason string

// The reasons. The empty one is that of an enabled webhook.
const (
	ByOwner Reason = "disabled_by_owner"
	Gone    Reason = "gone"          // the receiver has answered 410
	Failing Reason = "failed_5_days" // nothing was delivered for five days
)

// Wants reports whether the webhook gets an event of its owner's. A test is for the webhook
// that it names only, whatever that listens to; other entries of the audit log are for none.
func (w *Webhook) Wants(e *effects.Event) bool {
	if !w.DisabledAt.IsZero() {
		return false
	}
	if e.Type == effects.WebhookTest {
		return e.Subject == Subject(w.ID)
	}
	return !e.Type.AuditOnly() && (slices.Contains(w.Events, AllEvents) || slices.Contains(w.Events, e.Type))
}

// Subject returns the subject of the events of a webhook.
func Subject(id string) string { return "webhook " + id }

// Header is a custom header of the requests to a webhook.
type Header struct {
	Key   string      `json:"key"`
	Value secret.Text `json:"value"`
}

// Pending is an event that has yet to be delivered to a webhook, or whose delivery was not
// recorded as final. It only marks the work: what was tried is in the Delivery, of which a
// run leaves the times here, so that the next ones need not read it to know that it waits.
type Pending struct {
	Ref
	EventID       string
	EventOwner    int64     // the account in whose partition the event is: zero for a partner's own
	Subject       string    // of the event
	RequestedAt   time.Time // of the event or, for a replay, of the request for it
	TriedAt       time.Time // of the last attempt; zero before the first, or where it was not noted
	NextAttemptAt time.Time // likewise
	// HeldUntil is until when the event, and with it the later ones of its resource, are not
	// sent: while those between are being written.
	HeldUntil time.Time
}

// Delivery is what came of sending an event to a webhook. There is none before the first
// attempt.
type Delivery struct {
	Ref
	EventID       string
	EventType     effects.EventType
	EventOwner    int64
	Status        Status
	RequestedAt   time.Time // of the Pending that the attempts are for
	NextAttemptAt time.Time // zero: none
	FinishedAt    time.Time // zero: it is still retried
	Attempts      []Attempt // for this request, the oldest first, MaxAttempts at most
	Answer        string    // to the last attempt: the first MaxAnswer bytes, redacted
}

// Bounds of deliveries.
const (
	// SentWithin is the age at which an event is given up that waits for another one of its
	// resource, or whose webhook is disabled. Each event before it is tried for three days.
	SentWithin = 20 * 24 * time.Hour
	// PendingKept is how long it stays pending: until a run has written that it was given up.
	PendingKept    = SentWithin + 3*24*time.Hour
	MaxAttempts    = 10
	MaxAnswer      = 2 << 10
	DeliveriesKept = 30 * 24 * time.Hour // after the event or the replay
)

// DeliveryListing selects a page of the deliveries to a webhook, the newest event first.
type DeliveryListing struct {
	From, Until time.Time // of the events, both inclusive; zero: open
	Statuses    []Status  // empty: all
	Before      string    // the page begins after this event_id; empty: at the newest
	Limit       int       // at least 1
}

// Status is the state of a delivery.
type Status string

// The states of a delivery.
const (
	Retrying  Status = "retrying"
	Delivered Status = "delivered"
	Failed    Status = "failed" // given up
)

// Statuses returns the states of a delivery.
func Statuses() []Status { return []Status{Retrying, Delivered, Failed} }

// Attempt is one request to a webhook.
type Attempt struct {
	At         time.Time
	HTTPStatus int // zero without an answer
	Latency    time.Duration
	Failure    string // why there was no good answer, in our words; empty for 2xx
}
