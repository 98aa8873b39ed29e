package kit

// MostParts is as many parts as a transaction of DynamoDB has.
const MostParts = 100

// Parts of transactions.
const (
	PartAccount     = "account"
	PartPartner     = "partner"
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
	PartBreaker     = "breaker"
	PartPurge       = "purge"
	PartEnd         = "end"
	partEvent       = "event"
)
