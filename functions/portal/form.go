package main

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/pages"
	"carrierlink/shared/signin"
	"carrierlink/shared/web"
)

// wrongInput are the kinds of fault that a form is shown again with.
func wrongInput(err error) bool {
	switch fault.KindOf(err) {
	case fault.Required, fault.Length, fault.Invalid, fault.Conflict, fault.RateLimited:
		return true
	default:
		return false
	}
}

// labels are the names of the fields for people.
var labels = map[string]string{ // never changes
	"email": "Email", "password": "Password", "company_name": "Company", "first_name": "First name", "last_name": "Last name", "origin_country_code": "Country",
}

// forPeople returns the problems of an error with messages that begin with the labels of the
// fields, and those of a limit with the time to wait.
func forPeople(err error) fault.List {
	var all fault.List
	for _, p := range fault.Of(err) {
		q := *p
		if rest, found := strings.CutPrefix(q.Message, q.Field); found && q.Field != "" {
			q.Message = cmp.Or(labels[q.Field], q.Field) + rest
		}
		if q.Kind == fault.RateLimited {
			q.Message = "That was tried too often. " + waitWords(q.RetryAfter)
		}
		all = append(all, &q)
	}
	return all
}

// waitWords says in whole minutes when to try again.
func waitWords(wait time.Duration) string {
	switch minutes := int((wait + time.Minute - 1) / time.Minute); {
	case minutes <= 1:
		return "Try again in a minute."
	default:
		return "Try again in " + strconv.Itoa(minutes) + " minutes."
	}
}

// formPage makes the page of a form with the id of the form.
type formPage func(f pages.Frame, formID string) web.Page

// showForm shows a form; v is nil for people who are not signed in.
func (h *handler) showForm(w http.ResponseWriter, r *http.Request, v *signin.Visit, page formPage) error {
	id, err := h.formID()
	if err != nil {
		return err
	}
	return web.Render(w, r, http.StatusOK, page(h.frame(r, v, navOf(v)), id))
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
	f := h.frame(r, v, navOf(v))
	f.Problems = forPeople(err)
	return web.Render(w, r, status, page(f, id))
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

// navOf returns the entry of the navigation of a form of this file's.
func navOf(v *signin.Visit) pages.Nav {
	if v == nil {
		return pages.NoNav
	}
	return pages.NavAccount
}
