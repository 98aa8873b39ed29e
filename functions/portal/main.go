// Portal serves the account page to merchants: sign-in, overview, carriers, account.
package main

import (
	"crypto/rand"
	"time"

	"carrierlink/shared/app"
	"carrierlink/shared/app/construct"
	"carrierlink/shared/web"
)

func main() { app.Main(wire) }

func wire(env *app.Env) any {
	_, site := build(env)
	return site.Serve
}

func build(env *app.Env) (*handler, *web.Site) {
	parts := construct.From(env)
	h := &handler{accounts: parts.Accounts(), connections: parts.Connections(), store: parts.Table(), now: time.Now, random: rand.Reader}
	site := &web.Site{PublicURL: env.OptionalURL("PUBLIC_URL"), Routes: h.routes(), Metrics: env.Metrics()}
	return h, site
}
