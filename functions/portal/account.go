package main

import "carrierlink/shared/web"

// accountRoutes are the pages below /portal/account.
func (h *handler) accountRoutes() []web.Route { return nil }
