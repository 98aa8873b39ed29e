package main

import "carrierlink/shared/web"

// overviewRoutes are /portal and the help.
func (h *handler) overviewRoutes() []web.Route { return nil }
