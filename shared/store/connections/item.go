package connections

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/store/kit"
)

// Item returns the item of a connection.
func Item(c *connection.Connection) kit.Item {
	it := kit.ConnectionKey(c.AccountID, c.ID).Item()
	it.Text("carrier_id", c.ID)
	it.Int(kit.AttrAccountID, c.AccountID)
	it.Int(kit.AttrPartnerID, c.PartnerID)
	it.Text("environment", string(c.Environment))
	it.Text("carrier_name", string(c.Carrier))
	it.Text("account_number", c.AccountNumber)
	it.Text("nickname", c.Nickname)
	it.Text(kit.AttrStatus, string(c.Status))
	it.Text("status_reason", c.StatusReason)
	it.Text(kit.AttrStanding, string(c.Standing))
	it.Int("checks", int64(c.ChecksWithCredentials))
	it.Int("history", int64(c.ChecksEver))
	it.Time("last_check_at", c.LastCheck.At)
	it.Text("last_check_outcome", string(c.LastCheck.Outcome))
	it.Int("last_check_latency_ns", int64(c.LastCheck.Latency))
	it.Text("last_check_trigger", string(c.LastCheck.Trigger))
	it.Text("last_check_code", c.LastCheck.Code)
	it.Time("verified_at", c.VerifiedAt)
	it.Int("consecutive_failures", int64(c.ConsecutiveFailures))
	it.Time("first_refused_at", c.FirstRefusedAt)
	it.Time(kit.AttrNextCheck, c.NextRefreshAt)
	it.Int(kit.AttrUnrecorded, int64(c.ClaimsUnrecorded))
	it.Time("refresh_requested_at", c.RefreshRequestedAt)
	it.Time("verify_called_at", c.VerifyCalledAt)
	it.Time("held_until", c.HeldUntil)
	it.Text("refresh_policy", string(c.RefreshPolicy))
	it.Text("api_key_last_four", c.APIKeyLastFour)
	it.Text("credential_id", c.CredentialID)
	it.Time("credentials_updated_at", c.CredentialsUpdatedAt)
	it.Text("secret_version", c.SecretVersion)
	it.Text("previous_secret_version", c.Previous.SecretVersion)
	it.Text("previous_account_number", c.Previous.AccountNumber)
	it.Text("previous_last_four", c.Previous.LastFour)
	it.Text("previous_credential_id", c.Previous.CredentialID)
	it.Time("previous_until", c.Previous.Until)
	it.Time(kit.AttrLease, c.LeaseUntil)
	it.Text(kit.AttrWork, string(c.Work))
	it.Bool("contract_expired", c.ContractExpired)
	it.Text("contract_valid_to", c.ContractValidTo)
	it.Bool("contract_credit_blocked", c.ContractCreditBlocked)
	it.Text("contract_hash", c.ContractHash)
	it.Text("merchant_location_id", c.MerchantLocationID)
	it.Text("external_carrier_id", c.ExternalID)
	it.Texts("metadata", c.Metadata)
	it.Time("created_at", c.CreatedAt)
	it.Time("modified_at", c.ModifiedAt)
	it.Time("disconnected_at", c.DisconnectedAt)
	it.Seconds(kit.AttrTTL, c.PurgeAt)
	it.Int(kit.AttrVersion, c.Version)
	switch {
	case c.Status == connection.Linking || c.Work != connection.NoWork:
		it.Text(kit.AttrDuePK, kit.RepairPK)
		it.Text(kit.AttrDueKey, kit.RepairKey(c.LeaseUntil))
	case c.Scheduled():
		it.Text(kit.AttrDuePK, kit.RefreshPK(c.Lane(), kit.ShardOf(c.Lane(), c.ID)))
		it.Text(kit.AttrDueKey, kit.RefreshKey(c.NextRefreshAt, c.CredentialID, c.PartnerID))
	}
	return it
}

// FromItem reads a connection from its item.
func FromItem(it kit.Item) (connection.Connection, error) {
	r := kit.Reader{It: it}
	return connection.Connection{
		ID:                    r.Text("carrier_id"),
		AccountID:             r.Int(kit.AttrAccountID),
		PartnerID:             r.Int(kit.AttrPartnerID),
		Environment:           carrier.Environment(r.Text("environment")),
		Carrier:               carrier.Name(r.Text("carrier_name")),
		AccountNumber:         r.Text("account_number"),
		Nickname:              r.Text("nickname"),
		Status:                connection.Status(r.Text(kit.AttrStatus)),
		StatusReason:          r.Text("status_reason"),
		Standing:              account.Standing(r.Text(kit.AttrStanding)),
		ChecksWithCredentials: int(r.Int("checks")),
		ChecksEver:            int(r.Int("history")),
		LastCheck: connection.Check{
			At:      r.Time("last_check_at"),
			Outcome: carrier.Outcome(r.Text("last_check_outcome")),
			Latency: time.Duration(r.Int("last_check_latency_ns")),
			Trigger: connection.Trigger(r.Text("last_check_trigger")),
			Code:    r.Text("last_check_code"),
		},
		VerifiedAt:           r.Time("verified_at"),
		ConsecutiveFailures:  int(r.Int("consecutive_failures")),
		FirstRefusedAt:       r.Time("first_refused_at"),
		NextRefreshAt:        r.Time(kit.AttrNextCheck),
		ClaimsUnrecorded:     int(r.Int(kit.AttrUnrecorded)),
		RefreshRequestedAt:   r.Time("refresh_requested_at"),
		VerifyCalledAt:       r.Time("verify_called_at"),
		HeldUntil:            r.Time("held_until"),
		RefreshPolicy:        connection.RefreshPolicy(r.Text("refresh_policy")),
		APIKeyLastFour:       r.Text("api_key_last_four"),
		CredentialID:         r.Text("credential_id"),
		CredentialsUpdatedAt: r.Time("credentials_updated_at"),
		SecretVersion:        r.Text("secret_version"),
		Previous: connection.PreviousCredentials{
			SecretVersion: r.Text("previous_secret_version"),
			AccountNumber: r.Text("previous_account_number"),
			LastFour:      r.Text("previous_last_four"),
			CredentialID:  r.Text("previous_credential_id"),
			Until:         r.Time("previous_until"),
		},
		LeaseUntil:            r.Time(kit.AttrLease),
		Work:                  connection.Work(r.Text(kit.AttrWork)),
		ContractExpired:       r.Bool("contract_expired"),
		ContractValidTo:       r.Text("contract_valid_to"),
		ContractCreditBlocked: r.Bool("contract_credit_blocked"),
		ContractHash:          r.Text("contract_hash"),
		MerchantLocationID:    r.Text("merchant_location_id"),
		ExternalID:            r.Text("external_carrier_id"),
		Metadata:              r.Texts("metadata"),
		CreatedAt:             r.Time("created_at"),
		ModifiedAt:            r.Time("modified_at"),
		DisconnectedAt:        r.Time("disconnected_at"),
		PurgeAt:               r.Seconds(kit.AttrTTL),
		Version:               r.Int(kit.AttrVersion),
	}, r.Done("connection")
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

// readUnfinished reads an entry of REPAIR in by_due.
func readUnfinished(it kit.Item) (connection.Unfinished, error) {
	r := kit.Reader{It: it}
	account, conn, err := kit.ParseOwner(r.Key())
	return connection.Unfinished{AccountID: account, ConnectionID: conn}, errors.Join(r.Done("unfinished work"), err)
}

func historyItem(c *connection.Connection, e connection.HistoryEntry) kit.Item {
	it := kit.Key{PK: kit.HistoryPK(c.AccountID, c.ID), SK: kit.HistorySK(e.At.UnixMilli(), e.Number)}.Item()
	it.Time("at", e.At)
	it.Text("outcome", string(e.Outcome))
	it.Int("latency_ns", int64(e.Latency))
	it.Text("trigger", string(e.Trigger))
	it.Text("code", e.Code)
	it.Int("number", int64(e.Number))
	it.Text("status", string(e.Status))
	changes := make([]kit.Item, len(e.Changes))
	for i, change := range e.Changes {
		changes[i] = kit.Item{}
		changes[i].Text("type", string(change.Type))
		changes[i].Text("product_id", change.ProductID)
		changes[i].Text("field", change.Field)
		changes[i].Text("from", change.From)
		changes[i].Text("to", change.To)
	}
	it.Items("changes", changes)
	it.Seconds(kit.AttrTTL, e.At.Add(connection.HistoryKept))
	return it
}

func readHistory(it kit.Item) (connection.HistoryEntry, error) {
	r := kit.Reader{It: it}
	e := connection.HistoryEntry{
		Check: connection.Check{
			At:      r.Time("at"),
			Outcome: carrier.Outcome(r.Text("outcome")),
			Latency: time.Duration(r.Int("latency_ns")),
			Trigger: connection.Trigger(r.Text("trigger")),
			Code:    r.Text("code"),
		},
		Number: int(r.Int("number")),
		Status: connection.Status(r.Text("status")),
	}
	for _, one := range r.Items("changes") {
		c := kit.Reader{It: one}
		e.Changes = append(e.Changes, connection.Difference{
			Type: connection.DifferenceType(c.Text("type")), ProductID: c.Text("product_id"), Field: c.Text("field"), From: c.Text("from"), To: c.Text("to"),
		})
		r.Err = cmp.Or(r.Err, c.Err)
	}
	return e, r.Done("check")
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
