package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"carrierlink/shared/auth"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// reader is what this function needs of connection.Service.
type reader interface {
	ReadCarrierAccount(ctx context.Context, req connection.ReadRequest, fx effects.For[connection.Checked]) (connection.CarrierAccount, error)
}

type handler struct {
	auth     *auth.Auth
	accounts store.Loader
	reader   reader
	now      func() time.Time
}

// get answers with the carrier's account, or with 304 to a client that has it already.
// Errors: those of auth.Merchant; fault.Identifier and Invalid for the parameters; those
// of connection.Service.ReadCarrierAccount.
func (h *handler) get(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	q, inputErr := parse(req)
	var loaded store.Loaded
	want := store.Want{Now: h.now(), ConnectionID: q.carrierID, Snapshot: true, Breakers: true}
	caller, err := h.auth.Merchant(ctx, req, want.LoadInto(&loaded, h.accounts))
	if err != nil {
		return nil, err
	}
	if inputErr != nil {
		return nil, inputErr
	}
	in := connection.ReadRequest{Connection: loaded.Connection, Snapshot: loaded.Snapshot, MaxAge: q.maxAge, Refresh: q.refresh, By: caller.By()}
	if in.Connection != nil {
		req.Subject.CarrierID = in.Connection.ID
		in.Breaker = loaded.Breakers[in.Connection.Carrier]
	}
	read, err := h.reader.ReadCarrierAccount(ctx, in, effects.MadeBy[connection.Checked](caller.By()))
	if err != nil {
		return nil, err
	}
	if read.Stale {
		slog.WarnContext(ctx, "answered with a stale snapshot",
			slog.Int64("account_id", caller.AccountID), slog.String("carrier_id", read.Connection.ID), slog.String("error", read.StaleCause.Error()))
	}
	body := views.NewCarrierAccount(read, h.now())
	resp := httpapi.Conditional(req, body.ETag(), func() *httpapi.Response { return httpapi.JSON(http.StatusOK, body) })
	if read.Stale {
		resp.RetryAfter(read.StaleCause)
	}
	return resp, nil
}

// query is what the request asks for.
type query struct {
	carrierID string
	maxAge    time.Duration
	refresh   bool
}

// parse reads path and query; the error lists every problem.
func parse(req *httpapi.Request) (query, error) {
	q := query{maxAge: connection.DefaultMaxAge}
	var problems fault.List
	id, err := req.Param("carrier_id")
	if err == nil {
		q.carrierID, err = connection.ParseID(id)
	}
	problems = append(problems, fault.Of(err)...)
	maxAge := int(q.maxAge / time.Second)
	problems = append(problems, req.Number("max_age", &maxAge, 0, int(connection.LargestMaxAge/time.Second))...)
	q.maxAge = time.Duration(maxAge) * time.Second
	problems = append(problems, req.Single("refresh", func(v string) *fault.Error {
		if q.refresh = v == "true"; v != "true" && v != "false" {
			return fault.NotBool("refresh")
		}
		return nil
	})...)
	return q, problems.Err()
}
