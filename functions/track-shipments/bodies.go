package main

import (
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/tracking"
)

// resultsBody answers for several numbers, in the order in which they were
// asked: a trackingBody or a failureBody each.
type resultsBody struct {
	Results []any `json:"results"`
}

type failureBody struct {
	TrackingNumber string          `json:"tracking_number"`
	Error          httpapi.Problem `json:"error"`
}

// trackingBody is ShipEngine's tracking_information, every property of it, and
// ours behind. A carrier of words has no codes: they stand for them.
type trackingBody struct {
	TrackingNumber           string        `json:"tracking_number"`
	TrackingURL              string        `json:"tracking_url"`
	StatusCode               string        `json:"status_code"`
	StatusDetailCode         *string       `json:"status_detail_code"`
	CarrierCode              string        `json:"carrier_code"`
	CarrierID                string        `json:"carrier_id"`
	StatusDescription        string        `json:"status_description"`
	StatusDetailDescription  *string       `json:"status_detail_description"`
	CarrierStatusCode        *string       `json:"carrier_status_code"`
	CarrierDetailCode        *string       `json:"carrier_detail_code"`
	CarrierStatusDescription *string       `json:"carrier_status_description"`
	ShipDate                 *string       `json:"ship_date"`
	EstimatedDeliveryDate    *string       `json:"estimated_delivery_date"`
	ActualDeliveryDate       *string       `json:"actual_delivery_date"`
	ExceptionDescription     *string       `json:"exception_description"`
	Events                   []eventBody   `json:"events"`
	Articles                 []articleBody `json:"articles"`
	Source                   string        `json:"source"` // live or cached
	AgeSeconds               int64         `json:"age_seconds"`
	Stale                    bool          `json:"stale"`
}

// articleBody is one article of a shipment, as the whole is told.
type articleBody struct {
	Number                   string      `json:"number"`
	StatusCode               string      `json:"status_code"`
	StatusDetailCode         *string     `json:"status_detail_code"`
	StatusDescription        string      `json:"status_description"`
	CarrierStatusCode        *string     `json:"carrier_status_code"`
	CarrierStatusDescription *string     `json:"carrier_status_description"`
	Events                   []eventBody `json:"events"`
}

// eventBody is ShipEngine's track_event, every property of it. Of the members that
// it requires, places are empty rather than null, and the codes have the carrier's
// text: null only where it says nothing.
type eventBody struct {
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

func newTrackingBody(conn *connection.Connection, k known, now time.Time) trackingBody {
	t := k.tracking
	whole := t.Summary()
	words := httpapi.Text(t.Words())
	body := trackingBody{
		TrackingNumber: t.Number, TrackingURL: trackingURL(t, conn.Carrier), CarrierCode: string(conn.Carrier), CarrierID: conn.ID,
		StatusCode: string(whole.Status), StatusDetailCode: httpapi.Text(whole.Detail), StatusDescription: whole.Status.Description(),
		CarrierStatusCode: words, CarrierStatusDescription: words, ActualDeliveryDate: httpapi.Time(t.DeliveredAt()),
		Events: newEventBodies(t.History()), Articles: []articleBody{},
		Source: "cached", AgeSeconds: max(0, int64(now.Sub(k.at)/time.Second)), Stale: k.stale,
	}
	if k.live {
		body.Source = "live"
	}
	if whole.Status == tracking.Exception || whole.Status == tracking.Attempted {
		body.ExceptionDescription = httpapi.Text(whole.Text)
	}
	for _, a := range t.Articles() {
		text := httpapi.Text(a.Text)
		body.Articles = append(body.Articles, articleBody{
			Number: a.Number, StatusCode: string(a.Status), StatusDetailCode: httpapi.Text(a.Detail), StatusDescription: a.Status.Description(),
			CarrierStatusCode: text, CarrierStatusDescription: text, Events: newEventBodies(a.Events),
		})
	}
	return body
}

func newEventBodies(events []tracking.Event) []eventBody {
	bodies := make([]eventBody, len(events))
	for i, e := range events {
		p, place, text := e.Progress(), e.Place(), httpapi.Text(e.Description)
		bodies[i] = eventBody{
			OccurredAt: httpapi.Time(e.At), CarrierOccurredAt: httpapi.Text(e.CarrierTime), Description: text,
			CityLocality: place.City, StateProvince: place.State, PostalCode: place.PostalCode, CountryCode: httpapi.Text(place.Country),
			StatusCode: string(p.Status), StatusDetailCode: httpapi.Text(p.Detail), StatusDescription: p.Status.Description(),
			CarrierStatusCode: text, CarrierStatusDescription: text, CarrierDetailCode: text,
		}
	}
	return bodies
}

// trackingURL is the carrier's own page about a number (infra/docs/auspost.md,
// "Track").
func trackingURL(t *tracking.Tracking, asked carrier.Name) string {
	if t.Brand(asked) == carrier.StarTrack {
		return "https://startrack.com.au/track/details/" + t.Number
	}
	return "https://auspost.com.au/mypost/track/details/" + t.Number
}
