package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/views"
)

// list answers with a page of the partner's accounts; a page after the last one is empty.
// The error lists every wrong query parameter as fault.Invalid.
func (h *handler) list(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	listing, filters, problems := parseFilters(req)
	pager := httpapi.Pager{Sealer: h.sealer, Now: h.now(), Path: "/v1/partners/accounts", Filters: filters}
	caller, err := h.auth.Partner(ctx, req)
	if err != nil {
		return nil, err
	}
	pager.Owner = caller.Scope()
	page, wrong, err := pager.Parse(ctx, req)
	if err != nil {
		return nil, err
	}
	if problems = append(problems, wrong...); len(problems) > 0 {
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

// parseFilters parses the query parameters that filter and order the list. filters repeats
// them for the links.
func parseFilters(req *httpapi.Request) (l account.Listing, filters url.Values, problems fault.List) {
	filters = url.Values{}
	single := func(name string, parse func(v string) *fault.Error) {
		problems = append(problems, req.Single(name, func(v string) *fault.Error {
			filters.Set(name, v)
			return parse(v)
		})...)
	}
	single("active", func(v string) *fault.Error {
		active := v == "true"
		if l.Active = &active; v != "true" && v != "false" {
			return fault.NotBool("active")
		}
		return nil
	})
	instant := func(name string, dst *time.Time) {
		single(name, func(v string) *fault.Error {
			at, err := httpapi.ParseTime(v)
			if err != nil {
				return fault.NotTime(name)
			}
			if at.IsZero() {
				at = at.Add(time.Nanosecond) // the zero time would mean no bound
			}
			*dst = at
			return nil
		})
	}
	instant("created_at_start", &l.CreatedFrom)
	instant("created_at_end", &l.CreatedUntil)
	if !l.CreatedFrom.IsZero() && !l.CreatedUntil.IsZero() && l.CreatedUntil.Before(l.CreatedFrom) {
		problems = append(problems, fault.Field(fault.Invalid, "created_at_end", "created_at_end must not be before created_at_start."))
	}
	single("external_account_id", func(v string) *fault.Error {
		v, p := account.ExternalIDRule.Clean("external_account_id", v)
		l.ExternalID = &v
		return p
	})
	single("sort_dir", func(v string) *fault.Error {
		if l.Ascending = v == "asc"; v != "asc" && v != "desc" {
			return fault.Field(fault.Invalid, "sort_dir", "sort_dir must be asc or desc.")
		}
		return nil
	})
	return l, filters, problems
}
