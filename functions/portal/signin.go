package main

import (
	"net/http"
	"net/url"

	"carrierlink/shared/fault"
	"carrierlink/shared/pages"
	"carrierlink/shared/secret"
	"carrierlink/shared/signin"
	"carrierlink/shared/web"
)

// The paths of the pages of signing in.
const (
	homePath       = "/portal"
	signInPath     = web.SignIn
	forgotPath     = "/portal/forgot"
	forgotSentPath = "/portal/forgot/sent"
	confirmPath    = "/portal/confirm"
)

// signInRoutes are the pages of people who are not signed in, and of the step-up. No GET uses
// up a link: mail scanners open them before people do.
func (h *handler) signInRoutes() []web.Route {
	return []web.Route{
		{Pattern: "GET " + signInPath, Handler: h.signInPage},
		{Pattern: "POST " + signInPath, Handler: h.signInPost},
		{Pattern: "POST /portal/sign-out", Handler: h.signOut},
		{Pattern: "GET " + forgotPath, Handler: h.forgotPage},
		{Pattern: "POST " + forgotPath, Handler: h.forgotPost},
		{Pattern: "GET " + forgotSentPath, Handler: h.forgotSent},
		{Pattern: "GET /portal/reset/{token}", Handler: h.newPasswordPage(signin.TokenReset)},
		{Pattern: "POST /portal/reset/{token}", Handler: h.newPasswordPost(signin.TokenReset)},
		{Pattern: "GET /portal/invitation/{token}", Handler: h.newPasswordPage(signin.TokenInvitation)},
		{Pattern: "POST /portal/invitation/{token}", Handler: h.newPasswordPost(signin.TokenInvitation)},
		{Pattern: "GET /portal/verify-email/{token}", Handler: h.verifyEmailPage},
		{Pattern: "POST /portal/verify-email/{token}", Handler: h.verifyEmailPost},
		{Pattern: "GET /portal/enter/{token}", Handler: h.enterPage},
		{Pattern: "POST /portal/enter/{token}", Handler: h.enterPost},
		{Pattern: "GET " + confirmPath, Handler: h.owner(h.confirmPage)},
		{Pattern: "POST " + confirmPath, Handler: h.renewing(h.owner(h.confirmPost), homePath, "")},
	}
}

// signInPage asks for email and password, or leads on who is signed in.
func (h *handler) signInPage(w http.ResponseWriter, r *http.Request) error {
	next := web.LocalPath(r.URL.Query().Get("next"), homePath)
	if cookie := web.Cookie(r); !cookie.IsZero() {
		_, err := h.signin.Visit(r.Context(), cookie, "", client(r))
		if err == nil {
			return web.Redirect(w, r, next, nil)
		}
		if !fault.Is(err, fault.Unauthorized) {
			return err
		}
	}
	return h.showForm(w, r, nil, func(f pages.Frame, id string) web.Page {
		return pages.SignIn(f, pages.SignInForm{FormID: id, Next: next})
	})
}

// signInPost signs in. A wrong password and an email that nobody has get the same answer.
func (h *handler) signInPost(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	next, email := web.LocalPath(form.Get("next"), homePath), form.Get("email")
	var started signin.Started
	if err = required(form, "email", "password"); err == nil {
		started, err = h.signin.SignIn(r.Context(), email, secret.New(form.Get("password")), web.Cookie(r), client(r))
	}
	if err == nil {
		return welcome(w, r, started, next, "")
	}
	if fault.Is(err, fault.Unauthorized) || fault.Is(err, fault.Inactive) {
		err = about("email", err)
	}
	return h.askAgain(w, r, nil, err, func(f pages.Frame, id string) web.Page {
		return pages.SignIn(f, pages.SignInForm{FormID: id, Email: email, Next: next})
	})
}

// welcome gives the browser a new session and leads to a page.
func welcome(w http.ResponseWriter, r *http.Request, started signin.Started, next string, done pages.Done) error {
	web.SetCookie(w, started.Text)
	web.Identify(r.Context(), started.Session.AccountID, started.Session.PartnerID)
	return redirectDone(w, r, next, done)
}

// redirectDone leads to a page that says what was done; done may be empty.
func redirectDone(w http.ResponseWriter, r *http.Request, path string, done pages.Done) error {
	query := url.Values{}
	if done != "" {
		query.Set("done", string(done))
	}
	return web.Redirect(w, r, path, query)
}

// signOut ends the session. Whoever has none is signed out already.
func (h *handler) signOut(w http.ResponseWriter, r *http.Request) error {
	if cookie := web.Cookie(r); !cookie.IsZero() {
		if err := h.signin.SignOut(r.Context(), cookie); err != nil {
			return err
		}
	}
	web.SetCookie(w, secret.Text{})
	return redirectDone(w, r, signInPath, pages.DoneSignedOut)
}

// noMail reports whether no mail is sent.
func (h *handler) noMail() bool { return h.signin.Mailer == nil }

// forgotPage asks for the address that gets a link.
func (h *handler) forgotPage(w http.ResponseWriter, r *http.Request) error {
	return h.showForm(w, r, nil, func(f pages.Frame, id string) web.Page {
		return pages.Forgot(f, pages.ForgotForm{FormID: id, NoMail: h.noMail()})
	})
}

// forgotPost sends the link. Whether the address has an account is not told.
func (h *handler) forgotPost(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	if h.noMail() {
		return web.Redirect(w, r, forgotPath, nil)
	}
	email := form.Get("email")
	if err = required(form, "email"); err == nil {
		err = h.signin.Forgot(r.Context(), email, client(r))
	}
	if err == nil {
		return web.Redirect(w, r, forgotSentPath, nil)
	}
	return h.askAgain(w, r, nil, err, func(f pages.Frame, id string) web.Page {
		return pages.Forgot(f, pages.ForgotForm{FormID: id, Email: email})
	})
}

func (h *handler) forgotSent(w http.ResponseWriter, r *http.Request) error {
	return web.Render(w, r, http.StatusOK, pages.ForgotSent(h.frame(r, nil, pages.NoNav)))
}

// goneLinks are the pages for links that no longer work.
var goneLinks = map[signin.TokenKind]pages.Gone{ // never changes
	signin.TokenReset: pages.GoneReset, signin.TokenInvitation: pages.GoneInvitation,
	signin.TokenVerifyEmail: pages.GoneVerify, signin.TokenEnter: pages.GoneEnter,
}

// linkGone answers for a link that was used, is too old or was never made, all in the same
// way. Any other error is returned.
func (h *handler) linkGone(w http.ResponseWriter, r *http.Request, kind signin.TokenKind, err error) error {
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	return web.Render(w, r, http.StatusNotFound, pages.LinkGone(h.frame(r, nil, pages.NoNav), goneLinks[kind]))
}

// newPasswordPage shows whose password the link sets.
func (h *handler) newPasswordPage(kind signin.TokenKind) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		token, err := h.signin.Token(r.Context(), kind, r.PathValue("token"))
		if err != nil {
			return h.linkGone(w, r, kind, err)
		}
		return h.showForm(w, r, nil, newPassword(r, token))
	}
}

func newPassword(r *http.Request, token signin.Token) func(pages.Frame, string) web.Page {
	return func(f pages.Frame, id string) web.Page {
		return pages.NewPassword(f, pages.NewPasswordForm{
			FormID: id, Path: r.URL.Path, Email: token.Email, Invitation: token.Kind == signin.TokenInvitation,
		})
	}
}

// newPasswordPost sets the password and signs in.
func (h *handler) newPasswordPost(kind signin.TokenKind) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		form, err := web.Form(r)
		if err != nil {
			return err
		}
		text := r.PathValue("token")
		var started signin.Started
		if err = required(form, "password"); err == nil {
			started, err = h.signin.SetPassword(r.Context(), kind, text, secret.New(form.Get("password")), client(r))
		}
		if err == nil {
			return welcome(w, r, started, homePath, pages.DonePasswordSet)
		}
		if !wrongInput(err) {
			return h.linkGone(w, r, kind, err)
		}
		token, gone := h.signin.Token(r.Context(), kind, text)
		if gone != nil {
			return h.linkGone(w, r, kind, gone)
		}
		return h.askAgain(w, r, nil, err, newPassword(r, token))
	}
}

// verifyEmailPage shows which address the account gets.
func (h *handler) verifyEmailPage(w http.ResponseWriter, r *http.Request) error {
	token, err := h.signin.Token(r.Context(), signin.TokenVerifyEmail, r.PathValue("token"))
	if err != nil {
		return h.linkGone(w, r, signin.TokenVerifyEmail, err)
	}
	return h.showForm(w, r, nil, func(f pages.Frame, id string) web.Page {
		return pages.VerifyEmail(f, pages.VerifyForm{FormID: id, Path: r.URL.Path, Email: token.Email})
	})
}

// verifyEmailPost gives the account its new address. All its sessions end.
func (h *handler) verifyEmailPost(w http.ResponseWriter, r *http.Request) error {
	switch err := h.signin.VerifyEmail(r.Context(), r.PathValue("token"), client(r)); {
	case err == nil:
		return redirectDone(w, r, signInPath, pages.DoneEmailChanged)
	case fault.Is(err, fault.Conflict):
		return web.Render(w, r, http.StatusConflict, pages.EmailTaken(h.frame(r, nil, pages.NoNav)))
	default:
		return h.linkGone(w, r, signin.TokenVerifyEmail, err)
	}
}

// enterPage asks whom the partner sends to go on.
func (h *handler) enterPage(w http.ResponseWriter, r *http.Request) error {
	if _, err := h.signin.Token(r.Context(), signin.TokenEnter, r.PathValue("token")); err != nil {
		return h.linkGone(w, r, signin.TokenEnter, err)
	}
	return h.showForm(w, r, nil, func(f pages.Frame, id string) web.Page {
		return pages.Enter(f, pages.EnterForm{FormID: id, Path: r.URL.Path})
	})
}

// enterPost starts a session that the partner opened.
func (h *handler) enterPost(w http.ResponseWriter, r *http.Request) error {
	started, err := h.signin.Enter(r.Context(), r.PathValue("token"), web.Cookie(r), client(r))
	if err != nil {
		return h.linkGone(w, r, signin.TokenEnter, err)
	}
	return welcome(w, r, started, homePath, "")
}

// confirmPage asks for the password again.
func (h *handler) confirmPage(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	return h.showForm(w, r, v, confirmForm(v, web.LocalPath(r.URL.Query().Get("next"), homePath)))
}

func confirmForm(v *signin.Visit, next string) func(pages.Frame, string) web.Page {
	return func(f pages.Frame, id string) web.Page {
		return pages.Confirm(f, pages.ConfirmForm{FormID: id, Email: v.Account.Email, Next: next})
	}
}

// confirmPost checks the password. The session goes on under another cookie.
func (h *handler) confirmPost(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	next := web.LocalPath(form.Get("next"), homePath)
	var started signin.Started
	if err = required(form, "password"); err == nil {
		started, err = h.signin.Confirm(r.Context(), v, secret.New(form.Get("password")), client(r))
	}
	if err == nil {
		return welcome(w, r, started, next, "")
	}
	if first := fault.Of(err)[0]; first.Kind == fault.Unauthorized && first.Field != "" { // without a field the session has ended
		err = about(first.Field, err)
	}
	return h.askAgain(w, r, v, err, confirmForm(v, next))
}
