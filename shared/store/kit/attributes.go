package kit

// Attributes that conditions and updates name. All others are named where they are
// converted. Written expressions name no reserved word of DynamoDB without an alias.
const (
	AttrAccountID  = "account_id"
	AttrPartnerID  = "partner_id"
	AttrActive     = "active"
	AttrCarriers   = "carriers_count"
	AttrKeys       = "keys_count" // API keys of the account, expired ones included
	AttrWasActive  = "was_active" // of a deleted account: active, as a restore sets it
	AttrWasIn      = "was_in"     // of a deleted account: active_pk, as a restore sets it
	AttrModified   = "modified_at"
	AttrStatus     = "status"
	AttrVersion    = "version"
	AttrWriteID    = "write_id" // of the last WriteEdit
	AttrLease      = "lease_until"
	AttrStanding   = "standing"
	AttrWork       = "work"
	AttrNextCheck  = "next_refresh_at"
	AttrReads      = "scheduled_reads" // of credentials by the schedule, on reads_day
	AttrReadsDay   = "reads_day"
	AttrUnrecorded = "unrecorded" // claims of the schedule since the last recorded check
	AttrCarrierIDs = "carrier_ids"
	AttrMade       = "made"     // links of the day
	AttrUnlinked   = "unlinked" // unlinkings of the day
	AttrClaimID    = "claim_id"
	AttrSealed     = "sealed"
	AttrReplacedBy = "replaced_by"
	AttrValidUntil = "valid_until" // end of an API key; not the TTL attribute, as an expired key stays listed
	AttrWindow     = "rate_window" // start of the key's current minute, epoch seconds
	AttrUsed       = "rate_used"   // calls within that minute
	AttrLastDay    = "last_used_day"
	AttrChecks     = "checks"
	AttrGood       = "good"
	AttrVotes      = "votes" // set of texts
	AttrEventType  = "type"
	AttrWakes      = "wakes" // how often a webhook was marked as due
	AttrRecovered  = "recovered_at"
	AttrRestarts   = "restarts" // how often what its runs remember was forgotten
	AttrPause      = "paused_until"
	AttrCall       = "call_" // followed by n: time of the call n calls ago
	AttrEpoch      = "epoch"
	AttrBrowsers   = "browsers" // set of texts
	AttrLastSeen   = "last_seen_at"
	AttrPassword   = "password_hash"
)
