package auth

import (
	"carrierlink/shared/carrier"
)

// scopes is what a key needs for each route with a key: the one place that says
// so. A test holds it against x-required-scope of the contract.
var scopes = map[string]carrier.Scope{
	"POST /v1/partners/accounts":                                           carrier.ScopeAdmin,
	"GET /v1/partners/accounts":                                            carrier.ScopeRead,
	"GET /v1/partners/accounts/{account_id}":                               carrier.ScopeRead,
	"GET /v1/partners/accounts/external_account_id/{external_account_id}":  carrier.ScopeRead,
	"PATCH /v1/partners/accounts/{account_id}":                             carrier.ScopeAdmin,
	"DELETE /v1/partners/accounts/{account_id}":                            carrier.ScopeAdmin,
	"PUT /v1/partners/accounts/{account_id}/enable":                        carrier.ScopeAdmin,
	"PUT /v1/partners/accounts/{account_id}/disable":                       carrier.ScopeAdmin,
	"PUT /v1/partners/accounts/{account_id}/restore":                       carrier.ScopeAdmin,
	"GET /v1/partners/countries":                                           carrier.ScopeRead,
	"POST /v1/partners/accounts/{account_id}/api_keys":                     carrier.ScopeAdmin,
	"GET /v1/partners/accounts/{account_id}/api_keys":                      carrier.ScopeRead,
	"POST /v1/partners/accounts/{account_id}/api_keys/{api_key_id}/rotate": carrier.ScopeAdmin,
	"DELETE /v1/partners/accounts/{account_id}/api_keys/{api_key_id}":      carrier.ScopeAdmin,
	"GET /v1/connections/carriers":                                         carrier.ScopeRead,
	"POST /v1/connections/carriers/{carrier_name}":                         carrier.ScopeLink,
	"POST /v1/connections/carriers/{carrier_name}/validate":                carrier.ScopeLink,
	"PUT /v1/connections/carriers/{carrier_name}/{carrier_id}":             carrier.ScopeLink,
	"DELETE /v1/connections/carriers/{carrier_name}/{carrier_id}":          carrier.ScopeLink,
	"POST /v1/connections/carriers/{carrier_name}/{carrier_id}/rollback":   carrier.ScopeLink,
	"POST /v1/connections/carriers/{carrier_name}/{carrier_id}/verify":     carrier.ScopeLink,
	"GET /v1/carriers":                       carrier.ScopeRead,
	"GET /v1/carriers/status":                carrier.ScopeRead,
	"GET /v1/carriers/{carrier_id}":          carrier.ScopeRead,
	"DELETE /v1/carriers/{carrier_id}":       carrier.ScopeLink,
	"GET /v1/carriers/{carrier_id}/account":  carrier.ScopeRead,
	"POST /v1/carriers/{carrier_id}/refresh": carrier.ScopeLink,
	"GET /v1/carriers/{carrier_id}/history":  carrier.ScopeRead,
	"GET /v1/tracking":                       carrier.ScopeRead,
}

// RequiredScope is what a key needs for a route; ok is false for a route that
// needs none or is not known.
func RequiredScope(method, resource string) (scope carrier.Scope, ok bool) {
	scope, ok = scopes[method+" "+resource]
	return scope, ok
}
