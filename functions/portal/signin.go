package main

import "carrierlink/shared/web"

// signInRoutes are the pages of people who are not signed in, and of the step-up.
func (h *handler) signInRoutes() []web.Route { return nil }
