package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/pages"
	"carrierlink/shared/signin"
	"carrierlink/shared/web"
)

// sender is who sends the forms of an account's pages. Their ids are scoped by account and
// page, apart from the Idempotency-Keys of the API.
type sender struct{ by effects.By }

// Scope returns the scope of the forms' ids.
func (s sender) Scope() string { return "page " + strconv.FormatInt(s.by.AccountID, 10) }

// By returns who makes the changes.
func (s sender) By() effects.By { return s.by }

// result is the page that a change leads to.
type result struct {
	path string
	done pages.Done
}

// once runs a change once for each form_id, as httpapi.Claimed does for an Idempotency-Key,
// and leads to the page of its result: a form that is sent twice, or again by a reload, leads
// to the same page. Errors: those of the change; fault.IdempotencyMismatch for a form that
// was sent before with other input; one of isRunning while the same form is still worked on.
func once[T any](h *handler, w http.ResponseWriter, r *http.Request, v *signin.Visit, form url.Values, show func(T) result, change func(effects.For[T]) error) error {
	_, resource, _ := strings.Cut(r.Pattern, " ")
	req := httpapi.NewRequest(web.RequestID(r.Context()), events.APIGatewayProxyRequest{
		HTTPMethod: r.Method, Resource: resource, PathParameters: map[string]string{"carrier_id": r.PathValue("carrier_id")},
		Headers: map[string]string{idempotencyKey: form.Get("form_id")}, Body: form.Encode(),
	})
	by := v.By
	by.AccountID = v.Account.ID
	resp, err := httpapi.Claimed(r.Context(), h.sealer, h.store, req, sender{by}, h.now(), h.connections.Lease(r.Context()), func(c *httpapi.Change) (*httpapi.Response, error) {
		answer := func(changed T) *httpapi.Response {
			to := show(changed)
			return &httpapi.Response{Status: http.StatusSeeOther, Header: map[string]string{"Location": to.path, "Done": string(to.done)}}
		}
		return httpapi.Show(r.Context(), c, answer, change)
	})
	if err != nil {
		return err
	}
	return redirectDone(w, r, resp.Header["Location"], pages.Done(resp.Header["Done"]))
}

const idempotencyKey = "Idempotency-Key"

// isRunning reports whether the same form is still worked on.
func isRunning(err error) bool {
	return fault.Is(err, fault.State) && fault.Of(err)[0].Field == idempotencyKey
}
