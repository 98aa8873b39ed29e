package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// history answers with a page of a connection's checks, the newest first; of a
// disconnected one too, while the checks are kept. A page past the end is empty.
// Errors: those of auth.Merchant; fault.Identifier for a malformed carrier_id and
// Invalid for each paging parameter that is wrong, all at once; NotFound for a
// connection that the account never had.
func (h *handler) history(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	now := h.now()
	id, idErr := connectionID(req)
	pager := httpapi.Pager{Sealer: h.sealer, Now: now, Path: "/v1/carriers/" + id + "/history", Filters: url.Values{}}
	var loaded store.Loaded
	caller, err := h.auth.Merchant(ctx, req, store.Want{Now: now, ConnectionID: id}.LoadInto(&loaded, h.store))
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
		return nil, connection.ErrNoConnection()
	}
	req.Subject.CarrierID = id
	found, next, err := h.store.History(ctx, caller.AccountID, id, before(page), page.Skip(), page.Size, now)
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

// before returns the position that a cursor stands for; nil without a cursor. Checks of
// the same millisecond differ by their numbers.
func before(p httpapi.Page) *connection.HistoryPosition {
	if p.After == nil {
		return nil
	}
	number, _ := strconv.Atoi(p.After.ID) // position made it, and the cursor is signed
	return &connection.HistoryPosition{At: p.After.At, Number: number}
}

// position is the reverse of before.
func position(p *connection.HistoryPosition) *httpapi.Position {
	if p == nil {
		return nil
	}
	return &httpapi.Position{At: p.At, ID: strconv.Itoa(p.Number)}
}
