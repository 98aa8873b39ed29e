package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/tracking"
	"carrierlink/shared/views"
)

// tracker is what this function needs of tracking.Service.
type tracker interface {
	Track(ctx context.Context, req tracking.Request) (tracking.Result, error)
}

type handler struct {
	auth        *auth.Auth
	accounts    store.Loader
	tracker     tracker
	errorSource string
	now         func() time.Time
}

// track answers with the tracking of one number, or with what is known of each of
// several. Errors: those of auth.Merchant; fault.Required, Invalid, Length, Identifier
// and NotSupported for the parameters; those of tracking.Service.Track.
func (h *handler) track(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	q, inputErr := parse(req)
	var loaded store.Loaded
	caller, err := h.auth.Merchant(ctx, req, store.Want{Now: h.now(), ConnectionID: q.carrierID}.LoadInto(&loaded, h.accounts))
	if err != nil {
		return nil, err
	}
	if inputErr != nil {
		return nil, inputErr
	}
	found, err := h.tracker.Track(ctx, tracking.Request{Account: *loaded.Account, Connection: loaded.Connection, Carrier: q.carrier, Numbers: q.numbers, By: caller.By()})
	if err != nil {
		return nil, err
	}
	req.Subject.CarrierID = found.Connection.ID
	logFailures(ctx, caller, found)
	if len(q.numbers) == 1 {
		return httpapi.JSON(http.StatusOK, views.NewTracking(found.Connection, found.Answers[q.numbers[0]], h.now())), nil
	}
	return httpapi.JSON(http.StatusOK, views.NewTrackings(found, q.numbers, h.errorSource, h.now())), nil
}

// logFailures logs, once, why an answer says less than the carrier may know. It does not
// log tracking numbers, which are personal data.
func logFailures(ctx context.Context, caller auth.Caller, found tracking.Result) {
	if stale, failed, err := found.Failures(); err != nil {
		slog.WarnContext(ctx, "tracking without the carrier", slog.Int64("account_id", caller.AccountID), slog.String("carrier_id", found.Connection.ID),
			slog.Int("stale", stale), slog.Int("failed", failed), slog.String("error", err.Error()))
	}
}

// query is what the request asks for. Either carrierID or carrier is set.
type query struct {
	carrierID string
	carrier   carrier.Name
	numbers   []string // cleaned, in the order of the request
}

// parse reads the query; the error lists every problem.
func parse(req *httpapi.Request) (query, error) {
	var q query
	var problems fault.List
	q.carrierID, q.carrier, problems = views.CarrierQuery(req)
	add := func(err error) { problems = append(problems, fault.Of(err)...) }
	const field = "tracking_number"
	numbers := req.Query(field)
	switch {
	case len(numbers) == 0:
		add(fault.Field(fault.Required, field, "%s is needed.", field))
	case len(numbers) > tracking.MaxNumbers:
		add(fault.Field(fault.Invalid, field, "%s may be given at most %d times.", field, tracking.MaxNumbers))
	default:
		for _, n := range numbers {
			clean, problem := tracking.CleanNumber(field, n)
			if problem != nil {
				add(problem)
			}
			q.numbers = append(q.numbers, clean)
		}
	}
	return q, problems.Err()
}
