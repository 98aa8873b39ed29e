package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/health"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// reader is what this function needs of the store.
type reader interface {
	store.Loader
	ListConnections(ctx context.Context, accountID int64, withSnapshots bool) ([]connection.Connection, map[string]connection.Snapshot, error)
	History(ctx context.Context, accountID int64, connectionID string, before *connection.HistoryPosition, skip, limit int, now time.Time) ([]connection.HistoryEntry, *connection.HistoryPosition, error)
	Tallies(ctx context.Context, name carrier.Name, now time.Time) ([]health.Tally, error)
}

type handler struct {
	auth      *auth.Auth
	store     reader
	contracts connection.ContractParser
	sealer    httpapi.Sealer
	now       func() time.Time
}

// forms answers with the carriers and the fields of their forms.
func (h *handler) forms(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	if _, err := h.auth.Merchant(ctx, req, store.Want{Now: h.now()}.LoadInto(new(store.Loaded), h.store)); err != nil {
		return nil, err
	}
	return httpapi.JSON(http.StatusOK, views.NewForms()), nil
}

// list answers with a page of the account's connections, the oldest first. A page past
// the end is empty. Errors: those of auth.Merchant; fault.Invalid for each paging
// parameter that is wrong, all at once.
func (h *handler) list(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	now := h.now()
	caller, err := h.auth.Merchant(ctx, req, store.Want{Now: now}.LoadInto(new(store.Loaded), h.store))
	if err != nil {
		return nil, err
	}
	pager := httpapi.Pager{Sealer: h.sealer, Now: now, Owner: owner(caller), Path: "/v1/carriers"}
	page, problems, err := pager.Parse(ctx, req)
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return nil, problems
	}
	// One query reads all, whose number has a cap: the table has them in the order of
	// their ids, not of the list.
	found, snapshots, err := h.store.ListConnections(ctx, caller.AccountID, true)
	if err != nil {
		return nil, fmt.Errorf("reading the connections: %w", err)
	}
	if page.After != nil {
		found = slices.DeleteFunc(found, func(c connection.Connection) bool {
			return cmp.Or(c.CreatedAt.Compare(page.After.At), strings.Compare(c.ID, page.After.ID)) <= 0
		})
	}
	found = found[min(page.Skip(), len(found)):]
	body := views.CarriersPage{RequestID: req.ID, Errors: []httpapi.Problem{}, Page: page.Number, PageSize: page.Size}
	body.Carriers = httpapi.Fit(found[:min(page.Size, len(found))], func(conn connection.Connection) views.Carrier {
		var snap *connection.Snapshot
		if s, ok := snapshots[conn.ID]; ok {
			snap = &s
		}
		return h.carrierBody(ctx, &conn, snap, now)
	})
	var next *httpapi.Position
	if n := len(body.Carriers); n < len(found) {
		next = &httpapi.Position{At: found[n-1].CreatedAt, ID: found[n-1].ID}
	}
	if body.Links, err = pager.Links(ctx, req, page, next); err != nil {
		return nil, err
	}
	return httpapi.JSON(http.StatusOK, body), nil
}

// owner names the account whose lists a cursor is for, whether the merchant or a partner
// asks.
func owner(caller auth.Caller) string { return "account " + strconv.FormatInt(caller.AccountID, 10) }

// get answers with one connection, or with 304 to a client that has it already. Errors:
// those of auth.Merchant; fault.Identifier for a malformed carrier_id, NotFound for one
// that the account does not have.
func (h *handler) get(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	now := h.now()
	id, inputErr := connectionID(req)
	var loaded store.Loaded
	_, err := h.auth.Merchant(ctx, req, store.Want{Now: now, ConnectionID: id, Snapshot: true}.LoadInto(&loaded, h.store))
	if err != nil {
		return nil, err
	}
	if inputErr != nil {
		return nil, inputErr
	}
	conn := loaded.Connection
	if conn == nil || !conn.Visible() {
		return nil, connection.ErrNoConnection()
	}
	req.Subject.CarrierID = conn.ID
	return httpapi.Conditional(req, views.ConnectionETag(conn, now), func() *httpapi.Response {
		return httpapi.JSON(http.StatusOK, h.carrierBody(ctx, conn, loaded.Snapshot, now))
	}), nil
}

// connectionID reads the path parameter carrier_id; fault.Identifier if it is malformed.
func connectionID(req *httpapi.Request) (string, error) {
	id, err := req.Param("carrier_id")
	if err != nil {
		return "", err
	}
	return connection.ParseID(id)
}

// carrierBody returns the body of a connection. Its services come from its snapshot:
// there are none before the first good check, nor if the snapshot cannot be read, which
// is logged.
func (h *handler) carrierBody(ctx context.Context, conn *connection.Connection, snap *connection.Snapshot, now time.Time) views.Carrier {
	var contract connection.Contract
	if snap != nil {
		var err error
		if contract, _, err = h.contracts.Unpack(*snap); err != nil {
			slog.ErrorContext(ctx, "a snapshot cannot be read",
				slog.Int64("account_id", conn.AccountID), slog.String("carrier_id", conn.ID), slog.String("error", err.Error()))
		}
	}
	return views.NewCarrier(conn, contract.Products, now)
}
