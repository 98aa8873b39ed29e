package main

import (
	"net/http"
	"net/url"

	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/pages"
	"carrierlink/shared/signin"
	"carrierlink/shared/web"
)

// wrongInput reports whether a form is shown again with an error, because other input or a
// later time could mend it.
func wrongInput(err error) bool {
	switch first := fault.Of(err); first[0].Kind {
	case fault.Required, fault.Length, fault.Invalid, fault.Conflict, fault.RateLimited:
		return true
	case fault.State:
		return first[0].Field != ""
	default:
		return false
	}
}

// about makes an error that is about what was entered in a field, which is then shown again.
func about(field string, err error) error {
	p := *fault.Of(err)[0]
	p.Kind, p.Field, p.Message, p.Cause = fault.Invalid, field, pages.Entered(&p), err
	return &p
}

// formPage makes the page of a form with the id of the form.
type formPage func(f pages.Frame, formID string) web.Page

// showForm shows a form; v is nil for people who are not signed in.
func (h *handler) showForm(w http.ResponseWriter, r *http.Request, v *signin.Visit, page formPage) error {
	id, err := h.formID()
	if err != nil {
		return err
	}
	return web.Render(w, r, http.StatusOK, page(h.frame(r, v, navAt(r.URL.Path)), id))
}

// askAgain shows a form again with the problems of an error: 422, or 429 with the time to
// wait. An error that no other input could mend is returned.
func (h *handler) askAgain(w http.ResponseWriter, r *http.Request, v *signin.Visit, err error, page formPage) error {
	if !wrongInput(err) {
		return err
	}
	id, idErr := h.formID()
	if idErr != nil {
		return idErr
	}
	status := http.StatusUnprocessableEntity
	if fault.Is(err, fault.RateLimited) {
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", httpapi.RetryAfter(err))
	}
	return web.Render(w, r, status, page(h.frame(r, v, navAt(r.URL.Path)).Saying(err), id))
}

// required returns fault.Required for each field of a form that is missing or empty.
func required(form url.Values, fields ...string) error {
	var problems fault.List
	for _, field := range fields {
		if form.Get(field) == "" {
			problems = append(problems, fault.Missing(field))
		}
	}
	return problems.Err()
}
