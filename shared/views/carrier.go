package views

import (
	"cmp"
	"math"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/health"
	"carrierlink/shared/httpapi"
)

// Forms lists the carriers that can be linked.
type Forms struct {
	Carriers []Form `json:"carriers"`
}

// Form is a carrier and the fields that linking it needs.
type Form struct {
	CarrierName  string                 `json:"carrier_name"`
	CarrierCode  string                 `json:"carrier_code"`
	FriendlyName string                 `json:"friendly_name"`
	Fields       []connection.FormField `json:"fields"`
}

// NewForms returns the forms of all carriers.
func NewForms() Forms {
	var body Forms
	for _, n := range carrier.Names() {
		body.Carriers = append(body.Carriers, Form{string(n), string(n), n.FriendlyName(), connection.Form(n)})
	}
	return body
}

// CarriersPage is a page of an account's carriers, as ShipEngine lists them.
type CarriersPage struct {
	Carriers  []Carrier         `json:"carriers"`
	RequestID string            `json:"request_id"`
	Errors    []httpapi.Problem `json:"errors"`
	Page      int               `json:"page"`
	PageSize  int               `json:"page_size"`
	Links     httpapi.LinksBody `json:"links"`
}

// Carrier has every property of ShipEngine's carrier, followed by those of our
// connection.
type Carrier struct {
	RequiresFundedAmount             bool             `json:"requires_funded_amount"`
	Balance                          int              `json:"balance"`
	FriendlyName                     string           `json:"friendly_name"`
	FundingSourceID                  *string          `json:"funding_source_id"`
	CarrierCode                      string           `json:"carrier_code"`
	Primary                          bool             `json:"primary"`
	HasMultiPackageSupportingService bool             `json:"has_multi_package_supporting_services"`
	AllowsReturns                    bool             `json:"allows_returns"`
	SupportsLabelMessages            bool             `json:"supports_label_messages"`
	DisabledByBillingPlan            bool             `json:"disabled_by_billing_plan"`
	Services                         []CarrierService `json:"services"`
	Packages                         []struct{}       `json:"packages"`
	Options                          []struct{}       `json:"options"`
	SendRates                        bool             `json:"send_rates"`
	SupportsUserManagedRates         bool             `json:"supports_user_managed_rates"`
	ConnectionStatus                 string           `json:"connection_status"`
	Connection
}

// CarrierService is a product of the contract, as a ShipEngine service.
type CarrierService struct {
	CarrierID               string `json:"carrier_id"`
	CarrierCode             string `json:"carrier_code"`
	ServiceCode             string `json:"service_code"`
	Name                    string `json:"name"`
	Domestic                bool   `json:"domestic"`
	International           bool   `json:"international"`
	IsMultiPackageSupported bool   `json:"is_multi_package_supported"`
	IsReturnSupported       bool   `json:"is_return_supported"`
}

// NewCarrier returns the view of a connection with the current products of its contract.
func NewCarrier(conn *connection.Connection, products []connection.Product, now time.Time) Carrier {
	body := Carrier{
		FriendlyName: conn.Carrier.FriendlyName(), CarrierCode: string(conn.Carrier), ConnectionStatus: "pending_approval",
		Services: []CarrierService{}, Packages: []struct{}{}, Options: []struct{}{}, Connection: NewConnection(conn, now),
	}
	if conn.ShownStatus().Works() {
		body.ConnectionStatus = "approved"
	}
	for _, p := range products {
		if p.Expired || p.ID == "" {
			continue
		}
		international := p.International(conn.Carrier)
		s := CarrierService{
			CarrierID: conn.ID, CarrierCode: string(conn.Carrier), ServiceCode: p.ID, Name: cmp.Or(p.Type, p.ID), Domestic: !international, International: international,
			IsMultiPackageSupported: !international && p.MaxItemCount != 1,
		}
		body.Services = append(body.Services, s)
		body.HasMultiPackageSupportingService = body.HasMultiPackageSupportingService || s.IsMultiPackageSupported
	}
	return body
}

// CarrierStatuses is the status of all carriers.
type CarrierStatuses struct {
	Carriers []CarrierStatus `json:"carriers"`
}

// CarrierStatus is the status of a carrier.
type CarrierStatus struct {
	CarrierCode   string   `json:"carrier_code"`
	FriendlyName  string   `json:"friendly_name"`
	Status        string   `json:"status"` // operational or failing
	Breaker       Breaker  `json:"breaker"`
	SuccessRate   *float64 `json:"success_rate"` // null if there were no checks
	Checks        int      `json:"checks"`
	WindowMinutes int      `json:"window_minutes"`
}

// Breaker is the state of a carrier's circuit breaker.
type Breaker struct {
	State       string  `json:"state"` // closed or open
	Since       *string `json:"since"`
	Failure     *string `json:"failure"`
	NextProbeAt *string `json:"next_probe_at"`
}

// NewCarrierStatus returns the status of a carrier from its breaker and the tallies of
// the last minutes.
func NewCarrierStatus(name carrier.Name, b health.Breaker, tallies []health.Tally) CarrierStatus {
	body := CarrierStatus{
		CarrierCode: string(name), FriendlyName: name.FriendlyName(), Status: "operational",
		Breaker: Breaker{State: "closed", Since: httpapi.Time(b.ChangedAt)}, WindowMinutes: int(health.TallyWindow / time.Minute),
	}
	if b.Open {
		body.Status, body.Breaker.State = "failing", "open"
		body.Breaker.Failure, body.Breaker.NextProbeAt = httpapi.Text(b.Failure), httpapi.Time(b.ProbeAt)
	}
	good := 0
	for _, t := range tallies {
		body.Checks += t.Checks
		good += t.Good
	}
	if body.Checks > 0 {
		rate := math.Round(float64(good)/float64(body.Checks)*10_000) / 10_000
		body.SuccessRate = &rate
	}
	return body
}
