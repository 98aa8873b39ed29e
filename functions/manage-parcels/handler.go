package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/parcel"
	"carrierlink/shared/store"
	"carrierlink/shared/tracking"
	"carrierlink/shared/views"
)

// parcels is what this function needs of parcel.Service.
type parcels interface {
	Start(ctx context.Context, to parcel.Target, numbers []string) (refused map[string]error, err error)
	Stop(ctx context.Context, of parcel.Target, number string) error
	List(ctx context.Context, l parcel.Listing) (found []parcel.Parcel, next string, err error)
}

// reader is what this function needs of the store.
type reader interface {
	store.Loader
	Connection(ctx context.Context, accountID int64, connectionID string) (connection.Connection, error)
}

type handler struct {
	auth        *auth.Auth
	store       reader
	sealer      httpapi.Sealer
	parcels     parcels
	errorSource string
	now         func() time.Time
}

// start registers a number: 204, also if it is registered already. Errors: those of single
// and parcel.Service.Start; fault.State at a cap.
func (h *handler) start(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	to, number, err := h.single(ctx, req)
	if err != nil {
		return nil, err
	}
	refused, err := h.parcels.Start(ctx, to, []string{number})
	if err == nil {
		err = refused[number]
	}
	if err != nil {
		return nil, err
	}
	return httpapi.NoContent(), nil
}

// stop ends the registration of a number: 204, also if there is none. Errors: those of single
// and parcel.Service.Stop.
func (h *handler) stop(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	of, number, err := h.single(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := h.parcels.Stop(ctx, of, number); err != nil {
		return nil, err
	}
	return httpapi.NoContent(), nil
}

// single authenticates the caller and parses a request about one number. Errors: those of
// auth.Merchant; fault.Required, Invalid, Length, Identifier and NotSupported for the
// query, all at once.
func (h *handler) single(ctx context.Context, req *httpapi.Request) (parcel.Target, string, error) {
	id, name, problems := views.CarrierQuery(req)
	const field = "tracking_number"
	var number string
	problems = append(problems, req.Single(field, func(v string) (problem *fault.Error) {
		number, problem = tracking.CleanNumber(field, v)
		return problem
	})...)
	if len(req.Query(field)) == 0 {
		problems = append(problems, fault.Missing(field))
	}
	var loaded store.Loaded
	if _, err := h.auth.Merchant(ctx, req, store.Want{Now: h.now(), ConnectionID: id}.LoadInto(&loaded, h.store)); err != nil {
		return parcel.Target{}, "", err
	}
	if len(problems) > 0 {
		return parcel.Target{}, "", problems
	}
	req.Subject.CarrierID = id
	return parcel.Target{Account: *loaded.Account, Connection: loaded.Connection, Carrier: name}, number, nil
}

// startMany registers many numbers of one carrier: 200 with the result of each. Errors: those
// of auth.Merchant, of the body, and of parcel.Service.Start.
func (h *handler) startMany(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	var loaded store.Loaded
	if _, err := h.auth.Merchant(ctx, req, store.Want{Now: h.now()}.LoadInto(&loaded, h.store)); err != nil {
		return nil, err
	}
	var choice views.CarrierChoice
	var given []string
	const field = "tracking_numbers"
	fields := append(choice.Fields(), httpapi.Require(httpapi.Strings(field, func(texts []string) *fault.Error {
		if given = texts; len(texts) == 0 || len(texts) > parcel.MaxTogether {
			return fault.Field(fault.Invalid, field, "%s must be a list of 1 to %d numbers.", field, parcel.MaxTogether)
		}
		return nil
	})))
	err := req.JSON(fields...)
	if slices.ContainsFunc(fault.Of(err), func(p *fault.Error) bool { return p.Field == "" || p.Kind == fault.MediaType }) {
		return nil, err // the body has no fields
	}
	id, name, problems := choice.Parse()
	if err := httpapi.InOrder(fields, err, problems); err != nil {
		return nil, err
	}
	target := parcel.Target{Account: *loaded.Account, Carrier: name}
	if id != "" {
		conn, err := h.store.Connection(ctx, loaded.Account.ID, id)
		if err != nil {
			return nil, fmt.Errorf("reading the connection: %w", err)
		}
		target.Connection, req.Subject.CarrierID = &conn, id
	}
	cleaned := make([]string, len(given))
	wrong := make([]error, len(given))
	var numbers []string
	for i, n := range given {
		var problem *fault.Error
		if cleaned[i], problem = tracking.CleanNumber(field+"["+strconv.Itoa(i)+"]", n); problem != nil {
			wrong[i] = problem
			continue
		}
		numbers = append(numbers, cleaned[i])
	}
	refused, err := h.parcels.Start(ctx, target, parcel.Distinct(numbers))
	if err != nil {
		return nil, err
	}
	for i := range given {
		if wrong[i] == nil {
			wrong[i] = refused[cleaned[i]]
		}
	}
	return httpapi.JSON(http.StatusOK, h.registrations(given, wrong)), nil
}

// registrations is the body of startMany. It repeats the numbers as they were given.
func (h *handler) registrations(given []string, wrong []error) views.Registrations {
	body := views.Registrations{Results: make([]views.Registration, len(given))}
	for i, n := range given {
		body.Results[i] = views.Registration{Index: i, TrackingNumber: n, Registered: wrong[i] == nil}
		if wrong[i] == nil {
			body.Registered++
			continue
		}
		body.Failed++
		body.Results[i].Error = &httpapi.Problems(h.errorSource, wrong[i])[0]
	}
	return body
}

// list answers with a page of the account's parcels, by carrier and number. Errors: those of
// auth.Merchant; every wrong query parameter, at once.
func (h *handler) list(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	l, filters := parseFilters(req)
	var loaded store.Loaded
	now := h.now()
	caller, err := h.auth.Merchant(ctx, req, store.Want{Now: now}.LoadInto(&loaded, h.store))
	if err != nil {
		return nil, err
	}
	pager := httpapi.Pager{
		Sealer: h.sealer, Now: now, Owner: "account " + strconv.FormatInt(caller.AccountID, 10), Path: "/v1/shipments", Filters: filters.Given, OnlyNext: true,
	}
	page, wrong, err := pager.Parse(ctx, req)
	if err != nil {
		return nil, err
	}
	if problems := append(filters.Problems, wrong...); len(problems) > 0 {
		return nil, problems
	}
	l.AccountID, l.Since, l.Limit = caller.AccountID, loaded.Account.CreatedAt, page.Size
	if page.After != nil {
		l.After = page.After.ID
	}
	found, next, err := h.parcels.List(ctx, l)
	if err != nil {
		return nil, err
	}
	body := views.ParcelsPage{Shipments: httpapi.Fit(found, views.NewParcel), Page: page.Number, PageSize: page.Size}
	if n := len(body.Shipments); n < len(found) {
		next = found[n-1].Position()
	}
	var position *httpapi.Position
	if next != "" {
		position = &httpapi.Position{At: now, ID: next} // ids alone are the order
	}
	if body.Links, err = pager.Links(ctx, req, page, position); err != nil {
		return nil, err
	}
	return httpapi.JSON(http.StatusOK, body), nil
}

// parseFilters parses the query parameters that filter the list.
func parseFilters(req *httpapi.Request) (l parcel.Listing, filters *httpapi.Filters) {
	filters = httpapi.NewFilters(req)
	one := func(err error) *fault.Error {
		if err != nil {
			return fault.Of(err)[0]
		}
		return nil
	}
	filters.Single("status", func(v string) *fault.Error {
		active := v == views.ParcelActive
		if l.Active = &active; !active && v != views.ParcelEnded {
			return fault.Field(fault.Invalid, "status", "status must be active or ended.")
		}
		return nil
	})
	filters.Single("status_code", func(v string) *fault.Error {
		if l.Status = tracking.Status(v); !l.Status.Valid() {
			return fault.Field(fault.Invalid, "status_code", "status_code must be a code of tracking, such as %s.", tracking.InTransit)
		}
		return nil
	})
	filters.Single("carrier_code", func(v string) *fault.Error {
		name, err := carrier.ParseName("carrier_code", v)
		l.Carrier = name
		return one(err)
	})
	filters.Single("carrier_id", func(v string) *fault.Error {
		id, err := connection.ParseID(v)
		l.ConnectionID = id
		return one(err)
	})
	filters.Single("tracking_number", func(v string) (problem *fault.Error) {
		l.Number, problem = tracking.CleanNumber("tracking_number", v)
		return problem
	})
	return l, filters
}
