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

// connections is what this function needs of connection.Service.
type connections interface {
	AskNew(ctx context.Context, account account.Account, charge connection.ChargeAccount) (connection.Reading, *connection.Snapshot, error)
	LinkedID(ctx context.Context, accountID int64, ids []string) (string, error)
}

type handler struct {
	auth        *auth.Auth
	accounts    store.Loader
	connections connections
	now         func() time.Time
}

// validate answers 200 with the result of each check: first those that need no carrier, then,
// if all have passed, the carrier's. Errors: those of auth.Merchant; those of Request.JSON,
// all of them at once; fault.CarrierLimited, CarrierDown and CarrierTimeout for an outage,
// which says nothing about the charge account; RateLimited when the account has used its
// LINKS_PER_MINUTE.
func (h *handler) validate(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	want := store.Want{Now: h.now()}
	if name, number := views.PeekNumber(req); number != "" {
		want.Number = &connection.Number{Carrier: name, Number: number}
	}
	var loaded store.Loaded
	_, err := h.auth.Merchant(ctx, req, want.LoadInto(&loaded, h.accounts))
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
			if linked, err = h.connections.LinkedID(ctx, loaded.Account.ID, loaded.LinkedAs); err != nil {
				return nil, err
			}
		}
		v.Add(connection.CheckNotLinked(linked))
	}
	if !v.Valid {
		return httpapi.JSON(http.StatusOK, v), nil
	}
	reading, _, err := h.connections.AskNew(ctx, *loaded.Account, in.account)
	if err != nil {
		return nil, err
	}
	err = reading.Err()
	if reading.Outcome.IsOutage() {
		return nil, err
	}
	v.Add(connection.PreflightCheck{Name: "carrier", Problems: fault.Of(err)})
	if err == nil {
		v.AccountPreview = views.NewAccountPreview(in.account, reading.Contract, h.now())
	}
	return httpapi.JSON(http.StatusOK, v), nil
}

// input is the charge account to validate.
type input struct {
	views.LinkInput
	account connection.ChargeAccount // cleaned
	checks  []connection.PreflightCheck
}

// decode parses path and body, which is that of a link. Mistakes in the text of number, key or
// secret are not errors here but failed checks.
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
