package main

import (
	"carrierlink/shared/fault"
	"carrierlink/shared/web"
)

const confirmPath = "/portal/confirm"

// errOpenedByPartner is fault.Forbidden: a session that the partner opened may not do this.
func errOpenedByPartner() *fault.Error {
	return fault.New(fault.Forbidden, "This page was opened for you by your platform. Sign in with your own password to do this.")
}

// signInRoutes are the pages of people who are not signed in, and of the step-up.
func (h *handler) signInRoutes() []web.Route { return nil }
