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

	"carrierlink/shared/account"
	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/health"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// connections is what this function needs of the store.
type connections interface {
	Load(ctx context.Context, accountID int64, want store.Want) (store.Loaded, error)
	ListConnections(ctx context.Context, accountID int64, withSnapshots bool) ([]connection.Connection, map[string]connection.Snapshot, error)
}

// checks is what the store knows of checks that were made.
type checks interface {
	History(ctx context.Context, accountID int64, connectionID string, before *connection.HistoryPosition, skip, limit int, now time.Time) ([]connection.HistoryEntry, *connection.HistoryPosition, error)
	Tallies(ctx context.Context, name carrier.Name, now time.Time) ([]health.Tally, error)
}

type handler struct {
	auth        *auth.Auth
	connections connections
	checks      checks
	contracts   connection.ContractParser
	sealer      httpapi.Sealer
	now         func() time.Time
}

// forms lists the carriers and the fields of their forms.
func (h *handler) forms(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	if _, err := h.auth.Merchant(ctx, req, func(ctx context.Context, accountID int64) (*account.Account, error) {
		loaded, err := h.connections.Load(ctx, accountID, store.Want{Now: h.now()})
		return loaded.Account, err
	}); err != nil {
		return nil, err
	}
	return httpapi.JSON(http.StatusOK, views.NewForms()), nil
}

// list shows a page of the account's connections, the oldest first. A page past
// the end is empty. fault.Invalid for each paging parameter that is wrong, all at
// once.
func (h *handler) list(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	now := h.now()
	caller, err := h.auth.Merchant(ctx, req, func(ctx context.Context, accountID int64) (*account.Account, error) {
		loaded, err := h.connections.Load(ctx, accountID, store.Want{Now: now})
		return loaded.Account, err
	})
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
	// All of them, whose number has a cap, in one call: they are kept in the order
	// of their ids, which is not that of the list.
	found, snapshots, err := h.connections.ListConnections(ctx, caller.AccountID, true)
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
		return h.carrierBody(ctx, req, &conn, snap, now)
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

// owner is whose lists they are, whoever acts for the account.
func owner(caller auth.Caller) string { return "account " + strconv.FormatInt(caller.AccountID, 10) }

// get shows one connection, or answers 304 to a caller who has it.
// fault.Identifier for a malformed carrier_id, NotFound for one that the account
// does not have.
func (h *handler) get(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	now := h.now()
	id, inputErr := connectionID(req)
	var loaded store.Loaded
	_, err := h.auth.Merchant(ctx, req, func(ctx context.Context, accountID int64) (_ *account.Account, err error) {
		loaded, err = h.connections.Load(ctx, accountID, store.Want{Now: now, ConnectionID: id, Snapshot: true})
		return loaded.Account, err
	})
	if err != nil {
		return nil, err
	}
	if inputErr != nil {
		return nil, inputErr
	}
	conn := loaded.Connection
	if conn == nil || !conn.Visible() {
		return nil, connection.ErrNoCarrier()
	}
	return httpapi.Conditional(req, views.ConnectionETag(conn, now), func() *httpapi.Response {
		return httpapi.JSON(http.StatusOK, h.carrierBody(ctx, req, conn, loaded.Snapshot, now))
	}), nil
}

// connectionID reads the path parameter carrier_id; empty with its
// fault.Identifier.
func connectionID(req *httpapi.Request) (string, error) {
	id, err := req.Param("carrier_id")
	if err != nil {
		return "", err
	}
	return connection.ParseID(id)
}

// carrierBody shows a connection. Its services come from its snapshot: there are
// none before the first good check, and none if the snapshot cannot be read, which
// is logged.
func (h *handler) carrierBody(ctx context.Context, req *httpapi.Request, conn *connection.Connection, snap *connection.Snapshot, now time.Time) views.Carrier {
	var contract connection.Contract
	if snap != nil {
		var err error
		if contract, _, err = h.contracts.Kept(*snap); err != nil {
			slog.ErrorContext(ctx, "a snapshot can not be read", slog.String("request_id", req.ID),
				slog.String("account_id", strconv.FormatInt(conn.AccountID, 10)), slog.String("carrier_id", conn.ID), slog.String("error", err.Error()))
		}
	}
	return views.NewCarrier(conn, contract.Products, now)
}
