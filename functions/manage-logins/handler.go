package main

import (
	"context"
	"net/http"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/auth"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/invocation"
	"carrierlink/shared/outbound"
	"carrierlink/shared/signin"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// logins is what this function needs of signin.Service.
type logins interface {
	Invite(ctx context.Context, a account.Account, send bool, fx effects.For[*signin.Issued]) (*signin.Issued, error)
	Ephemeral(ctx context.Context, a account.Account, by effects.By) (*signin.Issued, error)
	EndSessions(ctx context.Context, a account.Account, fx effects.Effects) error
}

type handler struct {
	auth     *auth.Auth
	accounts *account.Service
	loader   store.Loader
	settings *account.SettingsService
	logins   logins
	mails    bool // mail is on
	claims   httpapi.Claims
	answers  httpapi.Find // finds stored answers
	sealer   httpapi.Sealer
	urls     outbound.Rules
	now      func() time.Time
}

// How an invitation gets to its account.
const (
	deliverByMail = "mail"
	deliverNone   = "none" // the partner hands over the URL
)

// invite invites the owner of an account to set a password. The mail is no part of the
// transaction, so a repetition must find the key claimed before it queues another one. Errors:
// those of Request.JSON and signin.Service.Invite; fault.State for a mail while mail is off.
func (h *handler) invite(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	caller, a, err := h.auth.PartnerAccount(ctx, req, h.accounts.Find)
	if err != nil {
		return nil, err
	}
	now := h.now()
	return httpapi.Claimed(ctx, h.sealer, h.claims, req, caller, now, invocation.Lease(ctx, now), func(change *httpapi.Change) (*httpapi.Response, error) {
		deliver := deliverByMail
		if err := req.JSON(httpapi.String("deliver", &deliver, cleanDeliver)); err != nil && !fault.Is(err, fault.BodyRequired) {
			return nil, err
		}
		if deliver == deliverByMail && !h.mails {
			return nil, fault.Field(fault.State, "deliver", "This service sends no mail; use deliver none and hand over the invitation_url.")
		}
		show := func(issued *signin.Issued) *httpapi.Response {
			body := views.Invitation{AccountID: a.ID, Email: issued.Email, Delivered: deliver, ExpiresAt: httpapi.Time(issued.ExpiresAt)}
			if deliver == deliverNone {
				body.InvitationURL = httpapi.Text(pageURL(req, "/portal/invitation/", issued))
			}
			return httpapi.JSON(http.StatusCreated, body)
		}
		return httpapi.Show(ctx, change, show, func(fx effects.For[*signin.Issued]) error {
			_, err := h.logins.Invite(ctx, *a, deliver == deliverByMail, fx)
			return err
		})
	})
}

func cleanDeliver(field, s string) (string, *fault.Error) {
	if s != deliverByMail && s != deliverNone {
		return "", fault.Field(fault.Invalid, field, "%s must be %s or %s.", field, deliverByMail, deliverNone)
	}
	return s, nil
}

// pageURL returns the address of the page that a token opens.
func pageURL(req *httpapi.Request, path string, issued *signin.Issued) string {
	return req.Address(path + issued.Text.Reveal())
}

// endSessions signs an account out everywhere: 204.
func (h *handler) endSessions(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	caller, a, err := h.auth.PartnerAccount(ctx, req, h.accounts.Find)
	if err != nil {
		return nil, err
	}
	if err := h.logins.EndSessions(ctx, *a, effects.Effects{By: caller.By()}); err != nil {
		return nil, err
	}
	return httpapi.NoContent(), nil
}

// dashboard is the only value of ShipEngine's parameter redirect.
const dashboard = "shipengine-dashboard"

// ephemeral makes the token with which a partner opens the account page for a merchant.
// Errors: those of auth.PartnerOnBehalf and signin.Service.Ephemeral; fault.Invalid for another
// redirect.
func (h *handler) ephemeral(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	var loaded store.Loaded
	caller, err := h.auth.PartnerOnBehalf(ctx, req, store.Want{Now: h.now()}.LoadInto(&loaded, h.loader))
	if err != nil {
		return nil, err
	}
	redirect := false
	if problems := req.Single("redirect", func(value string) *fault.Error {
		if redirect = value == dashboard; !redirect {
			return fault.Field(fault.Invalid, "redirect", "redirect must be %s.", dashboard)
		}
		return nil
	}); problems != nil {
		return nil, problems
	}
	issued, err := h.logins.Ephemeral(ctx, *loaded.Account, caller.By())
	if err != nil {
		return nil, err
	}
	body := views.EphemeralToken{Token: issued.Text.Reveal(), ExpiresAt: httpapi.Time(issued.ExpiresAt)}
	if redirect {
		body.RedirectURL = pageURL(req, "/portal/enter/", issued)
	}
	return httpapi.JSON(http.StatusOK, body), nil
}

// getSettings answers with the partner's settings, or with 304.
func (h *handler) getSettings(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	var s account.Settings
	_, err := h.auth.PartnerBeside(ctx, req, func(ctx context.Context, partnerID int64) (err error) {
		s, err = h.settings.Get(ctx, partnerID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return httpapi.Conditional(req, views.SettingsETag(s), func() *httpapi.Response {
		return httpapi.JSON(http.StatusOK, views.NewSettings(s))
	}), nil
}

// replaceSettings replaces the partner's settings and answers with them. Errors: those of
// Request.JSON, all of them at once; those of httpapi.IfMatch and account.SettingsService.
func (h *handler) replaceSettings(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	caller, err := h.auth.Partner(ctx, req)
	if err != nil {
		return nil, err
	}
	return httpapi.Once(ctx, h.sealer, req, caller, h.now(), h.answers, func(change *httpapi.Change) (*httpapi.Response, error) {
		var next account.Settings
		check := func(field, s string) *fault.Error { return outbound.CheckURL(field, s, h.urls) }
		if err := req.JSON(views.SettingsFields(&next, check)...); err != nil {
			return nil, err
		}
		show := func(s *account.Settings) *httpapi.Response {
			resp := httpapi.JSON(http.StatusOK, views.NewSettings(*s))
			resp.Header["ETag"] = views.SettingsETag(*s)
			return resp
		}
		return httpapi.Show(ctx, change, show, func(fx effects.For[*account.Settings]) error {
			match := func(s account.Settings) (bool, error) { return httpapi.IfMatch(req, views.SettingsETag(s)) }
			return h.settings.Replace(ctx, caller.PartnerID, next, match, fx)
		})
	})
}
