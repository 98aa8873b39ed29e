package main

import (
	"net/http"
	"net/url"

	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/pages"
	"carrierlink/shared/secret"
	"carrierlink/shared/signin"
	"carrierlink/shared/web"
)

// connectionRoutes are the pages of one connection.
func (h *handler) connectionRoutes() []web.Route {
	const at = carriersPath + "/{carrier_id}"
	routes := []web.Route{
		{Pattern: "GET " + at, Handler: h.linked(h.signedIn, h.connectionPage)},
		{Pattern: "GET " + at + "/timeline", Handler: h.linked(h.signedIn, h.timelinePage)},
		{Pattern: "GET " + at + "/change", Handler: h.linked(h.signedIn, h.changePage)},
		{Pattern: "POST " + at + "/change", Handler: h.linked(h.signedIn, h.changePost)},
		{Pattern: "POST " + at + "/verify", Handler: h.linked(h.signedIn, h.verifyPost)},
		{Pattern: "GET " + at + "/rollback", Handler: h.linked(h.signedIn, h.rollbackPage)},
		{Pattern: "POST " + at + "/rollback", Handler: h.linked(h.signedIn, h.rollbackPost)},
		{Pattern: "GET " + at + "/disconnect", Handler: h.linked(h.confirmed, h.disconnectPage)},
		{Pattern: "POST " + at + "/disconnect", Handler: h.confirmed(h.disconnectPost)},
	}
	if h.reveals {
		routes = append(routes, web.Route{Pattern: "POST " + at + "/reveal", Handler: h.linked(h.owner, h.revealPost)})
	}
	return routes
}

// linked is a handler of a page about a connection, for those whom who admits. A malformed
// carrier_id, one of another account and one of a connection that is gone are the same
// fault.NotFound.
func (h *handler) linked(who func(visitor) web.Handler, f visitor) web.Handler {
	return who(func(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
		if v.Connection == nil || !v.Connection.Visible() {
			return connection.ErrNoConnection()
		}
		return f(w, r, v)
	})
}

// connectionPage shows a connection. If its history cannot be read it says so, and shows the
// rest.
func (h *handler) connectionPage(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	ctx, c := r.Context(), v.Connection
	f := h.frame(r, v, pages.NavCarriers).Titled(c.Nickname)
	id, err := h.formID()
	if err != nil {
		return err
	}
	partners := v.Session.Method == signin.MethodPartner
	p := pages.ConnectionPage{
		Frame: f, Connection: c, State: pages.StateOf(f, c, v.Breakers[c.Carrier]), FormID: id, MayReveal: h.reveals && !partners, OwnerOnly: partners, NoMail: h.noMail(),
	}
	if v.Snapshot != nil {
		contract, _, err := h.connections.Contracts.Unpack(*v.Snapshot)
		if p.Contract = &contract; err != nil {
			p.NoContract = true
			logMissing(ctx, "contract", err)
		}
	}
	entries, complete, err := h.store.RecentChecks(ctx, v.Account.ID, c.ID, h.now())
	if p.History, p.HistoryCut = entries, !complete; err != nil {
		p.NoHistory = true
		logMissing(ctx, "history", err)
	}
	return web.Render(w, r, http.StatusOK, pages.Connection(p))
}

// verifyPost checks the connection now. The page of the connection shows the result, whatever
// it is.
func (h *handler) verifyPost(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	here := carrierPath(v.Connection.ID)
	show := func(connection.Checked) result { return result{here, pages.DoneChecked} }
	err = once(h, w, r, v, form, show, func(fx effects.For[connection.Checked]) error {
		_, err := h.connections.Verify(r.Context(), *v.Connection, v.Breakers[v.Connection.Carrier], v.By, fx)
		return err
	})
	if isRunning(err) || fault.Is(err, fault.State) && fault.Of(err)[0].RetryAfter > 0 {
		return web.Redirect(w, r, here, nil) // which says that it is being checked or changed
	}
	return err
}

// changePage shows the form that changes a connection.
func (h *handler) changePage(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	values := url.Values{"nickname": {v.Connection.Nickname}, "account_number": {v.Connection.AccountNumber}}
	return h.showForm(w, r, v, changeForm(pages.ChangePage{Connection: v.Connection, Values: values}))
}

func changeForm(p pages.ChangePage) formPage {
	return func(f pages.Frame, id string) web.Page {
		p.Frame, p.FormID = f.Titled("Change your "+p.Connection.Carrier.FriendlyName()+" account"), id
		return pages.ChangeCarrier(p)
	}
}

// changePost changes what differs from what is stored: the carrier is asked first, unless only
// the name differs.
func (h *handler) changePost(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	in, done, err := parseChange(v, form)
	here := carrierPath(v.Connection.ID)
	if err == nil {
		show := func(*connection.Connection) result { return result{here, done} }
		err = once(h, w, r, v, form, show, func(fx effects.For[*connection.Connection]) error {
			in.Effects = fx
			_, err := h.connections.Change(r.Context(), in)
			return err
		})
	}
	if err == nil {
		return nil
	}
	refused := h.refusal(r, v, v.Connection.Carrier, err)
	p := pages.ChangePage{Connection: v.Connection, Values: unhidden(form), Refused: refused.diagnosis, Existing: refused.existing}
	return h.answerRefusal(w, r, v, refused, here, changeForm(p))
}

// parseChange makes the pre-flight checks of a form. An empty key and secret keep the stored
// ones. The error lists every problem in the order of the fields.
func parseChange(v *signin.Visit, form url.Values) (in connection.ChangeRequest, done pages.Done, err error) {
	key, secretText := form.Get("api_key"), form.Get("api_secret")
	nickname, wrong := connection.NicknameRule.Clean("nickname", form.Get("nickname"))
	typed := connection.ChargeAccount{Carrier: v.Connection.Carrier, Number: form.Get("account_number"), Credentials: connection.Credentials{
		APIKey: secret.New(key), APISecret: secret.New(secretText),
	}}
	cleaned, found := connection.Preflight(typed)
	problems := fault.ListOf(wrong)
	for _, p := range found {
		if p.Field == "account_number" || key != "" || secretText != "" {
			problems = append(problems, p)
		}
	}
	in = connection.ChangeRequest{
		Connection: *v.Connection, Number: cleaned.Number, By: v.By, Edit: func(c *connection.Connection) { c.Nickname = nickname },
	}
	done = pages.DoneChanged
	switch {
	case key != "":
		in.Credentials = &cleaned.Credentials
	case cleaned.Number == v.Connection.AccountNumber:
		done = pages.DoneRenamed
	}
	return in, done, problems.Err()
}

// rollbackPage asks whether the previous key shall be used again.
func (h *handler) rollbackPage(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	if !v.Connection.Previous.Available(h.now()) {
		return web.Redirect(w, r, carrierPath(v.Connection.ID), nil)
	}
	return h.showForm(w, r, v, rollbackForm(pages.RollbackPage{Connection: v.Connection}))
}

func rollbackForm(p pages.RollbackPage) formPage {
	return func(f pages.Frame, id string) web.Page {
		p.Frame, p.FormID = f.Titled("Go back to the previous key"), id
		return pages.Rollback(p)
	}
}

// rollbackPost goes back to the previous key and number.
func (h *handler) rollbackPost(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	here := carrierPath(v.Connection.ID)
	show := func(*connection.Connection) result { return result{here, pages.DoneRolledBack} }
	err = once(h, w, r, v, form, show, func(fx effects.For[*connection.Connection]) error {
		_, err := h.connections.Rollback(r.Context(), *v.Connection, false, v.By, fx)
		return err
	})
	switch {
	case err == nil:
		return nil
	case !v.Connection.Previous.Available(h.now()):
		return web.Redirect(w, r, here, nil)
	}
	refused := h.refusal(r, v, v.Connection.Carrier, err)
	p := pages.RollbackPage{Connection: v.Connection, Refused: refused.diagnosis, Existing: refused.existing}
	return h.answerRefusal(w, r, v, refused, here, rollbackForm(p))
}

// disconnectPage asks whether the connection shall be disconnected.
func (h *handler) disconnectPage(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	return h.showForm(w, r, v, func(f pages.Frame, id string) web.Page {
		return pages.Disconnect(pages.DisconnectPage{Frame: f.Titled("Disconnect this account?"), Connection: v.Connection, FormID: id})
	})
}

// disconnectPost disconnects the connection. A repeat has nothing left to do but to finish.
func (h *handler) disconnectPost(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	if _, err := web.Form(r); err != nil {
		return err
	}
	c := v.Connection
	switch {
	case c == nil || c.Status == connection.Linking:
		return connection.ErrNoConnection()
	case c.Status == connection.Disconnected && c.Work == connection.NoWork:
	default:
		if err := h.connections.Unlink(r.Context(), *c, false, effects.MadeBy[*connection.Connection](v.By)); err != nil {
			return err
		}
	}
	return redirectDone(w, r, carriersPath, pages.DoneDisconnected)
}

// revealPost shows the key and the secret, after the password was entered again. The reading
// is counted, recorded and mailed before it is made.
func (h *handler) revealPost(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	if _, err := web.Form(r); err != nil {
		return err
	}
	if !v.Confirmed(h.now()) {
		return askPassword(w, r, carrierPath(v.Connection.ID))
	}
	if err := h.signin.Reveal(r.Context(), v, *v.Connection, client(r)); err != nil {
		return err
	}
	read, err := connection.ReadCredentials(r.Context(), h.connections.Vault, *v.Connection, h.now())
	if err != nil {
		return err
	}
	return web.Render(w, r, http.StatusOK, pages.Revealed(pages.RevealedPage{
		Frame: h.frame(r, v, pages.NavCarriers).Titled("Key and secret"), Connection: v.Connection,
		APIKey: read.APIKey.Reveal(), APISecret: read.APISecret.Reveal(), NoMail: h.noMail(),
	}))
}
