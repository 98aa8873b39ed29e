package main

import (
	"io"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/seal"
	"carrierlink/shared/signin"
	"carrierlink/shared/store"
	"carrierlink/shared/web"
)

type handler struct {
	signin      *signin.Service
	accounts    *account.Service
	connections *connection.Service
	store       *store.Store
	sealer      *seal.Sealer // of answers that are kept
	reveals     bool         // whether merchants can see the secret of a connection again
	now         func() time.Time
	random      io.Reader // of the ids of forms
}

func (h *handler) routes() []web.Route {
	return slices.Concat(h.signInRoutes(), h.accountRoutes(), h.overviewRoutes(), h.carrierRoutes())
}
