package auth

import "carrierlink/shared/account"

// scopes holds the scope that a key needs for each route. A test compares it with
// x-required-scope in the contract.
var scopes = map[string]account.Scope{
	"POST /v1/partners/accounts":                                           account.ScopeAdmin,
	"GET /v1/partners/accounts":                                            account.ScopeRead,
	"GET /v1/partners/accounts/{account_id}":                               account.ScopeRead,
	"GET /v1/partners/accounts/external_account_id/{external_account_id}":  account.ScopeRead,
	"PATCH /v1/partners/accounts/{account_id}":                             account.ScopeAdmin,
	"DELETE /v1/partners/accounts/{account_id}":                            account.ScopeAdmin,
	"PUT /v1/partners/accounts/{account_id}/enable":                        account.ScopeAdmin,
	"PUT /v1/partners/accounts/{account_id}/disable":                       account.ScopeAdmin,
	"PUT /v1/partners/accounts/{account_id}/restore":                       account.ScopeAdmin,
	"GET /v1/partners/countries":                                           account.ScopeRead,
	"POST /v1/partners/accounts/{account_id}/api_keys":                     account.ScopeAdmin,
	"GET /v1/partners/accounts/{account_id}/api_keys":                      account.ScopeRead,
	"POST /v1/partners/accounts/{account_id}/api_keys/{api_key_id}/rotate": account.ScopeAdmin,
	"DELETE /v1/partners/accounts/{account_id}/api_keys/{api_key_id}":      account.ScopeAdmin,
	"POST /v1/partners/accounts/{account_id}/login_invitations":            account.ScopeAdmin,
	"DELETE /v1/partners/accounts/{account_id}/sessions":                   account.ScopeAdmin,
	"POST /v1/tokens/ephemeral":                                            account.ScopeAdmin,
	"GET /v1/partners/settings":                                            account.ScopeRead,
	"PUT /v1/partners/settings":                                            account.ScopeAdmin,
	"GET /v1/connections/carriers":                                         account.ScopeRead,
	"POST /v1/connections/carriers/{carrier_name}":                         account.ScopeLink,
	"POST /v1/connections/carriers/{carrier_name}/validate":                account.ScopeLink,
	"PUT /v1/connections/carriers/{carrier_name}/{carrier_id}":             account.ScopeLink,
	"DELETE /v1/connections/carriers/{carrier_name}/{carrier_id}":          account.ScopeLink,
	"POST /v1/connections/carriers/{carrier_name}/{carrier_id}/rollback":   account.ScopeLink,
	"POST /v1/connections/carriers/{carrier_name}/{carrier_id}/verify":     account.ScopeLink,

	"GET /v1/carriers":                       account.ScopeRead,
	"GET /v1/carriers/status":                account.ScopeRead,
	"GET /v1/carriers/{carrier_id}":          account.ScopeRead,
	"DELETE /v1/carriers/{carrier_id}":       account.ScopeLink,
	"GET /v1/carriers/{carrier_id}/account":  account.ScopeRead,
	"POST /v1/carriers/{carrier_id}/refresh": account.ScopeLink,
	"GET /v1/carriers/{carrier_id}/history":  account.ScopeRead,
	"GET /v1/tracking":                       account.ScopeRead,
	"POST /v1/tracking/start":                account.ScopeLink,
	"POST /v1/tracking/stop":                 account.ScopeLink,
	"GET /v1/shipments":                      account.ScopeRead,
	"POST /v1/shipments":                     account.ScopeLink,
	"GET /v1/events":                         account.ScopeRead,
	"GET /v1/events/{event_id}":              account.ScopeRead,
	"GET /v1/audit_log":                      account.ScopeRead,

	"POST /v1/environment/webhooks":                                              account.ScopeAdmin,
	"GET /v1/environment/webhooks":                                               account.ScopeRead,
	"GET /v1/environment/webhooks/{webhook_id}":                                  account.ScopeRead,
	"PUT /v1/environment/webhooks/{webhook_id}":                                  account.ScopeAdmin,
	"DELETE /v1/environment/webhooks/{webhook_id}":                               account.ScopeAdmin,
	"POST /v1/environment/webhooks/{webhook_id}/test":                            account.ScopeAdmin,
	"POST /v1/environment/webhooks/{webhook_id}/rotate_secret":                   account.ScopeAdmin,
	"POST /v1/environment/webhooks/{webhook_id}/replay":                          account.ScopeAdmin,
	"GET /v1/environment/webhooks/{webhook_id}/deliveries":                       account.ScopeRead,
	"GET /v1/environment/webhooks/{webhook_id}/deliveries/{delivery_id}":         account.ScopeRead,
	"POST /v1/environment/webhooks/{webhook_id}/deliveries/{delivery_id}/replay": account.ScopeAdmin,
}

// RequiredScope returns the scope that a key needs for a route; ok is false for an
// unknown route and for one that needs no key.
func RequiredScope(method, resource string) (scope account.Scope, ok bool) {
	scope, ok = scopes[method+" "+resource]
	return scope, ok
}
