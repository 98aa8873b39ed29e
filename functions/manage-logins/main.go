// Manage-logins serves what a partner does about the account page of its merchants: invite
// them, open it for them, end their sessions, and set what it shows.
package main

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"carrierlink/shared/account"
	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/outbound"
	"carrierlink/shared/queue"
	"carrierlink/shared/signin"
	"carrierlink/shared/vault"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any {
	_, api, _ := build(env)
	return api.Serve
}

func build(env *app.Env) (*handler, *httpapi.API, *vault.ServiceSecret) {
	parts := construct.From(env)
	table, sealer := parts.Table(), parts.Sealer()
	h := &handler{
		auth: parts.Auth(), accounts: parts.Accounts(), loader: table, claims: table, answers: table.Idempotency, sealer: sealer, now: time.Now,
		settings: &account.SettingsService{Store: table, Now: time.Now, Random: rand.Reader},
		urls:     outbound.Rules{AllowLoopback: parts.AllowLoopback()},
	}
	// No password is set or checked here, and no session starts: what that needs is not linked.
	logins := &signin.Service{Store: table, Now: time.Now, Random: rand.Reader}
	if url := env.Optional("MAIL_QUEUE_URL"); url != "" {
		logins.Mailer, h.mails = queue.NewMails(sqs.NewFromConfig(parts.AWS()), url, sealer), true
	}
	h.logins = logins
	return h, parts.APIWithLinks(h.routes()...), parts.ServiceSecret()
}

func (h *handler) routes() []httpapi.Route {
	const one, settings = "/v1/partners/accounts/{account_id}", "/v1/partners/settings"
	return []httpapi.Route{
		{Method: http.MethodPost, Resource: one + "/login_invitations", Handler: h.invite},
		{Method: http.MethodDelete, Resource: one + "/sessions", Handler: h.endSessions},
		{Method: http.MethodPost, Resource: "/v1/tokens/ephemeral", Handler: h.ephemeral},
		{Method: http.MethodGet, Resource: settings, Handler: h.getSettings},
		{Method: http.MethodPut, Resource: settings, Handler: h.replaceSettings},
	}
}
