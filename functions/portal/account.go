package main

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/pages"
	"carrierlink/shared/secret"
	"carrierlink/shared/signin"
	"carrierlink/shared/web"
)

// The paths of the pages of the account.
const (
	accountPath  = "/portal/account"
	detailsPath  = "/portal/account/details"
	emailPath    = "/portal/account/email"
	passwordPath = "/portal/account/password"
	sessionsPath = "/portal/account/sessions"
)

// accountRoutes are the pages below /portal/account.
func (h *handler) accountRoutes() []web.Route {
	return []web.Route{
		{Pattern: "GET " + accountPath, Handler: h.signedIn(h.accountPage)},
		{Pattern: "GET " + detailsPath, Handler: h.signedIn(h.detailsPage)},
		{Pattern: "POST " + detailsPath, Handler: h.signedIn(h.detailsPost)},
		{Pattern: "GET " + emailPath, Handler: h.confirmed(h.emailPage)},
		{Pattern: "POST " + emailPath, Handler: h.confirmed(h.emailPost)},
		{Pattern: "GET " + passwordPath, Handler: h.confirmed(h.passwordPage)},
		{Pattern: "POST " + passwordPath, Handler: h.renewing(h.confirmed(h.passwordPost), accountPath, pages.DonePasswordChanged)},
		{Pattern: "GET " + sessionsPath, Handler: h.owner(h.sessionsPage)},
		{Pattern: "POST " + sessionsPath, Handler: h.renewing(h.confirmed(h.sessionsPost), sessionsPath, pages.DoneSessionsEnded)},
	}
}

// accountPage shows the account and how its owner signs in.
func (h *handler) accountPage(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	return web.Render(w, r, http.StatusOK, pages.Account(h.frame(r, v, pages.NavAccount), pages.AccountView{
		Account: v.Account, Country: countryOf(v.Account).Name, NoMail: h.noMail(),
	}))
}

// countryOf returns the country of an account, named by its code if it is on no list.
func countryOf(a account.Account) account.Country {
	all := account.Countries()
	if i := slices.IndexFunc(all, func(c account.Country) bool { return c.Code == a.OriginCountryCode }); i >= 0 {
		return all[i]
	}
	return account.Country{Code: a.OriginCountryCode, Name: a.OriginCountryCode}
}

// detailsPage shows the details of the account in a form.
func (h *handler) detailsPage(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	return h.showForm(w, r, v, detailsForm(v, url.Values{
		"company_name": {v.Account.CompanyName}, "first_name": {v.Account.FirstName}, "last_name": {v.Account.LastName},
		"origin_country_code": {v.Account.OriginCountryCode},
	}))
}

func detailsForm(v *signin.Visit, values url.Values) formPage {
	return func(f pages.Frame, id string) web.Page {
		return pages.AccountDetails(f, pages.DetailsForm{
			FormID: id, Version: strconv.FormatInt(v.Account.Version, 10), Values: values,
			Country: countryOf(v.Account), CountryFixed: v.Account.CarriersCount > 0,
		})
	}
}

// detailsPost changes the details. A form that was filled in from an older version of the
// account is shown again, so that two windows do not undo each other's changes.
func (h *handler) detailsPost(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	edit, problems := parseDetails(form)
	err = problems.Err()
	if err == nil {
		_, err = h.accounts.Change(r.Context(), account.Change{Account: v.Account, Edit: edit, Match: filledInFrom(form.Get("version"), edit)}, effects.MadeBy[*account.Account](v.By))
	}
	switch {
	case err == nil:
		return redirectDone(w, r, accountPath, pages.DoneAccountChanged)
	case fault.Is(err, fault.Precondition):
		err = &fault.Error{Kind: fault.Invalid, Message: "These details were changed in another window meanwhile. Check what you have entered, then save again.", Cause: err}
	}
	return h.askAgain(w, r, v, err, detailsForm(v, form))
}

// parseDetails returns a change that sets the details of a form. An empty field removes what
// was there; a form without country keeps it.
func parseDetails(form url.Values) (edit func(*account.Account) error, problems fault.List) {
	clean := func(field string, rule func(field, s string) (string, *fault.Error)) string {
		text := strings.TrimSpace(form.Get(field))
		if text == "" {
			return ""
		}
		text, problem := rule(field, text)
		problems = append(problems, fault.ListOf(problem)...)
		return text
	}
	company, first, last := clean("company_name", account.CompanyRule.Clean), clean("first_name", account.NameRule.Clean), clean("last_name", account.NameRule.Clean)
	country := clean("origin_country_code", account.CleanCountry)
	return func(a *account.Account) error {
		a.CompanyName, a.FirstName, a.LastName = company, first, last
		a.OriginCountryCode = cmp.Or(country, a.OriginCountryCode)
		return nil
	}, problems
}

// filledInFrom pins a change to the version that a form was filled in from. A change without
// effect matches every version, so that a form that is sent twice is done once.
func filledInFrom(version string, edit func(*account.Account) error) func(account.Account) (bool, error) {
	return func(now account.Account) (pinned bool, err error) {
		same := now
		if err := edit(&same); err != nil {
			return false, err
		}
		if !same.Same(now) && strconv.FormatInt(now.Version, 10) != version {
			return true, account.ErrChanged()
		}
		return true, nil
	}
}

// emailPage asks for the new address.
func (h *handler) emailPage(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	return h.showForm(w, r, v, h.emailForm(v, ""))
}

func (h *handler) emailForm(v *signin.Visit, entered string) formPage {
	return func(f pages.Frame, id string) web.Page {
		return pages.AccountEmail(f, pages.EmailForm{FormID: id, Current: v.Account.Email, Email: entered, NoMail: h.noMail()})
	}
}

// emailPost sends a link to the new address. Whether another account has it is not told.
func (h *handler) emailPost(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	if h.noMail() {
		return web.Redirect(w, r, emailPath, nil)
	}
	email := form.Get("email")
	if err = required(form, "email"); err == nil {
		err = h.signin.RequestEmail(r.Context(), v, email)
	}
	if err == nil {
		return redirectDone(w, r, accountPath, pages.DoneEmailMailSent)
	}
	return h.askAgain(w, r, v, err, h.emailForm(v, email))
}

// passwordPage asks for the new password.
func (h *handler) passwordPage(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	return h.showForm(w, r, v, passwordForm(v))
}

func passwordForm(v *signin.Visit) formPage {
	return func(f pages.Frame, id string) web.Page {
		return pages.AccountPassword(f, pages.PasswordForm{FormID: id, Email: v.Account.Email})
	}
}

// passwordPost changes the password. This browser goes on under another cookie; all others are
// signed out.
func (h *handler) passwordPost(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	var started signin.Started
	if err = required(form, "password"); err == nil {
		started, err = h.signin.ChangePassword(r.Context(), v, secret.New(form.Get("password")), client(r))
	}
	if err == nil {
		return welcome(w, r, started, accountPath, pages.DonePasswordChanged)
	}
	return h.askAgain(w, r, v, err, passwordForm(v))
}

// sessionsPage lists the browsers that are signed in.
func (h *handler) sessionsPage(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	all, err := h.signin.Sessions(r.Context(), v)
	if err != nil {
		return err
	}
	return h.showForm(w, r, v, func(f pages.Frame, id string) web.Page {
		return pages.AccountSessions(f, pages.SessionsView{FormID: id, Current: v.Session.Hash, Sessions: all})
	})
}

// sessionsPost signs out all other browsers.
func (h *handler) sessionsPost(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	started, err := h.signin.SignOutOthers(r.Context(), v, client(r))
	if err != nil {
		return err
	}
	return welcome(w, r, started, sessionsPath, pages.DoneSessionsEnded)
}
