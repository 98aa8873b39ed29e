package store

import (
	"slices"
	"time"

	"carrierlink/shared/carrier"
)

// Attributes that conditions and updates name. Everything else is named where
// it is converted. None is a reserved word of DynamoDB but those with an alias
// in their expression.
const (
	attrAccountID  = "account_id"
	attrPartnerID  = "partner_id"
	attrActive     = "active"
	attrCarriers   = "carriers_count"
	attrKeys       = "keys_count" // key items of the account, expired ones included
	attrWasActive  = "was_active" // of a deleted account: what a restore brings back
	attrWasIn      = "was_in"     // the same: its active_pk
	attrModified   = "modified_at"
	attrStatus     = "status"
	attrVersion    = "version"
	attrLease      = "lease_until"
	attrCarrierIDs = "carrier_ids"
	attrClaimID    = "claim_id"
	attrSealed     = "sealed"
	attrReplacedBy = "replaced_by"
	attrValidUntil = "valid_until" // of an API key; not the TTL attribute: an expired key stays listed
	attrWindow     = "rate_window" // start of the key's current minute, epoch seconds
	attrUsed       = "rate_used"   // calls within that minute
	attrLastDay    = "last_used_day"
)

func partnerItem(p carrier.Partner) item {
	it := partnerKey(p.ID).item()
	it.int(attrPartnerID, p.ID)
	it.text("name", p.Name)
	it.text("environment", string(p.Environment))
	it.text("default_country_code", p.DefaultCountryCode)
	it.time("created_at", p.CreatedAt)
	return it
}

func accountItem(a carrier.Account) item {
	it := accountKey(a.ID).item()
	it.int(attrAccountID, a.ID)
	it.int(attrPartnerID, a.PartnerID)
	it.text("environment", string(a.Environment))
	it.text("external_account_id", a.ExternalID)
	it.text("email", a.Email)
	it.text("company_name", a.CompanyName)
	it.text("first_name", a.FirstName)
	it.text("last_name", a.LastName)
	it.text("origin_country_code", a.OriginCountryCode)
	it.text("password_hash", a.PasswordHash)
	it.texts("metadata", a.Metadata)
	it.bool(attrActive, a.Active)
	it.int(attrCarriers, int64(a.CarriersCount))
	it.time("created_at", a.CreatedAt)
	it.time(attrModified, a.ModifiedAt)
	it.seconds(attrTTL, a.PurgeAt)
	it.int(attrVersion, a.Version)
	it.text(attrPartnerPK, partnerPK(a.PartnerID))
	it.text(attrActivePK, activePK(a.PartnerID, a.Active))
	it.text(attrCreatedKey, createdKey(a.CreatedAt.UnixMilli(), a.ID))
	return it
}

// readAccount reads an account as the table or an index has it. An index has no
// password hash.
func readAccount(it item) (carrier.Account, error) {
	r := reader{it: it}
	return carrier.Account{
		ID:                r.int(attrAccountID),
		PartnerID:         r.int(attrPartnerID),
		Environment:       carrier.Environment(r.text("environment")),
		ExternalID:        r.text("external_account_id"),
		Email:             r.text("email"),
		CompanyName:       r.text("company_name"),
		FirstName:         r.text("first_name"),
		LastName:          r.text("last_name"),
		OriginCountryCode: r.text("origin_country_code"),
		PasswordHash:      r.text("password_hash"),
		Metadata:          r.texts("metadata"),
		Active:            r.bool(attrActive),
		CarriersCount:     int(r.int(attrCarriers)),
		CreatedAt:         r.time("created_at"),
		ModifiedAt:        r.time(attrModified),
		PurgeAt:           r.seconds(attrTTL),
		Version:           r.int(attrVersion),
	}, r.done("account")
}

func apiKeyItem(k carrier.APIKey) item {
	it := apiKeyKey(k.PartnerID, k.AccountID, k.Hash).item()
	it.int("api_key_id", k.ID)
	it.int(attrPartnerID, k.PartnerID)
	it.int(attrAccountID, k.AccountID)
	it.text("hash", k.Hash)
	it.text("prefix", k.Prefix)
	it.text("last_four", k.LastFour)
	it.text("description", k.Description)
	it.text("environment", string(k.Environment))
	it.text("default_country_code", k.DefaultCountryCode)
	scopes := make([]string, len(k.Scopes))
	for i, scope := range k.Scopes {
		scopes[i] = string(scope)
	}
	it.list("scopes", scopes)
	it.time(attrValidUntil, k.ExpiresAt)
	if k.ReplacedBy != 0 {
		it.int(attrReplacedBy, k.ReplacedBy)
	}
	it.time("created_at", k.CreatedAt)
	return it
}

func readAPIKey(it item) (carrier.APIKey, error) {
	r := reader{it: it}
	var scopes []carrier.Scope
	for _, scope := range r.list("scopes") {
		scopes = append(scopes, carrier.Scope(scope))
	}
	return carrier.APIKey{
		Scopes:             scopes,
		LastUsedOn:         r.day(attrLastDay),
		ID:                 r.int("api_key_id"),
		PartnerID:          r.int(attrPartnerID),
		AccountID:          r.int(attrAccountID),
		Hash:               r.text("hash"),
		Prefix:             r.text("prefix"),
		LastFour:           r.text("last_four"),
		Description:        r.text("description"),
		Environment:        carrier.Environment(r.text("environment")),
		DefaultCountryCode: r.text("default_country_code"),
		ExpiresAt:          r.time(attrValidUntil),
		ReplacedBy:         r.int(attrReplacedBy),
		CreatedAt:          r.time("created_at"),
	}, r.done("API key")
}

// holderItem is a sentinel: that it exists keeps its identifier unique.
func holderItem(k key, accountID, partnerID int64) item {
	it := k.item()
	it.int(attrAccountID, accountID)
	it.int(attrPartnerID, partnerID)
	return it
}

// lapsed tells whether an item's time is over: DynamoDB removes it only some
// time later.
func lapsed(it item, now time.Time) bool {
	r := reader{it: it}
	end := r.seconds(attrTTL)
	return !end.IsZero() && !now.Before(end)
}

func connectionItem(c *carrier.Connection) item {
	it := connectionKey(c.AccountID, c.ID).item()
	it.text("carrier_id", c.ID)
	it.int(attrAccountID, c.AccountID)
	it.int(attrPartnerID, c.PartnerID)
	it.text("carrier_name", string(c.Carrier))
	it.text("account_number", c.AccountNumber)
	it.text("nickname", c.Nickname)
	it.text(attrStatus, string(c.Status))
	it.text("status_reason", c.StatusReason)
	it.int("checks", int64(c.Checks))
	it.time("last_check_at", c.LastCheck.At)
	it.text("last_check_outcome", string(c.LastCheck.Outcome))
	it.int("last_check_latency_ns", int64(c.LastCheck.Latency))
	it.text("last_check_trigger", string(c.LastCheck.Trigger))
	it.text("last_check_code", c.LastCheck.Code)
	it.time("verified_at", c.VerifiedAt)
	it.int("consecutive_failures", int64(c.ConsecutiveFailures))
	it.time("first_refused_at", c.FirstRefusedAt)
	it.time("next_refresh_at", c.NextRefreshAt)
	it.text("refresh_policy", string(c.RefreshPolicy))
	it.text("api_key_last_four", c.APIKeyLastFour)
	it.time("credentials_updated_at", c.CredentialsUpdatedAt)
	it.text("secret_version", c.SecretVersion)
	it.time(attrLease, c.LeaseUntil)
	it.bool("contract_expired", c.ContractExpired)
	it.text("contract_valid_to", c.ContractValidTo)
	it.bool("contract_credit_blocked", c.ContractCreditBlocked)
	it.text("external_carrier_id", c.ExternalID)
	it.texts("metadata", c.Metadata)
	it.time("created_at", c.CreatedAt)
	it.time("modified_at", c.ModifiedAt)
	it.int(attrVersion, c.Version)
	return it
}

func readConnection(it item) (carrier.Connection, error) {
	r := reader{it: it}
	return carrier.Connection{
		ID:            r.text("carrier_id"),
		AccountID:     r.int(attrAccountID),
		PartnerID:     r.int(attrPartnerID),
		Carrier:       carrier.Name(r.text("carrier_name")),
		AccountNumber: r.text("account_number"),
		Nickname:      r.text("nickname"),
		Status:        carrier.Status(r.text(attrStatus)),
		StatusReason:  r.text("status_reason"),
		Checks:        int(r.int("checks")),
		LastCheck: carrier.Check{
			At:      r.time("last_check_at"),
			Outcome: carrier.Outcome(r.text("last_check_outcome")),
			Latency: time.Duration(r.int("last_check_latency_ns")),
			Trigger: carrier.Trigger(r.text("last_check_trigger")),
			Code:    r.text("last_check_code"),
		},
		VerifiedAt:            r.time("verified_at"),
		ConsecutiveFailures:   int(r.int("consecutive_failures")),
		FirstRefusedAt:        r.time("first_refused_at"),
		NextRefreshAt:         r.time("next_refresh_at"),
		RefreshPolicy:         carrier.RefreshPolicy(r.text("refresh_policy")),
		APIKeyLastFour:        r.text("api_key_last_four"),
		CredentialsUpdatedAt:  r.time("credentials_updated_at"),
		SecretVersion:         r.text("secret_version"),
		LeaseUntil:            r.time(attrLease),
		ContractExpired:       r.bool("contract_expired"),
		ContractValidTo:       r.text("contract_valid_to"),
		ContractCreditBlocked: r.bool("contract_credit_blocked"),
		ExternalID:            r.text("external_carrier_id"),
		Metadata:              r.texts("metadata"),
		CreatedAt:             r.time("created_at"),
		ModifiedAt:            r.time("modified_at"),
		Version:               r.int(attrVersion),
	}, r.done("connection")
}

func snapshotItem(c *carrier.Connection, s carrier.Snapshot) item {
	it := snapshotKey(c.AccountID, c.ID).item()
	it.bytes("packed", s.Packed)
	it.time("at", s.At)
	return it
}

func readSnapshot(it item) (carrier.Snapshot, error) {
	r := reader{it: it}
	return carrier.Snapshot{Packed: r.bytes("packed"), At: r.time("at")}, r.done("snapshot")
}

// readHolders lists the connections of a number sentinel, in order.
func readHolders(it item) ([]string, error) {
	r := reader{it: it}
	ids := r.set(attrCarrierIDs)
	slices.Sort(ids)
	return ids, r.done("account number")
}

func idempotencyItem(rec carrier.IdempotencyRecord) item {
	it := idempotencyKey(rec.Scope, rec.Key).item()
	it.text("scope", rec.Scope)
	it.text("idempotency_key", rec.Key)
	it.bytes("payload_mac", rec.PayloadMAC)
	it.text(attrClaimID, rec.ClaimID)
	it.time(attrLease, rec.LeaseUntil)
	it.bytes(attrSealed, rec.Sealed)
	it.int(attrTTL, rec.ExpiresAt.Unix())
	return it
}

func readIdempotency(it item) (*carrier.IdempotencyRecord, error) {
	r := reader{it: it}
	return &carrier.IdempotencyRecord{
		Scope:      r.text("scope"),
		Key:        r.text("idempotency_key"),
		PayloadMAC: r.bytes("payload_mac"),
		ClaimID:    r.text(attrClaimID),
		LeaseUntil: r.time(attrLease),
		Sealed:     r.bytes(attrSealed),
		ExpiresAt:  r.seconds(attrTTL),
	}, r.done("idempotency record")
}
