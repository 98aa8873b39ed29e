package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/auth"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/store/events"
	"carrierlink/shared/views"
)

// reader is what this function needs of the store.
type reader interface {
	store.Loader
	ListEvents(ctx context.Context, l effects.Listing) (found []effects.Recorded, next string, err error)
	Event(ctx context.Context, partnerID, accountID int64, id string) (effects.Recorded, error)
	ExternalIDs(ctx context.Context, accountIDs []int64, now time.Time) (map[account.Owned]string, error)
}

type handler struct {
	auth   *auth.Auth
	store  reader
	sealer httpapi.Sealer
	now    func() time.Time
}

// events answers with a page of events, the newest first. Errors: those of read.
func (h *handler) events(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	read, err := h.read(ctx, req, list{path: "/v1/events", types: effects.EventTypes(), kept: effects.EventsKept})
	if err != nil {
		return nil, err
	}
	names, err := h.externalIDs(ctx, read.account, read.found)
	if err != nil {
		return nil, err
	}
	body := views.EventsPage{Page: read.page.Number, PageSize: read.page.Size}
	body.Events = httpapi.Fit(read.found, func(e effects.Recorded) views.Event {
		return views.NewEvent(e.Event, names[account.Owned{PartnerID: e.PartnerID, AccountID: e.AccountID}], req.Address)
	})
	if body.Links, err = read.links(ctx, req, len(body.Events)); err != nil {
		return nil, err
	}
	return httpapi.JSON(http.StatusOK, body), nil
}

// event answers with one event, or with 304 to a client that has it already. Errors: those
// of auth.PartnerOrMerchant; fault.Identifier for a malformed event_id; NotFound for one
// that the list of events does not have.
func (h *handler) event(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	caller, acct, err := h.authenticate(ctx, req)
	if err != nil {
		return nil, err
	}
	id, err := req.Param("event_id")
	if err != nil {
		return nil, err
	}
	if !effects.IsEventID(id) {
		return nil, fault.Field(fault.Identifier, "event_id", "event_id must be se- and 21 digits or lower-case letters.")
	}
	found, err := h.store.Event(ctx, caller.PartnerID, caller.AccountID, id)
	shown := !found.At.Before(firstShown(acct, effects.EventsKept, h.now())) && slices.Contains(effects.EventTypes(), found.Type)
	switch {
	case fault.Is(err, fault.NotFound), err == nil && !shown:
		return nil, events.ErrNoEvent()
	case err != nil:
		return nil, fmt.Errorf("reading an event: %w", err)
	}
	names, err := h.externalIDs(ctx, acct, []effects.Recorded{found})
	if err != nil {
		return nil, err
	}
	body := views.NewEvent(found.Event, names[account.Owned{PartnerID: found.PartnerID, AccountID: found.AccountID}], req.Address)
	return httpapi.Conditional(req, body.ETag(), func() *httpapi.Response { return httpapi.JSON(http.StatusOK, body) }), nil
}

// auditLog answers with a page of the audit log, the newest entry first. Errors: those of
// read.
func (h *handler) auditLog(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	read, err := h.read(ctx, req, list{path: "/v1/audit_log", types: effects.AuditTypes(), kept: effects.AuditKept, byMaker: true})
	if err != nil {
		return nil, err
	}
	body := views.AuditLogPage{Page: read.page.Number, PageSize: read.page.Size}
	body.Entries = httpapi.Fit(read.found, views.NewAuditEntry)
	if body.Links, err = read.links(ctx, req, len(body.Entries)); err != nil {
		return nil, err
	}
	return httpapi.JSON(http.StatusOK, body), nil
}

// authenticate returns the caller, and the account that it acts for; nil for a partner that
// asks for all its accounts. Errors: those of auth.PartnerOrMerchant.
func (h *handler) authenticate(ctx context.Context, req *httpapi.Request) (auth.Caller, *account.Account, error) {
	var loaded store.Loaded
	caller, err := h.auth.PartnerOrMerchant(ctx, req, store.Want{Now: h.now()}.LoadInto(&loaded, h.store))
	return caller, loaded.Account, err
}

// list is one of the two lists.
type list struct {
	path    string
	types   []effects.EventType // what it shows
	kept    time.Duration       // for how long
	byMaker bool                // it can be filtered by who made the change
}

// page is what read has found.
type page struct {
	partnerID int64
	account   *account.Account // that the caller acts for; nil: all of the partner's
	page      httpapi.Page
	pager     httpapi.Pager
	found     []effects.Recorded
	next      string // of Store.ListEvents
}

// read authenticates a request for a list and reads the page. Errors: those of
// auth.PartnerOrMerchant; every wrong query parameter, at once; fault.NotFound for the
// account_id of another account than a merchant's own.
func (h *handler) read(ctx context.Context, req *httpapi.Request, of list) (page, error) {
	now := h.now()
	listing, filters := parseFilters(req, of)
	caller, acct, err := h.authenticate(ctx, req)
	if err != nil {
		return page{}, err
	}
	p := page{partnerID: caller.PartnerID, account: acct, pager: httpapi.Pager{Sealer: h.sealer, Now: now, Owner: owner(caller), Path: of.path, Filters: filters.Given, OnlyNext: true}}
	var wrong fault.List
	if p.page, wrong, err = p.pager.Parse(ctx, req); err != nil {
		return page{}, err
	}
	if problems := append(filters.Problems, wrong...); len(problems) > 0 {
		return page{}, problems
	}
	if caller.AccountID != 0 {
		if listing.AccountID != 0 && listing.AccountID != caller.AccountID {
			return page{}, account.ErrNotFound()
		}
		listing.AccountID = caller.AccountID
	}
	listing.PartnerID, listing.Limit = caller.PartnerID, p.page.Size
	if oldest := firstShown(acct, of.kept, now); listing.From.Before(oldest) {
		listing.From = oldest
	}
	if p.page.After != nil {
		listing.Before = p.page.After.ID
	}
	if p.found, p.next, err = h.store.ListEvents(ctx, listing); err != nil {
		return page{}, fmt.Errorf("listing events: %w", err)
	}
	return p, nil
}

// firstShown returns the time of the first events that a list may show: none from before the
// account's creation, because the id may have been that of a purged account.
func firstShown(a *account.Account, kept time.Duration, now time.Time) time.Time {
	first := now.Add(-kept)
	if a != nil && a.CreatedAt.After(first) {
		return a.CreatedAt
	}
	return first
}

// owner names the list that a cursor is for: an account's, whether the merchant or a partner
// asks, or a partner's.
func owner(caller auth.Caller) string {
	if caller.AccountID != 0 {
		return "account " + strconv.FormatInt(caller.AccountID, 10)
	}
	return caller.Scope()
}

// links returns the links of a page that shows the first n of the events that were found.
func (p *page) links(ctx context.Context, req *httpapi.Request, n int) (httpapi.LinksBody, error) {
	next := p.next
	if n < len(p.found) {
		next = p.found[n-1].ID
	}
	if next == "" {
		return p.pager.Links(ctx, req, p.page, nil)
	}
	return p.pager.Links(ctx, req, p.page, &httpapi.Position{At: p.pager.Now, ID: next}) // ids alone are the order
}

// parseFilters parses the query parameters that filter a list.
func parseFilters(req *httpapi.Request, of list) (l effects.Listing, filters *httpapi.Filters) {
	filters = httpapi.NewFilters(req)
	id := func(name string, dst *int64) {
		filters.Single(name, func(v string) *fault.Error {
			var err error
			if *dst, err = account.ParseID(name, v); err != nil {
				return fault.Of(err)[0]
			}
			return nil
		})
	}
	id("account_id", &l.AccountID)
	l.Types = of.types
	var chosen []effects.EventType
	filters.Several("event_type", func(v string) *fault.Error {
		if chosen = append(chosen, effects.EventType(v)); !slices.Contains(of.types, effects.EventType(v)) {
			return fault.Field(fault.Invalid, "event_type", "event_type must be a type that this list has, such as %s.", effects.CarrierConnected)
		}
		return nil
	})
	if len(chosen) > 0 {
		l.Types = chosen
	}
	if of.byMaker {
		filters.Single("actor", func(v string) *fault.Error {
			if l.Actor = effects.Actor(v); !slices.Contains(effects.Actors(), l.Actor) {
				return fault.Field(fault.Invalid, "actor", "actor must be partner, merchant, schedule or operator.")
			}
			return nil
		})
		id("api_key_id", &l.KeyID)
	}
	l.From, l.Until = filters.Created()
	return l, filters
}

// externalIDs reads the external ids that the accounts of events have now; own is the account
// of all of them, nil for a partner's.
func (h *handler) externalIDs(ctx context.Context, own *account.Account, found []effects.Recorded) (map[account.Owned]string, error) {
	if own != nil {
		return map[account.Owned]string{{PartnerID: own.PartnerID, AccountID: own.ID}: own.ExternalID}, nil
	}
	ids := make([]int64, len(found))
	for i, e := range found {
		ids[i] = e.AccountID
	}
	names, err := h.store.ExternalIDs(ctx, ids, h.now())
	if err != nil {
		return nil, fmt.Errorf("reading the external ids of accounts: %w", err)
	}
	return names, nil
}
