package main

import (
	"net/http"
	"net/url"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/pages"
	"carrierlink/shared/secret"
	"carrierlink/shared/signin"
	"carrierlink/shared/store"
	"carrierlink/shared/web"
)

const carriersPath = "/portal/carriers"

// carrierPath returns the path of the page of a connection.
func carrierPath(id string) string { return carriersPath + "/" + id }

// carrierRoutes are the pages below /portal/carriers.
func (h *handler) carrierRoutes() []web.Route {
	routes := []web.Route{{Pattern: "GET " + carriersPath, Handler: h.signedIn(h.carriersPage)}}
	for _, name := range carrier.Names() {
		path := carriersPath + "/new/" + string(name)
		routes = append(
			routes,
			web.Route{Pattern: "GET " + path, Handler: h.signedIn(h.linkPage(name))},
			web.Route{Pattern: "POST " + path, Handler: h.signedIn(h.linkPost(name))},
		)
	}
	return append(routes, h.connectionRoutes()...)
}

// carriersPage lists the connections of the account.
func (h *handler) carriersPage(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	f := h.frame(r, v, pages.NavCarriers).Titled("Carriers")
	lines, err := h.carrierLines(r.Context(), f, v)
	if err != nil {
		return err
	}
	return web.Render(w, r, http.StatusOK, pages.Carriers(pages.CarriersPage{Frame: f, Carriers: lines}))
}

// linkPage shows the form that links a charge account.
func (h *handler) linkPage(name carrier.Name) visitor {
	return func(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
		return h.showForm(w, r, v, linkForm(pages.LinkPage{Carrier: name}))
	}
}

func linkForm(p pages.LinkPage) formPage {
	return func(f pages.Frame, id string) web.Page {
		p.Frame, p.FormID = f.Titled("Link "+p.Carrier.FriendlyName()), id
		return pages.LinkCarrier(p)
	}
}

// linkPost links a charge account, once for each form. After an outage the form offers to save
// what was entered and to check it later; that form has the key and the secret sealed.
func (h *handler) linkPost(name carrier.Name) visitor {
	return func(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
		form, err := web.Form(r)
		if err != nil {
			return err
		}
		in, err := h.parseLink(r, v, name, form)
		if err == nil {
			err = h.link(w, r, v, form, in)
		}
		if err == nil {
			return nil
		}
		p := pages.LinkPage{Carrier: name, Values: unhidden(form)}
		if in.ChargeAccount.Number != "" && isOutage(err) {
			var sealErr error
			if p.Kept, sealErr = h.keep(r.Context(), v, in.ChargeAccount); sealErr != nil {
				return sealErr
			}
		}
		refused := h.refusal(r, v, name, err)
		p.Refused, p.Existing = refused.diagnosis, refused.existing
		return h.answerRefusal(w, r, v, refused, carriersPath, linkForm(p))
	}
}

// parseLink makes the pre-flight checks of a form. The error lists every problem in the order
// of the fields.
func (h *handler) parseLink(r *http.Request, v *signin.Visit, name carrier.Name, form url.Values) (connection.LinkRequest, error) {
	typed := connection.ChargeAccount{Carrier: name, Number: form.Get("account_number"), Credentials: connection.Credentials{
		APIKey: secret.New(form.Get("api_key")), APISecret: secret.New(form.Get("api_secret")),
	}}
	kept := form.Get("kept")
	if kept != "" {
		var err error
		if typed.Credentials, err = h.openKept(r.Context(), v, typed, kept); err != nil {
			return connection.LinkRequest{}, err
		}
	}
	nickname, wrong := connection.NicknameRule.Clean("nickname", form.Get("nickname"))
	account, problems := connection.Preflight(typed)
	return connection.LinkRequest{
		Account: v.Account, ChargeAccount: account, Nickname: nickname, VerifyLater: kept != "", RefreshPolicy: connection.RefreshDaily,
	}, append(fault.ListOf(wrong), problems...).Err()
}

// link links what parseLink has checked. Errors: those of connection.Service.Link and of once.
func (h *handler) link(w http.ResponseWriter, r *http.Request, v *signin.Visit, form url.Values, in connection.LinkRequest) error {
	number := connection.Number{Carrier: in.ChargeAccount.Carrier, Number: in.ChargeAccount.Number}
	loaded, err := h.store.Load(r.Context(), v.Account.ID, store.Want{Now: h.now(), Number: &number})
	if err != nil {
		return err
	}
	in.Holders = loaded.LinkedAs
	show := func(c *connection.Connection) result {
		if c.Status == connection.PendingVerification {
			return result{carrierPath(c.ID), pages.DoneSaved}
		}
		return result{carrierPath(c.ID), pages.DoneLinked}
	}
	return once(h, w, r, v, form, show, func(fx effects.For[*connection.Connection]) error {
		in.Effects = fx
		_, err := h.connections.Link(r.Context(), in)
		return err
	})
}

// unhidden returns what a form shows again of what was entered: no secret.
func unhidden(form url.Values) url.Values {
	return url.Values{"nickname": {form.Get("nickname")}, "account_number": {form.Get("account_number")}}
}
