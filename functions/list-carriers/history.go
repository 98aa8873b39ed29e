package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// history shows a page of the checks of a connection, the newest first; of a
// disconnected one too, for as long as they are kept. A page past the end is
// empty. fault.Identifier for a malformed carrier_id and Invalid for each paging
// parameter that is wrong, all at once; NotFound for a connection that the
// account never had.
func (h *handler) history(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	now := h.now()
	id, idErr := connectionID(req)
	pager := httpapi.Pager{Sealer: h.sealer, Now: now, Path: "/v1/carriers/" + id + "/history", Filters: url.Values{}}
	var loaded store.Loaded
	caller, err := h.auth.Merchant(ctx, req, func(ctx context.Context, accountID int64) (_ *account.Account, err error) {
		loaded, err = h.connections.Load(ctx, accountID, store.Want{Now: now, ConnectionID: id})
		return loaded.Account, err
	})
	if err != nil {
		return nil, err
	}
	pager.Owner = owner(caller)
	page, wrong, err := pager.Parse(ctx, req)
	if err != nil {
		return nil, err
	}
	if problems := append(fault.Of(idErr), wrong...); len(problems) > 0 {
		return nil, problems
	}
	if loaded.Connection == nil || loaded.Connection.Status == connection.Linking {
		return nil, connection.ErrNoCarrier()
	}
	found, next, err := h.checks.History(ctx, caller.AccountID, id, before(page), page.Skip(), page.Size, now)
	if err != nil {
		return nil, fmt.Errorf("reading the history of %s: %w", id, err)
	}
	body := views.HistoryPage{Checks: httpapi.Fit(found, views.NewHistoryEntry), Page: page.Number, PageSize: page.Size}
	if n := len(body.Checks); n < len(found) {
		next = &connection.HistoryPosition{At: found[n-1].At, Number: found[n-1].Number}
	}
	if body.Links, err = pager.Links(ctx, req, page, position(next)); err != nil {
		return nil, err
	}
	return httpapi.JSON(http.StatusOK, body), nil
}

// before is where the page of a cursor begins, nil for one of a page number; and
// position is the same for a cursor to come. What tells two checks of one
// millisecond apart is their number.
func before(p httpapi.Page) *connection.HistoryPosition {
	if p.After == nil {
		return nil
	}
	number, _ := strconv.Atoi(p.After.ID) // signed, as position made it
	return &connection.HistoryPosition{At: p.After.At, Number: number}
}

func position(p *connection.HistoryPosition) *httpapi.Position {
	if p == nil {
		return nil
	}
	return &httpapi.Position{At: p.At, ID: strconv.Itoa(p.Number)}
}
