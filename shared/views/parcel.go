package views

import (
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/parcel"
)

// Parcel is a registered parcel.
type Parcel struct {
	TrackingNumber    string  `json:"tracking_number"`
	CarrierCode       string  `json:"carrier_code"`
	CarrierID         string  `json:"carrier_id"`
	Status            string  `json:"status"` // active or ended
	EndReason         *string `json:"end_reason"`
	StatusCode        string  `json:"status_code"`
	StatusDetailCode  *string `json:"status_detail_code"`
	StatusDescription string  `json:"status_description"`
	StatusChangedAt   *string `json:"status_changed_at"`
	RegisteredAt      *string `json:"registered_at"`
	LastLookedAt      *string `json:"last_looked_at"`
	NextLookAt        *string `json:"next_look_at"`
	EndedAt           *string `json:"ended_at"`
}

// The values of Parcel.Status.
const (
	ParcelActive = "active"
	ParcelEnded  = "ended"
)

// NewParcel returns the view of a parcel.
func NewParcel(p parcel.Parcel) Parcel {
	body := Parcel{
		TrackingNumber: p.Number, CarrierCode: string(p.Carrier), CarrierID: p.ConnectionID, Status: ParcelActive, EndReason: httpapi.Text(string(p.End)),
		StatusCode: string(p.Status), StatusDetailCode: httpapi.Text(p.Detail), StatusDescription: p.Status.Description(), StatusChangedAt: httpapi.Time(p.ChangedAt),
		RegisteredAt: httpapi.Time(p.RegisteredAt), LastLookedAt: httpapi.Time(p.LookedAt), NextLookAt: httpapi.Time(p.NextLookAt), EndedAt: httpapi.Time(p.EndedAt),
	}
	if !p.Active() {
		body.Status = ParcelEnded
	}
	return body
}

// ParcelsPage is a page of parcels.
type ParcelsPage struct {
	Shipments []Parcel          `json:"shipments"`
	Page      int               `json:"page"`
	PageSize  int               `json:"page_size"`
	Links     httpapi.LinksBody `json:"links"`
}

// Registrations has a Registration for each number, in the order of the request.
type Registrations struct {
	Registered int            `json:"registered"`
	Failed     int            `json:"failed"`
	Results    []Registration `json:"results"`
}

// Registration is a number that was registered, or the reason why it was not.
type Registration struct {
	Index          int              `json:"index"` // in the request, from 0
	TrackingNumber string           `json:"tracking_number"`
	Registered     bool             `json:"registered"`
	Error          *httpapi.Problem `json:"error"`
}

// CarrierQuery parses carrier_id and carrier_code in the query, of which a request has one.
func CarrierQuery(req *httpapi.Request) (carrierID string, name carrier.Name, problems fault.List) {
	var c CarrierChoice
	for _, f := range []struct {
		name string
		dst  **string
	}{{"carrier_id", &c.id}, {"carrier_code", &c.code}} {
		problems = append(problems, req.Single(f.name, func(v string) *fault.Error {
			*f.dst = &v
			return nil
		})...)
	}
	if len(problems) > 0 {
		return "", "", problems
	}
	return c.Parse()
}

// CarrierChoice is carrier_id or carrier_code, of which a request has one.
type CarrierChoice struct{ id, code *string }

// Fields are the fields of a body that has the choice.
func (c *CarrierChoice) Fields() []httpapi.Field {
	given := func(dst **string) func(field, s string) (string, *fault.Error) {
		return func(_, s string) (string, *fault.Error) {
			*dst = &s
			return s, nil
		}
	}
	var ignored string
	return []httpapi.Field{httpapi.String("carrier_id", &ignored, given(&c.id)), httpapi.String("carrier_code", &ignored, given(&c.code))}
}

// Parse returns the one that was given: fault.Required without either, fault.Invalid with
// both; fault.Identifier, Invalid or NotSupported for a value.
func (c *CarrierChoice) Parse() (carrierID string, name carrier.Name, problems fault.List) {
	var err error
	switch {
	case c.id == nil && c.code == nil:
		err = fault.Field(fault.Required, "carrier_id", "carrier_id or carrier_code is needed.")
	case c.id != nil && c.code != nil:
		err = fault.Field(fault.Invalid, "carrier_code", "carrier_code must not be given with carrier_id.")
	case c.id != nil:
		carrierID, err = connection.ParseID(*c.id)
	default:
		name, err = carrier.ParseName("carrier_code", *c.code)
	}
	return carrierID, name, fault.Of(err)
}
