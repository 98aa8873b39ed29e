package main

import (
	"context"
	"net/http"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/auth"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// accounts is what this function needs of the store.
type accounts interface {
	Load(ctx context.Context, accountID int64, want store.Want) (store.Loaded, error)
}

// connections is what this function needs of connection.Service.
type connections interface {
	AskNew(ctx context.Context, account account.Account, charge connection.ChargeAccount) (connection.Reading, *connection.Snapshot, error)
	LinkedAs(ctx context.Context, accountID int64, ids []string) (string, error)
}

type handler struct {
	auth        *auth.Auth
	accounts    accounts
	connections connections
	now         func() time.Time
}

// checkCarrier is the name of the carrier's own answer among the checks.
const checkCarrier = "carrier"

// validate answers 200 with what the checks find that need no carrier, and when
// they find nothing with what the carrier says, good or bad. Errors: those of
// auth.Merchant and Request.JSON, all of the request's at once; for an outage,
// which says nothing about the charge account, fault.CarrierLimited, CarrierDown
// and CarrierTimeout; and RateLimited when the account has linked and validated
// too often.
func (h *handler) validate(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	want := store.Want{Now: h.now()}
	if name, number := views.PeekNumber(req); number != "" {
		want.Number = &connection.Number{Carrier: name, Number: number}
	}
	var loaded store.Loaded
	_, err := h.auth.Merchant(ctx, req, func(ctx context.Context, accountID int64) (_ *account.Account, err error) {
		loaded, err = h.accounts.Load(ctx, accountID, want)
		return loaded.Account, err
	})
	if err != nil {
		return nil, err
	}
	in, err := decode(req)
	if err != nil {
		return nil, err
	}
	v := views.Validation{Valid: true}
	for _, c := range in.checks {
		v.Add(c)
	}
	if want.Number != nil {
		var linked string
		if !in.AllowDuplicate {
			if linked, err = h.connections.LinkedAs(ctx, loaded.Account.ID, loaded.LinkedAs); err != nil {
				return nil, err
			}
		}
		v.Add(connection.NotLinkedYet(linked))
	}
	if !v.Valid {
		return httpapi.JSON(http.StatusOK, v), nil
	}
	reading, _, err := h.connections.AskNew(ctx, *loaded.Account, in.account)
	if err != nil {
		return nil, err
	}
	switch err := reading.Err(); {
	case reading.Outcome.IsOutage():
		return nil, err
	case err != nil:
		v.Add(connection.PreflightCheck{Name: checkCarrier, Problems: fault.Of(err)})
	default:
		v.Add(connection.PreflightCheck{Name: checkCarrier})
		v.AccountPreview = views.NewAccountPreview(in.account, reading.Contract, h.now())
	}
	return httpapi.JSON(http.StatusOK, v), nil
}

// input is what is to be tried out.
type input struct {
	views.LinkInput
	account connection.ChargeAccount // cleaned
	checks  []connection.PreflightCheck
}

// decode reads path and body, which is that of a link. What is wrong with the text
// of number, key or secret is no error here.
func decode(req *httpapi.Request) (input, error) {
	var in input
	name, err := views.CarrierName(req)
	if err != nil {
		return in, err
	}
	if err := req.JSON(in.Fields(true)...); err != nil {
		return in, err
	}
	in.account, in.checks = connection.PreflightChecks(in.Typed(name))
	return in, nil
}
