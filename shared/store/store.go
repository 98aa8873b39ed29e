// Package store is the DynamoDB table. Each aggregate has a package of its own on the
// kit: accounts, keys, connections, breakers, trackcache, claims, events, parcels, webhooks, logins, mails. Store combines them,
// and reads items of several aggregates in one call.
//
// The comment of each method says which faults it returns.
package store

import (
	"carrierlink/shared/store/accounts"
	"carrierlink/shared/store/breakers"
	"carrierlink/shared/store/claims"
	"carrierlink/shared/store/connections"
	"carrierlink/shared/store/deliveries"
	"carrierlink/shared/store/events"
	"carrierlink/shared/store/keys"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/store/logins"
	"carrierlink/shared/store/mails"
	"carrierlink/shared/store/parcels"
	"carrierlink/shared/store/trackcache"
	"carrierlink/shared/store/webhooks"
)

type (
	accountStore    = accounts.Store
	keyStore        = keys.Store
	connectionStore = connections.Store
	healthStore     = breakers.Store
	trackingStore   = trackcache.Store
	claimStore      = claims.Store
	eventStore      = events.Store
	parcelStore     = parcels.Store
	deliveryStore   = deliveries.Store
	webhookStore    = webhooks.Store
	loginStore      = logins.Store
	mailStore       = mails.Store
)

// Store reads and writes all aggregates. It is safe for concurrent use.
type Store struct {
	*accountStore
	*keyStore
	*connectionStore
	*healthStore
	*trackingStore
	*claimStore
	*eventStore
	*parcelStore
	*deliveryStore
	*webhookStore
	*loginStore
	*mailStore

	table *kit.Table
}

// New returns a Store over the table of this name.
func New(api kit.API, table string, o kit.Options) *Store {
	t := kit.New(api, table, o)
	return &Store{
		accounts.New(t), keys.New(t), connections.New(t), breakers.New(t), trackcache.New(t), claims.New(t), events.New(t), parcels.New(t), deliveries.New(t), webhooks.New(t), logins.New(t), mails.New(t), t,
	}
}
