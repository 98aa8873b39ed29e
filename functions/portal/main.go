// Portal serves the account page to merchants: sign-in, overview, carriers, account.
package main

import (
	"crypto/rand"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/connection"
	"carrierlink/shared/email"
	"carrierlink/shared/fault"
	"carrierlink/shared/pages"
	"carrierlink/shared/password"
	"carrierlink/shared/queue"
	"carrierlink/shared/signin"
	"carrierlink/shared/vault"
	"carrierlink/shared/web"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any {
	_, site, _ := build(env)
	return site.Serve
}

func build(env *app.Env) (*handler, *web.Site, *vault.ServiceSecret) {
	parts := construct.From(env)
	table, connections, accounts := parts.Table(), parts.Connections(), parts.Accounts()
	table.Caps = connection.Caps{
		Connections: env.Count("MAX_CONNECTIONS_PER_ACCOUNT"), Duplicates: env.Count("MAX_DUPLICATES_PER_NUMBER"), LinksPerDay: env.Count("MAX_LINKS_PER_DAY"),
	}
	connections.LinksPerMinute, connections.CallsPerMinute = env.Count("LINKS_PER_MINUTE"), env.Count("CARRIER_CALLS_PER_MINUTE")
	accounts.EmailKey, accounts.Connections = email.Key, connections
	logins := &signin.Service{
		Store: table, EmailKey: email.Key, Hash: password.Hash, Check: password.Check, Weaker: password.Weaker, Now: time.Now, Random: rand.Reader,
		Idle: time.Duration(env.Count("SESSION_IDLE_MINUTES")) * time.Minute, Longest: time.Duration(env.Count("SESSION_HOURS")) * time.Hour,
	}
	if url := env.Optional("MAIL_QUEUE_URL"); url != "" {
		logins.Mailer = queue.NewMails(sqs.NewFromConfig(parts.AWS()), url, parts.Sealer())
	}
	h := &handler{
		signin: logins, accounts: accounts, connections: connections, store: table, sealer: parts.Sealer(), reveals: env.Switch("SECRET_REVEAL"), now: time.Now, random: rand.Reader,
	}
	return h, h.site(env.OptionalURL("PUBLIC_URL"), env), parts.ServiceSecret()
}

// site is all pages at the public address, which may be empty.
func (h *handler) site(publicURL string, env *app.Env) *web.Site {
	return &web.Site{
		PublicURL: publicURL, Assets: pages.Assets(), Error: h.problem, Metrics: env.Metrics(),
		Routes: slices.Concat(h.routes(), []web.Route{{Pattern: "GET /assets/accent/{name}", Handler: accent}}),
	}
}

// accent is the stylesheet of a partner's colour, named rrggbb.css: another one is fault.NotFound.
func accent(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	asset, ok := pages.Accent("#" + name[:min(6, len(name))])
	if !ok || asset.Name != name {
		return fault.New(fault.NotFound, "There is no such colour.")
	}
	return web.Send(w, asset)
}
