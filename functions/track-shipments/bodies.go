package main

import (
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/httpapi"
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
	TrackingNumber           string      `json:"tracking_number"`
	TrackingURL              string      `json:"tracking_url"`
	StatusCode               string      `json:"status_code"`
	StatusDetailCode         *string     `json:"status_detail_code"`
	CarrierCode              string      `json:"carrier_code"`
	CarrierID                string      `json:"carrier_id"`
	StatusDescription        string      `json:"status_description"`
	StatusDetailDescription  *string     `json:"status_detail_description"`
	CarrierStatusCode        *string     `json:"carrier_status_code"`
	CarrierDetailCode        *string     `json:"carrier_detail_code"`
	CarrierStatusDescription *string     `json:"carrier_status_description"`
	ShipDate                 *string     `json:"ship_date"`
	EstimatedDeliveryDate    *string     `json:"estimated_delivery_date"`
	ActualDeliveryDate       *string     `json:"actual_delivery_date"`
	ExceptionDescription     *string     `json:"exception_description"`
	Events                   []eventBody `json:"events"`
	Source                   string      `json:"source"` // live or cached
	AgeSeconds               int64       `json:"age_seconds"`
	Stale                    bool        `json:"stale"`
}

// eventBody is ShipEngine's track_event, every property of it. Texts that it
// requires are empty rather than null.
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

func newTrackingBody(conn *carrier.Connection, k known, now time.Time) trackingBody {
	t := k.tracking
	p := t.Progress()
	status := httpapi.Text(t.CarrierStatus)
	body := trackingBody{
		TrackingNumber: t.Number, TrackingURL: trackingURL(t.Number), CarrierCode: string(conn.Carrier), CarrierID: conn.ID,
		StatusCode: string(p.Status), StatusDetailCode: httpapi.Text(p.Detail), StatusDescription: p.Status.Description(),
		CarrierStatusCode: status, CarrierStatusDescription: status, ActualDeliveryDate: httpapi.Time(t.DeliveredAt()),
		Events: make([]eventBody, len(t.Events)), Source: "cached", AgeSeconds: max(0, int64(now.Sub(k.at)/time.Second)), Stale: k.stale,
	}
	if k.live {
		body.Source = "live"
	}
	if p.Status == carrier.TrackingException || p.Status == carrier.TrackingAttempted {
		body.ExceptionDescription = status
	}
	for i, e := range t.Events {
		body.Events[i] = newEventBody(e)
	}
	return body
}

func newEventBody(e carrier.TrackingEvent) eventBody {
	p := e.Progress()
	text := httpapi.Text(e.Description)
	body := eventBody{
		OccurredAt: httpapi.Time(e.At), CarrierOccurredAt: httpapi.Text(e.CarrierTime), Description: text,
		StatusCode: string(p.Status), StatusDetailCode: httpapi.Text(p.Detail), StatusDescription: p.Status.Description(),
		CarrierStatusCode: text, CarrierStatusDescription: text,
	}
	if body.CityLocality, body.StateProvince = e.Place(); body.StateProvince != "" {
		country := "AU"
		body.CountryCode = &country
	}
	return body
}

// trackingURL is the carrier's own page about a number (infra/docs/auspost.md,
// "Track").
func trackingURL(number string) string {
	if carrier.IsStarTrackNumber(number) {
		return "https://startrack.com.au/track/details/" + number
	}
	return "https://auspost.com.au/mypost/track/details/" + number
}
