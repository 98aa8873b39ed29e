package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
	"carrierlink/shared/tracking"
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
	attrStanding   = "standing"
	attrWork       = "work"
	attrNextCheck  = "next_refresh_at"
	attrUnrecorded = "unrecorded" // claims of the schedule since the last check that was recorded
	attrCarrierIDs = "carrier_ids"
	attrMade       = "made"     // of a day: links
	attrUnlinked   = "unlinked" // of a day
	attrClaimID    = "claim_id"
	attrSealed     = "sealed"
	attrReplacedBy = "replaced_by"
	attrValidUntil = "valid_until" // of an API key; not the TTL attribute: an expired key stays listed
	attrWindow     = "rate_window" // start of the key's current minute, epoch seconds
	attrUsed       = "rate_used"   // calls within that minute
	attrLastDay    = "last_used_day"
	attrChecks     = "checks"
	attrGood       = "good"
	attrVotes      = "votes" // a set of voteText
	attrCall       = "call_" // and how many calls ago: when it was
)

func partnerItem(p account.Partner) item {
	it := partnerKey(p.ID).item()
	it.int(attrPartnerID, p.ID)
	it.text("name", p.Name)
	it.text("environment", string(p.Environment))
	it.text("default_country_code", p.DefaultCountryCode)
	it.time("created_at", p.CreatedAt)
	return it
}

func accountItem(a account.Account) item {
	it := accountKey(a.ID).item()
	it.int(attrAccountID, a.ID)
	it.int(attrPartnerID, a.PartnerID)
	it.text("environment", string(a.Environment))
	it.text("external_account_id", a.ExternalID)
	it.text("email", a.Email)
	it.text("email_key", a.EmailKey)
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

// follow marks an account whose connections have to follow it.
func follow(e *edit, now time.Time) {
	e.set(attrDuePK, textValue(repairPK))
	e.set(attrDueKey, textValue(repairKey(now)))
}

// readAccount reads an account as the table or an index has it. The indexes have
// no password hash and do not tell whether it is followed.
func readAccount(it item) (account.Account, error) {
	r := reader{it: it}
	return account.Account{
		ID:                r.int(attrAccountID),
		PartnerID:         r.int(attrPartnerID),
		Environment:       carrier.Environment(r.text("environment")),
		ExternalID:        r.text("external_account_id"),
		Email:             r.text("email"),
		EmailKey:          r.text("email_key"),
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
		Following:         it[attrDuePK] != nil,
		Version:           r.int(attrVersion),
	}, r.done("account")
}

func apiKeyItem(k account.APIKey) item {
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

func readAPIKey(it item) (account.APIKey, error) {
	r := reader{it: it}
	var scopes []account.Scope
	for _, scope := range r.list("scopes") {
		scopes = append(scopes, account.Scope(scope))
	}
	return account.APIKey{
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

func connectionItem(c *connection.Connection) item {
	it := connectionKey(c.AccountID, c.ID).item()
	it.text("carrier_id", c.ID)
	it.int(attrAccountID, c.AccountID)
	it.int(attrPartnerID, c.PartnerID)
	it.text("environment", string(c.Environment))
	it.text("carrier_name", string(c.Carrier))
	it.text("account_number", c.AccountNumber)
	it.text("nickname", c.Nickname)
	it.text(attrStatus, string(c.Status))
	it.text("status_reason", c.StatusReason)
	it.text(attrStanding, string(c.Standing))
	it.int("checks", int64(c.Checks))
	it.int("history", int64(c.History))
	it.time("last_check_at", c.LastCheck.At)
	it.text("last_check_outcome", string(c.LastCheck.Outcome))
	it.int("last_check_latency_ns", int64(c.LastCheck.Latency))
	it.text("last_check_trigger", string(c.LastCheck.Trigger))
	it.text("last_check_code", c.LastCheck.Code)
	it.time("verified_at", c.VerifiedAt)
	it.int("consecutive_failures", int64(c.ConsecutiveFailures))
	it.time("first_refused_at", c.FirstRefusedAt)
	it.time(attrNextCheck, c.NextRefreshAt)
	it.int(attrUnrecorded, int64(c.Unrecorded))
	it.time("refresh_requested_at", c.RefreshRequestedAt)
	it.time("verify_called_at", c.VerifyCalledAt)
	it.text("refresh_policy", string(c.RefreshPolicy))
	it.text("api_key_last_four", c.APIKeyLastFour)
	it.text("credential_id", c.CredentialID)
	it.time("credentials_updated_at", c.CredentialsUpdatedAt)
	it.text("secret_version", c.SecretVersion)
	it.text("previous_secret_version", c.Previous.SecretVersion)
	it.text("previous_account_number", c.Previous.AccountNumber)
	it.text("previous_last_four", c.Previous.LastFour)
	it.text("previous_credential_id", c.Previous.CredentialID)
	it.time("previous_until", c.Previous.Until)
	it.time(attrLease, c.LeaseUntil)
	it.text(attrWork, string(c.Work))
	it.bool("contract_expired", c.ContractExpired)
	it.text("contract_valid_to", c.ContractValidTo)
	it.bool("contract_credit_blocked", c.ContractCreditBlocked)
	it.text("contract_hash", c.ContractHash)
	it.text("merchant_location_id", c.MerchantLocationID)
	it.text("external_carrier_id", c.ExternalID)
	it.texts("metadata", c.Metadata)
	it.time("created_at", c.CreatedAt)
	it.time("modified_at", c.ModifiedAt)
	it.time("disconnected_at", c.DisconnectedAt)
	it.seconds(attrTTL, c.PurgeAt)
	it.int(attrVersion, c.Version)
	switch {
	case c.Status == connection.Linking || c.Work != connection.NoWork:
		it.text(attrDuePK, repairPK)
		it.text(attrDueKey, repairKey(c.LeaseUntil))
	case c.Scheduled():
		it.text(attrDuePK, refreshPK(c.Lane(), shardOf(c.Lane(), c.ID)))
		it.text(attrDueKey, refreshKey(c.NextRefreshAt, c.CredentialID, c.PartnerID))
	}
	return it
}

func readConnection(it item) (connection.Connection, error) {
	r := reader{it: it}
	return connection.Connection{
		ID:            r.text("carrier_id"),
		AccountID:     r.int(attrAccountID),
		PartnerID:     r.int(attrPartnerID),
		Environment:   carrier.Environment(r.text("environment")),
		Carrier:       carrier.Name(r.text("carrier_name")),
		AccountNumber: r.text("account_number"),
		Nickname:      r.text("nickname"),
		Status:        connection.Status(r.text(attrStatus)),
		StatusReason:  r.text("status_reason"),
		Standing:      account.Standing(r.text(attrStanding)),
		Checks:        int(r.int("checks")),
		History:       int(r.int("history")),
		LastCheck: connection.Check{
			At:      r.time("last_check_at"),
			Outcome: carrier.Outcome(r.text("last_check_outcome")),
			Latency: time.Duration(r.int("last_check_latency_ns")),
			Trigger: connection.Trigger(r.text("last_check_trigger")),
			Code:    r.text("last_check_code"),
		},
		VerifiedAt:           r.time("verified_at"),
		ConsecutiveFailures:  int(r.int("consecutive_failures")),
		FirstRefusedAt:       r.time("first_refused_at"),
		NextRefreshAt:        r.time(attrNextCheck),
		Unrecorded:           int(r.int(attrUnrecorded)),
		RefreshRequestedAt:   r.time("refresh_requested_at"),
		VerifyCalledAt:       r.time("verify_called_at"),
		RefreshPolicy:        connection.RefreshPolicy(r.text("refresh_policy")),
		APIKeyLastFour:       r.text("api_key_last_four"),
		CredentialID:         r.text("credential_id"),
		CredentialsUpdatedAt: r.time("credentials_updated_at"),
		SecretVersion:        r.text("secret_version"),
		Previous: connection.PreviousCredentials{
			SecretVersion: r.text("previous_secret_version"),
			AccountNumber: r.text("previous_account_number"),
			LastFour:      r.text("previous_last_four"),
			CredentialID:  r.text("previous_credential_id"),
			Until:         r.time("previous_until"),
		},
		LeaseUntil:            r.time(attrLease),
		Work:                  connection.Work(r.text(attrWork)),
		ContractExpired:       r.bool("contract_expired"),
		ContractValidTo:       r.text("contract_valid_to"),
		ContractCreditBlocked: r.bool("contract_credit_blocked"),
		ContractHash:          r.text("contract_hash"),
		MerchantLocationID:    r.text("merchant_location_id"),
		ExternalID:            r.text("external_carrier_id"),
		Metadata:              r.texts("metadata"),
		CreatedAt:             r.time("created_at"),
		ModifiedAt:            r.time("modified_at"),
		DisconnectedAt:        r.time("disconnected_at"),
		PurgeAt:               r.seconds(attrTTL),
		Version:               r.int(attrVersion),
	}, r.done("connection")
}

// readDue reads a connection of by_due, which holds keys only.
func readDue(it item) (connection.Due, error) {
	r := reader{it: it}
	at, credential, partner, err := readRefreshKey(r.text(attrDueKey))
	account, conn, ownerErr := readOwner(key{r.text(attrPK), r.text(attrSK)})
	if _, idErr := connection.ParseID(conn); idErr != nil {
		ownerErr = errors.Join(ownerErr, errors.New("key is no connection's"))
	}
	return connection.Due{AccountID: account, ConnectionID: conn, CredentialID: credential, PartnerID: partner, DueAt: at},
		errors.Join(r.done("due connection"), err, ownerErr)
}

// readUnfinished reads a connection or an account of by_due.
func readUnfinished(it item) (connection.Unfinished, error) {
	r := reader{it: it}
	account, conn, err := readOwner(key{r.text(attrPK), r.text(attrSK)})
	return connection.Unfinished{AccountID: account, ConnectionID: conn}, errors.Join(r.done("unfinished work"), err)
}

func historyItem(c *connection.Connection, e connection.HistoryEntry) item {
	it := key{historyPK(c.AccountID, c.ID), historySK(e.At.UnixMilli(), e.Number)}.item()
	it.time("at", e.At)
	it.text("outcome", string(e.Outcome))
	it.int("latency_ns", int64(e.Latency))
	it.text("trigger", string(e.Trigger))
	it.text("code", e.Code)
	it.int("number", int64(e.Number))
	it.text("status", string(e.Status))
	changes := make([]item, len(e.Changes))
	for i, change := range e.Changes {
		changes[i] = item{}
		changes[i].text("type", string(change.Type))
		changes[i].text("product_id", change.ProductID)
		changes[i].text("field", change.Field)
		changes[i].text("from", change.From)
		changes[i].text("to", change.To)
	}
	it.items("changes", changes)
	it.seconds(attrTTL, e.At.Add(connection.HistoryKept))
	return it
}

func readHistory(it item) (connection.HistoryEntry, error) {
	r := reader{it: it}
	e := connection.HistoryEntry{
		Check: connection.Check{
			At:      r.time("at"),
			Outcome: carrier.Outcome(r.text("outcome")),
			Latency: time.Duration(r.int("latency_ns")),
			Trigger: connection.Trigger(r.text("trigger")),
			Code:    r.text("code"),
		},
		Number: int(r.int("number")),
		Status: connection.Status(r.text("status")),
	}
	for _, one := range r.items("changes") {
		c := reader{it: one}
		e.Changes = append(e.Changes, connection.Difference{
			Type: connection.DifferenceType(c.text("type")), ProductID: c.text("product_id"), Field: c.text("field"), From: c.text("from"), To: c.text("to"),
		})
		r.err = cmp.Or(r.err, c.err)
	}
	return e, r.done("check")
}

func breakerItem(b health.Breaker) item {
	it := breakerKey(b.Carrier).item()
	it.text("carrier_name", string(b.Carrier))
	it.bool("open", b.Open)
	it.text("failure", b.Failure)
	it.time("changed_at", b.ChangedAt)
	it.time("probe_at", b.ProbeAt)
	it.time("control_at", b.ControlAt)
	var peers, doubts []item
	for _, p := range b.Peers {
		one := item{}
		one.int(attrPartnerID, p.PartnerID)
		one.int(attrAccountID, p.AccountID)
		one.text("carrier_id", p.ConnectionID)
		one.text("credential_id", p.CredentialID)
		one.time("well_at", p.WellAt)
		one.time("refused_at", p.RefusedAt)
		one.time("tried_at", p.TriedAt)
		peers = append(peers, one)
	}
	for _, d := range b.Doubts {
		one := item{}
		one.int(attrPartnerID, d.PartnerID)
		one.int(attrAccountID, d.AccountID)
		one.text("carrier_id", d.ConnectionID)
		one.text("credential_id", d.CredentialID)
		one.time("since", d.Since)
		one.time("at", d.At)
		doubts = append(doubts, one)
	}
	it.items("peers", peers)
	it.items("doubts", doubts)
	it.int(attrVersion, b.Version)
	return it
}

// readBreaker reads a carrier's breaker; one that was never written is closed.
func readBreaker(name carrier.Name, it item) (health.Breaker, error) {
	r := reader{it: it}
	b := health.Breaker{
		Carrier:   name,
		Open:      r.bool("open"),
		Failure:   r.text("failure"),
		ChangedAt: r.time("changed_at"),
		ProbeAt:   r.time("probe_at"),
		ControlAt: r.time("control_at"),
		Version:   r.int(attrVersion),
	}
	for _, one := range r.items("peers") {
		p := reader{it: one}
		b.Peers = append(b.Peers, health.Peer{
			PartnerID: p.int(attrPartnerID), AccountID: p.int(attrAccountID), ConnectionID: p.text("carrier_id"), CredentialID: p.text("credential_id"),
			WellAt: p.time("well_at"), RefusedAt: p.time("refused_at"), TriedAt: p.time("tried_at"),
		})
		r.err = cmp.Or(r.err, p.err)
	}
	for _, one := range r.items("doubts") {
		d := reader{it: one}
		b.Doubts = append(b.Doubts, health.Doubt{
			PartnerID: d.int(attrPartnerID), AccountID: d.int(attrAccountID), ConnectionID: d.text("carrier_id"), CredentialID: d.text("credential_id"),
			Since: d.time("since"), At: d.time("at"),
		})
		r.err = cmp.Or(r.err, d.err)
	}
	return b, r.done("breaker")
}

// voteText is "<ms since 1970> <partner> <account> <credential id> <failure>".
func voteText(v health.Vote) string {
	return fmt.Sprintf("%d %d %d %s %s", v.At.UnixMilli(), v.PartnerID, v.AccountID, v.CredentialID, v.Failure)
}

func readVote(text string) (health.Vote, error) {
	f := strings.Split(text, " ")
	if len(f) != 5 {
		return health.Vote{}, errors.New("a vote does not have five parts")
	}
	var n [3]int64
	var errs [3]error
	for i := range n {
		n[i], errs[i] = strconv.ParseInt(f[i], 10, 64)
	}
	return health.Vote{At: time.UnixMilli(n[0]).UTC(), PartnerID: n[1], AccountID: n[2], CredentialID: f[3], Failure: f[4]}, errors.Join(errs[:]...)
}

func readTally(it item) (health.Tally, error) {
	r := reader{it: it}
	minute, err := readMinute(r.text(attrSK))
	t := health.Tally{Minute: minute, Checks: int(r.int(attrChecks)), Good: int(r.int(attrGood))}
	for _, text := range r.set(attrVotes) {
		v, wrong := readVote(text)
		t.Votes = append(t.Votes, v)
		err = errors.Join(err, wrong)
	}
	return t, errors.Join(r.done("tally"), err)
}

func trackingItem(accountID int64, connectionID string, t tracking.Cached) item {
	it := trackingKey(accountID, connectionID, t.Number).item()
	it.time("at", t.At)
	it.bytes("body", t.Body)
	it.seconds(attrTTL, t.ExpiresAt)
	return it
}

func readTracking(it item) (tracking.Cached, error) {
	r := reader{it: it}
	return tracking.Cached{Number: r.text(attrSK), At: r.time("at"), Body: r.bytes("body"), ExpiresAt: r.seconds(attrTTL)}, r.done("tracking")
}

func snapshotItem(c *connection.Connection, s connection.Snapshot) item {
	it := snapshotKey(c.AccountID, c.ID).item()
	it.bytes("packed", s.Packed)
	it.time("at", s.At)
	it.seconds(attrTTL, c.PurgeAt)
	return it
}

func readSnapshot(it item) (connection.Snapshot, error) {
	r := reader{it: it}
	return connection.Snapshot{Packed: r.bytes("packed"), At: r.time("at")}, r.done("snapshot")
}

// readHolders lists the connections of a number sentinel, in order.
func readHolders(it item) ([]string, error) {
	r := reader{it: it}
	ids := r.set(attrCarrierIDs)
	slices.Sort(ids)
	return ids, r.done("account number")
}

func idempotencyItem(rec effects.Record) item {
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

func readIdempotency(it item) (*effects.Record, error) {
	r := reader{it: it}
	return &effects.Record{
		Scope:      r.text("scope"),
		Key:        r.text("idempotency_key"),
		PayloadMAC: r.bytes("payload_mac"),
		ClaimID:    r.text(attrClaimID),
		LeaseUntil: r.time(attrLease),
		Sealed:     r.bytes(attrSealed),
		ExpiresAt:  r.seconds(attrTTL),
	}, r.done("idempotency record")
}
