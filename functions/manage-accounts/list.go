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

// listBody is a page of accounts.
type listBody struct {
	Accounts []views.Account   `json:"accounts"`
	Page     int               `json:"page"`
	PageSize int               `json:"page_size"`
	Links    httpapi.LinksBody `json:"links"`
}

// list answers with a page of the partner's accounts. A page past the end is
// empty. fault.Invalid for each query parameter that is wrong, all at once.
func (h *handler) list(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	listing, filters, problems := parseFilter(req)
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
	listing.After, listing.Skip, listing.Limit = after(page), page.Skip(), page.Size
	found, next, err := h.accounts.List(ctx, caller.PartnerID, listing)
	if err != nil {
		return nil, fmt.Errorf("listing accounts: %w", err)
	}
	body := listBody{Accounts: httpapi.Fit(found, views.NewAccount), Page: page.Number, PageSize: page.Size}
	if n := len(body.Accounts); n < len(found) {
		next = &account.Position{CreatedAt: found[n-1].CreatedAt, AccountID: found[n-1].ID}
	}
	if body.Links, err = pager.Links(ctx, req, page, position(next)); err != nil {
		return nil, err
	}
	return httpapi.JSON(http.StatusOK, body), nil
}

// after is where the page of a cursor begins, nil for one of a page number; and
// position is the same for a cursor to come.
func after(p httpapi.Page) *account.Position {
	if p.After == nil {
		return nil
	}
	id, _ := strconv.ParseInt(p.After.ID, 10, 64) // signed, as position made it
	return &account.Position{CreatedAt: p.After.At, AccountID: id}
}

func position(p *account.Position) *httpapi.Position {
	if p == nil {
		return nil
	}
	return &httpapi.Position{At: p.CreatedAt, ID: strconv.FormatInt(p.AccountID, 10)}
}

// parseFilter reads what narrows and orders the list, and repeats it for links.
func parseFilter(req *httpapi.Request) (l account.Listing, filters url.Values, problems fault.List) {
	filters = url.Values{}
	each := func(name string, read func(v string) *fault.Error) {
		problems = append(problems, req.Single(name, func(v string) *fault.Error {
			filters.Set(name, v)
			return read(v)
		})...)
	}
	each("active", func(v string) *fault.Error {
		active := v == "true"
		if l.Active = &active; v != "true" && v != "false" {
			return fault.NotBool("active")
		}
		return nil
	})
	instant := func(name string, dst *time.Time) {
		each(name, func(v string) *fault.Error {
			at, err := time.Parse(time.RFC3339, v)
			if err != nil {
				return fault.NotTime(name)
			}
			if at.IsZero() {
				at = at.Add(time.Nanosecond) // it is a bound, not none
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
	each("external_account_id", func(v string) *fault.Error {
		v, p := account.ExternalIDRule.Clean("external_account_id", v)
		l.ExternalID = &v
		return p
	})
	each("sort_dir", func(v string) *fault.Error {
		if l.Ascending = v == "asc"; v != "asc" && v != "desc" {
			return fault.Field(fault.Invalid, "sort_dir", "sort_dir must be asc or desc.")
		}
		return nil
	})
	return l, filters, problems
}
