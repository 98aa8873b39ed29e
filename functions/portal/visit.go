package main

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/pages"
	"carrierlink/shared/secret"
	"carrierlink/shared/signin"
	"carrierlink/shared/web"
)

// visitor handles a request of a person who is signed in.
type visitor func(w http.ResponseWriter, r *http.Request, v *signin.Visit) error

// signedIn is a handler for people who are signed in. It reads the visit with the connection
// that the path names, if it names one. Errors: those of signin.Service.Visit.
func (h *handler) signedIn(f visitor) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		v, err := h.signin.Visit(r.Context(), web.Cookie(r), r.PathValue("carrier_id"), client(r))
		if err != nil {
			return err
		}
		web.Identify(r.Context(), v.Account.ID, v.Account.PartnerID)
		v.Successor = successor(r)
		if err := f(w, r, v); err != nil {
			return &visitError{v, err}
		}
		return nil
	}
}

// visitError is an error of a page with the visit, so that the page of the error has the same
// surroundings.
type visitError struct {
	visit *signin.Visit
	err   error
}

// Error returns the operator's text.
func (e *visitError) Error() string { return e.err.Error() }

// Unwrap returns the error of the page.
func (e *visitError) Unwrap() error { return e.err }

// problem is the page of an error that no handler has rendered.
func (h *handler) problem(r *http.Request, status int, err error) web.Page {
	f := h.frame(r, nil, pages.NoNav)
	if of, ok := errors.AsType[*visitError](err); ok {
		f = h.frame(r, of.visit, navAt(r.URL.Path))
	}
	return pages.Problem(f, status, err)
}

// navAt returns the entry of the navigation that a path belongs to.
func navAt(path string) pages.Nav {
	switch {
	case strings.HasPrefix(path, accountPath), path == confirmPath:
		return pages.NavAccount
	case strings.HasPrefix(path, "/portal/carriers"):
		return pages.NavCarriers
	}
	return pages.NavOverview
}

// confirmed is owner for what needs the password again. Without a recent confirmation it
// leads to the page that asks for it, which leads back to the page at the same path.
func (h *handler) confirmed(f visitor) web.Handler {
	return h.owner(func(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
		if !v.Confirmed(h.now()) {
			return askPassword(w, r, r.URL.Path)
		}
		return f(w, r, v)
	})
}

// askPassword leads to the page that asks for the password again and then leads to next.
func askPassword(w http.ResponseWriter, r *http.Request, next string) error {
	return web.Redirect(w, r, confirmPath, url.Values{"next": {next}})
}

// owner is signedIn for what a session that the partner opened may not do: such a session
// gets 403 and a page that says why.
func (h *handler) owner(f visitor) web.Handler {
	return h.signedIn(func(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
		if v.Session.Method == signin.MethodPartner {
			return web.Render(w, r, http.StatusForbidden, pages.OwnerOnly(h.frame(r, v, pages.NavAccount)))
		}
		return f(w, r, v)
	})
}

// renewing is a handler of a form after which the session goes on under another cookie. The first
// answer to a form that is sent twice is lost, as a browser drops it after a second click: so the
// second one, for whose cookie there is no session any more, gives the browser the same cookie
// and leads to the same page, that of the form's next or path.
func (h *handler) renewing(f web.Handler, path string, done pages.Done) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		form, err := web.Form(r)
		if err != nil {
			return err
		}
		if err = f(w, r); !fault.Is(err, fault.Unauthorized) {
			return err
		}
		text := successor(r)
		switch v, gone := h.signin.Visit(r.Context(), text, "", client(r)); {
		case gone == nil:
			return welcome(w, r, signin.Started{Text: text, Session: v.Session}, web.LocalPath(form.Get("next"), path), done)
		case !fault.Is(gone, fault.Unauthorized):
			return gone
		}
		return err
	}
}

// successor returns the text under which the session of a form goes on; zero unless the form
// has been read.
func successor(r *http.Request) secret.Text {
	return signin.Successor(web.Cookie(r), r.PostForm.Get("form_id"))
}

// client is the browser of a request.
func client(r *http.Request) signin.Client {
	return signin.Client{IP: web.SourceIP(r), UserAgent: r.UserAgent(), RequestID: web.RequestID(r.Context())}
}

// frame returns what surrounds a page; v is nil for people who are not signed in, who have no
// navigation.
func (h *handler) frame(r *http.Request, v *signin.Visit, nav pages.Nav) pages.Frame {
	f := pages.Frame{
		Nav: nav, Done: pages.DoneOf(r.URL.Query().Get("done")), RequestID: web.RequestID(r.Context()),
		Now: h.now(), Zone: account.ZoneOf("AU"),
	}
	if v == nil {
		f.Nav = pages.NoNav
		return f
	}
	f.Zone = account.ZoneOf(v.Account.OriginCountryCode)
	f.Company, f.Accent, f.Sandbox = cmp.Or(v.Account.CompanyName, v.Account.Email, "Your account"), v.Settings.AccentColor, v.Account.Environment == carrier.Sandbox
	f.Partner, f.Support = cmp.Or(v.Settings.DisplayName, v.Partner.Name, "Your platform"), pages.Support{Email: v.Settings.SupportEmail, URL: v.Settings.SupportURL}
	if v.Session.Method == signin.MethodPartner {
		f.OpenedBy = f.Partner
	}
	return f
}

// formID returns the id of a new form, which makes a repetition of its POST harmless.
func (h *handler) formID() (string, error) {
	b := make([]byte, 15)
	if _, err := io.ReadFull(h.random, b); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}
