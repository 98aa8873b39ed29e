package views

import (
	"encoding/json"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/tracking"
)

// Trackings has a Tracking or a TrackingFailure for each number, in the order of the
// request.
type Trackings struct {
	Results []any `json:"results"`
}

// TrackingFailure is a number without a result, and the reason.
type TrackingFailure struct {
	TrackingNumber string          `json:"tracking_number"`
	Error          httpapi.Problem `json:"error"`
}

// NewTrackings returns the view of the results. errorSource is API.ErrorSource.
func NewTrackings(found tracking.Result, numbers []string, errorSource string, now time.Time) Trackings {
	body := Trackings{Results: make([]any, len(numbers))}
	for i, n := range numbers {
		if a := found.Answers[n]; a.Tracking == nil {
			body.Results[i] = TrackingFailure{n, httpapi.Problems(errorSource, a.Err)[0]}
		} else {
			body.Results[i] = NewTracking(found.Connection, a, now)
		}
	}
	return body
}

// Tracking has every property of ShipEngine's tracking_information, followed by our own.
// The carrier sends text only, so the text also fills the code fields.
type Tracking struct {
	TrackingNumber           string            `json:"tracking_number"`
	TrackingURL              string            `json:"tracking_url"`
	StatusCode               string            `json:"status_code"`
	StatusDetailCode         *string           `json:"status_detail_code"`
	CarrierCode              string            `json:"carrier_code"`
	CarrierID                *int32            `json:"carrier_id"` // ShipEngine's is a number, which ours are not: always null
	StatusDescription        string            `json:"status_description"`
	StatusDetailDescription  *string           `json:"status_detail_description"`
	CarrierStatusCode        *string           `json:"carrier_status_code"`
	CarrierDetailCode        *string           `json:"carrier_detail_code"`
	CarrierStatusDescription *string           `json:"carrier_status_description"`
	ShipDate                 *string           `json:"ship_date"`
	EstimatedDeliveryDate    *string           `json:"estimated_delivery_date"`
	ActualDeliveryDate       *string           `json:"actual_delivery_date"`
	ExceptionDescription     *string           `json:"exception_description"`
	Events                   []TrackingEvent   `json:"events"`
	ConnectionID             string            `json:"connection_id"` // our carrier_id
	Articles                 []TrackingArticle `json:"articles"`
	Source                   string            `json:"source"` // live or cached
	AgeSeconds               int64             `json:"age_seconds"`
	Stale                    bool              `json:"stale"`
	Truncated                bool              `json:"truncated,omitempty"` // only in the event track
}

// TrackingArticle is one article of a shipment.
type TrackingArticle struct {
	Number                   string          `json:"number"`
	StatusCode               string          `json:"status_code"`
	StatusDetailCode         *string         `json:"status_detail_code"`
	StatusDescription        string          `json:"status_description"`
	CarrierStatusCode        *string         `json:"carrier_status_code"`
	CarrierStatusDescription *string         `json:"carrier_status_description"`
	Events                   []TrackingEvent `json:"events"`
}

// TrackingEvent has every property of ShipEngine's track_event. Of the members that
// ShipEngine requires, places are empty instead of null; codes contain the carrier's
// text, and are null only without one.
type TrackingEvent struct {
	OccurredAt               *string  `json:"occurred_at"`
	CarrierOccurredAt        *string  `json:"carrier_occurred_at"`
	Description              *string  `json:"description"`
	CityLocality             string   `json:"city_locality"`
	StateProvince            string   `json:"state_province"`
	PostalCode               string   `json:"postal_code"`
	CountryCode              *string  `json:"country_code"`
	CompanyName              *string  `json:"company_name"`
	Signer                   *string  `json:"signer"`
	EventCode                *string  `json:"event_code"`
	CarrierDetailCode        *string  `json:"carrier_detail_code"`
	StatusCode               string   `json:"status_code"`
	StatusDetailCode         *string  `json:"status_detail_code"`
	StatusDescription        string   `json:"status_description"`
	StatusDetailDescription  *string  `json:"status_detail_description"`
	CarrierStatusCode        *string  `json:"carrier_status_code"`
	CarrierStatusDescription *string  `json:"carrier_status_description"`
	Latitude                 *float64 `json:"latitude"`
	Longitude                *float64 `json:"longitude"`
	ProofOfDeliveryURL       *string  `json:"proof_of_delivery_url"`
}

// NewTracking returns the view of one result, read with a connection. a.Tracking must not
// be nil.
func NewTracking(conn *connection.Connection, a tracking.Answer, now time.Time) Tracking {
	t := a.Tracking
	whole := t.Summary()
	carrierText := httpapi.Text(t.CarrierText())
	body := Tracking{
		TrackingNumber: t.Number, TrackingURL: trackingURL(t, conn.Carrier), CarrierCode: string(conn.Carrier), ConnectionID: conn.ID,
		StatusCode: string(whole.Status), StatusDetailCode: httpapi.Text(whole.Detail), StatusDescription: whole.Status.Description(),
		CarrierStatusCode: carrierText, CarrierStatusDescription: carrierText, ActualDeliveryDate: httpapi.Time(t.DeliveredAt()),
		Events: newTrackingEvents(t.History()), Articles: []TrackingArticle{},
		Source: "cached", AgeSeconds: max(0, int64(now.Sub(a.At)/time.Second)), Stale: a.Stale,
	}
	if a.Live {
		body.Source = "live"
	}
	if whole.Status == tracking.Exception || whole.Status == tracking.Attempted {
		body.ExceptionDescription = httpapi.Text(whole.Text)
	}
	for _, article := range t.Articles() {
		text := httpapi.Text(article.Text)
		body.Articles = append(body.Articles, TrackingArticle{
			Number: article.Number, StatusCode: string(article.Status), StatusDetailCode: httpapi.Text(article.Detail), StatusDescription: article.Status.Description(),
			CarrierStatusCode: text, CarrierStatusDescription: text, Events: newTrackingEvents(article.Events),
		})
	}
	return body
}

// NewTrackData returns the data of the event track: NewTracking with at most
// effects.MaxEventData bytes of JSON. The oldest events are left out, and of a shipment of
// very many articles the last ones.
func NewTrackData(conn *connection.Connection, a tracking.Answer, now time.Time) Tracking {
	body := NewTracking(conn, a, now)
	for encoded, err := json.Marshal(body); err == nil && len(encoded) > effects.MaxEventData; encoded, err = json.Marshal(body) {
		body.Truncated = true
		most := len(body.Events)
		for _, article := range body.Articles {
			most = max(most, len(article.Events))
		}
		if most == 0 && len(body.Articles) == 0 {
			break // the carrier's texts are short
		}
		if most == 0 {
			body.Articles = body.Articles[:len(body.Articles)/2]
			continue
		}
		body.Events = body.Events[:min(len(body.Events), most/2)]
		for i, article := range body.Articles {
			body.Articles[i].Events = article.Events[:min(len(article.Events), most/2)]
		}
	}
	return body
}

func newTrackingEvents(events []tracking.Event) []TrackingEvent {
	bodies := make([]TrackingEvent, len(events))
	for i, e := range events {
		p, place, text := e.Progress(), e.Place(), httpapi.Text(e.Description)
		bodies[i] = TrackingEvent{
			OccurredAt: httpapi.Time(e.At), CarrierOccurredAt: httpapi.Text(e.CarrierTime), Description: text,
			CityLocality: place.City, StateProvince: place.State, PostalCode: place.PostalCode, CountryCode: httpapi.Text(place.Country),
			StatusCode: string(p.Status), StatusDetailCode: httpapi.Text(p.Detail), StatusDescription: p.Status.Description(),
			CarrierStatusCode: text, CarrierStatusDescription: text, CarrierDetailCode: text,
		}
	}
	return bodies
}

// trackingURL returns the carrier's own page about a number (infra/docs/auspost.md,
// "Track").
func trackingURL(t *tracking.Tracking, asked carrier.Name) string {
	if t.Brand(asked) == carrier.StarTrack {
		return "https://startrack.com.au/track/details/" + t.Number
	}
	return "https://auspost.com.au/mypost/track/details/" + t.Number
}
