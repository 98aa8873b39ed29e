package main

import (
	"context"
	"encoding/json"
	"net/http"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/views"
)

// change changes the fields that the body has: 200 with the connection. Errors: those of
// Request.JSON and connection.Preflight, all of them at once; fault.Required for a body
// without a field to change, or with only one of api_key and api_secret; Precondition when
// If-Match names another version; those of connection.Service.Change.
func (h *handler) change(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	at, err := h.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	in, err := decode(req, at.conn)
	if err != nil {
		return nil, err
	}
	return h.once(ctx, req, at, func(requested *httpapi.Change, pinned bool) (*httpapi.Response, error) {
		return httpapi.Show(ctx, requested, h.show(http.StatusOK), func(fx effects.For[*connection.Connection]) error {
			in.Pinned, in.By, in.Effects = pinned, at.caller.By(), fx
			_, err := h.connections.Change(ctx, in)
			return err
		})
	})
}

// decode parses the body as a change of the connection. The error lists every problem in the
// order of the fields.
func decode(req *httpapi.Request, conn connection.Connection) (connection.ChangeRequest, error) {
	in := connection.ChangeRequest{Connection: conn}
	var (
		typed                views.ChargeAccount
		nickname, externalID string
		policy               connection.RefreshPolicy
		metadata             map[string]string
		edits                []func(*connection.Connection)
	)
	// editing adds the edit to edits if the body has the field.
	editing := func(f httpapi.Field, edit func(*connection.Connection)) httpapi.Field {
		check := f.Check
		f.Check = func(value json.RawMessage) fault.List {
			edits = append(edits, edit)
			return check(value)
		}
		return f
	}
	fields := []httpapi.Field{
		editing(httpapi.String("nickname", &nickname, connection.NicknameRule.Clean), func(c *connection.Connection) { c.Nickname = nickname }),
		typed.Number(),
		typed.Key(),
		typed.Secret(),
		httpapi.Bool("allow_duplicate_account_number", &in.AllowDuplicate),
		editing(views.RefreshPolicy("refresh_policy", &policy), func(c *connection.Connection) { c.RefreshPolicy = policy }),
		editing(httpapi.String("external_carrier_id", &externalID, account.ExternalIDRule.Clean), func(c *connection.Connection) { c.ExternalID = externalID }),
		editing(httpapi.Metadata("metadata", &metadata), func(c *connection.Connection) { c.Metadata = metadata }),
	}
	err := req.JSON(fields...)
	hasNumber, hasKey, hasSecret := typed.Given()
	charge, problems := typed.Preflight(conn.Carrier, conn.AccountNumber)
	switch {
	case hasKey && !hasSecret:
		problems = append(problems, fault.Missing("api_secret"))
	case hasSecret && !hasKey:
		problems = append(problems, fault.Missing("api_key"))
	case err == nil && !hasNumber && !hasKey && len(edits) == 0:
		return in, fault.New(fault.Required, "The request needs at least one member to change.")
	}
	if err := httpapi.InOrder(fields, err, problems); err != nil {
		return in, err
	}
	if hasKey {
		in.Credentials = &charge.Credentials
	}
	if hasNumber {
		in.Number = charge.Number
	}
	in.Edit = func(c *connection.Connection) {
		for _, edit := range edits {
			edit(c)
		}
	}
	return in, nil
}
