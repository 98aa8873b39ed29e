package connections

import (
	"errors"
	"slices"
	"time"

	"carrierlink/shared/connection"
	"carrierlink/shared/store/kit"
)

// Item returns the item of a connection.
func Item(c *connection.Connection) kit.Item {
	it := kit.ConnectionKey(c.AccountID, c.ID).Item()
	fields(kit.Store(it), c)
	switch {
	case c.Status == connection.Linking || c.Work != connection.NoWork:
		it.Text(kit.AttrDuePK, kit.RepairPK)
		it.Text(kit.AttrDueKey, kit.WorkKey(c.LeaseUntil, c.WorkSince))
	case c.Scheduled():
		it.Text(kit.AttrDuePK, kit.RefreshPK(c.Lane(), kit.ShardOf(c.Lane(), c.ID)))
		it.Text(kit.AttrDueKey, kit.RefreshKey(c.NextRefreshAt, c.CredentialID, c.PartnerID))
	case !c.PreviousEnds().IsZero():
		it.Text(kit.AttrDuePK, kit.PreviousPK)
		it.Text(kit.AttrDueKey, kit.RepairKey(c.PreviousEnds()))
	}
	return it
}

// FromItem reads a connection from its item.
func FromItem(it kit.Item) (connection.Connection, error) {
	var c connection.Connection
	f := kit.Load(it)
	fields(f, &c)
	if f.Reader.Text(kit.AttrDuePK) == kit.RepairPK {
		_, c.WorkSince = kit.ParseWorkKey(f.Reader.Text(kit.AttrDueKey))
	}
	return c, f.Reader.Done("connection")
}

func fields(f *kit.Fields, c *connection.Connection) {
	f.Text("carrier_id", &c.ID)
	f.Int(kit.AttrAccountID, &c.AccountID)
	f.Int(kit.AttrPartnerID, &c.PartnerID)
	f.Text("environment", (*string)(&c.Environment))
	f.Text("carrier_name", (*string)(&c.Carrier))
	f.Text("account_number", &c.AccountNumber)
	f.Text("nickname", &c.Nickname)
	f.Text(kit.AttrStatus, (*string)(&c.Status))
	f.Text("status_reason", &c.StatusReason)
	f.Text(kit.AttrStanding, (*string)(&c.Standing))
	f.Count("checks", &c.ChecksWithCredentials)
	f.Count("history", &c.ChecksEver)
	checkFields(f, "last_check_", &c.LastCheck)
	f.Time("verified_at", &c.VerifiedAt)
	f.Count("consecutive_failures", &c.ConsecutiveFailures)
	f.Time("first_refused_at", &c.FirstRefusedAt)
	f.Time(kit.AttrNextCheck, &c.NextRefreshAt)
	f.Count(kit.AttrUnrecorded, &c.ClaimsUnrecorded)
	f.Count(kit.AttrReads, &c.Reads.Count)
	f.Text(kit.AttrReadsDay, &c.Reads.Day)
	f.Time("refresh_requested_at", &c.RefreshRequestedAt)
	f.Time("verify_called_at", &c.VerifyCalledAt)
	f.Time("held_until", &c.HeldUntil)
	f.Text("refresh_policy", (*string)(&c.RefreshPolicy))
	f.Text("api_key_last_four", &c.APIKeyLastFour)
	f.Text("credential_id", &c.CredentialID)
	f.Time("credentials_updated_at", &c.CredentialsUpdatedAt)
	f.Text("secret_version", &c.SecretVersion)
	f.Text("previous_secret_version", &c.Previous.SecretVersion)
	f.Text("previous_account_number", &c.Previous.AccountNumber)
	f.Text("previous_last_four", &c.Previous.LastFour)
	f.Text("previous_credential_id", &c.Previous.CredentialID)
	f.Time("previous_until", &c.Previous.Until)
	f.Time(kit.AttrLease, &c.LeaseUntil)
	f.Text(kit.AttrWork, (*string)(&c.Work))
	f.Bool("contract_expired", &c.ContractExpired)
	f.Text("contract_valid_to", &c.ContractValidTo)
	f.Bool("contract_credit_blocked", &c.ContractCreditBlocked)
	f.Text("contract_hash", &c.ContractHash)
	f.Text("warned_of", &c.WarnedOf)
	f.Count("warned_days", &c.WarnedDays)
	f.Text("merchant_location_id", &c.MerchantLocationID)
	f.Text("external_carrier_id", &c.ExternalID)
	f.Texts("metadata", &c.Metadata)
	f.Time("created_at", &c.CreatedAt)
	f.Time("modified_at", &c.ModifiedAt)
	f.Time("disconnected_at", &c.DisconnectedAt)
	f.Seconds(kit.AttrTTL, &c.PurgeAt)
	f.Int(kit.AttrVersion, &c.Version)
}

func checkFields(f *kit.Fields, prefix string, c *connection.Check) {
	f.Time(prefix+"at", &c.At)
	f.Text(prefix+"outcome", (*string)(&c.Outcome))
	f.Int(prefix+"latency_ns", (*int64)(&c.Latency))
	f.Text(prefix+"trigger", (*string)(&c.Trigger))
	f.Text(prefix+"code", &c.Code)
}

// readDue reads an entry of REFRESH in by_due, which holds keys only.
func readDue(it kit.Item) (connection.Due, error) {
	r := kit.Reader{It: it}
	at, credential, partner, err := kit.ParseRefreshKey(r.Text(kit.AttrDueKey))
	account, conn, ownerErr := kit.ParseOwner(r.Key())
	if _, idErr := connection.ParseID(conn); idErr != nil {
		ownerErr = errors.Join(ownerErr, errors.New("key is not a connection's"))
	}
	return connection.Due{AccountID: account, ConnectionID: conn, CredentialID: credential, PartnerID: partner, DueAt: at},
		errors.Join(r.Done("due connection"), err, ownerErr)
}

// readUnfinished reads an entry of REPAIR or PREVIOUS in by_due. DueAt, needed for a metric
// only, is that of the first attempt, and zero for work without a lease and in PREVIOUS.
func readUnfinished(pk string, it kit.Item) (connection.Unfinished, error) {
	r := kit.Reader{It: it}
	account, conn, err := kit.ParseOwner(r.Key())
	at, since := kit.ParseWorkKey(r.Text(kit.AttrDueKey))
	switch {
	case pk == kit.PreviousPK:
		at = time.Time{}
	case !since.IsZero():
		at = since
	}
	return connection.Unfinished{AccountID: account, ConnectionID: conn, DueAt: at}, errors.Join(r.Done("unfinished work"), err)
}

func historyItem(c *connection.Connection, e connection.HistoryEntry) kit.Item {
	it := kit.Key{PK: kit.HistoryPK(c.AccountID, c.ID), SK: kit.HistorySK(e.At.UnixMilli(), e.Number)}.Item()
	entryFields(kit.Store(it), &e)
	it.Seconds(kit.AttrTTL, e.At.Add(connection.HistoryKept))
	return it
}

func readHistory(it kit.Item) (connection.HistoryEntry, error) {
	var e connection.HistoryEntry
	f := kit.Load(it)
	entryFields(f, &e)
	return e, f.Reader.Done("check")
}

func entryFields(f *kit.Fields, e *connection.HistoryEntry) {
	checkFields(f, "", &e.Check)
	f.Count("number", &e.Number)
	f.Text("status", (*string)(&e.Status))
	kit.List(f, "changes", &e.Changes, differenceFields)
}

func differenceFields(f *kit.Fields, d *connection.Difference) {
	f.Text("type", (*string)(&d.Type))
	f.Text("product_id", &d.ProductID)
	f.Text("field", &d.Field)
	f.Text("from", &d.From)
	f.Text("to", &d.To)
}

func snapshotItem(c *connection.Connection, s connection.Snapshot) kit.Item {
	it := kit.SnapshotKey(c.AccountID, c.ID).Item()
	it.Bytes("packed", s.Packed)
	it.Time("at", s.At)
	it.Seconds(kit.AttrTTL, c.PurgeAt)
	return it
}

// SnapshotFromItem reads a snapshot from its item.
func SnapshotFromItem(it kit.Item) (connection.Snapshot, error) {
	r := kit.Reader{It: it}
	return connection.Snapshot{Packed: r.Bytes("packed"), At: r.Time("at")}, r.Done("snapshot")
}

// HoldersFromItem reads which connections hold an account number, in order.
func HoldersFromItem(it kit.Item) ([]string, error) {
	r := kit.Reader{It: it}
	ids := r.Set(kit.AttrCarrierIDs)
	slices.Sort(ids)
	return ids, r.Done("account number")
}
