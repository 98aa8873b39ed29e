package views

import (
	"time"

	"carrierlink/shared/connection"
)

// Carrier is ShipEngine's carrier, every property of it, followed by our
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

// CarrierService is a product of the contract as one of ShipEngine's services.
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

// NewCarrier shows a connection and the products of its contract that are sold.
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
			CarrierID: conn.ID, CarrierCode: string(conn.Carrier), ServiceCode: p.ID, Name: p.Type, Domestic: !international, International: international,
			IsMultiPackageSupported: !international && p.MaxItemCount != 1,
		}
		if s.Name == "" {
			s.Name = p.ID
		}
		body.Services = append(body.Services, s)
		body.HasMultiPackageSupportingService = body.HasMultiPackageSupportingService || s.IsMultiPackageSupported
	}
	return body
}
