package main

import "carrierlink/shared/web"

// carrierRoutes are the pages below /portal/carriers.
func (h *handler) carrierRoutes() []web.Route { return nil }
