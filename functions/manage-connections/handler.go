package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// accounts is what this function needs of the store to know whom it works for.
type accounts interface {
	Load(ctx context.Context, accountID int64, want store.Want) (store.Loaded, error)
}

// connections is what this function needs of connection.Service.
type connections interface {
	Change(ctx context.Context, req connection.ChangeRequest) (*connection.Connection, error)
	Rollback(ctx context.Context, conn connection.Connection, fx effects.For[*connection.Connection]) (*connection.Connection, error)
	Verify(ctx context.Context, conn connection.Connection, b health.Breaker, fx effects.For[connection.Checked]) (connection.Checked, error)
	RequestRefresh(ctx context.Context, conn connection.Connection, fx effects.For[*connection.Connection]) (*connection.Connection, error)
	Unlink(ctx context.Context, conn connection.Connection, pinned bool, fx effects.For[*connection.Connection]) error
	Lease(ctx context.Context) time.Time
}

type handler struct {
	auth        *auth.Auth
	accounts    accounts
	claims      httpapi.Claims
	sealer      httpapi.Sealer
	connections connections
	now         func() time.Time
}

// call is one request about one connection of the caller's.
type call struct {
	caller  auth.Caller
	conn    connection.Connection
	breaker health.Breaker
}

// begin authenticates the caller beside the read of the connection that the path
// names. Errors: those of auth.Merchant; fault.Identifier and NotSupported for
// the path; NotFound for a connection that is absent, another account's, not of
// the carrier that the path names, or that nobody sees.
func (h *handler) begin(ctx context.Context, req *httpapi.Request) (call, error) {
	name, id, inputErr := path(req)
	var loaded store.Loaded
	caller, err := h.auth.Merchant(ctx, req, func(ctx context.Context, accountID int64) (_ *account.Account, err error) {
		loaded, err = h.accounts.Load(ctx, accountID, store.Want{Now: h.now(), ConnectionID: id, Breakers: true})
		return loaded.Account, err
	})
	if err != nil {
		return call{}, err
	}
	if inputErr != nil {
		return call{}, inputErr
	}
	conn := loaded.Connection
	if conn == nil || name != "" && conn.Carrier != name || !conn.Visible() && !unfinished(req, conn) {
		return call{}, connection.ErrNoCarrier()
	}
	return call{caller, *conn, loaded.Breakers[conn.Carrier]}, nil
}

// unfinished tells whether the request asks to unlink what an earlier one began
// to: that is done again rather than not found, as its secret may be there yet.
func unfinished(req *httpapi.Request, conn *connection.Connection) bool {
	return req.Method() == http.MethodDelete && conn.Status == connection.Disconnected && conn.Work == connection.WorkUnlink
}

// path reads the parameters of the path; name is empty on a route without it.
func path(req *httpapi.Request) (name carrier.Name, id string, err error) {
	var problems fault.List
	if strings.Contains(req.Resource(), "{carrier_name}") {
		name, err = views.CarrierName(req)
		problems = append(problems, fault.Of(err)...)
	}
	param, err := req.Param("carrier_id")
	if err == nil {
		id, err = connection.ParseID(param)
	}
	problems = append(problems, fault.Of(err)...)
	return name, id, problems.Err()
}

// once runs a change once for each Idempotency-Key.
func (h *handler) once(ctx context.Context, req *httpapi.Request, c call, do func(*httpapi.Change) (*httpapi.Response, error)) (*httpapi.Response, error) {
	return httpapi.Claimed(ctx, h.sealer, h.claims, req, c.caller, h.now(), h.connections.Lease(ctx), do)
}

// show is an answer of a connection.
func (h *handler) show(status int) func(*connection.Connection) *httpapi.Response {
	return func(conn *connection.Connection) *httpapi.Response {
		return httpapi.JSON(status, views.NewConnection(conn, h.now()))
	}
}

// rollback brings the previous credentials back: 200 with the connection. Errors:
// those of connection.Service.Rollback.
func (h *handler) rollback(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	c, err := h.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	return h.once(ctx, req, c, func(change *httpapi.Change) (*httpapi.Response, error) {
		return httpapi.Show(ctx, change, h.show(http.StatusOK), func(fx effects.For[*connection.Connection]) error {
			_, err := h.connections.Rollback(ctx, c.conn, fx)
			return err
		})
	})
}

// refresh makes the connection due now: 202 with the connection. Errors: those
// of connection.Service.RequestRefresh.
func (h *handler) refresh(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	c, err := h.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	return h.once(ctx, req, c, func(change *httpapi.Change) (*httpapi.Response, error) {
		return httpapi.Show(ctx, change, h.show(http.StatusAccepted), func(fx effects.For[*connection.Connection]) error {
			_, err := h.connections.RequestRefresh(ctx, c.conn, fx)
			return err
		})
	})
}

// verification is a check and the connection after it.
type verification struct {
	CarrierID    string           `json:"carrier_id"`
	Status       string           `json:"status"`
	StatusReason *string          `json:"status_reason"`
	Check        views.Check      `json:"check"`
	Diagnosis    *fault.Diagnosis `json:"diagnosis"`
	Connection   views.Connection `json:"connection"`
}

// verify checks the connection now: 200 for a good answer and for a refusal.
// Errors: those of connection.Service.Verify; those of connection.Reading.Err for an outage,
// which is recorded all the same and answered by no stored answer.
func (h *handler) verify(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	c, err := h.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	return h.once(ctx, req, c, func(change *httpapi.Change) (*httpapi.Response, error) {
		var reading connection.Reading
		show := func(checked connection.Checked) *httpapi.Response {
			if reading = checked.Reading; reading.Outcome.IsOutage() {
				return nil
			}
			body := views.NewConnection(&checked.Connection, h.now())
			return httpapi.JSON(http.StatusOK, verification{
				body.CarrierID, body.Status, body.StatusReason, views.NewCheck(checked.Entry.Check), reading.Diagnosis(), body,
			})
		}
		resp, err := httpapi.Show(ctx, change, show, func(fx effects.For[connection.Checked]) error {
			_, err := h.connections.Verify(ctx, c.conn, c.breaker, fx)
			return err
		})
		if err == nil && resp == nil {
			err = reading.Err()
		}
		return resp, err
	})
}

// unlink takes the connection away: 204. Errors: fault.Precondition when If-Match
// names another state; those of connection.Service.Unlink. A repeat of one that was cut off is
// not held against If-Match: the state that it names is the one before that.
func (h *handler) unlink(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	c, err := h.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	var pinned bool
	if c.conn.Visible() {
		if pinned, err = httpapi.IfMatch(req, views.ConnectionETag(&c.conn, h.now())); err != nil {
			return nil, err
		}
	}
	if err := h.connections.Unlink(ctx, c.conn, pinned, effects.MadeBy[*connection.Connection](c.caller.By())); err != nil {
		return nil, err
	}
	return &httpapi.Response{Status: http.StatusNoContent, Header: map[string]string{}}, nil
}
