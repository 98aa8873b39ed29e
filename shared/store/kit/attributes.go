package kit

// Attributes that conditions and updates name. Everything else is named where
// it is converted. None is a reserved word of DynamoDB but those with an alias
// in their expression.
const (
	AttrAccountID  = "account_id"
	AttrPartnerID  = "partner_id"
	AttrActive     = "active"
	AttrCarriers   = "carriers_count"
	AttrKeys       = "keys_count" // key items of the account, expired ones included
	AttrWasActive  = "was_active" // of a deleted account: what a restore brings back
	AttrWasIn      = "was_in"     // the same: its active_pk
	AttrModified   = "modified_at"
	AttrStatus     = "status"
	AttrVersion    = "version"
	AttrLease      = "lease_until"
	AttrStanding   = "standing"
	AttrWork       = "work"
	AttrNextCheck  = "next_refresh_at"
	AttrUnrecorded = "unrecorded" // claims of the schedule since the last check that was recorded
	AttrCarrierIDs = "carrier_ids"
	AttrMade       = "made"     // of a day: links
	AttrUnlinked   = "unlinked" // of a day
	AttrClaimID    = "claim_id"
	AttrSealed     = "sealed"
	AttrReplacedBy = "replaced_by"
	AttrValidUntil = "valid_until" // of an API key; not the TTL attribute: an expired key stays listed
	AttrWindow     = "rate_window" // start of the key's current minute, epoch seconds
	AttrUsed       = "rate_used"   // calls within that minute
	AttrLastDay    = "last_used_day"
	AttrChecks     = "checks"
	AttrGood       = "good"
	AttrVotes      = "votes" // a set of voteText
	AttrCall       = "call_" // and how many calls ago: when it was
)
