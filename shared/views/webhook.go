package views

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/secret"
	"carrierlink/shared/webhook"
)

// Webhook is a webhook in answers.
type Webhook struct {
	WebhookID      string          `json:"webhook_id"`
	URL            string          `json:"url"`
	Event          string          `json:"event"` // ShipEngine's
	Headers        []WebhookHeader `json:"headers"`
	Unreadable     []string        `json:"unreadable"` // parts that cannot be decrypted any more
	Name           *string         `json:"name"`
	StoreID        *int32          `json:"store_id"` // ShipEngine's
	Events         []string        `json:"events"`
	Enabled        bool            `json:"enabled"`
	DisabledAt     *string         `json:"disabled_at"`
	DisabledReason *string         `json:"disabled_reason"`
	CreatedAt      *string         `json:"created_at"`
	ModifiedAt     *string         `json:"modified_at"`
}

// WebhookHeader is a custom header in answers.
type WebhookHeader struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// NewWebhook returns the view of a webhook, without the headers if they are unreadable.
func NewWebhook(w *webhook.Webhook, headers []webhook.Header, unreadable []string) Webhook {
	body := Webhook{
		WebhookID: w.ID, URL: w.URL, Event: string(firstEvent(w.Events)), Headers: make([]WebhookHeader, len(headers)), Name: httpapi.Text(w.Name),
		StoreID: w.StoreID, Events: make([]string, len(w.Events)), Enabled: w.DisabledAt.IsZero(), DisabledAt: httpapi.Time(w.DisabledAt),
		DisabledReason: httpapi.Text(string(w.DisabledFor)), CreatedAt: httpapi.Time(w.CreatedAt), ModifiedAt: httpapi.Time(w.ModifiedAt),
		Unreadable: append([]string{}, unreadable...),
	}
	for i, h := range headers {
		body.Headers[i] = WebhookHeader{h.Key, h.Value.Reveal()}
	}
	for i, t := range w.Events {
		body.Events[i] = string(t)
	}
	return body
}

// firstEvent returns the one type that ShipEngine's clients read: of a webhook that gets an
// event of ShipEngine's it is one of those, because they know no other.
func firstEvent(types []effects.EventType) effects.EventType {
	switch {
	case slices.Contains(types, effects.CarrierConnected), types[0] == webhook.AllEvents:
		return effects.CarrierConnected
	case slices.Contains(types, effects.Track):
		return effects.Track
	}
	return types[0]
}

// WebhookETag returns the strong entity tag of a webhook: each change has another time.
func WebhookETag(w *webhook.Webhook) string {
	return `"` + strconv.FormatInt(w.ModifiedAt.UnixMilli(), 36) + `"`
}

// CreatedWebhook is a new webhook. No other answer has its secret, nor that of a
// RotatedWebhook.
type CreatedWebhook struct {
	Webhook
	Secret string `json:"secret"`
}

// NewCreatedWebhook returns the view of a new webhook.
func NewCreatedWebhook(c *webhook.Created) CreatedWebhook {
	return CreatedWebhook{NewWebhook(&c.Webhook, c.Headers, c.Unreadable), c.Secret.Reveal()}
}

// RotatedWebhook is a webhook with a new secret, and the end of the one before.
type RotatedWebhook struct {
	CreatedWebhook
	PreviousExpiresAt *string `json:"previous_expires_at"`
}

// NewRotatedWebhook returns the view of a webhook with a new secret.
func NewRotatedWebhook(c *webhook.Created) RotatedWebhook {
	return RotatedWebhook{NewCreatedWebhook(c), httpapi.Time(c.PreviousEnds)}
}

// Delivery is a delivery in answers.
type Delivery struct {
	DeliveryID    string            `json:"delivery_id"` // the event_id
	Event         string            `json:"event"`
	AccountID     *int64            `json:"account_id"` // null: the event is the partner's own
	Status        string            `json:"status"`
	RequestedAt   *string           `json:"requested_at"`
	NextAttemptAt *string           `json:"next_attempt_at"`
	FinishedAt    *string           `json:"finished_at"`
	Attempts      []DeliveryAttempt `json:"attempts"`
	Answer        *string           `json:"answer"`
}

// DeliveryAttempt is one request to a webhook.
type DeliveryAttempt struct {
	At         *string `json:"at"`
	HTTPStatus *int    `json:"http_status"`
	LatencyMS  int64   `json:"latency_ms"`
	Failure    *string `json:"failure"`
}

// NewDelivery returns the view of a delivery.
func NewDelivery(d webhook.Delivery) Delivery {
	body := Delivery{
		DeliveryID: d.EventID, Event: string(d.EventType), Status: string(d.Status), RequestedAt: httpapi.Time(d.RequestedAt),
		NextAttemptAt: httpapi.Time(d.NextAttemptAt), FinishedAt: httpapi.Time(d.FinishedAt), Attempts: make([]DeliveryAttempt, len(d.Attempts)), Answer: httpapi.Text(d.Answer),
	}
	if d.EventOwner != 0 {
		body.AccountID = &d.EventOwner
	}
	for i, a := range d.Attempts {
		body.Attempts[i] = DeliveryAttempt{At: httpapi.Time(a.At), LatencyMS: a.Latency.Milliseconds(), Failure: httpapi.Text(a.Failure)}
		if a.HTTPStatus != 0 {
			body.Attempts[i].HTTPStatus = &a.HTTPStatus
		}
	}
	return body
}

// DeliveriesPage is a page of deliveries.
type DeliveriesPage struct {
	Deliveries []Delivery        `json:"deliveries"`
	Page       int               `json:"page"`
	PageSize   int               `json:"page_size"`
	Links      httpapi.LinksBody `json:"links"`
}

// QueuedDelivery says which delivery a test or a replay makes.
type QueuedDelivery struct {
	DeliveryID string `json:"delivery_id"`
}

// ReplayedSpan is the answer to the replay of a span.
type ReplayedSpan struct {
	Queued       int     `json:"queued"`
	ContinueFrom *string `json:"continue_from"` // null: the span is done
}

// NewReplayedSpan returns the view of a replayed span.
func NewReplayedSpan(r webhook.Replayed) ReplayedSpan {
	return ReplayedSpan{r.Queued, httpapi.Time(r.ContinueFrom)}
}

// WebhookInput is a body that creates or changes a webhook.
type WebhookInput struct {
	webhook.Input
	named bool // it has event or events
}

// Fields returns the fields of the body. cleanURL checks the url.
func (in *WebhookInput) Fields(create bool, cleanURL func(field, s string) (string, *fault.Error)) []httpapi.Field {
	fields := []httpapi.Field{
		httpapi.String("url", &in.URL, cleanURL),
		httpapi.String("event", new(string), func(field, s string) (string, *fault.Error) { return s, in.setEvents(field, []string{s}) }),
		httpapi.Strings("events", func(names []string) *fault.Error { return in.setEvents("events", names) }),
		{Name: "headers", Check: in.setHeaders},
		httpapi.String("name", &in.Name, webhook.NameRule.Clean),
		in.storeID(),
	}
	if create {
		fields[0] = httpapi.Require(fields[0])
		return fields
	}
	var enabled bool
	field := httpapi.Bool("enabled", &enabled)
	return append(fields, httpapi.Field{Name: field.Name, Check: func(value json.RawMessage) fault.List {
		problems := field.Check(value)
		if len(problems) == 0 {
			in.Enabled = &enabled
		}
		return problems
	}})
}

// Missing returns fault.Required for a body that has neither event nor events. wrong are the
// problems of the body, which may have one that cannot be read.
func (in *WebhookInput) Missing(wrong fault.List) fault.List {
	if in.named || slices.ContainsFunc(wrong, func(p *fault.Error) bool { return p.Field == "event" || p.Field == "events" }) {
		return nil
	}
	return fault.List{fault.Missing("event")}
}

func (in *WebhookInput) setEvents(field string, names []string) (problem *fault.Error) {
	if in.named {
		return fault.Field(fault.Invalid, field, "%s must not be given beside event.", field)
	}
	in.named = true
	in.Events, problem = webhook.ParseEvents(field, names)
	return problem
}

// setHeaders decodes a list of objects with key and value. Problems never quote them.
func (in *WebhookInput) setHeaders(value json.RawMessage) fault.List {
	const name = "headers"
	var members []json.RawMessage
	err := json.Unmarshal(value, &members)
	headers := make([]webhook.Header, len(members))
	for i, m := range members {
		var text *secret.Text
		asIs := func(_, s string) (string, *fault.Error) { return s, nil }
		if failure := httpapi.Decode(m, httpapi.Require(httpapi.String("key", &headers[i].Key, asIs)), httpapi.Require(httpapi.Secret("value", &text))); failure != nil {
			err = failure
			continue
		}
		headers[i].Value = *text
	}
	if err != nil {
		return fault.List{fault.Field(fault.Invalid, name, "%s must be a list of objects, each with the texts key and value.", name)}
	}
	in.Headers = &headers
	return fault.ListOf(webhook.CheckHeaders(name, headers))
}

func (in *WebhookInput) storeID() httpapi.Field {
	var n int
	field := httpapi.Count("store_id", &n, math.MinInt32, math.MaxInt32)
	return httpapi.Field{Name: field.Name, Check: func(value json.RawMessage) fault.List {
		problems := field.Check(value)
		if id := int32(n); len(problems) == 0 { //nolint:gosec // it is in the range
			in.StoreID = &id
		}
		return problems
	}}
}

// ReplayFields returns the fields of a body that replays a span of time.
func ReplayFields(span *webhook.Span) []httpapi.Field {
	return []httpapi.Field{
		httpapi.Require(httpapi.Instant("created_at_start", &span.From)),
		httpapi.Instant("created_at_end", &span.Until),
		httpapi.Bool("include_delivered", &span.Delivered),
	}
}

// DeliveryStatuses parses the values of the query parameter status.
func DeliveryStatuses(filters *httpapi.Filters) (chosen []webhook.Status) {
	filters.Several("status", func(v string) *fault.Error {
		if chosen = append(chosen, webhook.Status(v)); !slices.Contains(webhook.Statuses(), webhook.Status(v)) {
			return fault.Field(fault.Invalid, "status", "status must be retrying, delivered or failed.")
		}
		return nil
	})
	return chosen
}
