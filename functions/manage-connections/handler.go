package main

import (
	"context"
	"net/http"
	"strings"
	"time"

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

// connections is what this function needs of connection.Service.
type connections interface {
	Change(ctx context.Context, req connection.ChangeRequest) (*connection.Connection, error)
	Rollback(ctx context.Context, conn connection.Connection, pinned bool, by effects.By, fx effects.For[*connection.Connection]) (*connection.Connection, error)
	Verify(ctx context.Context, conn connection.Connection, b health.Breaker, by effects.By, fx effects.For[connection.Checked]) (connection.Checked, error)
	RequestRefresh(ctx context.Context, conn connection.Connection, pinned bool, fx effects.For[*connection.Connection]) (*connection.Connection, error)
	Unlink(ctx context.Context, conn connection.Connection, pinned bool, fx effects.For[*connection.Connection]) error
	Lease(ctx context.Context) time.Time
}

type handler struct {
	auth        *auth.Auth
	accounts    store.Loader
	claims      httpapi.Claims
	sealer      httpapi.Sealer
	connections connections
	now         func() time.Time
}

// target is the connection that a request is about.
type target struct {
	caller  auth.Caller
	conn    connection.Connection
	breaker health.Breaker
}

// begin authenticates the caller and concurrently reads the connection that the path names.
// Errors: those of auth.Merchant; fault.Identifier and NotSupported for the path; NotFound
// for a connection that is absent, another account's, of another carrier than the path
// names, or not visible.
func (h *handler) begin(ctx context.Context, req *httpapi.Request) (target, error) {
	name, id, inputErr := path(req)
	var loaded store.Loaded
	caller, err := h.auth.Merchant(ctx, req, store.Want{Now: h.now(), ConnectionID: id, Breakers: true}.LoadInto(&loaded, h.accounts))
	if err != nil {
		return target{}, err
	}
	if inputErr != nil {
		return target{}, inputErr
	}
	conn := loaded.Connection
	if conn == nil || name != "" && conn.Carrier != name || !conn.Visible() && !repeatsUnlink(req, conn) {
		return target{}, connection.ErrNoConnection()
	}
	req.Subject.CarrierID = conn.ID
	return target{caller, *conn, loaded.Breakers[conn.Carrier]}, nil
}

// repeatsUnlink reports whether the request unlinks a connection that an earlier request
// has begun to unlink: it may have to delete the secret, so it is not a 404.
func repeatsUnlink(req *httpapi.Request, conn *connection.Connection) bool {
	return req.Method() == http.MethodDelete && conn.Status == connection.Disconnected && conn.Work == connection.WorkUnlink
}

// path parses the parameters of the path; name is empty on routes without it.
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

// once runs a change once for each Idempotency-Key, if If-Match allows it: else it is
// fault.Precondition. pinned is that of httpapi.IfMatch.
func (h *handler) once(ctx context.Context, req *httpapi.Request, at target, do func(requested *httpapi.Change, pinned bool) (*httpapi.Response, error)) (*httpapi.Response, error) {
	return httpapi.Claimed(ctx, h.sealer, h.claims, req, at.caller, h.now(), h.connections.Lease(ctx), func(requested *httpapi.Change) (*httpapi.Response, error) {
		pinned, err := httpapi.IfMatch(req, views.ConnectionETag(&at.conn, h.now()))
		if err != nil {
			return nil, err
		}
		return do(requested, pinned)
	})
}

// show renders the connection.
func (h *handler) show(status int) func(*connection.Connection) *httpapi.Response {
	return func(conn *connection.Connection) *httpapi.Response {
		return views.ConnectionAnswer(status, conn, h.now())
	}
}

// operation is an operation of connection.Service that needs no request body.
type operation func(ctx context.Context, at target, pinned bool, fx effects.For[*connection.Connection]) (*connection.Connection, error)

func (h *handler) rollback(ctx context.Context, at target, pinned bool, fx effects.For[*connection.Connection]) (*connection.Connection, error) {
	return h.connections.Rollback(ctx, at.conn, pinned, at.caller.By(), fx)
}

func (h *handler) requestRefresh(ctx context.Context, at target, pinned bool, fx effects.For[*connection.Connection]) (*connection.Connection, error) {
	return h.connections.RequestRefresh(ctx, at.conn, pinned, fx)
}

// run returns a handler that runs an operation, and answers with the connection. Errors:
// those of the operation.
func (h *handler) run(do operation, status int) httpapi.Handler {
	return func(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
		at, err := h.begin(ctx, req)
		if err != nil {
			return nil, err
		}
		return h.once(ctx, req, at, func(requested *httpapi.Change, pinned bool) (*httpapi.Response, error) {
			return httpapi.Show(ctx, requested, h.show(status), func(fx effects.For[*connection.Connection]) error {
				_, err := do(ctx, at, pinned, fx)
				return err
			})
		})
	}
}

// verification is the body of verify: the check and the connection after it.
type verification struct {
	CarrierID    string           `json:"carrier_id"`
	Status       string           `json:"status"`
	StatusReason *string          `json:"status_reason"`
	Check        views.Check      `json:"check"`
	Diagnosis    *fault.Diagnosis `json:"diagnosis"`
	Connection   views.Connection `json:"connection"`
}

// verify checks the connection now: 200 for a good answer and for a refusal. Errors: those of
// connection.Service.Verify; those of connection.Reading.Err for an outage, which is recorded
// but not stored as the answer of the Idempotency-Key.
func (h *handler) verify(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	at, err := h.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	return h.once(ctx, req, at, func(requested *httpapi.Change, _ bool) (*httpapi.Response, error) { // a check is of the version that was read
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
		resp, err := httpapi.Show(ctx, requested, show, func(fx effects.For[connection.Checked]) error {
			_, err := h.connections.Verify(ctx, at.conn, at.breaker, at.caller.By(), fx)
			return err
		})
		if err == nil && resp == nil {
			err = reading.Err()
		}
		return resp, err
	})
}

// unlink unlinks the connection: 204. Errors: fault.Precondition when If-Match names another
// version; those of connection.Service.Unlink. A repeat of an interrupted unlink ignores
// If-Match, which names the version before it.
func (h *handler) unlink(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	at, err := h.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	var pinned bool
	if at.conn.Visible() {
		if pinned, err = httpapi.IfMatch(req, views.ConnectionETag(&at.conn, h.now())); err != nil {
			return nil, err
		}
	}
	if err := h.connections.Unlink(ctx, at.conn, pinned, effects.MadeBy[*connection.Connection](at.caller.By())); err != nil {
		return nil, err
	}
	return httpapi.NoContent(), nil
}
