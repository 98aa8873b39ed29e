package main

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/pages"
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
		return f(w, r, v)
	}
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

// owner is signedIn for what a session that the partner opened may not do.
// Errors: fault.Forbidden for such a session.
func (h *handler) owner(f visitor) web.Handler {
	return h.signedIn(func(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
		if v.Session.Method == signin.MethodPartner {
			return errOpenedByPartner()
		}
		return f(w, r, v)
	})
}

// client is the browser of a request.
func client(r *http.Request) signin.Client {
	return signin.Client{IP: web.SourceIP(r), UserAgent: r.UserAgent(), RequestID: web.RequestID(r.Context())}
}

// frame returns what surrounds a page; v is nil for people who are not signed in.
func (h *handler) frame(r *http.Request, v *signin.Visit, title string, nav pages.Nav) pages.Frame {
	f := pages.Frame{
		Title: title, Nav: nav, Done: pages.Done(r.URL.Query().Get("done")), RequestID: web.RequestID(r.Context()),
		Now: h.now(), Zone: zoneOf(""),
	}
	if v == nil {
		return f
	}
	f.Zone = zoneOf(v.Account.OriginCountryCode)
	f.Company, f.Accent, f.Sandbox = v.Account.CompanyName, v.Settings.AccentColor, v.Account.Environment == carrier.Sandbox
	f.Partner, f.Support = cmp.Or(v.Settings.DisplayName, v.Partner.Name), pages.Support{Email: v.Settings.SupportEmail, URL: v.Settings.SupportURL}
	if v.Session.Method == signin.MethodPartner {
		f.OpenedBy = f.Partner
	}
	return f
}

// zoneOf returns the zone of the times on pages.
func zoneOf(string) *time.Location { return time.UTC }

// formID returns the id of a new form, which makes a repetition of its POST harmless.
func (h *handler) formID() (string, error) {
	b := make([]byte, 15)
	if _, err := io.ReadFull(h.random, b); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}
