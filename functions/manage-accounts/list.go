package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/views"
)

// list answers with a page of the partner's accounts; a page after the last one is empty.
// The error lists every wrong query parameter as fault.Invalid.
func (h *handler) list(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	listing, filters := parseFilters(req)
	pager := httpapi.Pager{Sealer: h.sealer, Now: h.now(), Path: "/v1/partners/accounts", Filters: filters.Given}
	caller, err := h.auth.Partner(ctx, req)
	if err != nil {
		return nil, err
	}
	pager.Owner = caller.Scope()
	page, wrong, err := pager.Parse(ctx, req)
	if err != nil {
		return nil, err
	}
	if problems := append(filters.Problems, wrong...); len(problems) > 0 {
		return nil, problems
	}
	listing.After, listing.Skip, listing.Limit = fromPage(page), page.Skip(), page.Size
	found, next, err := h.accounts.List(ctx, caller.PartnerID, listing)
	if err != nil {
		return nil, fmt.Errorf("listing accounts: %w", err)
	}
	body := views.AccountsPage{Accounts: httpapi.Fit(found, views.NewAccount), Page: page.Number, PageSize: page.Size}
	if n := len(body.Accounts); n < len(found) {
		next = &account.Position{CreatedAt: found[n-1].CreatedAt, AccountID: found[n-1].ID}
	}
	if body.Links, err = pager.Links(ctx, req, page, toPage(next)); err != nil {
		return nil, err
	}
	return httpapi.JSON(http.StatusOK, body), nil
}

// fromPage converts the position of a cursor; nil if the page has none.
func fromPage(p httpapi.Page) *account.Position {
	if p.After == nil {
		return nil
	}
	id, _ := strconv.ParseInt(p.After.ID, 10, 64) // the cursor is signed, so toPage made the id
	return &account.Position{CreatedAt: p.After.At, AccountID: id}
}

// toPage converts the position for the next cursor; nil for the last page.
func toPage(p *account.Position) *httpapi.Position {
	if p == nil {
		return nil
	}
	return &httpapi.Position{At: p.CreatedAt, ID: strconv.FormatInt(p.AccountID, 10)}
}

// parseFilters parses the query parameters that filter and order the list.
func parseFilters(req *httpapi.Request) (l account.Listing, filters *httpapi.Filters) {
	filters = httpapi.NewFilters(req)
	filters.Single("active", func(v string) *fault.Error {
		active := v == "true"
		if l.Active = &active; v != "true" && v != "false" {
			return fault.NotBool("active")
		}
		return nil
	})
	l.CreatedFrom, l.CreatedUntil = filters.Created()
	filters.Single("external_account_id", func(v string) *fault.Error {
		v, p := account.ExternalIDRule.Clean("external_account_id", v)
		l.ExternalID = &v
		return p
	})
	filters.Single("sort_dir", func(v string) *fault.Error {
		if l.Ascending = v == "asc"; v != "asc" && v != "desc" {
			return fault.Field(fault.Invalid, "sort_dir", "sort_dir must be asc or desc.")
		}
		return nil
	})
	return l, filters
}
