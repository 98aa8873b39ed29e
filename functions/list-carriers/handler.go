package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"carrierlink/shared/auspost"
	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
)

// connections is what this function needs of the store.
type connections interface {
	Load(ctx context.Context, accountID int64, want store.Want) (store.Loaded, error)
	ListConnections(ctx context.Context, accountID int64, withSnapshots bool) ([]carrier.Connection, map[string]carrier.Snapshot, error)
}

type handler struct {
	auth        *auth.Auth
	connections connections
	now         func() time.Time
}

// formsBody is what can be linked, and what each carrier asks for.
type formsBody struct {
	Carriers []formBody `json:"carriers"`
}

type formBody struct {
	CarrierName  string              `json:"carrier_name"`
	CarrierCode  string              `json:"carrier_code"`
	FriendlyName string              `json:"friendly_name"`
	Fields       []carrier.FormField `json:"fields"`
}

// forms lists the carriers and the fields of their forms.
func (h *handler) forms(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	if _, err := h.auth.Merchant(ctx, req, func(ctx context.Context, accountID int64) (*carrier.Account, error) {
		loaded, err := h.connections.Load(ctx, accountID, store.Want{Now: h.now()})
		return loaded.Account, err
	}); err != nil {
		return nil, err
	}
	var body formsBody
	for _, n := range carrier.Names() {
		body.Carriers = append(body.Carriers, formBody{string(n), string(n), n.FriendlyName(), carrier.Form(n)})
	}
	return httpapi.JSON(http.StatusOK, body), nil
}

// listBody is the account's carriers, as ShipEngine lists them.
type listBody struct {
	Carriers  []carrierBody     `json:"carriers"`
	RequestID string            `json:"request_id"`
	Errors    []httpapi.Problem `json:"errors"`
}

// list shows every connection of the account, the oldest first.
func (h *handler) list(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	now := h.now()
	var found []carrier.Connection
	var snapshots map[string]carrier.Snapshot
	_, err := h.auth.Merchant(ctx, req, func(ctx context.Context, accountID int64) (*carrier.Account, error) {
		var loaded store.Loaded
		var errs [2]error
		var reading sync.WaitGroup
		reading.Go(func() { found, snapshots, errs[1] = h.connections.ListConnections(ctx, accountID, true) })
		loaded, errs[0] = h.connections.Load(ctx, accountID, store.Want{Now: now})
		reading.Wait()
		return loaded.Account, errors.Join(errs[:]...)
	})
	if err != nil {
		return nil, err
	}
	body := listBody{Carriers: make([]carrierBody, len(found)), RequestID: req.ID, Errors: []httpapi.Problem{}}
	for i, conn := range found {
		var snap *carrier.Snapshot
		if s, ok := snapshots[conn.ID]; ok {
			snap = &s
		}
		if body.Carriers[i], err = newCarrierBody(&conn, snap, now); err != nil {
			return nil, err
		}
	}
	return httpapi.JSON(http.StatusOK, body), nil
}

// get shows one connection, or answers 304 to a caller who has it.
// fault.Identifier for a malformed carrier_id, NotFound for one that the account
// does not have.
func (h *handler) get(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	now := h.now()
	id, inputErr := req.Param("carrier_id")
	if inputErr == nil {
		id, inputErr = carrier.ParseConnectionID(id)
	}
	var loaded store.Loaded
	_, err := h.auth.Merchant(ctx, req, func(ctx context.Context, accountID int64) (_ *carrier.Account, err error) {
		want := store.Want{Now: now}
		if inputErr == nil {
			want.ConnectionID, want.Snapshot = id, true
		}
		loaded, err = h.connections.Load(ctx, accountID, want)
		return loaded.Account, err
	})
	if err != nil {
		return nil, err
	}
	if inputErr != nil {
		return nil, inputErr
	}
	if loaded.Connection == nil || loaded.Connection.Status == carrier.Linking {
		return nil, fault.New(fault.NotFound, "There is no such carrier.")
	}
	body, err := newCarrierBody(loaded.Connection, loaded.Snapshot, now)
	if err != nil {
		return nil, err
	}
	resp := httpapi.JSON(http.StatusOK, body)
	sum := sha256.Sum256(resp.Body)
	return httpapi.Conditional(req, `"`+hex.EncodeToString(sum[:16])+`"`, func() *httpapi.Response { return resp }), nil
}

// carrierBody is ShipEngine's carrier, every property of it, and our connection
// behind.
type carrierBody struct {
	RequiresFundedAmount             bool          `json:"requires_funded_amount"`
	Balance                          int           `json:"balance"`
	FriendlyName                     string        `json:"friendly_name"`
	FundingSourceID                  *string       `json:"funding_source_id"`
	CarrierCode                      string        `json:"carrier_code"`
	Primary                          bool          `json:"primary"`
	HasMultiPackageSupportingService bool          `json:"has_multi_package_supporting_services"`
	AllowsReturns                    bool          `json:"allows_returns"`
	SupportsLabelMessages            bool          `json:"supports_label_messages"`
	DisabledByBillingPlan            bool          `json:"disabled_by_billing_plan"`
	Services                         []serviceBody `json:"services"`
	Packages                         []struct{}    `json:"packages"`
	Options                          []struct{}    `json:"options"`
	SendRates                        bool          `json:"send_rates"`
	SupportsUserManagedRates         bool          `json:"supports_user_managed_rates"`
	ConnectionStatus                 string        `json:"connection_status"`
	httpapi.ConnectionBody
}

// serviceBody is a product of the contract as one of ShipEngine's services.
type serviceBody struct {
	CarrierID               string `json:"carrier_id"`
	CarrierCode             string `json:"carrier_code"`
	ServiceCode             string `json:"service_code"`
	Name                    string `json:"name"`
	Domestic                bool   `json:"domestic"`
	International           bool   `json:"international"`
	IsMultiPackageSupported bool   `json:"is_multi_package_supported"`
	IsReturnSupported       bool   `json:"is_return_supported"`
}

// newCarrierBody shows a connection; services come from its snapshot, none
// before the first good check.
func newCarrierBody(conn *carrier.Connection, snap *carrier.Snapshot, now time.Time) (carrierBody, error) {
	body := carrierBody{
		FriendlyName: conn.Carrier.FriendlyName(), CarrierCode: string(conn.Carrier), ConnectionStatus: "pending_approval",
		Services: []serviceBody{}, Packages: []struct{}{}, Options: []struct{}{}, ConnectionBody: httpapi.NewConnectionBody(conn, now),
	}
	if conn.Status.Works() {
		body.ConnectionStatus = "approved"
	}
	if snap == nil {
		return body, nil
	}
	raw, err := snap.Raw()
	if err != nil {
		return carrierBody{}, err
	}
	contract, err := auspost.ParseContract(raw)
	if err != nil {
		return carrierBody{}, fmt.Errorf("reading a snapshot: %w", err)
	}
	for _, p := range contract.Products {
		if p.Expired || p.ID == "" {
			continue
		}
		international := p.International(conn.Carrier)
		s := serviceBody{
			CarrierID: conn.ID, CarrierCode: string(conn.Carrier), ServiceCode: p.ID, Name: p.Type, Domestic: !international, International: international,
			IsMultiPackageSupported: !international && p.MaxItemCount != 1,
		}
		if s.Name == "" {
			s.Name = p.ID
		}
		body.Services = append(body.Services, s)
		body.HasMultiPackageSupportingService = body.HasMultiPackageSupportingService || s.IsMultiPackageSupported
	}
	return body, nil
}
