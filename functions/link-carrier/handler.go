package main

import (
	"context"
	"net/http"
	"time"

	"carrierlink/shared/auth"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// connections is what this function needs of connection.Service.
type connections interface {
	Link(ctx context.Context, req connection.LinkRequest) (*connection.Connection, error)
	Lease(ctx context.Context) time.Time
}

type handler struct {
	auth        *auth.Auth
	accounts    store.Loader
	claims      httpapi.Claims
	sealer      httpapi.Sealer
	connections connections
	now         func() time.Time
}

// link links a charge account: 200 with the connection, or 202 if the carrier is down and the
// body allows later verification. Errors: those of auth.Merchant; those of Request.JSON and
// connection.Preflight, all of them at once; those of connection.Service.Link.
func (h *handler) link(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	want := store.Want{Now: h.now()}
	if name, number := views.PeekNumber(req); number != "" {
		want.Number = &connection.Number{Carrier: name, Number: number}
	}
	var loaded store.Loaded
	caller, err := h.auth.Merchant(ctx, req, want.LoadInto(&loaded, h.accounts))
	if err != nil {
		return nil, err
	}
	in, err := decode(req)
	if err != nil {
		return nil, err
	}
	return httpapi.Claimed(ctx, h.sealer, h.claims, req, caller, h.now(), h.connections.Lease(ctx), func(change *httpapi.Change) (*httpapi.Response, error) {
		in.Account, in.Holders = *loaded.Account, loaded.LinkedAs
		show := func(conn *connection.Connection) *httpapi.Response {
			req.Subject.CarrierID = conn.ID
			status := http.StatusOK
			if conn.Status == connection.PendingVerification {
				status = http.StatusAccepted
			}
			return views.ConnectionAnswer(status, conn, h.now())
		}
		return httpapi.Show(ctx, change, show, func(fx effects.For[*connection.Connection]) error {
			in.Effects = fx
			_, err := h.connections.Link(ctx, in)
			return err
		})
	})
}

// decode parses path and body and makes the pre-flight checks. The error lists every problem
// in the order of the fields.
func decode(req *httpapi.Request) (connection.LinkRequest, error) {
	name, err := views.CarrierName(req)
	if err != nil {
		return connection.LinkRequest{}, err
	}
	var body views.LinkInput
	fields := body.Fields(false)
	err = req.JSON(fields...)
	account, problems := body.Preflight(name, "")
	return connection.LinkRequest{
		ChargeAccount: account, Nickname: body.Nickname, AllowDuplicate: body.AllowDuplicate, VerifyLater: body.VerifyLater,
		RefreshPolicy: body.RefreshPolicy, ExternalID: body.ExternalID, Metadata: body.Metadata,
	}, httpapi.InOrder(fields, err, problems)
}
