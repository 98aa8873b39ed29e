package kit

// MaxParts is how many parts a transaction of DynamoDB may have.
const MaxParts = 100

// Names of parts of transactions.
const (
	PartAccount     = "account"
	PartPartner     = "partner"
	PartPartners    = "list of partners"
	PartSettings    = "settings of a partner"
	PartKey         = "API key"
	PartExternal    = "external id"
	PartEmail       = "email"
	PartIdempotency = "idempotency"
	PartOldExternal = "old external id"
	PartOldEmail    = "old email"
	PartOldKey      = "old API key"
	PartSpentKey    = "expired API key"
	PartConnection  = "connection"
	PartSnapshot    = "snapshot"
	PartNumber      = "number"
	PartOldNumber   = "old number"
	PartHistory     = "history"
	PartDay         = "links of the day"
	PartCall        = "call of the carrier"
	PartBreaker     = "breaker"
	PartPurge       = "purge"
	PartEnd         = "end"
	PartParcel      = "parcel" // with its place among those of the transaction
	PartParcels     = "number of parcels"
	PartParcelDay   = "parcels of the day"
	PartRound       = "round"
	PartWebhooks    = "webhooks"
	PartRuns        = "runs of a webhook"
	PartLogin       = "login"
	PartSession     = "session"
	PartOldSession  = "old session"
	PartToken       = "token"
	PartUsedToken   = "used token"
	partEvent       = "event"
)
